// SPDX-License-Identifier: Apache-2.0
// SNAT ports: unique per endpoint, address and port; in turn; rested; bounded even where few are free.
#include <errno.h>

#include "flow/flow_create.h"
#include "flow_fixture.h"

#define PORTS (65536 - FLOW_FIRST_PORT)

static const struct flow_new fullnat = {
	.backend = 1, .endpoint = 5, .protocol = 17, .back = FLOW_BACK_SNAT, .starts = true};

static struct flow_table *table(uint32_t capacity, uint8_t n_snat) {
	struct flow_config c = fixture_config(capacity);

	c.n_snat[0] = c.n_snat[1] = n_snat;
	return fixture_table(&c);
}

// Client n of a family talks to endpoint 5.
static int add(struct flow_table *t, uint8_t family, uint32_t n, uint32_t now, struct flow **f) {
	const struct flow_key k = fixture_key(family, n, 1);
	struct flow_ahead ahead = {.of = {{0}}};
	struct flow_new new = fullnat;

	if (n % 2 == 0) // with or without, ports come in the same turn
		flow_port_draw(t, family, &new, &ahead, &new.drawn);
	return fixture_create(t, &k, &new, now, f);
}

static void end(struct flow_table *t, uint8_t family, uint32_t n, uint32_t now) {
	const struct flow_key k = fixture_key(family, n, 1);
	struct flow *f = fixture_find(t, &k, now);

	assert_non_null(f);
	flow_remove(t, family, f, now);
}

static uint16_t port_of(const struct flow_table *t, const struct flow *f) {
	return (uint16_t)flow_record(t, 4, f)->snat_port;
}

static void an_answer_finds_its_client(void **state) {
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct flow_table *t = table(64, 1);
		const struct flow_key client = fixture_key(family, 9, 1);
		const struct flow_record *r;
		struct flow_key origin;
		struct flow *f;
		uint16_t port;

		assert_int_equal(add(t, family, 9, 0, &f), 0);
		r = flow_record(t, family, f);
		port = (uint16_t)r->snat_port;
		assert_in_range(port, FLOW_FIRST_PORT, 65535);
		assert_non_null(fixture_snat(t, family, 5, 0, port));
		origin = flow_snat_origin(family, fixture_snat(t, family, 5, 0, port));
		assert_memory_equal(&origin, &client, sizeof(origin));

		assert_null(fixture_snat(t, family, 6, 0, port)); // another endpoint's answer
		end(t, family, 9, 0);
		assert_null(fixture_snat(t, family, 5, 0, port));
		free(t);
	}
}

// Nearly: a port whose two buckets are full of others is passed over, and one of the last few may take several searches to find.
static void one_address_gives_64000_ports_to_one_endpoint_each_once(void **state) {
	struct flow_table *t = table(80000, 1);
	uint8_t *seen = calloc(65536, 1);
	uint32_t n = 0;
	struct flow *f;

	for (; add(t, 4, n, 0, &f) == 0; n++)
		assert_int_equal(seen[port_of(t, f)]++, 0);
	assert_in_range(n, 64000, PORTS);
	for (uint32_t refused = 0; refused < 100; refused++) {
		int ret = add(t, 4, n, 0, &f);

		assert_true(ret == 0 || ret == -EADDRNOTAVAIL);
		if (ret == 0) {
			assert_int_equal(seen[port_of(t, f)]++, 0);
			n++;
			refused = 0;
		}
	}
	assert_in_range(n, 64000, PORTS);
	free(seen);
	free(t);
}

static void a_table_of_50000_gives_50000_ports_of_one_address(void **state) {
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct flow_table *t = table(50000, 1);
		struct flow *f;

		for (uint32_t n = 0; n < 50000; n++)
			assert_int_equal(add(t, family, n, 0, &f), 0);
		free(t);
	}
}

static void each_worker_draws_its_own_slice(void **state) {
	for (uint16_t worker = 0; worker < 3; worker++) {
		struct flow_config c = fixture_config(200000);
		struct flow_table *t;
		struct flow *f;
		uint32_t n = 0;

		c.n_snat[0] = 1;
		c.worker = worker;
		c.workers = 3;
		t = fixture_table(&c);
		for (; add(t, 4, n, 0, &f) == 0; n++) {
			assert_int_equal(port_of(t, f) % 3, worker);
			assert_in_range(port_of(t, f), FLOW_FIRST_PORT, 65535);
		}
		assert_int_equal(n, PORTS / 3);
		free(t);
	}
}

static void addresses_take_turns(void **state) {
	struct flow_table *t = table(64, 4);
	unsigned of[4] = {0};
	struct flow *f;

	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(add(t, 4, i, 0, &f), 0);
		of[flow_record(t, 4, f)->snat_index]++;
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(of[i], 8, 12);
	free(t);
}

static void without_an_address_there_is_no_port(void **state) {
	struct flow_table *t = table(64, 0);
	struct flow *f = NULL;

	assert_int_equal(add(t, 4, 1, 0, &f), -EADDRNOTAVAIL);
	assert_null(f);
	assert_null(fixture_snat(t, 4, 5, 0, 2000));
	assert_int_equal(flow_stats(t)->created, 0);
	free(t);
}

static void a_freed_port_rests_while_others_are_free(void **state) {
	struct flow_config c = fixture_config(10000);
	struct flow_table *t;
	uint32_t freed[65536], now = 0;
	struct flow *f;

	c.n_snat[0] = 1;
	c.workers = 64; // 1008 ports
	t = fixture_table(&c);
	memset(freed, 0xff, sizeof(freed));
	for (uint32_t i = 0; i < 20000; i++, now += i % 3 == 0) { // 12 a second, 756 rest at a time
		uint16_t port;

		assert_int_equal(add(t, 4, i, now, &f), 0);
		port = port_of(t, f);
		assert_true(freed[port] == UINT32_MAX ||
			    now - freed[port] >= SECONDS(FLOW_PORT_REST));
		end(t, 4, i, now);
		freed[port] = now;
		if (i % 16 == 0)
			flow_sweep(t, now, 64);
	}
	free(t);
}

static void where_all_rest_the_one_that_rested_longest_is_near(void **state) {
	struct flow_table *t = table(100000, 1);
	struct flow *f;
	uint16_t first;

	assert_int_equal(add(t, 4, 0, 0, &f), 0);
	first = port_of(t, f);
	end(t, 4, 0, 0);
	for (uint32_t i = 1; i < PORTS; i++) {
		assert_int_equal(add(t, 4, i, i / 1000, &f), 0);
		end(t, 4, i, i / 1000);
	}
	assert_int_equal(add(t, 4, 0, PORTS / 1000, &f), 0);
	assert_int_equal(port_of(t, f), first);
	free(t);
}

// Long-lived flows in a run, in patches, or spread: new ones find the ports between.
static void free_ports_are_found_wherever_they_are(void **state) {
	static const struct {
		uint32_t keep_of_128, run; // so many ports of 128 runs of this length stay in use
	} cases[] = {{100, 504}, {100, 64}, {100, 1}, {124, 504}, {126, 16}, {126, 1}};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct flow_table *t = table(100000, 1);
		uint32_t n, used, now = SECONDS(10);
		struct flow *f;

		for (n = 0; add(t, 4, n, 0, &f) == 0; n++)
			;
		for (used = n; n-- > 0;)
			if (n / cases[c].run % 128 >= cases[c].keep_of_128) {
				end(t, 4, n, 0);
				used--;
			}
		for (uint32_t i = 0; i < 20000; i++) { // each new one ends at once
			assert_int_equal(add(t, 4, PORTS + i, now, &f), 0);
			end(t, 4, PORTS + i, now);
		}
		for (; used < 63000; used++)
			assert_int_equal(add(t, 4, 2 * PORTS + used, now, &f), 0);
		free(t);
	}
}

static void the_smallest_table_gives_ports_to_all_it_holds(void **state) {
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct flow_table *t = table(FLOW_CAPACITY_MIN, 1);
		struct flow *f;

		for (uint32_t round = 0; round < 50; round++) {
			for (uint32_t i = 0; i < FLOW_CAPACITY_MIN; i++)
				assert_int_equal(add(t, family, i, round, &f), 0);
			for (uint32_t i = 0; i < FLOW_CAPACITY_MIN; i++) {
				const struct flow_key k = fixture_key(family, i, 1);

				if ((f = fixture_find(t, &k, round)) != NULL)
					flow_remove(t, family, f, round);
			}
		}
		assert_int_equal(flow_stats(t)->flows[family == 6], 0);
		free(t);
	}
}

// --- any sequence: unique at all times, as a bitmap knows it ---

#define CLIENTS 3000

static void a_port_is_never_given_twice(void **state) {
	struct flow_table *t = table(4096, 2);
	uint8_t *taken = calloc(4 * 2 * 65536, 1);
	uint32_t *of = calloc(CLIENTS, sizeof(*of)); // 1 + what the client has taken
	uint64_t seed = 1;

	for (uint32_t i = 0; i < 300000; i++) {
		uint64_t r = fixture_random(&seed);
		uint32_t who = r % CLIENTS, now = i / 100;
		const struct flow_key k = fixture_key(4, who, 1);
		struct flow_new n = fullnat;
		struct flow *f = fixture_find(t, &k, now);

		if (f == NULL && of[who] != 0) { // it expired or gave way
			taken[of[who] - 1] = 0;
			of[who] = 0;
		}
		if (f != NULL) {
			flow_remove(t, 4, f, now);
			taken[of[who] - 1] = 0;
			of[who] = 0;
			continue;
		}
		n.endpoint = r >> 32 & 3;
		assert_int_equal(fixture_create(t, &k, &n, now, &f), 0);
		of[who] = 1 + (n.endpoint * 2 + flow_record(t, 4, f)->snat_index) * 65536 +
			  port_of(t, f);
		if (taken[of[who] - 1] != 0) { // only by one whose end was not seen yet
			for (uint32_t o = 0; o < CLIENTS; o++) {
				const struct flow_key other = fixture_key(4, o, 1);

				if (o == who || of[o] != of[who])
					continue;
				assert_null(fixture_find(t, &other, now));
				of[o] = 0;
			}
		}
		taken[of[who] - 1] = 1;
	}
	free(of);
	free(taken);
	free(t);
}

#define GEN 6

static struct snat *entry_of(const struct flow_table *t, const struct flow *f) {
	const struct flow_record *r = flow_record(t, 4, f);
	struct snat *s = fixture_snat(t, 4, 5, r->snat_index, (uint16_t)r->snat_port);

	assert_non_null(s);
	return s;
}

static void an_entry_vouches_for_what_is_established(void **state) {
	const struct flow_key k = fixture_key(4, 1, 1);
	struct flow_table *t = table(64, 1);
	struct flow_new tcp = fullnat;
	struct snat *s;
	struct flow *f;

	tcp.protocol = 6;
	assert_int_equal(fixture_create(t, &k, &tcp, 0, &f), 0);
	s = entry_of(t, f);
	flow_snat_vouch(t, s, f, GEN, 0);
	assert_false(flow_snat_vouches(t, s, GEN, 0));
	flow_touch(t, 4, f, FLOW_CONFIRMED, true, FLOW_TCP_FLAG_SYN | FLOW_TCP_FLAG_ACK, 0);
	flow_touch(t, 4, f, FLOW_CONFIRMED, false, FLOW_TCP_FLAG_ACK, 0);
	assert_int_equal(f->state, FLOW_TCP_ESTABLISHED);
	assert_false(flow_snat_vouches(t, s, GEN, 0));
	flow_snat_vouch(t, s, f, GEN, 0);
	assert_true(flow_snat_vouches(t, s, GEN, 0));
	assert_false(flow_snat_vouches(t, s, GEN + 1, 0)); // who leads there has changed
	flow_touch(t, 4, f, FLOW_CONFIRMED, false, FLOW_TCP_FLAG_FIN | FLOW_TCP_FLAG_ACK, 0);
	assert_int_equal(f->state, FLOW_TCP_FIN_WAIT);
	assert_false(flow_snat_vouches(t, s, GEN, 0));
	flow_remove(t, 4, f, 0);
	assert_int_equal(s->state, SNAT_RESTING);
	free(t);
}

// A stream whose client is silent: nothing but its snat entry knows of the answers.
static void answers_that_were_vouched_for_keep_their_flow(void **state) {
	const uint32_t timeout = SECONDS(120); // of udpStream
	const struct flow_key k = fixture_key(4, 1, 1);
	struct flow_table *t = table(64, 1);
	struct flow_view v[4];
	uint64_t cursor = 0;
	uint32_t now = 0;
	struct snat *s;
	struct flow *f;

	assert_int_equal(add(t, 4, 1, now, &f), 0);
	flow_touch(t, 4, f, FLOW_CONFIRMED, true, 0, now);
	s = entry_of(t, f);
	flow_snat_vouch(t, s, f, GEN, now);
	for (; now < 10 * timeout; now += SECONDS(4)) {
		flow_sweep(t, now, flow_buckets(t));
		assert_true(flow_snat_vouches(t, s, GEN, now));
		flow_snat_note(t, s, now);
	}
	now += timeout - SECONDS(4); // since the last one
	assert_int_equal(flow_scan(t, &cursor, now, v, 4), 1);
	assert_int_equal(v[0].idle, 120);
	assert_ptr_equal(fixture_find(t, &k, now), f);
	now++;
	assert_false(flow_snat_vouches(t, s, GEN, now));
	assert_null(fixture_find(t, &k, now));
	assert_int_equal(flow_stats(t)->evicted[0], 1);
	free(t);
}

// The notes are coarse, and what they count goes round.
static void what_was_heard_long_ago_is_never_new_again(void **state) {
	const uint32_t timeout = SECONDS(120);
	const struct flow_key k = fixture_key(4, 1, 1);
	struct flow_table *t = table(64, 1);
	uint32_t now = 0;
	struct flow *f;

	assert_int_equal(add(t, 4, 1, now, &f), 0);
	flow_touch(t, 4, f, FLOW_CONFIRMED, true, 0, now);
	flow_snat_vouch(t, entry_of(t, f), f, GEN, now);
	for (; now < 10 * timeout; now += SECONDS(4)) { // the client goes on alone
		flow_sweep(t, now, flow_buckets(t));
		assert_ptr_equal(fixture_find(t, &k, now), f);
		flow_touch(t, 4, f, FLOW_CONFIRMED, false, 0, now);
		assert_int_equal(flow_snat_vouches(t, entry_of(t, f), GEN, now), now < timeout);
	}
	flow_sweep(t, now + timeout + 1, flow_buckets(t));
	assert_int_equal(flow_stats(t)->flows[0], 0);
	free(t);
}

static void equal_tables_give_equal_ports(void **state) {
	struct flow_table *a = table(1000, 2), *b = table(1000, 2);
	struct flow *f, *g;

	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(add(a, 4, i, 0, &f), 0);
		assert_int_equal(add(b, 4, i, 0, &g), 0);
		assert_int_equal(port_of(a, f), port_of(b, g));
	}
	free(a);
	free(b);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_finds_its_client),
		cmocka_unit_test(one_address_gives_64000_ports_to_one_endpoint_each_once),
		cmocka_unit_test(a_table_of_50000_gives_50000_ports_of_one_address),
		cmocka_unit_test(each_worker_draws_its_own_slice),
		cmocka_unit_test(addresses_take_turns),
		cmocka_unit_test(without_an_address_there_is_no_port),
		cmocka_unit_test(a_freed_port_rests_while_others_are_free),
		cmocka_unit_test(where_all_rest_the_one_that_rested_longest_is_near),
		cmocka_unit_test(free_ports_are_found_wherever_they_are),
		cmocka_unit_test(the_smallest_table_gives_ports_to_all_it_holds),
		cmocka_unit_test(a_port_is_never_given_twice),
		cmocka_unit_test(an_entry_vouches_for_what_is_established),
		cmocka_unit_test(answers_that_were_vouched_for_keep_their_flow),
		cmocka_unit_test(what_was_heard_long_ago_is_never_new_again),
		cmocka_unit_test(equal_tables_give_equal_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
