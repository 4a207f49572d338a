// SPDX-License-Identifier: Apache-2.0
// Ids by two linked lists over one array.
#include "compile/ids.h"

#include <errno.h>
#include <stdlib.h>

int ids_init(struct ids *p, uint32_t max) {
	*p = (struct ids){.max = max, .head = IDS_NONE, .tail = IDS_NONE, .left = IDS_NONE};
	p->next = calloc(max, sizeof(*p->next));
	p->until = calloc(max, sizeof(*p->until));
	return p->next == NULL || p->until == NULL ? -ENOMEM : 0;
}

void ids_fini(struct ids *p) {
	free(p->next);
	free(p->until);
}

uint32_t ids_take(struct ids *p, uint64_t now) {
	uint32_t id = p->head;

	if (id == IDS_NONE || p->until[id] > now)
		return p->high < p->max ? p->high++ : IDS_NONE;
	p->head = p->next[id];
	if (p->head == IDS_NONE)
		p->tail = IDS_NONE;
	return id;
}

void ids_leave(struct ids *p, uint32_t id) {
	p->next[id] = p->left;
	p->left = id;
}

void ids_rest(struct ids *p, uint64_t until) {
	while (p->left != IDS_NONE) {
		uint32_t id = p->left;

		p->left = p->next[id];
		p->until[id] = until;
		p->next[id] = IDS_NONE;
		if (p->tail == IDS_NONE)
			p->head = id;
		else
			p->next[p->tail] = id;
		p->tail = id;
	}
}
