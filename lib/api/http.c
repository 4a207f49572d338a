// SPDX-License-Identifier: Apache-2.0
// The life of exchanges: started, run, ended or cancelled, whoever is on the stack.
#include "api/http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "api/http_call.h"

#define STARVED_MS 1000

int64_t http_now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void call_free(struct http_call *c) {
	if (c == NULL)
		return;
	c->http->n_pending--;
	if (c->silence != NULL)
		event_free(c->silence);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->connect_to);
	for (size_t i = 0; i < HTTP_WANTED; i++)
		free(c->wanted[i]);
	free(c);
}

// The caller has its last word; then c is gone.
static void finish(struct http_call *c, CURLcode code, bool silent) {
	struct http *h = c->http;
	struct http_end end;

	http_describe(c, code, silent, &end);
	if (c->place == HTTP_RUNNING) {
		curl_multi_remove_handle(h->multi, c->easy);
		TAILQ_REMOVE(&h->running, c, link);
	}
	c->place = HTTP_ENDED;
	c->handlers.on_end(c->arg, &end);
	call_free(c);
}

// Whether another exchange on the connection heard from the server after c last did.
static bool is_heard_on(struct http_call *c, curl_socket_t fd) {
	struct http_call *other;

	TAILQ_FOREACH(other, &c->http->running, link)
		if (other != c && other->heard_ms > c->heard_ms &&
		    other->heard_ms != other->begun_ms && http_loop_socket_of(other) == fd)
			return true;
	return false;
}

// A connection that lets one exchange starve would let the next one starve too, and curl has no way to say so: with HTTP/2 it keeps the connection. Hanging up
// below curl ends it for all its exchanges, which is right unless one of them heard from the server meanwhile.
static void retire_connection(struct http_call *c) {
	curl_socket_t fd = http_loop_socket_of(c);

	if (http_now_ms() - c->heard_ms < STARVED_MS) // slow, not silent
		return;
	if (fd != CURL_SOCKET_BAD && !is_heard_on(c, fd))
		shutdown(fd, SHUT_RDWR);
}

static void arm_silence(struct http_call *c, int64_t ms) {
	struct timeval in = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_add(c->silence, &in);
}

static void on_silence(evutil_socket_t fd, short what, void *arg) {
	struct http_call *c = arg;
	struct http *h = c->http;
	int64_t left = c->heard_ms + c->silence_ms - http_now_ms();

	(void)fd;
	(void)what;
	if (c->place == HTTP_DEAD)
		return;
	if (left > 0) {
		arm_silence(c, left);
		return;
	}
	http_enter(h);
	retire_connection(c);
	finish(c, CURLE_OPERATION_TIMEDOUT, true);
	http_leave(h);
}

static void begin(struct http_call *c) {
	struct http *h = c->http;

	TAILQ_REMOVE(&h->waiting, c, link);
	c->begun_ms = c->heard_ms = http_now_ms();
	if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		c->place = HTTP_ENDED;
		finish(c, CURLE_OUT_OF_MEMORY, false);
		return;
	}
	c->place = HTTP_RUNNING;
	TAILQ_INSERT_TAIL(&h->running, c, link);
	if (c->silence != NULL)
		arm_silence(c, c->silence_ms);
}

static void bury(struct http_call *c) {
	TAILQ_REMOVE(&c->http->dead, c, link);
	curl_multi_remove_handle(c->http->multi, c->easy); // harmless for one that never ran
	call_free(c);
}

static void take_ended(struct http *h) {
	struct http_call *c;
	CURLMsg *m;
	CURLcode code;
	int left;

	while (!h->destroyed && (m = curl_multi_info_read(h->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		code = m->data.result; // m dies with the handle's removal
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		if (c->place != HTTP_RUNNING)
			continue; // cancelled meanwhile
		if (code == CURLE_OPERATION_TIMEDOUT)
			retire_connection(c);
		finish(c, code, false);
	}
}

static void work_off(struct http *h) {
	struct http_call *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &h->waiting, link)
		n++;
	// What a callback of this round starts waits for the next one: the loop gets to breathe.
	while (!h->destroyed && n-- > 0 && (c = TAILQ_FIRST(&h->waiting)) != NULL)
		begin(c);
	while ((c = TAILQ_FIRST(&h->dead)) != NULL)
		bury(c);
}

static void on_work(evutil_socket_t fd, short what, void *arg) {
	struct http *h = arg;

	(void)fd;
	(void)what;
	http_enter(h);
	work_off(h);
	http_leave(h);
}

static void drop_all(struct http *h, struct http_calls *calls) {
	struct http_call *c;

	while ((c = TAILQ_FIRST(calls)) != NULL) {
		TAILQ_REMOVE(calls, c, link);
		curl_multi_remove_handle(h->multi, c->easy);
		call_free(c);
	}
}

static void http_free(struct http *h) {
	drop_all(h, &h->waiting);
	drop_all(h, &h->running);
	drop_all(h, &h->dead);
	curl_multi_cleanup(h->multi); // closes connections through the socket callback
	if (h->timer != NULL)
		event_free(h->timer);
	if (h->work != NULL)
		event_free(h->work);
	free(h->user_agent);
	free(h);
	curl_global_cleanup();
}

void http_enter(struct http *h) {
	h->depth++;
}

void http_leave(struct http *h) {
	take_ended(h);
	if (--h->depth == 0 && h->destroyed)
		http_free(h);
}

struct http *http_create(struct event_base *base, const char *user_agent) {
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		curl_global_cleanup();
		return NULL;
	}
	TAILQ_INIT(&h->waiting);
	TAILQ_INIT(&h->running);
	TAILQ_INIT(&h->dead);
	TAILQ_INIT(&h->sockets);
	h->base = base;
	h->user_agent = strdup(user_agent);
	h->work = event_new(base, -1, 0, on_work, h);
	if (http_loop_init(h) < 0 || h->user_agent == NULL || h->work == NULL) {
		http_free(h);
		return NULL;
	}
	return h;
}

void http_destroy(struct http *h) {
	if (h == NULL)
		return;
	h->destroyed = true;
	if (h->depth == 0)
		http_free(h);
}

static int keep_wanted(struct http_call *c, const struct http_request *r) {
	for (size_t i = 0; i < HTTP_WANTED && r->wanted[i] != NULL; i++) {
		c->wanted[i] = strdup(r->wanted[i]);
		if (c->wanted[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int call_init(struct http_call *c, const struct http_request *r) {
	int ret = keep_wanted(c, r);

	if (ret == 0)
		ret = http_easy_create(c, r);
	c->silence_ms = r->silence_ms;
	if (ret == 0 && r->silence_ms > 0) {
		c->silence = evtimer_new(c->http->base, on_silence, c);
		ret = c->silence != NULL ? 0 : -ENOMEM;
	}
	return ret;
}

struct http_call *http_start(struct http *h, const struct http_request *r,
			     const struct http_handlers *handlers, void *arg) {
	struct http_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->http = h;
	h->n_pending++;
	if (call_init(c, r) < 0) {
		call_free(c);
		return NULL;
	}
	c->handlers = *handlers;
	c->arg = arg;
	c->place = HTTP_WAITING;
	TAILQ_INSERT_TAIL(&h->waiting, c, link);
	event_active(h->work, EV_TIMEOUT, 0);
	return c;
}

void http_cancel(struct http_call *c) {
	struct http *h = c->http;

	if (c->place == HTTP_DEAD || c->place == HTTP_ENDED)
		return;
	TAILQ_REMOVE(c->place == HTTP_WAITING ? &h->waiting : &h->running, c, link);
	c->place = HTTP_DEAD;
	TAILQ_INSERT_TAIL(&h->dead, c, link);
	event_active(h->work, EV_TIMEOUT, 0);
}

struct http_call *http_get(struct http *h, const char *url, const char *wanted, uint32_t timeout_ms,
			   void (*got)(void *arg, const struct http_end *end), void *arg) {
	const struct http_request r = {
		.url = url,
		.tls = {.insecure = true},
		.proxy = "",
		.alone = true,
		.timeout_ms = timeout_ms,
		.wanted = {wanted},
	};
	const struct http_handlers handlers = {.on_end = got};

	return http_start(h, &r, &handlers, arg);
}

unsigned http_pending(const struct http *h) {
	return h->n_pending;
}

struct event_base *http_base(const struct http *h) {
	return h->base;
}
