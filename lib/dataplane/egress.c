// SPDX-License-Identifier: Apache-2.0
// Stage egress: the Ethernet header of the next hop, and the transmit buffers.
#include <rte_ether.h>

#include "dataplane/stages.h"

void write_l2(const struct tables_port *p, struct rte_mbuf *m, uint16_t l3, const uint8_t dst[6],
	      uint16_t ethertype) {
	uint16_t len = p->vlan == 0 ? 14 : 18, tag = rte_cpu_to_be_16(0x8100),
		 id = rte_cpu_to_be_16(p->vlan);
	uint8_t *l2;

	if (l3 > len)
		rte_pktmbuf_adj(m, (uint16_t)(l3 - len));
	else if (l3 < len)
		rte_pktmbuf_prepend(m,
				    (uint16_t)(len -
					       l3)); // the headroom holds it: RTE_PKTMBUF_HEADROOM
	l2 = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(l2, dst, 6);
	memcpy(l2 + 6, p->mac.b, 6);
	if (p->vlan != 0) {
		memcpy(l2 + 12, &tag, 2);
		memcpy(l2 + 14, &id, 2);
	}
	ethertype = rte_cpu_to_be_16(ethertype);
	memcpy(l2 + len - 2, &ethertype, 2);
}

// To the device. Counted by the worker that hands it over, whoever made it ready.
static uint16_t send_burst(struct worker *w, uint16_t port, struct tx_buffer *b) {
	uint64_t unsent = 0;
	uint16_t sent;

	sent = w->dp->io.send(w->dp->io.ctx, w, port, b->m, b->n);
	for (uint16_t i = sent; i < b->n; i++)
		unsent += rte_pktmbuf_pkt_len(b->m[i]);
	bump(&w->counters.tx_packets, sent);
	bump(&w->counters.tx_bytes, b->bytes - unsent);
	return sent;
}

// To another worker; what the ring does not take is the caller's to drop. Never waits.
static uint16_t push_burst(struct rte_ring *ring, struct worker *to, struct tx_buffer *b) {
	uint16_t taken = (uint16_t)rte_ring_sp_enqueue_burst(ring, (void **)b->m, b->n, NULL);

	worker_wake(to);
	return taken;
}

void flush_port(struct worker *w, uint16_t port) {
	struct tx_buffer *b = &w->tx[port];
	uint16_t sender = w->dp->sender[port][w->id], sent;

	if (b->n == 0)
		return;
	sent = sender == w->id ? send_burst(w, port, b)
			       : push_burst(w->tx_out[sender], w->dp->workers[sender], b);
	if (sent < b->n) {
		bump(&w->counters.drops[sender == w->id ? REASON_TX_FULL : REASON_HANDOVER_FULL],
		     (uint64_t)(b->n - sent));
		rte_pktmbuf_free_bulk(&b->m[sent], (unsigned)(b->n - sent));
	}
	b->n = 0;
	b->bytes = 0;
}

void send_frame(struct worker *w, struct rte_mbuf *m, uint16_t port) {
	push_frame(w, m, port);
}

static void flush_moves(struct worker *w, uint16_t owner) {
	struct tx_buffer *b = &w->move[owner];
	uint16_t sent;

	if (b->n == 0)
		return;
	sent = push_burst(w->out[owner], w->dp->workers[owner], b);
	bump(&w->counters.handed_over, sent);
	if (sent < b->n) {
		bump(&w->counters.drops[REASON_HANDOVER_FULL], (uint64_t)(b->n - sent));
		rte_pktmbuf_free_bulk(&b->m[sent], (unsigned)(b->n - sent));
	}
	b->n = 0;
}

void worker_flush(struct worker *w) {
	for (uint16_t i = 0; i < w->dp->n_ports; i++)
		flush_port(w, i);
	for (uint16_t i = 0; i < w->dp->n_workers; i++)
		flush_moves(w, i);
}

void stage_egress(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];
		enum reason reason = REASON_NONE;
		struct ip_addr to;

		if (!is_forwarded(k))
			continue;
		if (k->nexthop == NEIGHBOR_NONE) // on the port's own subnet, not heard of yet
			to = k->p.family == 4 ? ip_addr_from_v4(k->key.addr[0])
					      : ip_addr_from_v6(k->key.addr);
		k->fate = send_ip(w, t, k->m, k->p.l3, k->port, k->nexthop,
				  k->nexthop == NEIGHBOR_NONE ? &to : NULL, k, &reason);
		if (k->fate == FATE_DROPPED)
			packet_drop(w, k, reason);
	}
}
