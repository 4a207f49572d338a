// SPDX-License-Identifier: Apache-2.0
// An error for a person: what is wrong, where, and what to do. Functions return 0 or -errno for the program and fill
// one of these for the reader; whoever handles the error prints it, once. A NULL error is allowed everywhere.
#ifndef SLUICE_BASE_ERROR_H
#define SLUICE_BASE_ERROR_H

#include <stdarg.h>
#include <stdio.h>

struct error {
	char text[1024];
};

// Fill err (when not NULL) and return code, so that "return error_set(err, -EINVAL, ...)" reads as one step.
__attribute__((format(printf, 3, 4))) static inline int error_set(struct error *err, int code,
								  const char *format, ...) {
	va_list args;

	if (err == NULL)
		return code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

#endif
