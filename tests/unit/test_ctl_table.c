// SPDX-License-Identifier: Apache-2.0
// sluicectl's tables: alignment, nothing cut, values of every JSON type, hostile ones too.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "show.h"
#include "table.h"

static char text[8192];

static FILE *open_text(void) {
	memset(text, 0, sizeof(text));
	return fmemopen(text, sizeof(text) - 1, "w");
}

// What a show function makes of a JSON text.
static const char *shown(int (*show)(json_t *, FILE *), const char *json) {
	json_t *body = json_loads(json, 0, NULL);
	FILE *f = open_text();

	assert_non_null(body);
	assert_int_equal(show(body, f), 0);
	fclose(f);
	json_decref(body);
	return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state) {
	static const char *const headers[] = {"NAME", ">N", "REASON"};
	static const char *const cells[] = {"web", "7", "", "a-long-name", "12345", "none at all"};
	struct table *t = table_create(headers, 3);
	FILE *f = open_text();

	for (size_t i = 0; i < 6; i++)
		table_cell(t, cells[i]);
	assert_int_equal(table_write(t, f), 0);
	fclose(f);
	table_destroy(t);
	assert_string_equal(text, "NAME              N   REASON\n"
				  "web               7   -\n"
				  "a-long-name   12345   none at all\n");
}

static void characters_count_and_control_characters_do_not_reach_the_terminal(void **state) {
	static const char *const headers[] = {"A", "B"};
	struct table *t = table_create(headers, 2);
	FILE *f = open_text();

	table_cell(t, "\xc3\xa9t\xc3\xa9");
	table_cell(t, "x");
	table_cell(t, "a\x1b[2J\n");
	table_cell(t, NULL);
	assert_int_equal(table_write(t, f), 0);
	fclose(f);
	table_destroy(t);
	assert_string_equal(text, "A        B\n"
				  "\xc3\xa9t\xc3\xa9      x\n"
				  "a?[2J?   -\n");
}

static void an_empty_list_is_a_header_alone(void **state) {
	assert_string_equal(shown(show_explain, "{\"steps\": [], \"backend\": null}"),
			    "STAGE   RESULT   REASON\n\nbackend: none\n");
	assert_string_equal(shown(show_backends, "{\"items\": []}"),
			    "SERVICE   BACKEND   STATE   WEIGHT   FLOWS   REASON\n");
}

static void backends_join_address_and_port(void **state) {
	assert_string_equal(
		shown(show_backends,
		      "{\"items\": [{\"service\": \"default/web\", \"address\": \"10.0.0.1\", \"port\": 80,"
		      " \"state\": \"ready\", \"weight\": 1, \"flows\": 12},"
		      "{\"service\": \"default/web\", \"address\": \"2001:db8::1\", \"port\": 80,"
		      " \"state\": \"unusable\", \"weight\": 1, \"flows\": 0, \"reason\": \"no-route\"}]}"),
		"SERVICE       BACKEND            STATE      WEIGHT   FLOWS   REASON\n"
		"default/web   10.0.0.1:80        ready           1      12   -\n"
		"default/web   [2001:db8::1]:80   unusable        1       0   no-route\n");
}

static void pools_show_endless_ones_without_a_number(void **state) {
	assert_string_equal(
		shown(show_pools,
		      "{\"items\": [{\"name\": \"main\", \"family\": 4, \"size\": 16, \"inUse\": 3, \"free\": 13, \"autoAssign\": true,"
		      " \"priority\": 7, \"waiting\": 0},"
		      "{\"name\": \"main\", \"family\": 6, \"size\": null, \"inUse\": 2, \"free\": null, \"autoAssign\": false, \"priority\": 0,"
		      " \"waiting\": 1}]}"),
		"NAME   FAMILY   SIZE   IN USE   FREE   AUTO ASSIGN   PRIORITY   WAITING\n"
		"main        4     16        3     13   yes                  7         0\n"
		"main        6      -        2      -   no                   0         1\n");
}

static void a_service_is_explained_part_by_part(void **state) {
	assert_string_equal(
		shown(show_explain_service,
		      "{\"service\": \"default/web\", \"reason\": \"no IPv6 address is free in the pools\", \"addresses\": [{\"address\": "
		      "\"203.0.113.1\", \"pool\": \"main\", \"ipMode\": \"VIP\"}], \"pools\": [{\"pool\": \"main\", \"family\": 6, "
		      "\"result\": \"none of its addresses is free\"}], \"ports\": [{\"port\": 80, \"protocol\": \"TCP\", \"frontends\": "
		      "[\"203.0.113.1:80\"], \"reason\": \"\"}], \"endpoints\": [{\"servicePort\": 80, \"protocol\": \"TCP\", \"endpoint\": "
		      "\"10.0.0.1:8080\", \"node\": \"n1\", \"slice\": \"web-1\", \"result\": \"kept\", \"rule\": \"ready\"}], \"backends\": []}"),
		"default/web: no IPv6 address is free in the pools\n\n"
		"ADDRESS       POOL   IP MODE\n203.0.113.1   main   VIP\n\n"
		"POOL   FAMILY   RESULT\nmain        6   none of its addresses is free\n\n"
		"PORT   PROTOCOL   FRONTENDS        REASON\n  80   TCP        203.0.113.1:80   -\n\n"
		"PORT   PROTOCOL   ENDPOINT        NODE   SLICE   RESULT   RULE\n"
		"  80   TCP        10.0.0.1:8080   n1     web-1   kept     ready\n");
	assert_string_equal(shown(show_explain_service, "{}"), "-: it lacks no address\n");
}

static void a_note_stands_where_there_is_no_reason(void **state) {
	static const char row[] = "{\"items\": [{\"reason\": \"%s\", \"note\": \"mind\"}]}";
	char json[128];

	snprintf(json, sizeof(json), row, "");
	assert_non_null(strstr(shown(show_services, json), "   mind\n"));
	snprintf(json, sizeof(json), row, "why");
	assert_non_null(strstr(shown(show_services, json), "   why\n"));
	assert_null(strstr(text, "mind"));
}

static void lists_are_never_cut(void **state) {
	json_t *addresses = json_array(), *body;
	char addr[32], last[32];
	FILE *f = open_text();

	for (int i = 0; i < 200; i++) {
		snprintf(addr, sizeof(addr), "203.0.113.%d", i);
		json_array_append_new(addresses, json_string(addr));
	}
	body = json_pack("{s:[{s:s,s:o}]}", "items", "name", "web", "addresses", addresses);
	assert_int_equal(show_services(body, f), 0);
	fclose(f);
	json_decref(body);
	snprintf(last, sizeof(last), ",203.0.113.199 ");
	assert_non_null(strstr(text, last));
}

static void spans_and_links_read_well(void **state) {
	static const struct {
		const char *age, *shown;
	} cases[] = {{"0", " 0s "},         {"119.9", " 119s "},   {"120", " 2m0s "},
		     {"7199", " 119m59s "}, {"7200", " 2h0m "},    {"200000", " 2d7h "},
		     {"-1", " -1s "},       {"\"soon\"", "   -  "}};
	char json[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(json, sizeof(json), "{\"items\": [{\"age\": %s}]}", cases[i].age);
		if (strstr(shown(show_flows, json), cases[i].shown) == NULL)
			fail_msg("%s: %s", cases[i].age, text);
	}
	assert_non_null(
		strstr(shown(show_ports, "{\"items\": [{\"link\": true, \"rx\": {\"packets\": 5,"
					 " \"bytes\": 9}, \"drops\": {\"a\": 1, \"b\": 2}}]}"),
		       "up"));
	assert_non_null(strstr(text, "   5"));
	assert_non_null(strstr(text, "   3\n"));
}

static void stats_show_workers_and_drops(void **state) {
	assert_string_equal(
		shown(show_stats,
		      "{\"generation\": 7, \"workersAt\": [7, 6], \"workers\": [{\"id\": 0,"
		      " \"rx\": 10}, {\"id\": 1, \"rx\": 2000}], \"drops\": {\"ttl\": 3}}"),
		"generation 7, workers at 7,6\n\n"
		"ID     RX\n 0     10\n 1   2000\n\n"
		"DROPS   PACKETS\nttl           3\n");
}

static void kube_says_how_far_objects_can_be_trusted(void **state) {
	assert_string_equal(
		shown(show_kube,
		      "{\"source\": \"kubernetes\", \"server\": \"https://k\", \"synced\": true, \"stale\": true,"
		      " \"staleFor\": 130, \"snapshot\": {\"serving\": false}, \"held\": {\"objects\": 7, \"msLeft\": 31999},"
		      " \"latency\": {\"count\": 3, \"p50\": 2500, \"p99\": 7000, \"max\": 7100}, \"items\":"
		      " [{\"resource\": \"services\", \"state\": \"watching\", \"age\": 3,"
		      " \"resourceVersion\": \"77\", \"objects\": 10, \"relists\": 1,"
		      " \"errors\": {\"refused\": 2, \"gone\": 1}, \"failing\": null,"
		      " \"lastError\": \"\"}]}"),
		"kubernetes https://k, synced, stale for 2m10s, ALARM: 7 objects are gone from lists and "
		"served for another 31 s\n"
		"changes served after 2.5 ms (median), 7.0 ms (99 %), 7.1 ms (longest)\n\n"
		"RESOURCE   STATE      AGE   VERSION   OBJECTS   RELISTS   ERRORS   FAILING   LAST ERROR\n"
		"services   watching    3s        77        10         1        3         -   -\n");
	assert_string_equal(shown(show_kube, "{\"source\": \"manifests\", \"synced\": true,"
					     " \"stale\": false, \"items\": []}"),
			    "manifests, synced\n");
}

static void kube_says_who_writes_and_what_can_not_be_written(void **state) {
	assert_string_equal(
		shown(show_kube,
		      "{\"source\": \"kubernetes\", \"server\": \"https://k\", \"synced\": true,"
		      " \"writer\": {\"leads\": true, \"lease\": {\"holder\": \"lb-1\"}, \"pending\": 2, \"held\": 1,"
		      " \"pausedMs\": 800, \"troubles\": [{\"namespace\": \"shop\", \"name\": \"web\","
		      " \"reason\": \"invalid: no\"}]}, \"items\": [{\"resource\": \"nodes\"}]}"),
		"kubernetes https://k, synced\n"
		"status is written here (the lease is ours), 2 pending, paused: the server does not take writes now, "
		"ALARM: another controller writes the status of 1 Services\n\n"
		"RESOURCE   STATE   AGE   VERSION   OBJECTS   RELISTS   ERRORS   FAILING   LAST ERROR\n"
		"nodes      -         -         -         -         -        -         -   -\n\n"
		"NAMESPACE   NAME   TROUBLE WITH ITS STATUS\n"
		"shop        web    invalid: no\n");
	assert_string_equal(shown(show_kube,
				  "{\"source\": \"kubernetes\", \"synced\": true, \"writer\":"
				  " {\"leads\": false, \"lease\": {\"holder\": \"lb-2\"}}}"),
			    "kubernetes, synced\nstatus is written by lb-2\n");
}

static void answers_of_another_shape_show_nothing_and_do_not_fail(void **state) {
	static const char *const bodies[] = {
		"[]",
		"{}",
		"{\"items\": 3}",
		"{\"items\": [3, null, [], \"x\"]}",
		"{\"items\": [{\"address\": [], \"port\": \"x\", \"age\": {}, \"rx\": []}]}",
		"{\"steps\": {}, \"backend\": 7}",
		"{\"generation\": {}, \"workersAt\": 3, \"workers\": [[]], \"drops\": []}",
		"{\"workers\": {}, \"drops\": {\"a\": {}}}",
		"{\"source\": [], \"held\": {}, \"latency\": 3, \"items\": [{\"errors\": []}]}",
		"{\"writer\": {\"lease\": 3, \"pending\": [], \"troubles\": [4, {}]}, \"items\": [1]}",
	};
	static int (*const shows[])(json_t *, FILE *) = {show_services, show_backends, show_flows,
							 show_ports,    show_explain,  show_stats,
							 show_probes,   show_kube};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		for (size_t s = 0; s < sizeof(shows) / sizeof(shows[0]); s++)
			shown(shows[s], bodies[i]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(characters_count_and_control_characters_do_not_reach_the_terminal),
		cmocka_unit_test(an_empty_list_is_a_header_alone),
		cmocka_unit_test(backends_join_address_and_port),
		cmocka_unit_test(pools_show_endless_ones_without_a_number),
		cmocka_unit_test(a_service_is_explained_part_by_part),
		cmocka_unit_test(a_note_stands_where_there_is_no_reason),
		cmocka_unit_test(lists_are_never_cut),
		cmocka_unit_test(spans_and_links_read_well),
		cmocka_unit_test(stats_show_workers_and_drops),
		cmocka_unit_test(kube_says_how_far_objects_can_be_trusted),
		cmocka_unit_test(kube_says_who_writes_and_what_can_not_be_written),
		cmocka_unit_test(answers_of_another_shape_show_nothing_and_do_not_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
