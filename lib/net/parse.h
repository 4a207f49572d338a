// SPDX-License-Identifier: Apache-2.0
// Bytes of a frame -> what the stages need to know, every access checked against the length. Nothing is guessed: what is
// not understood has a reason.
//
// parse_frame() reads Ethernet, one optional 802.1Q tag, IPv4 with options or IPv6 with its extension headers, and the first
// words of TCP, UDP or ICMP. It checks what a router and a host of that address must check: versions, lengths (the frame may be padded
// beyond the IP packet, never shorter), the IPv4 header checksum, martian addresses, source routes, routing headers with segments left. It
// doesn't look at L4 checksums and knows nothing of frontends; frame addresses and VLAN are judged by
// the caller, who knows the port. parse_quoted() reads the packet quoted inside an ICMP error, of which perhaps only 8 bytes of L4 are there.
//
// Pure, any thread, no allocation.
#ifndef SLUICE_NET_PARSE_H
#define SLUICE_NET_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/reason.h"

#define PARSE_MAX_EXTENSIONS 8   // headers, RFC 8200 order is not demanded but hop-by-hop must be first
#define PARSE_MAX_EXTENSION_BYTES 512

enum parse_kind {
	PARSE_FLOW, // TCP, UDP (or SCTP): addresses and ports are valid
	PARSE_ICMP, // ICMP or ICMPv6: icmp_type, icmp_code are valid, l4 points at its header
	PARSE_ARP,  // l3 points at the ARP header, complete
	PARSE_OTHER_L4, // a valid IP packet of another protocol; addresses are valid
};

enum parse_flag {
	PARSE_TCP_FIN = 0x01, // the TCP flags are the low bits, as in the header
	PARSE_TCP_SYN = 0x02,
	PARSE_TCP_RST = 0x04,
	PARSE_TCP_ACK = 0x10,
};

// Addresses and ports in network order, in place of the header's. IPv4: src[0], dst[0] only, the others are not written.
struct parsed {
	uint32_t src[4], dst[4];
	uint16_t src_port, dst_port; // network order
	uint8_t family;    // 4, 6; 0 for ARP
	uint8_t kind;      // enum parse_kind
	uint8_t protocol;  // of L4, after the extension headers
	uint8_t tcp_flags; // TCP: flag byte; else 0
	uint8_t icmp_type, icmp_code;
	uint8_t ttl;       // TTL or hop limit
	uint8_t dscp_ecn;  // TOS or traffic class
	uint16_t vlan;     // VLAN id, PARSE_UNTAGGED when there is no tag (a priority tag, id 0, counts as no tag; l3 is past it)
	uint16_t l3, l4;   // offsets from the frame's first byte
	uint16_t l3_len;   // whole IP packet: total length, or 40 + payload length; padding excluded
	uint16_t l4_len;   // of the L4 header and payload: l3 + l3_len - l4
};

#define PARSE_UNTAGGED 0xffff

// Parse len contiguous bytes. Returns REASON_NONE, or the drop's reason (out then holds what had been read: family 0 unless
// the addresses are valid).
enum reason parse_frame(struct parsed *out, const uint8_t *frame, uint32_t len);

// Parse an IP packet quoted at offset `at` of the frame (in->l4 + 8), which may be cut after 8 bytes of its L4 header. l3, l4 are offsets from the frame's
// first byte; l3_len and l4_len are what is really there. whole tells whether the quoted packet is complete.
enum reason parse_quoted(struct parsed *out, bool *whole, const uint8_t *frame, uint32_t len, uint16_t at, uint8_t family);

#endif
