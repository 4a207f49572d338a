// SPDX-License-Identifier: Apache-2.0
// port_open(): find the device, and agree with it on what the profile and the configuration want.
#include <errno.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "port/eal.h"
#include "port/port.h"
#include "port/why.h"

#define DEVICE_STRING 512

// The profile that is known before the device is: the one named, or the one of a vdev's driver.
// *known tells. A PCI address says nothing of its driver, so its profile's devargs need its name.
static int early_profile(struct profile *out, bool *known, const struct port_settings *s,
			 struct error *err) {
	struct error fault;
	int ret = -ENOENT;

	*known = true;
	if (s->profile != NULL)
		ret = profile_by_name(out, profile_dir(), s->profile, &fault);
	else if (!eal_is_pci_device(s->device))
		ret = profile_by_device(out, profile_dir(), s->device, &fault);
	if (ret == 0)
		return 0;
	if (ret != -ENOENT || s->profile != NULL)
		return error_set(err, ret, "port %s: %s", s->name, fault.text);
	*known = false;
	profile_default(out);
	return 0;
}

static int late_profile(struct port *p, struct error *err) {
	struct error fault;
	int ret = profile_by_driver(&p->profile, profile_dir(), p->driver, &fault);

	if (ret == -ENOENT) {
		log_info("port %s: no profile for the driver %s, defaults are used", p->name,
			 p->driver);
		return 0;
	}
	return ret == 0 ? 0 : error_set(err, ret, "port %s: %s", p->name, fault.text);
}

// The Ethernet port of a device, RTE_MAX_ETHPORTS when there is none.
static uint16_t find_port(const char *device) {
	struct rte_dev_iterator iter;
	uint16_t id;

	RTE_ETH_FOREACH_MATCHING_DEV(id, device, &iter) {
		rte_eth_iterator_cleanup(&iter);
		return id;
	}
	return RTE_MAX_ETHPORTS;
}

static int probe(struct port *p, const struct port_settings *s, struct error *err) {
	char device[DEVICE_STRING];
	int ret;

	if (profile_device_string(&p->profile, s->device, device, sizeof(device)) < 0)
		return error_set(err, -EINVAL, "port %s: device: more than %d bytes", s->name,
				 DEVICE_STRING - 1);
	if (find_port(device) != RTE_MAX_ETHPORTS)
		return error_set(err, -EBUSY, "port %s: device %s is another port's already",
				 s->name, s->device);
	ret = rte_dev_probe(device);
	if (ret < 0)
		return error_set(
			err, ret,
			"port %s: device %s: %s (a PCI device must be bound to vfio-pci or be an "
			"mlx5; a vdev's driver must be installed and its interface exist)",
			s->name, device, why(ret));
	p->id = find_port(device);
	if (p->id == RTE_MAX_ETHPORTS)
		return error_set(err, -ENODEV, "port %s: device %s has no Ethernet port", s->name,
				 device);
	return 0;
}

static uint16_t least(uint16_t a, uint16_t b) {
	return a < b ? a : b;
}

static void choose_queues(struct port *p, const struct rte_eth_dev_info *info, uint16_t workers) {
	uint16_t want = p->profile.max_queues != 0 ? least(workers, p->profile.max_queues)
						   : workers;

	p->n_rx_queues = p->profile.all_queues ? info->max_rx_queues
					       : least(want, info->max_rx_queues);
	p->n_tx_queues = least(want, info->max_tx_queues);
	if (p->n_rx_queues < workers)
		log_info(
			"port %s: %u receive queues for %u workers: packets are handed over between them",
			p->name, p->n_rx_queues, workers);
	if (p->n_tx_queues < workers)
		log_info(
			"port %s: %u transmit queues for %u workers: the others hand over what they send",
			p->name, p->n_tx_queues, workers);
}

static void choose_rss(struct port *p, const struct rte_eth_dev_info *info) {
	uint64_t missing = p->profile.rss_types & ~info->flow_type_rss_offloads;

	p->rss_types = p->n_rx_queues > 1 ? p->profile.rss_types & ~missing : 0;
	if (p->n_rx_queues > 1 && p->profile.rss_types != 0 && missing != 0)
		log_info(
			"port %s: the device does not hash all that the profile asks for (RSS types %#llx "
			"missing): such packets are handed over between workers",
			p->name, (unsigned long long)missing);
}

static void fill_conf(struct rte_eth_conf *conf, const struct port *p,
		      const struct rte_eth_dev_info *info, const struct port_settings *s) {
	*conf = (struct rte_eth_conf){
		.rxmode.mtu = s->mtu,
		.rxmode.offloads = p->profile.rx_offloads & info->rx_offload_capa,
		.txmode.offloads = p->profile.tx_offloads & info->tx_offload_capa,
		.intr_conf.rxq = s->wants_rx_intr,
	};
	if (p->rss_types != 0) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = p->rss_types;
	}
}

static int check_mtu(const struct rte_eth_dev_info *info, const struct port_settings *s,
		     struct error *err) {
	if (s->mtu >= info->min_mtu && (info->max_mtu == 0 || s->mtu <= info->max_mtu))
		return 0;
	return error_set(err, -EINVAL, "port %s: MTU %u: the device takes %u..%u", s->name, s->mtu,
			 info->min_mtu, info->max_mtu);
}

// A driver may refuse receive interrupts only here; without them it works as well.
static int configure(struct port *p, const struct rte_eth_dev_info *info,
		     const struct port_settings *s, struct error *err) {
	struct rte_eth_conf conf;
	int ret;

	fill_conf(&conf, p, info, s);
	ret = rte_eth_dev_configure(p->id, p->n_rx_queues, p->n_tx_queues, &conf);
	if (ret < 0 && conf.intr_conf.rxq != 0) {
		conf.intr_conf.rxq = 0;
		ret = rte_eth_dev_configure(p->id, p->n_rx_queues, p->n_tx_queues, &conf);
	}
	if (ret < 0)
		return error_set(err, ret, "port %s: %u and %u queues refused: %s", s->name,
				 p->n_rx_queues, p->n_tx_queues, why(ret));
	p->has_rx_intr = conf.intr_conf.rxq != 0; // port_start() tries them
	p->n_rx_desc = p->profile.rx_descriptors;
	p->n_tx_desc = p->profile.tx_descriptors;
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &p->n_rx_desc, &p->n_tx_desc);
	if (ret < 0)
		return error_set(err, ret, "port %s: descriptors: %s", s->name, why(ret));
	return 0;
}

// A driver without a way to set it (ring, pcap, memif) carries whatever fits a buffer.
static int set_mtu(struct port *p, const struct port_settings *s, struct error *err) {
	int ret = rte_eth_dev_set_mtu(p->id, s->mtu);

	if (ret < 0 && ret != -ENOTSUP)
		return error_set(err, ret, "port %s: MTU %u refused by the device: %s", s->name,
				 s->mtu, why(ret));
	p->mtu = s->mtu;
	return 0;
}

// A device that can't take our MAC may still let every frame in; frames we send carry it anyway.
static int set_mac(struct port *p, const struct port_settings *s, struct error *err) {
	struct rte_ether_addr mac;
	int ret = rte_eth_macaddr_get(p->id, &mac);

	if (ret < 0)
		return error_set(err, ret, "port %s: MAC not known: %s", s->name, why(ret));
	memcpy(p->mac.b, mac.addr_bytes, sizeof(p->mac.b));
	if (s->mac == NULL || memcmp(s->mac, &p->mac, sizeof(p->mac)) == 0)
		return 0;
	memcpy(mac.addr_bytes, s->mac->b, sizeof(mac.addr_bytes));
	ret = rte_eth_dev_default_mac_addr_set(p->id, &mac);
	if (ret < 0 && rte_eth_promiscuous_enable(p->id) < 0)
		return error_set(
			err, ret,
			"port %s: the device refuses the MAC: %s; leave mac out to use its own",
			s->name, why(ret));
	if (ret < 0) {
		p->promiscuous = true;
		log_info("port %s: the device keeps its own MAC, promiscuous mode lets ours in",
			 s->name);
	}
	p->mac = *s->mac;
	return 0;
}

static int settle(struct port *p, const struct port_settings *s, bool has_profile,
		  struct error *err) {
	struct rte_eth_dev_info info;
	int socket = rte_eth_dev_socket_id(p->id), ret = rte_eth_dev_info_get(p->id, &info);

	if (ret < 0)
		return error_set(err, ret, "port %s: %s", s->name, why(ret));
	p->socket = socket >= 0 && socket < PORT_MAX_SOCKETS ? socket : 0;
	snprintf(p->driver, sizeof(p->driver), "%s", info.driver_name);
	if (!has_profile)
		ret = late_profile(p, err);
	if (ret == 0)
		ret = check_mtu(&info, s, err);
	if (ret < 0)
		return ret;
	p->burst = p->profile.burst;
	p->first_queue = s->first_queue;
	choose_queues(p, &info, s->workers);
	choose_rss(p, &info);
	ret = configure(p, &info, s, err);
	if (ret == 0)
		ret = set_mtu(p, s, err);
	if (ret == 0)
		ret = set_mac(p, s, err);
	return ret;
}

int port_open(struct port *out, const struct port_settings *s, struct error *err) {
	struct port p = {.id = 0};
	bool has_profile = false;
	int ret;

	snprintf(p.name, sizeof(p.name), "%s", s->name);
	snprintf(p.device, sizeof(p.device), "%s", s->device);
	ret = early_profile(&p.profile, &has_profile, s, err);
	if (ret == 0)
		ret = probe(&p, s, err);
	if (ret < 0)
		return ret;
	ret = settle(&p, s, has_profile, err);
	if (ret < 0)
		port_close(&p);
	else
		*out = p;
	return ret;
}
