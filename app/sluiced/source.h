// SPDX-License-Identifier: Apache-2.0
// Where Kubernetes objects come from: files (files.c) or an API server (cluster.c). Chosen by the configuration at the start, for good.
//
// A source puts objects into the appliance's store and calls control_apply() for what they change.
#ifndef SLUICED_SOURCE_H
#define SLUICED_SOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sluiced;

struct source {
	// Before the workers start: what is there already goes into the store; control_apply() follows. Errors with text.
	int (*start)(struct sluiced *s, struct error *err);
	void (*step)(struct sluiced *s, uint64_t now); // at each turn of the control loop's timer
	// The services section in force is another one (before) or the same: read everything again.
	void (*reload)(struct sluiced *s, const struct config_services *before);
	// There is something to serve, or it is certain that there is nothing.
	bool (*is_ready)(const struct sluiced *s);
	json_t *(*describe)(struct sluiced *s); // the verb kube
	void (*stop)(
		struct sluiced *s); // before the appliance goes; also after a start that failed
};

extern const struct source source_files, source_cluster;

#endif
