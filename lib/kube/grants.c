// SPDX-License-Identifier: Apache-2.0
// What Services were granted, for who writes status and who asks why.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/pools.h"
#include "kube/store.h"

static bool has_slice(const struct unit *u, uint8_t family) {
	for (uint32_t i = 0; i < u->n_slices; i++)
		if (u->slices[i]->endpoints.family == family)
			return true;
	return false;
}

// The control plane makes a slice of each family for every Service with a selector, be it an empty one.
bool unit_awaits_endpoints(const struct unit *u) {
	const struct holder *h = &u->holder;

	if (u->service == NULL || u->service->service.selector[0] == '\0' || u->fallback != NULL)
		return false;
	for (uint32_t i = 0; i < h->n_addrs; i++)
		if (!has_slice(u, h->addrs[i].family))
			return true;
	return false;
}

static void fill(struct kube_grant *out, const struct unit *u) {
	const struct holder *h = &u->holder;

	*out = (struct kube_grant){.service = u->service,
				   .ours = h->asks,
				   .awaits_endpoints = unit_awaits_endpoints(u),
				   .n = h->n_addrs,
				   .addrs = h->addrs,
				   .ip_modes = h->modes,
				   .reason = h->why,
				   .code = h->code != NULL ? h->code : "",
				   .plan = &u->plan};
}

int kube_grant(struct kube_grant *out, const struct kube *k, const char *ns, const char *name) {
	const struct unit *u = unit_find(k, ns, name);

	if (u == NULL || u->service == NULL)
		return -ENOENT;
	fill(out, u);
	return 0;
}

int kube_grants(const struct kube *k, int (*fn)(void *arg, const struct kube_grant *g), void *arg) {
	int ret = 0;

	for (const struct unit *u = k->units; u != NULL && ret == 0; u = u->hh.next) {
		struct kube_grant g;

		if (u->service == NULL)
			continue;
		fill(&g, u);
		ret = fn(arg, &g);
	}
	return ret;
}

const char *kube_pool_of(const struct kube *k, const struct ip_addr *a) {
	const struct ipam_pool *pool = pools_of(resolver_pools(k->resolver), a);

	return pool != NULL ? pool->name : "";
}

// --- what changed ---

static int name_cmp(const void *x, const void *y) {
	const struct kube_name *a = x, *b = y;
	int c = strcmp(a->ns, b->ns);

	return c != 0 ? c : strcmp(a->name, b->name);
}

int kube_take_dirty(struct kube *k, struct kube_name **names) {
	struct unit *u;
	struct kube_name *list;
	size_t n = 0;

	TAILQ_FOREACH(u, &k->told, told_link) {
		n++;
	}
	list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	n = 0;
	while ((u = TAILQ_FIRST(&k->told)) != NULL) {
		memcpy(list[n].ns, u->holder.ns, sizeof(list[n].ns));
		memcpy(list[n].name, u->holder.name, sizeof(list[n].name));
		n++;
		TAILQ_REMOVE(&k->told, u, told_link);
		u->is_told = false;
		if (!u->is_listed)
			unit_drop_if_empty(k, u);
	}
	qsort(list, n, sizeof(*list), name_cmp);
	*names = list;
	return (int)n;
}

// --- pools ---

struct tally {
	const struct kube *k;
	struct kube_pool_use *list;
	int n;
};

static void count_held(const struct tally *t, const struct holder *h) {
	for (uint32_t i = 0; i < h->n_held; i++)
		for (int p = 0; p < t->n; p++)
			if (t->list[p].family == h->held[i].addr.family &&
			    ipam_pool_contains(t->list[p].pool, &h->held[i].addr) &&
			    claims_is_first(resolver_claims(t->k->resolver), &h->held[i].addr, h))
				t->list[p].in_use++;
}

static bool lacks_family(const struct holder *h, uint8_t family) {
	for (uint32_t i = 0; i < h->n_held; i++)
		if (h->held[i].addr.family == family)
			return false;
	return family == h->families[0] || family == h->families[1];
}

static void count_waiting(const struct tally *t, const struct holder *h) {
	for (int p = 0; p < t->n; p++)
		if (lacks_family(h, t->list[p].family) &&
		    pools_misfit(t->list[p].pool, h->o, t->list[p].family) == NULL)
			t->list[p].waiting++;
}

int kube_pools(const struct kube *k, struct kube_pool_use **list) {
	const struct pools *pools = resolver_pools(k->resolver);
	struct tally t = {.k = k};
	const struct ipam_pool *pool;

	t.list = calloc(2 * (size_t)k->settings->n_pools + 1, sizeof(*t.list));
	if (t.list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; (pool = pools_nth(pools, i)) != NULL; i++)
		for (uint8_t family = 4; family <= 6; family += 2)
			if (ipam_pool_has_family(pool, family))
				t.list[t.n++] = (struct kube_pool_use){
					.pool = pool,
					.family = family,
					.size = ipam_pool_size(pool, family)};
	for (const struct unit *u = k->units; u != NULL; u = u->hh.next) {
		count_held(&t, &u->holder);
		if (u->holder.waiting)
			count_waiting(&t, &u->holder);
	}
	*list = t.list;
	return t.n;
}

int kube_pool_tries(const struct kube *k, const char *ns, const char *name,
		    struct kube_pool_try **list) {
	const struct pools *pools = resolver_pools(k->resolver);
	const struct unit *u = unit_find(k, ns, name);
	const struct ipam_pool *pool;
	struct kube_pool_try *tries;
	int n = 0;

	if (u == NULL || u->holder.o == NULL)
		return -ENOENT;
	tries = calloc(2 * (size_t)k->settings->n_pools + 1, sizeof(*tries));
	if (tries == NULL)
		return -ENOMEM;
	for (int f = 0; f < 2 && u->holder.families[f] != 0; f++)
		for (uint32_t i = 0; (pool = pools_nth(pools, i)) != NULL; i++) {
			uint8_t family = u->holder.families[f];
			const char *why = pools_misfit(pool, u->holder.o, family);

			if (why == NULL && !pools_has_free(pools, pool, family))
				why = "none of its addresses is free";
			tries[n++] = (struct kube_pool_try){pool, family, why != NULL ? why : ""};
		}
	*list = tries;
	return n;
}
