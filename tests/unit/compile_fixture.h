// SPDX-License-Identifier: Apache-2.0
// A small site, services built in a line, and a compile to feed: shared by the tests of compile.
#ifndef TESTS_UNIT_COMPILE_FIXTURE_H
#define TESTS_UNIT_COMPILE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "compile/compile.h"

#define FIXTURE_REST                                                                               \
	(900 + 900 / 240 + 60) // the longest timeout, what a flow may outlive it, and the margin

// wan 192.0.2.2/24 2001:db8:2::2/64, lan 10.0.0.1/8 2001:db8:10::1/64; default route (IPv4 only) via 192.0.2.254, 172.16.0.0/12 via 10.0.0.254.
struct fixture {
	struct site site;
	struct site_port ports[2];
	struct ip_prefix addresses[2][2];
	struct site_route routes[2];
	struct site_neighbor neighbor;
	struct ip_addr snat4[1], snat6[1];
	struct mac_addr macs[2];
	struct neighbor_table *neighbors;
	struct model *model;
	struct compile *compile;
	const struct tables *t;
	uint64_t now;
};

static inline struct ip_addr addr_of(const char *text) {
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(&a, text), 0);
	return a;
}

static inline struct ip_prefix prefix_of(const char *text) {
	struct ip_prefix p;

	assert_int_equal(ip_prefix_parse(&p, text), 0);
	return p;
}

static inline void send_nothing(void *ctx, const struct neighbor_request *r) {
}

static inline void fixture_site(struct fixture *f) {
	f->addresses[0][0] = prefix_of("192.0.2.2/24");
	f->addresses[0][1] = prefix_of("2001:db8:2::2/64");
	f->addresses[1][0] = prefix_of("10.0.0.1/8");
	f->addresses[1][1] = prefix_of("2001:db8:10::1/64");
	for (int i = 0; i < 2; i++)
		f->ports[i] = (struct site_port){.mtu = 1500,
						 .n_addresses = 2,
						 .addresses = f->addresses[i]};
	f->ports[1].vlan = 7;
	f->routes[0] = (struct site_route){prefix_of("0.0.0.0/0"), addr_of("192.0.2.254"), 0};
	f->routes[1] = (struct site_route){prefix_of("172.16.0.0/12"), addr_of("10.0.0.254"), 1};
	f->neighbor = (struct site_neighbor){addr_of("192.0.2.254"), {{2, 0, 0, 0, 0, 9}}, 0};
	f->snat4[0] = addr_of("192.0.2.10");
	f->snat6[0] = addr_of("2001:db8:2::10");
	f->macs[0] = (struct mac_addr){{2, 0, 0, 0, 0, 1}};
	f->macs[1] = (struct mac_addr){{2, 0, 0, 0, 0, 2}};
	f->site = (struct site){.n_ports = 2,
				.n_routes = 2,
				.n_neighbors = 1,
				.n_snat4 = 1,
				.n_snat6 = 1,
				.ports = f->ports,
				.routes = f->routes,
				.neighbors = &f->neighbor,
				.snat4 = f->snat4,
				.snat6 = f->snat6,
				.hash_seed = 42,
				.workers = 3,
				.timeouts = {10, 900, 30, 10, 10, 30, 120, 900}};
}

static inline void fixture_init(struct fixture *f) {
	struct compile_settings s = {.site = &f->site, .port_macs = f->macs, .secret = 7};
	struct error err;

	memset(f, 0, sizeof(*f));
	fixture_site(f);
	f->neighbors = s.neighbors = neighbor_create(1u << 15, 1, send_nothing, NULL);
	f->model = model_create();
	assert_non_null(f->neighbors);
	assert_non_null(f->model);
	assert_int_equal(compile_create(&f->compile, &s, &err), 0);
	f->t = compile_tables(f->compile);
	f->now = 1000;
}

static inline void fixture_fini(struct fixture *f) {
	compile_destroy(f->compile);
	model_destroy(f->model);
	neighbor_destroy(f->neighbors);
}

// 1: a new snapshot; the one before is freed at once.
static inline int fixture_update(struct fixture *f) {
	struct compile_garbage *g = NULL;
	int ret = compile_update(f->compile, f->model, f->now, &f->t, &g);

	compile_free(g);
	assert_true(ret >= 0);
	assert_ptr_equal(f->t, compile_tables(f->compile));
	return ret;
}

// --- services ---

struct service_box {
	struct model_service s;
	struct model_frontend frontends[8];
	struct model_backend backends[32];
	struct ip_prefix ranges[4];
};

static inline struct service_box *box(struct service_box *b, const char *name, uint16_t port,
				      enum model_mode mode) {
	memset(b, 0, sizeof(*b));
	snprintf(b->s.key.ns, sizeof(b->s.key.ns), "default");
	snprintf(b->s.key.name, sizeof(b->s.key.name), "%s", name);
	b->s.key.port = port;
	b->s.key.protocol = MODEL_TCP;
	b->s.mode = (uint8_t)mode;
	b->s.frontends = b->frontends;
	b->s.backends = b->backends;
	b->s.source_ranges = b->ranges;
	return b;
}

static inline void box_frontend(struct service_box *b, const char *addr) {
	b->frontends[b->s.n_frontends++] = (struct model_frontend){addr_of(addr), b->s.key.port,
								   MODEL_LOAD_BALANCER};
}

static inline struct model_backend *box_backend(struct service_box *b, const char *addr,
						uint16_t port) {
	struct model_backend *m = &b->backends[b->s.n_backends++];

	*m = (struct model_backend){.addr = addr_of(addr),
				    .port = port,
				    .state = MODEL_READY,
				    .usable = 1,
				    .weight = 1};
	return m;
}

static inline void put(struct fixture *f, const struct service_box *b) {
	assert_true(model_put(f->model, &b->s) >= 0);
}

// --- look-ups ---

static inline uint16_t wire(uint16_t port) {
	return (uint16_t)(port << 8 | port >> 8);
}

static inline bool frontend_find(const struct tables *t, const struct ip_addr *a, uint16_t port,
				 uint8_t protocol, struct frontend_ref *ref) {
	return tuple_find_addr(t->frontend_map, a, wire(port), protocol, ref);
}

static inline struct frontend_ref frontend_at(const struct tables *t, const char *addr,
					      uint16_t port) {
	struct ip_addr a = addr_of(addr);
	struct frontend_ref ref = {0};

	assert_true(frontend_find(t, &a, port, 6, &ref));
	return ref;
}

static inline const struct service *service_at(const struct tables *t, const char *addr,
					       uint16_t port) {
	return t->services[frontend_at(t, addr, port).service];
}

static inline struct endpoint_ref endpoint_at(const struct tables *t, const char *addr,
					      uint16_t port) {
	struct ip_addr a = addr_of(addr);
	struct endpoint_ref ref = {0};

	assert_true(tuple_find_addr(t->endpoint_map, &a, wire(port), 6, &ref));
	return ref;
}

static inline uint32_t backend_at(const struct fixture *f, const struct service_box *b,
				  const char *addr, uint16_t port) {
	struct ip_addr a = addr_of(addr);

	return compile_backend_id(f->compile, &b->s.key, &a, port);
}

#endif
