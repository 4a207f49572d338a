// SPDX-License-Identifier: Apache-2.0
// Follow one resource of an API server: list it, watch it, and never lose the thread.
//
//     WAITING --+--> STREAMING (watch with initial events) --end bookmark--> WATCHING --ends--> WAITING --> WATCHING ...
//               +--> LISTING (where the server has no such watch) ---------> WATCHING
//
// What client-go's reflector does, as a state machine without threads: rules and sources are in the comments of reflector.c. The sink hears
//
//     begin  object ...  remove ...  end      a set from scratch: it replaces what was, at end and at once. Another begin forgets what came since the last one
//     object, remove                          outside of these: a change
//     broken                                  a text that is no JSON stood where an object should: between begin and end, absence then proves nothing
//
// and decodes objects itself; they live until the call returns. A value below 0 (no memory) ends the exchange, and the resource is listed again after a while.
//
// The transport and the clock are arguments; randomness comes from a seed. The caller runs reflector_step() when reflector_due() is 0; everything
// else happens in the transport's callbacks. A sink must not destroy the reflector that calls it. Control thread only.
#ifndef SLUICE_API_REFLECTOR_H
#define SLUICE_API_REFLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "api/transport.h"
#include "doc/doc.h"

struct reflector_object {
	struct doc_node node;
	const char *text; // the JSON of node, less what was dropped
	size_t len;
};

struct reflector_sink {
	int (*begin)(void *arg);
	int (*object)(void *arg, const struct reflector_object *o); // added or changed
	int (*remove)(void *arg, const struct reflector_object *o); // as it was last
	int (*end)(void *arg);
	void (*broken)(void *arg, const struct error *what);
};

// What reflectors of one server find out about it; begins as {0}, shared by them.
struct reflector_server {
	bool no_watch_list; // it refuses sendInitialEvents
};

struct reflector_settings {
	const char *path;        // "/api/v1/services"
	const char *selector;    // "labelSelector=%21example.com%2Fx", escaped; "" for all
	const char *kind;        // "Service"; the list's is "ServiceList"
	const char *const *drop; // what nobody reads, as api/splitter.h has it
	const struct api_transport *transport;
	struct reflector_server *server;
	const struct reflector_sink *sink;
	void *sink_arg;
	int64_t (*clock)(void *arg); // ms, monotonic
	void *clock_arg;
	uint64_t seed;
};

enum reflector_state {
	REFLECTOR_WAITING,
	REFLECTOR_LISTING,
	REFLECTOR_STREAMING,
	REFLECTOR_WATCHING
};

enum reflector_cause {
	REFLECTOR_REFUSED, // nobody listens there
	REFLECTOR_LINK,    // the connection broke, TLS failed
	REFLECTOR_TIMEOUT, // no answer
	REFLECTOR_SILENT, // a watch without a byte for too long: a half-open connection, or a quiet server
	REFLECTOR_EXPIRED,   // 410
	REFLECTOR_TOO_NEW,   // the resourceVersion is from a future that the server has not seen
	REFLECTOR_THROTTLED, // 429
	REFLECTOR_DENIED,    // 401, 403
	REFLECTOR_MISSING,   // 404
	REFLECTOR_SERVER,    // 5xx
	REFLECTOR_REJECTED,  // any other status
	REFLECTOR_MALFORMED, // not what a list or a watch looks like
	REFLECTOR_SHORT,     // a watch that ended at once, without a word
	REFLECTOR_MEMORY,
	REFLECTOR_CAUSES
};

struct reflector_stats {
	enum reflector_state state;
	bool synced;              // the sink had its first end
	bool missing;             // the server's last word is that there is no such resource
	int64_t last_byte_ms;     // INT64_MIN: none yet
	int64_t failing_since_ms; // since when nothing has worked; INT64_MIN: it works
	const char *resource_version;
	uint64_t lists, streams, watches; // begun
	uint64_t relists;                 // sets from scratch after the first one
	uint64_t events, bookmarks;
	uint64_t skipped; // events of unknown type or kind
	uint64_t broken;  // texts that are no JSON
	uint64_t errors[REFLECTOR_CAUSES];
	const char *last_error; // "" none yet
};

struct reflector;

struct reflector *reflector_create(const struct reflector_settings *s); // NULL: out of memory
void reflector_destroy(struct reflector *r); // cancels what is under way; NULL is fine
// Milliseconds until reflector_step() should run; 0: now; -1: not before a callback.
int64_t reflector_due(const struct reflector *r, int64_t now_ms);
void reflector_step(struct reflector *r, int64_t now_ms);
// Valid until the next call of any function of r, or callback.
void reflector_stats(const struct reflector *r, struct reflector_stats *out);

const char *reflector_state_name(enum reflector_state s);
const char *reflector_cause_name(enum reflector_cause c);

#endif
