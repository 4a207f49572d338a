// SPDX-License-Identifier: Apache-2.0
// A new flow that finds everything as usual, inline: the half-open share is not used up, its first bucket has a free slot, and so has the bucket of
// the SNAT port that was drawn for it. Whatever else there is is create.c's. For those who make flows at the rate of packets; others call flow_create().
#ifndef SLUICE_FLOW_FLOW_CREATE_H
#define SLUICE_FLOW_FLOW_CREATE_H

#include <assert.h>

#include "flow/snat_space.h"

int flow_create_slow(struct flow_table *t, const struct flow_key *k, uint64_t hash,
		     const struct flow_new *n, uint32_t now, struct flow **out);

// Put an entry into a free slot of either bucket; is has the whole key but IPv6's address.
FLOW_CORE void flow_place(struct flow_table *t, const uint8_t family, struct flow *slot,
			  const struct flow_key *k, uint64_t hash, struct flow is) {
	uint32_t a = flow_bucket_a(t, family, hash);

	is.chain = slot->chain;
	*slot = is;
	if (family != 4)
		memcpy(flow_addr6(slot), k->addr, sizeof(k->addr));
	if (flow_bucket_of(t, family, slot) != a)
		flow_place_count(t, family, a, 1);
	t->used[family != 4]++;
}

// By shifts, as flow_want(): gcc 12 writes the bit fields one by one, and each waits for the store of the one before.
FLOW_CORE void flow_put_record(struct flow_record *r, const struct flow_draw *port,
			       uint32_t endpoint, uint32_t now) {
	const uint64_t created = now / FLOW_TICKS & FLOW_TIME_MASK;
	const uint64_t word = created << (16 + FLOW_SNAT_BITS + FLOW_ID_BITS) |
			      (uint64_t)endpoint << (16 + FLOW_SNAT_BITS) |
			      (uint64_t)port->index << 16 | port->port;

	memcpy(r, &word, sizeof(word));
}

FLOW_CORE void flow_put_forward(struct flow_table *t, const uint8_t family, struct flow *slot,
				const struct flow_key *k, uint64_t hash, const struct flow_new *n,
				const struct flow_draw *port, uint32_t now) {
	const struct flow is = {
		.id = k->id,
		.kind = FLOW_FORWARD,
		.state = n->protocol == 6 ? FLOW_TCP_SYN_SENT : FLOW_UDP,
		.has_reverse = n->back != FLOW_BACK_NONE,
		.word = family == 4 ? k->addr[0] : (uint32_t)port->index << 16 | port->port,
		.port = k->port,
		.backend = n->backend,
		.gen = n->gen & ((1u << FLOW_GEN_BITS) - 1),
		.last = now & FLOW_TIME_MASK,
	};

	flow_place(t, family, slot, k, hash, is);
	flow_put_record(flow_record(t, family, slot), port, n->endpoint, now);
	flow_count_add(t, n->backend, 1);
	flow_stat_add(&t->stats.flows[family != 4], 1);
	flow_stat_add(&t->stats.created, 1);
	if (n->protocol == 6)
		flow_stat_add(&t->stats.half_open, 1);
}

// Write a used entry into a free slot.
FLOW_CORE void snat_put(struct flow_table *t, const uint8_t family, struct snat *slot,
			const struct flow_draw *port, const struct flow_key *k,
			const struct flow_new *n) {
	*slot = (struct snat){
		.endpoint = n->endpoint,
		.index = port->index,
		.port = port->port,
		.state = n->protocol == 6 ? SNAT_TCP : SNAT_UDP,
		.client_port = k->port,
		.chain = slot->chain,
		.word = family == 4 ? k->addr[0] : 0,
		.frontend = k->id,
	};
	if (family != 4)
		memcpy(snat_addr6(slot), k->addr, sizeof(k->addr));
	snat_cursor_of(t, n->endpoint)->used++;
}

// What flow_create_in() counts for a backend.
FLOW_CORE void flow_prefetch_count(const struct flow_table *t, uint32_t backend) {
	__builtin_prefetch((const uint32_t *)flow_at(t, t->counts_at) + backend, 1);
}

// Before a burst of flow_create_in() with FLOW_BACK_SNAT: the port that the endpoint comes to when those drawn before have been taken. Its
// bucket is then on its way. Reads endpoint, ports and rss_part; changes nothing but *ahead.
FLOW_CORE void flow_port_draw(const struct flow_table *t, const uint8_t family,
			      const struct flow_new *n, struct flow_ahead *ahead,
			      struct flow_draw *out) {
	const struct snat_space space = snat_space_of(t, family, n);
	struct flow_ahead_of *last = &ahead->of[n->endpoint % FLOW_AHEAD];
	uint32_t word = last->endpoint == n->endpoint + 1 ? last->next
							  : snat_cursor_of(t, n->endpoint)->at;
	struct snat_place at = snat_place_of(&space, word);
	uint32_t next = snat_place_word(snat_step_next(&space, at, false));
	uint16_t port = snat_port_at(&space, at);
	uint64_t hash = flow_snat_hash(t, family,
				       flow_snat_key(n->endpoint, (uint8_t)at.index, port));

	flow_snat_prefetch(t, family, hash);
	last->endpoint = n->endpoint + 1;
	last->next = next;
	out->hash = hash;
	out->at = word;
	out->next = next;
	out->port = port;
	out->index = (uint8_t)at.index;
}

// A free slot for the port that was drawn, where it is the one whose turn it is, and its first bucket alone tells that nobody has it; else NULL.
FLOW_CORE struct snat *snat_usual_slot(const struct flow_table *t, const uint8_t family,
				       const struct flow_new *n) {
	uint32_t a = snat_bucket_a(t, family, n->drawn.hash);
	struct snat *home = snat_slot(t, family, a, 0);

	if (n->drawn.port < FLOW_FIRST_PORT || snat_cursor_of(t, n->endpoint)->at != n->drawn.at ||
	    snat_chain_in(family, home) != 0 ||
	    snat_match(family, home, flow_snat_key(n->endpoint, n->drawn.index, n->drawn.port)) !=
		    NULL)
		return NULL;
	return snat_slot_free(t, family, a);
}

// From copies: whose address is taken lies in memory, and the usual case's key and flow_new stay in registers.
FLOW_CORE int flow_create_otherwise(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				    const struct flow_new *n, uint32_t now, struct flow **out) {
	const struct flow_key key = *k;
	const struct flow_new new = *n;
	struct flow *slot = NULL;
	int ret = flow_create_slow(t, &key, hash, &new, now, &slot);

	*out = slot;
	return ret;
}

// flow_create() with the family as an argument of its own: where it is a constant, the other family's code is gone.
FLOW_CORE int flow_create_in(struct flow_table *t, const uint8_t family, const struct flow_key *k,
			     uint64_t hash, const struct flow_new *n, uint32_t now,
			     struct flow **out) {
	struct flow *slot = flow_slot_free(t, family, flow_bucket_a(t, family, hash));
	struct snat *snat = NULL;

	assert(k->kind == FLOW_FORWARD && n->backend < t->max_backends);
	assert(n->back == FLOW_BACK_NONE || n->endpoint < t->max_endpoints);
	if (slot == NULL || n->back == FLOW_BACK_ENTRY ||
	    (n->protocol == 6 && t->stats.half_open >= t->half_open_limit))
		return flow_create_otherwise(t, k, hash, n, now, out);
	if (n->back == FLOW_BACK_SNAT) {
		snat = snat_usual_slot(t, family, n);
		if (snat == NULL)
			return flow_create_otherwise(t, k, hash, n, now, out);
	}
	flow_put_forward(t, family, slot, k, hash, n, &n->drawn, now);
	if (n->back == FLOW_BACK_SNAT) {
		snat_put(t, family, snat, &n->drawn, k, n);
		snat_cursor_of(t, n->endpoint)->at = n->drawn.next;
	}
	*out = slot;
	return 0;
}

#endif
