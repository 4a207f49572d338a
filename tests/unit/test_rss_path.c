// SPDX-License-Identifier: Apache-2.0
// The whole packet path between two devices with RSS, modelled in software: who gets which packet, and what is handed over.
//
//     clients --- wan (port 0) --- four workers --- lan (port 1) --- 20 backends
//
// A device hashes a frame, bit by bit, and gives it to the worker of its redirection table's entry. Backends answer what they get.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_byteorder.h>
#include <rte_mbuf.h>

#include "appliance.h"
#include "net/checksum.h"
#include "net/rss.h"
#include "port/eal.h"

#define WORKERS 4
#define BACKENDS 20
#define CLIENTS 200
#define WAN 0
#define LAN 1
#define OUT 64

static const char config_text[] =
	"apiVersion: sluice.dev/v1alpha1\nkind: SluiceConfiguration\n"
	"dataplane: {workers: 4, memoryMiB: 1024, flowsPerWorker: 1024}\n"
	"ports:\n"
	"- {name: wan, device: net_null0, addresses: [192.0.2.2/24, \"2001:db8:2::2/64\"]}\n"
	"- {name: lan, device: net_null1, addresses: [10.1.255.1/16, \"2001:db8:1::ff:1/64\"]}\n"
	"routes: [{prefix: 0.0.0.0/0, via: 192.0.2.254}, {prefix: \"::/0\", via: \"2001:db8:2::fe\"}]\n"
	"neighbors:\n"
	"- {address: 192.0.2.254, mac: \"02:00:00:00:01:01\"}\n"
	"- {address: \"2001:db8:2::fe\", mac: \"02:00:00:00:01:01\"}\n"
	"services:\n"
	"  manifests: none\n"
	"  snatAddresses: [10.1.254.1, 10.1.254.2, \"2001:db8:1::fe:1\", \"2001:db8:1::fe:2\"]\n";

static const struct mac_addr macs[2] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};

struct frame {
	uint8_t b[256];
	uint16_t len;
	uint16_t port; // where it left
};

struct bed {
	struct config *config;
	struct appliance a;
	struct rte_mempool *pool;
	uint8_t key[2][TOEPLITZ_KEY]; // of each device
	uint32_t size[2];
	uint8_t worker[2][RSS_MAX_RETA];
	struct rss rss[2];
	struct frame out[OUT];
	unsigned n_out;
	unsigned any; // the next worker where RSS doesn't choose
	bool no_rss[2];
};

static struct bed bed;

// --- frames ---

static struct ip_addr addr_of(const char *text) {
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(&a, text), 0);
	return a;
}

static struct ip_addr numbered(const char *text, uint32_t n) {
	struct ip_addr a = addr_of(text);

	a.b[a.family == 4 ? 3 : 15] = (uint8_t)(1 + n % 250);
	a.b[a.family == 4 ? 2 : 14] = (uint8_t)(a.b[a.family == 4 ? 2 : 14] + n / 250);
	return a;
}

static struct ip_addr client_of(uint8_t family, uint32_t n) {
	return numbered(family == 4 ? "198.51.100.0" : "2001:db8:c::", n);
}

static struct ip_addr vip_of(uint8_t family) {
	return addr_of(family == 4 ? "203.0.113.1" : "2001:db8:100::1");
}

// A frame to a port's MAC address; options: bytes of IPv4 options or of an IPv6 extension header.
static struct frame frame_ip(uint16_t port, const struct ip_addr *src, const struct ip_addr *dst,
			     uint8_t protocol, const void *l4, uint8_t len, uint8_t options) {
	struct frame f = {.len = (uint16_t)(14 + (src->family == 4 ? 20 : 40) + options + len)};
	uint8_t *ip = f.b + 14;
	uint16_t sum;

	memcpy(f.b, macs[port].b, 6);
	memcpy(f.b + 6, (const uint8_t[]){2, 0, 0, 0, 9, 9}, 6);
	f.b[12] = src->family == 4 ? 0x08 : 0x86;
	f.b[13] = src->family == 4 ? 0x00 : 0xdd;
	if (src->family == 4) {
		const uint8_t head[10] = {(uint8_t)(0x45 + options / 4),
					  0,
					  0,
					  (uint8_t)(20 + options + len),
					  0,
					  0,
					  0x40,
					  0,
					  64,
					  protocol};

		memcpy(ip, head, 10);
		memcpy(ip + 12, src->b, 4);
		memcpy(ip + 16, dst->b, 4);
		memset(ip + 20, 1, options); // no-operation
		sum = checksum_ipv4_header(ip, 20u + options);
		memcpy(ip + 10, &sum, 2);
		memcpy(ip + 20 + options, l4, len);
	} else {
		const uint8_t head[8] = {
			0x60, 0, 0, 0, 0, (uint8_t)(options + len), options == 0 ? protocol : 60,
			64};

		memcpy(ip, head, 8);
		memcpy(ip + 8, src->b, 16);
		memcpy(ip + 24, dst->b, 16);
		if (options > 0)
			memcpy(ip + 40, (const uint8_t[]){protocol, 0, 1, 4},
			       4); // destination options: PadN
		memcpy(ip + 40 + options, l4, len);
	}
	return f;
}

// Ports in host order.
static struct frame frame_of(uint16_t port, const struct ip_addr *src, uint16_t src_port,
			     const struct ip_addr *dst, uint16_t dst_port, uint8_t options) {
	const uint16_t udp[4] = {rte_cpu_to_be_16(src_port), rte_cpu_to_be_16(dst_port),
				 rte_cpu_to_be_16(8), 0xaaaa};

	return frame_ip(port, src, dst, 17, udp, sizeof(udp), options);
}

static struct frame frame_tcp(uint16_t port, const struct ip_addr *src, uint16_t src_port,
			      const struct ip_addr *dst, uint16_t dst_port, uint8_t flags) {
	uint8_t tcp[20] = {(uint8_t)(src_port >> 8), (uint8_t)src_port, (uint8_t)(dst_port >> 8),
			   (uint8_t)dst_port,        [12] = 0x50,       [13] = flags};

	return frame_ip(port, src, dst, 6, tcp, sizeof(tcp), 0);
}

struct tuple {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port; // host order
};

static struct tuple tuple_of(const struct frame *f) {
	const uint8_t *ip = f->b + 14, *l4;
	struct tuple t;

	if (f->b[12] == 8) {
		uint32_t a[2];

		memcpy(a, ip + 12, 8);
		t.src = ip_addr_from_v4(a[0]);
		t.dst = ip_addr_from_v4(a[1]);
		l4 = ip + 4 * (ip[0] & 15);
	} else {
		uint32_t a[8];

		memcpy(a, ip + 8, 32);
		t.src = ip_addr_from_v6(a);
		t.dst = ip_addr_from_v6(a + 4);
		l4 = ip + (ip[6] == 60 ? 48 : 40);
	}
	t.src_port = (uint16_t)(l4[0] << 8 | l4[1]);
	t.dst_port = (uint16_t)(l4[2] << 8 | l4[3]);
	return t;
}

// --- devices ---

static uint16_t send_frames(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			    uint16_t n) {
	(void)w;
	for (uint16_t i = 0; i < n; i++) {
		struct bed *b = ctx;
		struct frame *f = &b->out[b->n_out++];

		assert_true(b->n_out <= OUT);
		f->port = port;
		f->len = rte_pktmbuf_data_len(m[i]);
		memcpy(f->b, rte_pktmbuf_mtod(m[i], void *), f->len);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

static uint16_t receiver_of(uint16_t port, const struct frame *f) {
	const struct tuple t = tuple_of(f);
	uint32_t hash;

	if (bed.no_rss[port])
		return (uint16_t)(bed.any++ % WORKERS);
	hash = toeplitz_tuple(bed.key[port], t.src.family, t.src.b, t.dst.b,
			      rte_cpu_to_be_16(t.src_port), rte_cpu_to_be_16(t.dst_port));
	return bed.worker[port][hash % bed.size[port]];
}

// A frame comes in at a worker; everything that follows from it is done. What left is in bed.out.
static void receive(uint16_t port, const struct frame *f, uint16_t worker) {
	const struct tables *t = publish_read(bed.a.publish);
	struct rte_mbuf *m = rte_pktmbuf_alloc(bed.pool);
	uint32_t n = 1;

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, f->len), f->b, f->len);
	m->port = port;
	bed.n_out = 0;
	worker_burst(bed.a.workers[worker], t, &m, 1, false);
	worker_flush(bed.a.workers[worker]);
	while (n > 0) {
		n = 0;
		for (uint16_t i = 0; i < WORKERS; i++) {
			n += worker_chores(bed.a.workers[i], t);
			worker_flush(bed.a.workers[i]);
		}
	}
}

static uint64_t handed_over(void) {
	uint64_t n = 0;

	for (uint16_t i = 0; i < WORKERS; i++)
		n += bed.a.workers[i]->counters.handed_over;
	return n;
}

// --- set-up ---

static void set_device(uint16_t port, uint64_t key_seed, uint32_t size) {
	struct ip_addr snat[2][2] = {{addr_of("10.1.254.1"), addr_of("10.1.254.2")},
				     {addr_of("2001:db8:1::fe:1"), addr_of("2001:db8:1::fe:2")}};
	struct rss_settings s = {.key = bed.key[port],
				 .key_len = TOEPLITZ_KEY,
				 .worker = bed.worker[port],
				 .size = size,
				 .workers = WORKERS,
				 .snat = {snat[0], snat[1]},
				 .n_snat = {2, 2}};
	const char *why;

	srandom((unsigned)key_seed);
	for (unsigned i = 0; i < TOEPLITZ_KEY; i++)
		bed.key[port][i] = (uint8_t)(random() >> 7);
	bed.size[port] = size;
	for (uint32_t i = 0; i < size; i++)
		bed.worker[port][i] = (uint8_t)(i % WORKERS);
	assert_int_equal(rss_init(&bed.rss[port], &s, &why), 0);
}

static void put_service(uint8_t family, uint32_t affinity, enum model_protocol protocol) {
	struct model_frontend frontend = {.addr = vip_of(family), .port = 80};
	struct model_backend backends[BACKENDS];
	struct model_service s = {.mode = MODEL_FULLNAT,
				  .n_frontends = 1,
				  .frontends = &frontend,
				  .n_backends = BACKENDS,
				  .backends = backends,
				  .affinity_timeout = affinity};

	for (uint32_t i = 0; i < BACKENDS; i++)
		backends[i] = (struct model_backend){.addr = numbered(family == 4 ? "10.1.0.0"
										  : "2001:db8:1::",
								      i),
						     .port = 8080,
						     .state = MODEL_READY,
						     .usable = 1,
						     .weight = 1};
	snprintf(s.key.ns, sizeof(s.key.ns), "default");
	snprintf(s.key.name, sizeof(s.key.name), "web-%u", family);
	s.key.port = 80;
	s.key.protocol = protocol;
	assert_true(model_put(bed.a.model, &s) >= 0);
}

static void set_neighbors(void) {
	for (uint32_t i = 0; i < BACKENDS; i++) {
		struct mac_addr mac = {{2, 0, 0, 0, 2, (uint8_t)i}};
		struct ip_addr a = numbered("10.1.0.0", i), b = numbered("2001:db8:1::", i);

		assert_int_equal(neighbor_set_static(bed.a.neighbors, LAN, &a, &mac), 0);
		assert_int_equal(neighbor_set_static(bed.a.neighbors, LAN, &b, &mac), 0);
	}
}

// What control knows of the devices; a device not known spreads packets in turn.
static void open_bed(bool wan_known, bool lan_known, uint32_t affinity) {
	const struct rss *known[2] = {wan_known ? &bed.rss[WAN] : NULL,
				      lan_known ? &bed.rss[LAN] : NULL};
	struct rte_mempool *pools[WORKERS] = {bed.pool, bed.pool, bed.pool, bed.pool};
	struct appliance_settings s = {.port_macs = macs,
				       .pools = pools,
				       .hugepages = HUGEPAGES_OFF,
				       .ring_size = 64,
				       .secret = 5};
	struct config_report report = {0};
	struct dataplane *dp = &bed.a.dp;
	struct error err;

	assert_int_equal(config_parse(&bed.config, "test", config_text, strlen(config_text), NULL,
				      &report),
			 0);
	config_report_fini(&report);
	assert_int_equal(appliance_create(&bed.a, bed.config, &s, &err), 0);
	for (uint16_t p = 0; p < 2; p++)
		for (uint16_t w = 0; w < WORKERS; w++)
			dp->sender[p][w] = w;
	dp->io = (struct worker_io){.send = send_frames, .ctx = &bed};
	set_neighbors();
	for (uint8_t family = 4; family <= 6; family += 2) {
		put_service(family, affinity, MODEL_UDP);
		put_service(family, affinity, MODEL_TCP);
	}
	assert_int_equal(appliance_apply(&bed.a, 1000), 1);
	bed.no_rss[WAN] = !wan_known;
	bed.no_rss[LAN] = !lan_known;
	if (wan_known || lan_known) {
		assert_int_equal(appliance_set_rss(&bed.a, known), 0);
		assert_int_equal(appliance_apply(&bed.a, 1000), 1);
	}
	for (uint16_t i = 0; i < WORKERS; i++)
		worker_tick(bed.a.workers[i], publish_read(bed.a.publish), 1000);
}

static void close_bed(void) {
	appliance_destroy(&bed.a);
	config_destroy(bed.config);
	assert_int_equal(rte_mempool_in_use_count(bed.pool), 0);
}

// --- conversations ---

// A client's packet at that worker reaches a backend; what it got comes back.
static struct tuple request(uint8_t family, uint32_t client, uint16_t worker, uint8_t options) {
	struct ip_addr from = client_of(family, client), vip = vip_of(family);
	struct frame f = frame_of(WAN, &from, 4000, &vip, 80, options);
	struct tuple t;

	receive(WAN, &f, worker == WORKERS ? receiver_of(WAN, &f) : worker);
	assert_int_equal(bed.n_out, 1);
	assert_int_equal(bed.out[0].port, LAN);
	t = tuple_of(&bed.out[0]);
	assert_int_equal(t.dst_port, 8080);
	assert_true(t.src_port >= 1024);
	return t;
}

// The backend's answer, come in at a port and a worker, reaches the client.
static void answer(const struct tuple *got, uint32_t client, uint16_t port, uint16_t worker) {
	struct frame f = frame_of(port, &got->dst, got->dst_port, &got->src, got->src_port, 0);
	struct ip_addr to = client_of(got->src.family, client), vip = vip_of(got->src.family);
	struct tuple t;

	receive(port, &f, worker == WORKERS ? receiver_of(port, &f) : worker);
	assert_int_equal(bed.n_out, 1);
	assert_int_equal(bed.out[0].port, WAN);
	t = tuple_of(&bed.out[0]);
	assert_true(ip_addr_eq(&t.dst, &to) && ip_addr_eq(&t.src, &vip));
	assert_int_equal(t.dst_port, 4000);
	assert_int_equal(t.src_port, 80);
}

#define BY_RSS WORKERS

static void talk_all(uint64_t *in, uint64_t *back) {
	*in = *back = 0;
	for (uint32_t i = 0; i < 2 * CLIENTS; i++) {
		uint8_t family = i & 1 ? 6 : 4;
		uint64_t before = handed_over(), between;
		struct tuple got = request(family, i, BY_RSS, 0);

		between = handed_over();
		answer(&got, i, LAN, BY_RSS);
		request(family, i, BY_RSS, 0);
		*in += between - before;
		*back += handed_over() - between;
	}
}

static uint64_t flows_of(uint16_t worker) {
	const struct flow_stats *s = flow_stats(bed.a.workers[worker]->flows);

	return s->flows[0] + s->flows[1];
}

static void between_equal_devices_nothing_is_handed_over(void **state) {
	uint64_t in, back;

	set_device(WAN, 1, 128);
	set_device(LAN, 1, 128);
	open_bed(true, true, 0);
	assert_non_null(publish_read(bed.a.publish)->rss_in);
	talk_all(&in, &back);
	assert_int_equal(in + back, 0);
	for (uint16_t i = 0; i < WORKERS; i++)
		assert_in_range(flows_of(i), 2 * CLIENTS / WORKERS / 2, 2 * CLIENTS);
	close_bed();
}

static void answers_are_not_handed_over_where_only_their_device_is_known(void **state) {
	set_device(LAN, 2, 64);
	open_bed(false, true, 0);
	for (uint32_t i = 0; i < 2 * CLIENTS; i++) {
		struct tuple got = request(i & 1 ? 6 : 4, i, BY_RSS, 0);
		uint64_t before = handed_over();

		answer(&got, i, LAN, BY_RSS);
		assert_int_equal(handed_over(), before);
	}
	assert_true(handed_over() > CLIENTS); // on the way in
	close_bed();
}

static void devices_that_differ_keep_the_clients_hash_on_the_way_in(void **state) {
	uint64_t in, back;

	set_device(WAN, 3, 128);
	set_device(LAN, 4, 512);
	open_bed(true, true, 0);
	assert_null(publish_read(bed.a.publish)->rss_in);
	talk_all(&in, &back);
	assert_true(in > 0);
	close_bed();
}

static void without_known_rss_slices_serve(void **state) {
	uint64_t in, back;

	open_bed(false, false, 0);
	talk_all(&in, &back);
	assert_true(in > 0 && back > 0);
	close_bed();
}

static void affinity_keeps_its_owner_and_answers_come_to_it(void **state) {
	set_device(WAN, 5, 128);
	set_device(LAN, 5, 128);
	open_bed(true, true, 60);
	for (uint32_t i = 0; i < 2 * CLIENTS; i++) {
		struct tuple got = request(i & 1 ? 6 : 4, i, BY_RSS, 0);
		uint64_t before = handed_over();

		answer(&got, i, LAN, BY_RSS);
		assert_int_equal(handed_over(), before);
	}
	close_bed();
}

// Another port, another worker, or a device that does not do what it says: the owner still gets them.
static void answers_that_come_elsewhere_find_their_flow(void **state) {
	set_device(WAN, 6, 128);
	set_device(LAN, 6, 128);
	open_bed(true, true, 0);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct tuple got = request(i & 1 ? 6 : 4, i, BY_RSS, 0);

		for (uint16_t w = 0; w < WORKERS; w++) {
			answer(&got, i, LAN, w);
			answer(&got, i, WAN, w);
		}
	}
	assert_int_equal(handed_over(), (uint64_t)CLIENTS * 2 * (WORKERS - 1));
	close_bed();
}

// A device that looks for ports behind no options gives such packets to any worker.
static void packets_with_options_belong_to_the_flow_of_those_without(void **state) {
	set_device(WAN, 7, 128);
	set_device(LAN, 7, 128);
	open_bed(true, true, 0);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct tuple plain = request(i & 1 ? 6 : 4, i, BY_RSS, 0);

		for (uint16_t w = 0; w < WORKERS; w++) {
			struct tuple odd = request(i & 1 ? 6 : 4, i, w, 8);

			assert_memory_equal(&odd.src, &plain.src, sizeof(odd.src));
			assert_int_equal(odd.src_port, plain.src_port);
		}
	}
	close_bed();
}

#define SYN 0x02
#define ACK 0x10

static struct tuple segment(uint32_t client, uint8_t flags, uint16_t worker) {
	struct ip_addr from = client_of(client & 1 ? 6 : 4, client), vip = vip_of(from.family);
	struct frame f = frame_tcp(WAN, &from, 4000, &vip, 80, flags);

	receive(WAN, &f, worker == BY_RSS ? receiver_of(WAN, &f) : worker);
	assert_int_equal(bed.n_out, 1);
	return tuple_of(&bed.out[0]);
}

// A damaged packet, for instance, whose ports the device did not hash: no reset for a connection that is known elsewhere.
static void a_segment_at_the_wrong_worker_finds_its_connection(void **state) {
	set_device(WAN, 8, 128);
	set_device(LAN, 8, 128);
	open_bed(true, true, 0);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct tuple first = segment(i, SYN, BY_RSS);

		assert_int_equal(bed.out[0].port, LAN);
		for (uint16_t w = 0; w < WORKERS; w++) {
			struct tuple t = segment(i, ACK, w);

			assert_int_equal(bed.out[0].port, LAN);
			assert_memory_equal(&t, &first, sizeof(t));
		}
		for (uint16_t w = 0; w < WORKERS; w++) {
			segment(i + CLIENTS, ACK, w); // known nowhere: reset
			assert_int_equal(bed.out[0].port, WAN);
		}
	}
	close_bed();
}

static int start(void **state) {
	struct error err;

	if (eal_init_replay(256, &err) < 0)
		return -1;
	bed.pool = rte_pktmbuf_pool_create("test", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					   SOCKET_ID_ANY);
	return bed.pool == NULL ? -1 : 0;
}

static int stop(void **state) {
	rte_mempool_free(bed.pool);
	eal_fini();
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_equal_devices_nothing_is_handed_over),
		cmocka_unit_test(answers_are_not_handed_over_where_only_their_device_is_known),
		cmocka_unit_test(devices_that_differ_keep_the_clients_hash_on_the_way_in),
		cmocka_unit_test(without_known_rss_slices_serve),
		cmocka_unit_test(affinity_keeps_its_owner_and_answers_come_to_it),
		cmocka_unit_test(answers_that_come_elsewhere_find_their_flow),
		cmocka_unit_test(packets_with_options_belong_to_the_flow_of_those_without),
		cmocka_unit_test(a_segment_at_the_wrong_worker_finds_its_connection),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
