// SPDX-License-Identifier: Apache-2.0
// inotify on a directory that may be replaced, removed and made again.
#include "kube/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS                                                                                     \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_ATTRIB)

void watch_init(struct watch *w) {
	*w = (struct watch){.fd = -1, .place = -1, .parent = -1};
}

int watch_start(struct watch *w) {
	if (w->fd >= 0)
		return 0;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return w->fd < 0 ? -errno : 0;
}

void watch_fini(struct watch *w) {
	if (w->fd >= 0)
		close(w->fd);
	watch_init(w);
}

// The same directory gives the same number again, another one a new number.
static void move_watch(struct watch *w, int *wd, const char *path) {
	int now = path != NULL ? inotify_add_watch(w->fd, path, EVENTS | IN_ONLYDIR) : -1;

	if (*wd >= 0 && *wd != now)
		inotify_rm_watch(w->fd, *wd);
	*wd = now;
}

// Split into parent and last part; slashes at the end don't count.
static void split(const char *path, char parent[PATH_MAX], char base[256]) {
	size_t len = strlen(path), start;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (start = len; start > 0 && path[start - 1] != '/'; start--)
		;
	snprintf(base, 256, "%.*s", (int)(len - start), path + start);
	if (start == 0)
		strcpy(parent, ".");
	else
		snprintf(parent, PATH_MAX, "%.*s", (int)start, path);
}

void watch_refresh(struct watch *w, const char *path) {
	char parent[PATH_MAX];
	struct stat st;

	if (w->fd < 0)
		return;
	split(path, parent, w->base);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		move_watch(w, &w->place, path);
		move_watch(w, &w->parent, parent);
	} else { // a file, or nothing yet: all that happens beside it may matter
		move_watch(w, &w->parent, NULL);
		move_watch(w, &w->place, parent);
	}
}

static bool concerns(const struct watch *w, const struct inotify_event *e) {
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->mask & IN_IGNORED)
		return false;
	if (e->wd == w->place)
		return true;
	return e->wd == w->parent && e->len > 0 && strcmp(e->name, w->base) == 0;
}

bool watch_take(struct watch *w) {
	_Alignas(struct inotify_event) char buffer[8192];
	bool found = false;
	ssize_t n;

	while ((n = read(w->fd, buffer, sizeof(buffer))) > 0) {
		const char *p = buffer;

		while (p < buffer + n) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			found |= concerns(w, e);
			p += sizeof(*e) + e->len;
		}
	}
	return found;
}
