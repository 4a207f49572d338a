// SPDX-License-Identifier: Apache-2.0
// A service's backends: ids that stay, next hops, and who gets new flows.
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"
#include "flow/flow.h"

// Who keeps its flows: every backend that the model lists, be it ready, terminating or for a while not ready ("existing flows keep their backend while it
// exists"). All but one that is terminating and doesn't serve any more: there is nobody to talk to.
static bool is_live(const struct model_backend *b) {
	return strcmp(b->reason, "not-serving") != 0;
}

static const struct place *at(const struct member *m) {
	return &m->point->place;
}

static void leave(struct compile *c, struct member *m) {
	point_leave(c, m);
	c->member_of[m->id] = NULL;
	ids_leave(&c->backend_ids, m->id);
	free(m);
}

// The slot is out of everybody's sight: its state is 0, and no flow holds its id any more.
static void write_slot(struct compile *c, const struct member *m, uint32_t nexthop) {
	struct backend *b = &c->backends[m->id];

	memcpy(b->addr, at(m)->addr.b, sizeof(b->addr));
	b->port = at(m)->port;
	b->gen = (uint8_t)((b->gen + 1) % (1u << FLOW_GEN_BITS));
	b->endpoint = m->point->id;
	b->service = m->side->id;
	b->nexthop = nexthop;
}

// *out: NULL when there is no id (the entry then has a reason).
static int join(struct compile *c, struct side *s, const struct place *place, struct member **out) {
	struct member *m = calloc(1, sizeof(*m));
	const char *reason;
	int error;

	*out = NULL;
	if (m == NULL)
		return -ENOMEM;
	*m = (struct member){.side = s, .reason = ""};
	m->point = point_join(c, place, m, &error);
	if (m->point == NULL) {
		free(m);
		if (error == -ENOSPC)
			entry_refuse(c, s->entry, "no free endpoint id for every backend");
		return error == -ENOSPC ? 0 : error;
	}
	m->id = ids_take(&c->backend_ids, c->now);
	if (m->id == IDS_NONE) {
		entry_refuse(c, s->entry, "no free backend id for every backend");
		point_leave(c, m);
		free(m);
		return 0;
	}
	c->member_of[m->id] = m;
	write_slot(c, m, fixed_hold_nexthop(c, &place->addr, &reason));
	*out = m;
	return 0;
}

static int compare(const struct member *m, const struct model_backend *b) {
	int order = ip_addr_cmp(&at(m)->addr, &b->addr);
	uint16_t port = be16toh(at(m)->port);

	return order != 0 ? order : (port > b->port) - (port < b->port);
}

void members_leave(struct compile *c, struct side *s, const struct model_service *m) {
	uint32_t n = 0, j = 0, n_model = m == NULL ? 0 : m->n_backends;

	for (uint32_t i = 0; i < s->n_members; i++) {
		while (j < n_model && compare(s->members[i], &m->backends[j]) > 0)
			j++;
		if (j < n_model && compare(s->members[i], &m->backends[j]) == 0)
			s->members[n++] = s->members[i];
		else
			leave(c, s->members[i]);
	}
	if (n != s->n_members)
		side_change(c, s);
	s->n_members = n;
}

static void follow_model(struct compile *c, struct side *s, struct member *m,
			 const struct model_backend *b) {
	if (m->weight != b->weight && b->usable)
		side_change(c, s);
	m->weight = b->weight;
	m->wanted = b->usable;
	m->live = is_live(b) || b->usable;
}

// One more than a table takes; m: it was a member so far, or NULL.
static void refuse(struct compile *c, struct side *s, struct member *m) {
	entry_refuse(c, s->entry, "more than %d backends", MAGLEV_MAX_BACKENDS);
	if (m == NULL)
		return;
	leave(c, m);
	side_change(c, s);
}

int members_join(struct compile *c, struct side *s, const struct model_service *m) {
	struct member **list = calloc(m->n_backends + 1, sizeof(struct member *)), *member;
	uint32_t n = 0, old = 0;
	int ret = 0, error;

	if (list == NULL)
		return -ENOMEM;
	// Those that stay are a part of the model's, in the same order.
	for (uint32_t i = 0; i < m->n_backends; i++) {
		const struct model_backend *b = &m->backends[i];
		struct place place = place_of(&b->addr, b->port, (uint8_t)m->key.protocol);

		if (b->addr.family != s->family)
			continue;
		member = NULL;
		if (old < s->n_members && compare(s->members[old], b) == 0)
			member = s->members[old++];
		if (n == MAGLEV_MAX_BACKENDS) {
			refuse(c, s, member);
			continue;
		}
		if (member == NULL) {
			error = join(c, s, &place, &member);
			if (error < 0)
				ret = error;
			if (member == NULL)
				continue;
			side_change(c, s);
		}
		follow_model(c, s, member, b);
		list[n++] = member;
	}
	free(s->members);
	s->members = list;
	s->n_members = n;
	return ret;
}

static const char *obstacle(struct compile *c, const struct side *s, const struct member *m) {
	struct backend *b = &c->backends[m->id];
	const char *reason = "";

	if (local_is_own(c, &at(m)->addr))
		return "own-address";
	if (b->nexthop == TABLES_NO_ID) // the neighbour table may have room by now
		__atomic_store_n(&b->nexthop, fixed_hold_nexthop(c, &at(m)->addr, &reason),
				 __ATOMIC_RELAXED);
	if (b->nexthop == TABLES_NO_ID)
		return reason;
	if (s->mode == TABLES_DSR && fixed_is_default_gateway(c, b->nexthop))
		return "dsr-next-hop"; // it would send the packet back to us
	return "";
}

void side_settle(struct compile *c, struct side *s) {
	for (uint32_t i = 0; i < s->n_members; i++) {
		struct member *m = s->members[i];
		uint8_t state = m->live ? BACKEND_LIVE : 0;

		m->reason = obstacle(c, s, m);
		if (m->wanted && m->reason[0] == 0)
			state |= BACKEND_USABLE;
		if (state != m->state)
			side_change(c, s);
		if (m->state & ~state & BACKEND_LIVE)
			point_lose(c, m);
		m->state = state;
	}
}
