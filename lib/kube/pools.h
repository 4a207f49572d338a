// SPDX-License-Identifier: Apache-2.0
// The address pools at work: which of them are for a Service, in which order, and which address of one is next.
//
// Order: pools that select (by namespaces or labels) before those for everybody; by priority (a lower number first, 0 last); as in the file.
//
// The next address: with memory of what was released (settings->durable) one that was never used, else the longest released one. Without, the
// lowest free one. A mark for each pool and family says below which address nothing is to be found, so that a full pool costs nothing.
#ifndef SLUICE_KUBE_POOLS_H
#define SLUICE_KUBE_POOLS_H

#include "kube/claims.h"
#include "kube/settings.h"

struct pools;

// All are the caller's and outlive the pools. NULL: out of memory.
struct pools *pools_create(const struct kube_settings *settings, const struct claims *claims,
			   const struct ipam_memory *memory);
void pools_destroy(struct pools *p);

// The pool that is i-th in order; NULL beyond the last.
const struct ipam_pool *pools_nth(const struct pools *p, uint32_t i);
const struct ipam_pool *pools_find(const struct pools *p, const char *name);      // NULL: none
const struct ipam_pool *pools_of(const struct pools *p, const struct ip_addr *a); // NULL: none
bool pools_admit(const struct ipam_pool *pool, const struct kube_object *o);

// Why the pool gives o no automatic address of that family, whatever is free; NULL: it does.
const char *pools_misfit(const struct ipam_pool *pool, const struct kube_object *o, uint8_t family);
// The next address of the pool for h. False: none is free, nor to be shared.
bool pools_next(struct pools *p, const struct ipam_pool *pool, uint8_t family,
		const struct holder *h, struct ip_addr *out);
// Some address of it is free.
bool pools_has_free(const struct pools *p, const struct ipam_pool *pool, uint8_t family);
// An address came back, or is no longer avoided.
void pools_freed(struct pools *p, const struct ip_addr *a);

#endif
