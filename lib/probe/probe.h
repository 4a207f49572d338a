// SPDX-License-Identifier: Apache-2.0
// Health probes of nodes: many targets, each asked again and again, and what their answers amount to.
//
//     probe_sync(targets) -> queue by due time -> transport: GET http://ADDR:PORT/healthz -> answer -> verdict -> probe_report_fn
//
//     200                                      up at once; when it was down, after `rise` in a row
//     503, connection refused, cut off         down after `fall` in a row, asked again after 200 ms while in doubt
//     no answer in time, unreachable           down after one more than `fall` in a row: a lost packet looks the same
//     any other status, not HTTP at all        unknown: somebody else listens there; else as 200
//     never asked, gone                        unasked
//
// Targets are spread over the interval, by chance and with some jitter, so that neither they nor two appliances fall in step. At most max_running are
// asked at a time and about max_per_second in a second: many targets make the interval longer, never the control thread busy. With the defaults 2,000
// targets are asked every 2 s, 5,000 every 5 s.
//
// Pure: time (ms, monotonic) and the transport are arguments. When probe_due() has come down to 0, or an answer came, the caller calls
// probe_step(). Control thread only.
#ifndef SLUICE_PROBE_PROBE_H
#define SLUICE_PROBE_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define PROBE_RECHECK_MS 200
#define PROBE_URL 80

enum probe_verdict { PROBE_UNASKED, PROBE_UNKNOWN, PROBE_UP, PROBE_DOWN };

struct probe_settings {
	uint32_t interval_ms, timeout_ms; // at least 1
	uint32_t rise, fall;              // at least 1
	uint32_t max_running, max_per_second;
};

struct probe_target {
	const char *node;
	const char *ns, *name; // the Service that is asked about; NULL: the node as such
	struct ip_addr addr;
	uint16_t port;
};

struct probe_answer {
	int status; // of HTTP; 0: no response
	int error; // of no response: -ECONNREFUSED, -ECONNRESET (cut off), -EPROTO (not HTTP), -EAGAIN (says nothing: asked again), others: silence
	uint32_t weight; // that the response names; 0: none
};

struct probe; // one target's

// Who carries bytes. One answer for each start, by probe_answered(), unless it is cancelled; never before start has returned.
struct probe_transport {
	// NULL: it can't now (no memory).
	void *(*start)(void *ctx, const char *url, uint32_t timeout_ms, struct probe *for_whom);
	void (*cancel)(void *ctx, void *call);
	void *ctx;
};

struct probe_state { // of one target
	struct probe_target target;
	enum probe_verdict verdict;
	uint32_t weight;
	int64_t asked_at;         // when the last answer came, ms; -1: none yet
	struct probe_answer last; // valid with it
};

// A verdict or a weight changed. Targets that are gone are reported as unasked if they ever had a verdict. No call of this library inside.
typedef void (*probe_report_fn)(void *arg, const struct probe_state *now,
				enum probe_verdict before);

struct probe_table;

// NULL: out of memory. seed: of the jitter.
struct probe_table *probe_create(const struct probe_settings *s, const struct probe_transport *t,
				 probe_report_fn report, void *arg, uint64_t seed);
void probe_destroy(struct probe_table *p); // cancels; reports nothing
void probe_configure(struct probe_table *p, const struct probe_settings *s, int64_t now_ms);

// Ask these from now on; what is no longer among them is forgotten. Texts are copied. Errors: -ENOMEM (some may be missing; call again).
int probe_sync(struct probe_table *p, const struct probe_target *targets, size_t n, int64_t now_ms);
// Milliseconds until probe_step() should run; -1: not before an answer.
int64_t probe_due(const struct probe_table *p, int64_t now_ms);
void probe_step(struct probe_table *p, int64_t now_ms);
// For the transport.
void probe_answered(struct probe *p, const struct probe_answer *a, int64_t now_ms);

size_t probe_count(const struct probe_table *p);
size_t probe_running(const struct probe_table *p);
void probe_each(const struct probe_table *p, void (*fn)(void *arg, const struct probe_state *s),
		void *arg);
const char *probe_verdict_name(enum probe_verdict v); // "unasked", "unknown", "up", "down"
// The value of header X-Load-Balancing-Endpoint-Weight: 1..65535, or 0 for none (NULL too) and what is no such number.
uint32_t probe_read_weight(const char *text);
// What the last answer was, for people: "200", "connection refused". buf of 64 bytes.
const char *probe_answer_text(const struct probe_answer *a, char buf[64]);

#endif
