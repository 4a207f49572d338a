// SPDX-License-Identifier: Apache-2.0
// HTTP exchanges on the loop against a server that behaves as badly as each claim needs.
#include "api_server.h"

#include <errno.h>

#include "api/http.h"

struct got {
	int ended; // how many
	int n_data;
	char body[4096];
	size_t n;
	struct http_end end;
	char value[64];
	int stop;                 // what on_data returns
	struct http_call *cancel; // by on_data
	struct http *destroy;     // by on_data
	struct lab *lab;
};

struct lab {
	struct event_base *base;
	struct http *http;
	struct server server;
	char url[64];
};

static int setup(void **state) {
	struct lab *l = calloc(1, sizeof(*l));

	l->base = event_base_new();
	l->http = http_create(l->base, "sluiced/1 (linux/amd64)");
	assert_non_null(l->http);
	server_start(&l->server, l->base);
	snprintf(l->url, sizeof(l->url), "http://127.0.0.1:%u/x", l->server.port);
	*state = l;
	return 0;
}

static int teardown(void **state) {
	struct lab *l = *state;

	http_destroy(l->http);
	server_stop(&l->server);
	event_base_free(l->base);
	free(l);
	return 0;
}

static int on_data(void *arg, int status, const char *data, size_t n) {
	struct got *g = arg;

	(void)status;
	g->n_data++;
	assert_true(g->n + n < sizeof(g->body));
	memcpy(g->body + g->n, data, n);
	g->n += n;
	if (g->cancel != NULL)
		http_cancel(g->cancel);
	if (g->destroy != NULL) {
		http_destroy(g->destroy);
		g->lab->http = NULL;
	}
	return g->stop;
}

static void on_end(void *arg, const struct http_end *end) {
	struct got *g = arg;

	g->end = *end;
	if (end->value[0] != NULL)
		snprintf(g->value, sizeof(g->value), "%s", end->value[0]);
	g->ended++;
}

static const struct http_handlers HANDLERS = {on_data, on_end};

static struct http_call *get(struct lab *l, struct got *g, struct http_request r) {
	g->lab = l;
	r.url = r.url != NULL ? r.url : l->url;
	r.proxy = "";
	return http_start(l->http, &r, &HANDLERS, g);
}

static void hello(struct conn *c) {
	conn_reply(c, 200, "", "hello");
}

static void a_response_comes_whole_and_never_before_start_returned(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	l->server.answer = hello;
	assert_non_null(get(l, &g, (struct http_request){0}));
	assert_int_equal(g.ended, 0);
	assert_true(run_until(l->base, &g.ended, 1));
	assert_int_equal(g.end.end.status, 200);
	assert_int_equal(g.end.end.error, 0);
	assert_string_equal(g.end.end.text, "");
	assert_string_equal(g.body, "hello");
	assert_int_equal(http_pending(l->http), 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_response_comes_whole_and_never_before_start_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
