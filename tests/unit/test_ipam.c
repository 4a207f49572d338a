// SPDX-License-Identifier: Apache-2.0
// Pools and the memory of addresses.
#include <errno.h>
#include <unistd.h>

#include "ipam/ipam.h"
#include "kube_case.h"

static bool is_odd_or_below_five(void *arg, const struct ip_addr *a) {
	uint8_t last = a->family == 4 ? a->b[3] : a->b[15];

	return last % 2 == 1 || last < 5;
}

static void the_lowest_free_address_is_found_in_any_order_of_ranges(void **state) {
	const struct ip_range ranges[] = {case_range("10.0.0.20-10.0.0.30"),
					  case_range("2001:db8::/126"), case_range("10.0.0.0/29"),
					  case_range("255.255.255.254/31")};
	const struct ipam_pool p = {"p", true, 4, ranges};
	struct ip_addr a, from;

	assert_true(ipam_lowest(&a, &p, 4, NULL, is_odd_or_below_five, NULL));
	from = case_ip("10.0.0.6");
	assert_true(ip_addr_eq(&a, &from));
	from = case_ip("10.0.0.7");
	assert_true(ipam_lowest(&a, &p, 4, &from, is_odd_or_below_five, NULL));
	from = case_ip("10.0.0.20");
	assert_true(ip_addr_eq(&a, &from));
	assert_false(ipam_lowest(&a, &p, 6, NULL, is_odd_or_below_five, NULL));
	from = case_ip("255.255.255.255");
	assert_false(ipam_lowest(&a, &p, 4, &from, is_odd_or_below_five,
				 NULL)); // and it ends at the last address of all
	assert_true(ipam_pool_contains(&p, &from));
	from = case_ip("10.0.0.8");
	assert_false(ipam_pool_contains(&p, &from));
}

static struct ipam_entry entry(const char *name, const char *addr) {
	struct ipam_entry e = {.ns = "default", .pool = "public", .addr = case_ip(addr)};

	strcpy(e.name, name);
	return e;
}

static void a_service_has_one_address_of_each_family(void **state) {
	struct ipam_memory *m = ipam_memory_create();
	struct ipam_entry a = entry("web", "10.0.0.1"), b = entry("web", "2001:db8::1"),
			  c = entry("web", "10.0.0.2");

	assert_int_equal(ipam_memory_put(m, &a), 1);
	assert_int_equal(ipam_memory_put(m, &a), 0);
	assert_int_equal(ipam_memory_put(m, &b), 1);
	assert_int_equal(ipam_memory_put(m, &c), 1);
	assert_int_equal(ipam_memory_count(m), 2);
	assert_true(ip_addr_eq(&ipam_memory_find(m, "default", "web", 4)->addr, &c.addr));
	assert_int_equal(ipam_memory_remove(m, "default", "web", 4), 1);
	assert_int_equal(ipam_memory_remove(m, "default", "web", 4), 0);
	ipam_memory_destroy(m);
}

static char dir[64], path[128];

static int setup(void **state) {
	strcpy(dir, "/tmp/test_ipam.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/addresses.json", dir);
	return 0;
}

static int teardown(void **state) {
	char aside[160];

	unlink(path);
	for (int i = 0; i < 3; i++) {
		snprintf(aside, sizeof(aside), i == 0 ? "%s.damaged" : "%s.damaged.%d", path, i);
		unlink(aside);
	}
	return rmdir(dir);
}

static void what_was_saved_is_loaded(void **state) {
	struct ipam_memory *m = ipam_memory_create(), *n = ipam_memory_create();
	struct ipam_entry a = entry("web", "10.0.0.1"), b = entry("db", "2001:db8::1");
	struct error err;

	ipam_memory_put(m, &a);
	ipam_memory_put(m, &b);
	assert_true(ipam_memory_is_unsaved(m));
	assert_int_equal(ipam_memory_load(n, path, &err), 0); // no file: empty
	assert_int_equal(ipam_memory_save(m, path, &err), 0);
	assert_false(ipam_memory_is_unsaved(m));
	assert_int_equal(ipam_memory_load(n, path, &err), 0);
	assert_false(ipam_memory_is_unsaved(n));
	assert_int_equal(ipam_memory_count(n), 2);
	assert_true(ip_addr_eq(&ipam_memory_find(n, "default", "db", 6)->addr, &b.addr));
	assert_string_equal(ipam_memory_find(n, "default", "db", 6)->pool, "public");
	ipam_memory_destroy(m);
	ipam_memory_destroy(n);
}

static void a_damaged_file_is_set_aside_and_never_overwritten(void **state) {
	static const char *const damaged[] = {"", "{\"version\": 1, \"addresses\": [{\"name",
					      "{\"version\": 2, \"addresses\": []}"};

	for (size_t i = 0; i < 3; i++) {
		struct ipam_memory *m = ipam_memory_create();
		char aside[160], text[100] = "";
		struct error err;
		FILE *f = fopen(path, "w");

		fputs(damaged[i], f);
		fclose(f);
		assert_int_equal(ipam_memory_load(m, path, &err), 1);
		assert_int_equal(ipam_memory_count(m), 0);
		assert_int_equal(access(path, F_OK), -1);
		snprintf(aside, sizeof(aside), i == 0 ? "%s.damaged" : "%s.damaged.%zu", path, i);
		assert_non_null(strstr(err.text, aside));
		f = fopen(aside, "r");
		assert_non_null(f);
		assert_int_equal(fread(text, 1, sizeof(text) - 1, f), strlen(damaged[i]));
		assert_string_equal(text, damaged[i]);
		fclose(f);
		ipam_memory_destroy(m);
	}
}

static void a_file_that_can_not_be_written_leaves_the_memory_unsaved(void **state) {
	struct ipam_memory *m = ipam_memory_create();
	struct ipam_entry a = entry("web", "10.0.0.1");
	struct error err;

	ipam_memory_put(m, &a);
	assert_int_equal(ipam_memory_save(m, "/nonexistent/directory/file", &err), -ENOENT);
	assert_true(ipam_memory_is_unsaved(m));
	ipam_memory_destroy(m);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_address_is_found_in_any_order_of_ranges),
		cmocka_unit_test(a_service_has_one_address_of_each_family),
		cmocka_unit_test(what_was_saved_is_loaded),
		cmocka_unit_test(a_damaged_file_is_set_aside_and_never_overwritten),
		cmocka_unit_test(a_file_that_can_not_be_written_leaves_the_memory_unsaved),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
