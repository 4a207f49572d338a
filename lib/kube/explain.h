// SPDX-License-Identifier: Apache-2.0
// Why an endpoint of a Service gets traffic or does not: each endpoint of each slice, for each port of the Service, with the rule that decided.
// For people; nothing else depends on it.
#ifndef SLUICE_KUBE_EXPLAIN_H
#define SLUICE_KUBE_EXPLAIN_H

#include "kube/kube.h"

enum kube_fate {
	KUBE_KEPT,    // may get traffic
	KUBE_DRAINED, // keeps its connections; gets new ones only for want of better ones
	KUBE_COUNTED, // with target node: it makes its node a backend
	KUBE_DROPPED,
};

struct kube_endpoint_story {                  // borrowed
	const char *object;                   // the EndpointSlice, or the v1 Endpoints object
	const struct kube_service_port *port; // of the Service
	const struct ip_addr *addr;           // NULL: of the object as a whole
	uint16_t target;                      // the endpoint's port; 0: of the object as a whole
	const char *node;                     // "" unknown
	enum kube_fate fate;
	const char *rule;
};

typedef void (*kube_story_fn)(void *arg, const struct kube_endpoint_story *s);

// Errors: -ENOENT, there is no such Service.
int kube_explain_endpoints(const struct kube *k, const char *ns, const char *name, kube_story_fn fn,
			   void *arg);
const char *kube_fate_name(enum kube_fate f); // "kept", "draining", "counted", "dropped"

#endif
