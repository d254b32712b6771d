/* control.c: the node's end of `attorn run` (docs/identity.md 6). The runner is attested like any workload; the
 * echo of a nonce, stamped by the kernel, is its proof. The child must be alive, the runner's own child, of its
 * uid, and still running the runner's program: held before exec. Only then the authority is asked for a run. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/node/node_int.h"

enum { NONCE_BYTES = 8 };

typedef struct conn {
	struct conn *next;
	control_t *control;
	node_t *n;
	int fd;
	peer_t runner;
	loop_watch_t *watch;
	loop_timer_t late;
	char nonce[2 * NONCE_BYTES + 1];
	bool greeted, busy, gone;
	run_t *run; /* being made */
	/* the job on the lane */
	lane_job_t job;
	arena_t *a;
	attest_subject_t runner_facts, child_facts;
	attest_families_t unknown;
	str_t grant;
} conn_t;

struct control {
	node_t *n;
	int fd;
	loop_watch_t *watch;
	conn_t *conns;
	size_t n_conns;
};

/* --- ends ------------------------------------------------------------------------------------------------------ */

static void conn_free(conn_t *c)
{
	for (conn_t **p = &c->control->conns; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			c->control->n_conns--;
			break;
		}
	}
	loop_watch_close(c->watch);
	loop_timer_stop(c->n->loop, &c->late);
	if (c->run) {
		run_free(c->run);
	}
	peer_close(&c->runner);
	arena_free(c->a);
	close(c->fd);
	heap_free(c);
}

static void conn_end(conn_t *c)
{
	c->gone = true;
	loop_watch_set(c->watch, 0);
	loop_timer_stop(c->n->loop, &c->late);
	if (!c->busy) {
		conn_free(c);
	}
}

static void late(void *arg)
{
	conn_end(arg);
}

static void send_json(conn_t *c, const buf_t *b)
{
	if (buf_err(b) == OK && send(c->fd, b->p, b->n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		log_kv(LVL_WARN, "node.control_send", kv_i("pid", c->runner.pid));
	}
}

static const char *fix_of(err_t e)
{
	switch (e) {
	case ERR_NOT_FOUND:
		return "no agent of that name has an entry with a runner: attorn agent show NAME";
	case ERR_VALUE:
		return "several entries answer to that name: add --entry";
	case ERR_CONFIG:
		return "scope tree needs a cgroup tree that the node may write; run the node as root, or use scope process";
	default:
		return err_info(e)->fix;
	}
}

static void refuse(conn_t *c, err_t e)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, NODE_CONTROL_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "error", str_of(err_info(e)->name));
	jw_kstr(&w, "message", str_of(err_info(e)->text));
	jw_kstr(&w, "fix", str_of(fix_of(e)));
	jw_end(&w);
	log_kv(LVL_INFO, "node.run_refused", kv_i("pid", c->runner.pid), kv_u("uid", c->runner.uid), kv_err("result", e));
	if (jw_finish(&w) == OK) {
		send_json(c, &b);
	}
	conn_end(c);
}

/* --- hello ----------------------------------------------------------------------------------------------------- */

static err_t hello(conn_t *c)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(buf_done) buf_t b;
	uint8_t nonce[NONCE_BYTES];
	jw_t w;

	loop_random(c->n->loop, nonce, sizeof(nonce));
	memcpy(c->nonce, hex_enc(a, str_bytes(nonce, sizeof(nonce))).p, 2 * NONCE_BYTES);
	c->greeted = true;
	buf_init(&b, NODE_CONTROL_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "nonce", str_of(c->nonce));
	jw_kstr(&w, "workload", arena_cat(a, STR("unix://"), str_of(c->n->o.workload_socket)));
	jw_end(&w);
	TRY(jw_finish(&w));
	send_json(c, &b);
	return OK;
}

/* --- run: 4, the authority has answered --------------------------------------------------------------------------- */

static err_t answer_send(conn_t *c, const run_t *r)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, NODE_CONTROL_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "run", str_of(r->id));
	jw_kstr(&w, "spiffe_id", r->spiffe_id);
	jw_ki64(&w, "exp", r->exp_s);
	jw_kbool(&w, "cgroup", r->cgroup != NULL);
	jw_end(&w);
	TRY(jw_finish(&w));
	send_json(c, &b);
	return OK;
}

static err_t run_take(conn_t *c, const json_t *body)
{
	run_t *r = c->run;
	spiffe_id_t id;
	str_t text;

	TRY(json_need_str(body, STR("spiffe_id"), SPIFFE_ID_BYTES_MAX, &text));
	TRY(spiffe_id_parse_workload(text, &id));
	TRY(json_need_i64(body, STR("exp"), &r->exp_s));
	r->spiffe_id = arena_str(r->a, text);
	TRY(runs_add(c->n, r));
	c->run = NULL; /* its own now */
	if (c->gone) {
		runs_over(c->n, str_of(r->id), "runner gone"); /* nobody will ever let the child go */
		return ERR_CANCELLED;
	}
	return answer_send(c, r);
}

/* What the authority has begun and we cannot keep must end there too. */
static void run_undo(conn_t *c)
{
	run_t *r = c->run;

	c->run = NULL;
	r->exp_s = 0;
	r->tree = false;
	if (runs_add(c->n, r) == OK) {
		runs_over(c->n, str_of(r->id), "refused");
	} else {
		run_free(r); /* the child is gone; at the authority it expires */
	}
}

static void begun(void *owner, err_t e, const json_t *body)
{
	conn_t *c = owner;

	c->busy = false;
	if (e == OK) {
		e = run_take(c, body);
		if (c->run) {
			run_undo(c);
		}
	}
	if (c->gone) {
		conn_free(c);
	} else if (e != OK) {
		refuse(c, e);
	} else {
		conn_end(c);
	}
}

/* --- run: 3, both are attested --------------------------------------------------------------------------------------- */

static err_t begin_body(conn_t *c, buf_t *b)
{
	const run_t *r = c->run;
	jw_t w;

	jw_init(&w, b);
	jw_object(&w);
	jw_kstr(&w, "key", r->entry->key);
	jw_kstr_if(&w, "grant", c->grant);
	jw_kstr_if(&w, "code", r->code);
	jw_ki64(&w, "exp", node_now_s(c->n) + 24 * 3600);
	jw_kobject(&w, "facts");
	jw_key(&w, "selectors");
	spiffe_selectors_write(&w, &r->selectors);
	jw_kobject(&w, "run");
	jw_kstr(&w, "id", str_of(r->id));
	jw_key(&w, "runner");
	spiffe_selectors_write(&w, &r->runner);
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	return jw_finish(&w);
}

static err_t unchanged(peer_t *p)
{
	bool changed;

	TRY(peer_recheck(p, &changed));
	ENSURE(!changed, ERR_CLIENT);
	return OK;
}

static err_t begin_at_authority(conn_t *c)
{
	const spiffe_entry_t *e = &c->run->entry->e;
	attest_families_t needs = attest_families_of(&e->selectors) | attest_families_of(&e->runner);
	AUTO(buf_done) buf_t b;

	buf_init(&b, NODE_FEED_LINE_BYTES_MAX);
	TRY(unchanged(&c->runner));
	TRY(unchanged(&c->run->child));
	ENSURE(c->run->child.facts.ppid == c->runner.pid && peer_pidfd_alive(c->runner.pidfd), ERR_CLIENT);
	ENSURE(!(needs & c->unknown), ERR_UNAVAILABLE);
	ENSURE(spiffe_selectors_match(&e->runner, &c->run->runner), ERR_ENTRY_MATCH);
	ENSURE(spiffe_selectors_match(&e->selectors, &c->run->selectors), ERR_ENTRY_MATCH);
	TRY(begin_body(c, &b));
	return upstream_post(c->n->upstream, "/internal/v1/run", buf_str(&b), begun, c);
}

static void both_attested(lane_job_t *job, err_t e)
{
	conn_t *c = job->arg;

	c->busy = false;
	if (c->gone) {
		conn_free(c);
		return;
	}
	e = e == OK ? begin_at_authority(c) : e;
	if (e != OK) {
		refuse(c, e);
		return;
	}
	c->busy = true;
}

/* --- run: 2, on the lane ------------------------------------------------------------------------------------------------ */

static err_t attest_both(void *arg)
{
	conn_t *c = arg;
	attest_families_t unknown;

	TRY(attest_all(c->run->a, &c->runner_facts, &c->run->runner, &c->unknown));
	TRY(attest_all(c->run->a, &c->child_facts, &c->run->selectors, &unknown));
	c->unknown |= unknown;
	return OK;
}

static err_t attest_begin(conn_t *c)
{
	const spiffe_entry_t *e = &c->run->entry->e;

	TRY(attest_subject_make(c->run->a, &c->runner, &c->runner_facts));
	TRY(attest_subject_make(c->run->a, &c->run->child, &c->child_facts));
	c->runner_facts.means = c->child_facts.means = &c->n->means;
	c->runner_facts.now_us = c->child_facts.now_us = loop_mono_us(c->n->loop);
	c->runner_facts.wanted = attest_families_of(&e->runner);
	c->child_facts.wanted = attest_families_of(&e->selectors);
	c->job = (lane_job_t){ .run = attest_both, .arg = c, .done = both_attested };
	TRY(lane_submit(c->n->lane, &c->job));
	c->busy = true;
	return OK;
}

/* --- run: 1, the request ---------------------------------------------------------------------------------------------------- */

static err_t child_check(const conn_t *c, const peer_t *child)
{
	const peer_facts_t *r = &c->runner.facts, *k = &child->facts;

	ENSURE(k->ppid == c->runner.pid, ERR_CLIENT); /* its own child; the runner is alive, it has just spoken */
	ENSURE(k->ns_ours && r->ns_ours, ERR_CLIENT);
	ENSURE(k->exe_known && r->exe_known && k->exe_dev == r->exe_dev && k->exe_ino == r->exe_ino, ERR_CLIENT);
	ENSURE(k->uid == r->uid || r->uid == 0, ERR_CLIENT); /* root may start an agent as another user */
	ENSURE(!runs_find(c->n, child) && !runs_find(c->n, &c->runner), ERR_CLIENT); /* a run starts no run */
	return OK;
}

static err_t run_make(conn_t *c, int pidfd, node_entry_t *entry, str_t code)
{
	peer_t child;

	ENSURE(c->n->n_runs < NODE_RUNS_MAX, ERR_THROTTLED);
	err_t e = peer_open_pidfd(pidfd, &child);
	if (e != OK) {
		close(pidfd);
		return e;
	}
	run_t *r = heap_new(run_t);
	uint8_t id[NODE_RUN_ID_BYTES / 2];
	r->node = c->n;
	r->child = child;
	r->entry = entries_ref(entry);
	r->a = arena_open();
	r->tree = entry->e.scope == SPIFFE_SCOPE_TREE;
	r->code = arena_str(r->a, code);
	loop_random(c->n->loop, id, sizeof(id));
	memcpy(r->id, hex_enc(r->a, str_bytes(id, sizeof(id))).p, NODE_RUN_ID_BYTES);
	c->run = r;
	TRY(child_check(c, &r->child));
	return attest_begin(c);
}

static bool code_is(str_t s)
{
	return s.n == 0 || (s.n == 72 && str_starts(s, STR("sha-256:")) && str_is_visible(s));
}

static err_t run_request(conn_t *c, const json_t *doc, int pidfd)
{
	str_t nonce, as, entry, code;
	node_entry_t *found;

	TRY(JSON_ONLY(doc, NULL, STR("op"), STR("nonce"), STR("as"), STR("entry"), STR("grant"), STR("code")));
	TRY(json_need_str(doc, STR("nonce"), 2 * NONCE_BYTES, &nonce));
	ENSURE(c->greeted && nonce.n == 2 * NONCE_BYTES && ct_eq(nonce.p, c->nonce, nonce.n), ERR_CLIENT);
	TRY(peer_proved(&c->runner));
	TRY(json_need_str(doc, STR("as"), SPIFFE_ID_BYTES_MAX, &as));
	TRY(json_want_str(doc, STR("entry"), SPIFFE_ENTRY_ID_BYTES_MAX, &entry));
	TRY(json_want_str(doc, STR("grant"), 64, &c->grant));
	TRY(json_want_str(doc, STR("code"), 80, &code));
	ENSURE(code_is(code) && pidfd >= 0, ERR_VALUE);
	ENSURE(upstream_synced(c->n->upstream), ERR_AUTHORITY_AWAY);
	TRY(entries_for_run(&c->n->entries, as, entry, &found));
	return run_make(c, pidfd, found, code);
}

static err_t request(conn_t *c, str_t message, int *pidfd)
{
	const json_t *doc;
	str_t op;

	arena_free(c->a);
	c->a = arena_open();
	TRY(json_parse_object(c->a, message, &doc, NULL));
	TRY(json_need_str(doc, STR("op"), 16, &op));
	if (str_eq(op, STR("hello"))) {
		return hello(c);
	}
	ENSURE(str_eq(op, STR("run")), ERR_VALUE);
	err_t e = run_request(c, doc, *pidfd);
	*pidfd = c->run ? -1 : *pidfd; /* the run's from then on */
	return e;
}

/* --- sockets --------------------------------------------------------------------------------------------------------------- */

/* One datagram with its sender's stamp and at most one descriptor; anything else is refused. */
static err_t datagram(conn_t *c, char *p, size_t *n, int *pidfd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec v = { .iov_base = p, .iov_len = NODE_CONTROL_BYTES_MAX };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct ucred sender = { 0 };
	ssize_t got = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	ENSURE(got > 0, ERR_CANCELLED);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&sender, CMSG_DATA(h), sizeof(sender));
		} else if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int))) {
			memcpy(pidfd, CMSG_DATA(h), sizeof(*pidfd));
		}
	}
	ENSURE(!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && peer_sender_ok(&c->runner, &sender), ERR_CLIENT);
	*n = (size_t)got;
	return OK;
}

static void readable(void *owner, int events)
{
	conn_t *c = owner;
	char message[NODE_CONTROL_BYTES_MAX];
	int pidfd = -1;
	size_t n = 0;

	(void)events;
	err_t e = datagram(c, message, &n, &pidfd);
	if (e == OK) {
		e = c->busy ? ERR_CLIENT : request(c, str_bytes(message, n), &pidfd);
	}
	if (pidfd >= 0) {
		close(pidfd);
	}
	if (e == ERR_CANCELLED || (e != OK && c->busy)) {
		conn_end(c);
	} else if (e != OK) {
		refuse(c, e);
	}
}

static bool has_room(const control_t *s, int fd)
{
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t n = sizeof(who);
	size_t same = 0;

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n);
	for (const conn_t *c = s->conns; c; c = c->next) {
		same += c->runner.uid == who.uid;
	}
	return s->n_conns < NODE_CONTROLS_MAX && same < NODE_CONTROLS_PER_UID_MAX;
}

static void conn_open(control_t *s, int fd)
{
	conn_t *c = heap_new(conn_t);

	c->control = s;
	c->n = s->n;
	c->fd = fd;
	c->runner = (peer_t){ .pidfd = -1, .proc = -1, .exe = -1 };
	err_t e = has_room(s, fd) ? peer_open(&s->n->kernel, fd, &c->runner) : ERR_THROTTLED;
	e = e == OK ? loop_watch_open(s->n->loop, fd, readable, c, &c->watch) : e;
	if (e != OK) {
		peer_close(&c->runner);
		close(fd);
		heap_free(c);
		return;
	}
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	loop_watch_set(c->watch, LOOP_READABLE);
	loop_timer_start(s->n->loop, &c->late, NODE_CONTROL_TIMEOUT_MS, late, c);
}

static void acceptable(void *owner, int events)
{
	control_t *s = owner;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		conn_open(s, fd);
	}
}

static err_t listen_at(control_t *s, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	ENSURE(strlen(path) < sizeof(at.sun_path), ERR_CONFIG);
	memcpy(at.sun_path, path, strlen(path));
	s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ENSURE(s->fd >= 0, ERR_IO);
	(void)unlink(path); /* the workload socket beside it said that no other node serves here */
	ENSURE(bind(s->fd, (struct sockaddr *)&at, sizeof(at)) == 0 && chmod(path, 0666) == 0, ERR_IO);
	TRY(peer_listener_prepare(s->fd));
	ENSURE(listen(s->fd, NODE_CONTROLS_MAX) == 0, ERR_IO);
	return loop_watch_open(s->n->loop, s->fd, acceptable, s, &s->watch);
}

err_t control_open(node_t *n, control_t **out, diag_t *diag)
{
	control_t *s = heap_new(control_t);

	s->n = n;
	s->fd = -1;
	err_t e = listen_at(s, n->o.control_socket);
	if (e != OK) {
		diag_set(diag, 0, 0, "%s: cannot listen", n->o.control_socket);
		control_close(s);
		return e;
	}
	loop_watch_set(s->watch, LOOP_READABLE);
	*out = s;
	return OK;
}

void control_close(control_t *s)
{
	if (!s) {
		return;
	}
	loop_watch_close(s->watch);
	if (s->fd >= 0) {
		close(s->fd);
	}
	while (s->conns) {
		s->conns->busy = false; /* the lane and the calls upstream have ended before */
		conn_free(s->conns);
	}
	heap_free(s);
}
