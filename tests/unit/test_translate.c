// SPDX-License-Identifier: Apache-2.0
// Objects to desired state: a table of cases for each rule, and random histories against the naive oracle.
#include "kube_case.h"
#include "kube_oracle.h"
#include "model/model.h"

static struct ip_range public_ranges[2], private_ranges[1];
static struct ipam_pool pools[2];
static struct ip_addr node_port_address[1];
static struct ip_prefix external[1];
static struct kube_reserved reserved[1];

static struct kube_settings settings(void) {
	public_ranges[0] = case_range("203.0.113.0/29");
	public_ranges[1] = case_range("2001:db8:100::/125");
	private_ranges[0] = case_range("198.51.100.0/30");
	pools[0] = (struct ipam_pool){.name = "public",
				      .auto_assign = true,
				      .n_ranges = 2,
				      .ranges = public_ranges};
	pools[1] = (struct ipam_pool){.name = "private",
				      .auto_assign = false,
				      .n_ranges = 1,
				      .ranges = private_ranges};
	node_port_address[0] = case_ip("203.0.113.250");
	ip_prefix_parse(&external[0], "192.0.2.128/25");
	reserved[0] = (struct kube_reserved){case_ip("203.0.113.1"), "port wan"};
	return (struct kube_settings){.forwarding = MODEL_FULLNAT,
				      .reject = true,
				      .n_pools = 2,
				      .pools = pools,
				      .n_external_ips = 1,
				      .external_ips = external,
				      .n_reserved = 1,
				      .reserved = reserved};
}

// One line for a service: "web:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.1:8080 | reason"; backends carry (state) when not plainly ready, +
// for a usable one that is draining, xN for a weight.
static void dump_backend(const struct model_backend *b, char *out, size_t size) {
	char text[IP_ADDR_STR + 8];
	size_t n = (size_t)snprintf(out, size, " %s", ip_port_format(&b->addr, b->port, text));

	if (b->weight != 1)
		n += (size_t)snprintf(out + n, size - n, "x%u", b->weight);
	if (b->state != MODEL_READY)
		snprintf(out + n, size - n, "(%s%s)", b->reason, b->usable ? "+" : "");
}

static void dump(const struct model *m, char *out, size_t size) {
	const struct model_service **list;
	int n = model_list(m, &list);
	size_t at = 0;

	out[0] = 0;
	for (int i = 0; i < n; i++) {
		const struct model_service *s = list[i];
		char text[IP_ADDR_STR + 8];

		at += (size_t)snprintf(out + at, size - at, "%s:%u/%s %s", s->key.name, s->key.port,
				       model_protocol_name(s->key.protocol),
				       model_mode_name(s->mode));
		for (uint32_t f = 0; f < s->n_frontends; f++)
			at += (size_t)snprintf(out + at, size - at, " %s",
					       ip_port_format(&s->frontends[f].addr,
							      s->frontends[f].port, text));
		at += (size_t)snprintf(out + at, size - at, " ->");
		for (uint32_t b = 0; b < s->n_backends; b++) {
			dump_backend(&s->backends[b], out + at, size - at);
			at = strlen(out);
		}
		at += (size_t)snprintf(out + at, size - at, "%s%s\n", s->reason[0] ? " | " : "",
				       s->reason);
	}
	free(list);
}

struct translation_case {
	const char *name, *objects, *expect;
	void (*change)(struct kube_settings *s);
};

#define SVC(name, spec)                                                                            \
	"{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {" spec "}}\n---\n"
#define SVC_META(name, meta, spec)                                                                 \
	"{apiVersion: v1, kind: Service, metadata: {name: " name ", " meta "}, spec: {" spec       \
	"}}\n---\n"
#define SLICE(name, svc, ports, endpoints)                                                         \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " name            \
	", labels: {kubernetes.io/service-name: " svc "}}, addressType: IPv4, ports: [" ports      \
	"], endpoints: [" endpoints "]}\n---\n"
#define EP(ip) "{addresses: [" ip "]}"
#define EPC(ip, conditions) "{addresses: [" ip "], conditions: {" conditions "}}"
#define EPN(ip, node) "{addresses: [" ip "], nodeName: " node "}"
#define NODE(name, ip, meta, spec)                                                                 \
	"{apiVersion: v1, kind: Node, metadata: {name: " name meta "}, spec: {" spec               \
	"}, status: {addresses: [{type: Hostname, address: x}, {type: InternalIP, address: " ip    \
	"}, {type: InternalIP, address: 10.9.9.9}]}}\n---\n"
#define LB "type: LoadBalancer, ports: [{port: 80}]"
#define P8080 "{port: 8080}"

static void with_node_ports(struct kube_settings *s) {
	s->n_node_port_addresses = 1;
	s->node_port_addresses = node_port_address;
}

static void with_class(struct kube_settings *s) {
	s->lb_class = "sluice.dev/lb";
}

static void with_cluster_ips(struct kube_settings *s) {
	s->cluster_ips = true;
}

static void without_pools(struct kube_settings *s) {
	s->n_pools = 0;
}

static const struct translation_case cases[] = {
	{"ready endpoints serve, others are listed",
	 SVC("web", LB) SLICE(
		 "a", "web", P8080,
		 EP("10.0.0.1") "," EPC("10.0.0.2", "ready: false") "," EPC(
			 "10.0.0.3",
			 "ready: false, serving: true, terminating: true") "," EPC("10.0.0.4",
										   "ready: false, serving: false, terminating: true")),
	 "web:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.1:8080 10.0.0.2:8080(not-ready) 10.0.0.3:8080(terminating) 10.0.0.4:8080(not-serving)\n",
	 NULL},
	{"without ready ones serving terminating ones are used",
	 SVC("web", LB)
		 SLICE("a", "web", P8080,
		       EPC("10.0.0.2", "ready: false") "," EPC("10.0.0.3",
							       "ready: false, terminating: true")),
	 "web:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.2:8080(not-ready) 10.0.0.3:8080(terminating+)\n",
	 NULL},
	{"ready and terminating is ready",
	 SVC("web", LB) SLICE("a", "web", P8080, EPC("10.0.0.3", "ready: true, terminating: true")),
	 "web:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.3:8080\n", NULL},
	{"the best condition of a duplicate counts",
	 SVC("web", LB) SLICE("a", "web", P8080, EPC("10.0.0.1", "ready: false"))
		 SLICE("b", "web", P8080, EP("10.0.0.1")),
	 "web:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.1:8080\n", NULL},
	{"ports join by name and protocol, numbers are the slice's",
	 SVC("web",
	     "type: LoadBalancer, ports: [{name: a, port: 80}, {name: b, port: 81}, {name: a2, port: 80, protocol: UDP}]")
		 SLICE("a", "web", "{name: a, port: 8080}", EP("10.0.0.1")) SLICE(
			 "b", "web",
			 "{name: a, port: 9090}, {name: a2, port: 53, protocol: UDP}, {name: b}",
			 EP("10.0.0.2")),
	 "web:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.1:8080 10.0.0.2:9090\nweb:80/UDP fullnat 203.0.113.0:80 -> 10.0.0.2:53\nweb:81/TCP fullnat 203.0.113.0:81 ->\n",
	 NULL},
	{"bad endpoint addresses are refused",
	 SVC("web", LB) SLICE("a", "web", P8080,
			      EP("127.0.0.1") "," EP("169.254.1.1") "," EP("224.0.0.1")),
	 "web:80/TCP fullnat 203.0.113.0:80 -> 127.0.0.1:8080(address-not-usable) 169.254.1.1:8080(address-not-usable) 224.0.0.1:8080(address-not-usable)\n",
	 NULL},
	{"Endpoints count only without slices",
	 SVC("web", LB) SVC("db", LB) SLICE(
		 "a", "web", P8080,
		 EP("10.0.0.1")) "{apiVersion: v1, kind: Endpoints, metadata: {name: web}, subsets: [{addresses: [{ip: 10.0.0.9}], ports: [{port: 1}]}]}\n---\n"
				 "{apiVersion: v1, kind: Endpoints, metadata: {name: db}, subsets: [{addresses: [{ip: 10.0.0.9}], notReadyAddresses: [{ip: 10.0.0.8}], ports: [{port: 1}]}]}\n",
	 "db:80/TCP fullnat 203.0.113.0:80 -> 10.0.0.8:1(not-ready) 10.0.0.9:1\nweb:80/TCP fullnat 203.0.113.2:80 -> 10.0.0.1:8080\n",
	 NULL},
	{"what is not served says why",
	 SVC("a", "type: ExternalName, externalName: x")
		 SVC("b", "clusterIP: None, ports: [{port: 1}]") SVC("c", "ports: [{port: 1}]"),
	 "a:0/TCP fullnat -> | type ExternalName is not served\nb:1/TCP fullnat -> | headless Services are not served\nc:1/TCP fullnat -> | type ClusterIP is not served\n",
	 NULL},
	{"later and unknown values leave the Service unserved",
	 SVC_META("a", "annotations: {sluice.dev/forwarding: ipip}",
		  LB) SVC_META("b", "annotations: {sluice.dev/scheduler: magic}", LB)
		 SVC("c", "type: LoadBalancer, ports: [{port: 1, protocol: SCTP}, {port: 1}]"),
	 "a:80/TCP fullnat -> | not supported by this version: annotation sluice.dev/forwarding: ipip\n"
	 "b:80/TCP fullnat -> | annotation sluice.dev/scheduler: unknown value \"magic\"\n"
	 "c:1/TCP fullnat 203.0.113.3:1 ->\nc:1/SCTP fullnat -> | not supported by this version: protocol SCTP\n",
	 NULL},
	{"a foreign class keeps node ports",
	 SVC("a",
	     "loadBalancerClass: other, type: LoadBalancer, ports: [{port: 80, nodePort: 30080}]"),
	 "a:80/TCP fullnat 203.0.113.250:30080 -> | load balancer class \"other\" is not ours\n",
	 with_node_ports},
	{"with a class only that class",
	 SVC("a", LB) SVC("b", LB ", loadBalancerClass: sluice.dev/lb"),
	 "a:80/TCP fullnat -> | load balancer class \"\" is not ours\nb:80/TCP fullnat 203.0.113.0:80 ->\n",
	 with_class},
	{"node ports on their addresses, not in dsr",
	 SVC("a", "type: NodePort, ports: [{port: 80, nodePort: 30080}]")
		 SVC_META("b", "annotations: {sluice.dev/forwarding: dsr}",
			  "type: NodePort, ports: [{port: 80, nodePort: 30081}]"),
	 "a:80/TCP fullnat 203.0.113.250:30080 ->\nb:80/TCP dsr -> | node ports are not served in dsr\n",
	 with_node_ports},
	{"dsr keeps the Service's port and merges",
	 SVC_META("a", "annotations: {sluice.dev/forwarding: dsr}", LB)
		 SLICE("s", "a", "{port: 8080}, {port: 8081}", EP("10.0.0.1")),
	 "a:80/TCP dsr 203.0.113.0:80 -> 10.0.0.1:80\n", NULL},
	{"status, else request, else pool",
	 SVC_META("a", "creationTimestamp: '2026-01-01T00:00:00Z'", LB) SVC_META(
		 "b", "creationTimestamp: '2026-01-02T00:00:00Z'",
		 LB
		 ", loadBalancerIP: 203.0.113.0") "{apiVersion: v1, kind: Service, metadata: {name: c, creationTimestamp: '2026-01-03T00:00:00Z'}, spec: {" LB
						  "}, status: {loadBalancer: {ingress: [{ip: 192.0.2.77, ipMode: Proxy}]}}}\n---\n" SVC_META(
							  "d",
							  "annotations: {sluice.dev/address-pool: private}",
							  LB)
							  SVC_META(
								  "e",
								  "annotations: {sluice.dev/address-pool: none}",
								  LB),
	 "a:80/TCP fullnat 203.0.113.2:80 ->\nb:80/TCP fullnat 203.0.113.0:80 ->\nc:80/TCP fullnat 192.0.2.77:80 ->\nd:80/TCP fullnat 198.51.100.0:80 ->\n"
	 "e:80/TCP fullnat -> | no address pool is named \"none\"\n",
	 NULL},
	{"the older Service keeps the address",
	 SVC_META("a", "creationTimestamp: '2026-01-02T00:00:00+01:00'",
		  LB ", loadBalancerIP: 203.0.113.4")
		 SVC_META("b", "creationTimestamp: '2026-01-01T22:59:59Z'",
			  LB ", loadBalancerIP: 203.0.113.4"),
	 "a:80/TCP fullnat -> | address 203.0.113.4 is in use by default/b\nb:80/TCP fullnat 203.0.113.4:80 ->\n",
	 NULL},
	{"one key shares one address",
	 SVC_META("a", "annotations: {sluice.dev/allow-shared-ip: k}",
		  LB) SVC_META("b", "annotations: {sluice.dev/allow-shared-ip: k}",
			       "type: LoadBalancer, ports: [{port: 81}]")
		 SVC_META("c", "annotations: {sluice.dev/allow-shared-ip: k}", LB) SVC("d", LB),
	 "a:80/TCP fullnat 203.0.113.0:80 ->\nb:81/TCP fullnat 203.0.113.0:81 ->\nc:80/TCP fullnat 203.0.113.2:80 ->\nd:80/TCP fullnat 203.0.113.3:80 ->\n",
	 NULL},
	{"own addresses and strange ones are refused",
	 SVC("a", LB ", loadBalancerIP: 203.0.113.1") SVC("b", LB ", loadBalancerIP: 8.8.8.8")
		 SVC("c", LB ", loadBalancerIP: x"),
	 "a:80/TCP fullnat -> | address 203.0.113.1 is the appliance's own (port wan)\nb:80/TCP fullnat -> | requested address 8.8.8.8 is in no pool that the Service may use\n"
	 "c:80/TCP fullnat -> | requested address \"x\" is no IP address\n",
	 NULL},
	{"without pools a request is free", SVC("b", LB ", loadBalancerIP: 8.8.8.8") SVC("c", LB),
	 "b:80/TCP fullnat 8.8.8.8:80 ->\nc:80/TCP fullnat -> | no address pool gives IPv4 addresses\n",
	 without_pools},
	{"external IPs inside the allowed blocks",
	 SVC("a", "externalIPs: [192.0.2.200, 192.0.2.1], ports: [{port: 80}]")
		 SVC("b", "externalIPs: [192.0.2.200], ports: [{port: 80}]"),
	 "a:80/TCP fullnat 192.0.2.200:80 -> | external IP 192.0.2.1 is outside services.externalIPs\nb:80/TCP fullnat -> | 192.0.2.200:80/TCP is in use by default/a\n",
	 NULL},
	{"cluster IPs when asked", SVC("a", "clusterIP: 10.96.0.1, ports: [{port: 80}]"),
	 "a:80/TCP fullnat 10.96.0.1:80 ->\n", with_cluster_ips},
	{"both families by ipFamilies",
	 SVC("a", LB ", ipFamilies: [IPv6, IPv4], ipFamilyPolicy: RequireDualStack")
		 SVC("b", LB ", ipFamilies: [IPv6]"),
	 "a:80/TCP fullnat 203.0.113.0:80 [2001:db8:100::]:80 ->\nb:80/TCP fullnat [2001:db8:100::1]:80 ->\n",
	 NULL},
	{"nodes: exclude label, draining, cordon",
	 SVC_META("a", "annotations: {sluice.dev/target: node}",
		  "type: LoadBalancer, ports: [{port: 80, nodePort: 30080}]")
		 NODE("n1", "10.1.0.1", "", "unschedulable: true") NODE(
			 "n2", "10.1.0.2",
			 ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}",
			 "")
			 NODE("n3", "10.1.0.3",
			      ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: 'false'}",
			      "") NODE("n4", "10.1.0.4", "",
				       "taints: [{key: node.kubernetes.io/out-of-service}]"),
	 "a:80/TCP fullnat 203.0.113.0:80 -> 10.1.0.1:30080 10.1.0.2:30080(node-excluded) 10.1.0.3:30080 10.1.0.4:30080(node-draining)\n",
	 NULL},
	{"nodes: Local by usable local endpoints",
	 SVC_META(
		 "a", "annotations: {sluice.dev/target: node}",
		 "externalTrafficPolicy: Local, type: LoadBalancer, ports: [{port: 80, nodePort: 30080}]")
		 NODE("n1", "10.1.0.1", "", "") NODE("n2", "10.1.0.2", "",
						     "") NODE("n3", "10.1.0.3", "", "")
			 SLICE("s", "a", P8080,
			       EPN("10.0.0.1", "n1") "," EPN(
				       "10.0.0.2",
				       "n1") ","
					     "{addresses: [10.0.0.3], nodeName: n2, conditions: {ready: false, terminating: true}},"
					     "{addresses: [10.0.0.4], nodeName: n1, conditions: {ready: false, terminating: true}}"),
	 "a:80/TCP fullnat 203.0.113.0:80 -> 10.1.0.1:30080x2 10.1.0.2:30080\n", NULL},
	{"nodes: a port without nodePort",
	 SVC_META("a", "annotations: {sluice.dev/target: node}",
		  LB ", allocateLoadBalancerNodePorts: false"),
	 "a:80/TCP fullnat -> | needs nodePort: target is node and the port has none\n", NULL},
};

static void each_rule_gives_its_services(void **state) {
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kube_settings s = settings();
		struct ipam_memory *memory = ipam_memory_create();
		struct kube *k = kube_create(&s, memory);
		struct model *m = model_create();
		struct case_objects objects;
		struct error err = {""};
		char got[8192];

		if (cases[i].change != NULL)
			cases[i].change(&s);
		if (case_decode(&objects, cases[i].objects, &err) < 0)
			fail_msg("%s: %s", cases[i].name, err.text);
		kube_replace(k, KUBE_ALL_KINDS, objects.list, objects.n);
		case_free(&objects);
		assert_true(kube_apply(k, m, true) >= 0);
		dump(m, got, sizeof(got));
		if (strcmp(got, cases[i].expect) != 0)
			fail_msg("%s:\ngot\n%sexpected\n%s", cases[i].name, got, cases[i].expect);
		kube_destroy(k);
		model_destroy(m);
		ipam_memory_destroy(memory);
	}
}

struct world {
	struct kube_settings settings;
	struct ipam_memory *memory;
	struct kube *k;
	struct model *m;
};

static void world_init(struct world *w) {
	w->settings = settings();
	w->memory = ipam_memory_create();
	w->k = kube_create(&w->settings, w->memory);
	w->m = model_create();
}

static void world_fini(struct world *w) {
	kube_destroy(w->k);
	model_destroy(w->m);
	ipam_memory_destroy(w->memory);
}

static void world_show(struct world *w, const char *text, bool complete) {
	struct case_objects objects;
	struct error err;

	assert_int_equal(case_decode(&objects, text, &err), 0);
	kube_replace(w->k, KUBE_ALL_KINDS, objects.list, objects.n);
	case_free(&objects);
	assert_true(kube_apply(w->k, w->m, complete) >= 0);
}

static void assert_dump(struct world *w, const char *expect) {
	char got[8192];

	dump(w->m, got, sizeof(got));
	assert_string_equal(got, expect);
}

static void nobody_is_renumbered_and_a_deleted_service_frees_at_once(void **state) {
	struct world w;

	world_init(&w);
	world_show(&w, SVC_META("b", "creationTimestamp: '2026-01-02T00:00:00Z'", LB), true);
	assert_dump(&w, "b:80/TCP fullnat 203.0.113.0:80 ->\n");
	world_show(&w,
		   SVC_META("a", "creationTimestamp: '2026-01-01T00:00:00Z'", LB)
			   SVC_META("b", "creationTimestamp: '2026-01-02T00:00:00Z'", LB),
		   true);
	assert_dump(&w, "a:80/TCP fullnat 203.0.113.2:80 ->\nb:80/TCP fullnat 203.0.113.0:80 ->\n");
	world_show(&w, SVC_META("a", "creationTimestamp: '2026-01-01T00:00:00Z'", LB) SVC("c", LB),
		   true);
	assert_dump(&w, "a:80/TCP fullnat 203.0.113.2:80 ->\nc:80/TCP fullnat 203.0.113.0:80 ->\n");
	public_ranges[0] = case_range(
		"203.0.113.4/30"); // the pool moves away: what is in use stays
	kube_configure(w.k, &w.settings);
	assert_true(kube_apply(w.k, w.m, true) >= 0);
	assert_dump(&w, "a:80/TCP fullnat 203.0.113.2:80 ->\nc:80/TCP fullnat 203.0.113.0:80 ->\n");
	world_fini(&w);
}

static void while_objects_are_missing_their_addresses_stay_theirs(void **state) {
	struct world w;

	world_init(&w);
	world_show(&w, SVC("a", LB), true);
	world_show(&w, SVC("b", LB), false);
	assert_dump(&w, "b:80/TCP fullnat 203.0.113.2:80 ->\n");
	world_show(&w, SVC("a", LB) SVC("b", LB), true);
	assert_dump(&w, "a:80/TCP fullnat 203.0.113.0:80 ->\nb:80/TCP fullnat 203.0.113.2:80 ->\n");
	world_fini(&w);
}

static void an_equal_object_changes_nothing(void **state) {
	struct world w;
	struct model_key *keys;

	world_init(&w);
	for (int i = 0; i < 2; i++) {
		world_show(&w,
			   SVC("a", LB) SLICE("s", "a", P8080, EP("10.0.0.1"))
				   NODE("n", "10.1.0.1", "", ""),
			   true);
		assert_int_equal(model_take_dirty(w.m, &keys), i == 0 ? 1 : 0);
		free(keys);
	}
	world_fini(&w);
}

#define PICK(...)                                                                                  \
	((const char *const[]){                                                                    \
		__VA_ARGS__}[random() %                                                            \
			     (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))])

static void random_service(char *out, size_t size) {
	snprintf(
		out, size,
		"{apiVersion: v1, kind: Service, metadata: {name: s%ld, uid: u%ld, %s annotations: {%s %s %s}}, spec: {type: %s, "
		"ports: [{name: a, port: %ld, nodePort: %s}, {name: b, port: 90, protocol: %s, nodePort: 3100%ld}], %s %s %s %s %s}, status: {%s}}",
		random() % 6, random() % 2,
		PICK("", "creationTimestamp: '2026-01-01T00:00:00Z',",
		     "creationTimestamp: '2026-01-02T00:00:00Z',"),
		PICK("", "", "sluice.dev/target: node,", "sluice.dev/forwarding: dsr,",
		     "sluice.dev/forwarding: dnat,", "sluice.dev/scheduler: rr,"),
		PICK("", "", "sluice.dev/address-pool: private,",
		     "sluice.dev/load-balancer-ips: 203.0.113.5,",
		     "sluice.dev/address-pool: none,"),
		PICK("", "", "sluice.dev/allow-shared-ip: k", "sluice.dev/allow-shared-ip: j"),
		PICK("LoadBalancer", "LoadBalancer", "LoadBalancer", "NodePort", "ClusterIP"),
		80 + random() % 3, PICK("0", "30080", "30081"), PICK("TCP", "UDP", "SCTP"),
		random() % 3,
		PICK("", "loadBalancerIP: 203.0.113.3,", "loadBalancerIP: '2001:db8:100::3',", ""),
		PICK("", "ipFamilies: [IPv4, IPv6],", "ipFamilies: [IPv6],",
		     "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack,"),
		PICK("", "externalIPs: [192.0.2.200],", "externalIPs: [203.0.113.6, 192.0.2.201],"),
		PICK("", "externalTrafficPolicy: Local,", "loadBalancerClass: other,",
		     "externalTrafficPolicy: Local, healthCheckNodePort: 32000,"),
		PICK("", "clusterIP: 10.96.0.7,", "clusterIP: None,", "sessionAffinity: ClientIP,",
		     "loadBalancerSourceRanges: [10.0.0.0/8, x],"),
		PICK("", "", "", "loadBalancer: {ingress: [{ip: 203.0.113.2}]}",
		     "loadBalancer: {ingress: [{ip: 192.0.2.9}, {ip: '2001:db8::9'}]}"));
}

static void random_slice(char *out, size_t size) {
	bool six = random() % 3 == 0;
	size_t n = (size_t)snprintf(
		out, size,
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e%ld, labels: {kubernetes.io/service-name: s%ld}}, "
		"addressType: IPv%d, ports: [{name: a, port: 808%ld}, {name: b, port: 9090, protocol: %s}], endpoints: [",
		random() % 8, random() % 6, six ? 6 : 4, random() % 2, PICK("TCP", "UDP"));

	for (long i = random() % 5; i > 0; i--)
		n += (size_t)snprintf(
			out + n, size - n,
			"{addresses: ['%s%ld'], nodeName: n%ld, conditions: {ready: %s, serving: %s, terminating: %s}},",
			six ? "fd00::" : "10.0.0.", 1 + random() % 6, random() % 5,
			PICK("true", "false"), PICK("true", "false", "~"), PICK("true", "false"));
	snprintf(out + n, size - n, "]}");
}

static void random_endpoints(char *out, size_t size) {
	snprintf(
		out, size,
		"{apiVersion: v1, kind: Endpoints, metadata: {name: s%ld}, subsets: [{addresses: [{ip: 10.0.1.%ld, nodeName: n%ld}], "
		"notReadyAddresses: [{ip: 10.0.1.%ld}], ports: [{name: a, port: 7%ld}]}]}",
		random() % 6, 1 + random() % 4, random() % 5, 1 + random() % 4, random() % 3);
}

static void random_node(char *out, size_t size) {
	long n = random() % 5;

	snprintf(
		out, size,
		"{apiVersion: v1, kind: Node, metadata: {name: n%ld, labels: {%s}}, spec: {taints: [%s]}, status: {addresses: "
		"[{type: InternalIP, address: 10.1.0.%ld}, %s]}}",
		n, PICK("", "", "node.kubernetes.io/exclude-from-external-load-balancers: 'true'"),
		PICK("", "", "{key: ToBeDeletedByClusterAutoscaler}"), n + 1,
		n % 2 ? "{type: InternalIP, address: 'fd01::1'}" : "");
}

static struct kube_object *random_object(void) {
	static void (*const makers[])(char *, size_t) = {random_service, random_service,
							 random_slice,   random_slice,
							 random_slice,   random_endpoints,
							 random_node};
	struct case_objects c;
	struct error err;
	char text[4096];

	makers[random() % 7](text, sizeof(text));
	if (case_decode(&c, text, &err) < 0)
		fail_msg("%s in %s", err.text, text);
	return c.list[0];
}

static void world_change(struct oracle *o, struct kube *k) {
	struct kube_object *new = random_object();
	int at = 0, ret;

	if (new->meta.kind == KUBE_SERVICE)
		strcpy(o->touched[o->n_touched], new->meta.name);
	while (at < o->n_objects &&
	       !(o->objects[at]->meta.kind ==
		 new->meta.kind &&strcmp(o->objects[at]->meta.name, new->meta.name) == 0))
		at++;
	if (at < o->n_objects) {
		kube_object_put((struct kube_object *)o->objects[at]);
		o->objects[at] = o->objects[--o->n_objects];
	}
	if (random() % 4 == 0) {
		ret = kube_remove(k, new->meta.kind, new->meta.ns, new->meta.name);
		o->n_touched += ret > 0 && new->meta.kind == KUBE_SERVICE;
		kube_object_put(new);
	} else {
		ret = kube_put(k, new);
		assert_true(ret >= 0);
		o->n_touched += ret > 0 && new->meta.kind == KUBE_SERVICE;
		o->objects[o->n_objects++] = new;
	}
}

// A probe says something about a node, which need not exist.
static void verdict_change(struct oracle *o, struct kube *k) {
	struct oracle_verdict v = {
		.health = {(enum kube_verdict)(random() % 4), (uint32_t)random() % 4}};
	bool proxy = random() % 2;
	int at = 0;

	snprintf(v.node, sizeof(v.node), "n%ld", random() % 5);
	if (!proxy)
		snprintf(v.service, sizeof(v.service), "s%ld", random() % 6);
	while (at < o->n_verdicts && (strcmp(o->verdicts[at].node, v.node) != 0 ||
				      strcmp(o->verdicts[at].service, v.service) != 0))
		at++;
	o->verdicts[at] = v;
	if (at == o->n_verdicts)
		o->n_verdicts++;
	assert_true(kube_set_node_health(k, v.node, proxy ? NULL : "default",
					 proxy ? NULL : v.service, &v.health) >= 0);
}

static void assert_same(const struct model *got, const struct model *expected, int step) {
	const struct model_service **a, **b;
	int n = model_list(got, &a), n_b = model_list(expected, &b);
	bool same = n == n_b;

	for (int i = 0; i < n && same; i++) {
		struct model_service s = *a[i];

		assert_true(s.n_frontends > 0 || s.reason[0] != 0);
		s.reason[0] = s.note[0] = 0;
		same = model_service_equal(&s, b[i]);
	}
	if (!same) {
		static char x[65536], y[65536];

		dump(got, x, sizeof(x));
		dump(expected, y, sizeof(y));
		fail_msg("step %d:\ngot\n%sexpected\n%s", step, x, y);
	}
	free(a);
	free(b);
}

static void run_history(unsigned seed, void (*change)(struct kube_settings *s), int steps) {
	static struct oracle o;
	struct world w;

	world_init(&w);
	if (change != NULL)
		change(&w.settings);
	memset(&o, 0, sizeof(o));
	o.settings = &w.settings;
	srandom(seed);
	for (int step = 0; step < steps; step++) {
		struct model *expected = model_create();

		for (long i = random() % 3; i >= 0; i--)
			world_change(&o, w.k);
		for (long i = random() % 4; i > 0; i--)
			verdict_change(&o, w.k);
		assert_true(kube_apply(w.k, w.m, true) >= 0);
		oracle_run(&o, expected);
		assert_same(w.m, expected, step);
		assert_int_equal(ipam_memory_count(w.memory), o.n_before);
		model_destroy(expected);
	}
	for (int i = 0; i < o.n_objects; i++)
		kube_object_put((struct kube_object *)o.objects[i]);
	world_fini(&w);
}

static void with_everything(struct kube_settings *s) {
	with_node_ports(s);
	with_cluster_ips(s);
	s->target = KUBE_TARGET_NODE;
	s->forwarding = MODEL_DNAT;
}

static void any_history_of_objects_equals_a_translation_from_scratch(void **state) {
	run_history(1, NULL, 3000);
	run_history(2, with_node_ports, 3000);
	run_history(3, with_everything, 3000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_gives_its_services),
		cmocka_unit_test(nobody_is_renumbered_and_a_deleted_service_frees_at_once),
		cmocka_unit_test(while_objects_are_missing_their_addresses_stay_theirs),
		cmocka_unit_test(an_equal_object_changes_nothing),
		cmocka_unit_test(any_history_of_objects_equals_a_translation_from_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
