// SPDX-License-Identifier: Apache-2.0
// One GET to the daemon's socket.
#ifndef SLUICE_SLUICECTL_CLIENT_H
#define SLUICE_SLUICECTL_CLIENT_H

#include <stddef.h>

#include "base/error.h"

struct client_param {
	const char *name, *value;
};

struct client_answer {
	char *text; // as the socket gave it; client_answer_fini() frees it
	size_t len;
};

// GET /v1/VERB?params. Errors: -ECONNREFUSED (no daemon there), -EACCES, -EPROTO (the daemon's own
// {"error"} is in err then), -EFBIG, -ENOMEM.
int client_get(struct client_answer *out, const char *socket_path, const char *verb,
	       const struct client_param *params, size_t n_params, struct error *err);
void client_answer_fini(struct client_answer *a);

#endif
