// SPDX-License-Identifier: Apache-2.0
// Files of our own state: read whole, written so that a crash leaves the old one or the new one.
// Any thread; each call is one step.
#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H

#include <limits.h>
#include <stddef.h>

// The content of a regular file of at most max bytes; *text is the caller's to free, with a NUL behind it. Errors: -errno, -EFBIG, -EINVAL (not a
// regular file), -ENOMEM.
int file_read(const char *path, size_t max, char **text, size_t *len);
// Write to PATH.new, fsync, rename, fsync the directory. Errors: -errno of the step that failed; the old file is then whole.
int file_replace(const char *path, const char *text, size_t len);
// Give a file the name PATH.damaged, or PATH.damaged.1 and so on, whichever nothing else has; aside gets it. Errors: -errno; the file stays.
int file_set_aside(const char *path, char aside[PATH_MAX]);
// The directories that lead to the file. Errors: -errno.
int file_make_directories(const char *path);

#endif
