// SPDX-License-Identifier: Apache-2.0
// The control thread's event loop: signals, the source of objects, and a short timer for what workers report.
//
//     SIGTERM, SIGINT -> the loop ends
//     SIGHUP ----------> reload()
//     timer ----------> appliance_step(), the source's step, answers to verbs, neighbours that fail, what is to be saved
//     the source -----> control_apply(): objects become tables, addresses are remembered
//
// The timer is 1 ms while workers report, a verb waits for them or objects change, and 5 ms otherwise: 200 wake-ups a second cost less than half a percent of
// a core, and a new neighbour waits no longer than that for its ARP request.
#ifndef SLUICED_CONTROL_H
#define SLUICED_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct event;
struct sluiced;

#define CONTROL_SIGNALS 3

struct control {
	struct event *signals[CONTROL_SIGNALS], *timer;
	uint64_t quick_until;       // ms
	uint64_t save_at, retry_at; // ms; 0: nothing is due
	uint64_t tell_at;           // ms; not before then a line on Services
	bool services_changed;      // since the last one
	bool is_ready;              // told to systemd
	uint64_t extend_at;         // ms; systemd is told then that it takes longer
	uint64_t look_at;           // ms; neighbours are looked at then
	uint64_t neighbor_changes;  // when they were last looked at
	uint8_t *failed;            // by neighbour id: told that it fails
};

uint64_t control_now(void); // ms, monotonic

// Catch the signals from here on; those that come before control_run() are taken then.
int control_init(struct sluiced *s, struct error *err);
void control_fini(struct sluiced *s);
// Addresses remembered, the source started, tables made. Before the workers start.
int control_load(struct sluiced *s, struct error *err);
// Until a signal ends it. Tells systemd when the source is ready. Errors: -EIO.
int control_run(struct sluiced *s, struct error *err);

// Objects -> tables, and everything that follows from it. As appliance_apply(); for lack of memory it is repeated by itself.
int control_apply(struct sluiced *s);
// Something is about to change: the timer is quick for a while.
void control_hurry(struct sluiced *s);

#endif
