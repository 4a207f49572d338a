// SPDX-License-Identifier: Apache-2.0
// struct api_transport over http and credentials: one API server, spoken to as the user of a kubeconfig.
//
// Tokens, certificates and authorities that stand in files are read again when they change; a 401 refreshes the credentials and repeats the exchange once,
// when nothing of its body was delivered. While an exec plugin runs, exchanges wait for it. Control thread only.
#ifndef SLUICE_API_CLIENT_H
#define SLUICE_API_CLIENT_H

#include <stdint.h>

#include "api/kubeconfig.h"
#include "api/transport.h"
#include "base/error.h"

struct api_client;
struct http;

// h and k must outlive the client; nothing is sent yet. Errors: -EINVAL (a server URL that is none), -ENOMEM.
// Files and plugins that fail are no error here: exchanges end with it until they work.
int api_client_create(struct api_client **out, struct http *h, const struct kubeconfig *k,
		      struct error *err);
// Exchanges under way end without a callback. Not inside of a callback of one of its exchanges.
void api_client_destroy(struct api_client *c);

// Lives as long as the client.
const struct api_transport *api_client_transport(struct api_client *c);

// For people.
struct api_client_stats {
	const char *server; // its URL
	uint64_t requests;
	uint64_t unauthorized; // 401s, also those that a refresh cured
	uint64_t failed;       // ended without a whole response
	uint64_t plugin_runs;
	const char *trouble; // what is wrong with the credentials now; "": nothing
};

void api_client_stats(const struct api_client *c, struct api_client_stats *stats);

#endif
