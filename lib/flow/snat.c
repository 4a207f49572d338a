// SPDX-License-Identifier: Apache-2.0
// SNAT ports of fullnat: proposed in turn, taken where no entry has them, left to rest when freed.
//
// The table of the way back is the list of used ports (docs/decisions/0002-snat-ports.md). Candidates of an endpoint come from its cursor:
//
//     address 0 step s, address 1 step s, ... address 0 step s + 1, ...    the worker's own ports on every address
//
// where step s is port first + s * workers in a slice, and the s-th port whose answers RSS leads to the worker where that is known (ports.h);
// so neighbours in time differ in address, and a port comes again only after all others. Where the first few are in use the walk
// leaps by about 0.618 of the ports at each step, so that it leaves a run of long-lived ports behind at once. A port is judged by reading its
// bucket: that tells whether it is in use, whether it rests, and where its entry would be. As with flows, an entry whose bucket
// is full goes to a second one and the first counts it; but as another port does as well, that is done only after a few tries.
#include <assert.h>
#include <errno.h>

#include "flow/flow_create.h"
#include "flow/snat_space.h"

// Candidates looked at. With 1 port of 100 free, one search of 29,000 misses all of them; with 1 of 4 free, none ever will.
#define PROBES 1024
#define PROBES_RESTED                                                                              \
	64 // so many look for a port that has rested before one that rests still is good enough
#define PROBES_NEAR 8 // so many in sequence, then leaps; and then a second bucket is good enough
#define GROUP 8       // buckets on their way at a time

// How good a candidate is. TAKEN: no use; RESTS: freed a moment ago; AWAY: in its second bucket, or in place of a port that rests.
enum judgement { TAKEN, RESTS, AWAY, GOOD };

struct candidate {
	struct flow_port port;
	struct snat_place at;
};

// Endpoints begin at different ports, others at each start: a backend then rarely sees one that it has in TIME_WAIT.
void snat_init(struct flow_table *t) {
	t->port_stride = flow_ports_stride(t->n_ports);
	for (uint32_t i = 0; i < t->max_endpoints; i++) {
		uint32_t random = (uint32_t)flow_mix(t->key[0] ^ i, t->key[1]);

		snat_cursor_of(t, i)->at = snat_place_word(
			(struct snat_place){.step = flow_scale(random, t->n_ports)});
	}
}

// So many ports the endpoint can have in use, over all SNAT addresses.
static uint32_t usable_in(const struct snat_space *s) {
	uint32_t n = 0;

	if (s->rss == NULL)
		return s->n * s->n_snat;
	for (unsigned i = 0; i < s->n_snat; i++)
		n += s->rss->usable[s->family != 4]
				   [s->rss_part ^ s->rss->rss->of[s->family != 4].snat[i]];
	return n;
}

static bool is_used_up(const struct snat_space *s, uint32_t used) {
	uint32_t least = s->rss == NULL ? s->n : s->rss->least[s->family != 4];

	return used >= least * s->n_snat && used >= usable_in(s);
}

static void chain_add(struct flow_table *t, uint8_t family, uint32_t bucket, int n) {
	uint32_t chain = snat_chain_in(family, snat_slot(t, family, bucket, 0));

	if (chain == flow_chain_max(family))
		return;
	chain += (uint32_t)n;
	for (unsigned i = 0; i < flow_ways_of(family); i++)
		snat_slot(t, family, bucket, i)->chain = chain >> (4 * i) & 15;
}

static bool is_in(const struct flow_table *t, uint8_t family, const struct snat *s,
		  uint32_t bucket) {
	uintptr_t line = (uintptr_t)snat_slot(t, family, bucket, 0) & ~(uintptr_t)(FLOW_LINE - 1);

	return ((uintptr_t)s & ~(uintptr_t)(FLOW_LINE - 1)) == line;
}

// Clear an entry that rests.
static void clear(struct flow_table *t, uint8_t family, struct snat *s) {
	uint64_t key = flow_snat_key(s->endpoint, s->index, (uint16_t)s->port);
	uint32_t a = snat_bucket_a(t, family, flow_snat_hash(t, family, key));

	*s = (struct snat){.chain = s->chain};
	if (family != 4)
		memset(snat_addr6(s), 0, sizeof(struct snat6) - sizeof(struct snat));
	if (!is_in(t, family, s, a))
		chain_add(t, family, a, -1);
}

static bool has_rested(const struct snat *s, uint32_t now) {
	return s->state == SNAT_RESTING && now - s->word >= FLOW_PORT_REST * FLOW_TICKS;
}

static bool is_vacant(const struct snat *s, uint32_t now) {
	return s->state == SNAT_FREE || has_rested(s, now);
}

// The entry of a bucket that is best overwritten: a vacant one, else the one that has rested longest; NULL: all are used.
static struct snat *spare_in(const struct flow_table *t, uint8_t family, uint32_t bucket,
			     uint32_t now) {
	struct snat *best = NULL;

	for (unsigned i = 0; i < flow_ways_of(family); i++) {
		struct snat *s = snat_slot(t, family, bucket, i);

		if (is_vacant(s, now))
			return s;
		if (s->state == SNAT_RESTING && (best == NULL || now - s->word > now - best->word))
			best = s;
	}
	return best;
}

static enum judgement judge(const struct flow_table *t, uint8_t family, uint32_t endpoint,
			    struct flow_port *p, uint32_t now) {
	uint32_t a = snat_bucket_a(t, family, p->is.hash);
	struct snat *own, *other;

	if (p->is.port < FLOW_FIRST_PORT)
		return TAKEN;
	own = snat_find(t, family, p->is.hash, flow_snat_key(endpoint, p->is.index, p->is.port));
	if (own != NULL) {
		p->slot = own;
		return snat_is_used(own) ? TAKEN : has_rested(own, now) ? GOOD : RESTS;
	}
	p->slot = spare_in(t, family, a, now);
	if (p->slot != NULL && is_vacant(p->slot, now))
		return GOOD;
	other = spare_in(t, family, snat_bucket_b(t, family, p->is.hash), now);
	if (other != NULL && (p->slot == NULL || is_vacant(other, now)))
		p->slot = other;
	return p->slot != NULL ? AWAY : TAKEN;
}

// Name the next n candidates from *at on and fetch their buckets.
static void name_group(const struct snat_space *s, uint32_t endpoint, struct snat_place *at,
		       struct candidate *c, unsigned n, bool leap) {
	for (unsigned i = 0; i < n; i++) {
		uint16_t port = snat_port_at(s, *at);

		c[i].at = *at;
		c[i].port.is = (struct flow_draw){
			.hash = flow_snat_hash(s->t, s->family,
					       flow_snat_key(endpoint, (uint8_t)at->index, port)),
			.port = port,
			.index = (uint8_t)at->index,
		};
		flow_snat_prefetch(s->t, s->family, c[i].port.is.hash);
		*at = snat_step_next(s, *at, leap);
	}
}

struct search {
	struct flow_port best;
	enum judgement is;
	uint32_t rested; // RESTS: for so long
};

// Judge n candidates; true when one is good, *at then follows it.
static bool judge_group(const struct snat_space *space, uint32_t endpoint, struct candidate *c,
			unsigned n, uint32_t now, struct search *s, struct snat_place *at) {
	for (unsigned i = 0; i < n; i++) {
		enum judgement is = judge(space->t, space->family, endpoint, &c[i].port, now);
		uint32_t rested = is == RESTS ? now - c[i].port.slot->word : 0;

		if (is > s->is || (is == RESTS && s->is == RESTS && rested > s->rested))
			*s = (struct search){.best = c[i].port, .is = is, .rested = rested};
		if (is == GOOD) {
			*at = snat_step_next(space, c[i].at, false);
			return true;
		}
	}
	return false;
}

int snat_propose(struct flow_table *t, uint8_t family, const struct flow_new *new, uint32_t now,
		 struct flow_port *out) {
	const struct snat_space space = snat_space_of(t, family, new);
	struct snat_cursor *cursor = snat_cursor_of(t, new->endpoint);
	struct snat_place at = snat_place_of(&space, cursor->at);
	uint32_t total = space.n * space.n_snat;
	uint32_t bound = total < PROBES ? total : PROBES;
	struct search s = {.is = TAKEN};
	struct candidate c[GROUP];
	bool leap = false;

	if (is_used_up(&space, cursor->used))
		return -EADDRNOTAVAIL;
	// The first alone: it is nearly always good, and a group would fetch seven buckets for nothing.
	for (uint32_t n = 0, group = 1; n < bound; n += group, group = GROUP) {
		if (s.is >= AWAY || (s.is == RESTS && n > PROBES_RESTED))
			break;
		if (group > bound - n)
			group = bound - n;
		leap = n >= PROBES_NEAR && total > PROBES;
		name_group(&space, new->endpoint, &at, c, group, leap);
		if (judge_group(&space, new->endpoint, c, group, now, &s, &at))
			break;
	}
	cursor->at = snat_place_word(at);
	if (s.is == TAKEN)
		return -EADDRNOTAVAIL;
	*out = s.best;
	return 0;
}

void snat_take(struct flow_table *t, uint8_t family, const struct flow_port *p,
	       const struct flow_key *k, const struct flow_new *n) {
	uint32_t a = snat_bucket_a(t, family, p->is.hash);

	if (p->slot->state != SNAT_FREE)
		clear(t, family, p->slot);
	snat_put(t, family, p->slot, &p->is, k, n);
	if (!is_in(t, family, p->slot, a))
		chain_add(t, family, a, 1);
}

struct snat *snat_of(const struct flow_table *t, uint8_t family, const struct flow_record *r) {
	uint64_t key = flow_snat_key(r->endpoint, r->snat_index, (uint16_t)r->snat_port);

	return snat_find(t, family, flow_snat_hash(t, family, key), key);
}

void snat_release(struct flow_table *t, uint8_t family, const struct flow_record *r, uint32_t now) {
	struct snat *s = snat_of(t, family, r);

	assert(s != NULL && snat_is_used(s));
	s->state = SNAT_RESTING;
	s->word = now;
	snat_cursor_of(t, r->endpoint)->used--;
}

// Its units go round after 64: what it heard must not look new then. Until two units beyond the timeout flow_silence() asks for it.
static bool is_past(const struct flow_table *t, const struct snat *s, uint32_t now) {
	return snat_is_used(s) && s->gen != 0 &&
	       snat_unheard(t, s, now) > t->heard[snat_heard_of(s)].span + 1u;
}

void snat_sweep(struct flow_table *t, uint8_t family, uint32_t now, uint32_t n) {
	uint32_t *hand = &t->snat_hand[family != 4], buckets = t->snat_buckets[family != 4];

	for (n = n < buckets ? n : buckets; n > 0; n--) {
		for (unsigned i = 0; i < flow_ways_of(family); i++) {
			struct snat *s = snat_slot(t, family, *hand, i);

			if (has_rested(s, now))
				clear(t, family, s);
			else if (is_past(t, s, now))
				s->gen = 0;
		}
		*hand = *hand + 1 < buckets ? *hand + 1 : 0;
	}
}
