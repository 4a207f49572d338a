// SPDX-License-Identifier: Apache-2.0
// The verb flows: every worker lists its live flows that fit the filters, a piece a loop.
#include <errno.h>
#include <rte_byteorder.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/explain.h"
#include "sluiced.h"

#define ROWS 50000 // of all workers; what is beyond is told as "truncated"
#define QUERIES 4  // at once: each holds its rows
#define WORD_BITS 64

struct flow_query {
	struct query query; // first
	struct flow_list lists[WORKERS_MAX];
	struct flow_view *rows;
	uint64_t services[TABLES_MAX_SERVICES / WORD_BITS]; // one bit for each id that is wanted
};

// On the worker.
static uint8_t is_wanted(void *ctx, const struct tables *t, const struct flow_view *v) {
	const struct flow_query *q = ctx;
	uint32_t id = t->frontends[v->key.id].ref.service;

	return id < TABLES_MAX_SERVICES && (q->services[id / WORD_BITS] >> id % WORD_BITS & 1);
}

static void mark_services(const struct sluiced *s, struct flow_query *q, const char *wanted) {
	const struct tables *t = compile_tables(s->appliance.compile);
	char name[VERBS_NAME];

	for (uint32_t id = 0; id < t->n_services; id++)
		if (strcmp(verbs_service_name(s, id, name), wanted) == 0)
			q->services[id / WORD_BITS] |= UINT64_C(1) << id % WORD_BITS;
}

static json_t *endpoint_json(const struct ip_addr *a, uint16_t port) { // port: host order
	char text[IP_ADDR_STR + 8];

	return json_string(ip_port_format(a, port, text));
}

static json_t *backend_json(const struct sluiced *s, const struct tables *t,
			    const struct flow_view *v) {
	char text[IP_ADDR_STR + 8];

	return t->backends[v->backend].gen != v->gen
		       ? json_null() // its slot is somebody else's now
		       : json_string(verbs_backend_text(s, v->backend, text));
}

static json_t *snat_json(const struct tables *t, const struct flow_view *v) {
	if (v->snat_port == 0)
		return json_null();
	return endpoint_json(v->key.family == 4 ? &t->snat4[v->snat_index]
						: &t->snat6[v->snat_index],
			     v->snat_port);
}

static json_t *row(const struct sluiced *s, const struct flow_view *v, int worker) {
	const struct tables *t = compile_tables(s->appliance.compile);
	const struct frontend *f = &t->frontends[v->key.id];
	struct ip_addr client = v->key.family == 4 ? ip_addr_from_v4(v->key.addr[0])
						   : ip_addr_from_v6(v->key.addr);
	char name[VERBS_NAME];

	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:i, s:s, s:s}", "client",
			 endpoint_json(&client, rte_be_to_cpu_16(v->key.port)), "frontend",
			 endpoint_json(&f->addr, rte_be_to_cpu_16(f->port)), "backend",
			 backend_json(s, t, v), "snat", snat_json(t, v), "state",
			 flow_state_name((enum flow_state)v->state), "age", (json_int_t)v->age,
			 "idle", (json_int_t)v->idle, "worker", worker, "protocol",
			 model_protocol_name((enum model_protocol)f->protocol), "service",
			 verbs_service_name(s, f->ref.service, name));
}

static void finish(struct sluiced *s, struct query *query) {
	struct flow_query *q = (struct flow_query *)query;
	json_t *items = json_array();
	bool truncated = false;

	for (uint16_t w = 0; w < s->appliance.dp.n_workers; w++) {
		const struct flow_list *l = &q->lists[w];

		truncated |= l->n == l->max;
		for (uint32_t i = 0; i < l->n; i++)
			json_array_append_new(items, row(s, &l->rows[i], w));
	}
	mgmt_reply(query->request, json_pack("{s:o, s:b}", "items", items, "truncated", truncated));
}

static void destroy(struct query *query) {
	struct flow_query *q = (struct flow_query *)query;

	free(q->rows);
	free(q);
}

static bool is_busy(const struct sluiced *s) {
	const struct query *q;
	unsigned n = 0;

	LIST_FOREACH(q, &s->verbs.queries, link)
		n += q->finish == finish;
	return n >= QUERIES;
}

static struct flow_query *create(const struct sluiced *s, struct mgmt_request *r) {
	uint16_t workers = s->appliance.dp.n_workers;
	uint32_t max = ROWS / workers;
	struct flow_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->query = (struct query){.request = r, .finish = finish, .destroy = destroy};
	q->rows = calloc((size_t)max * workers, sizeof(*q->rows));
	if (q->rows == NULL) {
		free(q);
		return NULL;
	}
	for (uint16_t w = 0; w < workers; w++) {
		q->lists[w] = (struct flow_list){.job.run = flow_list_run,
						 .max = max,
						 .rows = &q->rows[(size_t)max * w]};
		q->query.jobs[w] = &q->lists[w].job;
	}
	return q;
}

static void set_filters(const struct sluiced *s, struct flow_query *q, const struct ip_addr *client,
			const char *service) {
	if (service != NULL)
		mark_services(s, q, service);
	for (uint16_t w = 0; w < s->appliance.dp.n_workers; w++) {
		q->lists[w].by_client = client != NULL;
		if (client != NULL)
			q->lists[w].client = *client;
		q->lists[w].wanted = service != NULL ? is_wanted : NULL;
		q->lists[w].ctx = q;
	}
}

void verb_flows(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	const char *text = mgmt_param(r, "client");
	struct flow_query *q;
	struct ip_addr client;

	if (text != NULL && ip_addr_parse(&client, text) < 0) {
		mgmt_fail(r, 400, "client: \"%s\" is no IP address", text);
		return;
	}
	if (is_busy(s)) {
		mgmt_fail(r, 503, "flows are being listed for others; try again");
		return;
	}
	q = create(s, r);
	if (q == NULL) {
		mgmt_reply(r, NULL);
		return;
	}
	set_filters(s, q, text != NULL ? &client : NULL, mgmt_param(r, "service"));
	verbs_ask(s, &q->query);
}
