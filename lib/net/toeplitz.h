// SPDX-License-Identifier: Apache-2.0
// The hash by which NICs choose a receive queue (RSS): Toeplitz, over addresses and ports as they lie on the wire.
//
//     input   source address, destination address, source port, destination port     12 bytes (IPv4) or 36 (IPv6)
//     hash    XOR of the 32 key bits from bit i on, for every bit i of the input that is set
//
// It is linear: the hash of a whole is the XOR of what its parts contribute, each hashed at its place. So what is fixed
// (a backend, an SNAT address) is hashed once, and a port's share comes out of a small table (net/rss.h).
//
// Units:  a key is at least TOEPLITZ_KEY bytes; of a longer one (52) the rest is not used
// Thread: pure
// Source: Microsoft, "Verifying the RSS Hash Calculation"; DPDK's rte_thash computes the same
#ifndef SLUICE_NET_TOEPLITZ_H
#define SLUICE_NET_TOEPLITZ_H

#include <stddef.h>
#include <stdint.h>

#define TOEPLITZ_KEY 40

// What len bytes at byte offset `at` of the input contribute; at + len <= 36.
uint32_t toeplitz_part(const uint8_t key[TOEPLITZ_KEY], size_t at, const void *data, size_t len);

// The whole hash of a TCP or UDP packet. Addresses and ports in network order.
uint32_t toeplitz_tuple(const uint8_t key[TOEPLITZ_KEY], uint8_t family, const void *src,
			const void *dst, uint16_t src_port, uint16_t dst_port);

#endif
