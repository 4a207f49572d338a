// SPDX-License-Identifier: Apache-2.0
// Inside of a reflector: what its two halves share. reflector.c decides what to ask next; reflector_read.c understands answers.
#ifndef SLUICE_API_REFLECTOR_PRIVATE_H
#define SLUICE_API_REFLECTOR_PRIVATE_H

#include "api/fault.h"
#include "api/reflector.h"
#include "api/retry.h"
#include "api/splitter.h"

#define VERSION_SIZE 128 // of a resourceVersion: opaque, in practice a decimal number

enum ask { ASK_LIST, ASK_STREAM, ASK_WATCH };

// Of the exchange under way, or the last one.
struct exchange {
	struct api_call *call;
	struct splitter *splitter;
	char *body; // of a refusal
	size_t body_len;
	int64_t began_ms;
	bool progress;              // something new came
	enum reflector_cause cause; // REFLECTOR_CAUSES: not known from within
	struct api_fault fault;
	struct error err;
	char version[VERSION_SIZE]; // of the list
	char *next_page;            // of the list; NULL: none
};

struct reflector {
	struct reflector_settings settings;
	struct retry retry;
	struct exchange now;
	enum ask ask; // under way, or next
	int64_t due_ms;
	char version[VERSION_SIZE]; // "": none
	char *page;                 // continue token of the list under way; NULL: its beginning
	bool consistent;            // list from the quorum, not from a cache
	bool unpaged;               // ... and in one piece, since its pages expire under our hands
	unsigned failed_watches;    // in a row, without an event
	int64_t expired_ms;         // when a resourceVersion last was too old
	struct reflector_stats stats;
	char last_error[320];
};

// Bytes of a good answer to what r asks; fills r->now. Errors: those of the splitter, -ECANCELED (r->now.cause says why), what the sink returned.
extern const struct splitter_handlers reflector_list_handlers, reflector_watch_handlers;
// The path of the next question, the caller's to free; NULL: out of memory.
char *reflector_path(struct reflector *r);
// The set is whole.
int reflector_finish(struct reflector *r, const char *version);

#endif
