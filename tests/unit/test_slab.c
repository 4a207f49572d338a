// SPDX-License-Identifier: Apache-2.0
// Memory for tables: blocks never overlap, are used again, and all regions go back.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"

#define N 400
#define REGION (2u << 20)

struct block {
	unsigned char *p;
	size_t size;
	unsigned char mark;
};

static void check(const struct block *b) {
	for (size_t i = 0; i < b->size; i++)
		assert_int_equal(b->p[i], b->mark);
}

static void blocks_keep_what_is_theirs(void **state) {
	static const size_t sizes[] = {
		1, 4096, 4097, 16381, 65537, SLAB_LARGEST, SLAB_LARGEST + 1, 655373};
	static struct block blocks[N];
	struct slab *s = slab_create();
	uint64_t random = 1;

	for (unsigned round = 0; round < 5 * N; round++) {
		struct block *b;

		random = random * 6364136223846793005u + 1442695040888963407u;
		b = &blocks[(random >> 33) % N];
		if (b->p != NULL) {
			check(b);
			slab_free(s, b->p, b->size);
		}
		b->size = sizes[(random >> 50) % (sizeof(sizes) / sizeof(sizes[0]))];
		b->mark = (unsigned char)(random >> 42);
		b->p = slab_alloc(s, b->size);
		assert_non_null(b->p);
		memset(b->p, b->mark, b->size);
	}
	for (unsigned i = 0; i < N; i++) {
		if (blocks[i].p == NULL)
			continue;
		check(&blocks[i]);
		slab_free(s, blocks[i].p, blocks[i].size);
	}
	slab_destroy(s);
}

// What huge pages are for: 127 tables of 16,381 bytes in one.
static void blocks_of_a_size_are_packed(void **state) {
	struct slab *s = slab_create();
	unsigned char *b[127];

	for (unsigned i = 0; i < 127; i++) {
		b[i] = slab_alloc(s, 16381);
		assert_int_equal((uintptr_t)b[i] / REGION, (uintptr_t)b[0] / REGION);
		assert_int_equal((uintptr_t)b[i] % 4096, 0);
	}
	for (unsigned i = 0; i < 127; i++)
		slab_free(s, b[i], 16381);
	slab_destroy(s);
}

static void a_freed_block_is_the_next_one(void **state) {
	struct slab *s = slab_create();
	void *a = slab_alloc(s, 16381), *b = slab_alloc(s, 16381);

	slab_free(s, a, 16381);
	assert_ptr_equal(slab_alloc(s, 16000), a);
	slab_free(s, a, 16000);
	slab_free(s, b, 16381);
	slab_destroy(s);
}

static void without_a_slab_it_is_malloc(void **state) {
	void *p = slab_alloc(NULL, 16381);

	assert_non_null(p);
	slab_free(NULL, p, 16381);
	slab_free(NULL, NULL, 0);
	slab_destroy(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_keep_what_is_theirs),
		cmocka_unit_test(blocks_of_a_size_are_packed),
		cmocka_unit_test(a_freed_block_is_the_next_one),
		cmocka_unit_test(without_a_slab_it_is_malloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
