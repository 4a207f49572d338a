// SPDX-License-Identifier: Apache-2.0
// Reads and writes IPv6 neighbour solicitations and advertisements (RFC 4861).
#include <netinet/in.h>
#include <string.h>

#include "rewrite/header.h"
#include "rewrite/rewrite.h"

#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136
#define ND_LEN 24 // without options
#define ND_OPTION_SOURCE_MAC 1
#define ND_OPTION_TARGET_MAC 2
#define ND_OPTION_MAC_LEN 8
#define ND_HOP_LIMIT 255 // nobody beyond the link can have sent it

#define ND_ROUTER 0x80
#define ND_SOLICITED 0x40
#define ND_OVERRIDE 0x20

static const struct ip_addr nd_unspecified = {.family = 6};
static const struct ip_addr nd_all_nodes = {.b = {0xff, 0x02, [15] = 1}, .family = 6};

struct ip_addr nd_solicited_node(const struct ip_addr *target) {
	struct ip_addr group = {.b = {0xff, 0x02, [11] = 1, 0xff}, .family = 6};

	memcpy(group.b + 13, target->b + 13, 3);
	return group;
}

struct mac_addr nd_group_mac(const struct ip_addr *group) {
	struct mac_addr m = {.b = {0x33, 0x33}};

	memcpy(m.b + 2, group->b + 12, 4);
	return m;
}

// Walk the options; false if one can't be right. The first address option of the message's kind
// counts.
static bool read_options(struct nd_info *nd, const uint8_t *at, const uint8_t *end) {
	uint8_t wanted = nd->type == ND_SOLICITATION ? ND_OPTION_SOURCE_MAC : ND_OPTION_TARGET_MAC;

	while (at < end) {
		if (end - at < 2 || at[1] == 0 || at[1] * 8 > end - at)
			return false;
		if (at[0] == wanted && !nd->has_mac) {
			if (at[1] * 8 != ND_OPTION_MAC_LEN || (at[2] & 1) != 0)
				return false;
			memcpy(&nd->mac, at + 2, sizeof(nd->mac));
			nd->has_mac = true;
		}
		at += at[1] * 8;
	}
	return true;
}

// Whom a message may come from and go to (RFC 4861 7.1.1, 7.1.2). A solicitation without a source
// is duplicate address detection: to the group, and no link-layer address in it.
static bool is_addressed_right(const struct nd_info *nd, const struct parsed *p) {
	const struct ip_addr dst = ip_addr_from_v6(p->dst), group = nd_solicited_node(&nd->target);
	bool has_source = !ip_addr_eq(&nd->source, &nd_unspecified);

	if (nd->target.b[0] == 0xff || nd->source.b[0] == 0xff)
		return false;
	if (nd->type == ND_ADVERTISEMENT)
		return has_source && !(nd->solicited && dst.b[0] == 0xff);
	return has_source || (!nd->has_mac && ip_addr_eq(&dst, &group));
}

bool nd_read(struct nd_info *out, const uint8_t *frame, const struct parsed *p) {
	const uint8_t *l4 = frame + p->l4;
	struct nd_info nd = {.type = p->icmp_type};

	if (p->kind != PARSE_ICMP || p->family != 6 || p->ttl != ND_HOP_LIMIT ||
	    p->icmp_code != 0 || (nd.type != ND_SOLICITATION && nd.type != ND_ADVERTISEMENT) ||
	    p->l4_len < ND_LEN)
		return false;
	nd.source = ip_addr_from_v6(p->src);
	nd.target = ip_addr_from_v6(l4 + 8);
	if (nd.type == ND_ADVERTISEMENT) {
		nd.router = l4[4] & ND_ROUTER;
		nd.solicited = l4[4] & ND_SOLICITED;
		nd.override = l4[4] & ND_OVERRIDE;
	}
	if (!read_options(&nd, l4 + ND_LEN, l4 + p->l4_len) || !is_addressed_right(&nd, p) ||
	    !rewrite_icmp_is_valid(frame, p))
		return false;
	*out = nd;
	return true;
}

// A message of this type about target, with a link-layer option unless mac is NULL.
static uint16_t build(uint8_t *out, const struct ip_addr *source, const struct ip_addr *dst,
		      uint8_t type, uint8_t flags, const struct ip_addr *target,
		      const struct mac_addr *mac) {
	const struct header h = {.src = source->b,
				 .dst = dst->b,
				 .family = 6,
				 .protocol = IPPROTO_ICMPV6,
				 .ttl = ND_HOP_LIMIT};
	uint16_t len = ND_LEN + (mac ? ND_OPTION_MAC_LEN : 0);
	uint8_t *nd = out + header_put(out, &h, len);

	memset(nd, 0, len);
	nd[0] = type;
	nd[4] = flags;
	memcpy(nd + 8, target->b, 16);
	if (mac) {
		nd[ND_LEN] = type == ND_SOLICITATION ? ND_OPTION_SOURCE_MAC : ND_OPTION_TARGET_MAC;
		nd[ND_LEN + 1] = ND_OPTION_MAC_LEN / 8;
		memcpy(nd + ND_LEN + 2, mac, sizeof(*mac));
	}
	bytes_put16(nd + 2, header_l4_checksum(&h, nd, len));
	return (uint16_t)(nd - out) + len;
}

uint16_t nd_build_solicitation(uint8_t *out, const struct ip_addr *source,
			       const struct mac_addr *mac, const struct ip_addr *target,
			       const struct ip_addr *dst) {
	const struct ip_addr group = nd_solicited_node(target);
	bool has_source = !ip_addr_eq(source, &nd_unspecified);

	return build(out, source, dst ? dst : &group, ND_SOLICITATION, 0, target,
		     has_source ? mac : NULL);
}

uint16_t nd_build_advertisement(uint8_t *out, const struct ip_addr *target,
				const struct mac_addr *mac, const struct ip_addr *dst,
				bool solicited, bool override) {
	uint8_t flags = (solicited ? ND_SOLICITED : 0) | (override ? ND_OVERRIDE : 0);

	return build(out, target, dst ? dst : &nd_all_nodes, ND_ADVERTISEMENT, flags, target, mac);
}
