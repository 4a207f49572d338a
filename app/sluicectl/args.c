// SPDX-License-Identifier: Apache-2.0
// Verbs, options, and mistakes told in one line.
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

#define DIM(a) (sizeof(a) / sizeof((a)[0]))
#define NOT_YET "not supported by this version"

static const struct verb verbs[] = {
	{.name = "services",
	 .usage = "",
	 .help = "Services and the addresses they are served on",
	 .details = "A Service that is not served shows the reason.",
	 .show = show_services},
	{.name = "backends",
	 .usage = "[SERVICE]",
	 .help = "backends with state, weight and flows",
	 .details = "SERVICE is NAMESPACE/NAME, or NAME in the namespace default.",
	 .arg = {"service"},
	 .max_words = 1,
	 .show = show_backends},
	{.name = "flows",
	 .usage = "[--client ADDR] [--service NAMESPACE/NAME]",
	 .help = "tracked flows",
	 .details = "Only those of a client address, of a Service, or of both.",
	 .show = show_flows},
	{.name = "explain",
	 .sub = "service",
	 .usage = "service SERVICE",
	 .help = "why a Service has its addresses and endpoints, or has them not",
	 .details =
		 "SERVICE is NAMESPACE/NAME, or NAME in the namespace default. Each address pool, each port and each "
		 "endpoint with the rule that decided.",
	 .arg = {"service"},
	 .min_words = 1,
	 .max_words = 1,
	 .show = show_explain_service},
	{.name = "explain",
	 .usage = "PROTO CLIENT:PORT VIP:PORT",
	 .help = "what would become of a packet, step by step",
	 .details =
		 "PROTO is tcp, udp or sctp. IPv6 addresses are in brackets: [2001:db8::1]:443. No "
		 "packet is sent and no flow is made.",
	 .arg = {"protocol", "client", "frontend"},
	 .min_words = 3,
	 .max_words = 3,
	 .show = show_explain},
	{.name = "stats",
	 .usage = "",
	 .help = "generation, workers' counters, drops by reason",
	 .details = "Reasons are explained in docs/reasons.md.",
	 .show = show_stats},
	{.name = "ports",
	 .usage = "",
	 .help = "network ports: device, link, counters",
	 .details = "Counters are packets since the start.",
	 .show = show_ports},
	{.name = "pools",
	 .usage = "",
	 .help = "address pools: size, use, who waits",
	 .details = "In the order in which they are asked for an address; a row for each family.",
	 .show = show_pools},
	{.name = "probes",
	 .usage = "",
	 .help = "probes of nodes that serve with target node",
	 .details = "What each node said last: its kube-proxy, or one of its Services.",
	 .show = show_probes},
	{.name = "kube",
	 .usage = "",
	 .help = "what is followed of the API server, and how well",
	 .details =
		 "One row for each resource. AGE is that of the last byte heard, FAILING how long nothing has "
		 "worked, LAST ERROR stays when all is well again.",
	 .show = show_kube},
	{.name = "drain", .usage = "[SERVICE]", .later = NOT_YET},
	{.name = "top", .usage = "", .later = NOT_YET},
};

enum option_id { OPT_CLIENT = 256, OPT_SERVICE };

static const struct option options[] = {
	{"socket", required_argument, NULL, 's'},
	{"output", required_argument, NULL, 'o'},
	{"client", required_argument, NULL, OPT_CLIENT},
	{"service", required_argument, NULL, OPT_SERVICE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static unsigned min3(unsigned a, unsigned b, unsigned c) {
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

// Levenshtein distance of two short words; longer ones are far.
static unsigned distance(const char *a, const char *b) {
	unsigned row[33];
	size_t la = strlen(a), lb = strlen(b);

	if (la > 32 || lb > 32)
		return 32;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return row[lb];
}

static int unknown_verb(const char *name, struct error *err) {
	const char *near = NULL;
	unsigned best = 3;

	for (size_t i = 0; i < DIM(verbs); i++) {
		unsigned d = strncmp(verbs[i].name, name, strlen(name)) == 0 && strlen(name) >= 2
				     ? 0
				     : distance(verbs[i].name, name);

		if (verbs[i].later == NULL && d < best) {
			best = d;
			near = verbs[i].name;
		}
	}
	if (near != NULL)
		return error_set(err, -EINVAL, "unknown verb \"%s\": did you mean %s?", name, near);
	return error_set(err, -EINVAL, "unknown verb \"%s\": see sluicectl --help", name);
}

// next: the word behind it, or NULL.
static int find_verb(struct args *a, const char *name, const char *next, struct error *err) {
	for (size_t i = 0; i < DIM(verbs) && a->verb == NULL; i++)
		if (strcmp(verbs[i].name, name) == 0 &&
		    (verbs[i].sub == NULL || (next != NULL && strcmp(verbs[i].sub, next) == 0)))
			a->verb = &verbs[i];
	if (a->verb == NULL)
		return unknown_verb(name, err);
	if (a->verb->later != NULL && !a->help)
		return error_set(err, -EINVAL, "%s: %s", name, a->verb->later);
	return 0;
}

// "192.0.2.1:80" or "[2001:db8::1]:80"
static bool is_endpoint(const char *text) {
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[';
	struct ip_addr addr;
	char host[IP_ADDR_STR];
	char *end;
	size_t n;
	long port;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	n = (size_t)(colon - text) - (bracket ? 2 : 0);
	if (colon < text + (bracket ? 2 : 0) || n >= sizeof(host) || (bracket && colon[-1] != ']'))
		return false;
	memcpy(host, text + bracket, n);
	host[n] = '\0';
	port = strtol(colon + 1, &end, 10);
	return *end == '\0' && port >= 1 && port <= 65535 && ip_addr_parse(&addr, host) == 0 &&
	       (addr.family == 6) == bracket;
}

static int check_param(const char *name, const char *value, struct error *err) {
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	struct ip_addr addr;

	if (strcmp(name, "protocol") == 0) {
		for (size_t i = 0; i < DIM(protocols); i++)
			if (strcmp(value, protocols[i]) == 0)
				return 0;
		return error_set(err, -EINVAL, "\"%s\" is none of tcp, udp, sctp", value);
	}
	if (strcmp(name, "address") == 0 && ip_addr_parse(&addr, value) < 0)
		return error_set(err, -EINVAL, "--client: \"%s\" is no IP address", value);
	if ((strcmp(name, "client") == 0 || strcmp(name, "frontend") == 0) && !is_endpoint(value))
		return error_set(err, -EINVAL, "\"%s\" is not ADDRESS:PORT (IPv6: [ADDRESS]:PORT)",
				 value);
	return 0;
}

static void add_param(struct args *a, const char *name, const char *value) {
	if (strcmp(name, "service") == 0) {
		snprintf(a->service, sizeof(a->service), "%s%s",
			 strchr(value, '/') == NULL ? "default/" : "", value);
		value = a->service;
	}
	a->params[a->n_params++] = (struct client_param){name, value};
}

static int take_words(struct args *a, char **words, unsigned n, struct error *err) {
	int ret = 0;

	if (a->verb->sub != NULL) {
		words++;
		n--;
	}
	if (n < a->verb->min_words || n > a->verb->max_words)
		return error_set(err, -EINVAL, "usage: sluicectl %s %s", a->verb->name,
				 a->verb->usage);
	for (unsigned i = 0; i < n && ret == 0; i++) {
		ret = check_param(a->verb->arg[i], words[i], err);
		add_param(a, a->verb->arg[i], words[i]);
	}
	return ret;
}

static int take_filters(struct args *a, const char *client, const char *service,
			struct error *err) {
	if (client == NULL && service == NULL)
		return 0;
	if (strcmp(a->verb->name, "flows") != 0)
		return error_set(err, -EINVAL, "--client and --service belong to flows");
	if (client != NULL) {
		if (check_param("address", client, err) < 0)
			return -EINVAL;
		add_param(a, "client", client);
	}
	if (service != NULL)
		add_param(a, "service", service);
	return 0;
}

static int take_output(struct args *a, const char *form, struct error *err) {
	a->json = strcmp(form, "json") == 0;
	if (!a->json && strcmp(form, "table") != 0)
		return error_set(err, -EINVAL, "-o %s: json or table", form);
	return 0;
}

int args_parse(struct args *out, int argc, char **argv, struct error *err) {
	const char *client = NULL, *service = NULL;
	int c, ret = 0;

	*out = (struct args){.socket = ARGS_DEFAULT_SOCKET};
	opterr = 0;
	while (ret == 0 && (c = getopt_long(argc, argv, "s:o:hV", options, NULL)) != -1) {
		if (c == 's')
			out->socket = optarg;
		else if (c == 'o')
			ret = take_output(out, optarg, err);
		else if (c == OPT_CLIENT)
			client = optarg;
		else if (c == OPT_SERVICE)
			service = optarg;
		else if (c == 'h')
			out->help = true;
		else if (c == 'V')
			out->version = true;
		else
			ret = error_set(err, -EINVAL, "%s: unknown option, or its value is missing",
					argv[optind - 1]);
	}
	if (ret < 0 || (optind == argc && (out->help || out->version)))
		return ret;
	if (optind == argc)
		return error_set(err, -EINVAL, "which verb? see sluicectl --help");
	ret = find_verb(out, argv[optind], argv[optind + 1], err);
	if (ret == 0 && !out->help && !out->version)
		ret = take_words(out, argv + optind + 1, (unsigned)(argc - optind - 1), err);
	if (ret == 0 && !out->help && !out->version)
		ret = take_filters(out, client, service, err);
	return ret;
}

static void help_line(const struct verb *v, FILE *out) {
	char title[32];

	snprintf(title, sizeof(title), "%s%s%s", v->name, v->sub != NULL ? " " : "",
		 v->sub != NULL ? v->sub : "");
	fprintf(out, "  %-17s%s\n", title, v->help);
}

void args_help(const struct args *a, FILE *out) {
	const struct verb *v = a->verb;

	if (v != NULL) {
		fprintf(out, "usage: sluicectl [--socket PATH] %s %s [-o json|table]\n\n%s\n%s\n",
			v->name, v->usage, v->help != NULL ? v->help : v->later,
			v->details != NULL ? v->details : "");
		return;
	}
	fputs("usage: sluicectl [--socket PATH] VERB [ARGS] [-o json|table]\n\nAsk a running sluiced.\n\n",
	      out);
	for (size_t i = 0; i < DIM(verbs); i++)
		if (verbs[i].later == NULL)
			help_line(&verbs[i], out);
	fputs("\n  -s, --socket PATH   the daemon's socket (" ARGS_DEFAULT_SOCKET ")\n"
	      "  -o, --output FORM   table (default), or json: what the daemon gave\n"
	      "  -h, --help          this text, or that of a verb: sluicectl VERB --help\n"
	      "  -V, --version\n",
	      out);
}
