// SPDX-License-Identifier: Apache-2.0
// The life of a port after port_open(): queues, filters, link, counters, and its end.
#include "port/port.h"

#include <errno.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <string.h>

#include "base/log.h"
#include "port/why.h"

static int setup_queues(struct port *p, const struct rte_eth_dev_info *info,
			struct rte_mempool *pool) {
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int ret = 0;

	rx.offloads = p->profile.rx_offloads & info->rx_offload_capa;
	tx.offloads = p->profile.tx_offloads & info->tx_offload_capa;
	for (uint16_t q = 0; q < p->n_rx_queues && ret == 0; q++)
		ret = rte_eth_rx_queue_setup(p->id, q, p->n_rx_desc, (unsigned)p->socket, &rx,
					     pool);
	for (uint16_t q = 0; q < p->n_tx_queues && ret == 0; q++)
		ret = rte_eth_tx_queue_setup(p->id, q, p->n_tx_desc, (unsigned)p->socket, &tx);
	return ret;
}

// Neighbour discovery asks at multicast addresses. What a device lacks, it may have in a wider
// form.
static void set_filters(struct port *p) {
	if (p->promiscuous) // decided by port_open(): the device doesn't take our MAC
		rte_eth_promiscuous_enable(p->id);
	if (rte_eth_allmulticast_enable(p->id) == 0 || p->promiscuous)
		return;
	if (rte_eth_promiscuous_enable(p->id) == 0) {
		p->promiscuous = true;
		log_info("port %s: no multicast mode, promiscuous mode instead", p->name);
		return;
	}
	log_warn("port %s: neither multicast nor promiscuous mode: IPv6 neighbours may not find us",
		 p->name);
}

// Entry i leads to queue first_queue + i, mod queues: known, and the same after every start.
static void spread_reta(const struct port *p, uint16_t size) {
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];
	int ret;

	if (!p->profile.reta_spread || p->rss_types == 0 || size == 0 ||
	    size > RTE_ETH_RSS_RETA_SIZE_512)
		return;
	memset(reta, 0, sizeof(reta));
	for (uint16_t i = 0; i < size; i++) {
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ull << (i % RTE_ETH_RETA_GROUP_SIZE);
		reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			(uint16_t)((p->first_queue + i) % p->n_rx_queues);
	}
	ret = rte_eth_dev_rss_reta_update(p->id, reta, size);
	if (ret < 0)
		log_warn("port %s: redirection table left as the device has it: %s", p->name,
			 why(ret));
}

int port_start(struct port *p, struct rte_mempool *pool, struct error *err) {
	struct rte_eth_dev_info info;
	struct port_link link;
	int ret = rte_eth_dev_info_get(p->id, &info);

	if (ret == 0)
		ret = setup_queues(p, &info, pool);
	if (ret < 0)
		return error_set(err, ret, "port %s: queues: %s", p->name, why(ret));
	ret = rte_eth_dev_start(p->id);
	if (ret < 0)
		return error_set(err, ret, "port %s: does not start: %s", p->name, why(ret));
	p->started = true;
	set_filters(p);
	spread_reta(p, info.reta_size);
	p->has_rx_intr = p->has_rx_intr &&
			 (p->profile.rx_level || (rte_eth_dev_rx_intr_enable(p->id, 0) == 0 &&
						  rte_eth_dev_rx_intr_disable(p->id, 0) == 0));
	port_link(p, &link);
	log_info("port %s: %s, %u receive and %u transmit queues of %u and %u, MTU %u%s, link %s",
		 p->name, p->driver, p->n_rx_queues, p->n_tx_queues, p->n_rx_desc, p->n_tx_desc,
		 p->mtu, p->has_rx_intr ? ", receive interrupts" : "", link.up ? "up" : "down");
	return 0;
}

void port_stop(struct port *p) {
	int ret;

	if (!p->started)
		return;
	p->started = false;
	if (p->promiscuous) // a kernel interface would stay so
		rte_eth_promiscuous_disable(p->id);
	ret = rte_eth_dev_stop(p->id);
	if (ret < 0)
		log_warn("port %s: does not stop: %s", p->name, why(ret));
}

void port_close(struct port *p) {
	struct rte_eth_dev_info info;
	bool known = rte_eth_dev_info_get(p->id, &info) == 0;
	int ret;

	port_stop(p);
	ret = rte_eth_dev_close(p->id);
	if (ret < 0)
		log_warn("port %s: does not close: %s", p->name, why(ret));
	if (known && info.device != NULL)
		rte_dev_remove(info.device);
}

void port_link(const struct port *p, struct port_link *out) {
	struct rte_eth_link link = {.link_status = 0};

	*out = (struct port_link){.up = false};
	if (rte_eth_link_get_nowait(p->id, &link) < 0)
		return;
	out->up = link.link_status == RTE_ETH_LINK_UP;
	if (out->up && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		out->mbps = link.link_speed;
}

int port_stats(const struct port *p, struct port_stats *out) {
	struct rte_eth_stats s;
	int ret = rte_eth_stats_get(p->id, &s);

	if (ret < 0)
		return ret;
	*out = (struct port_stats){
		.rx_packets = s.ipackets,
		.rx_bytes = s.ibytes,
		.tx_packets = s.opackets,
		.tx_bytes = s.obytes,
		.rx_missed = s.imissed,
		.rx_errors = s.ierrors,
		.rx_no_mbuf = s.rx_nombuf,
		.tx_errors = s.oerrors,
	};
	return 0;
}
