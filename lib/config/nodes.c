// SPDX-License-Identifier: Apache-2.0
// services.nodes and services.nodeHealth: which nodes Services with target node send traffic to, and how those are probed.
#include "config/decoder.h"

void decode_nodes(struct decoder *d, const struct doc_node *services) {
	struct config_services *s = &d->c->services;
	int address = 0, label = 0;
	struct doc_node n;

	decode_section(d, &n, services, "nodes", KEYS("address", "excludeLabel"));
	decode_enum(d, &n, "address", &address, KEYS("InternalIP", "ExternalIP"));
	decode_enum(d, &n, "excludeLabel", &label, KEYS("value", "present"));
	s->external_nodes = address == 1;
	s->exclude_by_presence = label == 1;
}

void decode_node_health(struct decoder *d, const struct doc_node *services) {
	struct config_services *s = &d->c->services;
	struct config_node_health *h = &s->node_health;
	struct doc_node n;

	*h = (struct config_node_health){
		.enabled = s->manifests == NULL, // manifests may tell of nodes that are nowhere
		.kube_proxy_port = 10256,
		.interval_ms = 2000,
		.timeout_ms = 1000,
		.rise = 2,
		.fall = 2,
	};
	decode_section(d, &n, services, "nodeHealth",
		       KEYS("enabled", "kubeProxyPort", "intervalMs", "timeoutMs", "rise", "fall"));
	decode_bool(d, &n, "enabled", &h->enabled);
	decode_u32(d, &n, "kubeProxyPort", &h->kube_proxy_port, 1, 65535);
	decode_u32(d, &n, "intervalMs", &h->interval_ms, 100, 600000);
	decode_u32(d, &n, "timeoutMs", &h->timeout_ms, 50, 60000);
	decode_u32(d, &n, "rise", &h->rise, 1, 100);
	decode_u32(d, &n, "fall", &h->fall, 1, 100);
}
