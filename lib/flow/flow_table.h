// SPDX-License-Identifier: Apache-2.0
// How a flow table lies in memory, for the inline look-ups and the library's own files; nobody else reads its fields.
// flow.h includes it, after the structs it needs; include that.
//
//     [header][flows 4][records 4][flows 6][records 6][snat 4][snat 6][port cursors][flows of each backend]
//
// Every part begins on a cache line, at an offset from the header: the block may be mapped anywhere. A bucket is one line: four
// struct flow, or two struct flow6; four struct snat, or two struct snat6. Everything after the flow's own hash is picked by
// multiply and shift, so that a table has as many buckets as were asked for, not the next power of two.
#ifndef SLUICE_FLOW_FLOW_TABLE_H
#define SLUICE_FLOW_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "flow/flow_line.h"

#define FLOW_LINE 64
#define FLOW_TIME_MASK ((1u << FLOW_TIME_BITS) - 1)

struct flow6 {
	uint32_t addr[4];
	struct flow flow;
};
_Static_assert(sizeof(struct flow6) == 32, "two to a cache line");

enum snat_state { SNAT_FREE, SNAT_TCP, SNAT_UDP, SNAT_RESTING }; // TCP, UDP: in use

// The last 16 bytes of an entry of fullnat's way back.
struct snat {
	uint64_t endpoint : 20, index : 6, port : 16; // the key; port: the SNAT port, host order
	uint64_t state : 2;                           // enum snat_state
	uint64_t client_port : 16;                    // network order
	uint64_t chain : 4;                           // of the bucket, as in struct flow
	uint32_t word; // IPv4: the client's address; resting: ticks when it was freed
	uint32_t frontend : 20;
	uint32_t gen : 3, heard : 9; // flow_snat_vouch(); gen 0: vouches for nothing
};
_Static_assert(sizeof(struct snat) == 16, "four to a cache line");

#define SNAT_UNITS 512
#define SNAT_SPAN 480

struct snat6 {
	uint32_t addr[4];
	struct snat snat;
};
_Static_assert(sizeof(struct snat6) == 32, "two to a cache line");

// Where an endpoint's next SNAT port is looked for, and how many it has in use.
struct snat_cursor {
	uint32_t at; // a place in the worker's ports (snat_space.h)
	uint32_t used;
};
_Static_assert(sizeof(struct snat_cursor) == 8, "");

// Arrays of two are by family: IPv4, IPv6.
struct flow_table {
	// Written at the start, read for every packet.
	uint64_t key[4];                                  // of the bucket hash
	uint64_t flows_at[2], records_at[2], snats_at[2]; // offsets
	uint32_t buckets[2], snat_buckets[2];
	uint32_t timeout[FLOW_STATES];
	// Of answers that snat entries vouch for, TCP and UDP: `heard` counts units of 2^shift ticks, of which a timeout has span, at most
	// SNAT_SPAN: what is left until it comes round is time for the sweep.
	struct {
		uint16_t shift, span;
	} heard[2];

	// Written at the start, read for new flows.
	uint32_t half_open_limit;
	uint32_t search_short[2];      // entries from which on a search for room is short
	uint32_t n_ports, port_stride; // of this worker, on each SNAT address
	uint16_t first_port, workers;
	uint8_t n_snat[2];
	uint64_t cursors_at, counts_at;
	uint32_t max_backends, max_endpoints;

	// Written by the owner, read by it.
	_Alignas(FLOW_LINE) uint32_t used[2]; // entries of both kinds
	uint32_t moves;
	uint32_t hand[2], snat_hand[2]; // next bucket of the sweep

	// Written by the owner, read by anyone.
	_Alignas(FLOW_LINE) struct flow_stats stats;
};

static inline void *flow_at(const struct flow_table *t, uint64_t offset) {
	return (char *)(uintptr_t)t + offset;
}

static inline unsigned flow_ways_of(uint8_t family) { // entries of a bucket
	return family == 4 ? 4 : 2;
}

// Entry i of a bucket.
static inline struct flow *flow_slot(const struct flow_table *t, uint8_t family, uint32_t bucket,
				     unsigned i) {
	char *line = (char *)flow_at(t, t->flows_at[family != 4]) + (uint64_t)bucket * FLOW_LINE;

	return family == 4 ? (struct flow *)line + i : &((struct flow6 *)line + i)->flow;
}

static inline uint32_t *flow_addr6(const struct flow *f) {
	return ((struct flow6 *)((uintptr_t)f - offsetof(struct flow6, flow)))->addr;
}

static inline uint64_t flow_index(const struct flow_table *t, uint8_t family,
				  const struct flow *f) {
	uint64_t at = (uint64_t)((const char *)f -
				 (const char *)flow_at(t, t->flows_at[family != 4]));

	return family == 4 ? at / sizeof(struct flow) : at / sizeof(struct flow6);
}

static inline uint32_t flow_bucket_of(const struct flow_table *t, uint8_t family,
				      const struct flow *f) {
	return (uint32_t)(flow_index(t, family, f) / flow_ways_of(family));
}

// 64 x 64 -> 128 bits, folded.
static inline uint64_t flow_mix(uint64_t a, uint64_t b) {
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t flow_scale(uint32_t hash, uint32_t n) { // 0 .. n - 1
	return (uint32_t)((uint64_t)hash * n >> 32);
}

// The two buckets of a hash among n > 1, from its halves and never the same.
static inline uint32_t flow_scale_a(uint64_t hash, uint32_t n) {
	return flow_scale((uint32_t)(hash >> 32), n);
}

static inline uint32_t flow_scale_b(uint64_t hash, uint32_t n) {
	uint32_t a = flow_scale_a(hash, n), b = flow_scale((uint32_t)hash, n);

	if (b != a)
		return b;
	return a + 1 < n ? a + 1 : 0;
}

static inline uint32_t flow_bucket_a(const struct flow_table *t, uint8_t family, uint64_t hash) {
	return flow_scale_a(hash, t->buckets[family != 4]);
}

static inline uint32_t flow_bucket_b(const struct flow_table *t, uint8_t family, uint64_t hash) {
	return flow_scale_b(hash, t->buckets[family != 4]);
}

static inline uint32_t flow_chain_max(uint8_t family) {
	return (1u << (4 * flow_ways_of(family))) - 1;
}

// The chain: the bits of all entries of a bucket are one number, how many entries that belong here first live in their
// second bucket. At its largest value it stays there for good: look-ups are then right and one line slower.
static inline uint32_t flow_chain_in(uint8_t family, const struct flow *bucket) {
	const struct flow *f = bucket;
	uint32_t chain = f->chain;

	for (unsigned i = 1; i < flow_ways_of(family); i++) {
		f += family == 4 ? 1 : 2;
		chain |= (uint32_t)f->chain << (4 * i);
	}
	return chain;
}

static inline uint32_t flow_chain(const struct flow_table *t, uint8_t family, uint32_t bucket) {
	return flow_chain_in(family, flow_slot(t, family, bucket, 0));
}

// A free slot of a bucket, NULL: none. Without a branch for each: which one it is is random.
static inline struct flow *flow_slot_free(const struct flow_table *t, uint8_t family,
					  uint32_t bucket) {
	unsigned free = 0;

	for (unsigned i = 0; i < flow_ways_of(family); i++)
		free |= (unsigned)(flow_slot(t, family, bucket, i)->state == FLOW_FREE) << i;
	return free == 0 ? NULL : flow_slot(t, family, bucket, (unsigned)__builtin_ctz(free));
}

static inline struct snat *snat_slot(const struct flow_table *t, uint8_t family, uint32_t bucket,
				     unsigned i) {
	char *line = (char *)flow_at(t, t->snats_at[family != 4]) + (uint64_t)bucket * FLOW_LINE;

	return family == 4 ? (struct snat *)line + i : &((struct snat6 *)line + i)->snat;
}

static inline struct snat_cursor *snat_cursor_of(const struct flow_table *t, uint32_t endpoint) {
	return (struct snat_cursor *)flow_at(t, t->cursors_at) + endpoint;
}

static inline uint32_t *snat_addr6(const struct snat *s) {
	return ((struct snat6 *)((uintptr_t)s - offsetof(struct snat6, snat)))->addr;
}

static inline uint32_t snat_bucket_a(const struct flow_table *t, uint8_t family, uint64_t hash) {
	return flow_scale_a(hash, t->snat_buckets[family != 4]);
}

static inline uint32_t snat_bucket_b(const struct flow_table *t, uint8_t family, uint64_t hash) {
	return flow_scale_b(hash, t->snat_buckets[family != 4]);
}

// As flow_slot_free().
static inline struct snat *snat_slot_free(const struct flow_table *t, uint8_t family,
					  uint32_t bucket) {
	unsigned free = 0;

	for (unsigned i = 0; i < flow_ways_of(family); i++)
		free |= (unsigned)(snat_slot(t, family, bucket, i)->state == SNAT_FREE) << i;
	return free == 0 ? NULL : snat_slot(t, family, bucket, (unsigned)__builtin_ctz(free));
}

static inline uint32_t snat_chain_in(uint8_t family, const struct snat *bucket) {
	const struct snat *s = bucket;
	uint32_t chain = s->chain;

	for (unsigned i = 1; i < flow_ways_of(family); i++) {
		s += family == 4 ? 1 : 2;
		chain |= (uint32_t)s->chain << (4 * i);
	}
	return chain;
}

#endif
