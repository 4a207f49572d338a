// SPDX-License-Identifier: Apache-2.0
// Statuses, read leniently: a fault in a fault is no use to anybody.
#include "api/fault.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static bool has_cause(const json_t *details, const char *reason) {
	json_t *causes = json_object_get(details, "causes"), *cause;
	size_t i;

	json_array_foreach(causes, i, cause)
		if (strcmp(text_of(cause, "reason"), reason) == 0)
			return true;
	return false;
}

static void decode(struct api_fault *out, const json_t *status) {
	const json_t *details = json_object_get(status, "details");
	const json_t *after = json_object_get(details, "retryAfterSeconds");
	const char *reason = text_of(status, "reason"), *message = text_of(status, "message");

	if (json_integer_value(json_object_get(status, "code")) > 0)
		out->code = (int)(json_integer_value(json_object_get(status, "code")) % 1000);
	out->expired |= strcmp(reason, "Expired") == 0 || strcmp(reason, "Gone") == 0;
	// Servers before 1.17 have no such cause.
	out->too_large = has_cause(details, "ResourceVersionTooLarge") ||
			 strstr(message, "Too large resource version") != NULL;
	if (json_integer_value(after) > 0 && json_integer_value(after) < 1000000)
		out->retry_after_ms = json_integer_value(after) * 1000;
	if (reason[0] != '\0' || message[0] != '\0')
		snprintf(out->text, sizeof(out->text), "%.60s%s%.180s", reason,
			 reason[0] != '\0' && message[0] != '\0' ? ": " : "", message);
}

void api_fault_decode(struct api_fault *out, const struct doc_node *status) {
	*out = (struct api_fault){.retry_after_ms = -1};
	decode(out, status->json);
	out->expired |= out->code == 410;
	if (out->text[0] == '\0')
		snprintf(out->text, sizeof(out->text), "status %d", out->code);
}

void api_fault_parse(struct api_fault *out, int http_status, const char *body, size_t len) {
	json_t *status = json_loadb(body != NULL ? body : "", len, JSON_ALLOW_NUL, NULL);

	*out = (struct api_fault){.code = http_status, .retry_after_ms = -1};
	snprintf(out->text, sizeof(out->text), "status %d", http_status);
	if (json_is_object(status))
		decode(out, status);
	out->code = http_status; // a proxy between us and the server may have the last word
	out->expired |= http_status == 410;
	json_decref(status);
}
