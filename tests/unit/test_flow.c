// SPDX-License-Identifier: Apache-2.0
// The flow table: time, room, who gives way, load, sizes. test_flow_model.c holds it against a plain map.
#include <errno.h>

#include "flow_fixture.h"

static const struct flow_new syn = {.backend = 1, .protocol = 6, .starts = true};
static const struct flow_new middle = {.backend = 1, .protocol = 6, .starts = false};

static struct flow_table *table(uint32_t capacity) {
	struct flow_config c = fixture_config(capacity);

	return fixture_table(&c);
}

// Any key that is unlike the others: what random load is made of.
static struct flow_key random_key(uint8_t family, uint64_t *seed) {
	struct flow_key k = {.family = family, .kind = FLOW_FORWARD};
	uint64_t r = fixture_random(seed);

	k.addr[0] = (uint32_t)r;
	k.port = (uint16_t)(r >> 32);
	k.id = (uint32_t)(r >> 48) % 1000;
	if (family == 6) {
		r = fixture_random(seed);
		memcpy(&k.addr[2], &r, sizeof(r));
	}
	return k;
}

static void establish(struct flow_table *t, struct flow *f, uint32_t now) {
	flow_touch(t, 4, f, FLOW_ONE_WAY, false, FLOW_TCP_FLAG_ACK,
		   now); // one way: the family makes no difference
}

// --- time ---

static void a_flow_ends_after_its_timeout_to_the_tick(void **state) {
	static const struct {
		uint8_t protocol, flags;
		uint32_t seconds;
	} cases[] = {
		{6, FLOW_TCP_FLAG_SYN, 10},
		{6, FLOW_TCP_FLAG_ACK, 900},
		{6, FLOW_TCP_FLAG_FIN, 30},
		{6, FLOW_TCP_FLAG_RST, 10},
		{17, 0, 30},
	};
	struct flow_table *t = table(64);
	const struct flow_key k = fixture_key(4, 1, 1);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow_new n = {.protocol = cases[i].protocol, .starts = true};
		uint32_t now = 0xfffffff0u; // wraps within every timeout
		struct flow *f;

		assert_int_equal(fixture_create(t, &k, &n, now, &f), 0);
		flow_touch(t, 4, f, FLOW_ONE_WAY, false, cases[i].flags, now);
		assert_ptr_equal(fixture_find(t, &k, now + SECONDS(cases[i].seconds)), f);
		assert_int_equal(flow_stats(t)->evicted[0], i);
		assert_null(fixture_find(t, &k, now + SECONDS(cases[i].seconds) + 1));
		assert_int_equal(flow_stats(t)->evicted[0], i + 1);
		assert_int_equal(flow_stats(t)->flows[0], 0);
	}
	free(t);
}

static void the_longest_timeout_is_exact(void **state) {
	struct flow_config c = fixture_config(64);
	const struct flow_key k = fixture_key(6, 1, 1);
	struct flow_table *t;
	struct flow *f;

	c.timeouts.ticks[FLOW_TCP_ESTABLISHED] = SECONDS(518400);
	t = fixture_table(&c);
	assert_int_equal(fixture_create(t, &k, &middle, 5, &f), 0);
	establish(t, f, 5);
	flow_sweep(t, 5 + SECONDS(518400), flow_buckets(t));
	assert_ptr_equal(fixture_find(t, &k, 5 + SECONDS(518400)), f);
	flow_sweep(t, 6 + SECONDS(518400), flow_buckets(t));
	assert_int_equal(flow_stats(t)->flows[1], 0);
	free(t);
}

// --- who gives way ---

// Keys whose buckets are those of the first: what a full bucket is made of.
static void crowd(const struct flow_table *t, uint8_t family, struct flow_key *keys, unsigned n) {
	uint64_t seed = 3, first;

	keys[0] = random_key(family, &seed);
	first = flow_hash(t, &keys[0]);
	for (unsigned i = 1; i < n;) {
		struct flow_key k = random_key(family, &seed);
		uint64_t hash = flow_hash(t, &k);

		if (flow_bucket_a(t, family, hash) == flow_bucket_a(t, family, first) &&
		    flow_bucket_b(t, family, hash) == flow_bucket_b(t, family, first))
			keys[i++] = k;
	}
}

// Fill both buckets with established flows; the i-th was last seen at tick i.
static void fill_established(struct flow_table *t, const struct flow_key *keys, unsigned n) {
	struct flow *f;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(fixture_create(t, &keys[i], &middle, i, &f), 0);
		establish(t, f, i);
	}
}

static void set_state(struct flow_table *t, const struct flow_key *k, enum flow_state s) {
	fixture_find(t, k, 20)->state = s;
}

static void a_full_bucket_gives_up_in_order(void **state) {
	static const struct {
		enum flow_state a, b, c,
			d; // of four flows in a bucket of established ones, oldest first
		bool starts;
		int victim; // of those four; -1: nobody
	} cases[] = {
		{FLOW_UDP, FLOW_TCP_SYN_SENT, FLOW_TCP_FIN_WAIT, FLOW_TCP_CLOSE, true, 3},
		{FLOW_TCP_TIME_WAIT, FLOW_TCP_CLOSE, FLOW_UDP, FLOW_UDP, true, 0},
		{FLOW_UDP, FLOW_TCP_SYN_RECV, FLOW_TCP_SYN_SENT, FLOW_UDP, true, 1},
		{FLOW_TCP_ESTABLISHED, FLOW_UDP_STREAM, FLOW_TCP_FIN_WAIT, FLOW_UDP, true, 2},
		{FLOW_TCP_ESTABLISHED, FLOW_UDP_STREAM, FLOW_TCP_FIN_WAIT, FLOW_UDP, false, 0},
		{FLOW_UDP_STREAM, FLOW_UDP_STREAM, FLOW_UDP_STREAM, FLOW_UDP_STREAM, true, -1},
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const struct flow_new *how = cases[i / 2].starts ? &syn : &middle;
		uint8_t family = i % 2 ? 6 : 4;
		unsigned n = 2 * flow_ways_of(family);
		struct flow_table *t = table(64);
		struct flow_key keys[9];
		struct flow *f = NULL;

		crowd(t, family, keys, n + 1);
		fill_established(t, keys, n);
		set_state(t, &keys[0], cases[i / 2].a);
		set_state(t, &keys[1], cases[i / 2].b);
		set_state(t, &keys[2], cases[i / 2].c);
		set_state(t, &keys[3], cases[i / 2].d);
		assert_int_equal(fixture_create(t, &keys[n], how, 20, &f),
				 cases[i / 2].victim < 0 ? -ENOSPC : 0);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(fixture_find(t, &keys[k], 20) == NULL,
					 (int)k == cases[i / 2].victim);
		free(t);
	}
}

static void an_expired_flow_goes_before_any_other(void **state) {
	struct flow_table *t = table(64);
	struct flow_key keys[9];
	struct flow *f;

	crowd(t, 4, keys, 9);
	fill_established(t, keys, 8);
	set_state(t, &keys[0], FLOW_TCP_CLOSE);
	set_state(t, &keys[5], FLOW_TCP_SYN_SENT);
	fixture_find(t, &keys[0], 20)->last = 30;
	assert_int_equal(fixture_create(t, &keys[8], &syn, 5 + SECONDS(10) + 1, &f), 0);
	assert_non_null(fixture_find(t, &keys[0], 50));
	assert_int_equal(flow_stats(t)->evicted[0], 1);
	free(t);
}

static void a_flood_of_syns_leaves_established_flows_alone(void **state) {
	struct flow_config c = fixture_config(1000);
	struct flow_table *t;
	struct flow_key kept[600];
	uint64_t seed = 9;
	struct flow *f;

	c.half_open_percent = 10;
	t = fixture_table(&c);
	for (unsigned i = 0; i < 600; i++) {
		kept[i] = random_key(4, &seed);
		assert_int_equal(fixture_create(t, &kept[i], &syn, 0, &f), 0);
		establish(t, f, 0);
	}
	for (unsigned i = 0; i < 20000; i++) {
		struct flow_key k = random_key(4, &seed);
		int ret = fixture_create(t, &k, &syn, i / 1000, &f);

		assert_true(ret == 0 || ret == -EDQUOT);
		assert_in_range(flow_stats(t)->half_open, 0, 100);
	}
	for (unsigned i = 0; i < 600; i++)
		assert_non_null(fixture_find(t, &kept[i], 20));
	free(t);
}

static void an_ambiguous_way_back_has_one_holder(void **state) {
	struct flow_new n = {.backend = 1,
			     .endpoint = 7,
			     .protocol = 6,
			     .back = FLOW_BACK_ENTRY,
			     .starts = true};
	const struct flow_key a = fixture_key(4, 1, 1), b = fixture_key(4, 1, 2);
	struct flow_table *t = table(64);
	struct flow_key back = a;
	struct flow *f;

	back.kind = FLOW_REVERSE;
	back.id = 7;
	assert_int_equal(fixture_create(t, &a, &n, 0, &f), 0);
	assert_int_equal(fixture_find(t, &back, 0)->backend, 1);
	assert_int_equal(fixture_create(t, &b, &n, 0, &f), -EADDRINUSE);
	n.endpoint = 8;
	assert_int_equal(fixture_create(t, &b, &n, 0, &f), 0);
	flow_remove(t, 4, f, 0);
	n.endpoint = 7; // the holder has expired by now
	assert_int_equal(fixture_create(t, &b, &n, SECONDS(11), &f), 0);
	assert_int_equal(fixture_find(t, &back, SECONDS(11))->backend, 2);
	assert_int_equal(flow_stats(t)->flows[0], 1);
	free(t);
}

// --- load ---

struct load {
	uint64_t failed, in_b;
};

static struct load fill(struct flow_table *t, uint8_t family, uint32_t n, uint64_t seed) {
	uint64_t again = seed;
	struct load l = {0};
	struct flow *f;

	for (uint32_t i = 0; i < n; i++) {
		struct flow_key k = random_key(family, &seed);

		if (fixture_find(t, &k, 0) != NULL)
			continue;
		if (fixture_create(t, &k, &syn, 0, &f) < 0)
			l.failed++;
		else
			establish(t, f, 0); // nobody gives way to a SYN
	}
	for (uint32_t i = 0; i < n; i++) {
		struct flow_key k = random_key(family, &again);
		uint64_t hash = flow_hash(t, &k);

		f = flow_find(t, &k, hash, 0);
		l.in_b += f != NULL &&
			  flow_bucket_of(t, family, f) != flow_bucket_a(t, family, hash);
	}
	return l;
}

static uint32_t at_load(const struct flow_table *t, uint8_t family, uint32_t percent) {
	uint64_t slots = (uint64_t)t->buckets[family != 4] * flow_ways_of(family);

	return (uint32_t)(slots * percent / 100);
}

static void at_85_percent_load_nearly_every_insertion_finds_room(void **state) {
	for (unsigned family = 4; family <= 6; family += 2) {
		struct flow_table *t = table(1u << 20);
		uint32_t n = at_load(t, (uint8_t)family, 85);
		struct load l = fill(t, (uint8_t)family, n, family);

		print_message("# IPv%u: %u flows, %lu without room\n", family, n,
			      (unsigned long)l.failed);
		assert_true(l.failed * 10000 < n);
		free(t);
	}
}

static void a_look_up_at_capacity_reads_at_most_1_3_lines(void **state) {
	for (unsigned family = 4; family <= 6; family += 2) {
		uint32_t n = 300000;
		struct flow_table *t = table(n);
		struct load l = fill(t, (uint8_t)family, n, family);

		print_message("# IPv%u: %.3f lines\n", family, 1 + (double)l.in_b / n);
		assert_true(l.in_b * 10 <= (uint64_t)n * 3);
		free(t);
	}
}

static void a_small_table_fills_up_and_loses_nothing(void **state) {
	for (uint64_t seed = 1; seed <= 400; seed++) {
		uint8_t family = seed % 2 ? 4 : 6;
		struct flow_table *t = table(FLOW_CAPACITY_MIN);
		uint64_t at = seed, again = seed;
		unsigned n = 0;
		struct flow *f;
		struct flow_key k = random_key(family, &at);

		for (; fixture_create(t, &k, &syn, 0, &f) == 0; n++, k = random_key(family, &at))
			establish(t, f, 0);
		assert_in_range(n, at_load(t, family, family == 4 ? 86 : 60),
				at_load(t, family, 100));
		for (unsigned i = 0; i < n; i++) {
			k = random_key(family, &again);
			assert_non_null(fixture_find(t, &k, 0));
		}
		free(t);
	}
}

static void a_chain_too_long_to_count_stays_right(void **state) {
	struct flow_table *t = table(4096); // more than 255 IPv6 flows of one bucket
	struct flow_key keys[400];
	uint64_t seed = 5;
	struct flow *f;
	unsigned n = 0;

	while (n < 400) {
		keys[n] = random_key(6, &seed);
		if (flow_bucket_a(t, 6, flow_hash(t, &keys[n])) != 0)
			continue;
		if (fixture_create(t, &keys[n], &syn, 0, &f) < 0)
			continue; // its second bucket is full
		establish(t, f, 0);
		n++;
	}
	assert_int_equal(flow_chain(t, 6, 0), 255);
	for (unsigned i = 0; i < 400; i++) {
		assert_non_null(f = fixture_find(t, &keys[i], 0));
		flow_remove(t, 6, f, 0);
		assert_null(fixture_find(t, &keys[i], 0));
	}
	assert_int_equal(flow_chain(t, 6, 0), 255);
	free(t);
}

// --- sizes ---

static void a_flow_costs_at_most_64_and_96_bytes(void **state) {
	struct flow_config c = fixture_config(1000000), v4 = c;
	size_t both = flow_table_size(&c), ipv4;

	v4.capacity = c.capacity;
	v4.n_snat[1] = 0;
	ipv4 = flow_table_size(&v4); // IPv6's flows are in it, its way back is not
	assert_true(both <= (size_t)c.capacity * (64 + 96));
	assert_true(both - ipv4 <= (size_t)c.capacity * 46);
}

static void impossible_configurations_are_refused(void **state) {
	static _Alignas(64) char memory[64];
	const struct flow_config good = fixture_config(64);
	struct flow_config bad[10];
	struct flow_table *t = NULL;

	for (unsigned i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].capacity = FLOW_CAPACITY_MIN - 1;
	bad[1].capacity = UINT32_MAX;
	bad[2].workers = 0;
	bad[3].worker = 1;
	bad[4].n_snat[0] = 65;
	bad[5].half_open_percent = 101;
	bad[6].half_open_percent = 0;
	bad[7].max_backends = (1u << FLOW_ID_BITS) + 1;
	bad[8].timeouts.ticks[FLOW_UDP] = 0;
	bad[9].timeouts.ticks[FLOW_UDP] = 1u << 21;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(flow_init(&t, memory, &bad[i]), -EINVAL);
	assert_int_equal(flow_init(&t, memory + 16, &good), -EINVAL);
	assert_null(t);
}

static void another_secret_gives_other_buckets(void **state) {
	struct flow_config c = fixture_config(100000);
	struct flow_table *a = fixture_table(&c), *b;
	unsigned same = 0;

	c.secret++;
	b = fixture_table(&c);
	for (uint32_t i = 0; i < 1000; i++) {
		struct flow_key k = fixture_key(4, i, 1);

		same += flow_bucket_a(a, 4, flow_hash(a, &k)) ==
			flow_bucket_a(b, 4, flow_hash(b, &k));
	}
	assert_in_range(same, 0, 3);
	free(a);
	free(b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_ends_after_its_timeout_to_the_tick),
		cmocka_unit_test(the_longest_timeout_is_exact),
		cmocka_unit_test(a_full_bucket_gives_up_in_order),
		cmocka_unit_test(an_expired_flow_goes_before_any_other),
		cmocka_unit_test(a_flood_of_syns_leaves_established_flows_alone),
		cmocka_unit_test(an_ambiguous_way_back_has_one_holder),
		cmocka_unit_test(at_85_percent_load_nearly_every_insertion_finds_room),
		cmocka_unit_test(a_look_up_at_capacity_reads_at_most_1_3_lines),
		cmocka_unit_test(a_small_table_fills_up_and_loses_nothing),
		cmocka_unit_test(a_chain_too_long_to_count_stays_right),
		cmocka_unit_test(a_flow_costs_at_most_64_and_96_bytes),
		cmocka_unit_test(impossible_configurations_are_refused),
		cmocka_unit_test(another_secret_gives_other_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
