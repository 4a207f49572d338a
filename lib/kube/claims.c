// SPDX-License-Identifier: Apache-2.0
// Holders of addresses and of places, by hash.
#include "kube/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct address {
	struct ip_addr addr;
	uint32_t avoided, reserved; // how often; avoided counts both
	char *why;                  // of the first that reserved it
	uint32_t n_holders;
	struct holder **holders;
	bool is_keyed; // in the list of those that somebody may want to share
	TAILQ_ENTRY(address) keyed_link;
	UT_hash_handle hh;
};

TAILQ_HEAD(address_list, address);

struct wanted {
	struct place place;
	uint32_t n;
	struct holder **by; // oldest first
	UT_hash_handle hh;
};

struct claims {
	struct address *addresses;
	struct address_list keyed;
	struct wanted *wanted;
};

struct claims *claims_create(void) {
	struct claims *c = calloc(1, sizeof(*c));

	if (c != NULL)
		TAILQ_INIT(&c->keyed);
	return c;
}

static void drop_address(struct claims *c, struct address *a) {
	HASH_DEL(c->addresses, a);
	if (a->is_keyed)
		TAILQ_REMOVE(&c->keyed, a, keyed_link);
	free(a->holders);
	free(a->why);
	free(a);
}

static void drop_wanted(struct claims *c, struct wanted *w) {
	HASH_DEL(c->wanted, w);
	free(w->by);
	free(w);
}

void claims_destroy(struct claims *c) {
	struct address *a, *next_a;
	struct wanted *w, *next_w;

	if (c == NULL)
		return;
	HASH_ITER(hh, c->addresses, a, next_a) {
		drop_address(c, a);
	}
	HASH_ITER(hh, c->wanted, w, next_w) {
		drop_wanted(c, w);
	}
	free(c);
}

// --- addresses ---

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

static void drop_if_idle(struct claims *c, struct address *x) {
	if (x->avoided == 0 && x->n_holders == 0)
		drop_address(c, x);
}

int claims_avoid(struct claims *c, const struct ip_addr *a, const char *why) {
	struct address *x = find_or_add(c, a);
	char *copy = NULL;

	if (x != NULL && why != NULL && x->why == NULL)
		copy = strdup(why);
	if (x == NULL || (copy == NULL && why != NULL && x->why == NULL)) {
		if (x != NULL)
			drop_if_idle(c, x);
		return -ENOMEM;
	}
	if (copy != NULL)
		x->why = copy;
	x->avoided++;
	x->reserved += why != NULL;
	return 0;
}

void claims_unavoid(struct claims *c, const struct ip_addr *a, bool reserved) {
	struct address *x = find(c, a);

	if (x == NULL)
		return;
	x->avoided--;
	x->reserved -= reserved;
	if (x->reserved == 0) {
		free(x->why);
		x->why = NULL;
	}
	drop_if_idle(c, x);
}

const char *claims_reserved(const struct claims *c, const struct ip_addr *a) {
	const struct address *x = find(c, a);

	return x != NULL ? x->why : NULL;
}

bool claims_is_taken(const struct claims *c, const struct ip_addr *a) {
	return find(c, a) != NULL;
}

static bool ports_overlap(const struct kube_service *a, const struct kube_service *b) {
	for (uint32_t i = 0; i < a->n_ports; i++)
		for (uint32_t j = 0; j < b->n_ports; j++)
			if (a->ports[i].port == b->ports[j].port &&
			    a->ports[i].protocol == b->ports[j].protocol)
				return true;
	return false;
}

const char *claims_unshareable(const struct kube_object *a, const struct kube_object *b) {
	const struct kube_service *s = &a->service, *t = &b->service;

	if (s->sharing_key == NULL || t->sharing_key == NULL || s->sharing_key[0] == 0 ||
	    strcmp(s->sharing_key, t->sharing_key) != 0)
		return "it has no sharing key or another one";
	if (strcmp(a->meta.ns, b->meta.ns) != 0 && !(s->shares_widely && t->shares_widely))
		return "it is of another namespace";
	if (ports_overlap(s, t))
		return "they have a port in common";
	if ((s->local || t->local) && strcmp(s->selector, t->selector) != 0)
		return "with externalTrafficPolicy Local both need the same selector";
	return NULL;
}

struct holder *claims_conflict(const struct claims *c, const struct ip_addr *a,
			       const struct holder *h) {
	const struct address *x = find(c, a);

	for (uint32_t i = 0; x != NULL && i < x->n_holders; i++)
		if (x->holders[i] != h && x->holders[i]->o != NULL &&
		    claims_unshareable(x->holders[i]->o, h->o) != NULL)
			return x->holders[i];
	return NULL;
}

void claims_share(struct claims *c, const struct ip_addr *a) {
	struct address *x = find(c, a);

	if (x == NULL || x->is_keyed)
		return;
	TAILQ_INSERT_TAIL(&c->keyed, x, keyed_link);
	x->is_keyed = true;
}

int claims_hold(struct claims *c, const struct ip_addr *a, struct holder *h) {
	struct address *x = find_or_add(c, a);
	struct holder **grown;

	if (x == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < x->n_holders; i++)
		if (x->holders[i] == h)
			return 0;
	grown = realloc(x->holders, (x->n_holders + 1) * sizeof(*grown));
	if (grown == NULL) {
		drop_if_idle(c, x);
		return -ENOMEM;
	}
	x->holders = grown;
	x->holders[x->n_holders++] = h;
	if (h->o->service.sharing_key != NULL)
		claims_share(c, a);
	return 0;
}

void claims_release(struct claims *c, const struct ip_addr *a, struct holder *h) {
	struct address *x = find(c, a);

	for (uint32_t i = 0; x != NULL && i < x->n_holders; i++) {
		if (x->holders[i] != h)
			continue;
		x->holders[i] = x->holders[--x->n_holders];
		drop_if_idle(c, x);
		return;
	}
}

void claims_each(const struct claims *c, const struct ip_addr *a,
		 void (*fn)(void *arg, struct holder *h), void *arg) {
	const struct address *x = find(c, a);

	for (uint32_t i = 0; x != NULL && i < x->n_holders; i++)
		fn(arg, x->holders[i]);
}

bool claims_is_first(const struct claims *c, const struct ip_addr *a, const struct holder *h) {
	const struct address *x = find(c, a);

	return x != NULL && x->n_holders > 0 && x->holders[0] == h;
}

bool claims_lowest_shareable(const struct claims *c, struct ip_addr *out, uint8_t family,
			     const struct holder *h,
			     bool (*fits)(const void *arg, const struct ip_addr *a),
			     const void *arg) {
	const struct address *x;
	bool found = false;

	TAILQ_FOREACH(x, &c->keyed, keyed_link) {
		if (x->addr.family != family || x->avoided > 0 || x->n_holders == 0 ||
		    (found && ip_addr_cmp(&x->addr, out) > 0) ||
		    claims_conflict(c, &x->addr, h) != NULL || !fits(arg, &x->addr))
			continue;
		*out = x->addr;
		found = true;
	}
	return found;
}

// --- places ---

static struct wanted *find_wanted(const struct claims *c, const struct place *p) {
	struct wanted *w;

	HASH_FIND(hh, c->wanted, p, sizeof(*p), w);
	return w;
}

static struct wanted *find_or_add_wanted(struct claims *c, const struct place *p) {
	struct wanted *w = find_wanted(c, p);

	if (w != NULL)
		return w;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->place = *p;
	HASH_ADD(hh, c->wanted, place, sizeof(w->place), w);
	if (w->hh.tbl == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

static void tell_others(const struct wanted *w, const struct holder *h,
			void (*fn)(void *arg, struct holder *other), void *arg) {
	for (uint32_t i = 0; i < w->n && fn != NULL; i++)
		if (w->by[i] != h)
			fn(arg, w->by[i]);
}

int claims_want(struct claims *c, const struct place *p, struct holder *h,
		void (*fn)(void *arg, struct holder *other), void *arg) {
	struct wanted *w = find_or_add_wanted(c, p);
	struct holder **grown;
	uint32_t at;

	if (w == NULL)
		return -ENOMEM;
	grown = realloc(w->by, (w->n + 1) * sizeof(*grown));
	if (grown == NULL) {
		if (w->n == 0)
			drop_wanted(c, w);
		return -ENOMEM;
	}
	w->by = grown;
	for (at = w->n; at > 0 && kube_object_age_cmp(w->by[at - 1]->o, h->o) > 0; at--)
		w->by[at] = w->by[at - 1];
	w->by[at] = h;
	w->n++;
	tell_others(w, h, fn, arg);
	return 0;
}

void claims_unwant(struct claims *c, const struct place *p, struct holder *h,
		   void (*fn)(void *arg, struct holder *other), void *arg) {
	struct wanted *w = find_wanted(c, p);
	uint32_t at = 0;

	while (w != NULL && at < w->n && w->by[at] != h)
		at++;
	if (w == NULL || at == w->n)
		return;
	memmove(&w->by[at], &w->by[at + 1], (--w->n - at) * sizeof(struct holder *));
	tell_others(w, h, fn, arg);
	if (w->n == 0)
		drop_wanted(c, w);
}

const struct holder *claims_winner(const struct claims *c, const struct place *p) {
	const struct wanted *w = find_wanted(c, p);

	return w != NULL ? w->by[0] : NULL;
}
