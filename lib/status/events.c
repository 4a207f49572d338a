// SPDX-License-Identifier: Apache-2.0
// Events on their way: what the correlator lets pass is sent, a few at a time, or dropped.
#include "status/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "status/correlate.h"
#include "status/exchange.h"
#include "status/pace.h"

#define WAITING_MAX 128
#define IN_FLIGHT 4
#define QPS 50
#define BURST 100
#define PAUSE_MS 1000
#define PAUSE_CAP_MS 60000

struct item { // an Event to be sent, or on its way
	TAILQ_ENTRY(item) link;
	struct correlate_event event;
	bool repeats; // PATCH of its count, rather than POST
	struct exchange exchange;
};
TAILQ_HEAD(item_list, item);

struct events {
	const struct api_transport *transport;
	char host[256];
	struct correlate *correlate;
	struct item_list waiting, sending;
	unsigned n_waiting, n_sending;
	struct pace pace;
	bool is_paced;
	uint64_t chance;
	uint32_t failures;
	int64_t paused_until;
	struct events_stats stats;
};

struct events *events_create(const struct api_transport *t, const struct events_config *c) {
	struct events *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->transport = t;
	e->chance = c->seed;
	snprintf(e->host, sizeof(e->host), "%s", c->host);
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->sending);
	e->correlate = correlate_create(c->seed);
	if (e->correlate == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

static void item_free(struct item *i) {
	exchange_reset(&i->exchange);
	free(i);
}

static void free_list(struct item_list *list) {
	struct item *i;

	while ((i = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, i, link);
		item_free(i);
	}
}

void events_destroy(struct events *e) {
	if (e == NULL)
		return;
	free_list(&e->waiting);
	free_list(&e->sending);
	correlate_destroy(e->correlate);
	free(e);
}

static void queue(struct events *e, const struct correlate_event *event) {
	struct item *i = e->n_waiting < WAITING_MAX ? calloc(1, sizeof(*i)) : NULL;

	if (i == NULL) {
		e->stats.dropped++;
		return;
	}
	i->event = *event;
	i->repeats = event->count > 1;
	TAILQ_INSERT_TAIL(&e->waiting, i, link);
	e->n_waiting++;
}

void events_tell(struct events *e, const struct events_object *about, bool warning,
		 const char *reason, const struct moment *now, const char *format, ...) {
	struct correlate_event event = {.warning = warning};
	va_list args;

	if (e == NULL)
		return;
	snprintf(event.ns, sizeof(event.ns), "%s", about->ns);
	snprintf(event.name, sizeof(event.name), "%s", about->name);
	snprintf(event.uid, sizeof(event.uid), "%s", about->uid);
	snprintf(event.version, sizeof(event.version), "%s", about->version);
	snprintf(event.reason, sizeof(event.reason), "%s", reason);
	va_start(args, format);
	vsnprintf(event.message, sizeof(event.message), format, args);
	va_end(args);
	e->stats.told++;
	if (correlate(e->correlate, &event, now))
		queue(e, &event);
	else
		e->stats.spam++;
}

// --- sending ---

static json_t *post_body(const struct events *e, const struct correlate_event *v, const char *id) {
	char first[MOMENT_TEXT], last[MOMENT_TEXT];

	moment_time(&v->first, first);
	moment_time(&v->last, last);
	return json_pack(
		"{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:i, "
		"s:s, s:s, s:{s:s, s:s}, s:s, s:s}",
		"apiVersion", "v1", "kind", "Event", "metadata", "name", id, "namespace", v->ns,
		"involvedObject", "apiVersion", "v1", "kind", "Service", "namespace", v->ns, "name",
		v->name, "uid", v->uid, "resourceVersion", v->version, "type",
		v->warning ? "Warning" : "Normal", "reason", v->reason, "message", v->message,
		"count", (int)v->count, "firstTimestamp", first, "lastTimestamp", last, "source",
		"component", "sluice", "host", e->host, "reportingComponent", "sluice",
		"reportingInstance", e->host);
}

static json_t *patch_body(const struct correlate_event *v) {
	char last[MOMENT_TEXT];

	return json_pack("{s:s, s:i, s:s}", "message", v->message, "count", (int)v->count,
			 "lastTimestamp", moment_time(&v->last, last));
}

static int start(struct events *e, struct item *i) {
	const struct correlate_event *v = &i->event;
	struct exchange_request r = {.method = i->repeats ? "PATCH" : "POST"};
	char id[300], path[700];
	json_t *body;
	int ret;

	snprintf(id, sizeof(id), "%s.%016llx", v->name, (unsigned long long)v->id);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/events%s%s", v->ns,
		 i->repeats ? "/" : "", i->repeats ? id : "");
	r.path = path;
	r.content_type = i->repeats ? "application/strategic-merge-patch+json" : NULL;
	r.body = body = i->repeats ? patch_body(v) : post_body(e, v, id);
	ret = body == NULL ? -ENOMEM : exchange_start(&i->exchange, e->transport, &r);
	json_decref(body);
	return ret;
}

static void send(struct events *e, struct item *i) {
	TAILQ_REMOVE(&e->waiting, i, link);
	e->n_waiting--;
	if (start(e, i) < 0) {
		e->stats.dropped++;
		item_free(i);
		return;
	}
	TAILQ_INSERT_TAIL(&e->sending, i, link);
	e->n_sending++;
}

// A server that does not want us now loses Events, not us memory: there is no second try.
static void note_result(struct events *e, const struct item *i, enum exchange_result result,
			const struct moment *now) {
	if (result == EXCHANGE_OK) {
		e->stats.sent++;
		e->failures = 0;
		return;
	}
	e->stats.failed++;
	if (result < EXCHANGE_THROTTLED)
		return;
	e->paused_until = now->ms + pace_backoff(++e->failures, PAUSE_MS, PAUSE_CAP_MS, &e->chance);
	if (now->ms + i->exchange.end.retry_after_ms > e->paused_until)
		e->paused_until = now->ms + i->exchange.end.retry_after_ms;
}

static void finish(struct events *e, struct item *i, const struct moment *now) {
	enum exchange_result result = exchange_result(&i->exchange);

	TAILQ_REMOVE(&e->sending, i, link);
	e->n_sending--;
	if (i->repeats && result == EXCHANGE_MISSING) { // the server has forgotten it: made again
		exchange_reset(&i->exchange);
		i->repeats = false;
		TAILQ_INSERT_HEAD(&e->waiting, i, link);
		e->n_waiting++;
		return;
	}
	note_result(e, i, result, now);
	item_free(i);
}

void events_step(struct events *e, const struct moment *now) {
	struct item *i, *next;

	if (!e->is_paced)
		pace_init(&e->pace, BURST, QPS, 1000, now->ms);
	e->is_paced = true;
	for (i = TAILQ_FIRST(&e->sending); i != NULL; i = next) {
		next = TAILQ_NEXT(i, link);
		if (exchange_is_done(&i->exchange))
			finish(e, i, now);
	}
	while ((i = TAILQ_FIRST(&e->waiting)) != NULL && e->n_sending < IN_FLIGHT &&
	       now->ms >= e->paused_until && pace_take(&e->pace, now->ms))
		send(e, i);
}

int64_t events_due(struct events *e, const struct moment *now) {
	const struct item *i;
	int64_t token, pause = e->paused_until > now->ms ? e->paused_until - now->ms : 0;

	TAILQ_FOREACH(i, &e->sending, link)
		if (exchange_is_done(&i->exchange))
			return 0;
	if (TAILQ_EMPTY(&e->waiting) || e->n_sending >= IN_FLIGHT)
		return INT64_MAX;
	token = e->is_paced ? pace_wait(&e->pace, now->ms) : 0;
	return pause > token ? pause : token;
}

void events_stats(const struct events *e, struct events_stats *out) {
	*out = e->stats;
}
