// SPDX-License-Identifier: Apache-2.0
// Drafts and plans.
#include "kube/frontends.h"

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

bool frontends_external_is_allowed(const struct kube_settings *s, const struct ip_addr *a) {
	for (uint32_t i = 0; i < s->n_external_ips; i++)
		if (ip_prefix_contains(&s->external_ips[i], a))
			return true;
	return false;
}

struct drafter {
	const struct kube_settings *settings;
	const struct claims *claims;
	const struct holder *h;
	const struct kube_plan *plan;
	struct kube_plan_port *out;
	const struct kube_service_port *port;
};

static void add_frontend(struct drafter *d, const struct ip_addr *a, uint16_t port,
			 enum model_frontend_kind kind) {
	for (uint32_t i = 0; i < d->out->n_frontends; i++)
		if (ip_addr_eq(&d->out->frontends[i].addr, a) && d->out->frontends[i].port == port)
			return;
	d->out->frontends[d->out->n_frontends++] = (struct model_frontend){.addr = *a,
									   .port = port,
									   .kind = kind};
}

// Addresses that the Service names beside those of the load balancer: external and cluster IPs.
static void add_named(struct drafter *d, const struct ip_addr *list, uint32_t n,
		      enum model_frontend_kind kind) {
	for (uint32_t i = 0; i < n; i++) {
		const char *own = claims_reserved(d->claims, &list[i]);
		char text[IP_ADDR_STR];

		ip_addr_format(&list[i], text);
		if (kind == MODEL_EXTERNAL_IP &&
		    !frontends_external_is_allowed(d->settings, &list[i]))
			pick_reason(d->out->reason,
				    "external IP %s is outside services.externalIPs", text);
		else if (own != NULL)
			pick_reason(d->out->reason, "address %s is the appliance's own (%s)", text,
				    own);
		else if (!ip_addr_is_usable(&list[i]))
			pick_reason(d->out->reason, "address %s can't be served", text);
		else
			add_frontend(d, &list[i], d->port->port, kind);
	}
}

static void add_node_ports(struct drafter *d) {
	const struct kube_service *s = &d->h->o->service;

	if (s->type != KUBE_NODE_PORT && s->type != KUBE_LOAD_BALANCER)
		return;
	if (d->port->node_port == 0 || d->plan->mode == MODEL_DSR)
		return;
	for (uint32_t i = 0; i < d->settings->n_node_port_addresses; i++)
		add_frontend(d, &d->settings->node_port_addresses[i], d->port->node_port,
			     MODEL_NODE_PORT);
}

// Why nothing was asked for at all.
static const char *nothing_asked(const struct drafter *d) {
	const struct kube_service *s = &d->h->o->service;

	if (s->type == KUBE_CLUSTER_IP)
		return d->settings->cluster_ips ? "it has no cluster IP"
						: "type ClusterIP is not served";
	if (d->settings->durable && d->h->o->meta.deleting)
		return "it is being deleted";
	if (d->plan->mode == MODEL_DSR)
		return "node ports are not served in dsr";
	if (d->settings->n_node_port_addresses == 0)
		return "services.nodePortAddresses is empty";
	return "it has no nodePort";
}

// Why this one port can't be served, whatever its addresses; NULL: it can.
static const char *port_fault(const struct drafter *d) {
	if (d->port->protocol == MODEL_SCTP)
		return LATER "protocol SCTP";
	if (d->plan->target == KUBE_TARGET_NODE && d->plan->mode != MODEL_DSR &&
	    d->port->node_port == 0)
		return "needs nodePort: target is node and the port has none";
	return NULL;
}

static int draft_port(struct drafter *d) {
	const struct kube_service *s = &d->h->o->service;
	uint32_t room = d->h->n_addrs + d->settings->n_node_port_addresses + s->n_external_ips +
			s->n_cluster_ips;
	const char *fault = port_fault(d);

	if (fault != NULL) {
		pick_reason(d->out->reason, "%s", fault);
		return 0;
	}
	d->out->frontends = calloc(room + 1, sizeof(*d->out->frontends));
	if (d->out->frontends == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->h->n_addrs; i++)
		add_frontend(d, &d->h->addrs[i], d->port->port, MODEL_LOAD_BALANCER);
	add_node_ports(d);
	add_named(d, s->external_ips, s->n_external_ips, MODEL_EXTERNAL_IP);
	if (d->settings->cluster_ips)
		add_named(d, s->cluster_ips, s->n_cluster_ips, MODEL_CLUSTER_IP);
	if (d->out->n_frontends == 0 && d->out->reason[0] == 0)
		pick_reason(d->out->reason, "%s", nothing_asked(d));
	return 0;
}

void frontends_begin(struct kube_plan *p, struct holder *h, const struct kube_settings *settings) {
	const struct kube_object *o = h->o;
	const struct kube_service *s = &o->service;

	h->served = choose_carriage(p, s, settings);
	h->asks = false;
	if (s->type != KUBE_LOAD_BALANCER || s->headless || s->other_proxy)
		return;
	h->asks = class_is_ours(s, settings) && !(settings->durable && o->meta.deleting);
	if (!class_is_ours(s, settings))
		pick_reason(p->reason, "load balancer class \"%.60s\" is not ours",
			    s->lb_class != NULL ? s->lb_class : "");
}

int frontends_draft(struct kube_plan *p, struct holder *h, const struct kube_settings *settings,
		    const struct claims *claims) {
	const struct kube_service *s = &h->o->service;
	int ret = 0;

	frontends_begin(p, h, settings);
	if (h->asks && h->why[0] != 0)
		pick_reason(p->reason, "%s", h->why);
	p->ports = calloc(s->n_ports + 1, sizeof(*p->ports));
	if (p->ports == NULL)
		return -ENOMEM;
	p->n_ports = s->n_ports;
	for (uint32_t i = 0; i < s->n_ports && ret == 0; i++) {
		struct drafter d = {settings, claims, h, p, &p->ports[i], &s->ports[i]};

		memcpy(d.out->reason, p->reason, sizeof(d.out->reason));
		if (h->served)
			ret = draft_port(&d);
	}
	return ret;
}

static int frontend_cmp(const void *x, const void *y) {
	const struct model_frontend *a = x, *b = y;
	int c = ip_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : (a->port > b->port) - (a->port < b->port);
}

static void settle_port(struct kube_plan_port *p, uint8_t protocol, const struct holder *h,
			const struct claims *claims) {
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_frontends; i++) {
		const struct model_frontend *f = &p->frontends[i];
		const struct place place = {f->addr, f->port, protocol};
		const struct holder *winner = claims_winner(claims, &place);
		char text[IP_ADDR_STR + 8];

		if (winner == h || winner == NULL)
			p->frontends[n++] = *f;
		else
			pick_reason(p->reason, "%s/%s is in use by %s/%s",
				    ip_port_format(&f->addr, f->port, text),
				    model_protocol_name(protocol), winner->ns, winner->name);
	}
	p->n_frontends = n;
	if (n > 0)
		qsort(p->frontends, n, sizeof(*p->frontends), frontend_cmp);
}

void frontends_settle(struct kube_plan *p, const struct holder *h, const struct claims *claims) {
	for (uint32_t i = 0; i < p->n_ports; i++)
		settle_port(&p->ports[i], h->o->service.ports[i].protocol, h, claims);
}
