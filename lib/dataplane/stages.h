// SPDX-License-Identifier: Apache-2.0
// The stages of a burst and what they share; internal to the data plane. Read burst.c first: it calls them in order.
#ifndef SLUICE_DATAPLANE_STAGES_H
#define SLUICE_DATAPLANE_STAGES_H

#include "dataplane/worker.h"

// The short way: sends what it can; the others' mbufs are put into rest, untouched. Returns their number.
uint16_t lane_burst(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		    bool handed_over, struct rte_mbuf **rest);

// One file each. Every stage looks only at packets whose fate is FATE_ONWARD.
void stage_parse(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);
void stage_classify(const struct tables *t, struct packet *pkt, uint16_t n);
void stage_own(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);
void stage_track(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);
void stage_select(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);
void stage_route(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);
void stage_rewrite(const struct tables *t, struct packet *pkt, uint16_t n);
void stage_egress(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);
// ARP, ND, ICMP, and answers to packets that ended with one (packet.answer): one by one.
void stage_aside(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n);

// Before the first stage, and after the last: what ended here is freed and counted.
void burst_begin(struct packet *pkt, struct rte_mbuf **m, uint16_t n, bool handed_over);
void burst_finish(struct worker *w, struct packet *pkt, uint16_t n);

// --- pieces that explain calls as well ---

void classify_packet(const struct tables *t, struct packet *k);
// A port's, an SNAT or a virtual address: no client has it. "Land" packets, from a frontend to itself, are among those that say so.
static inline bool is_own_address(const struct tables *t, uint8_t family, const uint32_t addr[4]) {
	return family == 4 ? tuple_has4(t->local_map, addr[0], 0, 0)
			   : tuple_has6(t->local_map, addr, 0, 0);
}
// The worker that must handle it; `self` when it is whoever received it.
uint16_t owner_of(const struct tables *t, const struct packet *k, uint16_t self);
// The flow's backend is still a member of the frontend's service.
static inline bool backend_serves(const struct backend *b, uint8_t gen, uint32_t service) {
	return b->gen == gen && b->service == service && (backend_state(b) & BACKEND_LIVE);
}
// By the table: TABLES_NO_ID when no backend is usable.
uint32_t choose_backend(const struct tables *t, const struct packet *k);
// The usable affinity backend of the client, or TABLES_NO_ID.
uint32_t choose_by_affinity(struct worker *w, const struct tables *t, const struct packet *k,
			    bool slide);
// Egress port and next hop towards an address. False: no route.
bool find_route(const struct dataplane *dp, const struct tables *t, uint8_t family,
		const uint32_t addr[4], uint16_t *port, uint32_t *nexthop);

// Look again, on the way in: an earlier packet of the burst may have made the flow.
void track_in(struct worker *w, const struct tables *t, struct packet *k);
void move_packet(struct worker *w, struct packet *k, uint16_t owner);
void move_frame(struct worker *w, struct rte_mbuf *m, uint16_t owner);
// The known flow behind keys that find_quoted() or classify set; nothing is touched. Sets flow, backend, frontend, SNAT fields.
bool find_related(struct worker *w, const struct tables *t, struct packet *k);

// --- ICMP errors ---
void icmp_translate(struct worker *w, const struct tables *t, struct packet *k);

// --- making and ending packets ---

void packet_drop(struct worker *w, struct packet *k,
		 enum reason reason); // fate, reason; freed and counted at the burst's end
// Send the IP packet in m (at offset l3) on port to the neighbour; holds it when the MAC is not known. Returns the fate, *reason of a drop.
enum fate send_ip(struct worker *w, const struct tables *t, struct rte_mbuf *m, uint16_t l3,
		  uint16_t port, uint32_t nexthop, const struct ip_addr *addr,
		  const struct packet *k, enum reason *reason);
// Route an IP packet of our own making (built at offset 0 of m's data) and send it. REASON_NONE, or why it can't leave; m is then freed.
enum reason send_own(struct worker *w, const struct tables *t, struct rte_mbuf *m, uint8_t family);
// A frame with its L2 header complete.
void send_frame(struct worker *w, struct rte_mbuf *m, uint16_t port);
struct rte_mbuf *own_buffer(
	struct worker *w); // NULL (counted) when there is none; carries the cause's trace
// Lower a SYN's MSS to what fits the egress port's MTU.
void clamp_mss(const struct tables *t, uint16_t port, uint8_t family, uint8_t *l4, uint16_t l4_len);
// L2 header before the IP packet at offset l3 of m.
void write_l2(const struct tables_port *p, struct rte_mbuf *m, uint16_t l3, const uint8_t dst[6],
	      uint16_t ethertype);
bool take_answer_token(struct worker *w);
void hold_retry(struct worker *w, const struct tables *t);
void hold_expire(struct worker *w, const struct tables *t);
void tell_verdict(struct worker *w, const struct tables *t, const struct packet *k);
void send_request(struct worker *w, const struct tables *t, const struct neighbor_request *r);
void send_announcement(struct worker *w, const struct tables *t, uint16_t port,
		       const struct ip_addr *addr);

// Up to control. Half of the queue is kept for what matters (answers to our requests): packets for hosts that don't answer, and other
// hosts' talk, come at any rate. What finds no room comes again: the next packet asks, control asks three times.
void tell_control(struct worker *w, const struct event *e, bool matters);
// Nothing was to be done in a loop; something was.
void worker_idle(struct worker *w);
void worker_rouse(struct worker *w);

static inline void bump(uint64_t *counter, uint64_t n) { // one writer, many readers
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

void flush_port(struct worker *w, uint16_t port);

// send_frame() for the packet path; tx: the port's buffer.
static inline void push_frame_to(struct worker *w, struct tx_buffer *tx, struct rte_mbuf *m,
				 uint16_t port) {
	__asm__("" : "+r"(tx)); // gcc 12 computes it once for each of its fields else
	m->port = port;
	tx->bytes += rte_pktmbuf_pkt_len(m);
	tx->m[tx->n++] = m;
	if (tx->n == BURST)
		flush_port(w, port);
}

static inline void push_frame(struct worker *w, struct rte_mbuf *m, uint16_t port) {
	push_frame_to(w, &w->tx[port], m, port);
}

static inline bool is_dropped(
	const struct packet *k) { // ended with a drop's reason, whether freed yet or not
	return k->reason != REASON_NONE && k->reason < REASON_DROPS;
}

static inline bool is_forwarded(const struct packet *k) {
	return k->fate == FATE_ONWARD && k->way != WAY_ASIDE && !is_dropped(k);
}

// fullnat: the ports that this worker may draw towards n->endpoint, so that it gets the answers (tables_back_owner).
static inline void set_own_ports(const struct worker *w, const struct tables *t,
				 struct flow_new *n) {
	const struct endpoint_ref *ref;

	if (w->ports == NULL)
		return;
	ref = &t->endpoints[n->endpoint].ref;
	n->ports = w->ports[ref->port];
	n->rss_part = ref->rss_part;
}

// The key of the flow's forward entry.
static inline void set_key(struct packet *k, const uint32_t client[4], uint16_t port,
			   uint32_t frontend) {
	k->key = (struct flow_key){.id = frontend,
				   .port = port,
				   .family = k->p.family,
				   .kind = FLOW_FORWARD};
	memcpy(k->key.addr, client, k->p.family == 4 ? 4 : 16);
}

// From 16 bytes of address, as tables hold them for both families.
static inline struct rewrite_end end_of(const void *addr, uint16_t port) {
	struct rewrite_end e = {.port = port};

	memcpy(e.addr, addr, sizeof(e.addr));
	return e;
}

// fullnat: the SNAT address and port of the packet's flow.
static inline struct rewrite_end snat_end(const struct tables *t, const struct packet *k) {
	const struct ip_addr *a = k->p.family == 4 ? &t->snat4[k->snat_index]
						   : &t->snat6[k->snat_index];

	return end_of(a->b, rte_cpu_to_be_16(k->snat_port));
}

static inline bool is_tcp_start(const struct packet *k) { // SYN without ACK
	return k->p.protocol == 6 &&
	       (k->p.tcp_flags & (PARSE_TCP_SYN | PARSE_TCP_ACK)) == PARSE_TCP_SYN;
}

#endif
