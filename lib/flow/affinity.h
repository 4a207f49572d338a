// SPDX-License-Identifier: Apache-2.0
// ClientIP affinity of one worker: (client address, service) -> backend, sliding in time.
//
// A bounded hash table with a list in order of last use. When it is full the oldest entry goes first, and the caller counts
// it. An entry that is older than its service's timeout doesn't count any more. Whether its backend is still usable is the caller's to
// judge: it knows the tables. Memory is the caller's, zeroed, one block, indexes instead of pointers. Owner: one worker.
#ifndef SLUICE_FLOW_AFFINITY_H
#define SLUICE_FLOW_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct affinity_key {
	uint32_t addr[4]; // the client's, network order; IPv4: addr[0], the others 0
	uint32_t service; // id in the tables
	uint32_t family;
};

struct affinity_table;

size_t affinity_table_size(uint32_t capacity);
// Errors: -EINVAL.
int affinity_init(struct affinity_table **out, void *memory, uint32_t capacity, uint64_t secret);

uint64_t affinity_hash(const struct affinity_table *t, const struct affinity_key *k);
void affinity_prefetch(const struct affinity_table *t, uint64_t hash);
// True when an entry used within timeout ticks exists; it is then the latest again (sliding), and *backend, *gen are its backend.
bool affinity_find(struct affinity_table *t, const struct affinity_key *k, uint64_t hash,
		   uint32_t timeout, uint32_t now, uint32_t *backend, uint8_t *gen);
// The same without a trace: neither the order nor the entry's time changes.
bool affinity_peek(const struct affinity_table *t, const struct affinity_key *k, uint64_t hash,
		   uint32_t timeout, uint32_t now, uint32_t *backend, uint8_t *gen);
// Set or replace. Returns true when an entry of another key that was still within its own timeout had to go for it.
bool affinity_set(struct affinity_table *t, const struct affinity_key *k, uint64_t hash,
		  uint32_t timeout, uint32_t now, uint32_t backend, uint8_t gen);
uint32_t affinity_count(const struct affinity_table *t);

#endif
