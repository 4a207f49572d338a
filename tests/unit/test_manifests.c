// SPDX-License-Identifier: Apache-2.0
// Manifests as a source: last good content, duplicates, links, and a watch that survives what people do to directories.
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kube/manifests.h"
#include "kube_case.h"

struct place {
	char root[64], dir[96];
	struct kube_settings settings;
	struct ipam_memory *memory;
	struct kube *k;
	struct manifests *m;
	int broken, notes;
	struct error last;
	int64_t now;
};

static void on_report(void *arg, enum manifests_severity severity, const struct error *what) {
	struct place *p = arg;

	*(severity == MANIFESTS_BROKEN ? &p->broken : &p->notes) += 1;
	p->last = *what;
}

static void place_init(struct place *p) {
	memset(p, 0, sizeof(*p));
	strcpy(p->root, "/tmp/test_manifests.XXXXXX");
	assert_non_null(mkdtemp(p->root));
	snprintf(p->dir, sizeof(p->dir), "%s/d", p->root);
	assert_int_equal(mkdir(p->dir, 0755), 0);
	p->memory = ipam_memory_create();
	p->k = kube_create(&p->settings, p->memory);
	p->m = manifests_create(p->dir, on_report, p);
	p->now = 1000000;
}

static void place_fini(struct place *p) {
	char command[128];

	manifests_destroy(p->m);
	kube_destroy(p->k);
	ipam_memory_destroy(p->memory);
	snprintf(command, sizeof(command), "rm -rf %s", p->root);
	assert_int_equal(system(command), 0);
}

static void write_file(const char *dir, const char *name, const char *text) {
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_file(const char *dir, const char *name) {
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void rename_file(const char *dir, const char *from, const char *to) {
	char a[256], b[256];

	snprintf(a, sizeof(a), "%s/%s", dir, from);
	snprintf(b, sizeof(b), "%s/%s", dir, to);
	assert_int_equal(rename(a, b), 0);
}

#define NODE(name) "apiVersion: v1\nkind: Node\nmetadata: {name: " name "}\n"

static int load(struct place *p) {
	return manifests_load(p->m, p->k, p->now);
}

static void only_yaml_and_json_files_of_the_directory_count(void **state) {
	struct place p;

	place_init(&p);
	write_file(p.dir, "a.yaml", NODE("a") "---\n" NODE("b"));
	write_file(p.dir, "b.json",
		   "{\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"c\"}}");
	write_file(p.dir, "c.yml", NODE("d"));
	write_file(p.dir, ".hidden.yaml", NODE("e"));
	write_file(p.dir, "notes.txt", "no");
	assert_int_equal(load(&p), 4);
	assert_int_equal(load(&p), 0);
	remove_file(p.dir, "a.yaml");
	assert_int_equal(load(&p), 2);
	assert_int_equal(kube_count(p.k, KUBE_NODE), 2);
	assert_int_equal(p.broken + p.notes, 0);
	place_fini(&p);
}

static void a_broken_file_keeps_its_last_good_content_and_is_reported_once(void **state) {
	struct place p;

	place_init(&p);
	write_file(p.dir, "a.yaml", NODE("a"));
	assert_int_equal(load(&p), 1);
	assert_true(manifests_is_complete(p.m));
	write_file(p.dir, "a.yaml",
		   NODE("b") "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: 3\n");
	write_file(p.dir, "b.yaml", "{{{");
	assert_int_equal(load(&p), 0);
	assert_int_equal(load(&p), 0);
	assert_int_equal(p.broken, 2);
	assert_int_equal(kube_count(p.k, KUBE_NODE), 1);
	assert_false(manifests_is_complete(p.m)); // b.yaml has never been good
	remove_file(p.dir, "b.yaml");
	assert_int_equal(load(&p), 0);
	assert_true(manifests_is_complete(p.m));
	write_file(p.dir, "a.yaml", NODE("b"));
	assert_int_equal(load(&p), 2);
	place_fini(&p);
}

static void a_fault_names_file_line_and_path(void **state) {
	struct place p;

	place_init(&p);
	write_file(
		p.dir, "web.yaml",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 1\n  - port: x\n");
	load(&p);
	assert_non_null(strstr(p.last.text, "/d/web.yaml:7: spec.ports[1].port: not an integer"));
	place_fini(&p);
}

static void the_first_definition_counts_and_the_other_is_reported(void **state) {
	struct place p;
	const char *svc =
		"{apiVersion: v1, kind: Service, metadata: {name: a, uid: %s}, spec: {ports: [{port: 1}]}}";
	char text[256];

	place_init(&p);
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), svc, i == 0 ? "x" : "y");
		memmove(text + 4, text, strlen(text) + 1);
		memcpy(text, "---\n", 4);
		write_file(p.dir, i == 0 ? "b.yaml" : "a.yaml", text);
	}
	assert_int_equal(load(&p), 1);
	assert_int_equal(p.notes, 1);
	assert_non_null(strstr(p.last.text, "b.yaml: Service default/a is already defined in "));
	place_fini(&p);
}

// Wait for events, then take them; the deadline is the test's only clock.
static bool event(struct place *p) {
	struct pollfd fd = {manifests_fd(p->m), POLLIN, 0};

	if (poll(&fd, 1, 2000) <= 0)
		return false;
	manifests_handle(p->m, p->now);
	return manifests_due(p->m, p->now) <= 20;
}

static void a_burst_of_changes_is_due_once_within_the_window(void **state) {
	struct place p;

	place_init(&p);
	assert_int_equal(manifests_fd(p.m), -1);
	assert_int_equal(manifests_watch(p.m, NULL), 0);
	assert_int_equal(load(&p), 0);
	assert_true(manifests_due(p.m, p.now) > 1000);
	write_file(p.dir, "a.yaml", NODE("a"));
	assert_true(event(&p));
	assert_int_equal(manifests_due(p.m, p.now), 20);
	p.now += 15;
	write_file(p.dir, "b.yaml", NODE("b"));
	assert_true(event(&p));
	assert_int_equal(manifests_due(p.m, p.now), 5); // later events don't move it
	p.now += 5;
	assert_int_equal(manifests_due(p.m, p.now), 0);
	assert_int_equal(load(&p), 2);
	place_fini(&p);
}

static void a_configmap_swap_is_seen(void **state) {
	struct place p;
	char v[128];

	place_init(&p);
	for (int i = 1; i <= 2; i++) {
		snprintf(v, sizeof(v), "%s/..v%d", p.dir, i);
		mkdir(v, 0755);
		write_file(v, "a.yaml", i == 1 ? NODE("a") : NODE("a") "---\n" NODE("b"));
	}
	snprintf(v, sizeof(v), "%s/..data", p.dir);
	assert_int_equal(symlink("..v1", v), 0);
	snprintf(v, sizeof(v), "%s/a.yaml", p.dir);
	assert_int_equal(symlink("..data/a.yaml", v), 0);
	manifests_watch(p.m, NULL);
	assert_int_equal(load(&p), 1);
	snprintf(v, sizeof(v), "%s/..tmp", p.dir);
	assert_int_equal(symlink("..v2", v), 0);
	rename_file(p.dir, "..tmp", "..data");
	assert_true(event(&p));
	assert_int_equal(load(&p), 1);
	assert_int_equal(kube_count(p.k, KUBE_NODE), 2);
	place_fini(&p);
}

static void a_directory_that_goes_changes_nothing_until_it_is_back(void **state) {
	struct place p;

	place_init(&p);
	write_file(p.dir, "a.yaml", NODE("a"));
	manifests_watch(p.m, NULL);
	assert_int_equal(load(&p), 1);
	rename_file(p.root, "d", "e");
	assert_true(event(&p));
	assert_int_equal(load(&p), -ENOENT);
	assert_int_equal(load(&p), -ENOENT);
	assert_int_equal(p.broken, 1);
	assert_int_equal(kube_count(p.k, KUBE_NODE), 1);
	assert_int_equal(manifests_due(p.m, p.now), 1000);
	rename_file(p.root, "e", "d");
	assert_true(event(&p));
	write_file(p.dir, "b.yaml", NODE("b"));
	assert_int_equal(load(&p), 1);
	write_file(p.dir, "c.yaml", NODE("c")); // and it is watched again
	assert_true(event(&p));
	assert_int_equal(load(&p), 1);
	place_fini(&p);
}

static void one_file_may_be_the_whole_source(void **state) {
	struct place p;
	struct manifests *m;
	char path[128];

	place_init(&p);
	snprintf(path, sizeof(path), "%s/any.name", p.dir);
	m = manifests_create(path, on_report, &p);
	write_file(p.dir, "any.name", NODE("a"));
	assert_int_equal(manifests_load(m, p.k, 0), 1);
	remove_file(p.dir, "any.name");
	assert_int_equal(manifests_load(m, p.k, 0), -ENOENT);
	assert_int_equal(kube_count(p.k, KUBE_NODE), 1);
	manifests_destroy(m);
	place_fini(&p);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_yaml_and_json_files_of_the_directory_count),
		cmocka_unit_test(a_broken_file_keeps_its_last_good_content_and_is_reported_once),
		cmocka_unit_test(a_fault_names_file_line_and_path),
		cmocka_unit_test(the_first_definition_counts_and_the_other_is_reported),
		cmocka_unit_test(a_burst_of_changes_is_due_once_within_the_window),
		cmocka_unit_test(a_configmap_swap_is_seen),
		cmocka_unit_test(a_directory_that_goes_changes_nothing_until_it_is_back),
		cmocka_unit_test(one_file_may_be_the_whole_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
