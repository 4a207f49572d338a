// SPDX-License-Identifier: Apache-2.0
// services.manifests as the source of objects.
#ifndef SLUICED_FILES_H
#define SLUICED_FILES_H

#include <stdint.h>

struct event;

struct files {
	struct event *watch;
	uint64_t retry_at; // ms, after a lack of memory; 0: nothing is due
};

#endif
