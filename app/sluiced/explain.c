// SPDX-License-Identifier: Apache-2.0
// The verb explain: the worker that owns the flow looks, control puts it into words, a step for each stage.
#include <errno.h>
#include <rte_byteorder.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/explain.h"
#include "sluiced.h"

struct explain_query {
	struct query query; // first
	struct explain asked[WORKERS_MAX];
	bool any; // all workers were asked
};

struct story { // what is told, in the making
	const struct sluiced *s;
	const struct tables *t;
	const struct explain *e;
	const struct service *service; // NULL: no frontend
	bool any;
	json_t *steps;
};

__attribute__((format(printf, 4, 5))) static void tell(struct story *y, const char *stage,
						       const char *reason, const char *format,
						       ...) {
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(y->steps, json_pack("{s:s, s:s, s:s}", "stage", stage, "result", text,
						  "reason", reason));
}

static const char *mode_name(const struct explain *e) {
	static const enum model_mode modes[] = {[TABLES_FULLNAT] = MODEL_FULLNAT,
						[TABLES_DNAT] = MODEL_DNAT,
						[TABLES_DSR] = MODEL_DSR};

	return model_mode_name(modes[e->frontend.mode]);
}

static void tell_parse(struct story *y) {
	char client[IP_ADDR_STR + 8], vip[IP_ADDR_STR + 8];
	const struct explain *e = y->e;

	tell(y, "parse", "", "%s %s to %s", model_protocol_name((enum model_protocol)e->protocol),
	     ip_port_format(&e->client, rte_be_to_cpu_16(e->client_port), client),
	     ip_port_format(&e->vip, rte_be_to_cpu_16(e->vip_port), vip));
}

// False: the story ends here.
static bool tell_classify(struct story *y) {
	const struct explain *e = y->e;
	char name[VERBS_NAME];

	if (y->service == NULL) {
		tell(y, "classify", reason_name(e->reason),
		     "no Service is served at this address, port and protocol");
		return false;
	}
	verbs_service_name(y->s, e->frontend.service, name);
	if (e->reason == REASON_SOURCE_DENIED) {
		tell(y, "classify", reason_name(e->reason),
		     "Service %s: the client is outside loadBalancerSourceRanges", name);
		return false;
	}
	tell(y, "classify", "frontend", "Service %s, %s%s, last changed in generation %llu", name,
	     mode_name(e), e->frontend.affinity ? ", ClientIP affinity" : "",
	     (unsigned long long)y->service->generation);
	return true;
}

static void tell_own(struct story *y) {
	const struct explain *e = y->e;

	if (!y->any && tables_is_receivers(y->t, e->frontend))
		tell(y, "own", "rss", "worker %u of %u, to which the ports' RSS leads it", e->owner,
		     y->t->workers);
	else if (y->any)
		tell(y, "own", "received-by",
		     "worker %u; in %s a flow belongs to the worker that receives it", e->owner,
		     mode_name(e));
	else
		tell(y, "own",
		     e->frontend.owner_by_address ? "client-address" : "client-address-and-port",
		     "worker %u of %u", e->owner, y->t->workers);
}

static void tell_track(struct story *y) {
	const struct flow_view *v = &y->e->flow;
	char backend[IP_ADDR_STR + 8];

	if (!y->e->has_flow)
		tell(y, "track", "new", "no flow yet");
	else if (y->e->reason == REASON_TRACKED)
		tell(y, "track", "tracked",
		     "flow in state %s to backend %s, %u s old, idle for %u s",
		     flow_state_name((enum flow_state)v->state),
		     verbs_backend_text(y->s, v->backend, backend), v->age, v->idle);
	else
		tell(y, "track", reason_name(REASON_BACKEND_GONE),
		     "a flow whose backend has left the Service; it ends here");
}

static void tell_select(struct story *y) {
	const struct explain *e = y->e;
	char backend[IP_ADDR_STR + 8];

	if (e->reason == REASON_TRACKED) {
		tell(y, "select", "tracked", "the flow's backend stays");
		return;
	}
	if (e->backend == TABLES_NO_ID) {
		tell(y, "select", reason_name(REASON_NO_BACKEND), "no usable backend: %s",
		     y->service->reject ? "the client is refused" : "dropped in silence");
		return;
	}
	verbs_backend_text(y->s, e->backend, backend);
	if (e->reason == REASON_AFFINITY)
		tell(y, "select", "affinity", "backend %s, which the client's affinity names",
		     backend);
	else if (y->service->table.size == 0)
		tell(y, "select", "new", "backend %s, the only usable one", backend);
	else
		tell(y, "select", "new", "backend %s, by slot %u of %u; %u usable backends",
		     backend, e->slot, y->service->table.size, y->service->n_usable);
}

static void tell_rewrite(struct story *y) {
	const struct explain *e = y->e;
	char backend[IP_ADDR_STR + 8],
		snat[IP_ADDR_STR + 8] = "an SNAT address and a port of this worker";

	verbs_backend_text(y->s, e->backend, backend);
	if (e->frontend.mode == TABLES_DSR) {
		tell(y, "rewrite", "dsr", "MAC addresses only");
		return;
	}
	if (e->frontend.mode == TABLES_DNAT) {
		tell(y, "rewrite", "dnat", "destination becomes %s, TTL less one", backend);
		return;
	}
	if (e->reason == REASON_TRACKED && e->flow.snat_port != 0)
		ip_port_format(e->client.family == 4 ? &y->t->snat4[e->flow.snat_index]
						     : &y->t->snat6[e->flow.snat_index],
			       e->flow.snat_port, snat);
	tell(y, "rewrite", "fullnat", "destination becomes %s, source becomes %s, TTL less one",
	     backend, snat);
}

static void tell_tx(struct story *y) {
	const struct neighbor_table *n = y->s->appliance.neighbors;
	const struct explain *e = y->e;
	char addr[IP_ADDR_STR], mac_text[MAC_STR];
	struct mac_addr mac;
	const char *port;
	uint64_t word;

	if (!e->has_route) {
		tell(y, "tx", reason_name(REASON_NO_ROUTE), "no route to the backend");
		return;
	}
	port = y->s->config->site.ports[e->port].name;
	ip_addr_format(neighbor_addr(n, e->nexthop), addr);
	word = neighbor_peek(n, e->nexthop);
	if (word & NEIGHBOR_KNOWN) {
		for (int i = 0; i < 6; i++)
			mac.b[i] = (uint8_t)(word >> (40 - 8 * i));
		tell(y, "tx", "sent", "port %s, next hop %s at %s", port, addr,
		     mac_format(&mac, mac_text));
	} else if (word & NEIGHBOR_FAILED) {
		tell(y, "tx", reason_name(REASON_NEIGHBOR_UNRESOLVED),
		     "port %s, next hop %s, which does not answer", port, addr);
	} else {
		tell(y, "tx", "held", "port %s, next hop %s, whose MAC address is asked for first",
		     port, addr);
	}
}

static json_t *tell_all(struct story *y) {
	const struct explain *e = y->e;
	char backend[IP_ADDR_STR + 8];

	tell_parse(y);
	if (!tell_classify(y))
		return json_null();
	tell_own(y);
	tell_track(y);
	tell_select(y);
	if (e->backend == TABLES_NO_ID)
		return json_null();
	tell_rewrite(y);
	tell_tx(y);
	return json_string(verbs_backend_text(y->s, e->backend, backend));
}

// Of all who were asked: who has the flow, else the first.
static const struct explain *best(const struct sluiced *s, const struct explain_query *q) {
	const struct explain *first = NULL;

	for (uint16_t i = 0; i < s->appliance.dp.n_workers; i++) {
		if (q->query.jobs[i] == NULL)
			continue;
		if (q->asked[i].has_flow)
			return &q->asked[i];
		if (first == NULL)
			first = &q->asked[i];
	}
	return first;
}

static void finish(struct sluiced *s, struct query *query) {
	struct explain_query *q = (struct explain_query *)query;
	struct story y = {.s = s,
			  .t = compile_tables(s->appliance.compile),
			  .e = best(s, q),
			  .any = q->any};
	uint32_t id = y.e->frontend.service;
	char name[VERBS_NAME] = "";
	json_t *backend;

	if (id < y.t->n_services)
		y.service = y.t->services[id];
	y.steps = json_array();
	backend = tell_all(&y);
	mgmt_reply(query->request,
		   json_pack("{s:o, s:o, s:s, s:s, s:I}", "steps", y.steps, "backend", backend,
			     "reason", reason_name(y.e->reason), "service",
			     y.service != NULL ? verbs_service_name(s, id, name) : "", "generation",
			     (json_int_t)y.t->generation));
}

static void destroy(struct query *query) {
	free(query);
}

static int parse_protocol(uint8_t *out, const char *text) {
	static const enum model_protocol all[] = {MODEL_TCP, MODEL_UDP, MODEL_SCTP};

	for (size_t i = 0; text != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcasecmp(text, model_protocol_name(all[i])) == 0) {
			*out = (uint8_t)all[i];
			return 0;
		}
	}
	return -EINVAL;
}

// "192.0.2.1:80" or "[2001:db8::1]:80"; port in network order.
static int parse_endpoint(struct ip_addr *addr, uint16_t *port, const char *text) {
	char host[IP_ADDR_STR + 2], *start = host, *end;
	const char *colon = text == NULL ? NULL : strrchr(text, ':');
	size_t n = colon == NULL ? 0 : (size_t)(colon - text);
	struct ip_addr a;
	unsigned long p;

	if (n == 0 || n >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		start++;
	}
	p = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || p == 0 || p > UINT16_MAX || ip_addr_parse(&a, start) < 0 ||
	    (a.family == 6) != (start != host))
		return -EINVAL;
	*addr = a;
	*port = rte_cpu_to_be_16((uint16_t)p);
	return 0;
}

static int parse_question(struct explain *e, struct mgmt_request *r) {
	const char *protocol = mgmt_param(r, "protocol"), *client = mgmt_param(r, "client"),
		   *frontend = mgmt_param(r, "frontend");

	if (parse_protocol(&e->protocol, protocol) < 0)
		mgmt_fail(r, 400, "protocol: \"%s\" is none of tcp, udp, sctp",
			  protocol == NULL ? "" : protocol);
	else if (parse_endpoint(&e->client, &e->client_port, client) < 0)
		mgmt_fail(r, 400, "client: \"%s\" is not ADDR:PORT or [ADDR6]:PORT",
			  client == NULL ? "" : client);
	else if (parse_endpoint(&e->vip, &e->vip_port, frontend) < 0)
		mgmt_fail(r, 400, "frontend: \"%s\" is not ADDR:PORT or [ADDR6]:PORT",
			  frontend == NULL ? "" : frontend);
	else if (e->client.family != e->vip.family)
		mgmt_fail(r, 400, "client and frontend are of different families");
	else
		return 0;
	return -EINVAL;
}

void verb_explain(void *ctx, struct mgmt_request *r) {
	struct explain e = {.job.run = explain_run};
	struct sluiced *s = ctx;
	const char *service = mgmt_param(r, "service");
	struct explain_query *q;
	uint16_t owner;

	if (service != NULL) {
		verb_explain_service(s, r, service);
		return;
	}
	if (parse_question(&e, r) < 0)
		return;
	q = calloc(1, sizeof(*q));
	if (q == NULL) {
		mgmt_reply(r, NULL);
		return;
	}
	q->query = (struct query){.request = r, .finish = finish, .destroy = destroy};
	owner = explain_owner(compile_tables(s->appliance.compile), &e);
	q->any = owner == EXPLAIN_ANY;
	for (uint16_t i = 0; i < s->appliance.dp.n_workers; i++) {
		q->asked[i] = e;
		if (q->any || owner == i)
			q->query.jobs[i] = &q->asked[i].job;
	}
	verbs_ask(s, &q->query);
}
