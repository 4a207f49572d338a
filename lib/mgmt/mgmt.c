// SPDX-License-Identifier: Apache-2.0
// Requests from evhttp to verbs, answers back, also when they come later or the client has gone.
#include "mgmt/mgmt.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "mgmt/socket.h"

#define PREFIX "/v1/"
#define MAX_HEADERS 8192
#define MAX_BODY 65536  // read and ignored, so that a POST hears 405 and not 413
#define IDLE_SECONDS 60 // a connection that says nothing is closed

struct mgmt_request {
	LIST_ENTRY(mgmt_request) link;
	struct mgmt *mgmt;
	struct evhttp_request *http; // NULL: the client has gone
	struct evkeyvalq params;
};

struct mgmt {
	struct evhttp *http;
	const struct mgmt_verb *verbs;
	unsigned n_verbs;
	unsigned n_pending;
	void *ctx;
	char *path;
	LIST_HEAD(, mgmt_request) pending;
};

static const char *status_text(int status) {
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 503:
		return "Service Unavailable";
	default:
		return status < 500 ? "Refused" : "Internal Error";
	}
}

// Send text as the whole answer. NULL text: no memory for it.
static void send_text(struct evhttp_request *http, int status, const char *text) {
	struct evbuffer *out = evhttp_request_get_output_buffer(http);

	if (text == NULL) {
		status = 500;
		text = "{\"error\": \"out of memory\"}";
	}
	evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
			  "application/json");
	evbuffer_add_printf(out, "%s\n", text);
	evhttp_send_reply(http, status, status_text(status), NULL);
}

static void send_error(struct evhttp_request *http, int status, const char *message) {
	json_t *body = json_pack("{s:s}", "error", message);
	char *text = body != NULL ? json_dumps(body, JSON_PRESERVE_ORDER) : NULL;

	send_text(http, status, text);
	free(text);
	json_decref(body);
}

// The client left before its answer: the handler goes on and its answer is dropped.
static void on_gone(struct evhttp_connection *c, void *arg) {
	struct mgmt_request *r = arg;

	r->http = NULL;
}

static void finish(struct mgmt_request *r) {
	LIST_REMOVE(r, link);
	r->mgmt->n_pending--;
	evhttp_clear_headers(&r->params);
	free(r);
}

// Take the HTTP side out of r; NULL when the client has gone.
static struct evhttp_request *take_http(struct mgmt_request *r) {
	struct evhttp_request *http = r->http;

	if (http != NULL)
		evhttp_connection_set_closecb(evhttp_request_get_connection(http), NULL, NULL);
	r->http = NULL;
	return http;
}

void mgmt_reply(struct mgmt_request *r, json_t *body) {
	struct evhttp_request *http = take_http(r);
	char *text = body != NULL && http != NULL ? json_dumps(body, JSON_PRESERVE_ORDER) : NULL;

	if (http != NULL)
		send_text(http, 200, text);
	free(text);
	json_decref(body);
	finish(r);
}

void mgmt_fail(struct mgmt_request *r, int status, const char *format, ...) {
	struct evhttp_request *http = take_http(r);
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (http != NULL)
		send_error(http, status, message);
	finish(r);
}

const char *mgmt_param(const struct mgmt_request *r, const char *name) {
	return evhttp_find_header(&r->params, name);
}

static void unknown_verb(const struct mgmt *m, struct evhttp_request *http) {
	char message[1024] = "no such verb; there are: ";
	size_t n = strlen(message);

	for (unsigned i = 0; i < m->n_verbs && n < sizeof(message); i++)
		n += (size_t)snprintf(message + n, sizeof(message) - n, "%s%s", i > 0 ? ", " : "",
				      m->verbs[i].name);
	send_error(http, 404, message);
}

static const struct mgmt_verb *find_verb(const struct mgmt *m, const char *path) {
	if (path == NULL || strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return NULL;
	for (unsigned i = 0; i < m->n_verbs; i++)
		if (strcmp(path + strlen(PREFIX), m->verbs[i].name) == 0)
			return &m->verbs[i];
	return NULL;
}

// NULL when the query is no list of name=value or there is no memory; then it has been answered.
static struct mgmt_request *new_request(struct mgmt *m, struct evhttp_request *http) {
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(http));
	struct mgmt_request *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		send_text(http, 500, NULL);
		return NULL;
	}
	TAILQ_INIT(&r->params);
	if (query != NULL && evhttp_parse_query_str(query, &r->params) < 0) {
		send_error(http, 400, "the query is not name=value&name=value");
		free(r);
		return NULL;
	}
	r->mgmt = m;
	r->http = http;
	LIST_INSERT_HEAD(&m->pending, r, link);
	m->n_pending++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_gone, r);
	return r;
}

static void on_request(struct evhttp_request *http, void *arg) {
	struct mgmt *m = arg;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
	const struct mgmt_verb *verb = find_verb(m, path);
	struct mgmt_request *r;

	if (evhttp_request_get_command(http) != EVHTTP_REQ_GET) {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Allow", "GET");
		send_error(http, 405, "only GET");
		return;
	}
	if (verb == NULL) {
		unknown_verb(m, http);
		return;
	}
	if (m->n_pending >= MGMT_MAX_PENDING) {
		send_error(http, 503, "too many requests are under way");
		return;
	}
	r = new_request(m, http);
	if (r != NULL)
		verb->handle(m->ctx, r);
}

static int set_up(struct mgmt *m, struct event_base *base, int fd) {
	m->http = evhttp_new(base);
	if (m->http == NULL)
		return -ENOMEM;
	// Every method comes to on_request(), which says 405 in JSON.
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
						    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
						    EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(m->http, MAX_HEADERS);
	evhttp_set_max_body_size(m->http, MAX_BODY);
	evhttp_set_timeout(m->http, IDLE_SECONDS);
	evhttp_set_gencb(m->http, on_request, m);
	return evhttp_accept_socket(m->http, fd) < 0 ? -ENOMEM : 0;
}

int mgmt_create(struct mgmt **out, struct event_base *base, const char *path,
		const struct mgmt_verb *verbs, unsigned n_verbs, void *ctx, struct error *err) {
	struct mgmt *m;
	int fd = socket_listen(path, err), ret;

	if (fd < 0)
		return fd;
	m = calloc(1, sizeof(*m));
	ret = m != NULL && (m->path = strdup(path)) != NULL ? set_up(m, base, fd) : -ENOMEM;
	if (ret < 0) {
		close(fd);
		unlink(path);
		mgmt_destroy(m);
		return error_set(err, ret, "%s: %s", path, strerror(-ret));
	}
	signal(SIGPIPE, SIG_IGN); // bufferevents write without MSG_NOSIGNAL
	m->verbs = verbs;
	m->n_verbs = n_verbs;
	m->ctx = ctx;
	LIST_INIT(&m->pending);
	*out = m;
	return 0;
}

void mgmt_destroy(struct mgmt *m) {
	struct mgmt_request *r;

	if (m == NULL)
		return;
	while ((r = LIST_FIRST(&m->pending)) != NULL)
		mgmt_fail(r, 503, "shutting down");
	if (m->http != NULL)
		evhttp_free(m->http);
	if (m->path != NULL)
		unlink(m->path);
	free(m->path);
	free(m);
}
