// SPDX-License-Identifier: Apache-2.0
// Grants addresses to one Service after another, in passes: status, memory, requests, pools.
#include "kube/pick.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// Reasons in one word, as conditions carry them.
#define IN_USE "AlreadyAllocated"
#define INCOMPATIBLE "AlreadyAllocatedIncompatible"
#define RESERVED "AddressReserved"
#define BAD_REQUEST "BadRequest"
#define NO_POOL "NoPool"
#define MISMATCH "PoolSelectorMismatch"
#define EXHAUSTED "OutOfAddresses"
#define DUAL_STACK "RequireDualStack"
#define FOLLOWS "WaitsForWriter"
#define LEARNS "WaitsForSync"

void pick_reason(char reason[160], const char *format, ...) {
	size_t len = strlen(reason);
	va_list args;

	if (len > 0 && len < 156)
		len += (size_t)snprintf(reason + len, 160 - len, "; ");
	va_start(args, format);
	vsnprintf(reason + len, 160 - len, format, args);
	va_end(args);
}

__attribute__((format(printf, 3, 4))) static void lack(struct holder *h, const char *code,
						       const char *format, ...) {
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pick_reason(h->why, "%s", text);
	if (h->code == NULL)
		h->code = code;
}

static bool has_family(const struct ip_addr *list, uint32_t n, uint8_t family) {
	for (uint32_t i = 0; i < n; i++)
		if (list[i].family == family)
			return true;
	return false;
}

static bool has_addr(const struct ip_addr *list, uint32_t n, const struct ip_addr *a) {
	for (uint32_t i = 0; i < n; i++)
		if (ip_addr_eq(&list[i], a))
			return true;
	return false;
}

static struct held *find_held(const struct holder *h, const struct ip_addr *a) {
	for (uint32_t i = 0; i < h->n_held; i++)
		if (ip_addr_eq(&h->held[i].addr, a))
			return &h->held[i];
	return NULL;
}

static const struct held *held_of(const struct holder *h, uint8_t family) {
	for (uint32_t i = 0; i < h->n_held; i++)
		if (h->held[i].addr.family == family)
			return &h->held[i];
	return NULL;
}

// Status is another's to write: it goes before requests, and no automatic address takes its place.
static bool status_is_final(const struct picker *k) {
	return !k->settings->durable || k->settings->follower;
}

// What status says now is right, not what was found there before: of others' writing, and of ours as long as all we know is a snapshot.
static bool status_binds(const struct picker *k) {
	return status_is_final(k) || !k->learnt;
}

// Services may be missing, and what looks free may be theirs.
static bool is_learning(const struct picker *k) {
	return k->settings->durable && !k->learnt && !k->complete;
}

// The families of an automatic address: those that the Service names; else those of the addresses that it has or asks for; else those of its
// cluster IPs; else IPv4, or IPv6 where no pool has IPv4.
static void choose_families(const struct picker *k, struct holder *h) {
	const struct kube_service *s = &h->o->service;
	const struct ipam_pool *pool;
	bool pool4 = false;

	memcpy(h->families, s->families, sizeof(h->families));
	if (s->families[0] != 0 || s->n_status > 0 || s->n_requested > 0)
		return;
	for (uint32_t i = 0; i < s->n_cluster_ips && i < 2; i++)
		if (i == 0 || s->cluster_ips[i].family != h->families[0])
			h->families[i] = s->cluster_ips[i].family;
	if (h->families[0] != 0)
		return;
	for (uint32_t i = 0; (pool = pools_nth(k->pools, i)) != NULL; i++)
		pool4 |= pool->auto_assign && ipam_pool_has_family(pool, 4);
	h->families[0] = pool4 || k->settings->n_pools == 0 ? 4 : 6;
}

static bool wants_family(const struct holder *h, uint8_t family) {
	return h->families[0] == 0 || family == h->families[0] || family == h->families[1];
}

// --- holding and letting go ---

static void fill_entry(struct ipam_entry *e, const char *ns, const char *name,
		       const struct held *held) {
	*e = (struct ipam_entry){.addr = held->addr};
	snprintf(e->ns, sizeof(e->ns), "%s", ns);
	snprintf(e->name, sizeof(e->name), "%s", name);
	memcpy(e->pool, held->pool, sizeof(e->pool));
}

static int hold(struct picker *k, struct holder *h, const struct ip_addr *a,
		enum held_origin origin, const struct ipam_pool *pool) {
	struct held *held = find_held(h, a), *grown;

	if (pool == NULL)
		pool = pools_of(k->pools, a);
	if (held == NULL) {
		if (h->n_held == h->room) {
			grown = realloc(h->held, (h->room + 2) * sizeof(*grown));
			if (grown == NULL)
				return -ENOMEM;
			h->held = grown;
			h->room += 2;
		}
		if (claims_hold(k->claims, a, h) < 0)
			return -ENOMEM;
		held = &h->held[h->n_held++];
		*held = (struct held){.addr = *a};
		if (pool != NULL)
			memcpy(held->pool, pool->name, sizeof(held->pool));
		ipam_memory_reuse(k->memory, a);
		// Who waits may share with him.
		k->freed |= h->o->service.sharing_key != NULL;
	}
	held->origin = origin;
	return 0;
}

// The address is free again, unless others share it.
static int give_back(struct picker *k, struct holder *h, uint32_t i) {
	struct held held = h->held[i];
	struct ipam_entry e;

	h->held[i] = h->held[--h->n_held];
	claims_release(k->claims, &held.addr, h);
	k->freed = true;
	pools_freed(k->pools, &held.addr);
	if (!k->settings->durable || claims_is_taken(k->claims, &held.addr))
		return 0;
	fill_entry(&e, h->ns, h->name, &held);
	return ipam_memory_release(k->memory, &e);
}

// While objects are missing, what was given to them stays remembered as theirs.
static int give_back_all(struct picker *k, struct holder *h) {
	bool is_missing = h->o == NULL && !k->complete;
	int ret = 0;

	while (h->n_held > 0 && ret == 0) {
		const struct ip_addr a = h->held[h->n_held - 1].addr;

		if (!is_missing) {
			ret = give_back(k, h, h->n_held - 1);
			continue;
		}
		h->n_held--;
		claims_release(k->claims, &a, h);
		pools_freed(k->pools, &a); // what is remembered will be avoided
	}
	return ret;
}

static bool is_due(const struct picker *k, const struct holder *h, const struct held *held) {
	const struct kube_service *s = &h->o->service;
	bool in_status = has_addr(s->status, s->n_status, &held->addr);

	if (held->origin == HELD_STATUS && status_binds(k) && !in_status)
		return false;
	// One that is remembered beside a snapshot: whose status names it has it. If that is nobody, the next pass gives it back.
	if (k->settings->durable && !k->learnt && k->complete && !in_status)
		return false;
	// One that was given but not written when the office went to another appliance.
	if (k->settings->follower && !in_status &&
	    !has_addr(s->requested, s->n_requested, &held->addr))
		return false;
	if (!wants_family(h, held->addr.family) &&
	    (k->settings->durable || held->origin != HELD_STATUS))
		return false;
	// Of those who can't share any more, who changed has to go.
	return !h->changed || claims_conflict(k->claims, &held->addr, h) == NULL;
}

int pick_let_go(struct picker *k, struct holder *h) {
	int ret = 0;

	if (h->o == NULL || !h->asks || strcmp(h->uid, h->o->meta.uid) != 0)
		ret = give_back_all(k, h);
	if (h->o == NULL || ret < 0)
		return ret;
	snprintf(h->uid, sizeof(h->uid), "%s", h->o->meta.uid);
	choose_families(k, h);
	for (uint32_t i = h->n_held; i > 0 && ret == 0; i--) {
		if (!is_due(k, h, &h->held[i - 1]))
			ret = give_back(k, h, i - 1);
		else if (h->o->service.sharing_key != NULL)
			claims_share(k->claims, &h->held[i - 1].addr);
	}
	// Its ports, its key or its selector may be such now that others can share with it.
	k->freed |= h->n_held > 0 && h->o->service.sharing_key != NULL;
	return ret;
}

// A named address takes the place of those of its family that were not named so.
static int replace_others(struct picker *k, struct holder *h, const struct ip_addr *by,
			  enum held_origin origin) {
	int ret = 0;

	for (uint32_t i = h->n_held; i > 0 && ret == 0; i--) {
		const struct held *held = &h->held[i - 1];

		if (held->addr.family == by->family && !ip_addr_eq(&held->addr, by) &&
		    (origin != HELD_STATUS || held->origin != HELD_STATUS))
			ret = give_back(k, h, i - 1);
	}
	return ret;
}

// --- passes ---

static void refuse_reserved(struct holder *h, const struct ip_addr *a, const char *why) {
	char text[IP_ADDR_STR];

	ip_addr_format(a, text);
	if (strncmp(why, "node ", 5) == 0)
		lack(h, RESERVED, "address %s is one of %s", text, why);
	else
		lack(h, RESERVED, "address %s is the appliance's own (%s)", text, why);
}

int pick_begin(struct picker *k, struct holder *h) {
	h->code = NULL;
	h->why[0] = 0;
	h->lost[0] = h->lost[1] = false;
	for (uint32_t i = 0; i < h->n_held; i++) {
		const char *why = claims_reserved(k->claims, &h->held[i].addr);

		if (why != NULL)
			refuse_reserved(h, &h->held[i].addr, why);
	}
	return 0;
}

static bool may_have(const struct picker *k, const struct holder *h, const struct ip_addr *a) {
	return claims_reserved(k->claims, a) == NULL && ip_addr_is_usable(a) &&
	       claims_conflict(k->claims, a, h) == NULL;
}

// Whether h may have an address that it names; the reason is noted.
static bool is_to_be_had(struct picker *k, struct holder *h, const struct ip_addr *a) {
	const char *why = claims_reserved(k->claims, a);
	const struct holder *other = claims_conflict(k->claims, a, h);
	char text[IP_ADDR_STR];

	ip_addr_format(a, text);
	if (why != NULL) {
		refuse_reserved(h, a, why);
	} else if (!ip_addr_is_usable(a)) {
		lack(h, BAD_REQUEST, "address %s can't be served", text);
	} else if (other != NULL) {
		lack(h,
		     h->o->service.sharing_key != NULL && other->o->service.sharing_key != NULL
			     ? INCOMPATIBLE
			     : IN_USE,
		     "address %s is in use by %s/%s", text, other->o->meta.ns, other->o->meta.name);
	} else {
		return true;
	}
	return false;
}

// Nothing of this address in status is to be looked at any more.
static bool is_settled(const struct picker *k, const struct holder *h, const struct ip_addr *a) {
	const struct kube_service *s = &h->o->service;
	const struct held *held = held_of(h, a->family);

	if (!k->settings->durable)
		return false;
	if (!wants_family(h, a->family))
		return true;
	if (held != NULL && !status_binds(k))
		return true;
	if (held != NULL && !ip_addr_eq(&held->addr, a) && held->origin == HELD_STATUS)
		return true; // one of a family
	// A request goes before one that is lost.
	return !status_is_final(k) && has_family(s->requested, s->n_requested, a->family) &&
	       held == NULL && !may_have(k, h, a);
}

int pick_status(struct picker *k, struct holder *h) {
	const struct kube_service *s = &h->o->service;
	int ret = 0;

	for (uint32_t i = 0; i < s->n_status && ret == 0; i++) {
		const struct ip_addr *a = &s->status[i];

		if (is_settled(k, h, a))
			continue;
		if (find_held(h, a) == NULL && !is_to_be_had(k, h, a)) {
			h->lost[a->family == 6] = true;
			continue;
		}
		ret = hold(k, h, a, HELD_STATUS, NULL);
		if (ret == 0 && status_binds(k))
			ret = replace_others(k, h, a, HELD_STATUS);
	}
	return ret;
}

// An address was named for this family, whether it can be had or not: no automatic one then.
static bool is_named(const struct picker *k, const struct holder *h, uint8_t family) {
	const struct kube_service *s = &h->o->service;

	return (status_is_final(k) && has_family(s->status, s->n_status, family)) ||
	       has_family(s->requested, s->n_requested, family) || s->bad_request != NULL ||
	       s->conflict != NULL || h->lost[family == 6];
}

// A remembered address stays with its Service, also when its pool has shrunk, until the Service names another pool.
static bool memory_fits(const struct picker *k, const struct holder *h,
			const struct ipam_entry *e) {
	const char *wanted = h->o->service.pool;
	const struct ipam_pool *pool;

	if (claims_reserved(k->claims, &e->addr) != NULL ||
	    claims_conflict(k->claims, &e->addr, h) != NULL)
		return false;
	if (wanted == NULL || strcmp(wanted, e->pool) == 0)
		return true;
	pool = pools_find(k->pools, wanted);
	return pool != NULL && ipam_pool_contains(pool, &e->addr);
}

// What the Service gave back shortly ago, if a pool would still give it.
static const struct ipam_entry *find_released(const struct picker *k, const struct holder *h,
					      uint8_t family) {
	const struct ipam_entry *e = ipam_memory_find_released(k->memory, h->o->meta.ns,
							       h->o->meta.name, family);
	const struct ipam_pool *pool = e != NULL ? pools_of(k->pools, &e->addr) : NULL;

	return pool != NULL && pools_misfit(pool, h->o, family) == NULL ? e : NULL;
}

int pick_remembered(struct picker *k, struct holder *h) {
	for (int i = 0; i < 2 && !k->settings->follower; i++) {
		uint8_t family = h->families[i];
		const struct ipam_entry *e;
		struct ip_addr a;

		if (family == 0 || is_named(k, h, family) || held_of(h, family) != NULL)
			continue;
		e = ipam_memory_find(k->memory, h->o->meta.ns, h->o->meta.name, family);
		if (e == NULL)
			e = find_released(k, h, family);
		if (e == NULL || !memory_fits(k, h, e))
			continue;
		a = e->addr; // a released one ends to be one when it is held
		if (hold(k, h, &a, HELD_GIVEN, pools_find(k->pools, e->pool)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool in_usable_pool(const struct picker *k, const struct holder *h,
			   const struct ip_addr *a) {
	const char *wanted = h->o->service.pool;
	const struct ipam_pool *pool;

	if (wanted == NULL && k->settings->n_pools == 0)
		return true;
	for (uint32_t i = 0; (pool = pools_nth(k->pools, i)) != NULL; i++)
		if ((wanted == NULL || strcmp(wanted, pool->name) == 0) &&
		    pools_admit(pool, h->o) && ipam_pool_contains(pool, a))
			return true;
	return false;
}

// NULL: the request may be tried.
static const char *request_fault(const struct picker *k, const struct holder *h, uint32_t i) {
	const struct kube_service *s = &h->o->service;
	const struct ip_addr *a = &s->requested[i];

	if (has_family(s->requested, i, a->family))
		return "is a second one of its family";
	if (s->families[0] != 0 && a->family != s->families[0] && a->family != s->families[1])
		return "is not of the Service's ipFamilies";
	return in_usable_pool(k, h, a) ? NULL : "is in no pool that the Service may use";
}

static bool is_remembered(const struct picker *k, const struct holder *h, const struct ip_addr *a) {
	const struct ipam_entry *e = ipam_memory_find(k->memory, h->ns, h->name, a->family);

	return e != NULL && ip_addr_eq(&e->addr, a);
}

static int request(struct picker *k, struct holder *h, uint32_t i) {
	const struct ip_addr *a = &h->o->service.requested[i];
	struct held *held = find_held(h, a);
	const char *fault = request_fault(k, h, i);
	char text[IP_ADDR_STR];
	int ret;

	if (is_learning(k) && !is_remembered(k, h, a))
		return 0;
	if (held != NULL && fault == NULL)
		held->origin = HELD_REQUESTED;
	if (held != NULL)
		return 0; // a pool that shrinks keeps what is in use
	if (fault != NULL)
		lack(h, BAD_REQUEST, "requested address %s %s", ip_addr_format(a, text), fault);
	if (fault != NULL || !is_to_be_had(k, h, a))
		return 0;
	ret = hold(k, h, a, HELD_REQUESTED, NULL);
	return ret == 0 ? replace_others(k, h, a, HELD_REQUESTED) : ret;
}

int pick_requested(struct picker *k, struct holder *h) {
	const struct kube_service *s = &h->o->service;
	int ret = 0;

	if (s->bad_request != NULL)
		lack(h, BAD_REQUEST, "requested address \"%.60s\" is no IP address",
		     s->bad_request);
	if (s->conflict != NULL)
		lack(h, BAD_REQUEST, "%s", s->conflict);
	if (s->bad_request != NULL || s->conflict != NULL)
		return 0;
	for (uint32_t i = 0; i < s->n_requested && ret == 0; i++)
		if (!status_is_final(k) ||
		    !has_family(s->status, s->n_status, s->requested[i].family))
			ret = request(k, h, i);
	return ret;
}

// Why no pool gives an address of that family.
static void lack_address(const struct picker *k, struct holder *h, uint8_t family) {
	const char *wanted = h->o->service.pool;
	const struct ipam_pool *pool;
	bool fits = false, refuses = false;

	for (uint32_t i = 0; (pool = pools_nth(k->pools, i)) != NULL; i++) {
		fits |= pools_misfit(pool, h->o, family) == NULL;
		refuses |= (wanted != NULL ? strcmp(wanted, pool->name) == 0 : pool->auto_assign) &&
			   ipam_pool_has_family(pool, family) && !pools_admit(pool, h->o);
	}
	if (wanted != NULL && pools_find(k->pools, wanted) == NULL)
		lack(h, NO_POOL, "no address pool is named \"%.60s\"", wanted);
	else if (fits)
		lack(h, EXHAUSTED, "no IPv%u address is free in the pools", family);
	else if (refuses)
		lack(h, MISMATCH, "no address pool with IPv%u addresses selects the Service",
		     family);
	else
		lack(h, NO_POOL, "no address pool gives IPv%u addresses", family);
}

// The pool of the other family's address, where this family's should come from, too: of a Service that prefers to have both, and that has waited for
// this one. NULL: any.
static const struct ipam_pool *sister_pool(const struct picker *k, const struct holder *h,
					   uint8_t family) {
	const struct held *other = held_of(h, family == 4 ? 6 : 4);
	const struct ipam_pool *pool;

	if (!k->settings->durable || other == NULL ||
	    h->o->service.family_policy == KUBE_REQUIRE_DUAL_STACK)
		return NULL;
	pool = pools_find(k->pools, other->pool);
	return pool != NULL && pools_misfit(pool, h->o, family) == NULL ? pool : NULL;
}

static int give(struct picker *k, struct holder *h, uint8_t family) {
	const struct ipam_pool *pool, *sister = sister_pool(k, h, family);
	struct ip_addr a;

	for (uint32_t i = 0; (pool = pools_nth(k->pools, i)) != NULL; i++) {
		if ((sister != NULL && pool != sister) || pools_misfit(pool, h->o, family) != NULL)
			continue;
		if (!pools_next(k->pools, pool, family, h, &a))
			continue;
		return hold(k, h, &a, HELD_GIVEN, pool);
	}
	lack_address(k, h, family);
	return 0;
}

// The Service names another pool than the one that its address is of: it moves, once that one has an address.
static int move(struct picker *k, struct holder *h, const struct held *held) {
	const char *wanted = h->o->service.pool;
	uint8_t family = held->addr.family;
	const struct ipam_pool *pool = wanted != NULL ? pools_find(k->pools, wanted) : NULL;
	struct ip_addr a;
	int ret;

	if (wanted == NULL || held->pool[0] == 0 || strcmp(wanted, held->pool) == 0 ||
	    (pool != NULL && ipam_pool_contains(pool, &held->addr)))
		return 0;
	if (pool == NULL || pools_misfit(pool, h->o, family) != NULL ||
	    !pools_next(k->pools, pool, family, h, &a)) {
		lack_address(k, h, family);
		return 0;
	}
	ret = hold(k, h, &a, HELD_GIVEN, pool);
	return ret == 0 ? replace_others(k, h, &a, HELD_GIVEN) : ret;
}

int pick_automatic(struct picker *k, struct holder *h) {
	const struct kube_service *s = &h->o->service;
	int ret = 0;

	for (int i = 0; i < 2 && ret == 0; i++) {
		uint8_t family = h->families[i];
		const struct held *held = family != 0 ? held_of(h, family) : NULL;

		if (family != 0 && held == NULL && is_learning(k))
			lack(h, LEARNS, "waits until all Services are known");
		if (family == 0 || is_named(k, h, family) || is_learning(k))
			continue;
		if (k->settings->follower && held == NULL)
			lack(h, FOLLOWS, "waits for the appliance that writes status");
		else if (!k->settings->follower)
			ret = held != NULL ? move(k, h, held) : give(k, h, family);
	}
	h->forfeits = s->family_policy == KUBE_REQUIRE_DUAL_STACK && h->n_held > 0 &&
		      (held_of(h, 4) == NULL || held_of(h, 6) == NULL);
	if (h->forfeits)
		lack(h, DUAL_STACK, "RequireDualStack needs an address of both families");
	return ret;
}

// --- the result ---

static void add_shown(const struct picker *k, struct holder *h, uint8_t family) {
	for (uint32_t i = 0; i < h->n_held; i++) {
		const struct ip_addr *a = &h->held[i].addr;
		const struct ipam_pool *pool = pools_of(k->pools, a);

		if (a->family != family || claims_reserved(k->claims, a) != NULL || h->forfeits)
			continue;
		h->modes[h->n_addrs] = pool != NULL && pool->proxy ? KUBE_IP_MODE_PROXY
								   : KUBE_IP_MODE_VIP;
		h->addrs[h->n_addrs++] = *a;
	}
}

static int show(const struct picker *k, struct holder *h) {
	uint8_t first = h->families[0] != 0 ? h->families[0] : 4;

	if (h->addrs_room < h->n_held) {
		struct ip_addr *addrs = realloc(h->addrs, h->n_held * sizeof(*addrs));
		uint8_t *modes;

		if (addrs == NULL)
			return -ENOMEM;
		h->addrs = addrs;
		modes = realloc(h->modes, h->n_held);
		if (modes == NULL)
			return -ENOMEM;
		h->modes = modes;
		h->addrs_room = h->n_held;
	}
	h->n_addrs = 0;
	add_shown(k, h, first);
	add_shown(k, h, first == 4 ? 6 : 4);
	return 0;
}

// What is to be remembered of a family: automatic addresses; where status is ours, all.
static int remember(struct picker *k, const struct holder *h, uint8_t family) {
	const struct held *held = held_of(h, family);
	struct ipam_entry e;

	if (held == NULL || (held->origin != HELD_GIVEN && !k->settings->durable)) {
		if ((h->o != NULL || k->complete) && !is_learning(k))
			ipam_memory_remove(k->memory, h->ns, h->name, family);
		return 0;
	}
	fill_entry(&e, h->ns, h->name, held);
	return ipam_memory_put(k->memory, &e) < 0 ? -ENOMEM : 0;
}

int pick_end(struct picker *k, struct holder *h) {
	int ret = show(k, h);

	if (ret == 0)
		ret = remember(k, h, 4);
	return ret == 0 ? remember(k, h, 6) : ret;
}

void pick_free(struct holder *h) {
	free(h->held);
	free(h->named);
	free(h->places);
	free(h->addrs);
	free(h->modes);
}
