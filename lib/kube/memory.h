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
// Parts of a Service, from its root: requests and their aliases; what a load balancer wrote, and the labels.
int kube_decode_request(struct kube_object *o, const struct doc_node *root, struct error *err);
int kube_decode_status(struct kube_object *o, const struct doc_node *root, struct error *err);

// Helpers that they share. Absent: *out stays. The copies live in the object.
int kube_text(struct kube_object *o, const char **out, const struct doc_node *n, const char *key,
	      size_t max, struct error *err);
int kube_map_text(struct kube_object *o, const char **out, const struct doc_node *n,
		  const char *map, const char *key, struct error *err);
// A member array and its size.
int kube_get_array(struct doc_node *list, size_t *size, const struct doc_node *n, const char *key,
		   struct error *err);
// The next piece of a comma-separated text, without blanks around it; NULL at the end (or out of memory). Advances *rest.
const char *kube_next_piece(struct kube_object *o, const char **rest);
size_t kube_count_pieces(const char *text);
int kube_protocol(uint8_t *out, const struct doc_node *n, struct error *err);
int kube_addr(struct ip_addr *out, const struct doc_node *n, struct error *err);

#endif
