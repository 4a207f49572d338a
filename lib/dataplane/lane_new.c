// SPDX-License-Identifier: Apache-2.0
// The short way of a new flow to its backend, in three short passes over a burst's new flows: each reads what the one before has fetched.
#include "dataplane/lane.h"
#include "flow/flow_create.h"

// What no flow vouches for yet: that the addresses are hosts', and the client's is none of ours.
LANE bool is_sound(const struct tables *t, const struct lane *l, const uint8_t family) {
	const struct flow_key k = key_of(l, family);

	return (family == 4 ? parse_has_hosts4(l->ip) : parse_has_hosts6(l->ip)) &&
	       !is_own_address(t, family, k.addr);
}

LANE bool begins_flow(const struct lane *l) {
	return l->p.protocol != 6 ||
	       (l->p.tcp_flags & (LANE_SPECIAL_FLAGS | PARSE_TCP_ACK)) == PARSE_TCP_SYN;
}

LANE bool name_choice(const struct lane_burst *b, struct lane *l, const uint8_t family) {
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
	rte_prefetch0(s->usable);
	flow_prefetch_record(b->flows, family, l->hash);
	return true;
}

LANE void choose(const struct lane_burst *b, struct lane *l) {
	const struct service *s = b->t->services[l->frontend.service];

	l->backend = s->usable[s->table.size == 0 ? 0 : maglev_find(&s->table, l->choice)];
	rte_prefetch0(&b->t->backends[l->backend]);
	flow_prefetch_count(b->flows, l->backend);
}

LANE bool is_fullnat(const struct lane *l) {
	return l->frontend.mode == TABLES_FULLNAT;
}

LANE void draw_all(const struct lane_burst *b, struct lane *const *new, uint16_t n,
		   const uint8_t family) {
	struct flow_ahead ahead = {.of = {{0}}};

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = new[i];
		struct flow_new f = {.endpoint = b->t->backends[l->backend].endpoint};

		if (!is_fullnat(l))
			continue;
		set_own_ports(b->w, b->t, &f);
		flow_port_draw(b->flows, family, &f, &ahead, &l->drawn);
	}
}

LANE void choose_all(const struct lane_burst *b, struct lane *lanes, uint16_t n,
		     const uint8_t family) {
	struct lane *new[BURST];
	uint8_t seen[256] = {0}; // hashes of new flows, by their lowest byte
	uint16_t n_new = 0;
	bool fullnat = false;

	for (uint16_t i = 0; i < n; i++) {
		struct lane *l = &lanes[i];

		if (!is_flow_sought(l) || l->flow != NULL)
			continue;
		if (name_choice(b, l, family)) {
			l->twin = seen[(uint8_t)l->hash]++ != 0;
			new[n_new++] = l;
		} else {
			l->way = WAY_ASIDE;
		}
	}
	for (uint16_t i = 0; i < n_new; i++) {
		choose(b, new[i]);
		fullnat |= is_fullnat(new[i]);
	}
	if (fullnat && has_snat(b->t, family))
		draw_all(b, new, n_new, family);
}

void lane_choose(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family) {
	if (family == 4)
		choose_all(b, lanes, n, 4);
	else
		choose_all(b, lanes, n, 6);
}
