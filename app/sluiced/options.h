// SPDX-License-Identifier: Apache-2.0
// The command line of sluiced.
#ifndef SLUICED_OPTIONS_H
#define SLUICED_OPTIONS_H

#include <stdbool.h>

#include "base/error.h"

struct options {
	const char *config;
	bool check, help, version;
};

// Errors: -EINVAL with one line of text.
int options_parse(struct options *out, int argc, char **argv, struct error *err);
void options_help(void);

#endif
