// SPDX-License-Identifier: Apache-2.0
// Log lines: one write each, so that lines of several processes do not mix.
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level max_level = LOG_INFO;
static bool as_json;
static const char *const names[] = {"error", "warn", "info", "debug"};

void log_init(enum log_level level, bool json) {
	max_level = level;
	as_json = json;
}

int log_level_parse(const char *name) {
	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

static size_t json_escape(char *out, size_t size, const char *text) {
	size_t n = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c != 0 && n + 7 < size; c++) {
		if (*c == '"' || *c == '\\')
			n += (size_t)snprintf(out + n, size - n, "\\%c", *c);
		else if (*c < 0x20)
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", *c);
		else
			out[n++] = (char)*c;
	}
	out[n] = 0;
	return n;
}

void log_at(enum log_level level, const char *format, ...) {
	char text[1024], escaped[2048], line[2200], stamp[32];
	struct timespec now;
	struct tm utc;
	va_list args;
	int n;

	if (level > max_level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = (int)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + n, sizeof(stamp) - (size_t)n, ".%03ldZ", now.tv_nsec / 1000000);
	if (as_json) {
		json_escape(escaped, sizeof(escaped), text);
		n = snprintf(line, sizeof(line),
			     "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"%s\"}\n", stamp,
			     names[level], escaped);
	} else {
		n = snprintf(line, sizeof(line), "%s %s %s\n", stamp, names[level], text);
	}
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
