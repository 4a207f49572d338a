// SPDX-License-Identifier: Apache-2.0
// The loop of a replay, and the ends of the packet path that stand in for devices.
#include "replay.h"

#include <errno.h>
#include <rte_byteorder.h>
#include <stdlib.h>
#include <unistd.h>

#include "port/eal.h"

#define START_MS 1000000u // of the workers' clock at the first packet
#define DATA_ROOM 10240   // the longest frame a port can have, and more
#define SPARE_MBUFS 512   // beside those that may be held
#define RING 64
#define SETTLE 10000 // rounds after one packet; it takes a handful
#define LEAP                                                                                       \
	(UINT64_C(500000) *                                                                        \
	 1000000000) // ns; the clock of entries wraps at 2^20 s, timeouts end at 518,400 s

static uint64_t now_ms(const struct replay *r) {
	return START_MS + (r->now - r->first) / 1000000;
}

// --- the devices' end ---

static uint16_t send_packets(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			     uint16_t n) {
	struct replay *r = ctx;

	for (uint16_t i = 0; i < n; i++) {
		uint64_t trace = worker_trace_get(w->dp, m[i]);

		if (trace < r->decisions.n && r->decisions.items[trace].out < 0)
			r->decisions.items[trace].out = (int64_t)r->report.packets_out;
		capture_write(&r->out[port], r->now, rte_pktmbuf_mtod(m[i], uint8_t *),
			      rte_pktmbuf_data_len(m[i]));
		r->report.packets_out++;
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

static void decide(void *ctx, const struct tables *t, const struct verdict *v) {
	char text[IP_ADDR_STR + 8 + 128];
	struct replay *r = ctx;
	struct decision *d;

	if (v->trace >= r->decisions.n)
		return;
	d = &r->decisions.items[v->trace];
	d->reason = reason_name(v->answer != REASON_NONE ? v->answer : v->reason);
	if (v->service != TABLES_NO_ID) {
		const struct model_key *key = compile_service_key(r->appliance.compile, v->service);

		snprintf(text, sizeof(text), "%s/%s", key->ns, key->name);
		d->service = decisions_intern(&r->decisions, text);
	}
	if (v->backend != TABLES_NO_ID) {
		const struct backend *b = &t->backends[v->backend];
		const struct endpoint *e = &t->endpoints[b->endpoint];

		d->backend = decisions_intern(&r->decisions,
					      ip_port_format(&e->addr, rte_be_to_cpu_16(e->port),
							     text));
	}
}

// --- time and turns ---

static bool work_once(struct replay *r) {
	struct appliance *a = &r->appliance;
	const struct tables *t = publish_read(a->publish);
	uint32_t n = 0;

	for (uint16_t i = 0; i < a->dp.n_workers; i++) {
		n += worker_chores(a->workers[i], t);
		worker_flush(a->workers[i]);
	}
	return appliance_step(a, now_ms(r)) + n > 0;
}

static void settle(struct replay *r) {
	for (int i = 0; i < SETTLE && work_once(r); i++)
		;
	work_once(r); // what the last step of control sent down
}

static void print_report(void *arg, enum manifests_severity severity, const struct error *what) {
	(void)arg;
	fprintf(stderr, "%s%s\n", severity == MANIFESTS_BROKEN ? "" : "note: ", what->text);
}

static int apply_manifests(struct replay *r, const char *path, struct error *err) {
	int ret = appliance_load(&r->appliance, path, print_report, r, now_ms(r));

	if (ret == 0)
		ret = appliance_apply(&r->appliance, now_ms(r));
	return ret < 0 ? error_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

static void tick(struct replay *r, uint64_t time) {
	struct appliance *a = &r->appliance;

	r->now = time;
	for (uint16_t i = 0; i < a->dp.n_workers; i++)
		worker_tick(a->workers[i], publish_read(a->publish), now_ms(r));
}

static int advance(struct replay *r, uint64_t time, struct error *err) {
	int ret = 0;

	// A daemon's workers look at their clock all the time; a capture's silence may last for years. After two leaps all has expired.
	for (int i = 0; i < 2 && time > r->now + LEAP; i++)
		tick(r, r->now + LEAP);
	tick(r, time > r->now ? time : r->now);
	settle(r);
	while (ret == 0 && r->applied < r->options.n_apply &&
	       r->options.apply[r->applied].at <= r->now - r->first) {
		ret = apply_manifests(r, r->options.apply[r->applied++].path, err);
		settle(r);
	}
	return ret;
}

static struct rte_mbuf *frame_of(struct replay *r, const struct capture_in *in) {
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	uint32_t len = in->len < DATA_ROOM ? in->len : DATA_ROOM;

	if (m == NULL)
		return NULL;
	if (len > 0)
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), in->data, len);
	m->port = in->port;
	worker_trace_set(&r->appliance.dp, m, r->decisions.n - 1);
	return m;
}

static int take_packet(struct replay *r, struct capture_in *in, struct error *err) {
	struct worker *w = r->appliance.workers[in->port % r->appliance.dp.n_workers];
	struct rte_mbuf *m;
	int ret = advance(r, in->time, err);

	if (ret < 0)
		return ret;
	if (decisions_add(&r->decisions) < 0)
		return error_set(err, -ENOMEM, "out of memory after %lu packets", r->decisions.n);
	m = frame_of(r, in);
	if (m == NULL)
		return error_set(err, -ENOMEM, "out of packet buffers after %lu packets",
				 r->decisions.n);
	worker_burst(w, publish_read(r->appliance.publish), &m, 1, false);
	worker_flush(w);
	settle(r);
	r->report.packets_in++;
	return 0;
}

int replay_run(struct replay *r, struct error *err) {
	struct capture_in *in = capture_head(r->in, r->options.n_rx);
	int ret = 0;

	if (in != NULL)
		r->first = r->now = in->time;
	while (ret == 0 && (in = capture_head(r->in, r->options.n_rx)) != NULL) {
		ret = take_packet(r, in, err);
		capture_next(in);
	}
	return ret;
}

static void sum_up(struct replay *r) {
	struct appliance *a = &r->appliance;
	const struct tables *t = publish_read(a->publish);

	for (uint16_t i = 0; i < a->dp.n_workers; i++) {
		struct worker *w = a->workers[i];
		const struct flow_stats *s = flow_stats(w->flows);

		worker_drop_held(w, t, REASON_NEIGHBOR_UNRESOLVED);
		flow_sweep(w->flows, w->now, flow_buckets(w->flows));
		r->report.flows += s->flows[0] + s->flows[1];
		for (int j = 1; j < REASON_DROPS; j++)
			r->report.drops[j] += w->counters.drops[j];
	}
}

int replay_finish(struct replay *r, struct error *err) {
	int ret = 0;

	sum_up(r);
	for (uint32_t i = 0; i < r->config->site.n_ports; i++)
		if (capture_finish(&r->out[i]) < 0)
			ret = error_set(err, -EIO,
					"port %s: the capture could not be written whole",
					r->config->site.ports[i].name);
	if (ret == 0 && r->options.json != NULL) {
		ret = report_write(&r->report, &r->decisions, r->options.json);
		if (ret < 0)
			error_set(err, ret, "%s: %s", r->options.json, strerror(-ret));
	}
	return ret;
}

// --- set-up ---

static int find_port(const struct config *c, const char *name, struct error *err) {
	for (uint32_t i = 0; i < c->site.n_ports; i++)
		if (strcmp(c->site.ports[i].name, name) == 0)
			return (int)i;
	return error_set(err, -EINVAL, "%s: the configuration has no port of this name", name);
}

static int open_captures(struct replay *r, struct error *err) {
	bool nanoseconds = false;
	int port, ret = 0;

	for (unsigned i = 0; i < r->options.n_rx && ret == 0; i++) {
		port = find_port(r->config, r->options.rx[i].port, err);
		ret = port < 0 ? port
			       : capture_open(&r->in[i], r->options.rx[i].path, (uint16_t)port,
					      &nanoseconds, err);
	}
	for (unsigned i = 0; i < r->options.n_tx && ret == 0; i++) {
		port = find_port(r->config, r->options.tx[i].port, err);
		ret = port < 0 ? port
			       : capture_create(&r->out[port], r->options.tx[i].path, nanoseconds,
						err);
	}
	for (unsigned i = 0; i < r->options.n_apply && ret == 0; i++)
		if (access(r->options.apply[i].path, R_OK) < 0)
			ret = error_set(err, -errno, "--apply: %s: %s", r->options.apply[i].path,
					strerror(errno));
	return ret;
}

// MAC addresses that the file does not give are the devices' in a daemon; here they are made from the port's number.
static void port_macs(const struct config *c, struct mac_addr *macs) {
	for (uint32_t i = 0; i < c->site.n_ports; i++) {
		const struct site_port *p = &c->site.ports[i];

		macs[i] = p->has_mac ? p->mac
				     : (struct mac_addr){{2, 0, 0, 0, 0, (uint8_t)(i + 1)}};
	}
}

// Packet buffers and rings, as address space: what is not touched costs nothing.
static uint32_t memory_mib(const struct config *c) {
	uint64_t mbufs = (uint64_t)c->site.workers * WORKER_HOLD + SPARE_MBUFS;
	uint64_t rings = 2 * (uint64_t)c->site.workers * c->site.workers *
			 (RING * sizeof(void *) + 1024);

	return (uint32_t)((mbufs * (DATA_ROOM + 1024) + rings) >> 20) + 32;
}

static int open_appliance(struct replay *r, struct error *err) {
	struct rte_mempool *pools[SITE_MAX_WORKERS];
	struct mac_addr macs[SITE_MAX_PORTS];
	struct appliance_settings s = {.port_macs = macs,
				       .pools = pools,
				       .hugepages = HUGEPAGES_OFF,
				       .ring_size = RING,
				       .secret = 0x736c75696365};
	struct dataplane *dp = &r->appliance.dp;
	uint32_t workers = r->config->site.workers;
	int ret;

	port_macs(r->config, macs);
	r->pool = rte_pktmbuf_pool_create("replay", workers * WORKER_HOLD + SPARE_MBUFS, 0, 0,
					  RTE_PKTMBUF_HEADROOM + DATA_ROOM, SOCKET_ID_ANY);
	if (r->pool == NULL)
		return error_set(err, -ENOMEM, "out of memory for packet buffers");
	for (uint32_t i = 0; i < workers; i++)
		pools[i] = r->pool;
	ret = appliance_create(&r->appliance, r->config, &s, err);
	if (ret < 0)
		return ret;
	for (uint16_t p = 0; p < dp->n_ports; p++)
		for (uint16_t w = 0; w < dp->n_workers; w++)
			dp->sender[p][w] = w;
	dp->io = (struct worker_io){.send = send_packets, .ctx = r};
	dp->trace = decide;
	dp->stages_only = r->options.stages_only;
	dp->trace_ctx = r;
	return dataplane_trace_init(dp) < 0 ? error_set(err, -ENOMEM, "no room in packet buffers")
					    : 0;
}

int replay_open(struct replay *r, struct error *err) {
	struct config_options options = {.manifests = r->options.manifests};
	struct config_report report = {0};
	int ret = config_load(&r->config, r->options.config, &options, &report);

	appliance_print_report(&report);
	config_report_fini(&report);
	if (ret < 0)
		return error_set(err, ret, "%s can't be used", r->options.config);
	if (r->config->services.manifests == NULL)
		return error_set(
			err, -EINVAL,
			"%s: services.kubernetes is not followed here; give --manifests DIR",
			r->options.config);
	ret = open_captures(r, err);
	if (ret == 0)
		ret = eal_init_replay(memory_mib(r->config), err);
	if (ret == 0)
		ret = open_appliance(r, err);
	if (ret == 0)
		ret = apply_manifests(r, r->config->services.manifests, err);
	return ret;
}

void replay_close(struct replay *r) {
	if (r->appliance.publish != NULL)
		appliance_destroy(&r->appliance);
	for (unsigned i = 0; i < r->options.n_rx; i++)
		capture_close(&r->in[i]);
	for (unsigned i = 0; i < SITE_MAX_PORTS; i++)
		capture_finish(&r->out[i]);
	decisions_fini(&r->decisions);
	config_destroy(r->config);
}
