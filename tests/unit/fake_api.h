// SPDX-License-Identifier: Apache-2.0
// An API server in memory, behind struct api_transport: objects by path, resourceVersions, uids, the answers that clients must live with.
//
//     fake_api_work(f, n)   n requests are taken, applied and answered, in order of arrival
//     fake_api_fail(f, ..)  the next requests of a method end otherwise; applied or not
//
// It knows just enough of strategic merge patches for Services (lists of conditions merge by type, finalizers as a set) and of deletion with finalizers. Every
// version of an object that was ever visible is kept in f->log, so that a test can look for what must never have been.
#ifndef FAKE_API_H
#define FAKE_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/transport.h"

#define FAKE_CALLS 256
#define FAKE_RULES 64

struct fake_call {
	char method[8], path[512], type[64];
	json_t *body;
	const struct api_handlers *handlers;
	void *arg;
	struct api_call *id; // NULL: free
};

struct fake_rule { // of the next requests with this method and this text in their path
	const char *method, *path;
	int status; // 0: no answer
	int64_t retry_after_ms;
	bool applied;
	unsigned times;
};

struct fake_api {
	struct api_transport transport;
	json_t *objects;                    // path -> object
	json_t *log;                        // [{path, object or null}], in order
	json_t *events;                     // [object], each as last seen
	struct fake_call calls[FAKE_CALLS]; // FIFO: [0, n)
	unsigned n_calls, most_calls;
	struct fake_rule rules[FAKE_RULES];
	unsigned n_rules;
	uint64_t version, uids, next_id;
	unsigned requests, patches, gets, conflicts;
};

static struct api_call *fake_start(void *ctx, const struct api_request *r,
				   const struct api_handlers *handlers, void *arg) {
	struct fake_api *f = ctx;
	struct fake_call *c = &f->calls[f->n_calls];

	if (f->n_calls == FAKE_CALLS)
		return NULL;
	*c = (struct fake_call){.handlers = handlers, .arg = arg};
	snprintf(c->method, sizeof(c->method), "%s", r->method);
	snprintf(c->path, sizeof(c->path), "%s", r->path);
	snprintf(c->type, sizeof(c->type), "%s",
		 r->content_type != NULL ? r->content_type : "application/json");
	if (r->body != NULL)
		c->body = json_loadb(r->body, r->body_len, 0, NULL);
	c->id = (struct api_call *)(uintptr_t)++f->next_id;
	f->n_calls++;
	if (f->n_calls > f->most_calls)
		f->most_calls = f->n_calls;
	f->requests++;
	return c->id;
}

static void fake_drop(struct fake_api *f, unsigned i) {
	json_decref(f->calls[i].body);
	memmove(&f->calls[i], &f->calls[i + 1], (f->n_calls - i - 1) * sizeof(f->calls[0]));
	f->n_calls--;
}

static void fake_cancel(void *ctx, struct api_call *call) {
	struct fake_api *f = ctx;

	for (unsigned i = 0; i < f->n_calls; i++)
		if (f->calls[i].id == call) {
			fake_drop(f, i);
			return;
		}
}

static inline void fake_api_init(struct fake_api *f) {
	*f = (struct fake_api){.version = 98};
	f->transport = (struct api_transport){fake_start, fake_cancel, f};
	f->objects = json_object();
	f->log = json_array();
	f->events = json_array();
}

static inline void fake_api_fini(struct fake_api *f) {
	while (f->n_calls > 0)
		fake_drop(f, 0);
	json_decref(f->objects);
	json_decref(f->log);
	json_decref(f->events);
}

// --- objects ---

static inline json_t *fake_api_get(const struct fake_api *f, const char *path) {
	return json_object_get(f->objects, path);
}

// Takes object over; it gets a new resourceVersion, and a uid when it has none.
static inline json_t *fake_api_put(struct fake_api *f, const char *path, json_t *object) {
	json_t *metadata = json_object_get(object, "metadata");
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)++f->version);
	json_object_set_new(metadata, "resourceVersion", json_string(text));
	snprintf(text, sizeof(text), "uid-%llu", (unsigned long long)f->uids + 1);
	if (json_object_get(metadata, "uid") == NULL) {
		json_object_set_new(metadata, "uid", json_string(text));
		f->uids++;
	}
	json_object_set_new(f->objects, path, object);
	json_array_append_new(f->log, json_pack("{s:s, s:o}", "path", path, "object",
						json_deep_copy(object)));
	return object;
}

static inline void fake_api_remove(struct fake_api *f, const char *path) {
	f->version++;
	json_object_del(f->objects, path);
	json_array_append_new(f->log, json_pack("{s:s, s:n}", "path", path, "object"));
}

// As kubectl delete: gone at once, or marked while a finalizer holds it.
static inline void fake_api_delete(struct fake_api *f, const char *path) {
	json_t *object = json_deep_copy(fake_api_get(f, path));
	json_t *metadata = json_object_get(object, "metadata");

	if (json_array_size(json_object_get(metadata, "finalizers")) == 0) {
		json_decref(object);
		fake_api_remove(f, path);
		return;
	}
	json_object_set_new(metadata, "deletionTimestamp", json_string("2026-01-01T00:00:00Z"));
	fake_api_put(f, path, object);
}

// --- strategic merge ---

static void fake_merge_object(json_t *to, const json_t *patch);

static size_t fake_find_type(const json_t *list, const char *type) {
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item)
		if (strcmp(json_string_value(json_object_get(item, "type")), type) == 0)
			return i;
	return json_array_size(list);
}

static void fake_merge_conditions(json_t *list, const json_t *patch) {
	size_t i;
	json_t *item;

	json_array_foreach(patch, i, item) {
		size_t at = fake_find_type(list, json_string_value(json_object_get(item, "type")));

		if (json_object_get(item, "$patch") != NULL)
			json_array_remove(list, at);
		else if (at < json_array_size(list))
			fake_merge_object(json_array_get(list, at), item);
		else
			json_array_append_new(list, json_deep_copy(item));
	}
}

static void fake_merge_set(json_t *list, const json_t *names, bool removes) {
	size_t i, j;
	json_t *name, *item;

	json_array_foreach(names, i, name) {
		bool found = false;

		for (j = 0; j < json_array_size(list); j++) {
			item = json_array_get(list, j);
			if (!json_equal(item, name))
				continue;
			found = true;
			if (removes)
				json_array_remove(list, j--);
		}
		if (!found && !removes)
			json_array_append(list, name);
	}
}

static json_t *fake_list(json_t *object, const char *key) {
	if (!json_is_array(json_object_get(object, key)))
		json_object_set_new(object, key, json_array());
	return json_object_get(object, key);
}

static void fake_merge_object(json_t *to, const json_t *patch) {
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
		if (strcmp(key, "conditions") == 0)
			fake_merge_conditions(fake_list(to, key), value);
		else if (strcmp(key, "finalizers") == 0)
			fake_merge_set(fake_list(to, key), value, false);
		else if (strcmp(key, "$deleteFromPrimitiveList/finalizers") == 0)
			fake_merge_set(fake_list(to, "finalizers"), value, true);
		else if (json_is_null(value))
			json_object_del(to, key);
		else if (json_is_object(value) && json_is_object(json_object_get(to, key)))
			fake_merge_object(json_object_get(to, key), value);
		else
			json_object_set_new(to, key, json_deep_copy(value));
	}
}

// --- requests ---

static const char *fake_text(const json_t *object, const char *a, const char *b) {
	const char *text = json_string_value(json_object_get(json_object_get(object, a), b));

	return text != NULL ? text : "";
}

// The object's own path of a request's.
static void fake_path(char *to, size_t size, const char *path) {
	size_t n = strcspn(path, "?");

	if (n > 7 && strncmp(path + n - 7, "/status", 7) == 0)
		n -= 7;
	snprintf(to, size, "%.*s", (int)n, path);
}

static bool fake_has_lost(const json_t *object, const json_t *body) {
	const char *wants = fake_text(body, "metadata", "resourceVersion");

	return wants[0] != '\0' && strcmp(wants, fake_text(object, "metadata", "resourceVersion"));
}

static int fake_patch(struct fake_api *f, const char *path, const struct fake_call *c) {
	json_t *object = fake_api_get(f, path), *next;
	const char *uid = fake_text(c->body, "metadata", "uid");

	f->patches++;
	if (object == NULL)
		return 404;
	if (uid[0] != '\0' && strcmp(uid, fake_text(object, "metadata", "uid")) != 0)
		return 422;
	if (fake_has_lost(object, c->body))
		return 409;
	if (strcmp(c->type, "application/strategic-merge-patch+json") != 0)
		return 415;
	next = json_deep_copy(object);
	fake_merge_object(next, c->body);
	if (json_equal(next, object)) { // as the real one: nothing written, no new version
		json_decref(next);
		return 200;
	}
	fake_api_put(f, path, next);
	return 200;
}

static int fake_replace(struct fake_api *f, const char *path, const struct fake_call *c) {
	json_t *object = fake_api_get(f, path);

	if (object == NULL)
		return 404;
	if (fake_has_lost(object, c->body))
		return 409;
	fake_api_put(f, path, json_deep_copy(c->body));
	return 200;
}

// path is the collection's; it becomes the object's.
static int fake_post(struct fake_api *f, const struct fake_call *c, char *path, size_t size) {
	size_t n = strlen(path);

	snprintf(path + n, size - n, "/%s", fake_text(c->body, "metadata", "name"));
	if (fake_api_get(f, path) != NULL)
		return 409;
	fake_api_put(f, path, json_deep_copy(c->body));
	return 201;
}

static int fake_apply(struct fake_api *f, const struct fake_call *c, char *path, size_t size) {
	fake_path(path, size, c->path);
	if (strcmp(c->method, "GET") == 0) {
		f->gets++;
		return fake_api_get(f, path) != NULL ? 200 : 404;
	}
	if (strcmp(c->method, "PATCH") == 0)
		return fake_patch(f, path, c);
	if (strcmp(c->method, "PUT") == 0)
		return fake_replace(f, path, c);
	return fake_post(f, c, path, size);
}

static struct fake_rule *fake_rule_of(struct fake_api *f, const struct fake_call *c) {
	for (unsigned i = 0; i < f->n_rules; i++) {
		struct fake_rule *r = &f->rules[i];

		if (r->times > 0 && strcmp(r->method, c->method) == 0 &&
		    strstr(c->path, r->path) != NULL)
			return r;
	}
	return NULL;
}

static inline void fake_api_fail(struct fake_api *f, const char *method, const char *path,
				 int status, unsigned times) {
	f->rules[f->n_rules++] = (struct fake_rule){.method = method,
						    .path = path,
						    .status = status,
						    .retry_after_ms = -1,
						    .times = times};
}

// In two pieces, as bytes come.
static void fake_answer(const struct fake_call *c, int status, const json_t *object,
			int64_t retry_after_ms) {
	struct api_end end = {.status = status, .retry_after_ms = retry_after_ms};
	char *text = json_dumps(object, 0);
	size_t n = strlen(text);

	if (status == 0) {
		end.error = -111;
		snprintf(end.text, sizeof(end.text), "connection refused");
	} else {
		c->handlers->on_data(c->arg, status, text, n / 2);
		c->handlers->on_data(c->arg, status, text + n / 2, n - n / 2);
	}
	free(text);
	c->handlers->on_end(c->arg, &end);
}

static void fake_finish_deletion(struct fake_api *f, const char *path) {
	const json_t *object = fake_api_get(f, path);
	json_t *metadata = json_object_get(object, "metadata");

	if (json_object_get(metadata, "deletionTimestamp") != NULL &&
	    json_array_size(json_object_get(metadata, "finalizers")) == 0)
		fake_api_remove(f, path);
}

static void fake_serve(struct fake_api *f) {
	struct fake_call c = f->calls[0];
	struct fake_rule *rule = fake_rule_of(f, &c);
	char path[800];
	json_t *answer;
	int status = 0;

	json_incref(c.body);
	fake_drop(f, 0);
	fake_path(path, sizeof(path), c.path);
	if (rule == NULL || rule->applied)
		status = fake_apply(f, &c, path, sizeof(path));
	if (rule != NULL) {
		rule->times--;
		status = rule->status;
	}
	f->conflicts += status == 409;
	answer = status >= 200 && status < 300
			 ? json_deep_copy(fake_api_get(f, path))
			 : json_pack("{s:s, s:s, s:i}", "kind", "Status", "message",
				     "as the test wants it", "code", status);
	fake_finish_deletion(f, path);
	fake_answer(&c, status, answer, rule != NULL ? rule->retry_after_ms : -1);
	json_decref(answer);
	json_decref(c.body);
}

// Returns how many there were.
static inline unsigned fake_api_work(struct fake_api *f, unsigned most) {
	unsigned n;

	for (n = 0; n < most && f->n_calls > 0; n++)
		fake_serve(f);
	return n;
}

#endif
