// SPDX-License-Identifier: Apache-2.0
// Inside of a document: the trees and what is known about places. Shared by the two readers and by doc.c.
#ifndef SLUICE_DOC_TREE_H
#define SLUICE_DOC_TREE_H

#include "doc/doc.h"

#define DOC_MAX_DEPTH 64
#define DOC_MAX_EXPANDED 200000 // values that the aliases of one file may stand for, all together

// Lines of one container's children, in its order of iteration. jansson's true, false and null are singletons, so a line
// belongs to a place in a container, not to a value. A member's line is its key's.
struct doc_lines {
	const json_t *container;
	size_t n;
	unsigned *line;
};

// An integer above INT64_MAX: the tree holds a real (its own allocation, so the pointer names it), this the exact value.
struct doc_big {
	const json_t *real;
	uint64_t value;
};

struct doc {
	char *name;
	size_t n_roots, n_lines, n_bigs;
	size_t cap_roots, cap_lines, cap_bigs;
	json_t **roots;
	unsigned *root_lines;
	struct doc_lines *lines; // sorted by container once reading is done
	struct doc_big *bigs;    // sorted by real once reading is done
};

struct line_list {
	unsigned *line;
	size_t n, cap;
};

// All return 0 or -ENOMEM.
int line_list_add(struct line_list *l, unsigned line);
int tree_add_root(struct doc *d, json_t *root, unsigned line); // takes root over on success
int tree_add_lines(struct doc *d, const json_t *container,
		   struct line_list *lines); // takes *lines over on success
int tree_add_big(struct doc *d, const json_t *real, uint64_t value);

// The exact value of an integer above INT64_MAX; false when n is none.
bool doc_big(const struct doc_node *n, uint64_t *out);

// Fill err with "name:line: message", return code.
__attribute__((format(printf, 5, 6))) int tree_fault(const struct doc *d, unsigned line,
						     struct error *err, int code,
						     const char *format, ...);

// The two readers: text -> roots, lines and bigs of d. Errors: -EINVAL, -ENOMEM.
int tree_read_yaml(struct doc *d, const char *text, size_t len, struct error *err);
int tree_read_json(struct doc *d, const char *text, size_t len, struct error *err);

enum scalar_kind {
	SCALAR_NULL,
	SCALAR_BOOL,
	SCALAR_INT,
	SCALAR_UINT,
	SCALAR_REAL,
	SCALAR_STRING,
	SCALAR_ERROR
};

struct scalar {
	enum scalar_kind kind;
	bool b;
	int64_t i;
	uint64_t u; // SCALAR_UINT: above INT64_MAX
	double r;
	const char *problem; // SCALAR_ERROR
};

// What a plain scalar means in the core schema of YAML 1.2.
struct scalar scalar_resolve(const char *text);

#endif
