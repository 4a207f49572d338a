// SPDX-License-Identifier: Apache-2.0
// What an API server means by a Status: the body of a refused request, or the object of a watch's ERROR event.
// Pure.
#ifndef SLUICE_API_FAULT_H
#define SLUICE_API_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doc/doc.h"

struct api_fault {
	int code;       // as HTTP numbers them
	bool expired;   // the resourceVersion, or the page of a list, is too old: 410
	bool too_large; // the resourceVersion is newer than anything that the server has seen
	int64_t retry_after_ms; // -1: it doesn't say
	char text[256];         // for people: "Expired: too old resource version: 1 (9)"
};

// From a decoded Status.
void api_fault_decode(struct api_fault *out, const struct doc_node *status);
// From a response's body, which may be anything; http_status is the code where the body names none.
void api_fault_parse(struct api_fault *out, int http_status, const char *body, size_t len);

#endif
