// SPDX-License-Identifier: Apache-2.0
// Holders of addresses and of frontends, by hash.
#include "kube/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct address {
	struct ip_addr addr;
	bool avoided;
	const char *why;
	uint32_t n_holders;
	const struct kube_object **holders; // the first one sets the sharing key
	UT_hash_handle hh;
};

struct place {
	struct ip_addr addr;
	uint16_t port, protocol;
};

struct taken {
	struct place place;
	const struct kube_object *by;
	UT_hash_handle hh;
};

struct claims {
	struct address *addresses;
	struct taken *taken;
};

struct claims *claims_create(void) {
	return calloc(1, sizeof(struct claims));
}

void claims_destroy(struct claims *c) {
	struct address *a, *next_a;
	struct taken *t, *next_t;

	if (c == NULL)
		return;
	HASH_ITER(hh, c->addresses, a, next_a) {
		HASH_DEL(c->addresses, a);
		free(a->holders);
		free(a);
	}
	HASH_ITER(hh, c->taken, t, next_t) {
		HASH_DEL(c->taken, t);
		free(t);
	}
	free(c);
}

static struct address *find(const struct claims *c, const struct ip_addr *a) {
	struct address *x;

	HASH_FIND(hh, c->addresses, a, sizeof(*a), x);
	return x;
}

static struct address *find_or_add(struct claims *c, const struct ip_addr *a) {
	struct address *x = find(c, a);

	if (x != NULL)
		return x;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return NULL;
	x->addr = *a;
	HASH_ADD(hh, c->addresses, addr, sizeof(x->addr), x);
	if (x->hh.tbl == NULL) {
		free(x);
		return NULL;
	}
	return x;
}

int claims_avoid(struct claims *c, const struct ip_addr *a, const char *why) {
	struct address *x = find_or_add(c, a);

	if (x == NULL)
		return -ENOMEM;
	x->avoided = true;
	if (x->why == NULL)
		x->why = why;
	return 0;
}

const char *claims_reserved(const struct claims *c, const struct ip_addr *a) {
	const struct address *x = find(c, a);

	return x != NULL ? x->why : NULL;
}

bool claims_is_taken(const struct claims *c, const struct ip_addr *a) {
	const struct address *x = find(c, a);

	return x != NULL && (x->avoided || x->n_holders > 0);
}

static bool ports_overlap(const struct kube_service *a, const struct kube_service *b) {
	for (uint32_t i = 0; i < a->n_ports; i++)
		for (uint32_t j = 0; j < b->n_ports; j++)
			if (a->ports[i].port == b->ports[j].port &&
			    a->ports[i].protocol == b->ports[j].protocol)
				return true;
	return false;
}

static bool may_share(const struct kube_object *a, const struct kube_object *b) {
	const char *x = a->service.sharing_key, *y = b->service.sharing_key;

	return x != NULL && y != NULL && x[0] != 0 && strcmp(x, y) == 0 &&
	       !ports_overlap(&a->service, &b->service);
}

static const struct kube_object *conflict(const struct address *x, const struct kube_object *o) {
	for (uint32_t i = 0; i < x->n_holders; i++)
		if (x->holders[i] != o && !may_share(x->holders[i], o))
			return x->holders[i];
	return NULL;
}

const struct kube_object *claims_conflict(const struct claims *c, const struct ip_addr *a,
					  const struct kube_object *o) {
	const struct address *x = find(c, a);

	return x != NULL ? conflict(x, o) : NULL;
}

int claims_hold(struct claims *c, const struct ip_addr *a, const struct kube_object *o) {
	struct address *x = find_or_add(c, a);
	const struct kube_object **grown;

	if (x == NULL)
		return -ENOMEM;
	grown = realloc(x->holders, (x->n_holders + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	x->holders = grown;
	x->holders[x->n_holders++] = o;
	return 0;
}

bool claims_lowest_shareable(const struct claims *c, struct ip_addr *out, uint8_t family,
			     const struct kube_object *o,
			     bool (*fits)(const void *arg, const struct ip_addr *a),
			     const void *arg) {
	bool found = false;

	for (const struct address *x = c->addresses; x != NULL; x = x->hh.next) {
		if (x->addr.family != family || x->avoided || x->n_holders == 0 ||
		    conflict(x, o) != NULL || !fits(arg, &x->addr))
			continue;
		if (!found || ip_addr_cmp(&x->addr, out) < 0)
			*out = x->addr;
		found = true;
	}
	return found;
}

int claims_port(struct claims *c, const struct ip_addr *a, uint16_t port, uint8_t protocol,
		const struct kube_object *o, const struct kube_object **other) {
	struct place place = {.addr = *a, .port = port, .protocol = protocol};
	struct taken *t;

	HASH_FIND(hh, c->taken, &place, sizeof(place), t);
	if (t != NULL) {
		*other = t->by != o ? t->by : NULL;
		return 0;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->place = place;
	t->by = o;
	HASH_ADD(hh, c->taken, place, sizeof(t->place), t);
	if (t->hh.tbl == NULL) {
		free(t);
		return -ENOMEM;
	}
	*other = NULL;
	return 0;
}
