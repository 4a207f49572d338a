// SPDX-License-Identifier: Apache-2.0
// Endpoints: the (address, port, protocol)s behind backends, whose they are, and whether dnat's way back has one answer.
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "compile/state.h"

static void touch(struct compile *c, struct point *p) {
	if (p->touched)
		return;
	p->touched = true;
	p->next_touched = c->touched;
	c->touched = p;
}

void points_touch(struct compile *c, const struct side *s) {
	for (uint32_t i = 0; i < s->n_members; i++)
		touch(c, s->members[i]->point);
}

void points_touch_all(struct compile *c) {
	for (struct point *p = c->points; p != NULL; p = p->hh.next)
		if (p->resting_until == 0)
			touch(c, p);
}

static void forget(struct compile *c, struct point *p) {
	DL_DELETE2(c->resting, p, rest_prev, rest_next);
	HASH_DEL(c->points, p);
	ids_leave(&c->endpoint_ids, p->id);
	free(p);
}

void points_forget(struct compile *c, uint64_t now) {
	while (c->resting != NULL && c->resting->resting_until <= now)
		forget(c, c->resting);
}

// SNAT ports are counted by endpoint: one that returns finds those of its former flows in use or at rest.
static void wake(struct compile *c, struct point *p) {
	DL_DELETE2(c->resting, p, rest_prev, rest_next);
	p->resting_until = 0;
}

static struct point *create(struct compile *c, const struct place *place, int *error) {
	struct point *p = calloc(1, sizeof(*p));

	*error = -ENOMEM;
	if (p == NULL)
		return NULL;
	points_forget(c, c->now);
	if (back_reserve(&c->back, HASH_COUNT(c->points) + 1) < 0) {
		free(p);
		return NULL;
	}
	*p = (struct point){.place = *place,
			    .id = ids_take(&c->endpoint_ids, c->now),
			    .back = BACK_NONE};
	if (p->id == IDS_NONE) {
		*error = -ENOSPC;
		free(p);
		return NULL;
	}
	HASH_ADD(hh, c->points, place, sizeof(p->place), p);
	if (p->hh.tbl == NULL) {
		ids_leave(&c->endpoint_ids, p->id);
		free(p);
		return NULL;
	}
	c->endpoints[p->id] = (struct endpoint){.addr = place->addr,
						.port = place->port,
						.protocol = place->protocol};
	return p;
}

struct point *point_join(struct compile *c, const struct place *place, struct member *m,
			 int *error) {
	struct point *p;

	HASH_FIND(hh, c->points, place, sizeof(*place), p);
	if (p == NULL)
		p = create(c, place, error);
	if (p == NULL)
		return NULL;
	if (p->resting_until != 0)
		wake(c, p);
	DL_APPEND(p->members, m);
	touch(c, p);
	return p;
}

void point_lose(struct compile *c, struct member *m) {
	m->point->losses++;
	touch(c, m->point);
}

void point_leave(struct compile *c, struct member *m) {
	DL_DELETE(m->point->members, m);
	point_lose(c, m);
}

// Its frontend stays the same as long as that one leads here: flows made while it was the only one have no reverse entry. Else the oldest.
static void choose_frontend(const struct point *p, struct endpoint_ref *ref, uint64_t *oldest) {
	uint32_t n = 0, first_id = TABLES_NO_ID;
	uint64_t first = UINT64_MAX;
	bool stays = false;

	for (const struct member *m = p->members; m != NULL; m = m->next) {
		const struct side *s = m->side;

		for (uint32_t i = 0; s->mode == TABLES_DNAT && i < s->n_fronts; i++, n++) {
			const struct front *f = s->fronts[i];

			stays |= f->age == p->oldest;
			if (f->age < first) {
				first = f->age;
				first_id = f->id;
			}
		}
	}
	ref->ambiguous = n > 1;
	ref->frontend = stays ? p->ref.frontend : first_id;
	*oldest = n == 0 ? 0 : stays ? p->oldest : first;
}

// Where fullnat's answers come in, and their part of the class there.
static void set_way_back(const struct compile *c, const struct point *p, struct endpoint_ref *ref) {
	const struct rss *r;

	ref->port = fixed_port_towards(c, &p->place.addr) & (TABLES_MAX_PORTS - 1);
	r = c->ports[ref->port].rss;
	if (r != NULL)
		ref->rss_part = rss_endpoint_part(r, &p->place.addr, p->place.port) &
				(RSS_MAX_RETA - 1);
}

static void settle(struct compile *c, struct point *p) {
	struct endpoint_ref ref;

	memset(&ref, 0, sizeof(ref)); // compared as bytes below
	ref.id = p->id;
	ref.gen = (1 + p->losses % 7) & 7;
	set_way_back(c, p, &ref);
	for (const struct member *m = p->members; m != NULL; m = m->next) {
		ref.fullnat |= m->side->mode == TABLES_FULLNAT;
		ref.dnat |= m->side->mode == TABLES_DNAT && m->side->n_fronts > 0;
		ref.owner_by_address |= m->side->mode == TABLES_DNAT && m->side->by_address;
		ref.owner_moved |= m->side->mode == TABLES_DNAT && m->side->owner_moved;
	}
	choose_frontend(p, &ref, &p->oldest);
	if (memcmp(&ref, &p->ref, sizeof(ref)) != 0)
		c->endpoints_changed = true;
	p->ref = ref;
	back_set(&c->back, p);
}

void points_settle(struct compile *c) {
	for (struct point *p = c->touched; p != NULL; p = p->next_touched)
		settle(c, p);
}

void points_commit(struct compile *c) {
	struct point *p, *next;

	for (p = c->touched; p != NULL; p = next) {
		next = p->next_touched;
		p->touched = false;
		store_ref(&c->endpoints[p->id].ref, &p->ref);
		if (p->members == NULL && p->resting_until == 0) {
			p->resting_until = c->now + c->rest;
			DL_APPEND2(c->resting, p, rest_prev, rest_next);
		}
	}
	c->touched = NULL;
}

static struct side *walk_members(struct compile *c, const struct side *s, struct side *walk) {
	for (uint32_t i = 0; i < s->n_members; i++) {
		struct point *p = s->members[i]->point;

		if (p->mark == c->mark)
			continue;
		p->mark = c->mark;
		for (const struct member *m = p->members; m != NULL; m = m->next) {
			if (m->side->mode != TABLES_DNAT || m->side->next_by_address)
				continue;
			m->side->next_by_address = true;
			m->side->next_walk = walk;
			walk = m->side;
		}
	}
	return walk;
}

// dnat's way back knows a packet's endpoint before it knows its frontend, so an endpoint's frontends have one kind of owner: where one of them
// has affinity, all are owned by the client's address alone, and so are the other endpoints of those frontends' services, and so on.
void owners_settle(struct compile *c) {
	struct side *walk = NULL;

	if (!c->owners_changed)
		return;
	c->mark++;
	for (uint32_t i = 0; i < c->service_ids.high; i++) {
		struct side *s = c->side_of[i];

		if (s == NULL)
			continue;
		s->next_by_address = s->mode == TABLES_DNAT && s->affinity > 0;
		if (s->next_by_address) {
			s->next_walk = walk;
			walk = s;
		}
	}
	while (walk != NULL) {
		struct side *s = walk;

		walk = walk_members(c, s, s->next_walk);
	}
	for (uint32_t i = 0; i < c->service_ids.high; i++) {
		struct side *s = c->side_of[i];

		if (s == NULL || s->by_address == s->next_by_address)
			continue;
		s->by_address = s->next_by_address;
		s->owner_moved |= s->blob != NULL;
		c->frontends_changed = true;
		points_touch(c, s);
	}
}
