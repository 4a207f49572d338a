// SPDX-License-Identifier: Apache-2.0
// The next snapshot: everything is allocated first, then one commit, which can't fail, makes it the newest.
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"

void snapshot_parts_free(struct snapshot_parts *p) {
	free(p->tables);
	tuple_map_destroy(p->frontend_map);
	tuple_map_destroy(p->endpoint_map);
	tuple_map_destroy(p->local_map);
	free(p->services);
}

static struct tuple_map *map_fronts(const struct compile *c) {
	uint32_t n = 0;
	struct tuple_entry *list = calloc(HASH_COUNT(c->fronts) + 1, sizeof(*list));
	struct tuple_map *map;

	if (list == NULL)
		return NULL;
	for (const struct front *f = c->fronts; f != NULL; f = f->hh.next, n++) {
		struct frontend_ref ref = front_ref_of(f);

		list[n] = (struct tuple_entry){.addr = f->place.addr,
					       .port = f->place.port,
					       .protocol = f->place.protocol};
		memcpy(&list[n].value, &ref, sizeof(ref));
	}
	map = tuple_map_create(list, n, c->secret);
	free(list);
	return map;
}

static struct tuple_map *map_locals(const struct compile *c) {
	uint32_t n = 0;
	struct tuple_entry *list = calloc(HASH_COUNT(c->locals) + 1, sizeof(*list));
	struct tuple_map *map;

	if (list == NULL)
		return NULL;
	for (const struct local *l = c->locals; l != NULL; l = l->hh.next) {
		struct local_ref ref = local_ref_of(c, l);

		if (ref.kinds == 0)
			continue;
		list[n] = (struct tuple_entry){.addr = l->addr};
		memcpy(&list[n++].value, &ref, sizeof(ref));
	}
	map = tuple_map_create(list, n, c->secret);
	free(list);
	return map;
}

static int make_blobs(struct compile *c) {
	for (uint32_t i = 0; i < c->service_ids.high; i++) {
		struct side *s = c->side_of[i];
		int ret = s != NULL && s->changed ? blob_make(c, s) : 0;

		if (ret < 0)
			return ret;
	}
	return 0;
}

static const struct service **list_services(const struct compile *c) {
	const struct service **list = calloc(c->service_ids.high + 1, sizeof(struct service *));

	for (uint32_t i = 0; list != NULL && i < c->service_ids.high; i++) {
		const struct side *s = c->side_of[i];

		if (s != NULL)
			list[i] = s->next_blob != NULL ? &s->next_blob->service : &s->blob->service;
	}
	return list;
}

// Only those maps that changed; without a first snapshot all of them.
static int make_parts(struct compile *c, struct snapshot_parts *p) {
	bool first = c->parts.tables == NULL;
	bool ok;

	p->tables = malloc(sizeof(*p->tables));
	p->services = list_services(c);
	ok = p->tables != NULL && p->services != NULL;
	if (ok && (first || c->frontends_changed))
		ok = (p->frontend_map = map_fronts(c)) != NULL;
	if (ok && (first || c->endpoints_changed))
		ok = (p->endpoint_map = tuple_map_create(c->back.entries, c->back.n, c->secret)) !=
		     NULL;
	if (ok && (first || c->locals_changed))
		ok = (p->local_map = map_locals(c)) != NULL;
	if (ok)
		return 0;
	snapshot_parts_free(p);
	return -ENOMEM;
}

static void fill_tables(const struct compile *c, struct tables *t, const struct snapshot_parts *p) {
	const struct site *site = c->site;

	*t = (struct tables){
		.generation = c->generation + 1,
		.frontend_map = p->frontend_map,
		.endpoint_map = p->endpoint_map,
		.local_map = p->local_map,
		.services = p->services,
		.n_services = c->service_ids.high,
		.frontends = c->frontends,
		.backends = c->backends,
		.endpoints = c->endpoints,
		.route_map = c->route_map,
		.routes = c->routes,
		.ports = c->ports,
		.rss_in = c->rss_in,
		.n_snat4 = (uint8_t)site->n_snat4,
		.n_snat6 = (uint8_t)site->n_snat6,
		.n_ports = (uint16_t)site->n_ports,
		.workers = (uint16_t)site->workers,
	};
	for (uint32_t i = 0; i < site->n_snat4; i++)
		t->snat4[i] = site->snat4[i];
	for (uint32_t i = 0; i < site->n_snat6; i++)
		t->snat6[i] = site->snat6[i];
	for (int i = 0; i < 2; i++)
		t->owner_salt[i] = tables_mix(site->hash_seed ^ 0xa0761d6478bd642fu,
					      0xe7037ed1a0b428dbu + 2 * (uint64_t)i);
}

// What the new snapshot doesn't bring it takes over; the rest is garbage.
static void replace_parts(struct compile *c, struct snapshot_parts *next,
			  struct snapshot_parts *old) {
	*old = c->parts;
	if (next->frontend_map == NULL) {
		next->frontend_map = old->frontend_map;
		old->frontend_map = NULL;
	}
	if (next->endpoint_map == NULL) {
		next->endpoint_map = old->endpoint_map;
		old->endpoint_map = NULL;
	}
	if (next->local_map == NULL) {
		next->local_map = old->local_map;
		old->local_map = NULL;
	}
	c->parts = *next;
}

static void commit_blobs(struct compile *c, struct blob **garbage) {
	*garbage = c->dropped;
	c->dropped = NULL;
	for (uint32_t i = 0; i < c->service_ids.high; i++) {
		struct side *s = c->side_of[i];

		if (s == NULL || !s->changed)
			continue;
		if (s->blob != NULL) {
			s->blob->next = *garbage;
			*garbage = s->blob;
		}
		s->blob = s->next_blob;
		s->next_blob = NULL;
		s->changed = false;
		for (uint32_t j = 0; j < s->n_members; j++)
			__atomic_store_n(&c->backends[s->members[j]->id].state,
					 s->members[j]->state, __ATOMIC_RELAXED);
	}
}

// Backends that left lose their flows now; their next hops' entries wait for the grace period in the neighbour table's limbo.
static void commit_left_backends(struct compile *c) {
	for (uint32_t id = c->backend_ids.left; id != IDS_NONE; id = c->backend_ids.next[id]) {
		__atomic_store_n(&c->backends[id].state, 0, __ATOMIC_RELAXED);
		if (c->backends[id].nexthop != TABLES_NO_ID)
			neighbor_release(c->neighbors, c->backends[id].nexthop);
	}
}

// A frontend that left names no service any more, so that its flows end also where their backend goes on sending.
static void commit_left_frontends(struct compile *c) {
	for (uint32_t id = c->frontend_ids.left; id != IDS_NONE; id = c->frontend_ids.next[id]) {
		struct frontend_ref ref = c->frontends[id].ref;

		ref.service = TABLES_NO_ID;
		store_ref(&c->frontends[id].ref, &ref);
	}
}

static void commit_locals(struct compile *c, struct ip_addr *list) {
	struct local *l, *next;

	free(c->new_addresses);
	c->new_addresses = list;
	c->n_new_addresses = 0;
	if (!c->locals_changed)
		return;
	HASH_ITER(hh, c->locals, l, next) {
		if (l->fronts > 0 && !l->announced)
			list[c->n_new_addresses++] = l->addr;
		l->announced = l->fronts > 0;
		if (l->fronts > 0 || l->kinds != 0)
			continue;
		HASH_DEL(c->locals, l);
		free(l);
	}
}

static void commit_ids(struct compile *c) {
	ids_rest(&c->service_ids, c->now + c->rest);
	ids_rest(&c->frontend_ids, c->now + c->rest);
	ids_rest(&c->backend_ids, c->now + c->rest);
	ids_rest(&c->endpoint_ids, c->now + c->rest);
}

static void commit(struct compile *c, struct ip_addr *addresses, struct blob **garbage) {
	if (c->frontends_changed)
		for (const struct front *f = c->fronts; f != NULL; f = f->hh.next)
			front_write(c, f);
	points_commit(c);
	commit_blobs(c, garbage);
	commit_left_backends(c);
	commit_left_frontends(c);
	commit_locals(c, addresses);
	commit_ids(c);
	c->services_changed = c->frontends_changed = c->endpoints_changed = c->locals_changed =
		c->owners_changed = false;
	c->n_flipped = 0;
	c->generation++;
}

static bool is_changed(const struct compile *c) {
	return c->parts.tables == NULL || c->services_changed || c->frontends_changed ||
	       c->endpoints_changed || c->locals_changed;
}

int snapshot_make(struct compile *c, struct compile_garbage **garbage) {
	struct snapshot_parts next = {0};
	struct compile_garbage *g;
	struct ip_addr *addresses;

	if (!is_changed(c)) {
		points_commit(c);
		return 0;
	}
	g = calloc(1, sizeof(*g));
	addresses = calloc((c->locals_changed ? HASH_COUNT(c->locals) : 0) + 1, sizeof(*addresses));
	if (g == NULL || addresses == NULL || make_blobs(c) < 0 || make_parts(c, &next) < 0) {
		free(g);
		free(addresses);
		return -ENOMEM;
	}
	replace_parts(c, &next, &g->parts);
	fill_tables(c, c->parts.tables, &c->parts);
	commit(c, addresses, &g->blobs);
	*garbage = g;
	return 1;
}
