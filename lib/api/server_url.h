// SPDX-License-Identifier: Apache-2.0
// A kubeconfig's server and tls-server-name as what curl wants to know.
#ifndef SLUICE_API_SERVER_URL_H
#define SLUICE_API_SERVER_URL_H

#include <stdbool.h>

#include "base/error.h"

struct server_url {
	char *base; // before the path of a request; its host is who the server must prove to be
	char *connect_to; // where it is, when base does not say it; else NULL
	char *host;       // header "Host: ...", as the server knows itself; else NULL
	bool direct;      // no proxy of the environment leads there
};

// tls_server_name may be NULL. Errors: -EINVAL, -ENOMEM.
int server_url_init(struct server_url *u, const char *server, const char *tls_server_name,
		    struct error *err);
void server_url_fini(struct server_url *u);

#endif
