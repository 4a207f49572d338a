// SPDX-License-Identifier: Apache-2.0
// The addresses of type LoadBalancer: what one Service keeps, what it is granted, or why it waits. The law is in kube/resolve.h.
#ifndef SLUICE_KUBE_PICK_H
#define SLUICE_KUBE_PICK_H

#include "kube/claims.h"
#include "kube/pools.h"
#include "kube/resolve.h"

struct picker {
	const struct kube_settings *settings;
	struct ipam_memory *memory;
	struct claims *claims;
	struct pools *pools;
	bool complete; // what is not there is gone
	bool learnt;   // all Services were seen once, and what their status says is held
	bool freed;    // set when an address came back that somebody may wait for
};

// Add to a reason, after "; " when there is one already; what doesn't fit is cut.
__attribute__((format(printf, 2, 3))) void pick_reason(char reason[160], const char *format, ...);

// After a change of the Service: give back what it no longer has a right to. h->o is the new object, or NULL. Errors: -ENOMEM.
int pick_let_go(struct picker *k, struct holder *h);

// The passes. Each goes over all Services that may lack something before the next begins. Errors: -ENOMEM; all may be repeated.
int pick_begin(struct picker *k, struct holder *h);
int pick_status(struct picker *k, struct holder *h);
int pick_remembered(struct picker *k, struct holder *h);
int pick_requested(struct picker *k, struct holder *h);
int pick_automatic(struct picker *k, struct holder *h);
int pick_end(struct picker *k, struct holder *h); // what kube_grant() shows; the memory

void pick_free(struct holder *h); // its arrays

#endif
