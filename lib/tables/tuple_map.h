// SPDX-License-Identifier: Apache-2.0
// An immutable hash map from (address, port, protocol) to 8 bytes of the caller's: frontends, endpoints, local addresses.
//
//     IPv4: slots of 16 bytes {key 64 bits, value}, four to a cache line      IPv6: slots of 32 bytes
//
// Open addressing with linear probing. Small maps are at most a quarter full, so that nearly every look-up ends at its first slot and the branch
// behind it is foreseen; large ones at most half. Multiplicative hashing under a secret, since an attacker sends the keys that are looked up (not
// those that are in the map). Built whole by the control thread; a reader needs no lock.
#ifndef SLUICE_TABLES_TUPLE_MAP_H
#define SLUICE_TABLES_TUPLE_MAP_H

#include <rte_prefetch.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "net/addr.h"

struct tuple_entry { // what a map is built from
	struct ip_addr addr;
	uint16_t port; // network order
	uint8_t protocol;
	uint64_t value;
};

struct tuple_slot4 {
	uint64_t key; // address << 32 | port << 16 | protocol << 8 | 1; 0: empty
	uint64_t value;
};

struct tuple_slot6 {
	uint64_t addr[2];
	uint64_t key; // port << 16 | protocol << 8 | 1; 0: empty
	uint64_t value;
};

#define TUPLE_FILTER_SHIFT                                                                         \
	4 // bits of the filter for each slot: of absent keys 2 in 100 pass it, in large maps 3

struct tuple_map {
	uint32_t mask4, mask6;  // slots - 1
	uint8_t shift4, shift6; // 64 - log2(slots)
	uint64_t secret;        // odd
	const struct tuple_slot4 *slots4;
	const struct tuple_slot6 *slots6;
	// One bit for a stretch of the hash's values: clear where no entry's hash lies. Small enough to stay in the L1, where the slots of keys
	// that nobody asks for otherwise never are.
	const uint64_t *filter4, *filter6;
};

// NULL: out of memory. Of equal keys the first stays.
struct tuple_map *tuple_map_create(const struct tuple_entry *entries, uint32_t n, uint64_t secret);
void tuple_map_destroy(struct tuple_map *m);

static inline uint64_t tuple_key4(uint32_t addr, uint16_t port, uint8_t protocol) {
	uint64_t wide = addr;

	// Keeps gcc 12 from spilling the 32 bits and reading 64 back, which waits 16 cycles for the store.
	__asm__("" : "+r"(wide));
	return wide << 32 | (uint64_t)port << 16 | (uint64_t)protocol << 8 | 1;
}

static inline uint64_t tuple_hash4(const struct tuple_map *m, uint64_t key) {
	return key * m->secret;
}

static inline uint64_t tuple_hash6(const struct tuple_map *m, const uint64_t addr[2],
				   uint64_t key) {
	unsigned __int128 product = (unsigned __int128)(addr[0] ^ m->secret) *
				    (addr[1] ^ 0x9e3779b97f4a7c15u);

	return ((uint64_t)product ^ (uint64_t)(product >> 64) ^ key) * m->secret;
}

// The slot at which the search begins: the hash's upper bits, on which all of the key's bits bear.
static inline uint32_t tuple_start4(const struct tuple_map *m, uint64_t hash) {
	return (uint32_t)(hash >> m->shift4);
}

static inline uint32_t tuple_start6(const struct tuple_map *m, uint64_t hash) {
	return (uint32_t)(hash >> m->shift6);
}

// False: no key with this hash is in the map.
static inline bool tuple_maybe(const uint64_t *filter, uint8_t shift, uint64_t hash) {
	uint64_t bit = hash >> (shift - TUPLE_FILTER_SHIFT);

	return filter[bit / 64] >> (bit % 64) & 1;
}

static inline bool tuple_maybe4(const struct tuple_map *m, uint64_t hash) {
	return tuple_maybe(m->filter4, m->shift4, hash);
}

static inline bool tuple_maybe6(const struct tuple_map *m, uint64_t hash) {
	return tuple_maybe(m->filter6, m->shift6, hash);
}

// Searches in two steps, for those who fetch the slot in between. *value gets 8 bytes.
static inline bool tuple_find4_from(const struct tuple_map *m, uint32_t start, uint64_t key,
				    void *value) {
	for (uint32_t i = start;; i = (i + 1) & m->mask4) {
		const struct tuple_slot4 *s = &m->slots4[i];

		if (s->key == key) {
			memcpy(value, &s->value, sizeof(uint64_t));
			return true;
		}
		if (s->key == 0)
			return false;
	}
}

static inline bool tuple_find6_from(const struct tuple_map *m, uint32_t start,
				    const uint64_t addr[2], uint64_t key, void *value) {
	for (uint32_t i = start; m->slots6[i].key != 0; i = (i + 1) & m->mask6) {
		const struct tuple_slot6 *s = &m->slots6[i];

		if (((s->key ^ key) | (s->addr[0] ^ addr[0]) | (s->addr[1] ^ addr[1])) == 0) {
			memcpy(value, &s->value, sizeof(uint64_t));
			return true;
		}
	}
	return false;
}

// For keys that are seldom in the map.
static inline bool tuple_has4(const struct tuple_map *m, uint32_t addr, uint16_t port,
			      uint8_t protocol) {
	uint64_t key = tuple_key4(addr, port, protocol), hash = tuple_hash4(m, key), value;

	return tuple_maybe4(m, hash) && tuple_find4_from(m, tuple_start4(m, hash), key, &value);
}

static inline bool tuple_has6(const struct tuple_map *m, const uint32_t addr[4], uint16_t port,
			      uint8_t protocol) {
	uint64_t a[2], key = tuple_key4(0, port, protocol), hash, value;

	memcpy(a, addr, sizeof(a));
	hash = tuple_hash6(m, a, key);
	return tuple_maybe6(m, hash) && tuple_find6_from(m, tuple_start6(m, hash), a, key, &value);
}

static inline void tuple_prefetch4(const struct tuple_map *m, uint32_t addr, uint16_t port,
				   uint8_t protocol) {
	uint64_t hash = tuple_hash4(m, tuple_key4(addr, port, protocol));

	rte_prefetch0(&m->slots4[tuple_start4(m, hash)]);
}

// True and *value (8 bytes) filled when the tuple is in the map. Address words and port as on the wire.
static inline bool tuple_find4(const struct tuple_map *m, uint32_t addr, uint16_t port,
			       uint8_t protocol, void *value) {
	uint64_t key = tuple_key4(addr, port, protocol);

	return tuple_find4_from(m, tuple_start4(m, tuple_hash4(m, key)), key, value);
}

static inline bool tuple_find6(const struct tuple_map *m, const uint32_t addr[4], uint16_t port,
			       uint8_t protocol, void *value) {
	uint64_t a[2], key = tuple_key4(0, port, protocol);

	memcpy(a, addr, sizeof(a));
	return tuple_find6_from(m, tuple_start6(m, tuple_hash6(m, a, key)), a, key, value);
}

static inline bool tuple_find(const struct tuple_map *m, uint8_t family, const uint32_t addr[4],
			      uint16_t port, uint8_t protocol, void *value) {
	return family == 4 ? tuple_find4(m, addr[0], port, protocol, value)
			   : tuple_find6(m, addr, port, protocol, value);
}

static inline bool tuple_find_addr(const struct tuple_map *m, const struct ip_addr *a,
				   uint16_t port, uint8_t protocol, void *value) {
	uint32_t words[4];

	memcpy(words, a->b, sizeof(words));
	return tuple_find(m, a->family, words, port, protocol, value);
}

#endif
