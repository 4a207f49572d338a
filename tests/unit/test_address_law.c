// SPDX-License-Identifier: Apache-2.0
// The law of addresses, held against random histories: Services come, go, return and change their minds, statuses are written or spoilt, pools shrink,
// nodes take addresses, the daemon starts again.
#include "kube/claims.h"
#include "kube/resolve.h"
#include "kube_case.h"

#define SERVICES 8
#define MAX_ADDRS 4

struct service { // of the cluster, with what it was seen to have
	bool exists, changed;
	bool keyed; // with a sharing key, at the last look
	int uid;
	char spec[400], meta[400], status[200];
	struct kube_object *o; // what the appliance was shown last
	uint32_t n;
	struct ip_addr addrs[MAX_ADDRS];
	char code[40];
};

struct history {
	struct ip_range main[2], small[1];
	struct ipam_pool pools[2];
	struct kube_settings settings;
	struct ipam_memory *memory;
	struct kube *k;
	struct model *m;
	struct service services[SERVICES];
	struct ip_addr node;
	int64_t now;
	int uids;
};

#define PICK(...)                                                                                  \
	((const char *const[]){                                                                    \
		__VA_ARGS__}[random() %                                                            \
			     (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))])

static void start(struct history *h) {
	h->memory = h->memory != NULL ? h->memory : ipam_memory_create();
	h->k = kube_create(&h->settings, h->memory);
	h->m = model_create();
}

static void history_init(struct history *h) {
	memset(h, 0, sizeof(*h));
	h->main[0] = case_range("203.0.113.0-203.0.113.4");
	h->main[1] = case_range("2001:db8::-2001:db8::3");
	h->small[0] = case_range("198.51.100.0-198.51.100.1");
	h->pools[0] = (struct ipam_pool){.name = "main",
					 .auto_assign = true,
					 .n_ranges = 2,
					 .ranges = h->main};
	h->pools[1] = (struct ipam_pool){.name = "small", .n_ranges = 1, .ranges = h->small};
	h->settings = (struct kube_settings){.durable = true, .n_pools = 2, .pools = h->pools};
	start(h);
}

static void stop(struct history *h) {
	kube_destroy(h->k);
	model_destroy(h->m);
}

static void history_fini(struct history *h) {
	stop(h);
	ipam_memory_destroy(h->memory);
	for (int i = 0; i < SERVICES; i++)
		kube_object_put(h->services[i].o);
}

// --- events ---

static void show(struct history *h, int i) {
	struct service *s = &h->services[i];
	struct case_objects c;
	struct error err = {""};
	char text[1400];

	snprintf(
		text, sizeof(text),
		"{apiVersion: v1, kind: Service, metadata: {name: s%d, uid: u%d, creationTimestamp: '2026-01-01T00:00:%02dZ', %s}, "
		"spec: {%s}, status: {loadBalancer: {ingress: [%s]}}}",
		i, s->uid, s->uid % 60, s->meta, s->spec, s->status);
	if (case_decode(&c, text, &err) < 0)
		fail_msg("%s in %s", err.text, text);
	assert_true(kube_put(h->k, c.list[0]) >= 0);
	kube_object_put(s->o);
	s->o = kube_object_get(c.list[0]);
	case_free(&c);
}

static void rewrite(struct history *h, int i) {
	struct service *s = &h->services[i];

	snprintf(s->meta, sizeof(s->meta), "%s annotations: {%s %s}",
		 PICK("", "", "", "deletionTimestamp: '2026-01-01T00:00:00Z',"),
		 PICK("", "", "", "sluice.dev/load-balancer-ips: 203.0.113.1,",
		      "sluice.dev/load-balancer-ips: 203.0.113.4,",
		      "sluice.dev/address-pool: small,", "sluice.dev/address-pool: none,",
		      "metallb.io/loadBalancerIPs: 8.8.8.8,"),
		 PICK("", "", "sluice.dev/allow-shared-ip: k"));
	snprintf(s->spec, sizeof(s->spec), "type: %s, ports: [{port: %ld}], %s %s",
		 PICK("LoadBalancer", "LoadBalancer", "LoadBalancer", "LoadBalancer", "ClusterIP"),
		 80 + random() % 3,
		 PICK("ipFamilies: [IPv4],", "ipFamilies: [IPv6],",
		      "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack,",
		      "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack,"),
		 PICK("", "externalTrafficPolicy: Local, selector: {a: b}", "selector: {a: b}"));
	s->changed = true;
}

static void create(struct history *h, int i) {
	struct service *s = &h->services[i];

	s->uid = h->uids++;
	s->exists = true;
	s->status[0] = 0;
	s->n = 0;
	s->code[0] = 0;
	rewrite(h, i);
	show(h, i);
}

static void delete (struct history *h, int i) {
	char name[16];

	snprintf(name, sizeof(name), "s%d", i);
	assert_int_equal(kube_remove(h->k, KUBE_SERVICE, "default", name), 1);
	kube_object_put(h->services[i].o);
	h->services[i] = (struct service){.exists = false};
}

// What the writer of status would write.
static void write_status(struct history *h, int i) {
	struct service *s = &h->services[i];
	char addr[IP_ADDR_STR];
	size_t at = 0;

	s->status[0] = 0;
	for (uint32_t j = 0; j < s->n; j++)
		at += (size_t)snprintf(s->status + at, sizeof(s->status) - at, "{ip: '%s'},",
				       ip_addr_format(&s->addrs[j], addr));
	show(h, i);
}

static void spoil_status(struct history *h, int i) {
	snprintf(h->services[i].status, sizeof(h->services[i].status), "%s",
		 PICK("", "{ip: 203.0.113.2}", "{ip: 203.0.113.0}, {ip: '2001:db8::1'}",
		      "{ip: 9.9.9.9}"));
	show(h, i);
}

static void show_node(struct history *h, const char *ip) {
	struct case_objects c;
	struct error err;
	char text[200];

	snprintf(
		text, sizeof(text),
		"{apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: %s}]}}",
		ip);
	assert_int_equal(case_decode(&c, text, &err), 0);
	assert_true(kube_put(h->k, c.list[0]) >= 0);
	case_free(&c);
	h->node = case_ip(ip);
}

static void move_node(struct history *h) {
	show_node(h, PICK("10.0.0.1", "203.0.113.0", "203.0.113.3"));
}

static void resize(struct history *h) {
	h->main[0] = case_range(PICK("203.0.113.0-203.0.113.4", "203.0.113.0-203.0.113.4",
				     "203.0.113.3-203.0.113.4"));
	h->settings.n_pools = random() % 5 == 0 ? 1 : 2;
	kube_configure(h->k, &h->settings);
}

static void restart(struct history *h) {
	bool keep = random() % 2;
	char ip[IP_ADDR_STR];

	stop(h);
	if (!keep) { // then status is all there is
		ipam_memory_destroy(h->memory);
		h->memory = NULL;
	}
	start(h);
	for (int i = 0; i < SERVICES; i++)
		if (h->services[i].exists)
			show(h, i);
	if (h->node.family != 0)
		show_node(h, ip_addr_format(&h->node, ip));
}

static void event(struct history *h) {
	int i = (int)(random() % SERVICES);
	struct service *s = &h->services[i];

	switch (random() % 16) {
	case 0:
		resize(h);
		return;
	case 1:
		move_node(h);
		return;
	case 2:
		h->now += random() % (2 * IPAM_SOON_MS);
		return;
	}
	if (!s->exists) {
		create(h, i);
	} else if (random() % 4 == 0) {
		delete (h, i);
	} else if (random() % 4 == 0) {
		spoil_status(h, i);
	} else {
		rewrite(h, i);
		show(h, i);
	}
}

// --- what must hold ---

static bool has(const struct ip_addr *list, uint32_t n, const struct ip_addr *a) {
	for (uint32_t i = 0; i < n; i++)
		if (ip_addr_eq(&list[i], a))
			return true;
	return false;
}

static const struct ip_addr *of_family(const struct ip_addr *list, uint32_t n, uint8_t family) {
	for (uint32_t i = 0; i < n; i++)
		if (list[i].family == family)
			return &list[i];
	return NULL;
}

static bool in_pool(const struct history *h, const char *name, const struct ip_addr *a) {
	for (uint32_t i = 0; i < h->settings.n_pools; i++)
		if (strcmp(h->pools[i].name, name) == 0)
			return ipam_pool_contains(&h->pools[i], a);
	return false;
}

// Whether somebody had a right to take this address from its Service: its owner, or whose it is.
static bool may_change(const struct history *h, const struct service *s, const struct kube_grant *g,
		       const struct ip_addr *before, const struct ip_addr *now) {
	const struct kube_service *o = &s->o->service;
	bool wanted = before->family == o->families[0] || before->family == o->families[1];

	if (!g->ours || !wanted || (o->family_policy == KUBE_REQUIRE_DUAL_STACK && g->n == 0))
		return true;
	if (ip_addr_eq(before, &h->node))
		return true;
	if (now != NULL && has(o->requested, o->n_requested, now))
		return true;
	if (now != NULL && o->pool != NULL && in_pool(h, o->pool, now) &&
	    !in_pool(h, o->pool, before))
		return true;
	return s->changed &&
	       (s->keyed ||
		o->sharing_key != NULL); // it may be such now that a sharer can't bear it
}

static void check_kept(struct history *h, int i, const struct kube_grant *g, int step) {
	const struct service *s = &h->services[i];

	for (uint32_t j = 0; j < s->n; j++) {
		const struct ip_addr *now = of_family(g->addrs, g->n, s->addrs[j].family);
		char a[IP_ADDR_STR], b[IP_ADDR_STR];

		if ((now == NULL || !ip_addr_eq(now, &s->addrs[j])) &&
		    !may_change(h, s, g, &s->addrs[j], now))
			fail_msg("step %d: s%d had %s and has %s (%s)", step, i,
				 ip_addr_format(&s->addrs[j], a),
				 now != NULL ? ip_addr_format(now, b) : "nothing", g->reason);
	}
}

static void check_reason(const struct history *h, int i, const struct kube_grant *g, int step) {
	const struct kube_service *o = &h->services[i].o->service;
	uint32_t wanted = g->ours ? (o->families[0] != 0) + (o->families[1] != 0) : 0;

	if (g->n > wanted || (g->n < wanted && g->code[0] == 0) ||
	    (g->code[0] == 0) != (g->reason[0] == 0))
		fail_msg("step %d: s%d wants %u, has %u: \"%s\" %s", step, i, wanted, g->n, g->code,
			 g->reason);
	for (uint32_t j = 0; j < g->n; j++)
		assert_false(ip_addr_eq(&g->addrs[j], &h->node));
}

static void check_shared(const struct history *h, int step) {
	for (int i = 0; i < SERVICES; i++)
		for (int j = 0; j < i; j++) {
			const struct service *a = &h->services[i], *b = &h->services[j];

			if (!a->exists || !b->exists || claims_unshareable(a->o, b->o) == NULL)
				continue;
			for (uint32_t n = 0; n < a->n; n++)
				if (has(b->addrs, b->n, &a->addrs[n]))
					fail_msg("step %d: s%d and s%d have one address", step, i,
						 j);
		}
}

// The law says what may have changed since the last look; then this is what is.
static void check(struct history *h, int step) {
	kube_set_time(h->k, h->now);
	assert_true(kube_apply(h->k, h->m, true) >= 0);
	for (int i = 0; i < SERVICES; i++) {
		struct service *s = &h->services[i];
		struct kube_grant g;
		char name[16];

		if (!s->exists)
			continue;
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(kube_grant(&g, h->k, "default", name), 0);
		check_kept(h, i, &g, step);
		check_reason(h, i, &g, step);
		assert_true(g.n <= MAX_ADDRS);
		s->n = g.n;
		if (g.n > 0)
			memcpy(s->addrs, g.addrs, g.n * sizeof(s->addrs[0]));
		snprintf(s->code, sizeof(s->code), "%s", g.code);
		s->changed = false;
		s->keyed = s->o->service.sharing_key != NULL;
	}
	check_shared(h, step);
}

// Every status is written, then the daemon starts again: nobody has another address, and who had one has it still.
static void check_restart(struct history *h, int step) {
	for (int twice = 0; twice < 2;
	     twice++) { // a status that is taken back may let its Service have another one
		for (int i = 0; i < SERVICES; i++)
			if (h->services[i].exists)
				write_status(h, i);
		if (twice == 0)
			check(h, step);
	}
	restart(h);
	check(h, step);
}

static void no_history_renumbers_a_service_whose_owner_did_not_ask(void **state) {
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct history h;

		history_init(&h);
		srandom(seed);
		for (int step = 0; step < 1500; step++) {
			for (long i = random() % 3; i >= 0; i--)
				event(&h);
			check(&h, step);
			if (random() % 10 == 0)
				check_restart(&h, step);
		}
		history_fini(&h);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_history_renumbers_a_service_whose_owner_did_not_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
