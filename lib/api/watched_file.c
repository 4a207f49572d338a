// SPDX-License-Identifier: Apache-2.0
// Files that are replaced now and then.
#include "api/watched_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define EVERY_MS 60000
#define TEXT_MAX (1u << 20)

void watched_file_init(struct watched_file *f, const char *path,
		       const char *(*reason)(char *text)) {
	*f = (struct watched_file){.path = path, .reason = reason};
}

void watched_file_fini(struct watched_file *f) {
	free(f->text);
	*f = (struct watched_file){0};
}

static bool looks_the_same(const struct stat *a, const struct stat *b) {
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// stat() on every use is cheap and follows the links that a mounted Secret is swapped by; the minute is for file systems that tell lies.
static bool is_due(struct watched_file *f, int64_t now_ms) {
	struct stat now = {0};
	bool same;

	if (stat(f->path, &now) < 0)
		memset(&now, 0, sizeof(now));
	same = f->tried && looks_the_same(&now, &f->seen);
	f->seen = now;
	return !same || now_ms - f->read_ms >= EVERY_MS;
}

static bool take(struct watched_file *f, char *text) {
	const char *reason = f->reason(text);

	if (reason != NULL)
		error_set(&f->trouble, -EINVAL, "%.400s: %s", f->path, reason);
	if (reason != NULL || (f->text != NULL && strcmp(f->text, text) == 0)) {
		free(text);
		return false;
	}
	free(f->text);
	f->text = text;
	return true;
}

bool watched_file_refresh(struct watched_file *f, int64_t now_ms, bool force) {
	char *text = NULL;
	size_t n;
	int ret;

	if (!is_due(f, now_ms) && !force)
		return false;
	f->tried = true;
	f->read_ms = now_ms;
	f->trouble.text[0] = '\0';
	ret = file_read(f->path, TEXT_MAX, &text, &n);
	if (ret < 0) {
		error_set(&f->trouble, ret, "%.400s: %s", f->path, strerror(-ret));
		return false;
	}
	if (strlen(text) != n) {
		error_set(&f->trouble, -EINVAL, "%.400s: holds a NUL", f->path);
		free(text);
		return false;
	}
	return take(f, text);
}
