// SPDX-License-Identifier: Apache-2.0
// The short way's last pass: flow -> backend -> next hop -> bytes -> transmit buffer.
#include "dataplane/lane.h"
#include "flow/flow_create.h"

#define NO_ROUTE (LPM_NONE - 1) // none yet: no index is that large

struct hop {          // where a packet leaves
	uint64_t mac; // of the next hop, as it lies in the frame's first bytes
	const struct tables_port *via;
	struct tx_buffer *tx;
	uint16_t port;
};

struct deliver { // what a pass reads for every packet; as struct lane_burst, which is in it
	struct lane_burst b;
	const struct tables_port *ports;
	const struct backend *backends;
	const struct neighbor_table *neighbors;
	uint32_t
		moves; // of the flow table when flows were found; entries stay where they were until it changes
	struct lpm_near4 near4;
	struct lpm_near6 near6;
	uint32_t route; // the last one to a gateway that a packet took, and that gateway
	struct hop gateway;
};

// False: its MAC is not known.
LANE bool use_nexthop(const struct deliver *d, uint32_t nexthop, struct hop *out) {
	const struct neighbor_hot *hot = neighbor_use(d->neighbors, nexthop);
	uint64_t word = __atomic_load_n(&hot->word, __ATOMIC_RELAXED);

	out->port = hot->port;
	out->via = &d->ports[out->port];
	out->tx = &d->b.w->tx[out->port];
	out->mac = rte_cpu_to_be_64(word << 16);
	return (word & NEIGHBOR_KNOWN) != 0;
}

LANE bool fits(const struct lane *l, const struct hop *hop) {
	return l->p.l3_len <= hop->via->mtu;
}

LANE bool route_in(const struct deliver *d, const struct lane *l, const struct backend *b,
		   struct hop *out) {
	return b->nexthop != TABLES_NO_ID && use_nexthop(d, b->nexthop, out) && fits(l, out);
}

// Any route; one to a gateway is kept for the packets that follow.
LANE bool take_route(struct deliver *d, const struct lane *l, uint32_t i, struct hop *out,
		     const uint8_t family) {
	const struct flow_key k = key_of(l, family);
	const struct route *r;
	uint32_t nexthop;

	if (i == LPM_NONE)
		return false;
	r = &d->b.t->routes[i];
	nexthop = r->nexthop;
	if (r->on_link)
		nexthop = neighbor_find(d->neighbors, r->port, family, k.addr);
	if (nexthop == NEIGHBOR_NONE || !use_nexthop(d, nexthop, out))
		return false;
	if (!r->on_link) {
		d->route = i;
		d->gateway = *out;
	}
	return true;
}

static __attribute__((noinline)) bool take_route4(struct deliver *d, const struct lane *l,
						  uint32_t i, struct hop *out) {
	return take_route(d, l, i, out, 4);
}

static __attribute__((noinline)) bool take_route6(struct deliver *d, const struct lane *l,
						  uint32_t i, struct hop *out) {
	return take_route(d, l, i, out, 6);
}

// To the client: the gateway that others were sent to, or what *room is filled with. NULL: not known, or the packet is too long.
LANE const struct hop *route_back(struct deliver *d, const struct lane *l, struct hop *room,
				  const uint8_t family) {
	const struct lpm *map = d->b.t->route_map;
	uint32_t i = family == 4 ? lpm_find4_near(map, (uint32_t)(l->want.a >> 32), &d->near4)
				 : lpm_find6_near(map, (const uint8_t *)l->client6, &d->near6);
	const struct hop *hop = &d->gateway;

	if (unlikely(i != d->route)) {
		if (!(family == 4 ? take_route4(d, l, i, room) : take_route6(d, l, i, room)))
			return NULL;
		hop = room;
	}
	return fits(l, hop) ? hop : NULL;
}

LANE struct rewrite_end lane_end(const void *addr, uint16_t port, const uint8_t family) {
	struct rewrite_end e = {.port = port};

	memcpy(e.addr, addr, family == 4 ? 4 : 16);
	return e;
}

LANE void rewrite(struct lane *l, const uint8_t family, const struct rewrite_end *src,
		  const struct rewrite_end *dst) {
	if (l->p.protocol == 6)
		rewrite_nat(l->ip, l3_size(family), family, 6, src, dst);
	else
		rewrite_nat(l->ip, l3_size(family), family, 17, src, dst);
}

LANE void rewrite_in(const struct deliver *d, struct lane *l, const struct backend *b,
		     const struct flow *f, const uint8_t family) {
	struct rewrite_end dst = lane_end(b->addr, b->port, family), src;
	const struct ip_addr *snat;
	struct flow_port_at at;

	if (l->frontend.mode == TABLES_DNAT) {
		rewrite(l, family, NULL, &dst);
		return;
	}
	at = flow_port_of(d->b.flows, family, f);
	snat = family == 4 ? &d->b.t->snat4[at.index] : &d->b.t->snat6[at.index];
	src = lane_end(snat->b, rte_cpu_to_be_16(at.port), family);
	rewrite(l, family, &src, &dst);
}

LANE void rewrite_back(struct lane *l, const struct frontend *f, const uint8_t family) {
	struct rewrite_end src = lane_end(f->addr.b, f->port, family), dst;
	const struct flow_key k = key_of(l, family);

	if (l->way == WAY_BACK_DNAT) {
		rewrite(l, family, &src, NULL);
		return;
	}
	dst = lane_end(k.addr, k.port, family);
	rewrite(l, family, &src, &dst);
}

// Where the header grows or shrinks. Apart, as an address that is taken keeps a value in memory.
static __attribute__((noinline)) void put_l2_anew(const struct lane *l,
						  const struct tables_port *via, uint64_t mac,
						  uint16_t ethertype) {
	write_l2(via, l->m, l->l2_len, (const uint8_t *)&mac, ethertype);
}

// The Ethernet header: in place where nothing but addresses changes.
LANE void put_l2(struct lane *l, const struct hop *hop, const uint8_t family) {
	uint64_t dst = hop->mac, src = parse_load64(hop->via->mac.b);
	uint8_t *frame = l->ip - 14;

	if (unlikely(l->l2_len != 14 || hop->via->vlan != 0)) {
		put_l2_anew(l, hop->via, hop->mac, family == 4 ? 0x0800 : 0x86dd);
		return;
	}
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	dst |= src << 48;
	src >>= 16;
	memcpy(frame, &dst, 8);
	memcpy(frame + 8, &src, 4);
#else
	memcpy(frame, &dst, 6);
	memcpy(frame + 6, hop->via->mac.b, 6);
#endif
}

LANE void send_off(const struct deliver *d, struct lane *l, const struct hop *hop,
		   const uint8_t family) {
	put_l2(l, hop, family);
	push_frame_to(d->b.w, hop->tx, l->m, hop->port);
}

LANE enum flow_ways ways_of_mode(uint8_t mode) {
	return mode == TABLES_DSR    ? FLOW_ONE_WAY
	       : mode == TABLES_DNAT ? FLOW_TWO_WAYS
				     : FLOW_CONFIRMED;
}

// Its state is one that packets change. Seldom, and so apart.
static __attribute__((noinline)) void advance(struct flow_table *flows, uint8_t family,
					      struct flow *f, struct frontend_ref to, bool back,
					      uint8_t tcp_flags) {
	flow_advance(flows, family, f, ways_of_mode((uint8_t)to.mode), back, tcp_flags);
}

// Packets with special flags are not delivered here: the others leave a settled flow as it is.
LANE void touch(const struct deliver *d, const struct lane *l, struct flow *f,
		struct frontend_ref to, const bool back, const uint8_t family) {
	bool settled = flow_is_settled(f, back, 0);

	flow_note(f, d->b.now);
	if (unlikely(!settled))
		advance(d->b.flows, family, f, to, back, l->p.tcp_flags);
}

static void tell(const struct deliver *d, uint64_t trace, uint8_t reason, uint32_t service,
		 uint32_t backend) {
	struct verdict v = {.trace = trace,
			    .fate = FATE_SENT,
			    .reason = reason,
			    .service = service,
			    .backend = backend};

	d->b.w->dp->trace(d->b.w->dp->trace_ctx, d->b.t, &v);
}

// A flow that is known and goes on as it was.
LANE bool deliver_known_in(struct deliver *d, struct lane *l, struct flow *f, const uint8_t family,
			   const bool traced) {
	const struct backend *b = &d->backends[f->backend];
	uint64_t trace = traced ? worker_trace_get(d->b.w->dp, l->m) : 0;
	struct hop hop;

	if (!backend_serves(b, (uint8_t)f->gen, l->frontend.service) || !route_in(d, l, b, &hop))
		return false;
	touch(d, l, f, l->frontend, false, family);
	if (l->frontend.mode != TABLES_DSR)
		rewrite_in(d, l, b, f, family);
	send_off(d, l, &hop, family);
	if (traced)
		tell(d, trace, REASON_TRACKED, l->frontend.service, (uint32_t)f->backend);
	return true;
}

LANE bool deliver_known_back(struct deliver *d, struct lane *l, struct flow *f,
			     const uint8_t family, const bool traced) {
	const struct backend *b = &d->backends[f->backend];
	const struct frontend *front = &d->b.t->frontends[frontend_of(l)];
	uint64_t trace = traced ? worker_trace_get(d->b.w->dp, l->m) : 0;
	const struct hop *hop;
	struct hop room;

	if (!backend_serves(b, (uint8_t)f->gen, front->ref.service) || b->endpoint != l->endpoint)
		return false;
	hop = route_back(d, l, &room, family);
	if (hop == NULL)
		return false;
	touch(d, l, f, front->ref, true, family);
	if (l->way == WAY_BACK_SNAT && flow_moves(d->b.flows) == d->moves)
		flow_snat_vouch(d->b.flows, l->snat, f, l->endpoint_gen, d->b.now);
	rewrite_back(l, front, family);
	send_off(d, l, hop, family);
	if (traced)
		tell(d, trace, REASON_REVERSE, front->ref.service, (uint32_t)f->backend);
	return true;
}

// An answer of fullnat whose flow need not be looked at.
LANE bool deliver_vouched(struct deliver *d, struct lane *l, const uint8_t family) {
	const struct frontend *front = &d->b.t->frontends[frontend_of(l)];
	const struct hop *hop;
	struct hop room;

	if (flow_moves(d->b.flows) != d->moves || front->ref.service == TABLES_NO_ID)
		return false;
	hop = route_back(d, l, &room, family);
	if (hop == NULL)
		return false;
	rewrite_back(l, front, family);
	send_off(d, l, hop, family);
	return true;
}

LANE bool is_creatable(const struct tables *t, uint8_t mode, const struct backend *b,
		       const uint8_t family) {
	if (mode == TABLES_DNAT)
		return !t->endpoints[b->endpoint].ref.ambiguous;
	return mode != TABLES_FULLNAT || has_snat(t, family);
}

// A flow that begins as flows should, with the backend that was chosen.
LANE bool deliver_new(struct deliver *d, struct lane *l, const uint8_t family) {
	const struct backend *b = &d->backends[l->backend];
	const struct flow_key key = key_of(l, family);
	uint8_t mode = (uint8_t)l->frontend.mode;
	uint64_t trace = d->b.traced ? worker_trace_get(d->b.w->dp, l->m) : 0;
	struct flow_new n;
	struct flow *f;
	struct hop hop;

	if (!is_creatable(d->b.t, mode, b, family) || !route_in(d, l, b, &hop))
		return false;
	n = new_of(&d->b, l);
	if (flow_create_in(d->b.flows, family, &key, l->hash, &n, d->b.now, &f) < 0)
		return false;
	if ((l->p.tcp_flags & PARSE_TCP_SYN) && mode != TABLES_DSR)
		clamp_mss(d->b.t, hop.port, family, l4_of(l, family),
			  (uint16_t)(l->p.l3_len - l3_size(family)));
	if (mode != TABLES_DSR)
		rewrite_in(d, l, b, f, family);
	send_off(d, l, &hop, family);
	if (d->b.traced)
		tell(d, trace, REASON_NEW, l->frontend.service, l->backend);
	return true;
}

static __attribute__((noinline)) bool deliver_new4(struct deliver *d, struct lane *l) {
	return deliver_new(d, l, 4);
}

static __attribute__((noinline)) bool deliver_new6(struct deliver *d, struct lane *l) {
	return deliver_new(d, l, 6);
}

// True: it is on its way.
LANE bool deliver(struct deliver *d, struct lane *l, const uint8_t family, const bool traced) {
	struct flow *f = l->flow;

	if (!is_flow_sought(l))
		return l->way == WAY_VOUCHED ? deliver_vouched(d, l, family) : l->way == WAY_MOVED;
	if (unlikely(f == NULL ? l->twin : flow_moves(d->b.flows) != d->moves)) {
		struct flow_key k = key_of(l, family);

		f = flow_find_in(d->b.flows, family, &k, l->hash, d->b.now);
	}
	if (f == NULL) // one that was found was cleared since: nothing is chosen for it
		return l->flow == NULL && (family == 4 ? deliver_new4(d, l) : deliver_new6(d, l));
	if ((l->p.tcp_flags & LANE_SPECIAL_FLAGS) != 0 || flow_is_overdue(d->b.flows, f, d->b.now))
		return false;
	return l->way == WAY_IN ? deliver_known_in(d, l, f, family, traced)
				: deliver_known_back(d, l, f, family, traced);
}

LANE uint16_t deliver_all(const struct lane_burst *b, struct lane *lanes, uint16_t n,
			  struct rte_mbuf **rest, uint16_t n_rest, const uint8_t family,
			  const bool traced) {
	struct deliver d;

	d.b = *b;
	d.ports = b->t->ports;
	d.backends = b->t->backends;
	d.neighbors = b->w->dp->neighbors;
	d.moves = flow_moves(b->flows);
	d.route = NO_ROUTE;
	if (family == 4)
		d.near4 = (struct lpm_near4){.size = 0};
	else
		d.near6 = (struct lpm_near6){.size = 0};
	for (uint16_t i = 0; i < n; i++)
		if (!deliver(&d, &lanes[i], family, traced))
			rest[n_rest++] = lanes[i].m;
	return n_rest;
}

uint16_t lane_deliver(const struct lane_burst *b, struct lane *lanes, uint16_t n,
		      struct rte_mbuf **rest, uint16_t n_rest, uint8_t family) {
	if (b->traced)
		return family == 4 ? deliver_all(b, lanes, n, rest, n_rest, 4, true)
				   : deliver_all(b, lanes, n, rest, n_rest, 6, true);
	return family == 4 ? deliver_all(b, lanes, n, rest, n_rest, 4, false)
			   : deliver_all(b, lanes, n, rest, n_rest, 6, false);
}
