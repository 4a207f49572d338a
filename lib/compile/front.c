// SPDX-License-Identifier: Apache-2.0
// A service's frontends: who claims which (address, port, protocol), and what a frontend's slot shows.
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"

// Appliances of a site must agree on the numbers below: none changes without a note in CHANGELOG.md.
static const uint64_t salt_seed[2] = {0x8ebc6af09c88c6e3, 0x589965cc75374cc3};
static const uint64_t affinity_seed[2] = {0x1d8e4e27c47d124f, 0xeb44accab455d165};

// The finalizer of SplitMix64 (Stafford's mix 13).
static uint64_t mix(uint64_t x) {
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

// The secrets of the choice. Of hashSeed and what the frontend is, so that two frontends of one service spread a client's flows apart; with affinity of hashSeed
// alone, so that all of a service's addresses lead one client to one backend. Never of ids: they differ between appliances.
static uint64_t salt_of(const struct compile *c, const struct front *f, int i) {
	uint64_t w[2], h = mix(c->site->hash_seed ^ salt_seed[i]);

	if (f->side->affinity > 0)
		return mix(c->site->hash_seed ^ affinity_seed[i]);
	memcpy(w, f->place.addr.b, sizeof(w));
	h = mix(h ^ le64toh(w[0]));
	h = mix(h ^ le64toh(w[1]));
	return mix(h ^ ((uint64_t)f->place.addr.family << 24 |
			(uint64_t)be16toh(f->place.port) << 8 | f->place.protocol));
}

struct frontend_ref front_ref_of(const struct front *f) {
	const struct side *s = f->side;

	return (struct frontend_ref){
		.id = f->id,
		.mode = s->mode,
		.affinity = s->affinity > 0,
		.restricted = s->restricted && f->kind == MODEL_LOAD_BALANCER,
		.owner_by_address = s->mode == TABLES_DNAT ? s->by_address : s->affinity > 0,
		.owner_moved = s->owner_moved,
		.service = s->id,
	};
}

void front_write(struct compile *c, const struct front *f) {
	struct frontend *slot = &c->frontends[f->id];
	struct frontend_ref ref = front_ref_of(f);

	store_ref(&slot->ref, &ref);
	for (int i = 0; i < 2; i++)
		__atomic_store_n(&slot->salt[i], salt_of(c, f, i), __ATOMIC_RELAXED);
}

static void leave(struct compile *c, struct front *f) {
	local_release(c, &f->place.addr);
	ids_leave(&c->frontend_ids, f->id);
	HASH_DEL(c->fronts, f);
	free(f);
}

static void say(struct compile *c, struct entry *e, const char *what, const struct front *holder,
		const struct place *p) {
	char text[IP_ADDR_STR + 8];

	ip_port_format(&p->addr, be16toh(p->port), text);
	if (holder != NULL)
		entry_refuse(c, e, "%s is served by %.40s/%.40s", text, holder->side->entry->key.ns,
			     holder->side->entry->key.name);
	else
		entry_refuse(c, e, "%s: %s", text, what);
}

// *out: NULL when the place can't be had (the entry then has a reason).
static int join(struct compile *c, struct side *s, const struct place *place, uint16_t kind,
		struct front **out) {
	struct front *f;

	*out = NULL;
	HASH_FIND(hh, c->fronts, place, sizeof(*place), f);
	if (f != NULL) {
		say(c, s->entry, "", f, place);
		return 0;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL || local_hold(c, &place->addr) < 0) {
		free(f);
		return -ENOMEM;
	}
	*f = (struct front){.place = *place, .kind = kind, .age = ++c->age, .side = s};
	f->id = ids_take(&c->frontend_ids, c->now);
	if (f->id != IDS_NONE)
		HASH_ADD(hh, c->fronts, place, sizeof(f->place), f);
	if (f->id == IDS_NONE || f->hh.tbl == NULL) {
		bool full = f->id == IDS_NONE;

		if (full)
			say(c, s->entry, "no free frontend id", NULL, place);
		else
			ids_leave(&c->frontend_ids, f->id);
		local_release(c, &place->addr);
		free(f);
		return full ? 0 : -ENOMEM;
	}
	c->frontends[f->id] = (struct frontend){.addr = place->addr,
						.port = place->port,
						.protocol = place->protocol,
						.family = s->family};
	*out = f;
	return 0;
}

static int compare(const struct front *f, const struct model_frontend *m) {
	int order = ip_addr_cmp(&f->place.addr, &m->addr);
	uint16_t port = be16toh(f->place.port);

	return order != 0 ? order : (port > m->port) - (port < m->port);
}

static void change(struct compile *c, struct side *s) {
	c->frontends_changed = true;
	side_change(c, s);
	if (s->mode == TABLES_DNAT)
		points_touch(c, s);
}

void fronts_leave(struct compile *c, struct side *s, const struct model_service *m) {
	uint32_t n = 0, j = 0, n_model = m == NULL ? 0 : m->n_frontends;

	for (uint32_t i = 0; i < s->n_fronts; i++) {
		while (j < n_model && compare(s->fronts[i], &m->frontends[j]) > 0)
			j++;
		if (j < n_model && compare(s->fronts[i], &m->frontends[j]) == 0)
			s->fronts[n++] = s->fronts[i];
		else
			leave(c, s->fronts[i]);
	}
	if (n != s->n_fronts)
		change(c, s);
	s->n_fronts = n;
}

static void set_kind(struct compile *c, struct side *s, struct front *f, uint16_t kind) {
	if (f->kind == kind)
		return;
	f->kind = kind;
	change(c, s);
}

int fronts_join(struct compile *c, struct side *s, const struct model_service *m) {
	struct front **list = calloc(m->n_frontends + 1, sizeof(struct front *)), *f;
	uint32_t n = 0, old = 0;
	int ret = 0, error;

	if (list == NULL)
		return -ENOMEM;
	// Those that stay are a part of the model's, in the same order.
	for (uint32_t i = 0; i < m->n_frontends; i++) {
		const struct model_frontend *mf = &m->frontends[i];
		struct place place = place_of(&mf->addr, mf->port, (uint8_t)m->key.protocol);

		if (mf->addr.family != s->family)
			continue;
		if (old < s->n_fronts && compare(s->fronts[old], mf) == 0) {
			f = s->fronts[old++];
			set_kind(c, s, f, mf->kind);
			list[n++] = f;
			continue;
		}
		error = join(c, s, &place, mf->kind, &f);
		if (error < 0)
			ret = error;
		if (f != NULL) {
			list[n++] = f;
			change(c, s);
		}
	}
	free(s->fronts);
	s->fronts = list;
	s->n_fronts = n;
	return ret;
}
