// SPDX-License-Identifier: Apache-2.0
// What is written to Services, when, and what is made of each answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "status_bed.h"

static const struct bed_grant none = {.code = "PoolExhausted",
				      .reason = "no IPv4 address is free in the pools"};
static const struct bed_grant one = {.addr = "203.0.113.1"};
static const struct bed_grant two = {.addr = "203.0.113.2"};
static const struct bed_grant left = {.not_ours = true};

#define ALLOCATED "sluice.dev/Allocated"
#define PROGRAMMED "sluice.dev/Programmed"

// A Service that has got its address, and that the watch has shown since.
static void settle_one(struct bed *b, const char *name) {
	bed_create(b, name);
	bed_show(b, name, &one, 1);
	status_served(b->status, 1);
	bed_settle(b);
	bed_show(b, name, &one, 1);
	bed_settle(b);
	assert_string_equal(bed_ip(b, name), "203.0.113.1");
}

static void the_finalizer_is_there_before_the_first_address(void **state) {
	struct bed b;
	json_t *entry;
	size_t i;
	bool had_finalizer = false;

	bed_init(&b);
	settle_one(&b, "web");
	json_array_foreach(b.api.log, i, entry) {
		json_t *object = json_object_get(entry, "object"), *list;

		if (strcmp(json_string_value(json_object_get(entry, "path")), bed_path("web")) != 0)
			continue;
		list = json_object_get(json_object_get(json_object_get(object, "status"),
						       "loadBalancer"),
				       "ingress");
		assert_true(json_array_size(list) == 0 || had_finalizer);
		had_finalizer = json_array_size(json_object_get(json_object_get(object, "metadata"),
								"finalizers")) > 0;
	}
	assert_true(had_finalizer);
	assert_string_equal(bed_condition(&b, "web", ALLOCATED), "True Allocated");
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "True Programmed");
	assert_int_equal(b.api.patches, 2);
	bed_fini(&b);
}

static void an_address_is_not_shown_before_workers_serve_it(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 5);
	status_served(b.status, 4);
	bed_run(&b, 1000);
	assert_string_equal(bed_ip(&b, "web"), "");
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "False Pending");
	status_served(b.status, 5);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void an_address_is_not_shown_before_its_endpoints_are_known(void **state) {
	static const struct bed_grant early = {.addr = "203.0.113.1", .awaiting = true};
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &early, 1);
	status_served(b.status, 1);
	bed_run(&b, 1000);
	assert_true(bed_has_finalizer(&b, "web"));
	assert_string_equal(bed_ip(&b, "web"), "");
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "False Pending");
	bed_show(&b, "web", &one, 2);
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_show(&b, "web", &early, 3); // its slices are gone: what shows stays
	status_served(b.status, 3);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void another_address_replaces_the_old_one_once_it_is_served(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	bed_show(&b, "web", &two, 2);
	bed_run(&b, 1000);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	assert_int_equal(b.api.patches, 2);
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.2");
	assert_int_equal(bed_events(&b, "UpdatedLoadBalancer"), 1);
	bed_fini(&b);
}

static void what_is_right_is_not_written_again_even_after_a_restart(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	bed_restart(&b);
	bed_show(&b, "web", &one, 1);
	bed_settle(&b);
	status_served(b.status, 1);
	bed_run(&b, 60000);
	assert_int_equal(b.api.patches, 2);
	assert_int_equal(b.api.gets, 0);
	assert_int_equal(bed_events(&b, "EnsuredLoadBalancer"), 1);
	bed_fini(&b);
}

static void conditions_of_others_stay(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_edit(&b, "web", "status", "conditions",
		 json_pack("[{s:s, s:s, s:s}]", "type", "example.org/Known", "status", "True",
			   "reason", "Why"));
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	assert_string_equal(bed_condition(&b, "web", "example.org/Known"), "True Why");
	bed_show(&b, "web", &left, 1);
	bed_settle(&b);
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "");
	assert_string_equal(bed_condition(&b, "web", "example.org/Known"), "True Why");
	bed_fini(&b);
}

static void a_transition_has_a_time_and_a_new_reason_alone_has_none(void **state) {
	struct view v = {.uid = "u", .version = "1"};
	struct view_marks m = {.ingress = (char *)(uintptr_t) ""};
	struct moment now = {.wall_us = INT64_C(1767225600000000)};
	json_t *patch, *list;

	v.marks.ingress = (char *)(uintptr_t) "";
	v.marks.conditions[VIEW_PROGRAMMED] = (struct view_condition){.status = 'T'};
	m.conditions[VIEW_PROGRAMMED] = (struct view_condition){.status = 'T', .reason = "Other"};
	m.conditions[VIEW_ALLOCATED] = (struct view_condition){.status = 'F', .reason = "None"};
	patch = aim_patch(&v, &m, &now);
	list = json_object_get(json_object_get(patch, "status"), "conditions");
	assert_string_equal(json_string_value(
				    json_object_get(json_array_get(list, 0), "lastTransitionTime")),
			    "2026-01-01T00:00:00Z");
	assert_null(json_object_get(json_array_get(list, 1), "lastTransitionTime"));
	json_decref(patch);
}

static void a_change_of_type_takes_back_everything_once_workers_let_go(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	bed_edit(&b, "web", "spec", "type", json_string("ClusterIP"));
	bed_edit(&b, "web", "status", "loadBalancer", json_object()); // the server does that
	bed_show(&b, "web", &left, 2);
	bed_run(&b, 1000);
	assert_true(bed_has_finalizer(&b, "web"));
	status_served(b.status, 2);
	bed_settle(&b);
	assert_false(bed_has_finalizer(&b, "web"));
	assert_string_equal(bed_condition(&b, "web", ALLOCATED), "");
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "");
	assert_int_equal(bed_events(&b, "DeletedLoadBalancer"), 1);
	bed_fini(&b);
}

static void another_class_of_ours_takes_back_the_address_as_well(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	bed_show(&b, "web", &left, 2);
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "");
	assert_false(bed_has_finalizer(&b, "web"));
	bed_fini(&b);
}

static void a_deleted_service_goes_when_workers_have_let_go_and_not_before(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	fake_api_delete(&b.api, bed_path("web"));
	bed_show(&b, "web", &none, 2);
	bed_run(&b, 1000);
	assert_non_null(fake_api_get(&b.api, bed_path("web")));
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	status_served(b.status, 2);
	bed_settle(&b);
	assert_null(fake_api_get(&b.api, bed_path("web")));
	assert_int_equal(bed_events(&b, "DeletingLoadBalancer"), 1);
	assert_int_equal(bed_events(&b, "DeletedLoadBalancer"), 1);
	bed_fini(&b);
}

static void a_deleted_service_that_is_still_given_an_address_is_left_alone(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	fake_api_delete(&b.api, bed_path("web"));
	bed_show(&b, "web", &one, 2);
	status_served(b.status, 2);
	bed_run(&b, 1000);
	assert_int_equal(b.api.patches, 2);
	bed_fini(&b);
}

static void a_service_of_others_is_never_touched(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_edit(&b, "web", "metadata", "finalizers", json_pack("[s]", VIEW_FINALIZER));
	bed_edit(&b, "web", "status", "loadBalancer",
		 json_pack("{s:[{s:s}]}", "ingress", "ip", "198.51.100.1"));
	bed_show(&b, "web", &left, 1);
	status_served(b.status, 1);
	bed_run(&b, 1000);
	fake_api_delete(&b.api, bed_path("web"));
	bed_show(&b, "web", &left, 1);
	bed_run(&b, 1000);
	assert_int_equal(b.api.requests, 0);
	bed_fini(&b);
}

static void without_an_address_the_reason_is_told_once_and_a_strangers_address_stays(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_edit(&b, "web", "status", "loadBalancer",
		 json_pack("{s:[{s:s}]}", "ingress", "ip", "198.51.100.1"));
	status_served(b.status, 1);
	for (int i = 0; i < 3; i++) {
		bed_show(&b, "web", &none, 1);
		bed_run(&b, 1000);
	}
	assert_string_equal(bed_condition(&b, "web", ALLOCATED), "False PoolExhausted");
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "False NoAddress");
	assert_string_equal(bed_ip(&b, "web"), "198.51.100.1");
	assert_false(bed_has_finalizer(&b, "web"));
	assert_int_equal(b.api.patches, 1);
	assert_int_equal(bed_events(&b, "AllocationFailed"), 1);
	bed_fini(&b);
}

static void finalizer_false_takes_ours_away_and_puts_none(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "old");
	b.config.finalizer = false;
	bed_restart(&b);
	bed_show(&b, "old", &one, 1);
	bed_create(&b, "new");
	bed_show(&b, "new", &two, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	assert_false(bed_has_finalizer(&b, "old"));
	assert_string_equal(bed_ip(&b, "old"), "203.0.113.1");
	assert_false(bed_has_finalizer(&b, "new"));
	assert_string_equal(bed_ip(&b, "new"), "203.0.113.2");
	bed_fini(&b);
}

static void when_a_port_is_not_served_every_port_is_listed(void **state) {
	static const struct ingress_port ports[] = {{53, IPPROTO_UDP, NULL},
						    {132, IPPROTO_SCTP,
						     "sluice.dev/ProtocolNotSupported"}};
	const struct bed_grant mixed = {.addr = "203.0.113.1", .ports = ports, .n_ports = 2};
	struct bed b;
	json_t *status, *listed;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &mixed, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	status = json_object_get(fake_api_get(&b.api, bed_path("web")), "status");
	listed = json_object_get(
		json_array_get(json_object_get(json_object_get(status, "loadBalancer"), "ingress"),
			       0),
		"ports");
	assert_int_equal(json_array_size(listed), 2);
	assert_null(json_object_get(json_array_get(listed, 0), "error"));
	assert_string_equal(json_string_value(json_object_get(json_array_get(listed, 1), "error")),
			    "sluice.dev/ProtocolNotSupported");
	assert_string_equal(bed_condition(&b, "web", "LoadBalancerPortsError"),
			    "True LoadBalancerMixedProtocolNotSupported");
	assert_string_equal(bed_condition(&b, "web", PROGRAMMED), "True Programmed");
	bed_show(&b, "web", &one, 2);
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_condition(&b, "web", "LoadBalancerPortsError"), "");
	bed_fini(&b);
}

static void an_address_without_a_served_port_is_not_shown_but_stays_where_it_was(void **state) {
	static const struct ingress_port ports[] = {
		{80, IPPROTO_TCP, "sluice.dev/NodePortRequired"}};
	const struct bed_grant unserved = {.addr = "203.0.113.1",
					   .unserved = true,
					   .ports = ports,
					   .n_ports = 1};
	struct bed b;

	bed_init(&b);
	bed_create(&b, "new");
	settle_one(&b, "old");
	bed_show(&b, "new", &unserved, 2);
	bed_show(&b, "old", &unserved, 2);
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "new"), "");
	assert_string_equal(bed_condition(&b, "new", PROGRAMMED), "False NodePortRequired");
	assert_string_equal(bed_ip(&b, "old"), "203.0.113.1");
	assert_string_equal(bed_condition(&b, "old", PROGRAMMED), "False NodePortRequired");
	bed_fini(&b);
}

static void an_address_without_a_node_behind_it_is_shown_and_told(void **state) {
	const struct bed_grant empty = {.addr = "203.0.113.1", .no_nodes = true};
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &empty, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	assert_int_equal(bed_events(&b, "UnAvailableLoadBalancer"), 1);
	bed_fini(&b);
}

static void a_client_address_that_is_hidden_is_told_with_the_address(void **state) {
	const struct bed_grant local = {.addr = "203.0.113.1", .hidden = true};
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &local, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	bed_show(&b, "web", &local, 2); // once
	status_served(b.status, 2);
	bed_settle(&b);
	assert_int_equal(bed_events(&b, "ClientAddressHidden"), 1);
	bed_fini(&b);
}

static void the_pools_ip_mode_is_written(void **state) {
	const struct bed_grant proxy = {.addr = "203.0.113.1", .proxy = true};
	struct bed b;
	json_t *status, *list;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &proxy, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	status = json_object_get(fake_api_get(&b.api, bed_path("web")), "status");
	list = json_object_get(json_object_get(status, "loadBalancer"), "ingress");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "ipMode")),
			    "Proxy");
	bed_fini(&b);
}

static void a_server_that_drops_ip_mode_is_not_written_to_for_ever(void **state) {
	const struct bed_grant proxy = {.addr = "203.0.113.1", .proxy = true};
	struct bed b;

	bed_init(&b);
	b.config.finalizer = false;
	bed_restart(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &proxy, 1);
	status_served(b.status, 1);
	for (int i = 0; i < 20; i++) {
		status_step(b.status, &b.now);
		fake_api_work(&b.api, 1);
		if (bed_ip(&b, "web")[0] != '\0') {
			json_t *status = json_object_get(fake_api_get(&b.api, bed_path("web")),
							 "status");
			json_t *list = json_object_get(json_object_get(status, "loadBalancer"),
						       "ingress");

			json_object_del(json_array_get(list, 0), "ipMode");
		}
		bed_show(&b, "web", &proxy, 1);
	}
	assert_true(b.api.patches <= 4);
	bed_fini(&b);
}

static void a_follower_writes_nothing_and_a_new_leader_what_is_missing(void **state) {
	struct bed b;

	bed_init(&b);
	status_lead(b.status, false);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_run(&b, 1000);
	assert_int_equal(b.api.requests, 0);
	status_lead(b.status, true);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void what_left_our_sight_with_our_marks_is_let_go(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	bed_edit(&b, "web", "metadata", "labels",
		 json_pack("{s:s}", "service.kubernetes.io/service-proxy-name", "x"));
	status_remove(b.status, "shop", "web", 2);
	bed_run(&b, 1000);
	assert_true(bed_has_finalizer(&b, "web"));
	status_served(b.status, 2);
	bed_settle(&b);
	assert_false(bed_has_finalizer(&b, "web"));
	assert_string_equal(bed_ip(&b, "web"), "");
	bed_fini(&b);
}

static void what_is_gone_with_our_marks_is_looked_for_once(void **state) {
	struct bed b;
	struct status_stats stats;

	bed_init(&b);
	settle_one(&b, "web");
	fake_api_remove(&b.api, bed_path("web")); // somebody took the finalizer off
	status_remove(b.status, "shop", "web", 2);
	status_served(b.status, 2);
	bed_run(&b, 60000);
	assert_int_equal(b.api.gets, 1);
	assert_int_equal(b.api.patches, 2);
	status_stats(b.status, &stats, &b.now);
	assert_int_equal(stats.services, 0);
	bed_fini(&b);
}

// --- answers ---

static void a_missing_object_is_dropped(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	fake_api_remove(&b.api, bed_path("web"));
	bed_run(&b, 60000);
	assert_int_equal(b.api.requests, 1);
	status_remove(b.status, "shop", "web", 1);
	bed_fini(&b);
}

static void another_uid_under_the_same_name_is_not_written_to(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	fake_api_remove(&b.api, bed_path("web"));
	bed_create(&b, "web");
	bed_run(&b, 60000);
	assert_string_equal(bed_ip(&b, "web"), "");
	assert_int_equal(b.api.patches, 1);
	assert_int_equal(b.api.gets, 1);
	bed_show(&b, "web", &two, 2); // the watch shows the new one
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.2");
	bed_fini(&b);
}

static void an_answer_about_the_former_object_says_nothing_of_its_successor(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	status_step(b.status, &b.now); // the write is on its way
	fake_api_remove(&b.api, bed_path("web"));
	status_remove(b.status, "shop", "web", 1);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 2);
	bed_run(&b, 1000);
	assert_string_equal(bed_ip(&b, "web"), "");
	status_served(b.status, 2);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void a_conflict_is_looked_into_and_tried_again(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_edit(&b, "web", "metadata", "annotations", json_pack("{s:s}", "a", "b"));
	bed_run(&b, 100);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	assert_int_equal(b.api.conflicts, 1);
	assert_int_equal(b.api.gets, 1);
	bed_fini(&b);
}

static void after_a_conflict_nothing_is_written_for_an_object_that_became_another(void **state) {
	struct bed b;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_edit(&b, "web", "spec", "type", json_string("ClusterIP"));
	bed_run(&b, 60000);
	assert_int_equal(b.api.patches, 1); // the one that was refused
	bed_show(&b, "web", &left, 2);
	bed_run(&b, 1000);
	assert_int_equal(b.api.patches, 1);
	bed_fini(&b);
}

static void what_the_server_calls_invalid_is_told_once_and_waits_for_a_change(void **state) {
	struct bed b;
	struct status_stats stats;

	bed_init(&b);
	fake_api_fail(&b.api, "PATCH", "/status", 422, 100);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_run(&b, 600000);
	assert_int_equal(b.api.requests - bed_events(&b, "SyncLoadBalancerFailed"), 2);
	assert_int_equal(bed_events(&b, "SyncLoadBalancerFailed"), 1);
	assert_int_equal(b.reports, 1);
	status_stats(b.status, &stats, &b.now);
	assert_int_equal(stats.invalid, 1);
	b.api.rules[0].times = 0;
	bed_edit(&b, "web", "metadata", "annotations", json_pack("{s:s}", "a", "b"));
	bed_show(&b, "web", &one, 1);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void refusals_are_counted_and_tried_ever_more_rarely(void **state) {
	static const int statuses[] = {401, 403};
	for (int i = 0; i < 2; i++) {
		struct bed b;
		struct status_stats stats;

		bed_init(&b);
		fake_api_fail(&b.api, "PATCH", "/status", statuses[i], 1000);
		bed_create(&b, "web");
		bed_show(&b, "web", &one, 1);
		status_served(b.status, 1);
		bed_run(&b, 600000);
		status_stats(b.status, &stats, &b.now);
		assert_in_range(stats.results[EXCHANGE_REFUSED], 5, 40);
		assert_true(stats.paused_ms > 0 || stats.pending > 0);
		b.api.rules[0].times = 0;
		bed_run(&b, 100000);
		assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
		bed_fini(&b);
	}
}

static void retry_after_is_obeyed(void **state) {
	struct bed b;

	bed_init(&b);
	fake_api_fail(&b.api, "PATCH", "/status", 429, 1);
	b.api.rules[0].retry_after_ms = 7000;
	bed_create(&b, "web");
	bed_create(&b, "app");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	bed_show(&b, "app", &two, 1);
	bed_run(&b, 6900);
	assert_int_equal(b.api.patches, 0);
	bed_run(&b, 200);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	assert_string_equal(bed_ip(&b, "app"), "203.0.113.2");
	bed_fini(&b);
}

static void a_server_that_is_away_costs_one_request_a_pause(void **state) {
	struct bed b;
	char name[32];

	bed_init(&b);
	fake_api_fail(&b.api, "PATCH", "/status", 0, 100000);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "web-%d", i);
		bed_create(&b, name);
		bed_show(&b, name, &one, 1);
	}
	status_served(b.status, 1);
	bed_run(&b, 3600000);
	assert_in_range(b.api.requests, 80, 16 * 200);
	b.api.rules[0].times = 0;
	bed_run(&b, 60000);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "web-%d", i);
		assert_string_equal(bed_ip(&b, name), "203.0.113.1");
	}
	bed_fini(&b);
}

static void one_service_that_the_server_chokes_on_does_not_hold_up_the_others(void **state) {
	struct bed b;
	char name[32];

	bed_init(&b);
	fake_api_fail(&b.api, "PATCH", "/bad/status", 500, 100000);
	bed_create(&b, "bad");
	bed_show(&b, "bad", &one, 1);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "web-%d", i);
		bed_create(&b, name);
		bed_show(&b, name, &one, 1);
	}
	status_served(b.status, 1);
	bed_run(&b, 5000);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "web-%d", i);
		assert_string_equal(bed_ip(&b, name), "203.0.113.1");
	}
	bed_fini(&b);
}

static void an_answer_that_got_lost_is_found_out(void **state) {
	struct bed b;

	bed_init(&b);
	fake_api_fail(&b.api, "PATCH", "/status", 0, 1);
	b.api.rules[0].applied = true;
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_run(&b, 5000);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

// --- pace ---

static void no_more_is_asked_than_the_limits_allow_and_each_services_writes_keep_their_order(
	void **state) {
	struct bed b;
	char name[32];

	bed_init(&b);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "web-%d", i);
		bed_create(&b, name);
		bed_show(&b, name, &one, 1);
	}
	status_served(b.status, 1);
	status_step(b.status, &b.now);
	assert_int_equal(b.api.n_calls, 16);
	for (int ms = 0; ms < 1000; ms += 5, bed_pass(&b, 5)) {
		status_step(b.status, &b.now);
		fake_api_work(&b.api, 100);
		assert_true(b.api.patches <= 100u + (unsigned)(ms / 20) + 1);
	}
	assert_in_range(b.api.patches, 145, 151);
	assert_int_equal(b.api.most_calls, 16);
	bed_run(&b, 12000);
	assert_int_equal(b.api.patches, 600);
	assert_int_equal(b.api.conflicts, 0);
	bed_fini(&b);
}

// --- the watch, and other writers ---

static void a_watch_that_is_behind_our_answer_causes_no_second_write(void **state) {
	struct bed b;
	json_t *entry;
	size_t i;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	json_array_foreach(b.api.log, i, entry) {
		if (strcmp(json_string_value(json_object_get(entry, "path")), bed_path("web")) == 0)
			bed_show_object(&b, "web", json_object_get(entry, "object"), &one, 1);
		bed_settle(&b);
	}
	bed_run(&b, 60000);
	assert_int_equal(b.api.patches, 2);
	assert_int_equal(b.api.gets, 0);
	bed_fini(&b);
}

static void a_watch_that_is_ahead_of_our_answer_is_no_other_writer(void **state) {
	struct bed b;
	struct status_stats stats;

	bed_init(&b);
	bed_create(&b, "web");
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	for (int i = 0; i < 20; i++) {
		json_t *object = json_deep_copy(fake_api_get(&b.api, bed_path("web")));

		status_step(b.status, &b.now);
		if (b.api.n_calls >
		    0) { // the watch shows what the server made of it before it answers
			json_t *merged = json_deep_copy(object);

			fake_merge_object(merged, b.api.calls[0].body);
			json_object_set_new(json_object_get(merged, "metadata"), "resourceVersion",
					    json_sprintf("%llu",
							 (unsigned long long)b.api.version + 1));
			if (strstr(b.api.calls[0].path, "/status") != NULL)
				bed_show_object(&b, "web", merged, &one, 1);
			json_decref(merged);
		}
		fake_api_work(&b.api, 1);
		json_decref(object);
	}
	bed_settle(&b);
	status_stats(b.status, &stats, &b.now);
	assert_int_equal(stats.contested, 0);
	assert_int_equal(b.api.patches, 2);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	assert_int_equal(bed_events(&b, "EnsuredLoadBalancer"), 1);
	bed_fini(&b);
}

static void a_server_restored_from_an_old_copy_is_written_to_again(void **state) {
	struct bed b;
	json_t *old;

	bed_init(&b);
	old = json_deep_copy(bed_create(&b, "web"));
	bed_show(&b, "web", &one, 1);
	status_served(b.status, 1);
	bed_settle(&b);
	json_object_set(b.api.objects, bed_path("web"), old); // as it was, version and all
	bed_show_object(&b, "web", old, &one, 1);
	json_decref(old);
	bed_run(&b, 30000);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void what_somebody_removed_by_hand_is_written_again(void **state) {
	struct bed b;

	bed_init(&b);
	settle_one(&b, "web");
	bed_edit(&b, "web", "status", "loadBalancer", json_object());
	bed_show(&b, "web", &one, 1);
	bed_settle(&b);
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_fini(&b);
}

static void another_controller_is_not_fought_with(void **state) {
	struct bed b;
	struct status_stats stats;
	unsigned patches;

	bed_init(&b);
	settle_one(&b, "web");
	patches = b.api.patches;
	for (int i = 0; i < 20; i++) {
		bed_edit(&b, "web", "status", "loadBalancer",
			 json_pack("{s:[{s:s}]}", "ingress", "ip", "198.51.100.1"));
		bed_show(&b, "web", &one, 1);
		bed_run(&b, 1000);
	}
	assert_int_equal(b.api.patches - patches, 1);
	status_stats(b.status, &stats, &b.now);
	assert_int_equal(stats.contested, 1);
	assert_int_equal(stats.held, 1);
	assert_int_equal(b.reports, 1);
	assert_int_equal(bed_events(&b, "SyncLoadBalancerFailed"), 1);
	bed_run(&b, 301000); // then it is tried once
	assert_string_equal(bed_ip(&b, "web"), "203.0.113.1");
	bed_edit(&b, "web", "status", "loadBalancer",
		 json_pack("{s:[{s:s}]}", "ingress", "ip", "198.51.100.1"));
	bed_show(&b, "web", &one, 1);
	bed_run(&b, 1000);
	assert_string_equal(bed_ip(&b, "web"), "198.51.100.1");
	bed_fini(&b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_finalizer_is_there_before_the_first_address),
		cmocka_unit_test(an_address_is_not_shown_before_workers_serve_it),
		cmocka_unit_test(an_address_is_not_shown_before_its_endpoints_are_known),
		cmocka_unit_test(another_address_replaces_the_old_one_once_it_is_served),
		cmocka_unit_test(what_is_right_is_not_written_again_even_after_a_restart),
		cmocka_unit_test(conditions_of_others_stay),
		cmocka_unit_test(a_transition_has_a_time_and_a_new_reason_alone_has_none),
		cmocka_unit_test(a_change_of_type_takes_back_everything_once_workers_let_go),
		cmocka_unit_test(another_class_of_ours_takes_back_the_address_as_well),
		cmocka_unit_test(a_deleted_service_goes_when_workers_have_let_go_and_not_before),
		cmocka_unit_test(a_deleted_service_that_is_still_given_an_address_is_left_alone),
		cmocka_unit_test(a_service_of_others_is_never_touched),
		cmocka_unit_test(
			without_an_address_the_reason_is_told_once_and_a_strangers_address_stays),
		cmocka_unit_test(finalizer_false_takes_ours_away_and_puts_none),
		cmocka_unit_test(when_a_port_is_not_served_every_port_is_listed),
		cmocka_unit_test(
			an_address_without_a_served_port_is_not_shown_but_stays_where_it_was),
		cmocka_unit_test(an_address_without_a_node_behind_it_is_shown_and_told),
		cmocka_unit_test(a_client_address_that_is_hidden_is_told_with_the_address),
		cmocka_unit_test(the_pools_ip_mode_is_written),
		cmocka_unit_test(a_server_that_drops_ip_mode_is_not_written_to_for_ever),
		cmocka_unit_test(a_follower_writes_nothing_and_a_new_leader_what_is_missing),
		cmocka_unit_test(what_left_our_sight_with_our_marks_is_let_go),
		cmocka_unit_test(what_is_gone_with_our_marks_is_looked_for_once),
		cmocka_unit_test(a_missing_object_is_dropped),
		cmocka_unit_test(another_uid_under_the_same_name_is_not_written_to),
		cmocka_unit_test(an_answer_about_the_former_object_says_nothing_of_its_successor),
		cmocka_unit_test(a_conflict_is_looked_into_and_tried_again),
		cmocka_unit_test(
			after_a_conflict_nothing_is_written_for_an_object_that_became_another),
		cmocka_unit_test(what_the_server_calls_invalid_is_told_once_and_waits_for_a_change),
		cmocka_unit_test(refusals_are_counted_and_tried_ever_more_rarely),
		cmocka_unit_test(retry_after_is_obeyed),
		cmocka_unit_test(a_server_that_is_away_costs_one_request_a_pause),
		cmocka_unit_test(one_service_that_the_server_chokes_on_does_not_hold_up_the_others),
		cmocka_unit_test(an_answer_that_got_lost_is_found_out),
		cmocka_unit_test(
			no_more_is_asked_than_the_limits_allow_and_each_services_writes_keep_their_order),
		cmocka_unit_test(a_watch_that_is_behind_our_answer_causes_no_second_write),
		cmocka_unit_test(a_watch_that_is_ahead_of_our_answer_is_no_other_writer),
		cmocka_unit_test(a_server_restored_from_an_old_copy_is_written_to_again),
		cmocka_unit_test(what_somebody_removed_by_hand_is_written_again),
		cmocka_unit_test(another_controller_is_not_fought_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
