// SPDX-License-Identifier: Apache-2.0
// Configuration text and model of the benchmark's appliance.
#include "bed.h"

#include <errno.h>
#include <stdlib.h>

#include "bench.h"
#include "port/eal.h"
#include "traffic.h"

#define LONG_SECONDS 500000 // a timeout that no run reaches

static void write_neighbors(FILE *f, uint8_t family) {
	const char *gateway = family == 4 ? "192.0.2.254" : "2001:db8:2::fe";
	char addr[IP_ADDR_STR], mac[MAC_STR];
	struct mac_addr m = traffic_neighbor_mac(TRAFFIC_WAN, TRAFFIC_ENDPOINT_ADDRESSES);

	fprintf(f, "- {address: \"%s\", mac: \"%s\"}\n", gateway, mac_format(&m, mac));
	for (uint32_t i = 0; i < TRAFFIC_ENDPOINT_ADDRESSES; i++) {
		struct ip_addr a = traffic_endpoint(family, i);

		m = traffic_neighbor_mac(TRAFFIC_LAN, i);
		fprintf(f, "- {address: \"%s\", mac: \"%s\"}\n", ip_addr_format(&a, addr),
			mac_format(&m, mac));
	}
}

static void write_snat(FILE *f, uint8_t family) {
	char addr[IP_ADDR_STR];

	for (uint32_t i = 0; i < TRAFFIC_SNAT_ADDRESSES; i++) {
		struct ip_addr a = traffic_snat(family, i);

		fprintf(f, "%s\"%s\"", i > 0 || family == 6 ? ", " : "", ip_addr_format(&a, addr));
	}
}

static void write_config(FILE *f, const struct bed_settings *s) {
	fprintf(f,
		"apiVersion: sluice.dev/v1alpha1\nkind: SluiceConfiguration\n"
		"dataplane: {workers: 1, memoryMiB: 65536, flowsPerWorker: %u, timeouts: {tcpSynSent: %u, tcpEstablished: %u, "
		"udp: %u, udpStream: %u}}\n"
		"ports:\n"
		"- {name: wan, device: net_null0, addresses: [192.0.2.2/24, \"2001:db8:2::2/64\"]}\n"
		"- {name: lan, device: net_null1, addresses: [10.1.255.1/16, \"2001:db8:1::ff:1/64\"]}\n"
		"routes: [{prefix: 0.0.0.0/0, via: 192.0.2.254}, {prefix: \"::/0\", via: \"2001:db8:2::fe\"}]\n"
		"services:\n  manifests: none\n",
		s->capacity, LONG_SECONDS, LONG_SECONDS,
		s->udp_timeout == 0 ? LONG_SECONDS : s->udp_timeout, LONG_SECONDS);
	if (s->mode == MODEL_FULLNAT) {
		fprintf(f, "  snatAddresses: [");
		write_snat(f, 4);
		write_snat(f, 6);
		fprintf(f, "]\n");
	}
	fprintf(f, "neighbors:\n");
	write_neighbors(f, 4);
	write_neighbors(f, 6);
}

static int read_config(struct bed *b, struct error *err) {
	struct config_report report = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int ret;

	if (f == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	write_config(f, &b->settings);
	fclose(f);
	ret = config_parse(&b->config, "bench", text, len, NULL, &report);
	if (ret < 0)
		appliance_print_report(&report);
	config_report_fini(&report);
	free(text);
	return ret < 0 ? error_set(err, ret, "the benchmark's own configuration is refused") : 0;
}

static struct model_backend backend_of(const struct bed_settings *s, uint32_t service, uint32_t n,
				       uint32_t j) {
	uint32_t nth = service * n + j; // of all backends
	uint16_t port = 8080;

	if (s->mode == MODEL_DSR)
		port = TRAFFIC_PORT;
	else if (s->mode == MODEL_DNAT)
		port = (uint16_t)(port + nth / TRAFFIC_ENDPOINT_ADDRESSES);
	return (struct model_backend){.addr = traffic_endpoint(s->family,
							       nth % TRAFFIC_ENDPOINT_ADDRESSES),
				      .port = port,
				      .state = MODEL_READY,
				      .usable = 1,
				      .weight = 1};
}

int bed_put_service(struct bed *b, uint32_t i, uint32_t n, bool skip) {
	const struct bed_settings *s = &b->settings;
	struct model_frontend frontend = {.addr = traffic_frontend(s->family, i),
					  .port = TRAFFIC_PORT};
	struct model_backend backends[TRAFFIC_ENDPOINT_ADDRESSES];
	struct model_service service = {.mode = (uint8_t)s->mode,
					.n_frontends = 1,
					.frontends = &frontend,
					.n_backends = skip ? n - 1 : n,
					.backends = skip ? backends + 1 : backends};

	for (uint32_t j = 0; j < n; j++)
		backends[j] = backend_of(s, i, n, j);
	snprintf(service.key.ns, sizeof(service.key.ns), "bench");
	snprintf(service.key.name, sizeof(service.key.name), "service-%u", i);
	service.key.port = TRAFFIC_PORT;
	service.key.protocol = s->protocol;
	return model_put(b->appliance.model, &service);
}

int bed_apply(struct bed *b, struct error *err) {
	int ret = appliance_apply(&b->appliance, 1000);

	if (ret < 0)
		return error_set(err, ret, "the tables could not be compiled: %s", strerror(-ret));
	appliance_step(&b->appliance, 1000);
	return 0;
}

static int put_services(struct bed *b, struct error *err) {
	uint32_t n = b->settings.frontends;
	int ret = 0;

	for (uint32_t i = 0; i < n && ret >= 0; i++)
		ret = bed_put_service(b, i, n == 1 ? TRAFFIC_ENDPOINT_ADDRESSES : BED_BACKENDS,
				      false);
	return ret < 0 ? error_set(err, ret, "the model refuses a service") : bed_apply(b, err);
}

// As appliance.c has it, but for the share of half-open flows: rows of new flows fill the table
// with them.
static struct flow_config flow_config_of(const struct bed_settings *s, uint64_t secret) {
	uint8_t n_snat = s->mode == MODEL_FULLNAT ? TRAFFIC_SNAT_ADDRESSES : 0;
	struct flow_config c = {.capacity = s->capacity,
				.max_backends = TABLES_MAX_BACKENDS,
				.max_endpoints = TABLES_MAX_ENDPOINTS,
				.half_open_percent = 100,
				.workers = 1,
				.n_snat = {n_snat, n_snat},
				.secret = secret};

	for (int i = 0; i < FLOW_STATES; i++)
		c.timeouts.ticks[i] = LONG_SECONDS * FLOW_TICKS;
	if (s->udp_timeout > 0)
		c.timeouts.ticks[FLOW_UDP] = s->udp_timeout * FLOW_TICKS;
	return c;
}

void bed_empty(struct bed *b) {
	struct memory *m = &b->appliance.flow_memory[0];

	memset(m->base, 0, m->size);
	flow_init(&b->worker->flows, m->base, &b->flow_config);
}

static int create_appliance(struct bed *b, struct error *err) {
	const struct mac_addr macs[2] = {traffic_port_mac(0), traffic_port_mac(1)};
	struct appliance_settings s = {.port_macs = macs,
				       .pools = &b->pool,
				       .hugepages = HUGEPAGES_AUTO,
				       .touch = true,
				       .ring_size = 64,
				       .secret = 0x62656e6368};
	int ret = appliance_create(&b->appliance, b->config, &s, err);

	if (ret < 0)
		return ret;
	b->worker = b->appliance.workers[0];
	b->flow_config = flow_config_of(&b->settings, s.secret);
	b->huge_flows = b->appliance.flow_memory[0].page > 4096;
	if (flow_table_size(&b->flow_config) > b->appliance.flow_memory[0].size)
		return error_set(err, -EINVAL,
				 "the benchmark's flow table is larger than the appliance's");
	bed_empty(b);
	return 0;
}

int bed_create(struct bed *b, const struct bed_settings *s, struct error *err) {
	int ret;

	*b = (struct bed){.settings = *s};
	ret = read_config(b, err);
	if (ret < 0)
		return ret;
	ret = bench_eal(s->cpu, &b->huge_packets, err);
	if (ret < 0)
		goto config;
	b->pool = rte_pktmbuf_pool_create("bench", BENCH_MBUFS, 0, BENCH_PRIVATE,
					  RTE_PKTMBUF_HEADROOM + BENCH_DATA, SOCKET_ID_ANY);
	ret = b->pool == NULL ? error_set(err, -ENOMEM, "out of memory for packets")
			      : create_appliance(b, err);
	if (ret < 0)
		goto eal;
	ret = put_services(b, err);
	if (ret == 0)
		return 0;
	appliance_destroy(&b->appliance);
eal:
	eal_fini();
config:
	config_destroy(b->config);
	return ret;
}

void bed_destroy(struct bed *b) {
	appliance_destroy(&b->appliance);
	eal_fini();
	config_destroy(b->config);
}
