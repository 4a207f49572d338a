// SPDX-License-Identifier: Apache-2.0
// One Service port as desired state: its plan's frontends, and the backends that its endpoints (or the nodes) give.
//
// Pure. Which endpoints serve, after kube-proxy's CategorizeEndpoints:
//
//     ready                          ready, usable
//     serving and terminating        draining; usable where its set has no ready one
//     neither ready nor terminating  unusable, not-ready
//     terminating, not serving       unusable, not-serving
//
// The set is all endpoints of a family for target pod, each node's own ones for target node with externalTrafficPolicy Local. The same (address,
// port) in several slices counts once, with the best condition. An endpoint belongs to a Service port when its slice has a port of the same
// name and protocol; the number is the slice's (the Service's in dsr, which keeps VIP and port).
//
// Of the nodes that could serve (not draining, if there are any such) those that are down by their probes drain; when all of them are, none does.
#ifndef SLUICE_KUBE_TRANSLATE_H
#define SLUICE_KUBE_TRANSLATE_H

#include "kube/health.h"
#include "kube/resolve.h"

struct kube_view {       // all that belongs to one Service
	const char *key; // "ns/name"
	const struct kube_object *service;
	const struct kube_plan *plan;
	const struct kube_settings *settings;
	const struct kube_object *const
		*endpoints; // its slices; where it has none, its Endpoints object
	uint32_t n_endpoints;
	const struct kube_object *const *nodes; // all nodes, sorted by name
	uint32_t n_nodes;
	const struct health_node *health; // verdicts on nodes
};

// Rows that the Service has in the model: one for each port, at least one (with port 0, so that a user sees why).
uint32_t kube_rows(const struct kube_object *service);
// Fill *out, to be freed by model_service_fini(). Backends are listed only where there are frontends, and only of the frontends' families.
// Returns 0, or 1: all its nodes are down by their probes, which is not believed. Errors: -ENOMEM; out is then untouched.
int kube_translate(struct model_service *out, const struct kube_view *v, uint32_t row);

// Its nodes are judged by its healthCheckNodePort; those of other Services by kube-proxy's /healthz.
bool kube_has_own_probe(const struct kube_service *s);
// The node's address that traffic of a family goes to, [0] IPv4, [1] IPv6; family 0: none.
const struct ip_addr *kube_node_addrs(const struct kube_settings *s, const struct kube_node *node);
// Where the node is asked how it is: the first of those; NULL where it is not to get any traffic: it is excluded, or has no address that can serve.
const struct ip_addr *kube_node_probe_addr(const struct kube_settings *s,
					   const struct kube_node *node);
// has[i]: node i has a usable endpoint behind a port of the Service. Errors: -ENOMEM.
int kube_local_nodes(bool *has, const struct kube_view *v);

#endif
