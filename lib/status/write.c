// SPDX-License-Identifier: Apache-2.0
// What is done about an entry: looked at, written, answered.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/entry.h"

#define PAUSE_MS 800 // after the first failure of the server as a whole
#define PAUSE_CAP_MS 30000
#define RETRY_MS 200 // after the first failure of one Service
#define RETRY_CAP_MS 60000
#define CONFLICT_MS 20
#define CONFLICT_CAP_MS 5000
#define HOLD_MS 300000 // an object that another writer fights over is left alone
#define CONTESTS 2
#define MEMORY_MS 500
#define LOOKS 512 // in one step

// --- Events and troubles ---

__attribute__((format(printf, 5, 6))) static void tell(struct status *s, const struct entry *e,
						       bool warning, const char *reason,
						       const char *format, ...) {
	int n;
	const char *name = entry_name(e, &n);
	char ns[256], text[512];
	struct events_object about = {.ns = ns,
				      .name = name,
				      .uid = e->view.uid,
				      .version = e->view.version};
	va_list args;

	snprintf(ns, sizeof(ns), "%.*s", n, e->key);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	events_tell(s->config.events, &about, warning, reason, &s->now, "%s", text);
}

static void report(const struct status *s, const struct entry *e) {
	char text[512];

	if (s->config.report == NULL)
		return;
	snprintf(text, sizeof(text), "%s: %s", e->key, e->trouble);
	s->config.report(s->config.arg, text);
}

static const char *message_of(const struct view_marks *m, enum view_condition_type t) {
	return m->conditions[t].status != 0 ? m->conditions[t].message : "";
}

static void tell_addresses(struct status *s, const struct entry *e) {
	const struct view_marks *was = &e->flight->before, *m = &e->flight->sent;
	const char *where = message_of(m, VIEW_ALLOCATED);

	if (!view_marks_are_ours(was) && m->conditions[VIEW_ALLOCATED].status == 'T')
		tell(s, e, false, "EnsuringLoadBalancer", "Ensuring load balancer: %s", where);
	if (m->ingress[0] == '\0' || strcmp(was->ingress, m->ingress) == 0)
		return;
	if (was->ingress[0] == '\0')
		tell(s, e, false, "EnsuredLoadBalancer", "Ensured load balancer: %s", where);
	else
		tell(s, e, false, "UpdatedLoadBalancer", "Updated load balancer: %s", where);
	if (e->grant.hides_clients)
		tell(s, e, true, "ClientAddressHidden",
		     "externalTrafficPolicy is Local, but forwarding by fullnat hides the client's "
		     "address; dnat and dsr keep it");
	if (e->grant.has_no_nodes)
		tell(s, e, true, "UnAvailableLoadBalancer",
		     "There are no available nodes for the load balancer");
}

static void tell_faults(struct status *s, const struct entry *e) {
	const struct view_marks *was = &e->flight->before, *m = &e->flight->sent;
	const struct view_condition *c = &m->conditions[VIEW_ALLOCATED];
	const char *text = message_of(m, VIEW_ALLOCATED);

	if (c->status != 0 && strcmp(c->reason, AIM_ALLOCATED) != 0 &&
	    strcmp(text, message_of(was, VIEW_ALLOCATED)) != 0)
		tell(s, e, true, "AllocationFailed", "%s: %s", c->reason, text);
	text = message_of(m, VIEW_PORTS_ERROR);
	if (text[0] != '\0' && strcmp(text, message_of(was, VIEW_PORTS_ERROR)) != 0)
		tell(s, e, true, "SyncLoadBalancerFailed", "Ports are not served: %s", text);
}

// What a successful write amounts to, in the words that Kubernetes' own service controller uses.
static void tell_write(struct status *s, const struct entry *e) {
	if (e->flight->step == AIM_RELEASE) {
		tell(s, e, false, "DeletedLoadBalancer", "Deleted load balancer");
		return;
	}
	tell_addresses(s, e);
	tell_faults(s, e);
}

// --- a look ---

static void print_path(char *path, size_t size, const struct entry *e, const char *rest) {
	int n;
	const char *name = entry_name(e, &n);

	snprintf(path, size, "/api/v1/namespaces/%.*s/services/%s%s", n, e->key, name, rest);
}

static int start_get(struct status *s, struct entry *e, struct exchange *x) {
	char path[512];
	struct exchange_request r = {.method = "GET", .path = path};

	print_path(path, sizeof(path), e, "");
	return exchange_start(x, s->transport, &r);
}

static int start_patch(struct status *s, struct entry *e, struct exchange *x,
		       const struct view_marks *m) {
	char path[512];
	json_t *patch = aim_patch(&e->view, m, &s->now);
	struct exchange_request r = {.method = "PATCH",
				     .path = path,
				     .content_type = "application/strategic-merge-patch+json",
				     .body = patch};
	int ret;

	print_path(path, sizeof(path), e, "/status?fieldManager=sluice");
	ret = patch == NULL ? -ENOMEM : exchange_start(x, s->transport, &r);
	json_decref(patch);
	return ret;
}

// A GET, or a PATCH to *m (which stays the caller's). Errors: -EAGAIN: it is too early, -ENOMEM.
static int take_off(struct status *s, struct entry *e, const struct view_marks *m,
		    enum aim_step step) {
	struct flight *f;
	int ret = 0;

	if (!pace_take(&s->pace, s->now.ms))
		return -EAGAIN;
	e->flight = f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->reads = m == NULL;
	f->step = step;
	memcpy(f->uid, e->view.uid, sizeof(f->uid));
	memcpy(f->version, e->view.version, sizeof(f->version));
	if (!f->reads &&
	    (view_marks_copy(&f->sent, m) < 0 || view_marks_copy(&f->before, &e->view.marks) < 0))
		ret = -ENOMEM;
	if (ret == 0)
		ret = f->reads ? start_get(s, e, &f->exchange) : start_patch(s, e, &f->exchange, m);
	if (ret < 0) {
		entry_land(e);
		return ret;
	}
	s->stats.reads += f->reads;
	s->stats.writes += !f->reads;
	entry_move(s, e, ENTRY_BUSY);
	return 0;
}

static void settle(struct status *s, struct entry *e) {
	e->trouble[0] = '\0';
	if (!e->grant.ours && !view_marks_are_ours(&e->view.marks) && e->verify_at == 0)
		entry_free(s, e); // it has left us, and nothing of ours is on it
	else if (e->verify_at != 0)
		entry_wait(s, e, e->verify_at, false);
	else
		entry_move(s, e, ENTRY_IDLE);
}

static int write_marks(struct status *s, struct entry *e) {
	struct view_marks m;
	int step = aim_at(&m, &e->view, &e->grant, !e->is_unserved, s->config.finalizer), ret = 0;

	if (step < 0)
		return step;
	if (step == AIM_KEEP)
		settle(s, e);
	else
		ret = take_off(s, e, &m, (enum aim_step)step);
	view_marks_fini(&m);
	return ret;
}

static void hold(struct status *s, struct entry *e) {
	e->held_until = s->now.ms + HOLD_MS;
	e->contests = CONTESTS - 1; // once more is enough to hold it again
	s->stats.contested++;
	snprintf(e->trouble, sizeof(e->trouble),
		 "another writer changes its status after us; left alone for %d s", HOLD_MS / 1000);
	tell(s, e, true, "SyncLoadBalancerFailed",
	     "Another controller changes the status after us; it is left alone for %d s",
	     HOLD_MS / 1000);
	report(s, e);
}

// Errors: -EAGAIN: it is too early for another request, -ENOMEM.
static int look(struct status *s, struct entry *e) {
	const struct aim_grant *g = &e->grant;

	if (!s->leads || e->stuck) {
		entry_move(s, e, ENTRY_IDLE);
		return 0;
	}
	if (e->verify_at != 0 && s->now.ms >= e->verify_at)
		e->refetch = true;
	if (e->refetch)
		return take_off(s, e, NULL, AIM_KEEP);
	if (e->contests >= CONTESTS && s->now.ms >= e->held_until)
		hold(s, e);
	if (s->now.ms < e->held_until) {
		entry_wait(s, e, e->held_until, false);
		return 0;
	}
	if (aim_is_release(&e->view, g) && !e->told_leaving) {
		e->told_leaving = true;
		tell(s, e, false, "DeletingLoadBalancer", "Deleting load balancer");
	}
	return write_marks(s, e);
}

// --- an answer ---

// The server as a whole does not want us now.
static void pause_all(struct status *s, const struct exchange *x) {
	int64_t delay = pace_backoff(++s->failures, PAUSE_MS, PAUSE_CAP_MS, &s->chance);

	if (x->end.retry_after_ms > delay)
		delay = x->end.retry_after_ms;
	s->paused_until = s->now.ms + delay;
}

static void back_to_head(struct status *s, struct entry *e) {
	entry_move(s, e, ENTRY_QUEUED);
	TAILQ_REMOVE(&s->queue, e, link);
	TAILQ_INSERT_HEAD(&s->queue, e, link);
}

static void retry_later(struct status *s, struct entry *e, int64_t base, int64_t cap) {
	entry_wait(s, e, s->now.ms + pace_backoff(++e->failures, base, cap, &s->chance), true);
}

static void note_trouble(struct status *s, struct entry *e) {
	char why[120];

	exchange_text(&e->flight->exchange, why, sizeof(why));
	snprintf(e->trouble, sizeof(e->trouble), "%s: %s",
		 exchange_result_name(exchange_result(&e->flight->exchange)), why);
	snprintf(s->stats.error, sizeof(s->stats.error), "%s", e->trouble);
}

// Nothing more until something changes; unless it has, since the question was asked.
static void get_stuck(struct status *s, struct entry *e) {
	e->stuck = !e->flight->again;
	entry_move(s, e, ENTRY_IDLE);
}

static void give_up(struct status *s, struct entry *e) {
	s->stats.invalid++;
	tell(s, e, true, "SyncLoadBalancerFailed", "Error syncing load balancer: %s", e->trouble);
	report(s, e);
	get_stuck(s, e);
}

// The object is not there, or is not the one that we know: the watch will tell.
static void wait_for_watch(struct status *s, struct entry *e) {
	e->trouble[0] = '\0';
	get_stuck(s, e);
}

// A view that was not expected from the watch is of use only if what the grant was worked out from is still so.
static bool fits_grant(const struct view *was, const struct view *v) {
	return was->load_balancer == v->load_balancer && was->deleting == v->deleting &&
	       was->generation == v->generation;
}

static void take_get(struct status *s, struct entry *e, struct view *v) {
	bool is_doubted = strcmp(v->version, e->doubted) == 0;
	bool verifies = e->verify_at != 0 && s->now.ms >= e->verify_at;

	if (strcmp(v->uid, e->view.uid) != 0 ||
	    (!verifies && !e->orphan && !fits_grant(&e->view, v))) {
		view_fini(v);
		wait_for_watch(s, e);
		return;
	}
	if (e->flight->again && view_version_older(v->version, e->view.version))
		view_fini(v); // the watch has shown a newer one meanwhile
	else
		entry_see(s, e, v, &s->now);
	if (is_doubted)
		give_up(s, e);
	else
		entry_move(s, e, ENTRY_QUEUED);
}

static void take_patch(struct status *s, struct entry *e, struct view *v) {
	tell_write(s, e);
	e->failures = 0;
	e->wrote_at = s->now.ms;
	if (!view_marks_equal(&e->flight->sent, &v->marks)) // the server keeps something else
		entry_contest(e, s->now.ms);
	if (view_version_older(v->version, e->view.version)) { // the watch has shown a newer one
		if (!view_marks_equal(&v->marks, &e->view.marks))
			entry_contest(e, s->now.ms);
		view_fini(v);
	} else {
		view_fini(&e->view);
		e->view = *v;
		e->verify_at = 0;
	}
	entry_move(s, e, ENTRY_QUEUED);
}

static void take_ok(struct status *s, struct entry *e) {
	json_t *root = exchange_json(&e->flight->exchange);
	struct view v;
	int ret = root == NULL ? -EINVAL : view_decode(&v, root);

	json_decref(root);
	s->failures = 0;
	if (ret < 0) { // whatever that was, it was no Service
		e->refetch = true;
		retry_later(s, e, RETRY_MS, RETRY_CAP_MS);
		return;
	}
	e->refetch = false;
	if (e->flight->reads)
		take_get(s, e, &v);
	else
		take_patch(s, e, &v);
}

static void take_answer(struct status *s, struct entry *e) {
	enum exchange_result result = exchange_result(&e->flight->exchange);

	s->stats.results[result]++;
	if (result == EXCHANGE_INVALID || result >= EXCHANGE_REFUSED)
		note_trouble(s, e);
	if (result < EXCHANGE_REFUSED)
		s->failures = 0;
	switch (result) {
	case EXCHANGE_OK:
		take_ok(s, e);
		return;
	case EXCHANGE_MISSING:
		e->refetch = false;
		wait_for_watch(s, e);
		return;
	case EXCHANGE_CONFLICT:
		e->refetch = true;
		retry_later(s, e, CONFLICT_MS, CONFLICT_CAP_MS);
		return;
	case EXCHANGE_INVALID:
		if (e->flight->reads) {
			give_up(s, e);
			return;
		}
		e->refetch = true;
		memcpy(e->doubted, e->flight->version, sizeof(e->doubted));
		entry_move(s, e, ENTRY_QUEUED);
		return;
	case EXCHANGE_REFUSED:
	case EXCHANGE_FAILED:
		pause_all(s, &e->flight->exchange);
		if (e->flight->exchange.end.status == 401)
			back_to_head(s, e);
		else
			retry_later(s, e, RETRY_MS, RETRY_CAP_MS);
		return;
	default:
		pause_all(s, &e->flight->exchange);
		back_to_head(s, e);
	}
}

static void finish(struct status *s, struct entry *e) {
	if (e->gone) {
		entry_free(s, e);
		return;
	}
	if (strcmp(e->flight->uid, e->view.uid) !=
	    0) // an answer about the one that was here before
		entry_move(s, e, ENTRY_QUEUED);
	else
		take_answer(s, e);
	if (e->orphan && e->stuck) { // it is gone indeed
		entry_free(s, e);
		return;
	}
	if (e->flight->again && e->place == ENTRY_IDLE)
		entry_move(s, e, ENTRY_QUEUED);
	entry_land(e);
}

// --- the step ---

static void finish_all(struct status *s) {
	struct entry *e, *next;

	for (e = TAILQ_FIRST(&s->busy); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		if (exchange_is_done(&e->flight->exchange))
			finish(s, e);
	}
}

static void wake(struct status *s) {
	struct entry *e, *next;

	for (e = TAILQ_FIRST(&s->waiting); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		if (s->now.ms >= e->wake_at)
			entry_move(s, e, ENTRY_QUEUED);
	}
}

void status_step(struct status *s, const struct moment *now) {
	struct entry *e;

	s->now = *now;
	if (!s->is_paced)
		pace_init(&s->pace, s->config.burst, s->config.qps, 1000, now->ms);
	s->is_paced = true;
	finish_all(s);
	wake(s);
	for (int n = 0; n < LOOKS && (e = TAILQ_FIRST(&s->queue)) != NULL; n++) {
		int ret;

		if (s->leads && (s->n_busy >= s->config.in_flight || now->ms < s->paused_until))
			return;
		ret = look(s, e);
		if (ret == -EAGAIN)
			return;
		if (ret < 0)
			entry_wait(s, e, now->ms + MEMORY_MS, true);
	}
}

static int64_t until(int64_t at, int64_t now) {
	return at > now ? at - now : 0;
}

// When the head of the queue can go.
static int64_t queue_due(struct status *s, int64_t now) {
	int64_t pause = until(s->paused_until, now), token;

	if (TAILQ_EMPTY(&s->queue) || (s->leads && s->n_busy >= s->config.in_flight))
		return INT64_MAX;
	if (!s->leads || !s->is_paced)
		return 0;
	token = pace_wait(&s->pace, now);
	return pause > token ? pause : token;
}

int64_t status_due(struct status *s, const struct moment *now) {
	int64_t due = queue_due(s, now->ms);

	for (const struct entry *e = TAILQ_FIRST(&s->busy); e != NULL; e = TAILQ_NEXT(e, link))
		if (exchange_is_done(&e->flight->exchange))
			return 0;
	for (const struct entry *e = TAILQ_FIRST(&s->waiting); e != NULL; e = TAILQ_NEXT(e, link))
		if (until(e->wake_at, now->ms) < due)
			due = until(e->wake_at, now->ms);
	return due;
}
