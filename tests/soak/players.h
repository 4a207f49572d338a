// SPDX-License-Identifier: Apache-2.0
// Clients and backends of the soak: they make packets in memory, take what leaves, and know where each flow must go.
//
//     player (one a worker): clients 16.w.0.0/16 take turns, a packet each; backends answer those whose first packet came
//     judge:  a flow that a steady backend has stays there: same backend, same SNAT port, no reset, until the end
//             a flow of a backend that comes and goes may be reset and begin anew
//
// What is known of a flow is one word, written by the worker that sends its packet, read by the one that receives its next.
#ifndef SLUICE_SOAK_PLAYERS_H
#define SLUICE_SOAK_PLAYERS_H

#include "appliance.h"

#define PLAYERS 2
#define CLIENTS 16384 // of each player
#define SERVICES 6    // dsr, dnat, fullnat with TCP; the same with UDP
#define BACKENDS 16
#define STEADY 8 // of them never leave

struct memo { // one word
	uint32_t known : 1, answered : 1, backend : 6;
	uint32_t snat_port : 16;
};

struct player {
	_Alignas(64) uint32_t next_client, next_answer;
	uint64_t made, steady_made; // packets in all, and of flows that a steady backend had
};

struct players {
	struct rte_mempool *pool;
	struct player player[PLAYERS];
	uint32_t flows[PLAYERS * CLIENTS]; // struct memo
	struct {                           // by the worker that sends
		_Alignas(64) uint64_t left, steady_left, moved, reset, foreign;
	} seen[PLAYERS];
};

// Fills m with up to n packets that arrive on the port at that player. Returns their number.
uint16_t players_make(struct players *p, uint16_t player, uint16_t port, struct rte_mbuf **m,
		      uint16_t n);
// A packet of that flow in its client's (port 0) or backend's name, as players_make() makes it. NULL: it has nothing to say, or no buffer.
struct rte_mbuf *players_packet(struct players *p, uint16_t player, uint16_t port, uint32_t client);
// Judge what leaves, and free it.
void players_take(struct players *p, uint16_t worker, uint16_t port, struct rte_mbuf **m,
		  uint16_t n);

bool players_is_steady(const struct players *p, uint32_t flow);
enum model_mode players_mode(uint32_t service);
uint8_t players_protocol(uint32_t service);

#endif
