// SPDX-License-Identifier: Apache-2.0
// Reads and writes ARP for Ethernet and IPv4 (RFC 826, RFC 5227).
#include <arpa/inet.h>
#include <string.h>

#include "rewrite/rewrite.h"

#define ARP_LEN 28
#define ARP_REQUEST 1
#define ARP_REPLY 2

static const uint8_t arp_ethernet_ipv4[6] = {0, 1, 0x08, 0x00, 6, 4};

static bool is_station(const struct mac_addr *m) {
	static const struct mac_addr none;

	return (m->b[0] & 1) == 0 && memcmp(m, &none, sizeof(none)) != 0;
}

static bool is_host(uint32_t addr) {
	uint32_t first = ntohl(addr) >> 24;

	return first != 0 && first != 127 && first < 224;
}

// A sender of 0.0.0.0 asks whether an address is in use (RFC 5227's probe); only a request may.
bool arp_read(struct arp_info *out, const uint8_t *arp) {
	struct arp_info a;

	if (memcmp(arp, arp_ethernet_ipv4, sizeof(arp_ethernet_ipv4)) != 0)
		return false;
	a.op = ntohs(bytes_get16(arp + 6));
	memcpy(&a.sender_mac, arp + 8, 6);
	a.sender = bytes_get32(arp + 14);
	memcpy(&a.target_mac, arp + 18, 6);
	a.target = bytes_get32(arp + 24);
	if (a.op != ARP_REQUEST && a.op != ARP_REPLY)
		return false;
	if (!is_station(&a.sender_mac) || !is_host(a.target))
		return false;
	if (!is_host(a.sender) && !(a.sender == 0 && a.op == ARP_REQUEST))
		return false;
	*out = a;
	return true;
}

uint16_t arp_build(uint8_t *out, const struct arp_info *a) {
	memcpy(out, arp_ethernet_ipv4, sizeof(arp_ethernet_ipv4));
	bytes_put16(out + 6, htons(a->op));
	memcpy(out + 8, &a->sender_mac, 6);
	bytes_put32(out + 14, a->sender);
	memcpy(out + 18, &a->target_mac, 6);
	bytes_put32(out + 24, a->target);
	return ARP_LEN;
}
