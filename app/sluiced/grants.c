// SPDX-License-Identifier: Apache-2.0
// Views and aims out of objects, grants, plans and the compiler's word on each port.
#include "grants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/plan.h"
#include "sluiced.h"
#include "status/ingress.h"

// --- the object ---

static char *ingress_of(const struct kube_service *s) {
	struct ingress *list;
	json_t *whole;
	char *text;

	if (s->status_alien) {
		whole = json_loads(s->ingress, 0, NULL);
		text = ingress_text_of(whole);
		json_decref(whole);
		return text;
	}
	list = calloc(s->n_status + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	for (uint32_t i = 0; i < s->n_status; i++)
		list[i] = (struct ingress){.addr = s->status[i],
					   .proxy = s->status_modes[i] == KUBE_IP_MODE_PROXY};
	text = ingress_text(list, s->n_status);
	free(list);
	return text;
}

static void read_condition(struct view_condition *all, const struct kube_condition *c) {
	for (int t = 0; t < VIEW_CONDITIONS; t++) {
		if (strcmp(c->type, view_condition_name((enum view_condition_type)t)) != 0)
			continue;
		all[t].status = c->status[0] != '\0' ? c->status[0] : 'U';
		all[t].generation = c->observed;
		snprintf(all[t].reason, sizeof(all[t].reason), "%s", c->reason);
		snprintf(all[t].message, sizeof(all[t].message), "%s", c->message);
	}
}

int grants_view(struct view *v, const struct kube_object *o) {
	const struct kube_service *s = &o->service;
	char *ingress = ingress_of(s);

	if (ingress == NULL)
		return -ENOMEM;
	*v = (struct view){.generation = o->meta.generation,
			   .deleting = o->meta.deleting,
			   .load_balancer = s->type == KUBE_LOAD_BALANCER,
			   .marks = {.finalizer = o->meta.finalizer, .ingress = ingress}};
	snprintf(v->uid, sizeof(v->uid), "%s", o->meta.uid);
	snprintf(v->version, sizeof(v->version), "%s", o->meta.resource_version);
	for (uint32_t i = 0; i < s->n_conditions; i++)
		read_condition(v->marks.conditions, &s->conditions[i]);
	return 0;
}

// --- the grant ---

#define PREFIX "sluice.dev/"

// Why a port is not served, as an error of status.loadBalancer.ingress[].ports[].
static const char *error_of(const struct kube_plan *plan, const struct kube_service_port *p,
			    const char *reason) {
	if (p->protocol == MODEL_SCTP)
		return PREFIX "ProtocolNotSupported";
	if (plan->target == KUBE_TARGET_NODE && plan->mode != MODEL_DSR && p->node_port == 0)
		return PREFIX "NodePortRequired";
	if (strstr(reason, " is in use by ") != NULL)
		return PREFIX "PortInUse";
	return PREFIX "NotServed";
}

static bool has_frontend(const struct kube_plan_port *p) {
	for (uint32_t i = 0; i < p->n_frontends; i++)
		if (p->frontends[i].kind == MODEL_LOAD_BALANCER)
			return true;
	return false;
}

static struct model_key key_of(const struct kube_object *o, const struct kube_service_port *p) {
	struct model_key key = {.port = p->port, .protocol = p->protocol};

	snprintf(key.ns, sizeof(key.ns), "%s", o->meta.ns);
	snprintf(key.name, sizeof(key.name), "%s", o->meta.name);
	return key;
}

static void add_fault(struct aim_grant *a, const struct kube_service_port *p, const char *error,
		      const char *reason) {
	size_t n = strlen(a->faults);

	if (a->fault[0] == '\0')
		snprintf(a->fault, sizeof(a->fault), "%s", error + strlen(PREFIX));
	snprintf(a->faults + n, sizeof(a->faults) - n, "%s%u/%s: %s", n > 0 ? "; " : "", p->port,
		 model_protocol_name(p->protocol), reason);
}

// The object may be newer than its plan until the next kube_apply(), which has it told again.
static uint32_t planned_ports(const struct kube_grant *g) {
	uint32_t n = g->service->service.n_ports;

	return g->plan->n_ports < n ? g->plan->n_ports : n;
}

// Each port, with its error where it is not served. Returns whether any has one.
static bool judge_ports(struct aim_grant *a, struct ingress_port *ports, const struct sluiced *s,
			const struct kube_grant *g) {
	const struct kube_service *service = &g->service->service;
	bool any = false;

	for (uint32_t i = 0; i < planned_ports(g); i++) {
		const struct kube_service_port *p = &service->ports[i];
		const struct kube_plan_port *planned = &g->plan->ports[i];
		struct model_key key = key_of(g->service, p);
		const char *reason = compile_reason(s->appliance.compile, &key);

		ports[i] = (struct ingress_port){.port = p->port, .protocol = p->protocol};
		if (has_frontend(planned) && reason[0] == '\0') {
			a->is_served = true;
			continue;
		}
		any = true;
		reason = reason[0] != '\0' ? reason : planned->reason;
		ports[i].error = error_of(g->plan, p, reason);
		add_fault(a, p, ports[i].error, reason);
	}
	return any;
}

static char *ingress_of_grant(struct aim_grant *a, const struct sluiced *s,
			      const struct kube_grant *g) {
	uint32_t n_ports = planned_ports(g);
	struct ingress_port *ports = calloc(n_ports + 1, sizeof(*ports));
	struct ingress *list = calloc(g->n + 1, sizeof(*list));
	char *text = NULL;

	if (ports != NULL && list != NULL) {
		bool any = judge_ports(a, ports, s, g);

		for (uint32_t i = 0; i < g->n; i++)
			list[i] = (struct ingress){.addr = g->addrs[i],
						   .proxy = g->ip_modes[i] == KUBE_IP_MODE_PROXY,
						   .ports = ports,
						   .n_ports = any ? n_ports : 0};
		text = ingress_text(list, g->n);
	}
	free(ports);
	free(list);
	return text;
}

static void say_where(struct aim_grant *a, const struct sluiced *s, const struct kube_grant *g) {
	char text[IP_ADDR_STR];

	for (uint32_t i = 0; i < g->n; i++) {
		const char *pool = kube_pool_of(s->appliance.kube, &g->addrs[i]);
		size_t n = strlen(a->where);

		snprintf(a->where + n, sizeof(a->where) - n, "%s%s%s%s", n > 0 ? ", " : "",
			 ip_addr_format(&g->addrs[i], text), pool[0] != '\0' ? " from pool " : "",
			 pool);
	}
}

// Its traffic goes to nodes, and no port has one that may get any.
static bool has_no_nodes(const struct sluiced *s, const struct kube_grant *g) {
	const struct kube_meta *m = &g->service->meta;
	const struct model_service **list;
	bool any = false;
	int n;

	if (g->plan->target != KUBE_TARGET_NODE)
		return false;
	n = model_list_of(s->appliance.model, m->ns, m->name, &list);
	if (n < 0)
		return false;
	for (int i = 0; i < n; i++)
		for (uint32_t j = 0; j < list[i]->n_backends; j++)
			any |= list[i]->backends[j].state != MODEL_UNUSABLE;
	free(list);
	return !any;
}

int grants_aim(struct aim_grant *a, const struct sluiced *s, const struct kube_grant *g) {
	*a = (struct aim_grant){.ours = g->ours, .awaits_endpoints = g->awaits_endpoints};
	a->ingress = g->ours && g->n > 0 ? ingress_of_grant(a, s, g) : strdup("");
	if (a->ingress == NULL)
		return -ENOMEM;
	if (!g->ours)
		return 0;
	snprintf(a->code, sizeof(a->code), "%s", g->code);
	snprintf(a->reason, sizeof(a->reason), "%s", g->reason);
	say_where(a, s, g);
	a->has_no_nodes = g->n > 0 && has_no_nodes(s, g);
	a->hides_clients = g->service->service.local && g->plan->mode == MODEL_FULLNAT;
	return 0;
}
