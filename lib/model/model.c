// SPDX-License-Identifier: Apache-2.0
// The set of services by key, and the set of keys that changed since someone asked.
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "model/service.h"

struct entry {
	struct model_key key; // a copy of service.key; the hash's key
	struct model_service service;
	UT_hash_handle hh;
};

struct dirty {
	struct model_key key;
	UT_hash_handle hh;
};

struct model {
	struct entry *entries;
	struct dirty *dirty;
};

struct model *model_create(void) {
	return calloc(1, sizeof(struct model));
}

static void forget_dirty(struct model *m) {
	struct dirty *d, *next;

	HASH_ITER(hh, m->dirty, d, next) {
		HASH_DEL(m->dirty, d);
		free(d);
	}
}

void model_destroy(struct model *m) {
	struct entry *e, *next;

	if (m == NULL)
		return;
	HASH_ITER(hh, m->entries, e, next) {
		HASH_DEL(m->entries, e);
		model_service_fini(&e->service);
		free(e);
	}
	forget_dirty(m);
	free(m);
}

// Keys are compared as bytes: zero what follows the texts.
static struct model_key key_bytes(const struct model_key *k) {
	struct model_key out = {.port = k->port, .protocol = k->protocol};

	memcpy(out.ns, k->ns, strnlen(k->ns, sizeof(out.ns) - 1));
	memcpy(out.name, k->name, strnlen(k->name, sizeof(out.name) - 1));
	return out;
}

static struct entry *find(const struct model *m, const struct model_key *k) {
	struct model_key key = key_bytes(k);
	struct entry *e;

	HASH_FIND(hh, m->entries, &key, sizeof(key), e);
	return e;
}

static int mark_dirty(struct model *m, const struct model_key *key) {
	struct dirty *d;

	HASH_FIND(hh, m->dirty, key, sizeof(*key), d);
	if (d != NULL)
		return 0;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->key = *key;
	HASH_ADD(hh, m->dirty, key, sizeof(d->key), d);
	if (d->hh.tbl == NULL) {
		free(d);
		return -ENOMEM;
	}
	return 0;
}

static int add(struct model *m, const struct model_service *s) {
	struct entry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	e->key = s->key;
	e->service = *s;
	HASH_ADD(hh, m->entries, key, sizeof(e->key), e);
	if (e->hh.tbl == NULL) {
		free(e);
		return -ENOMEM;
	}
	return 0;
}

int model_put(struct model *m, const struct model_service *s) {
	struct model_service copy;
	struct entry *e;
	int ret = model_service_check(s, NULL);

	if (ret == 0)
		ret = service_copy(&copy, s);
	if (ret < 0)
		return ret;
	e = find(m, &copy.key);
	if (e != NULL && model_service_equal(&e->service, &copy)) {
		model_service_fini(&copy);
		return 0;
	}
	ret = mark_dirty(m, &copy.key);
	if (ret == 0 && e == NULL)
		ret = add(m, &copy);
	if (ret < 0) {
		model_service_fini(&copy);
		return ret;
	}
	if (e != NULL) {
		model_service_fini(&e->service);
		e->service = copy;
	}
	return 1;
}

int model_remove(struct model *m, const struct model_key *key) {
	struct entry *e = find(m, key);

	if (e == NULL)
		return 0;
	if (mark_dirty(m, &e->key) < 0)
		return -ENOMEM;
	HASH_DEL(m->entries, e);
	model_service_fini(&e->service);
	free(e);
	return 1;
}

const struct model_service *model_find(const struct model *m, const struct model_key *key) {
	const struct entry *e = find(m, key);

	return e != NULL ? &e->service : NULL;
}

static int service_pointer_cmp(const void *x, const void *y) {
	const struct model_service *const *a = x, *const *b = y;

	return model_key_cmp(&(*a)->key, &(*b)->key);
}

// ns == NULL: all.
static int list(const struct model *m, const char *ns, const char *name,
		const struct model_service ***out) {
	const struct model_service **l = malloc((HASH_COUNT(m->entries) + 1) *
						sizeof(struct model_service *));
	int n = 0;

	if (l == NULL)
		return -ENOMEM;
	for (const struct entry *e = m->entries; e != NULL; e = e->hh.next)
		if (ns == NULL || (strcmp(e->key.ns, ns) == 0 && strcmp(e->key.name, name) == 0))
			l[n++] = &e->service;
	qsort(l, n, sizeof(*l), service_pointer_cmp);
	*out = l;
	return n;
}

int model_list(const struct model *m, const struct model_service ***out) {
	return list(m, NULL, NULL, out);
}

int model_list_of(const struct model *m, const char *ns, const char *name,
		  const struct model_service ***out) {
	return list(m, ns, name, out);
}

static int key_cmp(const void *x, const void *y) {
	return model_key_cmp(x, y);
}

int model_take_dirty(struct model *m, struct model_key **keys) {
	struct model_key *k = malloc((HASH_COUNT(m->dirty) + 1) * sizeof(*k));
	int n = 0;

	if (k == NULL)
		return -ENOMEM;
	for (const struct dirty *d = m->dirty; d != NULL; d = d->hh.next)
		k[n++] = d->key;
	qsort(k, n, sizeof(*k), key_cmp);
	forget_dirty(m);
	*keys = k;
	return n;
}
