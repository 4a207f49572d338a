// SPDX-License-Identifier: Apache-2.0
// The law of addresses where status is ours to write: who keeps, who gets, who waits. Scenes for each rule, and random histories.
#include "kube/resolve.h"
#include "kube_case.h"

static char *const shop[] = {"shop"};
static char *const front[] = {"front"};
static struct ipam_term tier[] = {{IPAM_IN, "tier", 1, (char **)front}};
static const struct ipam_selector selectors[] = {{1, tier}};

struct scene {
	struct ip_range main[2], named[1], picky[1];
	struct ipam_pool pools[3];
	struct kube_settings settings;
	struct ipam_memory *memory;
	struct kube *k;
	struct model *m;
	int64_t now;
};

static void scene_init(struct scene *s) {
	memset(s, 0, sizeof(*s));
	s->main[0] = case_range("203.0.113.0-203.0.113.3");
	s->main[1] = case_range("2001:db8::-2001:db8::1");
	s->named[0] = case_range("198.51.100.0-198.51.100.1");
	s->picky[0] = case_range("192.0.2.8-192.0.2.9");
	s->pools[0] = (struct ipam_pool){.name = "main",
					 .auto_assign = true,
					 .n_ranges = 2,
					 .ranges = s->main};
	s->pools[1] = (struct ipam_pool){.name = "named",
					 .n_ranges = 1,
					 .ranges = s->named,
					 .proxy = true};
	s->pools[2] = (struct ipam_pool){.name = "picky",
					 .auto_assign = true,
					 .n_ranges = 1,
					 .ranges = s->picky,
					 .n_namespaces = 1,
					 .namespaces = shop,
					 .n_selectors = 1,
					 .selectors = selectors};
	s->settings = (struct kube_settings){.durable = true, .n_pools = 3, .pools = s->pools};
	s->memory = ipam_memory_create();
	s->k = kube_create(&s->settings, s->memory);
	s->m = model_create();
}

static void scene_fini(struct scene *s) {
	kube_destroy(s->k);
	model_destroy(s->m);
	ipam_memory_destroy(s->memory);
}

static void put(struct scene *s, const char *text) {
	struct case_objects c;
	struct error err = {""};

	if (case_decode(&c, text, &err) < 0)
		fail_msg("%s in %s", err.text, text);
	for (size_t i = 0; i < c.n; i++)
		assert_true(kube_put(s->k, c.list[i]) >= 0);
	case_free(&c);
}

static void gone(struct scene *s, const char *name) {
	assert_int_equal(kube_remove(s->k, KUBE_SERVICE, "default", name), 1);
}

static void apply_part(struct scene *s, bool complete) {
	kube_set_time(s->k, s->now);
	assert_true(kube_apply(s->k, s->m, complete) >= 0);
}

static void apply(struct scene *s) {
	apply_part(s, true);
}

// "203.0.113.0 2001:db8:: | Code"
static const char *grant(const struct scene *s, const char *name) {
	static char text[512];
	struct kube_grant g;
	char addr[IP_ADDR_STR];
	size_t at = 0;

	text[0] = 0;
	if (kube_grant(&g, s->k, "default", name) < 0)
		return "gone";
	for (uint32_t i = 0; i < g.n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%s", i > 0 ? " " : "",
				       ip_addr_format(&g.addrs[i], addr),
				       g.ip_modes[i] == KUBE_IP_MODE_PROXY ? "(Proxy)" : "");
	if (g.code[0] != 0)
		snprintf(text + at, sizeof(text) - at, "%s| %s", at > 0 ? " " : "", g.code);
	return text;
}

#define SVC(name, meta, spec, status)                                                              \
	"{apiVersion: v1, kind: Service, metadata: {name: " name ", uid: " name " " meta           \
	"}, spec: {type: LoadBalancer, ipFamilies: [IPv4], ports: [{port: 80}] " spec              \
	"}, status: {loadBalancer: {ingress: [" status "]}}}\n---\n"
#define PLAIN(name) SVC(name, "", "", "")
#define NOTE(key, value) ", annotations: {" key ": '" value "'}"
#define NODE(ip)                                                                                                 \
	"{apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: " ip \
	"}]}}\n---\n"

static void a_pool_that_shrinks_or_goes_keeps_what_is_in_use(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, PLAIN("a"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	s.main[0] = case_range("203.0.113.3");
	kube_configure(s.k, &s.settings);
	put(&s, PLAIN("b"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	assert_string_equal(grant(&s, "b"), "203.0.113.3");
	s.settings.n_pools = 0;
	kube_configure(s.k, &s.settings);
	put(&s, PLAIN("c"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	assert_string_equal(grant(&s, "c"), "| NoPool");
	scene_fini(&s);
}

static void status_is_the_durable_record(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, SVC("b", "", "", "{ip: 203.0.113.2}") PLAIN("a")
			SVC("c", "", "", "{ip: 10.9.9.9}")); // of a pool that is no more
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	assert_string_equal(grant(&s, "b"), "203.0.113.2");
	assert_string_equal(grant(&s, "c"), "10.9.9.9");
	put(&s, SVC("b", "", "", "{ip: 203.0.113.1}")); // somebody else writes there
	put(&s, PLAIN("c"));
	apply(&s);
	assert_string_equal(grant(&s, "b"), "203.0.113.2");
	assert_string_equal(grant(&s, "c"), "10.9.9.9");
	scene_fini(&s);
}

static void of_two_with_one_address_the_older_allocation_wins(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, SVC("old", ", creationTimestamp: '2026-01-01T00:00:00Z'",
		    ", loadBalancerIP: 203.0.113.1", "")
			SVC("young", ", creationTimestamp: '2026-01-02T00:00:00Z'", "",
			    "{ip: 203.0.113.1}"));
	apply(&s);
	assert_string_equal(grant(&s, "young"), "203.0.113.1");
	assert_string_equal(grant(&s, "old"), "| AlreadyAllocated");
	gone(&s, "young");
	apply(&s);
	assert_string_equal(grant(&s, "old"), "203.0.113.1");
	scene_fini(&s);
}

static void a_request_moves_its_service_once_it_can_be_had(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, PLAIN("a") PLAIN("b"));
	apply(&s);
	put(&s,
	    SVC("a", NOTE("sluice.dev/load-balancer-ips", "203.0.113.1"), "", "{ip: 203.0.113.0}"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0 | AlreadyAllocated");
	gone(&s, "b");
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	put(&s, PLAIN("a")); // no longer asking is no reason to move
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	put(&s, SVC("a", NOTE("sluice.dev/load-balancer-ips", "8.8.8.8"), "", ""));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1 | BadRequest");
	scene_fini(&s);
}

static void naming_another_pool_moves_a_service(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, PLAIN("a"));
	apply(&s);
	put(&s, SVC("a", NOTE("sluice.dev/address-pool", "nowhere"), "", ""));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0 | NoPool");
	put(&s, SVC("a", NOTE("sluice.dev/address-pool", "picky"), "", ""));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0 | PoolSelectorMismatch");
	put(&s, SVC("a", NOTE("sluice.dev/address-pool", "named"), "", ""));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "198.51.100.0(Proxy)");
	put(&s, PLAIN("a"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "198.51.100.0(Proxy)");
	scene_fini(&s);
}

static void pools_that_select_go_first_then_priority_then_the_file(void **state) {
	static const char *const front_of_shop =
		"{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {tier: front}}, spec: {type: LoadBalancer, "
		"ipFamilies: [IPv4], ports: [{port: 80}]}}";
	struct kube_grant g;
	struct ip_addr first = case_ip("192.0.2.8");
	struct scene s;

	scene_init(&s);
	put(&s, front_of_shop);
	s.pools[1].auto_assign = true;
	s.pools[1].priority = 2;
	put(&s, SVC("b", ", labels: {tier: front}", "", ""));
	kube_configure(s.k, &s.settings);
	apply(&s);
	assert_int_equal(kube_grant(&g, s.k, "shop", "a"), 0);
	assert_true(g.n == 1 && ip_addr_eq(&g.addrs[0], &first));
	assert_string_equal(grant(&s, "b"), "198.51.100.0(Proxy)"); // 0 goes last
	s.pools[0].priority = 1;
	kube_configure(s.k, &s.settings);
	put(&s, PLAIN("c"));
	apply(&s);
	assert_string_equal(grant(&s, "c"), "203.0.113.0");
	scene_fini(&s);
}

static void buggy_addresses_are_avoided_on_request(void **state) {
	struct scene s;

	scene_init(&s);
	s.pools[0].avoid_buggy = true;
	s.main[0] = case_range("203.0.113.254-203.0.114.1");
	put(&s,
	    PLAIN("a") PLAIN("b") PLAIN("c") SVC("d", ", creationTimestamp: '2026-01-02T00:00:00Z'",
						 ", loadBalancerIP: 203.0.113.255", ""));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.254");
	assert_string_equal(grant(&s, "b"), "203.0.114.1");
	assert_string_equal(grant(&s, "c"), "| OutOfAddresses");
	assert_string_equal(grant(&s, "d"), "203.0.113.255");
	scene_fini(&s);
}

static void a_freed_address_goes_to_who_waited_longest(void **state) {
	static const char *const late = SVC("w1", ", creationTimestamp: '2026-01-05T00:00:00Z'", "",
					    ""),
				 *const early = SVC("w2",
						    ", creationTimestamp: '2026-01-01T00:00:00Z'",
						    "", "");
	struct scene s;

	scene_init(&s);
	s.main[0] = case_range("203.0.113.0");
	put(&s, PLAIN("a"));
	apply(&s);
	put(&s, late);
	apply(&s);
	put(&s, early);
	apply(&s);
	assert_string_equal(grant(&s, "w1"), "| OutOfAddresses");
	gone(&s, "a");
	put(&s, PLAIN("newcomer"));
	apply(&s);
	assert_string_equal(grant(&s, "w1"), "203.0.113.0");
	assert_string_equal(grant(&s, "w2"), "| OutOfAddresses");
	assert_string_equal(grant(&s, "newcomer"), "| OutOfAddresses");
	gone(&s, "w1");
	apply(&s);
	assert_string_equal(grant(&s, "w2"), "203.0.113.0");
	scene_fini(&s);
}

static void at_a_start_the_older_service_goes_first(void **state) {
	struct scene s;

	scene_init(&s);
	s.main[0] = case_range("203.0.113.0");
	put(&s, SVC("a", ", creationTimestamp: '2026-01-05T00:00:00Z'", "", "")
			SVC("b", ", creationTimestamp: '2026-01-01T00:00:00Z'", "", ""));
	apply(&s);
	assert_string_equal(grant(&s, "b"), "203.0.113.0");
	scene_fini(&s);
}

static void who_returns_soon_gets_his_old_address(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, PLAIN("a") PLAIN("b"));
	apply(&s);
	gone(&s, "a");
	gone(&s, "b");
	apply(&s);
	put(&s, PLAIN("c")); // others get what nobody had
	apply(&s);
	assert_string_equal(grant(&s, "c"), "203.0.113.2");
	s.now += IPAM_SOON_MS;
	put(&s, PLAIN("b"));
	apply(&s);
	assert_string_equal(grant(&s, "b"), "203.0.113.1");
	s.now++; // the time is over
	put(&s, PLAIN("a"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.3");
	put(&s, PLAIN("d")); // there is no other left
	apply(&s);
	assert_string_equal(grant(&s, "d"), "203.0.113.0");
	scene_fini(&s);
}

static void the_longest_released_is_given_first(void **state) {
	static const char *const order[] = {"c", "a", "d", "b"};
	struct scene s;

	scene_init(&s);
	put(&s, PLAIN("a") PLAIN("b") PLAIN("c") PLAIN("d"));
	apply(&s);
	for (int i = 0; i < 4; i++) {
		s.now++;
		gone(&s, order[i]);
		apply(&s);
	}
	put(&s, PLAIN("w") PLAIN("x") PLAIN("y") PLAIN("z"));
	apply(&s);
	assert_string_equal(grant(&s, "w"), "203.0.113.2");
	assert_string_equal(grant(&s, "x"), "203.0.113.0");
	assert_string_equal(grant(&s, "y"), "203.0.113.3");
	assert_string_equal(grant(&s, "z"), "203.0.113.1");
	scene_fini(&s);
}

#define DUAL(name, policy)                                                                         \
	"{apiVersion: v1, kind: Service, metadata: {name: " name ", uid: " name                    \
	"}, spec: {type: LoadBalancer, ports: [{port: 80}], " policy "}}\n---\n"

static void a_second_family_comes_and_goes_alone(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, DUAL("a", "ipFamilies: [IPv4]"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	put(&s, DUAL("a", "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0 2001:db8::");
	put(&s, DUAL("a", "ipFamilies: [IPv4]"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	put(&s, DUAL("b", "ipFamilies: [IPv6, IPv4], ipFamilyPolicy: PreferDualStack"));
	apply(&s);
	assert_string_equal(grant(&s, "b"), "2001:db8::1 203.0.113.1"); // primary first
	scene_fini(&s);
}

static void who_prefers_two_families_gets_the_second_later_of_the_same_pool(void **state) {
	struct ip_range other = case_range("2001:db8:9::/120");
	struct scene s;

	scene_init(&s);
	s.main[1] = case_range("2001:db8::");
	s.pools[2] = (struct ipam_pool){.name = "other",
					.auto_assign = true,
					.n_ranges = 1,
					.ranges = &other};
	put(&s, DUAL("a", "ipFamilies: [IPv6]")
			DUAL("b", "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack")
				DUAL("c",
				     "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack"));
	apply(&s);
	assert_string_equal(grant(&s, "b"), "203.0.113.0 | OutOfAddresses");
	assert_string_equal(grant(&s, "c"), "203.0.113.1 2001:db8:9::");
	gone(&s, "a");
	apply(&s);
	assert_string_equal(grant(&s, "b"), "203.0.113.0 2001:db8::");
	scene_fini(&s);
}

static void who_requires_two_families_is_not_served_on_one(void **state) {
	struct scene s;

	scene_init(&s);
	s.pools[0].n_ranges = 1;
	put(&s, DUAL("a", "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "| NoPool");
	s.pools[0].n_ranges = 2;
	kube_configure(s.k, &s.settings);
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0 2001:db8::");
	scene_fini(&s);
}

#define SHARED(name, ns, more, spec)                                                               \
	"{apiVersion: v1, kind: Service, metadata: {name: " name ", namespace: " ns ", uid: " name \
	", annotations: {sluice.dev/allow-shared-ip: k" more                                       \
	"}}, spec: {type: LoadBalancer, ipFamilies: [IPv4], " spec "}}\n---\n"
#define WIDE ", sluice.dev/share-across-namespaces: 'true'"

static void an_address_is_shared_on_terms(void **state) {
	struct scene s;

	scene_init(&s);
	put(&s, SHARED("a", "default", WIDE, "ports: [{port: 80}], selector: {app: x}"));
	put(&s, SHARED("b", "default", "", "ports: [{port: 81}], selector: {app: y}"));
	put(&s, SHARED("c", "default", "", "ports: [{port: 80}, {port: 82}]"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.0");
	assert_string_equal(grant(&s, "b"), "203.0.113.0");
	assert_string_equal(grant(&s, "c"), "203.0.113.1");
	put(&s, SHARED("d", "default", "",
		       "ports: [{port: 83}], externalTrafficPolicy: Local, selector: {app: x}"));
	apply(&s);
	assert_string_equal(grant(&s, "d"), "203.0.113.2"); // Local, and b selects others
	gone(&s, "c");
	gone(&s, "d");
	put(&s, SHARED("e", "shop", "", "ports: [{port: 84}]"));
	put(&s, SHARED("f", "shop", WIDE, "ports: [{port: 85}]"));
	apply(&s);
	gone(&s, "b"); // it allows no other namespace
	put(&s, SHARED("g", "shop", WIDE, "ports: [{port: 86}], loadBalancerIP: 203.0.113.0"));
	apply(&s);
	{
		struct kube_grant g;
		struct ip_addr shared = case_ip("203.0.113.0");

		assert_int_equal(kube_grant(&g, s.k, "shop", "e"), 0);
		assert_false(ip_addr_eq(&g.addrs[0], &shared));
		assert_int_equal(kube_grant(&g, s.k, "shop", "g"), 0);
		assert_true(g.n == 1 && ip_addr_eq(&g.addrs[0], &shared));
	}
	put(&s, SHARED("h", "default", "", "ports: [{port: 80}], loadBalancerIP: 203.0.113.0"));
	apply(&s);
	assert_string_equal(grant(&s, "h"), "| AlreadyAllocatedIncompatible");
	scene_fini(&s);
}

static void type_class_and_deletion_give_everything_back(void **state) {
	static const char *const leavers[] = {
		"{apiVersion: v1, kind: Service, metadata: {name: a, uid: a}, spec: {type: NodePort, ports: [{port: 80}]}}",
		SVC("a", "", ", loadBalancerClass: other", "{ip: 203.0.113.0}"),
		SVC("a", ", deletionTimestamp: '2026-01-01T00:00:00Z'", "", "{ip: 203.0.113.0}"),
	};

	for (int i = 0; i < 3; i++) {
		struct kube_grant g;
		struct scene s;

		scene_init(&s);
		s.main[0] = case_range("203.0.113.0");
		put(&s, PLAIN("a") PLAIN("b"));
		apply(&s);
		put(&s, leavers[i]);
		apply(&s);
		assert_int_equal(kube_grant(&g, s.k, "default", "a"), 0);
		assert_false(g.ours);
		assert_int_equal(g.n, 0);
		assert_string_equal(grant(&s, "b"), "203.0.113.0");
		put(&s, PLAIN("a"));
		apply(&s);
		assert_string_equal(grant(&s, "a"), "| OutOfAddresses");
		scene_fini(&s);
	}
}

static void an_address_of_a_node_or_of_ours_is_refused(void **state) {
	static struct kube_reserved reserved;
	struct scene s;

	scene_init(&s);
	reserved = (struct kube_reserved){case_ip("203.0.113.3"), "port wan"};
	s.settings.n_reserved = 1;
	s.settings.reserved = &reserved;
	put(&s, NODE("203.0.113.0") PLAIN("a"));
	put(&s, SVC("b", "", ", loadBalancerIP: 203.0.113.0", "")
			SVC("c", "", "", "{ip: 203.0.113.3}"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	assert_string_equal(grant(&s, "b"), "| AddressReserved");
	assert_string_equal(grant(&s, "c"), "| AddressReserved");
	put(&s,
	    NODE("203.0.113.1")); // it moves to one that is in use: nobody is renumbered for that
	apply(&s);
	assert_string_equal(grant(&s, "a"), "| AddressReserved");
	assert_string_equal(grant(&s, "b"), "203.0.113.0");
	put(&s, NODE("203.0.113.2"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	scene_fini(&s);
}

static void a_follower_serves_what_status_names_and_gives_nothing(void **state) {
	struct scene s;

	scene_init(&s);
	s.settings.follower = true;
	put(&s, PLAIN("a") SVC("b", "", "", "{ip: 203.0.113.2}")
			SVC("c", "", ", loadBalancerIP: 203.0.113.3", ""));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "| WaitsForWriter");
	assert_string_equal(grant(&s, "b"), "203.0.113.2");
	assert_string_equal(grant(&s, "c"), "203.0.113.3");
	put(&s, SVC("a", "", "", "{ip: 203.0.113.1}") SVC("b", "", "", "{ip: 203.0.113.0}"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	assert_string_equal(grant(&s, "b"), "203.0.113.0");
	s.settings.follower = false; // elected
	kube_reconsider(s.k);
	put(&s, PLAIN("d"));
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	assert_string_equal(grant(&s, "d"), "203.0.113.2");
	s.settings.follower = true; // d was given, but never written
	kube_reconsider(s.k);
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	assert_string_equal(grant(&s, "d"), "| WaitsForWriter");
	scene_fini(&s);
}

static void a_snapshot_alone_grants_only_what_status_or_memory_names(void **state) {
	struct ipam_entry remembered = {.ns = "default", .name = "d", .pool = "main"};
	struct scene s;

	scene_init(&s);
	remembered.addr = case_ip("203.0.113.3");
	ipam_memory_put(s.memory, &remembered);
	put(&s, PLAIN("a") SVC("b", "", "", "{ip: 203.0.113.0}")
			SVC("c", "", ", loadBalancerIP: 203.0.113.1", "") PLAIN("d"));
	apply_part(&s, false);
	assert_string_equal(grant(&s, "a"), "| WaitsForSync");
	assert_string_equal(grant(&s, "b"), "203.0.113.0");
	assert_string_equal(grant(&s, "c"), "| WaitsForSync");
	assert_string_equal(grant(&s, "d"), "203.0.113.3");
	// Since it was written, others moved b and gave what was free to e and f.
	put(&s, SVC("b", "", "", "{ip: 203.0.113.2}") SVC("e", "", "", "{ip: 203.0.113.0}")
			SVC("f", "", "", "{ip: 203.0.113.3}"));
	apply(&s);
	assert_string_equal(grant(&s, "b"), "203.0.113.2");
	assert_string_equal(grant(&s, "e"), "203.0.113.0");
	assert_string_equal(grant(&s, "c"), "203.0.113.1");
	assert_string_equal(grant(&s, "f"), "203.0.113.3");
	assert_string_equal(grant(&s, "d"), "| OutOfAddresses");
	assert_string_equal(grant(&s, "a"), "| OutOfAddresses");
	apply_part(&s, false); // Services are held back: that is no reason to wait
	gone(&s, "c");
	apply_part(&s, false);
	assert_string_equal(grant(&s, "a"), "| OutOfAddresses"); // c may come back
	apply(&s);
	assert_string_equal(grant(&s, "a"), "203.0.113.1");
	scene_fini(&s);
}

static void who_writes_status_hears_of_each_change_once(void **state) {
	struct kube_name *names;
	struct scene s;

	scene_init(&s);
	put(&s, PLAIN("b") PLAIN("a"));
	apply(&s);
	assert_int_equal(kube_take_dirty(s.k, &names), 2);
	assert_string_equal(names[0].name, "a");
	free(names);
	put(&s, PLAIN("a"));
	apply(&s);
	assert_int_equal(kube_take_dirty(s.k, &names), 0);
	free(names);
	put(&s, SVC("a", ", resourceVersion: '5'", "", "")); // of no interest to tables
	assert_int_equal(kube_apply(s.k, s.m, true), 0);
	assert_int_equal(kube_take_dirty(s.k, &names), 1);
	free(names);
	gone(&s, "a");
	apply(&s);
	assert_int_equal(kube_take_dirty(s.k, &names), 1);
	assert_string_equal(names[0].name, "a");
	assert_string_equal(grant(&s, names[0].name), "gone");
	free(names);
	scene_fini(&s);
}

#define SLICE(name, service, family)                                                               \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: " family              \
	", metadata: {name: " name ", labels: {kubernetes.io/service-name: " service               \
	"}}, endpoints: []}\n---\n"

static bool awaits_endpoints(struct scene *s, const char *name) {
	struct kube_grant g;

	assert_int_equal(kube_grant(&g, s->k, "default", name), 0);
	return g.awaits_endpoints;
}

static void who_selects_pods_awaits_a_slice_of_its_family_and_its_arrival_is_told(void **state) {
	struct kube_name *names;
	struct scene s;

	scene_init(&s);
	put(&s, SVC("a", "", ", selector: {app: a}", "") PLAIN("b"));
	apply(&s);
	assert_true(awaits_endpoints(&s, "a"));
	assert_false(awaits_endpoints(&s, "b")); // who makes its endpoints by hand may never do
	assert_int_equal(kube_take_dirty(s.k, &names), 2);
	free(names);
	put(&s, SLICE("a-6", "a", "IPv6"));
	apply(&s);
	assert_true(awaits_endpoints(&s, "a"));
	assert_int_equal(kube_take_dirty(s.k, &names), 1);
	free(names);
	put(&s, SLICE("a-4", "a", "IPv4"));
	apply(&s);
	assert_false(awaits_endpoints(&s, "a"));
	assert_int_equal(kube_take_dirty(s.k, &names), 1);
	assert_string_equal(names[0].name, "a");
	free(names);
	put(&s, SLICE("a-5", "a", "IPv4"));
	apply(&s);
	assert_int_equal(kube_take_dirty(s.k, &names), 0);
	free(names);
	scene_fini(&s);
}

static void pools_are_counted_and_say_why_they_do_not_fit(void **state) {
	struct kube_pool_use *use;
	struct kube_pool_try *tries;
	struct scene s;

	scene_init(&s);
	s.main[0] = case_range("203.0.113.0");
	put(&s, PLAIN("a") PLAIN("b"));
	apply(&s);
	assert_int_equal(kube_pools(s.k, &use), 4);
	assert_string_equal(use[0].pool->name, "picky"); // it selects
	assert_int_equal(use[0].in_use + use[0].waiting, 0);
	assert_string_equal(use[1].pool->name, "main");
	assert_int_equal(use[1].size, 1);
	assert_int_equal(use[1].in_use, 1);
	assert_int_equal(use[1].waiting, 1);
	assert_int_equal(use[2].family, 6);
	assert_int_equal(use[2].in_use, 0);
	free(use);
	assert_int_equal(kube_pool_tries(s.k, "default", "b", &tries), 3);
	assert_string_equal(tries[0].why, "its namespaces and selectors do not select the Service");
	assert_string_equal(tries[1].why, "none of its addresses is free");
	assert_string_equal(tries[2].why, "it gives addresses only to Services that name it");
	free(tries);
	scene_fini(&s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_that_shrinks_or_goes_keeps_what_is_in_use),
		cmocka_unit_test(status_is_the_durable_record),
		cmocka_unit_test(of_two_with_one_address_the_older_allocation_wins),
		cmocka_unit_test(a_request_moves_its_service_once_it_can_be_had),
		cmocka_unit_test(naming_another_pool_moves_a_service),
		cmocka_unit_test(pools_that_select_go_first_then_priority_then_the_file),
		cmocka_unit_test(buggy_addresses_are_avoided_on_request),
		cmocka_unit_test(a_freed_address_goes_to_who_waited_longest),
		cmocka_unit_test(at_a_start_the_older_service_goes_first),
		cmocka_unit_test(who_returns_soon_gets_his_old_address),
		cmocka_unit_test(the_longest_released_is_given_first),
		cmocka_unit_test(a_second_family_comes_and_goes_alone),
		cmocka_unit_test(who_prefers_two_families_gets_the_second_later_of_the_same_pool),
		cmocka_unit_test(who_requires_two_families_is_not_served_on_one),
		cmocka_unit_test(an_address_is_shared_on_terms),
		cmocka_unit_test(type_class_and_deletion_give_everything_back),
		cmocka_unit_test(an_address_of_a_node_or_of_ours_is_refused),
		cmocka_unit_test(a_follower_serves_what_status_names_and_gives_nothing),
		cmocka_unit_test(a_snapshot_alone_grants_only_what_status_or_memory_names),
		cmocka_unit_test(who_writes_status_hears_of_each_change_once),
		cmocka_unit_test(
			who_selects_pods_awaits_a_slice_of_its_family_and_its_arrival_is_told),
		cmocka_unit_test(pools_are_counted_and_say_why_they_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
