// SPDX-License-Identifier: Apache-2.0
// A bounded queue from one thread to one other: fixed-size slots, copied in and out, no locks, no system calls.
//
// Producer and consumer indexes stand on lines of their own and only grow; a slot is written before the producer's index is released and read before the
// consumer's. When full, push fails and the caller counts it. Memory: spsc_size() bytes, zeroed, aligned to 64.
#ifndef SLUICE_BASE_SPSC_H
#define SLUICE_BASE_SPSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct spsc {
	uint32_t mask, slot;        // number of slots - 1, bytes a slot
	_Alignas(64) uint32_t head; // written by the producer
	_Alignas(64) uint32_t tail; // written by the consumer
	_Alignas(64) uint8_t slots[];
};

// slots: a power of two. NULL: out of memory. free() it.
static inline struct spsc *spsc_create(uint32_t slots, uint32_t slot) {
	size_t size = (sizeof(struct spsc) + (size_t)slots * slot + 63) & ~(size_t)63;
	struct spsc *q = aligned_alloc(64, size);

	if (q == NULL)
		return NULL;
	memset(q, 0, size);
	q->mask = slots - 1;
	q->slot = slot;
	return q;
}

static inline bool spsc_push(struct spsc *q, const void *value) {
	uint32_t head = __atomic_load_n(&q->head, __ATOMIC_RELAXED);

	if (head - __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) > q->mask)
		return false;
	memcpy(q->slots + (size_t)(head & q->mask) * q->slot, value, q->slot);
	__atomic_store_n(&q->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

static inline bool spsc_pop(struct spsc *q, void *value) {
	uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_RELAXED);

	if (tail == __atomic_load_n(&q->head, __ATOMIC_ACQUIRE))
		return false;
	memcpy(value, q->slots + (size_t)(tail & q->mask) * q->slot, q->slot);
	__atomic_store_n(&q->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

// By either side; true may be out of date at once.
static inline bool spsc_is_empty(const struct spsc *q) {
	return __atomic_load_n(&q->tail, __ATOMIC_RELAXED) ==
	       __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
}

// By the producer: slots that are free at least.
static inline uint32_t spsc_room(const struct spsc *q) {
	return q->mask + 1 -
	       (__atomic_load_n(&q->head, __ATOMIC_RELAXED) -
		__atomic_load_n(&q->tail, __ATOMIC_ACQUIRE));
}

#endif
