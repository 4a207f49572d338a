// SPDX-License-Identifier: Apache-2.0
// All Services together: who gets which address, and on which addresses each port accepts traffic.
//
// A pure function of the Services, the settings and the memory of automatic addresses; endpoints and nodes play no part, so it runs only when a
// Service or the configuration changed. It always runs over all Services, in order of age (creationTimestamp, namespace, name, uid), so the
// result does not depend on the order of events. Addresses of type LoadBalancer are granted in four passes, each in order of age:
//
//     1  status.loadBalancer.ingress      3  requested (annotation, spec.loadBalancerIP)
//     2  remembered automatic ones        4  the lowest free address of the first fitting pool
//
// One that was held before is never taken by a newcomer; of equals the older Service wins, the other one waits with a reason. Then, again in
// order of age, each (address, port, protocol) goes to the first Service that wants it.
#ifndef SLUICE_KUBE_RESOLVE_H
#define SLUICE_KUBE_RESOLVE_H

#include "kube/objects.h"
#include "kube/settings.h"

struct kube_plan_port {
	uint32_t n_frontends;
	struct model_frontend *frontends; // sorted, unique
	char reason[160];
};

struct kube_plan { // of one Service
	enum kube_target target;
	enum model_mode mode;
	uint32_t n_ports; // as the Service has
	struct kube_plan_port *ports;
	char reason[160]; // of the Service as a whole; the ports' reasons include it
};

// Fill plans[i] for services[i] (any order; plans[] comes zeroed) and bring the memory up to date: entries of Services that are gone are
// forgotten; unless complete is false, then they stay, and their addresses are not given away.
// Errors: -ENOMEM; the plans are then empty, what the memory has learnt is true, and the call may be repeated.
int kube_resolve(struct kube_plan *plans, const struct kube_object *const *services, uint32_t n,
		 const struct kube_settings *settings, struct ipam_memory *memory, bool complete);
void kube_plan_fini(struct kube_plan *p);
bool kube_plan_equal(const struct kube_plan *a, const struct kube_plan *b);

#endif
