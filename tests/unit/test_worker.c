// SPDX-License-Identifier: Apache-2.0
// Workers under load, at rest and at the end: nobody blocks, everybody is served, everything comes back.
#include "worker_fixture.h"

#include <sys/eventfd.h>
#include <unistd.h>

// --- between workers ---

// A client whose flow that worker owns, from number `from` on.
static uint32_t client_of(const struct bed *b, uint16_t worker, uint32_t from) {
	for (uint32_t i = from;; i++) {
		uint32_t addr[4] = {rte_cpu_to_be_32(0xc6330000u + (i >> 14))};

		if (tables_owner(bed_tables(b), 4, addr,
				 rte_cpu_to_be_16((uint16_t)(1024 + (i & 0x3fff))),
				 false) == worker)
			return i;
	}
}

static void a_stalled_worker_costs_its_own_packets_by_name_and_blocks_nobody(void **state) {
	const uint32_t ring = 63; // of 64 slots
	struct rte_mbuf *m[BURST];
	uint32_t own = 0, others = 0;
	struct bed b;

	bed_init(&b, 2);
	bed_serve(&b, MODEL_DNAT, 17, 0xff);
	for (int burst = 0; burst < 20; burst++) {
		for (int i = 0; i < BURST; i++) {
			bool mine = i % 2;

			if (mine)
				m[i] = client_packet(&b, own = client_of(&b, 0, own + 1), 17, 0);
			else
				m[i] = client_packet(&b, others = client_of(&b, 1, others + 1), 17,
						     0);
		}
		bed_burst(&b, 0, m, BURST);
	}
	assert_int_equal(b.n_sent, 320);
	assert_int_equal(dropped(&b, 0, REASON_HANDOVER_FULL), 320 - ring);
	assert_int_equal(b.appliance.workers[0]->counters.handed_over, ring);
	worker_chores(b.appliance.workers[1], bed_tables(&b)); // it is back
	worker_chores(b.appliance.workers[1], bed_tables(&b));
	worker_flush(b.appliance.workers[1]);
	assert_int_equal(b.n_sent, 320 + ring);
	bed_fini(&b);
}

static void packets_ready_to_leave_are_taken_from_another_worker_as_fast_as_it_makes_them(
	void **state) {
	struct rte_mbuf *m[BURST];
	uint32_t next = 0;
	struct bed b;

	bed_init(&b, 2);
	bed_serve(&b, MODEL_DNAT, 17, 0xff);
	b.appliance.dp.sender[1][1] = 0; // worker 1 has no queue on lan
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < BURST; i++)
			m[i] = client_packet(&b, next = client_of(&b, 1, next + 1), 17, 0);
		bed_burst(&b, 1, m, BURST);
		if (round % 2) // worker 0 is half as fast
			worker_chores(b.appliance.workers[0], bed_tables(&b));
		worker_flush(b.appliance.workers[0]);
	}
	assert_int_equal(dropped(&b, 1, REASON_HANDOVER_FULL),
			 20 / 2); // each time the 64th finds 63 slots
	assert_int_equal(b.n_sent, 20 * BURST - 20 / 2);
	assert_int_equal(b.appliance.workers[0]->counters.tx_packets, b.n_sent);
	assert_int_equal(b.appliance.workers[1]->counters.tx_packets, 0);
	bed_fini(&b);
}

static uint16_t flood(struct bed *b, struct rte_mbuf **m) {
	for (int i = 0; i < BURST; i++)
		m[i] = client_packet(b, b->polls * BURST + (uint32_t)i, 17, 0);
	return BURST;
}

static void rings_and_commands_are_served_under_a_flood(void **state) {
	struct command ask = {.type = COMMAND_REQUEST, .request = {.port = 1}};
	struct rte_mbuf *m[BURST];
	uint32_t moved = 0, requests = 0, next = 0;
	struct worker *w;
	struct bed b;

	bed_init(&b, 2);
	bed_serve(&b, MODEL_DNAT, 17, 0xff);
	w = b.appliance.workers[1];
	for (int i = 0; i < BURST; i++)
		m[i] = client_packet(&b, next = client_of(&b, 1, next + 1), 17, 0);
	bed_burst(&b, 0, m, BURST);
	assert_int_equal(b.n_sent, 0);
	ip_addr_parse(&ask.request.target, "10.1.0.200");
	for (int i = 0; i < 3; i++)
		assert_true(worker_command(w, &ask));
	w->queues[w->n_queues++] = (struct worker_queue){0, 0};
	b.poll = flood;
	b.stop_after = 1; // one loop
	worker_run(w);
	for (uint32_t i = 0; i < b.n_sent; i++) {
		requests += get16(b.sent[i].frame + 12) == 0x0806;
		moved += b.sent[i].port == 1 && get16(b.sent[i].frame + 12) == 0x0800;
	}
	assert_int_equal(requests, 3);
	assert_true(rte_ring_empty(w->in[0]));
	assert_in_range(moved, BURST, 2 * BURST);
	bed_fini(&b);
}

// --- rest ---

static uint32_t naps[64], n_naps;
static uint64_t retired;

static void note_retired(void *arg) {
	retired++;
}

static void note_nap(struct bed *b, struct worker *w, uint32_t us) {
	if (n_naps < 64)
		naps[n_naps] = us;
	n_naps++;
	publish_retire(b->appliance.publish, note_retired, NULL);
	publish_poll(b->appliance.publish);
}

static uint16_t packet_at_300(struct bed *b, struct rte_mbuf **m) {
	if (b->polls != 300)
		return 0;
	m[0] = client_packet(b, 1, 17, 0);
	return 1;
}

static void sleeps_grow_to_500_us_and_begin_anew_with_a_packet(void **state) {
	static const uint32_t steps[] = {8, 16, 32, 64, 128, 256, 500, 500};
	struct worker *w;
	struct bed b;

	bed_init(&b, 1);
	bed_serve(&b, MODEL_DNAT, 17, 0xff);
	w = b.appliance.workers[0];
	w->queues[w->n_queues++] = (struct worker_queue){0, 0};
	b.poll = packet_at_300;
	b.sleep = note_nap;
	b.stop_after = 301 + 256 + 4;
	n_naps = 0;
	retired = 0;
	worker_run(w);
	// Polls 0-255 spin, 256-299 sleep, 300 is the packet, 301-556 spin, 557-560 sleep.
	assert_int_equal(n_naps, 44 + 4);
	for (uint32_t i = 0; i < 44; i++)
		assert_int_equal(naps[i], steps[i < 7 ? i : 7]);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(naps[44 + i], steps[i]);
	assert_int_equal(retired, n_naps); // no grace period waits for a sleeper
	bed_fini(&b);
}

static void wake_and_command(struct bed *b, struct worker *w, uint32_t us) {
	struct command ask = {.type = COMMAND_REQUEST, .request = {.port = 1}};
	uint64_t count = 0;

	ip_addr_parse(&ask.request.target, "10.1.0.200");
	assert_true(worker_command(w, &ask));
	assert_true(worker_command(w, &ask));
	assert_int_equal(read(w->wake_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1); // a system call for the first, none for the second
	b->appliance.dp.stop = true;
}

static void a_command_wakes_a_sleeper_once(void **state) {
	struct worker *w;
	struct bed b;

	bed_init(&b, 1);
	w = b.appliance.workers[0];
	w->wake_fd = eventfd(0, EFD_NONBLOCK);
	w->queues[w->n_queues++] = (struct worker_queue){0, 0};
	b.sleep = wake_and_command;
	b.stop_after = UINT32_MAX;
	worker_run(w);
	assert_false(w->asleep);
	close(w->wake_fd);
	bed_fini(&b);
}

// --- bounds ---

static void packets_that_wait_for_a_neighbor_are_bounded_in_all_and_for_each(void **state) {
	struct rte_mbuf *m;
	struct bed b;

	bed_init(&b, 1);
	bed_serve(&b, MODEL_DNAT, 17, 0x01);
	for (uint32_t i = 0; i < 400;
	     i++) { // answers of the backend to clients on wan's subnet that nobody has heard of
		struct l4 p = {.port = 0,
			       .src = 0xc0000264u + i % 20,
			       .dst = VIP,
			       .src_port = (uint16_t)(2000 + i),
			       .dst_port = 80,
			       .protocol = 17};
		struct l4 back = {.port = 1,
				  .src = 0x0a010001,
				  .dst = p.src,
				  .src_port = 8080,
				  .dst_port = p.src_port,
				  .protocol = 17};

		assert_non_null(bed_one(&b, 0, packet_of(&b, &p)));
		m = packet_of(&b, &back);
		assert_null(bed_one(&b, 0, m));
	}
	assert_int_equal(b.appliance.workers[0]->n_held, WORKER_HOLD);
	assert_int_equal(dropped(&b, 0, REASON_NEIGHBOR_QUEUE), 400 - WORKER_HOLD);
	bed_sleep(&b, WORKER_HOLD_MS + 1);
	assert_int_equal(b.appliance.workers[0]->n_held, 0);
	assert_int_equal(dropped(&b, 0, REASON_NEIGHBOR_UNRESOLVED), WORKER_HOLD);
	assert_int_equal(rte_mempool_avail_count(b.pool), MBUFS);
	bed_fini(&b);
}

static struct rte_mbuf *arp_answer(struct bed *b, uint32_t who) {
	struct rte_mbuf *m = frame_of(b, 0);
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);

	memcpy(f, (const uint8_t[]){2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 7, 7, 8, 6,
				    0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 7, 7},
	       28);
	put32(f + 28, who);
	memcpy(f + 32, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	put32(f + 38, 0xc0000202); // to 192.0.2.2
	return m;
}

static void a_neighbor_is_heard_while_packets_for_unknown_hosts_flood_control(void **state) {
	const uint32_t asked = 0xc0000264; // 192.0.2.100
	uint32_t heard = 0;
	struct event e;
	struct bed b;

	bed_init(&b, 1);
	bed_serve(&b, MODEL_DNAT, 17, 0x01);
	for (uint32_t i = 0; i < 2 * WORKER_EVENTS; i++) {
		struct l4 p = {.src = 0xc0000264u + i % 100,
			       .dst = VIP,
			       .src_port = (uint16_t)(2000 + i),
			       .dst_port = 80,
			       .protocol = 17};
		struct l4 back = {.port = 1,
				  .src = 0x0a010001,
				  .dst = p.src,
				  .src_port = 8080,
				  .dst_port = p.src_port,
				  .protocol = 17};

		bed_one(&b, 0, packet_of(&b, &p));
		bed_one(&b, 0, packet_of(&b, &back));
	}
	bed_one(&b, 0, arp_answer(&b, asked));
	while (spsc_pop(b.appliance.workers[0]->events, &e))
		heard += e.type == EVENT_HEARD && e.answer;
	assert_int_equal(heard, 1);
	bed_fini(&b);
}

// --- flows ---

static void two_packets_of_one_new_flow_in_a_burst_make_one_entry(void **state) {
	static const enum model_mode modes[] = {MODEL_DSR, MODEL_DNAT, MODEL_FULLNAT};

	for (int i = 0; i < 3; i++) {
		struct rte_mbuf *m[3];
		struct bed b;

		bed_init(&b, 1);
		bed_serve(&b, modes[i], 17, 0xff);
		for (int j = 0; j < 3; j++)
			m[j] = client_packet(&b, 7, 17, 0);
		bed_burst(&b, 0, m, 3);
		assert_int_equal(flows_of(&b, 0), 1);
		assert_int_equal(b.n_sent, 3);
		assert_memory_equal(b.sent[0].frame, b.sent[1].frame, 38); // MACs, addresses, ports
		assert_memory_equal(b.sent[0].frame, b.sent[2].frame, 38);
		bed_fini(&b);
	}
}

static uint64_t fill_ports(struct bed *b, uint32_t first, uint32_t n) {
	struct rte_mbuf *m[BURST];
	uint64_t before = flows_of(b, 0);

	for (uint32_t i = 0; i < n; i += BURST) {
		for (uint32_t j = 0; j < BURST; j++)
			m[j] = client_packet(b, first + i + j, 17, 0);
		bed_burst(b, 0, m, BURST);
	}
	return flows_of(b, 0) - before;
}

static void everything_is_back_once_all_flows_have_expired(void **state) {
	const uint32_t ports = 65536 - FLOW_FIRST_PORT;
	const struct flow_stats *s;
	struct bed b;

	bed_init(&b, 1);
	bed_serve(&b, MODEL_FULLNAT, 17, 0x01);
	s = flow_stats(b.appliance.workers[0]->flows);
	for (uint32_t round = 0; round < 3; round++) {
		uint64_t exhausted = dropped(&b, 0, REASON_SNAT_EXHAUSTED);

		assert_in_range(fill_ports(&b, round * 100000, ports + 64), ports - ports / 100,
				ports);
		assert_in_range(dropped(&b, 0, REASON_SNAT_EXHAUSTED) - exhausted, 64,
				64 + ports / 100);
		for (int i = 0; i < 100;
		     i++) // udp: 30 s; a pass over the table: 4 s; a port rests for 60 s
			bed_sleep(&b, 1000);
		assert_int_equal(flows_of(&b, 0), 0);
		assert_int_equal(s->half_open, 0);
		assert_int_equal(s->created, s->removed);
		assert_int_equal(flow_count_of(b.appliance.workers[0]->flows, 0), 0);
		assert_int_equal(rte_mempool_avail_count(b.pool), MBUFS);
	}
	bed_fini(&b);
}

#define CLIENTS 512

static void changes_of_the_tables_under_traffic_lose_no_tracked_flow(void **state) {
	static const enum model_mode modes[] = {MODEL_DSR, MODEL_DNAT, MODEL_FULLNAT};
	static uint8_t first[CLIENTS][64];

	for (int mode = 0; mode < 3; mode++) {
		uint32_t lost = 0;
		struct bed b;

		bed_init(&b, 1);
		bed_serve(&b, modes[mode], 17, 0x0f); // 1 to 4 stay
		for (uint32_t i = 0; i < CLIENTS; i++) {
			bed_one(&b, 0, client_packet(&b, i, 17, 0));
			assert_int_equal(b.n_sent, 1);
			memcpy(first[i], b.sent[0].frame, 64);
		}
		for (uint32_t change = 0; change < 60; change++) {
			bed_serve(&b, modes[mode], 17, 0x0f | (change * 37 & 0xf0));
			appliance_step(&b.appliance, b.ms);
			bed_sleep(&b, 10);
			for (uint32_t i = change % 8; i < CLIENTS; i += 8) {
				const struct sent *s = bed_one(&b, 0, client_packet(&b, i, 17, 0));

				lost += s == NULL || memcmp(s->frame, first[i], 38) != 0;
			}
		}
		assert_int_equal(lost, 0);
		assert_int_equal(flows_of(&b, 0), CLIENTS);
		bed_fini(&b);
	}
}

// To the SNAT address and port that a client's packet was sent on with.
static struct rte_mbuf *answer_to(struct bed *b, const uint8_t *frame) {
	const struct l4 p = {.port = 1,
			     .src = get32(frame + 30),
			     .dst = get32(frame + 26),
			     .src_port = get16(frame + 36),
			     .dst_port = get16(frame + 34),
			     .protocol = frame[23],
			     .flags = ACK};

	return packet_of(b, &p);
}

// From the third on the snat entry vouches for their flow.
static void answers_are_the_same_until_their_backend_ends_and_then_none(void **state) {
	uint8_t request[64], first[64];
	struct rte_mbuf *m[3];
	struct bed b;

	bed_init(&b, 1);
	bed_serve(&b, MODEL_FULLNAT, 17, 0x01);
	bed_serve_at(&b, "other", "203.0.113.2", MODEL_FULLNAT, 17, 0x01);
	bed_one(&b, 0, client_packet(&b, 7, 17, 0));
	assert_int_equal(b.n_sent, 1);
	memcpy(request, b.sent[0].frame, 64);
	assert_non_null(bed_one(&b, 0, answer_to(&b, request)));
	memcpy(first, b.sent[0].frame, 64);
	assert_int_equal(get32(first + 26), VIP);
	for (int i = 0; i < 3; i++)
		m[i] = answer_to(&b, request);
	b.n_sent = 0;
	bed_burst(&b, 0, m, 3);
	assert_int_equal(b.n_sent, 3);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(b.sent[i].frame, first, 64);
	bed_serve(&b, MODEL_FULLNAT, 17, 0x02); // the other one leads there as before
	assert_null(bed_one(&b, 0, answer_to(&b, request)));
	assert_int_equal(dropped(&b, 0, REASON_NO_FLOW_REVERSE), 1);
	bed_fini(&b);
}

static void a_stream_of_answers_alone_keeps_its_flow_and_ends_with_it(void **state) {
	uint8_t request[64];
	struct bed b;

	bed_init(&b, 1);
	bed_serve(&b, MODEL_FULLNAT, 17, 0x01);
	bed_one(&b, 0, client_packet(&b, 7, 17, 0));
	assert_int_equal(b.n_sent, 1);
	memcpy(request, b.sent[0].frame, 64);
	for (int s = 0; s < 1000; s++) {
		assert_non_null(bed_one(&b, 0, answer_to(&b, request)));
		bed_sleep(&b, 1000);
	}
	bed_sleep(&b, 115000); // udpStream is 120 s
	assert_int_equal(flows_of(&b, 0), 1);
	for (int s = 0; s < 5 + 5; s++) // and a pass over the table
		bed_sleep(&b, 1000);
	assert_int_equal(flows_of(&b, 0), 0);
	assert_null(bed_one(&b, 0, answer_to(&b, request)));
	bed_fini(&b);
}

static int start(void **state) {
	struct error err;

	return eal_init_replay(128, &err);
}

static int stop(void **state) {
	eal_fini();
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stalled_worker_costs_its_own_packets_by_name_and_blocks_nobody),
		cmocka_unit_test(
			packets_ready_to_leave_are_taken_from_another_worker_as_fast_as_it_makes_them),
		cmocka_unit_test(rings_and_commands_are_served_under_a_flood),
		cmocka_unit_test(sleeps_grow_to_500_us_and_begin_anew_with_a_packet),
		cmocka_unit_test(a_command_wakes_a_sleeper_once),
		cmocka_unit_test(packets_that_wait_for_a_neighbor_are_bounded_in_all_and_for_each),
		cmocka_unit_test(a_neighbor_is_heard_while_packets_for_unknown_hosts_flood_control),
		cmocka_unit_test(two_packets_of_one_new_flow_in_a_burst_make_one_entry),
		cmocka_unit_test(everything_is_back_once_all_flows_have_expired),
		cmocka_unit_test(changes_of_the_tables_under_traffic_lose_no_tracked_flow),
		cmocka_unit_test(answers_are_the_same_until_their_backend_ends_and_then_none),
		cmocka_unit_test(a_stream_of_answers_alone_keeps_its_flow_and_ends_with_it),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
