// SPDX-License-Identifier: Apache-2.0
// The inside of translation: what may become a backend of one Service port, before anybody knows which of them are used.
#ifndef SLUICE_KUBE_CANDIDATE_H
#define SLUICE_KUBE_CANDIDATE_H

#include "kube/translate.h"

enum rank { READY, TERMINATING, NOT_READY, NOT_SERVING, BAD_ADDRESS, EXCLUDED }; // best first

struct candidate {
	struct ip_addr addr;
	uint16_t port;
	uint8_t rank;
	uint8_t verdict; // enum kube_verdict, of a node
	bool is_node;
	uint32_t weight;
	const char *node; // of an endpoint
};

struct candidates {
	struct candidate *list; // freed by whoever collected
	uint32_t n, room;
};

// Errors of all: -ENOMEM.
int candidate_add(struct candidates *c, const struct candidate *one);
// Sort, and keep the best of those with one address and port.
void candidates_make_unique(struct candidates *c);
// What no endpoint may be, whatever the API server let pass (kube-proxy refuses the same).
bool candidate_may_serve(const struct ip_addr *a);

// The Service's endpoints behind this port. keep_port: their port is the Service's (dsr).
int candidates_of_endpoints(struct candidates *c, const struct kube_view *v,
			    const struct kube_service_port *p, bool keep_port);
// All nodes; with externalTrafficPolicy Local those with usable endpoints of this port.
int candidates_of_nodes(struct candidates *c, const struct kube_view *v,
			const struct kube_service_port *p, bool keep_port);

#endif
