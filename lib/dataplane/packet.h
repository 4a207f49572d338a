// SPDX-License-Identifier: Apache-2.0
// A packet on its way through the stages of one burst: what each stage learnt, one struct a packet, L1-resident.
//
//     parse    m, data, p, reason of a malformed one
//     classify way, frontend, endpoint, service
//     own      leaves for another worker, or stays
//     track    flow, backend of a known flow
//     select   flow, backend of a new one
//     rewrite  bytes
//     egress   port, next hop, L2 header; then the transmit buffer
//
// A packet is under way while reason is REASON_NONE or not a drop and fate is FATE_ONWARD. Whoever ends it sets fate and reason.
#ifndef SLUICE_DATAPLANE_PACKET_H
#define SLUICE_DATAPLANE_PACKET_H

#include <rte_mbuf.h>

#include "flow/flow.h"
#include "net/parse.h"
#include "tables/tables.h"

#define BURST 32

enum way {             // those up to WAY_BACK_SNAT seek a flow
	WAY_IN,        // from a client to a frontend
	WAY_BACK_DNAT, // from a backend, addressed to the client
	WAY_BACK_SNAT, // from a backend, addressed to an SNAT address
	WAY_VOUCHED,   // the same in the short way, where the snat entry vouches for its flow
	WAY_MOVED,     // in the short way: given to its owner
	WAY_ASIDE,     // ARP, ND, ICMP: handled one by one after the flows
};

enum fate {
	FATE_ONWARD,  // still in the stages
	FATE_SENT,    // in a transmit buffer or a ring to another worker's queue
	FATE_DROPPED, // freed, counted under reason
	FATE_HELD,    // waits for its next hop's MAC
	FATE_MOVED,   // handed over to its owner, who decides
};

struct packet {
	struct rte_mbuf *m;
	uint8_t *data; // first byte of the frame
	struct parsed p;
	uint8_t fate;     // enum fate
	uint8_t reason;   // enum reason: of the drop, or why it went where it went
	uint8_t answer;   // enum reason: REASON_ANSWERED_... when Sluice answered it
	uint8_t way;      // enum way
	bool handed_over; // came from another worker: it is ours
	bool by_address;  // owned by the client's address alone
	bool fresh;       // a flow is to be made
	bool stateless;   // goes by the table, without an entry
	uint8_t protocol; // of the flow: p.protocol, or the quoted one in an ICMP error
	struct frontend_ref frontend;
	struct endpoint_ref endpoint;
	struct flow_key key; // of the forward entry
	uint64_t hash;       // of key; WAY_BACK_SNAT: first of the snat entry
	struct flow *flow;
	uint32_t backend;   // TABLES_NO_ID: none
	uint8_t snat_index; // fullnat
	uint16_t snat_port; // host order
	uint32_t nexthop;   // neighbor id or NEIGHBOR_NONE
	uint16_t port;      // egress
	uint64_t trace;     // in a replay: the mbuf's number
};

// A packet on the short way (lane.c): what its passes need of it.
struct lane {
	struct rte_mbuf *m;
	uint8_t *ip; // the IP header
	union {
		uint64_t tuple;  // the key that a map is searched for: frontends, then endpoints
		uint64_t choice; // of a new flow: the hash that chooses its backend
	};
	uint64_t
		hash; // the slot where that search begins; then of the snat entry; then of the flow's key
	struct flow *flow; // the first slot of its bucket; then the entry, or NULL
	struct snat *
		snat; // of fullnat's answers: the first slot of its bucket; then the entry, unless that vouches
	struct frontend_ref frontend;
	struct flow_words
		want; // the flow's key, as its entry has it; until it is known a: the snat entry's
	uint32_t client6[4];        // IPv6: and the client's address
	uint32_t endpoint, backend; // backend: of a new flow
	struct parse_brief p;
	uint8_t way, l2_len;
	uint8_t endpoint_gen;
	bool twin;              // of a new flow: an earlier packet of the burst may have made it
	struct flow_draw drawn; // of a new flow in fullnat: its SNAT port
};

#endif
