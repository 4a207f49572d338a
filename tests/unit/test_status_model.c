// SPDX-License-Identifier: Apache-2.0
// Random interleavings of users, the watch, grants, workers, failures, foreign writers, leadership and restarts. Whatever the order:
//   no address is ever on a Service before the workers serve the generation that gave it,
//   no address is ever there without the finalizer,
//   and when all have come to rest, each Service is as it should be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "status_bed.h"

#define SERVICES 4
#define OPS 300
#define SEEDS 400
#define ADDRESSES 4096

struct known {          // what the appliance has of a Service
	json_t *object; // as the watch last showed it; NULL: none
	unsigned addr;  // number of the address that it is given now; 0: none
	bool ours;
	uint64_t generation;
};

struct run {
	struct bed bed;
	struct known known[SERVICES];
	uint64_t random, generation, served; // served: the most that ever was
	size_t shown, checked;               // of the log
	uint64_t generation_of[ADDRESSES];   // by number of address: of the tables that have it
	unsigned addresses;
	bool leads;
};

static unsigned draw(struct run *r, unsigned n) {
	r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((r->random >> 33) % n);
}

static const char *name_of(unsigned i) {
	static const char *const names[SERVICES] = {"a", "b", "c", "d"};

	return names[i];
}

static json_t *object_of(struct run *r, unsigned i) {
	return fake_api_get(&r->bed.api, bed_path(name_of(i)));
}

// --- the appliance ---

static void say(struct run *r, unsigned i) {
	struct known *k = &r->known[i];
	char text[32];
	struct bed_grant g = {.not_ours = !k->ours, .addr = k->addr != 0 ? text : NULL};

	snprintf(text, sizeof(text), "10.0.%u.%u", k->addr / 256, k->addr % 256);
	if (k->object != NULL)
		bed_show_object(&r->bed, name_of(i), k->object, &g, k->generation);
}

static void give(struct run *r, unsigned i, bool ours, bool addr) {
	struct known *k = &r->known[i];

	if (ours == k->ours && addr == (k->addr != 0))
		return;
	k->ours = ours;
	k->addr = addr ? ++r->addresses : 0;
	k->generation = ++r->generation;
	r->generation_of[k->addr] = k->generation;
}

static bool is_balancer(const json_t *object) {
	return strcmp(fake_text(object, "spec", "type"), "LoadBalancer") == 0;
}

static bool is_deleting(const json_t *object) {
	return fake_text(object, "metadata", "deletionTimestamp")[0] != '\0';
}

static void watch_shows(struct run *r, const json_t *entry) {
	const char *path = json_string_value(json_object_get(entry, "path"));
	json_t *object = json_object_get(entry, "object");

	for (unsigned i = 0; i < SERVICES; i++) {
		struct known *k = &r->known[i];

		if (strcmp(path, bed_path(name_of(i))) != 0)
			continue;
		if (!json_is_object(object)) {
			json_decref(k->object);
			*k = (struct known){.object = NULL};
			r->generation++;
			status_remove(r->bed.status, "shop", name_of(i), r->generation);
			continue;
		}
		if (k->object != NULL && strcmp(fake_text(object, "metadata", "uid"),
						fake_text(k->object, "metadata", "uid")) != 0)
			*k = (struct known){.object = k->object};
		json_decref(k->object);
		k->object = json_incref(object);
		give(r, i, is_balancer(object), is_balancer(object) && !is_deleting(object));
		say(r, i);
	}
}

static bool watch(struct run *r) {
	if (r->shown == json_array_size(r->bed.api.log))
		return false;
	watch_shows(r, json_array_get(r->bed.api.log, r->shown++));
	return true;
}

static void serve(struct run *r) {
	uint64_t lag = draw(r, 2) * draw(r, 3), at = r->generation > lag ? r->generation - lag : 0;

	if (at > r->served)
		r->served = at;
	status_served(r->bed.status, at);
}

static void restart(struct run *r) {
	bed_restart(&r->bed);
	status_lead(r->bed.status, r->leads);
	for (unsigned i = 0; i < SERVICES; i++)
		say(r, i);
	serve(r);
}

// --- what must hold at any time ---

static void check_entry(const struct run *r, const json_t *object) {
	json_t *list = json_object_get(json_object_get(json_object_get(object, "status"),
						       "loadBalancer"),
				       "ingress");
	const char *ip = json_string_value(json_object_get(json_array_get(list, 0), "ip"));
	unsigned high, low;

	if (ip == NULL || sscanf(ip, "10.0.%u.%u", &high, &low) != 2)
		return; // none, or a stranger's
	assert_true(r->generation_of[high * 256 + low] <= r->served);
}

static void check_log(struct run *r) {
	for (; r->checked < json_array_size(r->bed.api.log); r->checked++) {
		json_t *object = json_object_get(json_array_get(r->bed.api.log, r->checked),
						 "object");

		// Only versions that the writer has made; others keep what there is.
		if (json_is_object(object))
			check_entry(r, object);
	}
}

static void work(struct run *r, unsigned n) {
	fake_api_work(&r->bed.api, n);
	check_log(r);
}

// --- users and others ---

static void set_type(struct run *r, unsigned i, const char *type) {
	json_t *object = json_deep_copy(object_of(r, i));

	json_object_set_new(json_object_get(object, "spec"), "type", json_string(type));
	if (strcmp(type, "LoadBalancer") != 0)
		json_object_set_new(json_object_get(object, "status"), "loadBalancer",
				    json_object());
	fake_api_put(&r->bed.api, bed_path(name_of(i)), object);
}

static void user(struct run *r, unsigned i) {
	json_t *object = object_of(r, i);

	if (object == NULL) {
		bed_create(&r->bed, name_of(i));
		return;
	}
	switch (draw(r, 6)) {
	case 0:
		if (!is_deleting(object))
			fake_api_delete(&r->bed.api, bed_path(name_of(i)));
		break;
	case 1:
		set_type(r, i, is_balancer(object) ? "ClusterIP" : "LoadBalancer");
		break;
	case 2:
		if (draw(r, 4) == 0)
			bed_edit(&r->bed, name_of(i), "status", "loadBalancer", json_object());
		break;
	default:
		bed_edit(&r->bed, name_of(i), "metadata", "annotations",
			 json_pack("{s:i}", "n", draw(r, 1000)));
	}
}

static void break_something(struct run *r) {
	static const int statuses[] = {0, 401, 403, 409, 429, 500, 503, 404, 422};

	if (r->bed.api.n_rules == FAKE_RULES)
		return;
	fake_api_fail(&r->bed.api, draw(r, 4) == 0 ? "GET" : "PATCH", "/services/",
		      statuses[draw(r, 9)], 1 + draw(r, 3));
	// A lost answer to a write that was done; any other status means that it was not.
	if (r->bed.api.rules[r->bed.api.n_rules - 1].status == 0)
		r->bed.api.rules[r->bed.api.n_rules - 1].applied = draw(r, 2);
}

static void operate(struct run *r) {
	switch (draw(r, 12)) {
	case 0:
		user(r, draw(r, SERVICES));
		break;
	case 1:
	case 2:
		watch(r);
		break;
	case 3:
		serve(r);
		break;
	case 4: { // the owner asks for another address
		unsigned i = draw(r, SERVICES);

		if (r->known[i].addr != 0) {
			give(r, i, true, false);
			give(r, i, true, true);
			say(r, i);
		}
		break;
	}
	case 5:
		if (draw(r, 6) == 0)
			break_something(r);
		break;
	case 6:
		bed_pass(&r->bed, 1 + draw(r, 2000));
		break;
	case 7:
		if (draw(r, 10) == 0)
			status_lead(r->bed.status, r->leads = !r->leads);
		break;
	case 8:
		if (draw(r, 20) == 0)
			restart(r);
		break;
	default:
		status_step(r->bed.status, &r->bed.now);
		events_step(r->bed.events, &r->bed.now);
		work(r, draw(r, 3));
	}
}

// --- rest ---

static void come_to_rest(struct run *r) {
	for (unsigned i = 0; i < r->bed.api.n_rules; i++)
		r->bed.api.rules[i].times = 0;
	status_lead(r->bed.status, r->leads = true);
	// What was called invalid or missing waits for a change of the object.
	for (unsigned i = 0; i < SERVICES; i++)
		if (object_of(r, i) != NULL)
			bed_edit(&r->bed, name_of(i), "metadata", "annotations", json_object());
	for (int i = 0; i < 400; i++) { // a contested object takes five minutes
		while (watch(r))
			;
		r->served = r->generation;
		status_served(r->bed.status, r->served);
		bed_settle(&r->bed);
		check_log(r);
		bed_pass(&r->bed, 2000);
	}
}

static void check_rest(struct run *r, unsigned i) {
	const struct known *k = &r->known[i];
	const char *name = name_of(i);
	char text[32];

	if (object_of(r, i) == NULL)
		return;
	assert_false(is_deleting(object_of(r, i)));
	if (!is_balancer(object_of(r, i))) {
		assert_false(bed_has_finalizer(&r->bed, name));
		assert_string_equal(bed_condition(&r->bed, name, "sluice.dev/Allocated"), "");
		return;
	}
	snprintf(text, sizeof(text), "10.0.%u.%u", k->addr / 256, k->addr % 256);
	assert_string_equal(bed_ip(&r->bed, name), text);
	assert_true(bed_has_finalizer(&r->bed, name));
	assert_string_equal(bed_condition(&r->bed, name, "sluice.dev/Programmed"),
			    "True Programmed");
}

static void any_order_ends_well(void **state) {
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct run *r = calloc(1, sizeof(*r));

		bed_init(&r->bed);
		r->random = seed;
		r->leads = true;
		for (int op = 0; op < OPS; op++)
			operate(r);
		come_to_rest(r);
		for (unsigned i = 0; i < SERVICES; i++)
			check_rest(r, i);
		for (unsigned i = 0; i < SERVICES; i++)
			json_decref(r->known[i].object);
		bed_fini(&r->bed);
		free(r);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
