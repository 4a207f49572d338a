// SPDX-License-Identifier: Apache-2.0
// inotify on the place where manifests lie: the directory itself, and its parent for the day when it is replaced.
#ifndef SLUICE_KUBE_WATCH_H
#define SLUICE_KUBE_WATCH_H

#include <stdbool.h>

struct watch {
	int fd;         // -1: not watching
	int place;      // watch of the directory that holds the files; -1: none
	int parent;     // watch of the path's parent; -1: none
	char base[256]; // the path's last part
};

void watch_init(struct watch *w);
int watch_start(struct watch *w); // 0 or -errno
void watch_fini(struct watch *w);
// Point the watches at what the path leads to now. Call it before reading: then nothing that comes later is missed.
void watch_refresh(struct watch *w, const char *path);
// Take all events. True when one of them concerns the manifests.
bool watch_take(struct watch *w);

#endif
