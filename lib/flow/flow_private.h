// SPDX-License-Identifier: Apache-2.0
// What the files of the flow table say to each other.
//
//     flow.c    the block of memory, removal, sweep, views
//     place.c   buckets: chains, putting entries in, displacement
//     flow_create.h  a new flow that finds everything as usual, inline
//     create.c  every other one: shares, eviction, reverse entries
//     snat.c    SNAT ports and their table
//     snat_space.h   the ports that a worker may draw
#ifndef SLUICE_FLOW_FLOW_PRIVATE_H
#define SLUICE_FLOW_FLOW_PRIVATE_H

#include "flow/flow.h"

#define FLOW_CORE static inline __attribute__((always_inline))

// The key that an entry of the table has.
static inline struct flow_key flow_key_of(uint8_t family, const struct flow *f) {
	struct flow_key k = {.id = f->id,
			     .port = (uint16_t)f->port,
			     .family = family,
			     .kind = f->kind};

	if (family == 4)
		k.addr[0] = f->word;
	else
		memcpy(k.addr, flow_addr6(f), sizeof(k.addr));
	return k;
}

// The owner's counters, which other threads read: whole words, no order.
static inline void flow_stat_add(uint64_t *counter, int64_t n) {
	__atomic_store_n(counter, *counter + (uint64_t)n, __ATOMIC_RELAXED);
}

static inline void flow_count_add(struct flow_table *t, uint32_t backend, int n) {
	uint32_t *count = (uint32_t *)flow_at(t, t->counts_at) + backend;

	__atomic_store_n(count, *count + (uint32_t)n, __ATOMIC_RELAXED);
}

enum flow_evicted {
	FLOW_EVICTED_EXPIRED,
	FLOW_EVICTED_CLOSING,
	FLOW_EVICTED_HALF_OPEN,
	FLOW_EVICTED_IDLE
};

// --- place.c ---

// A free slot in either bucket, others moved for it if need be; NULL: none within the bound.
struct flow *flow_place_room(struct flow_table *t, uint8_t family, uint64_t hash);
// Bucket A's chain: n more of its entries (1 or -1) live in their bucket B.
void flow_place_count(struct flow_table *t, uint8_t family, uint32_t bucket, int n);
// Take one entry out, and its record.
void flow_displace(struct flow_table *t, uint8_t family, struct flow *f);
// An entry that lives in its second bucket goes back to its first where that has room.
void flow_place_home(struct flow_table *t, uint8_t family, struct flow *f);

// --- flow.c ---

// Ticks since the last packet, either way.
uint32_t flow_silence(const struct flow_table *t, uint8_t family, const struct flow *f,
		      uint32_t now);

// Remove a forward entry and what belongs to it, counted as evicted for this reason.
void flow_evict(struct flow_table *t, uint8_t family, struct flow *f, enum flow_evicted why,
		uint32_t now);

// --- snat.c ---

struct flow_port { // a SNAT port found free, and where its entry will be
	struct snat *slot;
	struct flow_draw is;
};

void snat_init(struct flow_table *t);
// Errors: -EADDRNOTAVAIL.
int snat_propose(struct flow_table *t, uint8_t family, const struct flow_new *n, uint32_t now,
		 struct flow_port *out);
void snat_take(struct flow_table *t, uint8_t family, const struct flow_port *p,
	       const struct flow_key *k, const struct flow_new *n);
// The entry of a flow's SNAT port.
struct snat *snat_of(const struct flow_table *t, uint8_t family, const struct flow_record *r);
void snat_release(struct flow_table *t, uint8_t family, const struct flow_record *r, uint32_t now);
// In the next n buckets: clear what has rested, end what was vouched for and not heard of for a timeout.
void snat_sweep(struct flow_table *t, uint8_t family, uint32_t now, uint32_t n);

#endif
