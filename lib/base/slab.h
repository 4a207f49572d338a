// SPDX-License-Identifier: Apache-2.0
// Memory for many tables of a few sizes, each of which is read at random: packed into regions of 2 MiB that the kernel may back with one huge
// page each (transparent huge pages, by madvise). On 4 KiB pages of their own nearly every read of one of them misses the TLB as well as the cache.
//
//     region of one size, 2 MiB, aligned to it:   [header, one page][block][block]...
//
// Sizes are rounded up to 4 KiB. Blocks larger than SLAB_LARGEST come from malloc(): there is nothing to pack. A region goes back to the kernel
// with its last block, unless it is the only one of its size that has room.
// Threads: one at a time. Any thread may read and write the blocks.
#ifndef SLUICE_BASE_SLAB_H
#define SLUICE_BASE_SLAB_H

#include <stddef.h>

#define SLAB_LARGEST (256u << 10)

struct slab;

struct slab *slab_create(void);    // NULL: out of memory
void slab_destroy(struct slab *s); // NULL is fine; all blocks must be free
// Not cleared. NULL: out of memory. Without a slab (NULL) it is malloc().
void *slab_alloc(struct slab *s, size_t size);
// size: as it was asked for. NULL is fine.
void slab_free(struct slab *s, void *block, size_t size);

#endif
