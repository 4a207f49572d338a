// SPDX-License-Identifier: Apache-2.0
// A new flow: its share of the table, room for it (or who gives way), its entry and its way back.
#include <errno.h>

#include "flow/flow_create.h"

// Who gives way first. Values follow enum flow_evicted; STAYS: nobody takes its place.
static unsigned rank_of(const struct flow *f, bool starts) {
	const unsigned stays = FLOW_EVICTED_IDLE + 1;

	if (f->state == FLOW_FREE || f->kind == FLOW_REVERSE)
		return stays;
	switch (f->state) {
	case FLOW_TCP_TIME_WAIT:
	case FLOW_TCP_CLOSE:
		return FLOW_EVICTED_CLOSING;
	case FLOW_TCP_SYN_SENT:
	case FLOW_TCP_SYN_RECV:
		return FLOW_EVICTED_HALF_OPEN;
	case FLOW_TCP_ESTABLISHED:
	case FLOW_UDP_STREAM:
		return starts ? stays : FLOW_EVICTED_IDLE;
	default:
		return FLOW_EVICTED_IDLE;
	}
}

// Remove what has expired in a bucket.
static void reclaim(struct flow_table *t, uint8_t family, uint32_t bucket, uint32_t now) {
	for (unsigned i = 0; i < flow_ways_of(family); i++) {
		struct flow *f = flow_slot(t, family, bucket, i);

		if (f->state != FLOW_FREE && flow_is_expired(t, f, now))
			flow_expire(t, family, f, now);
	}
}

struct victim {
	struct flow *flow;
	unsigned rank;
	uint32_t idle;
};

static void consider(const struct flow_table *t, uint8_t family, struct victim *v, struct flow *f,
		     unsigned rank, uint32_t now) {
	uint32_t idle;

	if (rank > v->rank)
		return;
	idle = flow_silence(t, family, f, now);
	if (rank < v->rank || (rank == v->rank && v->flow != NULL && idle > v->idle))
		*v = (struct victim){.flow = f, .rank = rank, .idle = idle};
}

// Evict the first in order among the ranks [from, to] in both buckets of a hash. Returns the slot that is free then, or NULL.
static struct flow *evict_one(struct flow_table *t, uint8_t family, uint64_t hash, unsigned from,
			      unsigned to, bool starts, uint32_t now) {
	const uint32_t buckets[2] = {flow_bucket_a(t, family, hash),
				     flow_bucket_b(t, family, hash)};
	struct victim v = {.flow = NULL, .rank = to + 1};

	for (unsigned b = 0; b < 2; b++) {
		for (unsigned i = 0; i < flow_ways_of(family); i++) {
			struct flow *f = flow_slot(t, family, buckets[b], i);
			unsigned rank = rank_of(f, starts);

			if (rank >= from)
				consider(t, family, &v, f, rank, now);
		}
	}
	if (v.flow != NULL)
		flow_evict(t, family, v.flow, (enum flow_evicted)v.rank, now);
	return v.flow;
}

static struct flow *room(struct flow_table *t, uint8_t family, uint64_t hash, bool starts,
			 uint32_t now) {
	uint32_t a = flow_bucket_a(t, family, hash);
	struct flow *slot;

	reclaim(t, family, a, now);
	slot = flow_slot_free(t, family, a);
	if (slot != NULL)
		return slot;
	reclaim(t, family, flow_bucket_b(t, family, hash), now);
	slot = flow_place_room(t, family, hash);
	if (slot != NULL)
		return slot;
	return evict_one(t, family, hash, FLOW_EVICTED_CLOSING, FLOW_EVICTED_IDLE, starts, now);
}

// A new half-open flow beyond the share takes the place of another one.
static int half_open_share(struct flow_table *t, uint8_t family, uint64_t hash, uint32_t now) {
	if (t->stats.half_open < t->half_open_limit)
		return 0;
	reclaim(t, family, flow_bucket_a(t, family, hash), now);
	reclaim(t, family, flow_bucket_b(t, family, hash), now);
	if (t->stats.half_open < t->half_open_limit)
		return 0;
	if (evict_one(t, family, hash, FLOW_EVICTED_HALF_OPEN, FLOW_EVICTED_HALF_OPEN, true, now) ==
	    NULL)
		return -EDQUOT;
	return 0;
}

// Is the reverse key held by a flow that lives? The holder's forward entry tells.
static bool is_held(struct flow_table *t, const struct flow_key *reverse, uint64_t hash,
		    uint32_t now) {
	const struct flow *holder = flow_find(t, reverse, hash, now);
	struct flow_key forward = *reverse;

	if (holder == NULL)
		return false;
	forward.kind = FLOW_FORWARD;
	forward.id = holder->backend;
	return flow_find(t, &forward, flow_hash(t, &forward), now) != NULL;
}

static int create_reverse(struct flow_table *t, const struct flow_key *k, const struct flow_new *n,
			  uint32_t now) {
	struct flow_key reverse = *k;
	struct flow is, *slot;
	uint64_t hash;

	reverse.kind = FLOW_REVERSE;
	reverse.id = n->endpoint;
	hash = flow_hash(t, &reverse);
	if (is_held(t, &reverse, hash, now))
		return -EADDRINUSE;
	slot = room(t, k->family, hash, n->starts, now);
	if (slot == NULL)
		return -ENOSPC;
	is = (struct flow){
		.id = n->endpoint,
		.kind = FLOW_REVERSE,
		.state = FLOW_UDP, // any but free: a reverse entry has no state
		.word = k->family == 4 ? k->addr[0] : 0,
		.port = k->port,
		.backend = k->id,
	};
	flow_place(t, k->family, slot, &reverse, hash, is);
	return 0;
}

static void undo_reverse(struct flow_table *t, const struct flow_key *k, const struct flow_new *n,
			 uint32_t now) {
	struct flow_key reverse = *k;

	reverse.kind = FLOW_REVERSE;
	reverse.id = n->endpoint;
	flow_displace(t, k->family, flow_find(t, &reverse, flow_hash(t, &reverse), now));
}

int flow_create_slow(struct flow_table *t, const struct flow_key *k, uint64_t hash,
		     const struct flow_new *n, uint32_t now, struct flow **out) {
	struct flow_port port = {.slot = NULL};
	struct flow *slot;
	int ret = 0;

	if (n->protocol == 6)
		ret = half_open_share(t, k->family, hash, now);
	if (ret == 0 && n->back == FLOW_BACK_SNAT)
		ret = snat_propose(t, k->family, n, now, &port);
	if (ret == 0 && n->back == FLOW_BACK_ENTRY) // first, as nothing evicts a reverse entry
		ret = create_reverse(t, k, n, now);
	if (ret < 0)
		return ret;

	slot = room(t, k->family, hash, n->starts, now);
	if (slot == NULL) {
		if (n->back == FLOW_BACK_ENTRY)
			undo_reverse(t, k, n, now);
		return -ENOSPC;
	}
	flow_put_forward(t, k->family, slot, k, hash, n, &port.is, now);
	if (port.slot != NULL)
		snat_take(t, k->family, &port, k, n);
	*out = slot;
	return 0;
}

int flow_create(struct flow_table *t, const struct flow_key *k, uint64_t hash,
		const struct flow_new *n, uint32_t now, struct flow **out) {
	return k->family == 4 ? flow_create_in(t, 4, k, hash, n, now, out)
			      : flow_create_in(t, 6, k, hash, n, now, out);
}
