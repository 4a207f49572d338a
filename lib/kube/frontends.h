// SPDX-License-Identifier: Apache-2.0
// The plan of one Service: how it is carried, where it accepts traffic, or why it does not. A part of the resolver.
//
// Two steps, because a Service's places must be known before anyone can be told who has them: a draft lists what it wants, the plan what
// of it it has.
#ifndef SLUICE_KUBE_FRONTENDS_H
#define SLUICE_KUBE_FRONTENDS_H

#include "kube/claims.h"
#include "kube/resolve.h"

// How the Service is carried, whether it asks for addresses: h->served, h->asks, and the beginning of *p (which comes zeroed).
void frontends_begin(struct kube_plan *p, struct holder *h, const struct kube_settings *settings);
// What the Service wants to accept traffic on. Errors: -ENOMEM; free with kube_plan_fini() either way.
int frontends_draft(struct kube_plan *p, struct holder *h, const struct kube_settings *settings,
		    const struct claims *claims);
// Strike from a draft what others have, with the reasons.
void frontends_settle(struct kube_plan *p, const struct holder *h, const struct claims *claims);
// Whether externalIPs of the configuration cover the address.
bool frontends_external_is_allowed(const struct kube_settings *s, const struct ip_addr *a);

#endif
