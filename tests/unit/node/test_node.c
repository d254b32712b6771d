/* node: what can be told without a second process: places of containers, families, entries found and ordered,
 * facts of this very process, digests, claims as Struct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "google/protobuf/struct.pb-c.h"
#include "service/node/node_int.h"
#include "service/node/proc.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static arena_t *arena;

static int make(void **state)
{
	(void)state;
	arena = arena_open();
	return 0;
}

static int drop(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* --- containers ------------------------------------------------------------------------------------------- */

static void container_ids_stand_at_exact_places(void **state)
{
	static const char *const good[] = { "/docker/" ID, "/docker/" ID "/init", "/system.slice/docker-" ID ".scope",
		"/machine.slice/libpod-" ID ".scope/container", "/libpod_parent/libpod-" ID };
	static const char *const bad[] = { "/", "/docker/" ID "0", "/docker/x" ID, "/docker/" ID ".scope", "/a/docker/" ID,
		"/user.slice/user-1.slice/user@1.service/user.slice/libpod-" ID ".scope", "/system.slice/docker-" ID,
		"/system.slice/docker-" ID ".scopex", "/system.slice/x/docker-" ID ".scope", "/docker/../docker/" ID,
		"/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "/docker/", "docker/" ID };
	str_t prefix;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(str_eq(attest_container_of(str_of(good[i]), &prefix), STR(ID)));
		assert_true(str_starts(str_of(good[i]), prefix));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(attest_container_of(str_of(bad[i]), &prefix).n, 0);
	}
	assert_int_equal(attest_container_of(STR_NULL, &prefix).n, 0);
}

static void families_by_name(void **state)
{
	(void)state;
	assert_int_equal(attest_family_of(STR("unix:uid:1")), ATTEST_ID);
	assert_int_equal(attest_family_of(STR("unix:user:x")), ATTEST_NAME);
	assert_int_equal(attest_family_of(STR("unix:path:/x")), ATTEST_PATH);
	assert_int_equal(attest_family_of(STR("docker:label:a:b")), ATTEST_DOCKER);
	assert_int_equal(attest_family_of(STR("k8s:ns:x")), ATTEST_FOREIGN);
	assert_int_equal(attest_family_of(STR("unix:uidx:1")), ATTEST_FOREIGN);
	assert_int_equal(attest_family_of(STR("")), ATTEST_FOREIGN);
}

/* --- entries ------------------------------------------------------------------------------------------------ */

static err_t put(entries_t *t, const char *line, bool *changed)
{
	const json_t *doc;

	TRY(json_parse_object(arena, str_of(line), &doc, NULL));
	return entries_put(t, doc, STR("t.test"), changed);
}

#define LINE(id, created, selectors, more)                                                              \
	"{\"key\":\"spiffe://t.test/a#" id "\",\"agent\":\"spiffe://t.test/a\",\"created\":" created              \
	",\"entry\":{\"id\":\"" id "\",\"selectors\":[" selectors "]" more "}}"

static match_t match(entries_t *t, const char *const *selectors, size_t n, attest_families_t unknown)
{
	str_t *v = arena_array(arena, str_t, n + 1);
	spiffe_selectors_t s;
	match_t m;

	for (size_t i = 0; i < n; i++) {
		v[i] = str_of(selectors[i]);
	}
	assert_int_equal(spiffe_selectors_make(arena, v, n, 16, &s), OK);
	entries_match(t, &(match_facts_t){ &s, unknown, NULL, 1000 }, &m);
	return m;
}
#define MATCH(t, unknown, ...)                                                                         \
	match((t), (const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })), (unknown))

static void entries_are_found_and_ordered(void **state)
{
	entries_t *t = heap_new(entries_t);
	bool changed;

	(void)state;
	assert_int_equal(put(t, LINE("one", "5", "\"unix:uid:1\"", ""), &changed), OK);
	assert_true(changed);
	assert_int_equal(put(t, LINE("one", "5", "\"unix:uid:1\"", ""), &changed), OK);
	assert_false(changed);
	assert_int_equal(put(t, LINE("both", "4", "\"unix:gid:1\",\"unix:uid:1\"", ",\"priority\":-1"), &changed), OK);
	assert_int_equal(put(t, LINE("run", "1", "\"unix:uid:1\"", ",\"runner\":{\"selectors\":[\"unix:uid:0\"]}"), &changed), OK);
	assert_int_equal(put(t, LINE("old", "2", "\"unix:uid:1\"", ",\"expires_at\":999"), &changed), OK);
	match_t m = MATCH(t, 0, "unix:uid:1", "unix:gid:1");
	assert_int_equal(m.n, 2); /* not the one for runs, not the one that has expired */
	assert_true(str_eq(m.v[0]->e.id, STR("one")));
	assert_true(str_eq(m.v[1]->e.id, STR("both")));
	assert_int_equal(MATCH(t, 0, "unix:uid:1").n, 1);
	assert_int_equal(MATCH(t, 0, "unix:gid:1").n, 0);
	assert_true(entries_remove(t, STR("spiffe://t.test/a#one")));
	assert_false(entries_remove(t, STR("spiffe://t.test/a#one")));
	assert_int_equal(MATCH(t, 0, "unix:uid:1").n, 0);
	entries_done(t);
	assert_int_equal(t->n, 0);
	heap_free(t);
}

static void an_unknown_family_makes_a_maybe_only_where_it_could_matter(void **state)
{
	entries_t *t = heap_new(entries_t);
	bool changed;

	(void)state;
	assert_int_equal(put(t, LINE("unit", "5", "\"systemd:id:x.service\",\"unix:uid:1\"", ""), &changed), OK);
	assert_false(MATCH(t, 0, "unix:uid:1").maybe);
	assert_true(MATCH(t, ATTEST_SYSTEMD, "unix:uid:1").maybe);
	assert_false(MATCH(t, ATTEST_SYSTEMD, "unix:uid:2").maybe);
	assert_false(MATCH(t, ATTEST_DOCKER, "unix:uid:1").maybe);
	assert_int_equal(t->needs, ATTEST_SYSTEMD | ATTEST_ID);
	entries_done(t);
	heap_free(t);
}

static void a_feed_that_begins_anew_takes_away_what_it_leaves_out(void **state)
{
	entries_t *t = heap_new(entries_t);
	bool changed;

	(void)state;
	assert_int_equal(put(t, LINE("one", "5", "\"unix:uid:1\"", ""), &changed), OK);
	assert_int_equal(put(t, LINE("two", "5", "\"unix:uid:1\"", ""), &changed), OK);
	entries_stale(t);
	assert_int_equal(put(t, LINE("two", "5", "\"unix:uid:1\"", ""), &changed), OK);
	assert_true(entries_sweep(t));
	assert_int_equal(t->n, 1);
	assert_false(entries_sweep(t));
	assert_int_not_equal(put(t, LINE("bad", "5", "", ""), &changed), OK);
	assert_int_not_equal(put(t, LINE("bad", "5", "\"uid\"", ""), &changed), OK);
	assert_int_not_equal(put(t, "{\"key\":\"x\"}", &changed), OK);
	entries_done(t);
	heap_free(t);
}

static void a_run_names_one_entry(void **state)
{
	entries_t *t = heap_new(entries_t);
	node_entry_t *e;
	bool changed;

	(void)state;
	assert_int_equal(put(t, LINE("r1", "5", "\"unix:uid:1\"", ",\"runner\":{\"selectors\":[\"unix:uid:0\"]}"), &changed), OK);
	assert_int_equal(put(t, LINE("plain", "5", "\"unix:uid:1\"", ""), &changed), OK);
	assert_int_equal(entries_for_run(t, STR("a"), STR_NULL, &e), OK);
	assert_int_equal(entries_for_run(t, STR("spiffe://t.test/a"), STR("r1"), &e), OK);
	assert_int_equal(entries_for_run(t, STR("a"), STR("plain"), &e), ERR_NOT_FOUND);
	assert_int_equal(entries_for_run(t, STR("b"), STR_NULL, &e), ERR_NOT_FOUND);
	assert_int_equal(put(t, LINE("r2", "5", "\"unix:uid:1\"", ",\"runner\":{\"selectors\":[\"unix:uid:0\"]}"), &changed), OK);
	assert_int_equal(entries_for_run(t, STR("a"), STR_NULL, &e), ERR_VALUE);
	entries_done(t);
	heap_free(t);
}

/* --- processes ----------------------------------------------------------------------------------------------- */

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void a_process_by_its_pidfd(void **state)
{
	peer_kernel_t oldest = peer_kernel_probe(true), newest = peer_kernel_probe(false);
	pid_t child = fork(), pid;
	peer_t p;

	(void)state;
	if (child == 0) {
		pause();
		_exit(0);
	}
	int one = pidfd_of(child), two = pidfd_of(child), own = pidfd_of(getpid());
	assert_true(str_eq(peer_kernel_text(&oldest), STR("6.1 path")));
	for (size_t i = 0; i < 2; i++) {
		const peer_kernel_t *k = i ? &newest : &oldest;
		assert_true(peer_pidfd_same(k, one, two));
		assert_false(peer_pidfd_same(k, one, own)); /* before pidfs they share an inode */
		assert_false(peer_pidfd_same(k, one, 0));
	}
	assert_int_equal(peer_pidfd_pid(one, &pid), OK);
	assert_int_equal(pid, child);
	assert_int_equal(peer_pidfd_pid(0, &pid), ERR_CLIENT); /* no pidfd */
	assert_int_equal(peer_open_pidfd(one, &p), OK);
	assert_int_equal(p.facts.ppid, getpid());
	assert_int_equal(p.facts.uid, geteuid());
	assert_true(p.facts.ns_ours && p.facts.exe_known && p.facts.exe);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	bool changed;
	assert_int_not_equal(peer_recheck(&p, &changed), OK);
	assert_false(peer_pidfd_same(&oldest, one, two));
	peer_close(&p);
	close(two);
	close(own);
}

static void status_lines(void **state)
{
	str_t status = STR("Name:\tUid:\t0\nUid:\t1\t2\t3\t4\nGroups:\t\n"), line;

	(void)state;
	assert_int_equal(proc_status_line(status, STR("Uid"), &line), OK);
	assert_true(str_eq(line, STR("1\t2\t3\t4"))); /* a process may call itself "Uid:" */
	assert_int_equal(proc_status_line(status, STR("Groups"), &line), OK);
	assert_int_equal(line.n, 0);
	assert_int_equal(proc_status_line(status, STR("Gid"), &line), ERR_SYNTAX);
}

/* --- digests --------------------------------------------------------------------------------------------------- */

static void a_uids_budget_ends_and_comes_back(void **state)
{
	char path[] = "/var/tmp/attorn-digest-XXXXXX";
	AUTO(digest_free) digest_t *d = digest_new();
	int fd = mkstemp(path);
	uint8_t out[32];

	(void)state;
	assert_int_equal(ftruncate(fd, NODE_EXE_BYTES_MAX + 1), 0);
	assert_int_equal(digest_of(d, fd, 1, 1000, out), ERR_LIMIT);
	assert_int_equal(ftruncate(fd, 32 << 20), 0);
	size_t fits = NODE_DIGEST_BUDGET_BYTES / (32 << 20), n = 0;
	/* its ctime moves each time: not at rest, so hashed again */
	while (n < fits + 2 && fchmod(fd, 0600) == 0 && digest_of(d, fd, 1, 1000, out) == OK) {
		n++;
	}
	assert_int_equal(n, fits);
	assert_int_equal(digest_of(d, fd, 1, 1000, out), ERR_THROTTLED);
	assert_int_equal(digest_of(d, fd, 2, 1000, out), OK); /* another's is his own */
	assert_int_equal(digest_of(d, fd, 1, 2000 + NODE_DIGEST_BUDGET_WINDOW_US, out), OK);
	assert_int_equal(digest_of(d, -1, 1, 1000, out), ERR_IO);
	close(fd);
	unlink(path);
}

/* --- claims ------------------------------------------------------------------------------------------------------ */

static void claims_keep_their_shape(void **state)
{
	Google__Protobuf__Struct *s;
	const json_t *doc;

	(void)state;
	assert_int_equal(json_parse_object(arena, STR("{\"sub\":\"x\",\"aud\":[\"a\"],\"exp\":9,\"more\":{\"n\":[null,true,1.5]}}"), &doc, NULL), OK);
	assert_int_equal(claims_struct(arena, doc, false, &s), OK);
	assert_int_equal(s->n_fields, 4);
	assert_string_equal(s->fields[3]->key, "more");
	Google__Protobuf__Value *list = s->fields[3]->value->struct_value->fields[0]->value;
	assert_int_equal(list->list_value->n_values, 3);
	assert_true(list->list_value->values[2]->number_value > 1.4);
	assert_int_equal(claims_struct(arena, doc, true, &s), OK);
	assert_int_equal(s->n_fields, 3);
	assert_int_equal(claims_struct(arena, json_first(doc), false, &s), ERR_LIMIT); /* no object */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(container_ids_stand_at_exact_places, make, drop),
		cmocka_unit_test_setup_teardown(families_by_name, make, drop),
		cmocka_unit_test_setup_teardown(entries_are_found_and_ordered, make, drop),
		cmocka_unit_test_setup_teardown(an_unknown_family_makes_a_maybe_only_where_it_could_matter, make, drop),
		cmocka_unit_test_setup_teardown(a_feed_that_begins_anew_takes_away_what_it_leaves_out, make, drop),
		cmocka_unit_test_setup_teardown(a_run_names_one_entry, make, drop),
		cmocka_unit_test_setup_teardown(a_process_by_its_pidfd, make, drop),
		cmocka_unit_test_setup_teardown(status_lines, make, drop),
		cmocka_unit_test_setup_teardown(a_uids_budget_ends_and_comes_back, make, drop),
		cmocka_unit_test_setup_teardown(claims_keep_their_shape, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
