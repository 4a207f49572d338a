// SPDX-License-Identifier: Apache-2.0
// One exchange with the API server, as those who speak its language see it: the seam between them and what carries bytes.
//
//     reflector, status writer, lease  --start-->  transport (api/client.h over curl; in tests a few lines that play a server)
//                                      <--data, end--
//
// Bodies arrive in pieces cut anywhere. Credentials, TLS, the server's address and proxies are the transport's business; a path is all that a caller names.
// Everything happens on the control thread; a callback may start and cancel exchanges, its own included.
#ifndef SLUICE_API_TRANSPORT_H
#define SLUICE_API_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

struct api_call; // an exchange under way; the transport's own

struct api_request {
	const char *method;       // "GET", "POST", "PATCH", "PUT", "DELETE"
	const char *path;         // begins with '/', escaped, with its query
	const char *accept;       // NULL: application/json
	const char *content_type; // of the body; NULL: application/json
	const char *body;         // NULL: none; copied by start()
	size_t body_len;
	uint32_t timeout_ms; // of the whole exchange; 0: none, as for a watch
	uint32_t silence_ms; // no byte for so long ends it with -ETIMEDOUT; 0: never
};

// How an exchange ended. status is that of HTTP, 0 when no response began; error is 0 when the response is whole.
struct api_end {
	int status;
	int error; // -ECONNREFUSED, -ETIMEDOUT, -EPROTO (TLS, HTTP), -EIO, or what on_data() returned
	int64_t retry_after_ms; // of the Retry-After header; -1: none
	char text[256];         // for people, "" when all is well
};

struct api_handlers {
	// A response with this status began; its body may be long in coming. NULL: not wanted.
	void (*on_begin)(void *arg, int status);
	// A piece of the body of a response with this status. A value below 0 ends the exchange: on_end() follows with it as the error.
	int (*on_data)(void *arg, int status, const char *data, size_t n);
	// The last call; the exchange is gone when it returns.
	void (*on_end)(void *arg, const struct api_end *end);
};

struct api_transport {
	// NULL: out of memory. Callbacks never run before start() has returned.
	struct api_call *(*start)(void *ctx, const struct api_request *r,
				  const struct api_handlers *handlers, void *arg);
	// No callback follows.
	void (*cancel)(void *ctx, struct api_call *call);
	void *ctx;
};

#endif
