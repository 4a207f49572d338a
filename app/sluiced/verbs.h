// SPDX-License-Identifier: Apache-2.0
// The verbs of the control socket: GET /v1/VERB in, JSON out.
//
//     services, backends, stats, ports    answered at once from model, tables and counters (verbs.c)
//     pools, explain of a Service         answered at once from the store of objects (addresses.c)
//     probes                              what nodes said of themselves (probes.c)
//     kube                                answered at once by the source of objects (cluster_verb.c, files.c)
//     flows, explain                      workers look into their own tables (flows.c, explain.c)
//
// A question to workers is a query: one job for each worker asked, given to their command queues. The control loop calls verbs_poll() until all
// are done; the query then answers its request. Field names: shared with sluicectl and users' scripts; add, never rename.
#ifndef SLUICED_VERBS_H
#define SLUICED_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/worker.h"
#include "mgmt/mgmt.h"

struct model_backend;
struct model_service;
struct sluiced;

struct query {
	LIST_ENTRY(query) link;
	struct mgmt_request *request;
	struct job *jobs[WORKERS_MAX]; // by worker; NULL: not asked
	bool given[WORKERS_MAX];
	void (*finish)(struct sluiced *s, struct query *q); // answer the request
	void (*destroy)(struct query *q);                   // free the query and its jobs
};

struct verbs {
	LIST_HEAD(, query) queries;
};

const struct mgmt_verb *verbs_list(unsigned *n);
// Give jobs, answer those queries that are done. Returns whether any is left.
bool verbs_poll(struct sluiced *s);
// The workers have left: forget what is under way.
void verbs_fini(struct sluiced *s);

// --- among the verbs ---

void verbs_ask(struct sluiced *s, struct query *q); // takes q over
void verb_flows(void *ctx, struct mgmt_request *r);
void verb_explain(void *ctx, struct mgmt_request *r);
void verb_explain_service(struct sluiced *s, struct mgmt_request *r, const char *service);
void verb_pools(void *ctx, struct mgmt_request *r);

// "NS/NAME" of a service id, "" when there is none. buf holds VERBS_NAME bytes.
#define VERBS_NAME 130
const char *verbs_service_name(const struct sluiced *s, uint32_t service, char *buf);
// ADDR:PORT of a backend id; buf as for ip_port_format().
const char *verbs_backend_text(const struct sluiced *s, uint32_t backend, char *buf);
json_t *verbs_items(json_t *list); // {"items": list}
// A row of the verb backends.
json_t *verbs_backend_row(const struct sluiced *s, const struct model_service *m,
			  const struct model_backend *b);
// "NAMESPACE/NAME" taken apart. Errors: -EINVAL.
int verbs_split(const char *text, char ns[64], char name[64]);

#endif
