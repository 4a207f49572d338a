// SPDX-License-Identifier: Apache-2.0
// compile against a slow full compile of the model: after any sequence of changes the snapshot means the same, ids are stable, and what did not
// change is shared.
#include "compile_fixture.h"

#define SERVICES 10
#define STEPS 1500
#define MAX_IDS 4096

static const char *const vips[] = {"203.0.113.1", "203.0.113.2",     "192.0.2.77",
				   "10.0.7.7",    "2001:db8:100::1", "2001:db8:2::77"};
static const char *const pods[] = {"10.0.1.1",       "10.0.1.2",         "10.0.1.3",
				   "172.16.0.9",     "198.51.100.5",     "10.0.7.7",
				   "192.0.2.254",    "2001:db8:10::1:1", "2001:db8:10::1:2",
				   "2001:db8:99::1", "2001:db8:2::77"};
static uint64_t seed;

static uint32_t draw(uint32_t bound) {
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1d >> 32) * bound >> 32);
}

// Each service has a port of its own, so addresses may be shared without a fight.
static void draw_backend(struct service_box *b, const char *addr) {
	static const char *const reasons[] = {"terminating", "not-ready", "not-serving"};
	struct model_backend *m = box_backend(b, addr,
					      b->s.mode == MODEL_DSR ? b->s.key.port
								     : (uint16_t)(8080 + draw(2)));
	uint32_t what = draw(6);

	m->weight = 1 + draw(2);
	if (what > 2)
		return;
	m->usable = 0;
	m->state = what == 0 ? MODEL_DRAINING : MODEL_UNUSABLE;
	snprintf(m->reason, sizeof(m->reason), "%s", reasons[what]);
}

static void draw_service(struct service_box *b, uint32_t which) {
	char name[16];

	snprintf(name, sizeof(name), "s%u", which);
	box(b, name, (uint16_t)(1000 + which),
	    (enum model_mode)(draw(8) < 6 ? MODEL_DNAT : draw(3)));
	if (which % 3 == 0)
		b->s.mode = (uint8_t)draw(3);
	b->s.key.protocol = which % 4 == 1 ? MODEL_UDP : MODEL_TCP;
	b->s.affinity_timeout = draw(12) == 0 ? 60 : 0;
	b->s.restricted = draw(4) == 0;
	b->s.reject = draw(2);
	if (b->s.restricted && draw(2))
		b->ranges[b->s.n_source_ranges++] = prefix_of(draw(2) ? "198.51.100.0/24"
								      : "2001:db8:5::/48");
	for (size_t i = 0; i < sizeof(vips) / sizeof(vips[0]); i++)
		if (draw(3) == 0)
			box_frontend(b, vips[i]);
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++)
		if (draw(3) == 0)
			draw_backend(b, pods[i]);
}

// --- the slow compile: questions answered from the model alone ---

struct slow {
	const struct model_service **list;
	int n;
};

static bool serves_family(const struct model_service *s, uint8_t family) {
	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (s->frontends[i].addr.family == family)
			return true;
	return false;
}

static bool is_vip(const struct slow *w, const struct ip_addr *a) {
	for (int i = 0; i < w->n; i++)
		for (uint32_t j = 0; j < w->list[i]->n_frontends; j++)
			if (ip_addr_eq(&w->list[i]->frontends[j].addr, a))
				return true;
	return false;
}

static bool starts_with(const struct ip_addr *a, const char *prefix) {
	struct ip_prefix p = prefix_of(prefix);

	return ip_prefix_contains(&p, a);
}

static bool slow_usable(const struct slow *w, const struct model_service *s,
			const struct model_backend *b) {
	bool connected = starts_with(&b->addr, "10.0.0.0/8") ||
			 starts_with(&b->addr, "192.0.2.0/24") ||
			 starts_with(&b->addr, "2001:db8:2::/64") ||
			 starts_with(&b->addr, "2001:db8:10::/64");
	struct ip_addr gateway = addr_of("192.0.2.254");
	bool inner = starts_with(&b->addr, "172.16.0.0/12");

	if (!b->usable || is_vip(w, &b->addr) || (b->addr.family == 6 && !connected))
		return false;
	return s->mode != MODEL_DSR || inner || (connected && !ip_addr_eq(&b->addr, &gateway));
}

// By (service, family): dnat's frontends that are owned by the client's address alone, to a fixed point.
static void slow_owners(const struct slow *w, bool by_address[][2]) {
	for (int i = 0; i < w->n; i++)
		for (int v = 0; v < 2; v++)
			by_address[i][v] = w->list[i]->mode == MODEL_DNAT &&
					   w->list[i]->affinity_timeout > 0 &&
					   serves_family(w->list[i], v ? 6 : 4);
	for (bool again = true; again;) {
		again = false;
		for (int i = 0; i < w->n; i++) {
			for (int j = 0; j < w->n; j++) {
				const struct model_service *s = w->list[i], *o = w->list[j];

				if (s->mode != MODEL_DNAT || o->mode != MODEL_DNAT ||
				    s->key.protocol != o->key.protocol)
					continue;
				for (uint32_t x = 0; x < s->n_backends; x++) {
					for (uint32_t y = 0; y < o->n_backends; y++) {
						int v = s->backends[x].addr.family == 6;

						if (!ip_addr_eq(&s->backends[x].addr,
								&o->backends[y].addr) ||
						    s->backends[x].port != o->backends[y].port ||
						    !by_address[i][v] || by_address[j][v] ||
						    !serves_family(o, v ? 6 : 4))
							continue;
						by_address[j][v] = again = true;
					}
				}
			}
		}
	}
}

// --- comparing ---

static void compare_usable(const struct fixture *f, const struct slow *w,
			   const struct model_service *s, const struct service *blob) {
	struct maglev_backend all[32];
	struct maglev_table table;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_backends; i++) {
		const struct model_backend *b = &s->backends[i];
		const struct backend *got;

		if (b->addr.family != blob->family || !slow_usable(w, s, b))
			continue;
		assert_true(n < blob->n_usable);
		got = &f->t->backends[blob->usable[n]];
		assert_memory_equal(got->addr, b->addr.b, 16);
		assert_int_equal(got->port, wire(b->port));
		assert_int_equal(got->service, blob->id);
		all[n++] = (struct maglev_backend){b->addr, b->port, b->weight};
	}
	assert_int_equal(n, blob->n_usable);
	assert_int_equal(blob->table.size, maglev_size(n));
	if (n < 2 || draw(40) != 0)
		return;
	assert_int_equal(maglev_build(&table, NULL, all, n), 0);
	assert_int_equal(table.width, blob->table.width);
	assert_memory_equal(table.slots, blob->table.slots, table.size * table.width);
	maglev_fini(&table, NULL);
}

static void compare_service(const struct fixture *f, const struct slow *w, int i,
			    bool by_address[][2]) {
	const struct model_service *s = w->list[i];

	for (uint32_t j = 0; j < s->n_frontends; j++) {
		const struct model_frontend *mf = &s->frontends[j];
		struct frontend_ref ref = {0};
		const struct service *blob;

		assert_true(
			frontend_find(f->t, &mf->addr, mf->port, (uint8_t)s->key.protocol, &ref));
		blob = f->t->services[ref.service];
		assert_int_equal(ref.mode, s->mode);
		assert_int_equal(ref.affinity, s->affinity_timeout > 0);
		assert_int_equal(ref.restricted, s->restricted);
		assert_int_equal(ref.owner_by_address,
				 s->affinity_timeout > 0 || by_address[i][mf->addr.family == 6]);
		assert_int_equal(blob->mode, s->mode);
		assert_int_equal(blob->reject, s->reject);
		assert_int_equal(blob->protocol, s->key.protocol);
		assert_int_equal(blob->affinity_ticks, s->affinity_timeout * 4);
		assert_int_equal(blob->sources != NULL, s->restricted);
		assert_true(ip_addr_eq(&f->t->frontends[ref.id].addr, &mf->addr));
		assert_memory_equal(&f->t->frontends[ref.id].ref, &ref, sizeof(ref));
		compare_usable(f, w, s, blob);
	}
	for (uint32_t j = 0; j < s->n_backends; j++) {
		const struct model_backend *b = &s->backends[j];
		uint32_t id = compile_backend_id(f->compile, &s->key, &b->addr, b->port);
		uint8_t want = strcmp(b->reason, "not-serving") == 0 ? 0 : BACKEND_LIVE;

		assert_int_equal(id != TABLES_NO_ID, serves_family(s, b->addr.family));
		if (id == TABLES_NO_ID)
			continue;
		if (slow_usable(w, s, b))
			want |= BACKEND_USABLE;
		assert_int_equal(backend_state(&f->t->backends[id]), want);
	}
}

struct ways { // to one endpoint
	uint32_t dnat, fullnat;
	bool by_address, named;
};

static struct ways ways_to(const struct fixture *f, const struct slow *w,
			   const struct model_backend *b, uint16_t protocol, bool by_address[][2],
			   uint32_t frontend) {
	struct ways sum = {0};

	for (int i = 0; i < w->n; i++) {
		const struct model_service *s = w->list[i];

		if (s->key.protocol != protocol || !serves_family(s, b->addr.family) ||
		    s->mode == MODEL_DSR)
			continue;
		for (uint32_t j = 0; j < s->n_backends; j++) {
			if (!ip_addr_eq(&s->backends[j].addr, &b->addr) ||
			    s->backends[j].port != b->port)
				continue;
			sum.fullnat += s->mode == MODEL_FULLNAT;
			if (s->mode != MODEL_DNAT)
				continue;
			sum.by_address |= by_address[i][b->addr.family == 6];
			for (uint32_t k = 0; k < s->n_frontends; k++) {
				struct frontend_ref ref = {0};

				if (s->frontends[k].addr.family != b->addr.family)
					continue;
				sum.dnat++;
				frontend_find(f->t, &s->frontends[k].addr, s->frontends[k].port,
					      (uint8_t)protocol, &ref);
				sum.named |= ref.id == frontend;
			}
		}
	}
	return sum;
}

static void compare_endpoints(const struct fixture *f, const struct slow *w,
			      const struct model_service *s, bool by_address[][2]) {
	for (uint32_t i = 0; i < s->n_backends; i++) {
		const struct model_backend *b = &s->backends[i];
		struct endpoint_ref ref = {0};
		bool found = tuple_find_addr(f->t->endpoint_map, &b->addr, wire(b->port),
					     (uint8_t)s->key.protocol, &ref);
		struct ways want = ways_to(f, w, b, s->key.protocol, by_address, ref.frontend);

		assert_int_equal(found, want.dnat > 0 || want.fullnat > 0);
		if (!found)
			continue;
		assert_int_equal(ref.dnat, want.dnat > 0);
		assert_int_equal(ref.ambiguous, want.dnat > 1);
		assert_int_equal(ref.fullnat, want.fullnat > 0);
		assert_int_equal(ref.owner_by_address, want.by_address);
		assert_int_equal(want.named, want.dnat > 0);
		assert_memory_equal(&f->t->endpoints[ref.id].ref, &ref, sizeof(ref));
	}
}

static uint32_t entries_of(const struct tuple_map *m) {
	uint32_t n = 0;

	for (uint32_t i = 0; i <= m->mask4; i++)
		n += m->slots4[i].key != 0;
	for (uint32_t i = 0; i <= m->mask6; i++)
		n += m->slots6[i].key != 0;
	return n;
}

static void compare(const struct fixture *f) {
	bool by_address[SERVICES][2];
	struct slow w;
	uint32_t frontends = 0;

	w.n = model_list(f->model, &w.list);
	assert_true(w.n >= 0);
	slow_owners(&w, by_address);
	for (int i = 0; i < w.n; i++) {
		compare_service(f, &w, i, by_address);
		compare_endpoints(f, &w, w.list[i], by_address);
		frontends += w.list[i]->n_frontends;
	}
	assert_int_equal(entries_of(f->t->frontend_map), frontends);
	for (size_t i = 0; i < sizeof(vips) / sizeof(vips[0]); i++) {
		struct ip_addr a = addr_of(vips[i]);
		struct local_ref ref;

		assert_int_equal(tuple_find_addr(f->t->local_map, &a, 0, 0, &ref), is_vip(&w, &a));
	}
	free(w.list);
}

// --- what must stay ---

static struct { // by service, family
	bool there, touched;
	uint8_t mode;
	uint32_t id, frontend[6], backend[11][3];
	const struct service *blob;
} last[SERVICES][2];

static struct {
	bool used, was_used;
	uint8_t gen;
	uint64_t freed;
} backend_ids[MAX_IDS];

static int port_index(uint16_t port) {
	return port >= 8080 ? port - 8080 : 2;
}

static void check_side(const struct fixture *f, uint32_t which, int v, bool touched) {
	struct service_box key;
	const struct model_service *s;
	bool was = last[which][v].there, stays;
	char name[16];

	snprintf(name, sizeof(name), "s%u", which);
	box(&key, name, (uint16_t)(1000 + which), MODEL_DNAT);
	key.s.key.protocol = which % 4 == 1 ? MODEL_UDP : MODEL_TCP;
	s = model_find(f->model, &key.s.key);
	last[which][v].there = s != NULL && serves_family(s, v ? 6 : 4);
	if (!last[which][v].there) {
		memset(last[which][v].frontend, 0xff, sizeof(last[which][v].frontend));
		memset(last[which][v].backend, 0xff, sizeof(last[which][v].backend));
		return;
	}
	stays = was && last[which][v].mode == s->mode;
	for (int i = 0; i < 6; i++) {
		struct ip_addr a = addr_of(vips[i]);
		struct frontend_ref ref = {.id = 0};
		uint32_t *id = &last[which][v].frontend[i];

		if (a.family != (v ? 6 : 4))
			continue;
		if (!frontend_find(f->t, &a, s->key.port, (uint8_t)s->key.protocol, &ref)) {
			*id = TABLES_NO_ID;
			continue;
		}
		if (*id != TABLES_NO_ID && was)
			assert_int_equal(*id == ref.id, stays);
		if (was)
			assert_int_equal(last[which][v].id == ref.service, stays);
		*id = ref.id;
		last[which][v].mode = s->mode;
	}
	for (int i = 0; i < 6; i++)
		if (last[which][v].frontend[i] != TABLES_NO_ID &&
		    (strchr(vips[i], ':') != NULL) == v)
			last[which][v].id = f->t->frontends[last[which][v].frontend[i]].ref.service;
	for (int i = 0; i < 11; i++) {
		for (uint16_t p = 0; p < 3; p++) {
			struct ip_addr a = addr_of(pods[i]);
			uint16_t port = p < 2 ? (uint16_t)(8080 + p) : s->key.port;
			uint32_t *id = &last[which][v].backend[i][port_index(port)],
				 now = TABLES_NO_ID;

			if (a.family == (v ? 6 : 4))
				now = compile_backend_id(f->compile, &s->key, &a, port);
			if (now != TABLES_NO_ID && *id != TABLES_NO_ID && was)
				assert_int_equal(*id == now, stays);
			*id = now;
			if (now != TABLES_NO_ID)
				backend_ids[now].used = true;
		}
	}
	if (stays && !touched) {
		const struct service *blob = f->t->services[last[which][v].id],
				     *old = last[which][v].blob;

		// Only an address that became ours, or ceased to be, changes a service that nobody touched.
		if (blob != old)
			assert_int_equal(blob->generation, f->t->generation);
		else
			assert_true(blob->generation < f->t->generation ||
				    f->t->generation == blob->generation);
	}
	last[which][v].blob = f->t->services[last[which][v].id];
}

static void check_ids(const struct fixture *f, const bool *touched) {
	for (int i = 0; i < MAX_IDS; i++)
		backend_ids[i].used = false;
	for (uint32_t i = 0; i < SERVICES; i++)
		for (int v = 0; v < 2; v++)
			check_side(f, i, v, touched[i]);
	for (int i = 0; i < MAX_IDS; i++) {
		uint8_t gen = f->t->backends[i].gen;

		if (backend_ids[i].used && !backend_ids[i].was_used) {
			assert_int_equal(gen, (backend_ids[i].gen + 1) % 64);
			assert_true(backend_ids[i].freed == 0 ||
				    backend_ids[i].freed + FIXTURE_REST <= f->now);
		}
		if (backend_ids[i].used && backend_ids[i].was_used && gen != backend_ids[i].gen)
			fail_msg("backend id %d changed hands in one update", i);
		if (!backend_ids[i].used && backend_ids[i].was_used) {
			backend_ids[i].freed = f->now;
			assert_int_equal(backend_state(&f->t->backends[i]), 0);
		}
		if (backend_ids[i].used)
			backend_ids[i].gen = gen;
		backend_ids[i].was_used = backend_ids[i].used;
	}
}

static void change(struct fixture *f, bool *touched) {
	struct service_box b;
	uint32_t which = draw(SERVICES);

	draw_service(&b, which);
	touched[which] = true;
	if (draw(5) == 0)
		assert_true(model_remove(f->model, &b.s.key) >= 0);
	else
		put(f, &b);
}

static void any_sequence_of_changes_means_what_the_model_says(void **state) {
	struct fixture f;

	seed = 1;
	fixture_init(&f);
	memset(last, 0xff, sizeof(last));
	for (int i = 0; i < SERVICES; i++)
		last[i][0].there = last[i][1].there = false;
	for (int step = 0; step < STEPS; step++) {
		bool touched[SERVICES] = {false};

		for (uint32_t n = 1 + draw(3); n > 0; n--)
			change(&f, touched);
		f.now += draw(200);
		fixture_update(&f);
		compare(&f);
		check_ids(&f, touched);
	}
	fixture_fini(&f);
}

static const struct service *blob_of(const struct fixture *f, uint32_t which, const char *vip,
				     struct frontend_ref *ref) {
	struct ip_addr a = addr_of(vip);

	if (!frontend_find(f->t, &a, (uint16_t)(1000 + which), which % 4 == 1 ? 17 : 6, ref))
		return NULL;
	return f->t->services[ref->service];
}

static uint32_t chosen(const struct fixture *f, const struct service *s, uint32_t frontend,
		       uint32_t client) {
	uint32_t words[4] = {client};
	uint32_t i = s->table.size == 0
			     ? 0
			     : maglev_find(&s->table, tables_choice(&f->t->frontends[frontend],
								    words, (uint16_t)client));

	return s->usable[i];
}

static void compare_choices(const struct fixture *x, const struct fixture *y) {
	for (uint32_t i = 0; i < SERVICES; i++) {
		for (int v = 0; v < 6; v++) {
			struct frontend_ref rx = {0}, ry = {0};
			const struct service *sx = blob_of(x, i, vips[v], &rx),
					     *sy = blob_of(y, i, vips[v], &ry);

			assert_int_equal(sx == NULL, sy == NULL);
			if (sx == NULL)
				continue;
			assert_int_equal(sx->n_usable, sy->n_usable);
			for (uint32_t k = 0; sx->n_usable > 0 && k < 50; k++) {
				uint32_t client = draw(UINT32_MAX);
				const struct backend
					*bx = &x->t->backends[chosen(x, sx, rx.id, client)];
				const struct backend
					*by = &y->t->backends[chosen(y, sy, ry.id, client)];

				assert_memory_equal(bx->addr, by->addr, 16);
				assert_int_equal(bx->port, by->port);
			}
		}
	}
}

static void the_order_of_events_does_not_change_a_choice(void **state) {
	static struct service_box boxes[SERVICES], other;
	struct fixture x, y;

	seed = 2;
	fixture_init(&x);
	fixture_init(&y);
	for (uint32_t i = 0; i < SERVICES; i++) {
		draw_service(&boxes[i], i);
		put(&x, &boxes[i]);
	}
	fixture_update(&x); // all at once
	for (uint32_t i = SERVICES; i-- > 0;) {
		draw_service(&other, i); // another past, other ids
		put(&y, &other);
		fixture_update(&y);
	}
	for (uint32_t i = SERVICES; i-- > 0;) {
		put(&y, &boxes[i]);
		fixture_update(&y);
	}
	compare_choices(&x, &y);
	fixture_fini(&x);
	fixture_fini(&y);
}

// Two snapshots in turn: what one drops the other must not need.
static void a_snapshot_is_whole_until_its_garbage_is_freed(void **state) {
	struct compile_garbage *g, *before = NULL;
	struct fixture f;

	seed = 3;
	fixture_init(&f);
	for (int step = 0; step < 200; step++) {
		bool touched[SERVICES] = {false};
		const struct tables *old = f.t;
		uint32_t hits = 0;

		change(&f, touched);
		f.now += draw(100);
		g = NULL;
		if (compile_update(f.compile, f.model, f.now, &f.t, &g) != 1)
			continue;
		for (uint32_t i = 0; i < old->n_services; i++) // the older one still reads whole
			for (uint32_t k = 0;
			     old->services[i] != NULL && k < old->services[i]->n_usable; k++)
				hits += old->backends[old->services[i]->usable[k]].service == i;
		assert_int_equal(entries_of(old->local_map) >= 6, 1);
		assert_int_equal(hits > UINT32_MAX - 1, 0);
		compile_free(before);
		before = g;
	}
	compile_free(before);
	fixture_fini(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_of_changes_means_what_the_model_says),
		cmocka_unit_test(the_order_of_events_does_not_change_a_choice),
		cmocka_unit_test(a_snapshot_is_whole_until_its_garbage_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
