// SPDX-License-Identifier: Apache-2.0
// Decoding: faults are named by place, what Kubernetes tolerates is tolerated, lists are flattened.
#include <errno.h>

#include "kube_case.h"

static const struct {
	const char *text, *fault;
} faults[] = {
	{"kind: Service", "no apiVersion or no kind"},
	{"[]", "not an object"},
	{"{apiVersion: v1, kind: Service}", "name: not a name"},
	{"{apiVersion: v1, kind: Service, metadata: {name: A_b}}", "name: not a name"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ''}}",
	 "namespace: not a name"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a, creationTimestamp: yesterday}}",
	 "metadata.creationTimestamp: not a time"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {}}", "spec: ports: missing"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: {}}}",
	 "spec.ports: not an array"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}, {port: 2}, {port: '80'}]}}",
	 "spec.ports[2].port: not an integer"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 0}]}}",
	 "spec.ports[0].port: not within 1..65535"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1, protocol: tcp}]}}",
	 "spec.ports[0].protocol: "},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}, {port: 1}]}}",
	 "spec.ports[1]: same port"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1, targetPort: true}]}}",
	 "spec.ports[0].targetPort: not an integer"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: x, ports: [{port: 1}]}}",
	 "spec.clusterIP: not an IP address"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ipFamilies: [IPv4, IPv4], ports: [{port: 1}]}}",
	 "spec.ipFamilies[1]: "},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}, ports: [{port: 1}]}}",
	 "timeoutSeconds: not within 1..86400"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {sluice.dev/target: 1}}, spec: {ports: [{port: 1}]}}",
	 "not a string"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}, status: {loadBalancer: {ingress: [{ip: 1.2.3}]}}}",
	 "status.loadBalancer.ingress[0].ip: not an IP address"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a, finalizers: x}, spec: {ports: [{port: 1}]}}",
	 "metadata.finalizers: not an array"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a, labels: {a: 1}}, spec: {ports: [{port: 1}]}}",
	 "metadata.labels.a: not a string"},
	{"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}, status: {conditions: [{type: sluice.dev/Allocated, "
	 "observedGeneration: x}]}}",
	 "status.conditions[0].observedGeneration: not an integer"},
	{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}}",
	 "addressType: missing"},
	{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: [{addresses: []}]}",
	 "endpoints[0].addresses: no address"},
	{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv6, endpoints: [{addresses: [10.0.0.1]}]}",
	 "not an IPv6 address"},
	{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, ports: [{port: 65536}]}",
	 "ports[0].port: not within"},
	{"{apiVersion: v1, kind: Endpoints, metadata: {name: a}, subsets: [{addresses: [{}]}]}",
	 "subsets[0].addresses[0].ip: not an IP address"},
	{"{apiVersion: v1, kind: Node, metadata: {name: a}, status: {addresses: [{type: InternalIP, address: x}]}}",
	 "status.addresses[0].address: not an IP address"},
	{"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {taints: 3}}]}",
	 "items[0].spec.taints: not an array"},
};

static void each_fault_is_named_by_its_place(void **state) {
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct case_objects c;
		struct error err = {""};

		assert_int_equal(case_decode(&c, faults[i].text, &err), -EINVAL);
		if (strstr(err.text, faults[i].fault) == NULL ||
		    strncmp(err.text, "case.yaml:", 10) != 0)
			fail_msg("%s: %s", faults[i].text, err.text);
		case_free(&c);
	}
}

static struct kube_object *decode_one(const char *text) {
	struct case_objects c;
	struct error err = {""};

	if (case_decode(&c, text, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(c.n, 1);
	return c.list[0];
}

static void lists_are_flattened_and_unknown_kinds_skipped(void **state) {
	struct case_objects c;
	struct error err;

	assert_int_equal(
		case_decode(
			&c,
			"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: n}}, "
			"{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}]}\n---\n"
			"{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: s}, spec: {ports: [{port: 1}]}}]}\n---\n"
			"{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: old}}\n---\n"
			"{apiVersion: v1, kind: NodeList, items: ~}\n",
			&err),
		0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.skipped, 2);
	assert_int_equal(c.list[1]->meta.kind, KUBE_SERVICE);
	assert_string_equal(c.list[1]->meta.ns, "default");
	case_free(&c);
}

static void source_ranges_that_can_not_be_read_stay_restrictive(void **state) {
	struct kube_object *o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: "
		"'1.1.1.1/32'}}, spec: {ports: [{port: 1}], loadBalancerSourceRanges: [' 203.0.113.7/25 ', nonsense]}}");

	assert_true(o->service.restricted);
	assert_int_equal(o->service.n_ranges, 1);
	assert_int_equal(o->service.ranges[0].addr.b[3], 0);
	assert_int_equal(o->service.ranges[0].len, 25);
	kube_object_put(o);
	o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: "
		"'1.1.1.1/32 , 2001:db8::/32'}}, spec: {ports: [{port: 1}]}}");
	assert_int_equal(o->service.n_ranges, 2);
	kube_object_put(o);
	o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}], loadBalancerSourceRanges: []}}");
	assert_false(o->service.restricted);
	kube_object_put(o);
}

static void nil_conditions_have_their_defaults_and_only_the_first_address_counts(void **state) {
	struct kube_object *o = decode_one(
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: {kubernetes.io/service-name: s}}, "
		"addressType: IPv4, ports: [{name: x, port: ~}, {port: 1}], endpoints: [{addresses: [10.0.0.1, 10.0.0.2], conditions: ~}]}");
	const struct kube_group *g = &o->endpoints.groups[0];

	assert_int_equal(g->n_ports, 1);
	assert_int_equal(g->ports[0].protocol, 6);
	assert_int_equal(g->n_endpoints, 1);
	assert_true(g->endpoints[0].ready && g->endpoints[0].serving &&
		    !g->endpoints[0].terminating);
	assert_string_equal(o->endpoints.service, "s");
	kube_object_put(o);
	o = decode_one(
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: FQDN, endpoints: [{addresses: [example.com]}]}");
	assert_int_equal(o->endpoints.n_groups, 0);
	assert_string_equal(o->endpoints.service, "");
	kube_object_put(o);
}

static void times_compare_across_offsets_and_fractions(void **state) {
	static const struct {
		const char *older, *younger;
	} pairs[] = {
		{"'2026-01-01T00:00:00+01:00'", "'2026-01-01T00:00:00Z'"},
		{"'2026-01-01T00:00:00Z'", "'2026-01-01T00:00:00.5Z'"},
		{"~", "'1970-01-01T00:00:00Z'"},
	};
	char text[256];

	for (size_t i = 0; i < 3; i++) {
		struct kube_object *o[2];

		for (int j = 0; j < 2; j++) {
			snprintf(
				text, sizeof(text),
				"{apiVersion: v1, kind: Node, metadata: {name: a, creationTimestamp: %s}}",
				j == 0 ? pairs[i].older : pairs[i].younger);
			o[j] = decode_one(text);
		}
		assert_true(kube_object_age_cmp(o[0], o[1]) < 0);
		kube_object_put(o[0]);
		kube_object_put(o[1]);
	}
}

static void the_affinity_timeout_is_three_hours_unless_given(void **state) {
	struct kube_object *o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {sessionAffinity: ClientIP, ports: [{port: 1}]}}");

	assert_int_equal(o->service.affinity_timeout, 10800);
	kube_object_put(o);
	o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}, ports: [{port: 1}]}}");
	assert_int_equal(o->service.affinity_timeout, 0);
	kube_object_put(o);
}

static void the_exclude_label_is_read_as_the_cloud_controller_reads_it(void **state) {
	static const struct {
		const char *value;
		bool excluded;
	} values[] = {{"'false'", false}, {"'0'", false}, {"F", false},
		      {"'true'", true},   {"''", true},   {"maybe", true}};
	char text[256];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct kube_object *o;

		snprintf(
			text, sizeof(text),
			"{apiVersion: v1, kind: Node, metadata: {name: a, labels: {node.kubernetes.io/exclude-from-external-load-balancers: %s}}}",
			values[i].value);
		o = decode_one(text);
		assert_int_equal(o->node.excluded, values[i].excluded);
		kube_object_put(o);
	}
}

static void what_a_load_balancer_wrote_is_read_back(void **state) {
	struct kube_object *o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a, resourceVersion: '77', generation: 3, finalizers: [x, "
		"service.kubernetes.io/load-balancer-cleanup], labels: {tier: front, app: web}}, spec: {type: LoadBalancer, "
		"selector: {b: '2', a: '1'}, healthCheckNodePort: 31000, externalTrafficPolicy: Local, ports: [{port: 1}]}, "
		"status: {conditions: [{type: Other, status: 'True'}, {type: sluice.dev/Allocated, status: 'True', reason: Allocated, "
		"observedGeneration: 2, message: m, lastTransitionTime: '2026-01-01T00:00:00Z'}], "
		"loadBalancer: {ingress: [{ip: 192.0.2.1, ipMode: Proxy}, {ip: '2001:db8::1'}, {ip: 192.0.2.2, ipMode: VIP}]}}}");
	const struct kube_service *s = &o->service;

	assert_string_equal(o->meta.resource_version, "77");
	assert_int_equal(o->meta.generation, 3);
	assert_true(o->meta.finalizer);
	assert_int_equal(s->n_labels, 2);
	assert_string_equal(s->labels[0].key, "app");
	assert_string_equal(s->labels[1].value, "front");
	assert_string_equal(s->selector, "a=1,b=2");
	assert_int_equal(s->health_check_node_port, 31000);
	assert_true(s->local);
	assert_int_equal(s->n_status, 3);
	assert_int_equal(s->status_modes[0], KUBE_IP_MODE_PROXY);
	assert_int_equal(s->status_modes[1], KUBE_IP_MODE_NONE);
	assert_int_equal(s->status_modes[2], KUBE_IP_MODE_VIP);
	assert_false(s->status_alien);
	assert_int_equal(s->n_conditions, 1);
	assert_string_equal(s->conditions[0].reason, "Allocated");
	assert_int_equal(s->conditions[0].observed, 2);
	kube_object_put(o);
}

static void an_ingress_of_more_than_addresses_is_kept_whole(void **state) {
	struct kube_object *o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}, status: {conditions: "
		"[{type: LoadBalancerPortsError, status: 'True'}], loadBalancer: {ingress: "
		"[{ports: [{protocol: TCP, port: 80, error: E}], ip: 192.0.2.1}, {hostname: h}]}}}");
	const struct kube_service *s = &o->service;

	assert_true(s->status_alien);
	assert_int_equal(s->n_status, 1);
	assert_string_equal(s->ingress,
			    "[{\"ip\":\"192.0.2.1\",\"ports\":[{\"error\":\"E\",\"port\":80,"
			    "\"protocol\":\"TCP\"}]},{\"hostname\":\"h\"}]");
	assert_int_equal(s->n_conditions, 1);
	kube_object_put(o);
}

#define WRITTEN(meta, status)                                                                      \
	"{apiVersion: v1, kind: Service, metadata: {name: a, " meta                                \
	"}, spec: {ports: [{port: 1}]}, status: {" status "}}"

static void what_only_writers_see_is_no_change_of_traffic(void **state) {
	static const struct {
		const char *text;
		bool same_traffic;
	} others[] = {
		{WRITTEN("resourceVersion: '2'", ""), true},
		{WRITTEN("generation: 2", ""), true},
		{WRITTEN("finalizers: [service.kubernetes.io/load-balancer-cleanup]", ""), true},
		{WRITTEN("", "conditions: [{type: sluice.dev/Allocated}]"), true},
		{WRITTEN("", "loadBalancer: {ingress: [{hostname: x}]}"), true},
		{WRITTEN("", "loadBalancer: {ingress: [{ip: 192.0.2.1}]}"), false},
		{WRITTEN("labels: {a: b}", ""), false},
		{WRITTEN("uid: x", ""), false},
	};
	struct kube_object *a = decode_one(WRITTEN("", "")), *b;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		b = decode_one(others[i].text);
		assert_false(kube_object_equal(a, b));
		assert_int_equal(kube_object_same_traffic(a, b), others[i].same_traffic);
		kube_object_put(b);
	}
	b = decode_one(WRITTEN("", ""));
	assert_true(kube_object_equal(a, b));
	kube_object_put(a);
	kube_object_put(b);
}

static const struct {
	const char *annotations, *field, *expect; // addresses, or what contradicts
} requests[] = {
	{"", "192.0.2.1", "192.0.2.1"},
	{"sluice.dev/load-balancer-ips: '192.0.2.1, 2001:db8::1'", "192.0.2.1",
	 "192.0.2.1 2001:db8::1"},
	{"sluice.dev/load-balancer-ips: 192.0.2.2", "192.0.2.1",
	 "annotation sluice.dev/load-balancer-ips and spec.loadBalancerIP differ"},
	{"sluice.dev/load-balancer-ips: 192.0.2.2, metallb.io/loadBalancerIPs: 192.0.2.1", "",
	 "192.0.2.2"},
	{"metallb.io/loadBalancerIPs: '192.0.2.1,2001:db8::1'", "", "192.0.2.1 2001:db8::1"},
	{"metallb.universe.tf/loadBalancerIPs: 192.0.2.1", "", "192.0.2.1"},
	{"lbipam.cilium.io/ips: 192.0.2.1", "", "192.0.2.1"},
	{"io.cilium/lb-ipam-ips: 192.0.2.1", "", "192.0.2.1"},
	{"kube-vip.io/loadbalancerIPs: 192.0.2.1", "", "192.0.2.1"},
	{"metallb.io/loadBalancerIPs: '192.0.2.1,2001:db8::1'", "192.0.2.1",
	 "192.0.2.1 2001:db8::1"},
	{"metallb.io/loadBalancerIPs: 192.0.2.1, lbipam.cilium.io/ips: 192.0.2.2", "",
	 "annotation metallb.io/loadBalancerIPs and annotation lbipam.cilium.io/ips differ"},
	{"kube-vip.io/loadbalancerIPs: 192.0.2.1", "192.0.2.2",
	 "spec.loadBalancerIP and annotation kube-vip.io/loadbalancerIPs differ"},
	{"metallb.io/address-pool: a, metallb.universe.tf/address-pool: b", "",
	 "annotation metallb.io/address-pool and annotation metallb.universe.tf/address-pool differ"},
	{"lbipam.cilium.io/sharing-key: a, metallb.io/allow-shared-ip: b", "",
	 "annotation metallb.io/allow-shared-ip and annotation lbipam.cilium.io/sharing-key differ"},
};

static void requests_are_read_under_the_names_of_others(void **state) {
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		char text[512], got[512] = "", addr[IP_ADDR_STR];
		const struct kube_service *s;
		struct kube_object *o;

		snprintf(
			text, sizeof(text),
			"{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {%s}}, spec: {loadBalancerIP: '%s', ports: [{port: 1}]}}",
			requests[i].annotations, requests[i].field);
		o = decode_one(text);
		s = &o->service;
		for (uint32_t j = 0; j < s->n_requested && s->conflict == NULL; j++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
				 j > 0 ? " " : "", ip_addr_format(&s->requested[j], addr));
		assert_string_equal(s->conflict != NULL ? s->conflict : got, requests[i].expect);
		kube_object_put(o);
	}
}

static void pools_and_keys_are_read_under_the_names_of_others(void **state) {
	struct kube_object *o = decode_one(
		"{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {sluice.dev/address-pool: ours, metallb.io/address-pool: x, "
		"io.cilium/lb-ipam-sharing-key: k, metallb.universe.tf/allow-shared-ip: k}}, spec: {ports: [{port: 1}]}}");

	assert_null(o->service.conflict);
	assert_string_equal(o->service.pool, "ours");
	assert_string_equal(o->service.sharing_key, "k");
	kube_object_put(o);
}

// An item as an API server sends it in a typed list.
static int decode_item(struct kube_object **out, enum kube_kind kind, const char *text,
		       struct error *err) {
	struct doc_node root;
	json_t *json = json_loads(text, 0, NULL);
	int ret;

	assert_non_null(json);
	root = doc_root_json(json);
	ret = kube_decode_one(out, kind, &root, err);
	json_decref(json);
	return ret;
}

static void an_item_of_a_typed_list_needs_no_kind_but_may_not_lie(void **state) {
	struct kube_object *o = NULL;
	struct error err;

	assert_int_equal(decode_item(&o, KUBE_NODE, "{\"metadata\": {\"name\": \"n\"}}", &err), 0);
	assert_int_equal(o->meta.kind, KUBE_NODE);
	kube_object_put(o);
	o = NULL;
	assert_int_equal(
		decode_item(
			&o, KUBE_NODE,
			"{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"n\"}}",
			&err),
		-EINVAL);
	assert_non_null(strstr(err.text, "kind Service of v1, not Node"));
	assert_int_equal(decode_item(&o, KUBE_SLICE, "{\"metadata\": {\"name\": \"n\"}}", &err),
			 -EINVAL);
	assert_null(o);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_named_by_its_place),
		cmocka_unit_test(lists_are_flattened_and_unknown_kinds_skipped),
		cmocka_unit_test(source_ranges_that_can_not_be_read_stay_restrictive),
		cmocka_unit_test(
			nil_conditions_have_their_defaults_and_only_the_first_address_counts),
		cmocka_unit_test(times_compare_across_offsets_and_fractions),
		cmocka_unit_test(the_affinity_timeout_is_three_hours_unless_given),
		cmocka_unit_test(what_a_load_balancer_wrote_is_read_back),
		cmocka_unit_test(what_only_writers_see_is_no_change_of_traffic),
		cmocka_unit_test(requests_are_read_under_the_names_of_others),
		cmocka_unit_test(pools_and_keys_are_read_under_the_names_of_others),
		cmocka_unit_test(an_ingress_of_more_than_addresses_is_kept_whole),
		cmocka_unit_test(an_item_of_a_typed_list_needs_no_kind_but_may_not_lie),
		cmocka_unit_test(the_exclude_label_is_read_as_the_cloud_controller_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
