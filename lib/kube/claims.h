// SPDX-License-Identifier: Apache-2.0
// Who holds which address, who wants which (address, port, protocol), and what nobody may be given. Kept up to date as Services come and go.
//
// An address has holders: one Service, or several that may share it. It may be avoided: kept from automatic choice by somebody who
// names it, or reserved, with a reason: the appliance's own, a node's. Both are counted, so that each avoid has its unavoid.
//
// A place is one (address, port, protocol). Many may want it; the oldest Service has it.
#ifndef SLUICE_KUBE_CLAIMS_H
#define SLUICE_KUBE_CLAIMS_H

#include "kube/holder.h"

struct claims;

struct claims *claims_create(void); // NULL: out of memory
void claims_destroy(struct claims *c);

// why: "port wan", for an address that no Service may serve; NULL: only kept from automatic choice. Errors: -ENOMEM.
int claims_avoid(struct claims *c, const struct ip_addr *a, const char *why);
void claims_unavoid(struct claims *c, const struct ip_addr *a, bool reserved);
// The first reason that was given, or NULL.
const char *claims_reserved(const struct claims *c, const struct ip_addr *a);

// Nobody may be given it automatically: held, or avoided.
bool claims_is_taken(const struct claims *c, const struct ip_addr *a);
// The Service whose hold keeps h from the address; NULL when h may hold it (free, already its own, or shareable).
struct holder *claims_conflict(const struct claims *c, const struct ip_addr *a,
			       const struct holder *h);
int claims_hold(struct claims *c, const struct ip_addr *a, struct holder *h); // -ENOMEM
// A holder of the address has a sharing key now; others will look at it. claims_hold() sees to it for those that have one from the start.
void claims_share(struct claims *c, const struct ip_addr *a);
void claims_release(struct claims *c, const struct ip_addr *a, struct holder *h);
// Call fn for each holder of the address.
void claims_each(const struct claims *c, const struct ip_addr *a,
		 void (*fn)(void *arg, struct holder *h), void *arg);
// h is the first of its holders: to count an address once.
bool claims_is_first(const struct claims *c, const struct ip_addr *a, const struct holder *h);
// The lowest address of the family that has a holder, that h could share and that fits() accepts; false when there is none.
bool claims_lowest_shareable(const struct claims *c, struct ip_addr *out, uint8_t family,
			     const struct holder *h,
			     bool (*fits)(const void *arg, const struct ip_addr *a),
			     const void *arg);

struct place {
	struct ip_addr addr;
	uint16_t port, protocol;
};

// Others whose claim to the place may look different now are told to fn (NULL: nobody). Errors: -ENOMEM.
int claims_want(struct claims *c, const struct place *p, struct holder *h,
		void (*fn)(void *arg, struct holder *other), void *arg);
void claims_unwant(struct claims *c, const struct place *p, struct holder *h,
		   void (*fn)(void *arg, struct holder *other), void *arg);
// Who has it; NULL: nobody wants it.
const struct holder *claims_winner(const struct claims *c, const struct place *p);

// Why two Services may not share an address; NULL: they may.
const char *claims_unshareable(const struct kube_object *a, const struct kube_object *b);

#endif
