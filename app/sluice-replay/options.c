// SPDX-License-Identifier: Apache-2.0
// Reading the command line.
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: sluice-replay --config FILE --rx PORT=IN.pcap ... --tx PORT=OUT.pcap ... [OPTION...]\n"
	"Run Sluice's packet stages over captures: no NIC, no root, no hugepages.\n\n"
	"  --config FILE         the configuration file, as sluiced reads it\n"
	"  --rx PORT=IN.pcap     packets that arrive on a port; at least one\n"
	"  --tx PORT=OUT.pcap    write what leaves through a port; others are counted only\n"
	"  --manifests DIR       Kubernetes objects, instead of services.manifests\n"
	"  --apply SECONDS=DIR   replace the manifests by DIR's, SECONDS after the first packet\n"
	"  --json FILE           write counts and a decision for each packet\n"
	"  --stages-only         leave out the short way of plain packets: slower, with the same result\n"
	"  --help, --version\n\n"
	"Time is that of the packets. Exit status: 0 when every packet was read, 2 for unusable arguments or files.\n";

static int read_file(struct options_file *files, unsigned *n, const char *what, char *arg,
		     struct error *err) {
	char *equals = strchr(arg, '=');

	if (equals == NULL || equals == arg || equals[1] == 0)
		return error_set(err, -EINVAL, "--%s %s: expected PORT=FILE", what, arg);
	*equals = 0;
	for (unsigned i = 0; i < *n; i++)
		if (strcmp(files[i].port, arg) == 0)
			return error_set(err, -EINVAL, "--%s: port %s is named twice", what, arg);
	if (*n == SITE_MAX_PORTS)
		return error_set(err, -EINVAL, "--%s: more than %d ports", what, SITE_MAX_PORTS);
	files[(*n)++] = (struct options_file){.port = arg, .path = equals + 1};
	return 0;
}

static int read_apply(struct options *o, char *arg, struct error *err) {
	char *end;
	double seconds = strtod(arg, &end);
	unsigned i = o->n_apply;
	struct options_apply a;

	if (end == arg || *end != '=' || end[1] == 0 || !isfinite(seconds) || seconds < 0 ||
	    seconds > 1e9)
		return error_set(err, -EINVAL, "--apply %s: expected SECONDS=DIR", arg);
	if (i == OPTIONS_MAX_APPLY)
		return error_set(err, -EINVAL, "--apply: more than %d", OPTIONS_MAX_APPLY);
	a = (struct options_apply){.at = (uint64_t)(seconds * 1e9 + 0.5), .path = end + 1};
	for (; i > 0 && o->apply[i - 1].at > a.at; i--)
		o->apply[i] = o->apply[i - 1];
	o->apply[i] = a;
	o->n_apply++;
	return 0;
}

static int read_option(struct options *o, int option, struct error *err) {
	switch (option) {
	case 'c':
		o->config = optarg;
		return 0;
	case 'm':
		o->manifests = optarg;
		return 0;
	case 'j':
		o->json = optarg;
		return 0;
	case 'r':
		return read_file(o->rx, &o->n_rx, "rx", optarg, err);
	case 't':
		return read_file(o->tx, &o->n_tx, "tx", optarg, err);
	case 'a':
		return read_apply(o, optarg, err);
	case 's':
		o->stages_only = true;
		return 0;
	case 'h':
		fputs(usage, stdout);
		return 1;
	case 'v':
		puts("sluice-replay " SLUICE_VERSION);
		return 1;
	default:
		return error_set(err, -EINVAL, "%s: missing argument or unknown option; see --help",
				 optarg == NULL ? "arguments" : optarg);
	}
}

int options_read(struct options *o, int argc, char **argv, struct error *err) {
	static const struct option known[] = {
		{"config", required_argument, NULL, 'c'},
		{"manifests", required_argument, NULL, 'm'},
		{"json", required_argument, NULL, 'j'},
		{"rx", required_argument, NULL, 'r'},
		{"tx", required_argument, NULL, 't'},
		{"apply", required_argument, NULL, 'a'},
		{"stages-only", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int option, ret;

	*o = (struct options){0};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		ret = read_option(o, option, err);
		if (ret != 0)
			return ret;
	}
	if (optind < argc)
		return error_set(err, -EINVAL, "%s: unexpected argument; see --help", argv[optind]);
	if (o->config == NULL)
		return error_set(err, -EINVAL, "--config FILE is missing; see --help");
	if (o->n_rx == 0)
		return error_set(err, -EINVAL, "--rx PORT=IN.pcap is missing; see --help");
	return 0;
}
