// SPDX-License-Identifier: Apache-2.0
// status.loadBalancer.ingress as one line of text that is equal exactly when the lists mean the same.
//
//     [{"ip":"203.0.113.1","ipMode":"VIP","ports":[{"error":"...","port":80,"protocol":"TCP"}]}]
//
// Members in order of name, addresses as RFC 5952 prints them, ipMode always given (an address without one is a VIP), no empty lists. No ingress is "".
#ifndef SLUICE_STATUS_INGRESS_H
#define SLUICE_STATUS_INGRESS_H

#include <jansson.h>

#include "net/addr.h"

struct ingress_port {
	uint16_t port;
	uint8_t protocol;  // IPPROTO_TCP, ...
	const char *error; // why it is not served; NULL: it is
};

struct ingress {
	struct ip_addr addr;  // family 0: there is none
	const char *hostname; // NULL: none
	bool proxy;           // ipMode Proxy
	uint32_t n_ports;
	const struct ingress_port *ports;
};

// The caller's; NULL: out of memory.
char *ingress_text(const struct ingress *list, uint32_t n);
// Of the API's own list; anything else than a list is "".
char *ingress_text_of(const json_t *list);
// The list that a text stands for. NULL: it is "", or out of memory.
json_t *ingress_list(const char *text);
const char *ingress_protocol_name(uint8_t protocol);

#endif
