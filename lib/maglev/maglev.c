// SPDX-License-Identifier: Apache-2.0
// Building a Maglev table: integers only, no input's place in a list matters, equal on every
// machine.
#include "maglev/maglev.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_NARROW 255 // backends whose indexes fit a byte
#define SIZE_SMALL 16381
#define SIZE_MIDDLE 65537
#define SIZE_LARGE 655373
// An offer is cost << WALKER_BITS | walker: a rank below 2^20 times a step of at most 2^27 leaves
// 63 bits in use.
#define WALKER_BITS 16
#define MAX_STEP (1u << 27)
#define FREE UINT64_MAX

// Appliances of different versions must agree: no number below changes without a note in
// CHANGELOG.md.
static const uint64_t seed_offset = 0x9e3779b97f4a7c15, seed_skip = 0xd1b54a32d192ed03,
		      seed_order = 0x2545f4914f6cdd1d;

struct walker {
	uint32_t offset, skip;
	uint32_t rank;  // how many slots it has asked for
	uint32_t want;  // how many it may still get
	uint64_t step;  // what one rank costs: the inverse of its weight
	uint32_t index; // in the caller's array
};

uint32_t maglev_size(uint32_t n) {
	if (n < 2)
		return 0;
	if (n <= 20)
		return SIZE_SMALL;
	return n <= 655 ? SIZE_MIDDLE : SIZE_LARGE;
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
		if (b[order[i]].weight > 0)
			w[count++].index = order[i];
	}
	return count;
}

// Shares are cut from the cumulated weights: they add up to size, and each is less than a slot off
// the exact one.
static void start_walks(struct walker *w, uint32_t count, const struct maglev_backend *b,
			uint32_t size) {
	uint64_t total = 0, sum = 0;

	for (uint32_t i = 0; i < count; i++)
		total += b[w[i].index].weight;
	for (uint32_t i = 0; i < count; i++) {
		const struct maglev_backend *be = &b[w[i].index];
		uint64_t before = sum * size / total;

		sum += be->weight;
		w[i].want = (uint32_t)(sum * size / total - before);
		w[i].step = be->weight < MAX_STEP ? MAX_STEP / be->weight : 1;
		w[i].offset = (uint32_t)(identity_hash(be, seed_offset) % size);
		w[i].skip = (uint32_t)(identity_hash(be, seed_skip) % (size - 1) + 1);
	}
}

// The order in which every walk visits its steps: 0 to size - 1 shuffled (Fisher-Yates), always the
// same for a size.
static void shuffle(uint32_t *visit, uint32_t size) {
	for (uint32_t i = 0; i < size; i++) {
		uint32_t j = (uint32_t)((mix(seed_order + i) >> 32) * (i + 1) >> 32);

		visit[i] = visit[j];
		visit[j] = i;
	}
}

// Let walker i ask for slots until it has its share. held[] has each slot's best offer so far: cost
// above, walker below. size is a constant in every caller, so that the remainder becomes
// multiplications. Returns whether somebody lost a slot.
static inline __attribute__((always_inline)) bool walk(struct walker *w, uint32_t i, uint64_t *held,
						       const uint32_t *visit, uint32_t size) {
	struct walker me = w[i];
	bool displaced = false;

	while (me.want > 0) {
		uint64_t offer = me.rank * me.step << WALKER_BITS | i;
		uint64_t slot = (me.offset + (uint64_t)me.skip * visit[me.rank++]) % size;

		if (offer > held[slot])
			continue;
		if (held[slot] != FREE) {
			w[held[slot] & MAGLEV_MAX_BACKENDS].want++;
			displaced = true;
		}
		held[slot] = offer;
		me.want--;
	}
	w[i] = me;
	return displaced;
}

// Until nobody wants any more. The outcome doesn't depend on the order in which they ask.
static inline __attribute__((always_inline)) void settle_size(struct walker *w, uint32_t count,
							      uint64_t *held, const uint32_t *visit,
							      uint32_t size) {
	for (bool again = true; again;) {
		again = false;
		for (uint32_t i = 0; i < count; i++)
			again |= walk(w, i, held, visit, size);
	}
}

static void settle(struct walker *w, uint32_t count, uint64_t *held, const uint32_t *visit,
		   uint32_t size) {
	switch (size) {
	case SIZE_SMALL:
		settle_size(w, count, held, visit, SIZE_SMALL);
		break;
	case SIZE_MIDDLE:
		settle_size(w, count, held, visit, SIZE_MIDDLE);
		break;
	default:
		settle_size(w, count, held, visit, SIZE_LARGE);
	}
}

static void store(struct maglev_table *out, const struct walker *w, const uint64_t *held) {
	for (uint32_t i = 0; i < out->size; i++) {
		uint32_t index = w[held[i] & MAGLEV_MAX_BACKENDS].index;

		if (out->width == 1)
			((uint8_t *)out->slots)[i] = (uint8_t)index;
		else
			((uint16_t *)out->slots)[i] = (uint16_t)index;
	}
}

// Fill out->slots for out->size and out->width.
static int fill_slots(struct maglev_table *out, struct slab *memory, struct walker *w,
		      uint32_t count) {
	uint64_t *held = malloc(out->size * sizeof(*held));
	uint32_t *visit = calloc(out->size, sizeof(*visit));

	out->slots = slab_alloc(memory, (size_t)out->size * out->width);
	if (held == NULL || visit == NULL || out->slots == NULL) {
		slab_free(memory, out->slots, (size_t)out->size * out->width);
		free(held);
		free(visit);
		return -ENOMEM;
	}
	memset(held, 0xff, out->size * sizeof(*held));
	shuffle(visit, out->size);
	settle(w, count, held, visit, out->size);
	store(out, w, held);
	free(held);
	free(visit);
	return 0;
}

static int build(struct maglev_table *out, struct slab *memory, struct walker *w, uint32_t *order,
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
		ret = fill_slots(&t, memory, w, count);
	} else if (count == 1) {
		t.only = w[0].index;
	}
	if (ret == 0)
		*out = t;
	return ret;
}

int maglev_build(struct maglev_table *out, struct slab *memory, const struct maglev_backend *b,
		 uint32_t n) {
	struct walker *w;
	uint32_t *order;
	int ret = -ENOMEM;

	if (n > MAGLEV_MAX_BACKENDS)
		return -E2BIG;
	w = calloc(n + 1, sizeof(*w));
	order = calloc(n + 1, sizeof(*order));
	if (w != NULL && order != NULL)
		ret = build(out, memory, w, order, b, n);
	free(w);
	free(order);
	return ret;
}

void maglev_fini(struct maglev_table *t, struct slab *memory) {
	slab_free(memory, t->slots, (size_t)t->size * t->width);
	*t = (struct maglev_table){.only = MAGLEV_NONE};
}
