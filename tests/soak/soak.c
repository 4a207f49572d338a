// SPDX-License-Identifier: Apache-2.0
// sluice-soak [SECONDS]: workers on threads of their own at full rate, tables that change every 10 ms, and at the end everything counted.
//
//     players -> receive -> worker_run() x 2 -> send -> players        wan (port 0) clients, lan (port 1) backends
//     this thread: another set of backends for a service every 10 ms; then all workers stop
//     each flow that a steady backend has must still be there, in both directions; then all expire, and nothing may be left
//
// Worker 1 has no transmit queue on lan, half of the NAT flows arrive at the wrong worker: rings carry much of it and drop when
// they are full, which is not a loss of the flow. Prints TAP.
#include <errno.h>
#include <rte_launch.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "players.h"
#include "port/eal.h"

#define MBUFS 16383
#define CHANGE_MS 10
#define END_MS 2000000 // later than any timeout

struct soak {
	struct config *config;
	struct appliance appliance;
	struct players players;
	uint64_t changes, random;
	int failed, tests;
};

static struct soak soak;

static void check(bool ok, const char *claim) {
	soak.tests++;
	soak.failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", soak.tests, claim);
}

static uint64_t now_ms(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- the appliance ---

static uint16_t receive_packets(void *ctx, struct worker *w, uint16_t port, uint16_t queue,
				struct rte_mbuf **m, uint16_t n) {
	(void)queue;
	return players_make(ctx, w->id, port, m, n);
}

static uint16_t send_packets(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			     uint16_t n) {
	players_take(ctx, w->id, port, m, n);
	return n;
}

static int read_config(void) {
	struct config_report report = {0};
	char text[4096];
	int n = snprintf(
		text, sizeof(text),
		"apiVersion: sluice.dev/v1alpha1\nkind: SluiceConfiguration\n"
		"dataplane: {workers: %d, memoryMiB: 4096, flowsPerWorker: 131072, idle: pause, "
		"timeouts: {tcpEstablished: 60, udpStream: 60, sctpEstablished: 60}}\n"
		"ports:\n"
		"- {name: wan, device: net_null0, addresses: [192.0.2.2/24]}\n"
		"- {name: lan, device: net_null1, addresses: [10.1.255.1/16]}\n"
		"routes: [{prefix: 0.0.0.0/0, via: 192.0.2.254}]\n"
		"services: {manifests: none, snatAddresses: [10.1.255.10]}\n"
		"neighbors:\n- {address: 192.0.2.254, mac: \"02:00:00:00:01:fe\"}\n",
		PLAYERS);
	int ret;

	for (int i = 1; i <= BACKENDS; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "- {address: 10.1.0.%d, mac: \"02:00:00:00:02:%02x\"}\n", i, i);
	ret = config_parse(&soak.config, "soak", text, (size_t)n, NULL, &report);
	appliance_print_report(&report);
	config_report_fini(&report);
	return ret;
}

static int put_service(uint32_t service, uint32_t mask) {
	struct model_frontend frontend = {.port = 80};
	struct model_backend backends[BACKENDS];
	struct model_service s = {.mode = (uint8_t)players_mode(service),
				  .n_frontends = 1,
				  .frontends = &frontend,
				  .backends = backends};
	char text[32];

	snprintf(text, sizeof(text), "203.0.113.%u", service + 1);
	ip_addr_parse(&frontend.addr, text);
	for (uint32_t i = 0; i < BACKENDS; i++) {
		struct model_backend *b = &backends[s.n_backends];

		if (!(mask & 1u << i))
			continue;
		*b = (struct model_backend){.port = s.mode == MODEL_DSR
							    ? 80
							    : (uint16_t)(8080 + service),
					    .state = MODEL_READY,
					    .usable = 1,
					    .weight = 1};
		snprintf(text, sizeof(text), "10.1.0.%u", i + 1);
		ip_addr_parse(&b->addr, text);
		s.n_backends++;
	}
	snprintf(s.key.ns, sizeof(s.key.ns), "soak");
	snprintf(s.key.name, sizeof(s.key.name), "service-%u", service);
	s.key.port = 80;
	s.key.protocol = players_protocol(service) == 6 ? MODEL_TCP : MODEL_UDP;
	return model_put(soak.appliance.model, &s);
}

static int start(struct error *err) {
	const struct mac_addr macs[2] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};
	struct rte_mempool *pools[PLAYERS];
	struct appliance_settings s = {.port_macs = macs,
				       .pools = pools,
				       .hugepages = HUGEPAGES_OFF,
				       .readers = PLAYERS,
				       .ring_size = 2048,
				       .secret = 0x736f616b};
	unsigned cpus[PLAYERS], control = 0;
	struct eal_settings e = {.worker_cpus = cpus,
				 .control_cpus = &control,
				 .n_workers = PLAYERS,
				 .n_control_cpus = 1,
				 .hugepages = HUGEPAGES_OFF,
				 .memory_mib = 96};
	struct dataplane *dp = &soak.appliance.dp;
	cpu_set_t mine;
	unsigned n = 0;
	int ret;

	sched_getaffinity(0, sizeof(mine), &mine);
	for (unsigned c = 0; c < CPU_SETSIZE && n < PLAYERS; c++)
		if (CPU_ISSET(c, &mine))
			cpus[n++] = c;
	control = cpus[0];
	for (; n < PLAYERS; n++)
		cpus[n] = cpus[0];
	ret = eal_init(&e, NULL, err);
	if (ret < 0)
		return ret;
	soak.players.pool = rte_pktmbuf_pool_create("soak", MBUFS, 128, 0,
						    RTE_PKTMBUF_HEADROOM + 256, SOCKET_ID_ANY);
	if (soak.players.pool == NULL)
		return error_set(err, -ENOMEM, "out of memory for packets");
	for (n = 0; n < PLAYERS; n++)
		pools[n] = soak.players.pool;
	ret = appliance_create(&soak.appliance, soak.config, &s, err);
	if (ret < 0)
		return ret;
	for (uint16_t w = 0; w < PLAYERS; w++) {
		struct worker *worker = soak.appliance.workers[w];

		dp->sender[0][w] = w;
		dp->sender[1][w] = 0;
		worker->queues[worker->n_queues++] = (struct worker_queue){0, w};
		worker->queues[worker->n_queues++] = (struct worker_queue){1, w};
	}
	dp->io = (struct worker_io){.send = send_packets,
				    .receive = receive_packets,
				    .ctx = &soak.players};
	return 0;
}

// --- running ---

static int change(uint32_t service, uint32_t mask) {
	int ret = put_service(service, mask);

	if (ret >= 0)
		ret = appliance_apply(&soak.appliance, now_ms());
	soak.changes += ret > 0;
	appliance_step(&soak.appliance, now_ms());
	return ret;
}

static int run(unsigned seconds) {
	const uint32_t steady = (1u << STEADY) - 1;
	struct timespec pause = {.tv_nsec = CHANGE_MS * 1000000};
	uint64_t end = now_ms() + seconds * 1000ull;
	int ret = 0;

	for (uint32_t i = 0; i < SERVICES && ret >= 0; i++)
		ret = change(i, (1u << BACKENDS) - 1);
	for (unsigned i = 0; i < PLAYERS && ret >= 0; i++)
		ret = rte_eal_remote_launch(worker_run, soak.appliance.workers[i], i + 1);
	while (ret >= 0 && now_ms() < end) {
		soak.random = soak.random * 6364136223846793005u + 1442695040888963407u;
		ret = change((uint32_t)(soak.random >> 33) % SERVICES,
			     steady | (uint32_t)(soak.random >> 40 & 0xff) << STEADY);
		nanosleep(&pause, NULL);
	}
	__atomic_store_n(&soak.appliance.dp.stop, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	return ret;
}

// --- the end, in this thread ---

static void settle(void) {
	uint32_t n;

	for (int i = 0; i < PLAYERS; i++)
		worker_flush(soak.appliance.workers[i]);
	do {
		n = 0;
		for (int i = 0; i < PLAYERS; i++) {
			n += worker_chores(soak.appliance.workers[i],
					   publish_read(soak.appliance.publish));
			worker_flush(soak.appliance.workers[i]);
		}
	} while (n > 0);
}

static uint64_t sum_drops(enum reason r) {
	uint64_t n = 0;

	for (int i = 0; i < PLAYERS; i++)
		n += soak.appliance.workers[i]->counters.drops[r];
	return n;
}

// Each flow of a steady backend, one by one, both ways.
static void check_flows(void) {
	uint64_t said = 0, heard = 0, steady = 0;
	struct players *p = &soak.players;

	for (uint32_t i = 0; i < PLAYERS; i++)
		heard -= p->seen[i].steady_left;
	for (uint32_t flow = 0; flow < PLAYERS * CLIENTS; flow++) {
		uint16_t player = (uint16_t)(flow / CLIENTS);

		if (!players_is_steady(p, flow))
			continue;
		steady++;
		for (uint16_t port = 0; port < 2; port++) {
			struct rte_mbuf *m = players_packet(p, player, port, flow % CLIENTS);

			if (m == NULL)
				continue;
			said++;
			worker_burst(soak.appliance.workers[player],
				     publish_read(soak.appliance.publish), &m, 1, false);
			settle();
		}
	}
	for (uint32_t i = 0; i < PLAYERS; i++)
		heard += p->seen[i].steady_left;
	printf("# %lu flows have a steady backend; %lu packets of theirs sent, %lu arrived\n",
	       steady, said, heard);
	check(steady > PLAYERS * CLIENTS / 4 && said == heard,
	      "each tracked flow is there at the end, both ways");
}

static void check_run(unsigned seconds) {
	uint64_t made = 0, left = 0, marked = 0, arrived = 0, moved = 0, reset = 0, foreign = 0;
	uint64_t rings = sum_drops(REASON_HANDOVER_FULL);
	const struct players *p = &soak.players;

	for (int i = 0; i < PLAYERS; i++) {
		made += p->player[i].made;
		marked += p->player[i].steady_made;
		left += p->seen[i].left;
		arrived += p->seen[i].steady_left;
		moved += p->seen[i].moved;
		reset += p->seen[i].reset;
		foreign += p->seen[i].foreign;
	}
	printf("# %lu packets in %u s, %lu left; %lu changes of the tables; full rings dropped %lu\n",
	       made, seconds, left, soak.changes, rings);
	for (int r = 1; r < REASON_DROPS; r++)
		if (sum_drops((enum reason)r) > 0)
			printf("# %s %lu\n", reason_name((enum reason)r),
			       sum_drops((enum reason)r));
	check(soak.changes >= seconds * 10, "the tables changed all the time");
	check(moved == 0, "no packet of a steady backend's flow went elsewhere");
	check(reset == 0, "no flow of a steady backend was reset");
	check(foreign == 0, "nothing left that nobody sent");
	check(marked - arrived <= rings,
	      "only full rings cost packets of a steady backend's flows");
}

static void check_leaks(void) {
	const struct tables *t = publish_read(soak.appliance.publish);
	bool entries = true;

	for (int i = 0; i < PLAYERS; i++) {
		struct worker *w = soak.appliance.workers[i];
		const struct flow_stats *s = flow_stats(w->flows);

		printf("# worker %d: %lu flows made, %lu at the end\n", i, s->created, s->flows[0]);
		worker_tick(w, t, w->now_ms + END_MS);
		entries &= s->flows[0] == 0 && s->flows[1] == 0 && s->half_open == 0 &&
			   s->created == s->removed;
		for (uint32_t b = 0; b < TABLES_MAX_BACKENDS; b++)
			entries &= flow_count_of(w->flows, b) == 0;
	}
	check(entries, "no entry is left once all have expired");
	check(publish_poll(soak.appliance.publish) == 0, "no table waits to be freed");
	dataplane_disconnect(&soak.appliance.dp);
	check(rte_mempool_avail_count(soak.players.pool) == MBUFS, "every packet buffer is back");
}

int main(int argc, char **argv) {
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 30;
	struct error err = {""};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (seconds == 0 || read_config() < 0 || start(&err) < 0) {
		fprintf(stderr, "sluice-soak [SECONDS]: %s\n", err.text);
		return EXIT_FAILURE;
	}
	check(run(seconds) >= 0, "the workers ran to the end");
	settle();
	check_run(seconds);
	check_flows();
	check_leaks();
	printf("1..%d\n", soak.tests);
	appliance_destroy(&soak.appliance);
	config_destroy(soak.config);
	eal_fini();
	return soak.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
