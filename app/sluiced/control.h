// SPDX-License-Identifier: Apache-2.0
// The control thread's event loop: signals, watched manifests, and a short timer for what workers report.
//
//     SIGTERM, SIGINT -> the loop ends
//     SIGHUP ----------> reload()
//     manifests change -> load, apply, remember addresses
//     timer ----------> appliance_step(), answers to verbs, neighbours that fail
//
// The timer is 1 ms while workers report or a verb waits for them, and 5 ms otherwise: 200 wake-ups a second cost less than half a percent of a core,
// and a new neighbour waits no longer than that for its ARP request.
#ifndef SLUICED_CONTROL_H
#define SLUICED_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct event;
struct sluiced;

#define CONTROL_SIGNALS 3

struct control {
	struct event *signals[CONTROL_SIGNALS], *timer, *watch;
	uint64_t quick_until;       // ms
	uint64_t save_at, retry_at; // ms; 0: nothing is due
	uint64_t look_at;           // ms; neighbours are looked at then
	uint64_t neighbor_changes;  // when they were last looked at
	uint8_t *failed;            // by neighbour id: told that it fails
};

uint64_t control_now(void); // ms, monotonic

// Catch the signals from here on; those that come before control_run() are taken then.
int control_init(struct sluiced *s, struct error *err);
void control_fini(struct sluiced *s);
// Addresses remembered, objects read, tables made; then watched. Before the workers start.
int control_load(struct sluiced *s, struct error *err);
// The loop forgets the manifests' descriptor: before the appliance goes.
void control_unwatch(struct sluiced *s);
// Until a signal ends it. Errors: -EIO.
int control_run(struct sluiced *s, struct error *err);

// Objects -> tables, and everything that follows from it. For reload().
void control_apply(struct sluiced *s);
// Read another path of manifests and watch that one instead. Errors as appliance_load(); told in the log.
int control_watch(struct sluiced *s, const char *path);

#endif
