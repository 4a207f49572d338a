// SPDX-License-Identifier: Apache-2.0
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define REGION (2u << 20)
#define UNIT 4096u
#define SIZES (SLAB_LARGEST / UNIT)
#define BLOCKS_MAX (REGION / UNIT - 1)
#define NONE UINT16_MAX

struct region {
	struct region *prev, *next; // of the regions of its size that have room
	uint32_t used, total;
	uint16_t first; // free block, NONE: it is full
	uint16_t next_free[BLOCKS_MAX];
};
_Static_assert(sizeof(struct region) <= UNIT, "one page");

struct slab {
	struct region *with_room[SIZES]; // by size / UNIT - 1
};

static size_t rounded(size_t size) {
	return (size + UNIT - 1) / UNIT * UNIT;
}

static struct region **list_of(struct slab *s, size_t size) {
	return &s->with_room[rounded(size) / UNIT - 1];
}

static void link_region(struct region **list, struct region *r) {
	r->prev = NULL;
	r->next = *list;
	if (*list != NULL)
		(*list)->prev = r;
	*list = r;
}

static void unlink_region(struct region **list, struct region *r) {
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		*list = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
}

// Twice as much is mapped, and what lies before and behind the aligned half given back.
static void *map_region(void) {
	char *base = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	size_t head;

	if (base == MAP_FAILED)
		return NULL;
	head = (REGION - (uintptr_t)base % REGION) % REGION;
	if (head > 0)
		munmap(base, head);
	munmap(base + head + REGION, REGION - head);
	madvise(base + head, REGION,
		MADV_HUGEPAGE); // a wish: without huge pages it is as good as malloc()
	return base + head;
}

static struct region *add_region(struct region **list, size_t size) {
	struct region *r = map_region();

	if (r == NULL)
		return NULL;
	r->used = 0;
	r->total = (uint32_t)((REGION - UNIT) / size);
	r->first = 0;
	for (uint32_t i = 0; i < r->total; i++)
		r->next_free[i] = i + 1 < r->total ? (uint16_t)(i + 1) : NONE;
	link_region(list, r);
	return r;
}

struct slab *slab_create(void) {
	return calloc(1, sizeof(struct slab));
}

void slab_destroy(struct slab *s) {
	if (s == NULL)
		return;
	for (unsigned i = 0; i < SIZES; i++) {
		struct region *r = s->with_room[i];

		assert(r == NULL || (r->used == 0 && r->next == NULL));
		if (r != NULL)
			munmap(r, REGION);
	}
	free(s);
}

static bool is_packed(const struct slab *s, size_t size) {
	return s != NULL && size > 0 && size <= SLAB_LARGEST;
}

void *slab_alloc(struct slab *s, size_t size) {
	struct region **list, *r;
	uint32_t i;

	if (!is_packed(s, size))
		return malloc(size);
	list = list_of(s, size);
	r = *list != NULL ? *list : add_region(list, rounded(size));
	if (r == NULL)
		return NULL;
	i = r->first;
	r->first = r->next_free[i];
	r->used++;
	if (r->first == NONE)
		unlink_region(list, r);
	return (char *)r + UNIT + i * rounded(size);
}

void slab_free(struct slab *s, void *block, size_t size) {
	struct region *r = (struct region *)((uintptr_t)block & ~(uintptr_t)(REGION - 1)), **list;
	uint32_t i;

	if (block == NULL || !is_packed(s, size)) {
		free(block);
		return;
	}
	list = list_of(s, size);
	i = (uint32_t)(((char *)block - (char *)r - UNIT) / rounded(size));
	assert(r->used > 0 && i < r->total);
	if (r->first == NONE)
		link_region(list, r);
	r->next_free[i] = r->first;
	r->first = (uint16_t)i;
	if (--r->used == 0 && (r->prev != NULL || r->next != NULL)) {
		unlink_region(list, r);
		munmap(r, REGION);
	}
}
