// SPDX-License-Identifier: Apache-2.0
// A server on loopback in the test's own event loop. It reads requests whole and lets a function of the test answer them, byte by byte if it likes.
#ifndef API_SERVER_H
#define API_SERVER_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <time.h>

#include <cmocka.h>

#define SERVER_DEADLINE_S 20

struct server;

struct conn {
	TAILQ_ENTRY(conn) link;
	struct server *server;
	struct bufferevent *bev;
	int n_requests;
	char *request;       // the present one, headers and body
	struct event *timer; // of conn_after()
	int n_steps;         // the test's own
};

struct server {
	struct event_base *base;
	struct evconnlistener *listener;
	uint16_t port;
	void (*answer)(struct conn *c); // by the test; c->request is there
	void *arg;
	int n_conns, n_requests; // ever
	int n_open;
	char *last;                                                        // request
	struct bufferevent *(*wrap)(struct server *s, evutil_socket_t fd); // NULL: plain TCP
	void *tls;
	TAILQ_HEAD(, conn) conns;
};

static inline void conn_close(struct conn *c) {
	TAILQ_REMOVE(&c->server->conns, c, link);
	c->server->n_open--;
	bufferevent_free(c->bev);
	if (c->timer != NULL)
		event_free(c->timer);
	free(c->request);
	free(c);
}

__attribute__((format(printf, 2, 3))) static inline void conn_say(struct conn *c,
								  const char *format, ...) {
	va_list args;

	va_start(args, format);
	evbuffer_add_vprintf(bufferevent_get_output(c->bev), format, args);
	va_end(args);
}

// Call fn(-1, 0, c) so much later, unless the connection is gone.
static inline void conn_after(struct conn *c, int ms, event_callback_fn fn) {
	const struct timeval in = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (c->timer != NULL)
		event_free(c->timer);
	c->timer = evtimer_new(c->server->base, fn, c);
	evtimer_add(c->timer, &in);
}

static inline void conn_on_written(struct bufferevent *bev, void *arg) {
	struct conn *c = arg;

	(void)bev;
	conn_close(c);
}

// Close once what was said is out.
static inline void conn_hang_up(struct conn *c) {
	bufferevent_setcb(c->bev, NULL, conn_on_written, NULL, c);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		conn_close(c);
}

static inline void conn_reply(struct conn *c, int status, const char *headers, const char *body) {
	conn_say(c, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
		 strlen(body), body);
}

static inline bool conn_asks(const struct conn *c, const char *text) {
	return strstr(c->request, text) != NULL;
}

// Take one whole request out of the buffer.
static inline bool conn_take(struct conn *c, struct evbuffer *in) {
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t n, body = 0;
	const char *length;

	if (end.pos < 0)
		return false;
	n = (size_t)end.pos + 4;
	free(c->request);
	c->request = calloc(1, n + 1);
	evbuffer_copyout(in, c->request, n);
	length = strcasestr(c->request, "\r\nContent-Length:");
	if (length != NULL)
		body = (size_t)atol(length + 17);
	if (evbuffer_get_length(in) < n + body)
		return false;
	c->request = realloc(c->request, n + body + 1);
	evbuffer_remove(in, c->request, n + body);
	c->request[n + body] = '\0';
	return true;
}

static inline void conn_on_read(struct bufferevent *bev, void *arg) {
	struct conn *c = arg;
	struct server *s = c->server;

	if (!conn_take(c, bufferevent_get_input(bev)))
		return;
	c->n_requests++;
	s->n_requests++;
	free(s->last);
	s->last = strdup(c->request);
	s->answer(c);
}

static inline void conn_on_event(struct bufferevent *bev, short what, void *arg) {
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_close(arg);
}

static inline void server_on_accept(struct evconnlistener *l, evutil_socket_t fd,
				    struct sockaddr *from, int n, void *arg) {
	struct server *s = arg;
	struct conn *c = calloc(1, sizeof(*c));

	c->server = s;
	c->bev = s->wrap != NULL ? s->wrap(s, fd)
				 : bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, conn_on_read, NULL, conn_on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	TAILQ_INSERT_TAIL(&s->conns, c, link);
	s->n_conns++;
	s->n_open++;
}

static inline void server_start(struct server *s, struct event_base *base) {
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(at);

	at.sin_port = htons(s->port);
	s->base = base;
	TAILQ_INIT(&s->conns);
	s->listener = evconnlistener_new_bind(base, server_on_accept, s,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 1024,
					      (struct sockaddr *)&at, sizeof(at));
	assert_non_null(s->listener);
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &n);
	s->port = ntohs(at.sin_port);
}

static inline void server_stop(struct server *s) {
	struct conn *c;

	while ((c = TAILQ_FIRST(&s->conns)) != NULL)
		conn_close(c);
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	s->listener = NULL;
	free(s->last);
	s->last = NULL;
}

static inline void on_tick(evutil_socket_t fd, short what, void *arg) {
	(void)fd;
	(void)what;
	(void)arg;
}

// Run the loop until *what is at least wanted; false: not within the deadline.
static inline bool run_until(struct event_base *base, const int *what, int wanted) {
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	const struct timeval every = {.tv_usec = 50000};
	time_t begun = time(NULL);

	event_add(tick, &every);
	while (*what < wanted && time(NULL) - begun < SERVER_DEADLINE_S)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(tick);
	return *what >= wanted;
}

// Run the loop for so long: what must not happen has its chance.
static inline void run_for(struct event_base *base, int ms) {
	const struct timeval in = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	event_base_loopexit(base, &in);
	event_base_dispatch(base);
}

#endif
