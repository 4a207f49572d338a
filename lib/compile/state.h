// SPDX-License-Identifier: Apache-2.0
// What compile knows beside the tables: who leads where, which id belongs to what, and what changed since the last snapshot.
//
//     entry (model key) -> side (of one family: a service id) -> fronts (frontend ids)
//                                                             -> members (backend ids) -> point (endpoint id, shared)
//
// An update goes over the changed keys twice, first giving up what left and then adding what came, so that an address may move between services.
// Then it settles what follows (own addresses, usable members, owners, endpoints), allocates all that the snapshot needs, and commits, which can't fail. Every step
// may be run again: after -ENOMEM the marks (side.changed, *_changed, touched points, ids that left) stand until a commit.
#ifndef SLUICE_COMPILE_STATE_H
#define SLUICE_COMPILE_STATE_H

#include "compile/compile.h"
#include "compile/ids.h"
#include "tables/tuple_map.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct place { // a key of fronts and points, compared as bytes
	struct ip_addr addr;
	uint16_t port; // network order
	uint8_t protocol, zero;
};
_Static_assert(sizeof(struct place) == 24, "no padding");

struct local { // an address of our own
	struct ip_addr addr;
	uint8_t kinds, snat_index; // kinds without LOCAL_VIP
	bool announced;            // a VIP of the newest snapshot
	uint32_t answer;           // of kinds
	uint32_t fronts;           // that make it a VIP
	UT_hash_handle hh;
};

struct front {
	struct place place;
	uint32_t id;
	uint16_t kind; // enum model_frontend_kind
	uint64_t age;  // a number of its own, counting up
	struct side *side;
	UT_hash_handle hh;
};

struct member {
	uint32_t id;
	uint32_t weight;
	bool live, wanted; // as the model says: keeps its flows, gets new ones
	uint8_t state;     // enum backend_state_bit, as the next snapshot shows it
	const char *reason;
	struct side *side;
	struct point *point;
	struct member *prev, *next; // of the point
};

struct point { // an endpoint; without members it rests, and one that comes back in that time has its id again
	struct place place;
	uint32_t id;
	struct member *members;
	uint64_t oldest; // age of the front that ref names; 0: none
	uint32_t losses; // of backends here
	struct endpoint_ref ref;
	uint32_t back; // its place in the entries of the endpoint map; BACK_NONE: it has none
	bool touched;
	struct point *next_touched;
	uint64_t mark;          // of the last walk over owners
	uint64_t resting_until; // seconds; 0: in use
	struct point *rest_prev, *rest_next;
	UT_hash_handle hh;
};

#define BACK_NONE UINT32_MAX

#define COMPILE_FLIPPED 16

struct back { // what the endpoint map is made of, in no order
	struct tuple_entry *entries;
	struct point **of; // whose each is
	uint32_t n, room;
};

struct shared_table { // between the blobs of one side as long as the usable set is the same
	unsigned refs;
	uint32_t n;
	struct maglev_table table;
	struct slab *memory;        // of the table's slots
	struct maglev_backend of[]; // what it was built from
};

struct blob {
	struct service service;
	struct shared_table *table; // NULL: none
	struct lpm *sources;
	struct blob *next; // of those to free
	uint32_t usable[];
};

struct side {
	struct entry *entry;
	uint32_t id;
	uint8_t family, mode;
	bool reject, restricted;
	uint32_t affinity; // seconds
	uint32_t n_fronts, n_members, n_ranges;
	struct front **fronts;            // sorted by (addr, port)
	struct member **members;          // sorted by (addr, port)
	struct ip_prefix *ranges;         // of the family
	bool changed;                     // needs another blob
	bool by_address, next_by_address; // dnat: owned by the client's address alone
	bool owner_moved;                 // it was owned otherwise while published
	struct side *next_walk;
	struct blob *blob, *next_blob; // published; made and not yet published
};

struct entry {
	struct model_key key;
	struct side *sides[2]; // IPv4, IPv6
	uint64_t generation;
	char reason[160]; // written by entry_refuse()
	UT_hash_handle hh;
};

struct snapshot_parts {
	struct tables *tables;
	struct tuple_map *frontend_map, *endpoint_map, *local_map;
	const struct service **services;
};

struct compile {
	const struct site *site;
	struct neighbor_table *neighbors;
	uint64_t secret;
	uint64_t rest; // seconds
	uint64_t now;  // of the update at hand

	// Fixed from the start.
	struct route *routes;
	uint32_t n_routes;
	struct lpm *route_map;
	struct tables_port *ports;
	const struct rss *rss_in;

	// The arrays that workers read.
	struct frontend *frontends;
	struct backend *backends;
	struct endpoint *endpoints;

	struct ids service_ids, frontend_ids, backend_ids, endpoint_ids;
	struct side **side_of;     // by service id
	struct member **member_of; // by backend id
	struct entry *entries;
	struct front *fronts;
	struct point *points;
	struct back back;
	struct local *locals;
	uint64_t age, mark;

	// What the next snapshot has to show.
	struct model_key *pending;
	uint32_t n_pending;
	bool has_reasons; // some entry's is not ""
	uint32_t n_flipped;
	struct ip_addr flipped
		[COMPILE_FLIPPED]; // became own addresses or ceased to be, the first of n_flipped
	bool services_changed, frontends_changed, endpoints_changed, locals_changed, owners_changed;
	struct point *touched;
	struct point *resting; // endpoints, in order of resting_until
	struct blob *dropped;  // of sides that left

	// The newest snapshot.
	uint64_t generation;
	struct snapshot_parts parts;
	struct ip_addr *new_addresses;
	uint32_t n_new_addresses;
	uint64_t tables_built;
	struct slab *memory; // of look-up tables
};

struct compile_garbage {
	struct snapshot_parts parts;
	struct blob *blobs;
};

static inline struct place place_of(const struct ip_addr *addr, uint16_t port, uint8_t protocol) {
	return (struct place){.addr = *addr,
			      .port = (uint16_t)(port << 8 | port >> 8),
			      .protocol = protocol};
}

// A ref in a slot that workers may be reading: stored whole.
static inline void store_ref(void *slot, const void *ref) {
	uint64_t __attribute__((may_alias)) *to = slot;
	uint64_t word;

	memcpy(&word, ref, sizeof(word));
	__atomic_store_n(to, word, __ATOMIC_RELAXED);
}
_Static_assert(sizeof(struct frontend_ref) == 8 && offsetof(struct frontend, ref) % 8 == 0,
	       "stored whole");
_Static_assert(sizeof(struct endpoint_ref) == 8 && offsetof(struct endpoint, ref) % 8 == 0,
	       "stored whole");

// compile.c
// Why an entry is not, or not wholly, in the tables.
__attribute__((format(printf, 3, 4))) void entry_refuse(struct compile *c, struct entry *e,
							const char *format, ...);

// fixed.c: the site
int fixed_init(struct compile *c, const struct mac_addr *macs, struct error *err);
void fixed_fini(struct compile *c);
// Count a front on an address. Errors: -ENOMEM.
int local_hold(struct compile *c, const struct ip_addr *addr);
void local_release(struct compile *c, const struct ip_addr *addr);
bool local_is_own(const struct compile *c, const struct ip_addr *addr);
struct local_ref local_ref_of(const struct compile *c, const struct local *l);
// The next hop of a backend, held; TABLES_NO_ID and *reason when there is none.
uint32_t fixed_hold_nexthop(const struct compile *c, const struct ip_addr *addr,
			    const char **reason);
// The port that leads towards an address; 0 where none does.
uint32_t fixed_port_towards(const struct compile *c, const struct ip_addr *addr);
void fixed_set_rss(struct compile *c, const struct rss *const *by_port);
bool fixed_is_default_gateway(const struct compile *c, uint32_t nexthop);

// side.c: one service of one family
// First pass: give up what s (NULL: removed from the model) no longer has. Second pass: add what is new. Errors: -ENOMEM.
void side_leave(struct compile *c, struct entry *e, uint8_t family, const struct model_service *s);
int side_join(struct compile *c, struct entry *e, uint8_t family, const struct model_service *s);
void side_change(struct compile *c, struct side *s); // mark
void side_settle(struct compile *c, struct side *s); // state and reason of each member
void side_free(struct side *s);

// member.c, front.c: their lists
int members_join(struct compile *c, struct side *s, const struct model_service *m);
void members_leave(struct compile *c, struct side *s, const struct model_service *m);
int fronts_join(struct compile *c, struct side *s, const struct model_service *m);
void fronts_leave(struct compile *c, struct side *s, const struct model_service *m);
struct frontend_ref front_ref_of(const struct front *f);
void front_write(struct compile *c, const struct front *f); // its slot, while workers may read it

// point.c: endpoints
struct point *point_join(struct compile *c, const struct place *place, struct member *m,
			 int *error);
void point_leave(struct compile *c, struct member *m);
// A member's backend keeps its flows no longer.
void point_lose(struct compile *c, struct member *m);
void points_touch(struct compile *c, const struct side *s);
void points_touch_all(struct compile *c);
void points_settle(struct compile *c); // refs of those touched
void points_commit(struct compile *c);
// Give up the ids of endpoints that have rested.
void points_forget(struct compile *c, uint64_t now);
void owners_settle(struct compile *c);

// back.c
int back_reserve(struct back *b, uint32_t n);   // room for so many. Errors: -ENOMEM
void back_set(struct back *b, struct point *p); // its ref is another one; room is there
void back_fini(struct back *b);

// blob.c
int blob_make(struct compile *c, struct side *s); // -> s->next_blob
void blob_free(struct blob *b);

// snapshot.c
// 1: made, 0: nothing changed, -ENOMEM.
int snapshot_make(struct compile *c, struct compile_garbage **garbage);
void snapshot_parts_free(struct snapshot_parts *p);

#endif
