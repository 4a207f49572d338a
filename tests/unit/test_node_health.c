// SPDX-License-Identifier: Apache-2.0
// Node mode and probes: who gets traffic after which verdict, what a verdict touches, and what is worth probing.
#include <errno.h>

#include "kube_case.h"
#include "model/model.h"

struct world {
	struct kube_settings settings;
	struct ip_range range;
	struct ipam_pool pool;
	struct ipam_memory *memory;
	struct kube *k;
	struct model *m;
	char dump[4096];
};

#define NODE_META(name, ip, meta)                                                                  \
	"{apiVersion: v1, kind: Node, metadata: {name: " name meta                                 \
	"}, status: {addresses: [{type: InternalIP, address: '" ip "'}]}}\n---\n"
#define NODE(name, ip) NODE_META(name, ip, "")
#define DELETED ", deletionTimestamp: '2026-01-01T00:00:00Z'"
#define NODES NODE("n1", "10.1.0.1") NODE("n2", "10.1.0.2") NODE("n3", "10.1.0.3")
#define SVC(name, spec)                                                                            \
	"{apiVersion: v1, kind: Service, metadata: {name: " name                                   \
	"}, spec: {type: LoadBalancer, ports: [{port: 80, nodePort: 30080}], " spec "}}\n---\n"
#define LOCAL "externalTrafficPolicy: Local, healthCheckNodePort: 32000"
#define SLICE(svc, endpoints)                                                                      \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " svc             \
	"-1, labels: {kubernetes.io/service-name: " svc                                            \
	"}}, addressType: IPv4, ports: [{port: 8080}], endpoints: [" endpoints "]}\n---\n"
#define EP(ip, node) "{addresses: [" ip "], nodeName: " node "},"
#define TERMINATING(ip, node)                                                                      \
	"{addresses: [" ip "], nodeName: " node                                                    \
	", conditions: {ready: false, serving: true, terminating: true}},"

static void world_show(struct world *w, const char *text) {
	struct case_objects objects;
	struct error err = {""};

	if (case_decode(&objects, text, &err) < 0)
		fail_msg("%s", err.text);
	kube_replace(w->k, KUBE_ALL_KINDS, objects.list, objects.n);
	case_free(&objects);
	assert_true(kube_apply(w->k, w->m, true) >= 0);
}

static void world_init(struct world *w, const char *text) {
	*w = (struct world){.range = case_range("203.0.113.0/28")};
	w->pool = (struct ipam_pool){.name = "public",
				     .auto_assign = true,
				     .n_ranges = 1,
				     .ranges = &w->range};
	w->settings = (struct kube_settings){.target = KUBE_TARGET_NODE,
					     .forwarding = MODEL_FULLNAT,
					     .n_pools = 1,
					     .pools = &w->pool};
	w->memory = ipam_memory_create();
	w->k = kube_create(&w->settings, w->memory);
	w->m = model_create();
	world_show(w, text);
}

static void world_fini(struct world *w) {
	kube_destroy(w->k);
	model_destroy(w->m);
	ipam_memory_destroy(w->memory);
}

// service: NULL for kube-proxy's.
static int judge(struct world *w, const char *node, const char *service, enum kube_verdict v,
		 uint32_t weight) {
	struct kube_health h = {v, weight};
	int ret = kube_set_node_health(w->k, node, service != NULL ? "default" : NULL, service, &h);

	assert_true(ret >= 0);
	assert_true(kube_apply(w->k, w->m, true) >= 0);
	return ret;
}

// "10.1.0.1x2 10.1.0.2-node-down": the usable ones with their weights, - before the reason of those that are not, + of those that are.
static const char *backends(struct world *w, const char *service) {
	const struct model_service **list;
	int n = model_list_of(w->m, "default", service, &list);
	size_t at = 0;

	w->dump[0] = '\0';
	assert_int_equal(n, 1);
	for (uint32_t i = 0; i < list[0]->n_backends; i++) {
		const struct model_backend *b = &list[0]->backends[i];
		char text[IP_ADDR_STR];

		at += (size_t)snprintf(w->dump + at, sizeof(w->dump) - at, "%s%s", i > 0 ? " " : "",
				       ip_addr_format(&b->addr, text));
		if (b->weight != 1)
			at += (size_t)snprintf(w->dump + at, sizeof(w->dump) - at, "x%u",
					       b->weight);
		if (!b->usable || b->reason[0] != '\0')
			at += (size_t)snprintf(w->dump + at, sizeof(w->dump) - at, "%c%s",
					       b->usable ? '+' : '-', b->reason);
		assert_true(b->usable || b->state != MODEL_READY);
	}
	free(list);
	return w->dump;
}

static void a_node_that_is_down_keeps_its_flows_and_gets_no_new_ones(void **state) {
	const struct model_service **list;
	struct world w;

	world_init(&w, NODES SVC("web", ""));
	judge(&w, "n2", NULL, KUBE_DOWN, 0);
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2-node-down 10.1.0.3");
	assert_int_equal(model_list_of(w.m, "default", "web", &list), 1);
	assert_int_equal(list[0]->backends[1].state, MODEL_DRAINING);
	free(list);
	judge(&w, "n2", NULL, KUBE_UP, 0);
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2 10.1.0.3");
	world_fini(&w);
}

static void nobody_is_ejected_by_ignorance(void **state) {
	struct world w;

	world_init(&w, NODES SVC("web", ""));
	judge(&w, "n1", NULL, KUBE_UP, 0);
	judge(&w, "n2", NULL, KUBE_UNKNOWN, 0);
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2+node-probe-unknown 10.1.0.3");
	judge(&w, "n1", NULL, KUBE_DOWN, 0);
	judge(&w, "n1", NULL, KUBE_UNASKED, 0);
	judge(&w, "n2", NULL, KUBE_UNASKED, 0);
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2 10.1.0.3");
	world_fini(&w);
}

static void all_nodes_down_is_not_believed(void **state) {
	struct world w;

	world_init(&w, NODES SVC("web", ""));
	judge(&w, "n1", NULL, KUBE_DOWN, 0);
	judge(&w, "n2", NULL, KUBE_DOWN, 0);
	assert_int_equal(kube_disbelieved(w.k), 0);
	judge(&w, "n3", NULL, KUBE_DOWN, 0);
	assert_int_equal(kube_disbelieved(w.k), 1);
	assert_string_equal(backends(&w, "web"),
			    "10.1.0.1+node-down-disbelieved 10.1.0.2+node-down-disbelieved "
			    "10.1.0.3+node-down-disbelieved");
	judge(&w, "n1", NULL, KUBE_UP, 0); // one that answers makes the others' silence credible
	assert_int_equal(kube_disbelieved(w.k), 0);
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2-node-down 10.1.0.3-node-down");
	world_fini(&w);
}

static void a_service_that_goes_takes_its_disbelief_along(void **state) {
	struct world w;

	world_init(&w, NODE("n1", "10.1.0.1") SVC("web", ""));
	judge(&w, "n1", NULL, KUBE_DOWN, 0);
	assert_int_equal(kube_disbelieved(w.k), 1);
	world_show(&w, NODE("n1", "10.1.0.1"));
	assert_int_equal(kube_disbelieved(w.k), 0);
	world_fini(&w);
}

static void draining_nodes_serve_only_when_no_other_is_left_whatever_probes_say(void **state) {
	struct world w;

	world_init(&w, NODE("n1", "10.1.0.1") NODE_META("n2", "10.1.0.2", DELETED)
			       NODE_META("n3", "10.1.0.3", DELETED) SVC("web", ""));
	judge(&w, "n1", NULL, KUBE_DOWN, 0);
	assert_string_equal(
		backends(&w, "web"),
		"10.1.0.1+node-down-disbelieved 10.1.0.2-node-draining 10.1.0.3-node-draining");
	world_show(&w, NODE_META("n2", "10.1.0.2", DELETED) NODE_META("n3", "10.1.0.3", DELETED)
			       SVC("web", ""));
	judge(&w, "n3", NULL, KUBE_DOWN, 0);
	assert_string_equal(backends(&w, "web"), "10.1.0.2+node-draining 10.1.0.3-node-down");
	world_fini(&w);
}

static void local_services_go_by_their_own_port_and_others_by_kube_proxy(void **state) {
	struct world w;

	world_init(&w, NODES SVC("cluster", "") SVC("local", LOCAL)
			       SLICE("local", EP("10.0.0.1", "n1") EP("10.0.0.2", "n2")));
	judge(&w, "n1", NULL, KUBE_DOWN, 0);
	judge(&w, "n2", "local", KUBE_DOWN, 0);
	assert_string_equal(backends(&w, "cluster"), "10.1.0.1-node-down 10.1.0.2 10.1.0.3");
	assert_string_equal(backends(&w, "local"), "10.1.0.1 10.1.0.2-node-down");
	world_fini(&w);
}

static void local_services_without_the_port_go_by_kube_proxy(void **state) {
	struct world w;

	world_init(&w, NODES SVC("local", "externalTrafficPolicy: Local")
			       SLICE("local", EP("10.0.0.1", "n1") EP("10.0.0.2", "n2")));
	judge(&w, "n1", NULL, KUBE_DOWN, 0);
	assert_string_equal(backends(&w, "local"), "10.1.0.1-node-down 10.1.0.2");
	world_fini(&w);
}

static void a_node_that_counts_its_endpoints_is_believed_over_the_slices(void **state) {
	struct world w;

	world_init(&w, NODES SVC("local", LOCAL)
			       SLICE("local", EP("10.0.0.1", "n1") EP("10.0.0.2", "n1")
						      EP("10.0.0.3", "n2")));
	assert_string_equal(backends(&w, "local"), "10.1.0.1x2 10.1.0.2");
	judge(&w, "n2", "local", KUBE_UP, 5);
	judge(&w, "n1", "local", KUBE_UP, 0); // without the header: as counted here
	assert_string_equal(backends(&w, "local"), "10.1.0.1x2 10.1.0.2x5");
	judge(&w, "n2", "local", KUBE_UNKNOWN, 5);
	assert_string_equal(backends(&w, "local"), "10.1.0.1x2 10.1.0.2+node-probe-unknown");
	judge(&w, "n3", "local", KUBE_UP, 7); // no endpoint there: whatever it says
	assert_string_equal(backends(&w, "local"), "10.1.0.1x2 10.1.0.2+node-probe-unknown");
	world_fini(&w);
}

static void a_node_with_terminating_endpoints_only_drains_when_its_port_says_503(void **state) {
	struct world w;

	world_init(&w, NODES SVC("local", LOCAL)
			       SLICE("local", EP("10.0.0.1", "n1") TERMINATING("10.0.0.2", "n2")));
	assert_string_equal(backends(&w, "local"), "10.1.0.1 10.1.0.2");
	judge(&w, "n2", "local", KUBE_DOWN, 0);
	assert_string_equal(backends(&w, "local"), "10.1.0.1 10.1.0.2-node-down");
	world_show(&w, NODES SVC("local", LOCAL) SLICE("local", TERMINATING("10.0.0.2", "n2")));
	assert_string_equal(backends(&w, "local"), "10.1.0.2+node-down-disbelieved");
	world_fini(&w);
}

static const char *note(struct world *w, const char *service) {
	const struct model_service **list;

	assert_int_equal(model_list_of(w->m, "default", service, &list), 1);
	snprintf(w->dump, sizeof(w->dump), "%s", list[0]->note);
	free(list);
	return w->dump;
}

static void a_client_address_that_fullnat_hides_is_noted(void **state) {
	struct world w;

	world_init(&w, NODES SVC("local", LOCAL) SVC("cluster", "")
			       SLICE("local", EP("10.0.0.1", "n1")));
	assert_string_equal(note(&w, "cluster"), "");
	assert_string_equal(note(&w, "local"), "externalTrafficPolicy is Local, but fullnat hides "
					       "the client's address; dnat and dsr keep it");
	w.settings.forwarding = MODEL_DNAT;
	kube_configure(w.k, &w.settings);
	assert_true(kube_apply(w.k, w.m, true) >= 0);
	assert_string_equal(note(&w, "local"), "");
	judge(&w, "n1", "local", KUBE_DOWN, 0);
	assert_string_equal(note(&w, "local"), "all nodes are down by their probes, not believed");
	world_fini(&w);
}

static int touched(struct world *w, const char **name) {
	static struct model_key first;
	struct model_key *keys;
	int n = model_take_dirty(w->m, &keys);

	first = n > 0 ? keys[0] : (struct model_key){.ns = ""};
	free(keys);
	*name = first.name;
	return n;
}

static void a_verdict_touches_just_the_services_that_go_by_it(void **state) {
	const char *name;
	struct world w;

	world_init(&w, NODES SVC("cluster", "") SVC("local", LOCAL)
			       SLICE("local", EP("10.0.0.1", "n1") EP("10.0.0.2", "n2")));
	touched(&w, &name);
	assert_int_equal(judge(&w, "n1", NULL, KUBE_UP, 0), 0); // as assumed: no news
	assert_int_equal(touched(&w, &name), 0);
	assert_int_equal(judge(&w, "n1", NULL, KUBE_DOWN, 0), 1);
	assert_int_equal(touched(&w, &name), 1);
	assert_string_equal(name, "cluster");
	assert_int_equal(judge(&w, "n1", "local", KUBE_DOWN, 0), 1);
	assert_int_equal(touched(&w, &name), 1);
	assert_string_equal(name, "local");
	assert_int_equal(judge(&w, "n1", "local", KUBE_DOWN, 0), 0);
	world_fini(&w);
}

static void a_verdict_outlives_a_relist_and_waits_for_its_node(void **state) {
	struct world w;

	world_init(&w, NODE("n1", "10.1.0.1") SVC("web", ""));
	judge(&w, "n2", NULL, KUBE_DOWN, 0);
	world_show(&w, NODES SVC("web", ""));
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2-node-down 10.1.0.3");
	world_fini(&w);
}

// "n1 10.1.0.1:10256, n2 10.1.0.2:32000 local", in order of the list.
static const char *targets(struct world *w) {
	struct kube_probe_target *list;
	int n = kube_probe_targets(w->k, 10256, &list);
	size_t at = 0;

	assert_true(n >= 0);
	w->dump[0] = '\0';
	for (int i = 0; i < n; i++) {
		char text[IP_ADDR_STR + 8];

		at += (size_t)snprintf(w->dump + at, sizeof(w->dump) - at, "%s%s %s%s%s",
				       i > 0 ? ", " : "", list[i].node,
				       ip_port_format(&list[i].addr, list[i].port, text),
				       list[i].name != NULL ? " " : "",
				       list[i].name != NULL ? list[i].name : "");
	}
	free(list);
	return w->dump;
}

static void kube_proxy_is_probed_once_on_each_eligible_node(void **state) {
	struct world w;

	world_init(&w,
		   NODE("n1", "10.1.0.1") NODE_META("n2", "10.1.0.2", DELETED) NODE_META(
			   "n3", "10.1.0.3",
			   ", labels: {node.kubernetes.io/"
			   "exclude-from-external-load-balancers: ''}") NODE("n4", "127.0.0.1")
			   SVC("a", "")
				   SVC("b",
				       "") "{apiVersion: v1, kind: Node, metadata: {name: n5}}");
	assert_string_equal(targets(&w), "n1 10.1.0.1:10256, n2 10.1.0.2:10256");
	world_fini(&w);
}

static void own_ports_are_probed_where_there_are_usable_endpoints(void **state) {
	struct world w;

	world_init(&w,
		   NODES SVC("local", LOCAL)
			   SLICE("local",
				 EP("10.0.0.1", "n1")
					 TERMINATING("10.0.0.2",
						     "n2") "{addresses: [10.0.0.3], nodeName: n3, "
							   "conditions: {ready: false}}"));
	assert_string_equal(targets(&w), "n1 10.1.0.1:32000 local, n2 10.1.0.2:32000 local");
	world_fini(&w);
}

static void nothing_is_probed_for_services_that_are_not_served_by_nodes(void **state) {
	struct world w;

	world_init(
		&w,
		NODES SVC(
			"foreign",
			"loadBalancerClass: other") "{apiVersion: v1, kind: Service, metadata: {name: pods, annotations: "
						    "{sluice.dev/target: pod}}, spec: {type: LoadBalancer, ports: [{port: "
						    "80, nodePort: 30081}], " LOCAL
						    "}}\n---\n" SLICE("pods",
								      EP("10.0.0.1", "n1")));
	assert_string_equal(targets(&w), "");
	world_fini(&w);
}

static void a_node_is_probed_at_the_address_that_it_names_first(void **state) {
	struct world w;

	world_init(&w, "{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: "
		       "[{type: InternalIP, address: 'fd00::1'}, {type: InternalIP, address: "
		       "10.1.0.1}]}}\n---\n" SVC("web", ""));
	assert_string_equal(targets(&w), "n1 [fd00::1]:10256");
	world_fini(&w);
}

static void reconfigure(struct world *w) {
	kube_configure(w->k, &w->settings);
	assert_true(kube_apply(w->k, w->m, true) >= 0);
}

static void external_addresses_are_used_when_asked_for(void **state) {
	struct world w;

	world_init(&w,
		   "{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: "
		   "[{type: InternalIP, address: 10.1.0.1}, {type: ExternalIP, address: "
		   "192.0.2.1}, {type: ExternalIP, address: 192.0.2.9}]}}\n---\n" NODE("n2",
										       "10.1.0.2")
			   SVC("web", ""));
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2");
	w.settings.external_nodes = true;
	reconfigure(&w);
	assert_string_equal(backends(&w, "web"), "192.0.2.1");
	assert_string_equal(targets(&w), "n1 192.0.2.1:10256");
	world_fini(&w);
}

static void the_mere_presence_of_the_label_excludes_when_asked_for(void **state) {
	struct world w;

	world_init(&w, NODE("n1", "10.1.0.1")
			       NODE_META("n2", "10.1.0.2",
					 ", labels: {node.kubernetes.io/"
					 "exclude-from-external-load-balancers: 'false'}")
				       SVC("web", ""));
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2");
	w.settings.exclude_by_presence = true;
	reconfigure(&w);
	assert_string_equal(backends(&w, "web"), "10.1.0.1 10.1.0.2-node-excluded");
	assert_string_equal(targets(&w), "n1 10.1.0.1:10256");
	world_fini(&w);
}

static void the_version_tells_when_targets_may_differ(void **state) {
	uint64_t version;
	struct world w;

	world_init(&w, NODES SVC("local", LOCAL) SLICE("local", EP("10.0.0.1", "n1")));
	version = kube_probe_version(w.k);
	judge(&w, "n1", "local", KUBE_DOWN, 0);
	world_show(&w, NODES SVC("local", LOCAL) SLICE("local", EP("10.0.0.1", "n1")));
	assert_true(kube_probe_version(w.k) == version);
	world_show(&w, NODES SVC("local", LOCAL) SLICE("local", EP("10.0.0.1", "n2")));
	assert_true(kube_probe_version(w.k) > version);
	version = kube_probe_version(w.k);
	world_show(&w, NODES);
	assert_true(kube_probe_version(w.k) > version);
	version = kube_probe_version(w.k);
	world_show(&w, NODE("n1", "10.1.0.1"));
	assert_true(kube_probe_version(w.k) > version);
	world_fini(&w);
}

static void targets_wait_for_nodes_that_are_not_applied_yet(void **state) {
	struct kube_probe_target *list;
	struct world w;

	world_init(&w, NODES SVC("web", ""));
	kube_remove(w.k, KUBE_NODE, "", "n2");
	assert_int_equal(kube_probe_targets(w.k, 10256, &list), -EAGAIN);
	assert_true(kube_apply(w.k, w.m, true) >= 0);
	assert_string_equal(targets(&w), "n1 10.1.0.1:10256, n3 10.1.0.3:10256");
	world_fini(&w);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_that_is_down_keeps_its_flows_and_gets_no_new_ones),
		cmocka_unit_test(nobody_is_ejected_by_ignorance),
		cmocka_unit_test(all_nodes_down_is_not_believed),
		cmocka_unit_test(a_service_that_goes_takes_its_disbelief_along),
		cmocka_unit_test(
			draining_nodes_serve_only_when_no_other_is_left_whatever_probes_say),
		cmocka_unit_test(local_services_go_by_their_own_port_and_others_by_kube_proxy),
		cmocka_unit_test(local_services_without_the_port_go_by_kube_proxy),
		cmocka_unit_test(a_node_that_counts_its_endpoints_is_believed_over_the_slices),
		cmocka_unit_test(
			a_node_with_terminating_endpoints_only_drains_when_its_port_says_503),
		cmocka_unit_test(a_client_address_that_fullnat_hides_is_noted),
		cmocka_unit_test(a_verdict_touches_just_the_services_that_go_by_it),
		cmocka_unit_test(a_verdict_outlives_a_relist_and_waits_for_its_node),
		cmocka_unit_test(kube_proxy_is_probed_once_on_each_eligible_node),
		cmocka_unit_test(own_ports_are_probed_where_there_are_usable_endpoints),
		cmocka_unit_test(nothing_is_probed_for_services_that_are_not_served_by_nodes),
		cmocka_unit_test(a_node_is_probed_at_the_address_that_it_names_first),
		cmocka_unit_test(external_addresses_are_used_when_asked_for),
		cmocka_unit_test(the_mere_presence_of_the_label_excludes_when_asked_for),
		cmocka_unit_test(the_version_tells_when_targets_may_differ),
		cmocka_unit_test(targets_wait_for_nodes_that_are_not_applied_yet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
