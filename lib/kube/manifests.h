// SPDX-License-Identifier: Apache-2.0
// A directory (or one file) of manifests as the source of Kubernetes objects, watched for change.
//
// Files that count: *.yaml, *.yml, *.json directly in the directory, in order of name; names that begin with a dot and subdirectories do not
// count. Links are followed, so a mounted ConfigMap (web.yaml -> ..data/web.yaml, ..data swapped by rename) works.
//
// A load is all or nothing for each file: one that can't be read, does not parse or holds a faulty object keeps its last good content and is
// reported with line and path. A file that is gone takes its objects with it. While the directory itself can't be read, everything stays as it was. An
// object that is defined twice counts once: the first definition in order of file name and position; the other one is reported.
//
// No event loop inside. The caller polls manifests_fd(), calls manifests_handle() when it is readable, and manifests_load() when
// manifests_due() has come down to 0: about 20 ms after the first of a burst of changes, and every few seconds a look whether the path still
// leads to the watched directory. A file should be replaced by rename: one that is written in place is read when its writer closes it, but an event for
// another file may come in between.
// Control thread only.
#ifndef SLUICE_KUBE_MANIFESTS_H
#define SLUICE_KUBE_MANIFESTS_H

#include <stdint.h>

#include "kube/kube.h"

enum manifests_severity {
	MANIFESTS_BROKEN,
	MANIFESTS_NOTE
}; // a file keeps its last content; something was left out

typedef void (*manifests_report_fn)(void *arg, enum manifests_severity severity,
				    const struct error *what);

struct manifests;

// Nothing is read yet. NULL: out of memory.
struct manifests *manifests_create(const char *path, manifests_report_fn report, void *arg);
void manifests_destroy(struct manifests *m);

// Read what changed and make the store of k hold exactly the files' objects. Reports go out once for each content of a file.
// Returns the number of changed objects, or -errno: the directory can't be read (reported, nothing changed), -ENOMEM.
int manifests_load(struct manifests *m, struct kube *k, int64_t now_ms);
// Every file has at least once been read whole: what kube_apply() calls complete.
bool manifests_is_complete(const struct manifests *m);

// Begin to watch; manifests_load() calls afterwards keep the watch on the right directory. Errors: -errno of inotify.
int manifests_watch(struct manifests *m, struct error *err);
int manifests_fd(const struct manifests *m); // -1 before manifests_watch()
// The descriptor is readable: take the events, note when a load is due.
void manifests_handle(struct manifests *m, int64_t now_ms);
// Milliseconds until the caller should call manifests_load(); 0: now.
int manifests_due(const struct manifests *m, int64_t now_ms);

#endif
