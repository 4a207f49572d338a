// SPDX-License-Identifier: Apache-2.0
// The short way of a new flow to its backend, in three short passes over a burst's new flows: each reads what the one before has fetched.
#include "dataplane/lane.h"

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
	flow_prefetch(b->w->flows, family, l->hash, true);
	return true;
}

LANE void choose(const struct lane_burst *b, struct lane *l) {
	const struct service *s = b->t->services[l->frontend.service];

	l->backend = s->usable[s->table.size == 0 ? 0 : maglev_find(&s->table, l->choice)];
	rte_prefetch0(&b->t->backends[l->backend]);
}

LANE void choose_all(const struct lane_burst *b, struct lane *lanes, uint16_t n,
		     const uint8_t family) {
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

void lane_choose(const struct lane_burst *b, struct lane *lanes, uint16_t n, uint8_t family) {
	if (family == 4)
		choose_all(b, lanes, n, 4);
	else
		choose_all(b, lanes, n, 6);
}
