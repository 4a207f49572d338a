// SPDX-License-Identifier: Apache-2.0
// Blocks of memory for tables: on one NUMA node, zeroed, in 2 MiB pages where they are to be had.
//
// A flow table of a million flows spans 64 MiB: in 4 KiB pages nearly each look-up misses the TLB
// as well as the cache. A block is a mapping of its own, so it needs no EAL (unit tests, replay),
// is returned whole, and a private hugetlb mapping is reserved when it is made: no SIGBUS later.
// Where no hugepages are free, it is aligned to 2 MiB and offered to transparent hugepages, and one
// log line a process says what that costs.
//
// Units:  sizes in bytes, rounded up to the page; base is aligned to 64 at least (in fact to a
// page)
// Thread: control thread; the block may be used by any
#ifndef SLUICE_PORT_MEMORY_H
#define SLUICE_PORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum hugepages {
	HUGEPAGES_AUTO,
	HUGEPAGES_REQUIRED,
	HUGEPAGES_OFF
}; // as in the configuration file

#define MEMORY_ANY_SOCKET (-1)

struct memory {
	void *base;  // NULL: none
	size_t size; // as mapped
	size_t page; // bytes of a page that it was asked in: 2 MiB or 4 KiB
	int socket;  // NUMA node asked for, or MEMORY_ANY_SOCKET
};

// Map size zeroed bytes on a NUMA node. touch: fault all of it in now, as a daemon wants; replay
// leaves it to first use.
// Errors: -EINVAL size 0; -ENOMEM, also when hugepages are required and not there (err says how to
// get them).
int memory_alloc(struct memory *out, size_t size, int socket, enum hugepages pages, bool touch,
		 struct error *err);
void memory_free(struct memory *m); // then base is NULL; free twice is fine

// NUMA node on which the block's first page lies, -1 when not known (one node, or not touched yet).
// For placement checks.
int memory_node(const struct memory *m);
// NUMA node of a CPU; 0 on a machine without NUMA.
int memory_cpu_node(unsigned cpu);
// Bytes in free 2 MiB pages of all nodes.
uint64_t memory_free_hugepages(void);

#endif
