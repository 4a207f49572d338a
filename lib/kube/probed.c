// SPDX-License-Identifier: Apache-2.0
// Node mode's probes: what to ask, and what an answer touches.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/store.h"

bool unit_in_node_mode(const struct unit *u) {
	if (u->service == NULL || u->plan.target != KUBE_TARGET_NODE)
		return false;
	for (uint32_t i = 0; i < u->plan.n_ports; i++)
		if (u->plan.ports[i].n_frontends > 0)
			return true;
	return false;
}

// --- targets ---

struct targets {
	struct kube_probe_target *list;
	uint32_t n, room;
};

static int add_target(struct targets *t, const struct kube_object *node, const struct ip_addr *addr,
		      const struct kube_meta *service, uint16_t port) {
	if (t->n == t->room) {
		uint32_t room = t->room > 0 ? 2 * t->room : 64;
		struct kube_probe_target *grown = realloc(t->list, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		t->list = grown;
		t->room = room;
	}
	t->list[t->n++] = (struct kube_probe_target){.node = node->meta.name,
						     .ns = service != NULL ? service->ns : NULL,
						     .name = service != NULL ? service->name : NULL,
						     .addr = *addr,
						     .port = port};
	return 0;
}

// has: NULL for all nodes.
static int add_targets(struct targets *t, const struct kube *k, const bool *has,
		       const struct kube_meta *service, uint16_t port) {
	int ret = 0;

	for (uint32_t i = 0; i < HASH_COUNT(k->items[KUBE_NODE]) && ret == 0; i++) {
		const struct ip_addr *addr = kube_node_probe_addr(k->settings, &k->nodes[i]->node);

		if ((has == NULL || has[i]) && addr != NULL)
			ret = add_target(t, k->nodes[i], addr, service, port);
	}
	return ret;
}

static int add_own_targets(struct targets *t, const struct kube *k, const struct unit *u) {
	const struct kube_view v = unit_view(k, u);
	bool *has = calloc(v.n_nodes + 1, sizeof(*has));
	int ret = has == NULL ? -ENOMEM : kube_local_nodes(has, &v);

	if (ret == 0)
		ret = add_targets(t, k, has, &u->service->meta,
				  u->service->service.health_check_node_port);
	free(has);
	return ret;
}

int kube_probe_targets(const struct kube *k, uint16_t kube_proxy_port,
		       struct kube_probe_target **list) {
	struct targets t = {0};
	bool proxies = false;
	int ret = k->nodes_changed ? -EAGAIN : 0;

	for (const struct unit *u = k->units; u != NULL && ret == 0; u = u->hh.next) {
		if (!unit_in_node_mode(u))
			continue;
		if (kube_has_own_probe(&u->service->service))
			ret = add_own_targets(&t, k, u);
		else
			proxies = true;
	}
	if (ret == 0 && proxies)
		ret = add_targets(&t, k, NULL, NULL, kube_proxy_port);
	if (ret < 0) {
		free(t.list);
		return ret;
	}
	*list = t.list;
	return (int)t.n;
}

uint64_t kube_probe_version(const struct kube *k) {
	return k->targets_version;
}

// --- verdicts ---

// A first answer that confirms what was assumed is no news for the Services.
static bool is_news(const struct kube_health *a, const struct kube_health *b) {
	uint32_t weight_a = a->verdict == KUBE_UP ? a->weight : 0;
	uint32_t weight_b = b->verdict == KUBE_UP ? b->weight : 0;

	return weight_a != weight_b || (a->verdict == KUBE_DOWN) != (b->verdict == KUBE_DOWN) ||
	       (a->verdict == KUBE_UNKNOWN) != (b->verdict == KUBE_UNKNOWN);
}

static void touch_users_of_proxies(struct kube *k) {
	for (struct unit *u = k->units; u != NULL; u = u->hh.next)
		if (unit_in_node_mode(u) && !kube_has_own_probe(&u->service->service))
			unit_judge(k, u);
}

int kube_set_node_health(struct kube *k, const char *node, const char *ns, const char *name,
			 const struct kube_health *h) {
	char key[KEY_SIZE] = "";
	struct kube_health before;
	struct unit *u;
	int ret;

	if (name != NULL)
		make_key(key, ns, name);
	before = health_find(k->health, node, key);
	ret = health_set(&k->health, node, key, h);
	if (ret <= 0 || !is_news(&before, h))
		return ret < 0 ? ret : 0;
	if (name == NULL) {
		touch_users_of_proxies(k);
		return 1;
	}
	HASH_FIND_STR(k->units, key, u);
	if (u != NULL)
		unit_judge(k, u);
	return 1;
}

uint32_t kube_disbelieved(const struct kube *k) {
	return k->n_doubted;
}
