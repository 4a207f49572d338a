// SPDX-License-Identifier: Apache-2.0
// The rules of aim.h, one function each; then the difference as a patch.
#include "status/aim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/ingress.h"

// --- grants ---

void aim_grant_fini(struct aim_grant *g) {
	free(g->ingress);
	g->ingress = NULL;
}

bool aim_grant_equal(const struct aim_grant *a, const struct aim_grant *b) {
	return a->ours == b->ours && a->is_served == b->is_served &&
	       a->awaits_endpoints == b->awaits_endpoints && a->has_no_nodes == b->has_no_nodes &&
	       a->hides_clients == b->hides_clients && strcmp(a->ingress, b->ingress) == 0 &&
	       strcmp(a->code, b->code) == 0 && strcmp(a->reason, b->reason) == 0 &&
	       strcmp(a->where, b->where) == 0 && strcmp(a->fault, b->fault) == 0 &&
	       strcmp(a->faults, b->faults) == 0;
}

// --- the marks wanted ---

bool aim_is_release(const struct view *v, const struct aim_grant *g) {
	if (!g->ours)
		return view_marks_are_ours(&v->marks);
	return v->deleting && (v->marks.finalizer || view_marks_are_ours(&v->marks));
}

static void release(struct view_marks *m, const struct view *v) {
	m->finalizer = false;
	// Of another type the server has emptied it itself, and refuses what is written there.
	if (v->load_balancer && view_marks_show_ours(m))
		m->ingress[0] = '\0';
	memset(m->conditions, 0, sizeof(m->conditions));
}

__attribute__((format(printf, 5, 6))) static void set_condition(struct view_condition *c,
								char status, const char *reason,
								int64_t generation,
								const char *format, ...) {
	va_list args;

	memset(c, 0, sizeof(*c));
	c->status = status;
	c->generation = generation;
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
	va_start(args, format);
	vsnprintf(c->message, sizeof(c->message), format, args);
	va_end(args);
}

static void set_allocated(struct view_condition *c, const struct view *v,
			  const struct aim_grant *g) {
	if (g->ingress[0] == '\0')
		set_condition(c, 'F', g->code[0] != '\0' ? g->code : VIEW_NO_ADDRESS, v->generation,
			      "%s", g->reason);
	else if (g->code[0] != '\0')
		set_condition(c, 'T', g->code, v->generation, "%.*s; %.*s", VIEW_MESSAGE / 2 - 4,
			      g->where, VIEW_MESSAGE / 2 - 4, g->reason);
	else
		set_condition(c, 'T', AIM_ALLOCATED, v->generation, "%s", g->where);
}

static void set_programmed(struct view_condition *c, const struct view *v,
			   const struct aim_grant *g) {
	if (g->ingress[0] == '\0')
		set_condition(c, 'F', VIEW_NO_ADDRESS, v->generation, "it has no address");
	else if (!g->is_served)
		set_condition(c, 'F', g->fault[0] != '\0' ? g->fault : "NotServed", v->generation,
			      "%s", g->faults);
	else
		set_condition(c, 'T', "Programmed", v->generation, "%s",
			      g->fault[0] != '\0' ? g->faults : "all ports are served");
}

static void set_ports_error(struct view_condition *c, const struct view *v,
			    const struct aim_grant *g) {
	const char *reason = strcmp(g->fault, "ProtocolNotSupported") == 0
				     ? "LoadBalancerMixedProtocolNotSupported"
				     : g->fault;

	if (g->ingress[0] != '\0' && g->fault[0] != '\0')
		set_condition(c, 'T', reason, v->generation, "%s", g->faults);
	else if (view_marks_are_ours(&v->marks)) // else it is not ours to take away
		memset(c, 0, sizeof(*c));
}

static int show(struct view_marks *m, const struct view *v, const struct aim_grant *g) {
	bool was_shown = m->ingress[0] != '\0';
	const char *ingress = g->ingress;
	char *copy;

	if (ingress[0] == '\0' ? !view_marks_show_ours(m) : !g->is_served && !was_shown)
		ingress = m->ingress;
	copy = strdup(ingress);
	if (copy == NULL)
		return -ENOMEM;
	free(m->ingress);
	m->ingress = copy;
	set_allocated(&m->conditions[VIEW_ALLOCATED], v, g);
	set_programmed(&m->conditions[VIEW_PROGRAMMED], v, g);
	set_ports_error(&m->conditions[VIEW_PORTS_ERROR], v, g);
	return 0;
}

static void claim(struct view_marks *m, const struct view *v, const struct aim_grant *g) {
	set_allocated(&m->conditions[VIEW_ALLOCATED], v, g);
	if (m->conditions[VIEW_PROGRAMMED].status == 0)
		set_condition(&m->conditions[VIEW_PROGRAMMED], 'F', VIEW_PENDING, v->generation,
			      "%s",
			      g->awaits_endpoints ? "there is no EndpointSlice for it yet"
						  : "the workers do not have it yet");
}

static int serve(struct view_marks *m, const struct view *v, const struct aim_grant *g, bool served,
		 bool finalizer) {
	bool was_ours = view_marks_are_ours(&v->marks);

	if (g->awaits_endpoints && g->ingress[0] != '\0' && v->marks.ingress[0] == '\0')
		served = false;
	if (g->ingress[0] != '\0' && finalizer)
		m->finalizer = true;
	else if (!finalizer && was_ours)
		m->finalizer = false;
	if (m->finalizer && !v->marks.finalizer && v->marks.ingress[0] == '\0') {
		claim(m, v, g);
		return AIM_CLAIM;
	}
	if (served)
		return show(m, v, g) < 0 ? -ENOMEM : AIM_SHOW;
	if (was_ours || g->ingress[0] == '\0')
		return AIM_SHOW; // but for the finalizer it stays as it was
	claim(m, v, g);
	return AIM_CLAIM;
}

int aim_at(struct view_marks *m, const struct view *v, const struct aim_grant *g, bool served,
	   bool finalizer) {
	int step = AIM_KEEP;

	if (view_marks_copy(m, &v->marks) < 0)
		return -ENOMEM;
	if (!g->ours || v->deleting) {
		// The data plane first: an address that is still given is still served.
		if (aim_is_release(v, g) && served && g->ingress[0] == '\0') {
			release(m, v);
			step = AIM_RELEASE;
		}
	} else {
		step = serve(m, v, g, served, finalizer);
	}
	if (step < 0) {
		view_marks_fini(m);
		return step;
	}
	return view_marks_equal(m, &v->marks) ? AIM_KEEP : step;
}

// --- the patch ---

static json_t *condition_patch(enum view_condition_type t, const struct view_condition *was,
			       const struct view_condition *c, const struct moment *now) {
	char time[MOMENT_TEXT];
	json_t *patch = json_pack("{s:s}", "type", view_condition_name(t));

	if (c->status == 0) {
		json_object_set_new(patch, "$patch", json_string("delete"));
		return patch;
	}
	json_object_set_new(patch, "status", json_string(view_status_name(c->status)));
	json_object_set_new(patch, "reason", json_string(c->reason));
	json_object_set_new(patch, "message", json_string(c->message));
	if (c->generation != 0)
		json_object_set_new(patch, "observedGeneration", json_integer(c->generation));
	if (c->status != was->status)
		json_object_set_new(patch, "lastTransitionTime",
				    json_string(moment_time(now, time)));
	return patch;
}

static bool differ(const struct view_condition *a, const struct view_condition *b) {
	return a->status != b->status || a->generation != b->generation ||
	       strcmp(a->reason, b->reason) != 0 || strcmp(a->message, b->message) != 0;
}

static json_t *conditions_patch(const struct view_marks *was, const struct view_marks *m,
				const struct moment *now) {
	json_t *list = json_array();

	for (int t = 0; t < VIEW_CONDITIONS; t++)
		if (differ(&was->conditions[t], &m->conditions[t]))
			json_array_append_new(list, condition_patch(t, &was->conditions[t],
								    &m->conditions[t], now));
	return list;
}

static json_t *status_patch(const struct view_marks *was, const struct view_marks *m,
			    const struct moment *now) {
	json_t *status = json_object(), *conditions = conditions_patch(was, m, now);

	if (strcmp(was->ingress, m->ingress) != 0)
		json_object_set_new(status, "loadBalancer",
				    json_pack("{s:o?}", "ingress", ingress_list(m->ingress)));
	if (json_array_size(conditions) > 0)
		json_object_set(status, "conditions", conditions);
	json_decref(conditions);
	return status;
}

json_t *aim_patch(const struct view *v, const struct view_marks *m, const struct moment *now) {
	json_t *metadata = json_pack("{s:s, s:s}", "uid", v->uid, "resourceVersion", v->version);
	json_t *status = status_patch(&v->marks, m, now);

	if (m->finalizer != v->marks.finalizer)
		json_object_set_new(metadata,
				    m->finalizer ? "finalizers"
						 : "$deleteFromPrimitiveList/finalizers",
				    json_pack("[s]", VIEW_FINALIZER));
	return json_pack("{s:o, s:o}", "metadata", metadata, "status", status);
}
