// SPDX-License-Identifier: Apache-2.0
// A driver's error code in words. Many drivers return a bare -1, which would read "Operation not
// permitted".
#ifndef SLUICE_PORT_WHY_H
#define SLUICE_PORT_WHY_H

#include <rte_errno.h>

static inline const char *why(int ret) {
	return ret == -1 ? "the driver gives no reason" : rte_strerror(-ret);
}

#endif
