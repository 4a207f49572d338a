// SPDX-License-Identifier: Apache-2.0
// The short way's last pass: flow -> backend -> next hop -> bytes -> transmit buffer.
#include "dataplane/lane.h"
#include "flow/flow_create.h"

struct deliver { // what a pass reads for every packet: stores into packets might change it, for all that a compiler knows
	const struct lane_burst *burst;
	struct worker *w;
	const struct tables *t;
	const struct tables_port *ports;
	const struct backend *backends;
	const struct neighbor_table *neighbors;
	struct flow_table *flows;
	uint32_t now;
	uint32_t
		moves; // of the flow table when flows were found; entries stay where they were until it changes
	uint32_t near; // where the last route was found
	bool traced;
};

struct hop { // the next hop's word, and the egress port
	uint64_t word;
	uint16_t port;
};

// False: its MAC is not known, or the packet is too long for the port.
LANE bool use_nexthop(const struct deliver *d, const struct lane *l, uint32_t nexthop,
		      struct hop *out) {
	out->port = neighbor_port(d->neighbors, nexthop);
	out->word = neighbor_word(d->neighbors, nexthop);
	return (out->word & NEIGHBOR_KNOWN) && l->p.l3_len <= d->ports[out->port].mtu;
}

LANE bool route_in(const struct deliver *d, const struct lane *l, const struct backend *b,
		   struct hop *out) {
	return b->nexthop != TABLES_NO_ID && use_nexthop(d, l, b->nexthop, out);
}

LANE bool route_back(struct deliver *d, const struct lane *l, struct hop *out,
		     const uint8_t family) {
	const struct tables *t = d->t;
	const struct flow_key k = key_of(l, family);
	uint32_t i = family == 4 ? lpm_find4_near(t->route_map, k.addr[0], &d->near)
				 : lpm_find6_near(t->route_map, (const uint8_t *)k.addr, &d->near);
	uint32_t nexthop;

	if (i == LPM_NONE)
		return false;
	nexthop = t->routes[i].nexthop;
	if (t->routes[i].on_link)
		nexthop = neighbor_find(d->neighbors, t->routes[i].port, family, k.addr);
	return nexthop != NEIGHBOR_NONE && use_nexthop(d, l, nexthop, out);
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
	at = flow_port_of(d->flows, family, f);
	snat = family == 4 ? &d->t->snat4[at.index] : &d->t->snat6[at.index];
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

// The Ethernet header: in place where nothing but addresses changes.
LANE void put_l2(const struct tables_port *port, struct lane *l, uint64_t word,
		 const uint8_t family) {
	uint64_t dst = rte_cpu_to_be_64(word << 16), src = parse_load64(port->mac.b);
	uint8_t *frame = rte_pktmbuf_mtod(l->m, uint8_t *);

	if (l->ip - frame != 14 || port->vlan != 0) {
		write_l2(port, l->m, (uint16_t)(l->ip - frame), (const uint8_t *)&dst,
			 family == 4 ? 0x0800 : 0x86dd);
		return;
	}
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	dst |= src << 48;
	src >>= 16;
	memcpy(frame, &dst, 8);
	memcpy(frame + 8, &src, 4);
#else
	memcpy(frame, &dst, 6);
	memcpy(frame + 6, port->mac.b, 6);
#endif
}

LANE void send_off(const struct deliver *d, struct lane *l, const struct hop *hop,
		   const uint8_t family) {
	put_l2(&d->ports[hop->port], l, hop->word, family);
	push_frame(d->w, l->m, hop->port);
}

LANE enum flow_ways ways_of_mode(uint8_t mode) {
	return mode == TABLES_DSR    ? FLOW_ONE_WAY
	       : mode == TABLES_DNAT ? FLOW_TWO_WAYS
				     : FLOW_CONFIRMED;
}

LANE void touch(const struct deliver *d, const struct lane *l, struct flow *f, uint8_t mode,
		const bool back, const uint8_t family) {
	flow_note(f, d->now);
	if (unlikely(!flow_is_settled(f, back, l->p.tcp_flags)))
		flow_advance(d->flows, family, f, ways_of_mode(mode), back, l->p.tcp_flags);
}

static void tell(const struct deliver *d, uint64_t trace, uint8_t reason, uint32_t service,
		 uint32_t backend) {
	struct verdict v = {.trace = trace,
			    .fate = FATE_SENT,
			    .reason = reason,
			    .service = service,
			    .backend = backend};

	d->w->dp->trace(d->w->dp->trace_ctx, d->t, &v);
}

// A flow that is known and goes on as it was.
LANE bool deliver_known_in(struct deliver *d, struct lane *l, struct flow *f,
			   const uint8_t family) {
	const struct backend *b = &d->backends[f->backend];
	uint64_t trace = d->traced ? worker_trace_get(d->w->dp, l->m) : 0;
	struct hop hop;

	if (!backend_serves(b, (uint8_t)f->gen, l->frontend.service) || !route_in(d, l, b, &hop))
		return false;
	touch(d, l, f, (uint8_t)l->frontend.mode, false, family);
	if (l->frontend.mode != TABLES_DSR)
		rewrite_in(d, l, b, f, family);
	send_off(d, l, &hop, family);
	if (d->traced)
		tell(d, trace, REASON_TRACKED, l->frontend.service, (uint32_t)f->backend);
	return true;
}

LANE bool deliver_known_back(struct deliver *d, struct lane *l, struct flow *f,
			     const uint8_t family) {
	const struct backend *b = &d->backends[f->backend];
	const struct frontend *front = &d->t->frontends[frontend_of(l)];
	uint64_t trace = d->traced ? worker_trace_get(d->w->dp, l->m) : 0;
	struct hop hop;

	if (!backend_serves(b, (uint8_t)f->gen, front->ref.service) || b->endpoint != l->endpoint ||
	    !route_back(d, l, &hop, family))
		return false;
	touch(d, l, f, (uint8_t)front->ref.mode, true, family);
	if (l->way == WAY_BACK_SNAT && flow_moves(d->flows) == d->moves)
		flow_snat_vouch(d->flows, l->snat, f, l->endpoint_gen, d->now);
	rewrite_back(l, front, family);
	send_off(d, l, &hop, family);
	if (d->traced)
		tell(d, trace, REASON_REVERSE, front->ref.service, (uint32_t)f->backend);
	return true;
}

// An answer of fullnat whose flow need not be looked at.
LANE bool deliver_vouched(struct deliver *d, struct lane *l, const uint8_t family) {
	const struct frontend *front = &d->t->frontends[frontend_of(l)];
	struct hop hop;

	if (flow_moves(d->flows) != d->moves || front->ref.service == TABLES_NO_ID ||
	    !route_back(d, l, &hop, family))
		return false;
	flow_snat_note(d->flows, l->snat, d->now);
	rewrite_back(l, front, family);
	send_off(d, l, &hop, family);
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
	uint64_t trace = d->traced ? worker_trace_get(d->burst->w->dp, l->m) : 0;
	struct flow_new n;
	struct flow *f;
	struct hop hop;

	if (!is_creatable(d->t, mode, b, family) || !route_in(d, l, b, &hop))
		return false;
	n = new_of(d->burst, l);
	if (flow_create_in(d->flows, family, &key, l->hash, &n, d->now, &f) < 0)
		return false;
	if ((l->p.tcp_flags & PARSE_TCP_SYN) && mode != TABLES_DSR)
		clamp_mss(d->t, hop.port, family, l4_of(l, family),
			  (uint16_t)(l->p.l3_len - l3_size(family)));
	if (mode != TABLES_DSR)
		rewrite_in(d, l, b, f, family);
	send_off(d, l, &hop, family);
	if (d->traced)
		tell(d, trace, REASON_NEW, l->frontend.service, l->backend);
	return true;
}

static __attribute__((noinline)) bool deliver_new4(struct deliver *d, struct lane *l) {
	return deliver_new(d, l, 4);
}

static __attribute__((noinline)) bool deliver_new6(struct deliver *d, struct lane *l) {
	return deliver_new(d, l, 6);
}

LANE bool deliver(struct deliver *d, struct lane *l, const uint8_t family) {
	struct flow *f = l->flow;

	if (l->way == WAY_VOUCHED)
		return deliver_vouched(d, l, family);
	if (!is_flow_sought(l))
		return l->way == WAY_MOVED;
	if (unlikely(f == NULL ? l->twin : flow_moves(d->flows) != d->moves)) {
		struct flow_key k = key_of(l, family);

		f = flow_find_in(d->flows, family, &k, l->hash, d->now);
	}
	if (f == NULL) // one that was found was cleared since: nothing is chosen for it
		return l->flow == NULL && (family == 4 ? deliver_new4(d, l) : deliver_new6(d, l));
	if ((l->p.tcp_flags & LANE_SPECIAL_FLAGS) != 0 || flow_is_expired(d->flows, f, d->now))
		return false;
	return l->way == WAY_IN ? deliver_known_in(d, l, f, family)
				: deliver_known_back(d, l, f, family);
}

LANE uint16_t deliver_all(const struct lane_burst *b, struct lane *lanes, uint16_t n,
			  struct rte_mbuf **rest, uint16_t n_rest, const uint8_t family) {
	struct worker *w = b->w;
	struct deliver d = {.burst = b,
			    .w = w,
			    .t = b->t,
			    .ports = b->t->ports,
			    .backends = b->t->backends,
			    .neighbors = w->dp->neighbors,
			    .flows = w->flows,
			    .now = w->now,
			    .moves = flow_moves(w->flows),
			    .traced = w->dp->trace != NULL};

	for (uint16_t i = 0; i < n; i++)
		if (!deliver(&d, &lanes[i], family))
			rest[n_rest++] = lanes[i].m;
	return n_rest;
}

uint16_t lane_deliver(const struct lane_burst *b, struct lane *lanes, uint16_t n,
		      struct rte_mbuf **rest, uint16_t n_rest, uint8_t family) {
	return family == 4 ? deliver_all(b, lanes, n, rest, n_rest, 4)
			   : deliver_all(b, lanes, n, rest, n_rest, 6);
}
