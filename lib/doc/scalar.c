// SPDX-License-Identifier: Apache-2.0
// Plain YAML scalars in the core schema of YAML 1.2 (section 10.3.2): null, booleans, integers, floats, else strings.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "doc/tree.h"

#define DIGITS "0123456789"

static bool one_of(const char *text, const char *const *list) {
	for (; *list != NULL; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

static bool only(const char *text, const char *set) {
	return *text != 0 && text[strspn(text, set)] == 0;
}

static struct scalar resolve_integer(const char *digits, int base, bool negative) {
	unsigned long long u;

	errno = 0;
	u = strtoull(digits, NULL, base);
	if (errno == ERANGE || (negative && u > (uint64_t)INT64_MAX + 1))
		return (struct scalar){.kind = SCALAR_ERROR, .problem = "integer too large"};
	if (negative)
		return (struct scalar){.kind = SCALAR_INT, .i = (int64_t)(0 - u)};
	if (u > INT64_MAX)
		return (struct scalar){.kind = SCALAR_UINT, .u = u};
	return (struct scalar){.kind = SCALAR_INT, .i = (int64_t)u};
}

// ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
static bool is_float(const char *t) {
	size_t whole = strspn(t, DIGITS), fraction = 0;

	t += whole;
	if (*t == '.') {
		fraction = strspn(++t, DIGITS);
		t += fraction;
	}
	if (whole == 0 && fraction == 0)
		return false;
	if (*t == 0)
		return true;
	if (*t != 'e' && *t != 'E')
		return false;
	t++;
	if (*t == '-' || *t == '+')
		t++;
	return only(t, DIGITS);
}

static struct scalar resolve_real(const char *text) {
	double r = strtod(text, NULL);

	if (!isfinite(r))
		return (struct scalar){.kind = SCALAR_ERROR, .problem = "number too large"};
	return (struct scalar){.kind = SCALAR_REAL, .r = r};
}

struct scalar scalar_resolve(const char *text) {
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
	static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
	const char *bare = text + (*text == '-' || *text == '+');

	if (one_of(text, nulls))
		return (struct scalar){.kind = SCALAR_NULL};
	if (one_of(text, trues) || one_of(text, falses))
		return (struct scalar){.kind = SCALAR_BOOL, .b = one_of(text, trues)};
	if (only(bare, DIGITS))
		return resolve_integer(bare, 10, *text == '-');
	if (strncmp(text, "0x", 2) == 0 && only(text + 2, DIGITS "abcdefABCDEF"))
		return resolve_integer(text + 2, 16, false);
	if (strncmp(text, "0o", 2) == 0 && only(text + 2, "01234567"))
		return resolve_integer(text + 2, 8, false);
	if (is_float(bare))
		return resolve_real(text);
	if (one_of(bare, infinities) || one_of(text, nans))
		return (struct scalar){.kind = SCALAR_ERROR, .problem = "not a finite number"};
	return (struct scalar){.kind = SCALAR_STRING};
}
