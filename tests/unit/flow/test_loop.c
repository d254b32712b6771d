/* flow: the loop's clock, timers and messages, and the log line that nobody can forge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include <uv.h>

#include "engine/flow/flow.h"
#include "engine/flow/sim.h"

typedef struct {
	char trace[32];
	loop_t *loop;
} seen_t;

typedef struct {
	seen_t *seen;
	char name;
	loop_timer_t timer;
	bool last;
} mark_t;

static void mark(void *arg)
{
	mark_t *m = arg;

	m->seen->trace[strlen(m->seen->trace)] = m->name;
	if (m->last && m->seen->loop) {
		loop_stop(m->seen->loop);
	}
}

static void timers_set(loop_t *loop, mark_t *m)
{
	loop_timer_start(loop, &m[0].timer, 9, mark, &m[0]);
	loop_timer_start(loop, &m[1].timer, 3, mark, &m[1]);
	loop_timer_start(loop, &m[2].timer, 6, mark, &m[2]);
	loop_timer_start(loop, &m[3].timer, 1, mark, &m[3]);
	loop_timer_start(loop, &m[4].timer, 500000, mark, &m[4]);
	loop_timer_start(loop, &m[2].timer, 12, mark, &m[2]); /* moved */
	loop_timer_stop(loop, &m[3].timer);
	loop_timer_stop(loop, &m[3].timer);
	loop_timer_stop(loop, &m[4].timer);
	loop_timer_at(loop, &m[5].timer, 1, mark, &m[5]); /* long past */
	assert_true(loop_timer_armed(&m[2].timer));
	assert_false(loop_timer_armed(&m[3].timer));
}

static void timers_fire_in_order(void **state)
{
	seen_t s = { 0 }, v = { 0 };
	mark_t m[6], n[6];
	sim_t *sim = sim_new(&(sim_plan_t){ .seed = 1 });

	(void)state;
	s.loop = loop_new();
	for (size_t i = 0; i < 6; i++) {
		m[i] = (mark_t){ &s, (char)('a' + i), { 0 }, i == 2 };
		n[i] = (mark_t){ &v, (char)('a' + i), { 0 }, i == 2 };
	}
	timers_set(s.loop, m);
	assert_string_equal(s.trace, "");
	loop_run(s.loop);
	assert_string_equal(s.trace, "fbac");
	loop_free(s.loop);
	timers_set(sim_loop(sim), n);
	assert_true(sim_run(sim));
	assert_string_equal(v.trace, "fbac");
	sim_free(sim);
}

static void many_timers(void **state)
{
	enum { N = 500 };
	sim_t *sim = sim_new(&(sim_plan_t){ .seed = 5 });
	loop_t *loop = sim_loop(sim);
	static loop_timer_t t[N];
	unsigned fired = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		loop_timer_start(loop, &t[i], sim_draw(sim, 1000), (void (*)(void *))mark, NULL);
	}
	for (size_t i = 0; i < N; i += 2) {
		loop_timer_stop(loop, &t[sim_draw(sim, N)]);
	}
	for (size_t i = 0; i < N; i++) { /* the heap is a heap: taking the first gives ascending times */
		fired += loop_timer_armed(&t[i]);
		loop_timer_stop(loop, &t[i]);
	}
	assert_true(fired > N / 2 && fired < N);
	assert_true(sim_run(sim)); /* nothing left */
	assert_int_equal(sim_events(sim), 0);
	sim_free(sim);
}

typedef struct {
	loop_t *loop;
	unsigned next, wrong, total;
} in_order_t;
typedef struct {
	in_order_t *o;
	unsigned n;
} numbered_t;

static void arrives(void *arg)
{
	numbered_t *m = arg;

	m->o->wrong += m->n != m->o->next++;
	if (m->o->next == m->o->total) {
		loop_stop(m->o->loop);
	}
}

static void *posts(void *arg)
{
	numbered_t *m = arg;

	for (unsigned i = 0; i < m[0].o->total; i++) {
		loop_post(m[0].o->loop, arrives, &m[i]);
	}
	return NULL;
}

static void messages_of_a_thread_stay_in_order(void **state)
{
	enum { N = 5000 };
	static numbered_t m[N];
	in_order_t o = { .loop = loop_new(), .total = N };
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		m[i] = (numbered_t){ &o, i };
	}
	assert_int_equal(pthread_create(&thread, NULL, posts, m), 0);
	loop_run(o.loop);
	pthread_join(thread, NULL);
	assert_int_equal(o.next, N);
	o.next = 0;
	posts(m); /* and from the loop itself */
	assert_int_equal(o.next, 0);
	loop_run(o.loop);
	assert_int_equal(o.wrong, 0);
	posts(m); /* left behind: delivered by loop_free */
	o.next = 0;
	loop_free(o.loop);
	assert_int_equal(o.next, N);
}

static void clocks(void **state)
{
	AUTO(loop_free) loop_t *loop = loop_new();
	AUTO(sim_free) sim_t *sim = sim_new(&(sim_plan_t){ .seed = 9 });
	AUTO(sim_free) sim_t *same = sim_new(&(sim_plan_t){ .seed = 9 });
	char a[16] = { 0 }, b[16] = { 0 };

	(void)state;
	assert_true(loop_unix_s(loop) > 1700000000 && loop_unix_s(loop) < 5000000000);
	assert_true(loop_mono_us(loop) <= loop_mono_us(loop));
	loop_random(loop, a, sizeof(a));
	loop_random(loop, b, sizeof(b));
	assert_false(ct_eq(a, b, sizeof(a)));
	loop_random(sim_loop(sim), a, sizeof(a));
	loop_random(sim_loop(same), b, sizeof(b));
	assert_true(ct_eq(a, b, sizeof(a))); /* the same seed */
	assert_true(uv_loop_alive(loop_uv(loop)));
}

/* the log line */

static void value_is(str_t value, const char *want)
{
	buf_t b;
	log_pair_t p = kv_s("k", value);

	buf_init(&b, 8192);
	log_pair_add(&b, &p);
	buf_byte(&b, '\0');
	assert_string_equal(b.p, want);
	buf_done(&b);
}

static void values_cannot_end_a_line(void **state)
{
	(void)state;
	value_is(STR("spiffe://a.b/c-1_2"), " k=spiffe://a.b/c-1_2");
	value_is(STR(""), " k=\"\"");
	value_is(STR("a b"), " k=\"a b\"");
	value_is(STR("a=b"), " k=\"a=b\"");
	value_is(STR("x\nlevel=error"), " k=\"x\\x0alevel=error\"");
	value_is(STR("\" admin=\""), " k=\"\\\" admin=\\\"\"");
	value_is(STR("\\"), " k=\"\\\\\"");
	value_is(STR("\x1b[2J\x7f"), " k=\"\\x1b[2J\\x7f\"");
	value_is(STR("\xc3\xa9\xe2\x80\xae"), " k=\"\\xc3\\xa9\\xe2\\x80\\xae\"");
	value_is((str_t){ "a\0b", 3 }, " k=\"a\\x00b\"");
}

static void a_line_is_one_line(void **state)
{
	static char line[16384], big[3000];
	int fd[2];

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++) {
		big[i] = '\n';
	}
	assert_int_equal(pipe(fd), 0);
	log_setup(LVL_INFO, fd[1]);
	log_kv(LVL_DEBUG, "unseen");
	log_kv(LVL_WARN, "seen", kv_u("u", UINT64_MAX), kv_i("i", INT64_MIN), kv_err("e", ERR_REPLAY),
		kv_err("ok", OK), kv_c("c", NULL));
	ssize_t n = read(fd[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(line, " level=warn event=seen u=18446744073709551615 i=-9223372036854775808"
		" e=replay ok=ok c=\"\"\n"));
	assert_int_equal(str_find(str_of(line), '\n'), n - 1);
	str_t v = str_bytes(big, sizeof(big));
	log_kv(LVL_ERROR, "long", kv_s("a", v), kv_s("b", v), kv_s("c", v));
	n = read(fd[0], line, sizeof(line) - 1);
	assert_true(n > 0 && n <= LOG_LINE_BYTES_MAX);
	line[n] = '\0';
	assert_int_equal(str_find(str_of(line), '\n'), n - 1);
	assert_non_null(strstr(line, "\"... cut=1\n"));
	log_setup(LVL_INFO, 2);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(many_timers),
		cmocka_unit_test(messages_of_a_thread_stay_in_order),
		cmocka_unit_test(clocks),
		cmocka_unit_test(values_cannot_end_a_line),
		cmocka_unit_test(a_line_is_one_line),
	};

	return cmocka_run_group_tests_name("flow_loop", tests, NULL, NULL);
}
