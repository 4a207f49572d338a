// SPDX-License-Identifier: Apache-2.0
// Calls: they wait for credentials, run, are repeated once, end.
#include "api/client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/client_call.h"

static int64_t now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void call_free(struct api_call *c) {
	if (c == NULL)
		return;
	free(c->method);
	free(c->url);
	free(c->accept);
	free(c->content_type);
	free(c->body);
	free(c->refusal);
	free(c);
}

// --- the end ---

// What was held back of a 401. Errors: what on_data() returns.
static int deliver_refusal(struct api_call *c) {
	if (c->handlers.on_begin != NULL)
		c->handlers.on_begin(c->arg, 401);
	if (c->cancelled || c->refusal_len == 0)
		return 0;
	return c->handlers.on_data(c->arg, 401, c->refusal, c->refusal_len);
}

// c is in no list any more.
static void end_call(struct api_call *c, struct api_end *end) {
	int ret = 0;

	c->ending = true;
	c->client->stats.failed += end->error != 0;
	if (end->status == 401 && !c->retried)
		ret = deliver_refusal(c);
	if (ret < 0)
		end->error = ret;
	if (!c->cancelled)
		c->handlers.on_end(c->arg, end);
	call_free(c);
}

static void fail_call(struct api_call *c, int error, const char *text) {
	struct api_end end = {.error = error, .retry_after_ms = -1};

	snprintf(end.text, sizeof(end.text), "%.255s", text);
	end_call(c, &end);
}

// It may be due to credentials or authorities that have been replaced meanwhile. A broken connection is, when the server does not like our certificate: TLS 1.3
// tells that after the handshake.
static bool may_be_stale(const struct api_call *c, const struct http_end *from) {
	switch (from->cause) {
	case HTTP_FINE:
		return from->end.status == 401;
	case HTTP_UNTRUSTED:
	case HTTP_MISNAMED:
	case HTTP_TLS:
	case HTTP_MATERIAL:
		return true;
	case HTTP_BROKEN:
		return from->end.status == 0 &&
		       (c->client->k->cert != NULL || c->client->k->cert_file != NULL ||
			c->client->k->exec != NULL);
	default:
		return false;
	}
}

static bool is_repeated(struct api_call *c, const struct http_end *from) {
	struct api_client *client = c->client;

	if (c->retried || !may_be_stale(c, from))
		return false;
	return credentials_refused(client->credentials, now_ms(), c->version);
}

static void wait_in_line(struct api_call *c) {
	TAILQ_INSERT_TAIL(&c->client->waiting, c, link);
	event_active(c->client->work, EV_TIMEOUT, 0);
}

static void on_http_end(void *arg, const struct http_end *from) {
	struct api_call *c = arg;
	struct api_client *client = c->client;
	struct api_end end;

	c->http = NULL;
	TAILQ_REMOVE(&client->running, c, link);
	client->stats.unauthorized += from->cause == HTTP_FINE && from->end.status == 401;
	if (is_repeated(c, from)) {
		c->retried = true;
		wait_in_line(c);
		return;
	}
	client_explain(client, from, &end);
	end_call(c, &end);
}

static void on_http_begin(void *arg, int status) {
	struct api_call *c = arg;

	if ((status != 401 || c->retried) && c->handlers.on_begin != NULL)
		c->handlers.on_begin(c->arg, status); // c may be gone now
}

// A 401's body waits until it is clear that the call ends with it. More than is kept of it is of no interest.
static int on_http_data(void *arg, int status, const char *data, size_t n) {
	struct api_call *c = arg;

	if (status != 401 || c->retried)
		return c->handlers.on_data(c->arg, status, data, n); // c may be gone now
	if (c->refusal == NULL)
		c->refusal = malloc(CLIENT_BODY_401);
	if (c->refusal == NULL)
		return -ENOMEM;
	if (n > CLIENT_BODY_401 - c->refusal_len)
		n = CLIENT_BODY_401 - c->refusal_len;
	memcpy(c->refusal + c->refusal_len, data, n);
	c->refusal_len += n;
	return 0;
}

// --- the start ---

static void send_call(struct api_call *c, const struct credentials_view *v) {
	static const struct http_handlers handlers = {on_http_begin, on_http_data, on_http_end};
	struct api_client *client = c->client;

	TAILQ_REMOVE(&client->waiting, c, link);
	c->http = client_send(c, v, &handlers);
	if (c->http == NULL) {
		fail_call(c, -ENOMEM, "out of memory");
		return;
	}
	c->version = v->version;
	client->stats.requests++;
	TAILQ_INSERT_TAIL(&client->running, c, link);
}

// Those in line: sent, or ended when there are no credentials, or left when a plugin is making some.
static void on_work(evutil_socket_t fd, short what, void *arg) {
	struct api_client *client = arg;
	struct credentials_view v;
	struct api_call *c;
	struct error err;
	unsigned n = 0;
	int ret;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(c, &client->waiting, link)
		n++;
	// What is started by an end of this round waits for the next one: the loop gets to breathe.
	while (n-- > 0 && (c = TAILQ_FIRST(&client->waiting)) != NULL) {
		ret = credentials_get(client->credentials, now_ms(), &v, &err);
		if (ret == -EAGAIN)
			return;
		if (ret == 0) {
			send_call(c, &v);
		} else {
			TAILQ_REMOVE(&client->waiting, c, link);
			fail_call(c, ret, err.text);
		}
	}
}

static void on_settled(void *arg) {
	struct api_client *client = arg;

	event_active(client->work, EV_TIMEOUT, 0);
}

static bool copy(char **out, const char *text) {
	*out = strdup(text);
	return *out != NULL;
}

static bool copy_request(struct api_call *c, const struct api_request *r) {
	if (!copy(&c->method, r->method) ||
	    !copy(&c->accept, r->accept != NULL ? r->accept : "application/json") ||
	    !copy(&c->content_type,
		  r->content_type != NULL ? r->content_type : "application/json") ||
	    asprintf(&c->url, "%s%s", c->client->url.base, r->path) < 0)
		return false;
	c->timeout_ms = r->timeout_ms;
	c->silence_ms = r->silence_ms;
	c->watch = strstr(r->path, "watch=") != NULL;
	if (r->body == NULL)
		return true;
	c->body = malloc(r->body_len + 1);
	if (c->body == NULL)
		return false;
	memcpy(c->body, r->body, r->body_len);
	c->body_len = r->body_len;
	return true;
}

static struct api_call *client_start(void *ctx, const struct api_request *r,
				     const struct api_handlers *handlers, void *arg) {
	struct api_client *client = ctx;
	struct api_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->client = client;
	c->handlers = *handlers;
	c->arg = arg;
	if (!copy_request(c, r)) {
		call_free(c);
		return NULL;
	}
	wait_in_line(c);
	return c;
}

static void client_cancel(void *ctx, struct api_call *c) {
	struct api_client *client = ctx;

	c->cancelled = true;
	if (c->ending) // by a callback of its own end
		return;
	TAILQ_REMOVE(c->http != NULL ? &client->running : &client->waiting, c, link);
	if (c->http != NULL)
		http_cancel(c->http);
	call_free(c);
}

// --- the client ---

// curl resolves names for socks5:// itself; whoever writes a proxy into a kubeconfig means that the proxy knows them.
static char *proxy_of(const struct kubeconfig *k, bool direct) {
	char *proxy;

	if (k->proxy_url == NULL)
		return direct ? strdup("") : NULL;
	if (strncasecmp(k->proxy_url, "socks5://", 9) != 0)
		return strdup(k->proxy_url);
	return asprintf(&proxy, "socks5h://%s", k->proxy_url + 9) < 0 ? NULL : proxy;
}

static int client_init(struct api_client *c, struct error *err) {
	int ret = server_url_init(&c->url, c->k->server, c->k->tls_server_name, err);

	if (ret < 0)
		return ret;
	c->proxy = proxy_of(c->k, c->url.direct);
	c->work = event_new(http_base(c->http), -1, 0, on_work, c);
	c->credentials = credentials_create(c->k, http_base(c->http), on_settled, c);
	if (c->work == NULL || c->credentials == NULL ||
	    (c->proxy == NULL && (c->k->proxy_url != NULL || c->url.direct)) ||
	    client_impersonate(&c->impersonate, c->k) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	c->transport = (struct api_transport){client_start, client_cancel, c};
	c->stats.server = c->k->server;
	return 0;
}

int api_client_create(struct api_client **out, struct http *h, const struct kubeconfig *k,
		      struct error *err) {
	struct api_client *c = calloc(1, sizeof(*c));
	int ret;

	if (c == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->running);
	c->http = h;
	c->k = k;
	ret = client_init(c, err);
	if (ret < 0) {
		api_client_destroy(c);
		return ret;
	}
	*out = c;
	return 0;
}

void api_client_destroy(struct api_client *c) {
	struct api_call *call;

	if (c == NULL)
		return;
	while ((call = TAILQ_FIRST(&c->running)) != NULL)
		client_cancel(c, call);
	while ((call = TAILQ_FIRST(&c->waiting)) != NULL)
		client_cancel(c, call);
	credentials_destroy(c->credentials);
	if (c->work != NULL)
		event_free(c->work);
	server_url_fini(&c->url);
	client_free_lines(c->impersonate);
	free(c->proxy);
	free(c);
}

const struct api_transport *api_client_transport(struct api_client *c) {
	return &c->transport;
}

void api_client_stats(const struct api_client *c, struct api_client_stats *stats) {
	*stats = c->stats;
	stats->plugin_runs = credentials_plugin_runs(c->credentials);
	stats->trouble = credentials_trouble(c->credentials);
}
