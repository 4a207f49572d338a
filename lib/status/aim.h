// SPDX-License-Identifier: Apache-2.0
// What a Service's marks should be, given what the appliance does for it: a pure function, and the patch that leads there.
//
//     view (as it is)   grant (what we give)   served (workers have it)    ->  marks as they should be   ->  patch, or nothing
//
// Rules, in this order:
//   not ours, and no conditions of ours     nothing is touched, whoever wrote what is there
//   not ours any more, or being deleted     once the workers have let go: addresses, conditions and finalizer go, in one write
//   no finalizer yet                        a write of its own (with Allocated), before an address is shown for the first time
//   workers have not got it yet             everything stays as it was
//   its endpoints are not known yet         the same, unless an address shows already: who sees one may use it at once
//   workers have it                         addresses, or none; Programmed says whether any port is served
//
// An address whose ports are all unserved is not shown when it was not shown before; one that was stays, with its ports' errors: status is the durable
// record of addresses.
#ifndef SLUICE_STATUS_AIM_H
#define SLUICE_STATUS_AIM_H

#include "status/moment.h"
#include "status/view.h"

struct aim_grant {
	bool ours;                 // type LoadBalancer, of our class
	bool is_served;            // some port is (or would be, with a backend)
	bool awaits_endpoints;     // who serves it is not known yet
	bool has_no_nodes;         // its traffic goes to nodes, and there is none; for an Event
	bool hides_clients;        // externalTrafficPolicy Local, served by fullnat; for an Event
	char *ingress;             // what to show; "": it has no address; owned
	char code[VIEW_REASON];    // why it has none, or fewer than it asked for; ""
	char reason[VIEW_MESSAGE]; // the same for people
	char where[VIEW_MESSAGE];  // "203.0.113.1 from pool public"
	char fault[VIEW_REASON];   // of the first unserved port: "ProtocolNotSupported"; "": none
	char faults[VIEW_MESSAGE]; // "132/SCTP: ..."
};

#define AIM_ALLOCATED "Allocated" // the reason of a condition Allocated without a flaw

enum aim_step { AIM_KEEP, AIM_CLAIM, AIM_SHOW, AIM_RELEASE };

// Fill *m and say what the step amounts to; AIM_KEEP when *m equals the view's marks. Errors: -ENOMEM.
int aim_at(struct view_marks *m, const struct view *v, const struct aim_grant *g, bool served,
	   bool finalizer);
// The strategic merge patch from the view to *m, guarded by uid and resourceVersion. NULL: out of memory.
json_t *aim_patch(const struct view *v, const struct view_marks *m, const struct moment *now);
// It has left us, or is leaving, and we have something to take back from it.
bool aim_is_release(const struct view *v, const struct aim_grant *g);

void aim_grant_fini(struct aim_grant *g);
bool aim_grant_equal(const struct aim_grant *a, const struct aim_grant *b);

#endif
