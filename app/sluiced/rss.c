// SPDX-License-Identifier: Apache-2.0
// From what a device says of its RSS to a model of it, or the reason why there is none.
#include "rss.h"

#include "base/log.h"

// NULL: the device hashes all that fullnat's answers are.
static const char *judge_families(const struct port_rss *r, const struct site *s) {
	if (s->n_snat4 > 0 && !r->hashes_ports[0])
		return "it does not hash TCP and UDP over IPv4 by their ports";
	if (s->n_snat6 > 0 && !r->hashes_ports[1])
		return "it does not hash TCP and UDP over IPv6 by their ports";
	return NULL;
}

static const char *model(struct rss *out, const struct port_rss *r, uint16_t index,
			 const struct site *s, const struct dataplane *dp) {
	uint8_t worker[PORT_MAX_RETA];
	const struct rss_settings settings = {
		.key = r->key,
		.key_len = r->key_len,
		.worker = worker,
		.size = r->reta_size,
		.workers = dp->n_workers,
		.snat = {s->snat4, s->snat6},
		.n_snat = {s->n_snat4, s->n_snat6},
	};
	const char *why = judge_families(r, s);

	if (why != NULL)
		return why;
	for (uint16_t i = 0; i < r->reta_size; i++)
		worker[i] = (uint8_t)dataplane_queue_worker(dp, index, r->queue[i]);
	return rss_init(out, &settings, &why) < 0 ? why : NULL;
}

static const char *learn(struct rss *out, const struct port *port, uint16_t index,
			 const struct site *s, const struct dataplane *dp) {
	struct port_rss r;
	const char *why;

	if (dp->n_workers == 1)
		return "one worker";
	if (s->n_snat4 + s->n_snat6 == 0)
		return "no SNAT addresses";
	if (port->n_rx_queues != dp->n_workers)
		return "it has not one receive queue for each worker";
	return port_rss_read(port, &r, &why) < 0 ? why : model(out, &r, index, s, dp);
}

void rss_learn(struct rss_port *out, const struct port *port, uint16_t index,
	       const struct config *c, const struct dataplane *dp) {
	const struct site *s = &c->site;

	out->why = learn(&out->rss, port, index, s, dp);
	out->is_known = out->why == NULL;
	if (dp->n_workers == 1 || s->n_snat4 + s->n_snat6 == 0)
		return;
	if (out->is_known)
		log_info(
			"port %s: answers in fullnat reach their worker by RSS, %u entries, read back",
			port->name, out->rss.size);
	else
		log_info("port %s: SNAT ports in slices, answers in fullnat are handed over: %s",
			 port->name, out->why);
}
