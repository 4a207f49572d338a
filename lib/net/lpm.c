// SPDX-License-Identifier: Apache-2.0
// Prefixes to intervals (a sweep over the sorted prefixes with a stack of those still open), and
// the binary search.
#include "net/lpm.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_DEPTH 129 // prefixes that contain each other: one a length

// The control side's form of both families; IPv4 is the low 32 bits.
struct span {
	unsigned __int128 first, last;
	uint32_t value, order; // order: the rule's place, the earlier of two equal prefixes wins
};

struct interval {
	unsigned __int128 start;
	uint32_t value;
};

static unsigned __int128 addr_number(const struct ip_addr *a) {
	return a->family == 4 ? ntohl(ip_addr_v4(a)) : lpm_load6(a->b);
}

// By first address, the wider prefix first.
static int span_cmp(const void *va, const void *vb) {
	const struct span *a = va, *b = vb;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->last != b->last)
		return a->last > b->last ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static uint32_t collect(struct span *spans, const struct lpm_rule *rules, uint32_t n,
			uint8_t family) {
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct ip_range r = ip_prefix_range(&rules[i].prefix);

		if (r.first.family != family)
			continue;
		spans[count++] = (struct span){addr_number(&r.first), addr_number(&r.last),
					       rules[i].value, i};
	}
	if (count > 0)
		qsort(spans, count, sizeof(*spans), span_cmp);
	return count;
}

// Append an interval. One that starts where the last one does replaces it; one that goes on with
// its value is no news.
static uint32_t emit(struct interval *out, uint32_t n, unsigned __int128 start, uint32_t value) {
	if (out[n - 1].start == start)
		n--;
	if (n > 0 && out[n - 1].value == value)
		return n;
	out[n] = (struct interval){start, value};
	return n + 1;
}

// Sweep from address 0 to max. out has room for 2 * count + 1; returns how many were needed.
static uint32_t sweep(struct interval *out, const struct span *spans, uint32_t count,
		      unsigned __int128 max) {
	const struct span *open[MAX_DEPTH];
	uint32_t n = 1, depth = 0;

	out[0] = (struct interval){0, LPM_NONE};
	for (uint32_t i = 0; i <= count; i++) {
		while (depth > 0 && (i == count || open[depth - 1]->last < spans[i].first)) {
			unsigned __int128 last = open[--depth]->last;

			if (last != max)
				n = emit(out, n, last + 1,
					 depth > 0 ? open[depth - 1]->value : LPM_NONE);
		}
		if (i == count || (depth > 0 && open[depth - 1]->first == spans[i].first &&
				   open[depth - 1]->last == spans[i].last))
			continue;
		n = emit(out, n, spans[i].first, spans[i].value);
		open[depth++] = &spans[i];
	}
	return n;
}

static bool store4(struct lpm *l, const struct interval *in, uint32_t n) {
	l->n4 = n;
	l->start4 = calloc(n, sizeof(*l->start4));
	l->value4 = calloc(n, sizeof(*l->value4));
	if (l->start4 == NULL || l->value4 == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		l->start4[i] = (uint32_t)in[i].start;
		l->value4[i] = in[i].value;
	}
	return true;
}

static bool store6(struct lpm *l, const struct interval *in, uint32_t n) {
	l->n6 = n;
	l->start6 = calloc(n, sizeof(*l->start6));
	l->value6 = calloc(n, sizeof(*l->value6));
	if (l->start6 == NULL || l->value6 == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		l->start6[i] = in[i].start;
		l->value6[i] = in[i].value;
	}
	return true;
}

static bool fill(struct lpm *l, const struct lpm_rule *rules, uint32_t n) {
	struct span *spans = calloc((size_t)n + 1, sizeof(*spans));
	struct interval *out = calloc(2 * (size_t)n + 1, sizeof(*out));
	bool ok = spans != NULL && out != NULL;

	if (ok)
		ok = store4(l, out, sweep(out, spans, collect(spans, rules, n, 4), UINT32_MAX));
	if (ok)
		ok = store6(l, out,
			    sweep(out, spans, collect(spans, rules, n, 6), ~(unsigned __int128)0));
	free(spans);
	free(out);
	return ok;
}

struct lpm *lpm_create(const struct lpm_rule *rules, uint32_t n) {
	struct lpm *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if (!fill(l, rules, n)) {
		lpm_destroy(l);
		return NULL;
	}
	return l;
}

void lpm_destroy(struct lpm *l) {
	if (l == NULL)
		return;
	free(l->start4);
	free(l->value4);
	free(l->start6);
	free(l->value6);
	free(l);
}

// The last interval that starts at or before the key. `at += ...` compiles to a conditional move.
static uint32_t search4(const struct lpm *l, uint32_t key) {
	uint32_t at = 0;

	for (uint32_t n = l->n4, half; n > 1; n -= half) {
		half = n / 2;
		at += l->start4[at + half] <= key ? half : 0;
	}
	return at;
}

static uint32_t search6(const struct lpm *l, unsigned __int128 key) {
	uint32_t at = 0;

	for (uint32_t n = l->n6, half; n > 1; n -= half) {
		half = n / 2;
		at += l->start6[at + half] <= key ? half : 0;
	}
	return at;
}

void lpm_place4(const struct lpm *l, uint32_t key, struct lpm_near4 *out) {
	uint32_t at = search4(l, key), end = at + 1 < l->n4 ? l->start4[at + 1] : 0; // 0: 2^32

	*out = (struct lpm_near4){l->start4[at], end - l->start4[at], l->value4[at]};
}

void lpm_place6(const struct lpm *l, unsigned __int128 key, struct lpm_near6 *out) {
	uint32_t at = search6(l, key);
	unsigned __int128 end = at + 1 < l->n6 ? l->start6[at + 1] : 0;

	*out = (struct lpm_near6){l->start6[at], end - l->start6[at], l->value6[at]};
}

uint32_t lpm_find4(const struct lpm *l, uint32_t addr_be) {
	return l->value4[search4(l, ntohl(addr_be))];
}

uint32_t lpm_find6(const struct lpm *l, const uint8_t addr[16]) {
	return l->value6[search6(l, lpm_load6(addr))];
}

uint32_t lpm_find(const struct lpm *l, const struct ip_addr *a) {
	if (a->family == 4)
		return lpm_find4(l, ip_addr_v4(a));
	return a->family == 6 ? lpm_find6(l, a->b) : LPM_NONE;
}
