// SPDX-License-Identifier: Apache-2.0
// SNAT ports of fullnat: proposed in turn, taken where no entry has them, left to rest when freed.
//
// The table of the way back is the list of used ports (docs/decisions/0002-snat-ports.md). Candidates of an endpoint come from its cursor:
//
//     address 0 port p, address 1 port p, ... address 0 port p + workers, ...    the worker's own ports on every address
//
// so neighbours in time differ in address, and a port comes again only after all others. Where the first few are in use the walk
// leaps by about 0.618 of the ports at each step, so that it leaves a run of long-lived ports behind at once. A port is judged by reading its one
// bucket: that tells whether it is in use, whether it rests, and where its entry would be.
#include <errno.h>

#include "flow/flow_private.h"

// Candidates looked at. With 1 port of 100 free, one search of 17,000 misses all of them; with 1 of 4 free, none ever will.
#define PROBES 1024
#define PROBES_RESTED                                                                              \
	64 // so many look for a port that has rested before one that rests still is good enough
#define PROBES_NEAR 8 // so many in sequence, then leaps
#define GROUP 8       // buckets on their way at a time

enum judgement { TAKEN, RESTS, GOOD };

struct candidate {
	struct snat_cursor at;
	uint64_t hash;
	uint16_t port;
};

static struct snat_cursor *cursor_of(const struct flow_table *t, uint32_t endpoint) {
	return (struct snat_cursor *)flow_at(t, t->cursors_at) + endpoint;
}

static uint32_t gcd(uint32_t a, uint32_t b) {
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

// Endpoints begin at different ports, others at each start: a backend then rarely sees one that it has in TIME_WAIT.
void snat_init(struct flow_table *t) {
	for (t->port_stride = (uint32_t)((uint64_t)t->n_ports * 618 / 1000) | 1;
	     gcd(t->port_stride, t->n_ports) != 1;)
		t->port_stride += 2;
	for (uint32_t i = 0; i < t->max_endpoints; i++) {
		uint32_t random = (uint32_t)flow_mix(t->key[0] ^ i, t->key[1]);

		cursor_of(t, i)->step = flow_scale(random, t->n_ports) & 0xffff;
	}
}

// The port that a cursor stands at. This and the two that follow are all that decides which ports are a worker's own.
static uint16_t port_at(const struct flow_table *t, struct snat_cursor at) {
	return (uint16_t)(t->first_port + (uint32_t)at.step * t->workers);
}

static struct snat_cursor step_by(const struct flow_table *t, struct snat_cursor at, uint32_t n) {
	uint32_t step = at.step + n;

	at.step = (step >= t->n_ports ? step - t->n_ports : step) & 0xffff;
	return at;
}

static struct snat_cursor step_next(const struct flow_table *t, uint8_t family,
				    struct snat_cursor at, bool leap) {
	uint32_t index = at.index + 1;
	bool round = index >= t->n_snat[family != 4];

	at.index = round ? 0 : index & 63;
	if (leap)
		return step_by(t, at, t->port_stride);
	return round ? step_by(t, at, 1) : at;
}

static bool has_rested(const struct snat *s, uint32_t freed, uint32_t now) {
	return s->state == SNAT_RESTING && now - freed >= FLOW_PORT_REST * FLOW_TICKS;
}

// Better to be overwritten: a free entry, else the one that has rested longest; never a used one.
static struct snat *better_slot(struct snat *best, struct snat *s, uint32_t now) {
	if (s->state == SNAT_USED || (best != NULL && best->state == SNAT_FREE))
		return best;
	if (best == NULL || s->state == SNAT_FREE)
		return s;
	return now - s->word > now - best->word ? s : best;
}

static enum judgement judge(const struct flow_table *t, uint8_t family, uint32_t endpoint,
			    const struct candidate *c, uint32_t now, struct snat **slot) {
	uint32_t bucket = snat_bucket(t, family, c->hash);
	struct snat *best = NULL;

	for (unsigned i = 0; i < flow_ways_of(family); i++) {
		struct snat *s = snat_slot(t, family, bucket, i);

		best = better_slot(best, s, now);
		if (s->state == SNAT_FREE || s->endpoint != endpoint || s->port != c->port ||
		    s->index != c->at.index)
			continue;
		*slot = s;
		if (s->state == SNAT_USED)
			return TAKEN;
		return has_rested(s, s->word, now) ? GOOD : RESTS;
	}
	*slot = best;
	return best != NULL ? GOOD : TAKEN;
}

// Name the next n candidates from *at on and fetch their buckets.
static void name_group(const struct flow_table *t, uint8_t family, uint32_t endpoint,
		       struct snat_cursor *at, struct candidate *c, unsigned n, bool leap) {
	for (unsigned i = 0; i < n; i++) {
		c[i].at = *at;
		c[i].port = port_at(t, *at);
		c[i].hash = flow_snat_hash(t, family, endpoint, at->index, c[i].port);
		flow_snat_prefetch(t, family, c[i].hash);
		*at = step_next(t, family, *at, leap);
	}
}

int snat_propose(struct flow_table *t, uint8_t family, uint32_t endpoint, uint32_t now,
		 struct flow_port *out) {
	struct snat_cursor *cursor = cursor_of(t, endpoint), at = *cursor;
	uint32_t total = t->n_ports * t->n_snat[family != 4];
	uint32_t bound = total < PROBES ? total : PROBES;
	struct flow_port resting = {.slot = NULL};
	struct candidate c[GROUP];

	if (cursor->used >= total)
		return -EADDRNOTAVAIL;
	// The first alone: it is nearly always good, and a group would fetch seven buckets for nothing.
	for (uint32_t n = 0, group = 1; n < bound; n += group, group = GROUP) {
		if (group > bound - n)
			group = bound - n;
		name_group(t, family, endpoint, &at, c, group, n >= PROBES_NEAR && total > PROBES);
		for (uint32_t i = 0; i < group; i++) {
			struct flow_port p = {.port = c[i].port, .index = c[i].at.index};
			enum judgement is = judge(t, family, endpoint, &c[i], now, &p.slot);

			if (is == GOOD) {
				*out = p;
				at = step_next(t, family, c[i].at, false);
				goto found;
			}
			if (is == RESTS &&
			    (resting.slot == NULL || now - p.slot->word > now - resting.slot->word))
				resting = p;
		}
		if (n >= PROBES_RESTED && resting.slot != NULL)
			break;
	}
	cursor->index = at.index, cursor->step = at.step;
	if (resting.slot == NULL)
		return -EADDRNOTAVAIL;
	*out = resting;
	return 0;
found:
	cursor->index = at.index, cursor->step = at.step;
	return 0;
}

void snat_take(struct flow_table *t, const struct flow_port *p, const struct flow_key *k,
	       uint32_t endpoint) {
	*p->slot = (struct snat){
		.endpoint = endpoint,
		.index = p->index,
		.port = p->port,
		.state = SNAT_USED,
		.client_port = k->port,
		.word = k->family == 4 ? k->addr[0] : 0,
		.frontend = k->id,
	};
	if (k->family != 4)
		memcpy(snat_addr6(p->slot), k->addr, sizeof(k->addr));
	cursor_of(t, endpoint)->used++;
}

void snat_release(struct flow_table *t, uint8_t family, const struct flow_record *r, uint32_t now) {
	uint16_t port = (uint16_t)r->snat_port;
	uint64_t hash = flow_snat_hash(t, family, r->endpoint, r->snat_index, port);
	uint32_t bucket = snat_bucket(t, family, hash);

	for (unsigned i = 0; i < flow_ways_of(family); i++) {
		struct snat *s = snat_slot(t, family, bucket, i);

		if (s->state != SNAT_USED || s->endpoint != r->endpoint || s->port != port ||
		    s->index != r->snat_index)
			continue;
		s->state = SNAT_RESTING;
		s->word = now;
		cursor_of(t, r->endpoint)->used--;
		return;
	}
}

void snat_sweep(struct flow_table *t, uint8_t family, uint32_t now, uint32_t n) {
	uint32_t *hand = &t->snat_hand[family != 4], buckets = t->snat_buckets[family != 4];

	for (n = n < buckets ? n : buckets; n > 0; n--) {
		for (unsigned i = 0; i < flow_ways_of(family); i++) {
			struct snat *s = snat_slot(t, family, *hand, i);

			if (!has_rested(s, s->word, now))
				continue;
			*s = (struct snat){.state = SNAT_FREE};
			if (family != 4)
				memset(snat_addr6(s), 0, 16);
		}
		*hand = *hand + 1 < buckets ? *hand + 1 : 0;
	}
}
