// SPDX-License-Identifier: Apache-2.0
// Objects of the API server to views; comparison of marks.
#include "status/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/ingress.h"

const char *view_condition_name(enum view_condition_type t) {
	static const char *const names[VIEW_CONDITIONS] = {"sluice.dev/Allocated",
							   "sluice.dev/Programmed",
							   "LoadBalancerPortsError"};

	return names[t];
}

const char *view_status_name(char status) {
	return status == 'T' ? "True" : status == 'F' ? "False" : "Unknown";
}

static const char *text_of(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static void copy_text(char *to, size_t size, const char *from) {
	snprintf(to, size, "%s", from);
}

static bool has_finalizer(const json_t *metadata) {
	const json_t *list = json_object_get(metadata, "finalizers"), *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), VIEW_FINALIZER) == 0)
			return true;
	return false;
}

static void decode_condition(struct view_condition *all, const json_t *item) {
	for (int t = 0; t < VIEW_CONDITIONS; t++) {
		struct view_condition *c = &all[t];

		if (strcmp(text_of(item, "type"), view_condition_name(t)) != 0)
			continue;
		c->status = text_of(item, "status")[0];
		if (c->status == '\0')
			c->status = 'U';
		copy_text(c->reason, sizeof(c->reason), text_of(item, "reason"));
		copy_text(c->message, sizeof(c->message), text_of(item, "message"));
		c->generation = json_integer_value(json_object_get(item, "observedGeneration"));
	}
}

static int decode_marks(struct view_marks *m, const json_t *root) {
	const json_t *status = json_object_get(root, "status"), *item;
	const json_t *balancer = json_object_get(status, "loadBalancer");
	size_t i;

	m->finalizer = has_finalizer(json_object_get(root, "metadata"));
	json_array_foreach(json_object_get(status, "conditions"), i, item)
		decode_condition(m->conditions, item);
	m->ingress = ingress_text_of(json_object_get(balancer, "ingress"));
	return m->ingress == NULL ? -ENOMEM : 0;
}

int view_decode(struct view *v, const json_t *root) {
	const json_t *metadata = json_object_get(root, "metadata");
	const char *uid = text_of(metadata, "uid"), *version = text_of(metadata, "resourceVersion");
	const json_t *deleted = json_object_get(metadata, "deletionTimestamp");
	struct view next = {.generation = json_integer_value(
				    json_object_get(metadata, "generation")),
			    .deleting = json_is_string(deleted)};
	int ret;

	if (uid[0] == '\0' || version[0] == '\0' || strlen(uid) >= sizeof(next.uid) ||
	    strlen(version) >= sizeof(next.version))
		return -EINVAL;
	copy_text(next.uid, sizeof(next.uid), uid);
	copy_text(next.version, sizeof(next.version), version);
	next.load_balancer = strcmp(text_of(json_object_get(root, "spec"), "type"),
				    "LoadBalancer") == 0;
	ret = decode_marks(&next.marks, root);
	if (ret == 0)
		*v = next;
	return ret;
}

void view_fini(struct view *v) {
	view_marks_fini(&v->marks);
}

int view_marks_copy(struct view_marks *to, const struct view_marks *from) {
	char *ingress = strdup(from->ingress);

	if (ingress == NULL)
		return -ENOMEM;
	*to = *from;
	to->ingress = ingress;
	return 0;
}

void view_marks_fini(struct view_marks *m) {
	free(m->ingress);
	m->ingress = NULL;
}

static bool conditions_equal(const struct view_condition *a, const struct view_condition *b) {
	return a->status == b->status && a->generation == b->generation &&
	       strcmp(a->reason, b->reason) == 0 && strcmp(a->message, b->message) == 0;
}

bool view_marks_equal(const struct view_marks *a, const struct view_marks *b) {
	for (int t = 0; t < VIEW_CONDITIONS; t++)
		if (!conditions_equal(&a->conditions[t], &b->conditions[t]))
			return false;
	return a->finalizer == b->finalizer && strcmp(a->ingress, b->ingress) == 0;
}

bool view_marks_are_ours(const struct view_marks *m) {
	return m->conditions[VIEW_ALLOCATED].status != 0 ||
	       m->conditions[VIEW_PROGRAMMED].status != 0;
}

bool view_marks_show_ours(const struct view_marks *m) {
	const struct view_condition *c = &m->conditions[VIEW_PROGRAMMED];

	return c->status != 0 && strcmp(c->reason, VIEW_PENDING) != 0 &&
	       strcmp(c->reason, VIEW_NO_ADDRESS) != 0;
}

static bool is_number(const char *text) {
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

bool view_version_older(const char *a, const char *b) {
	size_t n = strlen(a), m = strlen(b);

	if (!is_number(a) || !is_number(b))
		return false;
	return n != m ? n < m : strcmp(a, b) < 0;
}
