// SPDX-License-Identifier: Apache-2.0
// The SNAT ports that are one worker's own towards backends behind one device with known RSS (net/rss.h): those whose answers the
// device gives to that worker.
//
// Towards a pair (backend, SNAT address) the worker's ports are numbered by steps, 0 to n - 1, and a flow table's cursor goes through
// them as it goes through its slice where RSS is not known. Ports below FLOW_FIRST_PORT are among the steps and are passed over;
// usable[] says how many are left, so that a pair that has given all its ports is known without a search.
//
// Control thread makes one for each worker and device before the worker starts; immutable then.
#ifndef SLUICE_FLOW_PORTS_H
#define SLUICE_FLOW_PORTS_H

#include "net/rss.h"

struct flow_ports {
	const struct rss *rss; // the caller's
	uint16_t worker;
	uint32_t n, stride; // steps on an address; a leap, coprime to n
	uint16_t usable
		[2][RSS_MAX_RETA]; // IPv4, IPv6: ports from FLOW_FIRST_PORT on, by the pair's part
	uint16_t least[2];         // of usable
};

// A family that *r was not prepared for stays without ports.
void flow_ports_init(struct flow_ports *p, const struct rss *r, uint16_t worker);

// About 0.618 of n, odd and coprime to it.
uint32_t flow_ports_stride(uint32_t n);

#endif
