// SPDX-License-Identifier: Apache-2.0
// The tables of an RSS model, out of the key and the redirection table.
#include "net/rss.h"

#include <errno.h>

static uint16_t part(const struct rss *r, size_t at, const void *data, size_t len) {
	const uint8_t *bytes = data;
	uint16_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum ^= r->byte[at + i][bytes[i]];
	return sum;
}

static size_t size_of(unsigned i) { // bytes of an address
	return i == 0 ? 4 : 16;
}

static void fill_bytes(struct rss *r) {
	for (size_t at = 0; at < RSS_INPUT; at++) {
		for (unsigned b = 0; b < 256; b++) {
			uint8_t byte = (uint8_t)b;

			r->byte[at][b] = (uint16_t)(toeplitz_part(r->key, at, &byte, 1) &
						    (r->size - 1u));
		}
	}
}

// Ports that span the classes, by the highest bit of their part, and a basis of the kernel.
struct basis {
	uint16_t part[RSS_CLASS_BITS], port[RSS_CLASS_BITS]; // part 0: none
	uint16_t kernel[16];
	unsigned n_kernel;
};

// Make the part 0 by the ports there are; what is left of it, and *port changed alike.
static uint16_t reduce(const struct basis *b, uint16_t part, uint16_t *port) {
	for (unsigned bit = RSS_CLASS_BITS; bit-- > 0;) {
		if (!(part >> bit & 1) || b->part[bit] == 0)
			continue;
		part ^= b->part[bit];
		*port ^= b->port[bit];
	}
	return part;
}

static void find_basis(const struct rss *r, uint8_t family, struct basis *b) {
	*b = (struct basis){.n_kernel = 0};
	for (unsigned i = 0; i < 16; i++) {
		uint16_t port = (uint16_t)(1u << i);
		uint16_t left = reduce(b, rss_port_part(r, family, port), &port);

		if (left == 0) {
			b->kernel[b->n_kernel++] = port;
		} else {
			unsigned bit = 31 - (unsigned)__builtin_clz(left);

			b->part[bit] = left;
			b->port[bit] = port;
		}
	}
}

// n bits choose among n basis vectors.
static uint16_t combine(const uint16_t *vectors, unsigned n, unsigned bits) {
	uint16_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum ^= bits >> i & 1 ? vectors[i] : 0;
	return sum;
}

static bool fill_classes(struct rss *r, unsigned i) {
	struct rss_family *f = &r->of[i];
	struct basis b;
	unsigned low, high;

	find_basis(r, i == 0 ? 4 : 6, &b);
	if (b.n_kernel != r->kernel_bits)
		return false;
	low = b.n_kernel < 8 ? b.n_kernel : 8;
	high = b.n_kernel - low;
	for (unsigned k = 0; k < 256; k++) {
		f->kernel_low[k] = combine(b.kernel, low, k);
		f->kernel_high[k] = combine(b.kernel + low, high, k);
	}
	for (uint16_t class = 0; class < r->size; class ++) {
		f->first[class] = 0;
		reduce(&b, class, &f->first[class]);
	}
	return true;
}

static void fill_workers(struct rss *r, const uint8_t *worker) {
	uint16_t n = 0;

	for (uint16_t w = 0; w < r->workers; w++) {
		r->begin[w] = n;
		for (uint16_t e = 0; e < r->size; e++)
			if (worker[e] == w)
				r->entries[n++] = e;
	}
	r->begin[r->workers] = n;
	memcpy(r->worker, worker, r->size);
}

// Each worker at least half of an even share: it has as many SNAT ports as it has entries.
static bool is_even(const struct rss *r) {
	for (uint16_t w = 0; w < r->workers; w++)
		if ((uint32_t)(r->begin[w + 1] - r->begin[w]) * r->workers * 2 < r->size)
			return false;
	return r->begin[r->workers] == r->size;
}

static const char *judge(const struct rss_settings *s) {
	bool empty = true;

	if (s->workers < 2 || s->workers > RSS_MAX_WORKERS)
		return "one worker";
	if (s->size < 2 || s->size > RSS_MAX_RETA || (s->size & (s->size - 1)) != 0)
		return "a redirection table of unusual size";
	if (s->key_len < TOEPLITZ_KEY)
		return "no hash key of 40 bytes or more";
	for (size_t i = 0; i < TOEPLITZ_KEY; i++)
		empty &= s->key[i] == 0;
	return empty ? "an empty hash key" : NULL;
}

int rss_init(struct rss *r, const struct rss_settings *s, const char **why) {
	const char *fault = judge(s);

	if (fault == NULL) {
		*r = (struct rss){.size = (uint16_t)s->size, .workers = s->workers};
		r->kernel_bits = (uint8_t)(16 - __builtin_ctz(s->size));
		memcpy(r->key, s->key, sizeof(r->key));
		fill_bytes(r);
		fill_workers(r, s->worker);
		if (!is_even(r))
			fault = "a redirection table that neglects some worker";
	}
	for (unsigned i = 0; i < 2 && fault == NULL; i++) {
		if (s->n_snat[i] == 0)
			continue;
		r->has_family[i] = true;
		if (!fill_classes(r, i))
			fault = "a hash key that does not spread ports";
		for (uint32_t j = 0; j < s->n_snat[i] && j < RSS_MAX_SNAT; j++)
			r->of[i].snat[j] = part(r, size_of(i), s->snat[i][j].b, size_of(i));
	}
	if (fault == NULL)
		return 0;
	*why = fault;
	return -EINVAL;
}

bool rss_is_same(const struct rss *a, const struct rss *b) {
	return a->size == b->size && memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       memcmp(a->worker, b->worker, a->size) == 0;
}

uint16_t rss_endpoint_part(const struct rss *r, const struct ip_addr *addr, uint16_t port) {
	size_t size = size_of(addr->family != 4);

	return part(r, 0, addr->b, size) ^ part(r, 2 * size, &port, sizeof(port));
}

uint16_t rss_worker_of(const struct rss *r, uint8_t family, const void *src, const void *dst,
		       uint16_t src_port, uint16_t dst_port) {
	size_t size = size_of(family != 4);

	return r->worker[part(r, 0, src, size) ^ part(r, size, dst, size) ^
			 part(r, 2 * size, &src_port, 2) ^ part(r, 2 * size + 2, &dst_port, 2)];
}
