// SPDX-License-Identifier: Apache-2.0
// The listening UNIX socket: made with its directory, in the place of a dead process's, never of a
// live one's.
#ifndef SLUICE_MGMT_SOCKET_H
#define SLUICE_MGMT_SOCKET_H

#include "base/error.h"

// A non-blocking listening descriptor. Errors: as mgmt_create().
int socket_listen(const char *path, struct error *err);

#endif
