// SPDX-License-Identifier: Apache-2.0
// Reasons: names are well formed and unique, and docs/reasons.md lists exactly them, in the same order.
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/reason.h"

static void names_are_lower_case_words_and_unique(void **state) {
	assert_string_equal(reason_name(REASON_NONE), "");
	assert_string_equal(reason_name(REASON_COUNT), "");
	assert_string_equal(reason_name(REASON_TRUNCATED), "truncated");
	assert_string_equal(reason_name(REASON_ANSWERED_ARP), "answered-arp");
	for (unsigned r = 1; r < REASON_COUNT; r++) {
		const char *name = reason_name(r);

		assert_non_null(reason_meaning(r));
		if (r == REASON_DROPS)
			continue;
		assert_true(islower(name[0]) &&
			    name[strspn(name, "abcdefghijklmnopqrstuvwxyz4-")] == '\0');
		for (unsigned other = 1; other < r; other++)
			assert_string_not_equal(name, reason_name(other));
	}
}

// The next name of a table row "| `name` | ...", or NULL.
static char *next_name(FILE *f, char *line, int size) {
	char *end;

	while (fgets(line, size, f) != NULL) {
		if (strncmp(line, "| `", 3) != 0)
			continue;
		end = strchr(line + 3, '`');
		assert_non_null(end);
		*end = '\0';
		return line + 3;
	}
	return NULL;
}

static void the_manual_lists_exactly_these(void **state) {
	const char *path = getenv("REASONS_MD");
	char line[1024];
	FILE *f;

	if (path == NULL)
		fail_msg("REASONS_MD must name docs/reasons.md; meson test sets it");
	f = fopen(path, "r");
	assert_non_null(f);
	for (unsigned r = 1; r < REASON_COUNT; r++) {
		const char *listed;

		if (r == REASON_DROPS)
			continue;
		listed = next_name(f, line, sizeof(line));
		assert_string_equal(listed == NULL ? "(end of file)" : listed, reason_name(r));
	}
	assert_null(next_name(f, line, sizeof(line)));
	fclose(f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_lower_case_words_and_unique),
		cmocka_unit_test(the_manual_lists_exactly_these),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
