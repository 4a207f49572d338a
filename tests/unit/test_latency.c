// SPDX-License-Identifier: Apache-2.0
// How long changes take, as sluiced counts it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "latency.h"

static struct latency l;

static int setup(void **state) {
	memset(&l, 0, sizeof(l));
	return 0;
}

static json_int_t value(const char *key) {
	json_t *all = latency_describe(&l);
	json_int_t v = json_integer_value(json_object_get(all, key));

	assert_true(json_is_integer(json_object_get(all, key)));
	json_decref(all);
	return v;
}

static void a_change_is_over_when_all_workers_serve_it(void **state) {
	latency_begin(&l, 7, 1000);
	latency_begin(&l, 8, 2000);
	latency_reached(&l, 6, 3000);
	assert_int_equal(value("count"), 0);
	latency_reached(&l, 7, 3000);
	assert_int_equal(value("count"), 1);
	assert_int_equal(value("max"), 2000);
	latency_reached(&l, 9, 12000); // a later one includes it
	assert_int_equal(value("count"), 2);
	assert_int_equal(value("max"), 10000);
}

static void percentiles_are_of_the_last_changes(void **state) {
	for (int i = 0; i < 3000; i++) {
		latency_begin(&l, (uint64_t)i, 0);
		latency_reached(&l, (uint64_t)i, i < 1000 ? 900000 : i % 100);
	}
	assert_int_equal(value("count"), 3000);
	assert_in_range(value("p50"), 45, 55);
	assert_in_range(value("p99"), 97, 99);
	assert_int_equal(value("max"), 900000); // since the start
}

static void workers_that_stand_still_cost_no_memory(void **state) {
	for (int i = 0; i < 10 * LATENCY_PENDING; i++)
		latency_begin(&l, (uint64_t)i, i);
	latency_reached(&l, UINT64_MAX, 5000);
	assert_int_equal(value("count"), LATENCY_PENDING);
	assert_int_equal(value("max"), 5000); // the oldest ones are those that count
}

static void nothing_yet_is_all_zeros(void **state) {
	assert_int_equal(value("count"), 0);
	assert_int_equal(value("p50"), 0);
	assert_int_equal(value("p99"), 0);
	assert_int_equal(value("max"), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_change_is_over_when_all_workers_serve_it, setup),
		cmocka_unit_test_setup(percentiles_are_of_the_last_changes, setup),
		cmocka_unit_test_setup(workers_that_stand_still_cost_no_memory, setup),
		cmocka_unit_test_setup(nothing_yet_is_all_zeros, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
