// SPDX-License-Identifier: Apache-2.0
// Inside of ipam: what the file needs of the memory's released addresses.
#ifndef SLUICE_IPAM_MEMORY_H
#define SLUICE_IPAM_MEMORY_H

#include "ipam/ipam.h"

typedef int (*ipam_released_fn)(void *arg, const struct ipam_entry *e, int64_t at);

// One that was released age_ms ago. Errors: -ENOMEM.
int ipam_memory_load_released(struct ipam_memory *m, const struct ipam_entry *e, int64_t age_ms);
// Those that their Services may still claim, the longest released first, until fn says other than 0.
int ipam_memory_each_released(const struct ipam_memory *m, ipam_released_fn fn, void *arg);
int64_t ipam_memory_time(const struct ipam_memory *m); // ms, as set last

#endif
