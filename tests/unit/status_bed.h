// SPDX-License-Identifier: Apache-2.0
// The status writer against the API server in memory, with a clock that only the test moves.
#ifndef STATUS_BED_H
#define STATUS_BED_H

#include <netinet/in.h>

#include "fake_api.h"
#include "status/events.h"
#include "status/ingress.h"
#include "status/status.h"

struct bed {
	struct fake_api api;
	struct events *events;
	struct status *status;
	struct moment now;
	unsigned reports;
	struct status_config config;
};

static void bed_report(void *arg, const char *text) {
	struct bed *b = arg;

	(void)text;
	b->reports++;
}

static inline void bed_restart(struct bed *b) { // the daemon, not the server
	struct events_config events = {.host = "lb-1", .seed = 1};

	status_destroy(b->status);
	events_destroy(b->events);
	b->events = events_create(&b->api.transport, &events);
	b->config.events = b->events;
	b->config.report = bed_report;
	b->config.arg = b;
	b->status = status_create(&b->api.transport, &b->config);
	status_lead(b->status, true);
}

static inline void bed_init(struct bed *b) {
	*b = (struct bed){.now = {.ms = 1000, .wall_us = INT64_C(1767225600000000)},
			  .config = {.finalizer = true, .seed = 7}};
	fake_api_init(&b->api);
	bed_restart(b);
}

static inline void bed_fini(struct bed *b) {
	status_destroy(b->status);
	events_destroy(b->events);
	fake_api_fini(&b->api);
}

static inline void bed_pass(struct bed *b, int64_t ms) {
	b->now.ms += ms;
	b->now.wall_us += ms * 1000;
}

// Until nobody has anything to do at this moment.
static inline void bed_settle(struct bed *b) {
	for (int i = 0; i < 10000; i++) {
		status_step(b->status, &b->now);
		events_step(b->events, &b->now);
		if (fake_api_work(&b->api, 1) == 0 && status_due(b->status, &b->now) > 0 &&
		    events_due(b->events, &b->now) > 0)
			return;
	}
	abort(); // it never comes to rest
}

static inline void bed_run(struct bed *b, int64_t ms) {
	for (int64_t end = b->now.ms + ms; b->now.ms < end; bed_pass(b, 10))
		bed_settle(b);
	bed_settle(b);
}

static inline const char *bed_path(const char *name) {
	static char path[4][400];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "/api/v1/namespaces/shop/services/%s", name);
	return path[i];
}

static inline json_t *bed_create(struct bed *b, const char *name) {
	return fake_api_put(&b->api, bed_path(name),
			    json_pack("{s:{s:s, s:s, s:i}, s:{s:s}, s:{s:{}}}", "metadata",
				      "namespace", "shop", "name", name, "generation", 1, "spec",
				      "type", "LoadBalancer", "status", "loadBalancer"));
}

// A change by somebody else, at a member two levels down; value is taken over.
static inline void bed_edit(struct bed *b, const char *name, const char *section, const char *key,
			    json_t *value) {
	json_t *object = json_deep_copy(fake_api_get(&b->api, bed_path(name)));

	json_object_set_new(json_object_get(object, section), key, value);
	fake_api_put(&b->api, bed_path(name), object);
}

struct bed_grant {
	bool not_ours, proxy, unserved, no_nodes, hidden, awaiting;
	const char *addr; // NULL: none
	const char *code, *reason;
	const struct ingress_port *ports;
	uint32_t n_ports;
};

static inline struct aim_grant bed_grant(const struct bed_grant *from) {
	struct aim_grant g = {.ours = !from->not_ours,
			      .is_served = !from->unserved,
			      .awaits_endpoints = from->awaiting,
			      .has_no_nodes = from->no_nodes,
			      .hides_clients = from->hidden};
	struct ingress i = {.proxy = from->proxy, .ports = from->ports, .n_ports = from->n_ports};

	if (from->addr != NULL && !from->not_ours) {
		ip_addr_parse(&i.addr, from->addr);
		snprintf(g.where, sizeof(g.where), "%s from pool public", from->addr);
		g.ingress = ingress_text(&i, 1);
	} else {
		g.ingress = strdup("");
	}
	for (uint32_t p = 0; p < from->n_ports && g.fault[0] == '\0'; p++)
		if (from->ports[p].error != NULL) {
			snprintf(g.fault, sizeof(g.fault), "%s",
				 strrchr(from->ports[p].error, '/') + 1);
			snprintf(g.faults, sizeof(g.faults), "%u/%s: not supported",
				 from->ports[p].port,
				 ingress_protocol_name(from->ports[p].protocol));
		}
	if (from->code != NULL)
		snprintf(g.code, sizeof(g.code), "%s", from->code);
	if (from->reason != NULL)
		snprintf(g.reason, sizeof(g.reason), "%s", from->reason);
	return g;
}

// The watch shows this version of the object.
static inline void bed_show_object(struct bed *b, const char *name, const json_t *object,
				   const struct bed_grant *from, uint64_t generation) {
	struct aim_grant g = bed_grant(from);
	struct view v;

	if (view_decode(&v, object) < 0)
		abort();
	status_put(b->status, "shop", name, &v, &g, generation, &b->now);
}

static inline void bed_show(struct bed *b, const char *name, const struct bed_grant *from,
			    uint64_t generation) {
	bed_show_object(b, name, fake_api_get(&b->api, bed_path(name)), from, generation);
}

// --- what the server has ---

static inline const char *bed_ip(const struct bed *b, const char *name) {
	json_t *status = json_object_get(fake_api_get(&b->api, bed_path(name)), "status");
	json_t *list = json_object_get(json_object_get(status, "loadBalancer"), "ingress");
	const char *ip = json_string_value(json_object_get(json_array_get(list, 0), "ip"));

	return ip != NULL ? ip : "";
}

static inline bool bed_has_finalizer(const struct bed *b, const char *name) {
	json_t *metadata = json_object_get(fake_api_get(&b->api, bed_path(name)), "metadata");
	json_t *list = json_object_get(metadata, "finalizers"), *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (strcmp(json_string_value(item), VIEW_FINALIZER) == 0)
			return true;
	return false;
}

// "True Programmed", or "" where there is no such condition.
static inline const char *bed_condition(const struct bed *b, const char *name, const char *type) {
	static char text[4][100];
	static unsigned turn;
	json_t *status = json_object_get(fake_api_get(&b->api, bed_path(name)), "status"), *item;
	size_t i;

	turn = (turn + 1) % 4;
	text[turn][0] = '\0';
	json_array_foreach(json_object_get(status, "conditions"), i, item)
		if (strcmp(json_string_value(json_object_get(item, "type")), type) == 0)
			snprintf(text[turn], sizeof(text[turn]), "%s %s",
				 json_string_value(json_object_get(item, "status")),
				 json_string_value(json_object_get(item, "reason")));
	return text[turn];
}

static inline unsigned bed_events(const struct bed *b, const char *reason) {
	const char *path;
	json_t *object;
	unsigned n = 0;

	json_object_foreach(b->api.objects, path, object)
		if (strstr(path, "/events/") != NULL &&
		    strcmp(json_string_value(json_object_get(object, "reason")), reason) == 0)
			n++;
	return n;
}

#endif
