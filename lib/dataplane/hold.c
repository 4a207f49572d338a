// SPDX-License-Identifier: Apache-2.0
// Packets that wait for their next hop's MAC: bounded in all, for each neighbour and in time.
#include "dataplane/stages.h"

static void ask_for(struct worker *w, uint16_t port, const struct ip_addr *addr) {
	struct event e = {.type = EVENT_WANTED, .port = port, .addr = *addr};

	tell_control(w, &e, false); // when it is not taken the next packet asks again
}

static enum fate hold(struct worker *w, struct held h, enum reason *reason) {
	uint16_t same = 0;

	for (uint16_t i = 0; i < w->n_held && w->n_held < WORKER_HOLD; i++)
		same += w->held[i].port == h.port && ip_addr_eq(&w->held[i].addr, &h.addr);
	if (w->n_held == WORKER_HOLD || same >= WORKER_HOLD_NEIGHBOR) {
		*reason = REASON_NEIGHBOR_QUEUE;
		return FATE_DROPPED;
	}
	h.deadline = w->now_ms + WORKER_HOLD_MS;
	w->held[w->n_held++] = h;
	return FATE_HELD;
}

static void send_known(struct worker *w, const struct tables *t, struct rte_mbuf *m, uint16_t l3,
		       uint16_t port, uint64_t word) {
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, l3);
	uint8_t mac[6];

	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(word >> (40 - 8 * i));
	write_l2(&t->ports[port], m, l3, mac, ip[0] >> 4 == 4 ? 0x0800 : 0x86dd);
	send_frame(w, m, port);
}

enum fate send_ip(struct worker *w, const struct tables *t, struct rte_mbuf *m, uint16_t l3,
		  uint16_t port, uint32_t nexthop, const struct ip_addr *addr,
		  const struct packet *k, enum reason *reason) {
	uint64_t word = nexthop == NEIGHBOR_NONE ? 0 : neighbor_word(w->dp->neighbors, nexthop);
	struct held h = {.m = m,
			 .port = port,
			 .l3 = l3,
			 .nexthop = nexthop,
			 .service = TABLES_NO_ID,
			 .backend = TABLES_NO_ID};

	if (word & NEIGHBOR_KNOWN) {
		send_known(w, t, m, l3, port, word);
		return FATE_SENT;
	}
	h.addr = addr != NULL ? *addr : *neighbor_addr(w->dp->neighbors, nexthop);
	ask_for(w, port, &h.addr);
	if (word & NEIGHBOR_FAILED) {
		*reason = REASON_NEIGHBOR_UNRESOLVED;
		return FATE_DROPPED;
	}
	if (k != NULL) {
		h.service = k->frontend.service;
		h.backend = k->backend;
	}
	return hold(w, h, reason);
}

static void drop_held(struct worker *w, const struct tables *t, const struct held *h,
		      enum reason reason) {
	struct verdict v = {.fate = FATE_DROPPED,
			    .reason = (uint8_t)reason,
			    .service = h->service,
			    .backend = h->backend};

	bump(&w->counters.drops[reason], 1);
	if (w->dp->trace != NULL) {
		v.trace = worker_trace_get(w->dp, h->m);
		w->dp->trace(w->dp->trace_ctx, t, &v);
	}
	rte_pktmbuf_free(h->m);
}

// True when the packet has left or is dropped.
static bool release(struct worker *w, const struct tables *t, struct held *h) {
	uint64_t word;

	if (h->nexthop == NEIGHBOR_NONE) {
		uint32_t words[4];

		memcpy(words, h->addr.b, sizeof(words));
		h->nexthop = neighbor_find(w->dp->neighbors, h->port, h->addr.family, words);
	}
	word = h->nexthop == NEIGHBOR_NONE ? 0 : neighbor_word(w->dp->neighbors, h->nexthop);
	if (word & NEIGHBOR_KNOWN)
		send_known(w, t, h->m, h->l3, h->port, word);
	else if (word & NEIGHBOR_FAILED)
		drop_held(w, t, h, REASON_NEIGHBOR_UNRESOLVED);
	return word & (NEIGHBOR_KNOWN | NEIGHBOR_FAILED);
}

// Look at all of them, in order of arrival; those that stay move up.
void hold_retry(struct worker *w, const struct tables *t) {
	uint64_t changes = neighbor_changes(w->dp->neighbors);
	uint16_t kept = 0, n = w->n_held;

	if (n == 0 || changes == w->changes)
		return;
	w->changes = changes;
	for (uint16_t i = 0; i < n; i++)
		if (!release(w, t, &w->held[i]))
			w->held[kept++] = w->held[i];
	w->n_held = kept;
}

void hold_expire(struct worker *w, const struct tables *t) {
	uint16_t kept = 0, n = w->n_held;

	for (uint16_t i = 0; i < n; i++) {
		if (w->now_ms > w->held[i].deadline)
			drop_held(w, t, &w->held[i], REASON_NEIGHBOR_UNRESOLVED);
		else
			w->held[kept++] = w->held[i];
	}
	w->n_held = kept;
}

void worker_drop_held(struct worker *w, const struct tables *t, enum reason reason) {
	for (uint16_t i = 0; i < w->n_held; i++)
		drop_held(w, t, &w->held[i], reason);
	w->n_held = 0;
}
