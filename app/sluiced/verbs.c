// SPDX-License-Identifier: Apache-2.0
// The verbs that control answers itself: services, backends, stats, ports, kube.
#include "verbs.h"

#include <errno.h>
#include <rte_byteorder.h>
#include <stdlib.h>
#include <string.h>

#include "sluiced.h"

json_t *verbs_items(json_t *list) {
	return json_pack("{s:o}", "items", list);
}

const char *verbs_service_name(const struct sluiced *s, uint32_t service, char *buf) {
	const struct model_key *key = service == TABLES_NO_ID
					      ? NULL
					      : compile_service_key(s->appliance.compile, service);

	if (key == NULL)
		return "";
	snprintf(buf, VERBS_NAME, "%s/%s", key->ns, key->name);
	return buf;
}

const char *verbs_backend_text(const struct sluiced *s, uint32_t backend, char *buf) {
	const struct tables *t = compile_tables(s->appliance.compile);
	const struct endpoint *e = &t->endpoints[t->backends[backend].endpoint];

	return ip_port_format(&e->addr, rte_be_to_cpu_16(e->port), buf);
}

// --- services ---

static json_t *addresses_of(const struct model_service *m) {
	json_t *list = json_array();
	char text[IP_ADDR_STR];

	for (uint32_t i = 0; i < m->n_frontends; i++)
		if (i == 0 || !ip_addr_eq(&m->frontends[i].addr, &m->frontends[i - 1].addr))
			json_array_append_new(list,
					      json_string(
						      ip_addr_format(&m->frontends[i].addr, text)));
	return list;
}

static json_t *frontends_of(const struct model_service *m) {
	json_t *list = json_array();
	char text[IP_ADDR_STR + 8];

	for (uint32_t i = 0; i < m->n_frontends; i++)
		json_array_append_new(list,
				      json_string(ip_port_format(&m->frontends[i].addr,
								 m->frontends[i].port, text)));
	return list;
}

static json_t *service_row(const struct sluiced *s, const struct model_service *m) {
	const struct compile *c = s->appliance.compile;
	const char *reason = m->reason[0] != '\0' ? m->reason : compile_reason(c, &m->key);

	return json_pack("{s:s, s:s, s:i, s:s, s:o, s:o, s:s, s:I, s:i, s:s, s:s}", "namespace",
			 m->key.ns, "name", m->key.name, "port", m->key.port, "protocol",
			 model_protocol_name(m->key.protocol), "addresses", addresses_of(m),
			 "frontends", frontends_of(m), "forwarding", model_mode_name(m->mode),
			 "generation", (json_int_t)compile_generation(c, &m->key), "backends",
			 (int)m->n_backends, "reason", reason, "note", m->note);
}

static void verb_services(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	const struct model_service **list;
	int n = model_list(s->appliance.model, &list);
	json_t *items = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(items, service_row(s, list[i]));
	if (n >= 0)
		free(list);
	mgmt_reply(r, n < 0 ? NULL : verbs_items(items));
	if (n < 0)
		json_decref(items);
}

// --- backends ---

static json_int_t flows_of(const struct sluiced *s, uint32_t backend) {
	json_int_t n = 0;

	for (uint16_t i = 0; backend != TABLES_NO_ID && i < s->appliance.dp.n_workers; i++)
		n += flow_count_of(s->appliance.workers[i]->flows, backend);
	return n;
}

json_t *verbs_backend_row(const struct sluiced *s, const struct model_service *m,
			  const struct model_backend *b) {
	const struct compile *c = s->appliance.compile;
	uint32_t id = compile_backend_id(c, &m->key, &b->addr, b->port);
	const char *own = id == TABLES_NO_ID ? "" : compile_backend_reason(c, id);
	const char *state = own[0] != '\0' ? model_state_name(MODEL_UNUSABLE)
					   : model_state_name(b->state);
	char service[VERBS_NAME], addr[IP_ADDR_STR];

	snprintf(service, sizeof(service), "%s/%s", m->key.ns, m->key.name);
	return json_pack("{s:s, s:i, s:s, s:s, s:i, s:s, s:I, s:I, s:s}", "service", service,
			 "servicePort", m->key.port, "protocol",
			 model_protocol_name(m->key.protocol), "address",
			 ip_addr_format(&b->addr, addr), "port", b->port, "state", state, "weight",
			 (json_int_t)b->weight, "flows", flows_of(s, id), "reason",
			 own[0] != '\0' ? own : b->reason);
}

int verbs_split(const char *text, char ns[64], char name[64]) {
	const char *slash = strchr(text, '/');

	if (slash == NULL || slash == text || slash - text >= 64 || slash[1] == '\0' ||
	    strlen(slash + 1) >= 64)
		return -EINVAL;
	snprintf(ns, 64, "%.*s", (int)(slash - text), text);
	snprintf(name, 64, "%s", slash + 1);
	return 0;
}

// All of them, or those of "NS/NAME". Errors: -EINVAL, -ENOMEM.
static int list_services(const struct sluiced *s, const char *service,
			 const struct model_service ***list) {
	char ns[64], name[64];

	if (service == NULL)
		return model_list(s->appliance.model, list);
	return verbs_split(service, ns, name) < 0
		       ? -EINVAL
		       : model_list_of(s->appliance.model, ns, name, list);
}

static void verb_backends(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	const char *name = mgmt_param(r, "service");
	const struct model_service **list;
	int n = list_services(s, name, &list);
	json_t *items;

	if (n == -EINVAL) {
		mgmt_fail(r, 400, "service: \"%s\" is not NAMESPACE/NAME", name);
		return;
	}
	if (n < 0) {
		mgmt_reply(r, NULL);
		return;
	}
	items = json_array();
	for (int i = 0; i < n; i++)
		for (uint32_t j = 0; j < list[i]->n_backends; j++)
			json_array_append_new(items,
					      verbs_backend_row(s, list[i], &list[i]->backends[j]));
	free(list);
	mgmt_reply(r, verbs_items(items));
}

// --- stats ---

static json_int_t read64(const uint64_t *counter) {
	return (json_int_t)__atomic_load_n(counter, __ATOMIC_RELAXED);
}

static json_t *worker_row(const struct worker *w) {
	const struct worker_counters *c = &w->counters;
	const struct flow_stats *f = flow_stats(w->flows);
	json_t *evicted = json_pack("{s:I, s:I, s:I, s:I}", "expired", read64(&f->evicted[0]),
				    "closing", read64(&f->evicted[1]), "halfOpen",
				    read64(&f->evicted[2]), "idle", read64(&f->evicted[3]));

	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I}",
			 "id", w->id, "rxPackets", read64(&c->rx_packets), "txPackets",
			 read64(&c->tx_packets), "rxBytes", read64(&c->rx_bytes), "txBytes",
			 read64(&c->tx_bytes), "handedOver", read64(&c->handed_over), "answered",
			 read64(&c->answered), "answersLimited", read64(&c->answers_limited),
			 "flows", read64(&f->flows[0]) + read64(&f->flows[1]), "halfOpen",
			 read64(&f->half_open), "flowsCreated", read64(&f->created), "flowsRemoved",
			 read64(&f->removed), "evicted", evicted, "affinityEvicted",
			 read64(&c->affinity_evicted));
}

static json_int_t dropped(const struct dataplane *dp, enum reason reason) {
	json_int_t n = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++)
		n += read64(&dp->workers[i]->counters.drops[reason]);
	return n;
}

// What overload costs, by the place that could not keep up.
static json_t *lost_at(const struct sluiced *s) {
	const struct dataplane *dp = &s->appliance.dp;
	struct port_stats sum = {0};

	for (uint16_t i = 0; i < s->devices.n_ports; i++) {
		struct port_stats n = {0};

		port_stats(&s->devices.ports[i], &n);
		sum.rx_missed += n.rx_missed;
		sum.rx_no_mbuf += n.rx_no_mbuf;
		sum.tx_errors += n.tx_errors;
	}
	return json_pack("{s:{s:I}, s:{s:I, s:I}, s:{s:I}, s:{s:I, s:I, s:I}, s:{s:I, s:I}}",
			 "device", "rxMissed", (json_int_t)sum.rx_missed, "buffers", "rxNoBuffer",
			 (json_int_t)sum.rx_no_mbuf, "no-memory", dropped(dp, REASON_NO_MEMORY),
			 "ring", "handover-full", dropped(dp, REASON_HANDOVER_FULL), "table",
			 "flow-table-full", dropped(dp, REASON_FLOW_TABLE_FULL), "half-open-limit",
			 dropped(dp, REASON_HALF_OPEN_LIMIT), "snat-exhausted",
			 dropped(dp, REASON_SNAT_EXHAUSTED), "transmit", "tx-full",
			 dropped(dp, REASON_TX_FULL), "txErrors", (json_int_t)sum.tx_errors);
}

static json_t *drops_of_worker(const struct worker *w) {
	json_t *drops = json_object();

	for (int reason = 1; reason < REASON_DROPS; reason++)
		if (read64(&w->counters.drops[reason]) > 0)
			json_object_set_new(drops, reason_name((enum reason)reason),
					    json_integer(read64(&w->counters.drops[reason])));
	return drops;
}

static json_t *drops_of(const struct dataplane *dp) {
	json_t *drops = json_object();

	for (int reason = 1; reason < REASON_DROPS; reason++) {
		json_int_t n = dropped(dp, (enum reason)reason);

		if (n > 0)
			json_object_set_new(drops, reason_name((enum reason)reason),
					    json_integer(n));
	}
	return drops;
}

static json_t *counters_of(const struct dataplane *dp) {
	json_int_t affinity = 0, limited = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++) {
		affinity += read64(&dp->workers[i]->counters.affinity_evicted);
		limited += read64(&dp->workers[i]->counters.answers_limited);
	}
	return json_pack("{s:I, s:I}", "affinity-evicted", affinity, "answers-limited", limited);
}

static void verb_stats(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	const struct dataplane *dp = &s->appliance.dp;
	json_t *at = json_array(), *workers = json_array();

	for (uint16_t i = 0; i < dp->n_workers; i++) {
		json_t *row = worker_row(dp->workers[i]);

		json_object_set_new(row, "drops", drops_of_worker(dp->workers[i]));
		json_array_append_new(at, json_integer(read64(&dp->workers[i]->generation)));
		json_array_append_new(workers, row);
	}
	mgmt_reply(r, json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "version", SLUICE_VERSION,
				"generation",
				(json_int_t)compile_tables(s->appliance.compile)->generation,
				"workersAt", at, "workers", workers, "drops", drops_of(dp),
				"lostAt", lost_at(s), "counters", counters_of(dp)));
}

// --- ports ---

static json_t *port_addresses(const struct site_port *p) {
	json_t *list = json_array();
	char text[IP_PREFIX_STR];

	for (uint32_t i = 0; i < p->n_addresses; i++)
		json_array_append_new(list, json_string(ip_prefix_format(&p->addresses[i], text)));
	return list;
}

static json_t *port_row(const struct site_port *site, const struct port *p,
			const struct rss_port *rss) {
	struct port_stats n = {0};
	struct port_link link;
	char mac[MAC_STR];
	json_t *rx, *tx, *drops;

	port_link(p, &link);
	port_stats(p, &n);
	rx = json_pack("{s:I, s:I}", "packets", (json_int_t)n.rx_packets, "bytes",
		       (json_int_t)n.rx_bytes);
	tx = json_pack("{s:I, s:I}", "packets", (json_int_t)n.tx_packets, "bytes",
		       (json_int_t)n.tx_bytes);
	drops = json_pack("{s:I, s:I, s:I, s:I}", "rxMissed", (json_int_t)n.rx_missed, "rxErrors",
			  (json_int_t)n.rx_errors, "rxNoBuffer", (json_int_t)n.rx_no_mbuf,
			  "txErrors", (json_int_t)n.tx_errors);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:i, s:i, s:s, s:s, s:o, s:o, s:o}",
		"name", site->name, "device", site->device, "driver", p->driver, "profile",
		p->profile.name, "mac", mac_format(&p->mac, mac), "link", link.up ? "up" : "down",
		"mbps", (int)link.mbps, "mtu", p->mtu, "vlan", site->vlan, "addresses",
		port_addresses(site), "rxQueues", p->n_rx_queues, "txQueues", p->n_tx_queues, "rss",
		rss->is_known ? "verified" : "slice", "rssReason", rss->is_known ? "" : rss->why,
		"rx", rx, "tx", tx, "drops", drops);
}

static void verb_ports(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	json_t *items = json_array();

	for (uint16_t i = 0; i < s->devices.n_ports; i++)
		json_array_append_new(items, port_row(&s->config->site.ports[i],
						      &s->devices.ports[i], &s->devices.rss[i]));
	mgmt_reply(r, verbs_items(items));
}

// --- kube ---

static void verb_kube(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;

	mgmt_reply(r, s->source->describe(s));
}

static const struct mgmt_verb list[] = {
	{"services", verb_services}, {"backends", verb_backends}, {"flows", verb_flows},
	{"explain", verb_explain},   {"stats", verb_stats},       {"ports", verb_ports},
	{"pools", verb_pools},       {"probes", verb_probes},     {"kube", verb_kube},
};

const struct mgmt_verb *verbs_list(unsigned *n) {
	*n = sizeof(list) / sizeof(list[0]);
	return list;
}
