// SPDX-License-Identifier: Apache-2.0
// Structured text with places: YAML or JSON, read into one tree, decoded in strict types, every fault named by file, line and path.
//
// YAML (libyaml) and JSON (jansson) both become jansson values; beside them the document remembers the line of each value. A decoder walks
// with struct doc_node, which lives on the caller's stack and knows its parent, so that a fault can say
//
//     web.yaml:14: spec.ports[2].port: not an integer
//
// Plain YAML scalars follow the core schema of YAML 1.2 (null ~, true false, integers, floats; everything else is a string); quoted ones are
// strings. Merge keys (<<) are applied. Duplicate keys, unknown tags, alias bombs, NUL in strings, depth beyond 64 and integers beyond 64 bits are
// faults, in JSON as well. Aliases share the value they stand for: nobody writes to a document's tree. Values from elsewhere (an API server's
// JSON) are decoded by the same functions, without lines.
//
// A member's line is that of its key, an absent member's that of the object it is missing in.
// Not thread-safe; one document belongs to one thread.
#ifndef SLUICE_DOC_DOC_H
#define SLUICE_DOC_DOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct doc; // one file's documents

// Parse text: JSON when its first non-blank byte is '{' or '[', else a stream of YAML documents (empty ones are left out).
// name is used in messages only. Errors: -EINVAL (err says "name:line: ..."), -ENOMEM.
int doc_parse(struct doc **out, const char *name, const char *text, size_t len, struct error *err);
// The same from a file of at most max bytes. Errors: also -errno of open and read, -EFBIG.
int doc_load(struct doc **out, const char *path, size_t max, struct error *err);
void doc_destroy(struct doc *d);
size_t doc_count(const struct doc *d);

struct doc_node {
	const struct doc *doc;         // NULL: values without lines
	json_t *json;                  // borrowed; NULL: absent
	const struct doc_node *parent; // NULL: a root
	const char *key;               // name in the parent object, or NULL in an array
	size_t index;                  // in the parent array
};

struct doc_node doc_root(const struct doc *d, size_t i);
struct doc_node doc_root_json(json_t *json); // a value from elsewhere

// Children. A member that is absent or null gives a node with json == NULL. Errors: -EINVAL when n is no object (array).
int doc_member(struct doc_node *out, const struct doc_node *n, const char *key, struct error *err);
int doc_array_size(const struct doc_node *n, size_t *size,
		   struct error *err);                           // 0 for an absent one
struct doc_node doc_element(const struct doc_node *n, size_t i); // i < size
// Step through the members of an object: *member begins as {0}. Null members are visited too. False after the last one, or when n is no object.
bool doc_next(struct doc_node *member, const struct doc_node *n);

static inline bool doc_present(const struct doc_node *n) {
	return n->json != NULL && !json_is_null(n->json);
}

// Strict values. An absent node leaves *out as it was (so that the caller's default stands) and returns 0. Errors: -EINVAL with place and
// expectation: "not a string", "not an integer", "not a boolean", "not within 1..65535".
// A string stays the document's; it holds no NUL.
int doc_string(const struct doc_node *n, const char **out, struct error *err);
int doc_int(const struct doc_node *n, int64_t *out, int64_t min, int64_t max, struct error *err);
int doc_uint64(const struct doc_node *n, uint64_t *out, struct error *err); // all 64 bits
int doc_bool(const struct doc_node *n, bool *out, struct error *err);
// One of the names; *out is its index.
int doc_enum(const struct doc_node *n, int *out, const char *const *names, size_t n_names,
	     struct error *err);
// A fault when n has members beside those named ("unknown key; known here: a, b, c"). For our own files; Kubernetes objects may hold more.
int doc_only(const struct doc_node *n, const char *const *keys, size_t n_keys, struct error *err);
// The same judgement of one member from doc_next(), for those who want every fault.
int doc_known(const struct doc_node *member, const char *const *keys, size_t n_keys,
	      struct error *err);

// member + value in one step, the form that decoders use most.
int doc_get_string(const struct doc_node *n, const char *key, const char **out, struct error *err);
int doc_get_int(const struct doc_node *n, const char *key, int64_t *out, int64_t min, int64_t max,
		struct error *err);
int doc_get_bool(const struct doc_node *n, const char *key, bool *out, struct error *err);

// Fill err with "file:line: path: " and the message; returns code. line 0 and no file where they are not known.
__attribute__((format(printf, 4, 5))) int doc_fault(const struct doc_node *n, struct error *err,
						    int code, const char *format, ...);
// The path alone, "spec.ports[2].port", for other messages; returns buf.
const char *doc_path(const struct doc_node *n, char *buf, size_t size);
unsigned doc_line(const struct doc_node *n); // 0: not known

#endif
