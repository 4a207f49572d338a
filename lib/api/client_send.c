// SPDX-License-Identifier: Apache-2.0
// A call as a request of http: headers, who we are, how the server is reached.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/client_call.h"

void client_free_lines(char **lines) {
	for (char **l = lines; l != NULL && *l != NULL; l++)
		free(*l);
	free(lines);
}

// A name as part of a header's name: what is no token character is %XX, as client-go does. out holds 3 * strlen + 1.
static void escape_key(const char *key, char *out) {
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$&'*+-.^_`|~";

	for (; *key != '\0'; key++) {
		if (strchr(plain, *key) != NULL)
			*out++ = *key;
		else
			out += sprintf(out, "%%%02X", (unsigned char)*key);
	}
	*out = '\0';
}

static char *extra_line(const struct kubeconfig_pair *p) {
	char *key = malloc(3 * strlen(p->name) + 1), *line = NULL;

	if (key == NULL)
		return NULL;
	escape_key(p->name, key);
	if (asprintf(&line, "Impersonate-Extra-%s: %s", key, p->value) < 0)
		line = NULL;
	free(key);
	return line;
}

static char *line_of(const char *name, const char *value) {
	char *line;

	return asprintf(&line, "%s: %s", name, value) < 0 ? NULL : line;
}

static char *bearer_line(const char *token) {
	char *line;

	return asprintf(&line, "Authorization: Bearer %s", token) < 0 ? NULL : line;
}

// Add a line, NULL when there was no memory for it.
static bool add(char **lines, size_t *n, char *line) {
	lines[*n] = line;
	*n += line != NULL;
	return line != NULL;
}

int client_impersonate(char ***out, const struct kubeconfig *k) {
	size_t room = 3, n = 0;
	char **lines;
	bool ok = true;

	for (char **g = k->as_groups; g != NULL && *g != NULL; g++)
		room++;
	for (struct kubeconfig_pair *p = k->as_extra; p != NULL && p->name != NULL; p++)
		room++;
	lines = calloc(room, sizeof(*lines));
	if (lines == NULL)
		return -ENOMEM;
	if (k->as != NULL)
		ok = add(lines, &n, line_of("Impersonate-User", k->as));
	if (ok && k->as_uid != NULL)
		ok = add(lines, &n, line_of("Impersonate-Uid", k->as_uid));
	for (char **g = k->as_groups; ok && g != NULL && *g != NULL; g++)
		ok = add(lines, &n, line_of("Impersonate-Group", *g));
	for (struct kubeconfig_pair *p = k->as_extra; ok && p != NULL && p->name != NULL; p++)
		ok = add(lines, &n, extra_line(p));
	if (!ok) {
		client_free_lines(lines);
		return -ENOMEM;
	}
	*out = lines;
	return 0;
}

static char **headers_of(const struct api_call *c, const char *token) {
	char **shared = c->client->impersonate, **lines;
	size_t n = 0, n_shared = 0;
	bool ok;

	while (shared[n_shared] != NULL)
		n_shared++;
	lines = calloc(n_shared + 5, sizeof(*lines));
	if (lines == NULL)
		return NULL;
	ok = add(lines, &n, line_of("Accept", c->accept));
	if (ok && c->body != NULL)
		ok = add(lines, &n, line_of("Content-Type", c->content_type));
	if (ok && token != NULL)
		ok = add(lines, &n, bearer_line(token));
	if (ok && c->client->url.host != NULL)
		ok = add(lines, &n, strdup(c->client->url.host));
	for (size_t i = 0; ok && i < n_shared; i++)
		ok = add(lines, &n, strdup(shared[i]));
	if (!ok) {
		client_free_lines(lines);
		return NULL;
	}
	return lines;
}

struct http_call *client_send(struct api_call *c, const struct credentials_view *v,
			      const struct http_handlers *handlers) {
	const struct api_client *client = c->client;
	char **headers = headers_of(c, v->token);
	const struct http_request r = {
		.method = c->method,
		.url = c->url,
		.connect_to = client->url.connect_to,
		.headers = (const char *const *)headers,
		.body = c->body,
		.body_len = c->body_len,
		.tls = {v->ca, v->cert, v->key, client->k->insecure},
		.proxy = client->proxy,
		// A watch is never compressed: what gathers in a compressor does not arrive.
		.gzip = !c->watch && !client->k->disable_compression,
		.timeout_ms = c->timeout_ms,
		.silence_ms = c->silence_ms,
	};
	struct http_call *http = NULL;

	if (headers != NULL)
		http = http_start(client->http, &r, handlers, c);
	client_free_lines(headers);
	return http;
}
