// SPDX-License-Identifier: Apache-2.0
// A reflector against a scripted server: what it asks after each answer, what the sink hears, how long it waits.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/reflector.h"

// --- the server's side of one exchange at a time ---

struct api_call {
	char path[1024];
	const struct api_handlers *handlers;
	void *arg;
	uint32_t timeout_ms, silence_ms;
};

static struct {
	struct api_call call;
	bool open, refuse_start;
	unsigned started, cancelled;
	int64_t now;
	char heard[8192]; // by the sink
	int sink_answer;
	struct reflector_server server;
	struct reflector *r;
	struct reflector_stats stats;
} t;

static struct api_call *start(void *ctx, const struct api_request *r,
			      const struct api_handlers *handlers, void *arg) {
	assert_false(t.open);
	assert_string_equal(r->method, "GET");
	if (t.refuse_start)
		return NULL;
	assert_true(strlen(r->path) < sizeof(t.call.path));
	strcpy(t.call.path, r->path);
	t.call.handlers = handlers;
	t.call.arg = arg;
	t.call.timeout_ms = r->timeout_ms;
	t.call.silence_ms = r->silence_ms;
	t.open = true;
	t.started++;
	return &t.call;
}

static void cancel(void *ctx, struct api_call *call) {
	assert_true(t.open);
	t.open = false;
	t.cancelled++;
}

static const struct api_transport transport = {start, cancel, NULL};

static int64_t now(void *arg) {
	return t.now;
}

static void end_full(int status, int error, const char *text, int64_t retry_after) {
	struct api_end end = {.status = status, .error = error, .retry_after_ms = retry_after};

	assert_true(t.open);
	snprintf(end.text, sizeof(end.text), "%s", text);
	t.open = false;
	t.call.handlers->on_end(t.call.arg, &end);
}

static void end(int status, int error) {
	end_full(status, error, error != 0 ? strerror(-error) : "", -1);
}

// Bytes of a body, in pieces of 7; the exchange ends when the reflector wants that.
static void say(int status, const char *body) {
	size_t len = strlen(body);

	assert_true(t.open);
	if (t.call.handlers->on_begin != NULL)
		t.call.handlers->on_begin(t.call.arg, status);
	for (size_t at = 0; at < len; at += 7) {
		int ret = t.call.handlers->on_data(t.call.arg, status, body + at,
						   len - at < 7 ? len - at : 7);

		if (ret < 0) {
			end(status, ret);
			return;
		}
	}
}

static void answer(int status, const char *body) {
	say(status, body);
	if (t.open)
		end(status, 0);
}

// --- the sink ---

static int hear(const char *what, const char *name) {
	size_t n = strlen(t.heard);

	snprintf(t.heard + n, sizeof(t.heard) - n, "%s%s%s", n > 0 ? " " : "", what, name);
	return t.sink_answer;
}

// The text and the node are the same object.
static const char *name_of(const struct reflector_object *o) {
	json_t *again = json_loadb(o->text, o->len, JSON_ALLOW_NUL, NULL);

	assert_true(again == NULL || json_equal(again, o->node.json)); // NULL: a huge integer
	json_decref(again);
	return json_string_value(
		json_object_get(json_object_get(o->node.json, "metadata"), "name"));
}

static int on_begin(void *arg) {
	return hear("begin", "");
}
static int on_object(void *arg, const struct reflector_object *o) {
	return hear("+", name_of(o));
}
static int on_remove(void *arg, const struct reflector_object *o) {
	return hear("-", name_of(o));
}
static int on_end(void *arg) {
	return hear("end", "");
}
static void on_broken(void *arg, const struct error *what) {
	hear("broken", "");
}

static const struct reflector_sink sink = {on_begin, on_object, on_remove, on_end, on_broken};

static void heard(const char *wanted) {
	assert_string_equal(t.heard, wanted);
	t.heard[0] = '\0';
}

// --- the reflector ---

static int setup(void **state) {
	const struct reflector_settings s = {.path = "/api/v1/services",
					     .selector = "labelSelector=%21x",
					     .kind = "Service",
					     .transport = &transport,
					     .server = &t.server,
					     .sink = &sink,
					     .clock = now,
					     .seed = 1};

	memset(&t, 0, sizeof(t));
	t.now = 1000000;
	t.server.no_watch_list = *state == NULL; // most of the rules are about lists and watches
	t.r = reflector_create(&s);
	return t.r == NULL;
}

static int setup_stream(void **state) {
	static int yes;

	*state = &yes;
	return setup(state);
}

static int teardown(void **state) {
	reflector_destroy(t.r);
	*state = NULL;
	return 0;
}

static const struct reflector_stats *stats(void) {
	reflector_stats(t.r, &t.stats);
	return &t.stats;
}

// How long it waits before the next question, which is then asked.
static int64_t wait_ask(void) {
	int64_t due = reflector_due(t.r, t.now);

	assert_true(due >= 0);
	reflector_step(t.r, t.now + due - 1); // not before
	if (due > 0)
		assert_false(t.open);
	t.now += due;
	reflector_step(t.r, t.now);
	assert_true(t.open);
	assert_int_equal(reflector_due(t.r, t.now), -1);
	return due;
}

// The next question comes within from..to ms and is this.
static void asks_within(int64_t from, int64_t to, const char *query) {
	int64_t due = wait_ask();
	char prefix[1200];

	assert_in_range(due, from, to);
	snprintf(prefix, sizeof(prefix), "/api/v1/services?labelSelector=%%21x&%s", query);
	// what varies: timeoutSeconds
	if (strstr(t.call.path, "timeoutSeconds=") != NULL) {
		char *at = strstr(t.call.path, "timeoutSeconds="), *rest;
		long seconds = strtol(at + 15, &rest, 10);

		assert_in_range(seconds, 300, 600);
		memmove(at + 15, rest, strlen(rest) + 1);
	}
	assert_string_equal(t.call.path, prefix);
}

#define WATCH(rv) "watch=1&allowWatchBookmarks=true&timeoutSeconds=&resourceVersion=" rv
#define STREAM(rv)                                                                                 \
	"watch=1&allowWatchBookmarks=true&timeoutSeconds=&sendInitialEvents=true&"                 \
	"resourceVersionMatch=NotOlderThan&resourceVersion=" rv
#define SOON 0, 100
#define FIRST_BACKOFF 800, 1600
#define LIST(rv, items)                                                                            \
	"{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv  \
	"\"},\"items\":[" items "]}"
#define OBJECT(name, rv) "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" rv "\"}}"
#define EVENT(type, name, rv)                                                                      \
	"{\"type\":\"" type "\",\"object\":{\"kind\":\"Service\",\"metadata\":{\"name\":\"" name   \
	"\",\"resourceVersion\":\"" rv "\"}}}\n"
#define BOOKMARK(rv)                                                                               \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Service\",\"metadata\":{"                   \
	"\"resourceVersion\":\"" rv "\"}}}"
#define END_BOOKMARK(rv)                                                                           \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Service\",\"metadata\":{"                   \
	"\"resourceVersion\":\"" rv                                                                \
	"\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}"
#define STATUS(code, reason, message)                                                              \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":" #code ",\"reason\":\"" reason      \
	"\",\"message\":\"" message "\"}"
#define ERROR_EVENT(status) "{\"type\":\"ERROR\",\"object\":" status "}"
#define TOO_LARGE                                                                                  \
	"{\"kind\":\"Status\",\"code\":504,\"reason\":\"Timeout\",\"message\":\"Too large\","      \
	"\"details\":{\"retryAfterSeconds\":1,\"causes\":[{\"reason\":"                            \
	"\"ResourceVersionTooLarge\"}]}}"

static void list_then_watch(const char *rv_query) {
	asks_within(0, 0, "resourceVersion=0");
	answer(200, LIST("10", OBJECT("a", "1") "," OBJECT("b", "2")));
	heard("begin +a +b end");
	asks_within(0, 0, rv_query);
}

// --- tests ---

static void a_list_is_followed_by_a_watch_from_its_version(void **state) {
	assert_int_equal(stats()->state, REFLECTOR_WAITING);
	assert_false(stats()->synced);
	list_then_watch(WATCH("10"));
	assert_true(stats()->synced);
	assert_int_equal(stats()->state, REFLECTOR_WATCHING);
	assert_int_equal(t.call.timeout_ms, 0);
	assert_int_equal(t.call.silence_ms, 90000);
	say(200,
	    EVENT("ADDED", "c", "11") EVENT("MODIFIED", "a", "12") EVENT("DELETED", "b", "13"));
	heard("+c +a -b");
	assert_string_equal(stats()->resource_version, "13");
	assert_int_equal(stats()->events, 3);
}

static void the_text_of_an_object_is_found_in_any_order_of_members(void **state) {
	list_then_watch(WATCH("10"));
	say(200, "{\"object\":{\"metadata\":{\"name\":\"a\",\"x\":\"}\\\\\"}},\"type\":\"ADDED\"}"
		 "{ \"x\" : \"object\", \"y\":{\"object\":{}}, \"type\" : \"ADDED\" , \"object\" : "
		 "{\"metadata\":{\"name\":\"b\"}} }"
		 "{\"object\":{\"x\":1},\"type\":\"object\",\"type\":\"ADDED\","
		 "\"object\":{\"metadata\":{\"name\":\"c\"}},\"y\":[{}]}");
	heard("+a +b +c");
}

static void a_watch_that_ends_goes_on_from_the_last_version_bookmarks_included(void **state) {
	list_then_watch(WATCH("10"));
	t.now += 300000;
	answer(200, EVENT("MODIFIED", "a", "11") BOOKMARK("99"));
	asks_within(SOON, WATCH("99"));
	t.now += 300000;
	end(200, 0); // nothing happened for five minutes
	asks_within(SOON, WATCH("99"));
	heard("+a");
	assert_int_equal(stats()->lists, 1);
	assert_int_equal(stats()->relists, 0);
}

static void versions_are_opaque_and_escaped(void **state) {
	asks_within(0, 0, "resourceVersion=0");
	answer(200, LIST("a/b c+d", ""));
	asks_within(0, 0, WATCH("a%2Fb%20c%2Bd"));
	say(200, EVENT("ADDED", "x", "3") EVENT("ADDED", "y", "2")); // smaller is not older
	assert_string_equal(stats()->resource_version, "2");
}

static void an_expired_version_is_forgotten_however_it_is_said(void **state) {
	static const struct {
		int status;
		const char *body;
	} ways[] = {
		{410, STATUS(410, "Expired", "too old resource version")},
		{410, "gone"},
		{200, ERROR_EVENT(STATUS(410, "Expired", "too old"))},
		{200, ERROR_EVENT(STATUS(410, "Gone", "The resourceVersion is too old"))},
		{200, EVENT("ADDED", "c", "11") ERROR_EVENT(STATUS(500, "Expired", ""))},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		teardown(state);
		setup(state);
		list_then_watch(WATCH("10"));
		answer(ways[i].status, ways[i].body);
		asks_within(SOON, "limit=500"); // from the quorum
		assert_int_equal(stats()->errors[REFLECTOR_EXPIRED], 1);
		t.heard[0] = '\0';
		answer(200, LIST("20", OBJECT("a", "1")));
		heard("+a end");
		asks_within(0, 0, WATCH("20"));
		assert_int_equal(stats()->relists, 1);
	}
}

static void repeated_expiry_backs_off(void **state) {
	list_then_watch(WATCH("10"));
	answer(410, "");
	asks_within(SOON, "limit=500");
	answer(200, LIST("20", ""));
	asks_within(0, 0, WATCH("20"));
	answer(410, "");
	asks_within(FIRST_BACKOFF, "limit=500");
	answer(200, LIST("30", ""));
	asks_within(0, 0, WATCH("30"));
	answer(410, "");
	asks_within(1600, 3200, "limit=500");
	answer(200, LIST("40", ""));
	asks_within(0, 0, WATCH("40"));
	t.now += 121000;
	answer(410, "");
	asks_within(SOON, "limit=500");
}

static void a_version_from_the_future_asks_the_quorum(void **state) {
	list_then_watch(WATCH("10"));
	answer(504, TOO_LARGE);
	asks_within(SOON, "limit=500");
	answer(200, LIST("5", ""));
	asks_within(0, 0, WATCH("5"));
	assert_int_equal(stats()->errors[REFLECTOR_TOO_NEW], 1);
	// The same of a list: the version that was good before a relist is not any more.
	answer(400, "");
	asks_within(FIRST_BACKOFF, "resourceVersion=5");
	t.now += 130000; // the first of these in a while
	answer(504, TOO_LARGE);
	asks_within(SOON, "limit=500");
}

static void pages_are_one_set(void **state) {
	list_then_watch(WATCH("10"));
	answer(410, "");
	asks_within(SOON, "limit=500");
	answer(200,
	       "{\"metadata\":{\"resourceVersion\":\"20\",\"continue\":\"to ken\"},\"items\":[" OBJECT(
		       "a", "1") "]}");
	asks_within(0, 0, "limit=500&continue=to%20ken");
	heard("begin +a");
	// A page that does not come is asked for again, and what came before it stays.
	end(0, -ECONNREFUSED);
	asks_within(FIRST_BACKOFF, "limit=500&continue=to%20ken");
	answer(200, LIST("21", OBJECT("b", "1")));
	heard("+b end");
	asks_within(0, 0, WATCH("21"));
}

static void an_expired_page_means_a_list_in_one_piece(void **state) {
	list_then_watch(WATCH("10"));
	answer(410, "");
	asks_within(SOON, "limit=500");
	answer(200,
	       "{\"metadata\":{\"resourceVersion\":\"20\",\"continue\":\"t\"},\"items\":[" OBJECT(
		       "a", "1") "]}");
	asks_within(0, 0, "limit=500&continue=t");
	answer(410, "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"metadata\":{"
		    "\"continue\":\"inconsistent\"}}");
	heard("begin +a");
	asks_within(FIRST_BACKOFF, "resourceVersion=");
	answer(200, LIST("30", OBJECT("b", "1")));
	heard("begin +b end");
}

static void refused_connections_and_throttling_list_nothing(void **state) {
	int64_t wait;

	list_then_watch(WATCH("10"));
	end(0, -ECONNREFUSED);
	asks_within(FIRST_BACKOFF, WATCH("10"));
	end(0, -ECONNREFUSED);
	asks_within(1600, 3200, WATCH("10"));
	answer(429, STATUS(429, "TooManyRequests", "slow down"));
	asks_within(3200, 6400, WATCH("10"));
	end(0, -ETIMEDOUT);
	asks_within(6400, 12800, WATCH("10"));
	answer(503, "");
	asks_within(12800, 25600, WATCH("10"));
	end(0, -EPROTO);
	asks_within(25600, 30000, WATCH("10"));
	for (int i = 0; i < 200; i++) { // hours
		end(0, -ECONNREFUSED);
		wait = wait_ask();
		assert_in_range(wait, 25600, 30000);
	}
	assert_int_equal(stats()->lists, 1);
	assert_int_equal(stats()->errors[REFLECTOR_REFUSED], 202);
	assert_int_equal(stats()->errors[REFLECTOR_THROTTLED], 1);
	assert_int_equal(stats()->errors[REFLECTOR_TIMEOUT], 1);
	assert_int_equal(stats()->errors[REFLECTOR_LINK], 1);
	assert_int_equal(stats()->errors[REFLECTOR_SERVER], 1);
	assert_true(stats()->failing_since_ms < t.now - 3600000);
	say(200, BOOKMARK("11"));
	assert_true(stats()->failing_since_ms == INT64_MIN);
	t.now += 121000;
	end(0, -EIO); // it had gone on: at once
	asks_within(SOON, WATCH("11"));
	end(0, -ECONNREFUSED); // and from the beginning again after two quiet minutes
	asks_within(FIRST_BACKOFF, WATCH("11"));
}

static void what_the_server_asks_for_is_waited_for(void **state) {
	asks_within(0, 0, "resourceVersion=0");
	end_full(429, 0, "", 7000);
	asks_within(7000, 7000, "resourceVersion=0");
	answer(503, "{\"kind\":\"Status\",\"code\":503,\"details\":{\"retryAfterSeconds\":20}}");
	asks_within(20000, 20000, "resourceVersion=0");
	end_full(503, 0, "", 86400000); // but not for a day
	asks_within(300000, 300000, "resourceVersion=0");
}

static void a_silent_watch_is_opened_again(void **state) {
	list_then_watch(WATCH("10"));
	t.now += 90000;
	end(200, -ETIMEDOUT);
	asks_within(SOON, WATCH("10"));
	assert_int_equal(stats()->errors[REFLECTOR_SILENT], 1);
	assert_int_equal(stats()->lists, 1);
	assert_true(stats()->failing_since_ms == INT64_MIN);
}

static void a_watch_that_is_silent_again_may_wait_for_a_future_that_was_undone(void **state) {
	list_then_watch(WATCH("10"));
	for (int i = 0; i < 2; i++) { // with a bookmark between: patience
		t.now += 90000;
		end(200, -ETIMEDOUT);
		asks_within(SOON, WATCH("10"));
		say(200, BOOKMARK("10"));
	}
	t.now += 90000;
	end(200, -ETIMEDOUT);
	asks_within(SOON, WATCH("10"));
	t.now += 90000;
	end(200, -ETIMEDOUT);
	asks_within(FIRST_BACKOFF, "resourceVersion=10");
	answer(504, "{\"kind\":\"Status\",\"message\":\"Too large resource version\"}");
	asks_within(SOON, "limit=500");
}

static void a_short_watch_without_a_word_is_a_failure(void **state) {
	list_then_watch(WATCH("10"));
	t.now += 500;
	end(200, 0);
	asks_within(FIRST_BACKOFF, WATCH("10"));
	t.now += 500;
	answer(200, BOOKMARK("11")); // short, but not without a word
	asks_within(SOON, WATCH("11"));
	for (int i = 0; i < 2; i++) {
		end(200, 0);
		asks_within(0, 30000, WATCH("11"));
	}
	end(200, 0); // the third in a row: the version is in doubt
	asks_within(0, 30000, "resourceVersion=11");
}

static void a_cut_watch_goes_on_where_it_was(void **state) {
	list_then_watch(WATCH("10"));
	say(200, EVENT("ADDED", "c", "11") "{\"type\":\"ADD");
	end(200, -EIO);
	heard("+c");
	asks_within(SOON, WATCH("11"));
	say(200, "{\"type\":");
	end(200, 0); // a clean end in the middle is a cut as well
	asks_within(FIRST_BACKOFF, WATCH("11"));
	t.now += 1000;
	end(200, -EIO); // it had stood for a while
	asks_within(SOON, WATCH("11"));
	assert_int_equal(stats()->errors[REFLECTOR_LINK], 3);
}

static void a_cut_list_is_listed_again_and_changes_nothing(void **state) {
	const char list[] = LIST("10", OBJECT("a", "1") "," OBJECT("b", "2"));
	char part[sizeof(list)];

	asks_within(0, 0, "resourceVersion=0");
	for (size_t n = 0; n < sizeof(list) - 1; n++) {
		memcpy(part, list, n);
		part[n] = '\0';
		t.heard[0] = '\0';
		answer(200, part);
		assert_null(strstr(t.heard, "end"));
		assert_false(stats()->synced);
		asks_within(800, 30000, "resourceVersion=0");
	}
	t.heard[0] = '\0';
	answer(200, list);
	heard("+a +b end");
}

static void answers_that_are_no_list_change_nothing(void **state) {
	static const char *const bodies[] = {
		"{}",
		"<html>",
		"[]",
		STATUS(200, "", ""),
		"{\"metadata\":{},\"items\":[]}",
		"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[null]}",
	};

	asks_within(0, 0, "resourceVersion=0");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		t.heard[0] = '\0';
		answer(200, bodies[i]);
		heard("");
		assert_int_equal(stats()->errors[REFLECTOR_MALFORMED], i + 1);
		asks_within(800, 30000, "resourceVersion=0");
	}
}

static void unknown_events_are_skipped_and_counted(void **state) {
	list_then_watch(WATCH("10"));
	say(200, EVENT("RENAMED", "a",
		       "11") "{\"a\":1}"
			     "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
			     "\"resourceVersion\":\"12\"}}}"
			     "{\"type\":\"ADDED\",\"object\":3}" EVENT("ADDED", "b", "13"));
	heard("+b");
	assert_int_equal(stats()->skipped, 4);
	assert_string_equal(stats()->resource_version, "13");
}

static void an_item_that_is_no_json_is_told_and_the_rest_counts(void **state) {
	asks_within(0, 0, "resourceVersion=0");
	answer(200, LIST("10", OBJECT("a", "1") ",{\"x\":tru}," OBJECT("b", "2")));
	heard("begin +a broken +b end");
	assert_int_equal(stats()->broken, 1);
	asks_within(0, 0, WATCH("10"));
	say(200, "{\"type\":nil}" EVENT("ADDED", "c", "11"));
	heard("broken +c");
}

static void integers_of_any_size_and_nul_in_strings_are_no_reason_to_drop_an_object(void **state) {
	asks_within(0, 0, "resourceVersion=0");
	answer(200,
	       LIST("10", "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":\"\\u0000\"}}},"
			  "{\"metadata\":{\"name\":\"b\"},\"n\":18446744073709551615}"));
	heard("begin +a +b end");
}

static void a_server_error_event_watches_again_and_lists_after_three(void **state) {
	list_then_watch(WATCH("10"));
	answer(200, ERROR_EVENT(STATUS(500, "InternalError", "etcd")));
	asks_within(FIRST_BACKOFF, WATCH("10"));
	assert_non_null(strstr(stats()->last_error, "InternalError: etcd"));
	answer(200, ERROR_EVENT("{}"));
	asks_within(1600, 3200, WATCH("10"));
	answer(200, ERROR_EVENT(STATUS(500, "InternalError", "etcd")));
	asks_within(3200, 6400, "resourceVersion=10");
}

static void a_resource_that_is_missing_is_told_and_asked_for_again(void **state) {
	asks_within(0, 0, "resourceVersion=0");
	answer(404, STATUS(404, "NotFound", "the server could not find the requested resource"));
	assert_true(stats()->missing);
	asks_within(FIRST_BACKOFF, "resourceVersion=0");
	answer(200, LIST("1", ""));
	assert_false(stats()->missing);
}

static void a_sink_without_memory_means_a_new_list(void **state) {
	list_then_watch(WATCH("10"));
	t.sink_answer = -ENOMEM;
	say(200, EVENT("ADDED", "c", "11"));
	assert_false(t.open);
	assert_string_equal(stats()->resource_version, "10");
	t.sink_answer = 0;
	asks_within(FIRST_BACKOFF, "resourceVersion=10");
	t.heard[0] = '\0';
	say(200, "{\"metadata\":{\"resourceVersion\":\"20\"},\"items\":[");
	t.sink_answer = -ENOMEM;
	answer(200, "]}");
	assert_string_equal(stats()->resource_version, "10");
	t.sink_answer = 0;
	asks_within(1600, 3200, "resourceVersion=10");
	end(0, -ENOMEM);
	t.refuse_start = true;
	t.now += reflector_due(t.r, t.now);
	reflector_step(t.r, t.now);
	t.refuse_start = false;
	assert_true(reflector_due(t.r, t.now) > 0);
	asks_within(800, 30000, "resourceVersion=10");
}

static void destroying_it_cancels_what_is_under_way(void **state) {
	list_then_watch(WATCH("10"));
	reflector_destroy(t.r);
	t.r = NULL;
	assert_int_equal(t.cancelled, 1);
}

// --- initial events ---

static void initial_events_are_a_set_up_to_their_bookmark(void **state) {
	asks_within(0, 0, STREAM(""));
	assert_int_equal(stats()->state, REFLECTOR_STREAMING);
	say(200, EVENT("ADDED", "a", "9") EVENT("ADDED", "b", "3") BOOKMARK("4")
			 EVENT("DELETED", "a", "10") EVENT("MODIFIED", "b", "11"));
	heard("begin +a +b -a +b");
	assert_false(stats()->synced);
	assert_string_equal(stats()->resource_version, "");
	say(200, END_BOOKMARK("12"));
	heard("end");
	assert_true(stats()->synced);
	assert_int_equal(stats()->state, REFLECTOR_WATCHING);
	assert_string_equal(stats()->resource_version, "12");
	say(200, EVENT("ADDED", "c", "13"));
	heard("+c");
	t.now += 300000;
	end(200, 0);
	asks_within(SOON, WATCH("13"));
	assert_int_equal(stats()->lists, 0);
	answer(410, "");
	asks_within(SOON, STREAM("")); // and so is the next set
}

static void a_server_without_initial_events_is_listed_and_not_asked_again(void **state) {
	asks_within(0, 0, STREAM(""));
	answer(422, STATUS(422, "Invalid", "sendInitialEvents is forbidden"));
	asks_within(SOON, "resourceVersion=0");
	assert_true(t.server.no_watch_list);
	answer(200, LIST("10", ""));
	asks_within(0, 0, WATCH("10"));
	answer(410, "");
	asks_within(SOON, "limit=500");
}

static void another_refusal_means_a_list_this_time(void **state) {
	asks_within(0, 0, STREAM(""));
	answer(400, "");
	asks_within(SOON, "resourceVersion=0");
	assert_false(t.server.no_watch_list);
	answer(200, LIST("10", ""));
	asks_within(0, 0, WATCH("10"));
	answer(410, "");
	asks_within(SOON, STREAM(""));
	answer(429, "");
	asks_within(FIRST_BACKOFF, STREAM(""));
	end(0, -ECONNREFUSED);
	asks_within(1600, 3200, STREAM(""));
	answer(500, "");
	asks_within(3200, 6400, "limit=500");
}

static void initial_events_that_break_off_begin_from_zero(void **state) {
	asks_within(0, 0, STREAM(""));
	say(200, EVENT("ADDED", "a", "9"));
	end(200, -EIO);
	asks_within(FIRST_BACKOFF, STREAM(""));
	heard("begin +a begin");
	answer(410, "");
	asks_within(SOON, STREAM(""));
	say(200, END_BOOKMARK("12"));
	heard("begin end");
}

static void initial_events_without_an_end_are_given_up_for_good(void **state) {
	asks_within(0, 0, STREAM(""));
	say(200, EVENT("ADDED", "a", "9"));
	t.now += 90000;
	end(200, -ETIMEDOUT);
	asks_within(FIRST_BACKOFF, "resourceVersion=0");
	assert_true(t.server.no_watch_list);
}

#define LIST_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, setup_stream, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		LIST_TEST(a_list_is_followed_by_a_watch_from_its_version),
		LIST_TEST(the_text_of_an_object_is_found_in_any_order_of_members),
		LIST_TEST(a_watch_that_ends_goes_on_from_the_last_version_bookmarks_included),
		LIST_TEST(versions_are_opaque_and_escaped),
		LIST_TEST(an_expired_version_is_forgotten_however_it_is_said),
		LIST_TEST(repeated_expiry_backs_off),
		LIST_TEST(a_version_from_the_future_asks_the_quorum),
		LIST_TEST(pages_are_one_set),
		LIST_TEST(an_expired_page_means_a_list_in_one_piece),
		LIST_TEST(refused_connections_and_throttling_list_nothing),
		LIST_TEST(what_the_server_asks_for_is_waited_for),
		LIST_TEST(a_silent_watch_is_opened_again),
		LIST_TEST(a_watch_that_is_silent_again_may_wait_for_a_future_that_was_undone),
		LIST_TEST(a_short_watch_without_a_word_is_a_failure),
		LIST_TEST(a_cut_watch_goes_on_where_it_was),
		LIST_TEST(a_cut_list_is_listed_again_and_changes_nothing),
		LIST_TEST(answers_that_are_no_list_change_nothing),
		LIST_TEST(unknown_events_are_skipped_and_counted),
		LIST_TEST(an_item_that_is_no_json_is_told_and_the_rest_counts),
		LIST_TEST(integers_of_any_size_and_nul_in_strings_are_no_reason_to_drop_an_object),
		LIST_TEST(a_server_error_event_watches_again_and_lists_after_three),
		LIST_TEST(a_resource_that_is_missing_is_told_and_asked_for_again),
		LIST_TEST(a_sink_without_memory_means_a_new_list),
		LIST_TEST(destroying_it_cancels_what_is_under_way),
		STREAM_TEST(initial_events_are_a_set_up_to_their_bookmark),
		STREAM_TEST(a_server_without_initial_events_is_listed_and_not_asked_again),
		STREAM_TEST(another_refusal_means_a_list_this_time),
		STREAM_TEST(initial_events_that_break_off_begin_from_zero),
		STREAM_TEST(initial_events_without_an_end_are_given_up_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
