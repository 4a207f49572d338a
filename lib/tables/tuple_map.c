// SPDX-License-Identifier: Apache-2.0
// Building the immutable tuple map.
#include "tables/tuple_map.h"

#include <stdlib.h>

#define SMALL 16384 // entries of a map that can afford air

static uint8_t slot_bits_for(uint32_t n) {
	uint64_t slots = (uint64_t)n * (n <= SMALL ? 4 : 2);
	uint8_t bits = 2;

	while (UINT64_C(1) << bits < slots)
		bits++;
	return bits;
}

static void mark(const uint64_t *filter, uint8_t shift, uint64_t hash) {
	uint64_t bit = hash >> (shift - TUPLE_FILTER_SHIFT);

	((uint64_t *)(uintptr_t)filter)[bit / 64] |= UINT64_C(1) << bit % 64;
}

static void insert4(const struct tuple_map *m, const struct tuple_entry *e) {
	struct tuple_slot4 *slots = (struct tuple_slot4 *)(uintptr_t)m->slots4;
	uint64_t key = tuple_key4(ip_addr_v4(&e->addr), e->port, e->protocol);
	uint64_t hash = tuple_hash4(m, key);
	uint32_t i = tuple_start4(m, hash);

	while (slots[i].key != 0 && slots[i].key != key)
		i = (i + 1) & m->mask4;
	if (slots[i].key == 0)
		slots[i] = (struct tuple_slot4){.key = key, .value = e->value};
	mark(m->filter4, m->shift4, hash);
}

static void insert6(const struct tuple_map *m, const struct tuple_entry *e) {
	struct tuple_slot6 slot = {.key = tuple_key4(0, e->port, e->protocol), .value = e->value};
	struct tuple_slot6 *slots = (struct tuple_slot6 *)(uintptr_t)m->slots6;
	uint64_t hash;
	uint32_t i;

	memcpy(slot.addr, e->addr.b, sizeof(slot.addr));
	hash = tuple_hash6(m, slot.addr, slot.key);
	i = tuple_start6(m, hash);
	while (slots[i].key != 0 && (slots[i].key != slot.key ||
				     memcmp(slots[i].addr, slot.addr, sizeof(slot.addr)) != 0))
		i = (i + 1) & m->mask6;
	if (slots[i].key == 0)
		slots[i] = slot;
	mark(m->filter6, m->shift6, hash);
}

static void *zeroed(size_t size) {
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	if (p != NULL)
		memset(p, 0, size);
	return p;
}

static bool allocate(struct tuple_map *m, uint32_t n4, uint32_t n6) {
	uint8_t bits4 = slot_bits_for(n4), bits6 = slot_bits_for(n6);

	m->shift4 = (uint8_t)(64 - bits4);
	m->shift6 = (uint8_t)(64 - bits6);
	m->mask4 = (1u << bits4) - 1;
	m->mask6 = (1u << bits6) - 1;
	m->slots4 = zeroed(sizeof(*m->slots4) << bits4);
	m->slots6 = zeroed(sizeof(*m->slots6) << bits6);
	m->filter4 = zeroed(((UINT64_C(1) << (bits4 + TUPLE_FILTER_SHIFT)) + 63) / 8);
	m->filter6 = zeroed(((UINT64_C(1) << (bits6 + TUPLE_FILTER_SHIFT)) + 63) / 8);
	return m->slots4 != NULL && m->slots6 != NULL && m->filter4 != NULL && m->filter6 != NULL;
}

struct tuple_map *tuple_map_create(const struct tuple_entry *entries, uint32_t n, uint64_t secret) {
	struct tuple_map *m = calloc(1, sizeof(*m));
	uint32_t n4 = 0;

	if (m == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		n4 += entries[i].addr.family == 4;
	m->secret = secret * 0x9e3779b97f4a7c15u |
		    1; // all bits of the multiplier, whatever the secret looks like
	if (!allocate(m, n4, n - n4)) {
		tuple_map_destroy(m);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (entries[i].addr.family == 4)
			insert4(m, &entries[i]);
		else
			insert6(m, &entries[i]);
	}
	return m;
}

void tuple_map_destroy(struct tuple_map *m) {
	if (m == NULL)
		return;
	free((void *)(uintptr_t)m->slots4);
	free((void *)(uintptr_t)m->slots6);
	free((void *)(uintptr_t)m->filter4);
	free((void *)(uintptr_t)m->filter6);
	free(m);
}
