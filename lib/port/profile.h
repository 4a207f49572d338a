// SPDX-License-Identifier: Apache-2.0
// What is good for a family of NICs, as data: drivers-config/NAME.json. No driver's name stands in
// the code.
//
// A profile asks; the device's own limits have the last word (port.h). Fields, units and defaults:
// drivers-config/README.md. A file is strict: an unknown key or a wrong type is an error that names
// file, line and path. Pure: links no DPDK library. Control thread.
#ifndef SLUICE_PORT_PROFILE_H
#define SLUICE_PORT_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define PROFILE_NAME 32
#define PROFILE_MAX_DRIVERS 8
#define PROFILE_MAX_DEVARGS 8

struct profile_devarg {
	char key[32];
	char value[32];
};

struct profile {
	char name[PROFILE_NAME];
	char drivers[PROFILE_MAX_DRIVERS][PROFILE_NAME]; // DPDK's driver names, "net_af_xdp"
	uint16_t n_drivers;
	uint16_t n_devargs;
	// Added to the device string where the user did not name the key.
	struct profile_devarg devargs[PROFILE_MAX_DEVARGS];
	uint16_t max_queues; // 0: as many as there are workers
	bool all_queues;     // the device string fixes their number, and each must be polled
	uint16_t rx_descriptors, tx_descriptors;
	uint16_t burst;        // packets a receive call, 1..32
	uint32_t data_room;    // bytes of an mbuf with headroom; 0: follows the MTU
	uint32_t held_buffers; // mbufs that the device keeps for good, beside those in descriptors
	uint64_t rx_offloads;  // RTE_ETH_RX_OFFLOAD_*; wanted, not required
	uint64_t tx_offloads;  // RTE_ETH_TX_OFFLOAD_*
	uint64_t rss_types;    // RTE_ETH_RSS_*; 0: no RSS
	bool rx_level;         // interrupts: a descriptor that is readable while packets wait
	bool reta_spread; // write the redirection table ourselves: entry i leads to queue i mod queues
};

// Where profiles are: $SLUICE_DRIVERS, else the installed directory, else the source tree's (a
// build run in place).
const char *profile_dir(void);

// Errors: -errno of open and read; -EINVAL with place and expectation.
int profile_load(struct profile *out, const char *path, struct error *err);
// The profile of that name. Errors: -ENOENT (err lists the names there are); as profile_load().
int profile_by_name(struct profile *out, const char *dir, const char *name, struct error *err);
// The profile that lists the driver ("net_ice"). Errors: -ENOENT; as profile_load().
int profile_by_driver(struct profile *out, const char *dir, const char *driver, struct error *err);
// The profile for a vdev string ("net_af_xdp0,iface=eth1"): the name less its number is the driver.
// Errors: -ENOENT, as above.
int profile_by_device(struct profile *out, const char *dir, const char *device, struct error *err);
// What a device gets that nobody wrote a profile for.
void profile_default(struct profile *out);

// device with the profile's devargs behind it, but for keys that device names. Errors:
// -ENAMETOOLONG.
int profile_device_string(const struct profile *p, const char *device, char *buf, size_t size);

#endif
