// SPDX-License-Identifier: Apache-2.0
// The heap: up when an entry got earlier, down when it got later.
#include "probe/queue.h"

#include <errno.h>
#include <stdlib.h>

int queue_reserve(struct queue *q, uint32_t n) {
	uint32_t room = 2 * q->room > n ? 2 * q->room : n;
	struct queue_entry **grown;

	if (n <= q->room)
		return 0;
	grown = realloc(q->heap, room * sizeof(struct queue_entry *));
	if (grown == NULL)
		return -ENOMEM;
	q->heap = grown;
	q->room = room;
	return 0;
}

void queue_fini(struct queue *q) {
	free(q->heap);
	*q = (struct queue){0};
}

static void place(struct queue *q, uint32_t at, struct queue_entry *e) {
	q->heap[at] = e;
	e->at = at;
}

static void up(struct queue *q, struct queue_entry *e) {
	uint32_t at = e->at;

	while (at > 0 && q->heap[(at - 1) / 2]->due > e->due) {
		place(q, at, q->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(q, at, e);
}

static void down(struct queue *q, struct queue_entry *e) {
	uint32_t at = e->at, child;

	for (child = 2 * at + 1; child < q->n; child = 2 * at + 1) {
		if (child + 1 < q->n && q->heap[child + 1]->due < q->heap[child]->due)
			child++;
		if (q->heap[child]->due >= e->due)
			break;
		place(q, at, q->heap[child]);
		at = child;
	}
	place(q, at, e);
}

void queue_put(struct queue *q, struct queue_entry *e, int64_t due) {
	if (e->at == QUEUE_OUT)
		place(q, q->n++, e);
	e->due = due;
	up(q, e);
	down(q, e);
}

void queue_remove(struct queue *q, struct queue_entry *e) {
	struct queue_entry *last;

	if (e->at == QUEUE_OUT)
		return;
	last = q->heap[--q->n];
	if (last != e) {
		place(q, e->at, last);
		up(q, last);
		down(q, last);
	}
	e->at = QUEUE_OUT;
}
