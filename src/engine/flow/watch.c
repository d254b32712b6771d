/* watch.c: file descriptors of others on the loop, through uv_poll. */
#include <uv.h>

#include "engine/flow/flow_int.h"

struct loop_watch {
	uv_poll_t uv; /* freed in its close callback (STYLE 4.6) */
	void (*ready)(void *owner, int events);
	void *owner;
};

static void on_closed(uv_handle_t *h)
{
	heap_free(h->data);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	loop_watch_t *w = h->data;
	int ours = (events & UV_WRITABLE ? LOOP_WRITABLE : 0);

	if (status < 0 || events & (UV_READABLE | UV_DISCONNECT)) {
		ours |= LOOP_READABLE; /* reading tells what happened */
	}
	w->ready(w->owner, ours);
}

err_t loop_watch_open(loop_t *loop, int fd, void (*ready)(void *owner, int events), void *owner,
	loop_watch_t **out)
{
	loop_watch_t *w = heap_new(loop_watch_t);

	if (uv_poll_init(loop_uv(loop), &w->uv, fd) != 0) {
		heap_free(w); /* uv_poll_init leaves no handle behind when it fails */
		return ERR_IO;
	}
	w->uv.data = w;
	w->ready = ready;
	w->owner = owner;
	*out = w;
	return OK;
}

void loop_watch_set(loop_watch_t *w, int events)
{
	int uv = (events & LOOP_READABLE ? UV_READABLE | UV_DISCONNECT : 0) |
		(events & LOOP_WRITABLE ? UV_WRITABLE : 0);

	if (uv == 0) {
		uv_poll_stop(&w->uv);
		return;
	}
	CHECK(uv_poll_start(&w->uv, uv, on_poll) == 0);
}

void loop_watch_close(loop_watch_t *w)
{
	if (!w) {
		return;
	}
	uv_poll_stop(&w->uv);
	uv_close((uv_handle_t *)&w->uv, on_closed);
}
