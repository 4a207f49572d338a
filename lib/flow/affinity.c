// SPDX-License-Identifier: Apache-2.0
// ClientIP affinity: chains of entries by hash, and one list of all by last use.
#include "flow/affinity.h"

#include <errno.h>
#include <string.h>

#define LINE 64
#define NONE 0 // as an index: entries are numbered from 1, so zeroed memory is empty

struct entry {
	_Alignas(LINE) struct affinity_key key;
	uint32_t backend;
	uint32_t last, timeout; // ticks
	uint32_t chain;         // next of this hash, or next free entry
	uint32_t newer, older;
	uint8_t gen;
};
_Static_assert(sizeof(struct entry) == LINE, "one line");

struct affinity_table {
	uint32_t capacity, count;
	uint32_t fresh; // entries from here on were never used
	uint32_t spare; // first of those that were freed
	uint32_t newest, oldest;
	uint64_t secret;
	uint64_t heads_at; // offset; entries follow the header
};
_Static_assert(sizeof(struct affinity_table) <= LINE, "");

#define MAX_CAPACITY (1u << 26)

static size_t heads_size(uint32_t capacity) {
	return ((size_t)capacity * sizeof(uint32_t) + LINE - 1) & ~(size_t)(LINE - 1);
}

size_t affinity_table_size(uint32_t capacity) {
	return LINE + (size_t)capacity * sizeof(struct entry) + heads_size(capacity);
}

int affinity_init(struct affinity_table **out, void *memory, uint32_t capacity, uint64_t secret) {
	struct affinity_table *t = memory;

	if (capacity == 0 || capacity > MAX_CAPACITY || (uintptr_t)memory % LINE != 0)
		return -EINVAL;
	t->capacity = capacity;
	t->fresh = 1;
	t->secret = secret | 1;
	t->heads_at = LINE + (uint64_t)capacity * sizeof(struct entry);
	*out = t;
	return 0;
}

static struct entry *entry_at(const struct affinity_table *t, uint32_t i) {
	return (struct entry *)((uintptr_t)t + LINE) + (i - 1);
}

static uint32_t *head_of(const struct affinity_table *t, uint64_t hash) {
	uint32_t *heads = (uint32_t *)((uintptr_t)t + t->heads_at);

	return heads + ((hash >> 32) * t->capacity >> 32);
}

static uint64_t mix(uint64_t a, uint64_t b) {
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t affinity_hash(const struct affinity_table *t, const struct affinity_key *k) {
	uint64_t high = (uint64_t)k->addr[0] << 32 | k->addr[1];
	uint64_t low = (uint64_t)k->addr[2] << 32 | k->addr[3];
	uint64_t rest = (uint64_t)k->family << 32 | k->service;
	uint64_t h = mix(high ^ t->secret, low ^ 0xa0761d6478bd642fu);

	h = mix(h ^ 0xe7037ed1a0b428dbu, rest ^ t->secret);
	return mix(h ^ t->secret, 0x8ebc6af09c88c6e3u);
}

void affinity_prefetch(const struct affinity_table *t, uint64_t hash) {
	__builtin_prefetch(head_of(t, hash));
}

static bool same_key(const struct affinity_key *a, const struct affinity_key *b) {
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint32_t find(const struct affinity_table *t, const struct affinity_key *k, uint64_t hash) {
	uint32_t i = *head_of(t, hash);

	while (i != NONE && !same_key(&entry_at(t, i)->key, k))
		i = entry_at(t, i)->chain;
	return i;
}

static void list_out(struct affinity_table *t, uint32_t i) {
	struct entry *e = entry_at(t, i);

	*(e->newer != NONE ? &entry_at(t, e->newer)->older : &t->newest) = e->older;
	*(e->older != NONE ? &entry_at(t, e->older)->newer : &t->oldest) = e->newer;
}

static void list_in(struct affinity_table *t, uint32_t i) {
	struct entry *e = entry_at(t, i);

	e->newer = NONE;
	e->older = t->newest;
	*(t->newest != NONE ? &entry_at(t, t->newest)->newer : &t->oldest) = i;
	t->newest = i;
}

static void use(struct affinity_table *t, uint32_t i, uint32_t timeout, uint32_t now) {
	struct entry *e = entry_at(t, i);

	e->last = now;
	e->timeout = timeout;
	if (t->newest == i)
		return;
	list_out(t, i);
	list_in(t, i);
}

static void entry_free(struct affinity_table *t, uint32_t i) {
	struct entry *e = entry_at(t, i);
	uint32_t *link = head_of(t, affinity_hash(t, &e->key));

	while (*link != i)
		link = &entry_at(t, *link)->chain;
	*link = e->chain;
	list_out(t, i);
	e->chain = t->spare;
	t->spare = i;
	t->count--;
}

static uint32_t entry_new(struct affinity_table *t, const struct affinity_key *k, uint64_t hash) {
	uint32_t i = t->spare, *head = head_of(t, hash);
	struct entry *e;

	if (i != NONE)
		t->spare = entry_at(t, i)->chain;
	else
		i = t->fresh++;
	e = entry_at(t, i);
	e->key = *k;
	e->chain = *head;
	*head = i;
	list_in(t, i);
	t->count++;
	return i;
}

bool affinity_find(struct affinity_table *t, const struct affinity_key *k, uint64_t hash,
		   uint32_t timeout, uint32_t now, uint32_t *backend, uint8_t *gen) {
	uint32_t i = find(t, k, hash);

	if (i == NONE)
		return false;
	if (now - entry_at(t, i)->last > timeout) {
		entry_free(t, i);
		return false;
	}
	use(t, i, timeout, now);
	*backend = entry_at(t, i)->backend;
	*gen = entry_at(t, i)->gen;
	return true;
}

bool affinity_peek(const struct affinity_table *t, const struct affinity_key *k, uint64_t hash,
		   uint32_t timeout, uint32_t now, uint32_t *backend, uint8_t *gen) {
	uint32_t i = find(t, k, hash);

	if (i == NONE || now - entry_at(t, i)->last > timeout)
		return false;
	*backend = entry_at(t, i)->backend;
	*gen = entry_at(t, i)->gen;
	return true;
}

bool affinity_set(struct affinity_table *t, const struct affinity_key *k, uint64_t hash,
		  uint32_t timeout, uint32_t now, uint32_t backend, uint8_t gen) {
	uint32_t i = find(t, k, hash);
	bool evicted = false;

	if (i == NONE) {
		if (t->count == t->capacity) {
			const struct entry *oldest = entry_at(t, t->oldest);

			evicted = now - oldest->last <= oldest->timeout;
			entry_free(t, t->oldest);
		}
		i = entry_new(t, k, hash);
	}
	use(t, i, timeout, now);
	entry_at(t, i)->backend = backend;
	entry_at(t, i)->gen = gen;
	return evicted;
}

uint32_t affinity_count(const struct affinity_table *t) {
	return t->count;
}
