// SPDX-License-Identifier: Apache-2.0
// What one run measures, as words of the command line: sluice-bench pipeline mode=dsr family=4
// flows=65536 ...
#ifndef SLUICE_BENCH_OPTIONS_H
#define SLUICE_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model.h"

struct options {
	const char *verb;   // pipeline, limit, stages, control, capture, offer
	const char *what;   // control: maglev, publish, bytes, expire
	const char *file;   // capture: where to
	const char *device; // offer: by which
	const char *mac;    // capture, offer: of the port that takes them; NULL: the bench's own
	enum model_mode mode;
	uint8_t family, protocol; // 4 or 6; 6 or 17
	bool reverse;             // packets from backends
	bool cold;                // packet data in memory, not in a cache
	bool full;                // every new flow meets a full table
	uint32_t frontends;
	uint32_t flows;
	double new_share; // of packets that begin a flow: 0, 1, or a small part
	uint32_t passes;
	uint64_t count;           // packets a pass
	uint32_t backends;        // control: of a service
	uint32_t services;        // control
	uint32_t first;           // capture: number of the first flow
	uint32_t worker, workers; // capture: only flows that this one of so many owns
	unsigned cpu;
};

// Errors: -EINVAL, err names the word.
int options_read(struct options *o, int argc, char **argv, struct error *err);

#endif
