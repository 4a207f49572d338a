// SPDX-License-Identifier: Apache-2.0
// Endpoint by endpoint: which rule of translation decided.
#include "kube/explain.h"

#include <errno.h>
#include <string.h>

#include "kube/candidate.h"
#include "kube/store.h"

struct teller {
	const struct unit *unit;
	const struct kube_plan_port *plan; // of the Service's port
	bool by_node;
	struct kube_endpoint_story story;
	kube_story_fn fn;
	void *arg;
};

const char *kube_fate_name(enum kube_fate f) {
	static const char *const names[] = {"kept", "draining", "counted", "dropped"};

	return names[f];
}

static void tell(struct teller *t, enum kube_fate fate, const char *rule) {
	t->story.fate = fate;
	t->story.rule = rule;
	t->fn(t->arg, &t->story);
}

static bool has_frontend(const struct kube_plan_port *p, uint8_t family) {
	for (uint32_t i = 0; i < p->n_frontends; i++)
		if (p->frontends[i].addr.family == family)
			return true;
	return false;
}

static void tell_of_node(struct teller *t, const struct kube_endpoint *e, bool usable) {
	bool local = t->unit->service->service.local;

	if (!local)
		tell(t, KUBE_DROPPED,
		     "target is node and any node serves: kube-proxy chooses the endpoint");
	else if (!usable)
		tell(t, KUBE_DROPPED, "not usable: it makes no node a backend");
	else if (e->node[0] == 0)
		tell(t, KUBE_DROPPED, "externalTrafficPolicy is Local and it names no node");
	else
		tell(t, KUBE_COUNTED,
		     "externalTrafficPolicy is Local: its node gets traffic for it");
}

static void tell_endpoint(struct teller *t, const struct kube_endpoint *e) {
	t->story.addr = &e->addr;
	t->story.node = e->node;
	if (!candidate_may_serve(&e->addr))
		tell(t, KUBE_DROPPED, "no endpoint may have such an address");
	else if (t->by_node)
		tell_of_node(t, e, e->ready || (e->serving && e->terminating));
	else if (!has_frontend(t->plan, e->addr.family))
		tell(t, KUBE_DROPPED, "the port is served on no address of that family");
	else if (e->ready)
		tell(t, KUBE_KEPT, "ready");
	else if (e->terminating && e->serving)
		tell(t, KUBE_DRAINED,
		     "terminating, still serving: new connections only while none is ready");
	else if (e->terminating)
		tell(t, KUBE_DROPPED, "terminating, no longer serving");
	else
		tell(t, KUBE_DROPPED, "not ready");
}

static void tell_group(struct teller *t, const struct kube_group *g, bool keep_port) {
	bool joined = false;

	for (uint32_t p = 0; p < g->n_ports; p++) {
		const struct kube_endpoint_port *port = &g->ports[p];

		if (port->protocol != t->story.port->protocol ||
		    strcmp(port->name, t->story.port->name) != 0)
			continue;
		joined = true;
		t->story.target = keep_port ? t->story.port->port : port->port;
		for (uint32_t e = 0; e < g->n_endpoints; e++)
			tell_endpoint(t, &g->endpoints[e]);
	}
	if (joined || g->n_endpoints == 0)
		return;
	t->story.addr = NULL;
	t->story.node = "";
	t->story.target = 0;
	tell(t, KUBE_DROPPED, "it has no port of that name and protocol");
}

static void tell_object(struct teller *t, const struct kube_object *o) {
	t->story.object = o->meta.name;
	for (uint32_t g = 0; g < o->endpoints.n_groups; g++)
		tell_group(t, &o->endpoints.groups[g], t->unit->plan.mode == MODEL_DSR);
}

static void tell_port(struct teller *t) {
	const struct unit *u = t->unit;

	for (uint32_t i = 0; i < u->n_slices; i++)
		tell_object(t, u->slices[i]);
	if (u->fallback == NULL)
		return;
	if (u->n_slices == 0) {
		tell_object(t, u->fallback);
		return;
	}
	t->story.object = u->fallback->meta.name;
	t->story.addr = NULL;
	t->story.node = "";
	t->story.target = 0;
	tell(t, KUBE_DROPPED, "v1 Endpoints count only where there is no EndpointSlice");
}

int kube_explain_endpoints(const struct kube *k, const char *ns, const char *name, kube_story_fn fn,
			   void *arg) {
	const struct unit *u = unit_find(k, ns, name);
	struct teller t = {.unit = u, .fn = fn, .arg = arg};

	if (u == NULL || u->service == NULL)
		return -ENOENT;
	t.by_node = u->plan.target == KUBE_TARGET_NODE;
	for (uint32_t i = 0; i < u->plan.n_ports && i < u->service->service.n_ports; i++) {
		t.story.port = &u->service->service.ports[i];
		t.plan = &u->plan.ports[i];
		tell_port(&t);
	}
	return 0;
}
