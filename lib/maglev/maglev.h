// SPDX-License-Identifier: Apache-2.0
// Maglev: a look-up table that spreads flows over backends in proportion to their weights, and that
// changes little when the set of backends changes. Every appliance that knows the same backends
// computes the same table.
//
// Each backend visits the slots in an order of its own and gets as many as its weight gives it of
// the whole:
//
//     slot(rank) = (offset + visit[rank] * skip) mod size      offset, skip: hashes of its address and port
//                                                              visit: one fixed shuffle of 0 .. size - 1
//
// Where several want a slot it goes to the one that comes to it at the lowest rank / weight (then
// the lowest address and port), and the others walk on: a stable matching, which is one and the
// same in whatever order they ask. That is section 3.4 of the paper with two changes. The paper
// gives a slot to whoever asks first, in turns, and walks straight. Straight walks of few backends
// are often in step with each other, and then one that leaves drags others along: of random sets of
// 3 to 20 backends about 2 % broke the 1 % law below, by up to threefold. With both changes a
// removal moves 0.2 to 0.5 % on average and 0.83 % at the worst of 2,600 random removals, and
// shares are exact to a slot.
//
// A table's size depends on nothing but the number of backends with a weight (maglev_size), in
// steps so coarse that one backend more or less seldom changes it: inside a step removing one of n
// equal backends moves at most 1 % of the others' slots, across a step nearly all are drawn anew
// (tracked flows don't care). With one backend there is nothing to look up, and no table.
//
// hash -> slot is a multiplication of the hash's upper half, so the lower half is free for other
// tables. Thread: building is pure (the control thread's); look-ups only read, on any thread.
// Source: Eisenbud et al., Maglev, NSDI 2016, section 3.4.
#ifndef SLUICE_MAGLEV_MAGLEV_H
#define SLUICE_MAGLEV_MAGLEV_H

#include <stdint.h>

#include "base/slab.h"
#include "net/addr.h"

#define MAGLEV_MAX_BACKENDS 65535
#define MAGLEV_NONE UINT32_MAX

struct maglev_backend {
	struct ip_addr addr;
	uint16_t port;   // as a number
	uint32_t weight; // 0: gets nothing
};

struct maglev_table {
	void *slots;    // indexes into the array that it was built from; NULL when size is 0
	uint32_t size;  // slots; 0 where fewer than two backends have a weight
	uint32_t width; // bytes a slot: 1 for an array of up to 255 backends, else 2
	uint32_t
		only; // where size is 0: the index of the only backend with a weight, or MAGLEV_NONE
};

// Slots for n backends with a weight: 0, 16381, 65537 or 655373; all of them are prime.
uint32_t maglev_size(uint32_t n);

// Build the table of b[0..n), in any order. Time is about size * log(size), with very unequal
// weights up to size * n. Errors: -E2BIG when n exceeds MAGLEV_MAX_BACKENDS, -EEXIST when two have
// the same address and port, -ENOMEM; out is then untouched. Keeps no pointer to b. memory: where
// the slots come from, NULL: malloc().
int maglev_build(struct maglev_table *out, struct slab *memory, const struct maglev_backend *b,
		 uint32_t n);

// Free the slots; memory: as they were built. A zeroed table is fine.
void maglev_fini(struct maglev_table *t, struct slab *memory);

static inline uint32_t maglev_slot(const struct maglev_table *t, uint64_t hash) {
	return (uint32_t)((hash >> 32) * t->size >> 32);
}

// First a burst's slots are named, then they are read with maglev_find(): the misses overlap.
// Always inlined, or gcc 12 drops it as a function without effects.
static inline __attribute__((always_inline)) void maglev_prefetch(const struct maglev_table *t,
								  uint64_t hash) {
	__builtin_prefetch((const uint8_t *)t->slots + maglev_slot(t, hash) * t->width);
}

// The index of the backend that new flows of this hash go to, or MAGLEV_NONE when no backend has a
// weight.
static inline uint32_t maglev_find(const struct maglev_table *t, uint64_t hash) {
	uint32_t slot = maglev_slot(t, hash);

	if (t->size == 0)
		return t->only;
	return t->width == 1 ? ((const uint8_t *)t->slots)[slot]
			     : ((const uint16_t *)t->slots)[slot];
}

#endif
