/* world_uv.c: the real world: one uv_loop, the kernel's clocks and random numbers.
 * Messages from other threads wait in a list under a mutex and one uv_async wakes the loop, which
 * coalesces: so all of the list is taken each time. Our own wait in a second list; an idle handle
 * keeps the loop from sleeping on them, without a system call. What is to come last in a round waits in
 * a third list; libuv's prepare handles run right before it sleeps. */
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#include "engine/flow/flow_int.h"

typedef struct {
	posted_t *first, *last;
} post_list_t;

typedef struct {
	loop_t loop; /* first */
	uv_loop_t uv;
	uv_async_t async;
	uv_idle_t idle;
	uv_prepare_t prepare;
	uv_timer_t timer;
	pthread_mutex_t lock; /* guards `foreign`: any thread posts, the loop takes */
	post_list_t foreign, own, last;
	uint64_t armed_us; /* when `timer` fires at the latest; 0: it rests */
} world_uv_t;

static world_uv_t *world_uv_of(loop_t *loop)
{
	return (world_uv_t *)loop;
}

static uint64_t clock_us(clockid_t id)
{
	struct timespec t;

	CHECK(clock_gettime(id, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t uv_mono_us(loop_t *loop)
{
	return clock_us(CLOCK_MONOTONIC); /* uv_now is cached */
}

static uint64_t uv_unix_us(loop_t *loop)
{
	return clock_us(CLOCK_REALTIME);
}

static void uv_random_bytes(loop_t *loop, void *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t r = getrandom((char *)p + got, n - got, 0);

		CHECK(r > 0); /* blocks only before the pool is seeded; up to 256 bytes are never short */
		got += (size_t)r;
	}
}

static bool list_add(post_list_t *l, posted_t *m)
{
	bool was_empty = !l->first;

	m->next = NULL;
	if (was_empty) {
		l->first = m;
	} else {
		l->last->next = m;
	}
	l->last = m;
	return was_empty;
}

static void list_run(post_list_t *l)
{
	posted_t *m = l->first;

	*l = (post_list_t){ 0 };
	while (m) {
		posted_t *next = m->next;
		posted_run(m);
		m = next;
	}
}

static void on_idle(uv_idle_t *h)
{
	world_uv_t *w = h->data;
	post_list_t taken = w->own;

	w->own = (post_list_t){ 0 };
	uv_idle_stop(h); /* what follows may post again and start it */
	list_run(&taken);
}

static void on_async(uv_async_t *h)
{
	world_uv_t *w = h->data;

	pthread_mutex_lock(&w->lock);
	post_list_t taken = w->foreign;
	w->foreign = (post_list_t){ 0 };
	pthread_mutex_unlock(&w->lock);
	list_run(&taken);
}

static void uv_post(loop_t *loop, posted_t *m)
{
	world_uv_t *w = world_uv_of(loop);

	if (loop_is_ours(loop)) {
		if (list_add(&w->own, m)) {
			CHECK(uv_idle_start(&w->idle, on_idle) == 0);
		}
		return;
	}
	pthread_mutex_lock(&w->lock);
	bool was_empty = list_add(&w->foreign, m);
	pthread_mutex_unlock(&w->lock);
	if (was_empty) {
		CHECK(uv_async_send(&w->async) == 0);
	}
}

static void on_prepare(uv_prepare_t *h)
{
	world_uv_t *w = h->data;

	uv_prepare_stop(h);
	while (w->last.first) {
		list_run(&w->last);
	}
}

static void uv_post_last(loop_t *loop, posted_t *m)
{
	world_uv_t *w = world_uv_of(loop);

	if (list_add(&w->last, m)) {
		CHECK(uv_prepare_start(&w->prepare, on_prepare) == 0);
	}
}

static void on_timer(uv_timer_t *h)
{
	world_uv_t *w = h->data;

	w->armed_us = 0;
	loop_timers_run(&w->loop, uv_mono_us(&w->loop));
}

static void uv_timer_moved(loop_t *loop)
{
	world_uv_t *w = world_uv_of(loop);
	const loop_timer_t *t = loop_timer_first(loop);

	if (!t || (w->armed_us && w->armed_us <= t->at_us)) {
		return; /* firing early costs one look, arming costs one each */
	}
	uint64_t now_us = uv_mono_us(loop);
	uint64_t ms = t->at_us > now_us ? (t->at_us - now_us + 999) / 1000 : 0;
	uv_update_time(&w->uv); /* else uv counts from when this round began */
	w->armed_us = t->at_us;
	CHECK(uv_timer_start(&w->timer, on_timer, ms, 0) == 0);
}

static void uv_op_start(op_t *op)
{
	op->kind->start(op);
}

static void uv_op_hurry(op_t *op)
{
	if (op->kind->hurry) {
		op->kind->hurry(op);
	}
}

static const world_t world_uv = {
	.has_threads = true,
	.mono_us = uv_mono_us,
	.unix_us = uv_unix_us,
	.random = uv_random_bytes,
	.post = uv_post,
	.post_last = uv_post_last,
	.deliver = uv_post,
	.start = uv_op_start,
	.hurry = uv_op_hurry,
	.timer_moved = uv_timer_moved,
};

loop_t *loop_new(void)
{
	world_uv_t *w = heap_new(world_uv_t);

	loop_init(&w->loop, &world_uv);
	CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
	CHECK(uv_loop_init(&w->uv) == 0);
	CHECK(uv_async_init(&w->uv, &w->async, on_async) == 0);
	CHECK(uv_idle_init(&w->uv, &w->idle) == 0);
	CHECK(uv_prepare_init(&w->uv, &w->prepare) == 0);
	CHECK(uv_timer_init(&w->uv, &w->timer) == 0);
	w->async.data = w->idle.data = w->prepare.data = w->timer.data = w;
	return &w->loop;
}

void loop_run(loop_t *loop)
{
	CHECK(loop->world == &world_uv && loop_is_ours(loop));
	uv_run(&world_uv_of(loop)->uv, UV_RUN_DEFAULT);
}

static void stop_now(void *arg)
{
	uv_stop(&world_uv_of(arg)->uv);
}

void loop_stop(loop_t *loop)
{
	CHECK(loop->world == &world_uv);
	loop_post(loop, stop_now, loop);
}

struct uv_loop_s *loop_uv(loop_t *loop)
{
	CHECK(loop->world == &world_uv);
	return &world_uv_of(loop)->uv;
}

static void deliver_all(world_uv_t *w)
{
	do {
		list_run(&w->own);
		list_run(&w->last);
		on_async(&w->async);
	} while (w->own.first || w->last.first || w->foreign.first);
	uv_idle_stop(&w->idle);
	uv_prepare_stop(&w->prepare);
}

static void check_foreign_closed(uv_handle_t *h, void *arg)
{
	world_uv_t *w = arg;
	bool ours = h == (uv_handle_t *)&w->async || h == (uv_handle_t *)&w->idle ||
		h == (uv_handle_t *)&w->prepare || h == (uv_handle_t *)&w->timer;

	CHECK(ours || uv_is_closing(h));
}

void loop_free(loop_t *loop)
{
	if (!loop) {
		return;
	}
	world_uv_t *w = world_uv_of(loop);
	CHECK(loop->world == &world_uv && loop_is_ours(loop));
	deliver_all(w);
	CHECK(loop->n_flows == 0);
	uv_walk(&w->uv, check_foreign_closed, w);
	uv_close((uv_handle_t *)&w->async, NULL);
	uv_close((uv_handle_t *)&w->idle, NULL);
	uv_close((uv_handle_t *)&w->prepare, NULL);
	uv_close((uv_handle_t *)&w->timer, NULL);
	while (uv_run(&w->uv, UV_RUN_DEFAULT)) { /* again if a stop was asked for */
	}
	CHECK(!w->own.first && !w->last.first);
	CHECK(uv_loop_close(&w->uv) == 0);
	pthread_mutex_destroy(&w->lock);
	loop_done(loop);
	heap_free(w);
}
