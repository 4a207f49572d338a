// SPDX-License-Identifier: Apache-2.0
// What the flow table does for every packet, inline: with a constant family the other family's half disappears.
//
// flow.h includes it and says what the functions promise. Two cache lines at most: bucket A, and bucket B only where A's chain
// says that something of A's is in its B.
#ifndef SLUICE_FLOW_FLOW_INLINE_H
#define SLUICE_FLOW_FLOW_INLINE_H

#include "flow/flow_table.h"

// Always inlined: gcc 12 takes a function that only prefetches for one without effects, and drops calls of it.
static inline __attribute__((always_inline)) void flow_prefetch_record(const struct flow_table *t,
								       uint8_t family,
								       uint64_t hash) {
	uint64_t n = (uint64_t)flow_bucket_a(t, family, hash) * flow_ways_of(family);

	__builtin_prefetch((struct flow_record *)flow_at(t, t->records_at[family != 4]) + n, 1);
}

static inline __attribute__((always_inline)) void flow_prefetch(const struct flow_table *t,
								uint8_t family, uint64_t hash,
								bool port) {
	__builtin_prefetch(flow_slot(t, family, flow_bucket_a(t, family, hash), 0), 1);
	if (port && family == 4)
		flow_prefetch_record(t, family, hash);
}

static inline struct flow_record *flow_record(const struct flow_table *t, uint8_t family,
					      const struct flow *f) {
	return (struct flow_record *)flow_at(t, t->records_at[family != 4]) +
	       flow_index(t, family, f);
}

// The SNAT port and address of a flow in fullnat.
static inline struct flow_port_at flow_port_of(const struct flow_table *t, uint8_t family,
					       const struct flow *f) {
	const struct flow_record *r;

	if (family != 4)
		return (struct flow_port_at){(uint16_t)f->word, (uint8_t)(f->word >> 16)};
	r = flow_record(t, family, f);
	return (struct flow_port_at){(uint16_t)r->snat_port, (uint8_t)r->snat_index};
}

// What an entry of this key has, and in which bits: struct flow's first bits lie lowest (a test holds the compiler to it). Built by shifts,
// as a struct built in memory and read back as words stalls.
static inline struct flow_words flow_want(uint8_t family, const struct flow_key *k) {
	uint64_t word = family == 4 ? k->addr[0] : 0;

	return (struct flow_words){.a = word << 32 | (uint64_t)k->kind << FLOW_ID_BITS | k->id,
				   .b = k->port};
}

static inline struct flow_words flow_want_mask(uint8_t family) {
	uint64_t word = family == 4 ? UINT64_C(0xffffffff) << 32 : 0;

	return (struct flow_words){word | ((UINT64_C(2) << FLOW_ID_BITS) - 1), 0xffff};
}

static inline uint64_t flow_hash_of(const struct flow_table *t, uint8_t family, const void *addr,
				    struct flow_words want) {
	struct flow_words w;

	if (family == 4)
		return flow_mix(want.a ^ t->key[0], want.b ^ t->key[1]);
	w = flow_load(addr);
	return flow_mix(flow_mix(w.a ^ t->key[0], w.b ^ t->key[1]) ^ t->key[2],
			(want.a << 16 | want.b) ^ t->key[3]);
}

static inline uint64_t flow_hash_in(const struct flow_table *t, uint8_t family,
				    const struct flow_key *k) {
	return flow_hash_of(t, family, k->addr, flow_want(family, k));
}

static inline uint64_t flow_hash(const struct flow_table *t, const struct flow_key *k) {
	return k->family == 4 ? flow_hash_in(t, 4, k) : flow_hash_in(t, 6, k);
}

// The first slot of a hash's bucket A: with it, and the hash, the search goes on later.
static inline struct flow *flow_home(const struct flow_table *t, uint8_t family, uint64_t hash) {
	return flow_slot(t, family, flow_bucket_a(t, family, hash), 0);
}

// A free slot is all zero but for its chain, and so is no flow's key: no client has port 0.
static inline struct flow *flow_match(uint8_t family, struct flow *bucket, const void *addr,
				      struct flow_words want) {
	char *line = (char *)bucket - (family == 4 ? 0 : sizeof(struct flow6) - sizeof(*bucket));
	int at = flow_line_find(line, family, addr, want, flow_want_mask(family));
	struct flow *f;

	if (at < 0)
		return NULL;
	f = (struct flow *)(line + at);
	return f->state == FLOW_FREE ? NULL : f;
}

// The entry, expired or not; home is flow_home(t, family, hash). addr: IPv6's only.
static inline struct flow *flow_seek(const struct flow_table *t, uint8_t family, const void *addr,
				     struct flow_words want, uint64_t hash, struct flow *home) {
	struct flow *f = flow_match(family, home, addr, want);

	if (f == NULL && flow_chain_in(family, home) != 0)
		f = flow_match(family, flow_slot(t, family, flow_bucket_b(t, family, hash), 0),
			       addr, want);
	return f;
}

static inline uint32_t flow_idle(const struct flow *f, uint32_t now) { // ticks
	return (now - (uint32_t)f->last) & FLOW_TIME_MASK;
}

static inline bool flow_is_overdue(const struct flow_table *t, const struct flow *f, uint32_t now) {
	return flow_idle(f, now) > t->timeout[f->state];
}

static inline bool flow_is_expired(const struct flow_table *t, const struct flow *f, uint32_t now) {
	return f->kind == FLOW_FORWARD && flow_is_overdue(t, f, now);
}

// For an entry that seems to have expired: true, and it is gone and counted; or false, as its snat entry has heard answers since: they count from now on.
bool flow_expire(struct flow_table *t, uint8_t family, struct flow *f, uint32_t now);

static inline struct flow *flow_find_in(struct flow_table *t, uint8_t family,
					const struct flow_key *k, uint64_t hash, uint32_t now) {
	struct flow *f = flow_seek(t, family, k->addr, flow_want(family, k), hash,
				   flow_home(t, family, hash));

	if (f == NULL)
		return NULL;
	if (__builtin_expect(flow_is_expired(t, f, now), 0) && flow_expire(t, family, f, now))
		return NULL;
	return f;
}

static inline struct flow *flow_find(struct flow_table *t, const struct flow_key *k, uint64_t hash,
				     uint32_t now) {
	return k->family == 4 ? flow_find_in(t, 4, k, hash, now) : flow_find_in(t, 6, k, hash, now);
}

// Move the state on; called only where a packet can change it.
void flow_advance(struct flow_table *t, uint8_t family, struct flow *f, enum flow_ways ways,
		  bool from_backend, uint8_t tcp_flags);

// The word that holds `last` is stored whole: the next packet of the flow reads it whole, and would wait for a store of a part.
static inline void flow_note(struct flow *f, uint32_t now) {
	const unsigned at = 64 - FLOW_TIME_BITS;
	struct flow_words w = flow_load(f);

	w.b = (w.b & ((UINT64_C(1) << at) - 1)) | (uint64_t)now << at;
	memcpy((char *)f + offsetof(struct flow_words, b), &w.b, sizeof(w.b));
}

static inline bool flow_is_settled(const struct flow *f, bool from_backend, uint8_t tcp_flags) {
	const uint8_t moving = FLOW_TCP_FLAG_SYN | FLOW_TCP_FLAG_FIN | FLOW_TCP_FLAG_RST;

	if (f->state == FLOW_TCP_ESTABLISHED)
		return (tcp_flags & moving) == 0;
	return f->state == FLOW_UDP_STREAM || (f->state == FLOW_UDP && !from_backend);
}

static inline void flow_touch(struct flow_table *t, uint8_t family, struct flow *f,
			      enum flow_ways ways, bool from_backend, uint8_t tcp_flags,
			      uint32_t now) {
	flow_note(f, now);
	if (!flow_is_settled(f, from_backend, tcp_flags))
		flow_advance(t, family, f, ways, from_backend, tcp_flags);
}

static inline bool flow_is_reusable(const struct flow *f) {
	return f->state == FLOW_TCP_TIME_WAIT || f->state == FLOW_TCP_CLOSE ||
	       (f->state == FLOW_TCP_FIN_WAIT && f->fin_client);
}

static inline uint32_t flow_moves(const struct flow_table *t) {
	return t->moves;
}

// As an entry's first word has it.
static inline uint64_t flow_snat_key(uint32_t endpoint, uint8_t snat_index, uint16_t snat_port) {
	return (uint64_t)snat_port << (FLOW_ID_BITS + FLOW_SNAT_BITS) |
	       (uint64_t)snat_index << FLOW_ID_BITS | endpoint;
}

static inline uint64_t flow_snat_hash(const struct flow_table *t, uint8_t family, uint64_t key) {
	return flow_mix(key ^ t->key[2], t->key[3] ^ family);
}

// The first slot of its bucket, as flow_home().
static inline struct snat *flow_snat_home(const struct flow_table *t, uint8_t family,
					  uint64_t hash) {
	return snat_slot(t, family, snat_bucket_a(t, family, hash), 0);
}

static inline __attribute__((always_inline)) void flow_snat_prefetch(const struct flow_table *t,
								     uint8_t family,
								     uint64_t hash) {
	__builtin_prefetch(flow_snat_home(t, family, hash));
}

static inline bool snat_is_used(const struct snat *s) {
	return s->state == SNAT_TCP || s->state == SNAT_UDP;
}

// The entry of a key in a bucket, in whichever state; NULL: none. Free slots have port 0.
static inline struct snat *snat_match(uint8_t family, struct snat *bucket, uint64_t key) {
	const struct flow_words mask = {(UINT64_C(1) << (FLOW_ID_BITS + FLOW_SNAT_BITS + 16)) - 1,
					0};
	const struct flow_words want = {key, 0};
	char *line = (char *)bucket - (family == 4 ? 0 : sizeof(struct snat6) - sizeof(*bucket));
	int at = family == 4 ? flow_line_find4(line, want, mask)
			     : flow_line_ends6(line, want, mask);

	return at < 0 ? NULL : (struct snat *)(line + at);
}

static inline struct snat *snat_seek(const struct flow_table *t, uint8_t family, uint64_t hash,
				     uint64_t key, struct snat *home) {
	struct snat *s = snat_match(family, home, key);

	if (s == NULL && snat_chain_in(family, home) != 0)
		s = snat_match(family, snat_slot(t, family, snat_bucket_b(t, family, hash), 0),
			       key);
	return s;
}

static inline struct snat *snat_find(const struct flow_table *t, uint8_t family, uint64_t hash,
				     uint64_t key) {
	return snat_seek(t, family, hash, key, flow_snat_home(t, family, hash));
}

static inline struct snat *flow_snat_seek(const struct flow_table *t, uint8_t family, uint64_t hash,
					  uint64_t key, struct snat *home) {
	struct snat *s = snat_seek(t, family, hash, key, home);

	return s != NULL && snat_is_used(s) ? s : NULL;
}

static inline struct snat *flow_snat_find(const struct flow_table *t, uint8_t family, uint64_t hash,
					  uint64_t key) {
	return flow_snat_seek(t, family, hash, key, flow_snat_home(t, family, hash));
}

// As flow_want(); addr gets IPv6's client.
static inline struct flow_words flow_snat_want(uint8_t family, const struct snat *s,
					       uint32_t addr[4]) {
	struct flow_words w = flow_load(s);
	uint64_t word = family == 4 ? w.b << 32 : 0;

	if (family != 4)
		memcpy(addr, snat_addr6(s), 16);
	return (struct flow_words){.a = word | (w.b >> 32 & ((1u << FLOW_ID_BITS) - 1)),
				   .b = s->client_port};
}

static inline struct flow_key flow_snat_origin(uint8_t family, const struct snat *s) {
	struct flow_key k = {.id = s->frontend,
			     .port = (uint16_t)s->client_port,
			     .family = family,
			     .kind = FLOW_FORWARD};

	if (family == 4)
		k.addr[0] = s->word;
	else
		memcpy(k.addr, snat_addr6(s), sizeof(k.addr));
	return k;
}

static inline bool flow_is_vouchable(const struct flow *f) {
	return f->state == FLOW_TCP_ESTABLISHED || f->state == FLOW_UDP_STREAM;
}

// The place in flow_table.heard.
static inline unsigned snat_heard_of(const struct snat *s) {
	return s->state >> 1; // of SNAT_TCP and SNAT_UDP
}

static inline uint32_t snat_unit(const struct flow_table *t, const struct snat *s, uint32_t now) {
	return now >> t->heard[snat_heard_of(s)].shift & (SNAT_UNITS - 1);
}

static inline uint32_t snat_unheard(const struct flow_table *t, const struct snat *s,
				    uint32_t now) { // units since an answer
	return (snat_unit(t, s, now) - s->heard) & (SNAT_UNITS - 1);
}

static inline bool flow_snat_vouches(const struct flow_table *t, const struct snat *s, uint8_t gen,
				     uint32_t now) {
	return s->gen == gen && snat_unheard(t, s, now) < t->heard[snat_heard_of(s)].span;
}

static inline void flow_snat_note(const struct flow_table *t, struct snat *s, uint32_t now) {
	uint32_t unit = snat_unit(t, s, now);

	if (s->heard != unit) // else the line stays clean
		s->heard = unit & (SNAT_UNITS - 1);
}

static inline void flow_snat_vouch(const struct flow_table *t, struct snat *s, const struct flow *f,
				   uint8_t gen, uint32_t now) {
	if (!flow_is_vouchable(f))
		return;
	s->gen = gen & 7;
	s->heard = snat_unit(t, s, now) & (SNAT_UNITS - 1);
}

#endif
