// SPDX-License-Identifier: Apache-2.0
// Longest prefix match, against a matcher that tries every rule.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/lpm.h"

static uint32_t naive(const struct lpm_rule *rules, uint32_t n, const struct ip_addr *a) {
	const struct lpm_rule *best = NULL;

	for (uint32_t i = 0; i < n; i++) {
		if (ip_prefix_contains(&rules[i].prefix, a) &&
		    (best == NULL || rules[i].prefix.len > best->prefix.len))
			best = &rules[i];
	}
	return best == NULL ? LPM_NONE : best->value;
}

static uint32_t find(const struct lpm *l, const char *text) {
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(&a, text), 0);
	return lpm_find(l, &a);
}

static struct lpm_rule rule(const char *text, uint32_t value) {
	struct lpm_rule r = {.value = value};

	assert_int_equal(ip_prefix_parse(&r.prefix, text), 0);
	return r;
}

static void no_rules_match_nothing(void **state) {
	struct lpm *l = lpm_create(NULL, 0);
	struct ip_addr none = {0};

	assert_non_null(l);
	assert_int_equal(find(l, "0.0.0.0"), LPM_NONE);
	assert_int_equal(find(l, "::"), LPM_NONE);
	assert_int_equal(lpm_find(l, &none), LPM_NONE);
	lpm_destroy(l);
	lpm_destroy(NULL);
}

static void the_longest_prefix_wins_up_to_both_edges(void **state) {
	const struct lpm_rule rules[] = {rule("0.0.0.0/0", 0),
					 rule("10.9.9.9/8", 1),
					 rule("10.1.0.0/16", 2),
					 rule("10.1.0.0/16", 99),
					 rule("255.255.255.255/32", 3),
					 rule("255.255.255.254/31", 4),
					 rule("0.0.0.0/32", 5),
					 rule("2001:db8::/32", 6),
					 rule("2001:db8::1/128", 7),
					 rule("ffff::/16", 8),
					 rule("::/128", 9),
					 rule("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 10)};
	static const struct {
		const char *addr;
		uint32_t value;
	} cases[] = {{"0.0.0.0", 5},
		     {"0.0.0.1", 0},
		     {"9.255.255.255", 0},
		     {"10.0.0.0", 1},
		     {"10.1.0.0", 2},
		     {"10.1.255.255", 2},
		     {"10.2.0.0", 1},
		     {"10.255.255.255", 1},
		     {"11.0.0.0", 0},
		     {"255.255.255.253", 0},
		     {"255.255.255.254", 4},
		     {"255.255.255.255", 3},
		     {"::", 9},
		     {"::1", LPM_NONE},
		     {"2001:db8::", 6},
		     {"2001:db8::1", 7},
		     {"2001:db8::2", 6},
		     {"2001:db9::", LPM_NONE},
		     {"ffff::", 8},
		     {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 10}};
	struct lpm *l = lpm_create(rules, sizeof(rules) / sizeof(rules[0]));

	assert_non_null(l);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(find(l, cases[i].addr), cases[i].value);
	lpm_destroy(l);
}

// Few distinct bits, so that prefixes nest, touch and repeat.
static struct ip_addr random_addr(uint8_t family) {
	struct ip_addr a = {.family = family};
	static const uint8_t bytes[] = {0, 0xff, 0x80, 0x7f, 1};

	for (unsigned i = 0; i < (family == 4 ? 4u : 16u); i++)
		a.b[i] = bytes[rand() % 5];
	return a;
}

struct near {
	struct lpm_near4 v4;
	struct lpm_near6 v6;
};

static void check(const struct lpm *l, const struct ip_addr *a, uint32_t value, struct near *near) {
	assert_int_equal(lpm_find(l, a), value);
	if (a->family == 4)
		assert_int_equal(lpm_find4_near(l, ip_addr_v4(a), &near->v4), value);
	else
		assert_int_equal(lpm_find6_near(l, a->b, &near->v6), value);
}

static void random_prefixes_match_as_if_all_were_tried(void **state) {
	struct lpm_rule rules[60];

	srand(7);
	for (unsigned round = 0; round < 400; round++) {
		uint32_t n = (uint32_t)rand() % 60;
		struct near near = {.v4 = {0}};
		struct lpm *l;

		for (uint32_t i = 0; i < n; i++) {
			uint8_t family = rand() % 2 ? 4 : 6;

			rules[i] = (struct lpm_rule){{random_addr(family),
						      (uint8_t)(rand() % (family == 4 ? 33 : 129)),
						      {0}},
						     (uint32_t)rand() % 8};
		}
		l = lpm_create(rules, n);
		assert_non_null(l);
		for (unsigned i = 0; i < 300; i++) {
			struct ip_addr a = random_addr(rand() % 2 ? 4 : 6);

			check(l, &a, naive(rules, n, &a), &near);
			if (ip_addr_next(&a, &a))
				check(l, &a, naive(rules, n, &a), &near);
		}
		lpm_destroy(l);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rules_match_nothing),
		cmocka_unit_test(the_longest_prefix_wins_up_to_both_edges),
		cmocka_unit_test(random_prefixes_match_as_if_all_were_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
