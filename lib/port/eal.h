// SPDX-License-Identifier: Apache-2.0
// Bring DPDK's environment up from plain settings, so that nobody else writes EAL arguments.
//
//     lcore 0      the main lcore: the control thread, on the control CPUs
//     lcore i + 1  worker i, on worker_cpus[i]; workers may share a CPU (not with idle: busy)
//
// Nothing is shared with other processes and nothing is left behind: with hugepages EAL runs
// --in-memory (anonymous mappings, no files), without them --no-huge --no-shconf. So several
// daemons run side by side, and after SIGKILL the kernel has taken everything back. One call in a
// process's life. Thread: the caller becomes the main lcore and is bound to the control CPUs.
#ifndef SLUICE_PORT_EAL_H
#define SLUICE_PORT_EAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "port/memory.h"

struct eal_settings {
	const unsigned *worker_cpus;
	const unsigned *control_cpus; // at least one
	unsigned n_workers, n_control_cpus;
	enum hugepages hugepages;
	uint32_t memory_mib; // packet buffers and rings; tables have blocks of their own (memory.h)
	bool needs_pci;      // a port's device is a PCI address
};

// Errors: -EINVAL (no or too many workers, no control CPU), -ENOMEM (hugepages required and too few
// are free), else EAL's, with its words on stderr. *uses_hugepages (may be NULL) says what auto
// came to.
int eal_init(const struct eal_settings *s, bool *uses_hugepages, struct error *err);

// For sluice-replay: one lcore, on whichever CPU the thread runs (it keeps its affinity), no
// hugepages, no devices, nothing on stderr. Needs no right and no writable directory; any number of
// processes at once. memory_mib is address space: pages count when touched.
int eal_init_replay(uint32_t memory_mib, struct error *err);

// Undo either; frees what EAL holds.
void eal_fini(void);

// "0000:3b:00.0" or "3b:00.0", with or without devargs after a comma.
bool eal_is_pci_device(const char *device);

#endif
