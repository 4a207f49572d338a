// SPDX-License-Identifier: Apache-2.0
// Candidates that are nodes: KCCM's rules of who is eligible, the local endpoints of each, and what probes say.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/candidate.h"

struct locals { // endpoints on one node, of each family: ready ones, terminating but serving ones
	uint32_t ready[2], terminating[2];
};

static int node_name_cmp(const void *name, const void *o) {
	return strcmp(name, (*(const struct kube_object *const *)o)->meta.name);
}

static void count_locals(struct locals *locals, const struct kube_view *v,
			 const struct candidates *endpoints) {
	for (uint32_t i = 0; i < endpoints->n; i++) {
		const struct candidate *e = &endpoints->list[i];
		const struct kube_object *const *node = NULL;

		if (e->node[0] != 0 && v->n_nodes > 0)
			node = bsearch(e->node, v->nodes, v->n_nodes, sizeof(*v->nodes),
				       node_name_cmp);
		if (node == NULL)
			continue;
		if (e->rank == READY)
			locals[node - v->nodes].ready[e->addr.family == 6]++;
		else if (e->rank == TERMINATING)
			locals[node - v->nodes].terminating[e->addr.family == 6]++;
	}
}

bool kube_has_own_probe(const struct kube_service *s) {
	return s->local && s->health_check_node_port != 0;
}

// What kube-proxy's /healthz on the node says, or the Service's own healthCheckNodePort.
static struct kube_health health_of(const struct kube_view *v, const struct kube_object *node) {
	return health_find(v->health, node->meta.name,
			   kube_has_own_probe(&v->service->service) ? v->key : "");
}

static uint32_t usable_on(const struct locals *l, int f) {
	return l->ready[f] > 0 ? l->ready[f] : l->terminating[f];
}

const struct ip_addr *kube_node_addrs(const struct kube_settings *s, const struct kube_node *node) {
	return s->external_nodes ? node->external : node->internal;
}

static enum rank rank_of_node(const struct kube_settings *s, const struct kube_node *node, int f) {
	if (!candidate_may_serve(&kube_node_addrs(s, node)[f]))
		return BAD_ADDRESS;
	if (s->exclude_by_presence ? node->labelled : node->excluded)
		return EXCLUDED;
	return node->draining ? TERMINATING : READY;
}

// local: NULL for a Service that any node serves.
static int add_node(struct candidates *c, const struct kube_view *v, const struct kube_object *o,
		    uint16_t port, const struct locals *local) {
	struct kube_health health = health_of(v, o);

	for (int f = 0; f < 2; f++) {
		struct candidate one = {.addr = kube_node_addrs(v->settings, &o->node)[f],
					.port = port,
					.is_node = true,
					.weight = 1};

		if (one.addr.family == 0)
			continue;
		one.rank = rank_of_node(v->settings, &o->node, f);
		if (one.rank <= TERMINATING) {
			one.verdict = health.verdict;
			if (local != NULL)
				one.weight = usable_on(local, f);
			if (one.weight == 0)
				continue;
			if (local != NULL && health.verdict == KUBE_UP && health.weight > 0)
				one.weight = health.weight;
		}
		if (candidate_add(c, &one) < 0)
			return -ENOMEM;
	}
	return 0;
}

int candidates_of_nodes(struct candidates *c, const struct kube_view *v,
			const struct kube_service_port *p, bool keep_port) {
	bool local = v->service->service.local;
	struct candidates endpoints = {0};
	struct locals *locals = calloc(v->n_nodes + 1, sizeof(*locals));
	int ret = locals == NULL ? -ENOMEM : 0;

	if (ret == 0 && local)
		ret = candidates_of_endpoints(&endpoints, v, p, false);
	if (ret == 0 && local)
		count_locals(locals, v, &endpoints);
	for (uint32_t i = 0; i < v->n_nodes && ret == 0; i++)
		ret = add_node(c, v, v->nodes[i], keep_port ? p->port : p->node_port,
			       local ? &locals[i] : NULL);
	free(endpoints.list);
	free(locals);
	candidates_make_unique(c);
	return ret;
}

const struct ip_addr *kube_node_probe_addr(const struct kube_settings *s,
					   const struct kube_node *node) {
	const struct ip_addr *addrs = kube_node_addrs(s, node);
	int first = s->external_nodes ? node->primary_external : node->primary_internal;

	for (int i = 0; i < 2; i++) {
		int f = i == 0 ? first : 1 - first;

		if (addrs[f].family != 0 && rank_of_node(s, node, f) <= TERMINATING)
			return &addrs[f];
	}
	return NULL;
}

int kube_local_nodes(bool *has, const struct kube_view *v) {
	const struct kube_service *s = &v->service->service;
	struct locals *locals = calloc(v->n_nodes + 1, sizeof(*locals));
	int ret = locals == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; i < s->n_ports && ret == 0; i++) {
		struct candidates endpoints = {0};

		ret = candidates_of_endpoints(&endpoints, v, &s->ports[i], false);
		count_locals(locals, v, &endpoints);
		free(endpoints.list);
	}
	for (uint32_t i = 0; i < v->n_nodes && ret == 0; i++)
		has[i] = usable_on(&locals[i], 0) > 0 || usable_on(&locals[i], 1) > 0;
	free(locals);
	return ret;
}
