// SPDX-License-Identifier: Apache-2.0
// The management socket, spoken to over a real one: answers now and later, refusals, takeover of a dead process's socket.
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "mgmt/mgmt.h"

struct fixture {
	char dir[32];
	char path[64];
	struct event_base *base;
	struct mgmt *mgmt;
	struct mgmt_request *kept[MGMT_MAX_PENDING + 1]; // by verb "later"
	unsigned n_kept;
};

static void echo(void *ctx, struct mgmt_request *r) {
	const char *say = mgmt_param(r, "say");

	if (say == NULL)
		mgmt_fail(r, 400, "say is missing");
	else
		mgmt_reply(r, json_pack("{s:s}", "said", say));
}

static void later(void *ctx, struct mgmt_request *r) {
	struct fixture *f = ctx;

	f->kept[f->n_kept++] = r;
}

static const struct mgmt_verb verbs[] = {{"echo", echo}, {"later", later}};

static int setup(void **state) {
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err;

	snprintf(f->dir, sizeof(f->dir), "/tmp/sluice-mgmt-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/run/a.sock", f->dir);
	f->base = event_base_new();
	if (mgmt_create(&f->mgmt, f->base, f->path, verbs, 2, f, &err) < 0)
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;
	char run[64];

	mgmt_destroy(f->mgmt);
	event_base_free(f->base);
	assert_int_equal(access(f->path, F_OK), -1);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	rmdir(run);
	rmdir(f->dir);
	free(f);
	return 0;
}

static int dial(const struct fixture *f) {
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(addr.sun_path, f->path, strlen(f->path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int ask(const struct fixture *f, const char *request) {
	int fd = dial(f);

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return fd;
}

static void tick(const struct fixture *f) {
	const struct timeval ms = {0, 1000};

	event_base_loopexit(f->base, &ms);
	event_base_loop(f->base, EVLOOP_ONCE);
}

// Turn the loop until the peer closes (requests say Connection: close); at most some 5 s.
static const char *answer(const struct fixture *f, int fd, char *buf, size_t size) {
	size_t n = 0;
	ssize_t got = -1;

	for (unsigned i = 0; i < 5000 && got != 0 && n < size - 1; i++) {
		tick(f);
		got = recv(fd, buf + n, size - 1 - n, 0);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0 && errno != EAGAIN)
			break;
	}
	buf[n] = '\0';
	close(fd);
	return buf;
}

#define GET(what) "GET " what " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void answers_and_refusals(void **state) {
	static const struct {
		const char *request, *status, *body;
	} cases[] = {
		{GET("/v1/echo?say=a%20b%26c"), "HTTP/1.1 200 ", "{\"said\": \"a b&c\"}"},
		{GET("/v1/echo"), "HTTP/1.1 400 ", "{\"error\": \"say is missing\"}"},
		{GET("/v1/nope"), "HTTP/1.1 404 ", "echo, later"},
		{GET("/v1/"), "HTTP/1.1 404 ", "\"error\""},
		{GET("/echo"), "HTTP/1.1 404 ", "\"error\""},
		{GET("/"), "HTTP/1.1 404 ", "\"error\""},
		{"POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",
		 "HTTP/1.1 405 ", "only GET"},
		{"DELETE /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		 "HTTP/1.1 405 ", "only GET"},
		{"rubbish\r\n\r\n", "HTTP/1.1 400 ", ""},
	};
	struct fixture *f = *state;
	char buf[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer(f, ask(f, cases[i].request), buf, sizeof(buf));
		if (strncmp(buf, cases[i].status, strlen(cases[i].status)) != 0 ||
		    strstr(buf, cases[i].body) == NULL)
			fail_msg("%s: got %s", cases[i].request, buf);
	}
}

static void a_header_beyond_the_bound_is_refused(void **state) {
	struct fixture *f = *state;
	char request[20000], buf[4096];

	memset(request, 'a', sizeof(request));
	memcpy(request, "GET /v1/echo?say=", 17);
	request[sizeof(request) - 1] = '\0';
	answer(f, ask(f, request), buf, sizeof(buf));
	assert_null(strstr(buf, " 200 "));
}

static void wait_for_kept(struct fixture *f, unsigned n) {
	for (unsigned i = 0; i < 5000 && f->n_kept < n; i++)
		tick(f);
	assert_int_equal(f->n_kept, n);
}

static void a_handler_may_answer_later(void **state) {
	struct fixture *f = *state;
	int fd = ask(f, GET("/v1/later"));
	char buf[4096];

	wait_for_kept(f, 1);
	answer(f, ask(f, GET("/v1/echo?say=between")), buf, sizeof(buf));
	assert_non_null(strstr(buf, "between"));
	mgmt_reply(f->kept[0], json_pack("{s:i}", "n", 7));
	assert_non_null(strstr(answer(f, fd, buf, sizeof(buf)), "{\"n\": 7}"));
}

static void a_client_that_left_does_not_matter_to_its_handler(void **state) {
	struct fixture *f = *state;
	int fd = ask(f, GET("/v1/later"));
	char buf[4096];

	wait_for_kept(f, 1);
	close(fd);
	for (unsigned i = 0; i < 20; i++)
		tick(f);
	mgmt_reply(f->kept[0], json_pack("{s:i}", "n", 7));
	answer(f, ask(f, GET("/v1/echo?say=alive")), buf, sizeof(buf));
	assert_non_null(strstr(buf, "alive"));
}

static void pending_requests_are_bounded(void **state) {
	struct fixture *f = *state;
	int fd[MGMT_MAX_PENDING];
	char buf[4096];

	for (unsigned i = 0; i < MGMT_MAX_PENDING; i++) {
		fd[i] = ask(f, GET("/v1/later"));
		wait_for_kept(f, i + 1);
	}
	assert_non_null(strstr(answer(f, ask(f, GET("/v1/later")), buf, sizeof(buf)), " 503 "));
	for (unsigned i = 0; i < MGMT_MAX_PENDING; i++) {
		mgmt_fail(f->kept[i], 404, "no such flow");
		assert_non_null(strstr(answer(f, fd[i], buf, sizeof(buf)), "no such flow"));
	}
	answer(f, ask(f, GET("/v1/echo?say=again")), buf, sizeof(buf));
	assert_non_null(strstr(buf, "again"));
}

static void requests_under_way_end_with_destroy(void **state) {
	struct fixture *f = *state;
	int fd = ask(f, GET("/v1/later"));

	wait_for_kept(f, 1);
	mgmt_destroy(f->mgmt);
	f->mgmt = NULL;
	close(fd);
}

static void a_live_socket_is_refused_and_a_dead_one_replaced(void **state) {
	struct fixture *f = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct mgmt *second = NULL;
	struct error err;
	struct stat st;
	int fd;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(mgmt_create(&second, f->base, f->path, verbs, 2, f, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "in use"));
	assert_int_equal(access(f->path, F_OK), 0);
	mgmt_destroy(f->mgmt);
	f->mgmt = NULL;

	// What a killed process leaves: a socket file that nobody listens on.
	memcpy(addr.sun_path, f->path, strlen(f->path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(mgmt_create(&f->mgmt, f->base, f->path, verbs, 2, f, &err), 0);
}

static void what_is_no_socket_is_left_alone(void **state) {
	struct fixture *f = *state;
	struct mgmt *m = NULL;
	struct error err;
	char path[96], long_path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/file", f->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(mgmt_create(&m, f->base, path, verbs, 2, f, &err), -EEXIST);
	assert_int_equal(unlink(path), 0);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(mgmt_create(&m, f->base, long_path, verbs, 2, f, &err), -ENAMETOOLONG);
	assert_null(m);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(answers_and_refusals),
		CASE(a_header_beyond_the_bound_is_refused),
		CASE(a_handler_may_answer_later),
		CASE(a_client_that_left_does_not_matter_to_its_handler),
		CASE(pending_requests_are_bounded),
		CASE(requests_under_way_end_with_destroy),
		CASE(a_live_socket_is_refused_and_a_dead_one_replaced),
		CASE(what_is_no_socket_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
