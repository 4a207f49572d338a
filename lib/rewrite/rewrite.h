// SPDX-License-Identifier: Apache-2.0
// Bytes in, bytes out: what each forwarding mode does to a packet, and the packets that Sluice
// makes itself.
//
// Changes are incremental over every changed word (RFC 1624), so what arrives corrupt leaves
// corrupt. A UDP checksum of 0 over IPv4 stays 0; a computed one that comes out as 0 is written as
// 0xffff. Functions get a pointer to the IP header (l3), the offset of L4 from it, and trust what
// parse_frame() has checked; none looks beyond the lengths it is given. Builders write a complete
// IP packet (or ARP) to out and return its length, or 0 when no such answer may be given (RFC 1122
// 3.2.2, RFC 4443 2.4: never in answer to an ICMP error, to a fragment, to a group address or a
// martian source). Ethernet headers are the caller's. Pure, any thread, no allocation.
#ifndef SLUICE_REWRITE_REWRITE_H
#define SLUICE_REWRITE_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/parse.h"

// New addresses and ports of a packet: source, destination or both. Addresses are 4 or 16 bytes by
// family, ports in network order.
struct rewrite_end {
	uint32_t addr[4]; // IPv4: addr[0]
	uint16_t port;    // network order
};

// Set source and/or destination (NULL: unchanged) of a TCP or UDP packet, TTL or hop limit minus
// one, all checksums. `family` and `protocol` are constants at hot call sites: static inline,
// branch-free variants come out of one core. The TTL is at least 1.
static inline __attribute__((always_inline)) void rewrite_nat(uint8_t *l3, uint16_t l4_offset,
							      uint8_t family, uint8_t protocol,
							      const struct rewrite_end *src,
							      const struct rewrite_end *dst);

// Lower the MSS option of a SYN to at most mss. Where there is none, none is added: the default of
// RFC 9293 (536 or 1220) is below any MTU of ours. Walks the TCP options within l4_len. True when
// changed.
bool rewrite_clamp_mss(uint8_t *l4, uint16_t l4_len, uint16_t mss);

// ICMP error that quotes a packet of a flow: set new outer source and destination, new source and
// destination of the quoted packet (NULL: unchanged), the quoted IP header's checksum right
// whatever it was, the quoted L4 checksum right if it was right and is there, the ICMP checksum
// right if it was, the outer header's checksum, outer TTL minus one. `outer` is the parse of the
// whole packet, `inner` of the quote (offsets from frame).
void rewrite_icmp_error(uint8_t *frame, const struct parsed *outer, const struct parsed *inner,
			const struct rewrite_end *outer_src, const struct rewrite_end *outer_dst,
			const struct rewrite_end *inner_src, const struct rewrite_end *inner_dst);
// The ICMP or ICMPv6 checksum of a received message is right.
bool rewrite_icmp_is_valid(const uint8_t *frame, const struct parsed *p);

#define REWRITE_MAX 1280 // room that out must have

// RST to the sender of a TCP packet, made from that packet alone (RFC 9293 3.10.7.1), from its
// destination. Its ACK set: seq = its ack, no ACK flag; else seq 0, ack = its seq + its length (SYN
// and FIN count), ACK set. 0 for a RST.
uint16_t rewrite_build_rst(uint8_t *out, const uint8_t *frame, const struct parsed *p);
// ICMP error to the sender, quoting as much as fits (IPv4: 548 bytes of packet, RFC 1812; IPv6: up
// to 1280 in all), from `from`.
enum rewrite_error { REWRITE_PORT_UNREACHABLE, REWRITE_TIME_EXCEEDED, REWRITE_TOO_BIG };
uint16_t rewrite_build_icmp_error(uint8_t *out, const uint8_t *frame, const struct parsed *p,
				  enum rewrite_error what, uint16_t mtu,
				  const struct ip_addr *from);
// Turn an echo request into its reply in place (addresses swapped, TTL 64, checksums). False, and
// nothing is changed, when its checksum is wrong or it may not be answered.
bool rewrite_echo_reply(uint8_t *frame, const struct parsed *p);

// ARP for Ethernet and IPv4: 28 bytes. arp_read() refuses what no station may send: another kind of
// address, a group or zero sender MAC, addresses that no host has (a request's sender may be
// 0.0.0.0: RFC 5227's probe).
struct arp_info {
	uint16_t op; // 1 request, 2 reply
	struct mac_addr sender_mac, target_mac;
	uint32_t sender, target; // network order
};
bool arp_read(struct arp_info *out, const uint8_t *arp);
uint16_t arp_build(uint8_t *out, const struct arp_info *a);

// Neighbour discovery, RFC 4861: what a message says, after the checks of sections 7.1.1 and 7.1.2
// (hop limit 255, checksum, code 0, length, target not multicast, options of non-zero length, DAD's
// rules).
struct nd_info {
	uint8_t type;                     // 135 solicitation, 136 advertisement
	bool has_mac;                     // source (135) or target (136) link-layer address option
	bool router, solicited, override; // flags of 136
	struct ip_addr source, target;    // source: of the IP header; unspecified in DAD
	struct mac_addr mac;
};
// False: drop as nd-malformed; out is then untouched.
bool nd_read(struct nd_info *out, const uint8_t *frame, const struct parsed *p);
// A whole IPv6 packet. Solicitation: to the target's solicited-node group when dst is NULL (with
// the source link-layer option unless the source is unspecified).
uint16_t nd_build_solicitation(uint8_t *out, const struct ip_addr *source,
			       const struct mac_addr *mac, const struct ip_addr *target,
			       const struct ip_addr *dst);
// Advertisement with the target link-layer option; dst NULL: all-nodes (unsolicited).
uint16_t nd_build_advertisement(uint8_t *out, const struct ip_addr *target,
				const struct mac_addr *mac, const struct ip_addr *dst,
				bool solicited, bool override);
// Ethernet MAC of an IPv6 multicast group, and an address's solicited-node group.
struct mac_addr nd_group_mac(const struct ip_addr *group);
struct ip_addr nd_solicited_node(const struct ip_addr *target);

#include "rewrite/nat.h" // the inline core of rewrite_nat()

#endif
