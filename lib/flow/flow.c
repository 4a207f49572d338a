// SPDX-License-Identifier: Apache-2.0
// The flow table's memory, removal of flows, the sweep, and views of it.
#include "flow/flow.h"

#include <errno.h>

#include "flow/flow_private.h"

// Load of the buckets when as many flows are there as the table is sized for. Two entries a bucket (IPv6) need more air: at 85 % their
// look-ups read 1.34 lines, at 80 % under 1.3.
static const uint32_t load_percent[2] = {85, 80};
// Entries of the way back for 100 flows. They have one bucket each, so fewer of them to a bucket.
static const uint32_t snat_percent[2] = {200, 136};

#define LOAD_FULL_PERCENT 86 // from here on room comes from eviction rather than from long searches
#define SCAN_BUCKETS 256
#define MAX_CAPACITY (1u << 28)
#define MAX_WORKERS 1024
#define MAX_TIMEOUT                                                                                \
	((1u << (FLOW_TIME_BITS - 1)) - 1) // ticks: 6 days; older than 12 would look young

struct layout {
	uint64_t flows[2], records[2], snats[2], cursors, counts, size;
	uint32_t buckets[2], snat_buckets[2];
};

static uint64_t part(uint64_t *at, uint64_t size) {
	uint64_t begin = *at;

	*at += (size + FLOW_LINE - 1) & ~(uint64_t)(FLOW_LINE - 1);
	return begin;
}

static uint32_t buckets_for(uint64_t entries, unsigned ways) {
	uint64_t n = (entries + ways - 1) / ways;

	return n < 2 ? 2 : (uint32_t)n;
}

static void lay_out(struct layout *l, const struct flow_config *c) {
	uint64_t at = 0;

	part(&at, sizeof(struct flow_table));
	for (unsigned i = 0; i < 2; i++) {
		unsigned ways = flow_ways_of(i == 0 ? 4 : 6);
		uint64_t slots = ((uint64_t)c->capacity * 100 + load_percent[i] - 1) /
				 load_percent[i];
		uint64_t snats = (uint64_t)c->capacity * snat_percent[i] / 100;

		l->buckets[i] = buckets_for(slots, ways);
		l->flows[i] = part(&at, (uint64_t)l->buckets[i] * FLOW_LINE);
		l->records[i] = part(&at,
				     (uint64_t)l->buckets[i] * ways * sizeof(struct flow_record));
		l->snat_buckets[i] = buckets_for(c->n_snat[i] > 0 ? snats : 0, ways);
	}
	for (unsigned i = 0; i < 2; i++)
		l->snats[i] = part(&at, (uint64_t)l->snat_buckets[i] * FLOW_LINE);
	l->cursors = part(&at, (uint64_t)c->max_endpoints * sizeof(struct snat_cursor));
	l->counts = part(&at, (uint64_t)c->max_backends * sizeof(uint32_t));
	l->size = at;
}

size_t flow_table_size(const struct flow_config *c) {
	struct layout l;

	lay_out(&l, c);
	return l.size;
}

static bool config_is_valid(const struct flow_config *c) {
	for (unsigned s = FLOW_FREE + 1; s < FLOW_STATES; s++)
		if (c->timeouts.ticks[s] == 0 || c->timeouts.ticks[s] > MAX_TIMEOUT)
			return false;
	return c->capacity >= FLOW_CAPACITY_MIN && c->capacity <= MAX_CAPACITY &&
	       c->max_backends <= 1u << FLOW_ID_BITS && c->max_endpoints <= 1u << FLOW_ID_BITS &&
	       c->half_open_percent > 0 && c->half_open_percent <= 100 && c->workers > 0 &&
	       c->workers <= MAX_WORKERS && c->worker < c->workers &&
	       c->n_snat[0] <= 1u << FLOW_SNAT_BITS && c->n_snat[1] <= 1u << FLOW_SNAT_BITS;
}

static void set_keys(struct flow_table *t, uint64_t secret) {
	for (unsigned i = 0; i < 4; i++)
		t->key[i] = flow_mix(secret + (i + 1) * 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u) |
			    1;
}

static void set_ports(struct flow_table *t, const struct flow_config *c) {
	uint32_t first = FLOW_FIRST_PORT - FLOW_FIRST_PORT % c->workers + c->worker;

	if (first < FLOW_FIRST_PORT)
		first += c->workers;
	t->first_port = (uint16_t)first;
	t->workers = c->workers;
	t->n_ports = (65535 - first) / c->workers + 1;
}

static void set_heard(struct flow_table *t) {
	for (unsigned udp = 0; udp < 2; udp++) {
		uint32_t span = t->timeout[udp ? FLOW_UDP_STREAM : FLOW_TCP_ESTABLISHED];

		for (; span > SNAT_SPAN; span /= 2)
			t->heard[udp].shift++;
		t->heard[udp].span = (uint16_t)span;
	}
}

static void set_limits(struct flow_table *t, const struct flow_config *c) {
	uint64_t limit = (uint64_t)c->capacity * c->half_open_percent / 100;

	t->half_open_limit = c->half_open_percent == 100 ? UINT32_MAX : (uint32_t)limit;
	if (t->half_open_limit == 0)
		t->half_open_limit = 1;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t slots = (uint64_t)t->buckets[i] * flow_ways_of(i == 0 ? 4 : 6);

		t->search_short[i] = (uint32_t)(slots * LOAD_FULL_PERCENT / 100);
		t->n_snat[i] = c->n_snat[i];
	}
	memcpy(t->timeout, c->timeouts.ticks, sizeof(t->timeout));
	set_heard(t);
	t->max_backends = c->max_backends;
	t->max_endpoints = c->max_endpoints;
}

int flow_init(struct flow_table **out, void *memory, const struct flow_config *c) {
	struct flow_table *t = memory;
	struct layout l;

	if (!config_is_valid(c) || (uintptr_t)memory % FLOW_LINE != 0)
		return -EINVAL;
	lay_out(&l, c);
	for (unsigned i = 0; i < 2; i++) {
		t->flows_at[i] = l.flows[i];
		t->records_at[i] = l.records[i];
		t->snats_at[i] = l.snats[i];
		t->buckets[i] = l.buckets[i];
		t->snat_buckets[i] = l.snat_buckets[i];
	}
	t->cursors_at = l.cursors;
	t->counts_at = l.counts;
	set_keys(t, c->secret);
	set_ports(t, c);
	set_limits(t, c);
	snat_init(t);
	*out = t;
	return 0;
}

static void remove_way_back(struct flow_table *t, uint8_t family, const struct flow *f,
			    uint32_t now) {
	const struct flow_record *record = flow_record(t, family, f);
	struct flow_key k = flow_key_of(family, f);
	struct flow *reverse;

	if (record->snat_port != 0) {
		snat_release(t, family, record, now);
		return;
	}
	k.kind = FLOW_REVERSE;
	k.id = record->endpoint;
	reverse = flow_find_in(t, family, &k, flow_hash_in(t, family, &k), now);
	if (reverse != NULL)
		flow_displace(t, family, reverse);
}

void flow_remove(struct flow_table *t, uint8_t family, struct flow *f, uint32_t now) {
	if (f->has_reverse)
		remove_way_back(t, family, f, now);
	flow_count_add(t, f->backend, -1);
	flow_stat_add(&t->stats.flows[family != 4], -1);
	flow_stat_add(&t->stats.removed, 1);
	if (flow_state_is_half_open(f->state))
		flow_stat_add(&t->stats.half_open, -1);
	flow_displace(t, family, f);
}

void flow_evict(struct flow_table *t, uint8_t family, struct flow *f, enum flow_evicted why,
		uint32_t now) {
	flow_remove(t, family, f, now);
	flow_stat_add(&t->stats.evicted[why], 1);
}

// The snat entry that vouches for a flow; NULL: none.
static struct snat *voucher_of(const struct flow_table *t, uint8_t family, const struct flow *f) {
	const struct flow_record *r;
	struct snat *s;

	if (!f->has_reverse || !flow_is_vouchable(f))
		return NULL;
	r = flow_record(t, family, f);
	if (r->snat_port == 0) // dnat's
		return NULL;
	s = snat_of(t, family, r);
	return s != NULL && s->gen != 0 ? s : NULL;
}

uint32_t flow_silence(const struct flow_table *t, uint8_t family, const struct flow *f,
		      uint32_t now) {
	uint32_t idle = flow_idle(f, now), units, unheard;
	const struct snat *s = voucher_of(t, family, f);
	unsigned shift;

	if (s == NULL)
		return idle;
	shift = t->heard[snat_heard_of(s)].shift;
	units = snat_unheard(t, s, now);
	unheard = units == 0 ? 0 : (now & ((1u << shift) - 1)) + ((units - 1) << shift) + 1;
	return unheard < idle ? unheard : idle;
}

bool flow_expire(struct flow_table *t, uint8_t family, struct flow *f, uint32_t now) {
	uint32_t silence = flow_silence(t, family, f, now);

	if (silence <= t->timeout[f->state]) {
		flow_note(f, now - silence);
		return false;
	}
	flow_evict(t, family, f, FLOW_EVICTED_EXPIRED, now);
	return true;
}

void flow_advance(struct flow_table *t, uint8_t family, struct flow *f, enum flow_ways ways,
		  bool from_backend, uint8_t tcp_flags) {
	const uint8_t moving = FLOW_TCP_FLAG_SYN | FLOW_TCP_FLAG_FIN | FLOW_TCP_FLAG_RST;
	enum flow_state was = f->state, is = flow_state_next(was, ways, from_backend, tcp_flags);
	struct snat *voucher;

	if (is == FLOW_TCP_FIN_WAIT && (tcp_flags & moving) == FLOW_TCP_FLAG_FIN) {
		f->fin_client |= !from_backend;
		f->fin_backend |= from_backend;
		if (f->fin_client && f->fin_backend)
			is = FLOW_TCP_TIME_WAIT;
	}
	if (is == was)
		return;
	if (flow_state_is_half_open(was) && !flow_state_is_half_open(is))
		flow_stat_add(&t->stats.half_open, -1);
	voucher = voucher_of(t, family, f);
	if (voucher != NULL)
		voucher->gen = 0;
	f->state = is & 15;
}

static void sweep_bucket(struct flow_table *t, uint8_t family, uint32_t bucket, uint32_t now) {
	for (unsigned i = 0; i < flow_ways_of(family); i++) {
		struct flow *f = flow_slot(t, family, bucket, i);

		if (f->state == FLOW_FREE)
			continue;
		if (!flow_is_expired(t, f, now) || !flow_expire(t, family, f, now))
			flow_place_home(t, family, f);
	}
}

void flow_sweep(struct flow_table *t, uint32_t now, uint32_t n) {
	for (unsigned i = 0; i < 2; i++) {
		uint8_t family = i == 0 ? 4 : 6;
		uint32_t left = n < t->buckets[i] ? n : t->buckets[i];

		for (; left > 0; left--) {
			sweep_bucket(t, family, t->hand[i], now);
			t->hand[i] = t->hand[i] + 1 < t->buckets[i] ? t->hand[i] + 1 : 0;
		}
		snat_sweep(t, family, now, n);
	}
}

uint32_t flow_buckets(const struct flow_table *t) {
	uint32_t most = 0;

	for (unsigned i = 0; i < 2; i++) {
		most = t->buckets[i] > most ? t->buckets[i] : most;
		most = t->snat_buckets[i] > most ? t->snat_buckets[i] : most;
	}
	return most;
}

static void view(const struct flow_table *t, uint8_t family, const struct flow *f, uint32_t now,
		 struct flow_view *out) {
	const struct flow_record *record = flow_record(t, family, f);

	*out = (struct flow_view){
		.key = flow_key_of(family, f),
		.backend = f->backend,
		.endpoint = record->endpoint,
		.gen = f->gen,
		.state = f->state,
		.snat_index = record->snat_index,
		.snat_port = (uint16_t)record->snat_port,
		.age = (now / FLOW_TICKS - (uint32_t)record->created) & FLOW_TIME_MASK,
		.idle = flow_silence(t, family, f, now) / FLOW_TICKS,
	};
}

uint32_t flow_scan(const struct flow_table *t, uint64_t *cursor, uint32_t now,
		   struct flow_view *out, uint32_t max) {
	uint64_t total = (uint64_t)t->buckets[0] + t->buckets[1];
	uint32_t n = 0, looked = 0;

	for (; *cursor < total && looked < SCAN_BUCKETS; ++*cursor, looked++) {
		uint8_t family = *cursor < t->buckets[0] ? 4 : 6;
		uint32_t bucket = (uint32_t)(*cursor - (family == 4 ? 0 : t->buckets[0]));

		if (n + flow_ways_of(family) > max)
			return n;
		for (unsigned i = 0; i < flow_ways_of(family); i++) {
			const struct flow *f = flow_slot(t, family, bucket, i);

			if (f->state != FLOW_FREE && f->kind == FLOW_FORWARD &&
			    flow_silence(t, family, f, now) <= t->timeout[f->state])
				view(t, family, f, now, &out[n++]);
		}
	}
	if (*cursor >= total)
		*cursor = UINT64_MAX;
	return n;
}

uint32_t flow_count_of(const struct flow_table *t, uint32_t backend) {
	if (backend >= t->max_backends)
		return 0;
	return __atomic_load_n((uint32_t *)flow_at(t, t->counts_at) + backend, __ATOMIC_RELAXED);
}

const struct flow_stats *flow_stats(const struct flow_table *t) {
	return &t->stats;
}
