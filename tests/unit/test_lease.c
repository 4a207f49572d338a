// SPDX-License-Identifier: Apache-2.0
// Who leads: one at most, somebody soon, and nobody who can't tell.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_api.h"
#include "status/lease.h"

#define PATH "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/sluice"
#define MANY 3

struct fixture {
	struct fake_api api;
	struct lease *leases[MANY];
	bool cut[MANY]; // does not run at all
	bool leads[MANY];
	struct moment now;
};

static struct lease *make(struct fixture *f, int i) {
	static const char *const names[MANY] = {"lb-1", "lb-2", "lb-3"};
	struct lease_config c = {.ns = "kube-system",
				 .name = "sluice",
				 .identity = names[i],
				 .seed = (uint64_t)i};

	return lease_create(&f->api.transport, &c);
}

static void init(struct fixture *f, int n) {
	*f = (struct fixture){.now = {.ms = 77000, .wall_us = INT64_C(1767225600000000)}};
	fake_api_init(&f->api);
	for (int i = 0; i < n; i++)
		f->leases[i] = make(f, i);
}

static void fini(struct fixture *f) {
	for (int i = 0; i < MANY; i++)
		lease_destroy(f->leases[i]);
	fake_api_fini(&f->api);
}

static int leaders(const struct fixture *f) {
	int n = 0;

	for (int i = 0; i < MANY; i++)
		n += f->leases[i] != NULL && !f->cut[i] && f->leads[i];
	return n;
}

static void step(struct fixture *f) {
	for (int i = 0; i < MANY; i++)
		if (f->leases[i] != NULL && !f->cut[i] && lease_due(f->leases[i], &f->now) == 0)
			f->leads[i] = lease_step(f->leases[i], &f->now);
	fake_api_work(&f->api, 1);
	f->now.ms += 10;
	f->now.wall_us += 10000;
}

// Two never lead at the same time, whatever happens.
static void run(struct fixture *f, int64_t ms) {
	for (int64_t end = f->now.ms + ms; f->now.ms < end;) {
		step(f);
		assert_true(leaders(f) <= 1);
	}
}

static const json_t *spec(const struct fixture *f) {
	return json_object_get(fake_api_get(&f->api, PATH), "spec");
}

static const char *holder(const struct fixture *f) {
	return json_string_value(json_object_get(spec(f), "holderIdentity"));
}

static int64_t number(const struct fixture *f, const char *key) {
	return json_integer_value(json_object_get(spec(f), key));
}

static void an_absent_lease_is_made_and_held(void **state) {
	struct fixture f;

	init(&f, 1);
	run(&f, 100);
	assert_true(f.leads[0]);
	assert_string_equal(holder(&f), "lb-1");
	assert_int_equal(number(&f, "leaseDurationSeconds"), 15);
	assert_int_equal(number(&f, "leaseTransitions"), 0);
	run(&f, 60000);
	assert_true(f.leads[0]);
	assert_in_range(f.api.requests, 28, 34); // every two seconds, without a look before
	fini(&f);
}

static void of_three_exactly_one_leads(void **state) {
	struct fixture f;

	init(&f, 3);
	run(&f, 60000);
	assert_int_equal(leaders(&f), 1);
	fini(&f);
}

static void a_leader_that_dies_is_followed_after_its_lease_ran_out(void **state) {
	struct fixture f;
	int64_t died;

	init(&f, 1);
	run(&f, 1000);
	f.leases[1] = make(&f, 1);
	run(&f, 10000);
	assert_true(f.leads[0]);
	f.cut[0] = true;
	died = f.now.ms;
	while (!f.leads[1] && f.now.ms < died + 60000)
		step(&f);
	assert_in_range(f.now.ms - died, 12000, 22000);
	assert_int_equal(number(&f, "leaseTransitions"), 1);
	fini(&f);
}

static void a_lease_that_is_given_back_is_taken_at_the_next_look(void **state) {
	struct fixture f;
	int64_t left;

	init(&f, 2);
	run(&f, 10000);
	left = f.now.ms;
	lease_release(f.leases[f.leads[0] ? 0 : 1], &f.now);
	run(&f, 200);
	assert_string_equal(holder(&f), "");
	assert_int_equal(number(&f, "leaseDurationSeconds"), 1);
	assert_true(lease_is_released(f.leases[0]) || lease_is_released(f.leases[1]));
	while (leaders(&f) == 0 && f.now.ms < left + 60000)
		step(&f);
	assert_in_range(f.now.ms - left, 0, 4600);
	fini(&f);
}

static void who_never_led_gives_nothing_back(void **state) {
	struct fixture f;

	init(&f, 2);
	run(&f, 10000);
	lease_release(f.leases[f.leads[0] ? 1 : 0], &f.now);
	assert_true(lease_is_released(f.leases[f.leads[0] ? 1 : 0]));
	run(&f, 1000);
	assert_string_not_equal(holder(&f), "");
	fini(&f);
}

static void a_release_during_a_renewal_is_a_release_all_the_same(void **state) {
	struct fixture f;

	init(&f, 1);
	run(&f, 1000);
	while (f.api.n_calls == 0) { // up to the next renewal, which is then under way
		lease_step(f.leases[0], &f.now);
		f.now.ms += 10;
	}
	fake_api_put(&f.api, PATH, json_deep_copy(fake_api_get(&f.api, PATH))); // the server had it
	lease_release(f.leases[0], &f.now);
	run(&f, 200);
	assert_string_equal(holder(&f), "");
	fini(&f);
}

static void who_can_not_renew_for_10_s_leads_no_more_before_another_can(void **state) {
	struct fixture f;
	int64_t cut;

	init(&f, 1);
	run(&f, 5000);
	fake_api_fail(&f.api, "PUT", "/leases/", 0, 1000);
	fake_api_fail(&f.api, "GET", "/leases/", 0, 1000);
	cut = f.now.ms;
	while (f.leads[0] && f.now.ms < cut + 60000)
		step(&f);
	assert_in_range(f.now.ms - cut, 7900, 10100);
	f.api.rules[0].times = f.api.rules[1].times = 0;
	run(&f, 10000);
	assert_true(f.leads[0]);
	fini(&f);
}

static void an_answer_that_never_comes_costs_the_lead_as_well(void **state) {
	struct fixture f;
	int64_t cut;

	init(&f, 1);
	run(&f, 5000);
	for (cut = f.now.ms; f.leads[0] && f.now.ms < cut + 60000; f.now.ms += 10)
		if (lease_due(f.leases[0], &f.now) == 0)
			f.leads[0] = lease_step(f.leases[0], &f.now);
	assert_in_range(f.now.ms - cut, 7900, 10100);
	fini(&f);
}

static void one_lost_renewal_costs_nothing(void **state) {
	static const int statuses[] = {0, 409, 429, 500, 503};

	for (int i = 0; i < 5; i++)
		for (int applied = 0; applied < 2; applied++) {
			struct fixture f;

			init(&f, 1);
			run(&f, 5000);
			fake_api_fail(&f.api, "PUT", "/leases/", statuses[i], 1);
			f.api.rules[0].applied = applied;
			for (int ms = 0; ms < 10000; ms += 10) {
				step(&f);
				assert_true(f.leads[0]);
			}
			fini(&f);
		}
}

static void a_wall_clock_an_hour_off_changes_nothing(void **state) {
	struct fixture f;

	init(&f, 1);
	run(&f, 5000);
	f.leases[1] = make(&f, 1);
	run(&f, 5000);
	f.now.wall_us += INT64_C(3600000000);
	run(&f, 30000);
	assert_true(f.leads[0]);
	f.now.wall_us -= INT64_C(7200000000);
	run(&f, 30000);
	assert_true(f.leads[0]);
	fini(&f);
}

static void the_same_identity_takes_its_lease_up_again_at_once(void **state) {
	struct fixture f;

	init(&f, 1);
	run(&f, 5000);
	lease_destroy(f.leases[0]);
	f.leases[0] = make(&f, 0);
	f.leads[0] = false;
	run(&f, 100);
	assert_true(f.leads[0]);
	assert_int_equal(number(&f, "leaseTransitions"), 0);
	fini(&f);
}

static void labels_that_others_put_on_the_lease_stay(void **state) {
	struct fixture f;
	json_t *object;

	init(&f, 1);
	run(&f, 1000);
	object = json_deep_copy(fake_api_get(&f.api, PATH));
	json_object_set_new(json_object_get(object, "metadata"), "labels",
			    json_pack("{s:s}", "team", "net"));
	fake_api_put(&f.api, PATH, object);
	run(&f, 10000);
	assert_true(f.leads[0]);
	assert_non_null(
		json_object_get(json_object_get(fake_api_get(&f.api, PATH), "metadata"), "labels"));
	fini(&f);
}

static void a_namespace_that_is_missing_is_told(void **state) {
	struct fixture f;
	struct lease_stats stats;

	init(&f, 1);
	fake_api_fail(&f.api, "POST", "/leases", 404, 1000);
	run(&f, 30000);
	assert_false(f.leads[0]);
	lease_stats(f.leases[0], &stats, &f.now);
	assert_true(stats.errors > 0);
	assert_in_range(f.api.requests, 10, 40);
	fini(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absent_lease_is_made_and_held),
		cmocka_unit_test(of_three_exactly_one_leads),
		cmocka_unit_test(a_leader_that_dies_is_followed_after_its_lease_ran_out),
		cmocka_unit_test(a_lease_that_is_given_back_is_taken_at_the_next_look),
		cmocka_unit_test(who_never_led_gives_nothing_back),
		cmocka_unit_test(a_release_during_a_renewal_is_a_release_all_the_same),
		cmocka_unit_test(who_can_not_renew_for_10_s_leads_no_more_before_another_can),
		cmocka_unit_test(an_answer_that_never_comes_costs_the_lead_as_well),
		cmocka_unit_test(one_lost_renewal_costs_nothing),
		cmocka_unit_test(a_wall_clock_an_hour_off_changes_nothing),
		cmocka_unit_test(the_same_identity_takes_its_lease_up_again_at_once),
		cmocka_unit_test(labels_that_others_put_on_the_lease_stay),
		cmocka_unit_test(a_namespace_that_is_missing_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
