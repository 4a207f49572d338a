// SPDX-License-Identifier: Apache-2.0
// CONTRACT 2: what the workers read. Immutable snapshots, ids instead of pointers, one cache line where it counts.
//
//     packet -> (address, port, protocol) --tuple map--> frontend ref -> service blob -> slots -> backend id -> backend
//     answer -> (address, port, protocol) --tuple map--> endpoint ref -> its one frontend, or ambiguous
//
// A snapshot is a small struct of pointers. What a change does not touch is shared with the snapshot before: a change of one service's backends makes one
// new service blob and a copy of the pointer array. Three arrays (frontends, backends, endpoints) are as long as their limits from the start and never move: a
// slot is written before the first snapshot that names it is published and is not reused before every flow that could hold its id is
// gone (its generation differs then besides). The only words that change under a reader's eyes are backend.state (one byte, stored and loaded
// relaxed), a frontend's and an endpoint's ref and a frontend's salts (each word stored whole; they change with affinity and with who else leads to
// an endpoint), backend.nexthop once from none to one, and what neighbor.h owns. A frontend that left has ref.service TABLES_NO_ID.
//
// Two words to tell apart: a *backend* is a member of one service (id, generation, state); an *endpoint* is an (address, port, protocol) whoever uses it.
// Two Services over the same pod have two backends with one endpoint. SNAT ports and dnat's ways back are keyed by endpoint.
//
// Writer: compile (control thread). Readers: workers, between two quiescent states. Byte order: addresses and ports as on the wire.
#ifndef SLUICE_TABLES_TABLES_H
#define SLUICE_TABLES_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "maglev/maglev.h"
#include "net/addr.h"
#include "net/lpm.h"
#include "net/rss.h"
#include "tables/tuple_map.h"

#define TABLES_MAX_FRONTENDS                                                                       \
	(1u << 18) // ids fit FLOW_ID_BITS; see docs/configuration.md for what a user sees
#define TABLES_MAX_BACKENDS (1u << 19)
#define TABLES_MAX_ENDPOINTS (1u << 19)
#define TABLES_MAX_SERVICES (1u << 18) // of one family each
#define TABLES_MAX_PORTS 16
#define TABLES_MAX_SNAT 64
#define TABLES_NO_ID UINT32_MAX

enum tables_mode { TABLES_FULLNAT, TABLES_DNAT, TABLES_DSR };

// The value of the frontend map: all that a tracked packet's way in needs.
struct frontend_ref {
	uint32_t id : 20, mode : 3,   // enum tables_mode
		affinity : 1,         // ClientIP
		restricted : 1,       // the service blob has source ranges
		owner_by_address : 1, // owned by the client's address alone
		owner_moved : 1; // it was otherwise once: flows may live on at their former owner
	uint32_t service;
};

// Neither affinity nor source ranges: one test, as it is asked for every packet.
static inline bool frontend_ref_is_plain(struct frontend_ref r) {
	const struct frontend_ref asks = {.affinity = 1, .restricted = 1};
	uint32_t has, mask;

	memcpy(&has, &r, sizeof(has));
	memcpy(&mask, &asks, sizeof(mask));
	return (has & mask) == 0;
}

struct frontend { // by id; for rewriting on the way back, choice, and people
	struct ip_addr addr;
	uint16_t port; // network order
	uint8_t protocol, family;
	struct frontend_ref ref;
	uint64_t salt
		[2]; // of the choice: hash of hashSeed and this frontend's (address, port, protocol)
} __attribute__((aligned(64)));

// The value of the endpoint map.
struct endpoint_ref {
	uint32_t id : 20,
		dnat : 1,             // some dnat service leads here
		owner_by_address : 1, // of dnat's way back
		fullnat : 1,
		port : 4, // that the route leads through: fullnat's answers are expected there
		gen : 3; // 1 to 7, another one whenever a backend here has ceased to keep its flows
	uint32_t
		frontend : 20, // dnat: the one frontend; ambiguous: the first of them (oldest id that is still there)
		rss_part
	    : RSS_CLASS_BITS,  // of fullnat's answers from it, where that port's RSS is known
	      ambiguous : 1,   // some dnat services lead here through more than one frontend
	      owner_moved : 1; // as in frontend_ref
};

struct endpoint { // by id
	struct ip_addr addr;
	uint16_t port; // network order
	uint8_t protocol;
	uint8_t unused;
	struct endpoint_ref ref;
};

enum backend_state_bit {
	BACKEND_LIVE = 1,   // a member of its service: keeps its flows
	BACKEND_USABLE = 2, // gets new flows (and affinity may lead to it)
};

struct backend {          // by id
	uint8_t addr[16]; // network order; IPv4: the first four
	uint16_t port;    // network order
	uint8_t gen;      // of this use of the slot, FLOW_GEN_BITS
	uint8_t state; // enum backend_state_bit; written by control with a relaxed store, also while published
	uint32_t endpoint;
	uint32_t service;
	uint32_t nexthop; // neighbor id; TABLES_NO_ID: no route
};
_Static_assert(sizeof(struct backend) == 32, "two to a cache line");

// One service port of one family.
struct service {
	uint32_t id;
	uint32_t affinity_ticks; // 0: none
	uint8_t mode, family, protocol;
	bool reject;
	uint32_t n_usable;
	const uint32_t *usable;    // backend ids that get new flows, in order of (address, port)
	struct maglev_table table; // of indexes into usable[]; size 0 when n_usable < 2
	const struct lpm *sources; // NULL: open to all
	uint64_t generation;       // of the snapshot in which it last changed
};

struct route {
	uint16_t port;
	bool on_link; // the destination is itself the neighbour
	bool is_default;
	uint32_t nexthop; // neighbor id of the gateway; TABLES_NO_ID when on_link
};

enum local_kind { LOCAL_PORT = 1, LOCAL_VIP = 2, LOCAL_SNAT = 4 };

// The value of the local address map (port and protocol of the key are 0).
struct local_ref {
	uint32_t kinds : 8, // enum local_kind
		snat_index : 8;
	uint32_t answer; // bit i: port i answers ARP and ND for it
};

struct tables_port {
	struct mac_addr mac;
	uint16_t mtu, vlan; // vlan 0: untagged
	struct ip_addr addr4,
		addr6; // first address of the family, family 0: none; sources of ARP, ND and ICMP
	const struct rss *rss; // NULL: not known. Set once, before the first worker runs
};
_Static_assert(TABLES_MAX_PORTS <= 1 << 4, "endpoint_ref.port");

struct tables {
	uint64_t generation;
	const struct tuple_map *frontend_map;  // -> struct frontend_ref
	const struct tuple_map *endpoint_map;  // -> struct endpoint_ref
	const struct tuple_map *local_map;     // -> struct local_ref
	const struct service *const *services; // by id; NULL where there is none
	uint32_t n_services;
	const struct frontend *frontends;
	const struct backend *backends;
	const struct endpoint *endpoints;
	// The same from start to stop:
	const struct lpm *route_map; // -> index into routes
	const struct route *routes;
	const struct tables_port *ports;
	const struct rss
		*rss_in; // all ports' RSS, where it is known and the same on each; else NULL
	struct ip_addr snat4[TABLES_MAX_SNAT], snat6[TABLES_MAX_SNAT];
	uint8_t n_snat4, n_snat6;
	uint16_t n_ports, workers;
	uint64_t owner_salt[2];
};

static inline uint8_t backend_state(const struct backend *b) {
	return __atomic_load_n(&b->state, __ATOMIC_RELAXED);
}

// A 64-bit hash of two words under two secrets: the high and the low half of a 128-bit product.
static inline uint64_t tables_mix(uint64_t a, uint64_t b) {
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t tables_client_hash(const uint64_t salt[2], uint8_t family,
					  const uint32_t addr[4], uint16_t port) {
	uint64_t low = (uint64_t)addr[0] << 32 | (uint64_t)port << 8 | family;
	uint64_t h;

	h = tables_mix(low ^ salt[0], salt[1] ^ 0x9e3779b97f4a7c15u);
	if (family == 6) {
		h = tables_mix(h ^ ((uint64_t)addr[1] << 32 | addr[2]),
			       salt[0] ^ 0xd6e8feb86659fd93u);
		h = tables_mix(h ^ addr[3], salt[1] ^ 0xa5a3564e27f88d39u);
	}
	return tables_mix(h ^ salt[1], 0x94d049bb133111ebu);
}

// The worker that owns a client's flow: by its address and port, or by its address alone. Both directions of dnat ask it, and the way in of
// what tables_is_receivers() denies; fullnat's way back asks tables_back_owner().
static inline uint16_t tables_owner(const struct tables *t, uint8_t family,
				    const uint32_t client[4], uint16_t port, bool by_address) {
	uint64_t h = tables_client_hash(t->owner_salt, family, client, by_address ? 0 : port);

	return (uint16_t)(((h >> 32) * t->workers) >> 32);
}

// Flows that belong to whoever receives their packets from a client: dsr, and fullnat where all ports spread packets alike. In fullnat that is as
// much a function of the packet, tables_rss_owner(), but the device has computed it already.
static inline bool tables_is_receivers(const struct tables *t, struct frontend_ref f) {
	return (f.mode == TABLES_DSR || (f.mode == TABLES_FULLNAT && t->rss_in != NULL)) &&
	       !f.owner_by_address;
}

static inline uint16_t tables_rss_owner(const struct tables *t, const struct frontend *f,
					const uint32_t client[4], uint16_t port) {
	return rss_worker_of(t->rss_in, f->family, client, f->addr.b, port, f->port);
}

// The worker that owns an answer from an endpoint to an SNAT address, and so the only one that draws this port towards it: by the RSS of
// the port where answers are expected, wherever this one came in; else SNAT port mod workers.
static inline uint16_t tables_back_owner(const struct tables *t, uint8_t family,
					 struct endpoint_ref e, uint8_t snat_index,
					 uint16_t snat_port) {
	const struct rss *r = t->ports[e.port].rss;

	if (r == NULL)
		return (uint16_t)(snat_port % t->workers);
	return rss_worker_back(r, family, e.rss_part, snat_index, snat_port);
}

// The hash that chooses a new flow's backend: equal on all appliances with equal hashSeed. With affinity the client's port doesn't count.
static inline uint64_t tables_choice(const struct frontend *f, const uint32_t client[4],
				     uint16_t port) {
	return tables_client_hash(f->salt, f->family, client, f->ref.affinity ? 0 : port);
}

#endif
