// SPDX-License-Identifier: Apache-2.0
// Any bytes as what an API server answers, one exchange after the other: a reflector takes all of it, asks on, and what it gives out is JSON.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/reflector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const struct api_handlers *handlers; // NULL: no exchange
	void *arg;
	int64_t now;
	bool gathering;
} t;

static struct api_call *start(void *ctx, const struct api_request *r,
			      const struct api_handlers *handlers, void *arg) {
	if (t.handlers != NULL || r->path[0] != '/')
		abort();
	t.handlers = handlers;
	t.arg = arg;
	return (struct api_call *)&t;
}

static void cancel(void *ctx, struct api_call *call) {
	t.handlers = NULL;
}

static int64_t now(void *arg) {
	return t.now;
}

static int on_begin(void *arg) {
	t.gathering = true;
	return 0;
}

static int on_object(void *arg, const struct reflector_object *o) {
	json_t *again = json_loadb(o->text, o->len, JSON_ALLOW_NUL, NULL);

	if (!json_is_object(o->node.json))
		abort();
	// Without text: the member's name was written with escapes. A huge integer is for lib/doc alone.
	if (o->len > 0 && o->node.doc == NULL && !json_is_object(again))
		abort();
	json_decref(again);
	return 0;
}

static int on_end(void *arg) {
	if (!t.gathering)
		abort();
	t.gathering = false;
	return 0;
}

static void on_broken(void *arg, const struct error *what) {
}

// One exchange: a status, a way to end, then bytes in pieces.
static void answer(const uint8_t *data, size_t size) {
	static const int statuses[] = {200, 200, 200, 200, 410, 429, 504, 404};
	static const int errors[] = {0, 0, -EIO, -ETIMEDOUT};
	struct api_end end = {.status = statuses[data[0] & 7],
			      .error = errors[data[0] >> 3 & 3],
			      .retry_after_ms = -1};
	size_t step = (data[0] >> 5) * 9u + 1;
	const struct api_handlers *h = t.handlers;
	int ret = 0;

	h->on_begin(t.arg, end.status);
	for (size_t at = 1; at < size && ret == 0; at += step)
		ret = h->on_data(t.arg, end.status, (const char *)data + at,
				 size - at < step ? size - at : step);
	if (ret < 0)
		end.error = ret;
	t.handlers = NULL;
	h->on_end(t.arg, &end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct api_transport transport = {start, cancel, NULL};
	static const struct reflector_sink sink = {on_begin, on_object, on_object, on_end,
						   on_broken};
	static const char *const drop[] = {"\"managedFields\":[", NULL};
	struct reflector_server server = {.no_watch_list = size > 0 && data[0] & 1};
	const struct reflector_settings s = {.path = "/s",
					     .selector = "",
					     .kind = "Service",
					     .drop = drop,
					     .transport = &transport,
					     .server = &server,
					     .sink = &sink,
					     .clock = now,
					     .seed = 1};
	struct reflector *r;

	memset(&t, 0, sizeof(t));
	r = reflector_create(&s);
	for (int i = 0; i < 8 && size > 0; i++) {
		const uint8_t *cut = memchr(data, 0xff, size); // between exchanges
		size_t n = cut != NULL ? (size_t)(cut - data) : size;
		int64_t due = reflector_due(r, t.now);

		if (due < 0)
			abort();
		t.now += due;
		reflector_step(r, t.now);
		if (t.handlers == NULL)
			abort();
		if (n > 0)
			answer(data, n);
		else
			answer((const uint8_t *)"", 1);
		data += n < size ? n + 1 : n;
		size -= n < size ? n + 1 : n;
	}
	reflector_destroy(r);
	return 0;
}
