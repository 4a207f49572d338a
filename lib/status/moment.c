// SPDX-License-Identifier: Apache-2.0
// RFC 3339 as the API server writes it.
#include "status/moment.h"

#include <stdio.h>
#include <time.h>

static size_t print_seconds(const struct moment *m, char *buf) {
	time_t seconds = (time_t)(m->wall_us / 1000000);
	struct tm t;

	gmtime_r(&seconds, &t);
	return strftime(buf, MOMENT_TEXT, "%Y-%m-%dT%H:%M:%S", &t);
}

const char *moment_time(const struct moment *m, char *buf) {
	size_t n = print_seconds(m, buf);

	snprintf(buf + n, MOMENT_TEXT - n, "Z");
	return buf;
}

const char *moment_micro_time(const struct moment *m, char *buf) {
	size_t n = print_seconds(m, buf);

	snprintf(buf + n, MOMENT_TEXT - n, ".%06uZ", (unsigned)(m->wall_us % 1000000));
	return buf;
}
