// SPDX-License-Identifier: Apache-2.0
// What the appliance writes to the API server: lib/status fed from the store, the tables and the workers.
//
//     control_apply() -> writer_take()   grants and objects that changed, with the generation of the tables that have them
//     timer -> writer_step()             the generation that all workers serve, once announcements are theirs; the Lease; what is due
//
// Who leads writes, and gives automatic addresses. Who does not follows: it serves what status names (kube_settings.follower). To change from one
// to the other touches no table by itself.
// Control thread only.
#ifndef SLUICED_WRITER_H
#define SLUICED_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/transport.h"
#include "base/error.h"
#include "status/events.h"
#include "status/lease.h"
#include "status/status.h"

struct sluiced;

struct writer {                // zeroed: nothing is written
	struct status *status; // NULL: writeStatus is false, or no API server is followed
	struct events *events;
	struct lease *lease; // NULL: no election, this appliance leads
	const struct api_transport *transport;
	char ns[256], lease_name[256], identity[256];
	bool leads;
	bool retake; // all grants, as some could not be taken for lack of memory
	bool stops;
};

// Write through this transport, in place of what was before; ns is the namespace of the credentials, "" for none. As the configuration in force says, which
// may be: nothing at all. Errors: -ENOMEM.
int writer_attach(struct sluiced *s, const struct api_transport *t, const char *ns,
		  struct error *err);
// Nothing is under way any more: before the transport goes.
void writer_detach(struct sluiced *s);
// After each successful appliance_apply().
void writer_take(struct sluiced *s);
// Returns whether something is under way, and soon to be looked at again.
bool writer_step(struct sluiced *s);
// Give the Lease back, within a second; the loop runs meanwhile, and workers still forward.
void writer_stop(struct sluiced *s);

json_t *writer_describe(struct sluiced *s); // for the verb kube; null: nothing is written

#endif
