// SPDX-License-Identifier: Apache-2.0
// An Ethernet port: from a device string to queues that workers poll.
//
//     port_open() each ...... probed; profile, queue counts, descriptors, RSS, MTU and MAC settled
//     port_pools_create() ... a packet pool for each NUMA node, sized from what the ports want
//     port_start() each ..... queues set up on the pool of the port's node, filters, link
//     port_stop() each, port_close() each, port_pools_destroy(), once the workers have left
//
// Queues. A device may have fewer receive queues than there are workers, and fewer transmit queues:
// n_rx_queues and n_tx_queues say how many there are. Transmit queue i belongs to worker i; a
// worker at or beyond n_tx_queues hands its packets to one below. Some devices have a fixed number
// of receive queues, each of which must be polled (profile: "queues": "device"): n_rx_queues is
// then above the number of workers when they are more. Which worker polls a queue is the
// dataplane's choice. What a device can't do costs one log line and works in a lesser way; what
// would make forwarding wrong (MTU, MAC) is an error.
//
// Units:  MTU in bytes of the L3 packet; the frame is 14 more, 18 with a VLAN tag
// Thread: control thread for all; workers read id and the counts, and the PMD's burst calls
#ifndef SLUICE_PORT_PORT_H
#define SLUICE_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/addr.h"
#include "port/profile.h"

#define PORT_NAME 32
#define PORT_DRIVER 32
#define PORT_MAX_SOCKETS 8

struct rte_mempool;

struct port_settings {
	const char *name;           // of the configuration file
	const char *device;         // PCI address or vdev string
	const char *profile;        // NULL: by the driver's name
	const struct mac_addr *mac; // NULL: the device's
	uint16_t mtu;
	uint16_t workers;
	uint16_t first_queue; // where a redirection table that we write begins
	bool wants_rx_intr;   // workers sleep when idle
};

struct port {
	// Written by port_open() and port_start(), read by all afterwards.
	uint16_t id; // DPDK's
	uint16_t n_rx_queues, n_tx_queues;
	uint16_t n_rx_desc, n_tx_desc; // of each queue
	uint16_t mtu;
	uint16_t burst; // packets a receive call
	int socket;     // NUMA node, 0 where the device has none
	struct mac_addr mac;
	bool has_rx_intr; // wanted, and rte_eth_dev_rx_intr_enable() works on queue 0, or the profile
			  // says "level"; known after port_start()
	bool promiscuous; // frames to other MACs come in as well: the parser must drop them
	bool started;
	char name[PORT_NAME];
	char device[256]; // as given
	char driver[PORT_DRIVER];
	uint64_t rss_types; // what the device hashes, 0: no RSS
	uint16_t first_queue;
	struct profile profile;
};

// Errors: -EINVAL (no such profile, MTU or MAC refused), -ENODEV (nothing found at device), or the
// driver's; err says which port and what to do. Nothing stays probed then.
int port_open(struct port *out, const struct port_settings *s, struct error *err);
// Errors: the driver's. The port may be closed, or started again, afterwards.
int port_start(struct port *p, struct rte_mempool *pool, struct error *err);
void port_stop(struct port *p);  // a stopped one is fine
void port_close(struct port *p); // stops it; the device is removed, an XDP program with it

struct port_pools {
	struct rte_mempool *pool[PORT_MAX_SOCKETS]; // by NUMA node; NULL: no port there
	uint32_t mbufs[PORT_MAX_SOCKETS];
};

// One pool for each NUMA node that has a port: every descriptor of its ports, a burst in hand and a
// cache for each worker, held packets (waiting for a neighbour, in hand-over rings: the caller's
// bounds, summed), and an eighth as margin.
// Errors: -ENOMEM (err says how much was asked for).
int port_pools_create(struct port_pools *out, const struct port *ports, uint16_t n_ports,
		      uint16_t workers, uint32_t held, struct error *err);
struct rte_mempool *port_pool(const struct port_pools *p, const struct port *port);
void port_pools_destroy(struct port_pools *p);

// For --check, without opening a device: bytes of packet buffers that this many ports of one
// profile will want at most.
uint64_t port_pool_bytes(const struct profile *profile, uint16_t n_ports, uint16_t mtu,
			 uint16_t workers, uint32_t held);

#define PORT_MAX_RETA 512

struct port_rss { // as a started device says
	uint8_t key[64];
	uint8_t key_len;
	uint16_t reta_size;
	uint16_t queue[PORT_MAX_RETA]; // of each entry
	bool hashes_ports[2];          // IPv4, IPv6: TCP and UDP by both addresses and both ports
};

// After port_start(). Errors: -ENOTSUP, *why then says what is missing.
int port_rss_read(const struct port *p, struct port_rss *out, const char **why);

struct port_link {
	bool up;
	uint32_t mbps; // 0: not known
};

struct port_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_missed;  // no free descriptor: the workers are too slow
	uint64_t rx_errors;  // by the device
	uint64_t rx_no_mbuf; // the pool was empty
	uint64_t tx_errors;
};

void port_link(const struct port *p, struct port_link *out);
int port_stats(const struct port *p,
	       struct port_stats *out); // the driver's error; *out is then untouched

#endif
