// SPDX-License-Identifier: Apache-2.0
// The command line as a question to the daemon: verb, parameters, form of the answer.
#ifndef SLUICE_SLUICECTL_ARGS_H
#define SLUICE_SLUICECTL_ARGS_H

#include <stdbool.h>

#include "base/error.h"
#include "client.h"
#include "show.h"

#define ARGS_MAX_PARAMS 4
#define ARGS_DEFAULT_SOCKET "/run/sluice/sluice.sock"

struct verb {
	const char *name;
	const char *sub;     // the word behind the name that makes it this one; NULL: any
	const char *usage;   // behind the name
	const char *help;    // one line
	const char *details; // for --help of the verb
	const char *arg[3];  // parameter names of the words behind the verb
	unsigned min_words, max_words;
	const char *later; // why it is not there yet, or NULL
	int (*show)(json_t *body, FILE *out);
};

struct args {
	const struct verb *verb; // NULL: only help or version is asked for
	const char *socket;
	bool json, help, version;
	struct client_param params[ARGS_MAX_PARAMS];
	unsigned n_params;
	char service[512]; // storage of a parameter: NAMESPACE/NAME
};

// Errors: -EINVAL with one line for the user.
int args_parse(struct args *out, int argc, char **argv, struct error *err);
void args_help(const struct args *a, FILE *out);

#endif
