// SPDX-License-Identifier: Apache-2.0
// What the caller says: objects, grants, generations, leadership; and what it asks.
#include "status/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/entry.h"

#define QPS 50
#define BURST 100
#define IN_FLIGHT 16
#define CONTEST_WINDOW_MS 60000 // a change by others so soon after ours is about the same thing
#define VERIFY_MS 10000         // for the watch to show what an answer has shown already

// --- entries ---

static struct entry_list *list_of(struct status *s, enum entry_place place, uint32_t **count) {
	switch (place) {
	case ENTRY_QUEUED:
		*count = &s->n_queue;
		return &s->queue;
	case ENTRY_WAITING:
		*count = &s->n_waiting;
		return &s->waiting;
	case ENTRY_BUSY:
		*count = &s->n_busy;
		return &s->busy;
	default:
		return NULL;
	}
}

void entry_move(struct status *s, struct entry *e, enum entry_place place) {
	uint32_t *count;
	struct entry_list *list = list_of(s, e->place, &count);

	if (list != NULL) {
		TAILQ_REMOVE(list, e, link);
		--*count;
	}
	e->place = place;
	list = list_of(s, place, &count);
	if (list != NULL) {
		TAILQ_INSERT_TAIL(list, e, link);
		++*count;
	}
}

void entry_touch(struct status *s, struct entry *e) {
	if (e->place == ENTRY_BUSY)
		e->flight->again = true;
	else if (e->place == ENTRY_IDLE || (e->place == ENTRY_WAITING && !e->firm))
		entry_move(s, e, ENTRY_QUEUED);
}

void entry_wait(struct status *s, struct entry *e, int64_t until, bool firm) {
	e->wake_at = until;
	e->firm = firm;
	entry_move(s, e, ENTRY_WAITING);
}

// In order of generation, since generations only grow.
void entry_set_unserved(struct status *s, struct entry *e, bool unserved) {
	if (e->is_unserved) {
		TAILQ_REMOVE(&s->unserved, e, unserved_link);
		s->n_unserved--;
	}
	e->is_unserved = unserved;
	if (unserved) {
		TAILQ_INSERT_TAIL(&s->unserved, e, unserved_link);
		s->n_unserved++;
	}
}

void entry_land(struct entry *e) {
	if (e->flight == NULL)
		return;
	exchange_reset(&e->flight->exchange);
	view_marks_fini(&e->flight->sent);
	view_marks_fini(&e->flight->before);
	free(e->flight);
	e->flight = NULL;
}

void entry_free(struct status *s, struct entry *e) {
	entry_set_unserved(s, e, false);
	entry_move(s, e, ENTRY_IDLE);
	entry_land(e);
	view_fini(&e->view);
	aim_grant_fini(&e->grant);
	HASH_DEL(s->entries, e);
	free(e);
}

const char *entry_name(const struct entry *e, int *ns_len) {
	const char *slash = strchr(e->key, '/');

	*ns_len = (int)(slash - e->key);
	return slash + 1;
}

#define KEY_MAX 320

static int print_key(char *key, const char *ns, const char *name) {
	int n = snprintf(key, KEY_MAX, "%s/%s", ns, name);

	return n < KEY_MAX ? n : -ENOMEM; // longer than any name that the API allows
}

static struct entry *find(const struct status *s, const char *ns, const char *name) {
	struct entry *e = NULL;
	char key[KEY_MAX];
	int n = print_key(key, ns, name);

	if (n > 0)
		HASH_FIND(hh, s->entries, key, (size_t)n, e);
	return e;
}

static struct entry *add(struct status *s, const char *ns, const char *name) {
	char key[KEY_MAX];
	int n = print_key(key, ns, name);
	struct entry *e = n < 0 ? NULL : calloc(1, sizeof(*e) + (size_t)n + 1);

	if (e == NULL)
		return NULL;
	memcpy(e->key, key, (size_t)n + 1);
	HASH_ADD(hh, s->entries, key, (size_t)n, e);
	if (e->hh.tbl == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

// --- what the caller says ---

struct status *status_create(const struct api_transport *t, const struct status_config *c) {
	struct status *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->transport = t;
	s->config = *c;
	s->config.qps = c->qps != 0 ? c->qps : QPS;
	s->config.burst = c->burst != 0 ? c->burst : BURST;
	s->config.in_flight = c->in_flight != 0 ? c->in_flight : IN_FLIGHT;
	s->chance = c->seed;
	TAILQ_INIT(&s->queue);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->busy);
	TAILQ_INIT(&s->unserved);
	return s;
}

void status_destroy(struct status *s) {
	struct entry *e, *next;

	if (s == NULL)
		return;
	HASH_ITER(hh, s->entries, e, next)
		entry_free(s, e);
	free(s);
}

void status_lead(struct status *s, bool leads) {
	if (s->leads == leads)
		return;
	s->leads = leads;
	for (struct entry *e = s->entries; leads && e != NULL; e = e->hh.next)
		entry_touch(s, e);
}

void status_served(struct status *s, uint64_t generation) {
	struct entry *e;

	if (generation <= s->served)
		return;
	s->served = generation;
	while ((e = TAILQ_FIRST(&s->unserved)) != NULL && e->generation <= generation) {
		entry_set_unserved(s, e, false);
		entry_touch(s, e);
	}
}

void entry_contest(struct entry *e, int64_t now_ms) {
	if (now_ms - e->contested_at > 10 * CONTEST_WINDOW_MS)
		e->contests = 0;
	e->contests++;
	e->contested_at = now_ms;
	e->wrote_at = 0;
}

// Is it another writer's doing that the marks are not any more what we wrote a moment ago?
static bool is_contest(const struct status *s, const struct entry *e, const struct view *v,
		       const struct moment *now) {
	if (!s->leads || !e->grant.ours || e->view.generation != v->generation)
		return false;
	if (e->flight != NULL && !e->flight->reads && view_marks_equal(&e->flight->sent, &v->marks))
		return false; // the watch is ahead of the answer to our own write
	return e->wrote_at != 0 && now->ms - e->wrote_at <= CONTEST_WINDOW_MS &&
	       !view_marks_equal(&e->view.marks, &v->marks);
}

void entry_see(struct status *s, struct entry *e, struct view *v, const struct moment *now) {
	if (is_contest(s, e, v, now))
		entry_contest(e, now->ms);
	if (strcmp(e->view.version, v->version) != 0)
		e->stuck = false;
	view_fini(&e->view);
	e->view = *v;
	e->verify_at = 0;
}

// The object was deleted and made again: nothing of the former one counts.
static void begin_anew(struct status *s, struct entry *e, struct view *v) {
	view_fini(&e->view);
	e->view = *v;
	e->refetch = e->stuck = e->told_leaving = e->gone = e->orphan = false;
	e->failures = e->contests = 0;
	e->wrote_at = e->contested_at = e->held_until = e->verify_at = 0;
	e->trouble[0] = '\0';
	if (e->place == ENTRY_WAITING)
		entry_move(s, e, ENTRY_QUEUED);
}

static void take_view(struct status *s, struct entry *e, struct view *v, const struct moment *now) {
	if (strcmp(e->view.uid, v->uid) != 0) {
		begin_anew(s, e, v);
		return;
	}
	e->gone = e->orphan = false;
	if (view_version_older(v->version, e->view.version)) {
		// The watch is behind our own write's answer. Should it never catch up (a restored server), the server is asked.
		view_fini(v);
		if (e->verify_at == 0)
			e->verify_at = now->ms + VERIFY_MS;
		return;
	}
	entry_see(s, e, v, now);
	e->refetch = false;
}

static void take_grant(struct status *s, struct entry *e, struct aim_grant *g,
		       uint64_t generation) {
	aim_grant_fini(&e->grant);
	e->grant = *g;
	e->stuck = false;
	e->doubted[0] = '\0';
	e->generation = generation;
	entry_set_unserved(s, e, generation > s->served);
}

static bool is_concerned(const struct view *v, const struct aim_grant *g) {
	return g->ours || view_marks_are_ours(&v->marks);
}

int status_put(struct status *s, const char *ns, const char *name, struct view *v,
	       struct aim_grant *g, uint64_t generation, const struct moment *now) {
	struct entry *e = find(s, ns, name);
	bool concerns = e != NULL || is_concerned(v, g);

	if (e == NULL && concerns)
		e = add(s, ns, name);
	if (e == NULL) {
		view_fini(v);
		aim_grant_fini(g);
		return concerns ? -ENOMEM : 0;
	}
	if (strcmp(e->view.uid, v->uid) != 0 || e->view.generation != v->generation ||
	    !aim_grant_equal(&e->grant, g))
		take_grant(s, e, g, generation);
	else
		aim_grant_fini(g);
	take_view(s, e, v, now);
	entry_touch(s, e);
	return 0;
}

// Is it worth a look whether it is really gone? Not when others write, nor while our last write, which ends it, is under way.
static bool may_be_there(const struct status *s, const struct entry *e) {
	bool ends = e->flight != NULL && e->flight->step == AIM_RELEASE;

	return s->leads && !ends && view_marks_are_ours(&e->view.marks);
}

void status_remove(struct status *s, const char *ns, const char *name, uint64_t generation) {
	struct entry *e = find(s, ns, name);
	struct aim_grant none = {.ours = false};

	if (e == NULL)
		return;
	if (may_be_there(s, e) && (none.ingress = strdup("")) != NULL) {
		take_grant(s, e, &none, generation);
		e->orphan = e->refetch = true;
		entry_touch(s, e);
		return;
	}
	e->gone = true;
	if (e->place != ENTRY_BUSY)
		entry_free(s, e);
}

// --- what the caller asks ---

bool status_is_busy(const struct status *s) {
	return s->leads && (s->n_busy > 0 || s->n_unserved > 0);
}

void status_stats(struct status *s, struct status_stats *out, const struct moment *now) {
	*out = s->stats;
	out->services = HASH_COUNT(s->entries);
	out->in_flight = s->n_busy;
	out->unserved = s->n_unserved;
	out->pending = s->n_queue + s->n_waiting + s->n_busy;
	for (const struct entry *e = s->entries; e != NULL; e = e->hh.next) {
		out->pending += e->is_unserved && e->place == ENTRY_IDLE;
		out->held += e->held_until > now->ms;
	}
	out->paused_ms = s->paused_until > now->ms ? s->paused_until - now->ms : 0;
}

void status_troubles(const struct status *s,
		     void (*fn)(void *arg, const char *ns, const char *name, const char *why),
		     void *arg) {
	char ns[KEY_MAX];

	for (const struct entry *e = s->entries; e != NULL; e = e->hh.next) {
		int n;
		const char *name = entry_name(e, &n);

		if (e->trouble[0] == '\0')
			continue;
		snprintf(ns, sizeof(ns), "%.*s", n, e->key);
		fn(arg, ns, name, e->trouble);
	}
}
