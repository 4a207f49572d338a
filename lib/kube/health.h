// SPDX-License-Identifier: Apache-2.0
// What probes say about nodes. It lives beside the objects: an API server knows nothing of it, and no relist takes it away.
//
//     kube-proxy's /healthz of a node              Services "": one verdict for all Services that any node can serve
//     a Service's healthCheckNodePort on a node    Service "ns/name": a verdict, and the node's weight
//
// Nobody is ejected by ignorance: a node that was never asked, and one that answered something strange, count as up.
// Pure. Control thread only.
#ifndef SLUICE_KUBE_HEALTH_H
#define SLUICE_KUBE_HEALTH_H

#include <stdint.h>

enum kube_verdict {
	KUBE_UNASKED, // not probed, or not yet
	KUBE_UNKNOWN, // probed, and the answers say neither
	KUBE_UP,
	KUBE_DOWN,
};

struct kube_health {
	enum kube_verdict verdict;
	uint32_t weight; // usable endpoints that the node itself counts; 0: it doesn't say
};

struct health_node; // NULL is an empty table

// Returns 1 changed, 0 as it was, -ENOMEM (nothing changed). service: "ns/name", or "" for kube-proxy. KUBE_UNASKED forgets.
int health_set(struct health_node **table, const char *node, const char *service,
	       const struct kube_health *h);
struct kube_health health_find(const struct health_node *table, const char *node,
			       const char *service);
void health_clear(struct health_node **table);

#endif
