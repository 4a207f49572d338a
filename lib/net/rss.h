// SPDX-License-Identifier: Apache-2.0
// A model of one device's RSS: which worker a TCP or UDP packet that arrives there will meet, and which SNAT ports lead an
// answer to a given worker.
//
//     class  = Toeplitz hash & (RETA entries - 1)           the number of the redirection table's entry
//     worker = worker[class]                                who polls the queue that this entry names
//
// Toeplitz is linear, so an answer's class is the XOR of three parts: of the backend (address and port), of the SNAT address, and of the
// SNAT port. The first is computed once for an endpoint, the second once for an address, the third comes out of two tables of
// 256 words. The other way round: the ports of class 0 are a linear space, the *kernel*, with a basis of 16 - log2(entries) ports, and
// the ports of class c are any one of them XOR the kernel. So the n-th port of a class is three look-ups in 2 KB, every class has
// equally many, and no list of 65,536 ports is needed. The pair (backend, SNAT address) shifts all classes by its own part:
//
//     port(pair, entry e, r) = first[e ^ pair] ^ kernel(r)         an answer to it arrives through RETA entry e
//
// A key for which some class has no port at all is refused.
//
// Units:  addresses and ports of packets in network order, SNAT ports in host order; "part": 16 bits, below the number of entries
// Thread: immutable after rss_init(); pure
#ifndef SLUICE_NET_RSS_H
#define SLUICE_NET_RSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/toeplitz.h"

#define RSS_MAX_RETA 512 // entries; classes fit 9 bits
#define RSS_CLASS_BITS 9
#define RSS_MAX_WORKERS 64
#define RSS_MAX_SNAT 64

#define RSS_INPUT 36 // bytes of the hash's input, IPv6

struct rss_family {
	uint16_t kernel_high[256], kernel_low[256];
	uint16_t first[RSS_MAX_RETA]; // the port with which kernel(r) is combined, by class
	uint16_t snat[RSS_MAX_SNAT];  // parts of the SNAT addresses
};

struct rss {
	uint8_t key[TOEPLITZ_KEY];
	uint16_t size, workers; // entries of the RETA, a power of two
	uint8_t kernel_bits;    // 16 - log2(size)
	bool has_family[2];
	uint8_t worker[RSS_MAX_RETA];
	uint16_t entries[RSS_MAX_RETA];      // all, sorted by worker
	uint16_t begin[RSS_MAX_WORKERS + 1]; // of a worker's in entries[]
	struct rss_family of[2];             // IPv4, IPv6
	uint16_t byte[RSS_INPUT][256];       // part of a byte at that place of the input
};

struct rss_settings {
	const uint8_t *key;
	size_t key_len;
	const uint8_t *worker; // of each RETA entry
	uint32_t size;
	uint16_t workers;
	const struct ip_addr *snat[2]; // IPv4, IPv6
	uint32_t n_snat[2];            // a family without SNAT addresses is not prepared
};

// Errors: -EINVAL, *why then says what of the device does not serve; *r is of no use then.
int rss_init(struct rss *r, const struct rss_settings *s, const char **why);

// Both send every packet to the same worker.
bool rss_is_same(const struct rss *a, const struct rss *b);

// The part of answers from this endpoint; port in network order.
uint16_t rss_endpoint_part(const struct rss *r, const struct ip_addr *addr, uint16_t port);

// The worker of any packet. Ports in network order.
uint16_t rss_worker_of(const struct rss *r, uint8_t family, const void *src, const void *dst,
		       uint16_t src_port, uint16_t dst_port);

static inline uint16_t rss_port_part(const struct rss *r, uint8_t family, uint16_t snat_port) {
	size_t at = family == 4 ? 10 : 34;

	return r->byte[at][snat_port >> 8] ^ r->byte[at + 1][snat_port & 255];
}

// The worker that an answer from the endpoint to (SNAT address, port) will meet.
static inline uint16_t rss_worker_back(const struct rss *r, uint8_t family, uint16_t endpoint_part,
				       uint8_t snat_index, uint16_t snat_port) {
	uint16_t class = endpoint_part ^ r->of[family != 4].snat[snat_index] ^
			 rss_port_part(r, family, snat_port);

	return r->worker[class];
}

// A worker's ports towards a pair, one for each step; some are below 1024.
static inline uint32_t rss_steps(const struct rss *r, uint16_t worker) {
	return (uint32_t)(r->begin[worker + 1] - r->begin[worker]) << r->kernel_bits;
}

static inline uint16_t rss_port_at(const struct rss *r, uint8_t family, uint16_t worker,
				   uint16_t pair_part, uint32_t step) {
	const struct rss_family *f = &r->of[family != 4];
	uint16_t entry = r->entries[r->begin[worker] + (step >> r->kernel_bits)];
	uint32_t k = step & ((1u << r->kernel_bits) - 1);

	return f->first[entry ^ pair_part] ^ f->kernel_high[k >> 8] ^ f->kernel_low[k & 255];
}

#endif
