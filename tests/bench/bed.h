// SPDX-License-Identifier: Apache-2.0
// The appliance under test: made by the daemon's own assembly from a configuration and a model in
// memory, one worker, no device.
//
//     wan (port 0) --- clients, through a gateway with a static MAC address
//     lan (port 1) --- endpoints, static neighbours; SNAT addresses are here
//
// With one frontend there is one Service with 100 backends. With n frontends there are n Services
// with BED_BACKENDS backends each, which share the 100 endpoint addresses: the same ports in dsr
// and fullnat (100 endpoints in all), a port of its own in dnat, so that each way back is unique.
#ifndef SLUICE_BENCH_BED_H
#define SLUICE_BENCH_BED_H

#include "appliance.h"
#include "options.h"

#define BED_BACKENDS 4

struct bed_settings {
	enum model_mode mode;
	uint8_t family, protocol;
	uint32_t frontends;   // 0: no services yet
	uint32_t capacity;    // flows of the table
	uint32_t udp_timeout; // seconds; 0: longer than any run
	unsigned cpu;
};

struct bed {
	struct bed_settings settings;
	struct config *config;
	struct appliance appliance;
	struct worker *worker;
	struct rte_mempool *pool;
	struct flow_config flow_config;
	bool huge_packets, huge_flows; // memory is in 2 MiB pages
};

// Starts EAL: once a process.
int bed_create(struct bed *b, const struct bed_settings *s, struct error *err);
void bed_destroy(struct bed *b);
// No flow is left, as after a start.
void bed_empty(struct bed *b);
// Model -> tables, published.
int bed_apply(struct bed *b, struct error *err);
// Put Service number i with n backends, the first of them left out when skip is set.
int bed_put_service(struct bed *b, uint32_t i, uint32_t n, bool skip);

#endif
