// SPDX-License-Identifier: Apache-2.0
// What the configuration says about Services, as plain values: the `services:` section and the addresses that are the appliance's own.
//
// Everything pointed to is the caller's and must stay as it is until kube_configure() replaced it or kube_destroy() returned.
#ifndef SLUICE_KUBE_SETTINGS_H
#define SLUICE_KUBE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipam/ipam.h"
#include "model/model.h"
#include "net/addr.h"

enum kube_target { KUBE_TARGET_POD, KUBE_TARGET_NODE };

struct kube_reserved {
	struct ip_addr addr;
	const char *what; // for messages: "port wan", "SNAT address", "next hop of a route"
};

struct kube_settings {
	enum kube_target target;    // defaults.target
	enum model_mode forwarding; // defaults.forwarding
	const char *lb_class;       // loadBalancerClass; NULL or "": Services without a class
	bool cluster_ips;           // clusterIPs
	bool reject;                // noBackend: reject
	bool external_nodes;        // nodes.address: ExternalIP
	bool exclude_by_presence;   // nodes.excludeLabel: present
	// The status of Services is ours to write and the durable record of what they have. A running grant stands whatever somebody else writes
	// there, a request for another address moves a Service, what is deleted lets go at once, what was released is remembered. False for
	// manifests: there status is what the files' owner says.
	bool durable;
	// With durable: another appliance gives the addresses and writes status. Serve what status (or a request) names, give nothing automatically.
	bool follower;
	uint32_t n_pools, n_node_port_addresses, n_external_ips, n_reserved;
	const struct ipam_pool *pools;             // in the order of the file
	const struct ip_addr *node_port_addresses; // nodePortAddresses
	const struct ip_prefix *external_ips;      // CIDRs of externalIPs
	const struct kube_reserved
		*reserved; // never a Service's address: port, SNAT, gateway addresses
};

#endif
