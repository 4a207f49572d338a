// SPDX-License-Identifier: Apache-2.0
// What a worker does while nothing comes, and how others wake it.
//
//     busy   poll on
//     pause  poll on, with a pause instruction between (the sibling thread runs faster)
//     sleep  SPINS empty loops, then sleeps that double from NAP_FIRST_US to NAP_MAX_US: a packet
//            waits about as long as the silence before it at most. Where every queue of the worker
//            has receive interrupts, the sleep after those lasts until one of them
//
// The first packet ends it: sleeps begin at their shortest again. A sleeper has left the readers of
// the tables, so it delays no grace period. Whoever gives it something (a ring, a command) wakes
// it; who does so in the instant in which it falls asleep goes unheard, and the sleep's end takes
// care of that.
#include <rte_pause.h>
#include <unistd.h>

#include "dataplane/stages.h"

#define SPINS 256
#define NAP_FIRST_US 8
#define NAP_MAX_US 500
#define NAP_DOUBLINGS 6
#define WAIT_US 10000 // with interrupts: for the clock (sweep, timeouts) and for dp->stop

void worker_wake(struct worker *w) {
	uint64_t one = 1;

	if (!__atomic_load_n(&w->asleep, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&w->asleep, false, __ATOMIC_ACQ_REL))
		return;
	if (write(w->wake_fd, &one, sizeof(one)) < 0)
		return; // its counter is full: it will not sleep
}

bool worker_command(struct worker *w, const struct command *c) {
	if (!spsc_push(w->commands, c))
		return false;
	worker_wake(w);
	return true;
}

static bool has_work(const struct worker *w) {
	for (uint16_t i = 0; i < w->dp->n_workers; i++)
		if ((w->in[i] != NULL && !rte_ring_empty(w->in[i])) ||
		    (w->tx_in[i] != NULL && !rte_ring_empty(w->tx_in[i])))
			return true;
	return !spsc_is_empty(w->commands);
}

// Short ones first, also with interrupts: a descriptor may be readable a moment before the packet.
static uint32_t nap_us(struct worker *w) {
	if (w->naps < NAP_DOUBLINGS)
		return NAP_FIRST_US << w->naps++;
	return w->waits_for == WORKER_INTERRUPTS && w->n_held == 0 ? WAIT_US : NAP_MAX_US;
}

static void nap(struct worker *w) {
	uint32_t us = nap_us(w);
	bool woken = true;

	publish_offline(w->dp->publish, w->id);
	__atomic_store_n(&w->asleep, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); // rings are looked at when others can see it
	if (!has_work(w))
		woken = w->dp->io.wait(w->dp->io.ctx, w, us);
	__atomic_store_n(&w->asleep, false, __ATOMIC_RELAXED);
	publish_online(w->dp->publish, w->id);
	bump(&w->counters.naps, 1);
	if (woken)
		worker_rouse(w);
}

void worker_rouse(struct worker *w) {
	w->silence = 0;
	w->naps = 0;
}

void worker_idle(struct worker *w) {
	bump(&w->counters.idle_loops, 1);
	if (w->idle == WORKER_BUSY)
		return;
	if (w->idle == WORKER_PAUSE || w->silence < SPINS) {
		w->silence++;
		rte_pause();
	} else if (w->waits_for != WORKER_TIME && !w->armed) {
		// Then another look: what came before has made no interrupt.
		w->dp->io.arm(w->dp->io.ctx, w);
		w->armed = true;
	} else {
		nap(w);
		w->armed = false;
	}
}
