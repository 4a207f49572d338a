// SPDX-License-Identifier: Apache-2.0
// Order of the pools and the next address of each.
#include "kube/pools.h"

#include <stdlib.h>
#include <string.h>

struct mark {
	struct ip_addr from
		[2]; // [0] IPv4: nothing below is to be had as never used; family 0: begin at the start
	bool exhausted[2];
};

struct pools {
	const struct kube_settings *settings;
	const struct claims *claims;
	const struct ipam_memory *memory;
	const struct ipam_pool **order;
	struct mark *marks; // as in settings->pools
};

static bool selects(const struct ipam_pool *p) {
	return p->n_namespaces > 0 || p->n_selectors > 0;
}

static int order_cmp(const void *x, const void *y) {
	const struct ipam_pool *a = *(const struct ipam_pool *const *)x,
			       *b = *(const struct ipam_pool *const *)y;
	uint32_t p = a->priority - 1, q = b->priority - 1; // 0 becomes the largest

	if (selects(a) != selects(b))
		return selects(b) - selects(a);
	if (p != q)
		return (p > q) - (p < q);
	return (a > b) - (a < b);
}

struct pools *pools_create(const struct kube_settings *settings, const struct claims *claims,
			   const struct ipam_memory *memory) {
	struct pools *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	*p = (struct pools){.settings = settings, .claims = claims, .memory = memory};
	p->order = calloc(settings->n_pools + 1, sizeof(*p->order));
	p->marks = calloc(settings->n_pools + 1, sizeof(*p->marks));
	if (p->order == NULL || p->marks == NULL) {
		pools_destroy(p);
		return NULL;
	}
	for (uint32_t i = 0; i < settings->n_pools; i++)
		p->order[i] = &settings->pools[i];
	qsort(p->order, settings->n_pools, sizeof(struct ipam_pool *), order_cmp);
	return p;
}

void pools_destroy(struct pools *p) {
	if (p == NULL)
		return;
	free(p->order);
	free(p->marks);
	free(p);
}

const struct ipam_pool *pools_nth(const struct pools *p, uint32_t i) {
	return i < p->settings->n_pools ? p->order[i] : NULL;
}

const struct ipam_pool *pools_find(const struct pools *p, const char *name) {
	for (uint32_t i = 0; i < p->settings->n_pools; i++)
		if (strcmp(p->settings->pools[i].name, name) == 0)
			return &p->settings->pools[i];
	return NULL;
}

const struct ipam_pool *pools_of(const struct pools *p, const struct ip_addr *a) {
	for (uint32_t i = 0; i < p->settings->n_pools; i++)
		if (ipam_pool_contains(&p->settings->pools[i], a))
			return &p->settings->pools[i];
	return NULL;
}

static int label_cmp(const void *key, const void *label) {
	return strcmp(key, ((const struct kube_label *)label)->key);
}

static const char *label(const void *service, const char *key) {
	const struct kube_service *s = service;
	const struct kube_label *l = NULL;

	if (s->n_labels > 0)
		l = bsearch(key, s->labels, s->n_labels, sizeof(*s->labels), label_cmp);
	return l != NULL ? l->value : NULL;
}

bool pools_admit(const struct ipam_pool *pool, const struct kube_object *o) {
	return ipam_pool_admits(pool, o->meta.ns, label, &o->service);
}

const char *pools_misfit(const struct ipam_pool *pool, const struct kube_object *o,
			 uint8_t family) {
	const char *wanted = o->service.pool;

	if (wanted != NULL && strcmp(wanted, pool->name) != 0)
		return "the Service names another pool";
	if (wanted == NULL && !pool->auto_assign)
		return "it gives addresses only to Services that name it";
	if (!ipam_pool_has_family(pool, family))
		return family == 4 ? "it has no IPv4 addresses" : "it has no IPv6 addresses";
	if (!pools_admit(pool, o))
		return "its namespaces and selectors do not select the Service";
	return NULL;
}

struct look { // for a free address
	const struct pools *pools;
	const struct ipam_pool *pool;
	uint8_t family;
	bool released_too;
};

static bool is_taken(void *arg, const struct ip_addr *a) {
	const struct look *l = arg;

	return claims_is_taken(l->pools->claims, a) || !ip_addr_is_usable(a) ||
	       (l->pool->avoid_buggy && ipam_is_buggy(a)) ||
	       (!l->released_too && ipam_memory_is_released(l->pools->memory, a));
}

static bool is_free_here(void *arg, const struct ip_addr *a) {
	const struct look *l = arg;

	return a->family == l->family && ipam_pool_contains(l->pool, a) && !is_taken(arg, a);
}

// A free address of the pool that nobody had, else the longest released one, else any.
static bool next_free(struct pools *p, const struct ipam_pool *pool, uint8_t family,
		      struct ip_addr *out) {
	struct look look = {p, pool, family, !p->settings->durable};
	struct mark *mark = &p->marks[pool - p->settings->pools];
	struct ip_addr *from = &mark->from[family == 6];
	const struct ipam_entry *e;

	if (mark->exhausted[family == 6])
		return false;
	if (ipam_lowest(out, pool, family, from->family != 0 ? from : NULL, is_taken, &look)) {
		*from = *out;
		return true;
	}
	look.released_too = true;
	e = ipam_memory_longest_released(p->memory, is_free_here, &look);
	if (e != NULL) {
		*out = e->addr;
		return true;
	}
	if (ipam_lowest(out, pool, family, NULL, is_taken, &look)) {
		*from = *out;
		return true;
	}
	mark->exhausted[family == 6] = true;
	return false;
}

static bool pool_holds(const void *pool, const struct ip_addr *a) {
	return ipam_pool_contains(pool, a);
}

bool pools_next(struct pools *p, const struct ipam_pool *pool, uint8_t family,
		const struct holder *h, struct ip_addr *out) {
	const char *key = h->o->service.sharing_key;
	bool found = next_free(p, pool, family, out);
	struct ip_addr shared;

	if (key == NULL || key[0] == 0 ||
	    !claims_lowest_shareable(p->claims, &shared, family, h, pool_holds, pool))
		return found;
	if (!found || p->settings->durable || ip_addr_cmp(&shared, out) < 0)
		*out = shared;
	return true;
}

bool pools_has_free(const struct pools *p, const struct ipam_pool *pool, uint8_t family) {
	struct look look = {p, pool, family, true};
	struct ip_addr a;

	return ipam_lowest(&a, pool, family, NULL, is_taken, &look);
}

void pools_freed(struct pools *p, const struct ip_addr *a) {
	int f = a->family == 6;

	for (uint32_t i = 0; i < p->settings->n_pools; i++) {
		struct mark *m = &p->marks[i];

		if (!ipam_pool_contains(&p->settings->pools[i], a))
			continue;
		m->exhausted[f] = false;
		if (!p->settings->durable && m->from[f].family != 0 &&
		    ip_addr_cmp(a, &m->from[f]) < 0)
			m->from[f] = *a;
	}
}
