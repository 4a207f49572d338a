// SPDX-License-Identifier: Apache-2.0
// The command line of sluice-replay.
#ifndef SLUICE_REPLAY_OPTIONS_H
#define SLUICE_REPLAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/site.h"

#define OPTIONS_MAX_APPLY 1024

struct options_file {
	const char *port; // name
	const char *path;
};

struct options_apply {
	uint64_t at; // ns since the first packet
	const char *path;
};

struct options {
	const char *config, *manifests, *json;
	bool stages_only;
	unsigned n_rx, n_tx, n_apply;
	struct options_file rx[SITE_MAX_PORTS], tx[SITE_MAX_PORTS];
	struct options_apply apply
		[OPTIONS_MAX_APPLY]; // in order of time; of equal times in order of the command line
};

// Returns 0, 1 when --help or --version was printed. Errors: -EINVAL with text.
int options_read(struct options *o, int argc, char **argv, struct error *err);

#endif
