// SPDX-License-Identifier: Apache-2.0
// Endpoints and nodes as backends of one Service port.
#include "kube/translate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/candidate.h"

// Those of one family that new flows may go to: the ready ones, or where there is none, the draining ones; less nodes that are down by their
// probes, unless all of them are: that is a fault of the probes' way, more often than of every node at once.
struct choice {
	bool wanted, ready, believed; // believed: one of them is not down
};

static bool is_chosen(const struct choice *f, const struct candidate *c) {
	return c->rank == (f->ready ? READY : TERMINATING);
}

static bool is_usable(const struct choice *f, const struct candidate *c) {
	return is_chosen(f, c) && !(c->verdict == KUBE_DOWN && f->believed);
}

static const char *reason_of(const struct choice *f, const struct candidate *c) {
	static const char *const reasons[] = {"",
					      "terminating",
					      "not-ready",
					      "not-serving",
					      "address-not-usable",
					      "node-excluded"};

	if (!c->is_node || c->rank > TERMINATING)
		return reasons[c->rank];
	if (is_chosen(f, c) && c->verdict == KUBE_DOWN)
		return f->believed ? "node-down" : "node-down-disbelieved";
	if (c->rank == TERMINATING)
		return "node-draining";
	return c->verdict == KUBE_UNKNOWN ? "node-probe-unknown" : "";
}

static void fill_backend(struct model_backend *b, const struct choice *f,
			 const struct candidate *c) {
	*b = (struct model_backend){.addr = c->addr, .port = c->port, .weight = c->weight};
	b->usable = is_usable(f, c);
	if (c->rank == READY && b->usable)
		b->state = MODEL_READY;
	else if (c->rank <= TERMINATING)
		b->state = MODEL_DRAINING;
	else
		b->state = MODEL_UNUSABLE;
	strcpy(b->reason, reason_of(f, c));
}

static bool has_frontend(const struct kube_plan_port *p, uint8_t family) {
	for (uint32_t i = 0; i < p->n_frontends; i++)
		if (p->frontends[i].addr.family == family)
			return true;
	return false;
}

// Of both families.
static void choose(struct choice choice[2], const struct candidates *c) {
	for (uint32_t i = 0; i < c->n; i++)
		choice[c->list[i].addr.family == 6].ready |= c->list[i].rank == READY;
	for (uint32_t i = 0; i < c->n; i++) {
		struct choice *f = &choice[c->list[i].addr.family == 6];

		f->believed |= is_chosen(f, &c->list[i]) && c->list[i].verdict != KUBE_DOWN;
	}
}

// Returns 1 when there are nodes whose verdict is not believed.
static int fill_backends(struct model_service *out, const struct candidates *c,
			 const struct kube_plan_port *plan) {
	struct choice choice[2] = {{.wanted = has_frontend(plan, 4)},
				   {.wanted = has_frontend(plan, 6)}};
	int doubted = 0;

	if (c->n == 0)
		return 0;
	out->backends = calloc(c->n, sizeof(*out->backends));
	if (out->backends == NULL)
		return -ENOMEM;
	choose(choice, c);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct choice *f = &choice[c->list[i].addr.family == 6];

		if (!f->wanted)
			continue;
		fill_backend(&out->backends[out->n_backends++], f, &c->list[i]);
		doubted |= c->list[i].verdict == KUBE_DOWN && is_usable(f, &c->list[i]);
	}
	return doubted;
}

static int find_backends(struct model_service *out, const struct kube_view *v,
			 const struct kube_service_port *p, const struct kube_plan_port *plan) {
	struct candidates c = {0};
	bool dsr = v->plan->mode == MODEL_DSR;
	int ret = v->plan->target == KUBE_TARGET_NODE ? candidates_of_nodes(&c, v, p, dsr)
						      : candidates_of_endpoints(&c, v, p, dsr);

	if (ret == 0)
		ret = fill_backends(out, &c, plan);
	free(c.list);
	return ret;
}

static int copy_array(void **out, const void *from, size_t n, size_t size) {
	if (n == 0)
		return 0;
	*out = malloc(n * size);
	if (*out == NULL)
		return -ENOMEM;
	memcpy(*out, from, n * size);
	return 0;
}

static int fill_port(struct model_service *out, const struct kube_view *v, uint32_t row) {
	const struct kube_service *s = &v->service->service;
	const struct kube_plan_port *plan = &v->plan->ports[row];
	void *copy = NULL;
	int ret;

	strcpy(out->port_name, s->ports[row].name);
	memcpy(out->reason, plan->reason, sizeof(out->reason));
	ret = copy_array(&copy, plan->frontends, plan->n_frontends, sizeof(*plan->frontends));
	out->frontends = copy;
	out->n_frontends = copy != NULL ? plan->n_frontends : 0;
	copy = NULL;
	if (ret == 0)
		ret = copy_array(&copy, s->ranges, s->n_ranges, sizeof(*s->ranges));
	out->source_ranges = copy;
	out->n_source_ranges = copy != NULL ? s->n_ranges : 0;
	if (ret == 0 && plan->n_frontends > 0)
		ret = find_backends(out, v, &s->ports[row], plan);
	return ret;
}

uint32_t kube_rows(const struct kube_object *service) {
	return service->service.n_ports > 0 ? service->service.n_ports : 1;
}

// doubted: all its nodes are down by their probes.
static void fill_note(struct model_service *m, const struct kube_view *v, bool doubted) {
	bool replaced = v->service->service.local && v->plan->mode == MODEL_FULLNAT;

	if (m->n_frontends == 0)
		return;
	snprintf(
		m->note, sizeof(m->note), "%s%s%s",
		replaced
			? "externalTrafficPolicy is Local, but fullnat hides the client's address; "
			  "dnat and dsr keep it"
			: "",
		replaced && doubted ? "; " : "",
		doubted ? "all nodes are down by their probes, not believed" : "");
}

int kube_translate(struct model_service *out, const struct kube_view *v, uint32_t row) {
	const struct kube_service *s = &v->service->service;
	struct model_service m = {.mode = v->plan->mode, .scheduler = MODEL_MAGLEV};
	int ret = 0;

	strcpy(m.key.ns, v->service->meta.ns);
	strcpy(m.key.name, v->service->meta.name);
	strcpy(m.uid, v->service->meta.uid);
	m.key.port = s->n_ports > 0 ? s->ports[row].port : 0;
	m.key.protocol = s->n_ports > 0 ? s->ports[row].protocol : MODEL_TCP;
	m.reject = v->settings->reject;
	m.restricted = s->restricted;
	m.affinity_timeout = s->affinity_timeout;
	memcpy(m.reason, v->plan->reason, sizeof(m.reason));
	if (s->n_ports > 0)
		ret = fill_port(&m, v, row);
	if (ret < 0) {
		model_service_fini(&m);
		return ret;
	}
	fill_note(&m, v, ret == 1);
	*out = m;
	return ret;
}
