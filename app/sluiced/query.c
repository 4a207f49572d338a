// SPDX-License-Identifier: Apache-2.0
// Questions to workers: jobs given, waited for, answered.
#include <stdlib.h>

#include "sluiced.h"

void verbs_ask(struct sluiced *s, struct query *q) {
	LIST_INSERT_HEAD(&s->verbs.queries, q, link);
	verbs_poll(s);
}

static bool give(struct sluiced *s, struct query *q, uint16_t worker) {
	struct command c = {.type = COMMAND_JOB, .job = q->jobs[worker]};

	if (!q->given[worker])
		q->given[worker] = appliance_command(&s->appliance, worker, &c);
	return q->given[worker] && __atomic_load_n(&q->jobs[worker]->done, __ATOMIC_ACQUIRE);
}

static bool is_done(struct sluiced *s, struct query *q) {
	bool done = true;

	for (uint16_t i = 0; i < s->appliance.dp.n_workers; i++)
		if (q->jobs[i] != NULL && !give(s, q, i))
			done = false;
	return done;
}

bool verbs_poll(struct sluiced *s) {
	struct query *q = LIST_FIRST(&s->verbs.queries), *next;

	for (; q != NULL; q = next) {
		next = LIST_NEXT(q, link);
		if (!is_done(s, q))
			continue;
		LIST_REMOVE(q, link);
		q->finish(s, q);
		q->destroy(q);
	}
	return !LIST_EMPTY(&s->verbs.queries);
}

void verbs_fini(struct sluiced *s) {
	struct query *q;

	while ((q = LIST_FIRST(&s->verbs.queries)) != NULL) {
		LIST_REMOVE(q, link);
		q->destroy(q);
	}
}
