// SPDX-License-Identifier: Apache-2.0
// A second, naive translation, by lists and nested loops, written after docs/kubernetes.md and not after lib/kube. Who has which address, and who
// waits since when, it keeps from run to run, as the law wants; everything else it makes from scratch.
#ifndef TESTS_KUBE_ORACLE_H
#define TESTS_KUBE_ORACLE_H

#include "kube_case.h"
#include "model/model.h"

#define ORACLE_MAX 256

enum oracle_origin { ORACLE_GIVEN, ORACLE_STATUS, ORACLE_REQUESTED };

struct oracle_hold {
	char name[64], pool[64];
	struct ip_addr addr;
	enum oracle_origin origin;
};

struct oracle_place {
	struct ip_addr addr;
	uint16_t port;
	uint8_t protocol;
	int service;
};

struct oracle_seen { // a Service as the last run saw it
	char name[64], uid[64];
	bool waits;
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
	bool changed[ORACLE_MAX]; // services[i]'s object, since the last run
	// Kept from run to run.
	struct oracle_hold holds[ORACLE_MAX];
	int n_holds;
	struct oracle_hold before[ORACLE_MAX]; // given automatically, at the end of the last run
	int n_before;
	struct oracle_seen seen[ORACLE_MAX]; // waiting ones in order of arrival
	int n_seen;
	char touched[ORACLE_MAX][64]; // names of changed Services, by the test
	int n_touched;
	struct oracle_place places[ORACLE_MAX * 8];
	int n_places;
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

static inline int oracle_index(const struct oracle *w, const char *name) {
	for (int i = 0; i < w->n_services; i++)
		if (strcmp(w->services[i]->meta.name, name) == 0)
			return i;
	return -1;
}

static inline bool oracle_is(const struct oracle *w, const struct oracle_hold *h, int me) {
	return strcmp(h->name, w->services[me]->meta.name) == 0;
}

static inline bool oracle_can_hold(const struct oracle *w, const struct ip_addr *a, int me) {
	const struct kube_service *s = &w->services[me]->service;

	for (int i = 0; i < w->n_holds; i++) {
		int other = oracle_index(w, w->holds[i].name);
		const struct kube_service *o;

		if (!ip_addr_eq(&w->holds[i].addr, a) || other == me || other < 0)
			continue;
		o = &w->services[other]->service;
		if (s->sharing_key == NULL || o->sharing_key == NULL || s->sharing_key[0] == 0 ||
		    strcmp(s->sharing_key, o->sharing_key) != 0 || !oracle_disjoint(s, o))
			return false;
	}
	return true;
}

static inline struct oracle_hold *oracle_held(struct oracle *w, const struct ip_addr *a, int me) {
	for (int i = 0; i < w->n_holds; i++)
		if (ip_addr_eq(&w->holds[i].addr, a) && oracle_is(w, &w->holds[i], me))
			return &w->holds[i];
	return NULL;
}

static inline struct oracle_hold *oracle_held_of(struct oracle *w, uint8_t family, int me) {
	for (int i = 0; i < w->n_holds; i++)
		if (w->holds[i].addr.family == family && oracle_is(w, &w->holds[i], me))
			return &w->holds[i];
	return NULL;
}

static inline void oracle_hold(struct oracle *w, const struct ip_addr *a, int me,
			       enum oracle_origin origin, const char *pool) {
	struct oracle_hold *h = oracle_held(w, a, me);

	if (h == NULL) {
		h = &w->holds[w->n_holds++];
		memset(h, 0, sizeof(*h));
		strcpy(h->name, w->services[me]->meta.name);
		strcpy(h->pool, pool);
		h->addr = *a;
	}
	h->origin = origin;
}

// Of a named address: those of its family go that were not named like it.
static inline void oracle_replace(struct oracle *w, const struct ip_addr *by, int me,
				  enum oracle_origin origin) {
	int n = 0;

	for (int i = 0; i < w->n_holds; i++) {
		const struct oracle_hold *h = &w->holds[i];
		bool stays = !oracle_is(w, h, me) || h->addr.family != by->family ||
			     ip_addr_eq(&h->addr, by) ||
			     (origin == ORACLE_STATUS && h->origin == ORACLE_STATUS);

		if (stays)
			w->holds[n++] = *h;
	}
	w->n_holds = n;
}

static inline bool oracle_names_family(const struct ip_addr *list, uint32_t n, uint8_t f) {
	for (uint32_t i = 0; i < n; i++)
		if (list[i].family == f)
			return true;
	return false;
}

// Families that the Service is about; none: whatever is named. The test's pools are IPv4 and IPv6.
static inline void oracle_families(const struct kube_service *s, uint8_t out[2]) {
	memcpy(out, s->families, 2);
	if (out[0] != 0 || s->n_status || s->n_requested)
		return;
	out[0] = s->n_cluster_ips ? s->cluster_ips[0].family : 4;
	if (s->n_cluster_ips > 1 && s->cluster_ips[1].family != out[0])
		out[1] = s->cluster_ips[1].family;
}

// No automatic address for that family: one is named, or nobody knows what is wanted.
static inline bool oracle_is_named(const struct kube_service *s, uint8_t f) {
	return s->bad_request || s->conflict || oracle_names_family(s->status, s->n_status, f) ||
	       oracle_names_family(s->requested, s->n_requested, f);
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

static inline const char *oracle_pool_of(const struct oracle *w, const struct ip_addr *a) {
	for (uint32_t i = 0; i < w->settings->n_pools; i++)
		if (oracle_in_pool(w, w->settings->pools[i].name, a))
			return w->settings->pools[i].name;
	return "";
}

// The test's pools have their ranges in ascending order.
static inline bool oracle_pick(const struct oracle *w, int me, uint8_t family, struct ip_addr *out,
			       const char **from) {
	const struct kube_service *s = &w->services[me]->service;

	for (uint32_t p = 0; p < w->settings->n_pools; p++) {
		const struct ipam_pool *pool = &w->settings->pools[p];

		if (s->pool ? strcmp(s->pool, pool->name) != 0 : !pool->auto_assign)
			continue;
		for (uint32_t r = 0; r < pool->n_ranges; r++) {
			struct ip_addr a = pool->ranges[r].first, next;

			for (bool more = a.family == family; more; a = next) {
				if (!oracle_avoided(w, &a) && oracle_can_hold(w, &a, me)) {
					*from = pool->name;
					*out = a;
					return true;
				}
				more = ip_addr_next(&next, &a) &&
				       ip_range_contains(&pool->ranges[r], &next);
			}
		}
	}
	return false;
}

static inline struct oracle_seen *oracle_find_seen(struct oracle *w, const char *name) {
	for (int i = 0; i < w->n_seen; i++)
		if (strcmp(w->seen[i].name, name) == 0)
			return &w->seen[i];
	return NULL;
}

// A right to an address ends with the wish for its family, with the status that named it, with a neighbour that can't be borne any more.
static inline bool oracle_is_due(struct oracle *w, const struct oracle_hold *h, int me) {
	const struct kube_service *s = &w->services[me]->service;
	uint8_t f[2];

	oracle_families(s, f);
	if (h->origin != ORACLE_STATUS && f[0] != 0 && h->addr.family != f[0] &&
	    h->addr.family != f[1])
		return false;
	if (h->origin == ORACLE_STATUS) {
		bool named = false;

		for (uint32_t i = 0; i < s->n_status; i++)
			named |= ip_addr_eq(&s->status[i], &h->addr);
		if (!named)
			return false;
	}
	return oracle_can_hold(w, &h->addr, me);
}

static inline void oracle_drop(struct oracle *w, int at) {
	memmove(&w->holds[at], &w->holds[at + 1], (w->n_holds - at - 1) * sizeof(w->holds[0]));
	w->n_holds--;
}

static inline void oracle_let_go(struct oracle *w) {
	for (int i = w->n_holds - 1; i >= 0; i--) {
		int me = oracle_index(w, w->holds[i].name);
		const struct oracle_seen *seen = oracle_find_seen(w, w->holds[i].name);

		if (me < 0 || !oracle_asks(w, &w->services[me]->service) || seen == NULL ||
		    strcmp(seen->uid, w->services[me]->meta.uid) != 0)
			oracle_drop(w, i);
	}
	for (int me = w->n_services - 1; me >= 0; me--)
		for (int i = w->n_holds - 1; i >= 0 && w->changed[me]; i--)
			if (oracle_is(w, &w->holds[i], me) && !oracle_is_due(w, &w->holds[i], me))
				oracle_drop(w, i);
}

// Whether the address can be had by name; the Service has it then.
static inline bool oracle_name(struct oracle *w, const struct ip_addr *a, int me,
			       enum oracle_origin origin) {
	if (oracle_held(w, a, me) == NULL && (oracle_own(w, a) || !oracle_can_hold(w, a, me)))
		return false;
	oracle_hold(w, a, me, origin, oracle_pool_of(w, a));
	oracle_replace(w, a, me, origin);
	return true;
}

static inline bool oracle_status(struct oracle *w, int me) {
	const struct kube_service *s = &w->services[me]->service;
	bool all = true;

	for (uint32_t i = 0; i < s->n_status; i++)
		all &= oracle_name(w, &s->status[i], me, ORACLE_STATUS);
	return all;
}

static inline bool oracle_remembered(struct oracle *w, int me) {
	const struct kube_service *s = &w->services[me]->service;
	uint8_t f[2];

	oracle_families(s, f);
	for (int j = 0; j < 2; j++)
		for (int i = 0; f[j] && i < w->n_before; i++) {
			const struct oracle_hold *e = &w->before[i];

			if (!oracle_is(w, e, me) || e->addr.family != f[j] ||
			    oracle_is_named(s, f[j]) || oracle_held_of(w, f[j], me) ||
			    oracle_own(w, &e->addr) || !oracle_can_hold(w, &e->addr, me))
				continue;
			if (s->pool && strcmp(s->pool, e->pool) != 0 &&
			    !oracle_in_pool(w, s->pool, &e->addr))
				continue;
			oracle_hold(w, &e->addr, me, ORACLE_GIVEN, e->pool);
		}
	return true;
}

static inline bool oracle_request(struct oracle *w, int me) {
	const struct kube_service *s = &w->services[me]->service;
	bool all = true;

	if (s->bad_request || s->conflict)
		return false;
	for (uint32_t i = 0; i < s->n_requested; i++) {
		const struct ip_addr *a = &s->requested[i];
		bool fault = oracle_names_family(s->requested, i, a->family) ||
			     (s->families[0] && a->family != s->families[0] &&
			      a->family != s->families[1]) ||
			     !oracle_in_pool(w, s->pool, a);

		if (oracle_names_family(s->status, s->n_status, a->family) ||
		    (fault && oracle_held(w, a, me)))
			continue;
		all &= !fault && oracle_name(w, a, me, ORACLE_REQUESTED);
	}
	return all;
}

// A Service that names another pool moves once that one has an address.
static inline bool oracle_automatic(struct oracle *w, int me) {
	const struct kube_service *s = &w->services[me]->service;
	bool all = true;
	uint8_t f[2];

	oracle_families(s, f);
	for (int j = 0; j < 2; j++) {
		const struct oracle_hold *held = oracle_held_of(w, f[j], me);
		const char *pool;
		struct ip_addr a;

		if (f[j] == 0 || oracle_is_named(s, f[j]))
			continue;
		if (held != NULL &&
		    (s->pool == NULL || held->pool[0] == 0 || strcmp(s->pool, held->pool) == 0 ||
		     oracle_in_pool(w, s->pool, &held->addr)))
			continue;
		if (!oracle_pick(w, me, f[j], &a, &pool)) {
			all = false;
			continue;
		}
		oracle_hold(w, &a, me, ORACLE_GIVEN, pool);
		oracle_replace(w, &a, me, ORACLE_GIVEN);
	}
	if (s->family_policy == KUBE_REQUIRE_DUAL_STACK &&
	    (oracle_held_of(w, 4, me) == NULL) != (oracle_held_of(w, 6, me) == NULL))
		all = false;
	return all;
}

// One after the other over the list, pass by pass; then who lacks something waits, at the end of the queue if he did not yet.
static inline void oracle_passes(struct oracle *w, const int *list, int n) {
	static bool (*const passes[])(struct oracle *, int) = {oracle_status, oracle_remembered,
							       oracle_request, oracle_automatic};
	bool all[ORACLE_MAX];

	memset(all, 1, sizeof(all));
	for (int p = 0; p < 4; p++)
		for (int i = 0; i < n; i++)
			all[i] &= passes[p](w, list[i]);
	for (int i = 0; i < n; i++) {
		struct oracle_seen *s = oracle_find_seen(w, w->services[list[i]]->meta.name), seen;

		if (s->waits == !all[i])
			continue;
		seen = *s;
		seen.waits = !all[i];
		memmove(s, s + 1, (&w->seen[w->n_seen] - s - 1) * sizeof(*s));
		w->seen[w->n_seen - 1] = seen;
	}
}

static inline void oracle_meet(struct oracle *w) {
	for (int i = w->n_seen - 1; i >= 0; i--)
		if (oracle_index(w, w->seen[i].name) < 0) {
			memmove(&w->seen[i], &w->seen[i + 1],
				(w->n_seen - i - 1) * sizeof(w->seen[0]));
			w->n_seen--;
		}
	for (int i = 0; i < w->n_services; i++) {
		struct oracle_seen *s = oracle_find_seen(w, w->services[i]->meta.name);

		if (s == NULL) {
			s = &w->seen[w->n_seen++];
			memset(s, 0, sizeof(*s));
			strcpy(s->name, w->services[i]->meta.name);
		}
		strcpy(s->uid, w->services[i]->meta.uid);
		s->waits &= oracle_asks(w, &w->services[i]->service);
	}
}

static inline void oracle_grant_all(struct oracle *w) {
	int list[ORACLE_MAX], n;

	memset(w->changed, 0, sizeof(w->changed));
	for (int i = 0; i < w->n_touched; i++)
		if (oracle_index(w, w->touched[i]) >= 0)
			w->changed[oracle_index(w, w->touched[i])] = true;
	w->n_touched = 0;
	oracle_let_go(w);
	oracle_meet(w);
	for (int round = 0; round < 4; round++) {
		n = 0;
		for (int i = 0; i < w->n_seen; i++)
			if (w->seen[i].waits)
				list[n++] = oracle_index(w, w->seen[i].name);
		for (int i = 0; i < w->n_services && round == 0; i++)
			if (w->changed[i] && oracle_asks(w, &w->services[i]->service) &&
			    !oracle_find_seen(w, w->services[i]->meta.name)->waits)
				list[n++] = i;
		oracle_passes(w, list, n);
	}
	w->n_before = 0;
	for (int i = 0; i < w->n_holds; i++)
		if (w->holds[i].origin == ORACLE_GIVEN)
			w->before[w->n_before++] = w->holds[i];
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
		if (oracle_is(w, &w->holds[i], me))
			*(w->holds[i].addr.family == 4 ? &four : &six) = true;
	for (int i = 0; i < w->n_holds; i++)
		if (oracle_is(w, &w->holds[i], me) &&
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
