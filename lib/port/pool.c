// SPDX-License-Identifier: Apache-2.0
// Packet pools: how many buffers of which size, one pool a NUMA node.
#include <errno.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <string.h>

#include "port/port.h"

#define CACHE 256      // buffers a worker keeps at hand
#define BURST 32       // packets in a worker's hands
#define FRAME_EXTRA 18 // Ethernet header and VLAN tag
#define PAGE 4096u
#define MAX_MBUFS (64u << 20)

// Headroom, frame, rounded up to 64; 2048 bytes of packet is what NICs like best.
static uint32_t data_room(const struct profile *p, uint16_t mtu) {
	uint32_t frame = RTE_ALIGN_CEIL((uint32_t)mtu + FRAME_EXTRA, 64u);

	if (p->data_room != 0)
		return p->data_room;
	return RTE_PKTMBUF_HEADROOM + RTE_MAX(frame, 2048u);
}

static uint64_t with_workers(uint64_t descriptors, uint16_t workers, uint32_t held) {
	uint64_t n = descriptors + (uint64_t)workers * (BURST + 2 * CACHE) + held;

	return n + n / 8;
}

static uint64_t port_descriptors(const struct port *p) {
	return (uint64_t)p->n_rx_queues * p->n_rx_desc + (uint64_t)p->n_tx_queues * p->n_tx_desc +
	       p->profile.held_buffers;
}

uint64_t port_pool_bytes(const struct profile *profile, uint16_t n_ports, uint16_t mtu,
			 uint16_t workers, uint32_t held) {
	uint64_t queues = profile->max_queues != 0 && !profile->all_queues
				  ? RTE_MIN(profile->max_queues, workers)
				  : workers;
	uint64_t n = with_workers(n_ports * (queues * ((uint64_t)profile->rx_descriptors +
						       profile->tx_descriptors) +
					     profile->held_buffers),
				  workers, held);
	uint32_t size = (uint32_t)(sizeof(struct rte_mbuf) + sizeof(struct rte_mempool_objhdr) +
				   data_room(profile, mtu));

	// In 4 KiB pages a buffer doesn't cross a page's end.
	return size >= PAGE ? n * RTE_ALIGN_CEIL(size, PAGE) : n * PAGE / (PAGE / size);
}

static int create(struct port_pools *out, int socket, uint64_t n, uint32_t room,
		  struct error *err) {
	char name[RTE_MEMPOOL_NAMESIZE];

	if (n > MAX_MBUFS)
		return error_set(err, -ENOMEM, "packet buffers: %llu wanted, at most %u",
				 (unsigned long long)n, MAX_MBUFS);
	snprintf(name, sizeof(name), "packets_%d", socket);
	out->pool[socket] = rte_pktmbuf_pool_create(name, (unsigned)n, CACHE, 0, (uint16_t)room,
						    socket);
	if (out->pool[socket] == NULL)
		return error_set(
			err, -rte_errno,
			"packet buffers: %llu of %u bytes (%llu MiB) on node %d: %s; raise "
			"dataplane.memoryMiB or lower the profile's descriptors",
			(unsigned long long)n, room, (unsigned long long)((n * room) >> 20), socket,
			rte_strerror(rte_errno));
	out->mbufs[socket] = (uint32_t)n;
	return 0;
}

int port_pools_create(struct port_pools *out, const struct port *ports, uint16_t n_ports,
		      uint16_t workers, uint32_t held, struct error *err) {
	struct port_pools pools = {.mbufs = {0}};
	uint64_t descriptors[PORT_MAX_SOCKETS] = {0};
	uint32_t room[PORT_MAX_SOCKETS] = {0};
	int ret = 0;

	for (unsigned i = 0; i < n_ports; i++) {
		descriptors[ports[i].socket] += port_descriptors(&ports[i]);
		room[ports[i].socket] = RTE_MAX(room[ports[i].socket],
						data_room(&ports[i].profile, ports[i].mtu));
	}
	for (int s = 0; s < PORT_MAX_SOCKETS && ret == 0; s++)
		if (room[s] != 0)
			ret = create(&pools, s, with_workers(descriptors[s], workers, held),
				     room[s], err);
	if (ret < 0)
		port_pools_destroy(&pools);
	else
		*out = pools;
	return ret;
}

struct rte_mempool *port_pool(const struct port_pools *p, const struct port *port) {
	return p->pool[port->socket];
}

void port_pools_destroy(struct port_pools *p) {
	for (int s = 0; s < PORT_MAX_SOCKETS; s++)
		rte_mempool_free(p->pool[s]);
	memset(p, 0, sizeof(*p));
}
