// SPDX-License-Identifier: Apache-2.0
// Grants addresses to Services of type LoadBalancer in four passes: status, memory, requests, pools.
#include "kube/pick.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct picker {
	struct claims *claims;
	const struct kube_settings *settings;
	const struct ipam_memory *memory;
	struct ip_addr (*from)[2]; // for each pool and family: all lower ones are taken
};

void pick_reason(char reason[160], const char *format, ...) {
	size_t len = strlen(reason);
	va_list args;

	if (len > 0 && len < 156)
		len += (size_t)snprintf(reason + len, 160 - len, "; ");
	va_start(args, format);
	vsnprintf(reason + len, 160 - len, format, args);
	va_end(args);
}

static bool has_family(const struct ip_addr *list, uint32_t n, uint8_t family) {
	for (uint32_t i = 0; i < n; i++)
		if (list[i].family == family)
			return true;
	return false;
}

// The families of an automatic address: those that the Service names; else those of the addresses that it has or asks for; else those of its
// cluster IPs; else IPv4, or IPv6 where no pool has IPv4.
static void choose_families(struct pick *p, const struct kube_settings *settings) {
	const struct kube_service *s = &p->o->service;
	bool pool4 = false;

	memcpy(p->families, s->families, sizeof(p->families));
	if (s->families[0] != 0 || s->n_status > 0 || s->n_requested > 0)
		return;
	for (uint32_t i = 0; i < s->n_cluster_ips && i < 2; i++)
		if (i == 0 || s->cluster_ips[i].family != p->families[0])
			p->families[i] = s->cluster_ips[i].family;
	if (p->families[0] != 0)
		return;
	for (uint32_t i = 0; i < settings->n_pools; i++)
		pool4 |= settings->pools[i].auto_assign &&
			 ipam_pool_has_family(&settings->pools[i], 4);
	p->families[0] = pool4 || settings->n_pools == 0 ? 4 : 6;
}

static int hold(struct picker *k, struct pick *p, const struct ip_addr *a) {
	for (uint32_t i = 0; i < p->n_granted; i++)
		if (ip_addr_eq(&p->granted[i], a))
			return 0;
	if (claims_hold(k->claims, a, p->o) < 0)
		return -ENOMEM;
	p->granted[p->n_granted++] = *a;
	return 0;
}

// Grant an address that the Service names, or say why not.
static int grant(struct picker *k, struct pick *p, const struct ip_addr *a) {
	const char *why = claims_reserved(k->claims, a);
	const struct kube_object *other = claims_conflict(k->claims, a, p->o);
	char text[IP_ADDR_STR];

	ip_addr_format(a, text);
	if (why != NULL)
		pick_reason(p->plan->reason, "address %s is the appliance's own (%s)", text, why);
	else if (!ip_addr_is_usable(a))
		pick_reason(p->plan->reason, "address %s can't be served", text);
	else if (other != NULL)
		pick_reason(p->plan->reason, "address %s is in use by %s/%s", text, other->meta.ns,
			    other->meta.name);
	else
		return hold(k, p, a);
	return 0;
}

static int grant_status(struct picker *k, struct pick *p) {
	const struct kube_service *s = &p->o->service;
	int ret = 0;

	for (uint32_t i = 0; i < s->n_status && ret == 0; i++)
		ret = grant(k, p, &s->status[i]);
	return ret;
}

static const struct ipam_pool *pool_by_name(const struct kube_settings *s, const char *name) {
	for (uint32_t i = 0; i < s->n_pools; i++)
		if (strcmp(s->pools[i].name, name) == 0)
			return &s->pools[i];
	return NULL;
}

static bool in_any_pool(const struct kube_settings *s, const struct ip_addr *a) {
	for (uint32_t i = 0; i < s->n_pools; i++)
		if (ipam_pool_contains(&s->pools[i], a))
			return true;
	return false;
}

// An address was named for this family, whether it was granted or not: no automatic one then.
static bool is_explicit(const struct kube_service *s, uint8_t family) {
	return has_family(s->status, s->n_status, family) ||
	       has_family(s->requested, s->n_requested, family) || s->bad_request != NULL ||
	       s->conflict != NULL;
}

// A remembered address stays with its Service, also when its pool has shrunk, until the Service names another pool.
static bool memory_fits(const struct picker *k, const struct pick *p, const struct ipam_entry *e) {
	const char *wanted = p->o->service.pool;
	const struct ipam_pool *pool;

	if (claims_reserved(k->claims, &e->addr) != NULL ||
	    claims_conflict(k->claims, &e->addr, p->o) != NULL)
		return false;
	if (wanted == NULL || strcmp(wanted, e->pool) == 0)
		return true;
	pool = pool_by_name(k->settings, wanted);
	return pool != NULL && ipam_pool_contains(pool, &e->addr);
}

static int grant_remembered(struct picker *k, struct pick *p) {
	for (int i = 0; i < 2; i++) {
		uint8_t family = p->families[i];
		const struct ipam_entry *e;

		if (family == 0 || is_explicit(&p->o->service, family))
			continue;
		e = ipam_memory_find(k->memory, p->o->meta.ns, p->o->meta.name, family);
		if (e == NULL || !memory_fits(k, p, e))
			continue;
		if (hold(k, p, &e->addr) < 0)
			return -ENOMEM;
		p->given[i] = *e;
	}
	return 0;
}

// NULL: the request may be tried.
static const char *request_fault(const struct picker *k, const struct pick *p, uint32_t i) {
	const struct kube_service *s = &p->o->service;
	const struct ip_addr *a = &s->requested[i];
	const struct ipam_pool *pool = s->pool != NULL ? pool_by_name(k->settings, s->pool) : NULL;

	if (has_family(s->requested, i, a->family))
		return "is a second one of its family";
	if (s->families[0] != 0 && a->family != s->families[0] && a->family != s->families[1])
		return "is not of the Service's ipFamilies";
	if (s->pool != NULL ? pool == NULL || !ipam_pool_contains(pool, a)
			    : k->settings->n_pools > 0 && !in_any_pool(k->settings, a))
		return "is in no pool that the Service may use";
	return NULL;
}

static int grant_requested(struct picker *k, struct pick *p) {
	const struct kube_service *s = &p->o->service;

	if (s->bad_request != NULL)
		pick_reason(p->plan->reason, "requested address \"%.60s\" is no IP address",
			    s->bad_request);
	if (s->conflict != NULL)
		pick_reason(p->plan->reason, "%s", s->conflict);
	if (s->bad_request != NULL || s->conflict != NULL)
		return 0;
	for (uint32_t i = 0; i < s->n_requested; i++) {
		const char *fault = request_fault(k, p, i);
		char text[IP_ADDR_STR];
		int ret = 0;

		if (has_family(s->status, s->n_status, s->requested[i].family))
			continue;
		if (fault != NULL)
			pick_reason(p->plan->reason, "requested address %s %s",
				    ip_addr_format(&s->requested[i], text), fault);
		else
			ret = grant(k, p, &s->requested[i]);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool is_taken(void *arg, const struct ip_addr *a) {
	return claims_is_taken(arg, a) || !ip_addr_is_usable(a);
}

static bool pool_holds(const void *pool, const struct ip_addr *a) {
	return ipam_pool_contains(pool, a);
}

// The lowest address of one pool that is free, or that the Service may share.
static bool pick_in_pool(struct picker *k, struct pick *p, uint32_t pool, uint8_t family,
			 struct ip_addr *out) {
	const struct ipam_pool *pools = k->settings->pools;
	struct ip_addr *from = &k->from[pool][family == 6], shared;
	const char *key = p->o->service.sharing_key;
	bool found = ipam_lowest(out, &pools[pool], family, from->family != 0 ? from : NULL,
				 is_taken, k->claims);

	if (found)
		*from = *out;
	if (key == NULL || key[0] == 0 ||
	    !claims_lowest_shareable(k->claims, &shared, family, p->o, pool_holds, &pools[pool]))
		return found;
	if (!found || ip_addr_cmp(&shared, out) < 0)
		*out = shared;
	return true;
}

static bool may_use(const struct pick *p, const struct ipam_pool *pool) {
	const char *wanted = p->o->service.pool;

	return wanted != NULL ? strcmp(wanted, pool->name) == 0 : pool->auto_assign;
}

static int grant_automatic(struct picker *k, struct pick *p, int i) {
	const struct kube_settings *s = k->settings;
	uint8_t family = p->families[i];
	bool fitting = false;
	struct ip_addr a;

	for (uint32_t pool = 0; pool < s->n_pools; pool++) {
		if (!may_use(p, &s->pools[pool]) || !ipam_pool_has_family(&s->pools[pool], family))
			continue;
		fitting = true;
		if (!pick_in_pool(k, p, pool, family, &a))
			continue;
		snprintf(p->given[i].ns, sizeof(p->given[i].ns), "%s", p->o->meta.ns);
		snprintf(p->given[i].name, sizeof(p->given[i].name), "%s", p->o->meta.name);
		memcpy(p->given[i].pool, s->pools[pool].name, sizeof(p->given[i].pool));
		p->given[i].addr = a;
		return hold(k, p, &a);
	}
	if (p->o->service.pool != NULL && pool_by_name(s, p->o->service.pool) == NULL)
		pick_reason(p->plan->reason, "no address pool is named \"%.60s\"",
			    p->o->service.pool);
	else if (fitting)
		pick_reason(p->plan->reason, "no IPv%u address is free in the pools", family);
	else
		pick_reason(p->plan->reason, "no address pool gives IPv%u addresses", family);
	return 0;
}

static int grant_missing(struct picker *k, struct pick *p) {
	const struct kube_service *s = &p->o->service;
	int ret = 0;

	for (int i = 0; i < 2 && ret == 0; i++)
		if (p->families[i] != 0 && !is_explicit(s, p->families[i]) &&
		    p->given[i].addr.family == 0)
			ret = grant_automatic(k, p, i);
	if (s->family_policy == KUBE_REQUIRE_DUAL_STACK && p->n_granted > 0 &&
	    !(has_family(p->granted, p->n_granted, 4) && has_family(p->granted, p->n_granted, 6))) {
		p->forfeits = true;
		pick_reason(p->plan->reason, "RequireDualStack needs an address of both families");
	}
	return ret;
}

static int run_passes(struct picker *k, struct pick *picks, uint32_t n) {
	static int (*const passes[])(struct picker *,
				     struct pick *) = {grant_status, grant_remembered,
						       grant_requested, grant_missing};

	for (size_t pass = 0; pass < sizeof(passes) / sizeof(passes[0]); pass++)
		for (uint32_t i = 0; i < n; i++)
			if (picks[i].asks && passes[pass](k, &picks[i]) < 0)
				return -ENOMEM;
	return 0;
}

int pick_addresses(struct pick *picks, uint32_t n, struct claims *claims,
		   const struct kube_settings *settings, const struct ipam_memory *memory) {
	struct picker k = {.claims = claims, .settings = settings, .memory = memory};
	int ret = 0;

	k.from = calloc(settings->n_pools + 1, sizeof(*k.from));
	if (k.from == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && ret == 0; i++) {
		const struct kube_service *s = &picks[i].o->service;

		choose_families(&picks[i], settings);
		if (!picks[i].asks)
			continue;
		picks[i].granted = calloc(s->n_status + s->n_requested + 2,
					  sizeof(*picks[i].granted));
		ret = picks[i].granted == NULL ? -ENOMEM : 0;
	}
	if (ret == 0)
		ret = run_passes(&k, picks, n);
	free(k.from);
	return ret;
}
