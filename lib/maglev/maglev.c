// SPDX-License-Identifier: Apache-2.0
// Building a Maglev table: integers only, no input's place in a list matters, equal on every
// machine.
#include "maglev/maglev.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_NARROW 255 // backends whose indexes fit a byte
#define WORD_BITS 64

// Appliances of different versions must agree: nothing below may change without a note in
// CHANGELOG.md.
static const uint64_t seed_offset = 0x9e3779b97f4a7c15, seed_skip = 0xd1b54a32d192ed03;

struct walker {
	uint32_t pos, skip;     // the next slot of its walk to try, and the step to the one after
	uint64_t weight, saved; // saved: the account
	uint32_t index;         // in the caller's array
};

uint32_t maglev_size(uint32_t n) {
	if (n < 2)
		return 0;
	if (n <= 20)
		return 16381;
	return n <= 655 ? 65537 : 655373;
}

// The finalizer of SplitMix64 (Stafford's mix 13): each input bit flips each output bit with a
// chance of one half.
static uint64_t mix(uint64_t x) {
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

// Of family, address and port, and of nothing else. The words are read as little-endian numbers on
// every machine.
static uint64_t identity_hash(const struct maglev_backend *b, uint64_t seed) {
	uint64_t w[2];

	memcpy(w, b->addr.b, sizeof(w));
	seed = mix(seed + ((uint64_t)b->addr.family << 16 | b->port));
	seed = mix(seed ^ le64toh(w[0]));
	return mix(seed ^ le64toh(w[1]));
}

static int identity_cmp(const struct maglev_backend *a, const struct maglev_backend *b) {
	int order = ip_addr_cmp(&a->addr, &b->addr);

	return order != 0 ? order : (a->port > b->port) - (a->port < b->port);
}

static int order_cmp(const void *va, const void *vb, void *backends) {
	const struct maglev_backend *b = backends;

	return identity_cmp(&b[*(const uint32_t *)va], &b[*(const uint32_t *)vb]);
}

// Indexes of b[0..n) by (address, port); -EEXIST when two are equal.
static int sort_backends(uint32_t *order, const struct maglev_backend *b, uint32_t n) {
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), order_cmp, (void *)b);
	for (uint32_t i = 1; i < n; i++) {
		if (identity_cmp(&b[order[i - 1]], &b[order[i]]) == 0)
			return -EEXIST;
	}
	return 0;
}

// Those with a weight, in order; returns how many.
static uint32_t collect_walkers(struct walker *w, const uint32_t *order,
				const struct maglev_backend *b, uint32_t n) {
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t index = order[i];

		if (b[index].weight > 0)
			w[count++] = (struct walker){.weight = b[index].weight, .index = index};
	}
	return count;
}

static void start_walks(struct walker *w, uint32_t count, const struct maglev_backend *b,
			uint32_t size) {
	for (uint32_t i = 0; i < count; i++) {
		w[i].pos = (uint32_t)(identity_hash(&b[w[i].index], seed_offset) % size);
		w[i].skip = (uint32_t)(identity_hash(&b[w[i].index], seed_skip) % (size - 1) + 1);
	}
}

// Take the next free slot of w's walk. The bit map of taken slots stays in the first-level cache
// where the table doesn't.
static void take_slot(struct walker *w, uint16_t *slots, uint64_t *taken, uint32_t size) {
	uint32_t pos = w->pos;
	bool is_taken;

	do {
		w->pos = pos;
		is_taken = taken[pos / WORD_BITS] >> (pos % WORD_BITS) & 1;
		pos += w->skip;
		if (pos >= size)
			pos -= size;
	} while (is_taken);
	taken[w->pos / WORD_BITS] |= 1ull << (w->pos % WORD_BITS);
	slots[w->pos] = (uint16_t)w->index;
	w->pos = pos;
}

static void take_turns(struct walker *w, uint32_t count, uint16_t *slots, uint64_t *taken,
		       uint32_t size) {
	uint64_t price = 0;

	for (uint32_t i = 0; i < count; i++)
		price = w[i].weight > price ? w[i].weight : price;
	for (uint32_t left = size;;) {
		for (uint32_t i = 0; i < count; i++) {
			w[i].saved += w[i].weight;
			if (w[i].saved < price)
				continue;
			w[i].saved -= price;
			take_slot(&w[i], slots, taken, size);
			if (--left == 0)
				return;
		}
	}
}

// One byte a slot instead of two; slots is freed unless memory runs out.
static void *narrow(uint16_t *slots, uint32_t size) {
	uint8_t *bytes = malloc(size);

	if (bytes == NULL)
		return NULL;
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)slots[i];
	free(slots);
	return bytes;
}

// Fill out->slots for out->size and out->width.
static int fill_slots(struct maglev_table *out, struct walker *w, uint32_t count) {
	uint16_t *slots = malloc(out->size * sizeof(*slots));
	uint64_t *taken = calloc(out->size / WORD_BITS + 1, sizeof(*taken));

	if (slots == NULL || taken == NULL)
		goto free_all;
	take_turns(w, count, slots, taken, out->size);
	out->slots = out->width == 1 ? narrow(slots, out->size) : slots;
	if (out->slots == NULL)
		goto free_all;
	free(taken);
	return 0;
free_all:
	free(slots);
	free(taken);
	return -ENOMEM;
}

static int build(struct maglev_table *out, struct walker *w, uint32_t *order,
		 const struct maglev_backend *b, uint32_t n) {
	struct maglev_table t = {.width = n <= MAX_NARROW ? 1 : 2, .only = MAGLEV_NONE};
	int ret = sort_backends(order, b, n);
	uint32_t count;

	if (ret < 0)
		return ret;
	count = collect_walkers(w, order, b, n);
	t.size = maglev_size(count);
	if (t.size > 0) {
		start_walks(w, count, b, t.size);
		ret = fill_slots(&t, w, count);
	} else if (count == 1) {
		t.only = w[0].index;
	}
	if (ret == 0)
		*out = t;
	return ret;
}

int maglev_build(struct maglev_table *out, const struct maglev_backend *b, uint32_t n) {
	struct walker *w;
	uint32_t *order;
	int ret = -ENOMEM;

	if (n > MAGLEV_MAX_BACKENDS)
		return -E2BIG;
	w = calloc(n + 1, sizeof(*w));
	order = calloc(n + 1, sizeof(*order));
	if (w != NULL && order != NULL)
		ret = build(out, w, order, b, n);
	free(w);
	free(order);
	return ret;
}

void maglev_fini(struct maglev_table *t) {
	free(t->slots);
	*t = (struct maglev_table){.only = MAGLEV_NONE};
}
