// SPDX-License-Identifier: Apache-2.0
// An lcore's loop: poll, work, send, say that nothing is held of the tables.
#include <rte_cycles.h>
#include <sys/prctl.h>

#include "dataplane/stages.h"

#define TIMER_SLACK_NS 1000 // sleeps of microseconds end on time; the kernel's default is 50,000

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
		uint16_t n = w->dp->io.receive(w->dp->io.ctx, w, w->queues[q].port,
					       w->queues[q].queue, m, BURST);
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

int worker_run(void *worker) {
	struct worker *w = worker;
	struct clock clock = {.start = rte_rdtsc(), .step = rte_get_tsc_hz() / 1000};

	if (w->idle == WORKER_SLEEP)
		prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
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
			worker_rouse(w);
		else
			worker_idle(w);
	}
	worker_drop_held(w, publish_read(w->dp->publish), REASON_STOPPING);
	worker_flush(w);
	publish_offline(w->dp->publish, w->id);
	return 0;
}
