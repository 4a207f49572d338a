// SPDX-License-Identifier: Apache-2.0
// How a worker with ethdev queues sleeps: on its eventfd and on the receive interrupts of those queues that have them.
#include <errno.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/device.h"

#define EVENTS 64

static void take_events(struct worker *w, const struct device_wait *d, const struct pollfd *fds) {
	struct rte_epoll_event events[EVENTS];
	uint64_t count;

	if ((fds[0].revents & POLLIN) && read(w->wake_fd, &count, sizeof(count)) < 0)
		return; // not readable after all: the next sleep tells
	if (d->n_queues > 0 && (fds[1].revents & POLLIN))
		rte_epoll_wait(d->epoll_fd, events, EVENTS, 0); // reads the interrupts' counters
}

static bool device_wait(void *ctx, struct worker *w, uint32_t us) {
	struct device_io *dev = ctx;
	const struct device_wait *d = &dev->wait[w->id];
	struct pollfd fds[2] = {{.fd = w->wake_fd, .events = POLLIN},
				{.fd = d->epoll_fd, .events = POLLIN}};
	struct timespec time = {.tv_nsec = (long)us * 1000};
	bool woken = ppoll(fds, d->n_queues > 0 ? 2 : 1, &time, NULL) > 0;

	if (woken)
		take_events(w, d, fds);
	for (uint16_t i = 0; i < d->n_queues; i++)
		if (!dev->ports[d->queues[i].port].rx_level)
			rte_eth_dev_rx_intr_disable(dev->ports[d->queues[i].port].ethdev,
						    d->queues[i].queue);
	return woken;
}

static void device_enable(void *ctx, struct worker *w) {
	struct device_io *dev = ctx;
	const struct device_wait *d = &dev->wait[w->id];

	for (uint16_t i = 0; i < d->n_queues; i++)
		if (!dev->ports[d->queues[i].port].rx_level)
			rte_eth_dev_rx_intr_enable(dev->ports[d->queues[i].port].ethdev,
						   d->queues[i].queue);
}

// Queues whose interrupt can't be had are polled in short sleeps, as those of devices without any.
static void collect_interrupts(struct worker *w, struct device_io *dev, struct device_wait *d) {
	for (uint16_t i = 0; i < w->n_queues; i++) {
		const struct worker_queue *q = &w->queues[i];
		const struct device_port *p = &dev->ports[q->port];

		if (p->has_rx_intr && rte_eth_dev_rx_intr_ctl_q(p->ethdev, q->queue, d->epoll_fd,
								RTE_INTR_EVENT_ADD, NULL) == 0)
			d->queues[d->n_queues++] = *q;
	}
	if (d->n_queues == w->n_queues)
		w->waits_for = WORKER_INTERRUPTS; // also who polls no queue: rings wake it
	else
		w->waits_for = d->n_queues > 0 ? WORKER_SOME_INTERRUPTS : WORKER_TIME;
}

int device_arm(struct dataplane *dp, struct device_io *dev) {
	dp->io.wait = device_wait;
	dp->io.arm = device_enable;
	for (uint16_t i = 0; i < dp->n_workers; i++)
		dev->wait[i] = (struct device_wait){.epoll_fd = -1, .wake_fd = -1};
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct worker *w = dp->workers[i];
		struct device_wait *d = &dev->wait[i];

		if (w->idle != WORKER_SLEEP)
			continue;
		d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		w->wake_fd = d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (d->epoll_fd < 0 || d->wake_fd < 0) {
			int ret = -errno;

			device_disarm(dp, dev);
			return ret;
		}
		collect_interrupts(w, dev, d);
	}
	return 0;
}

void device_disarm(struct dataplane *dp, struct device_io *dev) {
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct device_wait *d = &dev->wait[i];

		for (uint16_t j = 0; j < d->n_queues; j++)
			rte_eth_dev_rx_intr_ctl_q(dev->ports[d->queues[j].port].ethdev,
						  d->queues[j].queue, d->epoll_fd,
						  RTE_INTR_EVENT_DEL, NULL);
		if (d->epoll_fd >= 0)
			close(d->epoll_fd);
		if (d->wake_fd >= 0)
			close(d->wake_fd);
		*d = (struct device_wait){.epoll_fd = -1, .wake_fd = -1};
	}
}
