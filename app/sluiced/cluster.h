// SPDX-License-Identifier: Apache-2.0
// services.kubernetes as the source of objects: a client, reflectors, the gate, the snapshot, on the control loop.
//
//     API server --client--> reflectors --> feed --> store --control_apply()--> tables
//                                            |  ^
//                                            v  |    at the start, so that traffic begins while the server is away
//                                          snapshot
//
// Changes are gathered for 2 ms, so that an endpoint that moves from one slice to another in two events is never absent in between, and many events are one
// generation. The server being away changes nothing: what was learnt last is served.
//
// EndpointSlices are followed; v1 Endpoints only where a server says, before the first sync, that it has no discovery.k8s.io/v1.
// Control thread only.
#ifndef SLUICED_CLUSTER_H
#define SLUICED_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/client.h"
#include "api/http.h"
#include "api/reflector.h"
#include "kube/feed.h"
#include "kube/snapshot.h"
#include "latency.h"

#define CLUSTER_VERSION 128 // of a resourceVersion, as long as those of the reflector

struct cluster_stream { // of one kind, by enum kube_kind
	struct cluster *cluster;
	struct reflector *reflector;   // NULL: not followed
	char applied[CLUSTER_VERSION]; // the last resourceVersion that is in the published tables
};

struct cluster {
	struct sluiced *sluiced;
	struct http *http;
	struct kubeconfig *access;
	char *access_text; // all of it, to see whether a new reading differs
	struct api_client *client;
	struct reflector_server server;
	struct feed *feed;
	struct cluster_stream streams[KUBE_KINDS];
	bool endpoints;            // v1 Endpoints are followed in place of EndpointSlices
	struct snapshot *snapshot; // NULL: off
	bool warm;                 // serving a snapshot; until the first sync
	int64_t saved_at;          // of the snapshot, seconds since 1970
	int64_t mark_at;           // ms; the snapshot is written again although nothing changed
	int64_t changed_us;        // first change that is not in the tables yet; 0: none
	struct latency latency;
	// What was told.
	bool told_away;
	int64_t tell_at;       // ms; the next line on the server's absence
	int64_t away_since;    // ms; 0: it answers
	int64_t broken_minute; // for the limit of lines on broken objects
	unsigned broken_told, broken_untold;
};

// --- among the cluster's files ---

struct sluiced;
json_t *cluster_describe(struct sluiced *s); // the verb kube

void cluster_news(void *arg, enum feed_news news, const struct error *what); // a feed_report_fn
void cluster_tell_away(struct cluster *c, int64_t now); // and who answers again

// path "": off. After it is known which server is followed: a snapshot is one server's. Errors: -errno with text.
int cluster_open_snapshot(struct cluster *c, const char *path, struct error *err);
void cluster_step_snapshot(struct cluster *c, int64_t now);
void cluster_close_snapshot(struct cluster *c); // what is not in it yet is written
void cluster_renew_snapshot(struct cluster *c, const char *path); // another server is followed

#endif
