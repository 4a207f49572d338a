// SPDX-License-Identifier: Apache-2.0
// ClientIP affinity: sliding, bounded, the oldest goes first; against a plain list.
#include "flow/affinity.h"

#include "flow_fixture.h"

static struct affinity_table *table(uint32_t capacity) {
	size_t size = affinity_table_size(capacity);
	void *memory = aligned_alloc(64, size);
	struct affinity_table *t = NULL;

	assert_non_null(memory);
	memset(memory, 0, size);
	assert_int_equal(affinity_init(&t, memory, capacity, 7), 0);
	return t;
}

static struct affinity_key key(uint32_t client, uint32_t service) {
	return (struct affinity_key){.addr = {client},
				     .service = service,
				     .family = client % 2 ? 4 : 6};
}

static bool find(struct affinity_table *t, struct affinity_key k, uint32_t timeout, uint32_t now,
		 uint32_t *backend) {
	uint8_t gen = 0;

	return affinity_find(t, &k, affinity_hash(t, &k), timeout, now, backend, &gen);
}

static bool set(struct affinity_table *t, struct affinity_key k, uint32_t timeout, uint32_t now,
		uint32_t backend) {
	return affinity_set(t, &k, affinity_hash(t, &k), timeout, now, backend, 1);
}

static void an_entry_slides_and_ends_after_its_timeout(void **state) {
	struct affinity_table *t = table(4);
	uint32_t backend = 0;

	assert_false(set(t, key(1, 1), 40, 100, 9));
	assert_true(find(t, key(1, 1), 40, 140, &backend)); // to the tick
	assert_int_equal(backend, 9);
	assert_true(find(t, key(1, 1), 40, 180, &backend)); // slid
	assert_false(find(t, key(1, 1), 40, 221, &backend));
	assert_int_equal(affinity_count(t), 0);
	assert_false(find(t, key(1, 2), 40, 100, &backend));
	free(t);
}

static void the_clock_may_wrap(void **state) {
	struct affinity_table *t = table(4);
	uint32_t backend = 0;

	set(t, key(1, 1), 40, UINT32_MAX - 5, 9);
	assert_true(find(t, key(1, 1), 40, 20, &backend));
	assert_false(find(t, key(1, 1), 40, 61, &backend));
	free(t);
}

static void the_oldest_goes_first_and_is_counted_only_while_it_lives(void **state) {
	struct affinity_table *t = table(2);
	uint32_t backend = 0;

	set(t, key(1, 1), 40, 0, 1);
	set(t, key(2, 1), 40, 1, 2);
	assert_true(find(t, key(1, 1), 40, 2, &backend)); // now 2 is the oldest
	assert_true(set(t, key(3, 1), 40, 3, 3));
	assert_false(find(t, key(2, 1), 40, 3, &backend));
	assert_true(find(t, key(1, 1), 40, 3, &backend));
	assert_false(set(t, key(4, 1), 40, 50, 4)); // the oldest had ended
	assert_int_equal(affinity_count(t), 2);
	free(t);
}

static void impossible_sizes_are_refused(void **state) {
	static _Alignas(64) char memory[128];
	struct affinity_table *t = NULL;

	assert_int_equal(affinity_init(&t, memory, 0, 1), -22);
	assert_int_equal(affinity_init(&t, memory + 8, 1, 1), -22);
	assert_null(t);
}

// --- against a model ---

#define CLIENTS 24
#define CAPACITY 12

struct model_entry {
	bool there;
	uint32_t backend, last, timeout;
	uint64_t used; // order of use
};

struct model {
	struct model_entry e[CLIENTS];
	uint64_t uses;
};

static uint32_t model_count(const struct model *m) {
	uint32_t n = 0;

	for (unsigned i = 0; i < CLIENTS; i++)
		n += m->e[i].there;
	return n;
}

static bool model_evict(struct model *m, uint32_t now) {
	struct model_entry *oldest = NULL;

	for (unsigned i = 0; i < CLIENTS; i++)
		if (m->e[i].there && (oldest == NULL || m->e[i].used < oldest->used))
			oldest = &m->e[i];
	oldest->there = false;
	return now - oldest->last <= oldest->timeout;
}

static bool model_set(struct model *m, unsigned i, uint32_t timeout, uint32_t now,
		      uint32_t backend) {
	bool evicted = false;

	if (!m->e[i].there && model_count(m) == CAPACITY)
		evicted = model_evict(m, now);
	m->e[i] = (struct model_entry){true, backend, now, timeout, ++m->uses};
	return evicted;
}

static bool model_find(struct model *m, unsigned i, uint32_t timeout, uint32_t now,
		       uint32_t *backend) {
	struct model_entry *e = &m->e[i];

	if (!e->there)
		return false;
	if (now - e->last > timeout) {
		e->there = false;
		return false;
	}
	*e = (struct model_entry){true, e->backend, now, timeout, ++m->uses};
	*backend = e->backend;
	return true;
}

static void any_sequence_behaves_like_a_plain_list(void **state) {
	struct affinity_table *t = table(CAPACITY);
	uint32_t now = UINT32_MAX - 20000;
	struct model m = {.uses = 0};
	uint64_t seed = 1;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t r = fixture_random(&seed);
		unsigned who = r % CLIENTS;
		uint32_t timeout = 10 + (r >> 8) % 40, got = 0, want = 0;

		now += (r >> 16) % 8 == 0;
		if ((r >> 24) % 2) {
			uint32_t backend = (r >> 32) % 100;

			assert_int_equal(set(t, key(who, 1), timeout, now, backend),
					 model_set(&m, who, timeout, now, backend));
		} else {
			assert_int_equal(find(t, key(who, 1), timeout, now, &got),
					 model_find(&m, who, timeout, now, &want));
		}
		assert_int_equal(got, want);
		assert_int_equal(affinity_count(t), model_count(&m));
	}
	free(t);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_slides_and_ends_after_its_timeout),
		cmocka_unit_test(the_clock_may_wrap),
		cmocka_unit_test(the_oldest_goes_first_and_is_counted_only_while_it_lives),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(any_sequence_behaves_like_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
