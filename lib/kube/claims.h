// SPDX-License-Identifier: Apache-2.0
// Who holds which address, and which (address, port, protocol). Lives for one run of kube_resolve().
#ifndef SLUICE_KUBE_CLAIMS_H
#define SLUICE_KUBE_CLAIMS_H

#include "kube/objects.h"

struct claims;

struct claims *claims_create(void); // NULL: out of memory
void claims_destroy(struct claims *c);
// An address that no Service may hold, with the reason ("port wan"), or that is only kept from automatic choice (why == NULL).
int claims_avoid(struct claims *c, const struct ip_addr *a, const char *why);
// The reason of claims_avoid(), or NULL.
const char *claims_reserved(const struct claims *c, const struct ip_addr *a);
// Nobody may be given it automatically: held, or avoided.
bool claims_is_taken(const struct claims *c, const struct ip_addr *a);
// The Service whose hold keeps o from the address; NULL when o may hold it (free, already its own, or shareable).
const struct kube_object *claims_conflict(const struct claims *c, const struct ip_addr *a,
					  const struct kube_object *o);
int claims_hold(struct claims *c, const struct ip_addr *a, const struct kube_object *o);
// The lowest address of the family that o could share and fits() accepts; false when there is none.
bool claims_lowest_shareable(const struct claims *c, struct ip_addr *out, uint8_t family,
			     const struct kube_object *o,
			     bool (*fits)(const void *arg, const struct ip_addr *a),
			     const void *arg);
// Take one (address, port, protocol) for o. *other gets the Service that has it, NULL when o has it now.
int claims_port(struct claims *c, const struct ip_addr *a, uint16_t port, uint8_t protocol,
		const struct kube_object *o, const struct kube_object **other);

#endif
