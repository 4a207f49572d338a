// SPDX-License-Identifier: Apache-2.0
// One line on stderr for each event worth a person's attention, as text or as JSON.
// Control thread only: workers never log. Text: "2026-01-02T03:04:05.678Z info port wan: link up".
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init(enum log_level level, bool json);
// -1 when the name is none of error, warn, info, debug.
int log_level_parse(const char *name);
__attribute__((format(printf, 2, 3))) void log_at(enum log_level level, const char *format, ...);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
