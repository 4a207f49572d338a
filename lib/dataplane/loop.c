// SPDX-License-Identifier: Apache-2.0
// An lcore's loop: poll, work, send, say that nothing is held of the tables; and what it does while there is nothing to do.
#include <rte_cycles.h>
#include <rte_pause.h>
#include <unistd.h>

#include "dataplane/stages.h"

#define SPINS 256        // empty loops before the first sleep
#define SLEEP_MAX_US 500 // the first packet after a silence waits that long at most

struct clock { // milliseconds out of the TSC, without a division a loop
	uint64_t start, next, step, ms;
};

static void clock_update(struct clock *c) {
	uint64_t tsc = rte_rdtsc();

	if (tsc < c->next)
		return;
	c->ms = (tsc - c->start) / c->step;
	c->next = c->start + (c->ms + 1) * c->step;
}

static uint32_t poll_queues(struct worker *w, const struct tables *t) {
	struct rte_mbuf *m[BURST];
	uint32_t total = 0;

	for (uint16_t q = 0; q < w->n_queues; q++) {
		uint16_t n = w->dp->io.receive(w->dp->io.ctx, w, w->queues[q].port, w->queues[q].queue, m, BURST);
		uint64_t bytes = 0;

		if (n == 0)
			continue;
		for (uint16_t i = 0; i < n; i++)
			bytes += rte_pktmbuf_pkt_len(m[i]);
		bump(&w->counters.rx_packets, n);
		bump(&w->counters.rx_bytes, bytes);
		worker_burst(w, t, m, n, false);
		total += n;
	}
	return total;
}

// Longer and longer sleeps while nothing comes; the first packet ends them.
static void rest(struct worker *w, uint32_t *empty) {
	uint32_t doublings = (*empty - SPINS) / 4, us;

	us = doublings > 9 ? SLEEP_MAX_US : 1u << doublings;
	publish_offline(w->dp->publish, w->id);
	usleep(us > SLEEP_MAX_US ? SLEEP_MAX_US : us);
	publish_online(w->dp->publish, w->id);
}

static void idle(struct worker *w, uint32_t *empty) {
	(*empty)++;
	bump(&w->counters.idle_loops, 1);
	if (w->idle == WORKER_SLEEP && *empty > SPINS)
		rest(w, empty);
	else if (w->idle != WORKER_BUSY)
		rte_pause();
}

int worker_run(void *worker) {
	struct worker *w = worker;
	struct clock clock = {.start = rte_rdtsc(), .step = rte_get_tsc_hz() / 1000};
	uint32_t empty = 0;

	publish_online(w->dp->publish, w->id);
	while (!__atomic_load_n(&w->dp->stop, __ATOMIC_RELAXED)) {
		const struct tables *t = publish_read(w->dp->publish);
		uint32_t n;

		__atomic_store_n(&w->generation, t->generation, __ATOMIC_RELAXED);
		clock_update(&clock);
		worker_tick(w, t, clock.ms);
		n = poll_queues(w, t);
		n += worker_chores(w, t);
		worker_flush(w);
		publish_quiescent(w->dp->publish, w->id);
		if (n > 0)
			empty = 0;
		else
			idle(w, &empty);
	}
	worker_drop_held(w, publish_read(w->dp->publish), REASON_STOPPING);
	worker_flush(w);
	publish_offline(w->dp->publish, w->id);
	return 0;
}
