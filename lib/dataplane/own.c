// SPDX-License-Identifier: Apache-2.0
// Stage own: a flow belongs to one worker; its packets that arrive elsewhere are handed over, in bursts.
#include "dataplane/stages.h"

uint16_t owner_of(const struct tables *t, const struct packet *k, uint16_t self) {
	switch (k->way) {
	case WAY_IN:
		if (k->frontend.mode == TABLES_DSR && !k->by_address)
			return self;
		if (tables_is_receivers(t, k->frontend))
			return tables_rss_owner(t, &t->frontends[k->key.id], k->key.addr,
						k->key.port);
		return tables_owner(t, k->p.family, k->key.addr, k->key.port, k->by_address);
	case WAY_BACK_DNAT:
		return tables_owner(t, k->p.family, k->key.addr, k->key.port, k->by_address);
	case WAY_BACK_SNAT:
		return tables_back_owner(t, k->p.family, k->endpoint, k->snat_index, k->snat_port);
	default:
		return self;
	}
}

void move_packet(struct worker *w, struct packet *k, uint16_t owner) {
	k->fate = FATE_MOVED;
	move_frame(w, k->m, owner);
}

void move_frame(struct worker *w, struct rte_mbuf *m, uint16_t owner) {
	struct tx_buffer *b = &w->move[owner];

	b->m[b->n++] = m;
	if (b->n == BURST) // a worker with several queues reads several bursts before it flushes
		worker_flush(w);
}

// The device has chosen the owner. Behind options or extension headers it may not find the ports.
static bool is_at_owner(const struct tables *t, const struct packet *k) {
	bool plain = k->p.l4 - k->p.l3 == (k->p.family == 4 ? 20 : 40);

	return k->way == WAY_IN && plain && tables_is_receivers(t, k->frontend);
}

// dsr's owner was the receiver before affinity came: its flows stay where they are.
static bool is_kept(struct worker *w, const struct packet *k) {
	if (!k->frontend.owner_moved || k->frontend.mode != TABLES_DSR || k->way != WAY_IN ||
	    is_tcp_start(k))
		return false;
	return flow_find(w->flows, &k->key, flow_hash(w->flows, &k->key), w->now) != NULL;
}

void stage_own(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	if (t->workers == 1)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];
		uint16_t owner;

		if (k->fate != FATE_ONWARD || k->reason != REASON_NONE || k->handed_over ||
		    is_at_owner(t, k))
			continue;
		owner = owner_of(t, k, w->id);
		if (owner != w->id && !is_kept(w, k))
			move_packet(w, k, owner);
	}
}
