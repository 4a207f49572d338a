// SPDX-License-Identifier: Apache-2.0
// One published pointer and its grace periods (rte_rcu_qsbr).
//
//     control:  publish_swap(p, next)            readers see `next` from their next loop on
//               publish_retire(p, free, arg)     arg is freed once every reader has passed a quiescent state
//               publish_poll(p)                  frees what is due; never blocks; call it from the control loop
//     worker:   t = publish_read(p)              at the top of a loop
//               publish_quiescent(p, worker)     at its end: no pointer into t is kept
//
// Retired things wait in a queue with the token of their grace period and are freed in batches. A worker that sleeps goes offline around the sleep, so
// a sleeping worker never delays a grace period. Without workers (a replay, tests) grace periods end at once.
#ifndef SLUICE_PUBLISH_PUBLISH_H
#define SLUICE_PUBLISH_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

struct tables;
struct publish;

// workers: readers 0..workers-1. NULL: out of memory.
struct publish *publish_create(uint32_t workers, const struct tables *first);
void publish_destroy(struct publish *p); // frees everything retired: no reader may be left

// --- control thread ---
void publish_swap(struct publish *p, const struct tables *next);
// Queue fn(arg) for after the grace period that starts now. Errors: -ENOMEM; arg is then leaked to stay safe.
int publish_retire(struct publish *p, void (*fn)(void *arg), void *arg);
// Run what is due. Returns the number of things still waiting.
uint32_t publish_poll(struct publish *p);

// --- worker ---
const struct tables *publish_read(const struct publish *p);
void publish_online(struct publish *p, uint32_t worker);
void publish_offline(struct publish *p, uint32_t worker);
void publish_quiescent(struct publish *p, uint32_t worker);

#endif
