// SPDX-License-Identifier: Apache-2.0
// A small text file that somebody replaces now and then: a token, a certificate. The last good content stands while a new one can't be had.
// Time is passed in: monotonic milliseconds.
#ifndef SLUICE_API_WATCHED_FILE_H
#define SLUICE_API_WATCHED_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

struct watched_file {
	const char *path; // borrowed
	// Whether a content will do; it may be changed in place (trimmed). NULL reason: yes.
	const char *(*reason)(char *text);
	char *text;      // the last good content; NULL: none yet
	int64_t read_ms; // of the last attempt
	bool tried;
	struct stat seen;     // of the last attempt
	struct error trouble; // of the last attempt; "": none
};

void watched_file_init(struct watched_file *f, const char *path, const char *(*reason)(char *text));
void watched_file_fini(struct watched_file *f);

// Read when the file looks changed, when the last look is a minute old, or by force. True: the content is another one.
bool watched_file_refresh(struct watched_file *f, int64_t now_ms, bool force);

#endif
