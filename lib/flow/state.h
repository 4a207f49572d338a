// SPDX-License-Identifier: Apache-2.0
// States of a flow and how a packet moves them: one const table, names and meaning after Linux conntrack.
//
//     two ways seen (dnat, fullnat):  SYN > tcpSynSent   SYN-ACK < tcpSynRecv   ACK > tcpEstablished
//                                     FIN either way tcpFinWait, the other side's FIN tcpTimeWait, RST tcpClose
//     one way seen (dsr):             SYN > tcpSynSent   next packet without SYN > tcpEstablished   FIN > tcpFinWait   RST > tcpClose
//
// A flow that begins in its middle (TCP without SYN, one-way modes and dnat) starts as tcpSynSent and is established by its second packet. In
// fullnat a client's ACK alone establishes nothing before the backend has answered: a flood of SYN and ACK stays half-open.
// UDP: udp until an answer is seen, then udpStream. Half-open means tcpSynSent or tcpSynRecv.
#ifndef SLUICE_FLOW_STATE_H
#define SLUICE_FLOW_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum flow_state {
	FLOW_FREE, // an empty slot
	FLOW_TCP_SYN_SENT,
	FLOW_TCP_SYN_RECV,
	FLOW_TCP_ESTABLISHED,
	FLOW_TCP_FIN_WAIT,
	FLOW_TCP_TIME_WAIT,
	FLOW_TCP_CLOSE,
	FLOW_UDP,
	FLOW_UDP_STREAM,
	FLOW_STATES,
};

enum flow_ways {
	FLOW_ONE_WAY,   // dsr: only the client's packets pass
	FLOW_TWO_WAYS,  // dnat
	FLOW_CONFIRMED, // fullnat: established only after the backend has answered
};

struct flow_timeouts { // in ticks of FLOW_TICKS a second, by state
	uint32_t ticks[FLOW_STATES];
};

#define FLOW_TICKS 4 // a second; coarse time of entries

#define FLOW_TCP_FLAG_FIN 0x01
#define FLOW_TCP_FLAG_SYN 0x02
#define FLOW_TCP_FLAG_RST 0x04
#define FLOW_TCP_FLAG_ACK 0x10

const char *flow_state_name(enum flow_state s); // "tcpSynSent", "udpStream", ...

// Where one packet leads; tcp_flags as in the header, 0 for UDP. That both sides have sent a FIN is flow_touch()'s to know.
enum flow_state flow_state_next(enum flow_state s, enum flow_ways ways, bool from_backend,
				uint8_t tcp_flags);

static inline bool flow_state_is_half_open(enum flow_state s) {
	return s == FLOW_TCP_SYN_SENT || s == FLOW_TCP_SYN_RECV;
}

#endif
