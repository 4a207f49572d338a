// SPDX-License-Identifier: Apache-2.0
// Collects an answer; knows what the API server's status codes ask of a client.
#include "status/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_data(void *arg, int status, const char *data, size_t n) {
	struct exchange *x = arg;

	(void)status;
	if (n > EXCHANGE_MAX_BODY - x->len)
		return -EMSGSIZE;
	if (x->len + n > x->room) {
		size_t room = (x->len + n) * 2;
		char *grown = realloc(x->body, room);

		if (grown == NULL)
			return -ENOMEM;
		x->body = grown;
		x->room = room;
	}
	memcpy(x->body + x->len, data, n);
	x->len += n;
	return 0;
}

static void on_end(void *arg, const struct api_end *end) {
	struct exchange *x = arg;

	x->call = NULL;
	x->end = *end;
	x->done = true;
}

int exchange_start(struct exchange *x, const struct api_transport *t,
		   const struct exchange_request *r) {
	static const struct api_handlers handlers = {.on_data = on_data, .on_end = on_end};
	char *body = r->body == NULL ? NULL : json_dumps(r->body, JSON_COMPACT);
	struct api_request request = {
		.method = r->method,
		.path = r->path,
		.content_type = r->content_type,
		.body = body,
		.body_len = body == NULL ? 0 : strlen(body),
		.timeout_ms = r->timeout_ms != 0 ? r->timeout_ms : EXCHANGE_TIMEOUT_MS,
	};

	if (r->body != NULL && body == NULL)
		return -ENOMEM;
	*x = (struct exchange){.transport = t};
	x->call = t->start(t->ctx, &request, &handlers, x);
	free(body);
	return x->call == NULL ? -ENOMEM : 0;
}

bool exchange_is_busy(const struct exchange *x) {
	return x->call != NULL || x->done;
}

bool exchange_is_done(const struct exchange *x) {
	return x->done;
}

enum exchange_result exchange_result(const struct exchange *x) {
	int status = x->end.status;

	if (x->end.error < 0 || status == 0)
		return EXCHANGE_UNREACHABLE;
	if (status >= 200 && status < 300)
		return EXCHANGE_OK;
	switch (status) {
	case 401:
	case 403:
		return EXCHANGE_REFUSED;
	case 404:
	case 410:
		return EXCHANGE_MISSING;
	case 409:
		return EXCHANGE_CONFLICT;
	case 408:
	case 429:
		return EXCHANGE_THROTTLED;
	default:
		return status >= 400 && status < 500 ? EXCHANGE_INVALID : EXCHANGE_FAILED;
	}
}

json_t *exchange_json(const struct exchange *x) {
	return x->len == 0 ? NULL : json_loadb(x->body, x->len, 0, NULL);
}

const char *exchange_text(const struct exchange *x, char *buf, size_t size) {
	json_t *root = exchange_json(x);
	const char *message = json_string_value(json_object_get(root, "message"));

	if (message != NULL)
		snprintf(buf, size, "%s", message);
	else if (x->end.text[0] != '\0')
		snprintf(buf, size, "%s", x->end.text);
	else
		snprintf(buf, size, "HTTP status %d", x->end.status);
	json_decref(root);
	return buf;
}

void exchange_reset(struct exchange *x) {
	if (x->call != NULL)
		x->transport->cancel(x->transport->ctx, x->call);
	free(x->body);
	*x = (struct exchange){.call = NULL};
}

const char *exchange_result_name(enum exchange_result r) {
	static const char *const names[EXCHANGE_RESULTS] = {"ok",      "missing",    "conflict",
							    "invalid", "refused",    "throttled",
							    "failed",  "unreachable"};

	return names[r];
}
