// SPDX-License-Identifier: Apache-2.0
// A second, naive translation: everything from scratch, by lists and nested loops, written after docs/kubernetes.md and not after lib/kube.
#ifndef TESTS_KUBE_ORACLE_H
#define TESTS_KUBE_ORACLE_H

#include "kube_case.h"
#include "model/model.h"

#define ORACLE_MAX 256

struct oracle_hold {
	struct ip_addr addr;
	int service; // index into services
};

struct oracle_place {
	struct ip_addr addr;
	uint16_t port;
	uint8_t protocol;
	int service;
};

struct oracle_entry { // a remembered address
	char name[64], pool[64];
	struct ip_addr addr;
};

struct oracle_verdict { // on a node, for "" or a Service
	char node[8], service[64];
	struct kube_health health;
};

struct oracle {
	const struct kube_settings *settings;
	struct oracle_verdict verdicts[ORACLE_MAX];
	int n_verdicts;
	enum kube_verdict judged[ORACLE_MAX];          // of the backends of the port at hand
	const struct kube_object *objects[ORACLE_MAX]; // the world
	int n_objects;
	const struct kube_object *services[ORACLE_MAX]; // by age
	int n_services;
	struct oracle_hold holds[ORACLE_MAX];
	int n_holds;
	struct oracle_place places[ORACLE_MAX * 8];
	int n_places;
	struct oracle_entry memory[ORACLE_MAX]; // stays from run to run
	int n_memory;
};

static inline bool oracle_is_one_of(const char *text, const char *a, const char *b, const char *c) {
	return text == NULL || strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

static inline bool oracle_serves(const struct kube_service *s) {
	return s->type != KUBE_EXTERNAL_NAME && !s->headless && !s->other_proxy &&
	       oracle_is_one_of(s->target, "pod", "node", "node") &&
	       oracle_is_one_of(s->forwarding, "dnat", "fullnat", "dsr") &&
	       oracle_is_one_of(s->scheduler, "maglev", "maglev", "maglev");
}

static inline bool oracle_asks(const struct oracle *w, const struct kube_service *s) {
	return s->type == KUBE_LOAD_BALANCER && !s->headless && !s->other_proxy &&
	       strcmp(s->lb_class ? s->lb_class : "",
		      w->settings->lb_class ? w->settings->lb_class : "") == 0;
}

static inline bool oracle_allowed(const struct oracle *w, const struct ip_addr *a) {
	for (uint32_t i = 0; i < w->settings->n_external_ips; i++)
		if (ip_prefix_contains(&w->settings->external_ips[i], a))
			return true;
	return false;
}

static inline bool oracle_own(const struct oracle *w, const struct ip_addr *a) {
	for (uint32_t i = 0; i < w->settings->n_reserved; i++)
		if (ip_addr_eq(&w->settings->reserved[i].addr, a))
			return true;
	for (uint32_t i = 0; i < w->settings->n_node_port_addresses; i++)
		if (ip_addr_eq(&w->settings->node_port_addresses[i], a))
			return true;
	return false;
}

static inline bool oracle_avoided(const struct oracle *w, const struct ip_addr *a) {
	for (int i = 0; i < w->n_services; i++) {
		const struct kube_service *s = &w->services[i]->service;

		for (uint32_t j = 0; j < s->n_external_ips; j++)
			if (ip_addr_eq(&s->external_ips[j], a) && oracle_allowed(w, a))
				return true;
		for (uint32_t j = 0; j < s->n_cluster_ips; j++)
			if (w->settings->cluster_ips && ip_addr_eq(&s->cluster_ips[j], a))
				return true;
	}
	return oracle_own(w, a);
}

static inline bool oracle_disjoint(const struct kube_service *a, const struct kube_service *b) {
	for (uint32_t i = 0; i < a->n_ports; i++)
		for (uint32_t j = 0; j < b->n_ports; j++)
			if (a->ports[i].port == b->ports[j].port &&
			    a->ports[i].protocol == b->ports[j].protocol)
				return false;
	return true;
}

static inline bool oracle_can_hold(const struct oracle *w, const struct ip_addr *a, int me) {
	const struct kube_service *s = &w->services[me]->service;

	for (int i = 0; i < w->n_holds; i++) {
		const struct kube_service *o = &w->services[w->holds[i].service]->service;

		if (!ip_addr_eq(&w->holds[i].addr, a) || w->holds[i].service == me)
			continue;
		if (s->sharing_key == NULL || o->sharing_key == NULL || s->sharing_key[0] == 0 ||
		    strcmp(s->sharing_key, o->sharing_key) != 0 || !oracle_disjoint(s, o))
			return false;
	}
	return true;
}

static inline bool oracle_holds(const struct oracle *w, const struct ip_addr *a, int me) {
	for (int i = 0; i < w->n_holds; i++)
		if (ip_addr_eq(&w->holds[i].addr, a) && (me < 0 || w->holds[i].service == me))
			return true;
	return false;
}

static inline void oracle_hold(struct oracle *w, const struct ip_addr *a, int me) {
	if (!oracle_holds(w, a, me))
		w->holds[w->n_holds++] = (struct oracle_hold){*a, me};
}

static inline bool oracle_names_family(const struct ip_addr *list, uint32_t n, uint8_t f) {
	for (uint32_t i = 0; i < n; i++)
		if (list[i].family == f)
			return true;
	return false;
}

// Families that get an automatic address; the test's pools are IPv4 and IPv6.
static inline int oracle_families(const struct kube_service *s, uint8_t out[2]) {
	uint8_t want[2] = {s->families[0], s->families[1]};
	int n = 0;

	if (s->bad_request || s->conflict)
		return 0;
	if (want[0] == 0) {
		if (s->n_status || s->n_requested)
			return 0;
		want[0] = s->n_cluster_ips ? s->cluster_ips[0].family : 4;
		if (s->n_cluster_ips > 1 && s->cluster_ips[1].family != want[0])
			want[1] = s->cluster_ips[1].family;
	}
	for (int i = 0; i < 2; i++)
		if (want[i] && !oracle_names_family(s->status, s->n_status, want[i]) &&
		    !oracle_names_family(s->requested, s->n_requested, want[i]))
			out[n++] = want[i];
	return n;
}

static inline bool oracle_in_pool(const struct oracle *w, const char *pool,
				  const struct ip_addr *a) {
	for (uint32_t i = 0; i < w->settings->n_pools; i++)
		for (uint32_t r = 0; r < w->settings->pools[i].n_ranges; r++)
			if ((pool == NULL || strcmp(pool, w->settings->pools[i].name) == 0) &&
			    ip_range_contains(&w->settings->pools[i].ranges[r], a))
				return true;
	return false;
}

static inline int oracle_remembered(const struct oracle *w, const char *name, uint8_t family) {
	for (int i = 0; i < w->n_memory; i++)
		if (strcmp(w->memory[i].name, name) == 0 && w->memory[i].addr.family == family)
			return i;
	return -1;
}

static inline void oracle_request(struct oracle *w, int me) {
	const struct kube_service *s = &w->services[me]->service;

	if (s->bad_request || s->conflict)
		return;
	for (uint32_t i = 0; i < s->n_requested; i++) {
		const struct ip_addr *a = &s->requested[i];

		if (oracle_names_family(s->status, s->n_status, a->family) ||
		    oracle_names_family(s->requested, i, a->family))
			continue;
		if (s->families[0] && a->family != s->families[0] && a->family != s->families[1])
			continue;
		if (oracle_in_pool(w, s->pool, a) && !oracle_own(w, a) && oracle_can_hold(w, a, me))
			oracle_hold(w, a, me);
	}
}

// The test's pools have their ranges in ascending order.
static inline bool oracle_pick(const struct oracle *w, int me, uint8_t family,
			       struct oracle_entry *out) {
	const struct kube_service *s = &w->services[me]->service;

	for (uint32_t p = 0; p < w->settings->n_pools; p++) {
		const struct ipam_pool *pool = &w->settings->pools[p];

		if (s->pool ? strcmp(s->pool, pool->name) != 0 : !pool->auto_assign)
			continue;
		for (uint32_t r = 0; r < pool->n_ranges; r++) {
			struct ip_addr a = pool->ranges[r].first, next;

			for (bool more = a.family == family; more; a = next) {
				bool ok = !oracle_avoided(w, &a) && oracle_can_hold(w, &a, me);

				if (ok) {
					snprintf(out->name, sizeof(out->name), "%s",
						 w->services[me]->meta.name);
					memcpy(out->pool, pool->name, sizeof(out->pool));
					out->addr = a;
					return true;
				}
				more = ip_addr_next(&next, &a) &&
				       ip_range_contains(&pool->ranges[r], &next);
			}
		}
	}
	return false;
}

static inline void oracle_grant_all(struct oracle *w) {
	struct oracle_entry kept[ORACLE_MAX];
	uint8_t f[2];
	int n = 0;

	w->n_holds = 0;
	for (int i = 0; i < w->n_services; i++) // 1: status
		for (uint32_t j = 0; oracle_asks(w, &w->services[i]->service) &&
				     j < w->services[i]->service.n_status;
		     j++) {
			const struct ip_addr *a = &w->services[i]->service.status[j];

			if (!oracle_own(w, a) && oracle_can_hold(w, a, i))
				oracle_hold(w, a, i);
		}
	for (int i = 0; i < w->n_services; i++) { // 2: memory
		const struct kube_service *s = &w->services[i]->service;
		int n_f = oracle_asks(w, s) ? oracle_families(s, f) : 0;

		for (int j = 0; j < n_f; j++) {
			int at = oracle_remembered(w, w->services[i]->meta.name, f[j]);
			const struct oracle_entry *e = at >= 0 ? &w->memory[at] : NULL;

			if (e == NULL || oracle_own(w, &e->addr) ||
			    !oracle_can_hold(w, &e->addr, i))
				continue;
			if (s->pool && strcmp(s->pool, e->pool) != 0 &&
			    !oracle_in_pool(w, s->pool, &e->addr))
				continue;
			oracle_hold(w, &e->addr, i);
			kept[n++] = *e;
		}
	}
	for (int i = 0; i < w->n_services; i++) // 3: requests
		if (oracle_asks(w, &w->services[i]->service))
			oracle_request(w, i);
	memcpy(w->memory, kept, n * sizeof(kept[0]));
	w->n_memory = n;
	for (int i = 0; i < w->n_services; i++) { // 4: pools
		int n_f = oracle_asks(w, &w->services[i]->service)
				  ? oracle_families(&w->services[i]->service, f)
				  : 0;

		for (int j = 0; j < n_f; j++) {
			struct oracle_entry e;

			if (oracle_remembered(w, w->services[i]->meta.name, f[j]) >= 0 ||
			    !oracle_pick(w, i, f[j], &e))
				continue;
			oracle_hold(w, &e.addr, i);
			w->memory[w->n_memory++] = e;
		}
	}
}

static inline void oracle_frontend(struct oracle *w, struct model_service *out, int me,
				   const struct ip_addr *a, uint16_t port, int kind) {
	for (int i = 0; i < w->n_places; i++) {
		const struct oracle_place *p = &w->places[i];

		if (ip_addr_eq(&p->addr, a) && p->port == port &&
		    p->protocol == out->key.protocol) {
			if (p->service != me)
				return;
			break;
		}
	}
	w->places[w->n_places++] = (struct oracle_place){*a, port, (uint8_t)out->key.protocol, me};
	for (uint32_t i = 0; i < out->n_frontends; i++)
		if (ip_addr_eq(&out->frontends[i].addr, a) && out->frontends[i].port == port)
			return;
	out->frontends[out->n_frontends++] = (struct model_frontend){*a, port, kind};
}

static inline bool oracle_is_node(const struct oracle *w, const struct kube_service *s) {
	return s->target ? strcmp(s->target, "node") == 0 : w->settings->target == KUBE_TARGET_NODE;
}

static inline void oracle_frontends(struct oracle *w, struct model_service *out, int me,
				    const struct kube_service_port *p) {
	const struct kube_service *s = &w->services[me]->service;
	bool four = false, six = false;

	if (!oracle_serves(s) || p->protocol == MODEL_SCTP ||
	    (oracle_is_node(w, s) && out->mode != MODEL_DSR && p->node_port == 0))
		return;
	for (int i = 0; i < w->n_holds; i++)
		if (w->holds[i].service == me)
			*(w->holds[i].addr.family == 4 ? &four : &six) = true;
	for (int i = 0; i < w->n_holds; i++)
		if (w->holds[i].service == me &&
		    (s->family_policy != KUBE_REQUIRE_DUAL_STACK || (four && six)))
			oracle_frontend(w, out, me, &w->holds[i].addr, p->port,
					MODEL_LOAD_BALANCER);
	for (uint32_t i = 0; i < w->settings->n_node_port_addresses; i++)
		if ((s->type == KUBE_NODE_PORT || s->type == KUBE_LOAD_BALANCER) && p->node_port &&
		    out->mode != MODEL_DSR)
			oracle_frontend(w, out, me, &w->settings->node_port_addresses[i],
					p->node_port, MODEL_NODE_PORT);
	for (uint32_t i = 0; i < s->n_external_ips; i++)
		if (oracle_allowed(w, &s->external_ips[i]) && !oracle_own(w, &s->external_ips[i]))
			oracle_frontend(w, out, me, &s->external_ips[i], p->port,
					MODEL_EXTERNAL_IP);
	for (uint32_t i = 0; w->settings->cluster_ips && i < s->n_cluster_ips; i++)
		oracle_frontend(w, out, me, &s->cluster_ips[i], p->port, MODEL_CLUSTER_IP);
}

struct oracle_endpoint {
	struct ip_addr addr;
	uint16_t port;
	int class; // 0 ready, 1 terminating and serving, 2 not ready, 3 not serving
	const char *node;
};

static inline void oracle_add(struct oracle_endpoint *list, int *n, const struct kube_endpoint *e,
			      uint16_t port) {
	struct oracle_endpoint one = {e->addr, port,
				      e->ready          ? 0
				      : !e->terminating ? 2
				      : e->serving      ? 1
							: 3,
				      e->node};

	for (int i = 0; i < *n; i++)
		if (ip_addr_eq(&list[i].addr, &one.addr) && list[i].port == port) {
			if (one.class < list[i].class ||
			    (one.class == list[i].class && strcmp(one.node, list[i].node) > 0))
				list[i] = one;
			return;
		}
	list[(*n)++] = one;
}

static inline int oracle_endpoints(const struct oracle *w, const struct kube_object *service,
				   const struct kube_service_port *p, uint16_t fixed_port,
				   struct oracle_endpoint *list) {
	enum kube_kind kind = KUBE_ENDPOINTS;
	int n = 0;

	for (int i = 0; i < w->n_objects; i++)
		if (w->objects[i]->meta.kind == KUBE_SLICE &&
		    strcmp(w->objects[i]->endpoints.service, service->meta.name) == 0)
			kind = KUBE_SLICE;
	for (int i = 0; i < w->n_objects; i++) {
		const struct kube_object *o = w->objects[i];

		if (o->meta.kind != kind || strcmp(o->endpoints.service, service->meta.name) != 0)
			continue;
		for (uint32_t g = 0; g < o->endpoints.n_groups; g++) {
			const struct kube_group *group = &o->endpoints.groups[g];

			for (uint32_t q = 0; q < group->n_ports; q++)
				for (uint32_t e = 0; e < group->n_endpoints; e++)
					if (strcmp(group->ports[q].name, p->name) == 0 &&
					    group->ports[q].protocol == p->protocol)
						oracle_add(list, &n, &group->endpoints[e],
							   fixed_port ? fixed_port
								      : group->ports[q].port);
		}
	}
	return n;
}

static inline void oracle_backend(struct model_service *out, const struct ip_addr *a, uint16_t port,
				  int class, uint32_t weight, const char *reason) {
	struct model_backend *b = &out->backends[out->n_backends];
	bool wanted = false;

	for (uint32_t i = 0; i < out->n_frontends; i++)
		wanted |= out->frontends[i].addr.family == a->family;
	if (!wanted)
		return;
	*b = (struct model_backend){.addr = *a, .port = port, .weight = weight};
	b->state = class == 0 ? MODEL_READY : class == 1 ? MODEL_DRAINING : MODEL_UNUSABLE;
	strcpy(b->reason, reason);
	out->n_backends++;
}

static inline void oracle_pods(const struct oracle *w, struct model_service *out,
			       const struct kube_object *o, const struct kube_service_port *p) {
	static const char *const reasons[] = {"", "terminating", "not-ready", "not-serving"};
	struct oracle_endpoint list[ORACLE_MAX];
	int n = oracle_endpoints(w, o, p, out->mode == MODEL_DSR ? p->port : 0, list);

	for (int i = 0; i < n; i++)
		oracle_backend(out, &list[i].addr, list[i].port, list[i].class, 1,
			       reasons[list[i].class]);
}

static inline struct kube_health oracle_health(const struct oracle *w, const char *node,
					       const struct kube_object *o) {
	const char *service = o->service.local && o->service.health_check_node_port > 0
				      ? o->meta.name
				      : "";

	for (int i = 0; i < w->n_verdicts; i++)
		if (strcmp(w->verdicts[i].node, node) == 0 &&
		    strcmp(w->verdicts[i].service, service) == 0)
			return w->verdicts[i].health;
	return (struct kube_health){KUBE_UNASKED, 0};
}

static inline void oracle_nodes(struct oracle *w, struct model_service *out,
				const struct kube_object *o, const struct kube_service_port *p) {
	uint16_t port = out->mode == MODEL_DSR ? p->port : p->node_port;
	struct oracle_endpoint list[ORACLE_MAX];
	int n = oracle_endpoints(w, o, p, 0, list);

	for (int i = 0; i < w->n_objects; i++)
		for (int f = 0; f < 2 && w->objects[i]->meta.kind == KUBE_NODE; f++) {
			const struct kube_node *node = &w->objects[i]->node;
			const struct ip_addr *a = &node->internal[f];
			struct kube_health h = oracle_health(w, w->objects[i]->meta.name, o);
			uint32_t ready = 0, terminating = 0, weight = 1;

			if (a->family == 0)
				continue;
			if (node->excluded) {
				oracle_backend(out, a, port, 2, 1, "node-excluded");
				continue;
			}
			for (int e = 0; e < n; e++)
				if (list[e].addr.family == a->family &&
				    strcmp(list[e].node, w->objects[i]->meta.name) == 0) {
					ready += list[e].class == 0;
					terminating += list[e].class == 1;
				}
			if (o->service.local)
				weight = ready ? ready : terminating;
			if (weight > 0 && o->service.local && h.verdict == KUBE_UP && h.weight > 0)
				weight = h.weight;
			w->judged[out->n_backends] = h.verdict;
			if (weight > 0)
				oracle_backend(out, a, port, node->draining, weight,
					       node->draining ? "node-draining" : "");
		}
}

static inline void oracle_mark_usable(struct model_service *out) {
	for (uint32_t i = 0; i < out->n_backends; i++) {
		struct model_backend *b = &out->backends[i];
		bool any = false;

		for (uint32_t j = 0; j < out->n_backends; j++)
			any |= out->backends[j].addr.family == b->addr.family &&
			       out->backends[j].state == MODEL_READY;
		b->usable = b->state == MODEL_READY || (b->state == MODEL_DRAINING && !any);
	}
}

// What probes say about those that are usable so far, and what becomes of it.
static inline void oracle_judge(const struct oracle *w, struct model_service *out) {
	bool believed[2] = {false, false};

	for (uint32_t i = 0; i < out->n_backends; i++)
		believed[out->backends[i].addr.family == 6] |= out->backends[i].usable &&
							       w->judged[i] != KUBE_DOWN;
	for (uint32_t i = 0; i < out->n_backends; i++) {
		struct model_backend *b = &out->backends[i];

		if (b->state == MODEL_READY && w->judged[i] == KUBE_UNKNOWN)
			strcpy(b->reason, "node-probe-unknown");
		if (!b->usable || w->judged[i] != KUBE_DOWN)
			continue;
		if (!believed[b->addr.family == 6]) {
			strcpy(b->reason, "node-down-disbelieved");
			continue;
		}
		b->state = MODEL_DRAINING;
		b->usable = 0;
		strcpy(b->reason, "node-down");
	}
}

static inline void oracle_port(struct oracle *w, struct model *m, int me, uint32_t row) {
	const struct kube_object *o = w->services[me];
	const struct kube_service *s = &o->service;
	struct model_frontend frontends[64];
	struct model_backend backends[ORACLE_MAX];
	struct model_service out = {.frontends = frontends,
				    .backends = backends,
				    .key = {.protocol = MODEL_TCP}};

	out.mode = !s->forwarding || !oracle_serves(s)  ? w->settings->forwarding
		   : strcmp(s->forwarding, "dsr") == 0  ? MODEL_DSR
		   : strcmp(s->forwarding, "dnat") == 0 ? MODEL_DNAT
							: MODEL_FULLNAT;
	strcpy(out.key.ns, o->meta.ns);
	strcpy(out.key.name, o->meta.name);
	strcpy(out.uid, o->meta.uid);
	out.reject = w->settings->reject;
	out.affinity_timeout = s->affinity_timeout;
	out.restricted = s->restricted;
	if (s->n_ports > 0) {
		out.key.port = s->ports[row].port;
		out.key.protocol = s->ports[row].protocol;
		strcpy(out.port_name, s->ports[row].name);
		out.source_ranges = (struct ip_prefix *)s->ranges;
		out.n_source_ranges = s->n_ranges;
		oracle_frontends(w, &out, me, &s->ports[row]);
		if (out.n_frontends > 0 && oracle_is_node(w, s))
			oracle_nodes(w, &out, o, &s->ports[row]);
		else if (out.n_frontends > 0)
			oracle_pods(w, &out, o, &s->ports[row]);
		oracle_mark_usable(&out);
		if (oracle_is_node(w, s))
			oracle_judge(w, &out);
	}
	assert_true(model_put(m, &out) >= 0);
}

static inline int oracle_age(const void *x, const void *y) {
	return kube_object_age_cmp(*(const struct kube_object *const *)x,
				   *(const struct kube_object *const *)y);
}

// Translate the world into an empty model.
static inline void oracle_run(struct oracle *w, struct model *m) {
	w->n_services = w->n_places = 0;
	for (int i = 0; i < w->n_objects; i++)
		if (w->objects[i]->meta.kind == KUBE_SERVICE)
			w->services[w->n_services++] = w->objects[i];
	qsort(w->services, w->n_services, sizeof(w->services[0]), oracle_age);
	oracle_grant_all(w);
	for (int i = 0; i < w->n_services; i++)
		for (uint32_t row = 0; row < w->services[i]->service.n_ports || row == 0; row++)
			oracle_port(w, m, i, row);
}

#endif
