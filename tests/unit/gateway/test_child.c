/* Children that behave and children that do not, as real processes on a real loop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/gateway/child.h"
#include "service/gateway/limits.h"

typedef struct {
	loop_t *loop;
	child_t *child;
	loop_timer_t watchdog, later;
	char last[256];
	size_t lines, longest;
	bool flooded, gone, late;
	void (*on_line)(void *seen);
	uint64_t gone_us;
} seen_t;

static void on_line(void *owner, str_t line)
{
	seen_t *s = owner;

	s->lines++;
	s->longest = line.n > s->longest ? line.n : s->longest;
	snprintf(s->last, sizeof(s->last), "%.*s", (int)(line.n < 255 ? line.n : 255), line.p ? line.p : "");
	if (s->on_line) {
		s->on_line(s);
	}
}

static void on_flooded(void *owner)
{
	((seen_t *)owner)->flooded = true;
}

static void on_gone(void *owner)
{
	seen_t *s = owner;

	s->gone = true;
	s->gone_us = loop_mono_us(s->loop);
	loop_timer_stop(s->loop, &s->watchdog);
	loop_stop(s->loop);
}

static void on_late(void *arg)
{
	seen_t *s = arg;

	s->late = true;
	loop_stop(s->loop);
}

static void begin(seen_t *s, const char *script)
{
	static char *envp[] = { "PATH=/usr/bin:/bin", "K=V", NULL };
	char *argv[] = { "sh", "-c", (char *)script, NULL };
	const child_spec_t spec = { .loop = s->loop, .argv = argv, .envp = envp, .name = STR("test"), .line = on_line,
		.flooded = on_flooded, .gone = on_gone, .owner = s };

	assert_int_equal(child_start(&spec, &s->child), OK);
	loop_timer_start(s->loop, &s->watchdog, 20000, on_late, s);
}

static void run(seen_t *s)
{
	loop_run(s->loop);
	assert_false(s->late);
	assert_true(s->gone);
}

static int setup(void **state)
{
	seen_t *s = heap_new(seen_t);

	s->loop = loop_new();
	*state = s;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int teardown(void **state)
{
	seen_t *s = *state;

	loop_free(s->loop);
	heap_free(s);
	return 0;
}

static void end_it(void *seen)
{
	child_end(((seen_t *)seen)->child);
}

static void lines_go_both_ways(void **state)
{
	seen_t *s = *state;

	s->on_line = end_it;
	begin(s, "read x; echo \"got $x\"; cat >/dev/null");
	assert_int_equal(child_write(s->child, STR("{\"a\":1}")), OK);
	run(s);
	assert_string_equal(s->last, "got {\"a\":1}");
	assert_int_equal(s->lines, 1);
}

static void its_environment_is_its_own(void **state)
{
	seen_t *s = *state;

	setenv("SECRET_OF_OURS", "x", 1);
	begin(s, "echo \"$(env | sort | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | tr '\\n' ' ') $(ls /proc/self/fd | wc -l)\"");
	run(s);
	/* its three pipes and the one that ls itself reads from */
	assert_string_equal(s->last, "K=V PATH=/usr/bin:/bin  4");
}

static void what_it_wrote_before_it_died_is_read(void **state)
{
	seen_t *s = *state;

	begin(s, "i=0; while [ $i -lt 1000 ]; do echo line$i; i=$((i+1)); done; exit 3");
	run(s);
	assert_int_equal(s->lines, 1000);
	assert_string_equal(s->last, "line999");
}

static void a_program_that_is_not_there_is_gone(void **state)
{
	seen_t *s = *state;

	begin(s, "exec /nonexistent/program");
	run(s);
	assert_int_equal(s->lines, 0);
}

static void an_endless_line_ends_it(void **state)
{
	seen_t *s = *state;

	begin(s, "trap '' TERM; head -c 12000000 /dev/zero | tr '\\0' x; sleep 100");
	run(s);
	assert_true(s->flooded);
	assert_int_equal(s->lines, 0);
}

static void a_long_line_passes(void **state)
{
	seen_t *s = *state;

	begin(s, "head -c 10000000 /dev/zero | tr '\\0' x; echo");
	run(s);
	assert_false(s->flooded);
	assert_int_equal(s->longest, 10000000);
}

static void kill_it(void *seen)
{
	child_kill(((seen_t *)seen)->child);
}

static void killing_takes_the_group_along(void **state)
{
	seen_t *s = *state;
	char path[] = "/tmp/attorn-child-XXXXXX", probe[128];

	close(mkstemp(path));
	snprintf(probe, sizeof(probe), "(trap '' TERM HUP; sleep 60) & echo $! > %s; echo up; cat", path);
	s->on_line = kill_it;
	begin(s, probe);
	run(s);
	FILE *f = fopen(path, "r");
	int pid = 0;
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	unlink(path);
	for (int i = 0; i < 200 && kill(pid, 0) == 0; i++) {
		usleep(10000); /* init reaps it */
	}
	assert_int_not_equal(kill(pid, 0), 0);
}

/* stdin closed, 2 s, SIGTERM, 2 s, SIGKILL (mcp.md W3) */
static void who_does_not_listen_is_killed(void **state)
{
	seen_t *s = *state;

	s->on_line = end_it;
	begin(s, "trap '' TERM; echo up; while :; do sleep 1; done");
	uint64_t began_us = loop_mono_us(s->loop);
	run(s);
	assert_true(s->gone_us - began_us >= 2ull * GATEWAY_CHILD_CLOSE_MS * 1000);
	assert_true(s->gone_us - began_us < 4ull * GATEWAY_CHILD_CLOSE_MS * 1000);
}

static void who_reads_the_end_goes_in_peace(void **state)
{
	seen_t *s = *state;

	s->on_line = end_it;
	begin(s, "echo up; cat >/dev/null; exit 0");
	uint64_t began_us = loop_mono_us(s->loop);
	run(s);
	assert_true(s->gone_us - began_us < GATEWAY_CHILD_CLOSE_MS * 1000ull);
}

static void who_does_not_read_gets_no_more(void **state)
{
	seen_t *s = *state;
	char *big = heap_alloc(1 << 20);
	size_t taken = 0;

	memset(big, 'x', 1 << 20);
	begin(s, "sleep 60");
	while (child_write(s->child, str_bytes(big, 1 << 20)) == OK) {
		assert_true(++taken <= 64);
	}
	assert_true(taken >= 30);
	heap_free(big);
	child_kill(s->child);
	assert_int_equal(child_write(s->child, STR("x")), ERR_UPSTREAM);
	run(s);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(lines_go_both_ways),
		CASE(its_environment_is_its_own),
		CASE(what_it_wrote_before_it_died_is_read),
		CASE(a_program_that_is_not_there_is_gone),
		CASE(an_endless_line_ends_it),
		CASE(a_long_line_passes),
		CASE(killing_takes_the_group_along),
		CASE(who_does_not_listen_is_killed),
		CASE(who_reads_the_end_goes_in_peace),
		CASE(who_does_not_read_gets_no_more),
	};
	log_setup(LVL_ERROR, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
