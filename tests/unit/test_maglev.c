// SPDX-License-Identifier: Apache-2.0
// Maglev: balance, disruption, order, and one golden table that all versions must agree on.
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "maglev/maglev.h"

#define MAX 1001

static struct maglev_backend b[MAX];
static uint64_t seed;

static uint32_t draw(uint32_t bound) { // xorshift64*: the test's own
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1d >> 32) * bound >> 32);
}

static void equal_backends(uint32_t n, uint32_t first) {
	for (uint32_t i = 0; i < n; i++)
		b[i] = (struct maglev_backend){ip_addr_from_v4(htobe32(first + i)), 8080, 1};
}

static uint32_t at(const struct maglev_table *t, uint32_t slot) {
	// The hash whose upper half is the middle of the slot's part.
	uint64_t hash = (((uint64_t)slot << 32) + (1ull << 31)) / t->size << 32;

	assert_int_equal(maglev_slot(t, hash), slot);
	return maglev_find(t, hash);
}

static void build(struct maglev_table *t, uint32_t n) {
	assert_int_equal(maglev_build(t, NULL, b, n), 0);
}

static void count(uint32_t *shares, const struct maglev_table *t, uint32_t n) {
	memset(shares, 0, n * sizeof(*shares));
	for (uint32_t i = 0; i < t->size; i++) {
		uint32_t index = at(t, i);

		assert_in_range(index, 0, n - 1);
		shares[index]++;
	}
}

static void sizes_are_coarse_steps(void **state) {
	static const uint32_t cases[][2] = {{0, 0},        {1, 0},         {2, 16381},
					    {20, 16381},   {21, 65537},    {655, 65537},
					    {656, 655373}, {1000, 655373}, {65535, 655373}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(maglev_size(cases[i][0]), cases[i][1]);
}

static void fewer_than_two_backends_need_no_table(void **state) {
	struct maglev_table t;

	equal_backends(3, 0x0a000001);
	build(&t, 0);
	assert_int_equal(t.size, 0);
	assert_int_equal(maglev_find(&t, 1), MAGLEV_NONE);
	build(&t, 1);
	assert_int_equal(maglev_find(&t, UINT64_MAX), 0);
	b[0].weight = b[1].weight = 0;
	build(&t, 3);
	assert_int_equal(t.size, 0);
	assert_null(t.slots);
	assert_int_equal(maglev_find(&t, UINT64_MAX), 2);
	b[2].weight = 0;
	build(&t, 3);
	assert_int_equal(maglev_find(&t, 7), MAGLEV_NONE);
}

static void equal_backends_differ_by_one_slot_at_most(void **state) {
	static const uint32_t cases[] = {2, 3, 20, 21, 100, 255, 256, 655, 656, 1000};
	uint32_t shares[MAX];
	struct maglev_table t;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint32_t n = cases[c];

		equal_backends(n, 0x0a000001);
		build(&t, n);
		assert_int_equal(t.width, n <= 255 ? 1 : 2);
		count(shares, &t, n);
		for (uint32_t i = 0; i < n; i++)
			assert_in_range(shares[i], t.size / n, t.size / n + 1);
		maglev_fini(&t, NULL);
	}
}

static void shares_follow_weights(void **state) {
	uint32_t shares[MAX], total = 0;
	struct maglev_table t;

	equal_backends(30, 0x0a000001);
	for (uint32_t i = 0; i < 30; i++) {
		b[i].weight = i == 7 ? 0 : i == 9 ? 100000 : draw(200) + 1;
		total += b[i].weight;
	}
	build(&t, 30);
	count(shares, &t, 30);
	assert_int_equal(shares[7], 0);
	for (uint32_t i = 0; i < 30; i++) {
		uint32_t exact = (uint32_t)((uint64_t)t.size * b[i].weight / total);

		assert_in_range(shares[i] + 1, exact, exact + 2);
	}
	maglev_fini(&t, NULL);
}

static void extreme_weights_are_served(void **state) {
	struct maglev_table t;
	uint32_t shares[3];

	equal_backends(3, 0x0a000001);
	b[0].weight = b[1].weight = UINT32_MAX;
	build(&t, 3);
	count(shares, &t, 3);
	assert_in_range(shares[0], t.size / 2 - 1, t.size / 2 + 1);
	assert_in_range(shares[1], t.size / 2 - 1, t.size / 2 + 1);
	maglev_fini(&t, NULL);
}

// Slots of the others that change when one of n goes, in parts of 10,000 of their slots.
static uint32_t disruption(uint32_t n, uint32_t gone) {
	uint32_t moved = 0, others = 0;
	struct maglev_table before, after;

	build(&before, n);
	b[gone].weight = 0;
	build(&after, n);
	b[gone].weight = 1;
	assert_int_equal(before.size, after.size);
	for (uint32_t i = 0; i < before.size; i++) {
		uint32_t was = at(&before, i), is = at(&after, i);

		assert_int_not_equal(is, gone);
		others += was != gone;
		moved += was != gone && is != was;
	}
	maglev_fini(&before, NULL);
	maglev_fini(&after, NULL);
	return (uint32_t)((uint64_t)moved * 10000 / others);
}

static void removing_one_moves_at_most_one_percent_of_the_others(void **state) {
	static const uint32_t cases[] = {3,  4,  5,   6,   7,   8,   9,   10,  11,
					 12, 13, 14,  15,  16,  17,  18,  19,  20,
					 22, 40, 100, 255, 256, 400, 655, 657, 1000};

	seed = 42;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint32_t rounds = cases[c] <= 20 ? 20 : 2;

		for (uint32_t r = 0; r < rounds; r++) {
			equal_backends(cases[c], 0x0a000000 + draw(1 << 24));
			assert_in_range(disruption(cases[c], draw(cases[c])), 0, 99);
		}
	}
}

static void removing_one_of_two_leaves_the_other(void **state) {
	struct maglev_table t;

	equal_backends(2, 0x0a000001);
	b[0].weight = 0;
	build(&t, 2);
	assert_int_equal(maglev_find(&t, 99), 1);
}

static void order_of_backends_does_not_matter(void **state) {
	static struct maglev_backend sorted[300];
	struct maglev_table t, u;

	equal_backends(300, 0x0a000001);
	for (uint32_t i = 0; i < 300; i++)
		b[i].weight = 1 + i % 5;
	memcpy(sorted, b, sizeof(sorted));
	build(&t, 300);
	for (uint32_t i = 299; i > 0; i--) {
		uint32_t j = draw(i + 1);
		struct maglev_backend swap = b[i];

		b[i] = b[j];
		b[j] = swap;
	}
	build(&u, 300);
	for (uint32_t i = 0; i < t.size; i++) {
		const struct maglev_backend *x = &sorted[at(&t, i)], *y = &b[at(&u, i)];

		assert_true(ip_addr_eq(&x->addr, &y->addr) && x->port == y->port);
	}
	maglev_fini(&t, NULL);
	maglev_fini(&u, NULL);
}

static void twins_and_too_many_are_refused(void **state) {
	struct maglev_table t = {.size = 77};

	equal_backends(3, 0x0a000001);
	b[2] = b[0];
	assert_int_equal(maglev_build(&t, NULL, b, 3), -EEXIST);
	assert_int_equal(maglev_build(&t, NULL, b, MAGLEV_MAX_BACKENDS + 1), -E2BIG);
	assert_int_equal(t.size, 77);
	b[2].port++;
	build(&t, 3);
	maglev_fini(&t, NULL);
	maglev_fini(&t, NULL);
}

static uint64_t fnv1a(const struct maglev_table *t) {
	uint64_t h = 0xcbf29ce484222325;

	for (uint32_t i = 0; i < t->size; i++) {
		uint32_t index = at(t, i);

		h = (h ^ (index & 0xff)) * 0x100000001b3;
		h = (h ^ index >> 8) * 0x100000001b3;
	}
	return h;
}

// A change here makes appliances of two versions disagree about flows that are not tracked: it
// belongs into CHANGELOG.md.
static void tables_are_those_of_earlier_versions(void **state) {
	static const struct {
		uint32_t n;
		uint64_t hash;
	} cases[] = {{8, 0x1b385c7c5fcad548}, {300, 0xa5113b77770372ef}, {700, 0x247821e1fc4e0d0b}};
	struct maglev_table t;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		equal_backends(cases[c].n, 0x0a010203);
		b[3].weight = 3;
		b[5].addr = ip_addr_from_v6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05");
		build(&t, cases[c].n);
		assert_int_equal(fnv1a(&t), cases[c].hash);
		maglev_fini(&t, NULL);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_coarse_steps),
		cmocka_unit_test(fewer_than_two_backends_need_no_table),
		cmocka_unit_test(equal_backends_differ_by_one_slot_at_most),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(extreme_weights_are_served),
		cmocka_unit_test(removing_one_moves_at_most_one_percent_of_the_others),
		cmocka_unit_test(removing_one_of_two_leaves_the_other),
		cmocka_unit_test(order_of_backends_does_not_matter),
		cmocka_unit_test(twins_and_too_many_are_refused),
		cmocka_unit_test(tables_are_those_of_earlier_versions),
	};

	seed = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
