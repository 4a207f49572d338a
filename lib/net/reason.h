// SPDX-License-Identifier: Apache-2.0
// Every fate of a packet has a name: the reasons that counters, captures, decisions and `explain`
// use.
//
// One list, expanded where it is needed: REASON(SYMBOL, "name", "what happened, for a person").
// Names are lower-case words with hyphens and never change. The first group are drops and are
// counted under that name; the others say how a packet was forwarded or answered. docs/reasons.md
// is checked against this list.
#ifndef SLUICE_NET_REASON_H
#define SLUICE_NET_REASON_H

#define REASONS_DROP(REASON)                                                                       \
	REASON(TRUNCATED, "truncated", "the frame ends before the header it announces")            \
	REASON(MAC_OTHER, "mac-other", "addressed to another host's unicast MAC")                  \
	REASON(MAC_SOURCE, "mac-source", "the source MAC is a group address or our own")           \
	REASON(VLAN_TAGGED, "vlan-tagged", "a tagged frame on an untagged port")                   \
	REASON(VLAN_UNTAGGED, "vlan-untagged", "an untagged frame on a tagged port")               \
	REASON(VLAN_OTHER, "vlan-other", "tagged for another VLAN")                                \
	REASON(ETHERTYPE, "ethertype-unsupported", "neither IPv4, IPv6 nor ARP")                   \
	REASON(IP_HEADER, "ip-header", "IP version, header length or total length is impossible")  \
	REASON(IP_CHECKSUM, "ip-checksum", "the IPv4 header checksum is wrong")                    \
	REASON(IP_OPTIONS, "ip-options", "the IPv4 options can't be walked")                       \
	REASON(SOURCE_ROUTE, "source-route", "IPv4 loose or strict source routing")                \
	REASON(MARTIAN_SOURCE, "martian-source", "no host can have sent it from this address")     \
	REASON(MARTIAN_DESTINATION, "martian-destination",                                         \
	       "a multicast, broadcast or loopback destination")                                   \
	REASON(EXTENSION_CHAIN, "extension-chain",                                                 \
	       "more IPv6 extension headers than the bound, or out of order")                      \
	REASON(ROUTING_HEADER, "routing-header", "an IPv6 routing header with segments left")      \
	REASON(FRAGMENT, "fragment", "a fragment of a packet")                                     \
	REASON(PROTOCOL, "protocol-unsupported",                                                   \
	       "for a virtual address, in a protocol that is not balanced")                        \
	REASON(L4_TRUNCATED, "l4-truncated", "shorter than its TCP, UDP or ICMP header")           \
	REASON(TCP_HEADER, "tcp-header", "TCP data offset or flags are impossible")                \
	REASON(UDP_HEADER, "udp-header", "the UDP length disagrees with the packet")               \
	REASON(UDP_ZERO_CHECKSUM, "udp-zero-checksum", "IPv6 UDP without a checksum")              \
	REASON(PORT_ZERO, "port-zero", "source or destination port 0")                             \
	REASON(ICMP_MALFORMED, "icmp-malformed",                                                   \
	       "an ICMP message shorter than its type demands, or a wrong checksum")               \
	REASON(ICMP_UNSUPPORTED, "icmp-unsupported",                                               \
	       "an ICMP error or message that is not handled")                                     \
	REASON(ICMP_MISMATCH, "icmp-mismatch",                                                     \
	       "the packet quoted by an ICMP error is not from its destination")                   \
	REASON(ARP_MALFORMED, "arp-malformed", "an ARP packet that can't be right")                \
	REASON(ARP_OTHER, "arp-other", "ARP that asks for somebody else")                          \
	REASON(ND_MALFORMED, "nd-malformed",                                                       \
	       "a neighbour discovery message that fails the checks of RFC 4861")                  \
	REASON(ND_OTHER, "nd-other",                                                               \
	       "neighbour discovery for somebody else, or a router's message")                     \
	REASON(NOT_FOR_US, "not-for-us", "no frontend, no flow and no answer of ours")             \
	REASON(SOURCE_DENIED, "source-denied", "outside loadBalancerSourceRanges")                 \
	REASON(NO_BACKEND, "no-backend", "the service has no usable backend")                      \
	REASON(BACKEND_GONE, "backend-gone", "the flow's backend has left the service")            \
	REASON(NO_FLOW, "no-flow", "a packet inside a connection that is not known")               \
	REASON(NO_FLOW_REVERSE, "no-flow-reverse",                                                 \
	       "a packet from a backend that belongs to no flow")                                  \
	REASON(TUPLE_IN_USE, "tuple-in-use",                                                       \
	       "the client's address and port lead to every backend already")                      \
	REASON(SNAT_EXHAUSTED, "snat-exhausted", "no free SNAT port towards this backend")         \
	REASON(SNAT_NO_ADDRESS, "snat-no-address",                                                 \
	       "fullnat without an SNAT address of the family")                                    \
	REASON(FLOW_TABLE_FULL, "flow-table-full", "no room for a flow and none to evict")         \
	REASON(HALF_OPEN_LIMIT, "half-open-limit",                                                 \
	       "the half-open share of the flow table is used up")                                 \
	REASON(TTL_EXCEEDED, "ttl-exceeded", "TTL or hop limit ran out here")                      \
	REASON(TOO_BIG, "too-big", "larger than the MTU of its way out")                           \
	REASON(NO_ROUTE, "no-route", "no route to the next hop")                                   \
	REASON(NEIGHBOR_UNRESOLVED, "neighbor-unresolved",                                         \
	       "the next hop does not answer ARP or ND")                                           \
	REASON(NEIGHBOR_QUEUE, "neighbor-queue-full",                                              \
	       "too many packets wait for the next hop's MAC")                                     \
	REASON(HANDOVER_FULL, "handover-full", "the ring to the owning worker is full")            \
	REASON(TX_FULL, "tx-full", "the device's transmit queue is full")                          \
	REASON(NO_MEMORY, "no-memory", "no packet buffer")                                         \
	REASON(STOPPING, "stopping", "the appliance is being stopped")

#define REASONS_OTHER(REASON)                                                                      \
	REASON(NEW, "new", "a new flow, its backend chosen by the table")                          \
	REASON(AFFINITY, "affinity", "a new flow, its backend chosen by ClientIP affinity")        \
	REASON(TRACKED, "tracked", "the flow's entry")                                             \
	REASON(REVERSE, "reverse", "an answer of a backend, by the flow's entry")                  \
	REASON(STATELESS, "stateless", "chosen by the table, without an entry")                    \
	REASON(ICMP_RELATED, "icmp-related", "an ICMP error, translated with its flow")            \
	REASON(NEIGHBOR, "neighbor", "taken in by the neighbour table")                            \
	REASON(ANSWERED_ARP, "answered-arp", "an ARP request for an address of ours, answered")    \
	REASON(ANSWERED_ND, "answered-nd",                                                         \
	       "a neighbour solicitation for an address of ours, answered")                        \
	REASON(ANSWERED_ECHO, "answered-echo", "a ping to an address of ours, answered")           \
	REASON(ANSWERED_RST, "answered-rst", "refused with a TCP reset")                           \
	REASON(ANSWERED_UNREACHABLE, "answered-unreachable", "refused with ICMP port unreachable") \
	REASON(ANSWERED_TIME_EXCEEDED, "answered-time-exceeded",                                   \
	       "its TTL ran out here, and its sender was told")                                    \
	REASON(ANSWERED_TOO_BIG, "answered-too-big",                                               \
	       "larger than the MTU of its way out, and its sender was told")

#define REASON_ENUM(symbol, name, text) REASON_##symbol,
enum reason {
	REASON_NONE,                            // no verdict yet
	REASONS_DROP(REASON_ENUM) REASON_DROPS, // reasons below this one are drops
	REASONS_OTHER(REASON_ENUM) REASON_COUNT,
};
#undef REASON_ENUM

const char *reason_name(enum reason r);    // "truncated"; "" for REASON_NONE
const char *reason_meaning(enum reason r); // a sentence for a person

#endif
