// SPDX-License-Identifier: Apache-2.0
// Groups of Events (one object, one reason) and a budget for each object, both forgotten from the least recently used end.
#include "status/correlate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "status/pace.h"

#define GROUPS 1024
#define OBJECTS 4096
#define SIMILAR 10       // different messages of a group; the next ones are told as one
#define WINDOW_MS 600000 // of silence end a group
#define BURST 25         // Events about an object,
#define REFILL_MS 300000 // then one in so long
#define COMBINED "(combined from similar events): "

struct record { // an Event that was sent
	uint64_t message, id;
	uint32_t count;
	struct moment first;
};

struct group {
	UT_hash_handle hh;
	TAILQ_ENTRY(group) link;
	int64_t last; // ms
	unsigned n;
	struct record records[SIMILAR + 1]; // the last one is that of the combined ones
	struct group_key {
		char uid[64], reason[64];
		uint64_t warning;
	} key;
};

struct object {
	UT_hash_handle hh;
	TAILQ_ENTRY(object) link;
	struct pace pace;
	char uid[64];
};

struct correlate {
	struct group *groups;
	struct object *objects;
	TAILQ_HEAD(, group) group_ages; // the least recently used first
	TAILQ_HEAD(, object) object_ages;
	uint64_t seed;
};

struct correlate *correlate_create(uint64_t seed) {
	struct correlate *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->seed = seed;
	TAILQ_INIT(&c->group_ages);
	TAILQ_INIT(&c->object_ages);
	return c;
}

static void drop_group(struct correlate *c, struct group *g) {
	TAILQ_REMOVE(&c->group_ages, g, link);
	HASH_DEL(c->groups, g);
	free(g);
}

static void drop_object(struct correlate *c, struct object *o) {
	TAILQ_REMOVE(&c->object_ages, o, link);
	HASH_DEL(c->objects, o);
	free(o);
}

void correlate_destroy(struct correlate *c) {
	if (c == NULL)
		return;
	while (!TAILQ_EMPTY(&c->group_ages))
		drop_group(c, TAILQ_FIRST(&c->group_ages));
	while (!TAILQ_EMPTY(&c->object_ages))
		drop_object(c, TAILQ_FIRST(&c->object_ages));
	free(c);
}

static uint64_t hash_of(const char *text) { // FNV-1a
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

// The group of an Event, made when absent, now the youngest. NULL: out of memory.
static struct group *group_of(struct correlate *c, const struct correlate_event *e) {
	struct group_key key = {.warning = e->warning};
	struct group *g;

	snprintf(key.uid, sizeof(key.uid), "%s", e->uid);
	snprintf(key.reason, sizeof(key.reason), "%s", e->reason);
	HASH_FIND(hh, c->groups, &key, sizeof(key), g);
	if (g != NULL) {
		TAILQ_REMOVE(&c->group_ages, g, link);
		TAILQ_INSERT_TAIL(&c->group_ages, g, link);
		return g;
	}
	if (HASH_COUNT(c->groups) >= GROUPS)
		drop_group(c, TAILQ_FIRST(&c->group_ages));
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->key = key;
	HASH_ADD(hh, c->groups, key, sizeof(key), g);
	if (g->hh.tbl == NULL) {
		free(g);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->group_ages, g, link);
	return g;
}

static struct object *object_of(struct correlate *c, const char *uid, const struct moment *now) {
	struct object *o;

	HASH_FIND_STR(c->objects, uid, o);
	if (o != NULL) {
		TAILQ_REMOVE(&c->object_ages, o, link);
		TAILQ_INSERT_TAIL(&c->object_ages, o, link);
		return o;
	}
	if (HASH_COUNT(c->objects) >= OBJECTS)
		drop_object(c, TAILQ_FIRST(&c->object_ages));
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	snprintf(o->uid, sizeof(o->uid), "%s", uid);
	pace_init(&o->pace, BURST, 1, REFILL_MS, now->ms);
	HASH_ADD_STR(c->objects, uid, o);
	if (o->hh.tbl == NULL) {
		free(o);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->object_ages, o, link);
	return o;
}

static struct record *record_of(struct group *g, uint64_t message) {
	struct record *r;

	for (unsigned i = 0; i < g->n; i++)
		if (g->records[i].message == message)
			return &g->records[i];
	if (g->n > SIMILAR)
		return &g->records[SIMILAR];
	r = &g->records[g->n++];
	*r = (struct record){.message = message};
	return r;
}

static void combine(struct correlate_event *e) {
	char text[sizeof(e->message)];

	memcpy(text, e->message, sizeof(text));
	snprintf(e->message, sizeof(e->message), COMBINED "%.*s",
		 (int)(sizeof(e->message) - sizeof(COMBINED)), text);
}

static void count(struct correlate *c, struct group *g, struct correlate_event *e,
		  const struct moment *now) {
	uint64_t message = hash_of(e->message);
	struct record *r;

	if (now->ms - g->last > WINDOW_MS)
		g->n = 0;
	g->last = now->ms;
	r = record_of(g, message);
	if (r == &g->records[SIMILAR])
		combine(e);
	if (r->count++ == 0) {
		r->first = *now;
		r->id = hash_of(e->uid) ^ message ^ (uint64_t)now->wall_us ^ c->seed++;
	}
	e->id = r->id;
	e->count = r->count;
	e->first = r->first;
	e->last = *now;
}

bool correlate(struct correlate *c, struct correlate_event *e, const struct moment *now) {
	struct object *o = object_of(c, e->uid, now);
	struct group *g;

	if (o == NULL || !pace_take(&o->pace, now->ms))
		return false;
	g = group_of(c, e);
	if (g == NULL)
		return false;
	count(c, g, e, now);
	return true;
}
