// SPDX-License-Identifier: Apache-2.0
// Bursts from and to ethdev queues.
#include "dataplane/device.h"

#include <rte_ethdev.h>

static uint16_t device_receive(void *ctx, struct worker *w, uint16_t port, uint16_t queue,
			       struct rte_mbuf **m, uint16_t n) {
	const struct device_io *dev = ctx;
	uint16_t got = rte_eth_rx_burst(dev->ports[port].ethdev, queue, m, n);

	(void)w;
	for (uint16_t i = 0; i < got; i++)
		m[i]->port = port; // ours, not ethdev's
	return got;
}

static uint16_t device_send(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			    uint16_t n) {
	const struct device_io *dev = ctx;

	return rte_eth_tx_burst(dev->ports[port].ethdev, dev->tx_queue[port][w->id], m, n);
}

static void attach_port(struct dataplane *dp, struct device_io *dev, uint16_t port) {
	const struct device_port *p = &dev->ports[port];

	for (uint16_t q = 0; q < p->rx_queues; q++) {
		struct worker *w = dp->workers[dataplane_queue_worker(dp, port, q)];

		w->queues[w->n_queues++] = (struct worker_queue){.port = port, .queue = q};
	}
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		uint16_t queue = (uint16_t)((i + dp->n_workers - port % dp->n_workers) %
					    dp->n_workers);

		// Queue q is worker (port + q) mod workers' own; who has none lends one of those.
		if (queue >= p->tx_queues)
			queue = (uint16_t)(queue % p->tx_queues);
		dp->sender[port][i] = dataplane_queue_worker(dp, port, queue);
		dev->tx_queue[port][dp->sender[port][i]] = queue;
	}
}

void device_attach(struct dataplane *dp, struct device_io *dev) {
	for (uint16_t i = 0; i < dp->n_ports; i++)
		attach_port(dp, dev, i);
	dp->io = (struct worker_io){.send = device_send, .receive = device_receive, .ctx = dev};
}
