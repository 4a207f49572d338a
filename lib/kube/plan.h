// SPDX-License-Identifier: Apache-2.0
// What becomes of one Service: how it is carried, and on which addresses each of its ports accepts traffic, or why not.
#ifndef SLUICE_KUBE_PLAN_H
#define SLUICE_KUBE_PLAN_H

#include "kube/settings.h"

struct kube_plan_port {
	uint32_t n_frontends;
	struct model_frontend *frontends; // sorted, unique
	char reason[160];
};

struct kube_plan {
	enum kube_target target;
	enum model_mode mode;
	uint32_t n_ports; // as the Service has
	struct kube_plan_port *ports;
	char reason[160]; // of the Service as a whole; the ports' reasons include it
};

#endif
