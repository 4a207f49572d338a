// SPDX-License-Identifier: Apache-2.0
// A request in curl's terms, and what curl hands back while it runs.
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "api/http_call.h"

#define CONNECT_MS 10000
#define KEEP_IDLE_S 30
#define KEEP_EVERY_S 10
#define UNACKED_MS                                                                                 \
	30000 // after so long without an acknowledgement the kernel gives a connection up

// --- what comes ---

static bool is_alive(const struct http_call *c) {
	return c->place == HTTP_RUNNING && !c->http->destroyed;
}

// "Name: value" -> value without blanks around it, when the name is this one.
static bool header_value(const char *line, size_t n, const char *name, char *value) {
	size_t k = strlen(name);

	if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return false;
	line += k + 1;
	n -= k + 1;
	while (n > 0 && isspace((unsigned char)*line)) {
		line++;
		n--;
	}
	while (n > 0 && isspace((unsigned char)line[n - 1]))
		n--;
	n = n < HTTP_VALUE ? n : HTTP_VALUE - 1;
	memcpy(value, line, n);
	value[n] = '\0';
	return true;
}

// A status line: what an interim response (100, 103) said is void.
static void begin_response(struct http_call *c) {
	memset(c->has_value, 0, sizeof(c->has_value));
	c->retry_after[0] = c->date[0] = '\0';
	c->in_body = false;
}

static void end_headers(struct http_call *c) {
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (c->in_body || status < 200) // trailers, an interim response
		return;
	c->status = (int)status;
	c->in_body = true;
	if (c->handlers.on_begin != NULL)
		c->handlers.on_begin(c->arg, c->status);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg) {
	struct http_call *c = arg;

	(void)size;
	if (!is_alive(c))
		return 0;
	c->heard_ms = http_now_ms();
	if (n >= 5 && memcmp(line, "HTTP/", 5) == 0)
		begin_response(c);
	else if (n <= 2 && (n == 0 || line[0] == '\r' || line[0] == '\n'))
		end_headers(c);
	if (!is_alive(c)) // ended by the callback
		return 0;
	header_value(line, n, "Retry-After", c->retry_after);
	header_value(line, n, "Date", c->date);
	for (size_t i = 0; i < HTTP_WANTED && c->wanted[i] != NULL; i++)
		if (header_value(line, n, c->wanted[i], c->value[i]))
			c->has_value[i] = true;
	return n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg) {
	struct http_call *c = arg;
	int ret;

	(void)size;
	if (!is_alive(c))
		return 0;
	c->heard_ms = http_now_ms();
	if (c->handlers.on_data == NULL)
		return n;
	ret = c->handlers.on_data(c->arg, c->status, data, n);
	if (!is_alive(c)) // ended by the callback
		return 0;
	c->stopped = ret < 0 ? ret : 0;
	return ret < 0 ? 0 : n;
}

// A peer that vanished without a word is found out by the kernel, also below an idle connection.
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose) {
	unsigned unacked = UNACKED_MS;

	(void)arg;
	(void)purpose;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
	return CURL_SOCKOPT_OK;
}

// --- what goes ---

static bool set_text(CURL *e, CURLoption option, const char *text) {
	return text == NULL || curl_easy_setopt(e, option, text) == CURLE_OK;
}

static bool set_long(CURL *e, CURLoption option, long value) {
	return curl_easy_setopt(e, option, value) == CURLE_OK;
}

static bool set_pem(CURL *e, CURLoption option, const char *text) {
	struct curl_blob blob = {.flags = CURL_BLOB_COPY};

	if (text == NULL)
		return true;
	blob.data = (void *)text;
	blob.len = strlen(text);
	return curl_easy_setopt(e, option, &blob) == CURLE_OK;
}

// With authorities of its own the system's do not count: curl would look into their directory beside the given ones.
static bool set_authorities(CURL *e, const char *ca) {
	return ca == NULL || (set_pem(e, CURLOPT_CAINFO_BLOB, ca) &&
			      curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK);
}

static bool set_tls(CURL *e, const struct http_tls *t) {
	return set_long(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
	       set_long(e, CURLOPT_SSL_VERIFYPEER, !t->insecure) &&
	       set_long(e, CURLOPT_SSL_VERIFYHOST, t->insecure ? 0 : 2) &&
	       set_authorities(e, t->ca) && set_pem(e, CURLOPT_SSLCERT_BLOB, t->cert) &&
	       set_pem(e, CURLOPT_SSLKEY_BLOB, t->key);
}

static bool set_times(CURL *e, const struct http_request *r) {
	return set_long(e, CURLOPT_CONNECTTIMEOUT_MS,
			r->connect_ms > 0 ? (long)r->connect_ms : CONNECT_MS) &&
	       set_long(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms) &&
	       set_long(e, CURLOPT_TCP_KEEPALIVE, 1) &&
	       set_long(e, CURLOPT_TCP_KEEPIDLE, KEEP_IDLE_S) &&
	       set_long(e, CURLOPT_TCP_KEEPINTVL, KEEP_EVERY_S);
}

static bool set_connection(CURL *e, const struct http_request *r) {
	// Exceptions of the environment are for its own proxies.
	return set_text(e, CURLOPT_PROXY, r->proxy) &&
	       set_text(e, CURLOPT_NOPROXY, r->proxy != NULL ? "" : NULL) &&
	       set_long(e, CURLOPT_FRESH_CONNECT, r->alone) &&
	       set_long(e, CURLOPT_FORBID_REUSE, r->alone) &&
	       set_long(e, CURLOPT_HTTP_VERSION,
			r->alone ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS) &&
	       set_long(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1) &&
	       // A resolver that hangs must not hold up the loop when its exchange is cancelled.
	       set_long(e, CURLOPT_QUICK_EXIT, 1);
}

static bool set_body(CURL *e, const struct http_request *r) {
	return r->body == NULL || (curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
						    (curl_off_t)r->body_len) == CURLE_OK &&
				   set_text(e, CURLOPT_COPYPOSTFIELDS, r->body));
}

static bool add_line(struct curl_slist **list, const char *line) {
	struct curl_slist *grown = curl_slist_append(*list, line);

	if (grown == NULL)
		return false;
	*list = grown;
	return true;
}

static bool set_lists(struct http_call *c, const struct http_request *r) {
	// curl would ask for a "100 Continue" before larger bodies, and wait for it.
	bool ok = add_line(&c->headers, "Expect:");

	for (const char *const *line = r->headers; ok && line != NULL && *line != NULL; line++)
		ok = add_line(&c->headers, *line);
	if (ok && r->connect_to != NULL)
		ok = add_line(&c->connect_to, r->connect_to);
	return ok && curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK &&
	       curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to) == CURLE_OK;
}

static bool set_callbacks(struct http_call *c) {
	CURL *e = c->easy;

	return curl_easy_setopt(e, CURLOPT_PRIVATE, c) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERDATA, c) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEDATA, c) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->why) == CURLE_OK &&
	       set_long(e, CURLOPT_NOSIGNAL, 1);
}

int http_easy_create(struct http_call *c, const struct http_request *r) {
	c->easy = curl_easy_init();
	if (c->easy == NULL || !set_callbacks(c) || !set_text(c->easy, CURLOPT_URL, r->url) ||
	    !set_text(c->easy, CURLOPT_PROTOCOLS_STR, "http,https") || !set_body(c->easy, r) ||
	    !set_text(c->easy, CURLOPT_CUSTOMREQUEST, r->method) ||
	    !set_text(c->easy, CURLOPT_USERAGENT, c->http->user_agent) ||
	    !set_text(c->easy, CURLOPT_ACCEPT_ENCODING, r->gzip ? "gzip" : NULL) ||
	    !set_times(c->easy, r) || !set_connection(c->easy, r) || !set_tls(c->easy, &r->tls) ||
	    !set_lists(c, r))
		return -ENOMEM;
	return 0;
}
