// SPDX-License-Identifier: Apache-2.0
// The verbs pools and explain?service=NS/NAME: where addresses come from, and why a Service is served as it is.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/explain.h"
#include "kube/plan.h"
#include "sluiced.h"

// --- pools ---

static json_t *number(uint64_t n) {
	return n > INT64_MAX ? json_null()
			     : json_integer((json_int_t)n); // a /64 and more: as good as endless
}

static json_t *pool_row(const struct kube_pool_use *p) {
	return json_pack("{s:s, s:i, s:o, s:I, s:o, s:b, s:I, s:s, s:i}", "name", p->pool->name,
			 "family", p->family, "size", number(p->size), "inUse",
			 (json_int_t)p->in_use, "free",
			 number(p->size > INT64_MAX ? p->size : p->size - p->in_use), "autoAssign",
			 p->pool->auto_assign, "priority", (json_int_t)p->pool->priority, "ipMode",
			 p->pool->proxy ? "Proxy" : "VIP", "waiting", (int)p->waiting);
}

void verb_pools(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	struct kube_pool_use *list = NULL;
	int n = kube_pools(s->appliance.kube, &list);
	json_t *items = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(items, pool_row(&list[i]));
	free(list);
	mgmt_reply(r, n < 0 ? NULL : verbs_items(items));
	if (n < 0)
		json_decref(items);
}

// --- explain service ---

static json_t *addresses(const struct sluiced *s, const struct kube_grant *g) {
	json_t *list = json_array();
	char text[IP_ADDR_STR];

	for (uint32_t i = 0; i < g->n; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s}", "address", ip_addr_format(&g->addrs[i], text),
				  "ipMode", g->ip_modes[i] == KUBE_IP_MODE_PROXY ? "Proxy" : "VIP",
				  "pool", kube_pool_of(s->appliance.kube, &g->addrs[i])));
	return list;
}

static json_t *pools_tried(const struct sluiced *s, const char *ns, const char *name) {
	struct kube_pool_try *tries = NULL;
	int n = kube_pool_tries(s->appliance.kube, ns, name, &tries);
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:i, s:s}", "pool", tries[i].pool->name,
						"family", tries[i].family, "result",
						tries[i].why[0] != '\0' ? tries[i].why
									: "has a free address"));
	free(tries);
	return list;
}

static json_t *frontends(const struct kube_plan_port *p) {
	json_t *list = json_array();
	char text[IP_ADDR_STR + 8];

	for (uint32_t i = 0; i < p->n_frontends; i++)
		json_array_append_new(list,
				      json_string(ip_port_format(&p->frontends[i].addr,
								 p->frontends[i].port, text)));
	return list;
}

static json_t *ports(const struct kube_grant *g) {
	const struct kube_service *service = &g->service->service;
	json_t *list = json_array();

	for (uint32_t i = 0; i < g->plan->n_ports && i < service->n_ports; i++)
		json_array_append_new(list,
				      json_pack("{s:i, s:s, s:s, s:o, s:s}", "port",
						service->ports[i].port, "protocol",
						model_protocol_name(service->ports[i].protocol),
						"name", service->ports[i].name, "frontends",
						frontends(&g->plan->ports[i]), "reason",
						g->plan->ports[i].reason));
	return list;
}

static void add_endpoint(void *list, const struct kube_endpoint_story *e) {
	char text[IP_ADDR_STR + 8] = "";

	if (e->addr != NULL)
		ip_port_format(e->addr, e->target, text);
	json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "servicePort",
					      e->port->port, "protocol",
					      model_protocol_name(e->port->protocol), "endpoint",
					      text, "node", e->node, "slice", e->object, "result",
					      kube_fate_name(e->fate), "rule", e->rule));
}

static json_t *endpoints(const struct sluiced *s, const char *ns, const char *name) {
	json_t *list = json_array();

	kube_explain_endpoints(s->appliance.kube, ns, name, add_endpoint, list);
	return list;
}

// What became of endpoints (or nodes) in the end, verdicts of probes and routes included.
static json_t *backends(const struct sluiced *s, const char *ns, const char *name) {
	const struct model_service **rows = NULL;
	int n = model_list_of(s->appliance.model, ns, name, &rows);
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		for (uint32_t b = 0; b < rows[i]->n_backends; b++)
			json_array_append_new(list,
					      verbs_backend_row(s, rows[i], &rows[i]->backends[b]));
	free(rows);
	return list;
}

void verb_explain_service(struct sluiced *s, struct mgmt_request *r, const char *service) {
	char ns[64], name[64];
	struct kube_grant g;

	if (verbs_split(service, ns, name) < 0) {
		mgmt_fail(r, 400, "service: \"%s\" is not NAMESPACE/NAME", service);
		return;
	}
	if (kube_grant(&g, s->appliance.kube, ns, name) < 0) {
		mgmt_fail(r, 404, "there is no Service %s", service);
		return;
	}
	mgmt_reply(r, json_pack("{s:s, s:b, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "service", service,
				"ours", g.ours, "addresses", addresses(s, &g), "code", g.code,
				"reason", g.reason, "pools", pools_tried(s, ns, name), "ports",
				ports(&g), "endpoints", endpoints(s, ns, name), "backends",
				backends(s, ns, name)));
}
