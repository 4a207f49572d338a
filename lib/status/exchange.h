// SPDX-License-Identifier: Apache-2.0
// One request to the API server with the whole of its answer: started, then looked at from the owner's next step.
//
// Callbacks of the transport only write down what came; the owner, who knows the time, asks exchange_is_done() when it runs.
#ifndef SLUICE_STATUS_EXCHANGE_H
#define SLUICE_STATUS_EXCHANGE_H

#include <jansson.h>
#include <stdbool.h>

#include "api/transport.h"

#define EXCHANGE_MAX_BODY (4u << 20) // twice what an object can be, and some
#define EXCHANGE_TIMEOUT_MS 10000

struct exchange { // zeroed: none
	const struct api_transport *transport;
	struct api_call *call; // under way
	char *body;
	size_t len, room;
	struct api_end end;
	bool done;
};

enum exchange_result {
	EXCHANGE_OK,
	EXCHANGE_MISSING,     // 404, 410
	EXCHANGE_CONFLICT,    // 409
	EXCHANGE_INVALID,     // any other 4xx: the same again would fail again
	EXCHANGE_REFUSED,     // 401, 403
	EXCHANGE_THROTTLED,   // 429
	EXCHANGE_FAILED,      // 5xx
	EXCHANGE_UNREACHABLE, // no whole response
};
#define EXCHANGE_RESULTS 8

struct exchange_request {
	const char *method, *path, *content_type;
	const json_t *body;  // NULL: none
	uint32_t timeout_ms; // 0: EXCHANGE_TIMEOUT_MS
};

// x is idle. Errors: -ENOMEM; x is then idle still.
int exchange_start(struct exchange *x, const struct api_transport *t,
		   const struct exchange_request *r);
bool exchange_is_busy(const struct exchange *x); // under way or done
bool exchange_is_done(const struct exchange *x);
enum exchange_result exchange_result(const struct exchange *x);
// The answer's document; NULL: it is none. The caller's.
json_t *exchange_json(const struct exchange *x);
// What went wrong, for people: the server's own words where it has some.
const char *exchange_text(const struct exchange *x, char *buf, size_t size);
// Idle again, whatever it was.
void exchange_reset(struct exchange *x);
const char *exchange_result_name(enum exchange_result r); // "conflict"

#endif
