// SPDX-License-Identifier: Apache-2.0
// What a started device says of its RSS, read back: what it was told may not be what it does.
#include <errno.h>
#include <rte_ethdev.h>
#include <rte_version.h>
#include <string.h>

#include "port/port.h"

#define MODIFIERS                                                                                  \
	(RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L3_DST_ONLY | RTE_ETH_RSS_L4_SRC_ONLY |             \
	 RTE_ETH_RSS_L4_DST_ONLY)

static bool is_toeplitz(const struct rte_eth_rss_conf *conf) {
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	return conf->algorithm == RTE_ETH_HASH_FUNCTION_DEFAULT ||
	       conf->algorithm == RTE_ETH_HASH_FUNCTION_TOEPLITZ;
#else
	(void)conf;
	return true;
#endif
}

static bool has_all(uint64_t types, uint64_t wanted) {
	return (types & wanted) == wanted && (types & MODIFIERS) == 0;
}

static int read_hash(const struct port *p, const struct rte_eth_dev_info *info,
		     struct port_rss *out, const char **why) {
	struct rte_eth_rss_conf conf = {.rss_key = out->key, .rss_key_len = sizeof(out->key)};

	*why = "its hash key can't be read";
	if (rte_eth_dev_rss_hash_conf_get(p->id, &conf) < 0 ||
	    info->hash_key_size > sizeof(out->key))
		return -ENOTSUP;
	*why = "it hashes by another function than Toeplitz";
	if (!is_toeplitz(&conf))
		return -ENOTSUP;
	// Where it doesn't tell, 40 as RSS has it; what the driver left unwritten is zero.
	out->key_len = info->hash_key_size != 0 ? info->hash_key_size : 40;
	out->hashes_ports[0] = has_all(conf.rss_hf,
				       RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP);
	out->hashes_ports[1] = has_all(conf.rss_hf,
				       RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP);
	return 0;
}

static int read_reta(const struct port *p, const struct rte_eth_dev_info *info,
		     struct port_rss *out, const char **why) {
	struct rte_eth_rss_reta_entry64 reta[PORT_MAX_RETA / RTE_ETH_RETA_GROUP_SIZE];

	*why = "its redirection table can't be read";
	if (info->reta_size == 0 || info->reta_size > PORT_MAX_RETA)
		return -ENOTSUP;
	memset(reta, 0, sizeof(reta));
	for (uint16_t i = 0; i < info->reta_size; i++)
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ull << (i % RTE_ETH_RETA_GROUP_SIZE);
	if (rte_eth_dev_rss_reta_query(p->id, reta, info->reta_size) < 0)
		return -ENOTSUP;
	*why = "its redirection table names queues that nobody polls";
	for (uint16_t i = 0; i < info->reta_size; i++) {
		out->queue[i] = reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
		if (out->queue[i] >= p->n_rx_queues)
			return -ENOTSUP;
	}
	out->reta_size = info->reta_size;
	return 0;
}

int port_rss_read(const struct port *p, struct port_rss *out, const char **why) {
	struct rte_eth_dev_info info;
	int ret;

	*why = "it has no RSS";
	if (p->rss_types == 0 || rte_eth_dev_info_get(p->id, &info) < 0)
		return -ENOTSUP;
	memset(out, 0, sizeof(*out));
	ret = read_hash(p, &info, out, why);
	return ret == 0 ? read_reta(p, &info, out, why) : ret;
}
