// SPDX-License-Identifier: Apache-2.0
// A Service as the API server last showed it, as far as it concerns who writes its status.
//
// Marks are what a load balancer leaves on a Service: its finalizer, status.loadBalancer, its conditions. The same shape says what they are
// (view) and what they should be (aim.h), so that a write is the difference of two.
#ifndef SLUICE_STATUS_VIEW_H
#define SLUICE_STATUS_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define VIEW_FINALIZER "service.kubernetes.io/load-balancer-cleanup"

enum view_condition_type {
	VIEW_ALLOCATED,   // sluice.dev/Allocated: it has its addresses
	VIEW_PROGRAMMED,  // sluice.dev/Programmed: they are served
	VIEW_PORTS_ERROR, // LoadBalancerPortsError: Kubernetes' own; ports of it are not
};
#define VIEW_CONDITIONS 3
#define VIEW_PENDING "Pending" // reasons of Programmed with which no address was written
#define VIEW_NO_ADDRESS "NoAddress"
#define VIEW_REASON 48
#define VIEW_MESSAGE 160

struct view_condition {
	char status; // 'T', 'F', 'U'; 0: there is no such condition
	char reason[VIEW_REASON];
	char message[VIEW_MESSAGE]; // longer ones are cut: then they are not ours
	int64_t generation;         // observedGeneration; 0: none
};

struct view_marks {
	bool finalizer;
	char *ingress; // ingress.h; owned
	struct view_condition conditions[VIEW_CONDITIONS];
};

struct view {
	char uid[64], version[64]; // of metadata; version is resourceVersion
	int64_t generation;        // metadata.generation; 0: the server keeps none for Services
	bool deleting;             // deletionTimestamp is set
	bool load_balancer;        // spec.type
	struct view_marks marks;
};

// Decode an object as the server answers with it. Errors: -EINVAL: it is no Service with a uid and a resourceVersion, -ENOMEM; *v is then untouched.
int view_decode(struct view *v, const json_t *root);
void view_fini(struct view *v);

int view_marks_copy(struct view_marks *to, const struct view_marks *from); // -ENOMEM
void view_marks_fini(struct view_marks *m);
bool view_marks_equal(const struct view_marks *a, const struct view_marks *b);
// One of this project's own conditions is there.
bool view_marks_are_ours(const struct view_marks *m);
// What status.loadBalancer holds, if anything, was written by this project: its conditions say so.
bool view_marks_show_ours(const struct view_marks *m);
const char *view_condition_name(enum view_condition_type t);
const char *view_status_name(char status); // "True"
// Is version a older than b? Only numbers can be compared (all servers count); false when they are none.
bool view_version_older(const char *a, const char *b);

#endif
