// SPDX-License-Identifier: Apache-2.0
// A service of one family: how it follows the model's service.
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"

_Static_assert((int)TABLES_FULLNAT == MODEL_FULLNAT && (int)TABLES_DNAT == MODEL_DNAT &&
		       (int)TABLES_DSR == MODEL_DSR,
	       "one numbering of modes");

void side_change(struct compile *c, struct side *s) {
	s->changed = true;
	s->entry->generation = c->generation + 1;
	c->services_changed = true;
	if (s->mode == TABLES_DNAT)
		c->owners_changed = true;
}

void side_free(struct side *s) {
	blob_free(s->next_blob);
	free(s->fronts);
	free(s->members);
	free(s->ranges);
	free(s);
}

static bool is_wanted(const struct model_service *s, uint8_t family) {
	for (uint32_t i = 0; s != NULL && i < s->n_frontends; i++)
		if (s->frontends[i].addr.family == family)
			return true;
	return false;
}

static struct side **side_at(struct entry *e, uint8_t family) {
	return &e->sides[family == 6];
}

static void drop(struct compile *c, struct side *s) {
	side_change(c, s);
	fronts_leave(c, s, NULL);
	members_leave(c, s, NULL);
	c->side_of[s->id] = NULL;
	ids_leave(&c->service_ids, s->id);
	if (s->blob != NULL) {
		s->blob->next = c->dropped;
		c->dropped = s->blob;
	}
	*side_at(s->entry, s->family) = NULL;
	side_free(s);
}

void side_leave(struct compile *c, struct entry *e, uint8_t family, const struct model_service *s) {
	struct side *side = *side_at(e, family);

	if (side == NULL)
		return;
	// Another mode has other ids throughout: a flow must never be carried on in a mode that it didn't begin in.
	if (!is_wanted(s, family) || side->mode != s->mode) {
		drop(c, side);
		return;
	}
	fronts_leave(c, side, s);
	members_leave(c, side, s);
}

// *out: NULL when there is no id (the entry then has a reason).
static int create(struct compile *c, struct entry *e, uint8_t family, uint8_t mode,
		  struct side **out) {
	struct side *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL)
		return -ENOMEM;
	*s = (struct side){.entry = e,
			   .family = family,
			   .mode = mode,
			   .id = ids_take(&c->service_ids, c->now)};
	if (s->id == IDS_NONE) {
		entry_refuse(c, e, "no free service id: more than %u services",
			     TABLES_MAX_SERVICES);
		free(s);
		return 0;
	}
	c->side_of[s->id] = s;
	*side_at(e, family) = *out = s;
	side_change(c, s);
	return 0;
}

static int set_ranges(struct compile *c, struct side *s, const struct model_service *m) {
	struct ip_prefix *ranges = calloc(m->n_source_ranges + 1, sizeof(*ranges));
	uint32_t n = 0;

	if (ranges == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_source_ranges; i++)
		if (m->source_ranges[i].addr.family == s->family)
			ranges[n++] = m->source_ranges[i];
	if (n != s->n_ranges || (n > 0 && memcmp(ranges, s->ranges, n * sizeof(*ranges)) != 0))
		side_change(c, s);
	free(s->ranges);
	s->ranges = ranges;
	s->n_ranges = n;
	return 0;
}

static void set_attributes(struct compile *c, struct side *s, const struct model_service *m) {
	if (s->reject != m->reject || s->affinity != m->affinity_timeout ||
	    s->restricted != m->restricted)
		side_change(c, s);
	if ((s->affinity > 0) != (m->affinity_timeout > 0) || s->restricted != m->restricted)
		c->frontends_changed = true;
	if ((s->affinity > 0) != (m->affinity_timeout > 0) && s->mode != TABLES_DNAT)
		s->owner_moved |= s->blob != NULL; // dnat: owners_settle()
	s->reject = m->reject;
	s->affinity = m->affinity_timeout;
	s->restricted = m->restricted;
}

int side_join(struct compile *c, struct entry *e, uint8_t family, const struct model_service *s) {
	struct side *side = *side_at(e, family);
	int ret;

	if (!is_wanted(s, family))
		return 0;
	if (side == NULL) {
		ret = create(c, e, family, s->mode, &side);
		if (ret < 0 || side == NULL)
			return ret;
	}
	set_attributes(c, side, s);
	ret = set_ranges(c, side, s);
	if (ret == 0)
		ret = fronts_join(c, side, s);
	if (ret == 0)
		ret = members_join(c, side, s);
	return ret;
}
