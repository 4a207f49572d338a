// SPDX-License-Identifier: Apache-2.0
// compile: ids, generations, modes, refs, own addresses, next hops; what a change costs.
#include "compile_fixture.h"

#include <errno.h>

#include "compile/ids.h"

static struct fixture f;
static struct service_box a, b;

static int setup(void **state) {
	fixture_init(&f);
	return 0;
}

static int teardown(void **state) {
	fixture_fini(&f);
	return 0;
}

// Two backends behind one address.
static void web(struct service_box *s, const char *name, uint16_t port, enum model_mode mode,
		const char *vip) {
	box(s, name, port, mode);
	box_frontend(s, vip);
	box_backend(s, "10.0.1.1", mode == MODEL_DSR ? port : 8080);
	box_backend(s, "10.0.1.2", mode == MODEL_DSR ? port : 8080);
}

static struct local_ref local_at(const char *addr) {
	struct ip_addr ip = addr_of(addr);
	struct local_ref ref = {0};

	assert_true(tuple_find_addr(f.t->local_map, &ip, 0, 0, &ref));
	return ref;
}

static bool is_usable(const struct service_box *s, const char *addr, uint16_t port) {
	return backend_state(&f.t->backends[backend_at(&f, s, addr, port)]) & BACKEND_USABLE;
}

static bool is_live(uint32_t id) {
	return backend_state(&f.t->backends[id]) & BACKEND_LIVE;
}

static const char *reason_of(const struct service_box *s, const char *addr, uint16_t port) {
	return compile_backend_reason(f.compile, backend_at(&f, s, addr, port));
}

static void the_first_snapshot_is_empty_and_knows_the_site(void **state) {
	assert_int_equal(f.t->generation, 1);
	assert_int_equal(f.t->n_services, 0);
	assert_int_equal(f.t->workers, 3);
	assert_int_equal(f.t->n_ports, 2);
	assert_int_equal(f.t->ports[1].vlan, 7);
	assert_memory_equal(&f.t->ports[1].mac, &f.macs[1], sizeof(struct mac_addr));
	assert_true(ip_addr_eq(&f.t->ports[0].addr4, &f.addresses[0][0].addr));
	assert_true(ip_addr_eq(&f.t->ports[0].addr6, &f.addresses[0][1].addr));
	assert_int_equal(f.t->n_snat4, 1);
	assert_true(ip_addr_eq(&f.t->snat6[0], &f.snat6[0]));
	assert_int_equal(fixture_update(&f), 0);
}

static void own_addresses_say_what_they_are_and_which_ports_answer(void **state) {
	struct local_ref ref;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	box_frontend(&a, "192.0.2.50");
	box_frontend(&a, "192.0.2.2");
	box_frontend(&a, "192.0.2.10");
	put(&f, &a);
	assert_int_equal(fixture_update(&f), 1);
	ref = local_at("10.0.0.1");
	assert_int_equal(ref.kinds, LOCAL_PORT);
	assert_int_equal(ref.answer, 2);
	ref = local_at("203.0.113.1"); // on no port's subnet: all answer
	assert_int_equal(ref.kinds, LOCAL_VIP);
	assert_int_equal(ref.answer, 3);
	ref = local_at("192.0.2.50");
	assert_int_equal(ref.answer, 1);
	ref = local_at("192.0.2.2");
	assert_int_equal(ref.kinds, LOCAL_PORT | LOCAL_VIP);
	assert_int_equal(ref.answer, 1);
	ref = local_at("192.0.2.10");
	assert_int_equal(ref.kinds, LOCAL_SNAT | LOCAL_VIP);
	assert_int_equal(ref.snat_index, 0);
	assert_int_equal(local_at("2001:db8:2::10").kinds, LOCAL_SNAT);
}

static void new_addresses_are_told_once(void **state) {
	struct ip_addr *list;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(compile_new_addresses(f.compile, &list), 1);
	assert_true(ip_addr_eq(&list[0], &a.frontends[0].addr));
	free(list);
	web(&b, "b", 81, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &b);
	fixture_update(&f);
	assert_int_equal(compile_new_addresses(f.compile, &list), 0);
	free(list);
	// The address moves from one service to another in one update: nobody has to learn it anew.
	model_remove(f.model, &a.s.key);
	model_remove(f.model, &b.s.key);
	web(&b, "c", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &b);
	assert_int_equal(fixture_update(&f), 1);
	assert_string_equal(compile_reason(f.compile, &b.s.key), "");
	assert_int_equal(compile_new_addresses(f.compile, &list), 0);
	free(list);
}

static void generations_count_snapshots_that_differ(void **state) {
	const struct service *blob;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	assert_int_equal(fixture_update(&f), 1);
	assert_int_equal(f.t->generation, 2);
	assert_int_equal(compile_generation(f.compile, &a.s.key), 2);
	blob = service_at(f.t, "203.0.113.1", 80);
	assert_int_equal(blob->generation, 2);
	snprintf(a.s.reason, sizeof(a.s.reason), "only words");
	put(&f, &a);
	assert_int_equal(fixture_update(&f), 0);
	web(&b, "b", 80, MODEL_FULLNAT, "203.0.113.2");
	put(&f, &b);
	assert_int_equal(fixture_update(&f), 1);
	assert_int_equal(f.t->generation, 3);
	assert_int_equal(compile_generation(f.compile, &a.s.key), 2);
	assert_ptr_equal(service_at(f.t, "203.0.113.1", 80), blob);
	model_remove(f.model, &b.s.key);
	assert_int_equal(fixture_update(&f), 1);
	assert_int_equal(compile_generation(f.compile, &b.s.key), 0);
}

static void another_mode_has_other_ids_throughout(void **state) {
	static const enum model_mode modes[] = {MODEL_FULLNAT, MODEL_DNAT, MODEL_FULLNAT};
	struct frontend_ref before = {0}, ref;
	uint32_t backend = 0;

	for (size_t i = 0; i < 3; i++) {
		web(&a, "a", 80, modes[i], "203.0.113.1");
		put(&f, &a);
		assert_int_equal(fixture_update(&f), 1);
		ref = frontend_at(f.t, "203.0.113.1", 80);
		assert_int_equal(ref.mode, modes[i]);
		if (i > 0) {
			assert_int_not_equal(ref.id, before.id);
			assert_int_not_equal(ref.service, before.service);
			assert_int_not_equal(backend_at(&f, &a, "10.0.1.1", 8080), backend);
			assert_false(is_live(backend));
			assert_int_equal(f.t->frontends[before.id].ref.service, TABLES_NO_ID);
		}
		before = ref;
		backend = backend_at(&f, &a, "10.0.1.1", 8080);
		assert_true(is_live(backend));
	}
	assert_int_equal(endpoint_at(f.t, "10.0.1.1", 8080).id, f.t->backends[backend].endpoint);
}

static void affinity_keeps_the_ids_and_changes_bits_and_salts(void **state) {
	struct frontend_ref before, ref;
	struct frontend one, two;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	box_frontend(&a, "203.0.113.2");
	put(&f, &a);
	fixture_update(&f);
	before = frontend_at(f.t, "203.0.113.1", 80);
	one = f.t->frontends[before.id];
	two = f.t->frontends[frontend_at(f.t, "203.0.113.2", 80).id];
	assert_true(memcmp(one.salt, two.salt, sizeof(one.salt)) != 0);
	a.s.affinity_timeout = 10800;
	put(&f, &a);
	assert_int_equal(fixture_update(&f), 1);
	ref = frontend_at(f.t, "203.0.113.1", 80);
	assert_int_equal(ref.id, before.id);
	assert_int_equal(ref.service, before.service);
	assert_true(ref.affinity && ref.owner_by_address);
	one = f.t->frontends[ref.id];
	two = f.t->frontends[frontend_at(f.t, "203.0.113.2", 80).id];
	assert_memory_equal(one.salt, two.salt, sizeof(one.salt));
	assert_true(one.ref.affinity);
	assert_int_equal(service_at(f.t, "203.0.113.1", 80)->affinity_ticks, 43200);
	assert_int_equal(compile_tables_built(f.compile), 1);
	a.s.affinity_timeout = 0;
	put(&f, &a);
	fixture_update(&f);
	assert_false(f.t->frontends[ref.id].ref.affinity);
}

static void listed_backends_keep_their_flows_unless_they_stopped_serving(void **state) {
	static const struct {
		uint8_t state, usable;
		const char *reason;
		uint8_t want;
	} cases[] = {
		{MODEL_READY, 1, "", BACKEND_LIVE | BACKEND_USABLE},
		{MODEL_DRAINING, 0, "terminating", BACKEND_LIVE},
		{MODEL_DRAINING, 1, "terminating", BACKEND_LIVE | BACKEND_USABLE},
		{MODEL_UNUSABLE, 0, "not-ready", BACKEND_LIVE},
		{MODEL_UNUSABLE, 0, "not-serving", 0},
		{MODEL_UNUSABLE, 0, "node-excluded", BACKEND_LIVE},
	};
	uint32_t id;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	id = backend_at(&f, &a, "10.0.1.1", 8080);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a.backends[0].state = cases[i].state;
		a.backends[0].usable = cases[i].usable;
		snprintf(a.backends[0].reason, sizeof(a.backends[0].reason), "%s", cases[i].reason);
		put(&f, &a);
		fixture_update(&f);
		assert_int_equal(backend_at(&f, &a, "10.0.1.1", 8080), id);
		assert_int_equal(backend_state(&f.t->backends[id]), cases[i].want);
	}
	a.s.backends++;
	a.s.n_backends--;
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(backend_state(&f.t->backends[id]), 0);
	assert_int_equal(backend_at(&f, &a, "10.0.1.1", 8080), TABLES_NO_ID);
}

static void a_single_backend_needs_no_table(void **state) {
	const struct service *s;

	box(&a, "a", 80, MODEL_FULLNAT);
	box_frontend(&a, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(service_at(f.t, "203.0.113.1", 80)->n_usable, 0);
	box_backend(&a, "10.0.1.9", 8080);
	put(&f, &a);
	fixture_update(&f);
	s = service_at(f.t, "203.0.113.1", 80);
	assert_int_equal(s->n_usable, 1);
	assert_int_equal(s->table.size, 0);
	assert_int_equal(s->usable[0], backend_at(&f, &a, "10.0.1.9", 8080));
	box_backend(&a, "10.0.1.3", 8080);
	put(&f, &a);
	fixture_update(&f);
	s = service_at(f.t, "203.0.113.1", 80);
	assert_int_equal(s->table.size, maglev_size(2));
	assert_int_equal(s->usable[0], backend_at(&f, &a, "10.0.1.3", 8080)); // sorted by address
}

static uint32_t slots_of_second(const struct service *s) {
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->table.size; i++)
		n += ((const uint8_t *)s->table.slots)[i];
	return n;
}

static void weights_are_shares_of_the_table(void **state) {
	const struct service *s;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	a.backends[1].weight = 3;
	put(&f, &a);
	fixture_update(&f);
	s = service_at(f.t, "203.0.113.1", 80);
	assert_in_range(slots_of_second(s), s->table.size * 3 / 4 - 1, s->table.size * 3 / 4 + 1);
	a.backends[0].weight = 3; // the weight alone makes another table
	put(&f, &a);
	assert_int_equal(fixture_update(&f), 1);
	s = service_at(f.t, "203.0.113.1", 80);
	assert_in_range(slots_of_second(s), s->table.size / 2 - 1, s->table.size / 2 + 1);
}

static void next_hops_decide_who_is_usable(void **state) {
	static const struct {
		enum model_mode mode;
		const char *addr, *reason;
	} cases[] = {
		{MODEL_FULLNAT, "10.0.1.1", ""},
		{MODEL_FULLNAT, "172.16.5.5", ""},
		{MODEL_FULLNAT, "198.51.100.7", ""}, // through the default route
		{MODEL_DNAT, "198.51.100.7", ""},
		{MODEL_DSR, "198.51.100.7", "dsr-next-hop"},
		{MODEL_DSR, "192.0.2.254", "dsr-next-hop"}, // the gateway itself
		{MODEL_DSR, "172.16.5.5", ""},              // a gateway, but of no default route
		{MODEL_DSR, "10.0.1.1", ""},
		{MODEL_FULLNAT, "10.0.0.1", "own-address"},
		{MODEL_FULLNAT, "192.0.2.10", "own-address"},
		{MODEL_FULLNAT, "203.0.113.1", "own-address"},
		{MODEL_FULLNAT, "2001:db8:10::5", ""},
		{MODEL_FULLNAT, "2001:db8:99::5", "no-route"},
		{MODEL_DSR, "2001:db8:99::5", "no-route"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t port = cases[i].mode == MODEL_DSR ? 80 : 8080;

		box(&a, "a", 80, cases[i].mode);
		box_frontend(&a, "203.0.113.1");
		box_frontend(&a, "2001:db8:100::1");
		box_backend(&a, cases[i].addr, port);
		put(&f, &a);
		fixture_update(&f);
		assert_string_equal(reason_of(&a, cases[i].addr, port), cases[i].reason);
		assert_int_equal(is_usable(&a, cases[i].addr, port), cases[i].reason[0] == 0);
	}
}

static void an_address_that_becomes_ours_stops_being_a_backend(void **state) {
	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	assert_true(is_usable(&a, "10.0.1.1", 8080));
	web(&b, "b", 80, MODEL_FULLNAT, "10.0.1.1");
	put(&f, &b);
	fixture_update(&f);
	assert_string_equal(reason_of(&a, "10.0.1.1", 8080), "own-address");
	assert_int_equal(service_at(f.t, "203.0.113.1", 80)->n_usable, 1);
	model_remove(f.model, &b.s.key);
	fixture_update(&f);
	assert_true(is_usable(&a, "10.0.1.1", 8080));
}

static void source_ranges_bind_load_balancer_addresses_of_their_family(void **state) {
	struct ip_addr inside = addr_of("198.51.100.1"), outside = addr_of("198.51.101.1"),
		       v6 = addr_of("2001:db8::1");
	const struct service *s;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	box_frontend(&a, "203.0.113.250");
	a.frontends[1].kind = MODEL_NODE_PORT;
	box_frontend(&a, "2001:db8:100::1");
	a.s.restricted = true;
	a.ranges[a.s.n_source_ranges++] = prefix_of("198.51.100.0/24");
	put(&f, &a);
	fixture_update(&f);
	assert_true(frontend_at(f.t, "203.0.113.1", 80).restricted);
	assert_false(frontend_at(f.t, "203.0.113.250", 80).restricted);
	s = service_at(f.t, "203.0.113.1", 80);
	assert_int_not_equal(lpm_find(s->sources, &inside), LPM_NONE);
	assert_int_equal(lpm_find(s->sources, &outside), LPM_NONE);
	s = service_at(f.t, "2001:db8:100::1", 80); // no range of the family: closed
	assert_true(frontend_at(f.t, "2001:db8:100::1", 80).restricted);
	assert_int_equal(lpm_find(s->sources, &v6), LPM_NONE);
	a.s.restricted = false;
	a.s.n_source_ranges = 0;
	put(&f, &a);
	assert_int_equal(fixture_update(&f), 1);
	assert_null(service_at(f.t, "203.0.113.1", 80)->sources);
	assert_false(frontend_at(f.t, "203.0.113.1", 80).restricted);
}

static void an_endpoint_keeps_its_first_frontend_while_that_exists(void **state) {
	struct endpoint_ref ref;
	uint32_t first, second;

	web(&a, "z", 80, MODEL_DNAT, "203.0.113.9");
	put(&f, &a);
	fixture_update(&f);
	first = frontend_at(f.t, "203.0.113.9", 80).id;
	ref = endpoint_at(f.t, "10.0.1.1", 8080);
	assert_true(ref.dnat && !ref.ambiguous && !ref.fullnat);
	assert_int_equal(ref.frontend, first);
	web(&b, "b", 80, MODEL_DNAT, "203.0.113.1");
	put(&f, &b);
	fixture_update(&f);
	second = frontend_at(f.t, "203.0.113.1", 80).id;
	ref = endpoint_at(f.t, "10.0.1.1", 8080);
	assert_true(ref.ambiguous);
	assert_int_equal(ref.frontend, first);
	assert_true(f.t->endpoints[ref.id].ref.ambiguous);
	model_remove(f.model, &a.s.key);
	fixture_update(&f);
	ref = endpoint_at(f.t, "10.0.1.1", 8080);
	assert_false(ref.ambiguous);
	assert_int_equal(ref.frontend, second);
	put(&f, &a);
	fixture_update(&f);
	ref = endpoint_at(f.t, "10.0.1.1", 8080);
	assert_true(ref.ambiguous);
	assert_int_equal(ref.frontend, second);
}

static void dsr_has_no_way_back(void **state) {
	struct ip_addr addr = addr_of("10.0.1.1");
	struct endpoint_ref ref;

	web(&a, "a", 80, MODEL_DSR, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	assert_false(tuple_find_addr(f.t->endpoint_map, &addr, wire(80), 6, &ref));
	web(&b, "b", 81, MODEL_FULLNAT, "203.0.113.1");
	b.backends[0].port = 80;
	put(&f, &b);
	fixture_update(&f);
	ref = endpoint_at(f.t, "10.0.1.1", 80);
	assert_true(ref.fullnat && !ref.dnat);
}

static void affinity_spreads_over_what_shares_dnat_endpoints(void **state) {
	static struct service_box c, d;

	box(&a, "a", 80, MODEL_DNAT);
	box_frontend(&a, "203.0.113.1");
	box_backend(&a, "10.0.1.1", 8080);
	box(&b, "b", 80, MODEL_DNAT);
	box_frontend(&b, "203.0.113.2");
	box_backend(&b, "10.0.1.1", 8080);
	box_backend(&b, "10.0.1.2", 8080);
	box(&c, "c", 80, MODEL_DNAT);
	box_frontend(&c, "203.0.113.3");
	box_backend(&c, "10.0.1.2", 8080);
	box_backend(&c, "10.0.1.3", 8080);
	box(&d, "d", 80, MODEL_FULLNAT);
	box_frontend(&d, "203.0.113.4");
	box_backend(&d, "10.0.1.3", 8080);
	put(&f, &a);
	put(&f, &b);
	put(&f, &c);
	put(&f, &d);
	fixture_update(&f);
	assert_false(frontend_at(f.t, "203.0.113.3", 80).owner_by_address);
	a.s.affinity_timeout = 60;
	put(&f, &a);
	fixture_update(&f);
	assert_true(frontend_at(f.t, "203.0.113.1", 80).owner_by_address);
	assert_true(frontend_at(f.t, "203.0.113.3", 80).owner_by_address);
	assert_true(endpoint_at(f.t, "10.0.1.3", 8080).owner_by_address);
	assert_false(frontend_at(f.t, "203.0.113.4", 80).owner_by_address); // fullnat
	model_remove(f.model, &b.s.key);                                    // the link between them
	fixture_update(&f);
	assert_true(endpoint_at(f.t, "10.0.1.1", 8080).owner_by_address);
	assert_false(frontend_at(f.t, "203.0.113.3", 80).owner_by_address);
	assert_false(endpoint_at(f.t, "10.0.1.3", 8080).owner_by_address);
}

static void a_taken_address_waits_for_its_holder_to_leave(void **state) {
	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	web(&b, "b", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &b);
	fixture_update(&f);
	assert_string_equal(compile_reason(f.compile, &b.s.key),
			    "203.0.113.1:80 is served by default/a");
	assert_string_equal(
		compile_service_key(f.compile, frontend_at(f.t, "203.0.113.1", 80).service)->name,
		"a");
	model_remove(f.model, &a.s.key);
	fixture_update(&f);
	assert_string_equal(compile_reason(f.compile, &b.s.key), "");
	assert_string_equal(
		compile_service_key(f.compile, frontend_at(f.t, "203.0.113.1", 80).service)->name,
		"b");
}

static void freed_ids_rest_and_come_back_with_another_generation(void **state) {
	uint32_t id, service, frontend;
	uint8_t gen;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	id = backend_at(&f, &a, "10.0.1.1", 8080);
	gen = f.t->backends[id].gen;
	service = frontend_at(f.t, "203.0.113.1", 80).service;
	frontend = frontend_at(f.t, "203.0.113.1", 80).id;
	a.backends[0] = a.backends[1];
	a.s.n_backends = 1;
	put(&f, &a);
	fixture_update(&f);
	f.now += FIXTURE_REST - 1;
	box_backend(&a, "10.0.1.7", 8080);
	put(&f, &a);
	fixture_update(&f);
	assert_int_not_equal(backend_at(&f, &a, "10.0.1.7", 8080), id);
	f.now += 1;
	box_backend(&a, "10.0.1.8", 8080);
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(backend_at(&f, &a, "10.0.1.8", 8080), id);
	assert_int_equal(f.t->backends[id].gen, gen + 1);
	assert_int_equal(frontend_at(f.t, "203.0.113.1", 80).service, service);
	assert_int_equal(frontend_at(f.t, "203.0.113.1", 80).id, frontend);
}

// Its SNAT ports are counted by that id: those of its former flows are still taken, or rest.
static void an_endpoint_that_returns_in_time_has_its_id_again(void **state) {
	uint32_t id;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	id = endpoint_at(f.t, "10.0.1.2", 8080).id;
	a.s.n_backends = 1;
	put(&f, &a);
	fixture_update(&f);
	f.now += FIXTURE_REST - 1;
	box_backend(&a, "10.0.1.2", 8080);
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(endpoint_at(f.t, "10.0.1.2", 8080).id, id);
}

// Another Service leads there as well, so that it stays; but what was known of flows through the first must be asked again.
static void an_endpoint_has_another_gen_when_a_backend_there_ends(void **state) {
	struct endpoint_ref ref;

	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	web(&b, "b", 80, MODEL_FULLNAT, "203.0.113.2");
	put(&f, &a);
	put(&f, &b);
	fixture_update(&f);
	ref = endpoint_at(f.t, "10.0.1.2", 8080);
	a.backends[1].usable = false;
	strcpy(a.backends[1].reason, "not-ready"); // it keeps its flows
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(endpoint_at(f.t, "10.0.1.2", 8080).gen, ref.gen);
	strcpy(a.backends[1].reason, "not-serving");
	put(&f, &a);
	fixture_update(&f);
	assert_int_equal(endpoint_at(f.t, "10.0.1.2", 8080).id, ref.id);
	assert_int_not_equal(endpoint_at(f.t, "10.0.1.2", 8080).gen, ref.gen);
	ref = endpoint_at(f.t, "10.0.1.2", 8080);
	b.s.n_backends = 1;
	put(&f, &b);
	fixture_update(&f);
	assert_int_not_equal(endpoint_at(f.t, "10.0.1.2", 8080).gen, ref.gen);
}

static void ids_run_out_and_are_reused_oldest_first(void **state) {
	struct ids p;

	assert_int_equal(ids_init(&p, 3), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(ids_take(&p, 0), i);
	assert_int_equal(ids_take(&p, 0), IDS_NONE);
	ids_leave(&p, 1);
	assert_int_equal(ids_take(&p, 100),
			 IDS_NONE); // it has left, and no snapshot without it was made
	ids_rest(&p, 10);
	ids_leave(&p, 0);
	ids_rest(&p, 20);
	assert_int_equal(ids_take(&p, 9), IDS_NONE);
	assert_int_equal(ids_take(&p, 10), 1);
	assert_int_equal(ids_take(&p, 10), IDS_NONE);
	assert_int_equal(ids_take(&p, 20), 0);
	ids_fini(&p);
}

static void next_hops_are_held_and_given_back(void **state) {
	struct ip_addr addr = addr_of("10.0.1.1");
	uint32_t words[4], id;

	memcpy(words, addr.b, sizeof(words));
	web(&a, "a", 80, MODEL_FULLNAT, "203.0.113.1");
	put(&f, &a);
	fixture_update(&f);
	id = f.t->backends[backend_at(&f, &a, "10.0.1.1", 8080)].nexthop;
	assert_int_equal(neighbor_find(f.neighbors, 1, 4, words), id);
	neighbor_run(f.neighbors, 1000000);
	assert_int_equal(neighbor_find(f.neighbors, 1, 4, words), id);
	model_remove(f.model, &a.s.key);
	fixture_update(&f);
	neighbor_run(f.neighbors, 1000001);
	assert_int_equal(neighbor_find(f.neighbors, 1, 4, words), NEIGHBOR_NONE);
}

static void a_service_of_thousands_costs_one_table(void **state) {
	enum { SERVICES = 10000, EACH = 10 }; // every tenth has two backends, and a table
	const struct service *before, **list;
	char name[32], vip[32];
	uint32_t same = 0;

	for (uint32_t i = 0; i < SERVICES; i++) {
		snprintf(name, sizeof(name), "s%05u", i);
		snprintf(vip, sizeof(vip), "203.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		web(&a, name, 80, i % 2 ? MODEL_DNAT : MODEL_FULLNAT, vip);
		a.backends[0].addr.b[1] = a.backends[1].addr.b[1] = (uint8_t)(i >> 8);
		a.backends[0].addr.b[3] = (uint8_t)i;
		a.backends[1].addr.b[2] = 99;
		a.s.n_backends = i % EACH == 0 ? 2 : 1;
		put(&f, &a);
	}
	assert_int_equal(fixture_update(&f), 1);
	assert_int_equal(compile_tables_built(f.compile), SERVICES / EACH);
	assert_int_equal(f.t->n_services, SERVICES);
	before = service_at(f.t, "203.0.0.10", 80);
	box_backend(&a, "10.0.1.1", 9999); // a is the last one
	put(&f, &a);
	list = malloc(SERVICES * sizeof(*list));
	assert_non_null(list);
	memcpy(list, f.t->services, SERVICES * sizeof(*list));
	assert_int_equal(fixture_update(&f), 1);
	assert_int_equal(compile_tables_built(f.compile), SERVICES / EACH + 1);
	for (uint32_t i = 0; i < SERVICES; i++)
		same += list[i] == f.t->services[i];
	free(list);
	assert_int_equal(same, SERVICES - 1);
	assert_ptr_equal(service_at(f.t, "203.0.0.10", 80), before);
}

static void a_site_beyond_the_limits_is_refused(void **state) {
	struct compile_settings s = {.site = &f.site,
				     .port_macs = f.macs,
				     .neighbors = f.neighbors};
	struct compile *c = NULL;
	struct error err = {""};

	f.site.workers = 0;
	assert_int_equal(compile_create(&c, &s, &err), -EINVAL);
	assert_string_equal(err.text, "workers: 1 to 64, not 0");
	assert_null(c);
	f.site.workers = 3;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(the_first_snapshot_is_empty_and_knows_the_site),
		TEST(own_addresses_say_what_they_are_and_which_ports_answer),
		TEST(new_addresses_are_told_once),
		TEST(generations_count_snapshots_that_differ),
		TEST(another_mode_has_other_ids_throughout),
		TEST(affinity_keeps_the_ids_and_changes_bits_and_salts),
		TEST(listed_backends_keep_their_flows_unless_they_stopped_serving),
		TEST(a_single_backend_needs_no_table),
		TEST(weights_are_shares_of_the_table),
		TEST(next_hops_decide_who_is_usable),
		TEST(an_address_that_becomes_ours_stops_being_a_backend),
		TEST(source_ranges_bind_load_balancer_addresses_of_their_family),
		TEST(an_endpoint_keeps_its_first_frontend_while_that_exists),
		TEST(dsr_has_no_way_back),
		TEST(affinity_spreads_over_what_shares_dnat_endpoints),
		TEST(a_taken_address_waits_for_its_holder_to_leave),
		TEST(freed_ids_rest_and_come_back_with_another_generation),
		TEST(an_endpoint_that_returns_in_time_has_its_id_again),
		TEST(an_endpoint_has_another_gen_when_a_backend_there_ends),
		cmocka_unit_test(ids_run_out_and_are_reused_oldest_first),
		TEST(next_hops_are_held_and_given_back),
		TEST(a_service_of_thousands_costs_one_table),
		TEST(a_site_beyond_the_limits_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
