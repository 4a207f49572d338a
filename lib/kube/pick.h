// SPDX-License-Identifier: Apache-2.0
// The addresses of type LoadBalancer: what each Service is granted. A part of kube_resolve().
#ifndef SLUICE_KUBE_PICK_H
#define SLUICE_KUBE_PICK_H

#include "kube/claims.h"
#include "kube/resolve.h"

struct pick { // one Service on its way through the passes
	const struct kube_object *o;
	struct kube_plan *plan;
	bool asks;     // type LoadBalancer and of our class
	bool forfeits; // RequireDualStack without both families: holds, but isn't served
	uint8_t families
		[2]; // to be granted automatically unless something explicit is there; 0: none
	uint32_t n_granted;
	struct ip_addr *granted;    // room for every status and requested address and two more
	struct ipam_entry given[2]; // automatic ones, to be remembered; addr.family 0: none
};

// Add to a reason, after "; " when there is one already; what doesn't fit is cut.
__attribute__((format(printf, 2, 3))) void pick_reason(char reason[160], const char *format, ...);

// picks[] in order of age. Errors: -ENOMEM.
int pick_addresses(struct pick *picks, uint32_t n, struct claims *claims,
		   const struct kube_settings *settings, const struct ipam_memory *memory);

#endif
