/* caller.c: one connection to the Workload API: proved, attested, matched, and looked at again before anything
 * leaves (spiffe.md 13.4 steps 1 to 8). */
#include <unistd.h>

#include "service/node/node_int.h"

typedef struct {
	lane_job_t job;
	caller_t *caller;
	arena_t *a;
	attest_subject_t subject;
	spiffe_selectors_t selectors;
	attest_families_t unknown;
	uint32_t generation;
} attesting_t;

static void attest_begin(caller_t *k);
static void match_again(caller_t *k);

/* --- selectors: one block on the heap, since an arena for each of a thousand idle callers is 8 MiB --------- */

static void selectors_done(spiffe_selectors_t *s)
{
	heap_free((void *)s->v);
	*s = (spiffe_selectors_t){ 0 };
}

static void selectors_keep(spiffe_selectors_t *to, const spiffe_selectors_t *from)
{
	size_t bytes = 0;

	for (size_t i = 0; i < from->n; i++) {
		bytes += from->v[i].n;
	}
	selectors_done(to);
	str_t *v = heap_alloc(from->n * sizeof(str_t) + bytes + 1);
	char *at = (char *)(v + from->n);
	for (size_t i = 0; i < from->n; i++) {
		memcpy(at, from->v[i].p, from->v[i].n);
		v[i] = str_bytes(at, from->v[i].n);
		at += from->v[i].n;
	}
	*to = (spiffe_selectors_t){ v, from->n };
}

/* --- life ---------------------------------------------------------------------------------------------------- */

static void svids_let_go(caller_t *k)
{
	for (size_t i = 0; i < k->match.n; i++) {
		svid_drop(k->svids[i]);
		k->svids[i] = NULL;
		entries_unref(k->match.v[i]);
	}
	k->match = (match_t){ 0 };
}

static void caller_free(caller_t *k)
{
	selectors_done(&k->selectors);
	heap_free(k);
}

static void cut(caller_t *k, const char *why)
{
	log_kv(LVL_INFO, "node.cut", kv_i("pid", k->peer.pid), kv_u("uid", k->peer.uid), kv_c("why", why));
	if (k->conn) {
		grpc_conn_close(k->conn);
	}
}

void caller_gone(grpc_conn_t *c, void *node)
{
	caller_t *k = grpc_conn_owner(c);

	(void)node;
	for (caller_t **p = &k->node->callers; *p; p = &(*p)->next) {
		if (*p == k) {
			*p = k->next;
			break;
		}
	}
	loop_watch_close(k->watch);
	loop_timer_stop(k->node->loop, &k->recheck);
	svids_let_go(k);
	peer_close(&k->peer);
	k->conn = NULL;
	if (!k->job) {
		caller_free(k);
	}
}

static void exited(void *owner, int events)
{
	caller_t *k = owner;

	(void)events;
	loop_watch_set(k->watch, 0);
	cut(k, "exited");
}

/* --- attesting ------------------------------------------------------------------------------------------------- */

static err_t attest_run(void *arg)
{
	attesting_t *t = arg;

	return attest_all(t->a, &t->subject, &t->selectors, &t->unknown);
}

static void attested(lane_job_t *job, err_t e)
{
	attesting_t *t = job->arg;
	caller_t *k = t->caller;
	arena_t *a = t->a;

	k->job = false;
	if (!k->conn) {
		caller_free(k);
		arena_free(a);
		return;
	}
	bool old = t->generation != k->generation; /* facts changed while it was told */
	if (e == OK && !old) {
		selectors_keep(&k->selectors, &t->selectors);
		k->unknown = t->unknown;
		k->asked = t->subject.wanted;
		k->state = CALLER_KNOWN;
	}
	arena_free(a);
	if (old) {
		attest_begin(k);
	} else if (e != OK) {
		cut(k, "attestation");
	} else {
		match_again(k);
	}
}

static err_t attest_submit(caller_t *k)
{
	arena_t *a = arena_open();
	attesting_t *t = arena_new(a, attesting_t);

	t->caller = k;
	t->a = a;
	t->generation = k->generation;
	err_t e = attest_subject_make(a, &k->peer, &t->subject);
	t->subject.means = &k->node->means;
	t->subject.wanted = k->node->entries.needs;
	t->subject.now_us = loop_mono_us(k->node->loop);
	t->job = (lane_job_t){ .run = attest_run, .arg = t, .done = attested };
	e = e == OK ? lane_submit(k->node->lane, &t->job) : e;
	if (e != OK) {
		arena_free(a);
		return e;
	}
	k->job = true;
	return OK;
}

static void attest_begin(caller_t *k)
{
	k->state = CALLER_ATTESTING;
	if (k->node->closing) {
		return; /* the lane has gone */
	}
	if (!k->job && attest_submit(k) != OK) {
		cut(k, "busy");
	}
}

static void recheck_later(caller_t *k);

err_t caller_recheck(caller_t *k)
{
	bool changed;
	err_t e = peer_recheck(&k->peer, &changed);

	if (e != OK) {
		cut(k, "facts");
		return ERR_CLIENT;
	}
	recheck_later(k);
	if (changed) {
		k->generation++;
		attest_begin(k);
		return ERR_UNAVAILABLE;
	}
	return OK;
}

static void recheck_due(void *arg)
{
	caller_t *k = arg;

	if (k->state != CALLER_KNOWN || caller_recheck(k) == ERR_UNAVAILABLE) {
		recheck_later(k);
	}
}

static void recheck_later(caller_t *k)
{
	loop_timer_start(k->node->loop, &k->recheck, NODE_RECHECK_MS, recheck_due, k);
}

/* --- matching ---------------------------------------------------------------------------------------------------- */

static void calls_serve(caller_t *k)
{
	call_t *next;

	for (call_t *c = k->calls; c && k->state == CALLER_KNOWN; c = next) {
		next = c->next;
		c->serve(c); /* may end itself, no other */
	}
}

static void identities_get(caller_t *k, const match_t *m)
{
	svid_t *got[NODE_MATCHES_MAX] = { NULL };

	for (size_t i = 0; i < m->n; i++) {
		entries_ref(m->v[i]);
		if (svid_get(k->node, m->v[i], &k->selectors, k->run, &got[i]) != OK) {
			log_kv(LVL_ERROR, "node.svids_over", kv_s("entry", m->v[i]->key));
		}
	}
	svids_let_go(k); /* after: what both have stays */
	k->match = *m;
	memcpy(k->svids, got, sizeof(got));
}

/* Who is it now, and what does it get? Entries that need a family not asked before cost a new attestation. */
static void match_again(caller_t *k)
{
	node_t *n = k->node;
	match_t m;

	if (k->state != CALLER_KNOWN || !k->conn || !upstream_synced(n->upstream)) {
		return;
	}
	if (!peer_pidfd_alive(k->peer.pidfd)) {
		return; /* about to be cut; its run may have ended a moment before, and then it matched as another */
	}
	if (n->entries.needs & ~k->asked) {
		attest_begin(k);
		return;
	}
	k->run = runs_find(n, &k->peer);
	entries_match(&n->entries,
		&(match_facts_t){ &k->selectors, k->unknown, k->run, node_now_s(n) }, &m);
	identities_get(k, &m);
	calls_serve(k);
}

static void changed_now(void *arg)
{
	node_t *n = arg;
	caller_t *next;

	for (caller_t *k = n->callers; k; k = next) {
		next = k->next;
		match_again(k);
	}
}

void callers_changed(node_t *n)
{
	if (!n->closing && !loop_timer_armed(&n->changed)) {
		loop_timer_start(n->loop, &n->changed, 0, changed_now, n);
	}
}

void callers_of_run_end(node_t *n, const run_t *r)
{
	for (caller_t *k = n->callers; k; k = k->next) {
		if (k->run == r) {
			svids_let_go(k);
			k->run = NULL;
		}
	}
	callers_changed(n);
}

/* --- arriving --------------------------------------------------------------------------------------------------------- */

static void proved(grpc_conn_t *c, err_t e, void *owner)
{
	caller_t *k = grpc_conn_owner(c);

	(void)owner;
	if (e == OK) {
		e = peer_proved(&k->peer);
	}
	if (e == ERR_CANCELLED) {
		return;
	}
	if (e != OK) {
		cut(k, "proof");
		return;
	}
	recheck_later(k);
	attest_begin(k);
}

/* A user who connects without end is turned away before it costs a look at its process: what waits behind it in
 * the listener's queue is everybody's (A10). */
static bool in_pace(node_t *n, uid_t uid)
{
	uint64_t now_us = loop_mono_us(n->loop);
	size_t at = uid % NODE_CONNECT_UIDS;

	if (n->pace[at].uid != uid && n->pace[at].due_us > now_us) {
		return true; /* two busy users in one place: the first is watched */
	}
	if (n->pace[at].uid != uid || n->pace[at].due_us < now_us) {
		n->pace[at].uid = uid;
		n->pace[at].due_us = now_us;
	}
	if (n->pace[at].due_us - now_us > (uint64_t)NODE_CONNECT_BURST * NODE_CONNECT_US) {
		return false;
	}
	n->pace[at].due_us += NODE_CONNECT_US;
	return true;
}

err_t caller_connect(grpc_conn_t *c, int fd, const struct ucred *ucred, void *node)
{
	node_t *n = node;
	peer_t peer;

	ENSURE(in_pace(n, ucred->uid), ERR_THROTTLED);
	TRY(peer_open(&n->kernel, fd, &peer));
	caller_t *k = heap_new(caller_t);
	k->node = n;
	k->conn = c;
	k->peer = peer;
	err_t e = loop_watch_open(n->loop, peer.pidfd, exited, k, &k->watch);
	if (e == OK) {
		grpc_conn_set_owner(c, k);
		e = grpc_conn_prove(c, proved, n);
	}
	if (e != OK) {
		loop_watch_close(k->watch);
		peer_close(&k->peer);
		heap_free(k);
		return e;
	}
	loop_watch_set(k->watch, LOOP_READABLE);
	k->next = n->callers;
	n->callers = k;
	return OK;
}

/* --- calls ------------------------------------------------------------------------------------------------------------- */

/* What it waits for did not come: it is served once more and must say something. */
static void late(void *arg)
{
	call_t *c = arg;

	c->late = true;
	if (c->caller->state != CALLER_KNOWN || !upstream_synced(c->caller->node->upstream)) {
		grpc_stream_t *s = c->stream;
		call_free(c);
		grpc_end_err(s, ERR_UNAVAILABLE);
		return;
	}
	c->serve(c);
}

call_t *call_new(caller_t *k, grpc_stream_t *s, void (*serve)(call_t *c))
{
	call_t *c = heap_new(call_t);

	c->caller = k;
	c->stream = s;
	c->serve = serve;
	c->next = k->calls;
	k->calls = c;
	grpc_stream_set_owner(s, c);
	loop_timer_start(k->node->loop, &c->timer, NODE_FIRST_WAIT_MS, late, c);
	return c;
}

void call_serve(call_t *c)
{
	if (c->caller->state == CALLER_KNOWN && upstream_synced(c->caller->node->upstream)) {
		c->serve(c);
	}
}

void call_free(call_t *c)
{
	for (call_t **p = &c->caller->calls; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	loop_timer_stop(c->caller->node->loop, &c->timer);
	arena_free(c->a);
	heap_free(c);
}
