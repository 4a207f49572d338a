// SPDX-License-Identifier: Apache-2.0
// The model: what counts as a change, canonical copies, refusals.
#include <errno.h>

#include "kube_case.h"
#include "model/model.h"

static struct model_service service(const char *name, uint16_t port) {
	struct model_service s = {.key = {.port = port, .protocol = MODEL_TCP}};

	strcpy(s.key.ns, "default");
	strcpy(s.key.name, name);
	return s;
}

static void order_and_repetition_of_its_arrays_do_not_make_a_service_different(void **state) {
	struct model *m = model_create();
	struct model_service s = service("web", 80);
	struct model_frontend f[] = {{case_ip("10.0.0.2"), 80, 0},
				     {case_ip("10.0.0.1"), 80, 0},
				     {case_ip("10.0.0.2"), 80, 1}};
	struct model_frontend g[] = {{case_ip("10.0.0.1"), 80, 0}, {case_ip("10.0.0.2"), 80, 0}};

	s.frontends = f;
	s.n_frontends = 3;
	assert_int_equal(model_put(m, &s), 1);
	s.frontends = g;
	s.n_frontends = 2;
	assert_int_equal(model_put(m, &s), 0);
	assert_int_equal(model_find(m, &s.key)->n_frontends, 2);
	assert_int_equal(model_find(m, &s.key)->frontends[1].kind, MODEL_LOAD_BALANCER);
	model_destroy(m);
}

static void garbage_behind_a_name_does_not_make_another_key(void **state) {
	struct model *m = model_create();
	struct model_service s = service("web", 80);

	assert_int_equal(model_put(m, &s), 1);
	strcpy(s.key.name + 10, "garbage");
	assert_int_equal(model_put(m, &s), 0);
	assert_int_equal(model_remove(m, &s.key), 1);
	assert_int_equal(model_remove(m, &s.key), 0);
	model_destroy(m);
}

static void the_better_of_two_equal_backends_stays(void **state) {
	struct model *m = model_create();
	struct model_service s = service("web", 80);
	struct model_backend b[] = {{case_ip("10.0.0.1"), 80, MODEL_UNUSABLE, 0, 1, "not-ready"},
				    {case_ip("10.0.0.1"), 80, MODEL_READY, 1, 1, ""}};

	s.backends = b;
	s.n_backends = 2;
	assert_int_equal(model_put(m, &s), 1);
	assert_int_equal(model_find(m, &s.key)->n_backends, 1);
	assert_int_equal(model_find(m, &s.key)->backends[0].state, MODEL_READY);
	model_destroy(m);
}

static void dirty_keys_are_each_changed_key_once_and_in_order(void **state) {
	struct model *m = model_create();
	struct model_service b = service("b", 80), a = service("a", 80), a2 = service("a", 79);
	struct model_key *keys;

	model_put(m, &b);
	model_put(m, &a);
	model_put(m, &a2);
	model_remove(m, &b.key);
	assert_int_equal(model_take_dirty(m, &keys), 3);
	assert_int_equal(keys[0].port, 79);
	assert_int_equal(keys[1].port, 80);
	assert_string_equal(keys[2].name, "b");
	free(keys);
	model_put(m, &a);
	assert_int_equal(model_take_dirty(m, &keys), 0);
	free(keys);
	model_destroy(m);
}

static void lists_are_sorted_and_can_be_limited_to_one_service(void **state) {
	struct model *m = model_create();
	struct model_service b = service("b", 80), a = service("a", 80), a2 = service("a", 443);
	const struct model_service **list;

	model_put(m, &b);
	model_put(m, &a2);
	model_put(m, &a);
	assert_int_equal(model_list(m, &list), 3);
	assert_int_equal(list[1]->key.port, 443);
	free(list);
	assert_int_equal(model_list_of(m, "default", "a", &list), 2);
	free(list);
	model_destroy(m);
}

static void impossible_services_are_refused(void **state) {
	struct model *m = model_create();
	struct model_frontend f = {case_ip("10.0.0.1"), 80, 0};
	struct model_backend b = {case_ip("10.0.0.1"), 80, MODEL_READY, 1, 1, ""};
	struct model_service s;

	s = service("", 80);
	assert_int_equal(model_put(m, &s), -EINVAL);
	s = service("web", 80);
	s.key.protocol = 1;
	assert_int_equal(model_put(m, &s), -EINVAL);
	s = service("web", 0);
	assert_int_equal(model_put(m, &s), 1);
	s.frontends = &f;
	s.n_frontends = 1;
	assert_int_equal(model_put(m, &s), -EINVAL);
	s.key.port = 80;
	f.addr.b[7] = 1;
	assert_int_equal(model_put(m, &s), -EINVAL);
	s.n_frontends = 0;
	s.backends = &b;
	s.n_backends = 1;
	b.weight = 0;
	assert_int_equal(model_put(m, &s), -EINVAL);
	b.weight = 1;
	b.state = MODEL_UNUSABLE;
	assert_int_equal(model_put(m, &s), -EINVAL);
	memset(s.reason, 'x', sizeof(s.reason));
	s.n_backends = 0;
	assert_int_equal(model_put(m, &s), -EINVAL);
	s.reason[0] = 0;
	memset(s.note, 'x', sizeof(s.note));
	assert_int_equal(model_put(m, &s), -EINVAL);
	model_destroy(m);
}

static void any_sequence_of_puts_and_removes_equals_a_plain_array(void **state) {
	struct model *m = model_create();
	uint32_t timeout[32] = {0}; // 0: absent
	const struct model_service **list;
	int present = 0;

	srandom(1);
	for (int step = 0; step < 5000; step++) {
		uint16_t i = random() % 32;
		struct model_service s = service("web", i + 1);

		if (random() % 3 == 0) {
			assert_int_equal(model_remove(m, &s.key), timeout[i] != 0);
			timeout[i] = 0;
			continue;
		}
		s.affinity_timeout = 1 + random() % 3;
		assert_int_equal(model_put(m, &s), s.affinity_timeout != timeout[i]);
		timeout[i] = s.affinity_timeout;
		assert_int_equal(model_find(m, &s.key)->affinity_timeout, timeout[i]);
	}
	for (int i = 0; i < 32; i++)
		present += timeout[i] != 0;
	assert_int_equal(model_list(m, &list), present);
	free(list);
	model_destroy(m);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			order_and_repetition_of_its_arrays_do_not_make_a_service_different),
		cmocka_unit_test(garbage_behind_a_name_does_not_make_another_key),
		cmocka_unit_test(the_better_of_two_equal_backends_stays),
		cmocka_unit_test(dirty_keys_are_each_changed_key_once_and_in_order),
		cmocka_unit_test(lists_are_sorted_and_can_be_limited_to_one_service),
		cmocka_unit_test(impossible_services_are_refused),
		cmocka_unit_test(any_sequence_of_puts_and_removes_equals_a_plain_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
