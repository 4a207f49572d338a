// SPDX-License-Identifier: Apache-2.0
// What to ask next. The rules, after client-go's reflector and the API server's watch cache:
//
//   - The first list asks for resourceVersion 0 (any cache will do), later ones for the last version seen (no cache older than that). When that is too old
//     (410) or too new for the server (it was restored, or its cache lags), the next one asks the quorum: no version, in pages of 500.
//   - A page whose continue token expired means a list from the beginning, in one piece, or a slow link would never see its end.
//   - A watch goes on from the last version, bookmarks included. It ends every 5 to 10 minutes, and is asked for again at once; one that ends
//     within a second without a word is a failure, as is one that broke by then.
//   - Refused connections, 429 and trouble of the server or the link don't make a version worse: watch again later, list nothing.
//   - 410, however it is said, forgets the version. The first in two minutes lists at once, the next ones back off.
//   - A watch without a byte for 90 s is reconnected: bookmarks come every minute, so its connection is dead (or the server sends none, and it costs little).
//     When the next one is silent too, all is listed: a server that went back in time (etcd restored) says nothing, bookmarks included, to who asks for what
//     follows a version that it has not reached again.
//   - Versions are opaque: kept, sent, never compared.
//   - A watch with initial events that is refused means a list in this round; a server that calls it invalid is not asked again.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/reflector_private.h"

#define LIST_SILENCE_MS 65000 // a server may hold a request for a minute before it begins
#define LIST_TIMEOUT_MS 300000
#define WATCH_SILENCE_MS 90000
#define SHORT_MS 1000
#define SOON_MS 100 // upper end of the delay of what is asked at once
#define EXPIRED_QUIET_MS 120000
#define WATCH_FAILURES 3 // then the version itself is in doubt
#define WATCH_SILENCES 2 // likewise
#define BODY_MAX 65536

struct reflector *reflector_create(const struct reflector_settings *s) {
	struct reflector *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->settings = *s;
	retry_init(&r->retry, s->seed);
	r->ask = s->server->no_watch_list ? ASK_LIST : ASK_STREAM;
	r->due_ms = INT64_MIN; // now
	r->expired_ms = INT64_MIN / 2;
	r->stats.last_byte_ms = r->stats.failing_since_ms = INT64_MIN;
	return r;
}

static void end_exchange(struct exchange *e) {
	splitter_destroy(e->splitter);
	free(e->body);
	free(e->next_page);
	*e = (struct exchange){.cause = REFLECTOR_CAUSES};
}

void reflector_destroy(struct reflector *r) {
	if (r == NULL)
		return;
	if (r->now.call != NULL)
		r->settings.transport->cancel(r->settings.transport->ctx, r->now.call);
	end_exchange(&r->now);
	free(r->page);
	free(r);
}

static int64_t now_of(const struct reflector *r) {
	return r->settings.clock(r->settings.clock_arg);
}

// --- what comes next ---

static void plan(struct reflector *r, enum ask ask, int64_t due_ms) {
	r->ask = ask;
	r->due_ms = due_ms;
	r->stats.state = REFLECTOR_WAITING;
}

static void plan_soon(struct reflector *r, enum ask ask) {
	plan(r, ask, now_of(r) + retry_random(&r->retry, SOON_MS));
}

static void plan_later(struct reflector *r, enum ask ask, const struct api_end *end) {
	int64_t asked = end != NULL ? end->retry_after_ms : -1, now = now_of(r);

	if (r->now.fault.retry_after_ms > asked)
		asked = r->now.fault.retry_after_ms;
	plan(r, ask, now + retry_failed(&r->retry, now, asked));
}

static enum ask relist(const struct reflector *r) {
	return r->settings.server->no_watch_list ? ASK_LIST : ASK_STREAM;
}

static void forget_page(struct reflector *r) {
	free(r->page);
	r->page = NULL;
}

// The version (or the page) is too old.
static void plan_expired(struct reflector *r, enum ask ask, const struct api_end *end) {
	int64_t now = now_of(r);
	bool first = now - r->expired_ms > EXPIRED_QUIET_MS;

	r->unpaged |= r->page != NULL;
	forget_page(r);
	r->version[0] = '\0';
	r->consistent = true;
	r->expired_ms = now;
	if (first)
		plan_soon(r, ask);
	else
		plan_later(r, ask, end);
}

static void after_list(struct reflector *r, enum reflector_cause cause, const struct api_end *end) {
	switch (cause) {
	case REFLECTOR_EXPIRED:
	case REFLECTOR_TOO_NEW:
		plan_expired(r, ASK_LIST, end);
		return;
	case REFLECTOR_MALFORMED:
	case REFLECTOR_REJECTED:
	case REFLECTOR_MEMORY:
		forget_page(r);
		break;
	default: // the page is still good
		break;
	}
	plan_later(r, ASK_LIST, end);
}

static void after_stream(struct reflector *r, enum reflector_cause cause,
			 const struct api_end *end) {
	switch (cause) {
	case REFLECTOR_EXPIRED:
	case REFLECTOR_TOO_NEW:
		plan_expired(r, ASK_STREAM, end);
		return;
	case REFLECTOR_REFUSED:
	case REFLECTOR_THROTTLED:
	case REFLECTOR_LINK:
	case REFLECTOR_MEMORY:
		plan_later(r, ASK_STREAM, end);
		return;
	case REFLECTOR_REJECTED:
		r->settings.server->no_watch_list |= r->now.fault.code == 422;
		plan_soon(r, ASK_LIST);
		return;
	case REFLECTOR_TIMEOUT: // a server so old that it takes it for a plain watch
		r->settings.server->no_watch_list |= end->status == 200;
		plan_later(r, ASK_LIST, end);
		return;
	default:
		plan_later(r, ASK_LIST, end);
	}
}

// A watch that stood for a while and then broke: the next one may be fine.
static bool lasted(const struct reflector *r, const struct api_end *end) {
	return end != NULL && end->status == 200 && now_of(r) - r->now.began_ms >= SHORT_MS;
}

static void after_watch(struct reflector *r, enum reflector_cause cause,
			const struct api_end *end) {
	bool again = true;

	switch (cause) {
	case REFLECTOR_EXPIRED:
	case REFLECTOR_TOO_NEW:
		plan_expired(r, relist(r), end);
		return;
	case REFLECTOR_SILENT:
		if (++r->failed_watches < WATCH_SILENCES) {
			plan_soon(r, ASK_WATCH);
			return;
		}
		again = false;
		break;
	case REFLECTOR_LINK:
		if (r->now.progress || lasted(r, end)) {
			plan_soon(r, ASK_WATCH);
			return;
		}
		break;
	case REFLECTOR_SERVER:
	case REFLECTOR_MALFORMED:
	case REFLECTOR_SHORT:
		again = ++r->failed_watches < WATCH_FAILURES;
		break;
	case REFLECTOR_REJECTED:
	case REFLECTOR_MISSING:
	case REFLECTOR_MEMORY: // what the sink has is not known
		again = false;
		break;
	default:
		break;
	}
	if (!again)
		r->failed_watches = 0;
	plan_later(r, again ? ASK_WATCH : relist(r), end);
}

// --- the end of an exchange ---

static enum reflector_cause cause_of_status(const struct api_fault *f) {
	if (f->too_large)
		return REFLECTOR_TOO_NEW;
	if (f->expired)
		return REFLECTOR_EXPIRED;
	if (f->code == 429)
		return REFLECTOR_THROTTLED;
	if (f->code == 401 || f->code == 403)
		return REFLECTOR_DENIED;
	if (f->code == 404)
		return REFLECTOR_MISSING;
	return f->code >= 500 ? REFLECTOR_SERVER : REFLECTOR_REJECTED;
}

static enum reflector_cause cause_of_error(const struct reflector *r, const struct api_end *end) {
	switch (end->error) {
	case -ECONNREFUSED:
		return REFLECTOR_REFUSED;
	case -ETIMEDOUT:
		return end->status == 200 && r->ask == ASK_WATCH ? REFLECTOR_SILENT
								 : REFLECTOR_TIMEOUT;
	case -ENOMEM:
		return REFLECTOR_MEMORY;
	default:
		return REFLECTOR_LINK;
	}
}

// REFLECTOR_CAUSES: nothing is wrong. Fills r->now.err otherwise.
static enum reflector_cause judge(struct reflector *r, const struct api_end *end) {
	struct exchange *e = &r->now;
	bool ends = e->splitter != NULL && splitter_is_whole(e->splitter);

	if (e->cause != REFLECTOR_CAUSES)
		return e->cause;
	if (e->fault.code != 0) // an ERROR event
		return cause_of_status(&e->fault);
	if (end->status != 0 && end->status != 200) {
		api_fault_parse(&e->fault, end->status, e->body, e->body_len);
		error_set(&e->err, 0, "%s", e->fault.text);
		return cause_of_status(&e->fault);
	}
	if (end->error != 0) {
		error_set(&e->err, 0, "%s", end->text);
		return cause_of_error(r, end);
	}
	if (r->ask == ASK_LIST ? !ends : e->splitter != NULL && !ends) {
		error_set(&e->err, 0, "the answer ended in the middle");
		return REFLECTOR_LINK;
	}
	if (r->ask == ASK_STREAM) {
		error_set(&e->err, 0, "the initial events ended without their bookmark");
		return REFLECTOR_TIMEOUT;
	}
	if (r->ask == ASK_WATCH && !e->progress && now_of(r) - e->began_ms < SHORT_MS) {
		error_set(&e->err, 0, "the watch ended at once");
		return REFLECTOR_SHORT;
	}
	return REFLECTOR_CAUSES;
}

int reflector_finish(struct reflector *r, const char *version) {
	int ret = r->settings.sink->end(r->settings.sink_arg);

	if (ret < 0)
		return ret;
	strcpy(r->version, version);
	r->stats.relists += r->stats.synced;
	r->stats.synced = true;
	r->consistent = r->unpaged = false;
	r->ask = ASK_WATCH;
	r->stats.state = REFLECTOR_WATCHING;
	return 0;
}

// A list, or a page of it, is there.
static enum reflector_cause take_list(struct reflector *r) {
	forget_page(r);
	r->page = r->now.next_page;
	r->now.next_page = NULL;
	if (r->page != NULL)
		plan(r, ASK_LIST, now_of(r));
	else if (reflector_finish(r, r->now.version) == 0)
		plan(r, ASK_WATCH, now_of(r));
	else
		return REFLECTOR_MEMORY;
	return REFLECTOR_CAUSES;
}

static void fail(struct reflector *r, enum reflector_cause cause, const struct api_end *end) {
	static void (*const after[])(struct reflector * r, enum reflector_cause cause,
				     const struct api_end *end) = {
		[ASK_LIST] = after_list, [ASK_STREAM] = after_stream, [ASK_WATCH] = after_watch};
	static const char *const asks[] = {"list", "watch with initial events", "watch"};

	r->stats.errors[cause]++;
	r->stats.missing = cause == REFLECTOR_MISSING;
	if (cause != REFLECTOR_SILENT && r->stats.failing_since_ms == INT64_MIN)
		r->stats.failing_since_ms = now_of(r);
	snprintf(r->last_error, sizeof(r->last_error), "%s: %.270s", asks[r->ask],
		 r->now.err.text[0] != '\0' ? r->now.err.text : reflector_cause_name(cause));
	after[r->ask](r, cause, end);
}

static void works(struct reflector *r) {
	r->stats.failing_since_ms = INT64_MIN;
	r->stats.missing = false;
}

static void on_end(void *arg, const struct api_end *end) {
	struct reflector *r = arg;
	enum reflector_cause cause;

	r->now.call = NULL;
	cause = judge(r, end);
	if (cause == REFLECTOR_CAUSES) {
		works(r);
		if (r->ask == ASK_LIST)
			cause = take_list(r);
		else
			plan_soon(r, ASK_WATCH);
	}
	if (cause != REFLECTOR_CAUSES)
		fail(r, cause, end);
	end_exchange(&r->now);
}

// --- bytes ---

// Of a refusal, as far as anybody would read it.
static int keep_body(struct exchange *e, const char *data, size_t n) {
	if (e->body == NULL)
		e->body = malloc(BODY_MAX);
	if (e->body == NULL)
		return -ENOMEM;
	if (n > BODY_MAX - e->body_len)
		n = BODY_MAX - e->body_len;
	memcpy(e->body + e->body_len, data, n);
	e->body_len += n;
	return 0;
}

// An open watch is as good as it gets: on a quiet resource nothing else comes for a minute.
static void on_begin(void *arg, int status) {
	struct reflector *r = arg;

	r->stats.last_byte_ms = now_of(r);
	if (status == 200 && r->ask == ASK_WATCH)
		works(r);
}

static int on_data(void *arg, int status, const char *data, size_t n) {
	struct reflector *r = arg;
	struct exchange *e = &r->now;
	int ret;

	r->stats.last_byte_ms = now_of(r);
	if (status != 200)
		return keep_body(e, data, n);
	if (e->splitter == NULL)
		e->splitter = r->ask == ASK_LIST
				      ? splitter_create(SPLITTER_LIST, 0, r->settings.drop,
							&reflector_list_handlers, r)
				      : splitter_create(SPLITTER_STREAM, 0, r->settings.drop,
							&reflector_watch_handlers, r);
	if (e->splitter == NULL)
		return -ENOMEM;
	ret = splitter_feed(e->splitter, data, n, &e->err);
	if (ret == -EPROTO || ret == -E2BIG)
		e->cause = REFLECTOR_MALFORMED;
	else if (ret == -ENOMEM)
		e->cause = REFLECTOR_MEMORY;
	if (e->progress) {
		r->failed_watches = 0;
		works(r);
	}
	return ret;
}

// --- questions ---

static int ask(struct reflector *r) {
	static const struct api_handlers handlers = {on_begin, on_data, on_end};
	const struct api_transport *t = r->settings.transport;
	bool list = r->ask == ASK_LIST;
	struct api_request request = {.method = "GET",
				      .timeout_ms = list ? LIST_TIMEOUT_MS : 0,
				      .silence_ms = list ? LIST_SILENCE_MS : WATCH_SILENCE_MS};
	char *path = reflector_path(r);
	int ret = path == NULL ? -ENOMEM : 0;

	if (ret == 0 && r->ask != ASK_WATCH && r->page == NULL)
		ret = r->settings.sink->begin(r->settings.sink_arg);
	if (ret == 0) {
		request.path = path;
		r->now.call = t->start(t->ctx, &request, &handlers, r);
	}
	free(path);
	return r->now.call != NULL ? 0 : -ENOMEM;
}

static void begin(struct reflector *r, int64_t now_ms) {
	static const enum reflector_state states[] = {[ASK_LIST] = REFLECTOR_LISTING,
						      [ASK_STREAM] = REFLECTOR_STREAMING,
						      [ASK_WATCH] = REFLECTOR_WATCHING};
	uint64_t *const counters[] = {[ASK_LIST] = &r->stats.lists,
				      [ASK_STREAM] = &r->stats.streams,
				      [ASK_WATCH] = &r->stats.watches};

	end_exchange(&r->now);
	r->now.began_ms = now_ms;
	r->stats.state = states[r->ask];
	++*counters[r->ask];
	if (ask(r) == 0)
		return;
	error_set(&r->now.err, 0, "out of memory");
	fail(r, REFLECTOR_MEMORY, NULL);
}

int64_t reflector_due(const struct reflector *r, int64_t now_ms) {
	if (r->now.call != NULL)
		return -1;
	return r->due_ms <= now_ms ? 0 : r->due_ms - now_ms;
}

void reflector_step(struct reflector *r, int64_t now_ms) {
	if (reflector_due(r, now_ms) == 0)
		begin(r, now_ms);
}

// --- for people ---

void reflector_stats(const struct reflector *r, struct reflector_stats *out) {
	*out = r->stats;
	out->resource_version = r->version;
	out->last_error = r->last_error;
}

const char *reflector_state_name(enum reflector_state s) {
	static const char *const names[] = {"waiting", "listing", "streaming", "watching"};

	return names[s];
}

const char *reflector_cause_name(enum reflector_cause c) {
	static const char *const names[] = {"refused", "link",   "timeout",   "silent",
					    "gone",    "ahead",  "throttled", "unauthorized",
					    "missing", "server", "rejected",  "protocol",
					    "short",   "memory"};

	return names[c];
}
