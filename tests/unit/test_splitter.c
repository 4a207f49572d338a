// SPDX-License-Identifier: Apache-2.0
// Documents and elements out of bytes cut anywhere.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/splitter.h"

struct seen {
	char text[1 << 16]; // items and rest, a line each
	size_t len, n_items, n_rests;
	int answer; // what the handlers return
};

static int add(struct seen *s, char tag, const char *text, size_t len) {
	assert_true(s->len + len + 3 < sizeof(s->text));
	s->text[s->len++] = tag;
	memcpy(s->text + s->len, text, len);
	s->len += len;
	s->text[s->len++] = '\n';
	s->text[s->len] = '\0';
	return s->answer;
}

static int on_item(void *arg, const char *text, size_t len) {
	struct seen *s = arg;

	s->n_items++;
	return add(s, 'I', text, len);
}

static int on_rest(void *arg, const char *text, size_t len) {
	struct seen *s = arg;

	s->n_rests++;
	return add(s, 'R', text, len);
}

static const struct splitter_handlers handlers = {on_item, on_rest};
static const char *const drop[] = {"\"managedFields\":[", "\"ref\":{", "\"last\":\"", NULL};
static struct seen seen;
static struct error err;

// Feed in pieces that end at each of the cuts. Returns the first error; whole gets splitter_is_whole().
static int feed_cut(enum splitter_form form, const char *text, size_t len, const size_t *cuts,
		    size_t n_cuts, size_t max, bool *whole) {
	struct splitter *s = splitter_create(form, max, drop, &handlers, &seen);
	size_t at = 0;
	int ret = 0;

	seen = (struct seen){.answer = seen.answer};
	assert_non_null(s);
	for (size_t i = 0; i <= n_cuts && ret == 0; i++) {
		size_t to = i < n_cuts ? cuts[i] : len;
		char *piece = malloc(to - at + 1); // its own, so that a byte read beyond is caught

		memcpy(piece, text + at, to - at);
		ret = splitter_feed(s, piece, to - at, &err);
		free(piece);
		at = to;
	}
	*whole = splitter_is_whole(s);
	splitter_destroy(s);
	return ret;
}

static int feed(enum splitter_form form, const char *text) {
	bool whole;

	return feed_cut(form, text, strlen(text), NULL, 0, 0, &whole);
}

static const char list[] =
	" {\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"12\"},\n"
	"\"items\" : [ {\"a\":\"} \\\" ]\\\\\"},\n {\"b\":[{\"c\":\"\\u00e4\\ud83d\\ude00\xc3\xa4\"}],"
	"\"n\":-12.5e3} , {} ], \"more\":{\"items\":[1]}}\n";
static const char list_seen[] =
	"I{\"a\":\"} \\\" ]\\\\\"}\n"
	"I{\"b\":[{\"c\":\"\\u00e4\\ud83d\\ude00\xc3\xa4\"}],\"n\":-12.5e3}\n"
	"I{}\n"
	"R{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"12\"},\n"
	"\"items\" : [], \"more\":{\"items\":[1]}}\n";

static const char stream[] =
	"{\"type\":\"ADDED\",\"object\":{\"x\":\"\\\\\"}}{\"type\":\"B\\\\\\\"{\"}"
	"\r\n \t{\"e\":[[],{}]}\n";
static const char stream_seen[] = "I{\"type\":\"ADDED\",\"object\":{\"x\":\"\\\\\"}}\n"
				  "I{\"type\":\"B\\\\\\\"{\"}\n"
				  "I{\"e\":[[],{}]}\n";

static void a_list_gives_its_elements_and_then_what_is_around_them(void **state) {
	assert_int_equal(feed(SPLITTER_LIST, list), 0);
	assert_string_equal(seen.text, list_seen);
}

static void a_stream_gives_its_documents(void **state) {
	assert_int_equal(feed(SPLITTER_STREAM, stream), 0);
	assert_string_equal(seen.text, stream_seen);
}

static void any_two_cuts_give_the_same(void **state) {
	const struct {
		enum splitter_form form;
		const char *text, *wanted;
	} cases[] = {{SPLITTER_LIST, list, list_seen}, {SPLITTER_STREAM, stream, stream_seen}};

	for (size_t c = 0; c < 2; c++) {
		size_t len = strlen(cases[c].text);

		for (size_t i = 0; i <= len; i++)
			for (size_t j = i; j <= len; j++) {
				const size_t cuts[] = {i, j};
				bool whole;

				assert_int_equal(feed_cut(cases[c].form, cases[c].text, len, cuts,
							  2, 0, &whole),
						 0);
				assert_true(whole);
				assert_string_equal(seen.text, cases[c].wanted);
			}
	}
}

static void a_text_that_ends_early_is_not_whole(void **state) {
	size_t len = strlen(list) - 1; // without the newline
	bool whole;

	for (size_t n = 0; n < len; n++) {
		assert_int_equal(feed_cut(SPLITTER_LIST, list, n, NULL, 0, 0, &whole), 0);
		assert_false(whole);
	}
	assert_int_equal(feed_cut(SPLITTER_STREAM, "{\"a\":1}{", 8, NULL, 0, 0, &whole), 0);
	assert_false(whole);
	assert_int_equal(seen.n_items, 1);
	assert_int_equal(feed_cut(SPLITTER_STREAM, "", 0, NULL, 0, 0, &whole), 0);
	assert_true(whole);
}

// Strings of every length with escapes at every place, so that each lies across blocks of 64 bytes somewhere.
static void strings_end_where_they_end_at_any_place_of_a_block(void **state) {
	static const char *const middles[] = {"",         "\\\"", "\\\\", "\\\\\\\"",
					      "\\\\\\\\", "{[",   "}"};
	char text[512], wanted[600];

	for (size_t m = 0; m < sizeof(middles) / sizeof(middles[0]); m++)
		for (int before = 0; before < 140; before++) {
			int n = snprintf(text, sizeof(text), "{\"%*s%s\":[\"%s\"]}", before, "",
					 middles[m], middles[m]);
			bool whole;

			for (size_t cut = 0; cut <= (size_t)n; cut++) {
				assert_int_equal(feed_cut(SPLITTER_STREAM, text, (size_t)n, &cut, 1,
							  0, &whole),
						 0);
				snprintf(wanted, sizeof(wanted), "I%s\n", text);
				assert_string_equal(seen.text, wanted);
				assert_true(whole);
			}
		}
}

static void what_nobody_reads_is_left_out_and_nothing_else_is(void **state) {
	assert_int_equal(
		feed(SPLITTER_STREAM,
		     "{\"metadata\":{\"managedFields\":[{\"f:x]\":{\"\\\"]\":[]}}],\"name\":\"n\"}}"
		     "{\"metadata\":{\"managedFields\":[],\"last\":\"\\\"\\\\\",\"last\":\"\"}}"
		     "{\"a\":\"\\\"managedFields\\\":[1,2]\",\"b\":\"managedFields\"}"
		     "{\"x\\\"managedFields\":[1,2],\"ref\":[1],\"ref\":{\"a\":{\"b\":\"}\"}},"
		     "\"ref\":{\"c\":1}}"),
		0);
	assert_string_equal(seen.text,
			    "I{\"metadata\":{\"managedFields\":[],\"name\":\"n\"}}\n"
			    "I{\"metadata\":{\"managedFields\":[],\"last\":\"\",\"last\":\"\"}}\n"
			    "I{\"a\":\"\\\"managedFields\\\":[1,2]\",\"b\":\"managedFields\"}\n"
			    "I{\"x\\\"managedFields\":[1,2],\"ref\":[1],\"ref\":{},\"ref\":{}}\n");
}

static void faults_name_the_offset_and_end_it(void **state) {
	static const struct {
		enum splitter_form form;
		const char *text, *message;
		int error;
		size_t items;
	} cases[] = {
		{SPLITTER_STREAM, "{}x{}", "no JSON object at byte 2", -EPROTO, 1},
		{SPLITTER_STREAM, "[{}]", "no JSON object at byte 0", -EPROTO, 0},
		{SPLITTER_STREAM, "{\"a\":[}", "unbalanced brackets at byte 6", -EPROTO, 0},
		{SPLITTER_STREAM, "{\"a\":{]", "unbalanced brackets at byte 6", -EPROTO, 0},
		{SPLITTER_LIST, "<html>", "no JSON object at byte 0", -EPROTO, 0},
		{SPLITTER_LIST, "{\"items\":[]}{", "something follows the document at byte 12",
		 -EPROTO, 0},
		{SPLITTER_LIST, "{\"items\":[{}{}]}", "not the items of a list at byte 12", -EPROTO,
		 1},
		{SPLITTER_LIST, "{\"items\":[,{}]}", "not the items of a list at byte 10", -EPROTO,
		 0},
		{SPLITTER_LIST, "{\"items\":[{},]}", "not the items of a list at byte 13", -EPROTO,
		 1},
		{SPLITTER_LIST, "{\"items\":[{},,{}]}", "not the items of a list at byte 13",
		 -EPROTO, 1},
		{SPLITTER_LIST, "{\"items\":[1]}", "not the items of a list at byte 10", -EPROTO,
		 0},
		{SPLITTER_LIST, "{\"items\":[{}}", "not the items of a list at byte 12", -EPROTO,
		 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed(cases[i].form, cases[i].text), cases[i].error);
		assert_string_equal(err.text, cases[i].message);
		assert_int_equal(seen.n_items, cases[i].items);
		assert_int_equal(seen.n_rests, i == 5);
	}
}

static void a_nul_is_a_fault_wherever_it_is(void **state) {
	const char item[] = "{\"a\":\"\0\"}", gap[] = "{}\0{}", rest[] = "{\"a\":\"\0\"}";
	bool whole;

	assert_int_equal(feed_cut(SPLITTER_STREAM, item, sizeof(item) - 1, NULL, 0, 0, &whole),
			 -EPROTO);
	assert_int_equal(feed_cut(SPLITTER_STREAM, gap, sizeof(gap) - 1, NULL, 0, 0, &whole),
			 -EPROTO);
	assert_int_equal(feed_cut(SPLITTER_LIST, rest, sizeof(rest) - 1, NULL, 0, 0, &whole),
			 -EPROTO);
}

static void size_and_depth_have_bounds(void **state) {
	char deep[2 * SPLITTER_MAX_DEPTH + 64];
	bool whole;
	size_t n = 0;

	assert_int_equal(feed_cut(SPLITTER_STREAM, "{\"a\":\"0123456789\"}", 18, NULL, 0, 18,
				  &whole),
			 0);
	assert_int_equal(feed_cut(SPLITTER_STREAM, "{\"a\":\"0123456789\"}", 18, NULL, 0, 17,
				  &whole),
			 -E2BIG);
	assert_int_equal(feed_cut(SPLITTER_STREAM, "{\"a\":\"01234567890", 17, NULL, 0, 16, &whole),
			 -E2BIG); // also one that never ends
	n += (size_t)sprintf(deep, "{\"a\":");
	memset(deep + n, '[', SPLITTER_MAX_DEPTH - 1);
	memset(deep + n + SPLITTER_MAX_DEPTH - 1, ']', SPLITTER_MAX_DEPTH - 1);
	strcpy(deep + n + 2 * (SPLITTER_MAX_DEPTH - 1), "}");
	assert_int_equal(feed(SPLITTER_STREAM, deep), 0);
	memset(deep + n, '[', SPLITTER_MAX_DEPTH);
	assert_int_equal(feed(SPLITTER_STREAM, deep), -E2BIG);
	assert_string_equal(err.text, "nested too deep at byte 132");
}

static void a_handlers_refusal_ends_it_for_good(void **state) {
	struct splitter *s = splitter_create(SPLITTER_STREAM, 0, NULL, &handlers, &seen);

	seen = (struct seen){.answer = -ECANCELED};
	assert_int_equal(splitter_feed(s, "{}{}", 4, &err), -ECANCELED);
	assert_int_equal(seen.n_items, 1);
	assert_int_equal(splitter_feed(s, "{}", 2, &err), -ECANCELED);
	assert_int_equal(seen.n_items, 1);
	assert_false(splitter_is_whole(s));
	splitter_destroy(s);
	seen.answer = 0;
}

static void a_document_without_items_is_all_rest(void **state) {
	static const char *const texts[] = {"{\"kind\":\"Status\",\"code\":410}",
					    "{\"items\":null,\"metadata\":{}}",
					    "{\"x\\\"items\":[{}]}", "{\"a\":{\"items\":[{}]}}",
					    "{\"a\":\"items\",\"b\":[{}]}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(feed(SPLITTER_LIST, texts[i]), 0);
		assert_int_equal(seen.n_items, 0);
		assert_int_equal(seen.n_rests, 1);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_gives_its_elements_and_then_what_is_around_them),
		cmocka_unit_test(a_stream_gives_its_documents),
		cmocka_unit_test(any_two_cuts_give_the_same),
		cmocka_unit_test(a_text_that_ends_early_is_not_whole),
		cmocka_unit_test(strings_end_where_they_end_at_any_place_of_a_block),
		cmocka_unit_test(what_nobody_reads_is_left_out_and_nothing_else_is),
		cmocka_unit_test(faults_name_the_offset_and_end_it),
		cmocka_unit_test(a_nul_is_a_fault_wherever_it_is),
		cmocka_unit_test(size_and_depth_have_bounds),
		cmocka_unit_test(a_handlers_refusal_ends_it_for_good),
		cmocka_unit_test(a_document_without_items_is_all_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
