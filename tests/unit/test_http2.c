// SPDX-License-Identifier: Apache-2.0
// HTTP/2: one connection for all, and what becomes of the others when it says goodbye or falls silent.
#include "h2_server.h"
#include "http_fixture.h"

#define DAY 86400L

struct h2_lab {
	struct lab *lab;
	struct h2_server server;
	struct cert ca, cert;
	char url[64];
	struct h2_stream *watch; // the first stream of /watch
};

static int setup_h2(void **state) {
	struct h2_lab *l = calloc(1, sizeof(*l));
	void *lab;

	setup(&lab);
	l->lab = lab;
	cert_make(&l->ca, NULL, "ca", NULL, -DAY, DAY);
	cert_make(&l->cert, &l->ca, "s", "IP:127.0.0.1", -DAY, DAY);
	h2_server_start(&l->server, l->lab->base, &l->cert);
	*state = l;
	return 0;
}

static int teardown_h2(void **state) {
	struct h2_lab *l = *state;
	void *lab = l->lab;

	http_destroy(l->lab->http);
	l->lab->http = NULL;
	h2_server_stop(&l->server);
	teardown(&lab);
	cert_fini(&l->ca);
	cert_fini(&l->cert);
	free(l);
	return 0;
}

static struct http_call *ask(struct h2_lab *l, struct got *g, const char *path,
			     struct http_request r) {
	snprintf(l->url, sizeof(l->url), "https://127.0.0.1:%u%s", l->server.port, path);
	r.url = l->url;
	r.tls.ca = l->ca.pem;
	return get(l->lab, g, r);
}

static void ask_whole(struct h2_lab *l, struct got *g, const char *path, struct http_request r) {
	ask(l, g, path, r);
	assert_true(run_until(l->lab->base, &g->ended, 1));
}

static bool is_watch(const struct h2_stream *s) {
	return strcmp(s->path, "/watch") == 0;
}

static void on_beat(evutil_socket_t fd, short what, void *arg) {
	struct h2_stream *s = arg;

	(void)fd;
	(void)what;
	h2_say(s, ".", 1);
	h2_after(s, 100, on_beat);
}

static void on_later(evutil_socket_t fd, short what, void *arg) {
	(void)fd;
	(void)what;
	h2_reply(arg, "200", "late");
}

// /watch beats, /hang says nothing, /late answers after a moment, others answer.
static void answer(struct h2_stream *s) {
	if (is_watch(s)) {
		h2_begin(s, "200");
		h2_say(s, "first", 5);
		h2_after(s, 100, on_beat);
	} else if (strcmp(s->path, "/late") == 0) {
		h2_after(s, 20, on_later);
	} else if (strcmp(s->path, "/hang") != 0) {
		h2_reply(s, "200", "hello");
	}
}

static void watches_and_requests_share_a_connection(void **state) {
	struct h2_lab *l = *state;
	struct got watch[3] = {0}, g[3] = {0};

	l->server.answer = answer;
	ask_whole(l, &g[0], "/", (struct http_request){0});
	for (int i = 0; i < 3; i++)
		ask(l, &watch[i], "/watch", (struct http_request){.silence_ms = 5000});
	for (int i = 0; i < 3; i++)
		assert_true(run_until(l->lab->base, &watch[i].n_data, 3));
	ask_whole(l, &g[1], "/", (struct http_request){.gzip = true});
	ask_whole(l, &g[2], "/late", (struct http_request){0});
	assert_string_equal(g[1].body, "hello");
	assert_string_equal(g[2].body, "late");
	assert_int_equal(l->server.n_conns, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(watch[i].ended, 0);
}

static void more_streams_than_the_server_allows_all_end(void **state) {
	enum { N = 250 };
	struct h2_lab *l = *state;
	struct got *g = calloc(N, sizeof(*g)), first = {0};

	l->server.answer = answer;
	ask_whole(l, &first, "/", (struct http_request){0});
	for (int i = 0; i < N; i++)
		ask(l, &g[i], "/late", (struct http_request){.timeout_ms = 15000});
	for (int i = 0; i < N; i++) {
		assert_true(run_until(l->lab->base, &g[i].ended, 1));
		assert_string_equal(g[i].end.end.text, "");
		assert_string_equal(g[i].body, "late");
	}
	free(g);
}

static void count(struct h2_stream *s) {
	char text[32];

	snprintf(text, sizeof(text), "%zu", s->received);
	h2_reply(s, "201", text);
}

static void a_large_body_goes_out_whole(void **state) {
	struct h2_lab *l = *state;
	size_t n = 1500000;
	char *body = malloc(n);
	struct got g = {0};

	memset(body, 'x', n);
	l->server.answer = count;
	ask_whole(l, &g, "/", (struct http_request){.method = "POST", .body = body, .body_len = n});
	assert_int_equal(g.end.end.status, 201);
	assert_string_equal(g.body, "1500000");
	free(body);
}

struct sum {
	size_t n;
	int ended;
	struct http_end end;
};

static int add_up(void *arg, int status, const char *data, size_t n) {
	struct sum *s = arg;

	(void)status;
	(void)data;
	s->n += n;
	return 0;
}

static void summed(void *arg, const struct http_end *end) {
	struct sum *s = arg;

	s->end = *end;
	s->ended++;
}

static void pour(struct h2_stream *s) {
	size_t n = 20000000;
	char *data = calloc(1, n);

	h2_begin(s, "200");
	h2_say(s, data, n);
	h2_end(s);
	free(data);
}

static void a_list_larger_than_any_window_comes_whole(void **state) {
	static const struct http_handlers handlers = {.on_data = add_up, .on_end = summed};
	struct h2_lab *l = *state;
	struct http_request r = {.tls = {.ca = l->ca.pem}, .proxy = "", .silence_ms = 5000};
	struct sum sums[2] = {0};

	l->server.answer = pour;
	snprintf(l->url, sizeof(l->url), "https://127.0.0.1:%u/", l->server.port);
	r.url = l->url;
	for (int i = 0; i < 2; i++)
		assert_non_null(http_start(l->lab->http, &r, &handlers, &sums[i]));
	for (int i = 0; i < 2; i++) {
		assert_true(run_until(l->lab->base, &sums[i].ended, 1));
		assert_string_equal(sums[i].end.end.text, "");
		assert_int_equal(sums[i].n, 20000000);
	}
}

static void goodbye_moves_new_exchanges_and_leaves_watches(void **state) {
	struct h2_lab *l = *state;
	struct got watch = {0}, g[2] = {0};
	int heard;

	l->server.answer = answer;
	ask(l, &watch, "/watch", (struct http_request){.silence_ms = 5000});
	assert_true(run_until(l->lab->base, &watch.n_data, 1));
	h2_goaway(TAILQ_FIRST(&l->server.conns));
	run_for(l->lab->base, 50);
	for (int i = 0; i < 2; i++) {
		ask_whole(l, &g[i], "/", (struct http_request){0});
		assert_string_equal(g[i].body, "hello");
	}
	assert_int_equal(l->server.n_conns, 2);
	heard = watch.n_data;
	assert_true(run_until(l->lab->base, &watch.n_data, heard + 2));
	assert_int_equal(watch.ended, 0);
}

static void a_connection_that_is_closed_ends_all_its_exchanges_and_the_next_is_well(void **state) {
	struct h2_lab *l = *state;
	struct got watch[2] = {0}, g = {0};

	l->server.answer = answer;
	ask(l, &watch[0], "/watch", (struct http_request){0});
	assert_true(run_until(l->lab->base, &watch[0].n_data, 1));
	ask(l, &watch[1], "/watch", (struct http_request){0});
	assert_true(run_until(l->lab->base, &watch[1].n_data, 1));
	h2_conn_free(TAILQ_FIRST(&l->server.conns));
	for (int i = 0; i < 2; i++) {
		assert_true(run_until(l->lab->base, &watch[i].ended, 1));
		assert_int_equal(watch[i].end.end.error, -EIO);
		assert_int_equal(watch[i].end.end.status, 200);
	}
	ask_whole(l, &g, "/", (struct http_request){0});
	assert_int_equal(g.end.end.status, 200);
}

static void refuse(struct h2_stream *s) {
	nghttp2_submit_rst_stream(s->conn->session, 0, s->id, NGHTTP2_INTERNAL_ERROR);
}

static void a_stream_that_is_reset_is_a_broken_response(void **state) {
	struct h2_lab *l = *state;
	struct got g = {0};

	l->server.answer = refuse;
	ask_whole(l, &g, "/", (struct http_request){.silence_ms = 5000});
	assert_int_equal(g.end.end.error, -EIO);
	assert_int_equal(g.end.cause, HTTP_BROKEN);
}

// The kernel still acknowledges, nobody reads: without hanging up, every later exchange would join the silence.
static void a_silent_connection_is_not_used_again(void **state) {
	struct h2_lab *l = *state;
	struct got watch = {0}, g[2] = {0};

	l->server.answer = answer;
	ask(l, &watch, "/watch", (struct http_request){.silence_ms = 3000});
	assert_true(run_until(l->lab->base, &watch.n_data, 1));
	l->server.deaf = true;
	ask_whole(l, &g[0], "/", (struct http_request){.silence_ms = 1200});
	assert_failed(&g[0], -ETIMEDOUT, HTTP_SILENT);
	ask_whole(l, &g[1], "/", (struct http_request){.silence_ms = 1200});
	assert_string_equal(g[1].body, "hello");
	assert_int_equal(l->server.n_conns, 2);
	assert_true(run_until(l->lab->base, &watch.ended,
			      1)); // it learns at once what it would have waited for
	assert_int_not_equal(watch.end.end.error, 0);
}

static void a_timeout_on_a_silent_connection_is_like_silence(void **state) {
	struct h2_lab *l = *state;
	struct got g[3] = {0};

	l->server.answer = answer;
	ask_whole(l, &g[0], "/", (struct http_request){0});
	l->server.deaf = true;
	ask_whole(l, &g[1], "/", (struct http_request){.timeout_ms = 1200});
	assert_failed(&g[1], -ETIMEDOUT, HTTP_LATE);
	ask_whole(l, &g[2], "/", (struct http_request){.timeout_ms = 1200});
	assert_string_equal(g[2].body, "hello");
	assert_int_equal(l->server.n_conns, 2);
}

static void one_silent_stream_leaves_a_lively_connection_alone(void **state) {
	struct h2_lab *l = *state;
	struct got watch = {0}, g[2] = {0};

	l->server.answer = answer;
	ask(l, &watch, "/watch", (struct http_request){.silence_ms = 5000});
	assert_true(run_until(l->lab->base, &watch.n_data, 1));
	ask_whole(l, &g[0], "/hang", (struct http_request){.silence_ms = 1200});
	assert_failed(&g[0], -ETIMEDOUT, HTTP_SILENT);
	ask_whole(l, &g[1], "/", (struct http_request){0});
	assert_int_equal(l->server.n_conns, 1);
	assert_int_equal(watch.ended, 0);
}

static void cancelled_streams_leave_the_connection(void **state) {
	struct h2_lab *l = *state;
	struct got watch[8] = {0}, g = {0};

	l->server.answer = answer;
	ask_whole(l, &g, "/", (struct http_request){0});
	for (int i = 0; i < 8; i++) {
		struct http_call *c = ask(l, &watch[i], "/watch", (struct http_request){0});

		assert_true(run_until(l->lab->base, &watch[i].n_data, 1));
		http_cancel(c);
	}
	g.ended = 0;
	ask_whole(l, &g, "/", (struct http_request){0});
	assert_int_equal(g.end.end.status, 200);
	assert_int_equal(l->server.n_conns, 1);
}

static void destroy_does_not_wait_for_a_server_that_reads_nothing(void **state) {
	struct h2_lab *l = *state;
	struct got watch[3] = {0};
	struct timespec a, b;

	l->server.answer = answer;
	for (int i = 0; i < 3; i++) {
		ask(l, &watch[i], "/watch", (struct http_request){.silence_ms = 60000});
		assert_true(run_until(l->lab->base, &watch[i].n_data, 1));
	}
	l->server.deaf = true;
	clock_gettime(CLOCK_MONOTONIC, &a);
	http_destroy(l->lab->http);
	l->lab->http = NULL;
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 500);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_h2, teardown_h2)
	const struct CMUnitTest tests[] = {
		T(watches_and_requests_share_a_connection),
		T(more_streams_than_the_server_allows_all_end),
		T(a_large_body_goes_out_whole),
		T(a_list_larger_than_any_window_comes_whole),
		T(goodbye_moves_new_exchanges_and_leaves_watches),
		T(a_connection_that_is_closed_ends_all_its_exchanges_and_the_next_is_well),
		T(a_stream_that_is_reset_is_a_broken_response),
		T(a_silent_connection_is_not_used_again),
		T(a_timeout_on_a_silent_connection_is_like_silence),
		T(one_silent_stream_leaves_a_lively_connection_alone),
		T(cancelled_streams_leave_the_connection),
		T(destroy_does_not_wait_for_a_server_that_reads_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
