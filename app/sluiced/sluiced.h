// SPDX-License-Identifier: Apache-2.0
// The root of the daemon: everything that main() starts, in the order of starting.
#ifndef SLUICED_SLUICED_H
#define SLUICED_SLUICED_H

#include <sched.h>

#include "appliance.h"
#include "budget.h"
#include "cluster.h"
#include "control.h"
#include "devices.h"
#include "files.h"
#include "probes.h"
#include "source.h"
#include "verbs.h"
#include "writer.h"

struct event_base;
struct mgmt;

struct sluiced {
	const char *config_path;
	cpu_set_t affinity;    // at the start; EAL narrows this thread's
	struct config *config; // as started: ports, routes, workers never change
	struct config *latest; // whose services section is in force; config itself until a SIGHUP
	struct budget budget;
	struct event_base *base;
	struct mgmt *mgmt;
	struct verbs verbs;
	struct devices devices;
	struct appliance appliance;
	struct control control;
	struct probes probes;
	const struct source *source;
	struct files files;     // of source_files
	struct cluster cluster; // of source_cluster
	struct writer writer;   // through the cluster
};

#endif
