/* signals.c: SIGTERM and SIGINT become one message on the loop. A thread waits for them, so nothing runs
 * inside a signal handler. Called before any other thread exists, so that all inherit the mask. */
#include <pthread.h>
#include <signal.h>

#include "app/main/main_int.h"

typedef struct {
	loop_t *loop;
	void (*stop)(void *);
	void *arg;
	sigset_t set;
} waiter_t;

static void *wait_for_signal(void *arg)
{
	waiter_t *w = arg;
	int sig;

	while (sigwait(&w->set, &sig) != 0) {
	}
	loop_post(w->loop, w->stop, w->arg);
	return NULL;
}

void signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void stop_on_signal(loop_t *loop, void (*stop)(void *), void *arg)
{
	waiter_t *w = heap_new(waiter_t);
	pthread_t thread;

	*w = (waiter_t){ .loop = loop, .stop = stop, .arg = arg };
	sigemptyset(&w->set);
	sigaddset(&w->set, SIGTERM);
	sigaddset(&w->set, SIGINT);
	CHECK(pthread_create(&thread, NULL, wait_for_signal, w) == 0);
	pthread_detach(thread);
}
