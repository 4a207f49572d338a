// SPDX-License-Identifier: Apache-2.0
// Neighbours: which MAC address answers for an IP address on a port (ARP, RFC 826; neighbour discovery, RFC 4861).
//
// One table for the appliance. The control thread writes it; workers read it without locks:
//
//     entry id -> one 64-bit word: MAC (48 bits) | state bits       stored whole, so a reader sees the old MAC or the new one
//     (port, address) -> entry id                                    a map that only grows under a reader's eyes
//
// Backends and gateways get their id when tables are compiled; hosts on a port's own subnet (clients) are found by (port, address), and are added when a worker
// asks for them. An entry that answers once is asked again, by unicast, before its time is out and only while it is used, so that traffic never waits twice; a static
// one is never asked. An entry that doesn't answer is `failed` (its packets are dropped at once) and is asked again on demand, at most once a second.
//
// States:  none -> asked (3 requests, a second apart) -> known (30 s, then asked again up to 3 times while still in use) -> none | failed
//
// An entry that is not held by compile and was not used for a while is given up when room is needed; its slot is reused after a
// grace period that the caller vouches for. Time: milliseconds, any start. Owner: control thread; only functions marked "worker" may be
// called by others.
#ifndef SLUICE_NEIGHBOR_NEIGHBOR_H
#define SLUICE_NEIGHBOR_NEIGHBOR_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"

#define NEIGHBOR_NONE UINT32_MAX
#define NEIGHBOR_KNOWN (UINT64_C(1) << 48)  // the word's MAC is valid
#define NEIGHBOR_FAILED (UINT64_C(1) << 49) // asked in vain

// What the table wants sent: a request for `target` on `port`, to `mac` (unicast probe) when has_mac, else to all.
struct neighbor_request {
	uint16_t port;
	bool has_mac;
	struct mac_addr mac;
	struct ip_addr target;
};
typedef void neighbor_send(void *ctx, const struct neighbor_request *r);

// What workers read of an entry for each packet.
struct neighbor_hot {
	uint64_t word; // control: rw, workers: ro
	uint16_t port; // fixed while the id is reachable
	uint8_t used;  // workers set it, control clears it
};

struct neighbor_table {
	struct neighbor_hot *hot; // by id
	// neighbor.c's own.
	struct neighbor_entry *entries; // by id
	uint32_t *slots;                // of the map: empty, deleted, or an id
	uint32_t max, mask, high;       // high: entries ever used
	uint64_t secret, changes, limbo;
	neighbor_send *send;
	void *ctx;
};

// max entries (at least 16). NULL: out of memory.
struct neighbor_table *neighbor_create(uint32_t max, uint64_t secret, neighbor_send *send,
				       void *ctx);
void neighbor_destroy(struct neighbor_table *t);

// The entry for (port, address), made when absent, held until neighbor_release(). Asks nobody by itself. NEIGHBOR_NONE: the table is full.
uint32_t neighbor_hold(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr);
void neighbor_release(struct neighbor_table *t, uint32_t id);
// A static neighbour: known for ever, never asked, not changed by what is heard.
int neighbor_set_static(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr,
			const struct mac_addr *mac);

// A worker has a packet for (port, address) and no MAC: begin to ask (or keep asking).
void neighbor_want(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr,
		   uint64_t now);
// An ARP or ND message said so. `answer`: a reply to us or an override; other messages (requests, gratuitous ARP) only update entries that are there already.
// Returns true when an entry's word changed from unknown to known (waiting packets can leave).
bool neighbor_heard(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr,
		    const struct mac_addr *mac, bool answer, uint64_t now);
// Run what is due; returns the time of the next call that is needed (UINT64_MAX: none).
uint64_t neighbor_run(struct neighbor_table *t, uint64_t now);

// Slots given up wait in limbo: *mark counts them up; neighbor_reclaim(t, mark) frees those given up to that mark, once no reader can hold their ids.
uint64_t neighbor_limbo_mark(const struct neighbor_table *t);
void neighbor_reclaim(struct neighbor_table *t, uint64_t mark);

// For views: ids are below neighbor_ids(); the word as it is, without marking the entry used; 0 where there is none.
uint32_t neighbor_ids(const struct neighbor_table *t);
uint64_t neighbor_peek(const struct neighbor_table *t, uint32_t id);

// --- worker ---

// The id for (port, address), or NEIGHBOR_NONE.
uint32_t neighbor_find(const struct neighbor_table *t, uint16_t port, uint8_t family,
		       const uint32_t addr[4]);
// Marks an entry used (a store only when it was not marked, so the line stays shared).
static inline const struct neighbor_hot *neighbor_use(const struct neighbor_table *t, uint32_t id) {
	struct neighbor_hot *hot = (struct neighbor_hot *)(uintptr_t)&t->hot[id];

	if (!__atomic_load_n(&hot->used, __ATOMIC_RELAXED))
		__atomic_store_n(&hot->used, 1, __ATOMIC_RELAXED);
	return hot;
}

// And its word.
static inline uint64_t neighbor_word(const struct neighbor_table *t, uint32_t id) {
	return __atomic_load_n(&neighbor_use(t, id)->word, __ATOMIC_RELAXED);
}

static inline uint16_t neighbor_port(const struct neighbor_table *t, uint32_t id) {
	return t->hot[id].port;
}

// Address of an entry (it never changes while its id is reachable).
const struct ip_addr *neighbor_addr(const struct neighbor_table *t, uint32_t id);
// Counts up whenever a word changed: who holds packets looks again only then.
uint64_t neighbor_changes(const struct neighbor_table *t);

#endif
