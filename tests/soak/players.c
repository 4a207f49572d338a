// SPDX-License-Identifier: Apache-2.0
// Frames of the soak, written and judged.
#include "players.h"

#include <string.h>

#define LEN 64
#define VIP 0xcb007101u  // 203.0.113.1, and on
#define SNAT 0x0a01ff0au // 10.1.255.10
#define POD 0x0a010001u  // 10.1.0.1, and on
#define CLIENT 0x10000000u
#define MARK 0x5eadu // of a packet whose flow a steady backend had when it was made

enum { SYN = 0x02, RST = 0x04, ACK = 0x10 };
enum { IP = 14, L4 = 34, TAG = 38, TAG_UDP = 42, MARK_TCP = 42, MARK_UDP = 46 };

static void put16(uint8_t *at, uint32_t v) {
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v) {
	put16(at, v >> 16);
	put16(at + 2, v);
}

static uint32_t get16(const uint8_t *at) {
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at) {
	return get16(at) << 16 | get16(at + 2);
}

static struct memo load(const struct players *p, uint32_t flow) {
	uint32_t word = __atomic_load_n(&p->flows[flow], __ATOMIC_RELAXED);
	struct memo s;

	memcpy(&s, &word, sizeof(s));
	return s;
}

static void store(struct players *p, uint32_t flow, struct memo s) {
	uint32_t word;

	memcpy(&word, &s, sizeof(word));
	__atomic_store_n(&p->flows[flow], word, __ATOMIC_RELAXED);
}

static uint32_t service_of(uint32_t flow) {
	return flow % SERVICES;
}

enum model_mode players_mode(uint32_t service) {
	static const enum model_mode modes[3] = {MODEL_DSR, MODEL_DNAT, MODEL_FULLNAT};

	return modes[service % 3];
}

uint8_t players_protocol(uint32_t service) {
	return service < 3 ? 6 : 17;
}

static bool is_steady(struct memo s) {
	return s.known && s.backend < STEADY;
}

bool players_is_steady(const struct players *p, uint32_t flow) {
	return is_steady(load(p, flow));
}

static uint32_t client_port(uint32_t flow) {
	return 1024 + flow % 50000;
}

// --- making ---

struct ends {
	uint32_t src, dst, src_port, dst_port;
};

static void write_ip(uint8_t *ip, uint32_t src, uint32_t dst, uint8_t protocol) {
	uint32_t sum = 0;

	memcpy(ip, (const uint8_t[]){0x45, 0, 0, LEN - IP, 0, 0, 0, 0, 64, protocol, 0, 0}, 12);
	put32(ip + 12, src);
	put32(ip + 16, dst);
	for (int i = 0; i < 20; i += 2)
		sum += get16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)));
}

static void write_frame(struct rte_mbuf *m, uint16_t port, const struct ends *e, uint32_t flow,
			uint8_t flags, bool steady) {
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *), protocol = players_protocol(service_of(flow));

	m->port = port;
	m->data_len = LEN;
	m->pkt_len = LEN;
	memset(f, 0, LEN);
	memcpy(f, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(port + 1), 2, 0, 0, 0, 9, 9, 8, 0},
	       14);
	write_ip(f + IP, e->src, e->dst, protocol);
	put16(f + L4, e->src_port);
	put16(f + L4 + 2, e->dst_port);
	if (protocol == 6) {
		f[L4 + 12] = 5 << 4;
		f[L4 + 13] = flags;
	} else {
		put16(f + L4 + 4, LEN - L4);
	}
	put32(f + (protocol == 6 ? TAG : TAG_UDP), flow);
	put16(f + (protocol == 6 ? MARK_TCP : MARK_UDP), steady ? MARK : 0);
}

static bool client_speaks(const struct players *p, uint32_t flow, struct ends *e, uint8_t *flags) {
	struct memo s = load(p, flow);

	*e = (struct ends){CLIENT + flow, VIP + service_of(flow), client_port(flow), 80};
	*flags = s.known ? ACK : SYN;
	return true;
}

static bool backend_speaks(struct players *p, uint32_t flow, struct ends *e, uint8_t *flags) {
	enum model_mode mode = players_mode(service_of(flow));
	struct memo s = load(p, flow);

	if (!s.known || mode == MODEL_DSR)
		return false;
	*e = (struct ends){POD + s.backend, CLIENT + flow, 8080 + service_of(flow),
			   client_port(flow)};
	if (mode == MODEL_FULLNAT) {
		e->dst = SNAT;
		e->dst_port = s.snat_port;
	}
	*flags = s.answered ? ACK : SYN | ACK;
	return true;
}

struct rte_mbuf *players_packet(struct players *p, uint16_t player, uint16_t port,
				uint32_t client) {
	uint32_t flow = player * CLIENTS + client;
	bool steady = players_is_steady(p, flow);
	struct rte_mbuf *m;
	struct ends e;
	uint8_t flags;

	if (!(port == 0 ? client_speaks(p, flow, &e, &flags) : backend_speaks(p, flow, &e, &flags)))
		return NULL;
	m = rte_pktmbuf_alloc(p->pool);
	if (m == NULL)
		return NULL;
	write_frame(m, port, &e, flow, flags, steady);
	p->player[player].made++;
	p->player[player].steady_made += steady;
	return m;
}

uint16_t players_make(struct players *p, uint16_t player, uint16_t port, struct rte_mbuf **m,
		      uint16_t n) {
	uint32_t *next = port == 0 ? &p->player[player].next_client
				   : &p->player[player].next_answer;
	uint16_t made = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *one = players_packet(p, player, port, *next);

		*next = (*next + 1) % CLIENTS;
		if (one != NULL)
			m[made++] = one;
	}
	return made;
}

// --- judging ---

static uint32_t tag_of(const uint8_t *f) {
	return get32(f + (f[IP + 9] == 6 ? TAG : TAG_UDP));
}

static bool is_marked(const uint8_t *f) {
	return get16(f + (f[IP + 9] == 6 ? MARK_TCP : MARK_UDP)) == MARK;
}

// To a backend. False: it went where this flow must not go.
static bool judge_in(struct players *p, const uint8_t *f) {
	uint32_t flow = tag_of(f), dst = get32(f + IP + 16), src = get32(f + IP + 12);
	enum model_mode mode = players_mode(service_of(flow));
	struct memo before = load(p, flow), now = {.known = 1};

	now.backend = (mode == MODEL_DSR ? f[5] - 1u : dst - POD) & 63;
	if (mode == MODEL_FULLNAT)
		now.snat_port = (uint16_t)get16(f + L4);
	if (now.backend >= BACKENDS || src != (mode == MODEL_FULLNAT ? SNAT : CLIENT + flow))
		return false;
	if (is_steady(before))
		return now.backend == before.backend && now.snat_port == before.snat_port;
	now.answered = before.known && before.backend == now.backend && before.answered;
	store(p, flow, now);
	return true;
}

// A reset to a client: its flow is gone. False: a steady backend had it.
static bool judge_reset(struct players *p, const uint8_t *f) {
	uint32_t flow = get32(f + IP + 16) - CLIENT;
	struct memo s = load(p, flow);

	store(p, flow, (struct memo){.known = 0});
	return !is_steady(s);
}

// From a backend. One that has left and come back may still answer to a port that is another flow's by now.
static bool judge_back(struct players *p, const uint8_t *f) {
	uint32_t flow = tag_of(f);
	struct memo s = load(p, flow);

	if (!is_steady(s))
		return true;
	s.answered = 1;
	store(p, flow, s);
	return get32(f + IP + 12) == VIP + service_of(flow) && get16(f + L4) == 80 &&
	       get32(f + IP + 16) == CLIENT + flow && get16(f + L4 + 2) == client_port(flow);
}

static bool is_reset(const uint8_t *f) {
	return f[IP + 9] == 6 && (f[L4 + 13] & RST);
}

static void judge(struct players *p, uint16_t worker, uint16_t port, const uint8_t *f) {
	uint32_t client = get32(f + IP + 16) - CLIENT;

	p->seen[worker].left++;
	if (get16(f + 12) != 0x0800 || (port == 0 && client >= PLAYERS * CLIENTS) ||
	    (!(port == 0 && is_reset(f)) && tag_of(f) >= PLAYERS * CLIENTS)) {
		p->seen[worker].foreign++;
	} else if (port == 0 && is_reset(f)) {
		p->seen[worker].reset += !judge_reset(p, f);
	} else {
		p->seen[worker].steady_left += is_marked(f);
		p->seen[worker].moved += !(port == 1 ? judge_in(p, f) : judge_back(p, f));
	}
}

void players_take(struct players *p, uint16_t worker, uint16_t port, struct rte_mbuf **m,
		  uint16_t n) {
	for (uint16_t i = 0; i < n; i++)
		judge(p, worker, port, rte_pktmbuf_mtod(m[i], const uint8_t *));
	rte_pktmbuf_free_bulk(m, n);
}
