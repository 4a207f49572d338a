// SPDX-License-Identifier: Apache-2.0
// Node mode's probes, wired: targets from the store, questions over HTTP, verdicts back into the store and so into the tables.
//
//     kube_probe_targets() -> lib/probe -> http_get() -> lib/probe -> kube_set_node_health() -> control_apply()
//
// Probes go out through the host's own network, the one that the management socket's owner logs in over, not through the data plane's ports: the
// data plane has no TCP of its own. So a verdict is on the node and its kube-proxy, not on the path that the clients' packets take.
//
// Verdicts are applied together, 20 ms after the first. A question whose time ran out while the control thread was busy says nothing about the node.
#ifndef SLUICED_PROBES_H
#define SLUICED_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct http;
struct mgmt_request;
struct probe_table;
struct sluiced;

struct probes {
	struct http *http;
	struct probe_table *table;  // NULL: services.nodeHealth.enabled is false
	bool synced;                // the targets are those of version
	uint64_t version;           // of the store's targets
	uint64_t sync_at, apply_at; // ms; apply_at 0: no verdict waits
	uint64_t stepped_at;        // ms
	uint64_t tell_from;         // ms; since when lines are counted
	uint32_t told, disbelieved;
};

// Errors: -ENOMEM.
int probes_start(struct sluiced *s, struct error *err);
void probes_stop(struct sluiced *s);
// As s->latest says now, after it became another one.
void probes_configure(struct sluiced *s);
// What is due; often.
void probes_step(struct sluiced *s, uint64_t now);

// What each target said last. For the list of verbs.
void verb_probes(void *ctx, struct mgmt_request *r);

#endif
