// SPDX-License-Identifier: Apache-2.0
// Inside of ipam: addresses that came back, each with its last Service, in order of time.
#ifndef SLUICE_IPAM_RELEASED_H
#define SLUICE_IPAM_RELEASED_H

#include "ipam/ipam.h"

struct released;

struct released *released_create(void); // NULL: out of memory
void released_destroy(struct released *r);
// at: not before any other's. Errors: -ENOMEM.
int released_put(struct released *r, const struct ipam_entry *e, int64_t at);
bool released_remove(struct released *r, const struct ip_addr *a); // true: it was there
bool released_has(const struct released *r, const struct ip_addr *a);
// NULL: none, or released before `since`.
const struct ipam_entry *released_find(const struct released *r, const char *ns, const char *name,
				       uint8_t family, int64_t since);
const struct ipam_entry *released_longest(const struct released *r,
					  bool (*fits)(void *arg, const struct ip_addr *a),
					  void *arg);
// The clock begins elsewhere.
void released_shift(struct released *r, int64_t by);
// Those released at `since` or later, in order of time, until fn says other than 0.
int released_each(const struct released *r, int64_t since,
		  int (*fn)(void *arg, const struct ipam_entry *e, int64_t at), void *arg);

#endif
