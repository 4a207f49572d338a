// SPDX-License-Identifier: Apache-2.0
// The search of one cache line: what the CPU's vectors find is what the plain loop finds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flow/flow.h"

#define ROUNDS 200000

union line {
	uint8_t b[64];
	struct flow flows[4];
	struct flow6 flows6[2];
} __attribute__((aligned(64)));

static uint64_t random64(void) {
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static struct flow_words random_mask(void) {
	static const struct flow_words simple[] = {
		{UINT64_MAX, UINT64_MAX}, {UINT64_MAX, 0}, {0, UINT64_MAX}, {1, 0}, {0, 1u << 15}};
	unsigned i = (unsigned)rand() % 8;

	if (i < 5)
		return simple[i];
	return i == 5 ? flow_want_mask(4) : (struct flow_words){random64(), random64()};
}

// Each entry is the wanted one, one with a bit changed (inside of the mask or not), or noise. At most one is wanted.
static void fill(union line *l, unsigned n, unsigned size, struct flow_words want,
		 struct flow_words mask) {
	unsigned wanted = (unsigned)rand() % (n + 1);

	for (unsigned i = 0; i < n; i++) {
		struct flow_words noise = {random64(), random64()}, e = want;
		uint64_t bit = UINT64_C(1) << (rand() % 64);

		e.a |= noise.a & ~mask.a;
		e.b |= noise.b & ~mask.b;
		if (i != wanted && rand() % 2)
			e.a ^= mask.a & bit ? bit : mask.a;
		else if (i != wanted)
			e.b ^= mask.b & bit ? bit : mask.b;
		if (i != wanted && ((e.a ^ want.a) & mask.a) == 0 && ((e.b ^ want.b) & mask.b) == 0)
			e.a ^= mask.a, e.b ^= mask.b;
		memcpy(l->b + size * (i + 1) - 16, &e, 16);
	}
}

static void four_entries_are_compared_alike(void **state) {
	srand(5);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct flow_words mask = random_mask(), want = {random64(), random64()};
		union line l;

		want.a &= mask.a;
		want.b &= mask.b;
		fill(&l, 4, 16, want, mask);
		assert_int_equal(flow_line_find4(&l, want, mask), flow_line_plain4(&l, want, mask));
	}
}

static void two_entries_with_addresses_are_compared_alike(void **state) {
	srand(6);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct flow_words mask = random_mask(), want = {random64(), random64()};
		uint64_t addr[2] = {random64(), random64()};
		union line l;

		want.a &= mask.a;
		want.b &= mask.b;
		fill(&l, 2, 32, want, mask);
		for (unsigned k = 0; k < 2; k++) {
			memcpy(&l.flows6[k], addr, 16);
			if (rand() % 3 == 0)
				l.b[32 * k + (unsigned)rand() % 16] ^= 1 << rand() % 8;
		}
		assert_int_equal(flow_line_find6(&l, addr, want, mask),
				 flow_line_plain6(&l, addr, want, mask));
	}
}

static void every_place_of_a_line_is_found(void **state) {
	const struct flow_words mask = flow_want_mask(4), want = {0x1234567800000001, 80};
	uint32_t addr[4] = {1, 2, 3, 4};

	for (int i = 0; i < 4; i++) {
		union line l = {.b = {0}};

		memcpy(l.b + 16 * i, &want, 16);
		assert_int_equal(flow_line_find4(&l, want, mask), 16 * i);
	}
	for (int i = 0; i < 2; i++) {
		union line l = {.b = {0}};

		memcpy(l.b + 32 * i, addr, 16);
		memcpy(l.b + 32 * i + 16, &want, 16);
		assert_int_equal(flow_line_find6(&l, addr, want, mask), 32 * i + 16);
	}
}

static void noting_the_time_changes_nothing_else(void **state) {
	srand(7);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t words[2] = {random64(), random64()};
		uint32_t now = (uint32_t)random64();
		struct flow f, was;

		memcpy(&f, words, sizeof(f));
		was = f;
		flow_note(&f, now);
		assert_int_equal(f.last, now & FLOW_TIME_MASK);
		f.last = was.last;
		assert_memory_equal(&f, &was, sizeof(f));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_entries_are_compared_alike),
		cmocka_unit_test(two_entries_with_addresses_are_compared_alike),
		cmocka_unit_test(every_place_of_a_line_is_found),
		cmocka_unit_test(noting_the_time_changes_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
