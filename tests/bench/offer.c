// SPDX-License-Identifier: Apache-2.0
// Offers a load to what is behind a device, counts what comes back, and asks for answers meanwhile.
//
// Each line of standard input, "PACKETS-A-SECOND MILLISECONDS", is a turn; a line of JSON says what
// became of it. Packets are of the row's flows, one after another, in bursts. What the device has
// no room for is refused and counts as offered: a NIC would have dropped it. Two questions, ARP for
// the port's address and an ICMP echo to the first virtual address, take the place of a packet each
// millisecond until they are answered; a millisecond later the next ones are asked.
#include <errno.h>
#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <stdlib.h>

#include "bench.h"
#include "net/checksum.h"
#include "traffic.h"

#define BURST MEASURE_BURST
#define BACKLOG 1024 // who was scheduled out for longer offers no more than this at once
#define RECEIVE_BUFFERS 8191
#define MAX_ANSWERS 8192
#define LINK_MS 60000
#define DRAIN_MS 200
#define OWN 0x0a01fefeu  // 10.1.254.254, a static neighbour
#define PORT 0x0a01ff01u // 10.1.255.1
#define FRONTEND 0xc6120001u

enum { ARP, ECHO, QUESTIONS };

struct question {
	struct rte_mbuf *frame;
	uint64_t first; // TSC of its first asking; 0: not asked yet
	uint64_t next;
	uint32_t n;
	uint32_t us[MAX_ANSWERS];
};

struct offer {
	const struct options *options;
	struct traffic traffic;
	uint16_t port;
	struct rte_mempool *pool;
	struct rte_mbuf **packets; // one a flow; each has a reference that is never given away
	uint32_t at, random;
	struct question questions[QUESTIONS];
	uint64_t offered, refused, returned; // without questions and answers
};

// --- frames ---

static struct rte_mbuf *frame_alloc(struct offer *x, uint16_t len) {
	struct rte_mbuf *m = rte_pktmbuf_alloc(x->pool);

	if (m != NULL) {
		m->data_len = len;
		m->pkt_len = len;
		memset(rte_pktmbuf_mtod(m, void *), 0, len);
	}
	return m;
}

// Ethernet from the neighbour that OWN is.
static void write_ethernet(uint8_t *f, const uint8_t *to, uint16_t type) {
	static const uint8_t own[6] = {2, 0, 0, 2, 0, 0xfe};

	memcpy(f, to, 6);
	memcpy(f + 6, own, 6);
	traffic_put16(f + 12, type);
}

static void write_arp(uint8_t *f) {
	static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255},
			     request[8] = {0, 1, 8, 0, 6, 4, 0, 1};

	write_ethernet(f, everyone, 0x0806);
	memcpy(f + 14, request, 8);
	memcpy(f + 22, f + 6, 6);
	traffic_put32(f + 28, OWN);
	traffic_put32(f + 38, PORT);
}

static void write_echo(const struct offer *x, uint8_t *f) {
	uint8_t *ip = f + 14, *icmp = ip + 20;
	uint16_t sum;

	write_ethernet(f, x->traffic.in, 0x0800);
	ip[0] = 0x45;
	traffic_put16(ip + 2, 46);
	ip[8] = 64;
	ip[9] = 1;
	traffic_put32(ip + 12, OWN);
	traffic_put32(ip + 16, FRONTEND);
	sum = (uint16_t)~checksum_fold(checksum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	icmp[0] = 8;
	sum = (uint16_t)~checksum_fold(checksum_add(0, icmp, 26));
	memcpy(icmp + 2, &sum, 2);
}

static int make_frames(struct offer *x, struct error *err) {
	uint32_t n = x->options->flows;

	x->packets = calloc(n, sizeof(struct rte_mbuf *));
	for (uint32_t i = 0; x->packets != NULL && i < n; i++) {
		x->packets[i] = frame_alloc(x, x->traffic.len);
		if (x->packets[i] == NULL)
			return error_set(err, -ENOMEM, "no buffer for packet %u", i);
		traffic_write_in(&x->traffic, x->packets[i], 4, i, TRAFFIC_SYN);
	}
	for (unsigned i = 0; i < QUESTIONS; i++)
		x->questions[i].frame = frame_alloc(x, 60);
	if (x->packets == NULL || x->questions[ARP].frame == NULL ||
	    x->questions[ECHO].frame == NULL)
		return error_set(err, -ENOMEM, "out of memory for %u packets", n);
	write_arp(rte_pktmbuf_mtod(x->questions[ARP].frame, uint8_t *));
	write_echo(x, rte_pktmbuf_mtod(x->questions[ECHO].frame, uint8_t *));
	return 0;
}

// --- a turn ---

static bool is_question(const struct offer *x, const struct rte_mbuf *m) {
	return m == x->questions[ARP].frame || m == x->questions[ECHO].frame;
}

// In the place of any packet of the burst: a device that has no room for all takes the first ones.
static void ask(struct offer *x, struct rte_mbuf **burst, uint64_t now) {
	for (unsigned i = 0; i < QUESTIONS; i++) {
		struct question *q = &x->questions[i];

		if (now < q->next)
			continue;
		q->first = q->first == 0 ? now : q->first;
		q->next = now + rte_get_tsc_hz() / 1000;
		x->random = x->random * 1664525u + 1013904223u;
		burst[(x->random >> 28) * QUESTIONS + i] = q->frame; // 16 places for each
	}
}

static void send_burst(struct offer *x, uint64_t now) {
	struct rte_mbuf *burst[BURST];
	uint16_t sent;

	for (unsigned i = 0; i < BURST; i++) {
		burst[i] = x->packets[x->at];
		x->at = x->at + 1 == x->options->flows ? 0 : x->at + 1;
	}
	ask(x, burst, now);
	for (unsigned i = 0; i < BURST; i++) {
		rte_mbuf_refcnt_update(burst[i], 1);
		x->offered += !is_question(x, burst[i]);
	}
	sent = rte_eth_tx_burst(x->port, 0, burst, BURST);
	for (unsigned i = sent; i < BURST; i++) {
		rte_mbuf_refcnt_update(burst[i], -1);
		x->refused += !is_question(x, burst[i]);
	}
}

static void note_answer(struct question *q, uint64_t now) {
	if (q->first == 0)
		return;
	if (q->n < MAX_ANSWERS)
		q->us[q->n++] = (uint32_t)((now - q->first) * 1000000 / rte_get_tsc_hz());
	q->first = 0;
	q->next = now + rte_get_tsc_hz() / 1000;
}

static uint16_t receive_burst(struct offer *x, uint64_t now) {
	struct rte_mbuf *m[BURST];
	uint16_t n = rte_eth_rx_burst(x->port, 0, m, BURST);

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *f = rte_pktmbuf_mtod(m[i], const uint8_t *);

		if (f[12] == 8 && f[13] == 6 && f[21] == 2)
			note_answer(&x->questions[ARP], now);
		else if (f[12] == 8 && f[13] == 0 && f[23] == 1 && f[34] == 0)
			note_answer(&x->questions[ECHO], now);
		else if (f[12] == 8 && f[13] == 0 && f[23] == x->traffic.protocol)
			x->returned++;
	}
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static void drain(struct offer *x) {
	uint64_t limit = rte_get_tsc_hz() / 1000 * DRAIN_MS, quiet = rte_rdtsc(), now = quiet;
	uint64_t end = now + 10 * limit;

	for (; now - quiet < limit && now < end; now = rte_rdtsc())
		if (receive_burst(x, now) > 0)
			quiet = now;
}

static void take_turn(struct offer *x, uint64_t rate, uint64_t ms) {
	uint64_t hz = rte_get_tsc_hz(), start = rte_rdtsc(), now = start;
	uint64_t end = start + hz / 1000 * ms, due = 0;

	x->questions[ECHO].next = start + hz / 2000; // not in one burst with the other
	for (; now < end; now = rte_rdtsc()) {
		uint64_t wanted = (uint64_t)((double)(now - start) / (double)hz * (double)rate);

		due = wanted - due > BACKLOG ? wanted - BACKLOG : due;
		if (wanted - due >= BURST) {
			send_burst(x, now);
			due += BURST;
		}
		receive_burst(x, now);
	}
	drain(x);
}

static void print_answers(const char *name, struct question *q) {
	printf(", \"%s\": [", name);
	for (uint32_t i = 0; i < q->n; i++)
		printf("%s%u", i > 0 ? ", " : "", q->us[i]);
	printf("]");
	q->first = q->next = q->n = 0;
}

static void print_turn(struct offer *x) {
	printf("{\"offered\": %lu, \"refused\": %lu, \"returned\": %lu", x->offered, x->refused,
	       x->returned);
	print_answers("arp", &x->questions[ARP]);
	print_answers("echo", &x->questions[ECHO]);
	printf("}\n");
	fflush(stdout);
	x->offered = x->refused = x->returned = 0;
}

// --- the device ---

static int open_port(struct offer *x, struct error *err) {
	struct rte_eth_conf conf = {0};
	int ret = rte_dev_probe(x->options->device);

	if (ret < 0)
		return error_set(err, ret, "%s: %s", x->options->device, rte_strerror(-ret));
	x->port = (uint16_t)rte_eth_find_next(0);
	ret = rte_eth_dev_configure(x->port, 1, 1, &conf);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(x->port, 0, 1024, SOCKET_ID_ANY, NULL, x->pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(x->port, 0, 1024, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(x->port);
	return ret < 0 ? error_set(err, ret, "%s: %s", x->options->device, rte_strerror(-ret)) : 0;
}

static int wait_for_link(const struct offer *x, struct error *err) {
	struct rte_eth_link link = {0};

	for (unsigned ms = 0; ms < LINK_MS; ms++) {
		if (rte_eth_link_get_nowait(x->port, &link) == 0 && link.link_status)
			return 0;
		rte_delay_us_sleep(1000);
	}
	return error_set(err, -ETIMEDOUT, "%s: nobody came", x->options->device);
}

static int open_offer(struct offer *x, const struct options *o, struct error *err) {
	struct mac_addr mac;
	int ret;

	*x = (struct offer){.options = o};
	traffic_init(&x->traffic, 4, o->protocol, o->frontends, false);
	if (o->device == NULL || o->mac == NULL || mac_parse(&mac, o->mac) < 0)
		return error_set(err, -EINVAL, "device= and mac=: to whom?");
	memcpy(x->traffic.in, mac.b, sizeof(mac.b));
	ret = bench_eal(o->cpu, NULL, err);
	if (ret < 0)
		return ret;
	x->pool = rte_pktmbuf_pool_create("offer", o->flows + RECEIVE_BUFFERS, 256, 0,
					  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (x->pool == NULL)
		return error_set(err, -ENOMEM, "no memory for %u packets", o->flows);
	ret = make_frames(x, err);
	return ret < 0 ? ret : open_port(x, err);
}

int offer_run(const struct options *o, struct error *err) {
	static struct offer x;
	uint64_t rate, ms;
	char line[64];
	int ret = open_offer(&x, o, err);

	while (ret == 0 && fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%lu %lu", &rate, &ms) != 2)
			return error_set(err, -EINVAL, "%s: not PACKETS-A-SECOND MILLISECONDS",
					 line);
		ret = wait_for_link(&x, err);
		if (ret == 0) {
			take_turn(&x, rate, ms);
			print_turn(&x);
		}
	}
	return ret;
}
