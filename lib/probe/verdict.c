// SPDX-License-Identifier: Apache-2.0
// From answers to a verdict.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe/private.h"

enum kind {
	GOOD,  // it serves
	ODD,   // it answers, but not as a health check
	CLEAR, // it says that it does not serve, or nobody is there
	SLOW,  // silence: it or the way to it is broken
};

static enum kind kind_of(const struct probe_answer *a) {
	if (a->status == 200)
		return GOOD;
	if (a->status == 503)
		return CLEAR;
	if (a->status != 0 || a->error == -EPROTO)
		return ODD;
	return a->error == -ECONNREFUSED || a->error == -ECONNRESET ? CLEAR : SLOW;
}

static void fail(struct probe *p, enum kind kind) {
	const struct probe_settings *s = &p->table->settings;

	p->good = 0;
	p->failures++;
	p->clear += kind == CLEAR;
	if (p->clear >= s->fall || p->failures > s->fall)
		p->state.verdict = PROBE_DOWN;
}

static void pass(struct probe *p, enum kind kind) {
	p->failures = p->clear = 0;
	p->good++;
	if (p->state.verdict != PROBE_DOWN || p->good >= p->table->settings.rise)
		p->state.verdict = kind == GOOD ? PROBE_UP : PROBE_UNKNOWN;
}

bool verdict_take(struct probe *p, const struct probe_answer *a, bool *doubt) {
	enum probe_verdict before = p->state.verdict;
	enum kind kind = kind_of(a);
	uint32_t weight = p->state.weight;

	if (kind == GOOD || kind == ODD)
		pass(p, kind);
	else
		fail(p, kind);
	if (kind == GOOD)
		p->state.weight = a->weight;
	else if (p->state.verdict != PROBE_UP)
		p->state.weight = 0;
	p->state.last = *a;
	*doubt = p->failures > 0 && p->state.verdict != PROBE_DOWN;
	return p->state.verdict != before || p->state.weight != weight;
}

uint32_t probe_read_weight(const char *text) {
	uint32_t n = 0;

	for (; text != NULL && *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		n = n * 10 + (uint32_t)(*text - '0');
		if (n > UINT16_MAX)
			return 0;
	}
	return n;
}

const char *probe_verdict_name(enum probe_verdict v) {
	static const char *const names[] = {"unasked", "unknown", "up", "down"};

	return names[v];
}

const char *probe_answer_text(const struct probe_answer *a, char buf[64]) {
	if (a->status != 0)
		snprintf(buf, 64, "HTTP status %d", a->status);
	else if (a->error == -ETIMEDOUT)
		snprintf(buf, 64, "no answer in time");
	else if (a->error == -EPROTO)
		snprintf(buf, 64, "what answers is not HTTP");
	else
		snprintf(buf, 64, "%s", strerror(-a->error));
	return buf;
}
