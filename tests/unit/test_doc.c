// SPDX-License-Identifier: Apache-2.0
// Documents: what YAML and JSON texts mean, and how faults name their place.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "doc/doc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct doc *parse(const char *text) {
	struct doc *d = NULL;
	struct error err = {""};

	if (doc_parse(&d, "f", text, strlen(text), &err) < 0)
		fail_msg("%s\nin: %s", err.text, text);
	return d;
}

// All documents as compact JSON, one a line.
static void values_are_those_of_the_core_schema_and_json(void **state) {
	static const struct {
		const char *text, *json;
	} cases[] = {
		{"", ""},
		{"# nothing\n---\n---\n~\n", ""},
		{"a: 1\n---\nb: 2\n", "{\"a\": 1}\n{\"b\": 2}\n"},
		{"\xef\xbb\xbf"
		 "a: 1",
		 "{\"a\": 1}\n"},
		{"[1, -0, 9223372036854775807, -9223372036854775808]",
		 "[1, 0, 9223372036854775807, -9223372036854775808]\n"},
		{"- 0x1F\n- 0o17\n- 017\n- +5\n- -7\n- 1.5\n- .5\n- 1e3\n- -2.\n- 0x\n- 1_000\n- 12:30\n",
		 "[31, 15, 17, 5, -7, 1.5, 0.5, 1000.0, -2.0, \"0x\", \"1_000\", \"12:30\"]\n"},
		{"- true\n- True\n- FALSE\n- yes\n- off\n- tRue\n",
		 "[true, true, false, \"yes\", \"off\", \"tRue\"]\n"},
		{"- ~\n- null\n- Null\n-\n- nil\n", "[null, null, null, null, \"nil\"]\n"},
		{"- \"1\"\n- 'true'\n- !!str 5\n- ! 6\n- |\n  x\n  y\n",
		 "[\"1\", \"true\", \"5\", \"6\", \"x\\ny\\n\"]\n"},
		{"- !!int \"5\"\n- !!float 5\n- !!bool true\n- !!null ''\n- !!map {}\n- !!seq []\n",
		 "[5, 5, true, null, {}, []]\n"},
		{"- 192.0.2.1\n- 02:00:00:00:00:01\n- 2001:db8::1\n- 2026-01-02T03:04:05Z\n",
		 "[\"192.0.2.1\", \"02:00:00:00:00:01\", \"2001:db8::1\", \"2026-01-02T03:04:05Z\"]\n"},
		{"1: a\ntrue: b\n? c\n: d\n", "{\"1\": \"a\", \"true\": \"b\", \"c\": \"d\"}\n"},
		{"a: &x {b: 1}\nc: *x\n", "{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}}\n"},
		{"- &x 1\n- &x 2\n- *x\n", "[1, 2, 2]\n"},
		{"- &x [&x 1, *x]\n- *x\n", "[[1, 1], 1]\n"},
		{"&k a: 1\nb: *k\n", "{\"a\": 1, \"b\": \"a\"}\n"},
		{"base: &b {x: 1, y: 2}\nd:\n  <<: *b\n  y: 3\n",
		 "{\"base\": {\"x\": 1, \"y\": 2}, \"d\": {\"y\": 3, \"x\": 1}}\n"},
		{"- &a {x: 1}\n- &b {x: 2, y: 2}\n- {<<: [*a, *b], z: 3}\n- {\"<<\": 1}\n",
		 "[{\"x\": 1}, {\"x\": 2, \"y\": 2}, {\"z\": 3, \"x\": 1, \"y\": 2}, {\"<<\": 1}]\n"},
		{"{\"a\": [1, {\"b\": \"\\u00e9\\\"}\"}], \"c\": null}",
		 "{\"a\": [1, {\"b\": \"\xc3\xa9\\\"}\"}], \"c\": null}\n"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct doc *d = parse(cases[i].text);
		char got[1024] = "";

		for (size_t k = 0; k < doc_count(d); k++) {
			struct doc_node root = doc_root(d, k);
			char *text = json_dumps(root.json, JSON_ENCODE_ANY);

			assert_true(doc_present(&root));
			strcat(strcat(got, text), "\n");
			free(text);
		}
		assert_string_equal(got, cases[i].json);
		doc_destroy(d);
	}
}

static void broken_texts_are_named_with_file_and_line(void **state) {
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "f:3: duplicate key \"a\""},
		{"a: 1\nb: !mine x\n", "f:2: unknown tag !mine"},
		{"a: !!binary aGk=\n", "f:1: unknown tag tag:yaml.org,2002:binary"},
		{"a: !!int x\n", "f:1: not what its tag says (int)"},
		{"a: !!set {}\n", "f:1: unknown tag tag:yaml.org,2002:set"},
		{"\na: 18446744073709551616\n", "f:2: integer too large"},
		{"a: -9223372036854775809\n", "f:1: integer too large"},
		{"a: 0x10000000000000000\n", "f:1: integer too large"},
		{"a: .inf\n", "f:1: not a finite number"},
		{"a: -.Inf\n", "f:1: not a finite number"},
		{"a: .nan\n", "f:1: not a finite number"},
		{"a: 1e999\n", "f:1: number too large"},
		{"a: \"x\\0y\"\n", "f:1: NUL in a string"},
		{"\"x\\0y\": 1\n", "f:1: NUL in a string"},
		{"a:\n- *x\n", "f:2: unknown alias *x"},
		{"a: &x\n  b: *x\n", "f:2: alias *x inside of its own anchor"},
		{"&x 1: a\n---\nb: *x\n", "f:3: unknown alias *x"},
		{"? [1]\n: 2\n", "f:1: a key must be a scalar"},
		{"a: {<<: 5}\n", "f:1: <<: not an object or an array of objects"},
		{"a: {<<: [{}, 5]}\n", "f:1: <<: not an object or an array of objects"},
		{"a: [1\nb: 2\n", "f:2: did not find expected ',' or ']'"},
		{"a: 1\n\tb: 2\n", "f:2: found a tab character that violates indentation"},
		{"a: \"\xff\"\n", "f:1: invalid leading UTF-8 octet"},
		{"{\"a\": 1,\n \"a\": 2}", "f:2: duplicate object key near '\"a\"'"},
		{"{\"a\": 1}\nx", "f:2: end of file expected near 'x'"},
		{"{\"a\": 18446744073709551616}", "f:1: integer too large"},
		{"[\n-9223372036854775809]", "f:2: integer too large"},
		{"[\"\\u0000\"]",
		 "f:1: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
		{"[1", "f:1: ']' expected near end of file"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct doc *d = NULL;
		struct error err = {""};

		if (doc_parse(&d, "f", cases[i].text, strlen(cases[i].text), &err) != -EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		assert_null(d);
		assert_string_equal(err.text, cases[i].message);
	}
}

static char *repeat(const char *head, const char *piece, size_t n, const char *tail) {
	size_t len = strlen(head) + strlen(piece) * n + strlen(tail) + 1;
	char *text = malloc(len), *at = text;

	assert_non_null(text);
	at = stpcpy(at, head);
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, piece);
	stpcpy(at, tail);
	return text;
}

static void depth_is_bounded(void **state) {
	static const struct {
		const char *head, *open;
		size_t n;
		const char *tail;
		bool fine;
	} cases[] = {
		{"", "[", 64, "", true},
		{"", "[", 65, "", false},
		{"a: ", "[", 63, "", true},
		{"a: ", "[", 64, "", false},
		{"a: &x [[]]\nb: ", "[", 61, "*x", true},
		{"a: &x [[]]\nb: ", "[", 62, "*x", false},
		{"", "{\"a\":", 64, "1", true},
		{"", "{\"a\":", 65, "1", false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *open = repeat(cases[i].head, cases[i].open, cases[i].n, cases[i].tail);
		char *text = repeat(open, cases[i].open[0] == '[' ? "]" : "}", cases[i].n, "");
		struct error err = {""};
		struct doc *d = NULL;
		int ret = doc_parse(&d, "f", text, strlen(text), &err);

		if (ret != (cases[i].fine ? 0 : -EINVAL))
			fail_msg("%zu: %d %s", i, ret, err.text);
		if (!cases[i].fine)
			assert_non_null(strstr(err.text, "nested deeper than 64"));
		doc_destroy(d);
		free(open);
		free(text);
	}
}

static void alias_bombs_are_refused_and_ordinary_aliases_are_not(void **state) {
	char text[4096] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
	struct error err = {""};
	struct doc *d = NULL;
	size_t at = strlen(text);
	char *many;

	for (int i = 1; i < 9; i++)
		at += (size_t)sprintf(
			text + at, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
			i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	assert_int_equal(doc_parse(&d, "f", text, at, &err), -EINVAL);
	assert_string_equal(err.text, "f:6: aliases stand for more than 200000 values");
	many = repeat("a: &a {b: 1}\nc:\n", "- *a\n", 100000, "");
	assert_int_equal(doc_parse(&d, "f", many, strlen(many), &err), 0);
	doc_destroy(d);
	free(many);
}

// Walk path ("spec.ports[2].port") in d's first document. chain holds the nodes on the way, keys their names.
static const struct doc_node *walk(const struct doc *d, const char *path, struct doc_node *chain,
				   char *keys) {
	char *save = NULL;

	*chain = doc_root(d, 0);
	strcpy(keys, path);
	for (char *step = strtok_r(keys, ".[]", &save); step != NULL;
	     step = strtok_r(NULL, ".[]", &save)) {
		if (step[0] >= '0' && step[0] <= '9')
			chain[1] = doc_element(chain, (size_t)atoi(step));
		else
			assert_int_equal(doc_member(&chain[1], chain, step, NULL), 0);
		chain++;
	}
	return chain;
}

static void each_value_knows_its_line_and_path(void **state) {
	static const char *const yaml =
		"# head\nspec:\n  ports:\n  - port: 1\n    name: a\n  -\n    port: true\n  - {port: 3,\n     x: ~}\n"
		"  flags: [true,\n true, false]\n  copy: &c\n    x: 1\n  paste: *c\n  merged:\n    <<: *c\n    y: 2\n";
	static const char *const json =
		"\n{\"spec\":\n {\"ports\": [{\"port\": 1, \"name\"\n: \"a\\\"\\\\\"},\n {\"port\":\n true}],\n \"flags\": [true,\n"
		" true, 1.5e3, -1,\nfalse], \"gone\": null }}\n";
	static const struct {
		bool json;
		const char *path;
		unsigned line;
	} cases[] = {
		{false, "", 2},
		{false, "spec", 2},
		{false, "spec.ports", 3},
		{false, "spec.ports[0]", 4},
		{false, "spec.ports[0].name", 5},
		{false, "spec.ports[0].absent", 4},
		{false, "spec.ports[1].port", 7},
		{false, "spec.ports[2].x", 9},
		{false, "spec.flags[0]", 10},
		{false, "spec.flags[1]", 11},
		{false, "spec.copy.x", 13},
		{false, "spec.paste", 14},
		{false, "spec.paste.x", 13},
		{false, "spec.merged.y", 17},
		{false, "spec.merged.x", 16},
		{true, "", 2},
		{true, "spec", 2},
		{true, "spec.ports", 3},
		{true, "spec.ports[0].name", 3},
		{true, "spec.ports[1]", 5},
		{true, "spec.ports[1].port", 5},
		{true, "spec.flags[0]", 7},
		{true, "spec.flags[1]", 8},
		{true, "spec.flags[4]", 9},
		{true, "spec.gone", 9},
		{true, "spec.absent", 2},
	};
	struct doc *docs[] = {parse(yaml), parse(json)};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct doc_node chain[8];
		char keys[200], path[200];
		const struct doc_node *n = walk(docs[cases[i].json], cases[i].path, chain, keys);

		if (doc_line(n) != cases[i].line)
			fail_msg("%s: line %u, not %u", cases[i].path, doc_line(n), cases[i].line);
		assert_string_equal(doc_path(n, path, sizeof(path)), cases[i].path);
	}
	doc_destroy(docs[0]);
	doc_destroy(docs[1]);
}

static void strict_values_say_what_they_expected(void **state) {
	struct doc *d = parse(
		"s: text\ni: 5\nr: 1.5\nb: true\nl: [1]\nm: {x: 1}\nn: ~\nu: 18446744073709551615\n");
	struct doc_node root = doc_root(d, 0), n;
	struct error err = {""};
	static const char *const names[] = {"one", "text"};
	static const char *const known[] = {"s", "i", "r", "b", "l", "m", "n"};
	const char *s = "kept";
	int64_t i = -1;
	uint64_t u = 0;
	bool b = false;
	int e = -1;
	size_t size = 99;

	assert_int_equal(doc_get_string(&root, "s", &s, &err), 0);
	assert_string_equal(s, "text");
	assert_int_equal(doc_get_string(&root, "n", &s, &err),
			 0); // null and absent leave the default
	assert_int_equal(doc_get_string(&root, "absent", &s, &err), 0);
	assert_string_equal(s, "text");
	assert_int_equal(doc_get_string(&root, "i", &s, &err), -EINVAL);
	assert_string_equal(err.text, "f:2: i: not a string");
	assert_int_equal(doc_get_int(&root, "i", &i, 1, 5, &err), 0);
	assert_int_equal(i, 5);
	assert_int_equal(doc_get_int(&root, "i", &i, 6, 9, &err), -EINVAL);
	assert_string_equal(err.text, "f:2: i: not within 6..9");
	assert_int_equal(doc_get_int(&root, "r", &i, 0, 9, &err), -EINVAL);
	assert_string_equal(err.text, "f:3: r: not an integer");
	assert_int_equal(doc_get_int(&root, "u", &i, 0, INT64_MAX, &err), -EINVAL);
	assert_string_equal(err.text, "f:8: u: not within 0..9223372036854775807");
	assert_int_equal(doc_get_bool(&root, "b", &b, &err), 0);
	assert_true(b);
	assert_int_equal(doc_get_bool(&root, "s", &b, &err), -EINVAL);
	assert_string_equal(err.text, "f:1: s: not a boolean");
	assert_int_equal(doc_member(&n, &root, "u", &err), 0);
	assert_int_equal(doc_uint64(&n, &u, &err), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(doc_member(&n, &root, "s", &err), 0);
	assert_int_equal(doc_enum(&n, &e, names, 2, &err), 0);
	assert_int_equal(e, 1);
	assert_int_equal(doc_enum(&n, &e, names, 1, &err), -EINVAL);
	assert_string_equal(err.text, "f:1: s: not one of one");
	assert_int_equal(doc_array_size(&n, &size, &err), -EINVAL);
	assert_string_equal(err.text, "f:1: s: not an array");
	assert_int_equal(doc_get_string(&n, "x", &s, &err), -EINVAL);
	assert_string_equal(err.text, "f:1: s: not an object");
	assert_int_equal(doc_member(&n, &root, "n", &err), 0);
	assert_int_equal(doc_array_size(&n, &size, &err), 0);
	assert_int_equal(size, 0);
	assert_int_equal(doc_get_string(&n, "below", &s, &err),
			 0); // below an absent object all is absent
	assert_int_equal(doc_only(&root, known, COUNT(known), &err), -EINVAL);
	assert_string_equal(err.text, "f:8: u: unknown key; known here: s, i, r, b, l, m, n");
	assert_int_equal(doc_get_int(&root, "i", &i, 6, 9, NULL), -EINVAL); // nobody wants the text
	assert_int_equal(i, 5);
	doc_destroy(d);
}

static void integers_above_int64_are_exact_in_json_too(void **state) {
	static const char *const texts[] = {
		"{\"a\": [9223372036854775807, 9223372036854775808, 18446744073709551615, \"18446744073709551616\"]}",
		"a: [9223372036854775807, 0x8000000000000000, 18446744073709551615]",
	};
	static const uint64_t want[] = {INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct doc *d = parse(texts[i]);
		struct doc_node root = doc_root(d, 0), list, n;

		assert_int_equal(doc_member(&list, &root, "a", NULL), 0);
		for (size_t k = 0; k < COUNT(want); k++) {
			uint64_t got = 0;

			n = doc_element(&list, k);
			assert_int_equal(doc_uint64(&n, &got, NULL), 0);
			assert_true(got == want[k]);
		}
		doc_destroy(d);
	}
}

static void values_from_elsewhere_have_a_path_without_a_place(void **state) {
	json_t *json = json_pack("{s{s{sss[i]}}}", "metadata", "annotations", "sluice.dev/target",
				 "x\ny", "a\tb", 7);
	struct doc_node root = doc_root_json(json), meta, notes, n;
	struct error err;
	const char *s = NULL;
	char path[100];

	assert_int_equal(doc_member(&meta, &root, "metadata", &err), 0);
	assert_int_equal(doc_member(&notes, &meta, "annotations", &err), 0);
	assert_int_equal(doc_get_int(&notes, "sluice.dev/target", &(int64_t){0}, 0, 1, &err),
			 -EINVAL);
	assert_string_equal(err.text,
			    "metadata.annotations[\"sluice.dev/target\"]: not an integer");
	assert_int_equal(doc_get_string(&notes, "a\tb", &s, &err), -EINVAL);
	assert_string_equal(err.text, "metadata.annotations[\"a?b\"]: not a string");
	n = doc_element(&notes, 3);
	assert_string_equal(doc_path(&n, path, 12), "metadata.an"); // cut, not overrun
	assert_int_equal(doc_string(&root, &s, &err), -EINVAL);
	assert_string_equal(err.text, "not a string");
	json_decref(json);
}

static void files_are_read_up_to_their_bound(void **state) {
	char path[] = "/tmp/test_doc.XXXXXX", want[100];
	struct error err;
	struct doc *d = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	close(fd);
	assert_int_equal(doc_load(&d, path, 5, &err), 0);
	assert_int_equal(doc_count(d), 1);
	doc_destroy(d);
	assert_int_equal(doc_load(&d, path, 4, &err), -EFBIG);
	snprintf(want, sizeof(want), "%s: larger than 4 bytes", path);
	assert_string_equal(err.text, want);
	unlink(path);
	assert_int_equal(doc_load(&d, path, 5, &err), -ENOENT);
	snprintf(want, sizeof(want), "%s: No such file or directory", path);
	assert_string_equal(err.text, want);
	assert_int_equal(doc_load(&d, "/", 5, &err), -EISDIR);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_of_the_core_schema_and_json),
		cmocka_unit_test(broken_texts_are_named_with_file_and_line),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(alias_bombs_are_refused_and_ordinary_aliases_are_not),
		cmocka_unit_test(each_value_knows_its_line_and_path),
		cmocka_unit_test(strict_values_say_what_they_expected),
		cmocka_unit_test(integers_above_int64_are_exact_in_json_too),
		cmocka_unit_test(values_from_elsewhere_have_a_path_without_a_place),
		cmocka_unit_test(files_are_read_up_to_their_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
