// SPDX-License-Identifier: Apache-2.0
// What the site fixes from start to stop: ports, routes, static neighbours, and with the virtual addresses the set of our own addresses.
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"

static struct local *local_find(const struct compile *c, const struct ip_addr *addr) {
	struct local *l;

	HASH_FIND(hh, c->locals, addr, sizeof(*addr), l);
	return l;
}

static struct local *local_get(struct compile *c, const struct ip_addr *addr) {
	struct local *l = local_find(c, addr);

	if (l != NULL)
		return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->addr = *addr;
	HASH_ADD(hh, c->locals, addr, sizeof(l->addr), l);
	if (l->hh.tbl == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

static void flip(struct compile *c, const struct ip_addr *addr) {
	c->locals_changed = true;
	if (c->n_flipped < COMPILE_FLIPPED)
		c->flipped[c->n_flipped] = *addr;
	c->n_flipped++;
}

int local_hold(struct compile *c, const struct ip_addr *addr) {
	struct local *l = local_get(c, addr);

	if (l == NULL)
		return -ENOMEM;
	if (l->fronts++ == 0)
		flip(c, addr);
	return 0;
}

void local_release(struct compile *c, const struct ip_addr *addr) {
	struct local *l = local_find(c, addr);

	if (--l->fronts == 0)
		flip(c, addr);
}

bool local_is_own(const struct compile *c, const struct ip_addr *addr) {
	const struct local *l = local_find(c, addr);

	return l != NULL && (l->kinds != 0 || l->fronts > 0);
}

// The ports on whose subnets an address lies; all of them when it lies on none.
static uint32_t answering_ports(const struct compile *c, const struct ip_addr *addr) {
	uint32_t ports = 0;

	for (uint32_t i = 0; i < c->site->n_ports; i++)
		for (uint32_t j = 0; j < c->site->ports[i].n_addresses; j++)
			if (ip_prefix_contains(&c->site->ports[i].addresses[j], addr))
				ports |= 1u << i;
	return ports != 0 ? ports : (1u << c->site->n_ports) - 1;
}

struct local_ref local_ref_of(const struct compile *c, const struct local *l) {
	struct local_ref ref = {.kinds = l->kinds,
				.snat_index = l->snat_index,
				.answer = l->answer};

	if (l->fronts > 0) {
		ref.kinds |= LOCAL_VIP;
		ref.answer |= answering_ports(c, &l->addr);
	}
	return ref;
}

static int add_port(struct compile *c, uint32_t port, const struct mac_addr *mac) {
	const struct site_port *p = &c->site->ports[port];
	struct tables_port *out = &c->ports[port];

	*out = (struct tables_port){.mac = *mac, .mtu = p->mtu, .vlan = p->vlan};
	for (uint32_t i = 0; i < p->n_addresses; i++) {
		const struct ip_addr *addr = &p->addresses[i].addr;
		struct ip_addr *first = addr->family == 4 ? &out->addr4 : &out->addr6;
		struct local *l = local_get(c, addr);

		if (l == NULL)
			return -ENOMEM;
		l->kinds |= LOCAL_PORT;
		l->answer |= 1u << port;
		if (first->family == 0)
			*first = *addr;
	}
	return 0;
}

static int add_snat(struct compile *c, const struct ip_addr *list, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) {
		struct local *l = local_get(c, &list[i]);

		if (l == NULL)
			return -ENOMEM;
		if (!(l->kinds & LOCAL_SNAT))
			l->snat_index = (uint8_t)i;
		l->kinds |= LOCAL_SNAT;
		l->answer |= answering_ports(c, &list[i]);
	}
	return 0;
}

// Connected subnets come first: of equal prefixes the first stays.
static int add_routes(struct compile *c, struct lpm_rule *rules, struct error *err) {
	const struct site *site = c->site;
	char text[IP_ADDR_STR];

	for (uint32_t i = 0; i < site->n_ports; i++) {
		for (uint32_t j = 0; j < site->ports[i].n_addresses; j++) {
			rules[c->n_routes] = (struct lpm_rule){site->ports[i].addresses[j],
							       c->n_routes};
			c->routes[c->n_routes++] = (struct route){.port = (uint16_t)i,
								  .on_link = true,
								  .nexthop = TABLES_NO_ID};
		}
	}
	for (uint32_t i = 0; i < site->n_routes; i++) {
		const struct site_route *r = &site->routes[i];
		uint32_t id = neighbor_hold(c->neighbors, r->port, &r->via);

		if (id == NEIGHBOR_NONE)
			return error_set(err, -EINVAL, "route via %s: the neighbour table is full",
					 ip_addr_format(&r->via, text));
		rules[c->n_routes] = (struct lpm_rule){r->prefix, c->n_routes};
		c->routes[c->n_routes++] = (struct route){.port = r->port,
							  .is_default = r->prefix.len == 0,
							  .nexthop = id};
	}
	c->route_map = lpm_create(rules, c->n_routes);
	return c->route_map == NULL ? -ENOMEM : 0;
}

static int make_routes(struct compile *c, struct error *err) {
	uint32_t n = c->site->n_routes;
	struct lpm_rule *rules;
	int ret = -ENOMEM;

	for (uint32_t i = 0; i < c->site->n_ports; i++)
		n += c->site->ports[i].n_addresses;
	rules = calloc(n + 1, sizeof(*rules));
	c->routes = calloc(n + 1, sizeof(*c->routes));
	if (rules != NULL && c->routes != NULL)
		ret = add_routes(c, rules, err);
	free(rules);
	return ret;
}

static int check(const struct site *site, struct error *err) {
	if (site->n_ports == 0 || site->n_ports > TABLES_MAX_PORTS)
		return error_set(err, -EINVAL, "ports: 1 to %d, not %u", TABLES_MAX_PORTS,
				 site->n_ports);
	if (site->workers == 0 || site->workers > SITE_MAX_WORKERS)
		return error_set(err, -EINVAL, "workers: 1 to %d, not %u", SITE_MAX_WORKERS,
				 site->workers);
	if (site->n_snat4 > TABLES_MAX_SNAT || site->n_snat6 > TABLES_MAX_SNAT)
		return error_set(err, -EINVAL, "snatAddresses: at most %d of a family",
				 TABLES_MAX_SNAT);
	return 0;
}

static int set_neighbors(struct compile *c, struct error *err) {
	for (uint32_t i = 0; i < c->site->n_neighbors; i++) {
		const struct site_neighbor *n = &c->site->neighbors[i];

		if (neighbor_set_static(c->neighbors, n->port, &n->addr, &n->mac) < 0)
			return error_set(err, -EINVAL,
					 "neighbors: more than the neighbour table holds");
	}
	return 0;
}

int fixed_init(struct compile *c, const struct mac_addr *macs, struct error *err) {
	const struct site *site = c->site;
	int ret = check(site, err);

	if (ret < 0)
		return ret;
	c->ports = calloc(site->n_ports, sizeof(*c->ports));
	if (c->ports == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < site->n_ports && ret == 0; i++)
		ret = add_port(c, i, &macs[i]);
	if (ret == 0)
		ret = add_snat(c, site->snat4, site->n_snat4);
	if (ret == 0)
		ret = add_snat(c, site->snat6, site->n_snat6);
	if (ret == 0)
		ret = set_neighbors(c, err);
	return ret == 0 ? make_routes(c, err) : ret;
}

void fixed_fini(struct compile *c) {
	struct local *l, *next;

	for (uint32_t i = 0; i < c->n_routes; i++)
		if (!c->routes[i].on_link)
			neighbor_release(c->neighbors, c->routes[i].nexthop);
	HASH_ITER(hh, c->locals, l, next) {
		HASH_DEL(c->locals, l);
		free(l);
	}
	free(c->routes);
	free(c->ports);
	lpm_destroy(c->route_map);
}

uint32_t fixed_hold_nexthop(const struct compile *c, const struct ip_addr *addr,
			    const char **reason) {
	uint32_t i = lpm_find(c->route_map, addr), id;
	const struct route *r;

	*reason = "no-route";
	if (i == LPM_NONE)
		return TABLES_NO_ID;
	r = &c->routes[i];
	id = neighbor_hold(c->neighbors, r->port,
			   r->on_link ? addr : neighbor_addr(c->neighbors, r->nexthop));
	if (id == NEIGHBOR_NONE) {
		*reason = "neighbor-table-full";
		return TABLES_NO_ID;
	}
	return id;
}

uint32_t fixed_port_towards(const struct compile *c, const struct ip_addr *addr) {
	uint32_t i = lpm_find(c->route_map, addr);

	return i == LPM_NONE ? 0 : c->routes[i].port;
}

void fixed_set_rss(struct compile *c, const struct rss *const *by_port) {
	c->rss_in = by_port[0];
	for (uint32_t i = 0; i < c->site->n_ports; i++) {
		c->ports[i].rss = by_port[i];
		if (by_port[i] == NULL || c->rss_in == NULL || !rss_is_same(by_port[i], c->rss_in))
			c->rss_in = NULL;
	}
}

bool fixed_is_default_gateway(const struct compile *c, uint32_t nexthop) {
	for (uint32_t i = 0; i < c->n_routes; i++)
		if (c->routes[i].is_default && c->routes[i].nexthop == nexthop)
			return true;
	return false;
}
