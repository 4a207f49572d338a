// SPDX-License-Identifier: Apache-2.0
// Rings, queues and traces of a data plane, before its workers start.
#include <errno.h>
#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <stdio.h>

#include "dataplane/stages.h"

uint16_t dataplane_queue_worker(const struct dataplane *dp, uint16_t port, uint16_t queue) {
	return (uint16_t)((port + queue) % dp->n_workers);
}

// On the node of the worker that empties it, or anywhere.
static struct rte_ring *make_ring(const struct dataplane *dp, const char *what,
				  const struct worker *from, const struct worker *to) {
	const unsigned flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *r;

	snprintf(name, sizeof(name), "%s_%u_%u", what, from->id, to->id);
	r = rte_ring_create(name, dp->ring_size, to->socket, flags);
	return r != NULL ? r : rte_ring_create(name, dp->ring_size, SOCKET_ID_ANY, flags);
}

static int connect_pair(struct dataplane *dp, struct worker *from, struct worker *to) {
	to->in[from->id] = from->out[to->id] = make_ring(dp, "own", from, to);
	to->tx_in[from->id] = from->tx_out[to->id] = make_ring(dp, "tx", from, to);
	return from->out[to->id] == NULL || from->tx_out[to->id] == NULL ? -ENOMEM : 0;
}

int dataplane_connect(struct dataplane *dp) {
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct worker *w = dp->workers[i];

		w->events = spsc_create(WORKER_EVENTS, sizeof(struct event));
		w->commands = spsc_create(1024, sizeof(struct command));
		w->answer_tokens = WORKER_ANSWERS_SECOND;
		w->cause = WORKER_NO_TRACE;
		if (w->events == NULL || w->commands == NULL)
			goto fail;
		for (uint16_t j = 0; j < dp->n_workers; j++)
			if (i != j && connect_pair(dp, w, dp->workers[j]) < 0)
				goto fail;
	}
	return 0;
fail:
	dataplane_disconnect(dp);
	return -ENOMEM;
}

static void drain_ring(struct rte_ring *r) {
	struct rte_mbuf *m;

	while (r != NULL && rte_ring_sc_dequeue(r, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(r);
}

void dataplane_disconnect(struct dataplane *dp) {
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct worker *w = dp->workers[i];

		for (uint16_t j = 0; j < dp->n_workers; j++) {
			drain_ring(w->in[j]);
			drain_ring(w->tx_in[j]);
			w->in[j] = w->tx_in[j] = NULL;
		}
		free(w->events);
		free(w->commands);
		w->events = w->commands = NULL;
	}
}

int dataplane_trace_init(struct dataplane *dp) {
	static const struct rte_mbuf_dynfield field = {.name = "sluice_trace",
						       .size = sizeof(uint64_t),
						       .align = __alignof__(uint64_t)};

	dp->trace_offset = rte_mbuf_dynfield_register(&field);
	return dp->trace_offset < 0 ? -rte_errno : 0;
}

void worker_trace_set(const struct dataplane *dp, struct rte_mbuf *m, uint64_t trace) {
	*RTE_MBUF_DYNFIELD(m, dp->trace_offset, uint64_t *) = trace;
}

uint64_t worker_trace_get(const struct dataplane *dp, const struct rte_mbuf *m) {
	return *RTE_MBUF_DYNFIELD(m, dp->trace_offset, const uint64_t *);
}
