// SPDX-License-Identifier: Apache-2.0
// Documents: reading them in, walking them, and saying where a value stands.
#include "doc/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doc/tree.h"

// Make room for one more of size bytes each. Growth by half keeps the sum of copies linear.
static int grow(void *array, size_t n, size_t *cap, size_t size) {
	size_t want = *cap + *cap / 2 + 8;
	void *p;

	if (n < *cap)
		return 0;
	p = reallocarray(*(void **)array, want, size);
	if (p == NULL)
		return -ENOMEM;
	*(void **)array = p;
	*cap = want;
	return 0;
}

int line_list_add(struct line_list *l, unsigned line) {
	if (grow(&l->line, l->n, &l->cap, sizeof(*l->line)) < 0)
		return -ENOMEM;
	l->line[l->n++] = line;
	return 0;
}

int tree_add_root(struct doc *d, json_t *root, unsigned line) {
	size_t cap = d->cap_roots;

	if (grow(&d->root_lines, d->n_roots, &cap, sizeof(*d->root_lines)) < 0 ||
	    grow(&d->roots, d->n_roots, &d->cap_roots, sizeof(json_t *)) < 0)
		return -ENOMEM;
	d->root_lines[d->n_roots] = line;
	d->roots[d->n_roots++] = root;
	return 0;
}

int tree_add_lines(struct doc *d, const json_t *container, struct line_list *lines) {
	if (lines->n == 0)
		return 0;
	if (grow(&d->lines, d->n_lines, &d->cap_lines, sizeof(*d->lines)) < 0)
		return -ENOMEM;
	d->lines[d->n_lines++] = (struct doc_lines){.container = container,
						    .n = lines->n,
						    .line = lines->line};
	*lines = (struct line_list){0};
	return 0;
}

int tree_add_big(struct doc *d, const json_t *real, uint64_t value) {
	if (grow(&d->bigs, d->n_bigs, &d->cap_bigs, sizeof(*d->bigs)) < 0)
		return -ENOMEM;
	d->bigs[d->n_bigs++] = (struct doc_big){.real = real, .value = value};
	return 0;
}

// Both tables begin with the pointer that they are sorted by.
static int cmp_pointer(const void *a, const void *b) {
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

_Static_assert(offsetof(struct doc_lines, container) == 0, "cmp_pointer");
_Static_assert(offsetof(struct doc_big, real) == 0, "cmp_pointer");

static bool is_json(const char *text, size_t len) {
	size_t i = 0;

	while (i < len && memchr(" \t\r\n", text[i], 4) != NULL)
		i++;
	return i < len && (text[i] == '{' || text[i] == '[');
}

int doc_parse(struct doc **out, const char *name, const char *text, size_t len, struct error *err) {
	struct doc *d = calloc(1, sizeof(*d));
	int ret;

	if (d == NULL || (d->name = strdup(name)) == NULL) {
		doc_destroy(d);
		return error_set(err, -ENOMEM, "%s: out of memory", name);
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { // a byte order mark
		text += 3;
		len -= 3;
	}
	ret = is_json(text, len) ? tree_read_json(d, text, len, err)
				 : tree_read_yaml(d, text, len, err);
	if (ret < 0) {
		if (ret == -ENOMEM)
			error_set(err, ret, "%s: out of memory", name);
		doc_destroy(d);
		return ret;
	}
	if (d->n_lines > 0)
		qsort(d->lines, d->n_lines, sizeof(*d->lines), cmp_pointer);
	if (d->n_bigs > 0)
		qsort(d->bigs, d->n_bigs, sizeof(*d->bigs), cmp_pointer);
	*out = d;
	return 0;
}

// The whole file, one byte beyond max at most. Returns its length.
static ssize_t read_all(int fd, char **text, size_t max) {
	size_t n = 0, cap = 0;
	ssize_t got = 1;

	while (got > 0 && n <= max) {
		if (grow(text, n, &cap, 1) < 0)
			return -ENOMEM;
		got = read(fd, *text + n, cap - n);
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
		got = got < 0 ? 1 : got;
	}
	return n > max ? -EFBIG : (ssize_t)n;
}

int doc_load(struct doc **out, const char *path, size_t max, struct error *err) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	struct stat st;
	ssize_t n;
	int ret;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) { // nobody may write to it, ever
		close(fd);
		return error_set(err, -EINVAL, "%s: not a regular file", path);
	}
	n = read_all(fd, &text, max);
	close(fd);
	if (n < 0) {
		free(text);
		if (n == -EFBIG)
			return error_set(err, -EFBIG, "%s: larger than %zu bytes", path, max);
		return error_set(err, (int)n, "%s: %s", path, strerror((int)-n));
	}
	ret = doc_parse(out, path, text != NULL ? text : "", (size_t)n, err);
	free(text);
	return ret;
}

void doc_destroy(struct doc *d) {
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_roots; i++)
		json_decref(d->roots[i]);
	for (size_t i = 0; i < d->n_lines; i++)
		free(d->lines[i].line);
	free(d->roots);
	free(d->root_lines);
	free(d->lines);
	free(d->bigs);
	free(d->name);
	free(d);
}

size_t doc_count(const struct doc *d) {
	return d->n_roots;
}

struct doc_node doc_root(const struct doc *d, size_t i) {
	return (struct doc_node){.doc = d, .json = d->roots[i], .index = i};
}

struct doc_node doc_root_json(json_t *json) {
	return (struct doc_node){.json = json};
}

// The place of a child in its parent's order of iteration, or SIZE_MAX.
static size_t ordinal(const struct doc_node *n) {
	const char *key;
	json_t *value;
	size_t i = 0;

	if (n->key == NULL)
		return n->index;
	if (!json_is_object(n->parent->json) || json_object_get(n->parent->json, n->key) == NULL)
		return SIZE_MAX;
	json_object_foreach(n->parent->json, key, value) {
		if (strcmp(key, n->key) == 0)
			return i;
		i++;
	}
	return SIZE_MAX;
}

unsigned doc_line(const struct doc_node *n) {
	const struct doc_lines *l = NULL;
	size_t at;

	if (n->doc == NULL)
		return 0;
	if (n->parent == NULL)
		return n->index < n->doc->n_roots ? n->doc->root_lines[n->index] : 0;
	if (n->doc->n_lines > 0)
		l = bsearch(&n->parent->json, n->doc->lines, n->doc->n_lines, sizeof(*l),
			    cmp_pointer);
	at = l != NULL ? ordinal(n) : SIZE_MAX;
	return at != SIZE_MAX && at < l->n ? l->line[at] : doc_line(n->parent);
}

bool doc_big(const struct doc_node *n, uint64_t *out) {
	const struct doc_big *b = NULL;

	if (n->doc != NULL && n->doc->n_bigs > 0 && json_is_real(n->json))
		b = bsearch(&n->json, n->doc->bigs, n->doc->n_bigs, sizeof(*b), cmp_pointer);
	if (b != NULL)
		*out = b->value;
	return b != NULL;
}

static bool is_plain_key(const char *key) {
	for (const char *c = key; *c != 0; c++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
			   *c) == NULL)
			return false;
	return *key != 0;
}

static size_t append_path(const struct doc_node *n, char *buf, size_t size) {
	size_t at;
	int len;

	if (n->parent == NULL)
		return 0;
	at = append_path(n->parent, buf, size);
	if (n->key == NULL)
		len = snprintf(buf + at, size - at, "[%zu]", n->index);
	else if (is_plain_key(n->key))
		len = snprintf(buf + at, size - at, "%s%s", at > 0 ? "." : "", n->key);
	else
		len = snprintf(buf + at, size - at, "[\"%.80s\"]", n->key);
	return (size_t)len < size - at ? at + (size_t)len : size - 1;
}

const char *doc_path(const struct doc_node *n, char *buf, size_t size) {
	buf[0] = 0;
	append_path(n, buf, size);
	for (char *c = buf; *c != 0;
	     c++) // keys are the file's own: no control characters in a message
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return buf;
}

int tree_fault(const struct doc *d, unsigned line, struct error *err, int code, const char *format,
	       ...) {
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(err, code, "%s:%u: %s", d->name, line, text);
}

int doc_fault(const struct doc_node *n, struct error *err, int code, const char *format, ...) {
	size_t at = 0, size;
	char path[256];
	va_list args;

	if (err == NULL)
		return code;
	size = sizeof(err->text);
	if (n->doc != NULL)
		at = (size_t)snprintf(err->text, size, "%.300s:%u: ", n->doc->name, doc_line(n));
	doc_path(n, path, sizeof(path));
	if (path[0] != 0)
		at += (size_t)snprintf(err->text + at, size - at, "%s: ", path);
	va_start(args, format);
	vsnprintf(err->text + at, size - at, format, args);
	va_end(args);
	return code;
}
