// SPDX-License-Identifier: Apache-2.0
// Desired state on disk: what an appliance that starts while the API server is away serves.
//
//     {"snapshot": 1, "savedAt": 1767323045, "objects": 2, "source": "https://10.0.0.1:6443"}
//     {"kind": "Service", "bytes": 812}
//     {"metadata": ...}                          the text as the API server gave it, less what nobody reads
//     {"kind": "EndpointSlice", "bytes": 655}
//     {"metadata": ...}
//     {"checksum": "0123456789abcdef"}           FNV-1a of every byte before this line
//
// The texts are read back by the decoder that read them first. A file that is torn or damaged is set aside and named, never believed in part.
//
// Writing costs the caller at most about a millisecond at a time: objects are copied into one buffer a slice at each step, and a thread of its own writes,
// syncs and renames (base/file.h). A fork would be simpler still, and would make every page of the workers' memory copy-on-write.
// Control thread only.
#ifndef SLUICE_KUBE_SNAPSHOT_H
#define SLUICE_KUBE_SNAPSHOT_H

#include "kube/feed.h"

struct snapshot_info {
	int64_t saved_at; // seconds since 1970
	size_t objects;   // given to fn
	size_t skipped;   // that this version can't decode
};

// Takes no reference over.
typedef int (*snapshot_fn)(void *arg, struct kube_record *r);

// Read a text. Errors: -EINVAL (err says what is wrong; fn has not been called), -ESTALE: of another source, -ENOMEM, what fn returned.
int snapshot_parse(struct snapshot_info *out, const char *text, size_t len, const char *source,
		   snapshot_fn fn, void *arg, struct error *err);
// Read a file. Returns 0; 1 when it was damaged and set aside (err names the new file). Errors: -ENOENT, -ESTALE, -errno with text.
int snapshot_load(struct snapshot_info *out, const char *path, const char *source, snapshot_fn fn,
		  void *arg, struct error *err);

struct snapshot; // who writes

// path and source are copied. NULL: out of memory.
struct snapshot *snapshot_create(const char *path, const char *source);
// Waits for a write under way.
void snapshot_destroy(struct snapshot *s);
// Something changed that is worth a write: some seconds after the last one.
void snapshot_mark(struct snapshot *s, int64_t now_ms);
// Something marked is not in the file yet.
bool snapshot_is_dirty(const struct snapshot *s);
// Milliseconds until snapshot_step(); 0: now; -1: not before snapshot_mark().
int64_t snapshot_due(const struct snapshot *s, int64_t now_ms);
// Go on with it; wall_s is the time of day. Returns 1 when a write was finished, 0; errors of it with text: it is tried again.
int snapshot_step(struct snapshot *s, const struct feed *f, int64_t now_ms, int64_t wall_s,
		  struct error *err);
// Write what is marked before returning: at the end of the process.
int snapshot_finish(struct snapshot *s, const struct feed *f, int64_t wall_s, struct error *err);

#endif
