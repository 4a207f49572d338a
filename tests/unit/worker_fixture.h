// SPDX-License-Identifier: Apache-2.0
// An appliance whose workers run in the test's thread, between a receive and a send function of the test.
//
//     wan (port 0) --- clients 198.51.100.0/24 and others, behind 192.0.2.254 (static)
//     lan (port 1) --- backends 10.1.0.1.. (static), SNAT address 10.1.255.10
#ifndef TESTS_UNIT_WORKER_FIXTURE_H
#define TESTS_UNIT_WORKER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance.h"
#include "dataplane/device.h"
#include "net/checksum.h"
#include "port/eal.h"

#define BACKENDS 8
#define MBUFS 4095
#define SENT_MAX 4096
#define SYN 0x02
#define ACK 0x10

struct sent {
	uint16_t port, worker;
	uint8_t frame[64];
};

struct bed {
	struct config *config;
	struct appliance appliance;
	struct rte_mempool *pool;
	struct sent sent[SENT_MAX];
	uint32_t n_sent;
	uint64_t ms; // of the workers' clock
	// For worker_run(): what the next polls give.
	uint32_t polls, stop_after;
	uint16_t (*poll)(struct bed *b, struct rte_mbuf **m);
	void (*sleep)(struct bed *b, struct worker *w, uint32_t us);
};

static inline const char *bed_config(void) {
	return "apiVersion: sluice.dev/v1alpha1\nkind: SluiceConfiguration\n"
	       "dataplane: {workers: %u, memoryMiB: 4096, flowsPerWorker: 131072, idle: sleep}\n"
	       "ports:\n"
	       "- {name: wan, device: net_null0, addresses: [192.0.2.2/24]}\n"
	       "- {name: lan, device: net_null1, addresses: [10.1.255.1/16]}\n"
	       "routes: [{prefix: 0.0.0.0/0, via: 192.0.2.254}]\n"
	       "neighbors:\n"
	       "- {address: 192.0.2.254, mac: \"02:00:00:00:01:fe\"}\n"
	       "- {address: 10.1.0.1, mac: \"02:00:00:00:02:01\"}\n"
	       "- {address: 10.1.0.2, mac: \"02:00:00:00:02:02\"}\n"
	       "- {address: 10.1.0.3, mac: \"02:00:00:00:02:03\"}\n"
	       "- {address: 10.1.0.4, mac: \"02:00:00:00:02:04\"}\n"
	       "- {address: 10.1.0.5, mac: \"02:00:00:00:02:05\"}\n"
	       "- {address: 10.1.0.6, mac: \"02:00:00:00:02:06\"}\n"
	       "- {address: 10.1.0.7, mac: \"02:00:00:00:02:07\"}\n"
	       "- {address: 10.1.0.8, mac: \"02:00:00:00:02:08\"}\n"
	       "services: {manifests: none, snatAddresses: [10.1.255.10]}\n";
}

static inline uint16_t bed_send(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
				uint16_t n) {
	struct bed *b = ctx;

	for (uint16_t i = 0; i < n; i++) {
		if (b->n_sent < SENT_MAX) {
			struct sent *s = &b->sent[b->n_sent];

			s->port = port;
			s->worker = w->id;
			memset(s->frame, 0, sizeof(s->frame));
			memcpy(s->frame, rte_pktmbuf_mtod(m[i], void *),
			       RTE_MIN(sizeof(s->frame), rte_pktmbuf_data_len(m[i])));
		}
		b->n_sent++;
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

static inline uint16_t bed_receive(void *ctx, struct worker *w, uint16_t port, uint16_t queue,
				   struct rte_mbuf **m, uint16_t n) {
	struct bed *b = ctx;
	uint16_t got = b->poll == NULL ? 0 : b->poll(b, m);

	if (++b->polls >= b->stop_after)
		b->appliance.dp.stop = true;
	return got;
}

static inline bool bed_wait(void *ctx, struct worker *w, uint32_t us) {
	struct bed *b = ctx;

	if (b->sleep != NULL)
		b->sleep(b, w, us);
	return false;
}

static inline const struct tables *bed_tables(const struct bed *b) {
	return publish_read(b->appliance.publish);
}

// A Service at address:80/protocol with the backends of the mask, ports 8080 (dsr: 80).
static inline void bed_serve_at(struct bed *b, const char *name, const char *address,
				enum model_mode mode, uint8_t protocol, uint32_t mask) {
	struct model_frontend frontend = {.port = 80};
	struct model_backend backends[BACKENDS];
	struct model_service s = {.mode = (uint8_t)mode,
				  .n_frontends = 1,
				  .frontends = &frontend,
				  .backends = backends};

	ip_addr_parse(&frontend.addr, address);
	for (uint32_t i = 0; i < BACKENDS; i++) {
		char text[16];

		if (!(mask & 1u << i))
			continue;
		snprintf(text, sizeof(text), "10.1.0.%u", i + 1);
		backends[s.n_backends] = (struct model_backend){.port = mode == MODEL_DSR ? 80
											  : 8080,
								.state = MODEL_READY,
								.usable = 1,
								.weight = 1};
		ip_addr_parse(&backends[s.n_backends++].addr, text);
	}
	snprintf(s.key.ns, sizeof(s.key.ns), "test");
	snprintf(s.key.name, sizeof(s.key.name), "%s", name);
	s.key.port = 80;
	s.key.protocol = protocol;
	assert_true(model_put(b->appliance.model, &s) >= 0);
	assert_true(appliance_apply(&b->appliance, b->ms) >= 0);
}

static inline void bed_serve(struct bed *b, enum model_mode mode, uint8_t protocol, uint32_t mask) {
	bed_serve_at(b, "web", "203.0.113.1", mode, protocol, mask);
}

static inline void bed_init(struct bed *b, unsigned workers) {
	struct mac_addr macs[2] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};
	struct rte_mempool *pools[SITE_MAX_WORKERS];
	struct appliance_settings s = {.port_macs = macs,
				       .pools = pools,
				       .hugepages = HUGEPAGES_OFF,
				       .readers = workers,
				       .ring_size = 64,
				       .secret = 1};
	struct config_report report = {0};
	struct error err;
	char text[2048];

	memset(b, 0, sizeof(*b));
	b->ms = 1000;
	snprintf(text, sizeof(text), bed_config(), workers);
	assert_int_equal(config_parse(&b->config, "test", text, strlen(text), NULL, &report), 0);
	config_report_fini(&report);
	b->pool = rte_pktmbuf_pool_create("test", MBUFS, 0, 0, RTE_PKTMBUF_HEADROOM + 256,
					  SOCKET_ID_ANY);
	assert_non_null(b->pool);
	for (unsigned i = 0; i < workers; i++)
		pools[i] = b->pool;
	assert_int_equal(appliance_create(&b->appliance, b->config, &s, &err), 0);
	for (uint16_t p = 0; p < 2; p++)
		for (uint16_t w = 0; w < workers; w++)
			b->appliance.dp.sender[p][w] = w;
	b->appliance.dp.io = (struct worker_io){.send = bed_send,
						.receive = bed_receive,
						.wait = bed_wait,
						.ctx = b};
	for (unsigned i = 0; i < workers; i++)
		worker_tick(b->appliance.workers[i], bed_tables(b), b->ms);
}

// All buffers are back when nothing holds a packet.
static inline void bed_fini(struct bed *b) {
	struct appliance *a = &b->appliance;

	for (uint16_t i = 0; i < a->dp.n_workers; i++)
		worker_drop_held(a->workers[i], bed_tables(b), REASON_STOPPING);
	dataplane_disconnect(&a->dp);
	assert_int_equal(rte_mempool_avail_count(b->pool), MBUFS);
	appliance_destroy(a);
	config_destroy(b->config);
	rte_mempool_free(b->pool);
}

static inline void put16(uint8_t *at, uint16_t v) {
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void put32(uint8_t *at, uint32_t v) {
	put16(at, (uint16_t)(v >> 16));
	put16(at + 2, (uint16_t)v);
}

static inline uint16_t get16(const uint8_t *at) {
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at) {
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline void ip_checksum(uint8_t *ip) {
	uint32_t sum = 0;

	put16(ip + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += get16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, (uint16_t) ~(sum + (sum >> 16)));
}

// 60 bytes, zero.
static inline struct rte_mbuf *frame_of(struct bed *b, uint16_t port) {
	struct rte_mbuf *m = rte_pktmbuf_alloc(b->pool);

	if (m == NULL)
		fail_msg("out of packet buffers");
	m->port = port;
	m->data_len = 60;
	m->pkt_len = 60;
	memset(rte_pktmbuf_mtod(m, void *), 0, 60);
	return m;
}

struct l4 {
	uint16_t port; // of ours, where it arrives
	uint32_t src, dst;
	uint16_t src_port, dst_port;
	uint8_t protocol, flags;
};

#define VIP 0xcb007101u // 203.0.113.1

static inline struct rte_mbuf *packet_of(struct bed *b, const struct l4 *p) {
	struct rte_mbuf *m = frame_of(b, p->port);
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);

	memcpy(f, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(p->port + 1), 2, 0, 0, 0, 9, 9, 8, 0},
	       14);
	memcpy(f + 14, (const uint8_t[]){0x45, 0, 0, 40, 0, 0, 0, 0, 64, p->protocol}, 10);
	put32(f + 26, p->src);
	put32(f + 30, p->dst);
	put16(f + 34, p->src_port);
	put16(f + 36, p->dst_port);
	if (p->protocol == 6) {
		f[46] = 5 << 4;
		f[47] = p->flags;
	} else {
		put16(f + 38, 20);
	}
	ip_checksum(f + 14);
	return m;
}

// Of client number i to the Service.
static inline struct rte_mbuf *client_packet(struct bed *b, uint32_t i, uint8_t protocol,
					     uint8_t flags) {
	const struct l4 p = {.src = 0xc6330000u + (i >> 14),
			     .dst = VIP,
			     .src_port = (uint16_t)(1024 + (i & 0x3fff)),
			     .dst_port = 80,
			     .protocol = protocol,
			     .flags = flags};

	return packet_of(b, &p);
}

static inline void bed_burst(struct bed *b, uint16_t worker, struct rte_mbuf **m, uint16_t n) {
	struct worker *w = b->appliance.workers[worker];

	worker_burst(w, bed_tables(b), m, n, false);
	worker_flush(w);
}

// Alone in a burst; returns the packet that left, NULL: none.
static inline const struct sent *bed_one(struct bed *b, uint16_t worker, struct rte_mbuf *m) {
	b->n_sent = 0;
	bed_burst(b, worker, &m, 1);
	return b->n_sent == 1 ? &b->sent[0] : NULL;
}

static inline uint64_t dropped(const struct bed *b, uint16_t worker, enum reason r) {
	return b->appliance.workers[worker]->counters.drops[r];
}

static inline uint64_t flows_of(const struct bed *b, uint16_t worker) {
	const struct flow_stats *s = flow_stats(b->appliance.workers[worker]->flows);

	return s->flows[0] + s->flows[1];
}

static inline void bed_sleep(struct bed *b, uint64_t ms) { // virtual
	b->ms += ms;
	for (uint16_t i = 0; i < b->appliance.dp.n_workers; i++)
		worker_tick(b->appliance.workers[i], bed_tables(b), b->ms);
}

#endif
