// SPDX-License-Identifier: Apache-2.0
// Which ports' RSS is known well enough that answers in fullnat reach their worker without hand-over, decided once the devices run.
#ifndef SLUICED_RSS_H
#define SLUICED_RSS_H

#include "config/config.h"
#include "dataplane/worker.h"
#include "port/port.h"

struct rss_port {
	bool is_known;
	const char *why; // not known: why not
	struct rss rss;
};

// The port's device has started. Says it in the log where there is a choice: SNAT addresses and several workers.
void rss_learn(struct rss_port *out, const struct port *port, uint16_t index,
	       const struct config *c, const struct dataplane *dp);

#endif
