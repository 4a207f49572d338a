// SPDX-License-Identifier: Apache-2.0
// The flow table against a plain map with a fake clock: any sequence of operations, both families, every kind of way back.
//
// The map can't know which flow gives way when a bucket is full, so after each creation it asks which are gone, and judges whether they
// were allowed to be. Everything else it knows exactly.
#include <errno.h>

#include "flow/flow_private.h"
#include "flow_fixture.h"

#define CLIENTS 48
#define FRONTENDS 3
#define ENDPOINTS 4
#define BACKENDS 5
#define FLOWS (2 * CLIENTS * FRONTENDS)
#define GEN 3 // of every endpoint

struct known {
	bool there;
	struct flow_key key;
	struct flow_new how;
	enum flow_state state;
	bool fin[2];
	uint32_t last, created; // ticks
	bool vouched;           // fullnat: answers are noted in the snat entry
	uint32_t heard;         // vouched: ticks, the last that the note may mean
	uint16_t snat_port;
	uint8_t snat_index;
};

struct world {
	struct flow_config config;
	struct flow_table *t;
	struct known flows[FLOWS];
	uint32_t now, swept; // swept: of the snat entries
	uint64_t seed;
	uint64_t evictions;
};

static struct known *known_of(struct world *w, const struct flow_key *k) {
	uint32_t client = k->family == 4 ? k->addr[0] - 0x0a000000 : k->addr[3];

	return &w->flows[((k->family == 6) * CLIENTS + client) * FRONTENDS + k->id];
}

static uint32_t silence_of(const struct world *w, const struct known *f) {
	uint32_t idle = w->now - f->last, unheard = w->now - f->heard;

	if (!f->vouched)
		return idle;
	if (f->heard - w->now < 1u << 31)
		return 0;
	return unheard < idle ? unheard : idle;
}

static bool is_alive(const struct world *w, const struct known *f) {
	return f->there && silence_of(w, f) <= w->config.timeouts.ticks[f->state];
}

// As a worker does without hurry: no note in an snat entry grows so old that it looks new.
static void pass(struct world *w, uint32_t ticks) {
	for (; ticks > 0; ticks--) {
		if (++w->now - w->swept < SECONDS(4))
			continue;
		for (uint8_t family = 4; family <= 6; family += 2)
			snat_sweep(w->t, family, w->now, w->t->snat_buckets[family != 4]);
		w->swept = w->now;
	}
}

static bool may_give_way(const struct known *f, bool starts) {
	return !starts || (f->state != FLOW_TCP_ESTABLISHED && f->state != FLOW_UDP_STREAM);
}

// --- what must hold at any time ---

static void check_chains(const struct flow_table *t, uint8_t family) {
	uint32_t n = t->buckets[family != 4], *away = calloc(n, sizeof(*away));

	for (uint32_t b = 0; b < n; b++) {
		for (unsigned i = 0; i < flow_ways_of(family); i++) {
			const struct flow *f = flow_slot(t, family, b, i);
			struct flow_key k = {.id = f->id,
					     .port = f->port,
					     .family = family,
					     .kind = f->kind};

			if (f->state == FLOW_FREE)
				continue;
			memcpy(k.addr, family == 4 ? &f->word : flow_addr6(f),
			       family == 4 ? 4 : 16);
			if (flow_bucket_a(t, family, flow_hash(t, &k)) != b)
				away[flow_bucket_a(t, family, flow_hash(t, &k))]++;
		}
	}
	for (uint32_t b = 0; b < n; b++)
		assert_int_equal(flow_chain(t, family, b), away[b]);
	free(away);
}

static void check_view(struct world *w, const struct flow_view *v) {
	struct known *f = known_of(w, &v->key);

	assert_true(is_alive(w, f));
	assert_memory_equal(&v->key, &f->key, sizeof(v->key));
	assert_int_equal(v->backend, f->how.backend);
	assert_int_equal(v->endpoint, f->how.endpoint);
	assert_int_equal(v->gen, f->how.gen);
	assert_int_equal(v->state, f->state);
	assert_int_equal(v->snat_port, f->snat_port);
	assert_int_equal(v->snat_index, f->snat_index);
	assert_int_equal(v->idle, silence_of(w, f) / FLOW_TICKS);
	assert_int_equal(v->age, (w->now / FLOW_TICKS - f->created / FLOW_TICKS) & FLOW_TIME_MASK);
}

// Every live entry of the table is in the map and right; returns their number.
static uint32_t check_views(struct world *w) {
	struct flow_view v[7];
	uint64_t cursor = 0;
	uint32_t n = 0;

	while (cursor != UINT64_MAX) {
		uint32_t got = flow_scan(w->t, &cursor, w->now, v, 7);

		for (uint32_t i = 0; i < got; i++)
			check_view(w, &v[i]);
		n += got;
	}
	return n;
}

static void check_way_back(struct world *w, const struct known *f) {
	struct flow_key k = f->key;

	k.kind = FLOW_REVERSE;
	k.id = f->how.endpoint;
	if (f->how.back == FLOW_BACK_ENTRY) {
		const struct flow *reverse = fixture_find(w->t, &k, w->now);

		assert_non_null(reverse);
		assert_int_equal(reverse->backend, f->key.id);
	} else if (f->how.back == FLOW_BACK_SNAT) {
		const struct snat *s = fixture_snat(w->t, k.family, f->how.endpoint, f->snat_index,
						    f->snat_port);
		struct flow_key origin;

		assert_non_null(s);
		origin = flow_snat_origin(k.family, s);
		assert_memory_equal(&origin, &f->key, sizeof(origin));
	}
}

static void check_all(struct world *w) {
	uint32_t alive = 0;

	for (struct known *f = w->flows; f < w->flows + FLOWS; f++) {
		if (!is_alive(w, f))
			continue;
		alive++;
		assert_non_null(fixture_find(w->t, &f->key, w->now));
		check_way_back(w, f);
	}
	assert_int_equal(check_views(w), alive);
	check_chains(w->t, 4);
	check_chains(w->t, 6);
}

// After a whole sweep nothing is left but what lives.
static void check_counts(struct world *w) {
	uint64_t flows[2] = {0}, half_open = 0, entries[2] = {0};
	uint32_t of[BACKENDS] = {0};

	flow_sweep(w->t, w->now, flow_buckets(w->t));
	for (const struct known *f = w->flows; f < w->flows + FLOWS; f++) {
		if (!is_alive(w, f))
			continue;
		flows[f->key.family == 6]++;
		entries[f->key.family == 6] += 1 + (f->how.back == FLOW_BACK_ENTRY);
		half_open += flow_state_is_half_open(f->state);
		of[f->how.backend]++;
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(flow_stats(w->t)->flows[i], flows[i]);
		assert_int_equal(w->t->used[i], entries[i]);
	}
	assert_int_equal(flow_stats(w->t)->half_open, half_open);
	for (uint32_t i = 0; i < BACKENDS; i++)
		assert_int_equal(flow_count_of(w->t, i), of[i]);
	assert_int_equal(flow_stats(w->t)->created - flow_stats(w->t)->removed,
			 flows[0] + flows[1]);
}

// --- operations ---

static bool is_endpoint_held(const struct world *w, const struct known *who, uint32_t endpoint) {
	for (const struct known *f = w->flows; f < w->flows + FLOWS; f++)
		if (f != who && is_alive(w, f) && f->how.back == FLOW_BACK_ENTRY &&
		    f->how.endpoint == endpoint && f->key.family == who->key.family &&
		    memcmp(f->key.addr, who->key.addr, sizeof(f->key.addr)) == 0)
			return true;
	return false;
}

// Forget those that gave way; they must have been allowed to.
static void judge_victims(struct world *w, const struct flow_new *n) {
	unsigned victims = 0;

	for (struct known *f = w->flows; f < w->flows + FLOWS; f++) {
		if (!is_alive(w, f) || fixture_find(w->t, &f->key, w->now) != NULL)
			continue;
		assert_true(may_give_way(f, n->starts));
		f->there = false;
		victims++;
	}
	assert_in_range(victims, 0, 3); // for its share, its reverse entry and itself
	w->evictions += victims;
}

// No room is a true answer only where nobody in the two buckets may give way.
static void judge_no_room(struct world *w, const struct flow_key *k, const struct flow_new *n) {
	uint64_t hash = flow_hash(w->t, k);
	const uint32_t buckets[2] = {flow_bucket_a(w->t, k->family, hash),
				     flow_bucket_b(w->t, k->family, hash)};

	if (n->back == FLOW_BACK_ENTRY)
		return; // it may have been the reverse entry that found none
	for (unsigned b = 0; b < 2; b++) {
		for (unsigned i = 0; i < flow_ways_of(k->family); i++) {
			const struct flow *f = flow_slot(w->t, k->family, buckets[b], i);

			assert_true(f->state != FLOW_FREE);
			assert_true(f->kind == FLOW_REVERSE ||
				    (n->starts && (f->state == FLOW_TCP_ESTABLISHED ||
						   f->state == FLOW_UDP_STREAM)));
		}
	}
}

static void note_created(struct world *w, struct known *f, const struct flow_key *k,
			 const struct flow_new *n, const struct flow *entry) {
	const struct flow_record *r = flow_record(w->t, k->family, entry);

	*f = (struct known){
		.there = true,
		.key = *k,
		.how = *n,
		.state = n->protocol == 6 ? FLOW_TCP_SYN_SENT : FLOW_UDP,
		.last = w->now,
		.created = w->now,
		.snat_port = (uint16_t)r->snat_port,
		.snat_index = r->snat_index,
	};
	assert_int_equal(f->snat_port != 0, n->back == FLOW_BACK_SNAT);
	assert_int_equal(flow_port_of(w->t, k->family, entry).port, f->snat_port);
	assert_int_equal(flow_port_of(w->t, k->family, entry).index, f->snat_index);
	for (const struct known *o = w->flows; f->snat_port != 0 && o < w->flows + FLOWS; o++)
		assert_false(o != f && is_alive(w, o) && o->snat_port == f->snat_port &&
			     o->snat_index == f->snat_index && o->key.family == f->key.family &&
			     o->how.endpoint == f->how.endpoint);
}

static void create(struct world *w, const struct flow_key *k) {
	uint64_t r = fixture_random(&w->seed);
	struct flow_new n = {
		.backend = r % BACKENDS,
		.endpoint = r / 8 % ENDPOINTS,
		.gen = r / 64 % 64,
		.protocol = r >> 20 & 1 ? 6 : 17,
		.back = (uint8_t)(r / 4096 % 3),
		.starts = r >> 21 & 1,
	};
	struct known *f = known_of(w, k);
	bool held = false;
	struct flow *entry = NULL;
	int ret;

	f->key = *k;
	f->there = false;
	held = n.back == FLOW_BACK_ENTRY && is_endpoint_held(w, f, n.endpoint);
	ret = fixture_create(w->t, k, &n, w->now, &entry);
	judge_victims(w, &n);
	if (ret == 0)
		note_created(w, f, k, &n, entry);
	else
		assert_null(entry);
	if (ret == -ENOSPC)
		judge_no_room(w, k, &n);
	else if (ret == -EDQUOT)
		assert_true(n.protocol == 6 &&
			    flow_stats(w->t)->half_open >= w->t->half_open_limit);
	else if (ret != 0)
		assert_int_equal(ret, held ? -EADDRINUSE : 0);
	assert_false(ret == 0 && held && is_endpoint_held(w, f, n.endpoint));
	assert_true(flow_stats(w->t)->half_open <= w->t->half_open_limit);
}

static void note_heard(struct world *w, struct known *f) {
	uint32_t unit = 1;

	for (uint32_t t = w->config.timeouts.ticks[f->state]; t > 480; t /= 2)
		unit *= 2;
	f->vouched = true;
	f->heard = w->now | (unit - 1);
}

static struct snat *entry_of(const struct world *w, const struct known *f) {
	struct snat *s = NULL;

	if (f->how.back == FLOW_BACK_SNAT) {
		s = fixture_snat(w->t, f->key.family, f->how.endpoint, f->snat_index, f->snat_port);
		assert_non_null(s);
	}
	return s;
}

// An answer that can't change the state, where the snat entry vouches for the flow.
static bool answer(struct world *w, struct known *f) {
	struct snat *s = entry_of(w, f);

	if (s == NULL || !flow_snat_vouches(w->t, s, GEN, w->now))
		return false;
	assert_true(f->vouched && is_alive(w, f));
	assert_false(flow_snat_vouches(w->t, s, GEN + 1, w->now));
	flow_snat_note(w->t, s, w->now);
	note_heard(w, f);
	return true;
}

static void touch(struct world *w, const struct flow_key *k, struct flow *entry) {
	uint64_t r = fixture_random(&w->seed);
	struct known *f = known_of(w, k);
	enum flow_ways ways = (enum flow_ways)(r % 3);
	bool from_backend = ways != FLOW_ONE_WAY && (r >> 8 & 1);
	uint8_t flags = f->how.protocol == 6 ? (uint8_t)(r >> 16 & r >> 24 & 0x17) : 0;
	enum flow_state is = flow_state_next(f->state, ways, from_backend, flags);

	if (from_backend && (flags & 7) == 0 && answer(w, f))
		return;
	if (is == FLOW_TCP_FIN_WAIT && (flags & 7) == FLOW_TCP_FLAG_FIN) {
		f->fin[from_backend] = true;
		if (f->fin[0] && f->fin[1])
			is = FLOW_TCP_TIME_WAIT;
	}
	flow_touch(w->t, k->family, entry, ways, from_backend, flags, w->now);
	f->vouched &= is == f->state;
	f->state = is;
	f->last = w->now;
	assert_int_equal(entry->state, is);
	if (!from_backend || f->how.back != FLOW_BACK_SNAT)
		return;
	flow_snat_vouch(w->t, entry_of(w, f), entry, GEN, w->now);
	if (is == FLOW_TCP_ESTABLISHED || is == FLOW_UDP_STREAM)
		note_heard(w, f);
}

static void step(struct world *w) {
	uint64_t r = fixture_random(&w->seed);
	uint8_t family = r & 1 ? 4 : 6;
	struct flow_key k = fixture_key(family, r / 2 % CLIENTS, r / 1024 % FRONTENDS);
	struct known *f = known_of(w, &k);
	struct flow *entry = fixture_find(w->t, &k, w->now);

	assert_int_equal(entry != NULL, is_alive(w, f));
	if (entry == NULL) {
		create(w, &k);
	} else if (r >> 32 & 7) {
		touch(w, &k, entry);
	} else {
		flow_remove(w->t, family, entry, w->now);
		f->there = false;
	}
	if ((r >> 40) % 4 == 0)
		pass(w, 1);
	if ((r >> 44) % 8 == 0)
		pass(w, (r >> 50) % 12);
	if ((r >> 47) % 16 == 0)
		flow_sweep(w->t, w->now, (r >> 51) % 8);
}

static void let_all_expire(struct world *w) {
	pass(w, SECONDS(901 + 900 / 240));
	check_all(w);
	check_counts(w);
	assert_int_equal(flow_stats(w->t)->created, flow_stats(w->t)->removed);
	for (uint32_t i = 0; i < w->config.max_endpoints; i++)
		assert_int_equal(((struct snat_cursor *)flow_at(w->t, w->t->cursors_at))[i].used,
				 0);
	pass(w, SECONDS(FLOW_PORT_REST));
	flow_sweep(w->t, w->now, flow_buckets(w->t));
	for (unsigned i = 0; i < 2; i++)
		for (uint32_t b = 0; b < w->t->snat_buckets[i]; b++)
			for (unsigned s = 0; s < flow_ways_of(i ? 6 : 4); s++)
				assert_int_equal(snat_slot(w->t, i ? 6 : 4, b, s)->state,
						 SNAT_FREE);
}

static void run(uint32_t capacity, uint32_t half_open_percent, unsigned steps, bool evicts) {
	struct world *w = calloc(1, sizeof(*w));

	w->config = fixture_config(capacity);
	w->config.half_open_percent = half_open_percent;
	w->t = fixture_table(&w->config);
	w->seed = capacity + half_open_percent;
	w->now = w->swept = UINT32_MAX - steps / 2; // it wraps on the way
	for (unsigned i = 0; i < steps; i++) {
		step(w);
		if (i % 64 == 0)
			check_all(w);
		if (i % 4096 == 0)
			check_counts(w);
	}
	assert_int_equal(w->evictions > 0, evicts);
	let_all_expire(w);
	free(w->t);
	free(w);
}

static void a_roomy_table_is_a_plain_map(void **state) {
	run(4096, 100, 60000, false);
}

static void a_full_table_gives_up_only_what_it_may(void **state) {
	run(64, 100, 60000, true);
}

static void the_half_open_share_holds(void **state) {
	run(64, 10, 60000, true);
	run(1024, 1, 60000, true);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_roomy_table_is_a_plain_map),
		cmocka_unit_test(a_full_table_gives_up_only_what_it_may),
		cmocka_unit_test(the_half_open_share_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
