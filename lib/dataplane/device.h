// SPDX-License-Identifier: Apache-2.0
// The production end of worker_io: ethdev bursts on the queues that each worker owns.
#ifndef SLUICE_DATAPLANE_DEVICE_H
#define SLUICE_DATAPLANE_DEVICE_H

#include "dataplane/worker.h"

struct device_port {
	uint16_t ethdev;
	uint16_t rx_queues, tx_queues;
	bool has_rx_intr; // known once the port has started
	bool rx_level;    // its descriptor is readable while packets wait: nothing to enable
};

struct device_wait { // what one worker sleeps on
	int epoll_fd, wake_fd;
	uint16_t n_queues; // with interrupts
	struct worker_queue queues[64];
};

struct device_io {
	struct device_port ports[TABLES_MAX_PORTS];
	uint16_t tx_queue[TABLES_MAX_PORTS][WORKERS_MAX]; // of that worker on that port
	struct device_wait wait[WORKERS_MAX];
};

// Give each worker its receive queues and transmit queues (see dataplane_queue_worker) and make dp->io use the devices. dev is kept.
void device_attach(struct dataplane *dp, struct device_io *dev);

// Once the ports have started (has_rx_intr is set by then) and before the workers do: what idle: sleep waits on.
// Errors: -errno of eventfd or epoll; nothing is armed then.
int device_arm(struct dataplane *dp, struct device_io *dev);
// Once the workers have ended and before the ports stop.
void device_disarm(struct dataplane *dp, struct device_io *dev);

#endif
