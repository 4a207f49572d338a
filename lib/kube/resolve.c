// SPDX-License-Identifier: Apache-2.0
// The plan of every Service: how it is carried, where it accepts traffic, or why it does not.
#include "kube/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/pick.h"

#define LATER "not supported by this version: "

void kube_plan_fini(struct kube_plan *p) {
	for (uint32_t i = 0; i < p->n_ports; i++)
		free(p->ports[i].frontends);
	free(p->ports);
	memset(p, 0, sizeof(*p));
}

bool kube_plan_equal(const struct kube_plan *a, const struct kube_plan *b) {
	if (a->target != b->target || a->mode != b->mode || a->n_ports != b->n_ports ||
	    strcmp(a->reason, b->reason) != 0)
		return false;
	for (uint32_t i = 0; i < a->n_ports; i++) {
		const struct kube_plan_port *p = &a->ports[i], *q = &b->ports[i];

		if (p->n_frontends != q->n_frontends || strcmp(p->reason, q->reason) != 0 ||
		    (p->n_frontends > 0 && memcmp(p->frontends, q->frontends,
						  p->n_frontends * sizeof(*p->frontends)) != 0))
			return false;
	}
	return true;
}

// An annotation's value among those of today (their index) or of later; else the Service gets a reason. -1: not served.
static int choose(struct kube_plan *p, const char *name, const char *value,
		  const char *const *today, const char *const *later, int otherwise) {
	if (value == NULL)
		return otherwise;
	for (int i = 0; today[i] != NULL; i++)
		if (strcmp(value, today[i]) == 0)
			return i;
	for (int i = 0; later[i] != NULL; i++)
		if (strcmp(value, later[i]) == 0) {
			pick_reason(p->reason, LATER "annotation sluice.dev/%s: %s", name, value);
			return -1;
		}
	pick_reason(p->reason, "annotation sluice.dev/%s: unknown value \"%.40s\"", name, value);
	return -1;
}

// How the Service is carried. False: not at all, and the plan's reason says why.
static bool choose_carriage(struct kube_plan *p, const struct kube_service *s,
			    const struct kube_settings *settings) {
	static const char *const none[] = {NULL}, *const targets[] = {"pod", "node", NULL};
	static const char *const modes[] = {"fullnat", "dnat", "dsr", NULL},
				 *const later_modes[] = {"ipip", "gue", NULL};
	static const char *const schedulers[] = {"maglev", NULL};
	static const char *const later_schedulers[] = {"rr", "wrr", "lc", "wlc", "sed",
						       "nq", "sh",  "dh", NULL};
	int target, mode, scheduler;

	p->target = settings->target;
	p->mode = settings->forwarding;
	if (s->type == KUBE_EXTERNAL_NAME)
		pick_reason(p->reason, "type ExternalName is not served");
	else if (s->headless)
		pick_reason(p->reason, "headless Services are not served");
	else if (s->other_proxy)
		pick_reason(
			p->reason,
			"label service.kubernetes.io/service-proxy-name gives it to another proxy");
	if (p->reason[0] != 0)
		return false;
	target = choose(p, "target", s->target, targets, none, settings->target);
	mode = choose(p, "forwarding", s->forwarding, modes, later_modes, settings->forwarding);
	scheduler = choose(p, "scheduler", s->scheduler, schedulers, later_schedulers,
			   MODEL_MAGLEV);
	if (target < 0 || mode < 0 || scheduler < 0)
		return false;
	p->target = (enum kube_target)target;
	p->mode = (enum model_mode)mode;
	return true;
}

static bool class_is_ours(const struct kube_service *s, const struct kube_settings *settings) {
	const char *ours = settings->lb_class != NULL ? settings->lb_class : "";

	return strcmp(s->lb_class != NULL ? s->lb_class : "", ours) == 0;
}

static bool is_allowed_external(const struct kube_settings *s, const struct ip_addr *a) {
	for (uint32_t i = 0; i < s->n_external_ips; i++)
		if (ip_prefix_contains(&s->external_ips[i], a))
			return true;
	return false;
}

// Keep from automatic choice what is the appliance's own or named by a Service in another way.
static int avoid_named(struct claims *c, const struct kube_service *s,
		       const struct kube_settings *settings) {
	int ret = 0;

	for (uint32_t i = 0; i < s->n_external_ips && ret == 0; i++)
		if (is_allowed_external(settings, &s->external_ips[i]))
			ret = claims_avoid(c, &s->external_ips[i], NULL);
	for (uint32_t i = 0; i < s->n_cluster_ips && settings->cluster_ips && ret == 0; i++)
		ret = claims_avoid(c, &s->cluster_ips[i], NULL);
	return ret;
}

static int avoid_own(struct claims *c, const struct kube_settings *s) {
	int ret = 0;

	for (uint32_t i = 0; i < s->n_reserved && ret == 0; i++)
		ret = claims_avoid(c, &s->reserved[i].addr, s->reserved[i].what);
	for (uint32_t i = 0; i < s->n_node_port_addresses && ret == 0; i++)
		ret = claims_avoid(c, &s->node_port_addresses[i], "services.nodePortAddresses");
	return ret;
}

struct finder {
	const struct kube_settings *settings;
	struct claims *claims;
	const struct pick *pick;
	struct kube_plan_port *out;
	const struct kube_service_port *port;
};

static int add_frontend(struct finder *f, const struct ip_addr *a, uint16_t port,
			enum model_frontend_kind kind) {
	const struct kube_object *other;
	char text[IP_ADDR_STR + 8];
	int ret = claims_port(f->claims, a, port, f->port->protocol, f->pick->o, &other);

	if (ret < 0)
		return ret;
	if (other != NULL) {
		pick_reason(f->out->reason, "%s/%s is in use by %s/%s",
			    ip_port_format(a, port, text), model_protocol_name(f->port->protocol),
			    other->meta.ns, other->meta.name);
		return 0;
	}
	for (uint32_t i = 0; i < f->out->n_frontends; i++)
		if (ip_addr_eq(&f->out->frontends[i].addr, a) && f->out->frontends[i].port == port)
			return 0;
	f->out->frontends[f->out->n_frontends++] = (struct model_frontend){.addr = *a,
									   .port = port,
									   .kind = kind};
	return 0;
}

// Addresses that the Service names beside those of the load balancer: external and cluster IPs.
static int add_named(struct finder *f, const struct ip_addr *list, uint32_t n,
		     enum model_frontend_kind kind) {
	int ret = 0;

	for (uint32_t i = 0; i < n && ret == 0; i++) {
		const char *own = claims_reserved(f->claims, &list[i]);
		char text[IP_ADDR_STR];

		ip_addr_format(&list[i], text);
		if (kind == MODEL_EXTERNAL_IP && !is_allowed_external(f->settings, &list[i]))
			pick_reason(f->out->reason,
				    "external IP %s is outside services.externalIPs", text);
		else if (own != NULL)
			pick_reason(f->out->reason, "address %s is the appliance's own (%s)", text,
				    own);
		else if (!ip_addr_is_usable(&list[i]))
			pick_reason(f->out->reason, "address %s can't be served", text);
		else
			ret = add_frontend(f, &list[i], f->port->port, kind);
	}
	return ret;
}

static int add_node_ports(struct finder *f) {
	const struct kube_service *s = &f->pick->o->service;
	int ret = 0;

	if (s->type != KUBE_NODE_PORT && s->type != KUBE_LOAD_BALANCER)
		return 0;
	if (f->port->node_port == 0 || f->pick->plan->mode == MODEL_DSR)
		return 0;
	for (uint32_t i = 0; i < f->settings->n_node_port_addresses && ret == 0; i++)
		ret = add_frontend(f, &f->settings->node_port_addresses[i], f->port->node_port,
				   MODEL_NODE_PORT);
	return ret;
}

// Why nothing was asked for at all.
static const char *nothing_asked(const struct finder *f) {
	const struct kube_service *s = &f->pick->o->service;

	if (s->type == KUBE_CLUSTER_IP)
		return f->settings->cluster_ips ? "it has no cluster IP"
						: "type ClusterIP is not served";
	if (f->pick->plan->mode == MODEL_DSR)
		return "node ports are not served in dsr";
	if (f->settings->n_node_port_addresses == 0)
		return "services.nodePortAddresses is empty";
	return "it has no nodePort";
}

static int frontend_cmp(const void *x, const void *y) {
	const struct model_frontend *a = x, *b = y;
	int c = ip_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : (a->port > b->port) - (a->port < b->port);
}

// Why this one port can't be served, whatever its addresses; NULL: it can.
static const char *port_fault(const struct finder *f) {
	if (f->port->protocol == MODEL_SCTP)
		return LATER "protocol SCTP";
	if (f->pick->plan->target == KUBE_TARGET_NODE && f->pick->plan->mode != MODEL_DSR &&
	    f->port->node_port == 0)
		return "needs nodePort: target is node and the port has none";
	return NULL;
}

static int find_frontends(struct finder *f) {
	const struct kube_service *s = &f->pick->o->service;
	uint32_t room = f->pick->n_granted + f->settings->n_node_port_addresses +
			s->n_external_ips + s->n_cluster_ips;
	const char *fault = port_fault(f);
	int ret = 0;

	if (fault != NULL) {
		pick_reason(f->out->reason, "%s", fault);
		return 0;
	}
	f->out->frontends = calloc(room + 1, sizeof(*f->out->frontends));
	if (f->out->frontends == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->pick->n_granted && !f->pick->forfeits && ret == 0; i++)
		ret = add_frontend(f, &f->pick->granted[i], f->port->port, MODEL_LOAD_BALANCER);
	if (ret == 0)
		ret = add_node_ports(f);
	if (ret == 0)
		ret = add_named(f, s->external_ips, s->n_external_ips, MODEL_EXTERNAL_IP);
	if (ret == 0 && f->settings->cluster_ips)
		ret = add_named(f, s->cluster_ips, s->n_cluster_ips, MODEL_CLUSTER_IP);
	if (f->out->n_frontends == 0 && f->out->reason[0] == 0)
		pick_reason(f->out->reason, "%s", nothing_asked(f));
	qsort(f->out->frontends, f->out->n_frontends, sizeof(*f->out->frontends), frontend_cmp);
	return ret;
}

static int plan_ports(const struct pick *p, bool served, struct claims *claims,
		      const struct kube_settings *settings) {
	const struct kube_service *s = &p->o->service;
	int ret = 0;

	p->plan->ports = calloc(s->n_ports + 1, sizeof(*p->plan->ports));
	if (p->plan->ports == NULL)
		return -ENOMEM;
	p->plan->n_ports = s->n_ports;
	for (uint32_t i = 0; i < s->n_ports && ret == 0; i++) {
		struct finder f = {settings, claims, p, &p->plan->ports[i], &s->ports[i]};

		memcpy(f.out->reason, p->plan->reason, sizeof(f.out->reason));
		if (served)
			ret = find_frontends(&f);
	}
	return ret;
}

struct run {                // one kube_resolve()
	struct pick *picks; // in order of age
	bool *served;
	struct claims *claims;
	uint32_t n;
};

static int pick_age_cmp(const void *x, const void *y) {
	const struct pick *a = x, *b = y;

	return kube_object_age_cmp(a->o, b->o);
}

static void begin_service(struct run *r, uint32_t i, const struct kube_settings *settings) {
	struct pick *p = &r->picks[i];
	const struct kube_service *s = &p->o->service;

	r->served[i] = choose_carriage(p->plan, s, settings);
	if (s->type != KUBE_LOAD_BALANCER || s->headless || s->other_proxy)
		return;
	p->asks = class_is_ours(s, settings);
	if (!p->asks)
		pick_reason(p->plan->reason, "load balancer class \"%.60s\" is not ours",
			    s->lb_class != NULL ? s->lb_class : "");
}

static int resolve_all(struct run *r, const struct kube_settings *settings,
		       const struct ipam_memory *memory) {
	int ret = avoid_own(r->claims, settings);

	for (uint32_t i = 0; i < r->n && ret == 0; i++) {
		begin_service(r, i, settings);
		ret = avoid_named(r->claims, &r->picks[i].o->service, settings);
	}
	if (ret == 0)
		ret = pick_addresses(r->picks, r->n, r->claims, settings, memory);
	for (uint32_t i = 0; i < r->n && ret == 0; i++)
		ret = plan_ports(&r->picks[i], r->served[i], r->claims, settings);
	return ret;
}

static int name_cmp(const char *ns, const char *name, const struct kube_object *o) {
	int c = strcmp(ns, o->meta.ns);

	return c != 0 ? c : strcmp(name, o->meta.name);
}

static int pick_name_cmp(const void *x, const void *y) {
	const struct pick *const *a = x, *const *b = y;

	return name_cmp((*a)->o->meta.ns, (*a)->o->meta.name, (*b)->o);
}

static int entry_pick_cmp(const void *x, const void *y) {
	const struct ipam_entry *e = x;
	const struct pick *const *p = y;

	return name_cmp(e->ns, e->name, (*p)->o);
}

// What the memory holds for Services that are not here: forgotten, or kept and not given away.
static int settle_absent(struct run *r, struct ipam_memory *memory, bool complete) {
	const struct pick **by_name = malloc((r->n + 1) * sizeof(*by_name));
	const struct ipam_entry **entries = NULL;
	int n = ipam_memory_list(memory, &entries), ret = by_name == NULL || n < 0 ? -ENOMEM : 0;

	for (uint32_t i = 0; i < r->n && ret == 0; i++)
		by_name[i] = &r->picks[i];
	if (ret == 0)
		qsort(by_name, r->n, sizeof(*by_name), pick_name_cmp);
	for (int i = 0; i < n && ret == 0; i++) {
		const struct ipam_entry *e = entries[i];

		if (bsearch(e, by_name, r->n, sizeof(*by_name), entry_pick_cmp) != NULL)
			continue;
		if (complete)
			ipam_memory_remove(memory, e->ns, e->name, e->addr.family);
		else
			ret = claims_avoid(r->claims, &e->addr, NULL);
	}
	free(by_name);
	free(entries);
	return ret;
}

static int remember(const struct pick *p, struct ipam_memory *memory) {
	for (uint8_t family = 4; family <= 6; family += 2) {
		const struct ipam_entry *e = NULL;

		for (int i = 0; i < 2; i++)
			if (p->given[i].addr.family == family)
				e = &p->given[i];
		if (e == NULL)
			ipam_memory_remove(memory, p->o->meta.ns, p->o->meta.name, family);
		else if (ipam_memory_put(memory, e) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int run_init(struct run *r, struct kube_plan *plans,
		    const struct kube_object *const *services, uint32_t n) {
	r->n = n;
	r->claims = claims_create();
	r->picks = calloc(n + 1, sizeof(*r->picks));
	r->served = calloc(n + 1, sizeof(*r->served));
	if (r->claims == NULL || r->picks == NULL || r->served == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		r->picks[i].o = services[i];
		r->picks[i].plan = &plans[i];
	}
	qsort(r->picks, n, sizeof(*r->picks), pick_age_cmp);
	return 0;
}

static void run_fini(struct run *r) {
	for (uint32_t i = 0; i < r->n && r->picks != NULL; i++)
		free(r->picks[i].granted);
	free(r->picks);
	free(r->served);
	claims_destroy(r->claims);
}

int kube_resolve(struct kube_plan *plans, const struct kube_object *const *services, uint32_t n,
		 const struct kube_settings *settings, struct ipam_memory *memory, bool complete) {
	struct run r = {0};
	int ret = run_init(&r, plans, services, n);

	if (ret == 0)
		ret = settle_absent(&r, memory, complete);
	if (ret == 0)
		ret = resolve_all(&r, settings, memory);
	for (uint32_t i = 0; i < n && ret == 0; i++)
		ret = remember(&r.picks[i], memory);
	run_fini(&r);
	for (uint32_t i = 0; i < n && ret < 0; i++)
		kube_plan_fini(&plans[i]);
	return ret;
}
