// SPDX-License-Identifier: Apache-2.0
// The short way: plain TCP and UDP packets that need nothing but their flow, in passes over the burst.
//
//     read      frame -> addresses, ports; the frontend map's slot is on its way, or the endpoint map's where there is no such frontend
//     name      frontend -> hash; the flow's bucket is on its way
//     answers   endpoint -> hash of the flow's key (dnat), or of the snat entry, which names the key (fullnat); only where there are some
//     find      the flow; its backend is on its way
//     choose    for new flows: slot of the look-up table -> backend -> SNAT port; only where there are some
//     deliver   backend -> next hop -> bytes -> transmit buffer
//
// Most packets are of this kind: no options, the port's own tag or none, no affinity, no source ranges, a next hop that is known. Whatever
// a pass finds out of the ordinary it leaves alone, untouched, for the stages (burst.c), which do everything from the start. So
// each rule is decided in one place, the stages; here stands only how the usual case passes them. What a known flow vouches for, that
// its client's address is a host's, say, is not asked again: parse_brief4(), parse_brief6().
//
// The two families' packets of a burst go through apart: IPv4 from the front of worker.lanes, IPv6 from its end, each through a
// variant of its own out of one inline core.
#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include "dataplane/stages.h"

#ifdef SLUICE_LAPS // tests/bench builds this file once more, to count the cycles of each pass
void bench_lap(const char *pass);
#define LAP(pass) bench_lap(pass)
#else
#define LAP(pass)
#endif

#define AHEAD 16 // frames whose first line is on its way
#define LANE static inline __attribute__((always_inline))

static const uint8_t special_flags = PARSE_TCP_FIN | PARSE_TCP_SYN | PARSE_TCP_RST;

LANE uint16_t l3_size(const uint8_t family) {
	return family == 4 ? 20 : 40;
}

LANE uint8_t *l4_of(const struct lane *l, const uint8_t family) {
	return l->ip + l3_size(family);
}

LANE const uint8_t *src_of(const struct lane *l, const uint8_t family) {
	return l->ip + (family == 4 ? 12 : 8);
}

LANE const uint8_t *dst_of(const struct lane *l, const uint8_t family) {
	return l->ip + (family == 4 ? 16 : 24);
}

LANE uint16_t src_port_of(const struct lane *l, const uint8_t family) {
	return parse_load16(l4_of(l, family));
}

LANE uint16_t dst_port_of(const struct lane *l, const uint8_t family) {
	return parse_load16(l4_of(l, family) + 2);
}

LANE bool has_snat(const struct tables *t, const uint8_t family) {
	return (family == 4 ? t->n_snat4 : t->n_snat6) > 0;
}

// The key of the packet's flow, as its entry has it.
LANE void set_key_of(struct lane *l, const void *client, uint16_t port, uint32_t frontend,
		     const uint8_t family) {
	uint64_t word = family == 4 ? parse_load32(client) : 0;

	l->want = (struct flow_words){.a = word << 32 | frontend, .b = port};
	if (family == 6)
		memcpy(l->client6, client, sizeof(l->client6));
}

LANE uint32_t frontend_of(const struct lane *l) {
	return (uint32_t)l->want.a & ((1u << FLOW_ID_BITS) - 1);
}

LANE struct flow_key key_of(const struct lane *l, const uint8_t family) {
	struct flow_key k = {.id = frontend_of(l),
			     .port = (uint16_t)l->want.b,
			     .family = family,
			     .kind = FLOW_FORWARD};

	if (family == 4)
		k.addr[0] = (uint32_t)(l->want.a >> 32);
	else
		memcpy(k.addr, l->client6, sizeof(k.addr));
	return k;
}

// --- read ---

// To our MAC, from another host's; the IP header begins at 14, or at 18 behind the port's own tag. NULL: not so.
LANE uint8_t *find_ip(const struct tables_port *port, uint8_t *frame, uint16_t *ethertype) {
	uint64_t mac = parse_load64(port->mac.b), to = parse_load64(frame),
		 from = parse_load64(frame + 6);

	if ((rte_le_to_cpu_64(to ^ mac) << 16) != 0 || (rte_le_to_cpu_64(from ^ mac) << 16) == 0 ||
	    (rte_le_to_cpu_64(from) & 1) != 0)
		return NULL;
	if (port->vlan == 0) {
		*ethertype = parse_load16(frame + 12);
		return frame + 14;
	}
	*ethertype = parse_load16(frame + 16);
	if (parse_load16(frame + 12) != rte_cpu_to_be_16(0x8100) ||
	    (rte_be_to_cpu_16(parse_load16(frame + 14)) & 0xfff) != port->vlan)
		return NULL;
	return frame + 18;
}

LANE uint64_t tuple_of(const struct lane *l, const uint8_t *addr, uint16_t port,
		       const uint8_t family) {
	return tuple_key4(family == 4 ? parse_load32(addr) : 0, port, l->p.protocol);
}

LANE uint64_t hash_of(const struct tuple_map *map, uint64_t tuple, const uint8_t *addr,
		      const uint8_t family) {
	uint64_t a[2];

	if (family == 4)
		return tuple_hash4(map, tuple);
	memcpy(a, addr, sizeof(a));
	return tuple_hash6(map, a, tuple);
}

// The slot where the search of a map of (address, port, protocol) begins: name it and fetch it.
LANE void name_slot(struct lane *l, const struct tuple_map *map, uint64_t tuple, uint64_t hash,
		    const uint8_t family) {
	l->tuple = tuple;
	l->hash = family == 4 ? tuple_start4(map, hash) : tuple_start6(map, hash);
	if (family == 4)
		rte_prefetch0(&map->slots4[l->hash]);
	else
		rte_prefetch0(&map->slots6[l->hash]);
}

LANE bool find_slot(const struct lane *l, const struct tuple_map *map, const uint8_t *addr,
		    void *value, const uint8_t family) {
	uint64_t a[2];

	if (family == 4)
		return tuple_find4_from(map, (uint32_t)l->hash, l->tuple, value);
	memcpy(a, addr, sizeof(a));
	return tuple_find6_from(map, (uint32_t)l->hash, a, l->tuple, value);
}

// Not to a frontend: from an endpoint, perhaps.
LANE void name_endpoint(const struct tables *t, struct lane *l, const uint8_t family) {
	const uint8_t *src = src_of(l, family);
	uint64_t tuple = tuple_of(l, src, src_port_of(l, family), family);

	l->way = WAY_BACK_DNAT; // until more is known
	name_slot(l, t->endpoint_map, tuple, hash_of(t->endpoint_map, tuple, src, family), family);
}

LANE void name_frontend(const struct tables *t, struct lane *l, const uint8_t family) {
	const struct tuple_map *map = t->frontend_map;
	const uint8_t *dst = dst_of(l, family);
	uint64_t tuple = tuple_of(l, dst, dst_port_of(l, family), family);
	uint64_t hash = hash_of(map, tuple, dst, family);

	if (!(family == 4 ? tuple_maybe4(map, hash) : tuple_maybe6(map, hash))) {
		name_endpoint(t, l, family);
		return;
	}
	l->way = WAY_IN;
	name_slot(l, map, tuple, hash, family);
}

LANE bool read_packet(const struct tables *t, struct lane *l, struct rte_mbuf *m, uint8_t *ip,
		      uint32_t room, const uint8_t family) {
	l->m = m;
	l->ip = ip;
	if (room < l3_size(family) + 8u ||
	    !(family == 4 ? parse_brief4(&l->p, ip, room) : parse_brief6(&l->p, ip, room)) ||
	    l->p.ttl <= 1)
		return false;
	name_frontend(t, l, family);
	return true;
}

struct filled { // of the lanes: IPv4 grows up, IPv6 down; and the number of packets for the stages
	struct lane *end4, *begin6;
	uint16_t rest;
};

LANE bool read_frame(const struct tables *t, struct rte_mbuf *m, struct filled *to) {
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip;
	uint32_t len = rte_pktmbuf_data_len(m);
	uint16_t ethertype;

	if (len < 42)
		return false;
	ip = find_ip(&t->ports[m->port], frame, &ethertype);
	if (ip == NULL)
		return false;
	len -= (uint32_t)(ip - frame);
	if (ethertype == rte_cpu_to_be_16(0x0800)) {
		if (!read_packet(t, to->end4, m, ip, len, 4))
			return false;
		to->end4++;
		return true;
	}
	if (ethertype != rte_cpu_to_be_16(0x86dd) || !read_packet(t, to->begin6 - 1, m, ip, len, 6))
		return false;
	to->begin6--;
	return true;
}

// Frames -> lanes; the others go to rest.
static struct filled read_all(const struct tables *t, struct lane *lanes, struct rte_mbuf **m,
			      uint16_t n, struct rte_mbuf **rest) {
	struct filled to = {.end4 = lanes, .begin6 = lanes + BURST};

	for (uint16_t i = 0; i < n && i < AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + AHEAD], void *));
		if (!read_frame(t, m[i], &to))
			rest[to.rest++] = m[i];
	}
	return to;
}

// --- name ---

LANE void name_flow(const struct worker *w, struct lane *l, bool record, const uint8_t family) {
	l->hash = flow_hash_of(w->flows, family, l->client6, l->want);
	l->flow = flow_home(w->flows, family, l->hash);
	flow_prefetch(w->flows, family, l->hash, record);
}

// All that a burst has in common.
struct burst {
	struct worker *w;
	const struct tables *t;
	bool any_owner; // one worker, or packets that were handed over to their owner
};

LANE bool is_owner(const struct burst *b, const struct lane *l, bool by_address,
		   const uint8_t family) {
	const struct flow_key k = key_of(l, family);

	return tables_owner(b->t, family, k.addr, k.port, by_address) == b->w->id;
}

LANE bool name_in(const struct burst *b, struct lane *l, const uint8_t family) {
	const struct tables *t = b->t;

	if (!frontend_ref_is_plain(l->frontend))
		return false;
	set_key_of(l, src_of(l, family), src_port_of(l, family), l->frontend.id, family);
	if (!b->any_owner && !tables_is_receivers(t, l->frontend) &&
	    !is_owner(b, l, l->frontend.owner_by_address, family))
		return false;
	name_flow(b->w, l, l->frontend.mode == TABLES_FULLNAT, family);
	return true;
}

// True when some are not to a frontend.
LANE bool name_all(const struct burst *b, struct lane *lanes, uint16_t n, const uint8_t family) {
	bool others = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (l->way != WAY_IN) {
			others = true;
		} else if (find_slot(l, b->t->frontend_map, dst_of(l, family), &l->frontend,
				     family)) {
			if (!name_in(b, l, family))
				l->way = WAY_ASIDE;
		} else {
			others = true;
			name_endpoint(b->t, l, family);
		}
	}
	return others;
}

// --- answers ---

LANE bool name_snat(const struct burst *b, struct lane *l, struct local_ref local,
		    struct endpoint_ref endpoint, const uint8_t family) {
	uint16_t port = rte_be_to_cpu_16(dst_port_of(l, family));

	l->way = WAY_BACK_SNAT;
	l->snat_index = (uint8_t)local.snat_index;
	l->snat_port = port;
	if (!(local.kinds & LOCAL_SNAT) || port < FLOW_FIRST_PORT)
		return false;
	if (!b->any_owner &&
	    tables_back_owner(b->t, family, endpoint, l->snat_index, port) != b->w->id)
		return false;
	l->hash = flow_snat_hash(b->w->flows, family, l->endpoint, l->snat_index, port);
	flow_snat_prefetch(b->w->flows, family, l->hash);
	return true;
}

LANE bool name_dnat(const struct burst *b, struct lane *l, struct endpoint_ref endpoint,
		    const uint8_t family) {
	if (!endpoint.dnat || endpoint.ambiguous)
		return false;
	set_key_of(l, dst_of(l, family), dst_port_of(l, family), endpoint.frontend, family);
	if (!b->any_owner && !is_owner(b, l, endpoint.owner_by_address, family))
		return false;
	name_flow(b->w, l, false, family);
	return true;
}

LANE bool name_answer(const struct burst *b, struct lane *l, const uint8_t family) {
	struct endpoint_ref endpoint;
	struct local_ref local;
	uint32_t dst[4];

	if (!find_slot(l, b->t->endpoint_map, src_of(l, family), &endpoint, family))
		return false;
	l->endpoint = endpoint.id;
	if (!endpoint.fullnat) // a flow's client is not at an address of ours
		return name_dnat(b, l, endpoint, family);
	memcpy(dst, dst_of(l, family), family == 4 ? 4 : 16);
	if (tuple_find(b->t->local_map, family, dst, 0, 0, &local))
		return name_snat(b, l, local, endpoint, family);
	return name_dnat(b, l, endpoint, family);
}

// True when some are answers of fullnat.
LANE bool name_answers(const struct burst *b, struct lane *lanes, uint16_t n,
		       const uint8_t family) {
	bool origins = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (l->way != WAY_BACK_DNAT)
			continue;
		if (!name_answer(b, l, family))
			l->way = WAY_ASIDE;
		origins |= l->way == WAY_BACK_SNAT;
	}
	return origins;
}

// The snat entry names the flow.
LANE void name_origins(const struct burst *b, struct lane *lanes, uint16_t n,
		       const uint8_t family) {
	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];
		struct flow_origin o;

		if (l->way != WAY_BACK_SNAT)
			continue;
		if (!flow_snat_find(b->w->flows, family, l->hash, l->endpoint, l->snat_index,
				    l->snat_port, &o)) {
			l->way = WAY_ASIDE;
			continue;
		}
		set_key_of(l, o.addr, o.port, o.frontend, family);
		name_flow(b->w, l, false, family);
	}
}

// --- find ---

// True when some packets have no flow.
LANE bool find_all(const struct burst *b, struct lane *lanes, uint16_t n, const uint8_t family) {
	const struct backend *backends = b->t->backends;
	bool missing = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (l->way == WAY_ASIDE)
			continue;
		l->flow = flow_seek(b->w->flows, family, l->client6, l->want, l->hash, l->flow);
		if (l->flow != NULL)
			rte_prefetch0(&backends[l->flow->backend]);
		else
			missing = true;
		if (l->way != WAY_IN)
			rte_prefetch0(&b->t->frontends[frontend_of(l)]);
	}
	return missing;
}

// --- choose: for flows that are not there yet, in three short passes, as each reads what the one before has fetched ---

// What no flow vouches for yet: everything that parse_frame() asks, and that no address of ours is the client's.
LANE bool is_sound(const struct tables *t, const struct lane *l, const uint8_t family) {
	uint32_t room = rte_pktmbuf_data_len(l->m) -
			(uint32_t)(l->ip - rte_pktmbuf_mtod(l->m, uint8_t *));
	struct parsed p;

	return (family == 4 ? parse_plain4(&p, l->ip, room, 0)
			    : parse_plain6(&p, l->ip, room, 0)) &&
	       !is_own_address(t, family, p.src);
}

LANE bool begins_flow(const struct lane *l) {
	return l->p.protocol != 6 ||
	       (l->p.tcp_flags & (special_flags | PARSE_TCP_ACK)) == PARSE_TCP_SYN;
}

LANE bool name_choice(const struct burst *b, struct lane *l, const uint8_t family) {
	const struct tables *t = b->t;
	const struct flow_key k = key_of(l, family);
	const struct service *s;

	if (l->way != WAY_IN || !begins_flow(l) || !is_sound(t, l, family))
		return false;
	s = t->services[l->frontend.service];
	if (s->n_usable == 0)
		return false;
	l->choice = tables_choice(&t->frontends[k.id], k.addr, k.port);
	if (s->table.size > 0)
		maglev_prefetch(&s->table, l->choice);
	flow_prefetch(b->w->flows, family, l->hash, true);
	return true;
}

LANE void choose(const struct burst *b, struct lane *l) {
	const struct service *s = b->t->services[l->frontend.service];

	l->backend = s->usable[s->table.size == 0 ? 0 : maglev_find(&s->table, l->choice)];
	rte_prefetch0(&b->t->backends[l->backend]);
}

LANE struct flow_new new_of(const struct burst *b, const struct lane *l) {
	const struct backend *backend = &b->t->backends[l->backend];
	struct flow_new n = {.backend = l->backend,
			     .endpoint = backend->endpoint,
			     .gen = backend->gen,
			     .protocol = l->p.protocol,
			     .starts = true};

	if (l->frontend.mode == TABLES_FULLNAT) {
		n.back = FLOW_BACK_SNAT;
		set_own_ports(b->w, b->t, &n);
	}
	return n;
}

LANE void choose_all(const struct burst *b, struct lane *lanes, uint16_t n, const uint8_t family) {
	struct lane *new[BURST];
	uint16_t n_new = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (lanes[i].way == WAY_ASIDE || lanes[i].flow != NULL)
			continue;
		if (name_choice(b, &lanes[i], family))
			new[n_new++] = &lanes[i];
		else
			lanes[i].way = WAY_ASIDE;
	}
	for (uint16_t i = 0; i < n_new; i++)
		choose(b, new[i]);
	for (uint16_t i = 0; i < n_new; i++) {
		struct flow_new f;

		if (new[i]->frontend.mode != TABLES_FULLNAT || !has_snat(b->t, family))
			continue;
		f = new_of(b, new[i]);
		flow_port_prefetch(b->w->flows, family, &f);
	}
}

// --- deliver ---

struct deliver { // what a pass reads for every packet: stores into packets might change it, for all that a compiler knows
	const struct burst *burst;
	struct worker *w;
	const struct tables *t;
	const struct tables_port *ports;
	const struct backend *backends;
	const struct neighbor_table *neighbors;
	struct flow_table *flows;
	uint32_t now;
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
		     const struct flow_record *r, const uint8_t family) {
	struct rewrite_end dst = lane_end(b->addr, b->port, family), src;
	const struct ip_addr *snat;

	if (l->frontend.mode == TABLES_DNAT) {
		rewrite(l, family, NULL, &dst);
		return;
	}
	snat = family == 4 ? &d->t->snat4[r->snat_index] : &d->t->snat6[r->snat_index];
	src = lane_end(snat->b, rte_cpu_to_be_16((uint16_t)r->snat_port), family);
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
		const bool back) {
	flow_note(f, d->now);
	if (unlikely(!flow_is_settled(f, back, l->p.tcp_flags)))
		flow_advance(d->flows, f, ways_of_mode(mode), back, l->p.tcp_flags);
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
	touch(d, l, f, (uint8_t)l->frontend.mode, false);
	if (l->frontend.mode != TABLES_DSR)
		rewrite_in(d, l, b, flow_record(d->flows, family, f), family);
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
	touch(d, l, f, (uint8_t)front->ref.mode, true);
	rewrite_back(l, front, family);
	send_off(d, l, &hop, family);
	if (d->traced)
		tell(d, trace, REASON_REVERSE, front->ref.service, (uint32_t)f->backend);
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
	if (flow_create(d->flows, &key, l->hash, &n, d->now, &f) < 0)
		return false;
	if ((l->p.tcp_flags & PARSE_TCP_SYN) && mode != TABLES_DSR)
		clamp_mss(d->t, hop.port, family, l4_of(l, family),
			  (uint16_t)(l->p.l3_len - l3_size(family)));
	if (mode != TABLES_DSR)
		rewrite_in(d, l, b, flow_record(d->flows, family, f), family);
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

// moves: of the flow table when flows were found; entries stay where they were until it changes. A flow that was not there may have been made
// by an earlier packet of the burst.
LANE bool deliver(struct deliver *d, struct lane *l, uint32_t moves, const uint8_t family) {
	struct flow *f = l->flow;

	if (l->way == WAY_ASIDE)
		return false;
	if (f == NULL || unlikely(flow_moves(d->flows) != moves)) {
		struct flow_key k = key_of(l, family);

		f = flow_find_in(d->flows, family, &k, l->hash, d->now);
	}
	if (f == NULL) // one that was found was cleared since: nothing is chosen for it
		return l->flow == NULL && (family == 4 ? deliver_new4(d, l) : deliver_new6(d, l));
	if ((l->p.tcp_flags & special_flags) != 0 || flow_is_expired(d->flows, f, d->now))
		return false;
	return l->way == WAY_IN ? deliver_known_in(d, l, f, family)
				: deliver_known_back(d, l, f, family);
}

LANE uint16_t deliver_all(const struct burst *b, struct lane *lanes, uint16_t n,
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
			    .traced = w->dp->trace != NULL};
	uint32_t moves = flow_moves(w->flows);

	for (uint16_t i = 0; i < n; i++)
		if (!deliver(&d, &lanes[i], moves, family))
			rest[n_rest++] = lanes[i].m;
	return n_rest;
}

static __attribute__((noinline)) void choose_all4(const struct burst *b, struct lane *lanes,
						  uint16_t n) {
	choose_all(b, lanes, n, 4);
}

static __attribute__((noinline)) void choose_all6(const struct burst *b, struct lane *lanes,
						  uint16_t n) {
	choose_all(b, lanes, n, 6);
}

LANE uint16_t pass_all(const struct burst *b, struct lane *lanes, uint16_t n,
		       struct rte_mbuf **rest, uint16_t n_rest, const uint8_t family) {
	bool others = name_all(b, lanes, n, family);

	LAP("name");
	if (others && name_answers(b, lanes, n, family))
		name_origins(b, lanes, n, family);
	LAP("answers");
	if (find_all(b, lanes, n, family))
		family == 4 ? choose_all4(b, lanes, n) : choose_all6(b, lanes, n);
	LAP("find");
	n_rest = deliver_all(b, lanes, n, rest, n_rest, family);
	LAP("deliver");
	return n_rest;
}

static __attribute__((noinline)) uint16_t pass_all4(const struct burst *b, struct lane *lanes,
						    uint16_t n, struct rte_mbuf **rest,
						    uint16_t n_rest) {
	return pass_all(b, lanes, n, rest, n_rest, 4);
}

static __attribute__((noinline)) uint16_t pass_all6(const struct burst *b, struct lane *lanes,
						    uint16_t n, struct rte_mbuf **rest,
						    uint16_t n_rest) {
	return pass_all(b, lanes, n, rest, n_rest, 6);
}

uint16_t lane_burst(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		    bool handed_over, struct rte_mbuf **rest) {
	const struct burst b = {.w = w, .t = t, .any_owner = t->workers == 1 || handed_over};
	struct filled filled = read_all(t, w->lanes, m, n, rest);
	uint16_t n4 = (uint16_t)(filled.end4 - w->lanes),
		 n6 = (uint16_t)(w->lanes + BURST - filled.begin6);

	LAP("read");
	if (n4 > 0)
		filled.rest = pass_all4(&b, w->lanes, n4, rest, filled.rest);
	if (n6 > 0)
		filled.rest = pass_all6(&b, filled.begin6, n6, rest, filled.rest);
	return filled.rest;
}
