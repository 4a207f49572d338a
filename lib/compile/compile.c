// SPDX-License-Identifier: Apache-2.0
// An update from the model's changed keys to the next snapshot, and what people ask about it.
#include "compile/compile.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "compile/state.h"

#define REST_MARGIN                                                                                \
	60 // seconds beyond the longest timeout and what a flow may outlive it (decision 0008)

static uint64_t rest_of(const struct site_timeouts *t) {
	const uint32_t all[] = {t->tcp_syn_sent,  t->tcp_established, t->tcp_fin_wait,
				t->tcp_time_wait, t->tcp_close,       t->udp,
				t->udp_stream,    t->sctp_established};
	uint32_t longest = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		longest = all[i] > longest ? all[i] : longest;
	return (uint64_t)longest + longest / 240 + REST_MARGIN;
}

// Whole pages of zeros, which take memory only once they are touched.
static void *map_array(size_t n, size_t size) {
	void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, n * size, MADV_HUGEPAGE);
	return p;
}

static void unmap_array(void *p, size_t n, size_t size) {
	if (p != NULL)
		munmap(p, n * size);
}

static int init_arrays(struct compile *c) {
	c->frontends = map_array(TABLES_MAX_FRONTENDS, sizeof(*c->frontends));
	c->backends = map_array(TABLES_MAX_BACKENDS, sizeof(*c->backends));
	c->endpoints = map_array(TABLES_MAX_ENDPOINTS, sizeof(*c->endpoints));
	c->side_of = calloc(TABLES_MAX_SERVICES, sizeof(struct side *));
	c->member_of = calloc(TABLES_MAX_BACKENDS, sizeof(struct member *));
	if (c->frontends == NULL || c->backends == NULL || c->endpoints == NULL ||
	    c->side_of == NULL || c->member_of == NULL)
		return -ENOMEM;
	if (ids_init(&c->service_ids, TABLES_MAX_SERVICES) < 0 ||
	    ids_init(&c->frontend_ids, TABLES_MAX_FRONTENDS) < 0 ||
	    ids_init(&c->backend_ids, TABLES_MAX_BACKENDS) < 0 ||
	    ids_init(&c->endpoint_ids, TABLES_MAX_ENDPOINTS) < 0)
		return -ENOMEM;
	return 0;
}

int compile_create(struct compile **out, const struct compile_settings *s, struct error *err) {
	struct compile *c = calloc(1, sizeof(*c));
	struct compile_garbage *nothing = NULL;
	int ret;

	if (c == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	c->site = s->site;
	c->neighbors = s->neighbors;
	c->secret = s->secret;
	c->rest = rest_of(&s->site->timeouts);
	c->memory = slab_create();
	ret = c->memory == NULL ? -ENOMEM : init_arrays(c);
	if (ret == 0)
		ret = fixed_init(c, s->port_macs, err);
	if (ret == 0)
		ret = snapshot_make(c, &nothing);
	compile_free(nothing);
	if (ret < 0) {
		compile_destroy(c);
		return ret == -ENOMEM ? error_set(err, ret, "out of memory") : ret;
	}
	*out = c;
	return 0;
}

static void drop_all(struct compile *c) {
	struct entry *e, *next;

	HASH_ITER(hh, c->entries, e, next) {
		side_leave(c, e, 4, NULL);
		side_leave(c, e, 6, NULL);
		HASH_DEL(c->entries, e);
		free(e);
	}
	for (uint32_t id = c->backend_ids.left; id != IDS_NONE; id = c->backend_ids.next[id])
		if (c->backends[id].nexthop != TABLES_NO_ID)
			neighbor_release(c->neighbors, c->backends[id].nexthop);
	points_commit(c);
	points_forget(c, UINT64_MAX);
}

void compile_destroy(struct compile *c) {
	if (c == NULL)
		return;
	drop_all(c);
	while (c->dropped != NULL) {
		struct blob *b = c->dropped;

		c->dropped = b->next;
		blob_free(b);
	}
	snapshot_parts_free(&c->parts);
	back_fini(&c->back);
	fixed_fini(c);
	ids_fini(&c->service_ids);
	ids_fini(&c->frontend_ids);
	ids_fini(&c->backend_ids);
	ids_fini(&c->endpoint_ids);
	unmap_array(c->frontends, TABLES_MAX_FRONTENDS, sizeof(*c->frontends));
	unmap_array(c->backends, TABLES_MAX_BACKENDS, sizeof(*c->backends));
	unmap_array(c->endpoints, TABLES_MAX_ENDPOINTS, sizeof(*c->endpoints));
	free(c->side_of);
	free(c->member_of);
	free(c->pending);
	free(c->new_addresses);
	slab_destroy(c->memory);
	free(c);
}

void compile_free(struct compile_garbage *g) {
	if (g == NULL)
		return;
	while (g->blobs != NULL) {
		struct blob *b = g->blobs;

		g->blobs = b->next;
		blob_free(b);
	}
	snapshot_parts_free(&g->parts);
	free(g);
}

static struct entry *entry_find(const struct compile *c, const struct model_key *key) {
	struct entry *e;

	HASH_FIND(hh, c->entries, key, sizeof(*key), e);
	return e;
}

static struct entry *entry_get(struct compile *c, const struct model_key *key) {
	struct entry *e = entry_find(c, key);

	if (e != NULL)
		return e;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->key = *key;
	HASH_ADD(hh, c->entries, key, sizeof(e->key), e);
	if (e->hh.tbl == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

void entry_refuse(struct compile *c, struct entry *e, const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(e->reason, sizeof(e->reason), format, args);
	va_end(args);
	c->has_reasons = true;
}

// The model's changed keys, and those that could not be served wholly: what they lacked may be free by now.
static int collect_pending(struct compile *c, struct model *m) {
	struct model_key *dirty, *all;
	uint32_t waiting = 0, n;
	int got;

	for (const struct entry *e = c->has_reasons ? c->entries : NULL; e != NULL; e = e->hh.next)
		waiting += e->reason[0] != 0;
	got = model_take_dirty(m, &dirty);
	if (got < 0)
		return got;
	n = c->n_pending + (uint32_t)got;
	all = realloc(c->pending, (n + waiting + 1) * sizeof(*all));
	if (all == NULL) {
		free(dirty);
		return -ENOMEM;
	}
	c->pending = all;
	memcpy(&all[c->n_pending], dirty, (uint32_t)got * sizeof(*all));
	for (const struct entry *e = c->has_reasons ? c->entries : NULL; e != NULL; e = e->hh.next)
		if (e->reason[0] != 0)
			all[n++] = e->key;
	c->n_pending = n;
	c->has_reasons = false; // of those that are not pending
	free(dirty);
	return 0;
}

// First what left, then what came: an address moves from one service to another in one update.
static int apply_pending(struct compile *c, const struct model *m) {
	for (uint32_t i = 0; i < c->n_pending; i++) {
		struct entry *e = entry_get(c, &c->pending[i]);
		const struct model_service *s = model_find(m, &c->pending[i]);

		if (e == NULL)
			return -ENOMEM;
		e->reason[0] = 0;
		side_leave(c, e, 4, s);
		side_leave(c, e, 6, s);
	}
	for (uint32_t i = 0; i < c->n_pending; i++) {
		struct entry *e = entry_get(c, &c->pending[i]);
		const struct model_service *s = model_find(m, &c->pending[i]);

		if (e == NULL || side_join(c, e, 4, s) < 0 || side_join(c, e, 6, s) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void settle_all(struct compile *c) {
	for (uint32_t i = 0; i < c->service_ids.high; i++)
		if (c->side_of[i] != NULL)
			side_settle(c, c->side_of[i]);
}

// A backend whose address became one of our own, or ceased to be: found among the entries of the endpoint map, and in the sides that have none there.
static void settle_flipped(struct compile *c) {
	for (uint32_t i = 0; i < c->service_ids.high; i++) {
		struct side *s = c->side_of[i];

		if (s != NULL && (s->mode == TABLES_DSR || s->n_fronts == 0))
			side_settle(c, s);
	}
	for (uint32_t i = 0; i < c->back.n; i++) {
		for (uint32_t j = 0; j < c->n_flipped; j++) {
			if (!ip_addr_eq(&c->back.entries[i].addr, &c->flipped[j]))
				continue;
			for (const struct member *m = c->back.of[i]->members; m != NULL;
			     m = m->next)
				side_settle(c, m->side);
		}
	}
}

// Members of what changed, and those on which a change of our own addresses tells.
static void settle_members(struct compile *c) {
	if (c->n_flipped > COMPILE_FLIPPED) {
		settle_all(c);
		return;
	}
	for (uint32_t i = 0; i < c->n_pending; i++) {
		struct entry *e = entry_find(c, &c->pending[i]);

		for (int f = 0; f < 2; f++)
			if (e->sides[f] != NULL)
				side_settle(c, e->sides[f]);
	}
	if (c->n_flipped > 0)
		settle_flipped(c);
}

static void forget_pending(struct compile *c, const struct model *m) {
	for (uint32_t i = 0; i < c->n_pending; i++) {
		struct entry *e = entry_find(c, &c->pending[i]);

		if (e == NULL || model_find(m, &e->key) != NULL)
			continue;
		HASH_DEL(c->entries, e);
		free(e);
	}
	c->n_pending = 0;
}

int compile_update(struct compile *c, struct model *m, uint64_t now, const struct tables **next,
		   struct compile_garbage **garbage) {
	struct compile_garbage *g = NULL;
	int ret = collect_pending(c, m);

	c->now = now;
	if (ret == 0)
		ret = apply_pending(c, m);
	if (ret < 0)
		return ret;
	settle_members(c);
	owners_settle(c);
	points_settle(c);
	ret = snapshot_make(c, &g);
	if (ret < 0)
		return ret;
	forget_pending(c, m);
	if (ret == 1) {
		*next = c->parts.tables;
		*garbage = g;
	}
	return ret;
}

const struct tables *compile_tables(const struct compile *c) {
	return c->parts.tables;
}

void compile_set_rss(struct compile *c, const struct rss *const *by_port) {
	fixed_set_rss(c, by_port);
	points_touch_all(c);
	c->endpoints_changed = true;
}

int compile_new_addresses(const struct compile *c, struct ip_addr **list) {
	struct ip_addr *copy = malloc((c->n_new_addresses + 1) * sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, c->new_addresses, c->n_new_addresses * sizeof(*copy));
	*list = copy;
	return (int)c->n_new_addresses;
}

uint64_t compile_generation(const struct compile *c, const struct model_key *key) {
	const struct entry *e = entry_find(c, key);

	return e != NULL ? e->generation : 0;
}

const struct model_key *compile_service_key(const struct compile *c, uint32_t service) {
	if (service >= c->service_ids.high || c->side_of[service] == NULL)
		return NULL;
	return &c->side_of[service]->entry->key;
}

static int order(const struct member *m, const struct ip_addr *addr, uint16_t port) {
	int by_addr = ip_addr_cmp(&m->point->place.addr, addr);
	uint16_t own = be16toh(m->point->place.port);

	return by_addr != 0 ? by_addr : (own > port) - (own < port);
}

uint32_t compile_backend_id(const struct compile *c, const struct model_key *key,
			    const struct ip_addr *addr, uint16_t port) {
	const struct entry *e = entry_find(c, key);
	const struct side *s = e != NULL ? e->sides[addr->family == 6] : NULL;

	for (uint32_t first = 0, end = s != NULL ? s->n_members : 0; first < end;) {
		uint32_t at = first + (end - first) / 2;
		int o = order(s->members[at], addr, port);

		if (o == 0)
			return s->members[at]->id;
		if (o < 0)
			first = at + 1;
		else
			end = at;
	}
	return TABLES_NO_ID;
}

const char *compile_backend_reason(const struct compile *c, uint32_t backend) {
	return backend < c->backend_ids.high && c->member_of[backend] != NULL
		       ? c->member_of[backend]->reason
		       : "";
}

const char *compile_reason(const struct compile *c, const struct model_key *key) {
	const struct entry *e = entry_find(c, key);

	return e != NULL ? e->reason : "";
}

uint64_t compile_tables_built(const struct compile *c) {
	return c->tables_built;
}
