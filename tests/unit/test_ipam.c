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
	const struct ipam_pool p = {.name = "p",
				    .auto_assign = true,
				    .n_ranges = 4,
				    .ranges = ranges};
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

static const char *label_of(const void *arg, const char *key) {
	const char *const *pairs = arg;

	for (; pairs[0] != NULL; pairs += 2)
		if (strcmp(pairs[0], key) == 0)
			return pairs[1];
	return NULL;
}

static void a_pool_is_for_namespaces_and_labels_as_kubernetes_selects(void **state) {
	static char *const prod[] = {"prod"}, *const names[] = {"shop", "web"};
	static const char *const labels[] = {"env", "prod", "tier", "front", NULL};
	struct ipam_term terms[] = {{IPAM_IN, "env", 1, (char **)prod},
				    {IPAM_NOT_IN, "tier", 1, (char **)prod},
				    {IPAM_NOT_IN, "absent", 1, (char **)prod},
				    {IPAM_EXISTS, "tier", 0, NULL},
				    {IPAM_DOES_NOT_EXIST, "absent", 0, NULL}};
	struct ipam_term wrong[] = {{IPAM_IN, "tier", 1, (char **)prod},
				    {IPAM_IN, "absent", 1, (char **)prod},
				    {IPAM_NOT_IN, "env", 1, (char **)prod},
				    {IPAM_EXISTS, "absent", 0, NULL},
				    {IPAM_DOES_NOT_EXIST, "env", 0, NULL}};
	const struct ipam_selector all = {5, terms}, none = {0, NULL};
	struct ipam_pool p = {.n_namespaces = 2, .namespaces = names};

	assert_true(ipam_selector_matches(&all, label_of, labels));
	assert_true(ipam_selector_matches(&none, label_of, labels));
	for (int i = 0; i < 5; i++) {
		const struct ipam_selector one = {1, &wrong[i]}, either[] = {{1, &wrong[i]}, none};

		assert_false(ipam_selector_matches(&one, label_of, labels));
		p.n_selectors = 1;
		p.selectors = &one;
		assert_false(ipam_pool_admits(&p, "web", label_of, labels));
		p.n_selectors = 2;
		p.selectors = either;
		assert_true(ipam_pool_admits(&p, "web", label_of, labels));
		assert_false(ipam_pool_admits(&p, "default", label_of, labels));
	}
}

static void a_pool_knows_its_size(void **state) {
	const struct ip_range ranges[] = {case_range("10.0.0.0/24"), case_range("10.1.0.7"),
					  case_range("2001:db8::/64"),
					  case_range("2001:db8:1::/64")};
	const struct ipam_pool p = {.n_ranges = 4, .ranges = ranges},
			       q = {.n_ranges = 1, .ranges = ranges};

	assert_int_equal(ipam_pool_size(&p, 4), 257);
	assert_true(ipam_pool_size(&p, 6) == UINT64_MAX);
	assert_int_equal(ipam_pool_size(&q, 6), 0);
}

static bool is_any(void *arg, const struct ip_addr *a) {
	return true;
}

static void a_released_address_is_its_services_for_ten_minutes(void **state) {
	struct ipam_memory *m = ipam_memory_create();
	struct ipam_entry a = entry("a", "10.0.0.1"), b = entry("b", "10.0.0.2");

	ipam_memory_set_time(m, 5000);
	ipam_memory_put(m, &a);
	assert_int_equal(ipam_memory_release(m, &a), 0);
	assert_int_equal(ipam_memory_count(m), 0);
	ipam_memory_set_time(m, 6000);
	assert_int_equal(ipam_memory_release(m, &b), 0);
	assert_true(ipam_memory_is_released(m, &a.addr));
	assert_non_null(ipam_memory_find_released(m, "default", "a", 4));
	assert_null(ipam_memory_find_released(m, "default", "a", 6));
	assert_true(ip_addr_eq(&ipam_memory_longest_released(m, is_any, NULL)->addr, &a.addr));
	ipam_memory_set_time(m, 5000 + IPAM_SOON_MS + 1);
	assert_null(ipam_memory_find_released(m, "default", "a", 4));
	assert_non_null(ipam_memory_find_released(m, "default", "b", 4));
	ipam_memory_reuse(m, &a.addr);
	assert_false(ipam_memory_is_released(m, &a.addr));
	assert_true(ip_addr_eq(&ipam_memory_longest_released(m, is_any, NULL)->addr, &b.addr));
	assert_int_equal(ipam_memory_release(m, &a), 0); // and it is the last one again
	assert_true(ip_addr_eq(&ipam_memory_longest_released(m, is_any, NULL)->addr, &b.addr));
	ipam_memory_destroy(m);
}

static void what_was_released_is_saved_with_its_age(void **state) {
	struct ipam_memory *m = ipam_memory_create(), *n = ipam_memory_create();
	struct ipam_entry old = entry("old", "10.0.0.1"), a = entry("a", "10.0.0.3"),
			  b = entry("b", "10.0.0.2");
	struct error err;

	ipam_memory_set_time(m, 0);
	ipam_memory_release(m, &old);
	ipam_memory_set_time(m, IPAM_SOON_MS - 60000);
	ipam_memory_release(m, &a);
	ipam_memory_set_time(m, IPAM_SOON_MS);
	ipam_memory_release(m, &b);
	ipam_memory_set_time(m, IPAM_SOON_MS + 1000);
	assert_int_equal(ipam_memory_save(m, path, &err), 0);
	assert_int_equal(ipam_memory_load(n, path, &err), 0);
	ipam_memory_set_time(n, 77); // another clock
	assert_false(ipam_memory_is_released(n, &old.addr));
	assert_true(ip_addr_eq(&ipam_memory_longest_released(n, is_any, NULL)->addr, &a.addr));
	ipam_memory_set_time(n, 77 + IPAM_SOON_MS - 62000);
	assert_non_null(ipam_memory_find_released(n, "default", "a", 4));
	ipam_memory_set_time(n, 77 + IPAM_SOON_MS - 60000);
	assert_null(ipam_memory_find_released(n, "default", "a", 4));
	assert_non_null(ipam_memory_find_released(n, "default", "b", 4));
	ipam_memory_destroy(m);
	ipam_memory_destroy(n);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_address_is_found_in_any_order_of_ranges),
		cmocka_unit_test(a_service_has_one_address_of_each_family),
		cmocka_unit_test(a_pool_is_for_namespaces_and_labels_as_kubernetes_selects),
		cmocka_unit_test(a_pool_knows_its_size),
		cmocka_unit_test(a_released_address_is_its_services_for_ten_minutes),
		cmocka_unit_test(what_was_released_is_saved_with_its_age),
		cmocka_unit_test(what_was_saved_is_loaded),
		cmocka_unit_test(a_damaged_file_is_set_aside_and_never_overwritten),
		cmocka_unit_test(a_file_that_can_not_be_written_leaves_the_memory_unsaved),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
