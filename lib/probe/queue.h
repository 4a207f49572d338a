// SPDX-License-Identifier: Apache-2.0
// A queue by time: a binary heap of entries that live in what they belong to, so that any of them can leave or move.
#ifndef SLUICE_PROBE_QUEUE_H
#define SLUICE_PROBE_QUEUE_H

#include <stdint.h>

#define QUEUE_OUT UINT32_MAX // at: not in the queue

struct queue_entry {
	int64_t due;
	uint32_t at;
};

struct queue {
	struct queue_entry **heap; // heap[i].due <= heap[2 i + 1].due, heap[2 i + 2].due
	uint32_t n, room;
};

// Room for as many entries. Errors: -ENOMEM.
int queue_reserve(struct queue *q, uint32_t n);
void queue_fini(struct queue *q);
// Put in, or move, to this time. There must be room.
void queue_put(struct queue *q, struct queue_entry *e, int64_t due);
// It may be out already.
void queue_remove(struct queue *q, struct queue_entry *e);

static inline struct queue_entry *queue_first(const struct queue *q) {
	return q->n > 0 ? q->heap[0] : (struct queue_entry *)0;
}

#endif
