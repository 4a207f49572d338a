// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes, ranges and MACs as text and as values.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/addr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct ip_addr addr(const char *text) {
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(&a, text), 0);
	return a;
}

static void addresses_print_in_their_shortest_form(void **state) {
	static const char *const cases[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"::", "::"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	char buf[IP_ADDR_STR];

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ip_addr a = addr(cases[i][0]);

		assert_string_equal(ip_addr_format(&a, buf), cases[i][1]);
	}
}

static void what_is_no_address_is_refused(void **state) {
	static const char *const cases[] = {"",
					    " ",
					    "192.0.2",
					    "192.0.2.1.1",
					    "192.0.2.256",
					    "192.0.02.1",
					    "192.0.2.1 ",
					    " 192.0.2.1",
					    "0x7f.1",
					    "1",
					    ":",
					    ":::",
					    "1::2::3",
					    "fe80::1%eth0",
					    "[::1]",
					    "12345::",
					    "192.0.2.1/24",
					    "1.2.3.4:80",
					    "::g"};
	struct ip_addr a = {.family = 77};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(ip_addr_parse(&a, cases[i]), -EINVAL);
	assert_int_equal(a.family, 77);
}

static void prefixes_keep_their_host_bits(void **state) {
	static const char *const good[] = {"192.0.2.2/24", "0.0.0.0/0", "255.255.255.255/32",
					   "2001:db8::5/64", "::/128"};
	static const char *const bad[] = {"192.0.2.2",
					  "192.0.2.2/",
					  "192.0.2.2/33",
					  "::/129",
					  "::/-1",
					  "::/+1",
					  "::/064",
					  "::/64 ",
					  "/24",
					  "::/1000",
					  "::/6/4",
					  "0.0.0.0/00",
					  "1111111111111111111111111111111111111111111111111111/1"};
	char buf[IP_PREFIX_STR];
	struct ip_prefix p = {.len = 99};

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(ip_prefix_parse(&p, bad[i]), -EINVAL);
	assert_int_equal(p.len, 99);
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(ip_prefix_parse(&p, good[i]), 0);
		assert_string_equal(ip_prefix_format(&p, buf), good[i]);
	}
}

static void ranges_are_written_in_three_ways(void **state) {
	static const char *const good[][3] = {
		{"203.0.113.32-203.0.113.40", "203.0.113.32", "203.0.113.40"},
		{"203.0.113.7/28", "203.0.113.0", "203.0.113.15"},
		{"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.1"},
		{"2001:db8:100::/120", "2001:db8:100::", "2001:db8:100::ff"},
		{"2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
		{"::1-::1", "::1", "::1"},
	};
	static const char *const bad[] = {"",
					  "-",
					  "192.0.2.2-192.0.2.1",
					  "192.0.2.1-",
					  "-192.0.2.1",
					  "192.0.2.1-::1",
					  "192.0.2.0/24-192.0.2.9",
					  "192.0.2.1-192.0.2.2-192.0.2.3"};
	struct ip_range r;

	for (size_t i = 0; i < COUNT(good); i++) {
		struct ip_addr first = addr(good[i][1]), last = addr(good[i][2]);

		assert_int_equal(ip_range_parse(&r, good[i][0]), 0);
		assert_true(ip_addr_eq(&r.first, &first) && ip_addr_eq(&r.last, &last));
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(ip_range_parse(&r, bad[i]), -EINVAL);
}

static void ranges_and_prefixes_contain_their_edges_only(void **state) {
	struct ip_addr in[] = {addr("10.0.0.0"), addr("10.0.255.255")};
	struct ip_addr out[] = {addr("9.255.255.255"), addr("10.1.0.0"), addr("a00::"), addr("::")};
	struct ip_prefix p;
	struct ip_range r;

	assert_int_equal(ip_prefix_parse(&p, "10.0.3.4/16"), 0);
	r = ip_prefix_range(&p);
	for (size_t i = 0; i < COUNT(in); i++)
		assert_true(ip_prefix_contains(&p, &in[i]) && ip_range_contains(&r, &in[i]));
	for (size_t i = 0; i < COUNT(out); i++)
		assert_false(ip_prefix_contains(&p, &out[i]) || ip_range_contains(&r, &out[i]));
}

static void addresses_are_ordered_and_counted_within_a_family(void **state) {
	static const char *const order[] = {"0.0.0.0", "10.0.0.255", "10.0.1.0", "255.255.255.255",
					    "::",      "::1:0",      "ff::"};
	struct ip_addr a, b;

	for (size_t i = 0; i < COUNT(order); i++) {
		for (size_t j = 0; j < COUNT(order); j++) {
			a = addr(order[i]);
			b = addr(order[j]);
			assert_int_equal((ip_addr_cmp(&a, &b) > 0) - (ip_addr_cmp(&a, &b) < 0),
					 (i > j) - (i < j));
		}
	}
	a = addr("10.0.0.255");
	b = addr("10.0.1.0");
	assert_true(ip_addr_next(&a, &a) && ip_addr_eq(&a, &b));
	a = addr("::ffff:ffff");
	b = addr("::1:0:0");
	assert_true(ip_addr_next(&a, &a) && ip_addr_eq(&a, &b));
	a = b = addr("255.255.255.255");
	assert_false(ip_addr_next(&a, &a));
	assert_true(ip_addr_eq(&a, &b));
	a = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_false(ip_addr_next(&a, &a));
}

static void only_unicast_addresses_are_usable(void **state) {
	static const char *const good[] = {"1.0.0.0",     "10.0.0.0",        "126.1.1.1",
					   "169.254.1.1", "223.255.255.255", "2001:db8::",
					   "fd00::1",     "fec0::1",         "::2"};
	static const char *const bad[] = {"0.0.0.0",   "0.1.2.3",   "127.0.0.1",
					  "224.0.0.1", "240.0.0.1", "255.255.255.255",
					  "::",        "::1",       "ff02::1",
					  "fe80::1",   "febf::1",   "::ffff:1.2.3.4"};
	struct ip_addr none = {0};

	assert_false(ip_addr_is_usable(&none));
	for (size_t i = 0; i < COUNT(good); i++) {
		struct ip_addr a = addr(good[i]);

		assert_true(ip_addr_is_usable(&a));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ip_addr a = addr(bad[i]);

		assert_false(ip_addr_is_usable(&a));
	}
}

static void macs_are_six_pairs_of_hex_digits(void **state) {
	static const char *const bad[] = {"",
					  "02:00:00:00:00",
					  "02:00:00:00:00:0",
					  "02:00:00:00:00:001",
					  "02-00-00-00-00-01",
					  "0g:00:00:00:00:01",
					  "02:00:00:00:00:01:",
					  " 2:00:00:00:00:01",
					  "@2:00:00:00:00:01"};
	struct mac_addr m = {{1}};
	char buf[MAC_STR];

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(mac_parse(&m, bad[i]), -EINVAL);
	assert_int_equal(m.b[0], 1);
	assert_int_equal(mac_parse(&m, "02:aB:Cd:0e:f0:19"), 0);
	assert_string_equal(mac_format(&m, buf), "02:ab:cd:0e:f0:19");
}

static void ports_follow_addresses(void **state) {
	struct ip_addr v4 = addr("255.255.255.255"),
		       v6 = addr("2001:1db8:1111:1111:1111:1111:1111:1111");
	char buf[IP_ADDR_STR + 8];

	assert_string_equal(ip_port_format(&v4, 80, buf), "255.255.255.255:80");
	assert_string_equal(ip_port_format(&v6, 65535, buf),
			    "[2001:1db8:1111:1111:1111:1111:1111:1111]:65535");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_print_in_their_shortest_form),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(prefixes_keep_their_host_bits),
		cmocka_unit_test(ranges_are_written_in_three_ways),
		cmocka_unit_test(ranges_and_prefixes_contain_their_edges_only),
		cmocka_unit_test(addresses_are_ordered_and_counted_within_a_family),
		cmocka_unit_test(only_unicast_addresses_are_usable),
		cmocka_unit_test(macs_are_six_pairs_of_hex_digits),
		cmocka_unit_test(ports_follow_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
