// SPDX-License-Identifier: Apache-2.0
// The production end of worker_io: ethdev bursts on the queues that each worker owns.
#ifndef SLUICE_DATAPLANE_DEVICE_H
#define SLUICE_DATAPLANE_DEVICE_H

#include "dataplane/worker.h"

struct device_port {
	uint16_t ethdev;
	uint16_t rx_queues, tx_queues;
};

struct device_io {
	struct device_port ports[TABLES_MAX_PORTS];
	uint16_t tx_queue[TABLES_MAX_PORTS][WORKERS_MAX]; // of that worker on that port
};

// Give each worker its receive queues and transmit queues (see dataplane_queue_worker) and make dp->io use the devices. dev is kept.
void device_attach(struct dataplane *dp, struct device_io *dev);

#endif
