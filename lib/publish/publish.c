// SPDX-License-Identifier: Apache-2.0
// The published pointer over rte_rcu_qsbr, with a short queue of retired things.
#include "publish/publish.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>

struct retired {
	uint64_t token;
	void (*fn)(void *arg);
	void *arg;
};

struct publish {
	_Alignas(64) const struct tables *current; // control: rw, workers: ro
	_Alignas(64) struct rte_rcu_qsbr *readers; // NULL without workers
	struct retired *queue;
	uint32_t n, capacity;
};

struct publish *publish_create(uint32_t workers, const struct tables *first) {
	struct publish *p = aligned_alloc(64, (sizeof(*p) + 63) & ~(size_t)63);
	size_t size;

	if (p == NULL)
		return NULL;
	*p = (struct publish){.current = first};
	if (workers == 0)
		return p;
	size = (rte_rcu_qsbr_get_memsize(workers) + 63) & ~(size_t)63;
	p->readers = aligned_alloc(64, size);
	if (p->readers == NULL || rte_rcu_qsbr_init(p->readers, workers) != 0) {
		publish_destroy(p);
		return NULL;
	}
	for (uint32_t i = 0; i < workers; i++)
		rte_rcu_qsbr_thread_register(p->readers, i);
	return p;
}

static void run(struct publish *p, uint32_t n) {
	for (uint32_t i = 0; i < n; i++)
		p->queue[i].fn(p->queue[i].arg);
	p->n -= n;
	for (uint32_t i = 0; i < p->n; i++)
		p->queue[i] = p->queue[i + n];
}

void publish_destroy(struct publish *p) {
	if (p == NULL)
		return;
	run(p, p->n);
	free(p->queue);
	free(p->readers);
	free(p);
}

void publish_swap(struct publish *p, const struct tables *next) {
	__atomic_store_n(&p->current, next, __ATOMIC_RELEASE);
}

int publish_retire(struct publish *p, void (*fn)(void *arg), void *arg) {
	if (p->n == p->capacity) {
		uint32_t capacity = p->capacity == 0 ? 16 : 2 * p->capacity;
		struct retired *queue = realloc(p->queue, capacity * sizeof(*queue));

		if (queue == NULL)
			return -ENOMEM;
		p->queue = queue;
		p->capacity = capacity;
	}
	p->queue[p->n++] = (struct retired){.token = p->readers == NULL
							     ? 0
							     : rte_rcu_qsbr_start(p->readers),
					    .fn = fn,
					    .arg = arg};
	return 0;
}

uint32_t publish_poll(struct publish *p) {
	uint32_t due = 0;

	while (due < p->n && (p->readers == NULL ||
			      rte_rcu_qsbr_check(p->readers, p->queue[due].token, false) == 1))
		due++;
	if (due > 0)
		run(p, due);
	return p->n;
}

const struct tables *publish_read(const struct publish *p) {
	return __atomic_load_n(&p->current, __ATOMIC_ACQUIRE);
}

void publish_online(struct publish *p, uint32_t worker) {
	rte_rcu_qsbr_thread_online(p->readers, worker);
}

void publish_offline(struct publish *p, uint32_t worker) {
	rte_rcu_qsbr_thread_offline(p->readers, worker);
}

void publish_quiescent(struct publish *p, uint32_t worker) {
	rte_rcu_qsbr_quiescent(p->readers, worker);
}
