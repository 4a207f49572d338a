// SPDX-License-Identifier: Apache-2.0
// Objects with their text, and sets of them.
#include "kube/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/store.h"

struct kube_records_entry {
	struct kube_record *record;
	UT_hash_handle hh;
	char key[]; // "ns/name"
};

int kube_record_create(struct kube_record **out, enum kube_kind kind, const struct doc_node *n,
		       const char *text, size_t len, struct error *err) {
	struct kube_record *r = malloc(sizeof(*r) + len);
	int ret = r == NULL ? error_set(err, -ENOMEM, "out of memory")
			    : kube_decode_one(&r->object, kind, n, err);

	if (ret < 0) {
		free(r);
		return ret;
	}
	r->refs = 1;
	r->len = len;
	memcpy(r->text, text, len);
	*out = r;
	return 0;
}

struct kube_record *kube_record_get(struct kube_record *r) {
	r->refs++;
	return r;
}

void kube_record_put(struct kube_record *r) {
	if (r == NULL || --r->refs > 0)
		return;
	kube_object_put(r->object);
	free(r);
}

static void drop(struct kube_records *s, struct kube_records_entry *e) {
	HASH_DEL(s->entries, e);
	kube_record_put(e->record);
	free(e);
}

void kube_records_clear(struct kube_records *s) {
	struct kube_records_entry *e, *next;

	HASH_ITER(hh, s->entries, e, next) {
		drop(s, e);
	}
}

size_t kube_records_count(const struct kube_records *s) {
	return HASH_COUNT(s->entries);
}

static struct kube_records_entry *find(const struct kube_records *s, const char *key) {
	struct kube_records_entry *e;

	HASH_FIND_STR(s->entries, key, e);
	return e;
}

struct kube_record *kube_records_find(const struct kube_records *s, const char *ns,
				      const char *name) {
	char key[KEY_SIZE];
	struct kube_records_entry *e;

	make_key(key, ns, name);
	e = find(s, key);
	return e != NULL ? e->record : NULL;
}

int kube_records_put(struct kube_records *s, struct kube_record *r) {
	char key[KEY_SIZE];
	struct kube_records_entry *e;
	size_t len;

	make_key(key, r->object->meta.ns, r->object->meta.name);
	e = find(s, key);
	if (e != NULL) {
		kube_record_get(r);
		kube_record_put(e->record);
		e->record = r;
		return 0;
	}
	len = strlen(key);
	e = calloc(1, sizeof(*e) + len + 1);
	if (e == NULL)
		return -ENOMEM;
	memcpy(e->key, key, len);
	HASH_ADD_STR(s->entries, key, e);
	if (e->hh.tbl == NULL) {
		free(e);
		return -ENOMEM;
	}
	e->record = kube_record_get(r);
	return 0;
}

void kube_records_remove(struct kube_records *s, const char *ns, const char *name) {
	char key[KEY_SIZE];
	struct kube_records_entry *e;

	make_key(key, ns, name);
	e = find(s, key);
	if (e != NULL)
		drop(s, e);
}

struct kube_record *kube_records_next(const struct kube_records *s,
				      struct kube_records_entry **at) {
	*at = *at == NULL ? s->entries : (*at)->hh.next;
	return *at != NULL ? (*at)->record : NULL;
}
