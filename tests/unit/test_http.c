// SPDX-License-Identifier: Apache-2.0
// HTTP exchanges on the loop against a server that behaves as badly as each claim needs.
#include "http_fixture.h"

static void hello(struct conn *c) {
	conn_reply(c, 200, "", "hello");
}

static void a_response_comes_whole_and_never_before_start_returned(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	l->server.answer = hello;
	get(l, &g, (struct http_request){0});
	assert_int_equal(g.ended, 0);
	assert_true(run_until(l->base, &g.ended, 1));
	assert_int_equal(g.end.end.status, 200);
	assert_int_equal(g.end.end.error, 0);
	assert_int_equal(g.end.end.retry_after_ms, -1);
	assert_string_equal(g.end.end.text, "");
	assert_string_equal(g.body, "hello");
	assert_int_equal(http_pending(l->http), 0);
}

// --- bodies ---

static void on_piece(evutil_socket_t fd, short what, void *arg) {
	struct conn *c = arg;
	int i = c->n_steps++;

	(void)fd;
	(void)what;
	if (i < 26)
		conn_say(c, "%x\r\n%.*s\r\n", i % 3 + 1, i % 3 + 1, "abc");
	else
		conn_say(c, "0\r\n\r\n");
	if (i < 26)
		conn_after(c, 10, on_piece);
}

static void drip(struct conn *c) {
	conn_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	conn_after(c, 10, on_piece);
}

static void a_body_in_pieces_streams_and_keeps_silence_away(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	l->server.answer = drip;
	get_whole(l, &g, (struct http_request){.silence_ms = 200}); // it lasts 260 ms at least
	assert_int_equal(g.end.end.error, 0);
	assert_int_equal(g.n, 51);
	assert_true(g.n_data >= 13);
	assert_int_equal(g.data_status, 200);
}

static void zipped(struct conn *c) {
	static const unsigned char hello_gz[] = {0x1f, 0x8b, 8,    0,    0,    0,    0, 0, 0,
						 3,    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86,
						 0xa6, 0x10, 0x36, 5,    0,    0,    0};

	conn_say(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
		 sizeof(hello_gz));
	bufferevent_write(c->bev, hello_gz, sizeof(hello_gz));
}

static void gzip_is_offered_only_when_asked_for_and_undone(void **state) {
	struct lab *l = *state;
	struct got zip = {0}, plain = {0};

	l->server.answer = zipped;
	get_whole(l, &zip, (struct http_request){.gzip = true});
	assert_string_equal(zip.body, "hello");
	assert_non_null(strstr(l->server.last, "\r\nAccept-Encoding: gzip\r\n"));
	get_whole(l, &plain, (struct http_request){0});
	assert_null(strcasestr(l->server.last, "Accept-Encoding"));
	assert_int_equal(plain.n, 25);
}

// --- what is sent ---

static void the_request_is_as_asked(void **state) {
	struct lab *l = *state;
	struct got g = {0};
	struct http_request r = {.method = "PATCH",
				 .body = "{\"a\": 1}",
				 .body_len = 8,

				 .headers = (const char *const[]){"Content-Type: application/json",
								  "X-Y: z", NULL}};

	l->server.answer = hello;
	get_whole(l, &g, r);
	assert_int_equal(strncmp(l->server.last, "PATCH /x HTTP/1.1\r\n", 19), 0);
	assert_non_null(strstr(l->server.last, "\r\nUser-Agent: sluiced/1 (linux/amd64)\r\n"));
	assert_non_null(strstr(l->server.last, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(l->server.last, "\r\nX-Y: z\r\n"));
	assert_non_null(strstr(l->server.last, "\r\n\r\n{\"a\": 1}"));
}

static void a_large_body_asks_for_no_permission(void **state) {
	struct lab *l = *state;
	size_t n = 3 << 20;
	char *body = malloc(n);
	struct got g = {0};

	memset(body, 'x', n);
	l->server.answer = hello;
	get_whole(l, &g, (struct http_request){.method = "POST", .body = body, .body_len = n});
	assert_int_equal(g.end.end.status, 200);
	assert_null(strcasestr(l->server.last, "100-continue"));
	assert_true(strlen(l->server.last) > n);
	free(body);
}

// --- headers of the response ---

static void busy(struct conn *c) {
	conn_reply(c, 429, "Retry-After: 7\r\nX-Load-Balancing-Endpoint-Weight:  3 \r\n", "");
}

static void retry_after_and_wanted_headers_are_handed_over(void **state) {
	struct lab *l = *state;
	struct got g = {0}, none = {0};
	struct http_request r = {.wanted = {"x-load-balancing-endpoint-weight", "x-other"}};

	l->server.answer = busy;
	get_whole(l, &g, r);
	assert_int_equal(g.end.end.status, 429);
	assert_int_equal(g.end.end.retry_after_ms, 7000);
	assert_string_equal(g.value, "3");
	assert_null(g.end.value[1]);
	l->server.answer = hello;
	get_whole(l, &none, r);
	assert_null(none.end.value[0]);
}

static void early_hints(struct conn *c) {
	conn_say(c, "HTTP/1.1 103 Early\r\nRetry-After: 9\r\nX-W: 1\r\n\r\n");
	hello(c);
}

static void what_an_interim_response_says_is_void(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	l->server.answer = early_hints;
	get_whole(l, &g, (struct http_request){.wanted = {"X-W"}});
	assert_int_equal(g.end.end.status, 200);
	assert_int_equal(g.end.end.retry_after_ms, -1);
	assert_null(g.end.value[0]);
}

static void retry_after_is_seconds_or_a_date(void **state) {
	static const struct {
		const char *value, *date;
		int64_t ms;
	} cases[] = {
		{"0", NULL, 0},
		{"1", NULL, 1000},
		{" 120 ", NULL, 120000},
		{"99999999999999999999999", NULL, 86400000},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:50 GMT", 10000},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:29:00 GMT", 0},
		{"Wed, 21 Oct 2015 07:28:00 GMT", NULL, 5000}, // now is 5 s before it
		{"Wed, 21 Oct 2025 07:28:00 GMT", NULL, 86400000},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "yesterday", 5000},
		{"-1", NULL, -1},
		{"1.5", NULL, -1},
		{"soon", NULL, -1},
		{"", NULL, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(http_retry_after(cases[i].value, cases[i].date, 1445412475),
				 cases[i].ms);
}

// --- connections ---

static void hello_and_close(struct conn *c) {
	conn_reply(c, 200, "Connection: close\r\n", "hello");
	conn_hang_up(c);
}

static void a_connection_is_used_again_until_it_is_closed(void **state) {
	struct lab *l = *state;
	struct got g[4] = {0};

	l->server.answer = hello;
	get_whole(l, &g[0], (struct http_request){0});
	get_whole(l, &g[1], (struct http_request){0});
	assert_int_equal(l->server.n_conns, 1);
	l->server.answer = hello_and_close;
	get_whole(l, &g[2], (struct http_request){0});
	get_whole(l, &g[3], (struct http_request){0});
	assert_int_equal(l->server.n_conns, 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(g[i].end.end.status, 200);
}

static void hello_and_leave(struct conn *c) {
	hello(c);
	conn_hang_up(c);
}

static void an_idle_connection_that_died_costs_no_exchange(void **state) {
	struct lab *l = *state;
	struct got g[2] = {0};

	l->server.answer = hello_and_leave; // says nothing of "Connection: close"
	get_whole(l, &g[0], (struct http_request){0});
	get_whole(l, &g[1], (struct http_request){0});
	assert_int_equal(g[1].end.end.status, 200);
	assert_int_equal(l->server.n_conns, 2);
}

static void got_probe(void *arg, const struct http_end *end) {
	on_end(arg, end);
}

static void a_probe_has_a_connection_of_its_own(void **state) {
	struct lab *l = *state;
	struct got g[2] = {0};

	l->server.answer = busy;
	for (int i = 0; i < 2; i++) {
		assert_non_null(http_get(l->http, l->url, "X-Load-Balancing-Endpoint-Weight", 1000,
					 got_probe, &g[i]));
		assert_true(run_until(l->base, &g[i].ended, 1));
		assert_int_equal(g[i].end.end.status, 429);
		assert_string_equal(g[i].value, "3");
	}
	assert_int_equal(l->server.n_conns, 2);
	run_for(l->base, 50);
	assert_int_equal(l->server.n_open, 0);
}

static void hundreds_at_once_all_end(void **state) {
	enum { N = 300 };
	struct lab *l = *state;
	struct got *g = calloc(N, sizeof(*g));
	int ended = 0;

	l->server.answer = drip;
	for (int i = 0; i < N; i++)
		get(l, &g[i], (struct http_request){.alone = i % 2});
	assert_int_equal(http_pending(l->http), N);
	for (int i = 0; i < N; i++)
		assert_true(run_until(l->base, &g[i].ended, 1));
	for (int i = 0; i < N; i++)
		ended += g[i].n == 51 && g[i].end.end.error == 0;
	assert_int_equal(ended, N);
	free(g);
}

// --- failures ---

static void say_nothing(struct conn *c) {
	(void)c;
}

static void say_half(struct conn *c) {
	conn_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
}

static void half_headers(struct conn *c) {
	conn_say(c, "HTTP/1.1 200 OK\r\nContent-");
}

static void silence_ends_an_exchange_at_any_point(void **state) {
	struct lab *l = *state;
	static void (*const answers[])(struct conn *) = {say_nothing, half_headers, say_half};

	for (int i = 0; i < 3; i++) {
		struct got g = {0};

		l->server.answer = answers[i];
		get_whole(l, &g, (struct http_request){.silence_ms = 100});
		assert_failed(&g, -ETIMEDOUT, HTTP_SILENT);
		assert_int_equal(g.end.end.status, i == 2 ? 200 : 0);
		assert_int_equal(g.n, i == 2 ? 4 : 0);
	}
	assert_int_equal(l->server.n_conns, 3);
}

static void a_timeout_counts_the_whole_exchange(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	l->server.answer = drip;
	get_whole(l, &g, (struct http_request){.timeout_ms = 100, .silence_ms = 5000});
	assert_failed(&g, -ETIMEDOUT, HTTP_LATE);
	assert_true(g.n > 0);
}

static void a_refused_connection_is_told_apart(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	server_stop(&l->server);
	get_whole(l, &g, (struct http_request){0});
	assert_failed(&g, -ECONNREFUSED, HTTP_NO_SERVER);
	assert_int_equal(g.end.end.status, 0);
	assert_non_null(strstr(g.end.end.text, "Connection refused"));
}

static void say_half_and_leave(struct conn *c) {
	say_half(c);
	conn_hang_up(c);
}

static void leave(struct conn *c) {
	conn_hang_up(c);
}

static void babble(struct conn *c) {
	conn_say(c, "220 smtp.example.com ready\r\n");
	conn_hang_up(c);
}

static void odd_servers_are_faults_with_a_text(void **state) {
	struct lab *l = *state;
	static const struct {
		void (*answer)(struct conn *);
		int error;
		enum http_cause cause;
	} cases[] = {
		{say_half_and_leave, -EIO, HTTP_BROKEN},
		{leave, -EIO, HTTP_BROKEN},
		{babble, -EPROTO, HTTP_ODD},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct got g = {0};

		l->server.answer = cases[i].answer;
		get_whole(l, &g, (struct http_request){0});
		assert_failed(&g, cases[i].error, cases[i].cause);
	}
}

static void unusable_urls_end_with_a_text(void **state) {
	static const char *const urls[] = {"http://name.invalid/", "ftp://127.0.0.1/", "http://",
					   "file:///etc/passwd"};
	struct lab *l = *state;

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct got g = {0};

		get_whole(l, &g, (struct http_request){.url = urls[i]});
		assert_failed(&g, i == 0 ? -EIO : -EPROTO, i == 0 ? HTTP_NO_HOST : HTTP_ODD);
	}
}

// --- callbacks that do things ---

static void the_reader_can_stop(void **state) {
	struct lab *l = *state;
	struct got g = {.stop = -EFBIG};

	l->server.answer = drip;
	get_whole(l, &g, (struct http_request){0});
	assert_failed(&g, -EFBIG, HTTP_STOPPED);
	assert_int_equal(g.n_data, 1);
}

static void cancel_is_silent_before_and_while_it_runs(void **state) {
	struct lab *l = *state;
	struct got g[3] = {0};

	l->server.answer = drip;
	http_cancel(get(l, &g[0], (struct http_request){0}));  // never begun
	g[1].cancel = get(l, &g[1], (struct http_request){0}); // its own, in on_data
	g[2].cancel = get(l, &g[2], (struct http_request){.silence_ms = 60000});
	assert_true(run_until(l->base, &g[2].n_data, 1));
	run_for(l->base, 50);
	assert_int_equal(http_pending(l->http), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(g[i].ended, 0);
}

static void a_callback_may_cancel_another_and_start_the_next(void **state) {
	struct lab *l = *state;
	struct got next = {0}, g = {.then = &next}, other = {0};

	l->server.answer = say_half;
	g.cancel = get(l, &other, (struct http_request){0});
	assert_true(run_until(l->base, &other.n_data, 1));
	l->server.answer = hello;
	get(l, &g, (struct http_request){0});
	assert_true(run_until(l->base, &next.ended, 1));
	assert_int_equal(g.ended, 1);
	assert_int_equal(other.ended, 0);
	assert_int_equal(http_pending(l->http), 0);
}

static void destroy_in_a_callback_ends_everything(void **state) {
	struct lab *l = *state;
	struct got g = {.destroy = true}, other = {0};

	l->server.answer = drip;
	get(l, &other, (struct http_request){.silence_ms = 5000});
	get(l, &g, (struct http_request){.silence_ms = 5000});
	assert_true(run_until(l->base, &g.n_data, 1));
	run_for(l->base, 50);
	assert_null(l->http);
	assert_int_equal(g.ended + other.ended, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_response_comes_whole_and_never_before_start_returned),
		T(a_body_in_pieces_streams_and_keeps_silence_away),
		T(gzip_is_offered_only_when_asked_for_and_undone),
		T(the_request_is_as_asked),
		T(a_large_body_asks_for_no_permission),
		T(retry_after_and_wanted_headers_are_handed_over),
		T(what_an_interim_response_says_is_void),
		T(retry_after_is_seconds_or_a_date),
		T(a_connection_is_used_again_until_it_is_closed),
		T(an_idle_connection_that_died_costs_no_exchange),
		T(a_probe_has_a_connection_of_its_own),
		T(hundreds_at_once_all_end),
		T(silence_ends_an_exchange_at_any_point),
		T(a_timeout_counts_the_whole_exchange),
		T(a_refused_connection_is_told_apart),
		T(odd_servers_are_faults_with_a_text),
		T(unusable_urls_end_with_a_text),
		T(the_reader_can_stop),
		T(cancel_is_silent_before_and_while_it_runs),
		T(a_callback_may_cancel_another_and_start_the_next),
		T(destroy_in_a_callback_ends_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
