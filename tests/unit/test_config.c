// SPDX-License-Identifier: Apache-2.0
// The configuration file: what good ones mean, and every fault of bad ones with its place.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEAD "apiVersion: sluice.dev/v1alpha1\nkind: SluiceConfiguration\n"
#define PORT "ports: [{name: wan, device: d0, addresses: [192.0.2.2/24, '2001:db8:2::2/64']}]\n"
#define SERVICES "services:\n  manifests: m\n  snatAddresses: [192.0.2.10]\n"

// All notes as lines, warnings marked.
static void print_report(const struct config_report *r, char *buf, size_t size) {
	size_t at = 0;

	buf[0] = 0;
	for (size_t i = 0; i < r->n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s\n",
				       r->notes[i].warning ? "warning " : "",
				       r->notes[i].error.text);
}

static struct config *parse(const char *text, const struct config_options *options) {
	struct config_report report = {0};
	struct config *c = NULL;
	char got[4096];

	if (config_parse(&c, "f", text, strlen(text), options, &report) < 0) {
		print_report(&report, got, sizeof(got));
		fail_msg("%s\nin:\n%s", got, text);
	}
	config_report_fini(&report);
	return c;
}

static void an_absent_key_has_its_documented_default(void **state) {
	struct config *c = parse(
		HEAD "ports: [{name: wan, device: '0000:3b:00.0'}]\nservices: {manifests: /m}\n",
		NULL);
	const struct site *s = &c->site;

	assert_int_equal(s->workers, 1);
	assert_false(c->dataplane.workers_given || c->dataplane.cpus_given);
	assert_true(s->hash_seed == 0);
	assert_int_equal(c->dataplane.hugepages, CONFIG_HUGEPAGES_AUTO);
	assert_int_equal(c->dataplane.memory_mib, 1024);
	assert_int_equal(s->flows_per_worker, 1048576);
	assert_int_equal(c->dataplane.idle, CONFIG_IDLE_SLEEP);
	assert_int_equal(s->timeouts.tcp_syn_sent, 10);
	assert_int_equal(s->timeouts.tcp_established, 900);
	assert_int_equal(s->timeouts.tcp_fin_wait, 30);
	assert_int_equal(s->timeouts.tcp_time_wait, 10);
	assert_int_equal(s->timeouts.tcp_close, 10);
	assert_int_equal(s->timeouts.udp, 30);
	assert_int_equal(s->timeouts.udp_stream, 120);
	assert_int_equal(s->timeouts.sctp_established, 900);
	assert_int_equal(s->n_ports, 1);
	assert_string_equal(s->ports[0].name, "wan");
	assert_string_equal(s->ports[0].device, "0000:3b:00.0");
	assert_null(s->ports[0].profile);
	assert_false(s->ports[0].has_mac);
	assert_int_equal(s->ports[0].mtu, 1500);
	assert_int_equal(s->ports[0].vlan, 0);
	assert_int_equal(s->ports[0].n_addresses, 0);
	assert_int_equal(s->n_routes + s->n_neighbors + s->n_snat4 + s->n_snat6, 0);
	assert_string_equal(c->services.manifests, "/m");
	assert_int_equal(c->services.target, CONFIG_TARGET_POD);
	assert_int_equal(c->services.forwarding, MODEL_FULLNAT);
	assert_int_equal(c->services.scheduler, MODEL_MAGLEV);
	assert_string_equal(c->services.load_balancer_class, "");
	assert_string_equal(c->services.state_file, "/var/lib/sluice/addresses.json");
	assert_false(c->services.cluster_ips);
	assert_true(c->services.reject);
	assert_int_equal(c->services.n_pools + c->services.n_node_port_addresses +
				 c->services.n_external_ips,
			 0);
	assert_string_equal(c->socket, "/run/sluice/sluice.sock");
	assert_int_equal(c->log_level, LOG_INFO);
	assert_false(c->log_json);
	config_destroy(c);
}

static const char full[] =
	"apiVersion: sluice.dev/v1alpha1\nkind: SluiceConfiguration\n"
	"dataplane:\n  workers: 2\n  cpus: \"1-2\"\n  hashSeed: 18446744073709551615\n  hugepages: required\n  memoryMiB: 2048\n"
	"  flowsPerWorker: 4096\n  idle: pause\n  timeouts:\n    tcpSynSent: 1\n    tcpEstablished: 518400\n    tcpFinWait: 3\n"
	"    tcpTimeWait: 4\n    tcpClose: 5\n    udp: 6\n    udpStream: 7\n    sctpEstablished: 8\n"
	"ports:\n- name: wan\n  device: \"net_af_xdp0,iface=eth1\"\n  profile: af_xdp\n  mac: \"02:00:00:00:00:01\"\n  mtu: 9000\n"
	"  vlan: 7\n  addresses: [192.0.2.2/24, \"2001:db8:2::2/64\"]\n- name: lan\n  device: net_memif0\n  addresses: [10.0.0.1/8]\n"
	"routes:\n- {prefix: 0.0.0.0/0, via: 192.0.2.254}\n- {prefix: 172.16.0.0/12, via: 10.1.2.3}\n"
	"- {prefix: \"::/0\", via: \"2001:db8:2::fe\"}\n"
	"neighbors:\n- {address: 192.0.2.254, mac: \"02:00:00:00:00:fe\", port: wan}\n- {address: 10.9.9.9, mac: 02:00:00:00:00:09}\n"
	"host: {tap: false, netlink: false}\n"
	"services:\n  manifests: /etc/sluice/manifests\n  defaults: {target: node, forwarding: dsr, scheduler: maglev}\n"
	"  loadBalancerClass: example.com/sluice\n  addressPools:\n  - name: public\n"
	"    addresses: [203.0.113.0/28, 203.0.113.32-203.0.113.40, \"2001:db8:100::/120\", 203.0.113.99]\n    autoAssign: true\n"
	"  - {name: two, addresses: [203.0.113.128/25], autoAssign: false, priority: 7, avoidBuggyIPs: true, ipMode: Proxy,\n"
	"     namespaces: [a, b], serviceSelectors: [{matchLabels: {x/y: z}}, {matchExpressions: [{key: k, operator: NotIn, values: [v, w]},\n"
	"     {key: l, operator: Exists}]}]}\n"
	"  nodePortAddresses: [203.0.113.50]\n  clusterIPs: true\n  externalIPs: [198.51.100.0/24]\n"
	"  snatAddresses: [192.0.2.10, \"2001:db8:2::10\", 192.0.2.2]\n"
	"  tunnel: {sourceAddresses: [], sourcePerFlow: false, guePort: 6080}\n  noBackend: drop\n  stateFile: \"\"\n  zone: \"\"\n"
	"management:\n  socket: /tmp/s\n  listen: \"\"\nlog: {level: debug, format: json}\n";

static void check_second_pool(const struct config_pool *p) {
	const struct ipam_term *t;

	assert_false(p->auto_assign);
	assert_true(p->avoid_buggy && p->proxy);
	assert_int_equal(p->priority, 7);
	assert_int_equal(p->n_namespaces, 2);
	assert_string_equal(p->namespaces[1], "b");
	assert_int_equal(p->n_selectors, 2);
	assert_int_equal(p->selectors[0].n_terms, 1);
	t = &p->selectors[0].terms[0];
	assert_int_equal(t->op, IPAM_IN);
	assert_string_equal(t->key, "x/y");
	assert_string_equal(t->values[0], "z");
	assert_int_equal(p->selectors[1].n_terms, 2);
	t = &p->selectors[1].terms[0];
	assert_int_equal(t->op, IPAM_NOT_IN);
	assert_int_equal(t->n_values, 2);
	assert_string_equal(t->values[1], "w");
	assert_int_equal(p->selectors[1].terms[1].op, IPAM_EXISTS);
}

static void every_key_of_a_full_file_arrives(void **state) {
	struct config *c = parse(full, NULL);
	const struct site *s = &c->site;
	char buf[IP_PREFIX_STR];

	assert_int_equal(s->workers, 2);
	assert_int_equal(CPU_COUNT(&c->dataplane.cpus), 2);
	assert_true(CPU_ISSET(1, &c->dataplane.cpus) && CPU_ISSET(2, &c->dataplane.cpus));
	assert_true(s->hash_seed == UINT64_MAX);
	assert_int_equal(c->dataplane.hugepages, CONFIG_HUGEPAGES_REQUIRED);
	assert_int_equal(c->dataplane.memory_mib, 2048);
	assert_int_equal(s->flows_per_worker, 4096);
	assert_int_equal(c->dataplane.idle, CONFIG_IDLE_PAUSE);
	assert_int_equal(s->timeouts.tcp_established, 518400);
	assert_int_equal(s->timeouts.sctp_established, 8);
	assert_int_equal(s->n_ports, 2);
	assert_string_equal(s->ports[0].profile, "af_xdp");
	assert_true(s->ports[0].has_mac);
	assert_int_equal(s->ports[0].mac.b[5], 1);
	assert_int_equal(s->ports[0].mtu, 9000);
	assert_int_equal(s->ports[0].vlan, 7);
	assert_int_equal(s->ports[0].n_addresses, 2);
	assert_string_equal(ip_prefix_format(&s->ports[0].addresses[0], buf), "192.0.2.2/24");
	assert_int_equal(s->n_routes, 3);
	assert_int_equal(s->routes[0].port, 0);
	assert_int_equal(s->routes[1].port, 1);
	assert_int_equal(s->routes[2].port, 0);
	assert_int_equal(s->n_neighbors, 2);
	assert_int_equal(s->neighbors[0].port, 0);
	assert_int_equal(s->neighbors[1].port, 1); // by its subnet
	assert_int_equal(s->n_snat4, 2);
	assert_int_equal(s->n_snat6, 1);
	assert_string_equal(ip_addr_format(&s->snat4[1], buf), "192.0.2.2"); // may be a port's own
	assert_int_equal(c->services.target, CONFIG_TARGET_NODE);
	assert_int_equal(c->services.forwarding, MODEL_DSR);
	assert_string_equal(c->services.load_balancer_class, "example.com/sluice");
	assert_int_equal(c->services.n_pools, 2);
	assert_int_equal(c->services.pools[0].n_ranges, 4);
	assert_string_equal(ip_addr_format(&c->services.pools[0].ranges[1].last, buf),
			    "203.0.113.40");
	assert_true(c->services.pools[0].auto_assign);
	assert_int_equal(c->services.pools[0].priority, 0);
	assert_false(c->services.pools[0].avoid_buggy || c->services.pools[0].proxy);
	assert_int_equal(c->services.pools[0].n_namespaces + c->services.pools[0].n_selectors, 0);
	check_second_pool(&c->services.pools[1]);
	assert_int_equal(c->services.n_node_port_addresses, 1);
	assert_true(c->services.cluster_ips);
	assert_int_equal(c->services.n_external_ips, 1);
	assert_false(c->services.reject);
	assert_string_equal(c->services.state_file, "");
	assert_string_equal(c->socket, "/tmp/s");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_true(c->log_json);
	config_destroy(c);
}

static void json_is_read_as_yaml_is(void **state) {
	struct config *c = parse(
		"{\"apiVersion\": \"sluice.dev/v1alpha1\", \"kind\": \"SluiceConfiguration\",\n"
		"\"dataplane\": {\"hashSeed\": 9223372036854775808, \"cpus\": 3},\n"
		"\"ports\": [{\"name\": \"p\", \"device\": \"d\"}], \"services\": {\"manifests\": \"m\"}}",
		NULL);

	assert_true(c->site.hash_seed == 9223372036854775808u);
	assert_int_equal(c->site.workers, 1);
	assert_true(CPU_ISSET(3, &c->dataplane.cpus));
	config_destroy(c);
}

static void given_manifests_stand_in_for_the_files(void **state) {
	static const char *const texts[] = {
		HEAD PORT,
		HEAD PORT SERVICES,
		HEAD PORT "services: {kubernetes: {inCluster: true}}\n",
		HEAD PORT "services: {kubernetes: {kubeconfig: /k}}\n",
	};
	const struct config_options options = {.manifests = "/given"};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct config *c = parse(texts[i], &options);

		assert_string_equal(c->services.manifests, "/given");
		assert_null(c->services.kubeconfig);
		assert_false(c->services.in_cluster);
		config_destroy(c);
	}
}

static void an_api_server_stands_in_for_manifests(void **state) {
	struct config *c = parse(HEAD PORT "services: {kubernetes: {inCluster: true}}\n", NULL);

	assert_null(c->services.manifests);
	assert_null(c->services.kubeconfig);
	assert_true(c->services.in_cluster);
	assert_true(c->services.write_status);
	assert_true(c->services.finalizer);
	assert_string_equal(c->services.lease_name, "");
	assert_string_equal(c->services.lease_namespace, "");
	assert_string_equal(c->services.identity, "");
	assert_string_equal(c->services.snapshot_file, "/var/lib/sluice/snapshot.json");
	config_destroy(c);
}

static void every_key_of_kubernetes_arrives(void **state) {
	struct config *c = parse(
		HEAD PORT
		"services:\n  kubernetes:\n    kubeconfig: /k\n    writeStatus: false\n    finalizer: false\n"
		"    lease: {name: sluice, namespace: edge, identity: Left One}\n    snapshotFile: ''\n",
		NULL);

	assert_null(c->services.manifests);
	assert_string_equal(c->services.kubeconfig, "/k");
	assert_false(c->services.in_cluster);
	assert_false(c->services.write_status);
	assert_false(c->services.finalizer);
	assert_string_equal(c->services.lease_name, "sluice");
	assert_string_equal(c->services.lease_namespace, "edge");
	assert_string_equal(c->services.identity, "Left One");
	assert_string_equal(c->services.snapshot_file, "");
	config_destroy(c);
}

static void nodes_are_probed_by_default_where_an_api_server_tells_of_them(void **state) {
	struct config *c = parse(HEAD PORT "services: {kubernetes: {inCluster: true}}\n", NULL);

	assert_true(c->services.node_health.enabled);
	config_destroy(c);
	c = parse(HEAD PORT SERVICES, NULL);
	assert_false(c->services.node_health.enabled);
	assert_int_equal(c->services.node_health.kube_proxy_port, 10256);
	assert_int_equal(c->services.node_health.interval_ms, 2000);
	assert_int_equal(c->services.node_health.timeout_ms, 1000);
	assert_int_equal(c->services.node_health.rise, 2);
	assert_int_equal(c->services.node_health.fall, 2);
	config_destroy(c);
}

static void nodes_are_used_as_cloud_controllers_do_unless_told_otherwise(void **state) {
	struct config *c = parse(HEAD PORT SERVICES, NULL);

	assert_false(c->services.external_nodes);
	assert_false(c->services.exclude_by_presence);
	config_destroy(c);
	c = parse(HEAD PORT SERVICES "  nodes: {address: ExternalIP, excludeLabel: present}\n",
		  NULL);
	assert_true(c->services.external_nodes);
	assert_true(c->services.exclude_by_presence);
	config_destroy(c);
}

static void every_key_of_node_health_arrives(void **state) {
	struct config *c = parse(
		HEAD PORT SERVICES
		"  nodeHealth: {enabled: true, kubeProxyPort: 20256, intervalMs: 500, "
		"timeoutMs: 300, rise: 3, fall: 1}\n",
		NULL);

	assert_true(c->services.node_health.enabled);
	assert_int_equal(c->services.node_health.kube_proxy_port, 20256);
	assert_int_equal(c->services.node_health.interval_ms, 500);
	assert_int_equal(c->services.node_health.timeout_ms, 300);
	assert_int_equal(c->services.node_health.rise, 3);
	assert_int_equal(c->services.node_health.fall, 1);
	config_destroy(c);
}

static void cpus_are_lists_of_ranges(void **state) {
	static const struct {
		const char *text;
		int count, last;
	} cases[] = {
		{"1", 1, 1},     {"\"1-2\"", 2, 2}, {"1-2", 2, 2},   {"1,3", 2, 3},
		{"0-1,4", 3, 4}, {"1023", 1, 1023}, {"5,0-2", 4, 5},
	};
	char text[1000];

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *c;

		snprintf(text, sizeof(text), HEAD PORT SERVICES "dataplane:\n  cpus: %s\n",
			 cases[i].text);
		c = parse(text, NULL);
		assert_int_equal(c->site.workers, cases[i].count);
		assert_int_equal(CPU_COUNT(&c->dataplane.cpus), cases[i].count);
		assert_true(CPU_ISSET((size_t)cases[i].last, &c->dataplane.cpus));
		config_destroy(c);
	}
}

// Each text has its faults in the report, in order of lines, and nothing else.
static void each_fault_is_named_with_file_line_path_and_expectation(void **state) {
	static const struct {
		const char *text, *report;
	} cases[] = {
		// The frame.
		{"", "f:1: empty; expected kind: SluiceConfiguration\n"},
		{"a: [\n", "f:2: did not find expected node content\n"},
		{"[]", "f:1: not an object\n"},
		{"x", "f:1: not an object\n"},
		{HEAD PORT SERVICES "---\na: 1\n", "f:8: a second document; expected one\n"},
		{"a: 1\na: 2\n", "f:2: duplicate key \"a\"\n"},
		{"ports: []\n",
		 "f:1: apiVersion: missing; expected sluice.dev/v1alpha1\n"
		 "f:1: kind: missing; expected SluiceConfiguration\n"
		 "f:1: ports: missing; at least one port is needed\n"
		 "f:1: services.manifests: missing; expected the directory of the Kubernetes objects, or kubernetes in its place\n"
		 "warning f:1: services.snatAddresses: none, but forwarding is fullnat by default: its Services stay unserved\n"},
		{"apiVersion: v1\nkind: 5\n" PORT SERVICES,
		 "f:1: apiVersion: not sluice.dev/v1alpha1\nf:2: kind: not a string\n"},
		{HEAD PORT SERVICES "extra: 1\nmore: {}\n",
		 "f:7: extra: unknown key; known here: apiVersion, kind, dataplane, ports, routes, neighbors, host, services, management, log\n"
		 "f:8: more: unknown key; known here: apiVersion, kind, dataplane, ports, routes, neighbors, host, services, management, log\n"},

		// dataplane
		{HEAD PORT SERVICES "dataplane: 5\n", "f:7: dataplane: not an object\n"},
		{HEAD PORT SERVICES "dataplane:\n  worker: 1\n",
		 "f:8: dataplane.worker: unknown key; known here: workers, cpus, hashSeed, hugepages, memoryMiB, flowsPerWorker, idle, timeouts\n"},
		{HEAD PORT SERVICES
		 "dataplane:\n  workers: 0\n  hashSeed: -1\n  hugepages: yes\n  memoryMiB: 1.5\n  flowsPerWorker: 63\n"
		 "  idle: lazy\n",
		 "f:8: dataplane.workers: not within 1..64\n"
		 "f:9: dataplane.hashSeed: not within 0..18446744073709551615\n"
		 "f:10: dataplane.hugepages: not one of auto, required, off\n"
		 "f:11: dataplane.memoryMiB: not an integer\n"
		 "f:12: dataplane.flowsPerWorker: not within 64..268435456\n"
		 "f:13: dataplane.idle: not one of busy, pause, sleep\n"},
		{HEAD PORT SERVICES "dataplane: {hashSeed: 18446744073709551616}\n",
		 "f:7: integer too large\n"},
		{HEAD PORT SERVICES "dataplane: {hashSeed: abc, workers: 18446744073709551615}\n",
		 "f:7: dataplane.workers: not within 1..64\nf:7: dataplane.hashSeed: not an integer\n"},
		{HEAD PORT SERVICES "dataplane: {workers: 3, cpus: 1-2}\n",
		 "f:7: dataplane.workers: 3, but cpus names 2\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: 2-1}\n",
		 "f:7: dataplane.cpus: not a list of different CPUs, such as \"1-3,5\"\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: '1,1'}\n",
		 "f:7: dataplane.cpus: not a list of different CPUs, such as \"1-3,5\"\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: ''}\n",
		 "f:7: dataplane.cpus: not a list of different CPUs, such as \"1-3,5\"\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: -1}\n",
		 "f:7: dataplane.cpus: not a list of different CPUs, such as \"1-3,5\"\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: 1024}\n",
		 "f:7: dataplane.cpus: not a list of different CPUs, such as \"1-3,5\"\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: 0-64}\n",
		 "f:7: dataplane.cpus: more than 64 CPUs\n"},
		{HEAD PORT SERVICES "dataplane: {cpus: [1]}\n",
		 "f:7: dataplane.cpus: not a string\n"},
		{HEAD PORT SERVICES "dataplane:\n  timeouts: {udp: 0, tcpClose: 518401, icmp: 5}\n",
		 "f:8: dataplane.timeouts.icmp: unknown key; known here: tcpSynSent, tcpEstablished, tcpFinWait, tcpTimeWait, tcpClose, udp, udpStream, "
		 "sctpEstablished\n"
		 "f:8: dataplane.timeouts.tcpClose: not within 1..518400\nf:8: dataplane.timeouts.udp: not within 1..518400\n"},

		// services.nodes, services.nodeHealth
		{HEAD PORT SERVICES "  nodes: {address: Hostname, excludeLabel: yes, label: x}\n",
		 "f:7: services.nodes.label: unknown key; known here: address, excludeLabel\n"
		 "f:7: services.nodes.address: not one of InternalIP, ExternalIP\n"
		 "f:7: services.nodes.excludeLabel: not one of value, present\n"},
		{HEAD PORT SERVICES
		 "  nodeHealth: {enabled: 1, kubeProxyPort: 0, intervalMs: 99, timeoutMs: 49, rise: 0, fall: 101, port: 1}\n",
		 "f:7: services.nodeHealth.port: unknown key; known here: enabled, kubeProxyPort, intervalMs, timeoutMs, rise, fall\n"
		 "f:7: services.nodeHealth.enabled: not a boolean\n"
		 "f:7: services.nodeHealth.kubeProxyPort: not within 1..65535\n"
		 "f:7: services.nodeHealth.intervalMs: not within 100..600000\n"
		 "f:7: services.nodeHealth.timeoutMs: not within 50..60000\n"
		 "f:7: services.nodeHealth.rise: not within 1..100\n"
		 "f:7: services.nodeHealth.fall: not within 1..100\n"},

		// ports
		{HEAD SERVICES "ports: {}\n", "f:6: ports: not an array\n"},
		{HEAD SERVICES "ports: [~, {device: d}]\n",
		 "f:6: ports[0]: not an object\nf:6: ports[1].name: missing\n"},
		{HEAD SERVICES "ports: [{}]\n",
		 "f:6: ports[0].name: missing\nf:6: ports[0].device: missing\n"},
		{HEAD SERVICES
		 "ports:\n- {name: a b, device: ''}\n- {name: '', device: d, profile: '', speed: 1}\n",
		 "f:7: ports[0].name: not 1 to 31 letters, digits, dots, dashes and underscores\n"
		 "f:7: ports[0].device: empty; expected a PCI address or a DPDK vdev string\n"
		 "f:8: ports[1].speed: unknown key; known here: name, device, profile, mac, mtu, vlan, addresses\n"
		 "f:8: ports[1].name: not 1 to 31 letters, digits, dots, dashes and underscores\n"
		 "f:8: ports[1].profile: not the name of a profile\n"},
		{HEAD SERVICES "ports:\n- {name: a, device: d}\n- {name: a, device: d}\n",
		 "f:8: ports[1].name: a second port a\nf:8: ports[1].device: the device of port a already\n"},
		{HEAD SERVICES
		 "ports:\n- name: a\n  device: d\n  mac: 01:00:00:00:00:01\n  mtu: 1279\n  vlan: 4095\n",
		 "f:9: ports[0].mac: not a unicast MAC address\nf:10: ports[0].mtu: not within 1280..9216\n"
		 "f:11: ports[0].vlan: not within 0..4094\n"},
		{HEAD SERVICES
		 "ports:\n- {name: a, device: d, mac: 00:00:00:00:00:00, mtu: 9217, vlan: -1}\n- {name: b, device: e, mac: 5}\n"
		 "- {name: c, device: f, mac: 'x'}\n",
		 "f:7: ports[0].mac: not a unicast MAC address\nf:7: ports[0].mtu: not within 1280..9216\n"
		 "f:7: ports[0].vlan: not within 0..4094\nf:8: ports[1].mac: not a string\nf:9: ports[2].mac: not a MAC address\n"},
		{HEAD SERVICES
		 "ports:\n- name: a\n  device: d\n  addresses:\n  - 192.0.2.2\n  - 192.0.2.0/24\n  - 192.0.2.255/24\n"
		 "  - 127.0.0.1/8\n  - fe80::1/64\n  - 1.2.3.4/0\n  - ~\n  - 7\n  - 192.0.2.2/33\n",
		 "f:10: ports[0].addresses[0]: not an address with its prefix length (ADDRESS/LENGTH)\n"
		 "f:11: ports[0].addresses[1]: not an address that a host can own\n"
		 "f:12: ports[0].addresses[2]: not an address that a host can own\n"
		 "f:13: ports[0].addresses[3]: not an address that a host can own\n"
		 "f:14: ports[0].addresses[4]: not an address that a host can own\n"
		 "f:15: ports[0].addresses[5]: not an address that a host can own\n"
		 "f:16: ports[0].addresses[6]: not a string\n"
		 "f:17: ports[0].addresses[7]: not a string\n"
		 "f:18: ports[0].addresses[8]: not an address with its prefix length (ADDRESS/LENGTH)\n"},
		{HEAD SERVICES
		 "ports:\n- {name: a, device: d, addresses: [192.0.2.2/24, 192.0.2.2/25]}\n"
		 "- {name: b, device: e, addresses: [192.0.2.130/25, 10.0.0.1/8]}\n",
		 "f:7: ports[0].addresses[1]: given twice\n"
		 "f:8: ports[1].addresses[0]: its subnet overlaps 192.0.2.2/24 of port a\n"},

		// routes and neighbors
		{HEAD PORT SERVICES
		 "routes:\n- {}\n- {prefix: 10.0.0.1/8, via: 192.0.2.254}\n- {prefix: 10.0.0.0/8, via: 198.51.100.1}\n"
		 "- {prefix: 10.0.0.0/8, via: '2001:db8:2::1'}\n- {prefix: '::/0', via: 'fe80::1'}\n"
		 "- {prefix: 0.0.0.0/0, via: 192.0.2.2}\n- {prefix: 10, via: x, port: wan}\n- 5\n",
		 "f:8: routes[0].prefix: missing\nf:8: routes[0].via: missing\n"
		 "f:9: routes[1].prefix: has bits behind its length; 10.0.0.0/8 is meant?\n"
		 "f:10: routes[2].via: not on the subnet of any port\n"
		 "f:11: routes[3].via: not of the prefix's family\n"
		 "f:12: routes[4].via: a link-local gateway does not say its port; give an address on a port's subnet\n"
		 "f:13: routes[5].via: port wan's own address\n"
		 "f:14: routes[6].port: unknown key; known here: prefix, via\nf:14: routes[6].prefix: not a string\n"
		 "f:14: routes[6].via: not an IP address\nf:15: routes[7]: not an object\n"},
		{HEAD PORT SERVICES
		 "routes:\n- {prefix: 10.0.0.0/8, via: 192.0.2.1}\n- {prefix: 10.0.0.0/8, via: 192.0.2.3}\n",
		 "f:9: routes[1].prefix: a second route of this prefix\n"},
		{HEAD PORT SERVICES
		 "neighbors:\n- {}\n- {address: 192.0.2.5, mac: ff:ff:ff:ff:ff:ff}\n- {address: 198.51.100.1, mac: 02:00:00:00:00:01}\n"
		 "- {address: 192.0.2.2, mac: 02:00:00:00:00:01}\n- {address: 192.0.2.6, mac: 02:00:00:00:00:01, port: lan}\n"
		 "- {address: 198.51.100.1, mac: 02:00:00:00:00:01, port: wan}\n- {address: 192.0.2.5, mac: 02:00:00:00:00:01}\n",
		 "f:8: neighbors[0].mac: missing\nf:8: neighbors[0].address: missing\n"
		 "f:9: neighbors[1].mac: not a unicast MAC address\n"
		 "f:10: neighbors[2]: on no port's subnet; name its port\n"
		 "f:11: neighbors[3].address: port wan's own address\n"
		 "f:12: neighbors[4].port: not the name of a port\n"
		 "warning f:13: neighbors[5]: on no subnet of port wan: never used\n"
		 "f:14: neighbors[6].address: a second neighbor of this address\n"},

		// Later versions.
		{HEAD PORT SERVICES "host: {tap: true, netlink: true, veth: 1}\n",
		 "f:7: host.veth: unknown key; known here: tap, netlink\nf:7: host.tap: true is not supported by this version\n"
		 "f:7: host.netlink: true is not supported by this version\n"},
		{HEAD PORT SERVICES "  defaults: {forwarding: ipip, scheduler: rr}\n",
		 "f:7: services.defaults.forwarding: ipip is not supported by this version\n"
		 "f:7: services.defaults.scheduler: rr is not supported by this version\n"},
		{HEAD PORT SERVICES "  defaults: {forwarding: gue}\n",
		 "f:7: services.defaults.forwarding: gue is not supported by this version\n"},
		{HEAD PORT SERVICES
		 "  tunnel: {sourceAddresses: [192.0.2.9], sourcePerFlow: true, guePort: 6081}\n  zone: a\nmanagement: {listen: ':80'}\n",
		 "f:7: services.tunnel.sourceAddresses: not supported by this version\n"
		 "f:7: services.tunnel.sourcePerFlow: true is not supported by this version\n"
		 "f:7: services.tunnel.guePort: another port than 6080 is not supported by this version\n"
		 "f:8: services.zone: not supported by this version\nf:9: management.listen: not supported by this version\n"},
		// pools
		{HEAD PORT SERVICES
		 "  addressPools:\n  - {name: a, addresses: [203.0.113.1], priority: -1, avoidBuggyIPs: x, ipMode: vip,\n"
		 "     namespaces: ['', A, 5], serviceSelectors: 3}\n"
		 "  - name: b\n    addresses: [203.0.113.2]\n    serviceSelectors:\n    - {matchLabels: {-/: x, a: 5, b: '/'}, x: y}\n"
		 "    - matchExpressions:\n      - {operator: In}\n      - {key: a}\n      - {key: a, operator: In}\n"
		 "      - {key: a, operator: Exists, values: [b]}\n      - {key: '', operator: Is}\n    - 5\n",
		 "f:8: services.addressPools[0].priority: not within 0..2147483647\n"
		 "f:8: services.addressPools[0].avoidBuggyIPs: not a boolean\n"
		 "f:8: services.addressPools[0].ipMode: not one of VIP, Proxy\n"
		 "f:9: services.addressPools[0].namespaces[0]: not the name of a namespace\n"
		 "f:9: services.addressPools[0].namespaces[1]: not the name of a namespace\n"
		 "f:9: services.addressPools[0].namespaces[2]: not a string\n"
		 "f:9: services.addressPools[0].serviceSelectors: not an array\n"
		 "f:13: services.addressPools[1].serviceSelectors[0].x: unknown key; known here: matchLabels, matchExpressions\n"
		 "f:13: services.addressPools[1].serviceSelectors[0].matchLabels[\"-/\"]: not a label's key\n"
		 "f:13: services.addressPools[1].serviceSelectors[0].matchLabels.a: not a string\n"
		 "f:13: services.addressPools[1].serviceSelectors[0].matchLabels.b: not a label's value\n"
		 "f:15: services.addressPools[1].serviceSelectors[1].matchExpressions[0].key: missing\n"
		 "f:16: services.addressPools[1].serviceSelectors[1].matchExpressions[1].operator: missing; expected In, NotIn, Exists or "
		 "DoesNotExist\n"
		 "f:17: services.addressPools[1].serviceSelectors[1].matchExpressions[2].values: missing; In and NotIn need values\n"
		 "f:18: services.addressPools[1].serviceSelectors[1].matchExpressions[3].values: given, but Exists and DoesNotExist have none\n"
		 "f:19: services.addressPools[1].serviceSelectors[1].matchExpressions[4].key: not a label's key\n"
		 "f:19: services.addressPools[1].serviceSelectors[1].matchExpressions[4].operator: not one of In, NotIn, Exists, DoesNotExist\n"
		 "f:20: services.addressPools[1].serviceSelectors[2]: not an object\n"},

		// kubernetes
		{HEAD PORT SERVICES "  kubernetes: {inCluster: false, token: x}\n",
		 "f:7: services.kubernetes.token: unknown key; known here: kubeconfig, inCluster, writeStatus, finalizer, "
		 "lease, snapshotFile\n"
		 "f:7: services.kubernetes: needs either kubeconfig or inCluster: true\n"
		 "f:7: services.kubernetes: excludes manifests\n"},
		{HEAD PORT
		 "services:\n  snatAddresses: [192.0.2.10]\n  kubernetes: {kubeconfig: /k, inCluster: true}\n",
		 "f:6: services.kubernetes: needs either kubeconfig or inCluster: true\n"},
		{HEAD PORT
		 "services:\n  snatAddresses: [192.0.2.10]\n  kubernetes:\n    kubeconfig: ''\n    writeStatus: 1\n"
		 "    finalizer: x\n    lease: {name: A, namespace: b/c, identity: 5, holder: x}\n    snapshotFile: []\n",
		 "f:7: services.kubernetes.kubeconfig: empty\n"
		 "f:8: services.kubernetes.writeStatus: not a boolean\n"
		 "f:9: services.kubernetes.finalizer: not a boolean\n"
		 "f:10: services.kubernetes.lease.holder: unknown key; known here: name, namespace, identity\n"
		 "f:10: services.kubernetes.lease.name: not a name of at most 253 of a-z, 0-9, '-', '.'\n"
		 "f:10: services.kubernetes.lease.namespace: not a name of at most 63 of a-z, 0-9, '-', '.'\n"
		 "f:10: services.kubernetes.lease.identity: not a string\n"
		 "f:11: services.kubernetes.snapshotFile: not a string\n"},
		{HEAD PORT
		 "services:\n  snatAddresses: [192.0.2.10]\n  kubernetes: {inCluster: true, lease: {identity: x}}\n",
		 "f:6: services.kubernetes.lease: has no name; without one there is no election\n"},

		// services
		{HEAD PORT "services: []\n",
		 "f:4: services: not an object\n"
		 "f:4: services.manifests: missing; expected the directory of the Kubernetes objects, or kubernetes in its place\n"
		 "warning f:4: services.snatAddresses: none, but forwarding is fullnat by default: its Services stay "
		 "unserved\n"},
		{HEAD PORT "services:\n  manifests: ''\n  snatAddresses: [192.0.2.10]\n",
		 "f:5: services.manifests: empty; expected a directory or a file\n"},
		{HEAD PORT SERVICES
		 "  defaults: {target: vm, forwarding: nat, scheduler: 5}\n  loadBalancerClass: a b\n  clusterIPs: 1\n"
		 "  noBackend: ignore\n  stateFile: 5\n  externalIPs: [10.0.0.1/8, x]\n",
		 "f:7: services.defaults.target: not one of pod, node\n"
		 "f:7: services.defaults.forwarding: not one of fullnat, dnat, dsr, ipip, gue\n"
		 "f:7: services.defaults.scheduler: not a string\n"
		 "f:8: services.loadBalancerClass: not the name of a class\n"
		 "f:9: services.clusterIPs: not a boolean\n"
		 "f:10: services.noBackend: not one of reject, drop\n"
		 "f:11: services.stateFile: not a string\n"
		 "f:12: services.externalIPs[0]: has bits behind its length; 10.0.0.0/8 is meant?\n"
		 "f:12: services.externalIPs[1]: not a prefix (ADDRESS/LENGTH)\n"},
		{HEAD PORT
		 "routes: [{prefix: 0.0.0.0/0, via: 192.0.2.254}]\nservices:\n  manifests: m\n"
		 "  snatAddresses: [192.0.2.10, 192.0.2.10, 192.0.2.255, 224.0.0.1, x, 192.0.2.254]\n"
		 "  nodePortAddresses: [192.0.2.10, 192.0.2.11, 192.0.2.11, 192.0.2.0, '::']\n",
		 "f:7: services.snatAddresses[1]: given twice\n"
		 "f:7: services.snatAddresses[2]: the network or broadcast address of 192.0.2.2/24 of port wan\n"
		 "f:7: services.snatAddresses[3]: not an address that a host can own\n"
		 "f:7: services.snatAddresses[4]: not an IP address\n"
		 "f:7: services.snatAddresses[5]: the gateway of a route\n"
		 "f:8: services.nodePortAddresses[0]: an SNAT address; its ports belong to fullnat\n"
		 "f:8: services.nodePortAddresses[2]: given twice\n"
		 "f:8: services.nodePortAddresses[3]: the network or broadcast address of 192.0.2.2/24 of port wan\n"
		 "f:8: services.nodePortAddresses[4]: not an address that a host can own\n"},
		{HEAD PORT SERVICES
		 "  addressPools:\n  - {}\n  - {name: A, addresses: [x]}\n  - {name: a, addresses: []}\n"
		 "  - {name: a, addresses: [203.0.113.0/24, 203.0.113.7], size: 1}\n  - {name: b, autoAssign: 1, addresses: [203.0.113.255]}\n",
		 "f:8: services.addressPools[0].name: missing\n"
		 "f:8: services.addressPools[0].addresses: missing; expected prefixes, FIRST-LAST or single addresses\n"
		 "f:9: services.addressPools[1].name: not 1 to 63 lower-case letters, digits, dots and dashes\n"
		 "f:9: services.addressPools[1].addresses[0]: not a prefix, FIRST-LAST or an address\n"
		 "f:10: services.addressPools[2].addresses: missing; expected prefixes, FIRST-LAST or single addresses\n"
		 "f:11: services.addressPools[3].size: unknown key; known here: name, addresses, autoAssign, priority, namespaces, serviceSelectors, avoidBuggyIPs, ipMode\n"
		 "f:11: services.addressPools[3].name: a second pool a\n"
		 "f:11: services.addressPools[3].addresses[1]: overlaps 203.0.113.0-203.0.113.255 of pool a\n"
		 "f:12: services.addressPools[4].autoAssign: not a boolean\n"
		 "f:12: services.addressPools[4].addresses[0]: overlaps 203.0.113.0-203.0.113.255 of pool a\n"},
		{HEAD PORT
		 "routes: [{prefix: 0.0.0.0/0, via: 192.0.2.254}]\nneighbors: [{address: 192.0.2.40, mac: 02:00:00:00:00:01}]\n" SERVICES
		 "  nodePortAddresses: [192.0.2.50]\n  addressPools:\n  - name: p\n    addresses:\n"
		 "    - 192.0.2.0/29\n    - 192.0.2.8-192.0.2.12\n    - 192.0.2.40/31\n    - 192.0.2.50\n    - 192.0.2.254\n"
		 "    - 126.0.0.0-128.0.0.1\n    - '::/0'\n    - 0.0.0.0/0\n    - 192.0.2.100/30\n",
		 "f:13: services.addressPools[0].addresses[0]: overlaps 192.0.2.2, an address of port wan\n"
		 "f:14: services.addressPools[0].addresses[1]: overlaps 192.0.2.10, an SNAT address\n"
		 "f:15: services.addressPools[0].addresses[2]: overlaps 192.0.2.40, a neighbor\n"
		 "f:16: services.addressPools[0].addresses[3]: overlaps 192.0.2.50, a nodePort address\n"
		 "f:17: services.addressPools[0].addresses[4]: overlaps 192.0.2.254, the gateway of a route\n"
		 "f:18: services.addressPools[0].addresses[5]: holds addresses that no host can own\n"
		 "f:19: services.addressPools[0].addresses[6]: holds addresses that no host can own\n"
		 "f:20: services.addressPools[0].addresses[7]: holds addresses that no host can own\n"},

		// management and log
		{HEAD PORT SERVICES
		 "management: {socket: '', port: 1}\nlog: {level: trace, format: xml}\n",
		 "f:7: management.port: unknown key; known here: socket, listen\n"
		 "f:7: management.socket: empty; expected the path of a UNIX socket\n"
		 "f:8: log.level: not one of error, warn, info, debug\nf:8: log.format: not one of text, json\n"},
		{HEAD PORT SERVICES
		 "management: {socket: /0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678}\n",
		 "f:7: management.socket: longer than 107 bytes\n"},
	};
	char got[8192];

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_report report = {0};
		struct config *c = NULL;
		int ret = config_parse(&c, "f", cases[i].text, strlen(cases[i].text), NULL,
				       &report);

		print_report(&report, got, sizeof(got));
		if (ret != -EINVAL || strcmp(got, cases[i].report) != 0)
			fail_msg("%d\n%sinstead of\n%sin\n%s", ret, got, cases[i].report,
				 cases[i].text);
		assert_null(c);
		config_report_fini(&report);
	}
}

static void fullnat_without_an_snat_address_is_a_warning(void **state) {
	const char *text = HEAD PORT "services: {manifests: m}\n";
	struct config_report report = {0};
	struct config *c = NULL;

	assert_int_equal(config_parse(&c, "f", text, strlen(text), NULL, &report), 0);
	assert_int_equal(report.n, 1);
	assert_int_equal(report.n_faults, 0);
	assert_true(report.notes[0].warning);
	assert_string_equal(
		report.notes[0].error.text,
		"f:4: services.snatAddresses: none, but forwarding is fullnat by default: its Services stay "
		"unserved");
	config_destroy(c);
	config_report_fini(&report);
}

static void the_report_is_bounded(void **state) {
	char text[20000] = HEAD PORT SERVICES "  externalIPs:\n";
	struct config_report report = {0};
	struct config *c = NULL;

	for (int i = 0; i < 500; i++)
		strcat(text, "  - x\n");
	assert_int_equal(config_parse(&c, "f", text, strlen(text), NULL, &report), -EINVAL);
	assert_int_equal(report.n, 100);
	assert_int_equal(report.n_faults, 500);
	config_report_fini(&report);
}

static void too_many_of_a_list_is_one_fault(void **state) {
	char text[20000] = HEAD SERVICES "ports:\n", port[64];
	struct config_report report = {0};
	struct config *c = NULL;

	for (int i = 0; i < SITE_MAX_PORTS + 1; i++) {
		snprintf(port, sizeof(port), "- {name: p%d, device: d%d}\n", i, i);
		strcat(text, port);
	}
	assert_int_equal(config_parse(&c, "f", text, strlen(text), NULL, &report), -EINVAL);
	assert_int_equal(report.n, 1);
	assert_string_equal(report.notes[0].error.text, "f:6: ports: more than 16 entries");
	config_report_fini(&report);
}

static cpu_set_t cpu_set(const char *digits) {
	cpu_set_t set;

	CPU_ZERO(&set);
	for (; *digits != 0; digits++)
		CPU_SET((size_t)(*digits - '0'), &set);
	return set;
}

static void workers_fit_the_cpus_of_the_machine(void **state) {
	static const struct {
		const char *dataplane, *affinity;
		int ret;
		uint32_t workers;
		const char *worker_cpus, *control_cpus, *report;
	} cases[] = {
		{"{}", "0", 0, 1, "0", "0", ""},
		{"{}", "01", 0, 1, "1", "0", ""},
		{"{}", "0246", 0, 3, "246", "0", ""},
		{"{workers: 1}", "0123", 0, 1, "1", "023", ""},
		{"{workers: 2}", "01", 0, 2, "10", "01", ""},
		{"{workers: 3}", "01", 0, 3, "101", "01",
		 "warning f:7: dataplane.workers: 3 workers share 2 CPUs\n"},
		{"{cpus: 1-2}", "0123", 0, 2, "12", "03", ""},
		{"{cpus: 0-1}", "01", 0, 2, "01", "01", ""},
		{"{cpus: 0-1, idle: pause}", "01", 0, 2, "01", "01", ""},
		{"{cpus: 1, idle: busy}", "01", 0, 1, "1", "0", ""},
		{"{cpus: 0-1, idle: busy}", "01", -EINVAL, 2, "", "",
		 "f:7: dataplane.idle: busy needs a CPU that no worker uses, for the control thread\n"},
		{"{workers: 2, idle: busy}", "01", -EINVAL, 2, "", "",
		 "f:7: dataplane.idle: busy needs a CPU that no worker uses, for the control thread\n"},
		{"{idle: busy}", "0", -EINVAL, 1, "", "",
		 "f:7: dataplane.idle: busy needs a CPU that no worker uses, for the control thread\n"},
		{"{cpus: '1-3,9'}", "0134", -EINVAL, 4, "", "",
		 "f:7: dataplane.cpus: CPU 2,9 is not in the process's affinity, 0-1,3-4\n"},
	};
	char text[1000], got[2000];

	for (size_t i = 0; i < COUNT(cases); i++) {
		cpu_set_t affinity = cpu_set(cases[i].affinity),
			  control = cpu_set(cases[i].control_cpus);
		struct config_report report = {0};
		struct config *c;
		int ret;

		snprintf(text, sizeof(text), HEAD PORT SERVICES "dataplane: %s\n",
			 cases[i].dataplane);
		c = parse(text, NULL);
		ret = config_check_machine(c, &affinity, &report);
		print_report(&report, got, sizeof(got));
		if (ret != cases[i].ret || strcmp(got, cases[i].report) != 0)
			fail_msg("%s on %s: %d %s", cases[i].dataplane, cases[i].affinity, ret,
				 got);
		assert_int_equal(c->site.workers, cases[i].workers);
		for (uint32_t w = 0; ret == 0 && w < c->site.workers; w++)
			assert_int_equal(c->dataplane.worker_cpu[w], cases[i].worker_cpus[w] - '0');
		if (ret == 0)
			assert_true(CPU_EQUAL(&c->dataplane.control_cpus, &control));
		config_report_fini(&report);
		config_destroy(c);
	}
}

static void files_are_named_by_their_path(void **state) {
	char path[] = "/tmp/test_config.XXXXXX", want[200];
	const char *text = HEAD PORT SERVICES "log: {level: x}\n";
	struct config_report report = {0};
	struct config *c = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(config_load(&c, path, NULL, &report), -EINVAL);
	snprintf(want, sizeof(want), "%s:7: log.level: not one of error, warn, info, debug", path);
	assert_string_equal(report.notes[0].error.text, want);
	config_report_fini(&report);
	unlink(path);
	assert_int_equal(config_load(&c, path, NULL, &report), -ENOENT);
	snprintf(want, sizeof(want), "%s: No such file or directory", path);
	assert_string_equal(report.notes[0].error.text, want);
	assert_int_equal(report.n_faults, 1);
	config_report_fini(&report);
	config_destroy(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absent_key_has_its_documented_default),
		cmocka_unit_test(every_key_of_a_full_file_arrives),
		cmocka_unit_test(json_is_read_as_yaml_is),
		cmocka_unit_test(given_manifests_stand_in_for_the_files),
		cmocka_unit_test(an_api_server_stands_in_for_manifests),
		cmocka_unit_test(every_key_of_kubernetes_arrives),
		cmocka_unit_test(nodes_are_probed_by_default_where_an_api_server_tells_of_them),
		cmocka_unit_test(nodes_are_used_as_cloud_controllers_do_unless_told_otherwise),
		cmocka_unit_test(every_key_of_node_health_arrives),
		cmocka_unit_test(cpus_are_lists_of_ranges),
		cmocka_unit_test(each_fault_is_named_with_file_line_path_and_expectation),
		cmocka_unit_test(fullnat_without_an_snat_address_is_a_warning),
		cmocka_unit_test(the_report_is_bounded),
		cmocka_unit_test(too_many_of_a_list_is_one_fault),
		cmocka_unit_test(workers_fit_the_cpus_of_the_machine),
		cmocka_unit_test(files_are_named_by_their_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
