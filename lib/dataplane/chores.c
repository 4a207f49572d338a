// SPDX-License-Identifier: Apache-2.0
// What a worker does between bursts: the clock, the sweep, other workers' rings, commands and jobs.
#include "dataplane/stages.h"

#define SWEEP_MS 4000 // a pass over the flow table
#define COMMANDS_LOOP 16
#define SEND_LOOP                                                                                  \
	(8 *                                                                                       \
	 BURST) // of each ring: a packet that is ready to leave costs little, and to drop it would waste the most

static void sweep(struct worker *w, uint64_t elapsed) {
	uint32_t all = flow_buckets(w->flows);

	w->sweep_debt += (double)all * (double)elapsed / SWEEP_MS;
	if (w->sweep_debt > all)
		w->sweep_debt = all;
	if (w->sweep_debt < 1)
		return;
	flow_sweep(w->flows, w->now, (uint32_t)w->sweep_debt);
	w->sweep_debt -= (uint32_t)w->sweep_debt;
}

void worker_tick(struct worker *w, const struct tables *t, uint64_t now_ms) {
	uint64_t elapsed = now_ms - w->now_ms;

	if (elapsed == 0)
		return;
	w->now_ms = now_ms;
	w->now = (uint32_t)(now_ms * FLOW_TICKS / 1000);
	sweep(w, elapsed);
	if (w->n_held > 0)
		hold_expire(w, t);
}

void tell_control(struct worker *w, const struct event *e, bool matters) {
	if (matters || spsc_room(w->events) > WORKER_EVENTS / 2)
		spsc_push(w->events, e);
}

static void command(struct worker *w, const struct tables *t, const struct command *c) {
	w->cause = WORKER_NO_TRACE;
	if (c->type == COMMAND_REQUEST)
		send_request(w, t, &c->request);
	else if (c->type == COMMAND_ANNOUNCE)
		send_announcement(w, t, c->announce.port, &c->announce.addr);
	else
		w->job = c->job;
}

static uint32_t run_commands(struct worker *w, const struct tables *t) {
	struct command c;
	uint32_t n = 0;

	while (n < COMMANDS_LOOP && w->job == NULL && spsc_pop(w->commands, &c)) {
		command(w, t, &c);
		n++;
	}
	if (w->job != NULL) {
		struct job *job = w->job;

		n++;
		if (job->run(w, t, job)) {
			w->job = NULL;
			__atomic_store_n(&job->done, true, __ATOMIC_RELEASE);
		}
	}
	return n;
}

static uint16_t take(struct rte_ring *ring, struct rte_mbuf **m) {
	return ring == NULL ? 0
			    : (uint16_t)rte_ring_sc_dequeue_burst(ring, (void **)m, BURST, NULL);
}

static uint32_t send_for_others(struct worker *w) {
	struct rte_mbuf *m[BURST];
	uint32_t total = 0;

	for (uint16_t i = 0; i < w->dp->n_workers; i++) {
		for (uint32_t sent = 0, n = BURST; n == BURST && sent < SEND_LOOP; sent += n) {
			n = take(w->tx_in[i], m);
			for (uint32_t j = 0; j < n; j++)
				send_frame(w, m[j], m[j]->port);
			total += n;
		}
	}
	return total;
}

// All rings together get about as many bursts a loop as our own queues: who polls many hands over as much, and neither starves.
static uint32_t take_own(struct worker *w, const struct tables *t) {
	uint32_t bursts = 1 + w->n_queues / w->dp->n_workers, total = 0;
	struct rte_mbuf *m[BURST];

	for (uint16_t i = 0; i < w->dp->n_workers; i++) {
		for (uint32_t b = 0, n = BURST; n == BURST && b < bursts; b++) {
			n = take(w->in[i], m);
			if (n > 0)
				worker_burst(w, t, m, (uint16_t)n, true);
			total += n;
		}
	}
	return total;
}

uint32_t worker_chores(struct worker *w, const struct tables *t) {
	uint32_t n = run_commands(w, t);

	n += send_for_others(w);
	n += take_own(w, t);
	hold_retry(w, t);
	return n;
}
