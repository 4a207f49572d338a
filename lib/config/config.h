// SPDX-License-Identifier: Apache-2.0
// The configuration file: read, checked as a whole, turned into plain values.
//
//     text -> lib/doc (YAML or JSON with lines) -> sections, each in strict types -> struct config
//                                                        |
//                                                        +-> struct config_report: every fault, in order of lines
//
// Reading never stops at the first fault: a report names file, line, path and what was expected for each of them, so that one
// `--check` is enough. Cross checks run as values are read, each against those before it (ports, routes, neighbors, SNAT
// addresses, nodePort addresses, pools), so a fault stands at the later of two that contradict. What the file may hold is the table in
// docs/configuration.md; keys and values that belong to a later version are known by name and refused.
//
// What depends on the machine (CPUs) is a step of its own, config_check_machine(), which sluice-replay leaves out: there any
// number of workers runs anywhere. Before that step an absent `workers` is 1.
//
// Units are in the names. Strings are never NULL unless said. The config owns all it points to. Control thread, before start.
#ifndef SLUICE_CONFIG_CONFIG_H
#define SLUICE_CONFIG_CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "ipam/ipam.h"
#include "model/model.h"
#include "model/site.h"

enum config_hugepages { CONFIG_HUGEPAGES_AUTO, CONFIG_HUGEPAGES_REQUIRED, CONFIG_HUGEPAGES_OFF };
enum config_idle { CONFIG_IDLE_BUSY, CONFIG_IDLE_PAUSE, CONFIG_IDLE_SLEEP };
enum config_target { CONFIG_TARGET_POD, CONFIG_TARGET_NODE };

struct config_dataplane { // workers, seed, flows and timeouts are in struct site
	bool workers_given;
	bool cpus_given;
	cpu_set_t cpus; // when given
	enum config_hugepages hugepages;
	enum config_idle idle;
	uint32_t memory_mib;
	// Written by config_check_machine(). Where the CPUs don't suffice, several share one.
	uint16_t worker_cpu[SITE_MAX_WORKERS];
	cpu_set_t control_cpus;
};

struct config_pool {
	char name[64];
	bool auto_assign, avoid_buggy;
	bool proxy;        // ipMode Proxy
	uint32_t priority; // 0: none, after all that have one
	uint32_t n_namespaces, n_selectors;
	char **namespaces;
	struct ipam_selector *selectors;
	uint32_t n_ranges;
	struct ip_range *ranges; // in the file's order; no two overlap, nor those of two pools
};

struct config_node_health { // services.nodeHealth
	bool enabled;
	uint32_t kube_proxy_port;
	uint32_t interval_ms, timeout_ms;
	uint32_t rise, fall;
};

struct config_services {
	char *manifests; // file or directory; NULL: an API server is followed instead
	// services.kubernetes. Of the first two exactly one is set when manifests is NULL, else none.
	char *kubeconfig;
	bool in_cluster;
	bool write_status, finalizer;
	char *lease_name;      // "": no election, this appliance always writes
	char *lease_namespace; // "": that of the credentials, else kube-system
	char *identity;        // of the lease's holder; "": the host's name
	char *snapshot_file;   // "": off
	enum config_target target;
	enum model_mode forwarding;
	enum model_scheduler scheduler;
	char *load_balancer_class; // "": Services without a class
	char *state_file;          // "": addresses are not remembered
	bool cluster_ips;
	bool reject;              // noBackend: reject
	bool external_nodes;      // nodes.address: ExternalIP
	bool exclude_by_presence; // nodes.excludeLabel: present
	struct config_node_health node_health;
	uint32_t n_pools, n_node_port_addresses, n_external_ips;
	struct config_pool *pools;
	struct ip_addr *node_port_addresses;
	struct ip_prefix *external_ips;
};

struct config {
	struct site site;
	struct config_dataplane dataplane;
	struct config_services services;
	char *socket;
	enum log_level log_level;
	bool log_json;
	struct doc *doc; // for the lines of later faults
};

struct config_note {
	unsigned line; // 0: of no line
	bool warning;
	struct error error; // "FILE:LINE: PATH: what was expected"
};

// Begins as {0}; notes are in order of lines.
struct config_report {
	size_t n, n_faults; // n_faults counts those beyond the bound of the list, too
	struct config_note *notes;
};

struct config_options {        // NULL or {0} for a daemon
	const char *manifests; // stands in for services.manifests and services.kubernetes
};

// Read a file; a config comes out only when there is no fault. Errors: -EINVAL with at least one fault in the report, -ENOMEM, -errno of
// open and read (named in the report).
int config_load(struct config **out, const char *path, const struct config_options *options,
		struct config_report *report);
// The same from text; name is used in messages.
int config_parse(struct config **out, const char *name, const char *text, size_t len,
		 const struct config_options *options, struct config_report *report);
void config_destroy(struct config *c);

// Judge the CPUs against the process's affinity and give each worker its own; fills in site.workers where the file leaves it out.
// Errors: -EINVAL with faults added to the report, -ENOMEM.
int config_check_machine(struct config *c, const cpu_set_t *affinity, struct config_report *report);

void config_report_fini(struct config_report *report);

#endif
