/* The commit point from the wire to the disk, in the simulated world: gateways ask, ask again, replay,
 * splice, tell outcomes early, late, twice or never; grants run out of uses and are revoked, rules change,
 * a gateway dies, the authority crashes at every event. What must hold is looked at when an answer
 * leaves (oauth P55, P58, P59, P84, P103 to P106) and once more at the end. */
#include "ground.h"

#include <fcntl.h>

#include "engine/flow/sim.h"
#include "engine/net/detached.h"
#include "service/admit/admit_int.h"

enum { SEEDS = 600, SEEDS_SHORT = 80, CALLS = 14, MESSAGES_MAX = 8 * CALLS, WITHIN_MS = 300, USES = 4 };
#define INSTANCE "00112233445566778899aabbccddeeff"
#define SECRET "k-s3cret" /* of authority.c */
static uint64_t seed_first, seed_count;

typedef struct world world_t;
typedef enum { SAY_ADMIT, SAY_DECISION, SAY_OUTCOME } say_t;

/* One call as a gateway sees it. */
typedef struct {
	str_t rid, jti, grant;
	bool tickets; /* the route with a credential */
	uint64_t fence;
	unsigned told_yes, told_no; /* answers to admit */
	bool outcome_taken;
} call_t;

/* One message on its way to the authority. */
typedef struct {
	world_t *w;
	call_t *call;
	say_t say;
	str_t request;
	loop_timer_t start;
	net_exchange_t *x;
	bool answered;
} message_t;

struct world {
	ground_t *g;
	arena_t *a;
	sim_t *sim;
	lane_t *write, *cpu;
	feed_t *feed;
	admit_t *admit;
	net_exchange_t *stream; /* the gateway's feed */
	str_t grants[3]; /* few uses, doomed, lasting */
	int64_t mark;
	call_t calls[CALLS];
	message_t messages[MESSAGES_MAX];
	size_t n_calls, n_messages;
	loop_timer_t revoke_at, narrow_at, gone_at;
	lane_job_t revoke_job, narrow_job;
	store_closure_t revoke_closure, narrow_closure;
	bool crashed, closing;
	unsigned admitted, denied, violations;
	char why[120];
};

static void violated(world_t *w, const char *why)
{
	if (w->violations++ == 0) {
		snprintf(w->why, sizeof(w->why), "%s", why);
	}
}

/* --- what the ledger says of one call ------------------------------------------------------------------- */

typedef struct {
	unsigned attempts, decisions, outcomes, late;
} story_t;

static bool is_of(str_t leaf, const char *member, str_t rid)
{
	char text[64];

	snprintf(text, sizeof(text), "\"%s\":\"%.*s\"", member, STR_ARG(rid));
	return str_contains(leaf, str_of(text));
}

static story_t story_of(world_t *w, str_t rid)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);
	entries_t e = ground_entries(w->g, a, NULL, w->mark);
	story_t s = { 0 };

	for (size_t i = 0; i < e.n; i++) {
		bool mine = is_of(e.v[i].leaf, "rid", rid), of_mine = is_of(e.v[i].leaf, "of", rid);
		bool late = str_contains(e.v[i].leaf, STR("\"late\":true"));

		s.attempts += mine && str_eq(e.v[i].kind, STR("attempt"));
		s.decisions += mine && str_eq(e.v[i].kind, STR("decision"));
		s.outcomes += of_mine && !late;
		s.late += of_mine && late;
	}
	return s;
}

/* --- answers ------------------------------------------------------------------------------------------------ */

static void told_admit(message_t *m, arena_t *a, const json_t *root, str_t body)
{
	world_t *w = m->w;
	call_t *c = m->call;
	story_t s = story_of(w, c->rid);
	bool admitted;
	const char *name;
	str_t code;

	assert_int_equal(json_need_bool(root, STR("admit"), &admitted), OK);
	if (admitted) {
		c->told_yes++;
		w->admitted++;
		if (s.attempts != 1 || s.decisions != 0) {
			violated(w, "a yes without exactly one attempt on record");
		}
		if (c->tickets != str_contains(body, STR(SECRET))) {
			violated(w, "a credential missing, or where none belongs");
		}
		return;
	}
	assert_int_equal(json_need_str(root, STR("code"), 64, &code), OK);
	assert_int_equal(arena_cstr(a, code, &name), OK);
	err_t e = err_by_name(name);
	bool quiet = e == ERR_FENCE || e == ERR_CLOSED || e == ERR_CONFLICT;
	c->told_no++;
	w->denied++;
	if (!quiet && s.decisions != 1) {
		violated(w, "a no without exactly one decision on record");
	}
	if (str_contains(body, STR("s3cret"))) {
		violated(w, "a credential in a no");
	}
}

static void told_note(message_t *m)
{
	story_t s = story_of(m->w, m->call->rid);

	if (m->say == SAY_DECISION && s.decisions + s.attempts == 0) {
		violated(m->w, "a denial taken and not on record");
	}
	if (m->say == SAY_OUTCOME && s.outcomes == 0) {
		violated(m->w, "an outcome taken and not on record");
	}
	m->call->outcome_taken |= m->say == SAY_OUTCOME;
}

static void answered(int status, net_headers_t headers, str_t body, void *owner)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(1 << 20);
	message_t *m = owner;
	const json_t *root;

	(void)headers;
	if (m->w->crashed) {
		return;
	}
	m->x = NULL;
	m->answered = true;
	if (status != 200) {
		if (str_contains(body, STR("s3cret"))) {
			violated(m->w, "a credential in an error");
		}
		return;
	}
	assert_int_equal(json_parse_object(a, body, &root, NULL), OK);
	if (m->say == SAY_ADMIT) {
		told_admit(m, a, root, body);
	} else {
		told_note(m);
	}
}

static void stream_ended(int status, net_headers_t headers, str_t body, void *owner)
{
	(void)status, (void)headers, (void)body;
	((world_t *)owner)->stream = NULL;
}

/* --- messages ------------------------------------------------------------------------------------------------- */

static void message_start(void *arg)
{
	message_t *m = arg;
	world_t *w = m->w;

	assert_int_equal(net_detached_new(sim_loop(w->sim), m->request, answered, m, &m->x), OK);
	admit_handle(w->admit, m->x);
}

static message_t *send(world_t *w, call_t *c, say_t say, str_t body, uint64_t in_ms)
{
	static const char *const doors[] = { "admit", "decision", "outcome" };
	message_t *m = &w->messages[w->n_messages++];

	assert_true(w->n_messages <= MESSAGES_MAX);
	*m = (message_t){ .w = w, .call = c, .say = say };
	m->request = arena_printf(w->a, "POST /internal/v1/%s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%.*s",
		doors[say], body.n, STR_ARG(body));
	loop_timer_start(sim_loop(w->sim), &m->start, in_ms, message_start, m);
	return m;
}

#define RECORD "{\"act\":{\"args\":\"sha-256:0000000000000000000000000000000000000000000000000000000000000000\"," \
	"\"digest\":\"sha-256:1111111111111111111111111111111111111111111111111111111111111111\"," \
	"\"op\":\"tools/call\",\"tool\":\"read\"},\"assurance\":\"key\"," \
	"\"chain\":[{\"role\":\"user\",\"sub\":\"" USER_ID "\"}]%s}"

static str_t admit_body_of(const world_t *w, const call_t *c, const char *more)
{
	int64_t now_s = (int64_t)loop_unix_s(sim_loop(w->sim));
	str_t record = arena_printf(w->a, RECORD, more);

	return arena_printf(w->a, "{\"rid\":\"%.*s\",\"once\":{\"space\":\"" ISSUER "\",\"id\":\"%.*s\",\"until\":%lld},"
		"\"grant\":\"%.*s\",\"fence\":%llu,\"instance\":\"" INSTANCE "\",\"deadline\":%lld,"
		"\"answer_by\":%lld,\"route\":\"%s\","
		"\"record\":%.*s}", STR_ARG(c->rid), STR_ARG(c->jti), (long long)now_s + 60, STR_ARG(c->grant),
		(unsigned long long)c->fence, (long long)(now_s + 3) * 1000,
		(long long)(now_s + 60) * 1000, c->tickets ? "tickets" : "invoices",
		STR_ARG(record));
}

static str_t id_new(world_t *w)
{
	uint8_t random[ULID_RANDOM_BYTES];

	crypto_random(random, sizeof(random)); /* not seeded: worlds share one store */
	return ulid_make(w->a, (int64_t)loop_unix_us(sim_loop(w->sim)) / 1000, random);
}

static uint64_t some_ms(world_t *w)
{
	return sim_draw(w->sim, WITHIN_MS);
}

static call_t *call_new(world_t *w)
{
	call_t *c = &w->calls[w->n_calls++];
	const feed_view_t *view = feed_pin(w->feed);

	*c = (call_t){ .rid = id_new(w), .jti = id_new(w), .grant = w->grants[sim_draw(w->sim, 3)],
		.tickets = sim_draw(w->sim, 2), .fence = view->version };
	feed_view_unref(view);
	return c;
}

static void outcomes_draw(world_t *w, call_t *c)
{
	str_t body = arena_printf(w->a, "{\"of\":\"%.*s\",\"instance\":\"" INSTANCE "\",\"status\":\"success\",\"ms\":7}",
		STR_ARG(c->rid));

	if (sim_draw(w->sim, 3)) { /* else never: it ends as unknown */
		uint64_t late = sim_draw(w->sim, 6) == 0 ? 9000 : 0;
		send(w, c, SAY_OUTCOME, body, WITHIN_MS + some_ms(w) + late);
		send(w, c, SAY_OUTCOME, body, WITHIN_MS + some_ms(w) + late);
	}
}

/* Every call is asked for; some again with the same bytes, with other bytes, with another rid. */
static void calls_draw(world_t *w)
{
	while (w->n_calls < CALLS) {
		call_t *c = call_new(w), *other;
		str_t body = admit_body_of(w, c, "");

		if (sim_draw(w->sim, 6) == 0) {
			body = arena_printf(w->a, "{\"rid\":\"%.*s\",\"instance\":\"" INSTANCE "\",\"record\":" RECORD "}",
				STR_ARG(c->rid), ",\"code\":\"tool\"");
			send(w, c, SAY_DECISION, body, some_ms(w));
			send(w, c, SAY_DECISION, body, some_ms(w));
			continue;
		}
		send(w, c, SAY_ADMIT, body, some_ms(w));
		outcomes_draw(w, c);
		switch (sim_draw(w->sim, 4)) {
		case 0:
			send(w, c, SAY_ADMIT, body, some_ms(w));
			break;
		case 1:
			send(w, c, SAY_ADMIT, admit_body_of(w, c, ",\"intent\":\"another\""), some_ms(w));
			break;
		case 2:
			if (w->n_calls < CALLS) {
				other = call_new(w);
				other->jti = c->jti;
				send(w, other, SAY_ADMIT, admit_body_of(w, other, ""), some_ms(w));
			}
			break;
		}
	}
}

/* --- the operator, and a gateway that dies ------------------------------------------------------------------- */

static err_t revoke_run(store_txn_t *txn, void *self)
{
	world_t *w = self;

	return ground_revoke(w->g, txn, w->grants[1], (int64_t)loop_unix_us(sim_loop(w->sim)));
}

static void revoke_done(lane_job_t *job, err_t e)
{
	(void)job;
	assert_int_equal(e, OK);
}

static void revoke_now(void *arg)
{
	world_t *w = arg;

	w->revoke_closure = (store_closure_t){ .run = revoke_run, .self = w, .essential = true };
	w->revoke_job = (lane_job_t){ .arg = &w->revoke_closure, .done = revoke_done };
	assert_int_equal(lane_submit(w->write, &w->revoke_job), OK);
}

static err_t narrow_run(store_txn_t *txn, void *self)
{
	world_t *w = self;

	return ground_narrow(w->g, txn, (int64_t)loop_unix_us(sim_loop(w->sim)));
}

static void refresh_done(op_t *op, err_t e)
{
	(void)op;
	assert_int_equal(e, OK);
}

static void narrow_done(lane_job_t *job, err_t e)
{
	world_t *w = (world_t *)((char *)job - offsetof(world_t, narrow_job));
	loop_t *loop = sim_loop(w->sim);

	assert_int_equal(e, OK);
	op_start(feed_refresh(w->a, w->feed), loop, loop_in_ms(loop, 10000), refresh_done, w);
}

static void narrow_now(void *arg)
{
	world_t *w = arg;

	w->narrow_closure = (store_closure_t){ .run = narrow_run, .self = w };
	w->narrow_job = (lane_job_t){ .arg = &w->narrow_closure, .done = narrow_done };
	assert_int_equal(lane_submit(w->write, &w->narrow_job), OK);
}

static void gateway_dies(void *arg)
{
	world_t *w = arg;

	if (w->stream) {
		net_detached_lose(w->stream);
	}
}

static void instance_gone(str_t instance, void *owner)
{
	world_t *w = owner;

	if (!w->closing) {
		admit_instance_gone(w->admit, instance);
	}
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

static void appended(void *owner)
{
	(void)owner;
}

static void services_open(world_t *w)
{
	authority_t *t = w->g->t;
	loop_t *loop = sim_loop(w->sim);
	diag_t diag = { 0 };

	w->write = lane_new(loop, &(lane_spec_t){ "store-write", 1, 1024, store_lane_batch, t->store, 64 });
	w->cpu = lane_new(loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = 64 });
	t->feed_deps.loop = loop;
	t->feed_deps.lane = w->cpu;
	t->feed_deps.instance_gone = instance_gone;
	t->feed_deps.owner = w;
	if (feed_new(&t->feed_deps, &w->feed, &diag) != OK) {
		fail_msg("feed: %s", diag.text);
	}
	admit_deps_t deps = { loop, w->write, t->store, t->vault, t->ledger, w->feed, 1000, appended, w };
	assert_int_equal(admit_new(&deps, &w->admit), OK);
	assert_int_equal(net_detached_new(loop, STR("GET /internal/v1/feed?since=0&instance=" INSTANCE " HTTP/1.1\r\n"
						    "Host: a\r\n\r\n"), stream_ended, w, &w->stream), OK);
	feed_handle(w->feed, w->stream);
}

typedef struct {
	sim_plan_t sim;
	bool quiet, empty;
} plan_t;

static world_t *world_open(ground_t *g, const plan_t *plan)
{
	world_t *w = heap_new(world_t);
	int64_t now_s;

	w->g = g;
	w->a = arena_new_capped(64 << 20);
	w->sim = sim_new(&plan->sim);
	now_s = (int64_t)loop_unix_s(sim_loop(w->sim));
	ground_prepare(g, now_s);
	w->grants[0] = ground_grant(g, STR(AGENT_ID), USES, now_s);
	w->grants[1] = ground_grant(g, STR(AGENT_ID), 1000, now_s);
	w->grants[2] = g->lasting;
	w->mark = ground_mark(g);
	services_open(w);
	if (!plan->quiet) {
		loop_timer_start(sim_loop(w->sim), &w->revoke_at, some_ms(w), revoke_now, w);
	}
	if (!plan->quiet && sim_draw(w->sim, 2)) {
		loop_timer_start(sim_loop(w->sim), &w->narrow_at, some_ms(w), narrow_now, w);
	}
	if (!plan->quiet && sim_draw(w->sim, 3) == 0) {
		loop_timer_start(sim_loop(w->sim), &w->gone_at, some_ms(w), gateway_dies, w);
	}
	if (!plan->empty) {
		calls_draw(w);
	}
	return w;
}

/* After a crash nobody answers: what jobs held is taken back by hand. */
static void crash_clean(world_t *w)
{
	for (size_t i = 0; i < w->n_messages; i++) {
		if (w->messages[i].x) {
			net_reply_abort(TAKE(w->messages[i].x));
		}
	}
}

static void world_stop(world_t *w)
{
	while (!w->crashed && w->admit->sweeping) {
		assert_true(sim_run_ms(w->sim, 1));
	}
	w->closing = true;
	if (w->crashed) {
		/* jobs that the crash dropped would have freed themselves: run them, their answers go nowhere */
		crash_clean(w);
	}
	lane_free(w->write);
	lane_free(w->cpu);
	loop_timer_stop(sim_loop(w->sim), &w->revoke_at);
	loop_timer_stop(sim_loop(w->sim), &w->narrow_at);
	loop_timer_stop(sim_loop(w->sim), &w->gone_at);
	for (size_t i = 0; i < w->n_messages; i++) {
		loop_timer_stop(sim_loop(w->sim), &w->messages[i].start);
	}
	admit_free(w->admit);
	feed_free(w->feed);
	sim_free(TAKE(w->sim));
}

static void world_free(world_t *w)
{
	if (w->sim) {
		world_stop(w);
	}
	arena_free(w->a);
	heap_free(w);
}

/* --- what must hold at the end ------------------------------------------------------------------------------------- */

/* Commit order: nothing under the doomed grant behind its revoke, nothing decided on older rules behind
 * the change, no grant beyond its uses, no id spent twice. */
static void order_check(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);
	entries_t e = ground_entries(w->g, a, NULL, w->mark);
	bool revoked = false, narrowed = false;
	unsigned of_few = 0;

	for (size_t i = 0; i < e.n; i++) {
		revoked |= str_eq(e.v[i].kind, STR("revoke"));
		narrowed |= str_eq(e.v[i].kind, STR("role"));
		for (size_t k = 0; str_eq(e.v[i].kind, STR("attempt")) && k < w->n_calls; k++) {
			const call_t *c = &w->calls[k];
			if (!is_of(e.v[i].leaf, "rid", c->rid)) {
				continue;
			}
			of_few += str_eq(c->grant, w->grants[0]);
			if (revoked && str_eq(c->grant, w->grants[1])) {
				violated(w, "an attempt behind the revoke");
			}
			if (narrowed) { /* every call was decided before the change */
				violated(w, "an attempt decided on rules that had changed");
			}
		}
	}
	if (of_few > USES) {
		violated(w, "more attempts than uses");
	}
}

static void calls_check(world_t *w, bool at_rest)
{
	for (size_t i = 0; i < w->n_calls; i++) {
		story_t s = story_of(w, w->calls[i].rid);
		if (s.attempts + s.decisions > 1) {
			violated(w, "a call with more than one decision or attempt");
		}
		if (s.outcomes > 1 || s.late > 1 || (s.outcomes && !s.attempts)) {
			violated(w, "more outcomes than attempts");
		}
		if (at_rest && s.outcomes != s.attempts) {
			violated(w, "an attempt that never ends");
		}
		for (size_t k = 0; k < i; k++) {
			bool twins = str_eq(w->calls[k].jti, w->calls[i].jti);
			if (twins && s.attempts && story_of(w, w->calls[k].rid).attempts) {
				violated(w, "one id spent twice");
			}
		}
	}
}

static void check(world_t *w, uint64_t seed, bool at_rest)
{
	order_check(w);
	calls_check(w, at_rest);
	if (w->violations) {
		fail_msg("seed %llu: %s (%u violations)", (unsigned long long)seed, w->why, w->violations);
	}
}

static void all_answered(const world_t *w)
{
	for (size_t i = 0; i < w->n_messages; i++) {
		assert_true(w->messages[i].answered);
	}
}

static void every_attempt_is_one_and_ends(void **state)
{
	unsigned admitted = 0, denied = 0;

	for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
		plan_t plan = { .sim = { .seed = seed, .delay_us_max = seed % 5 ? 0 : 200000 } };
		world_t *w = world_open(*state, &plan);

		assert_true(sim_run_ms(w->sim, 30000)); /* past deadlines, late outcomes and the gateway's end */
		all_answered(w);
		check(w, seed, true);
		admitted += w->admitted;
		denied += w->denied;
		world_free(w);
	}
	printf("# %llu seeds: %u admitted, %u denied\n", (unsigned long long)seed_count, admitted, denied);
	if (seed_count > 1) {
		assert_true(admitted > seed_count * 3 && denied > seed_count);
	}
}

/* Every message is sent again to the next process, as gateways do that heard nothing. */
static void resend_all(ground_t *g, world_t *before)
{
	plan_t plan = { .sim = { .seed = 1 }, .quiet = true, .empty = true };
	world_t *w = world_open(g, &plan);

	w->mark = before->mark;
	memcpy(w->grants, before->grants, sizeof(w->grants));
	memcpy(w->calls, before->calls, sizeof(w->calls));
	w->n_calls = before->n_calls;
	for (size_t i = 0; i < before->n_messages; i++) {
		message_t *m = &w->messages[w->n_messages++];
		*m = (message_t){ .w = w, .call = &w->calls[before->messages[i].call - before->calls],
			.say = before->messages[i].say, .request = before->messages[i].request };
		loop_timer_start(sim_loop(w->sim), &m->start, some_ms(w), message_start, m);
	}
	assert_true(sim_run_ms(w->sim, 30000));
	all_answered(w);
	check(w, 0, true);
	world_free(w);
}

static void crashed_at_every_event(void **state)
{
	ground_t *g = *state;
	plan_t plan = { .sim = { .seed = 31 }, .quiet = true };
	world_t *w = world_open(g, &plan);

	assert_true(sim_run_ms(w->sim, 900)); /* before the first sweep */
	uint64_t events = sim_events(w->sim);
	assert_true(sim_run_ms(w->sim, 30000));
	world_free(w);
	assert_true(events > CALLS * 3);
	for (uint64_t i = 1; i <= events; i++) {
		plan.sim.crash_at = i;
		ground_doomed_begin();
		w = world_open(g, &plan);
		assert_false(sim_run_ms(w->sim, 900));
		ground_doomed_end();
		w->crashed = true;
		check(w, i, false);
		world_stop(w);
		ground_reopen(g);
		resend_all(g, w);
		world_free(w);
	}
}

static void the_ledger_verifies(void **state)
{
	ground_verify(*state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_attempt_is_one_and_ends),
		cmocka_unit_test(crashed_at_every_event),
		cmocka_unit_test(the_ledger_verifies),
	};

	log_setup(LVL_ERROR, open("/dev/null", O_WRONLY)); /* splices are meant here, and told at this level */
	sim_seeds(argc, argv, getenv("ATTORN_SANITIZED") ? SEEDS_SHORT : SEEDS, &seed_first, &seed_count);
	return cmocka_run_group_tests_name("sim_admit", tests, ground_open, ground_close);
}
