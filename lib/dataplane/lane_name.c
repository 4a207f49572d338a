// SPDX-License-Identifier: Apache-2.0
// The short way from addresses to flows: frontends, endpoints, and the flow's bucket.
#include "dataplane/lane.h"

LANE void name_flow(const struct flow_table *flows, struct lane *l, bool port,
		    const uint8_t family) {
	l->hash = flow_hash_of(flows, family, l->client6, l->want);
	l->flow = flow_home(flows, family, l->hash);
	flow_prefetch(flows, family, l->hash, port);
}

// False: it is another worker's, and on its way there. Whether it is sound will be asked there.
LANE bool is_kept(const struct lane_burst *b, struct lane *l, uint16_t owner) {
	if (owner == b->w->id)
		return true;
	l->way = WAY_MOVED;
	move_frame(b->w, l->m, owner);
	return false;
}

LANE uint16_t owner_of_key(const struct lane_burst *b, const struct lane *l, bool by_address,
			   const uint8_t family) {
	const struct flow_key k = key_of(l, family);

	return tables_owner(b->t, family, k.addr, k.port, by_address);
}

LANE void name_in(const struct lane_burst *b, struct lane *l, struct frontend_ref to,
		  const uint8_t family) {
	if (!frontend_ref_is_plain(to)) {
		l->way = WAY_ASIDE;
		return;
	}
	l->frontend = to;
	set_key_of(l, src_of(l, family), src_port_of(l, family), to.id, family);
	if (!b->any_owner && !tables_is_receivers(b->t, to) &&
	    !is_kept(b, l, owner_of_key(b, l, to.owner_by_address, family)))
		return;
	name_flow(b->flows, l, to.mode == TABLES_FULLNAT, family);
}

// True when some are not to a frontend.
LANE bool name_all(const struct lane_burst burst, struct lane *lanes, uint16_t n,
		   const uint8_t family) {
	const struct lane_burst *b = &burst;
	const struct tuple_map *map = b->t->frontend_map;
	bool others = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];
		struct frontend_ref to;

		if (l->way != WAY_IN) {
			others = true;
		} else if (find_slot(l, map, dst_of(l, family), &to, family)) {
			name_in(b, l, to, family);
		} else {
			others = true;
			name_endpoint(b->t, l, family);
		}
	}
	return others;
}

bool lane_name(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family) {
	return family == 4 ? name_all(*b, lanes, n, 4) : name_all(*b, lanes, n, 6);
}

// --- answers ---

struct named { // what there is among a burst's answers: flows to be found, and snat entries
	bool flows, snats;
};

LANE bool name_snat(const struct lane_burst *b, struct lane *l, struct local_ref local,
		    struct endpoint_ref endpoint, struct named *named, const uint8_t family) {
	uint16_t port = rte_be_to_cpu_16(dst_port_of(l, family));
	uint8_t index = (uint8_t)local.snat_index;

	l->way = WAY_BACK_SNAT;
	l->endpoint_gen = (uint8_t)endpoint.gen;
	if (!(local.kinds & LOCAL_SNAT) || port < FLOW_FIRST_PORT)
		return false;
	if (!b->any_owner && !is_kept(b, l, tables_back_owner(b->t, family, endpoint, index, port)))
		return true;
	l->want.a = flow_snat_key(endpoint.id, index, port);
	l->hash = flow_snat_hash(b->flows, family, l->want.a);
	l->snat = flow_snat_home(b->flows, family, l->hash);
	flow_snat_prefetch(b->flows, family, l->hash);
	named->snats = true;
	return true;
}

LANE bool name_dnat(const struct lane_burst *b, struct lane *l, struct endpoint_ref endpoint,
		    struct named *named, const uint8_t family) {
	if (!endpoint.dnat || endpoint.ambiguous)
		return false;
	set_key_of(l, dst_of(l, family), dst_port_of(l, family), endpoint.frontend, family);
	if (!b->any_owner && !is_kept(b, l, owner_of_key(b, l, endpoint.owner_by_address, family)))
		return true;
	name_flow(b->flows, l, false, family);
	named->flows = true;
	return true;
}

// False: out of the ordinary.
LANE bool name_answer(const struct lane_burst *b, struct lane *l, struct named *named,
		      const uint8_t family) {
	struct endpoint_ref endpoint;
	struct local_ref local;
	uint32_t dst[4];

	if (!find_slot(l, b->t->endpoint_map, src_of(l, family), &endpoint, family))
		return false;
	l->endpoint = endpoint.id;
	if (!endpoint.fullnat) // a flow's client is not at an address of ours
		return name_dnat(b, l, endpoint, named, family);
	memcpy(dst, dst_of(l, family), family == 4 ? 4 : 16);
	if (tuple_find(b->t->local_map, family, dst, 0, 0, &local))
		return name_snat(b, l, local, endpoint, named, family);
	return name_dnat(b, l, endpoint, named, family);
}

LANE struct named name_answers(const struct lane_burst *b, struct lane *lanes, uint16_t n,
			       const uint8_t family) {
	struct named named = {false, false};

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (l->way == WAY_BACK_DNAT && !name_answer(b, l, &named, family))
			l->way = WAY_ASIDE;
	}
	return named;
}

// Nothing in the flow could change, nor would anybody be told.
LANE bool is_vouched(const struct lane_burst *b, const struct lane *l, const struct snat *s) {
	return (l->p.tcp_flags & LANE_SPECIAL_FLAGS) == 0 && !b->traced &&
	       flow_snat_vouches(b->flows, s, l->endpoint_gen, b->now);
}

// The snat entry names the flow. True when some must be found.
LANE bool name_origins(const struct lane_burst *b, struct lane *lanes, uint16_t n,
		       const uint8_t family) {
	bool sought = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];
		struct snat *s;

		if (l->way != WAY_BACK_SNAT)
			continue;
		s = flow_snat_seek(b->flows, family, l->hash, l->want.a, l->snat);
		if (s == NULL) {
			l->way = WAY_ASIDE;
			continue;
		}
		l->want = flow_snat_want(family, s, l->client6);
		if (is_vouched(b, l, s)) {
			l->way = WAY_VOUCHED;
			flow_snat_note(b->flows, s, b->now);
			rte_prefetch0(&b->t->frontends[frontend_of(l)]);
		} else {
			l->snat = s;
			name_flow(b->flows, l, false, family);
			sought = true;
		}
	}
	return sought;
}

LANE bool name_all_answers(const struct lane_burst b, struct lane *lanes, uint16_t n,
			   const uint8_t family) {
	struct named named = name_answers(&b, lanes, n, family);

	return (named.snats && name_origins(&b, lanes, n, family)) | named.flows;
}

bool lane_name_answers(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family) {
	return family == 4 ? name_all_answers(*b, lanes, n, 4) : name_all_answers(*b, lanes, n, 6);
}

// --- flows ---

// What chooses a new flow's backend.
LANE void fetch_choice(const struct tables *t, const struct lane *l) {
	if (l->way != WAY_IN)
		return;
	rte_prefetch0(&t->frontends[frontend_of(l)]);
	rte_prefetch0(t->services[l->frontend.service]);
}

// True when some packets have no flow.
LANE bool find_all(const struct lane_burst burst, struct lane *lanes, uint16_t n,
		   const uint8_t family) {
	const struct lane_burst *b = &burst;
	const struct backend *backends = b->t->backends;
	bool missing = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (!is_flow_sought(l))
			continue;
		l->flow = flow_seek(b->flows, family, l->client6, l->want, l->hash, l->flow);
		if (l->flow != NULL) {
			rte_prefetch0(&backends[l->flow->backend]);
		} else {
			missing = true;
			fetch_choice(b->t, l);
		}
		if (l->way != WAY_IN)
			rte_prefetch0(&b->t->frontends[frontend_of(l)]);
	}
	return missing;
}

bool lane_find(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family) {
	return family == 4 ? find_all(*b, lanes, n, 4) : find_all(*b, lanes, n, 6);
}
