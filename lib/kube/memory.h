// SPDX-License-Identifier: Apache-2.0
// One object's memory: blocks that are freed together.
#ifndef SLUICE_KUBE_MEMORY_H
#define SLUICE_KUBE_MEMORY_H

#include <stddef.h>

#include "kube/objects.h"

// Zeroed memory that lives as long as the object. NULL: out of memory. n == 0 gives a valid pointer.
void *kube_alloc(struct kube_object *o, size_t n, size_t size);
const char *kube_strdup(struct kube_object *o, const char *text);
struct kube_object *kube_object_create(enum kube_kind kind); // one reference

// Decoders of one kind; meta is filled already.
int kube_decode_service(struct kube_object *o, const struct doc_node *n, struct error *err);
int kube_decode_slice(struct kube_object *o, const struct doc_node *n, struct error *err);
int kube_decode_endpoints(struct kube_object *o, const struct doc_node *n, struct error *err);
int kube_decode_node(struct kube_object *o, const struct doc_node *n, struct error *err);

// Helpers that they share. Absent: *out stays. The copies live in the object.
int kube_text(struct kube_object *o, const char **out, const struct doc_node *n, const char *key,
	      size_t max, struct error *err);
int kube_map_text(struct kube_object *o, const char **out, const struct doc_node *n,
		  const char *map, const char *key, struct error *err);
int kube_protocol(uint8_t *out, const struct doc_node *n, struct error *err);
int kube_addr(struct ip_addr *out, const struct doc_node *n, struct error *err);

#endif
