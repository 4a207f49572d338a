// SPDX-License-Identifier: Apache-2.0
// One reading of the clocks, taken by the caller: every decision hangs on the monotonic one; the wall clock is only written down for others to read.
#ifndef SLUICE_STATUS_MOMENT_H
#define SLUICE_STATUS_MOMENT_H

#include <stdint.h>

struct moment {
	int64_t ms;      // monotonic, any start
	int64_t wall_us; // since 1970, UTC
};

#define MOMENT_TEXT 32

// "2026-01-02T03:04:05Z", the API's Time. buf holds MOMENT_TEXT bytes; returns it.
const char *moment_time(const struct moment *m, char *buf);
// "2026-01-02T03:04:05.678901Z", the API's MicroTime.
const char *moment_micro_time(const struct moment *m, char *buf);

#endif
