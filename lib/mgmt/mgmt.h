// SPDX-License-Identifier: Apache-2.0
// HTTP on a UNIX socket: GET /v1/VERB?name=value gives one JSON object.
//
//     GET /v1/flows?client=ADDR -> handle(ctx, request) -> mgmt_reply(request, json) or mgmt_fail(),
//     at once, or when the workers have answered
//
// A handler ends its request by one call of mgmt_reply() or mgmt_fail(), at once or later; a client
// that left meanwhile makes no difference to it. Failures are {"error": "..."} with an HTTP status.
// Other methods than GET are 405, unknown verbs 404 with the list of those there are. Bounded:
// MGMT_MAX_PENDING requests under way (then 503), 8 KiB of header.
//
// The socket has mode 0660, its directory is made when missing. A socket file that nobody listens
// on is replaced; one that answers is refused. SIGPIPE is ignored from mgmt_create() on.
// Thread: all on the loop's thread, handlers too.
#ifndef SLUICE_MGMT_MGMT_H
#define SLUICE_MGMT_MGMT_H

#include <jansson.h>

#include "base/error.h"

#define MGMT_MAX_PENDING 64

struct event_base;
struct mgmt;
struct mgmt_request;

struct mgmt_verb {
	const char *name;
	void (*handle)(void *ctx, struct mgmt_request *r);
};

// Listen on path and serve the verbs; verbs[] must outlive it.
// Errors: -EADDRINUSE (another process answers there), -ENAMETOOLONG, -errno of socket, bind,
// mkdir; -ENOMEM.
int mgmt_create(struct mgmt **out, struct event_base *base, const char *path,
		const struct mgmt_verb *verbs, unsigned n_verbs, void *ctx, struct error *err);
// Ends what is under way with 503, closes and removes the socket. Handlers may not end those
// requests any more. NULL is fine.
void mgmt_destroy(struct mgmt *m);

// A parameter of the request, decoded; NULL when absent. Lives as long as the request.
const char *mgmt_param(const struct mgmt_request *r, const char *name);
// End with 200 and body, whose reference is taken over; NULL body is 500 (out of memory).
void mgmt_reply(struct mgmt_request *r, json_t *body);
// End with an HTTP status and {"error": text}.
__attribute__((format(printf, 3, 4))) void mgmt_fail(struct mgmt_request *r, int status,
						     const char *format, ...);

#endif
