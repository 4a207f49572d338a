// SPDX-License-Identifier: Apache-2.0
// Where would this packet go, and why? The stages' own functions over a packet that is never sent, on the worker that owns the flow.
//
// explain_run() is a job for a worker: it reads its flow table and changes nothing. The caller fills client and frontend, gives it to explain_owner()'s
// worker (or to each, when that says EXPLAIN_ANY: dsr flows belong to whoever received them) and words the result.
#ifndef SLUICE_DATAPLANE_EXPLAIN_H
#define SLUICE_DATAPLANE_EXPLAIN_H

#include "dataplane/worker.h"

#define EXPLAIN_ANY UINT16_MAX

struct explain {
	struct job job; // first
	// Asked.
	uint8_t protocol;
	struct ip_addr client, vip;
	uint16_t client_port, vip_port; // network order
	// Found. reason says where it ended: a drop's, or new, affinity, tracked.
	enum reason reason, answer;
	struct frontend_ref frontend; // service TABLES_NO_ID: none
	uint16_t owner;
	bool has_flow;
	struct flow_view flow;
	uint32_t by_affinity, by_table; // backend ids or TABLES_NO_ID
	uint32_t slot;                  // of the look-up table
	uint32_t backend;               // TABLES_NO_ID: none
	bool has_route;
	uint16_t port;
	uint32_t nexthop;
};

uint16_t explain_owner(const struct tables *t, const struct explain *e);
bool explain_run(struct worker *w, const struct tables *t, struct job *job);

// A worker's live flows, a piece a loop, filtered: a job as well.
struct flow_list {
	struct job job; // first
	bool by_client;
	struct ip_addr client;
	uint32_t max, n;        // rows; n == max: there may be more
	struct flow_view *rows; // the caller's
	uint64_t cursor;        // starts at 0
	uint8_t (*wanted)(void *ctx, const struct tables *t,
			  const struct flow_view *v); // NULL: all
	void *ctx;
};
bool flow_list_run(struct worker *w, const struct tables *t, struct job *job);

#endif
