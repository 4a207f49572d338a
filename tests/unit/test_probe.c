// SPDX-License-Identifier: Apache-2.0
// The schedule and the verdicts of probes, with a clock and a network of the test's own.
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probe/probe.h"
#include "probe/queue.h"

#define HOSTS 5000
#define LATENCY 1    // ms
#define TIMEOUT 1000 // of the settings

struct call {
	struct probe *for_whom;
	uint32_t host;
	int64_t at;
	struct probe_answer a;
	bool used;
};

struct world {
	struct probe_table *t;
	struct probe_settings settings;
	int64_t now;
	struct probe_answer answers[HOSTS]; // of 10.0.x.y; status and error 0: silence
	uint32_t asked[HOSTS];
	struct call calls[512];
	size_t running, most_running, cancelled, n_asked;
	bool no_memory;
	// Of the last report.
	size_t reports;
	char node[16], service[16];
	enum probe_verdict verdict;
	uint32_t weight;
	int64_t reported_at;
};

static void *start(void *ctx, const char *url, uint32_t timeout_ms, struct probe *for_whom) {
	struct world *w = ctx;
	struct call *c = w->calls;
	unsigned high, low, port;

	assert_int_equal(sscanf(url, "http://10.0.%u.%u:%u/healthz", &high, &low, &port), 3);
	assert_int_equal(port, 10256);
	assert_int_equal(timeout_ms, w->settings.timeout_ms);
	if (w->no_memory)
		return NULL;
	while (c->used)
		assert_true(++c < w->calls + 512);
	*c = (struct call){for_whom, high * 256 + low, w->now + LATENCY, {0}, true};
	c->a = w->answers[c->host];
	if (c->a.status == 0 && c->a.error == 0) {
		c->at = w->now + timeout_ms;
		c->a.error = -ETIMEDOUT;
	}
	w->asked[c->host]++;
	w->n_asked++;
	if (++w->running > w->most_running)
		w->most_running = w->running;
	return c;
}

static void cancel(void *ctx, void *call) {
	struct world *w = ctx;

	((struct call *)call)->used = false;
	w->running--;
	w->cancelled++;
}

static void report(void *arg, const struct probe_state *s, enum probe_verdict before) {
	struct world *w = arg;

	assert_true(s->verdict != before || s->weight != w->weight);
	w->reports++;
	snprintf(w->node, sizeof(w->node), "%s", s->target.node);
	snprintf(w->service, sizeof(w->service), "%s",
		 s->target.name != NULL ? s->target.name : "");
	w->verdict = s->verdict;
	w->weight = s->weight;
	w->reported_at = w->now;
}

// n nodes n0, n1, ... at 10.0.0.0, 10.0.0.1, ...
static void show(struct world *w, uint32_t n) {
	struct probe_target *list = calloc(n + 1, sizeof(*list));
	char(*names)[16] = calloc(n + 1, sizeof(*names));

	for (uint32_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		list[i] = (struct probe_target){.node = names[i], .port = 10256};
		list[i].addr = (struct ip_addr){.b = {10, 0, (uint8_t)(i >> 8), (uint8_t)i},
						.family = 4};
	}
	assert_int_equal(probe_sync(w->t, list, n, w->now), 0);
	memset(names, 'x', n * sizeof(*names)); // texts are copied
	free(names);
	free(list);
}

static void world_init(struct world *w, uint32_t n) {
	const struct probe_transport transport = {start, cancel, w};

	memset(w, 0, sizeof(*w));
	w->settings = (struct probe_settings){.interval_ms = 2000,
					      .timeout_ms = TIMEOUT,
					      .rise = 2,
					      .fall = 2,
					      .max_running = 256,
					      .max_per_second = 1000};
	w->now = 1000000;
	for (uint32_t i = 0; i < HOSTS; i++)
		w->answers[i].status = 200;
	w->t = probe_create(&w->settings, &transport, report, w, 42);
	assert_non_null(w->t);
	show(w, n);
}

static void world_fini(struct world *w) {
	probe_destroy(w->t);
	assert_int_equal(w->running, 0);
}

static struct call *next_answer(struct world *w) {
	struct call *first = NULL;

	for (struct call *c = w->calls; c < w->calls + 512; c++)
		if (c->used && (first == NULL || c->at < first->at))
			first = c;
	return first;
}

// Let time pass, or only until there is a report when until_report.
static void run(struct world *w, int64_t ms, bool until_report) {
	int64_t end = w->now + ms;
	size_t reports = w->reports;

	while (!until_report || w->reports == reports) {
		struct call *c = next_answer(w);
		int64_t due = probe_due(w->t, w->now);
		int64_t at = due < 0 ? end : w->now + due;

		if (c != NULL && c->at <= at && c->at <= end) {
			w->now = c->at;
			c->used = false;
			w->running--;
			probe_answered(c->for_whom, &c->a, w->now);
			continue;
		}
		if (at >= end) {
			w->now = end;
			return;
		}
		w->now = at;
		probe_step(w->t, w->now);
	}
}

static void answer(struct world *w, uint32_t host, int status, int error) {
	w->answers[host] = (struct probe_answer){.status = status, .error = error};
}

// From the first failing answer on, which is LATENCY after the question.
static int64_t time_to_verdict(struct world *w, enum probe_verdict v) {
	uint32_t asked = w->asked[0];
	int64_t first;

	while (w->asked[0] == asked)
		run(w, 1, false);
	first = w->now;
	while (w->verdict != v) {
		run(w, 10000, true);
		assert_true(w->now < first + 10000);
	}
	return w->now - first;
}

// --- verdicts ---

static void a_first_200_is_up_at_once(void **state) {
	struct world w;

	world_init(&w, 1);
	w.answers[0].weight = 3;
	run(&w, 2000, true);
	assert_int_equal(w.asked[0], 1);
	assert_string_equal(w.node, "n0");
	assert_int_equal(w.verdict, PROBE_UP);
	assert_int_equal(w.weight, 3);
	world_fini(&w);
}

static void a_503_is_down_within_half_a_second(void **state) {
	struct world w;

	world_init(&w, 1);
	run(&w, 3000, false);
	answer(&w, 0, 503, 0);
	assert_in_range(time_to_verdict(&w, PROBE_DOWN), PROBE_RECHECK_MS, 500);
	world_fini(&w);
}

static void a_refused_connection_is_down_within_half_a_second(void **state) {
	struct world w;

	world_init(&w, 1);
	run(&w, 3000, false);
	answer(&w, 0, 0, -ECONNREFUSED);
	assert_in_range(time_to_verdict(&w, PROBE_DOWN), PROBE_RECHECK_MS, 500);
	world_fini(&w);
}

static void one_refused_connection_is_nothing(void **state) {
	struct world w;

	world_init(&w, 1);
	run(&w, 3000, false);
	answer(&w, 0, 0, -ECONNREFUSED);
	while (w.asked[0] < 3)
		run(&w, 1, false);
	answer(&w, 0, 200, 0);
	run(&w, 10000, false);
	assert_int_equal(w.reports, 1);
	assert_int_equal(w.verdict, PROBE_UP);
	world_fini(&w);
}

static void silence_takes_one_more(void **state) {
	struct world w;

	world_init(&w, 1);
	run(&w, 3000, false);
	answer(&w, 0, 0, 0);
	assert_in_range(time_to_verdict(&w, PROBE_DOWN), 3 * TIMEOUT,
			3 * TIMEOUT + 3 * PROBE_RECHECK_MS);
	world_fini(&w);
}

static void an_unreachable_node_is_as_silent(void **state) {
	struct world w;

	world_init(&w, 1);
	run(&w, 3000, false);
	answer(&w, 0, 0, -EHOSTUNREACH);
	assert_in_range(time_to_verdict(&w, PROBE_DOWN), 2 * PROBE_RECHECK_MS, 500);
	world_fini(&w);
}

static void fall_1_is_down_at_the_first_clear_sign(void **state) {
	struct world w;

	world_init(&w, 1);
	w.settings.fall = 1;
	probe_configure(w.t, &w.settings, w.now);
	run(&w, 3000, false);
	answer(&w, 0, 503, 0);
	assert_in_range(time_to_verdict(&w, PROBE_DOWN), 0, LATENCY);
	world_fini(&w);
}

static void back_up_takes_rise_answers(void **state) {
	struct world w;

	world_init(&w, 1);
	answer(&w, 0, 503, 0);
	run(&w, 10000, true);
	assert_int_equal(w.verdict, PROBE_DOWN);
	answer(&w, 0, 200, 0);
	w.asked[0] = 0;
	run(&w, 10000, true);
	assert_int_equal(w.verdict, PROBE_UP);
	assert_int_equal(w.asked[0], 2);
	world_fini(&w);
}

static void a_down_node_that_flaps_stays_down(void **state) {
	struct world w;

	world_init(&w, 1);
	answer(&w, 0, 503, 0);
	run(&w, 10000, true);
	for (int i = 0; i < 10; i++) {
		uint32_t asked = w.asked[0];

		answer(&w, 0, i % 2 ? 503 : 200, 0);
		while (w.asked[0] == asked)
			run(&w, 1, false);
		run(&w, LATENCY, false);
	}
	assert_int_equal(w.reports, 1);
	world_fini(&w);
}

static void other_answers_are_unknown(void **state) {
	static const struct probe_answer odd[] = {{404, 0, 0}, {500, 0, 0}, {301, 0, 0},
						  {401, 0, 0}, {204, 0, 0}, {0, -EPROTO, 0}};
	struct world w;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		world_init(&w, 1);
		w.answers[0] = odd[i];
		run(&w, 2000, true);
		assert_int_equal(w.verdict, PROBE_UNKNOWN);
		world_fini(&w);
	}
}

static void a_node_that_comes_back_as_somebody_else_is_unknown(void **state) {
	struct world w;

	world_init(&w, 1);
	answer(&w, 0, 503, 0);
	run(&w, 10000, true);
	answer(&w, 0, 404, 0);
	run(&w, 10000, true);
	assert_int_equal(w.verdict, PROBE_UNKNOWN);
	world_fini(&w);
}

static void a_changed_weight_is_reported_and_a_failure_in_doubt_keeps_it(void **state) {
	struct world w;

	world_init(&w, 1);
	w.answers[0].weight = 2;
	run(&w, 3000, false);
	w.answers[0].weight = 4;
	run(&w, 3000, true);
	assert_int_equal(w.reports, 2);
	assert_int_equal(w.weight, 4);
	answer(&w, 0, 0, -ECONNREFUSED);
	while (w.asked[0] < 4)
		run(&w, 1, false);
	w.answers[0] = (struct probe_answer){.status = 200, .weight = 4};
	run(&w, 5000, false);
	assert_int_equal(w.reports, 2);
	answer(&w, 0, 503, 0);
	run(&w, 5000, true);
	assert_int_equal(w.verdict, PROBE_DOWN);
	assert_int_equal(w.weight, 0);
	world_fini(&w);
}

static void weights_are_read_strictly(void **state) {
	static const struct {
		const char *text;
		uint32_t weight;
	} cases[] = {{NULL, 0},        {"", 0},      {"0", 0},
		     {"1", 1},         {"007", 7},   {"250", 250},
		     {"65535", 65535}, {"65536", 0}, {"4294967297", 0},
		     {"-1", 0},        {" 1", 0},    {"1 ", 0},
		     {"1.5", 0},       {"0x10", 0},  {"99999999999999999999999999", 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(probe_read_weight(cases[i].text), cases[i].weight);
}

// --- targets ---

static void a_node_that_is_gone_is_forgotten(void **state) {
	struct world w;

	world_init(&w, 2);
	answer(&w, 1, 503, 0);
	run(&w, 5000, false);
	assert_int_equal(w.reports, 2);
	show(&w, 1);
	assert_int_equal(w.reports, 3);
	assert_string_equal(w.node, "n1");
	assert_int_equal(w.verdict, PROBE_UNASKED);
	assert_int_equal(probe_count(w.t), 1);
	w.asked[1] = 0;
	run(&w, 10000, false);
	assert_int_equal(w.asked[1], 0);
	show(&w, 2); // and when it returns it begins anew
	answer(&w, 1, 200, 0);
	run(&w, 3000, true);
	assert_int_equal(w.verdict, PROBE_UP);
	world_fini(&w);
}

static void a_question_under_way_is_cancelled_with_its_target(void **state) {
	struct world w;

	world_init(&w, 1);
	answer(&w, 0, 0, 0);
	while (w.running == 0)
		run(&w, 1, false);
	show(&w, 0);
	assert_int_equal(w.cancelled, 1);
	assert_int_equal(w.reports, 0); // it never had a verdict
	assert_int_equal(probe_due(w.t, w.now), -1);
	world_fini(&w);
}

static void targets_that_stay_keep_verdict_and_time(void **state) {
	int64_t due;
	struct world w;

	world_init(&w, 1);
	answer(&w, 0, 503, 0);
	run(&w, 5000, false);
	due = probe_due(w.t, w.now);
	show(&w, 1);
	assert_int_equal(probe_due(w.t, w.now), due);
	assert_int_equal(w.reports, 1);
	world_fini(&w);
}

static void a_node_and_a_service_on_it_have_verdicts_of_their_own(void **state) {
	struct probe_target list[2] = {{.node = "n0", .port = 10256},
				       {.node = "n0", .ns = "a", .name = "web", .port = 10256}};
	struct world w;

	world_init(&w, 0);
	list[0].addr = (struct ip_addr){.b = {10, 0, 0, 0}, .family = 4};
	list[1].addr = (struct ip_addr){.b = {10, 0, 0, 1}, .family = 4};
	answer(&w, 1, 503, 0);
	assert_int_equal(probe_sync(w.t, list, 2, w.now), 0);
	run(&w, 5000, false);
	assert_int_equal(w.reports, 2);
	assert_int_equal(probe_sync(w.t, list, 1, w.now), 0);
	assert_string_equal(w.service, "web");
	assert_int_equal(w.verdict, PROBE_UNASKED);
	world_fini(&w);
}

static void without_memory_it_asks_again_and_judges_nobody(void **state) {
	struct world w;

	world_init(&w, 1);
	w.no_memory = true;
	run(&w, 20000, false);
	assert_int_equal(w.reports, 0);
	w.no_memory = false;
	run(&w, 1000, true);
	assert_int_equal(w.verdict, PROBE_UP);
	world_fini(&w);
}

static void an_answer_that_says_nothing_is_asked_for_again(void **state) {
	struct world w;

	world_init(&w, 1);
	answer(&w, 0, 0, -EAGAIN);
	run(&w, 20000, false);
	assert_int_equal(w.reports, 0);
	answer(&w, 0, 200, 0);
	run(&w, PROBE_RECHECK_MS + 2 * LATENCY, true);
	assert_int_equal(w.verdict, PROBE_UP);
	world_fini(&w);
}

// --- schedule ---

static void each_target_is_asked_once_an_interval(void **state) {
	struct world w;

	world_init(&w, 100);
	run(&w, 100000, false);
	for (int i = 0; i < 100; i++)
		assert_in_range(w.asked[i], 45, 56);
	world_fini(&w);
}

static void questions_are_spread_over_the_interval(void **state) {
	size_t before, most = 0;
	struct world w;

	world_init(&w, 1000);
	for (int i = 0; i < 200; i++) { // 20 s by 100 ms; 50 each would be even
		before = w.n_asked;
		run(&w, 100, false);
		if (w.n_asked - before > most)
			most = w.n_asked - before;
	}
	assert_in_range(most, 50, 100);
	world_fini(&w);
}

static void five_thousand_nodes_are_asked_a_thousand_times_a_second(void **state) {
	struct world w;

	world_init(&w, 5000);
	run(&w, 20000, false);
	assert_in_range(w.n_asked, 18000, 22000);
	for (int i = 0; i < 5000; i++)
		assert_in_range(w.asked[i], 3, 6);
	assert_true(w.most_running < 64);
	world_fini(&w);
}

static void silent_nodes_fill_no_more_than_the_bound(void **state) {
	struct world w;

	world_init(&w, 2000);
	for (int i = 0; i < 2000; i++)
		answer(&w, i, 0, 0);
	run(&w, 60000, false);
	assert_int_equal(w.most_running, 256);
	assert_int_equal(w.reports, 2000);
	assert_true(probe_running(w.t) <= 256);
	world_fini(&w);
}

static void a_shorter_interval_counts_at_once(void **state) {
	struct world w;

	world_init(&w, 0);
	w.settings.interval_ms = 60000;
	probe_configure(w.t, &w.settings, w.now);
	show(&w, 10);
	run(&w, 60000, false);
	w.n_asked = 0;
	w.settings.interval_ms = 1000;
	probe_configure(w.t, &w.settings, w.now);
	run(&w, 1000, false);
	assert_true(w.n_asked >= 10);
	world_fini(&w);
}

static void the_queue_hands_out_the_earliest_whatever_moved(void **state) {
	struct queue_entry e[200];
	struct queue q = {0};
	int64_t last;

	srandom(7);
	for (int i = 0; i < 200; i++)
		e[i].at = QUEUE_OUT;
	assert_int_equal(queue_reserve(&q, 200), 0);
	for (int round = 0; round < 2000; round++) {
		struct queue_entry *one = &e[random() % 200];

		if (random() % 3 == 0)
			queue_remove(&q, one);
		else
			queue_put(&q, one, random() % 1000);
	}
	last = -1;
	for (struct queue_entry *first = queue_first(&q); first != NULL; first = queue_first(&q)) {
		assert_true(first->due >= last);
		last = first->due;
		queue_remove(&q, first);
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(e[i].at, QUEUE_OUT);
	queue_fini(&q);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_200_is_up_at_once),
		cmocka_unit_test(a_503_is_down_within_half_a_second),
		cmocka_unit_test(a_refused_connection_is_down_within_half_a_second),
		cmocka_unit_test(one_refused_connection_is_nothing),
		cmocka_unit_test(silence_takes_one_more),
		cmocka_unit_test(an_unreachable_node_is_as_silent),
		cmocka_unit_test(fall_1_is_down_at_the_first_clear_sign),
		cmocka_unit_test(back_up_takes_rise_answers),
		cmocka_unit_test(a_down_node_that_flaps_stays_down),
		cmocka_unit_test(other_answers_are_unknown),
		cmocka_unit_test(a_node_that_comes_back_as_somebody_else_is_unknown),
		cmocka_unit_test(a_changed_weight_is_reported_and_a_failure_in_doubt_keeps_it),
		cmocka_unit_test(weights_are_read_strictly),
		cmocka_unit_test(a_node_that_is_gone_is_forgotten),
		cmocka_unit_test(a_question_under_way_is_cancelled_with_its_target),
		cmocka_unit_test(targets_that_stay_keep_verdict_and_time),
		cmocka_unit_test(a_node_and_a_service_on_it_have_verdicts_of_their_own),
		cmocka_unit_test(without_memory_it_asks_again_and_judges_nobody),
		cmocka_unit_test(an_answer_that_says_nothing_is_asked_for_again),
		cmocka_unit_test(each_target_is_asked_once_an_interval),
		cmocka_unit_test(questions_are_spread_over_the_interval),
		cmocka_unit_test(five_thousand_nodes_are_asked_a_thousand_times_a_second),
		cmocka_unit_test(silent_nodes_fill_no_more_than_the_bound),
		cmocka_unit_test(a_shorter_interval_counts_at_once),
		cmocka_unit_test(the_queue_hands_out_the_earliest_whatever_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
