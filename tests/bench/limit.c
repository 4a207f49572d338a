// SPDX-License-Identifier: Apache-2.0
// The ruler: the least that a tracked balancer must do to a packet, without I/O, states, ways back,
// counters or faults.
//
//     pass 1   is it plain IP? frontend by hash (1,000 of them in 16,384 slots), the flow's bucket
//              by hash, prefetch
//     pass 2   the bucket's line: four entries of 16 bytes (IPv4) or two of 32 (IPv6); on a miss
//              the Maglev slot and the oldest entry's place; MAC addresses, destination address
//              and port, TTL, checksums by RFC 1624
//
// One bucket a flow and no displacement: entries are twice the flows (IPv6: four times), and the
// 3 % that miss all the same are counted.
#include <errno.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <stdlib.h>

#include "bed.h"
#include "bench.h"
#include "measure.h"
#include "port/eal.h"

#define FRONTEND_SLOTS 16384
#define MAGLEV_SLOTS 65537
#define AHEAD 8 // packets whose data is on its way, where it is cold
#define SEED 0x9e3779b9u

struct frontend_slot {
	uint32_t addr[4];
	uint16_t port;
	uint8_t protocol;
	bool used;
	uint32_t id;
};

struct entry4 {
	uint32_t addr;
	uint16_t port, frontend;
	uint32_t backend, stamp;
};

struct entry6 {
	uint32_t addr[4];
	uint16_t port, frontend;
	uint32_t backend, stamp, unused;
};

union bucket {
	struct entry4 v4[4];
	struct entry6 v6[2];
};
_Static_assert(sizeof(union bucket) == 64, "one line");

struct endpoint_bytes {
	uint8_t macs[12];
	uint32_t addr[4];
	uint16_t port;
} __attribute__((aligned(32)));

struct limit {
	struct frontend_slot frontends[FRONTEND_SLOTS];
	struct endpoint_bytes endpoints[TRAFFIC_ENDPOINT_ADDRESSES];
	uint16_t maglev[MAGLEV_SLOTS];
	struct memory memory;
	union bucket *buckets;
	uint32_t n_buckets;
	uint32_t now;
	uint8_t family;
	uint64_t misses, packets;
};

struct seen { // what pass 1 knows of a packet
	uint8_t *frame;
	union bucket *bucket;
	uint32_t hash;
	uint32_t frontend; // UINT32_MAX: not for us
};

static inline uint32_t word(const uint8_t *p) {
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static inline uint16_t half(const uint8_t *p) {
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static inline uint32_t address_hash(const uint8_t *addr, uint8_t family, uint32_t seed) {
	uint64_t high, low;

	if (family == 4)
		return rte_hash_crc_4byte(word(addr), seed);
	memcpy(&high, addr, 8);
	memcpy(&low, addr + 8, 8);
	return rte_hash_crc_8byte(low, rte_hash_crc_8byte(high, seed));
}

static inline bool same_address(const uint8_t *a, const void *b, uint8_t family) {
	return memcmp(a, b, family == 4 ? 4 : 16) == 0;
}

static inline uint32_t frontend_slot(const uint8_t *addr, uint8_t family, uint16_t port,
				     uint8_t protocol) {
	return address_hash(addr, family, port ^ (uint32_t)protocol << 16) & (FRONTEND_SLOTS - 1);
}

static inline uint32_t find_frontend(const struct limit *l, const uint8_t *addr, uint8_t family,
				     uint16_t port, uint8_t protocol) {
	uint32_t i = frontend_slot(addr, family, port, protocol);

	for (; l->frontends[i].used; i = (i + 1) & (FRONTEND_SLOTS - 1)) {
		const struct frontend_slot *f = &l->frontends[i];

		if (same_address(addr, f->addr, family) && f->port == port &&
		    f->protocol == protocol)
			return f->id;
	}
	return UINT32_MAX;
}

static inline void look(struct limit *l, struct seen *s, struct rte_mbuf *m, uint8_t family) {
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *) + 14, *l4 = ip + (family == 4 ? 20 : 40);
	const uint8_t *src = ip + (family == 4 ? 12 : 8), *dst = ip + (family == 4 ? 16 : 24);
	bool plain = family == 4 ? ip[0] == 0x45 && (half(ip + 6) & rte_cpu_to_be_16(0x3fff)) == 0
				 : ip[0] >> 4 == 6;

	s->frame = ip - 14;
	s->frontend = UINT32_MAX;
	if (!plain)
		return;
	s->frontend = find_frontend(l, dst, family, half(l4 + 2), ip[family == 4 ? 9 : 6]);
	s->hash = address_hash(src, family, (uint32_t)half(l4) << 16 ^ s->frontend ^ SEED);
	s->bucket = &l->buckets[(uint64_t)s->hash * l->n_buckets >> 32];
	rte_prefetch0(s->bucket);
}

static inline uint32_t choose(struct limit *l, uint32_t hash) {
	l->misses++;
	return l->maglev[(uint64_t)hash * MAGLEV_SLOTS >> 32];
}

static inline uint32_t track4(struct limit *l, const struct seen *s) {
	const uint8_t *ip = s->frame + 14;
	uint32_t addr = word(ip + 12);
	uint16_t port = half(ip + 20);
	struct entry4 *oldest = s->bucket->v4, *e = s->bucket->v4;

	for (unsigned i = 0; i < 4; i++, e++) {
		if (e->addr == addr && e->port == port && e->frontend == (uint16_t)s->frontend) {
			e->stamp = l->now;
			return e->backend;
		}
		if (e->stamp < oldest->stamp)
			oldest = e;
	}
	*oldest = (struct entry4){.addr = addr,
				  .port = port,
				  .frontend = (uint16_t)s->frontend,
				  .backend = choose(l, s->hash),
				  .stamp = l->now};
	return oldest->backend;
}

static inline uint32_t track6(struct limit *l, const struct seen *s) {
	const uint8_t *ip = s->frame + 14;
	uint16_t port = half(ip + 40);
	struct entry6 *e = s->bucket->v6, *oldest = e[1].stamp < e[0].stamp ? &e[1] : &e[0];

	for (unsigned i = 0; i < 2; i++, e++) {
		if (same_address(ip + 8, e->addr, 6) && e->port == port &&
		    e->frontend == (uint16_t)s->frontend) {
			e->stamp = l->now;
			return e->backend;
		}
	}
	*oldest = (struct entry6){.port = port,
				  .frontend = (uint16_t)s->frontend,
				  .backend = choose(l, s->hash),
				  .stamp = l->now};
	memcpy(oldest->addr, ip + 8, 16);
	return oldest->backend;
}

static inline uint16_t update(uint16_t sum, uint32_t from, uint32_t to) { // RFC 1624, eqn. 3
	uint32_t s = (uint16_t)~sum;

	s += (uint16_t) ~(from >> 16) + (uint32_t)(uint16_t)~from + (to >> 16) + (to & 0xffff);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static inline void rewrite(uint8_t *frame, const struct endpoint_bytes *b, uint8_t family) {
	uint8_t *ip = frame + 14, *l4 = ip + (family == 4 ? 20 : 40),
		*dst = ip + (family == 4 ? 16 : 24);
	uint8_t *at = l4 + (ip[family == 4 ? 9 : 6] == 6 ? 16 : 6);
	uint16_t sum = half(at), header;

	memcpy(frame, b->macs, 12);
	for (unsigned i = 0; i < (family == 4 ? 1 : 4); i++)
		sum = update(sum, word(dst + 4 * i), b->addr[i]);
	sum = update(sum, half(l4 + 2), b->port);
	memcpy(at, &sum, 2);
	if (family == 4) {
		header = update(half(ip + 10), word(dst), b->addr[0]);
		memcpy(ip + 10, &header, 2);
		ip[8]--;
	} else {
		ip[7]--;
	}
	memcpy(dst, b->addr, family == 4 ? 4 : 16);
	memcpy(l4 + 2, &b->port, 2);
}

static inline void fetch(struct rte_mbuf *const *m, unsigned i, uint8_t family) {
	const uint8_t *frame;

	if (i >= MEASURE_BURST)
		return;
	frame = rte_pktmbuf_mtod(m[i], const uint8_t *);
	rte_prefetch0(frame);
	if (family == 6)
		rte_prefetch0(frame + 64);
}

// cold: packet data is asked for ahead of its turn; hot packets are better off without.
static inline __attribute__((always_inline)) void process_family(struct limit *l,
								 struct rte_mbuf **m,
								 uint8_t family, bool cold) {
	struct seen seen[MEASURE_BURST];

	for (unsigned i = 0; cold && i < AHEAD; i++)
		fetch(m, i, family);
	for (unsigned i = 0; i < MEASURE_BURST; i++) {
		if (cold)
			fetch(m, i + AHEAD, family);
		look(l, &seen[i], m[i], family);
	}
	for (unsigned i = 0; i < MEASURE_BURST; i++) {
		uint32_t backend;

		if (seen[i].frontend == UINT32_MAX)
			continue;
		backend = family == 4 ? track4(l, &seen[i]) : track6(l, &seen[i]);
		rewrite(seen[i].frame, &l->endpoints[backend], family);
		l->packets++;
	}
}

static void process4(void *ctx, struct rte_mbuf **m) {
	process_family(ctx, m, 4, false);
}

static void process4_cold(void *ctx, struct rte_mbuf **m) {
	process_family(ctx, m, 4, true);
}

static void process6(void *ctx, struct rte_mbuf **m) {
	process_family(ctx, m, 6, false);
}

static void process6_cold(void *ctx, struct rte_mbuf **m) {
	process_family(ctx, m, 6, true);
}

static void (*const variants[2][2])(void *ctx, struct rte_mbuf **m) = {{process4, process4_cold},
								       {process6, process6_cold}};

static void empty(void *ctx) {
	struct limit *l = ctx;

	memset(l->buckets, 0, (size_t)l->n_buckets * sizeof(*l->buckets));
	l->now++;
}

// --- set-up ---

static void add_frontend(struct limit *l, uint32_t id, uint8_t protocol) {
	struct ip_addr addr = traffic_frontend(l->family, id);
	struct frontend_slot f = {.port = rte_cpu_to_be_16(TRAFFIC_PORT),
				  .protocol = protocol,
				  .used = true,
				  .id = id};
	uint32_t i = frontend_slot(addr.b, l->family, f.port, protocol);

	memcpy(f.addr, addr.b, sizeof(f.addr));
	while (l->frontends[i].used)
		i = (i + 1) & (FRONTEND_SLOTS - 1);
	l->frontends[i] = f;
}

static void add_endpoint(struct limit *l, uint32_t i) {
	struct ip_addr addr = traffic_endpoint(l->family, i);
	struct mac_addr dst = traffic_neighbor_mac(TRAFFIC_LAN, i),
			src = traffic_port_mac(TRAFFIC_LAN);
	struct endpoint_bytes *e = &l->endpoints[i];

	memcpy(e->macs, dst.b, 6);
	memcpy(e->macs + 6, src.b, 6);
	memcpy(e->addr, addr.b, 16);
	e->port = rte_cpu_to_be_16(8080);
}

static int create(struct limit *l, const struct options *o, uint32_t capacity, struct error *err) {
	uint64_t entries = (uint64_t)capacity * (o->new_share >= 1 ? 1 : 2);

	l->family = o->family;
	l->now = 1;
	l->n_buckets = (uint32_t)(o->family == 4 ? entries / 4 : entries);
	for (uint32_t i = 0; i < o->frontends; i++)
		add_frontend(l, i, o->protocol);
	for (uint32_t i = 0; i < TRAFFIC_ENDPOINT_ADDRESSES; i++)
		add_endpoint(l, i);
	for (uint32_t i = 0; i < MAGLEV_SLOTS; i++)
		l->maglev[i] = (uint16_t)(i * 2654435761u % TRAFFIC_ENDPOINT_ADDRESSES);
	if (memory_alloc(&l->memory, (size_t)l->n_buckets * sizeof(*l->buckets), MEMORY_ANY_SOCKET,
			 HUGEPAGES_AUTO, true, err) < 0)
		return -ENOMEM;
	l->buckets = l->memory.base;
	return 0;
}

// Established flows miss only where a bucket has more than it holds; new ones always.
static bool is_valid(const struct limit *l, const struct measure *m, const struct measured *r) {
	uint64_t packets = r->n * r->packets,
		 expected = (uint64_t)(m->options->new_share * (double)packets);

	return l->packets == m->processed && l->misses + packets / 100 >= expected &&
	       l->misses <= expected + packets / 10;
}

static void report(const struct limit *l, const struct measure *m, const struct measured *r,
		   bool huge) {
	printf("{");
	measure_print(r);
	printf(", \"misses\": %lu, \"huge_packets\": %s, \"huge_flows\": %s, \"valid\": %s}\n",
	       l->misses, bench_bool(huge), bench_bool(l->memory.page > 4096),
	       bench_bool(is_valid(l, m, r)));
}

static void run(struct limit *l, struct measure *m, bool huge) {
	const struct options *o = m->options;
	struct measured r;

	traffic_init(&m->traffic, o->family, o->protocol, o->frontends, false);
	if (o->new_share >= 1)
		m->empty = empty;
	else
		for (uint32_t f = 0; f < o->flows; f += MEASURE_BURST)
			measure_fill(m, f, TRAFFIC_ACK);
	m->next_new = o->flows;
	l->misses = l->packets = 0;
	measure_run(m, &r);
	report(l, m, &r, huge);
}

int limit_run(const struct options *o, struct error *err) {
	static struct limit l;
	struct measure m = {.options = o, .ctx = &l, .process = variants[o->family == 6][o->cold]};
	struct rte_mempool *pool;
	bool huge;
	int ret = bench_eal(o->cpu, &huge, err);

	if (ret < 0)
		return ret;
	ret = create(&l, o, bench_capacity(o), err);
	if (ret < 0)
		goto eal;
	pool = rte_pktmbuf_pool_create("bench", BENCH_MBUFS, 0, 0,
				       RTE_PKTMBUF_HEADROOM + BENCH_DATA, SOCKET_ID_ANY);
	ret = pool == NULL ? error_set(err, -ENOMEM, "out of memory for packets")
			   : measure_allocate(&m, pool, err);
	if (ret == 0)
		run(&l, &m, huge);
	free(m.mbufs);
	memory_free(&l.memory);
eal:
	eal_fini();
	return ret;
}
