// SPDX-License-Identifier: Apache-2.0
// Events: told once, counted, combined, limited, and lost rather than kept.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_api.h"
#include "status/events.h"

struct fixture {
	struct fake_api api;
	struct events *events;
	struct moment now;
};

static void init(struct fixture *f) {
	struct events_config c = {.host = "lb-1", .seed = 5};

	*f = (struct fixture){.now = {.ms = 5000, .wall_us = INT64_C(1767225600000000)}};
	fake_api_init(&f->api);
	f->events = events_create(&f->api.transport, &c);
}

static void fini(struct fixture *f) {
	events_destroy(f->events);
	fake_api_fini(&f->api);
}

static void pass(struct fixture *f, int64_t ms) {
	f->now.ms += ms;
	f->now.wall_us += ms * 1000;
}

static void tell(struct fixture *f, const char *uid, const char *reason, const char *message) {
	struct events_object about = {.ns = "shop", .name = "web", .uid = uid, .version = "7"};

	events_tell(f->events, &about, false, reason, &f->now, "%s", message);
}

static void settle(struct fixture *f) {
	do
		events_step(f->events, &f->now);
	while (fake_api_work(&f->api, 100) > 0 || events_due(f->events, &f->now) == 0);
}

static struct events_stats stats_of(const struct fixture *f) {
	struct events_stats s;

	events_stats(f->events, &s);
	return s;
}

// The only Event there is.
static json_t *only(const struct fixture *f) {
	void *i = json_object_iter(f->api.objects);

	assert_int_equal(json_object_size(f->api.objects), 1);
	return json_object_iter_value(i);
}

static const char *text(const json_t *object, const char *key) {
	return json_string_value(json_object_get(object, key));
}

static void an_event_says_who_what_and_when(void **state) {
	struct fixture f;
	json_t *e, *about;

	init(&f);
	tell(&f, "u1", "EnsuredLoadBalancer", "Ensured load balancer");
	settle(&f);
	e = only(&f);
	about = json_object_get(e, "involvedObject");
	assert_string_equal(text(e, "reason"), "EnsuredLoadBalancer");
	assert_string_equal(text(e, "type"), "Normal");
	assert_string_equal(text(e, "lastTimestamp"), "2026-01-01T00:00:00Z");
	assert_int_equal(json_integer_value(json_object_get(e, "count")), 1);
	assert_string_equal(text(about, "kind"), "Service");
	assert_string_equal(text(about, "uid"), "u1");
	assert_string_equal(text(json_object_get(e, "source"), "component"), "sluice");
	assert_string_equal(text(json_object_get(e, "source"), "host"), "lb-1");
	fini(&f);
}

static void the_same_again_is_counted_on_the_same_event(void **state) {
	struct fixture f;
	json_t *e;

	init(&f);
	for (int i = 0; i < 5; i++) {
		tell(&f, "u1", "AllocationFailed", "no address is free");
		settle(&f);
		pass(&f, 60000);
	}
	e = only(&f);
	assert_int_equal(json_integer_value(json_object_get(e, "count")), 5);
	assert_string_equal(text(e, "firstTimestamp"), "2026-01-01T00:00:00Z");
	assert_string_equal(text(e, "lastTimestamp"), "2026-01-01T00:04:00Z");
	fini(&f);
}

static void a_counted_event_that_the_server_forgot_is_made_again(void **state) {
	struct fixture f;

	init(&f);
	tell(&f, "u1", "AllocationFailed", "no address is free");
	settle(&f);
	json_object_clear(f.api.objects);
	tell(&f, "u1", "AllocationFailed", "no address is free");
	settle(&f);
	assert_int_equal(json_integer_value(json_object_get(only(&f), "count")), 2);
	assert_int_equal(stats_of(&f).sent, 2);
	fini(&f);
}

static void an_object_has_25_events_and_then_one_in_5_minutes(void **state) {
	struct fixture f;

	init(&f);
	for (int i = 0; i < 60; i++) {
		tell(&f, "u1", "EnsuredLoadBalancer", "same");
		tell(&f, i % 2 == 0 ? "u2" : "u3", "EnsuredLoadBalancer", "same");
		settle(&f);
	}
	assert_int_equal(stats_of(&f).spam, 60 - 25 + 2 * (30 - 25));
	pass(&f, 299000);
	tell(&f, "u1", "EnsuredLoadBalancer", "same");
	assert_int_equal(stats_of(&f).spam, 60 - 25 + 2 * (30 - 25) + 1);
	pass(&f, 2000);
	tell(&f, "u1", "EnsuredLoadBalancer", "same");
	assert_int_equal(stats_of(&f).spam, 60 - 25 + 2 * (30 - 25) + 1);
	fini(&f);
}

static void more_than_ten_similar_ones_become_one(void **state) {
	struct fixture f;
	const char *path;
	char message[32];
	json_t *e;
	unsigned combined = 0;

	init(&f);
	for (int i = 0; i < 20; i++) {
		snprintf(message, sizeof(message), "address 10.0.0.%d", i);
		tell(&f, "u1", "UpdatedLoadBalancer", message);
		settle(&f);
	}
	assert_int_equal(json_object_size(f.api.objects), 11);
	json_object_foreach(f.api.objects, path, e)
		if (strncmp(text(e, "message"), "(combined from similar events): ", 32) == 0) {
			combined++;
			assert_int_equal(json_integer_value(json_object_get(e, "count")), 10);
			assert_non_null(strstr(text(e, "message"), "10.0.0.19"));
		}
	assert_int_equal(combined, 1);
	fini(&f);
}

static void a_slow_server_loses_events_and_costs_no_memory(void **state) {
	struct fixture f;
	char uid[32];

	init(&f);
	for (int i = 0; i < 10000; i++) {
		snprintf(uid, sizeof(uid), "u%d", i);
		tell(&f, uid, "EnsuredLoadBalancer", "same");
		events_step(f.events, &f.now);
	}
	assert_int_equal(f.api.n_calls, 4); // under way, unanswered
	assert_int_equal(stats_of(&f).dropped, 10000 - 4 - 128);
	for (int i = 0; i < 20; i++, pass(&f, 1000))
		settle(&f);
	assert_int_equal(stats_of(&f).sent, 4 + 128);
	fini(&f);
}

static void a_server_that_refuses_is_asked_more_rarely(void **state) {
	struct fixture f;
	char uid[32];

	init(&f);
	fake_api_fail(&f.api, "POST", "/events", 503, 1000);
	for (int i = 0; i < 600; i++, pass(&f, 1000)) {
		snprintf(uid, sizeof(uid), "u%d", i);
		tell(&f, uid, "EnsuredLoadBalancer", "same");
		settle(&f);
	}
	assert_in_range(f.api.requests, 8, 80);
	fini(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_says_who_what_and_when),
		cmocka_unit_test(the_same_again_is_counted_on_the_same_event),
		cmocka_unit_test(a_counted_event_that_the_server_forgot_is_made_again),
		cmocka_unit_test(an_object_has_25_events_and_then_one_in_5_minutes),
		cmocka_unit_test(more_than_ten_similar_ones_become_one),
		cmocka_unit_test(a_slow_server_loses_events_and_costs_no_memory),
		cmocka_unit_test(a_server_that_refuses_is_asked_more_rarely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
