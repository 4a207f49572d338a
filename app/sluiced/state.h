// SPDX-License-Identifier: Apache-2.0
// services.stateFile: the addresses that Services were given, over restarts. An empty path is off.
#ifndef SLUICED_STATE_H
#define SLUICED_STATE_H

#include "base/error.h"
#include "ipam/ipam.h"

// Makes the directory; a damaged file is set aside with a warning. Errors: -errno with text.
int state_load(struct ipam_memory *m, const char *path, struct error *err);
// Returns 1 when there was something to write (whether or not it could be: then a line is logged), 0 when not.
int state_save(struct ipam_memory *m, const char *path);

#endif
