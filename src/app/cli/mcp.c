/* mcp.c: attorn mcp ROUTE: MCP on stdio for a stock client. One delegated token opens the session and
 * lists; every tools/call goes out under a fresh capability for exactly its arguments. Nothing is asked of
 * anybody before the first message (mcp.md W4). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "app/cli/mcp_int.h"
#include "app/cli/verbs.h"

/* --- out --------------------------------------------------------------------------------------------------- */

void mcp_note(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "attorn mcp: %s\n", text);
}

static void wake(mcp_t *m)
{
	uint64_t one = 1;
	ssize_t n = write(m->wake_fd, &one, sizeof(one));

	(void)n; /* full: it is awake */
}

static bool write_all(const char *p, size_t n)
{
	while (n) {
		ssize_t sent = write(1, p, n);
		if (sent < 0 && errno == EAGAIN) {
			struct pollfd fd = { .fd = 1, .events = POLLOUT };
			poll(&fd, 1, -1);
		} else if (sent < 0 && errno != EINTR) {
			return false;
		} else if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
	}
	return true;
}

static bool line_write(str_t json)
{
	AUTO(buf_wipe) buf_t line;

	buf_init(&line, json.n * JSON_LINE_GROWTH + 1);
	if (json_line(&line, json) != OK) {
		return false;
	}
	buf_byte(&line, '\n');
	return write_all(line.p, line.n);
}

void mcp_out(mcp_t *m, const mcp_call_t *call, str_t json)
{
	pthread_mutex_lock(&m->out_lock);
	bool silent = call && atomic_load(&call->muted);
	bool ok = silent || atomic_load(&m->gone) || line_write(json);
	pthread_mutex_unlock(&m->out_lock);
	if (!ok) {
		atomic_store(&m->gone, true);
		wake(m);
	}
}

/* --- running requests --------------------------------------------------------------------------------------- */

static void call_free(mcp_call_t *call)
{
	arena_free(call->a);
	heap_free(call);
}

/* The functions named calls_... are called with the lock held. */

static void calls_add(mcp_t *m, mcp_call_t *call)
{
	mcp_call_t **at = &m->calls;

	while (*at) {
		at = &(*at)->next;
	}
	*at = call;
	m->n_calls++;
}

static void calls_remove(mcp_t *m, mcp_call_t *call)
{
	mcp_call_t **at = &m->calls;

	while (*at != call) {
		at = &(*at)->next;
	}
	*at = call->next;
	m->n_calls--;
	call_free(call);
}

static mcp_call_t *calls_waiting(const mcp_t *m)
{
	for (mcp_call_t *call = m->calls; call; call = call->next) {
		if (!call->running) {
			return call;
		}
	}
	return NULL;
}

/* Takes one request after the other until none waits. */
static void *thread_run(void *arg)
{
	mcp_t *m = arg;
	mcp_call_t *call;

	pthread_mutex_lock(&m->lock);
	while ((call = calls_waiting(m)) != NULL) {
		call->running = true;
		pthread_mutex_unlock(&m->lock);
		mcp_send(m, call->a, &call->message, call);
		pthread_mutex_lock(&m->lock);
		calls_remove(m, call);
		pthread_cond_broadcast(&m->ended);
	}
	m->n_threads--;
	pthread_cond_broadcast(&m->ended);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static bool calls_thread(mcp_t *m)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_run, m) != 0) {
		return false;
	}
	pthread_detach(thread);
	m->n_threads++;
	return true;
}

static err_t call_begin(mcp_t *m, mcp_call_t *call)
{
	err_t e = ERR_THROTTLED;

	pthread_mutex_lock(&m->lock);
	if (m->n_calls < CLI_MCP_CALLS_MAX) {
		bool more = m->n_threads == 0 || m->n_threads < CLI_MCP_THREADS_MAX;
		bool served = (more && calls_thread(m)) || m->n_threads > 0;
		if (served) {
			calls_add(m, call); /* before a new thread gets the lock */
			e = OK;
		}
	}
	pthread_mutex_unlock(&m->lock);
	return e;
}

typedef enum { CANCEL_MUTE, CANCEL_STOP } cancel_t;

/* notifications/cancelled: no answer goes out from here on; the request to the gateway ends once the gateway
 * was told (a lost connection alone is no cancel, mcp.md 2). */
static void cancel(mcp_t *m, arena_t *a, str_t id, cancel_t what)
{
	pthread_mutex_lock(&m->lock);
	for (mcp_call_t *call = m->calls; call; call = call->next) {
		if (!mcp_id_same(a, call->message.id, id)) {
			continue;
		}
		if (what == CANCEL_MUTE) {
			pthread_mutex_lock(&m->out_lock); /* a line being written is written */
			atomic_store(&call->muted, true);
			pthread_mutex_unlock(&m->out_lock);
		} else if (atomic_load(&call->muted)) {
			atomic_store(&call->stop, true);
		}
	}
	pthread_mutex_unlock(&m->lock);
}

/* Until no thread is left, or the time is over. */
static bool wait_for_all(mcp_t *m, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	pthread_mutex_lock(&m->lock);
	while (m->n_threads && !atomic_load(&m->gone) && pthread_cond_timedwait(&m->ended, &m->lock, &until) == 0) {
	}
	bool none = m->n_threads == 0;
	pthread_mutex_unlock(&m->lock);
	return none;
}

/* --- lines in ------------------------------------------------------------------------------------------------ */

/* What has to stay in order is sent from here: the next line waits for it. */
static void in_order(mcp_t *m, mcp_call_t *call)
{
	const mcp_message_t *message = &call->message;
	bool is_cancel = str_eq(message->method, STR("notifications/cancelled"));
	str_t id = json_raw(json_get(message->params, STR("requestId")));

	if (is_cancel) {
		cancel(m, call->a, id, CANCEL_MUTE);
	}
	mcp_send(m, call->a, message, message->kind == MCP_REQUEST ? call : NULL);
	if (is_cancel) {
		cancel(m, call->a, id, CANCEL_STOP);
	}
	call_free(call);
}

static void unreadable(mcp_t *m, mcp_call_t *call, err_t e)
{
	bool is_json = e != ERR_SYNTAX && e != ERR_UTF8;
	int code = is_json ? call->message.is_call ? MCP_BAD_PARAMS : MCP_BAD_MESSAGE : MCP_PARSE;

	mcp_out(m, NULL, mcp_error_text(call->a, call->message.id, code, str_of(err_info(e)->text), STR_NULL, STR_NULL));
	call_free(call);
}

static void line_take(mcp_t *m, str_t line)
{
	mcp_call_t *call = heap_new(mcp_call_t);
	str_t copy;

	call->shim = m;
	call->a = arena_new_capped(CLI_MCP_ARENA_BYTES_MAX);
	err_t e = arena_dup(call->a, line, &copy);
	e = e == OK ? mcp_message_read(call->a, copy, &call->message) : e;
	if (e != OK) {
		unreadable(m, call, e);
	} else if (call->message.kind != MCP_REQUEST || str_eq(call->message.method, STR("initialize"))) {
		in_order(m, call);
	} else if (call_begin(m, call) != OK) {
		mcp_out(m, NULL, mcp_refusal_text(call->a, &call->message, ERR_THROTTLED, STR_NULL));
		call_free(call);
	}
}

typedef struct {
	buf_t in;
	size_t looked; /* no line end before here */
	bool skip; /* the rest of a line that was too long */
} lines_t;

static void lines_take(mcp_t *m, lines_t *l)
{
	size_t start = 0, end;
	str_t all = buf_str(&l->in);

	while ((end = l->looked + str_find(str_sub(all, l->looked, all.n), '\n')) < all.n) {
		str_t line = str_trim(str_sub(all, start, end - start));
		if (line.n && !l->skip) {
			line_take(m, line);
		}
		l->skip = false;
		start = l->looked = end + 1;
	}
	buf_drop(&l->in, start);
	l->looked = l->in.n;
	if (l->in.n >= CLI_LINE_BYTES_MAX) {
		buf_clear(&l->in);
		l->looked = 0;
		if (!l->skip) {
			AUTO(arena_free) arena_t *a = arena_open();
			mcp_out(m, NULL, mcp_error_text(a, STR_NULL, MCP_BAD_MESSAGE, STR("a line is longer than 10 MB"), STR_NULL, STR_NULL));
		}
		l->skip = true;
	}
}

enum { READ_BYTES = 64 << 10 };

/* Reads until the client closes its side, nobody reads ours, or a signal comes. */
static void lines_run(mcp_t *m)
{
	lines_t l = { 0 };
	char *room;

	buf_init(&l.in, CLI_LINE_BYTES_MAX + READ_BYTES);
	while (!atomic_load(&m->stopping) && !atomic_load(&m->gone)) {
		struct pollfd fds[2] = { { .fd = 0, .events = POLLIN }, { .fd = m->wake_fd, .events = POLLIN } };
		if (poll(fds, 2, -1) < 0 || (fds[1].revents & POLLIN)) {
			continue;
		}
		CHECK(buf_room(&l.in, READ_BYTES, &room) == OK);
		ssize_t n = read(0, room, READ_BYTES);
		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			continue;
		}
		if (n <= 0) {
			break;
		}
		buf_grew(&l.in, (size_t)n);
		lines_take(m, &l);
	}
	buf_wipe(&l.in);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static mcp_t *signalled; /* a handler has no other way to its shim */

static void on_signal(int sig)
{
	int saved = errno;

	atomic_store(&signalled->stopping, true);
	wake(signalled);
	errno = saved;
}

static void signals_set(mcp_t *m)
{
	struct sigaction end = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };

	signalled = m;
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static void shim_open(mcp_t *m)
{
	pthread_mutex_init(&m->out_lock, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->ended, NULL);
	mcp_session_init(&m->session);
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(m->wake_fd >= 0);
	signals_set(m);
}

/* What runs may end, for a while; then the session does. */
static int shim_end(mcp_t *m)
{
	bool none = !atomic_load(&m->stopping) && wait_for_all(m, CLI_MCP_EOF_MS);

	atomic_store(&m->stopping, true);
	mcp_session_end(m);
	if (!none && !wait_for_all(m, CLI_MCP_STOP_MS)) {
		_exit(EXIT_DONE); /* a thread still waits for somebody: its memory goes with us */
	}
	mcp_session_done(&m->session);
	agent_close(&m->agent);
	close(m->wake_fd);
	return EXIT_DONE;
}

static int mcp(cli_t *c)
{
	static mcp_t m; /* a signal may come at any time */
	int status = agent_open(c, c->args[0], &m.agent);

	if (status) {
		return status;
	}
	shim_open(&m);
	lines_run(&m);
	return shim_end(&m);
}

const cli_word_t cli_mcp_words[] = {
	{ "", "ROUTE [--grant ID]", "speak MCP on stdio for an agent", CLI_AGENT, 1, 1, mcp },
	{ 0 },
};
