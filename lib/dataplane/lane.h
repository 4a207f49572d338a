// SPDX-License-Identifier: Apache-2.0
// The short way: what its passes share. Read lane.c first: it says what they are for, and calls them.
//
//     lane.c          the order of the passes
//     lane_read.c     frames -> lanes
//     lane_name.c     lanes -> flows
//     lane_new.c      backends for flows that are not there yet
//     lane_deliver.c  flows -> frames
#ifndef SLUICE_DATAPLANE_LANE_H
#define SLUICE_DATAPLANE_LANE_H

#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include "dataplane/stages.h"

// A pass is one inline core with a variant for each family: `family` is a constant wherever it is an argument.
#define LANE static inline __attribute__((always_inline))

#define LANE_SPECIAL_FLAGS (PARSE_TCP_FIN | PARSE_TCP_SYN | PARSE_TCP_RST)

// All that a burst has in common. Passes copy it: stores into packets might change what it points at, for all that a compiler knows.
struct lane_burst {
	struct worker *w;
	const struct tables *t;
	struct flow_table *flows;
	uint32_t now;
	bool any_owner; // one worker, or packets that were handed over to their owner
	bool traced;    // somebody wants to be told
};

struct lanes { // how far they are filled: IPv4 grows up, IPv6 down; and the number of packets for the stages
	struct lane *end4, *begin6;
	uint16_t answers[2]; // IPv4, IPv6: packets to no frontend, so perhaps answers
	uint16_t rest;
};

// Frames -> lanes; the others go to rest.
struct lanes lane_read(const struct tables *t, struct lane *lanes, struct rte_mbuf **m, uint16_t n,
		       struct rte_mbuf **rest);
// Frontends, and the buckets of their flows. True when some packets are not to a frontend.
bool lane_name(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family);
// The same for those: endpoints, and the flows that their answers belong to. True when some of these must be found.
bool lane_name_answers(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family);
// Flows. True when some packets have none.
bool lane_find(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family);
// Backends for those that may begin one.
void lane_choose(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family);
// Sends what it can, the others go to rest behind n_rest that are there. Returns their number.
uint16_t lane_deliver(const struct lane_burst *b, struct lane *lanes, uint16_t n,
		      struct rte_mbuf **rest, uint16_t n_rest, uint8_t family);

// --- a packet ---

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

LANE bool is_flow_sought(const struct lane *l) {
	return l->way < WAY_VOUCHED;
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

// --- the maps of (address, port, protocol) ---

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

// --- new flows ---

LANE struct flow_new new_of(const struct lane_burst *b, const struct lane *l) {
	const struct backend *backend = &b->t->backends[l->backend];
	struct flow_new n = {.backend = l->backend,
			     .endpoint = backend->endpoint,
			     .gen = backend->gen,
			     .protocol = l->p.protocol,
			     .starts = true};

	if (l->frontend.mode == TABLES_FULLNAT) {
		n.back = FLOW_BACK_SNAT;
		n.drawn = l->drawn;
		set_own_ports(b->w, b->t, &n);
	}
	return n;
}

#endif
