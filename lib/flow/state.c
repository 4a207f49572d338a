// SPDX-License-Identifier: Apache-2.0
// The state table of TCP and UDP flows.
#include "flow/state.h"

const char *flow_state_name(enum flow_state s) {
	static const char *const names[FLOW_STATES] = {
		"free",        "tcpSynSent", "tcpSynRecv", "tcpEstablished", "tcpFinWait",
		"tcpTimeWait", "tcpClose",   "udp",        "udpStream",
	};

	return (unsigned)s < FLOW_STATES ? names[s] : "unknown";
}

// What a packet is to its flow. ACK is every packet without SYN, FIN and RST, and each one of UDP.
enum event { SYN, SYN_ACK, ACK, FIN, RST, EVENTS };

static enum event event_of(uint8_t tcp_flags) {
	if (tcp_flags & FLOW_TCP_FLAG_RST)
		return RST;
	if (tcp_flags & FLOW_TCP_FLAG_SYN)
		return tcp_flags & FLOW_TCP_FLAG_ACK ? SYN_ACK : SYN;
	return tcp_flags & FLOW_TCP_FLAG_FIN ? FIN : ACK;
}

enum {
	NO = FLOW_FREE,
	SS = FLOW_TCP_SYN_SENT,
	SR = FLOW_TCP_SYN_RECV,
	ES = FLOW_TCP_ESTABLISHED,
	FW = FLOW_TCP_FIN_WAIT,
	TW = FLOW_TCP_TIME_WAIT,
	CL = FLOW_TCP_CLOSE,
	UD = FLOW_UDP,
	US = FLOW_UDP_STREAM,
};

// clang-format off
// Read a column down: [ways][from the backend][packet][present state]. A SYN on a closed tuple doesn't move it: the caller starts
// the flow anew (flow_is_reusable). The FIN that follows the other side's is flow_touch()'s, which has seen both.
static const uint8_t next[FLOW_CONFIRMED + 1][2][EVENTS][FLOW_STATES] = {
	[FLOW_ONE_WAY] = {
		{ // the client
			[SYN]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[SYN_ACK]  = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[ACK]      = {NO, ES, ES, ES, FW, TW, CL, UD, US},
			[FIN]      = {NO, FW, FW, FW, FW, TW, CL, UD, US},
			[RST]      = {NO, CL, CL, CL, CL, CL, CL, UD, US},
		},
		{ // no answer passes here
			[SYN]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[SYN_ACK]  = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[ACK]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[FIN]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[RST]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
		},
	},
	[FLOW_TWO_WAYS] = {
		{ // the client
			[SYN]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[SYN_ACK]  = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[ACK]      = {NO, ES, ES, ES, FW, TW, CL, UD, US},
			[FIN]      = {NO, FW, FW, FW, FW, TW, CL, UD, US},
			[RST]      = {NO, CL, CL, CL, CL, CL, CL, UD, US},
		},
		{ // the backend; ACK in SS: the flow began in its middle; in SR: data before the client's ACK
			[SYN]      = {NO, SR, SR, ES, FW, TW, CL, US, US},
			[SYN_ACK]  = {NO, SR, SR, ES, FW, TW, CL, US, US},
			[ACK]      = {NO, ES, SR, ES, FW, TW, CL, US, US},
			[FIN]      = {NO, FW, FW, FW, FW, TW, CL, US, US},
			[RST]      = {NO, CL, CL, CL, CL, CL, CL, US, US},
		},
	},
	[FLOW_CONFIRMED] = {
		{ // the client; in SS only a RST counts: the rest could be a flood's
			[SYN]      = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[SYN_ACK]  = {NO, SS, SR, ES, FW, TW, CL, UD, US},
			[ACK]      = {NO, SS, ES, ES, FW, TW, CL, UD, US},
			[FIN]      = {NO, SS, FW, FW, FW, TW, CL, UD, US},
			[RST]      = {NO, CL, CL, CL, CL, CL, CL, UD, US},
		},
		{ // the backend; ACK in SS: a challenge (RFC 5961), the client's RST follows
			[SYN]      = {NO, SR, SR, ES, FW, TW, CL, US, US},
			[SYN_ACK]  = {NO, SR, SR, ES, FW, TW, CL, US, US},
			[ACK]      = {NO, SS, SR, ES, FW, TW, CL, US, US},
			[FIN]      = {NO, FW, FW, FW, FW, TW, CL, US, US},
			[RST]      = {NO, CL, CL, CL, CL, CL, CL, US, US},
		},
	},
};
// clang-format on

enum flow_state flow_state_next(enum flow_state s, enum flow_ways ways, bool from_backend,
				uint8_t tcp_flags) {
	return (enum flow_state)next[ways][from_backend][event_of(tcp_flags)][s];
}
