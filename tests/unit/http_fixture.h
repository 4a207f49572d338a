// SPDX-License-Identifier: Apache-2.0
// A loop, an http and a server; and what came of one exchange.
#ifndef HTTP_FIXTURE_H
#define HTTP_FIXTURE_H

#include "api_tls.h"

#include <errno.h>

#include "api/http.h"

struct lab {
	struct event_base *base;
	struct http *http;
	struct server server;
	char url[64];
};

struct got {
	int ended; // how often
	int n_data;
	char body[65536];
	size_t n;
	int data_status;
	struct http_end end;
	char value[64];           // of the first wanted header
	int stop;                 // what on_data returns
	struct http_call *cancel; // by on_data
	bool destroy;             // by on_data
	struct got *then;         // started by on_end
	struct lab *lab;
};

static inline int setup(void **state) {
	struct lab *l = calloc(1, sizeof(*l));

	l->base = event_base_new();
	l->http = http_create(l->base, "sluiced/1 (linux/amd64)");
	assert_non_null(l->http);
	server_start(&l->server, l->base);
	snprintf(l->url, sizeof(l->url), "http://127.0.0.1:%u/x", l->server.port);
	*state = l;
	return 0;
}

static inline int teardown(void **state) {
	struct lab *l = *state;

	http_destroy(l->http);
	server_stop(&l->server);
	SSL_CTX_free(l->server.tls);
	event_base_free(l->base);
	free(l);
	return 0;
}

static struct http_call *get(struct lab *l, struct got *g, struct http_request r);

static inline int on_data(void *arg, int status, const char *data, size_t n) {
	struct got *g = arg;

	g->n_data++;
	g->data_status = status;
	assert_true(g->n + n < sizeof(g->body));
	memcpy(g->body + g->n, data, n);
	g->n += n;
	if (g->cancel != NULL)
		http_cancel(g->cancel);
	g->cancel = NULL;
	if (g->destroy) {
		http_destroy(g->lab->http);
		g->lab->http = NULL;
	}
	return g->stop;
}

static inline void on_end(void *arg, const struct http_end *end) {
	struct got *g = arg;

	g->end = *end;
	if (end->value[0] != NULL)
		snprintf(g->value, sizeof(g->value), "%s", end->value[0]);
	g->ended++;
	if (g->then != NULL)
		get(g->lab, g->then, (struct http_request){0});
}

// r.url NULL: the server's. No proxy, whatever the environment says.
static struct http_call *get(struct lab *l, struct got *g, struct http_request r) {
	static const struct http_handlers handlers = {.on_data = on_data, .on_end = on_end};
	struct http_call *c;

	g->lab = l;
	r.url = r.url != NULL ? r.url : l->url;
	r.proxy = r.proxy != NULL ? r.proxy : "";
	c = http_start(l->http, &r, &handlers, g);
	assert_non_null(c);
	return c;
}

static inline void get_whole(struct lab *l, struct got *g, struct http_request r) {
	get(l, g, r);
	assert_true(run_until(l->base, &g->ended, 1));
}

static inline void assert_failed(const struct got *g, int error, enum http_cause cause) {
	if (g->end.end.error != error || g->end.cause != cause)
		print_message("# error %d cause %d: %s\n", g->end.end.error, g->end.cause,
			      g->end.end.text);
	assert_int_equal(g->end.end.error, error);
	assert_int_equal(g->end.cause, cause);
	assert_true(g->end.end.text[0] != '\0');
}

#endif
