// SPDX-License-Identifier: Apache-2.0
// A service's blob: usable backends, their Maglev table (kept while they are the same), source ranges.
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"
#include "flow/flow.h"

#define MAX_AFFINITY (1u << 28) // seconds; Kubernetes ends at a day

static void table_release(struct shared_table *t) {
	if (t == NULL || --t->refs > 0)
		return;
	maglev_fini(&t->table, t->memory);
	free(t);
}

void blob_free(struct blob *b) {
	if (b == NULL)
		return;
	table_release(b->table);
	lpm_destroy(b->sources);
	free(b);
}

static struct maglev_backend identity_of(const struct member *m) {
	return (struct maglev_backend){m->point->place.addr, be16toh(m->point->place.port),
				       m->weight};
}

// Whether t is the table of just these usable members.
static bool table_fits(const struct shared_table *t, const struct side *s, uint32_t n) {
	uint32_t at = 0;

	if (t == NULL || t->n != n)
		return false;
	for (uint32_t i = 0; i < s->n_members; i++) {
		struct maglev_backend b;

		if (!(s->members[i]->state & BACKEND_USABLE))
			continue;
		b = identity_of(s->members[i]);
		if (!ip_addr_eq(&b.addr, &t->of[at].addr) || b.port != t->of[at].port ||
		    b.weight != t->of[at].weight)
			return false;
		at++;
	}
	return true;
}

static int table_build(struct compile *c, const struct side *s, uint32_t n,
		       struct shared_table **out) {
	struct shared_table *t = calloc(1, sizeof(*t) + n * sizeof(t->of[0]));
	int ret;

	if (t == NULL)
		return -ENOMEM;
	t->refs = 1;
	t->memory = c->memory;
	for (uint32_t i = 0; i < s->n_members; i++)
		if (s->members[i]->state & BACKEND_USABLE)
			t->of[t->n++] = identity_of(s->members[i]);
	ret = maglev_build(&t->table, c->memory, t->of, t->n);
	if (ret < 0) {
		free(t);
		return ret;
	}
	c->tables_built++;
	*out = t;
	return 0;
}

static int set_table(struct compile *c, const struct side *s, struct blob *b, uint32_t n) {
	struct shared_table *old = s->blob != NULL ? s->blob->table : NULL;

	if (n < 2)
		return 0;
	if (table_fits(old, s, n)) {
		old->refs++;
		b->table = old;
		return 0;
	}
	return table_build(c, s, n, &b->table);
}

// With ranges of the other family only, the map is empty and lets nobody in.
static int set_sources(const struct side *s, struct blob *b) {
	struct lpm_rule *rules;

	if (!s->restricted)
		return 0;
	rules = calloc(s->n_ranges + 1, sizeof(*rules));
	if (rules == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_ranges; i++)
		rules[i].prefix = s->ranges[i];
	b->sources = lpm_create(rules, s->n_ranges);
	free(rules);
	return b->sources == NULL ? -ENOMEM : 0;
}

static uint32_t count_usable(const struct side *s) {
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_members; i++)
		n += (s->members[i]->state & BACKEND_USABLE) != 0;
	return n;
}

static void fill(const struct compile *c, const struct side *s, struct blob *b) {
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_members; i++)
		if (s->members[i]->state & BACKEND_USABLE)
			b->usable[n++] = s->members[i]->id;
	b->service = (struct service){
		.id = s->id,
		.affinity_ticks = (s->affinity < MAX_AFFINITY ? s->affinity : MAX_AFFINITY) *
				  FLOW_TICKS,
		.mode = s->mode,
		.family = s->family,
		.protocol = (uint8_t)s->entry->key.protocol,
		.reject = s->reject,
		.n_usable = n,
		.usable = b->usable,
		.sources = b->sources,
		.generation = c->generation + 1,
	};
	if (b->table != NULL)
		b->service.table = b->table->table;
	else
		b->service.table.only = n == 1 ? 0 : MAGLEV_NONE;
}

int blob_make(struct compile *c, struct side *s) {
	uint32_t n = count_usable(s);
	struct blob *b = calloc(1, sizeof(*b) + n * sizeof(b->usable[0]));
	int ret;

	if (b == NULL)
		return -ENOMEM;
	ret = set_table(c, s, b, n);
	if (ret == 0)
		ret = set_sources(s, b);
	if (ret < 0) {
		blob_free(b);
		return ret;
	}
	fill(c, s, b);
	blob_free(s->next_blob);
	s->next_blob = b;
	return 0;
}
