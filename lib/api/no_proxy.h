// SPDX-License-Identifier: Apache-2.0
// The environment's list of hosts that no proxy leads to, for when curl can't judge: it matches the name that a server must prove, not the one it is at.
#ifndef SLUICE_API_NO_PROXY_H
#define SLUICE_API_NO_PROXY_H

#include <stdbool.h>

// list: names (with all below them), addresses, CIDR blocks or "*", between commas or blanks; NULL: empty. host: a name or an address, IPv6 without brackets.
bool no_proxy_covers(const char *list, const char *host);

#endif
