/* loop.c: what both worlds share: clock and random by the world's table, timers, messages. */
#include "engine/flow/flow_int.h"

void loop_init(loop_t *loop, const world_t *world)
{
	loop->world = world;
	loop->thread = pthread_self();
}

void loop_done(loop_t *loop)
{
	for (size_t i = 0; i < loop->n_stats; i++) {
		heap_free(loop->stats[i]);
	}
	ids_done(&loop->ids);
	heap_free(loop->timers);
}

bool loop_is_ours(const loop_t *loop)
{
	return pthread_equal(pthread_self(), loop->thread) != 0;
}

uint64_t loop_mono_us(loop_t *loop)
{
	return loop->world->mono_us(loop);
}

uint64_t loop_unix_us(loop_t *loop)
{
	return loop->world->unix_us(loop);
}

void loop_random(loop_t *loop, void *p, size_t n)
{
	loop->world->random(loop, p, n);
}

/* messages */

void loop_post_own(loop_t *loop, posted_t *m, void (*fn)(void *), void *arg)
{
	CHECK(!m->waiting && fn);
	*m = (posted_t){ .fn = fn, .arg = arg, .waiting = true };
	loop->world->post(loop, m);
}

void loop_post_last(loop_t *loop, posted_t *m, void (*fn)(void *), void *arg)
{
	CHECK(loop_is_ours(loop) && !m->waiting && fn);
	*m = (posted_t){ .fn = fn, .arg = arg, .waiting = true };
	loop->world->post_last(loop, m);
}

typedef struct {
	posted_t posted; /* first */
	void (*fn)(void *);
	void *arg;
} post_heap_t;

static void post_heap_run(void *arg)
{
	post_heap_t p = *(post_heap_t *)arg;

	heap_free(arg);
	p.fn(p.arg);
}

void loop_post(loop_t *loop, void (*fn)(void *), void *arg)
{
	post_heap_t *p = heap_new(post_heap_t);

	p->fn = fn;
	p->arg = arg;
	loop_post_own(loop, &p->posted, post_heap_run, p);
}

void posted_run(posted_t *m)
{
	m->waiting = false;
	m->fn(m->arg); /* m may be gone after this */
}

void posted_drop(posted_t *m)
{
	m->waiting = false;
	if (m->fn == post_heap_run) {
		heap_free(m);
	}
}

/* timers: a heap over one timer of the world */

static bool earlier(const loop_timer_t *a, const loop_timer_t *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void seat(loop_t *l, size_t place, loop_timer_t *t)
{
	l->timers[place] = t;
	t->place = place;
}

static void sift_up(loop_t *l, size_t place, loop_timer_t *t)
{
	for (; place > 1 && earlier(t, l->timers[place / 2]); place /= 2) {
		seat(l, place, l->timers[place / 2]);
	}
	seat(l, place, t);
}

static void sift_down(loop_t *l, size_t place, loop_timer_t *t)
{
	for (size_t child = place * 2; child <= l->n_timers; child = place * 2) {
		if (child < l->n_timers && earlier(l->timers[child + 1], l->timers[child])) {
			child++;
		}
		if (!earlier(l->timers[child], t)) {
			break;
		}
		seat(l, place, l->timers[child]);
		place = child;
	}
	seat(l, place, t);
}

static void heap_remove(loop_t *l, loop_timer_t *t)
{
	size_t place = t->place;
	loop_timer_t *last = l->timers[l->n_timers--];

	CHECK(l->timers[place] == t || last == t);
	t->place = 0;
	if (last == t) {
		return;
	}
	if (place > 1 && earlier(last, l->timers[place / 2])) {
		sift_up(l, place, last);
	} else {
		sift_down(l, place, last);
	}
}

static void heap_add(loop_t *l, loop_timer_t *t)
{
	if (l->n_timers + 1 >= l->cap_timers) {
		l->cap_timers = l->cap_timers ? l->cap_timers * 2 : 64;
		l->timers = heap_realloc(l->timers, l->cap_timers * sizeof(*l->timers));
	}
	sift_up(l, ++l->n_timers, t);
}

void loop_timer_at(loop_t *loop, loop_timer_t *t, uint64_t at_us, void (*fn)(void *), void *arg)
{
	const loop_timer_t *first = loop_timer_first(loop);
	uint64_t first_us = first ? first->at_us : UINT64_MAX;

	CHECK(loop_is_ours(loop) && fn);
	if (t->place) {
		heap_remove(loop, t);
	}
	t->at_us = at_us;
	t->order = loop->timer_order++;
	t->fn = fn;
	t->arg = arg;
	heap_add(loop, t);
	if (at_us < first_us) {
		loop->world->timer_moved(loop);
	}
}

void loop_timer_start(loop_t *loop, loop_timer_t *t, uint64_t ms, void (*fn)(void *), void *arg)
{
	loop_timer_at(loop, t, loop_in_ms(loop, ms), fn, arg);
}

void loop_timer_stop(loop_t *loop, loop_timer_t *t)
{
	CHECK(loop_is_ours(loop));
	if (t->place) {
		heap_remove(loop, t); /* the world may wake once for nothing */
	}
}

void loop_timers_run(loop_t *loop, uint64_t now_us)
{
	uint64_t round = loop->timer_order;

	for (;;) {
		loop_timer_t *t = loop->n_timers ? loop->timers[1] : NULL;

		if (!t || t->at_us > now_us || t->order >= round) {
			break;
		}
		heap_remove(loop, t);
		t->fn(t->arg); /* t may be gone after this */
	}
	loop->world->timer_moved(loop);
}
