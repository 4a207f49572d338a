// SPDX-License-Identifier: Apache-2.0
// The appliance's own place in the network, as the configuration file gives it: ports, routes, neighbours, SNAT addresses,
// timeouts. Plain values, fixed from start to stop; the config library fills it, compile and the dataplane's set-up read it.
#ifndef SLUICE_MODEL_SITE_H
#define SLUICE_MODEL_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"

#define SITE_MAX_PORTS 16
#define SITE_MAX_SNAT 64 // of each family
#define SITE_MAX_WORKERS 64
#define SITE_NAME 32

struct site_port {
	char name[SITE_NAME];
	char *device;  // PCI address or vdev string
	char *profile; // NULL: by the driver's name
	bool has_mac;
	struct mac_addr mac;
	uint16_t mtu;  // 1280..9216, of the L3 packet
	uint16_t vlan; // 0: untagged
	uint32_t n_addresses;
	struct ip_prefix *addresses; // host bits are the port's address
};

struct site_route {
	struct ip_prefix prefix;
	struct ip_addr via; // reachable on a port's subnet
	uint16_t port;      // index into ports: the one whose subnet holds via
};

struct site_neighbor {
	struct ip_addr addr;
	struct mac_addr mac;
	uint16_t port;
};

struct site_timeouts { // seconds, 1..518400
	uint32_t tcp_syn_sent, tcp_established, tcp_fin_wait, tcp_time_wait, tcp_close, udp,
		udp_stream, sctp_established;
};

struct site {
	uint32_t n_ports, n_routes, n_neighbors, n_snat4, n_snat6;
	struct site_port *ports;
	struct site_route *routes;
	struct site_neighbor *neighbors;
	struct ip_addr *snat4, *snat6; // in the order of the configuration file
	uint64_t hash_seed;
	uint32_t workers;
	uint32_t flows_per_worker;
	struct site_timeouts timeouts;
};

#endif
