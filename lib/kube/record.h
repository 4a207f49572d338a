// SPDX-License-Identifier: Apache-2.0
// An object as it is kept: decoded, beside the text that it was decoded from. Immutable and counted, like the object in it.
// Control thread only (the counts are not atomic).
#ifndef SLUICE_KUBE_RECORD_H
#define SLUICE_KUBE_RECORD_H

#include "kube/objects.h"

struct kube_record {
	struct kube_object *object;
	uint32_t refs;
	size_t len;
	char text[]; // JSON, without kind where it came from a typed list; no NUL behind it
};

// Decode n and copy its text. Errors: -EINVAL with place, -ENOMEM.
int kube_record_create(struct kube_record **out, enum kube_kind kind, const struct doc_node *n,
		       const char *text, size_t len, struct error *err);
struct kube_record *kube_record_get(struct kube_record *r);
void kube_record_put(struct kube_record *r); // NULL is fine

// Records by name.
struct kube_records {
	struct kube_records_entry *entries;
};

void kube_records_clear(struct kube_records *s);
size_t kube_records_count(const struct kube_records *s);
struct kube_record *kube_records_find(const struct kube_records *s, const char *ns,
				      const char *name); // NULL: absent
// Takes its own reference; replaces one of the same name. Errors: -ENOMEM.
int kube_records_put(struct kube_records *s, struct kube_record *r);
void kube_records_remove(struct kube_records *s, const char *ns, const char *name);
// Step through: *at begins as NULL. NULL after the last one. Nothing may be put or removed meanwhile.
struct kube_record *kube_records_next(const struct kube_records *s, struct kube_records_entry **at);

#endif
