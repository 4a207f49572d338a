// SPDX-License-Identifier: Apache-2.0
// Ids that rest after use: workers may hold one in flow entries, so it comes back only when the longest timeout has passed.
//
//     ids_take() -> in use -> ids_leave() -> left -> ids_rest(until) -> resting, oldest first -> ids_take()
//
// Between leave and rest lies the making of the snapshot that no longer names the id. Only ids_init() allocates.
#ifndef SLUICE_COMPILE_IDS_H
#define SLUICE_COMPILE_IDS_H

#include <stdint.h>

#define IDS_NONE UINT32_MAX

struct ids {
	uint32_t max, high;  // ids 0 .. high - 1 were in use at least once
	uint32_t head, tail; // resting
	uint32_t left;       // those that left since the last ids_rest()
	uint32_t *next;      // by id: links of both lists
	uint64_t *until;     // by id, seconds
};

int ids_init(struct ids *p, uint32_t max); // -ENOMEM
void ids_fini(struct ids *p);
// The id that has rested longest, else one never used; IDS_NONE when there is none.
uint32_t ids_take(struct ids *p, uint64_t now);
void ids_leave(struct ids *p, uint32_t id);
void ids_rest(struct ids *p, uint64_t until);

#endif
