// SPDX-License-Identifier: Apache-2.0
// EAL and the ports of the configuration, from opened to closed.
//
//     devices_open() ---- EAL, each port probed, packet pools     devices_close()
//     devices_attach() -- each worker gets its queues
//     devices_start() --- ports receive                           devices_stop()
//
// Control thread.
#ifndef SLUICED_DEVICES_H
#define SLUICED_DEVICES_H

#include "base/error.h"
#include "budget.h"
#include "config/config.h"
#include "dataplane/device.h"
#include "port/memory.h"
#include "port/port.h"
#include "rss.h"

struct devices {
	uint16_t n_ports, n_workers;
	struct port ports[SITE_MAX_PORTS];
	struct mac_addr macs[SITE_MAX_PORTS];
	struct port_pools pools;
	struct rte_mempool *worker_pools[SITE_MAX_WORKERS]; // of the packets that a worker makes
	unsigned worker_cpus[SITE_MAX_WORKERS];
	enum hugepages hugepages;
	struct rss_port rss[SITE_MAX_PORTS]; // known once the devices have started
	struct device_io io;
};

int devices_open(struct devices *d, const struct config *c, const struct budget *b,
		 struct error *err);
void devices_attach(struct devices *d, struct dataplane *dp);
// Between device_attach() and the workers' start; dp learns what idle workers wait on.
int devices_start(struct devices *d, struct dataplane *dp, struct error *err);
// After the workers' end.
void devices_stop(struct devices *d, struct dataplane *dp);
// Everything that held packets must be gone.
void devices_close(struct devices *d);

#endif
