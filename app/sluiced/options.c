// SPDX-License-Identifier: Apache-2.0
// Options, and mistakes told in one line.
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

static const struct option known[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, 'k'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

int options_parse(struct options *out, int argc, char **argv, struct error *err) {
	int c;

	*out = (struct options){.config = NULL};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "c:hV", known, NULL)) != -1) {
		if (c == 'c')
			out->config = optarg;
		else if (c == 'k')
			out->check = true;
		else if (c == 'h')
			out->help = true;
		else if (c == 'V')
			out->version = true;
		else
			return error_set(err, -EINVAL,
					 "%s: unknown option, or its value is missing; see --help",
					 argv[optind - 1]);
	}
	if (optind < argc)
		return error_set(err, -EINVAL, "%s: nothing but options is expected; see --help",
				 argv[optind]);
	if (out->config == NULL && !out->help && !out->version)
		return error_set(err, -EINVAL, "--config FILE is missing; see --help");
	return 0;
}

void options_help(void) {
	puts("usage: sluiced --config FILE [--check]\n\n"
	     "L4 load balancer for Kubernetes Services.\n\n"
	     "  -c, --config FILE   the configuration (docs/configuration.md)\n"
	     "      --check         say whether it is good and what memory it takes; open no device\n"
	     "  -h, --help\n"
	     "  -V, --version\n\n"
	     "SIGTERM ends it; SIGHUP reloads the manifests and what of the configuration can change.");
}
