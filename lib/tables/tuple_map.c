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

static void insert4(const struct tuple_map *m, struct tuple_slot4 *slots,
		    const struct tuple_entry *e) {
	uint64_t key = tuple_key4(ip_addr_v4(&e->addr), e->port, e->protocol);
	uint32_t i = tuple_start4(m, key);

	while (slots[i].key != 0 && slots[i].key != key)
		i = (i + 1) & m->mask4;
	if (slots[i].key == 0)
		slots[i] = (struct tuple_slot4){.key = key, .value = e->value};
}

static void insert6(const struct tuple_map *m, struct tuple_slot6 *slots,
		    const struct tuple_entry *e) {
	struct tuple_slot6 slot = {.key = tuple_key4(0, e->port, e->protocol), .value = e->value};
	uint32_t i;

	memcpy(slot.addr, e->addr.b, sizeof(slot.addr));
	i = tuple_start6(m, slot.addr, slot.key);
	while (slots[i].key != 0 && (slots[i].key != slot.key ||
				     memcmp(slots[i].addr, slot.addr, sizeof(slot.addr)) != 0))
		i = (i + 1) & m->mask6;
	if (slots[i].key == 0)
		slots[i] = slot;
}

struct tuple_map *tuple_map_create(const struct tuple_entry *entries, uint32_t n, uint64_t secret) {
	struct tuple_map *m = calloc(1, sizeof(*m));
	struct tuple_slot4 *slots4;
	struct tuple_slot6 *slots6;
	uint32_t n4 = 0;
	uint8_t bits4, bits6;

	if (m == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		n4 += entries[i].addr.family == 4;
	bits4 = slot_bits_for(n4);
	bits6 = slot_bits_for(n - n4);
	m->secret = secret | 1;
	m->shift4 = (uint8_t)(64 - bits4);
	m->shift6 = (uint8_t)(64 - bits6);
	m->mask4 = (1u << bits4) - 1;
	m->mask6 = (1u << bits6) - 1;
	slots4 = aligned_alloc(64, ((size_t)m->mask4 + 1) * sizeof(*slots4));
	slots6 = aligned_alloc(64, ((size_t)m->mask6 + 1) * sizeof(*slots6));
	m->slots4 = slots4;
	m->slots6 = slots6;
	if (slots4 == NULL || slots6 == NULL) {
		tuple_map_destroy(m);
		return NULL;
	}
	memset(slots4, 0, ((size_t)m->mask4 + 1) * sizeof(*slots4));
	memset(slots6, 0, ((size_t)m->mask6 + 1) * sizeof(*slots6));
	for (uint32_t i = 0; i < n; i++) {
		if (entries[i].addr.family == 4)
			insert4(m, slots4, &entries[i]);
		else
			insert6(m, slots6, &entries[i]);
	}
	return m;
}

void tuple_map_destroy(struct tuple_map *m) {
	if (m == NULL)
		return;
	free((void *)(uintptr_t)m->slots4);
	free((void *)(uintptr_t)m->slots6);
	free(m);
}
