// SPDX-License-Identifier: Apache-2.0
// The short way: plain TCP and UDP packets that need nothing but their flow, in four passes over the burst.
//
//     read      frame -> tuple; the frontend map's slot is on its way
//     name      frontend or endpoint -> hash; the flow's bucket is on its way
//     find      the flow; its backend is on its way
//     deliver   backend -> next hop -> bytes -> transmit buffer
//
// Most packets are of this kind: no options, the port's own tag or none, no affinity, no source ranges, a next hop that is known. Whatever
// a pass finds out of the ordinary it leaves alone, untouched, for the stages (burst.c), which do everything from the start. So
// each rule is decided in one place, the stages; here stands only how the usual case passes them. One inline core, a variant for each family.
#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include "dataplane/stages.h"

#ifdef SLUICE_LAPS // tests/bench builds this file once more, to count the cycles of each pass
void bench_lap(const char *pass);
#define LAP(pass) bench_lap(pass)
#else
#define LAP(pass)
#endif

#define AHEAD 6 // frames whose first line is on its way
#define LANE static inline __attribute__((always_inline))

static const uint8_t special_flags = PARSE_TCP_FIN | PARSE_TCP_SYN | PARSE_TCP_RST;

LANE uint64_t load64(const void *at) {
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

// To our MAC, from another host's.
LANE bool is_addressed(const struct tables_port *port, const uint8_t *frame) {
	const uint64_t mac_bits = rte_le_to_cpu_64(UINT64_C(0x0000ffffffffffff));
	uint64_t mac = load64(&port->mac) & mac_bits, to = load64(frame) & mac_bits,
		 from = load64(frame + 6) & mac_bits;

	return (to == mac) & (from != mac) & !(frame[6] & 1);
}

// Where the IP header begins, with the port's tag if it has one; 0: not so.
LANE uint16_t l3_offset(const struct tables_port *port, const uint8_t *frame, uint16_t *ethertype) {
	uint16_t tag = parse_load16(frame + 12);

	*ethertype = tag;
	if (port->vlan == 0)
		return 14;
	*ethertype = parse_load16(frame + 16);
	return tag == rte_cpu_to_be_16(0x8100) &&
			       (rte_be_to_cpu_16(parse_load16(frame + 14)) & 0xfff) == port->vlan
		       ? 18
		       : 0;
}

LANE bool name_in(const struct worker *w, const struct tables *t, struct lane *l,
		  const struct parsed *p, const uint8_t family) {
	const size_t size = family == 4 ? 4 : 16;

	if (l->frontend.affinity | l->frontend.restricted)
		return false;
	if (memcmp(p->src, p->dst, size) == 0)
		return false;
	l->way = WAY_IN;
	l->key.id = l->frontend.id;
	l->key.port = p->src_port;
	memcpy(l->key.addr, p->src, size);
	if (t->workers == 1 || l->handed_over || tables_is_receivers(t, l->frontend))
		return true;
	return tables_owner(t, family, l->key.addr, l->key.port, l->frontend.owner_by_address) ==
	       w->id;
}

LANE bool name_back_snat(const struct worker *w, const struct tables *t, struct lane *l,
			 const struct parsed *p, const struct local_ref *local,
			 struct endpoint_ref endpoint, const uint8_t family) {
	uint16_t port = rte_be_to_cpu_16(p->dst_port);

	l->way = WAY_BACK_SNAT;
	l->snat_index = (uint8_t)local->snat_index;
	l->snat_port = port;
	if (!(local->kinds & LOCAL_SNAT) || port < FLOW_FIRST_PORT)
		return false;
	return t->workers == 1 || l->handed_over ||
	       tables_back_owner(t, family, endpoint, l->snat_index, port) == w->id;
}

LANE bool name_back(const struct worker *w, const struct tables *t, struct lane *l,
		    const struct parsed *p, const uint8_t family) {
	struct endpoint_ref endpoint;
	struct local_ref local;
	bool found = family == 4 ? tuple_find4(t->endpoint_map, p->src[0], p->src_port, p->protocol,
					       &endpoint)
				 : tuple_find6(t->endpoint_map, p->src, p->src_port, p->protocol,
					       &endpoint);

	if (!found)
		return false;
	l->endpoint = endpoint.id;
	if (tuple_find(t->local_map, family, p->dst, 0, 0, &local))
		return name_back_snat(w, t, l, p, &local, endpoint, family);
	if (!endpoint.dnat || endpoint.ambiguous)
		return false;
	l->way = WAY_BACK_DNAT;
	l->key.id = endpoint.frontend;
	l->key.port = p->dst_port;
	memcpy(l->key.addr, p->dst, family == 4 ? 4 : 16);
	return t->workers == 1 || l->handed_over ||
	       tables_owner(t, family, l->key.addr, l->key.port, endpoint.owner_by_address) ==
		       w->id;
}

LANE void prefetch(const struct worker *w, struct lane *l, const uint8_t family) {
	if (l->way == WAY_BACK_SNAT) {
		l->hash = flow_snat_hash(w->flows, family, l->endpoint, l->snat_index,
					 l->snat_port);
		flow_snat_prefetch(w->flows, family, l->hash);
	} else {
		l->hash = flow_hash_in(w->flows, family, &l->key);
		flow_prefetch(w->flows, family, l->hash,
			      l->way == WAY_IN && l->frontend.mode == TABLES_FULLNAT);
	}
}

// The bytes, and the slot where its frontend would be. False: for the stages.
LANE bool read_packet(const struct tables *t, struct lane *l, uint32_t len, uint16_t l3,
		      const uint8_t family) {
	const struct parsed *p = &l->p;

	if (!(family == 4 ? parse_plain4(&l->p, l->data, len, l3)
			  : parse_plain6(&l->p, l->data, len, l3)) ||
	    p->ttl <= 1)
		return false;
	if (family == 4) {
		l->hash = tuple_start4(t->frontend_map, p->dst[0], p->dst_port, p->protocol);
		rte_prefetch0(&t->frontend_map->slots4[l->hash]);
	} else {
		l->hash = tuple_start6(t->frontend_map, p->dst, p->dst_port, p->protocol);
		rte_prefetch0(&t->frontend_map->slots6[l->hash]);
	}
	return true;
}

// Everything else that can be said without the flow. False: for the stages.
LANE bool name_packet(const struct worker *w, const struct tables *t, struct lane *l,
		      const uint8_t family) {
	const struct parsed *p = &l->p;
	uint32_t start = (uint32_t)l->hash;
	bool in;

	l->key = (struct flow_key){.family = family, .kind = FLOW_FORWARD};
	in = family == 4 ? tuple_find4_from(t->frontend_map, start, p->dst[0], p->dst_port,
					    p->protocol, &l->frontend)
			 : tuple_find6_from(t->frontend_map, start, p->dst, p->dst_port,
					    p->protocol, &l->frontend);
	if (!(in ? name_in(w, t, l, p, family) : name_back(w, t, l, p, family)))
		return false;
	prefetch(w, l, family);
	return true;
}

// The answers of fullnat: the snat entry names the flow, whose bucket is then on its way as well.
LANE bool name_origin(const struct worker *w, const struct tables *t, struct lane *l,
		      const uint8_t family) {
	struct flow_origin o;

	if (!flow_snat_find(w->flows, family, l->hash, l->endpoint, l->snat_index, l->snat_port,
			    &o))
		return false;
	memcpy(l->key.addr, o.addr, family == 4 ? 4 : 16);
	l->key.id = o.frontend;
	l->key.port = o.port;
	l->hash = flow_hash_in(w->flows, family, &l->key);
	flow_prefetch(w->flows, family, l->hash, false);
	(void)t;
	return true;
}

LANE bool lane_route(const struct worker *w, const struct tables *t, struct lane *l,
		     const uint8_t family) {
	uint32_t nexthop;

	if (l->way == WAY_IN) {
		nexthop = t->backends[l->backend].nexthop;
		if (nexthop == TABLES_NO_ID)
			return false;
		l->port = neighbor_port(w->dp->neighbors, nexthop);
	} else if (!find_route(w->dp, t, family, l->key.addr, &l->port, &nexthop) ||
		   nexthop == NEIGHBOR_NONE) {
		return false;
	}
	l->word = neighbor_word(w->dp->neighbors, nexthop);
	return (l->word & NEIGHBOR_KNOWN) && l->p.l3_len <= t->ports[l->port].mtu;
}

LANE void rewrite(struct lane *l, const uint8_t family, const struct rewrite_end *src,
		  const struct rewrite_end *dst) {
	const uint16_t header = family == 4 ? 20 : 40;

	if (l->p.protocol == 6)
		rewrite_nat(l->data + l->p.l3, header, family, 6, src, dst);
	else
		rewrite_nat(l->data + l->p.l3, header, family, 17, src, dst);
}

LANE struct rewrite_end lane_end(const void *addr, uint16_t port, const uint8_t family) {
	struct rewrite_end e = {.port = port};

	memcpy(e.addr, addr, family == 4 ? 4 : 16);
	return e;
}

LANE void rewrite_in(const struct tables *t, struct lane *l, const uint8_t family) {
	const struct backend *b = &t->backends[l->backend];
	struct rewrite_end dst = lane_end(b->addr, b->port, family), src;

	if (l->frontend.mode == TABLES_DNAT) {
		rewrite(l, family, NULL, &dst);
		return;
	}
	src = lane_end(family == 4 ? t->snat4[l->snat_index].b : t->snat6[l->snat_index].b,
		       rte_cpu_to_be_16(l->snat_port), family);
	rewrite(l, family, &src, &dst);
}

LANE void rewrite_back(const struct tables *t, struct lane *l, const uint8_t family) {
	const struct frontend *f = &t->frontends[l->key.id];
	struct rewrite_end src = lane_end(f->addr.b, f->port, family), dst;

	if (l->way == WAY_BACK_DNAT) {
		rewrite(l, family, &src, NULL);
		return;
	}
	dst = lane_end(l->key.addr, l->key.port, family);
	rewrite(l, family, &src, &dst);
}

// The Ethernet header: in place where nothing but addresses changes.
LANE void put_l2(const struct tables_port *port, struct lane *l) {
	uint64_t mac = rte_cpu_to_be_64(l->word << 16);
	bool tag_stays = l->p.l3 == (port->vlan == 0 ? 14 : 18);

	if (!tag_stays || port->vlan != 0) {
		write_l2(port, l->m, l->p.l3, (const uint8_t *)&mac,
			 l->p.family == 4 ? 0x0800 : 0x86dd);
		return;
	}
	memcpy(l->data, &mac, 6);
	memcpy(l->data + 6, port->mac.b, 6);
}

LANE void send_off(struct worker *w, const struct tables *t, struct lane *l, const uint8_t family) {
	if (l->frontend.mode != TABLES_DSR || l->way != WAY_IN) {
		if (l->p.tcp_flags & PARSE_TCP_SYN)
			clamp_mss(t, l->port, family, l->data + l->p.l3 + (family == 4 ? 20 : 40),
				  (uint16_t)(l->p.l3_len - (family == 4 ? 20 : 40)));
		if (l->way == WAY_IN)
			rewrite_in(t, l, family);
		else
			rewrite_back(t, l, family);
	}
	put_l2(&t->ports[l->port], l);
	push_frame(w, l->m, l->port);
}

LANE enum flow_ways ways_of_mode(uint8_t mode) {
	return mode == TABLES_DSR    ? FLOW_ONE_WAY
	       : mode == TABLES_DNAT ? FLOW_TWO_WAYS
				     : FLOW_CONFIRMED;
}

LANE void read_snat(const struct worker *w, struct lane *l, const struct flow *f,
		    const uint8_t family) {
	const struct flow_record *r = flow_record(w->flows, family, f);

	l->snat_index = (uint8_t)r->snat_index;
	l->snat_port = (uint16_t)r->snat_port;
}

// A flow that is known and goes on as it was.
LANE bool deliver_known(struct worker *w, const struct tables *t, struct lane *l, struct flow *f,
			const uint8_t family) {
	bool back = l->way != WAY_IN;

	if (l->p.protocol == 6 && (l->p.tcp_flags & special_flags))
		return false;
	l->backend = (uint32_t)f->backend;
	if (back)
		l->frontend = t->frontends[l->key.id].ref;
	if (!backend_serves(t, l->backend, (uint8_t)f->gen, l->frontend.service))
		return false;
	if (back && t->backends[l->backend].endpoint != l->endpoint)
		return false;
	if (!lane_route(w, t, l, family))
		return false;
	if (!back && l->frontend.mode == TABLES_FULLNAT)
		read_snat(w, l, f, family);
	flow_touch(w->flows, f, ways_of_mode((uint8_t)l->frontend.mode), back, l->p.tcp_flags,
		   w->now);
	l->reason = back ? REASON_REVERSE : REASON_TRACKED;
	send_off(w, t, l, family);
	return true;
}

// A flow that begins as flows should.
LANE bool deliver_new(struct worker *w, const struct tables *t, struct lane *l,
		      const uint8_t family) {
	const struct frontend *front = &t->frontends[l->key.id];
	const struct service *s = t->services[l->frontend.service];
	struct flow_new n = {.protocol = l->p.protocol, .starts = true};
	const struct backend *b;
	struct flow *f;

	if (l->way != WAY_IN || s->n_usable == 0)
		return false;
	if (l->p.protocol == 6 &&
	    (l->p.tcp_flags & (special_flags | PARSE_TCP_ACK)) != PARSE_TCP_SYN)
		return false;
	l->backend = s->usable[s->table.size == 0
				       ? 0
				       : maglev_find(&s->table, tables_choice(front, l->key.addr,
									      l->key.port))];
	b = &t->backends[l->backend];
	if (l->frontend.mode == TABLES_DNAT && t->endpoints[b->endpoint].ref.ambiguous)
		return false;
	if (l->frontend.mode == TABLES_FULLNAT && (family == 4 ? t->n_snat4 : t->n_snat6) == 0)
		return false;
	if (!lane_route(w, t, l, family))
		return false;
	n.backend = l->backend;
	n.endpoint = b->endpoint;
	n.gen = b->gen;
	n.back = l->frontend.mode == TABLES_FULLNAT ? FLOW_BACK_SNAT : FLOW_BACK_NONE;
	if (n.back == FLOW_BACK_SNAT)
		set_own_ports(w, t, &n);
	if (flow_create(w->flows, &l->key, l->hash, &n, w->now, &f) < 0)
		return false;
	if (n.back == FLOW_BACK_SNAT)
		read_snat(w, l, f, family);
	l->reason = REASON_NEW;
	send_off(w, t, l, family);
	return true;
}

// The flow, and what delivery reads of its backend on its way.
LANE void find(struct worker *w, const struct tables *t, struct lane *l, const uint8_t family) {
	l->flow = flow_find_in(w->flows, family, &l->key, l->hash, w->now);
	if (l->flow != NULL)
		rte_prefetch0(&t->backends[l->flow->backend]);
	if (l->way != WAY_IN)
		rte_prefetch0(&t->frontends[l->key.id]);
}

// moves: of the flow table when flows were found; entries stay where they were until it changes. A flow that was not there may have been made
// by an earlier packet of the burst.
LANE bool deliver(struct worker *w, const struct tables *t, struct lane *l, uint32_t moves,
		  const uint8_t family) {
	struct flow *f = l->flow;

	if (f == NULL || unlikely(flow_moves(w->flows) != moves))
		f = flow_find_in(w->flows, family, &l->key, l->hash, w->now);
	return f != NULL ? deliver_known(w, t, l, f, family) : deliver_new(w, t, l, family);
}

static void tell(const struct worker *w, const struct tables *t, const struct lane *l,
		 uint64_t trace) {
	struct verdict v = {.trace = trace,
			    .fate = FATE_SENT,
			    .reason = l->reason,
			    .service = l->frontend.service,
			    .backend = l->backend};

	w->dp->trace(w->dp->trace_ctx, t, &v);
}

static inline bool read_frame(const struct tables *t, struct lane *l, struct rte_mbuf *m) {
	const struct tables_port *port = &t->ports[m->port];
	uint32_t len = rte_pktmbuf_data_len(m);
	uint16_t ethertype, l3;

	l->m = m;
	l->data = rte_pktmbuf_mtod(m, uint8_t *);
	if (len < 42 || !is_addressed(port, l->data))
		return false;
	l3 = l3_offset(port, l->data, &ethertype);
	if (l3 == 0)
		return false;
	if (ethertype == rte_cpu_to_be_16(0x0800))
		return read_packet(t, l, len, l3, 4);
	if (ethertype == rte_cpu_to_be_16(0x86dd))
		return read_packet(t, l, len, l3, 6);
	return false;
}

// Frames -> lanes; the others go to rest. Returns the number of lanes.
static uint16_t read_all(const struct tables *t, struct lane *lanes, struct rte_mbuf **m,
			 uint16_t n, struct rte_mbuf **rest, uint16_t *n_rest) {
	uint16_t lane = 0;

	for (uint16_t i = 0; i < n && i < AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + AHEAD], void *));
		if (read_frame(t, &lanes[lane], m[i]))
			lane++;
		else
			rest[(*n_rest)++] = m[i];
	}
	return lane;
}

// True when some are answers of fullnat.
static bool name_all(const struct worker *w, const struct tables *t, struct lane *lanes, uint16_t n,
		     bool handed_over) {
	bool origins = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		l->handed_over = handed_over;
		if (!(l->p.family == 4 ? name_packet(w, t, l, 4) : name_packet(w, t, l, 6)))
			l->way = WAY_ASIDE;
		origins |= l->way == WAY_BACK_SNAT;
	}
	return origins;
}

static void find_origins(struct worker *w, const struct tables *t, struct lane *lanes, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (l->way == WAY_BACK_SNAT &&
		    !(l->p.family == 4 ? name_origin(w, t, l, 4) : name_origin(w, t, l, 6)))
			l->way = WAY_ASIDE;
	}
}

static void find_all(struct worker *w, const struct tables *t, struct lane *lanes, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (l->way == WAY_ASIDE)
			continue;
		if (l->p.family == 4)
			find(w, t, l, 4);
		else
			find(w, t, l, 6);
	}
}

static void deliver_all(struct worker *w, const struct tables *t, struct lane *lanes, uint16_t n,
			struct rte_mbuf **rest, uint16_t *n_rest) {
	uint32_t moves = flow_moves(w->flows);

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];
		uint64_t trace = w->dp->trace == NULL ? 0 : worker_trace_get(w->dp, l->m);

		if (l->way == WAY_ASIDE ||
		    !(l->p.family == 4 ? deliver(w, t, l, moves, 4) : deliver(w, t, l, moves, 6)))
			rest[(*n_rest)++] = l->m;
		else if (w->dp->trace != NULL)
			tell(w, t, l, trace);
	}
}

uint16_t lane_burst(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		    bool handed_over, struct rte_mbuf **rest) {
	uint16_t n_rest = 0, lanes = read_all(t, w->lanes, m, n, rest, &n_rest);

	LAP("read");
	if (name_all(w, t, w->lanes, lanes, handed_over))
		find_origins(w, t, w->lanes, lanes);
	LAP("name");
	find_all(w, t, w->lanes, lanes);
	LAP("find");
	deliver_all(w, t, w->lanes, lanes, rest, &n_rest);
	LAP("deliver");
	return n_rest;
}
