// SPDX-License-Identifier: Apache-2.0
// Answers as text for people, one function a verb. A member that is missing or of another type
// shows as "-".
#ifndef SLUICE_SLUICECTL_SHOW_H
#define SLUICE_SLUICECTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

// Errors: -ENOMEM, -EIO.
int show_services(json_t *body, FILE *out);
int show_backends(json_t *body, FILE *out);
int show_flows(json_t *body, FILE *out);
int show_ports(json_t *body, FILE *out);
int show_explain(json_t *body, FILE *out);
int show_explain_service(json_t *body, FILE *out);
int show_pools(json_t *body, FILE *out);
int show_stats(json_t *body, FILE *out);
int show_probes(json_t *body, FILE *out);
int show_kube(json_t *body, FILE *out);

#endif
