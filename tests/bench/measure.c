// SPDX-License-Identifier: Apache-2.0
// The generator's loops and the clock around them.
#include "measure.h"

#include <emmintrin.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <time.h>

static inline uint32_t draw(struct measure *m) { // xorshift
	uint64_t x = m->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	m->random = x;
	return (uint32_t)(x >> 16);
}

// As in a pool that has been in use: no stride for the CPU to guess.
static void shuffle(struct measure *m, unsigned n) {
	for (unsigned i = n - 1; i > 0; i--) {
		struct rte_mbuf *swap = m->mbufs[i];
		unsigned j = traffic_scale(draw(m), i + 1);

		m->mbufs[i] = m->mbufs[j];
		m->mbufs[j] = swap;
	}
}

int measure_allocate(struct measure *m, struct rte_mempool *pool, struct error *err) {
	const unsigned n = MEASURE_COLD_BURSTS * MEASURE_BURST;

	m->mbufs = calloc(n, sizeof(struct rte_mbuf *));
	if (m->mbufs == NULL || rte_pktmbuf_alloc_bulk(pool, m->mbufs, n) < 0)
		return error_set(err, -ENOMEM, "out of packets");
	m->random = 88172645463325252u;
	shuffle(m, n);
	return 0;
}

// Cycles of the TSC that this thread had a CPU for: a machine with other work to do shifts figures
// less.
static uint64_t cycles_now(void) {
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)(((double)t.tv_sec + (double)t.tv_nsec * 1e-9) * (double)rte_get_tsc_hz());
}

enum source { SOURCE_KNOWN, SOURCE_SOME_NEW, SOURCE_NEW, SOURCE_BACK };

static inline __attribute__((always_inline)) void write_known(struct measure *m,
							      struct rte_mbuf **burst,
							      uint8_t family) {
	for (unsigned i = 0; i < MEASURE_BURST; i++)
		traffic_write_in(&m->traffic, burst[i], family,
				 traffic_scale(draw(m), m->options->flows), TRAFFIC_ACK);
}

static inline __attribute__((always_inline)) void write_new(struct measure *m,
							    struct rte_mbuf **burst,
							    uint8_t family) {
	for (unsigned i = 0; i < MEASURE_BURST; i++)
		traffic_write_in(&m->traffic, burst[i], family, m->next_new + i, TRAFFIC_SYN);
	m->next_new += MEASURE_BURST;
}

static inline __attribute__((always_inline)) void write_some_new(struct measure *m,
								 struct rte_mbuf **burst,
								 uint8_t family) {
	const uint32_t limit = (uint32_t)(m->options->new_share * 4294967296.0);

	for (unsigned i = 0; i < MEASURE_BURST; i++) {
		uint32_t drawn = draw(m);

		if ((uint32_t)(drawn * 0x9e3779b1u) < limit)
			traffic_write_in(&m->traffic, burst[i], family, m->next_new++, TRAFFIC_SYN);
		else
			traffic_write_in(&m->traffic, burst[i], family,
					 traffic_scale(drawn, m->options->flows), TRAFFIC_ACK);
	}
}

static inline __attribute__((always_inline)) void write_back(struct measure *m,
							     struct rte_mbuf **burst,
							     uint8_t family) {
	for (unsigned i = 0; i < MEASURE_BURST; i++) {
		traffic_write_back(&m->traffic, burst[i], family, &m->back[m->at], TRAFFIC_ACK);
		m->at = m->at + 1 == m->options->flows ? 0 : m->at + 1;
	}
}

static inline __attribute__((always_inline)) void write_from(struct measure *m,
							     struct rte_mbuf **burst,
							     uint8_t family, enum source source) {
	if (source == SOURCE_KNOWN)
		write_known(m, burst, family);
	else if (source == SOURCE_NEW)
		write_new(m, burst, family);
	else if (source == SOURCE_SOME_NEW)
		write_some_new(m, burst, family);
	else
		write_back(m, burst, family);
}

static enum source source_of(const struct measure *m) {
	if (m->back != NULL)
		return SOURCE_BACK;
	if (m->options->new_share >= 1)
		return SOURCE_NEW;
	return m->options->new_share > 0 ? SOURCE_SOME_NEW : SOURCE_KNOWN;
}

static void write_burst(struct measure *m, struct rte_mbuf **burst) {
	enum source s = source_of(m);

	if (m->traffic.family == 4) {
		if (s == SOURCE_KNOWN)
			write_from(m, burst, 4, SOURCE_KNOWN);
		else if (s == SOURCE_BACK)
			write_from(m, burst, 4, SOURCE_BACK);
		else
			write_from(m, burst, 4, s);
	} else {
		if (s == SOURCE_KNOWN)
			write_from(m, burst, 6, SOURCE_KNOWN);
		else if (s == SOURCE_BACK)
			write_from(m, burst, 6, SOURCE_BACK);
		else
			write_from(m, burst, 6, s);
	}
}

static void receive(struct measure *m, struct rte_mbuf **burst, uint16_t port) {
	for (unsigned i = 0; i < MEASURE_BURST; i++)
		traffic_receive(&m->traffic, burst[i], port);
}

static uint16_t port_of(const struct measure *m) {
	return m->back == NULL ? TRAFFIC_WAN : TRAFFIC_LAN;
}

static uint32_t filled(const struct measure *m, uint32_t first, unsigned i) {
	return first + i < m->options->flows ? first + i : m->options->flows - 1;
}

void measure_fill(struct measure *m, uint32_t first, uint8_t flags) {
	for (unsigned i = 0; i < MEASURE_BURST; i++)
		traffic_write_in(&m->traffic, m->mbufs[i], m->traffic.family, filled(m, first, i),
				 flags);
	receive(m, m->mbufs, TRAFFIC_WAN);
	m->process(m->ctx, m->mbufs);
}

void measure_fill_back(struct measure *m, const struct traffic_back *back, uint32_t first,
		       uint8_t flags) {
	for (unsigned i = 0; i < MEASURE_BURST; i++)
		traffic_write_back(&m->traffic, m->mbufs[i], m->traffic.family,
				   &back[filled(m, first, i)], flags);
	receive(m, m->mbufs, TRAFFIC_LAN);
	m->process(m->ctx, m->mbufs);
}

static void process_burst(struct measure *m, struct rte_mbuf **burst) {
	m->process(m->ctx, burst);
	m->processed += MEASURE_BURST;
}

static void flush_data(const struct measure *m, struct rte_mbuf **mbufs, unsigned n) {
	for (unsigned i = 0; i < n; i++)
		for (unsigned at = 0; at < m->traffic.len; at += 64)
			_mm_clflush((const uint8_t *)mbufs[i]->buf_addr + RTE_PKTMBUF_HEADROOM +
				    at);
	_mm_mfence();
}

static uint64_t hot_pass(struct measure *m, uint64_t packets, bool processing) {
	uint64_t start = cycles_now();
	uint16_t port = port_of(m);

	for (uint64_t p = 0; p < packets; p += MEASURE_BURST) {
		struct rte_mbuf **burst = &m->mbufs[p % (MEASURE_HOT_BURSTS * MEASURE_BURST)];

		write_burst(m, burst);
		receive(m, burst, port);
		if (processing)
			process_burst(m, burst);
	}
	return cycles_now() - start;
}

static uint64_t cold_pass(struct measure *m, uint64_t packets, bool processing) {
	const unsigned round = MEASURE_COLD_BURSTS * MEASURE_BURST;
	uint64_t cycles = 0, start;
	uint16_t port = port_of(m);

	for (uint64_t p = 0; p < packets; p += round) {
		for (unsigned i = 0; i < round; i += MEASURE_BURST)
			write_burst(m, &m->mbufs[i]);
		flush_data(m, m->mbufs, round);
		start = cycles_now();
		for (unsigned i = 0; i < round; i += MEASURE_BURST) {
			receive(m, &m->mbufs[i], port);
			if (processing)
				process_burst(m, &m->mbufs[i]);
		}
		cycles += cycles_now() - start;
	}
	return cycles;
}

// Rounds that begin with an empty table, each of as many flows as the row says.
static uint64_t new_pass(struct measure *m, uint64_t packets, bool processing) {
	uint64_t cycles = 0;

	for (uint64_t p = 0; p < packets; p += m->options->flows) {
		m->next_new = 0;
		if (processing)
			m->empty(m->ctx);
		cycles += hot_pass(m, m->options->flows, processing);
	}
	return cycles;
}

static uint64_t one_pass(struct measure *m, uint64_t packets, bool processing) {
	if (m->empty != NULL)
		return new_pass(m, packets, processing);
	return m->options->cold ? cold_pass(m, packets, processing)
				: hot_pass(m, packets, processing);
}

static uint64_t round_up(uint64_t n, uint64_t unit) {
	return (n + unit - 1) / unit * unit;
}

void measure_run(struct measure *m, struct measured *out) {
	const struct options *o = m->options;
	uint64_t unit = m->empty != NULL ? o->flows
			: o->cold        ? MEASURE_COLD_BURSTS * MEASURE_BURST
					 : MEASURE_BURST;

	*out = (struct measured){.n = o->passes < MEASURE_MAX_PASSES ? o->passes
								     : MEASURE_MAX_PASSES};
	out->packets = round_up(o->count, unit);
	for (uint32_t i = 0; i < out->n; i++) {
		struct measure before = *m;

		out->alone[i] = one_pass(m, out->packets, false);
		m->next_new = before.next_new; // flows that nobody has seen
		m->random = before.random;
		m->at = before.at;
		out->both[i] = one_pass(m, out->packets, true);
	}
}

static void print_list(const char *name, const uint64_t *v, uint32_t n) {
	printf("\"%s\": [", name);
	for (uint32_t i = 0; i < n; i++)
		printf("%s%lu", i > 0 ? ", " : "", v[i]);
	printf("], ");
}

void measure_print(const struct measured *r) {
	print_list("alone", r->alone, r->n);
	print_list("both", r->both, r->n);
	printf("\"packets_a_pass\": %lu, \"tsc_hz\": %lu", r->packets, rte_get_tsc_hz());
}
