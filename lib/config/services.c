// SPDX-License-Identifier: Apache-2.0
// The section `services`: where Services come from, which addresses they get, how they are served by default.
#include <stdlib.h>
#include <string.h>

#include "config/decoder.h"

#define LATER "not supported by this version"

// The caller's manifests, in place of the source that the file names.
static void decode_stand_in(struct decoder *d) {
	struct config_services *s = &d->c->services;

	decode_copy(d, &s->manifests, d->options->manifests);
	free(s->kubeconfig);
	s->kubeconfig = NULL;
	s->in_cluster = false;
}

static void decode_source(struct decoder *d, const struct doc_node *n) {
	struct doc_node manifests, kubernetes;
	const char *text;

	decode_kubernetes(d, n);
	doc_member(&kubernetes, n, "kubernetes", NULL);
	if (decode_get_text(d, n, "manifests", &manifests, &text)) {
		if (*text == 0)
			decode_fault(d, &manifests, "empty; expected a directory or a file");
		decode_copy(d, &d->c->services.manifests, text);
	}
	if (doc_present(&manifests) && doc_present(&kubernetes))
		decode_fault(d, &kubernetes, "excludes manifests");
	if (d->options->manifests != NULL)
		decode_stand_in(d);
	else if (!doc_present(&manifests) && !doc_present(&kubernetes))
		decode_fault(
			d, &manifests,
			"missing; expected the directory of the Kubernetes objects, or kubernetes in "
			"its place");
}

static void decode_defaults(struct decoder *d, const struct doc_node *services) {
	static const char *const modes[] = {"fullnat", "dnat", "dsr", "ipip",
					    "gue"}; // enum model_mode, then later ones
	static const char *const schedulers[] = {"maglev", "rr", "wrr", "lc", "wlc",
						 "sed",    "nq", "sh",  "dh"};
	int target = CONFIG_TARGET_POD, mode = MODEL_FULLNAT, scheduler = MODEL_MAGLEV;
	struct config_services *s = &d->c->services;
	struct doc_node n, m;

	decode_section(d, &n, services, "defaults", KEYS("target", "forwarding", "scheduler"));
	decode_enum(d, &n, "target", &target, KEYS("pod", "node"));
	decode_enum(d, &n, "forwarding", &mode, modes, sizeof(modes) / sizeof(modes[0]));
	decode_enum(d, &n, "scheduler", &scheduler, schedulers,
		    sizeof(schedulers) / sizeof(schedulers[0]));
	doc_member(&m, &n, "forwarding", NULL);
	if (mode > MODEL_DSR)
		decode_fault(d, &m, "%s is " LATER, modes[mode]);
	doc_member(&m, &n, "scheduler", NULL);
	if (scheduler > MODEL_MAGLEV)
		decode_fault(d, &m, "%s is " LATER, schedulers[scheduler]);
	s->target = (enum config_target)target;
	s->forwarding = (enum model_mode)mode;
	s->scheduler = (enum model_scheduler)scheduler;
}

static bool has_address(const struct ip_addr *list, uint32_t n, const struct ip_addr *a) {
	for (uint32_t i = 0; i < n; i++)
		if (ip_addr_eq(&list[i], a))
			return true;
	return false;
}

// An address of ours that no host of a port's subnet can have.
static bool check_virtual(struct decoder *d, const struct doc_node *n, const struct ip_addr *a) {
	const struct site *site = &d->c->site;
	char buf[IP_PREFIX_STR];

	for (uint32_t i = 0; i < site->n_ports; i++) {
		for (uint32_t k = 0; k < site->ports[i].n_addresses; k++) {
			if (!is_subnet_edge(&site->ports[i].addresses[k], a))
				continue;
			decode_fault(d, n, "the network or broadcast address of %s of port %s",
				     ip_prefix_format(&site->ports[i].addresses[k], buf),
				     site->ports[i].name);
			return false;
		}
	}
	for (uint32_t i = 0; i < site->n_routes; i++) {
		if (!ip_addr_eq(&site->routes[i].via, a))
			continue;
		decode_fault(d, n, "the gateway of a route");
		return false;
	}
	return true;
}

static void decode_snat(struct decoder *d, const struct doc_node *services) {
	struct site *site = &d->c->site;
	struct doc_node list, e;
	size_t size = decode_list(d, &list, services, "snatAddresses", 2 * SITE_MAX_SNAT);
	struct ip_addr a, **array;
	uint32_t *n;

	site->snat4 = decode_array(d, size, sizeof(a));
	site->snat6 = decode_array(d, size, sizeof(a));
	if (site->snat4 == NULL || site->snat6 == NULL)
		return;
	for (size_t i = 0; i < size; i++) {
		e = doc_element(&list, i);
		if (!decode_addr(d, &e, &a) || !check_virtual(d, &e, &a))
			continue;
		array = a.family == 4 ? &site->snat4 : &site->snat6;
		n = a.family == 4 ? &site->n_snat4 : &site->n_snat6;
		if (has_address(*array, *n, &a))
			decode_fault(d, &e, "given twice");
		else if (*n == SITE_MAX_SNAT)
			decode_fault(d, &e, "more than %d addresses of one family", SITE_MAX_SNAT);
		else
			(*array)[(*n)++] = a;
	}
}

static bool is_snat(const struct site *site, const struct ip_addr *a) {
	return has_address(site->snat4, site->n_snat4, a) ||
	       has_address(site->snat6, site->n_snat6, a);
}

static void decode_node_port_addresses(struct decoder *d, const struct doc_node *services) {
	struct config_services *s = &d->c->services;
	struct doc_node list, e;
	size_t size = decode_list(d, &list, services, "nodePortAddresses", CONFIG_MAX_LIST);
	struct ip_addr a;

	s->node_port_addresses = decode_array(d, size, sizeof(a));
	for (size_t i = 0; s->node_port_addresses != NULL && i < size; i++) {
		e = doc_element(&list, i);
		if (!decode_addr(d, &e, &a) || !check_virtual(d, &e, &a))
			continue;
		if (has_address(s->node_port_addresses, s->n_node_port_addresses, &a))
			decode_fault(d, &e, "given twice");
		else if (is_snat(&d->c->site, &a))
			decode_fault(d, &e, "an SNAT address; its ports belong to fullnat");
		else
			s->node_port_addresses[s->n_node_port_addresses++] = a;
	}
}

static void decode_external_ips(struct decoder *d, const struct doc_node *services) {
	struct config_services *s = &d->c->services;
	struct doc_node list, e;
	size_t size = decode_list(d, &list, services, "externalIPs", CONFIG_MAX_LIST);

	s->external_ips = decode_array(d, size, sizeof(*s->external_ips));
	for (size_t i = 0; s->external_ips != NULL && i < size; i++) {
		e = doc_element(&list, i);
		if (decode_block(d, &e, &s->external_ips[s->n_external_ips]))
			s->n_external_ips++;
	}
}

// Known by name, and only the defaults for now.
static void decode_later(struct decoder *d, const struct doc_node *services) {
	struct doc_node tunnel, m;
	const char *zone = "";
	bool per_flow = false;
	uint32_t gue_port = 6080;

	decode_section(d, &tunnel, services, "tunnel",
		       KEYS("sourceAddresses", "sourcePerFlow", "guePort"));
	if (decode_list(d, &m, &tunnel, "sourceAddresses", CONFIG_MAX_LIST) > 0)
		decode_fault(d, &m, LATER);
	decode_bool(d, &tunnel, "sourcePerFlow", &per_flow);
	doc_member(&m, &tunnel, "sourcePerFlow", NULL);
	if (per_flow)
		decode_fault(d, &m, "true is " LATER);
	decode_u32(d, &tunnel, "guePort", &gue_port, 1, 65535);
	doc_member(&m, &tunnel, "guePort", NULL);
	if (gue_port != 6080)
		decode_fault(d, &m, "another port than 6080 is " LATER);
	if (decode_get_text(d, services, "zone", &m, &zone) && *zone != 0)
		decode_fault(d, &m, LATER);
}

static void warn_unserved(struct decoder *d, const struct doc_node *services) {
	const struct site *site = &d->c->site;
	struct doc_node m;

	doc_member(&m, services, "snatAddresses", NULL);
	if (d->c->services.forwarding == MODEL_FULLNAT && site->n_snat4 == 0 && site->n_snat6 == 0)
		decode_warning(
			d, &m,
			"none, but forwarding is fullnat by default: its Services stay unserved");
}

static void decode_class(struct decoder *d, const struct doc_node *services) {
	struct doc_node m;
	const char *text;

	if (!decode_get_text(d, services, "loadBalancerClass", &m, &text))
		return;
	if (strlen(text) > 316 ||
	    text[strspn(text,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")] != 0)
		decode_fault(d, &m, "not the name of a class");
	decode_copy(d, &d->c->services.load_balancer_class, text);
}

void decode_services(struct decoder *d, const struct doc_node *root) {
	struct config_services *s = &d->c->services;
	int no_backend = 0;
	struct doc_node n, m;
	const char *text;

	decode_section(d, &n, root, "services",
		       KEYS("manifests", "kubernetes", "defaults", "loadBalancerClass",
			    "addressPools", "nodePortAddresses", "clusterIPs", "externalIPs",
			    "snatAddresses", "tunnel", "noBackend", "stateFile", "zone", "nodes",
			    "nodeHealth"));
	decode_source(d, &n);
	decode_nodes(d, &n);
	decode_node_health(d, &n);
	decode_defaults(d, &n);
	decode_class(d, &n);
	decode_bool(d, &n, "clusterIPs", &s->cluster_ips);
	decode_enum(d, &n, "noBackend", &no_backend, KEYS("reject", "drop"));
	s->reject = no_backend == 0;
	if (decode_get_text(d, &n, "stateFile", &m, &text))
		decode_copy(d, &s->state_file, text);
	decode_later(d, &n);
	decode_external_ips(d, &n);
	decode_snat(d, &n);
	decode_node_port_addresses(d, &n);
	decode_pools(d, &n);
	warn_unserved(d, &n);
}
