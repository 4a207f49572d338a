// SPDX-License-Identifier: Apache-2.0
// Files of manifests: the last good content of each, and all of them together as one set of objects.
#include "kube/manifests.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "kube/watch.h"

#define FILE_MAX (64u << 20)
#define COALESCE_MS 20
#define RESCAN_MS 5000
#define RETRY_MS 1000

struct objects {
	struct kube_object **list;
	size_t n, room;
};

struct file {
	char *path;
	char *text; // as last read; NULL: never, or it could not be read
	size_t len;
	struct objects objects; // of the last good content
	bool ever_good, unreadable;
};

struct files {
	struct file *list; // sorted by path
	size_t n;
};

struct manifests {
	char *path;
	manifests_report_fn report;
	void *arg;
	struct files files;
	struct watch watch;
	int64_t due_ms;
	int path_error; // of the last load, so that it is reported once
	bool loaded, changed;
};

struct manifests *manifests_create(const char *path, manifests_report_fn report, void *arg) {
	struct manifests *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->path = strdup(path);
	if (m->path == NULL) {
		free(m);
		return NULL;
	}
	m->report = report;
	m->arg = arg;
	watch_init(&m->watch);
	return m;
}

static void objects_fini(struct objects *o) {
	for (size_t i = 0; i < o->n; i++)
		kube_object_put(o->list[i]);
	free(o->list);
	*o = (struct objects){0};
}

static void file_fini(struct file *f) {
	objects_fini(&f->objects);
	free(f->path);
	free(f->text);
}

void manifests_destroy(struct manifests *m) {
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->files.n; i++)
		file_fini(&m->files.list[i]);
	free(m->files.list);
	watch_fini(&m->watch);
	free(m->path);
	free(m);
}

static void report(struct manifests *m, enum manifests_severity severity,
		   const struct error *what) {
	if (m->report != NULL)
		m->report(m->arg, severity, what);
}

// Takes over the reference.
static int collect(struct objects *o, struct kube_object *one) {
	if (o->n == o->room) {
		size_t room = o->room > 0 ? 2 * o->room : 16;
		struct kube_object **grown = realloc(o->list, room * sizeof(*grown));

		if (grown == NULL) {
			kube_object_put(one);
			return -ENOMEM;
		}
		o->list = grown;
		o->room = room;
	}
	o->list[o->n++] = one;
	return 0;
}

struct decoding {
	struct manifests *m;
	struct objects objects;
};

static int on_object(void *arg, struct kube_object *o) {
	struct decoding *d = arg;

	return collect(&d->objects, o);
}

static void on_skip(void *arg, const struct error *what) {
	struct decoding *d = arg;

	report(d->m, MANIFESTS_NOTE, what);
}

static int decode_text(struct decoding *d, const struct file *f, struct error *err) {
	struct doc *doc = NULL;
	int ret = doc_parse(&doc, f->path, f->text, f->len, err);

	for (size_t i = 0; ret == 0 && i < doc_count(doc); i++) {
		struct doc_node root = doc_root(doc, i);

		ret = kube_decode(&root, on_object, on_skip, d, err);
	}
	doc_destroy(doc);
	return ret;
}

// The text is new: its objects replace the old ones, or a report says why they don't.
static int decode_file(struct manifests *m, struct file *f) {
	struct decoding d = {.m = m};
	struct error err;
	int ret = decode_text(&d, f, &err);

	if (ret < 0) {
		objects_fini(&d.objects);
		if (ret != -ENOMEM)
			report(m, MANIFESTS_BROKEN, &err);
		return ret == -ENOMEM ? ret : 0;
	}
	objects_fini(&f->objects);
	f->objects = d.objects;
	f->ever_good = true;
	return 0;
}

static void report_unreadable(struct manifests *m, struct file *f, int code) {
	struct error err;

	if (f->unreadable)
		return;
	f->unreadable = true;
	error_set(&err, code, "%s: can't be read: %s", f->path, strerror(-code));
	report(m, MANIFESTS_BROKEN, &err);
}

// Bring one file up to date. A text that is the same byte for byte is not decoded again.
static int refresh_file(struct manifests *m, struct file *f) {
	char *text = NULL;
	size_t len = 0;
	int ret = file_read(f->path, FILE_MAX, &text, &len);

	if (ret == -ENOMEM)
		return ret;
	if (ret < 0) {
		report_unreadable(m, f, ret);
		return 0;
	}
	f->unreadable = false;
	if (f->text != NULL && f->len == len && memcmp(f->text, text, len) == 0) {
		free(text);
		return 0;
	}
	free(f->text);
	f->text = text;
	f->len = len;
	m->changed = true;
	return decode_file(m, f);
}

static bool has_suffix(const char *name, const char *suffix) {
	size_t n = strlen(name), k = strlen(suffix);

	return n > k && strcmp(name + n - k, suffix) == 0;
}

static bool is_manifest(const char *name) {
	return name[0] != '.' &&
	       (has_suffix(name, ".yaml") || has_suffix(name, ".yml") || has_suffix(name, ".json"));
}

static int add_path(struct files *f, char *path) {
	struct file *grown = path != NULL ? realloc(f->list, (f->n + 1) * sizeof(*grown)) : NULL;

	if (grown == NULL) {
		free(path);
		return -ENOMEM;
	}
	f->list = grown;
	f->list[f->n++] = (struct file){.path = path};
	return 0;
}

static int add_entry(struct files *f, const char *dir, const struct dirent *e) {
	char *path;
	struct stat st;

	if (!is_manifest(e->d_name))
		return 0;
	if (asprintf(&path, "%s/%s", dir, e->d_name) < 0)
		return -ENOMEM;
	if (lstat(path, &st) < 0 || S_ISDIR(st.st_mode)) { // gone meanwhile, or no file
		free(path);
		return 0;
	}
	return add_path(f, path);
}

static int path_cmp(const void *x, const void *y) {
	const struct file *a = x, *b = y;

	return strcmp(a->path, b->path);
}

static void files_fini(struct files *f) {
	for (size_t i = 0; i < f->n; i++)
		file_fini(&f->list[i]);
	free(f->list);
}

// The paths that count now, sorted.
static int list_files(struct files *f, const char *path) {
	struct dirent *e;
	struct stat st;
	DIR *dir;
	int ret = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return add_path(f, strdup(path));
	dir = opendir(path);
	if (dir == NULL)
		return -errno;
	errno = 0;
	while (ret == 0 && (e = readdir(dir)) != NULL)
		ret = add_entry(f, path, e);
	if (ret == 0 && errno != 0 && errno != ENOENT)
		ret = -errno;
	closedir(dir);
	if (f->n > 0)
		qsort(f->list, f->n, sizeof(*f->list), path_cmp);
	return ret;
}

// What was known of the files that are still there moves over; the others' knowledge stays behind.
static void carry_over(struct files *now, struct files *before) {
	size_t j = 0;

	for (size_t i = 0; i < now->n; i++) {
		while (j < before->n && strcmp(before->list[j].path, now->list[i].path) < 0)
			j++;
		if (j < before->n && strcmp(before->list[j].path, now->list[i].path) == 0) {
			struct file keep = now->list[i];

			now->list[i] = before->list[j];
			before->list[j] = keep;
		}
	}
}

static int refresh_files(struct manifests *m) {
	struct files now = {0};
	int ret = list_files(&now, m->path);

	if (ret < 0) {
		files_fini(&now);
		return ret;
	}
	m->changed |= now.n != m->files.n;
	carry_over(&now, &m->files);
	files_fini(&m->files);
	m->files = now;
	for (size_t i = 0; i < m->files.n; i++) {
		ret = refresh_file(m, &m->files.list[i]);
		if (ret < 0)
			return ret;
	}
	return 0;
}

struct definition {
	const struct kube_object *o;
	const char *path;
	size_t order;
};

static int definition_cmp(const void *x, const void *y) {
	const struct definition *a = x, *b = y;
	int c = (int)a->o->meta.kind - (int)b->o->meta.kind;

	if (c == 0)
		c = strcmp(a->o->meta.ns, b->o->meta.ns);
	if (c == 0)
		c = strcmp(a->o->meta.name, b->o->meta.name);
	return c != 0 ? c : (a->order > b->order) - (a->order < b->order);
}

static bool same_name(const struct kube_object *a, const struct kube_object *b) {
	return a->meta.kind == b->meta.kind && strcmp(a->meta.ns, b->meta.ns) == 0 &&
	       strcmp(a->meta.name, b->meta.name) == 0;
}

static void report_twice(struct manifests *m, const struct definition *first,
			 const struct definition *other) {
	const struct kube_meta *meta = &other->o->meta;
	struct error what;

	error_set(&what, 0, "%.400s: %s %s/%s is already defined in %.400s, this one is left out",
		  other->path, kube_kind_name(meta->kind), meta->ns, meta->name, first->path);
	report(m, MANIFESTS_NOTE, &what);
}

static int report_duplicates(struct manifests *m, size_t n) {
	struct definition *d = malloc((n + 1) * sizeof(*d));
	size_t k = 0, first = 0;

	if (d == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->files.n; i++)
		for (size_t j = 0; j < m->files.list[i].objects.n; j++, k++)
			d[k] = (struct definition){m->files.list[i].objects.list[j],
						   m->files.list[i].path, k};
	qsort(d, n, sizeof(*d), definition_cmp);
	for (size_t i = 1; i < n; i++) {
		if (same_name(d[first].o, d[i].o))
			report_twice(m, &d[first], &d[i]);
		else
			first = i;
	}
	free(d);
	return 0;
}

static int put_all(struct manifests *m, struct kube *k) {
	struct kube_object **all;
	size_t n = 0, at = 0;
	int ret;

	for (size_t i = 0; i < m->files.n; i++)
		n += m->files.list[i].objects.n;
	ret = m->changed ? report_duplicates(m, n) : 0;
	all = malloc((n + 1) * sizeof(struct kube_object *));
	if (ret < 0 || all == NULL) {
		free(all);
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->files.n; i++)
		for (size_t j = 0; j < m->files.list[i].objects.n; j++)
			all[at++] = m->files.list[i].objects.list[j];
	ret = kube_replace(k, KUBE_ALL_KINDS, all, n);
	free(all);
	if (ret >= 0)
		m->changed = false;
	return ret;
}

static int path_failed(struct manifests *m, int code) {
	struct error err;

	if (m->path_error != code) {
		error_set(&err, code, "%s: can't be read: %s; the Services stay as they are",
			  m->path, strerror(-code));
		report(m, MANIFESTS_BROKEN, &err);
	}
	m->path_error = code;
	return code;
}

int manifests_load(struct manifests *m, struct kube *k, int64_t now_ms) {
	int ret;

	watch_refresh(&m->watch, m->path);
	ret = refresh_files(m);
	m->due_ms = now_ms + (ret < 0 ? RETRY_MS : RESCAN_MS);
	if (ret == -ENOMEM)
		return ret;
	if (ret < 0)
		return path_failed(m, ret);
	m->path_error = 0;
	m->loaded = true;
	return put_all(m, k);
}

bool manifests_is_complete(const struct manifests *m) {
	for (size_t i = 0; i < m->files.n; i++)
		if (!m->files.list[i].ever_good)
			return false;
	return m->loaded;
}

int manifests_watch(struct manifests *m, struct error *err) {
	int ret = watch_start(&m->watch);

	if (ret < 0)
		return error_set(err, ret, "%s: can't be watched: %s", m->path, strerror(-ret));
	watch_refresh(&m->watch, m->path);
	return 0;
}

int manifests_fd(const struct manifests *m) {
	return m->watch.fd;
}

void manifests_handle(struct manifests *m, int64_t now_ms) {
	if (m->watch.fd >= 0 && watch_take(&m->watch) && m->due_ms > now_ms + COALESCE_MS)
		m->due_ms = now_ms + COALESCE_MS;
}

int manifests_due(const struct manifests *m, int64_t now_ms) {
	if (m->due_ms <= now_ms)
		return 0;
	return (int)(m->due_ms - now_ms < RESCAN_MS ? m->due_ms - now_ms : RESCAN_MS);
}
