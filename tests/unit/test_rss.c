// SPDX-License-Identifier: Apache-2.0
// SNAT ports by RSS class, against a model of the device: Toeplitz over the whole answer, the redirection table's entry, its queue's worker.
#include <arpa/inet.h>
#include <errno.h>

#include "flow/flow_create.h"
#include "flow/ports.h"
#include "flow_fixture.h"
#include "net/rss.h"

#define PORTS (65536 - FLOW_FIRST_PORT)
#define SNATS 3

struct device { // what a NIC does
	uint8_t key[52];
	uint32_t size;
	uint16_t workers;
	uint8_t worker[RSS_MAX_RETA];
};

struct bed {
	struct device d;
	struct rss r;
	struct ip_addr snat[2][SNATS], backend[2];
	uint16_t backend_port; // network order
};

static uint64_t seed;

static struct ip_addr random_addr(uint8_t family) {
	struct ip_addr a = {.family = family};

	for (unsigned i = 0; i < (family == 4 ? 4u : 16u); i++)
		a.b[i] = (uint8_t)fixture_random(&seed);
	return a;
}

static int init(struct bed *b, const char **why) {
	const struct rss_settings s = {
		.key = b->d.key,
		.key_len = sizeof(b->d.key),
		.worker = b->d.worker,
		.size = b->d.size,
		.workers = b->d.workers,
		.snat = {b->snat[0], b->snat[1]},
		.n_snat = {SNATS, SNATS},
	};

	return rss_init(&b->r, &s, why);
}

// A device with a key that spreads ports: nearly every random one, which is asserted by the caller's patience.
static void make(struct bed *b, uint32_t size, uint16_t workers, uint16_t shift) {
	const char *why;
	unsigned tries = 0;

	memset(b, 0, sizeof(*b));
	b->d.size = size;
	b->d.workers = workers;
	for (uint32_t i = 0; i < size; i++)
		b->d.worker[i] = (uint8_t)((i + shift) % workers);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned j = 0; j < SNATS; j++)
			b->snat[i][j] = random_addr(i == 0 ? 4 : 6);
		b->backend[i] = random_addr(i == 0 ? 4 : 6);
	}
	b->backend_port = (uint16_t)fixture_random(&seed);
	do {
		for (unsigned i = 0; i < sizeof(b->d.key); i++)
			b->d.key[i] = (uint8_t)fixture_random(&seed);
		assert_true(tries++ < 5);
	} while (init(b, &why) < 0);
}

static uint16_t device_worker(const struct bed *b, uint8_t family, unsigned index, uint16_t port) {
	unsigned i = family != 4;
	uint32_t hash = toeplitz_tuple(b->d.key, family, b->backend[i].b, b->snat[i][index].b,
				       b->backend_port, htons(port));

	return b->d.worker[hash % b->d.size];
}

static uint16_t part_of(const struct bed *b, uint8_t family) {
	return rss_endpoint_part(&b->r, &b->backend[family != 4], b->backend_port);
}

static const uint32_t sizes[] = {2, 4, 64, 128, 512};

static void for_each_device(void (*check)(const struct bed *b, uint8_t family)) {
	static struct bed b;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (uint16_t workers = 2; workers <= 8 && workers <= sizes[i]; workers++) {
			seed = sizes[i] * 100 + workers;
			make(&b, sizes[i], workers, (uint16_t)(i % workers));
			check(&b, 4);
			check(&b, 6);
		}
	}
}

static void check_worker_back(const struct bed *b, uint8_t family) {
	for (uint32_t port = 0; port < 65536; port += 7)
		for (unsigned j = 0; j < SNATS; j++)
			assert_int_equal(rss_worker_back(&b->r, family, part_of(b, family),
							 (uint8_t)j, (uint16_t)port),
					 device_worker(b, family, j, (uint16_t)port));
}

static void the_model_names_the_devices_worker(void **state) {
	for_each_device(check_worker_back);
}

// Every port of 1024..65535 is a step of exactly one worker, and that is whom the device gives the answer.
static void check_partition(const struct bed *b, uint8_t family) {
	static struct flow_ports p;

	for (unsigned j = 0; j < SNATS; j++) {
		uint16_t pair = part_of(b, family) ^ b->r.of[family != 4].snat[j];
		uint8_t *seen = calloc(65536, 1);
		uint32_t n = 0;

		for (uint16_t w = 0; w < b->d.workers; w++) {
			uint32_t before = n;

			flow_ports_init(&p, &b->r, w);
			for (uint32_t step = 0; step < p.n; step++) {
				uint16_t port = rss_port_at(&b->r, family, w, pair, step);

				assert_int_equal(seen[port]++, 0);
				n += port >= FLOW_FIRST_PORT;
				if (step % 5 == 0)
					assert_int_equal(device_worker(b, family, j, port), w);
			}
			assert_int_equal(p.usable[family != 4][pair], n - before);
			assert_true(p.least[family != 4] <= n - before);
		}
		assert_int_equal(n, PORTS);
		free(seen);
	}
}

static void every_port_belongs_to_one_worker_of_a_pair(void **state) {
	for_each_device(check_partition);
}

static struct flow_new new_flow(const struct bed *b, uint8_t family, const struct flow_ports *p) {
	return (struct flow_new){.backend = 1,
				 .endpoint = family,
				 .protocol = 17,
				 .back = FLOW_BACK_SNAT,
				 .starts = true,
				 .ports = p,
				 .rss_part = part_of(b, family)};
}

static struct flow_table *table_of(const struct bed *b, uint16_t worker, uint32_t capacity,
				   uint8_t n_snat) {
	struct flow_config c = fixture_config(capacity);

	c.worker = worker;
	c.workers = b->d.workers;
	c.n_snat[0] = c.n_snat[1] = n_snat;
	return fixture_table(&c);
}

static void check_drawn(const struct bed *b, uint8_t family) {
	static struct flow_ports p;

	for (uint16_t w = 0; w < b->d.workers; w++) {
		struct flow_table *t = table_of(b, w, 2000, SNATS);
		struct flow_new n;

		flow_ports_init(&p, &b->r, w);
		n = new_flow(b, family, &p);
		for (uint32_t i = 0; i < 1000; i++) {
			const struct flow_key k = fixture_key(family, i, 1);
			struct flow_ahead ahead = {.of = {{0}}};
			const struct flow_record *r;
			struct flow_key origin;
			const struct snat *s;
			struct flow *f;

			flow_port_draw(t, family, &n, &ahead, &n.drawn);
			assert_int_equal(fixture_create(t, &k, &n, 0, &f), 0);
			r = flow_record(t, family, f);
			assert_in_range(r->snat_port, FLOW_FIRST_PORT, 65535);
			assert_int_equal(device_worker(b, family, r->snat_index,
						       (uint16_t)r->snat_port),
					 w);
			s = fixture_snat(t, family, n.endpoint, r->snat_index,
					 (uint16_t)r->snat_port);
			assert_non_null(s);
			origin = flow_snat_origin(family, s);
			assert_memory_equal(&origin, &k, sizeof(origin));
		}
		free(t);
	}
}

static void the_answer_to_every_port_drawn_comes_to_its_worker(void **state) {
	for_each_device(check_drawn);
}

// One worker of two takes all that it has towards a pair, then is refused; a freed port serves again.
static void a_pair_gives_all_its_ports_and_no_more(void **state) {
	static struct flow_ports p;
	static struct bed b;

	for (uint8_t family = 4; family <= 6; family += 2) {
		uint8_t *seen = calloc(65536, 1);
		uint32_t n = 0, usable;
		struct flow_table *t;
		struct flow_new new;
		struct flow_key k;
		struct flow *f;

		seed = 7;
		make(&b, 128, 2, 0);
		flow_ports_init(&p, &b.r, 1);
		new = new_flow(&b, family, &p);
		t = table_of(&b, 1, 200000, 1);
		usable = p.usable[family != 4][new.rss_part ^ b.r.of[family != 4].snat[0]];
		for (;; n++) {
			k = fixture_key(family, n, 1);
			if (fixture_create(t, &k, &new, 0, &f) < 0)
				break;
			assert_int_equal(seen[flow_record(t, family, f)->snat_port]++, 0);
		}
		assert_in_range(n, usable - usable / 500, usable); // the last few are hard to find
		assert_int_equal(fixture_create(t, &k, &new, 0, &f), -EADDRNOTAVAIL);
		k = fixture_key(family, 5, 1);
		flow_remove(t, family, fixture_find(t, &k, 0), 0);
		for (uint32_t i = 0; fixture_create(t, &k, &new, i, &f) < 0; i++)
			assert_true(i < 1000); // each look goes on where the one before ended
		free(seen);
		free(t);
	}
}

static void slice_and_rss_endpoints_share_a_table(void **state) {
	static struct flow_ports p;
	static struct bed b;
	struct flow_table *t;
	struct flow *f;

	seed = 3;
	make(&b, 64, 3, 1);
	flow_ports_init(&p, &b.r, 2);
	t = table_of(&b, 2, 4000, 2);
	for (uint32_t i = 0; i < 3000; i++) {
		struct flow_new n = new_flow(&b, 4, i & 1 ? &p : NULL);
		const struct flow_key k = fixture_key(4, i, 1);
		const struct flow_record *r;

		n.endpoint = i & 1;
		assert_int_equal(fixture_create(t, &k, &n, 0, &f), 0);
		r = flow_record(t, 4, f);
		assert_int_equal(i & 1 ? device_worker(&b, 4, r->snat_index, (uint16_t)r->snat_port)
				       : r->snat_port % 3,
				 2);
	}
	free(t);
}

static void what_does_not_serve_is_refused_with_its_reason(void **state) {
	static const struct {
		const char *why;
		uint32_t size;
		uint16_t workers;
		uint8_t key, queue; // queue: every entry's; 255: spread
	} cases[] = {
		{"one worker", 128, 1, 1, 255},
		{"a redirection table of unusual size", 96, 2, 1, 255},
		{"a redirection table of unusual size", 1024, 2, 1, 255},
		{"a redirection table of unusual size", 0, 2, 1, 255},
		{"an empty hash key", 128, 2, 0, 255},
		{"a redirection table that neglects some worker", 128, 2, 1, 0},
		{"a redirection table that neglects some worker", 128, 2, 1, 2}, // of no worker
		{"a hash key that does not spread ports", 128, 2, 0xff, 255},
	};
	static struct bed b;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = "";

		seed = 1;
		make(&b, 128, 2, 0);
		b.d.size = cases[i].size;
		b.d.workers = cases[i].workers;
		if (cases[i].key != 1)
			memset(b.d.key, cases[i].key, sizeof(b.d.key));
		for (unsigned e = 0; e < 128 && cases[i].queue != 255; e++)
			b.d.worker[e] = cases[i].queue;
		assert_int_equal(init(&b, &why), -EINVAL);
		assert_string_equal(why, cases[i].why);
	}
}

// 6d5a is repeated by symmetric RSS; the others are drivers' defaults.
static void keys_in_use_spread_ports(void **state) {
	static const uint8_t microsoft[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
					      0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
					      0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
					      0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
					      0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
	static struct bed b;
	const char *why;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make(&b, sizes[i], 2, 0);
		memcpy(b.d.key, microsoft, sizeof(microsoft));
		assert_int_equal(init(&b, &why), 0);
		for (unsigned j = 0; j < sizeof(b.d.key); j++)
			b.d.key[j] = j & 1 ? 0x5a : 0x6d;
		assert_int_equal(init(&b, &why), 0);
	}
}

static void equal_devices_are_the_same_and_others_not(void **state) {
	static struct bed a, b;
	const char *why;

	seed = 9;
	make(&a, 128, 4, 0);
	b = a;
	assert_true(rss_is_same(&a.r, &b.r));
	b.d.key[39] ^= 1;
	assert_int_equal(init(&b, &why), 0);
	assert_false(rss_is_same(&a.r, &b.r));
	b = a;
	b.d.worker[0] = 1;
	b.d.worker[1] = 0;
	assert_int_equal(init(&b, &why), 0);
	assert_false(rss_is_same(&a.r, &b.r));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_names_the_devices_worker),
		cmocka_unit_test(every_port_belongs_to_one_worker_of_a_pair),
		cmocka_unit_test(the_answer_to_every_port_drawn_comes_to_its_worker),
		cmocka_unit_test(a_pair_gives_all_its_ports_and_no_more),
		cmocka_unit_test(slice_and_rss_endpoints_share_a_table),
		cmocka_unit_test(what_does_not_serve_is_refused_with_its_reason),
		cmocka_unit_test(keys_in_use_spread_ports),
		cmocka_unit_test(equal_devices_are_the_same_and_others_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
