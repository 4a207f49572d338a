// SPDX-License-Identifier: Apache-2.0
// Table memory: zeroed, aligned, whole; hugepages where they are free, a clear refusal where they are required and not.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "port/memory.h"

static void blocks_are_zeroed_aligned_and_at_least_as_long_as_asked(void **state) {
	static const size_t sizes[] = {1, 64, 4096, 4097, (2u << 20) - 1, 2u << 20, 5u << 20};
	static const enum hugepages pages[] = {HUGEPAGES_OFF, HUGEPAGES_AUTO};
	struct memory m;

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		const size_t size = sizes[i / 2];
		const unsigned char *byte;

		assert_int_equal(memory_alloc(&m, size, 0, pages[i % 2], i % 3 == 0, NULL), 0);
		assert_true(m.size >= size && m.size < size + (2u << 20));
		assert_int_equal((uintptr_t)m.base % 4096, 0);
		byte = m.base;
		for (size_t b = 0; b < size; b += 509)
			assert_int_equal(byte[b], 0);
		memset(m.base, 0xa5, m.size);
		memory_free(&m);
		assert_null(m.base);
		memory_free(&m);
	}
}

static void large_blocks_may_become_transparent_hugepages(void **state) {
	struct memory m;

	assert_int_equal(memory_alloc(&m, 3u << 20, MEMORY_ANY_SOCKET, HUGEPAGES_OFF, false, NULL),
			 0);
	assert_int_equal((uintptr_t)m.base % (2u << 20), 0);
	memory_free(&m);
}

static void a_refusal_says_what_to_do_and_leaves_the_output_alone(void **state) {
	struct memory m = {.base = &m, .size = 7};
	struct error err;

	assert_int_equal(memory_alloc(&m, 0, 0, HUGEPAGES_OFF, false, &err), -EINVAL);
	assert_int_equal(memory_alloc(&m, (size_t)memory_free_hugepages() + (64ul << 30), 0,
				      HUGEPAGES_REQUIRED, false, &err),
			 -ENOMEM);
	assert_non_null(strstr(err.text, "vm.nr_hugepages"));
	assert_ptr_equal(m.base, &m);
	assert_int_equal(m.size, 7);
}

static void a_touched_block_lies_on_a_node(void **state) {
	struct memory m;

	assert_int_equal(memory_alloc(&m, 1u << 20, memory_cpu_node(0), HUGEPAGES_OFF, true, NULL),
			 0);
	assert_in_range(memory_node(&m) + 1, 0, 1024); // -1 where the kernel doesn't tell
	memory_free(&m);
	assert_int_equal(memory_node(&m), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_zeroed_aligned_and_at_least_as_long_as_asked),
		cmocka_unit_test(large_blocks_may_become_transparent_hugepages),
		cmocka_unit_test(a_refusal_says_what_to_do_and_leaves_the_output_alone),
		cmocka_unit_test(a_touched_block_lies_on_a_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
