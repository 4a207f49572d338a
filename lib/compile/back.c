// SPDX-License-Identifier: Apache-2.0
// The entries of the endpoint map, kept from one snapshot to the next: walking 100,000 endpoints for each change of one costs milliseconds of cache misses.
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"

int back_reserve(struct back *b, uint32_t n) {
	uint32_t room = n > 2 * b->room ? n : 2 * b->room;
	struct tuple_entry *entries;
	struct point **of;

	if (n <= b->room)
		return 0;
	entries = realloc(b->entries, room * sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	b->entries = entries;
	of = realloc(b->of, room * sizeof(*of));
	if (of == NULL)
		return -ENOMEM;
	b->of = of;
	b->room = room;
	return 0;
}

void back_fini(struct back *b) {
	free(b->entries);
	free(b->of);
}

// The last one takes its place.
static void take_out(struct back *b, struct point *p) {
	uint32_t last = --b->n;

	b->entries[p->back] = b->entries[last];
	b->of[p->back] = b->of[last];
	b->of[p->back]->back = p->back;
	p->back = BACK_NONE;
}

void back_set(struct back *b, struct point *p) {
	struct tuple_entry e = {.addr = p->place.addr,
				.port = p->place.port,
				.protocol = p->place.protocol};

	if (!p->ref.dnat && !p->ref.fullnat) { // dsr's have no way back through us
		if (p->back != BACK_NONE)
			take_out(b, p);
		return;
	}
	if (p->back == BACK_NONE) {
		p->back = b->n++;
		b->of[p->back] = p;
	}
	memcpy(&e.value, &p->ref, sizeof(p->ref));
	b->entries[p->back] = e;
}
