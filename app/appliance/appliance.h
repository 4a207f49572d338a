// SPDX-License-Identifier: Apache-2.0
// The appliance, put together: the only place that knows both contracts. sluiced runs it on devices, sluice-replay over captures.
//
//     manifests -> kube -> model -> compile -> tables -> publish -> workers         appliance_load(), appliance_apply()
//     workers -> events -> neighbor -> commands -> workers                          appliance_step()
//
// Everything here runs on the control thread; time is passed in (milliseconds, any start).
#ifndef SLUICE_APPLIANCE_H
#define SLUICE_APPLIANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "compile/compile.h"
#include "config/config.h"
#include "dataplane/worker.h"
#include "ipam/ipam.h"
#include "kube/kube.h"
#include "kube/manifests.h"
#include "port/memory.h"

#define APPLIANCE_HALF_OPEN_PERCENT 50
#define APPLIANCE_NEIGHBORS 16384

struct appliance_settings {
	const struct mac_addr *port_macs;
	struct rte_mempool *const *pools; // by worker
	const unsigned *worker_cpus;      // for NUMA placement; NULL: anywhere
	enum hugepages hugepages;
	bool touch;     // fault the tables' memory in now
	bool announces; // gratuitous ARP and unsolicited NA when an address appears
	uint32_t
		readers; // workers that run on threads of their own: their number, or 0 in a replay
	uint32_t ring_size;
	uint64_t secret; // of hash tables: random in a daemon, fixed in a replay
};

struct announcement { // of an address on a port, still to be sent
	uint16_t port;
	struct ip_addr addr;
};

struct appliance {
	struct config *config; // the caller's
	struct appliance_settings settings;
	struct kube_settings kube_settings;
	struct ipam_pool *pools;
	struct kube_reserved *reserved;
	char (*reserved_text)[SITE_NAME + 8];
	struct ipam_memory *addresses;
	struct kube *kube;
	struct manifests *manifests; // NULL: objects come from elsewhere
	bool is_incomplete;          // ... and not all that is there has come yet
	struct model *model;
	struct neighbor_table *neighbors;
	struct compile *compile;
	struct publish *publish;
	struct dataplane dp;
	struct worker *workers[SITE_MAX_WORKERS];
	struct memory worker_memory[SITE_MAX_WORKERS], flow_memory[SITE_MAX_WORKERS],
		affinity_memory[SITE_MAX_WORKERS];
	struct flow_ports *snat_ports; // of each worker on each port; NULL: slices
	const struct flow_ports *snat_ports_of[SITE_MAX_WORKERS][TABLES_MAX_PORTS];
	uint64_t neighbors_due, reclaim_due; // ms
	uint32_t n_announcements, announcements_room;
	struct announcement *announcements;
};

// Errors: -ENOMEM and others with text; nothing is left then. The workers have no queues and no io yet.
int appliance_create(struct appliance *a, struct config *c, const struct appliance_settings *s,
		     struct error *err);
// No worker may run any more.
void appliance_destroy(struct appliance *a);

// Read manifests from path (replacing what another path gave); faults go to report. Errors: -errno when the path can't be read at all.
int appliance_load(struct appliance *a, const char *path, manifests_report_fn report, void *arg,
		   uint64_t now_ms);
// Other settings of Services from the next appliance_apply() on; *s must stay. Errors: -ENOMEM, nothing changed.
int appliance_configure(struct appliance *a, const struct config_services *s);
// Another appliance gives the addresses and writes status (true), or this one does: from the next appliance_apply() on.
void appliance_follow(struct appliance *a, bool follower);
// Objects -> tables, published. Returns 1 when workers get a new snapshot, 0 when nothing changed for them, -ENOMEM (call again later).
int appliance_apply(struct appliance *a, uint64_t now_ms);
// The RSS of each port, NULL where it is not known, kept; before the workers start. The next appliance_apply() follows it. Errors: -ENOMEM.
int appliance_set_rss(struct appliance *a, const struct rss *const *by_port);
// What workers reported and what is due: neighbours, grace periods. Returns the number of events handled.
uint32_t appliance_step(struct appliance *a, uint64_t now_ms);
// The generation of tables that all workers have.
uint64_t appliance_served(const struct appliance *a);
// Give a command to a worker. False: its queue is full.
bool appliance_command(struct appliance *a, uint16_t worker, const struct command *c);

// Bytes that one worker's tables take, for --check.
uint64_t appliance_worker_bytes(const struct config *c);

// Print the faults and warnings of a configuration on stderr, a line each.
void appliance_print_report(const struct config_report *report);

#endif
