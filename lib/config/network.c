// SPDX-License-Identifier: Apache-2.0
// The sections `ports`, `routes` and `neighbors`: the appliance's place in the network.
#include <stdlib.h>
#include <string.h>

#include "config/decoder.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

bool is_subnet_edge(const struct ip_prefix *p, const struct ip_addr *a) {
	struct ip_range r;

	if (p->addr.family != 4 || p->len > 30)
		return false;
	r = ip_prefix_range(p);
	return ip_addr_eq(a, &r.first) || ip_addr_eq(a, &r.last);
}

int site_port_of(const struct site *site, const struct ip_addr *a) {
	for (uint32_t i = 0; i < site->n_ports; i++)
		for (uint32_t k = 0; k < site->ports[i].n_addresses; k++)
			if (ip_prefix_contains(&site->ports[i].addresses[k], a))
				return (int)i;
	return -1;
}

// The port that has this very address, or NULL.
static const struct site_port *owner_of(const struct site *site, const struct ip_addr *a) {
	for (uint32_t i = 0; i < site->n_ports; i++)
		for (uint32_t k = 0; k < site->ports[i].n_addresses; k++)
			if (ip_addr_eq(&site->ports[i].addresses[k].addr, a))
				return &site->ports[i];
	return NULL;
}

bool site_owner(const struct site *site, const struct ip_range *r, char *what, size_t size) {
	char addr[IP_ADDR_STR];
	const struct ip_addr *a;

	for (uint32_t i = 0; i < site->n_ports; i++) {
		for (uint32_t k = 0; k < site->ports[i].n_addresses; k++) {
			a = &site->ports[i].addresses[k].addr;
			if (ip_range_contains(r, a)) {
				snprintf(what, size, "%s, an address of port %s",
					 ip_addr_format(a, addr), site->ports[i].name);
				return true;
			}
		}
	}
	for (uint32_t i = 0; i < site->n_routes; i++) {
		if (ip_range_contains(r, &site->routes[i].via)) {
			snprintf(what, size, "%s, the gateway of a route",
				 ip_addr_format(&site->routes[i].via, addr));
			return true;
		}
	}
	for (uint32_t i = 0; i < site->n_neighbors; i++) {
		if (ip_range_contains(r, &site->neighbors[i].addr)) {
			snprintf(what, size, "%s, a neighbor",
				 ip_addr_format(&site->neighbors[i].addr, addr));
			return true;
		}
	}
	return false;
}

static bool overlap(const struct ip_prefix *a, const struct ip_prefix *b) {
	return ip_prefix_contains(a->len < b->len ? a : b, a->len < b->len ? &b->addr : &a->addr);
}

// A new address of a port against those of all the ports before it, and of itself.
static bool check_port_address(struct decoder *d, const struct doc_node *n,
			       const struct site_port *port, const struct ip_prefix *p) {
	const struct site *site = &d->c->site;
	char buf[IP_PREFIX_STR];

	if (p->len == 0 || !ip_addr_is_usable(&p->addr) || is_subnet_edge(p, &p->addr)) {
		decode_fault(d, n, "not an address that a host can own");
		return false;
	}
	// The port itself is not counted in site->n_ports yet.
	for (uint32_t k = 0; k < port->n_addresses; k++) {
		if (ip_addr_eq(&port->addresses[k].addr, &p->addr)) {
			decode_fault(d, n, "given twice");
			return false;
		}
	}
	for (uint32_t i = 0; i < site->n_ports; i++) {
		for (uint32_t k = 0; k < site->ports[i].n_addresses; k++) {
			if (!overlap(&site->ports[i].addresses[k], p))
				continue;
			decode_fault(d, n, "its subnet overlaps %s of port %s",
				     ip_prefix_format(&site->ports[i].addresses[k], buf),
				     site->ports[i].name);
			return false;
		}
	}
	return true;
}

static void decode_port_addresses(struct decoder *d, const struct doc_node *n,
				  struct site_port *port) {
	struct doc_node list, e;
	size_t size = decode_list(d, &list, n, "addresses", CONFIG_MAX_LIST);
	struct ip_prefix p;
	const char *text;

	port->addresses = decode_array(d, size, sizeof(*port->addresses));
	for (size_t i = 0; port->addresses != NULL && i < size; i++) {
		e = doc_element(&list, i);
		if (!decode_text(d, &e, &text))
			continue;
		if (ip_prefix_parse(&p, text) < 0)
			decode_fault(d, &e,
				     "not an address with its prefix length (ADDRESS/LENGTH)");
		else if (check_port_address(d, &e, port, &p))
			port->addresses[port->n_addresses++] = p;
	}
}

static void decode_port_name(struct decoder *d, const struct doc_node *n, struct site_port *port) {
	const char *text;
	struct doc_node m;
	size_t len;

	if (!decode_required(d, n, "name", &m, &text))
		return;
	len = strlen(text);
	if (len == 0 || len >= SITE_NAME || strspn(text, NAME_CHARS) != len) {
		decode_fault(d, &m, "not 1 to %d letters, digits, dots, dashes and underscores",
			     SITE_NAME - 1);
		return;
	}
	for (uint32_t i = 0; i < d->c->site.n_ports; i++)
		if (strcmp(d->c->site.ports[i].name, text) == 0)
			decode_fault(d, &m, "a second port %s", text);
	memcpy(port->name, text, len + 1);
}

static void decode_port_device(struct decoder *d, const struct doc_node *n,
			       struct site_port *port) {
	const char *text;
	struct doc_node m;

	if (decode_required(d, n, "device", &m, &text)) {
		if (*text == 0)
			decode_fault(d, &m, "empty; expected a PCI address or a DPDK vdev string");
		for (uint32_t i = 0; i < d->c->site.n_ports; i++)
			if (d->c->site.ports[i].device != NULL &&
			    strcmp(d->c->site.ports[i].device, text) == 0)
				decode_fault(d, &m, "the device of port %s already",
					     d->c->site.ports[i].name);
		decode_copy(d, &port->device, text);
	}
	if (!decode_get_text(d, n, "profile", &m, &text))
		return;
	if (*text == 0 || text[strspn(text, NAME_CHARS)] != 0)
		decode_fault(d, &m, "not the name of a profile");
	decode_copy(d, &port->profile, text);
}

static void decode_port(struct decoder *d, const struct doc_node *n, struct site_port *port) {
	uint32_t mtu = 1500, vlan = 0;
	struct doc_node m;

	decode_port_name(d, n, port);
	decode_port_device(d, n, port);
	doc_member(&m, n, "mac", NULL);
	port->has_mac = doc_present(&m) && decode_mac(d, &m, &port->mac);
	decode_u32(d, n, "mtu", &mtu, 1280, 9216);
	decode_u32(d, n, "vlan", &vlan, 0, 4094);
	port->mtu = (uint16_t)mtu;
	port->vlan = (uint16_t)vlan;
	decode_port_addresses(d, n, port);
}

static void decode_ports(struct decoder *d, const struct doc_node *root) {
	struct site *site = &d->c->site;
	struct doc_node list, e;
	size_t faults = d->report->n_faults;
	size_t size = decode_list(d, &list, root, "ports", SITE_MAX_PORTS);

	if (size == 0 && d->report->n_faults == faults)
		decode_fault(d, &list, "missing; at least one port is needed");
	site->ports = decode_array(d, size, sizeof(*site->ports));
	for (size_t i = 0; site->ports != NULL && i < size; i++) {
		if (!decode_entry(d, &e, &list, i,
				  KEYS("name", "device", "profile", "mac", "mtu", "vlan",
				       "addresses")))
			continue;
		decode_port(d, &e, &site->ports[site->n_ports]);
		site->n_ports++;
	}
}

static bool decode_via(struct decoder *d, const struct doc_node *n, struct site_route *r) {
	const struct site *site = &d->c->site;
	const char *text;
	int port;

	if (!doc_present(n)) {
		decode_fault(d, n, "missing");
		return false;
	}
	if (doc_string(n, &text, NULL) == 0 && ip_addr_parse(&r->via, text) == 0 &&
	    r->via.family == 6 && r->via.b[0] == 0xfe && (r->via.b[1] & 0xc0) == 0x80) {
		decode_fault(
			d, n,
			"a link-local gateway does not say its port; give an address on a port's subnet");
		return false;
	}
	if (!decode_addr(d, n, &r->via))
		return false;
	port = site_port_of(site, &r->via);
	if (r->prefix.addr.family != 0 && r->prefix.addr.family != r->via.family)
		decode_fault(d, n, "not of the prefix's family");
	else if (port < 0)
		decode_fault(d, n, "not on the subnet of any port");
	else if (owner_of(site, &r->via) != NULL)
		decode_fault(d, n, "port %s's own address", owner_of(site, &r->via)->name);
	else
		r->port = (uint16_t)port;
	return port >= 0;
}

static void decode_route(struct decoder *d, const struct doc_node *n) {
	struct site *site = &d->c->site;
	struct site_route r = {0};
	struct doc_node prefix, via;
	bool fine = false;

	doc_member(&prefix, n, "prefix", NULL);
	doc_member(&via, n, "via", NULL);
	if (!doc_present(&prefix))
		decode_fault(d, &prefix, "missing");
	else
		fine = decode_block(d, &prefix, &r.prefix);
	for (uint32_t i = 0; fine && i < site->n_routes; i++)
		if (memcmp(&site->routes[i].prefix, &r.prefix, sizeof(r.prefix)) == 0)
			decode_fault(d, &prefix, "a second route of this prefix");
	if (decode_via(d, &via, &r) && fine)
		site->routes[site->n_routes++] = r;
}

static void decode_routes(struct decoder *d, const struct doc_node *root) {
	struct site *site = &d->c->site;
	struct doc_node list, e;
	size_t size = decode_list(d, &list, root, "routes", CONFIG_MAX_LIST);

	site->routes = decode_array(d, size, sizeof(*site->routes));
	for (size_t i = 0; site->routes != NULL && i < size; i++) {
		if (!decode_entry(d, &e, &list, i, KEYS("prefix", "via")))
			continue;
		decode_route(d, &e);
	}
}

// The port that a neighbor names, else the one whose subnet holds it; -1 after a fault.
static int neighbor_port(struct decoder *d, const struct doc_node *n, const struct ip_addr *a) {
	const struct site *site = &d->c->site;
	const char *text = NULL;
	struct doc_node m;
	int subnet = site_port_of(site, a);

	doc_member(&m, n, "port", NULL);
	if (!doc_present(&m)) {
		if (subnet < 0)
			decode_fault(d, n, "on no port's subnet; name its port");
		return subnet;
	}
	if (!decode_text(d, &m, &text))
		return -1;
	for (uint32_t i = 0; i < site->n_ports; i++) {
		if (strcmp(site->ports[i].name, text) != 0)
			continue;
		if (subnet != (int)i)
			decode_warning(d, n, "on no subnet of port %s: never used", text);
		return (int)i;
	}
	decode_fault(d, &m, "not the name of a port");
	return -1;
}

static void decode_neighbor(struct decoder *d, const struct doc_node *n) {
	struct site *site = &d->c->site;
	struct site_neighbor nb = {0};
	struct doc_node address, mac;
	int port;

	doc_member(&address, n, "address", NULL);
	doc_member(&mac, n, "mac", NULL);
	if (!doc_present(&mac))
		decode_fault(d, &mac, "missing");
	else
		decode_mac(d, &mac, &nb.mac);
	if (!doc_present(&address)) {
		decode_fault(d, &address, "missing");
		return;
	}
	if (!decode_addr(d, &address, &nb.addr))
		return;
	for (uint32_t i = 0; i < site->n_neighbors; i++)
		if (ip_addr_eq(&site->neighbors[i].addr, &nb.addr))
			decode_fault(d, &address, "a second neighbor of this address");
	if (owner_of(site, &nb.addr) != NULL)
		decode_fault(d, &address, "port %s's own address", owner_of(site, &nb.addr)->name);
	port = neighbor_port(d, n, &nb.addr);
	if (port < 0)
		return;
	nb.port = (uint16_t)port;
	site->neighbors[site->n_neighbors++] = nb;
}

static void decode_neighbors(struct decoder *d, const struct doc_node *root) {
	struct site *site = &d->c->site;
	struct doc_node list, e;
	size_t size = decode_list(d, &list, root, "neighbors", CONFIG_MAX_LIST);

	site->neighbors = decode_array(d, size, sizeof(*site->neighbors));
	for (size_t i = 0; site->neighbors != NULL && i < size; i++) {
		if (!decode_entry(d, &e, &list, i, KEYS("address", "mac", "port")))
			continue;
		decode_neighbor(d, &e);
	}
}

void decode_network(struct decoder *d, const struct doc_node *root) {
	decode_ports(d, root);
	decode_routes(d, root);
	decode_neighbors(d, root);
}
