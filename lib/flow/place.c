// SPDX-License-Identifier: Apache-2.0
// Which slot an entry gets: two buckets, a bounded breadth-first search for room, and the chains that find rests on.
//
//     x wants A or B, both full:   A [p q r s]   B [t u v w]
//     p's other bucket is C, full; q's is D, which has room:   q -> D, x -> q's slot
//
// An entry in its second bucket costs its look-ups a second line. So a way to room has a price: how many more entries are in their second
// bucket after it (x to B: 1; q sent away from its A: 1; q sent home: -1). A way that costs nothing is taken at once; a dearer one
// only after the nearest CHEAP buckets have shown none. Breadth first, so ways are short. A bucket may appear twice in the search, but
// never twice on one path: the moves are made from the free end backwards, and each must find what the search saw. The order is fixed,
// so a replay repeats itself.
#include "flow/flow_private.h"

// Buckets that one search looks at. At 85 % load two entries a bucket (IPv6) need more than 100 once in ten thousand times.
#define SEARCH 256
// Beyond the load that the table is meant for, room has to come from eviction: a flood of new flows must not cost a long search each.
#define SEARCH_SHORT 12

// Buckets that one search looks at for a way that costs no look-up a second line.
#define CHEAP 12

struct node {
	uint32_t bucket;
	int16_t parent; // index, or -1
	uint8_t slot;   // of the parent: whose entry would move here
	int8_t price;   // of a free slot here
};

static void chain_set(struct flow_table *t, uint8_t family, uint32_t bucket, uint32_t chain) {
	for (unsigned i = 0; i < flow_ways_of(family); i++)
		flow_slot(t, family, bucket, i)->chain = (chain >> (4 * i)) & 15;
}

void flow_place_count(struct flow_table *t, uint8_t family, uint32_t bucket, int n) {
	uint32_t chain = flow_chain(t, family, bucket);

	if (chain < flow_chain_max(family))
		chain_set(t, family, bucket, chain + (uint32_t)n);
}

static void slot_clear(struct flow_table *t, uint8_t family, struct flow *f) {
	*f = (struct flow){.chain = f->chain};
	memset(flow_record(t, family, f), 0, sizeof(struct flow_record));
	if (family != 4)
		memset(flow_addr6(f), 0, sizeof(struct flow6) - sizeof(struct flow));
}

static uint64_t hash_of(const struct flow_table *t, uint8_t family, const struct flow *f) {
	const struct flow_key k = flow_key_of(family, f);

	return flow_hash_in(t, family, &k);
}

// Move an entry to a free slot of its other bucket.
static void move(struct flow_table *t, uint8_t family, struct flow *from, struct flow *to) {
	uint32_t a = flow_bucket_a(t, family, hash_of(t, family, from));
	unsigned chain = to->chain;

	*to = *from;
	to->chain = chain & 15;
	*flow_record(t, family, to) = *flow_record(t, family, from);
	if (family != 4)
		memcpy(flow_addr6(to), flow_addr6(from),
		       sizeof(struct flow6) - sizeof(struct flow));
	slot_clear(t, family, from);
	flow_place_count(t, family, a, flow_bucket_of(t, family, to) == a ? -1 : 1);
	t->moves++;
}

void flow_place_home(struct flow_table *t, uint8_t family, struct flow *f) {
	uint32_t a = flow_bucket_a(t, family, hash_of(t, family, f));
	struct flow *slot = a == flow_bucket_of(t, family, f) ? NULL : flow_slot_free(t, family, a);

	if (slot != NULL)
		move(t, family, f, slot);
}

static bool on_path(const struct node *nodes, int at, uint32_t bucket) {
	for (; at >= 0; at = nodes[at].parent)
		if (nodes[at].bucket == bucket)
			return true;
	return false;
}

// Queue the other buckets of all entries of node `at`; returns the new end of the queue.
static int expand(const struct flow_table *t, uint8_t family, struct node *nodes, int at, int n,
		  int bound) {
	uint32_t here = nodes[at].bucket;

	for (unsigned i = 0; i < flow_ways_of(family) && n < bound; i++) {
		uint64_t hash = hash_of(t, family, flow_slot(t, family, here, i));
		uint32_t a = flow_bucket_a(t, family, hash);
		uint32_t other = a == here ? flow_bucket_b(t, family, hash) : a;
		int price = nodes[at].price + (a == here ? 1 : -1);

		if (on_path(nodes, at, other))
			continue;
		__builtin_prefetch(flow_slot(t, family, other, 0), 1);
		nodes[n++] = (struct node){.bucket = other,
					   .parent = (int16_t)at,
					   .slot = (uint8_t)i,
					   .price = (int8_t)price};
	}
	return n;
}

// Make the moves from node `at`, whose bucket has the free slot, up to a root. Returns the slot freed there.
static struct flow *unwind(struct flow_table *t, uint8_t family, const struct node *nodes, int at,
			   struct flow *slot) {
	for (; nodes[at].parent >= 0; at = nodes[at].parent) {
		struct flow *from = flow_slot(t, family, nodes[nodes[at].parent].bucket,
					      nodes[at].slot);

		move(t, family, from, slot);
		slot = from;
	}
	return slot;
}

static struct flow *search(struct flow_table *t, uint8_t family, uint32_t a, uint32_t b) {
	struct node nodes[SEARCH];
	int bound = t->used[family != 4] < t->search_short[family != 4] ? SEARCH : SEARCH_SHORT;
	int n = 2, best = -1;

	nodes[0] = (struct node){.bucket = a, .parent = -1, .price = 0};
	nodes[1] = (struct node){.bucket = b, .parent = -1, .price = 1};
	for (int at = 0; at < n; at++) {
		if (flow_slot_free(t, family, nodes[at].bucket) == NULL)
			n = expand(t, family, nodes, at, n, bound);
		else if (best < 0 || nodes[at].price < nodes[best].price)
			best = at;
		if (best >= 0 && (at >= CHEAP || nodes[best].price <= 0))
			break;
	}
	if (best < 0)
		return NULL;
	return unwind(t, family, nodes, best, flow_slot_free(t, family, nodes[best].bucket));
}

struct flow *flow_place_room(struct flow_table *t, uint8_t family, uint64_t hash) {
	return search(t, family, flow_bucket_a(t, family, hash), flow_bucket_b(t, family, hash));
}

void flow_displace(struct flow_table *t, uint8_t family, struct flow *f) {
	uint32_t a = flow_bucket_a(t, family, hash_of(t, family, f));
	bool away = flow_bucket_of(t, family, f) != a;

	slot_clear(t, family, f);
	if (away)
		flow_place_count(t, family, a, -1);
	t->used[family != 4]--;
	t->moves++;
}
