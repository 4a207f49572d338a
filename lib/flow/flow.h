// SPDX-License-Identifier: Apache-2.0
// The flow table of one worker: which client talks through which frontend to which backend.
//
//     key  (client address, client port, id)   id = frontend (way in) or endpoint (dnat's ambiguous way back)
//     hash -> bucket A, bucket B               one cache line each: four IPv4 entries of 16 bytes, or two IPv6 entries of 32
//
// An entry lives in one of two buckets. Bucket A counts how many of its own live in their B, so a miss reads B only where something can
// be there. Insertion displaces others along a bounded search; when that fails a bucket gives up, in order: expired,
// closing, half-open, oldest idle; never an established one for a SYN or a first UDP packet. Half-open flows have a bounded share. Beside each
// entry, at the same index in another array, stands its 8-byte record that only NAT and `sluicectl flows` read.
//
// fullnat's way back is a second table (snat) with entries of 16 or 32 bytes keyed (SNAT address index, SNAT port, endpoint). It is also the list
// of used ports: a port is free for an endpoint when no entry has its key. A worker proposes its own ports in turn (its slice, port mod
// workers, or those that a device's RSS leads back to it: ports.h),
// an own cursor for each endpoint, and takes the first that is free and whose bucket has room; so that table needs no displacement
// and a look-up reads one line (two where only a second bucket had room, which the first counts). A freed port rests as a tombstone and is
// passed over for FLOW_PORT_REST seconds while others are free: the order of reuse is that of a queue, without the queue's memory.
// An entry can vouch for its flow: answers then read that line alone (docs/decisions/0008-vouching.md).
//
// Entries hold ids, never pointers. All memory is the caller's, zeroed, in one block: a table can live in a file mapping.
// Time is passed in (ticks of 1/FLOW_TICKS second, any start, wraps after 2^32). Owner: one worker; no other thread may call.
#ifndef SLUICE_FLOW_FLOW_H
#define SLUICE_FLOW_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/state.h"

#define FLOW_ID_BITS 20      // frontends, backends, endpoints: ids below 2^20
#define FLOW_GEN_BITS 6      // generation of a backend id
#define FLOW_SNAT_BITS 6     // SNAT addresses of a family: 64
#define FLOW_TIME_BITS 22    // 12 days of ticks
#define FLOW_PORT_REST 60    // seconds
#define FLOW_FIRST_PORT 1024 // SNAT ports are FLOW_FIRST_PORT..65535

#define FLOW_CAPACITY_MIN 64

struct flow_ports; // ports.h

struct flow_config {
	// Flows that fit, of each family: at 85 % (IPv6: 80 %) of the buckets. fullnat's second entries have their own; an ambiguous dnat flow counts twice.
	uint32_t capacity;
	uint32_t max_backends;      // backend ids are below it
	uint32_t max_endpoints;     // endpoint ids are below it
	uint32_t half_open_percent; // of capacity; 100: no limit
	uint16_t worker, workers;   // its slice of SNAT ports: port % workers == worker
	uint8_t n_snat[2];          // SNAT addresses: IPv4, IPv6
	struct flow_timeouts timeouts;
	uint64_t secret; // keys the bucket hash; random at each start, fixed in a replay
};

enum flow_kind { FLOW_FORWARD, FLOW_REVERSE };

struct flow_key {
	uint32_t addr[4]; // the client's, network order; IPv4: addr[0], the others 0
	uint32_t id;      // FLOW_FORWARD: frontend; FLOW_REVERSE: endpoint
	uint16_t port;    // the client's, network order
	uint8_t family;   // 4 or 6
	uint8_t kind;     // enum flow_kind
};

// The last 16 bytes of every entry. IPv4: the whole entry, word is the client's address. IPv6: the 16 bytes before it are, and word has a copy of
// fullnat's SNAT port and address, which saves a packet the record's line.
// A FLOW_REVERSE entry has the frontend in `backend` and takes part in no state; it lives and dies with its forward entry.
struct flow {
	uint32_t id : 20, kind : 1;
	uint32_t state : 4;                       // enum flow_state
	uint32_t chain : 4;                       // of the bucket, not of the entry (flow_table.h)
	uint32_t fin_client : 1, fin_backend : 1; // FIN seen from that side
	uint32_t
		has_reverse : 1; // dnat: a FLOW_REVERSE entry exists; fullnat: an snat entry exists
	uint32_t word;
	uint64_t port : 16; // network order
	uint64_t backend : 20, gen : 6;
	uint64_t last : 22; // ticks of the last packet, low bits
};
_Static_assert(sizeof(struct flow) == 16, "four to a cache line");

// The cold record beside an entry.
struct flow_record {
	uint64_t snat_port : 16; // host order; 0: none
	uint64_t snat_index : 6, endpoint : 20;
	uint64_t created : 22; // seconds, low bits
};
_Static_assert(sizeof(struct flow_record) == 8, "");

struct flow_port_at {
	uint16_t port; // host order
	uint8_t index; // of the SNAT address
};

struct flow_table;
struct snat;

// Bytes for a table; the caller gives that much zeroed memory, aligned to 64, to flow_init().
size_t flow_table_size(const struct flow_config *c);
// Errors: -EINVAL for a config out of range; the memory is then untouched.
int flow_init(struct flow_table **out, void *memory, const struct flow_config *c);

// --- per packet ---

// These are inline (flow_inline.h). flow_hash_in() and flow_find_in() are the same with the family as an argument of its own: where it is a
// constant, the other family's code is gone. A pointer to an entry is good until flow_moves() changes: flow_create() moves entries, and it,
// flow_remove(), flow_sweep() and a flow_find() that meets an expired flow clear some. After a change find the flow again.

static inline uint64_t flow_hash(const struct flow_table *t, const struct flow_key *k);
static inline uint64_t flow_hash_in(const struct flow_table *t, uint8_t family,
				    const struct flow_key *k);
// The bucket and, with port set, where flow_port_of() looks; or the records alone.
static inline void flow_prefetch(const struct flow_table *t, uint8_t family, uint64_t hash,
				 bool port);
static inline void flow_prefetch_record(const struct flow_table *t, uint8_t family, uint64_t hash);
// The live entry, or NULL. An expired one is removed on the way. FLOW_REVERSE: it lives as long as its forward entry, find that as well.
static inline struct flow *flow_find(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				     uint32_t now);
static inline struct flow *flow_find_in(struct flow_table *t, uint8_t family,
					const struct flow_key *k, uint64_t hash, uint32_t now);
static inline struct flow_record *flow_record(const struct flow_table *t, uint8_t family,
					      const struct flow *f);
static inline struct flow_port_at flow_port_of(const struct flow_table *t, uint8_t family,
					       const struct flow *f);
// Note a packet: state, last. tcp_flags as in the header (0 for UDP); from_backend: an answer. Forward entries only.
static inline void flow_touch(struct flow_table *t, uint8_t family, struct flow *f,
			      enum flow_ways ways, bool from_backend, uint8_t tcp_flags,
			      uint32_t now);
// Its two halves, for those who know the ways only where it matters: note the time; is the state one that this packet can't change?
static inline void flow_note(struct flow *f, uint32_t now);
static inline bool flow_is_settled(const struct flow *f, bool from_backend, uint8_t tcp_flags);
// Silent for longer than its timeout; of forward entries alone.
static inline bool flow_is_overdue(const struct flow_table *t, const struct flow *f, uint32_t now);
// True when a SYN from the client on this entry starts anew: tcpTimeWait, tcpClose, or tcpFinWait with the client's FIN seen.
static inline bool flow_is_reusable(const struct flow *f);
// Counts whatever makes pointers to entries stale.
static inline uint32_t flow_moves(const struct flow_table *t);

// --- a new flow ---

enum flow_back {
	FLOW_BACK_NONE,  // one-way, or dnat with a unique way back
	FLOW_BACK_ENTRY, // dnat, ambiguous
	FLOW_BACK_SNAT,  // fullnat
};

struct flow_draw {         // the SNAT port whose turn it will be when a flow is made; port 0: none
	uint64_t hash;     // flow_snat_hash()
	uint32_t at, next; // where the endpoint's ports stand then, and after it
	uint16_t port;     // host order
	uint8_t index;     // of the SNAT address
};

// What a burst has drawn so far, by endpoint. Zeroed before its first draw.
#define FLOW_AHEAD 64
struct flow_ahead {
	struct flow_ahead_of {
		uint32_t endpoint, next; // endpoint: its number + 1
	} of[FLOW_AHEAD];
};

struct flow_new {
	uint32_t backend, endpoint;
	uint8_t gen;
	uint8_t protocol; // 6 or 17
	uint8_t back;     // enum flow_back
	bool starts;      // TCP SYN or UDP: may not evict an established flow
	// FLOW_BACK_SNAT: the worker's ports where answers come in by known RSS, and the endpoint's part of their class; NULL: its slice.
	// Always the same for an endpoint.
	const struct flow_ports *ports;
	uint16_t rss_part;
	struct flow_draw
		drawn; // FLOW_BACK_SNAT: flow_port_draw()'s (flow_create.h), which saves a search where it is right
};

// Errors, nothing is then changed but what eviction removed: -ENOSPC no room and none to evict; -EDQUOT the half-open share is used up and neither
// bucket has a half-open flow to give; -EADDRINUSE (FLOW_BACK_ENTRY) another frontend holds (client, endpoint); -EADDRNOTAVAIL
// (FLOW_BACK_SNAT) no free port. The key must not be in the table.
int flow_create(struct flow_table *t, const struct flow_key *k, uint64_t hash,
		const struct flow_new *n, uint32_t now, struct flow **out);
// Remove a forward entry with everything that belongs to it (reverse entry, SNAT port, count).
void flow_remove(struct flow_table *t, uint8_t family, struct flow *f, uint32_t now);

// --- fullnat's way back ---

// Of the answers from an endpoint to an SNAT address and port.
static inline uint64_t flow_snat_key(uint32_t endpoint, uint8_t snat_index, uint16_t snat_port);
static inline uint64_t flow_snat_hash(const struct flow_table *t, uint8_t family, uint64_t key);
static inline void flow_snat_prefetch(const struct flow_table *t, uint8_t family, uint64_t hash);
// The entry, where the port is in use towards that endpoint; else NULL. Good as long as pointers to flows are.
static inline struct snat *flow_snat_find(const struct flow_table *t, uint8_t family, uint64_t hash,
					  uint64_t key);
// In two steps, for those who fetch the bucket in between: its first slot; the entry.
static inline struct snat *flow_snat_home(const struct flow_table *t, uint8_t family,
					  uint64_t hash);
static inline struct snat *flow_snat_seek(const struct flow_table *t, uint8_t family, uint64_t hash,
					  uint64_t key, struct snat *home);
// The flow that it leads to.
static inline struct flow_key flow_snat_origin(uint8_t family, const struct snat *s);
// An snat entry vouches for its flow: while that is established (a stream, in UDP), an answer that can't change its state (flow_is_settled)
// needs nothing else, and is noted in the entry alone. flow_snat_vouch() begins that, after flow_touch() with an answer; it does nothing in other states.
// The end comes by itself with a change of the flow's state, with gen (1 to 7; another one whenever a backend of the endpoint has ended) and when
// no answer was noted for a timeout. Above 120 s notes are coarse: a flow whose last packet was one of these stays up to 1/240 of its timeout longer.
static inline bool flow_snat_vouches(const struct flow_table *t, const struct snat *s, uint8_t gen,
				     uint32_t now);
static inline void flow_snat_note(const struct flow_table *t, struct snat *s, uint32_t now);
static inline void flow_snat_vouch(const struct flow_table *t, struct snat *s, const struct flow *f,
				   uint8_t gen, uint32_t now);

// --- housekeeping and views ---

// Look at the next n buckets of each table and remove what has expired. Call it often with small n.
void flow_sweep(struct flow_table *t, uint32_t now, uint32_t n);
uint32_t flow_buckets(
	const struct flow_table
		*t); // of the largest table: flow_sweep(t, now, flow_buckets(t)) is a whole pass

struct flow_view {           // an entry for a person
	struct flow_key key; // FLOW_FORWARD
	uint32_t backend, endpoint;
	uint8_t gen;
	uint8_t state; // enum flow_state
	uint8_t snat_index;
	uint16_t snat_port; // host order; 0: none
	uint32_t age, idle; // seconds
};
// Copy live forward entries of the buckets from *cursor on, at most max entries and at most 256 buckets a call; *cursor advances, and is UINT64_MAX at
// the end. Start with 0. Returns the number copied. max must be at least 4.
uint32_t flow_scan(const struct flow_table *t, uint64_t *cursor, uint32_t now,
		   struct flow_view *out, uint32_t max);
// Live flows of a backend id, whatever its generation.
uint32_t flow_count_of(const struct flow_table *t, uint32_t backend);

struct flow_stats { // owner writes, anyone may read (each field is loaded and stored relaxed)
	uint64_t flows[2]; // live forward entries: IPv4, IPv6
	uint64_t half_open;
	uint64_t evicted[4]; // expired (however it was met), closing, half-open, idle
	uint64_t created,
		removed; // removed: for whatever reason; created - removed flows are there
};
const struct flow_stats *flow_stats(const struct flow_table *t);

#include "flow/flow_inline.h"

#endif
