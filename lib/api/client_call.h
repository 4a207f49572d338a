// SPDX-License-Identifier: Apache-2.0
// Inside of client: one exchange, which may take two of http's, and what all of them share.
#ifndef SLUICE_API_CLIENT_CALL_H
#define SLUICE_API_CLIENT_CALL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "api/client.h"
#include "api/credentials.h"
#include "api/http.h"
#include "api/server_url.h"

#define CLIENT_BODY_401                                                                            \
	4096 // bytes of a 401's body that are kept until it is clear whether the exchange is repeated

struct api_call {
	TAILQ_ENTRY(api_call) link;
	struct api_client *client;
	struct api_handlers handlers;
	void *arg;
	// The request, ours to free.
	char *method, *url, *accept, *content_type, *body;
	size_t body_len;
	uint32_t timeout_ms, silence_ms;
	bool watch;

	struct http_call *http; // NULL: waits for credentials, or has ended
	unsigned version;       // of the credentials that it went out with
	bool retried, ending, cancelled;
	char *refusal; // the body of the first 401
	size_t refusal_len;
};

TAILQ_HEAD(api_calls, api_call);

struct api_client {
	struct http *http;
	const struct kubeconfig *k;
	struct credentials *credentials;
	struct server_url url;
	char *proxy;        // as http_request has it
	char **impersonate; // header lines, NULL
	struct event *work; // calls that wait
	struct api_calls waiting, running;
	struct api_transport transport;
	struct api_client_stats stats;
};

// Impersonate-* of the kubeconfig: *out ends with NULL. -ENOMEM.
int client_impersonate(char ***out, const struct kubeconfig *k);
void client_free_lines(char **lines);

// Send c with these credentials. NULL: out of memory.
struct http_call *client_send(struct api_call *c, const struct credentials_view *v,
			      const struct http_handlers *handlers);

// The text of an end, for a person who can do something about it.
void client_explain(const struct api_client *client, const struct http_end *from,
		    struct api_end *to);

#endif
