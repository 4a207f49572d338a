// SPDX-License-Identifier: Apache-2.0
// Captures for net_pcap: a packet of each flow, in random order.
//
// TCP: a SYN; played again it meets its own half-open flow. UDP: a datagram; from the second round
// on its flow is known. With workers=N worker=I only flows that worker I of N owns: two such files
// feed two workers without hand-over.
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#include "bed.h"
#include "bench.h"

#define SNAPLEN 65535

struct writer {
	const struct options *options;
	struct traffic traffic;
	struct tables tables; // of the appliance; only the owner's hash counts
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	uint64_t written;
};

static uint32_t *random_order(uint32_t n) {
	uint32_t *v = malloc(n * sizeof(*v));
	uint64_t x = 0x2545f4914f6cdd1du;

	for (uint32_t i = 0; v != NULL && i < n; i++) {
		uint32_t j;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = traffic_scale((uint32_t)(x >> 16), i + 1);
		v[i] = v[j];
		v[j] = i;
	}
	return v;
}

static bool is_wanted(const struct writer *w, const uint8_t *frame) {
	const uint8_t *ip = frame + 14, *l4 = ip + (w->traffic.family == 4 ? 20 : 40);
	uint32_t client[4] = {0};
	uint16_t port;

	if (w->tables.workers < 2)
		return true;
	memcpy(client, w->traffic.family == 4 ? ip + 12 : ip + 8, w->traffic.family == 4 ? 4 : 16);
	memcpy(&port, l4, sizeof(port));
	return tables_owner(&w->tables, w->traffic.family, client, port, false) ==
	       w->options->worker;
}

static void write_flow(struct writer *w, uint32_t flow) {
	uint8_t buf[RTE_PKTMBUF_HEADROOM + BENCH_DATA] = {0};
	struct rte_mbuf m = {.buf_addr = buf};
	struct pcap_pkthdr h = {.caplen = w->traffic.len, .len = w->traffic.len};

	traffic_write_in(&w->traffic, &m, w->traffic.family, flow, TRAFFIC_SYN);
	if (!is_wanted(w, buf + RTE_PKTMBUF_HEADROOM))
		return;
	h.ts.tv_sec = (time_t)(w->written / 1000000);
	h.ts.tv_usec = (suseconds_t)(w->written++ % 1000000);
	pcap_dump((u_char *)w->dumper, &h, buf + RTE_PKTMBUF_HEADROOM);
}

static int write_flows(struct writer *w, struct error *err) {
	uint32_t n = w->options->flows, *flows = random_order(n);

	if (flows == NULL)
		return error_set(err, -ENOMEM, "out of memory for %u flows", n);
	for (uint32_t i = 0; i < n; i++)
		write_flow(w, w->options->first + flows[i]);
	free(flows);
	if (pcap_dump_flush(w->dumper) < 0)
		return error_set(err, -EIO, "%s: not written whole", w->options->file);
	printf("{\"packets\": %lu}\n", w->written);
	return 0;
}

static int know_owners(struct writer *w, struct error *err) {
	struct bed_settings s = {.mode = MODEL_DSR,
				 .family = 4,
				 .protocol = MODEL_UDP,
				 .capacity = 64,
				 .cpu = w->options->cpu};
	struct bed b;
	int ret = bed_create(&b, &s, err);

	if (ret < 0)
		return ret;
	w->tables = *publish_read(b.appliance.publish);
	w->tables.workers = (uint16_t)w->options->workers;
	bed_destroy(&b);
	return 0;
}

static int set_mac(struct writer *w, struct error *err) {
	struct mac_addr mac;

	if (w->options->mac == NULL)
		return 0;
	if (mac_parse(&mac, w->options->mac) < 0)
		return error_set(err, -EINVAL, "mac=%s: not a MAC address", w->options->mac);
	memcpy(w->traffic.in, mac.b, sizeof(mac.b));
	return 0;
}

int capture_run(const struct options *o, struct error *err) {
	struct writer w = {.options = o};
	int ret = o->file == NULL ? error_set(err, -EINVAL, "file=: where to?") : 0;

	traffic_init(&w.traffic, o->family, o->protocol, o->frontends, false);
	if (ret == 0)
		ret = set_mac(&w, err);
	if (ret == 0 && o->workers > 1)
		ret = know_owners(&w, err);
	if (ret < 0)
		return ret;
	w.pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	w.dumper = w.pcap == NULL ? NULL : pcap_dump_open(w.pcap, o->file);
	ret = w.dumper == NULL ? error_set(err, -EIO, "%s: can't be written", o->file)
			       : write_flows(&w, err);
	if (w.dumper != NULL)
		pcap_dump_close(w.dumper);
	if (w.pcap != NULL)
		pcap_close(w.pcap);
	return ret;
}
