/* exchange_world.c: see exchange_world.h. */
#include "exchange_world.h"

#include "service/admit/admit_int.h"

static void violated(world_t *w, const char *why)
{
	if (w->violations++ == 0) {
		snprintf(w->why, sizeof(w->why), "%s", why);
	}
}

/* --- looking into the store ---------------------------------------------------------------------------- */

typedef struct {
	const ask_t *k;
	bool assertion, proof;
} spent_t;

static err_t spent_run(store_txn_t *txn, void *self)
{
	spent_t *s = self;

	TRY(store_used_has(txn, s->k->assertion->space, s->k->assertion->jti, &s->assertion));
	return store_used_has(txn, s->k->proof->space, s->k->proof->jti, &s->proof);
}

world_records_t world_records(world_t *w)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);
	entries_t all = ground_entries(w->g, a, NULL, w->mark);
	world_records_t out = { 0 };
	bool revoked = false, narrowed = false;

	for (size_t i = 0; i < all.n; i++) {
		const store_entry_t *e = &all.v[i];

		revoked = revoked || str_eq(e->kind, STR("revoke"));
		narrowed = narrowed || str_eq(e->kind, STR("role"));
		out.decisions += str_eq(e->kind, STR("decision"));
		if (str_eq(e->kind, STR("token"))) {
			out.tokens++;
			out.token_after_revoke |= revoked && str_contains(e->leaf, w->doomed);
			out.token_after_narrowing |= narrowed; /* each of them carries the scope that is gone */
		}
		if (str_eq(e->kind, STR("refusals"))) {
			bool strangers = str_contains(e->leaf, STR("\"door\":\"oauth\""));
			uint64_t n = ground_number(a, e->leaf, "n");
			*(strangers ? &out.counted_strangers : &out.counted_denials) += n;
		}
	}
	return out;
}

/* --- papers --------------------------------------------------------------------------------------------- */

static str_t jti_of(arena_t *a, str_t jws)
{
	jose_jws_t parts;
	const json_t *root;
	str_t jti;

	assert_int_equal(jose_jws_split(a, jws, &parts, NULL), OK);
	assert_int_equal(json_parse_object(a, parts.payload, &root, NULL), OK);
	assert_int_equal(json_need_str(root, STR("jti"), 100, &jti), OK);
	return jti;
}

static paper_t *paper_add(world_t *w, str_t space, str_t text)
{
	paper_t *p = &w->papers[w->n_papers++];

	assert_true(w->n_papers <= PAPERS_MAX);
	*p = (paper_t){ .text = text, .space = space, .jti = jti_of(w->a, text) };
	return p;
}

static const crypto_key_t *key_of(const ask_t *k)
{
	return k->agent_auto ? k->w->g->t->user_key : k->w->g->t->agent_key;
}

static paper_t *assertion_new(const ask_t *k)
{
	world_t *w = k->w;
	jose_assertion_make_t m = { .client_id = k->agent_auto ? STR(BOT_ID) : STR(AGENT_ID), .issuer = STR(ISSUER),
		.now_unix_s = (int64_t)loop_unix_s(sim_loop(w->sim)), .life_s = 200 };
	/* a capability's assertion is signed by another of the agent's keys than its proof */
	bool by_second = k->want == WANT_CAPABILITY && !k->agent_auto;
	const crypto_key_t *key = k->want == WANT_WRONG_KEY ? w->g->t->user_key
				  : by_second		    ? w->g->second_key
							    : key_of(k);
	str_t text;

	crypto_random(m.random, sizeof(m.random)); /* not seeded: seeds share one store, and an id is spent once */
	assert_int_equal(jose_assertion_make(w->a, key, &m, &text), OK);
	return paper_add(w, m.client_id, text);
}

/* Somebody else's, or one of the agent's own that the token is not bound to. */
static const crypto_key_t *others_key(world_t *w)
{
	return sim_draw(w->sim, 2) ? w->g->second_key : w->g->t->user_key;
}

static paper_t *proof_new(const ask_t *k)
{
	world_t *w = k->w;
	const crypto_key_t *key = k->want == WANT_OTHERS_KEY ? others_key(w) : key_of(k);
	int64_t now_s = (int64_t)loop_unix_s(sim_loop(w->sim));
	jose_dpop_make_t m = { .method = STR("POST"), .htu = STR(ISSUER "/oauth/token"), .now_unix_s = now_s };
	str_t text;

	if (k->want != WANT_NO_NONCE) {
		m.nonce = jose_nonce_make(w->a, vault_nonce_key(w->g->t->vault), now_s);
	}
	crypto_random(m.random, sizeof(m.random));
	assert_int_equal(jose_dpop_make(w->a, key, &m, &text), OK);
	return paper_add(w, jose_jkt(w->a, crypto_key_pub(key)), text);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static void pair_add(buf_t *b, const char *name, str_t value)
{
	buf_printf(b, "%s%s=", b->n ? "&" : "", name);
	for (size_t i = 0; i < value.n; i++) {
		buf_printf(b, "%%%02X", (uint8_t)value.p[i]);
	}
}

static str_t subject_of(const ask_t *k)
{
	switch (k->want) {
	case WANT_DOOMED:
		return k->w->doomed;
	case WANT_CAPABILITY:
	case WANT_OTHERS_KEY:
	case WANT_RECYCLED:
		return k->parent;
	case WANT_NO_GRANT:
		return STR("01KAQW7V00000000000000ZZZZ");
	case WANT_OTHERS_GRANT:
		return k->w->g->others;
	default:
		return k->w->g->lasting;
	}
}

static const char details[] = "[{\"type\":\"mcp_tool_call\",\"server\":\"" GATEWAY "/r/invoices\",\"tool\":\"read\","
			      "\"args_digest\":\"RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o\"}]";

static void body_write(const ask_t *k, buf_t *b)
{
	bool capability = k->parent.n > 0;

	pair_add(b, "client_assertion_type", STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	pair_add(b, "client_assertion", k->assertion->text);
	pair_add(b, "resource", k->want == WANT_TARGET ? STR(GATEWAY "/r/nowhere") : STR(GATEWAY "/r/invoices"));
	if (k->want == WANT_SCOPE) {
		pair_add(b, "scope", STR("payroll:write"));
	}
	if (k->want == WANT_AUTO) {
		pair_add(b, "grant_type", STR("client_credentials"));
		return;
	}
	pair_add(b, "grant_type", STR("urn:ietf:params:oauth:grant-type:token-exchange"));
	pair_add(b, "subject_token", subject_of(k));
	pair_add(b, "subject_token_type", capability ? STR("urn:ietf:params:oauth:token-type:access_token")
						     : STR("urn:attorn:params:oauth:token-type:grant"));
	if (capability) {
		pair_add(b, "authorization_details", str_of(details));
	}
}

static void request_write(ask_t *k)
{
	AUTO(buf_done) buf_t body, text;

	buf_init(&body, 64 << 10);
	buf_init(&text, 80 << 10);
	k->assertion = k->assertion ? k->assertion : assertion_new(k);
	k->proof = k->proof ? k->proof : proof_new(k);
	body_write(k, &body);
	buf_printf(&text, "POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1:7480\r\nContent-Length: %zu\r\n"
			  "Content-Type: application/x-www-form-urlencoded\r\nDPoP: %.*s\r\n\r\n",
		body.n, STR_ARG(k->proof->text));
	buf_add(&text, buf_str(&body));
	assert_int_equal(arena_dup(k->w->a, buf_str(&text), &k->request), OK);
}

/* --- answers ---------------------------------------------------------------------------------------------- */

static void token_check(ask_t *k, arena_t *a, str_t jti)
{
	world_t *w = k->w;
	entries_t tokens = ground_entries(w->g, a, "token", w->mark);
	spent_t s = { .k = k };
	bool recorded = false;

	for (size_t i = 0; i < tokens.n; i++) {
		recorded = recorded || str_contains(tokens.v[i].leaf, jti);
	}
	assert_int_equal(store_write(w->g->t->store, spent_run, &s), OK);
	if (!recorded) {
		violated(w, "a token without its record");
	}
	if (!s.assertion || !s.proof) {
		violated(w, "a token whose assertion or proof is not spent");
	}
	if (++k->assertion->tokens > 1 || ++k->proof->tokens > 1) {
		violated(w, "one assertion or proof, two tokens");
	}
	if (k->want >= HOPELESS) {
		violated(w, "a token for what nobody granted");
	}
	if (k->after_revoke && k->doomed) {
		violated(w, "a token asked for after the revoke was acknowledged");
	}
}

/* The client goes on with the token that it got. */
static void follow(const ask_t *k, want_t want)
{
	if (k->w->n_asks < ASKS_MAX) {
		ask_t *next = world_ask(k->w, want, NULL);
		next->parent = k->token;
		next->doomed = k->doomed;
	}
}

static void told_token(ask_t *k, arena_t *a, const json_t *root)
{
	str_t text;

	k->w->tokens++;
	k->w->tokens_of[k->want]++;
	assert_int_equal(json_need_str(root, STR("access_token"), 16 << 10, &text), OK);
	k->token = arena_str(k->w->a, text);
	token_check(k, a, jti_of(a, text));
	if (k->follows) {
		follow(k, WANT_CAPABILITY);
		follow(k, sim_draw(k->w->sim, 4) ? WANT_CAPABILITY : WANT_OTHERS_KEY);
	} else if (k->want == WANT_CAPABILITY && sim_draw(k->w->sim, 4) == 0) {
		follow(k, WANT_RECYCLED);
	}
}

static bool is_denial(err_t e)
{
	err_class_t c = err_info(e)->cls;

	return c == CLASS_DENIED || c == CLASS_UNAUTHENTICATED || c == CLASS_MALFORMED;
}

static void told_error(ask_t *k, arena_t *a, const json_t *root)
{
	world_t *w = k->w;
	const char *name;
	str_t code;

	assert_int_equal(json_str(json_pointer(root, STR("/attorn/code")), &code), OK);
	assert_int_equal(arena_cstr(a, code, &name), OK);
	k->code = arena_str(w->a, code);
	if (k->want >= STRANGER) {
		w->errors_strange++;
		return;
	}
	w->errors_known++;
	if (!is_denial(err_by_name(name))) {
		return;
	}
	w->denials++;
	if (w->all_recorded && ground_entries(w->g, a, "decision", w->mark).n < w->denials) {
		violated(w, "a denial told before it was recorded");
	}
}

static void answered(int status, net_headers_t headers, str_t body, void *owner)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(32 << 20);
	ask_t *k = owner;
	const json_t *root;

	(void)headers;
	if (k->w->crashed) {
		return; /* the test takes its memory back; no client hears of it */
	}
	k->answers++;
	k->status = status;
	k->x = NULL;
	assert_int_equal(json_parse_object(a, body, &root, NULL), OK);
	if (status == 200) {
		told_token(k, a, root);
	} else {
		told_error(k, a, root);
	}
}

/* --- clients ------------------------------------------------------------------------------------------------ */

static void ask_lose(void *arg)
{
	ask_t *k = arg;

	if (k->x) {
		net_detached_lose(k->x);
	}
}

static void ask_start(void *arg)
{
	ask_t *k = arg;
	world_t *w = k->w;

	if (!k->request.n) {
		request_write(k);
	}
	k->started = true;
	k->after_revoke = k->after_revoke || w->revoked;
	assert_int_equal(net_detached_new(sim_loop(w->sim), k->request, answered, k, &k->x), OK);
	if (k->loses) {
		loop_timer_start(sim_loop(w->sim), &k->lose, 1 + sim_draw(w->sim, 40), ask_lose, k);
	}
	broker_handle(w->broker, k->x);
}

static ask_t *ask_new(world_t *w, want_t want)
{
	ask_t *k = &w->asks[w->n_asks++];

	assert_true(w->n_asks <= ASKS_MAX);
	*k = (ask_t){ .w = w, .want = want, .agent_auto = want == WANT_AUTO,
		.doomed = want == WANT_DOOMED };
	return k;
}

ask_t *world_ask(world_t *w, want_t want, const ask_t *papers_of)
{
	ask_t *k = ask_new(w, want);

	if (papers_of) {
		k->assertion = papers_of->assertion;
		k->proof = papers_of->proof;
	}
	loop_timer_start(sim_loop(w->sim), &k->start, 0, ask_start, k);
	return k;
}

ask_t *world_resend(world_t *w, const ask_t *before)
{
	ask_t *k = ask_new(w, before->want);

	k->request = before->request;
	k->assertion = before->assertion;
	k->proof = before->proof;
	k->agent_auto = before->agent_auto;
	k->doomed = before->doomed;
	k->parent = before->parent;
	loop_timer_start(sim_loop(w->sim), &k->start, 0, ask_start, k);
	return k;
}

/* A second use: of both papers, of the assertion alone, of the proof alone. */
static void ask_again(world_t *w, ask_t *first)
{
	ask_t *k = ask_new(w, first->want);
	uint64_t how = sim_draw(w->sim, 3);

	first->assertion = assertion_new(first);
	first->proof = proof_new(first);
	k->assertion = how == 2 ? NULL : first->assertion;
	k->proof = how == 1 ? NULL : first->proof;
	loop_timer_start(sim_loop(w->sim), &k->start, sim_draw(w->sim, START_WITHIN_MS), ask_start, k);
}

static want_t want_draw(sim_t *s)
{
	static const want_t often[] = { WANT_GRANT, WANT_GRANT, WANT_GRANT, WANT_DOOMED, WANT_DOOMED, WANT_AUTO };
	static const want_t seldom[] = { WANT_SCOPE, WANT_TARGET, WANT_NO_GRANT, WANT_OTHERS_GRANT, WANT_WRONG_KEY,
		WANT_NO_NONCE };
	uint64_t n = sim_draw(s, 10);

	return n < ARRAY_LEN(often) ? often[n] : seldom[sim_draw(s, ARRAY_LEN(seldom))];
}

static void asks_draw(world_t *w)
{
	for (size_t i = 0; i < FIRST_ASKS; i++) {
		ask_t *k = ask_new(w, want_draw(w->sim));
		k->loses = sim_draw(w->sim, 10) == 0;
		k->follows = k->want == WANT_GRANT || k->want == WANT_DOOMED;
		loop_timer_start(sim_loop(w->sim), &k->start, sim_draw(w->sim, START_WITHIN_MS), ask_start, k);
		if (k->want < HOPELESS && sim_draw(w->sim, 3) == 0) {
			ask_again(w, k);
		}
	}
}

/* --- the operator --------------------------------------------------------------------------------------------- */

static err_t revoke_run(store_txn_t *txn, void *self)
{
	world_t *w = self;

	return ground_revoke(w->g, txn, w->doomed, (int64_t)loop_unix_us(sim_loop(w->sim)));
}

static void revoke_done(lane_job_t *job, err_t e)
{
	world_t *w = (world_t *)((char *)job - offsetof(world_t, revoke_job));

	assert_int_equal(e, OK);
	w->revoked = true;
	w->pending--;
}

static void revoke_now(void *arg)
{
	world_t *w = arg;

	w->revoke_closure = (store_closure_t){ .run = revoke_run, .self = w, .essential = true };
	w->revoke_job = (lane_job_t){ .arg = &w->revoke_closure, .done = revoke_done };
	if (lane_submit(w->write, &w->revoke_job) != OK) {
		loop_timer_start(sim_loop(w->sim), &w->revoke_at, 5, revoke_now, w); /* busy: again */
	}
}

static err_t narrow_run(store_txn_t *txn, void *self)
{
	world_t *w = self;

	return ground_narrow(w->g, txn, (int64_t)loop_unix_us(sim_loop(w->sim)));
}

static void refresh(world_t *w);

static void refresh_done(op_t *op, err_t e)
{
	world_t *w = op->owner;

	w->pending--;
	if (e != OK) {
		refresh(w);
	}
}

static void refresh(world_t *w)
{
	w->pending++;
	op_start(feed_refresh(w->a, w->feed), sim_loop(w->sim), loop_in_ms(sim_loop(w->sim), 10000), refresh_done, w);
}

static void narrow_done(lane_job_t *job, err_t e)
{
	world_t *w = (world_t *)((char *)job - offsetof(world_t, narrow_job));

	assert_int_equal(e, OK);
	w->pending--;
	refresh(w);
}

static void narrow(void *arg)
{
	world_t *w = arg;

	w->narrow_closure = (store_closure_t){ .run = narrow_run, .self = w };
	w->narrow_job = (lane_job_t){ .arg = &w->narrow_closure, .done = narrow_done };
	if (lane_submit(w->write, &w->narrow_job) != OK) {
		loop_timer_start(sim_loop(w->sim), &w->narrow_at, 5, narrow, w);
	}
}

static err_t change_run(store_txn_t *txn, void *self)
{
	store_change_t change = { .kind = STR("test"), .id = STR("x"), .body = STR(""), .snapshot = true };
	int64_t seq;

	(void)self;
	return store_change_add(txn, &change, &seq);
}

static void change(void *arg);

static void change_done(lane_job_t *job, err_t e)
{
	world_t *w = (world_t *)((char *)job - offsetof(world_t, change_job));

	assert_int_equal(e, OK);
	if (--w->changes) {
		loop_timer_start(sim_loop(w->sim), &w->change_at, w->change_every_ms, change, w);
	} else {
		w->pending--;
	}
}

static void change(void *arg)
{
	world_t *w = arg;

	w->change_closure = (store_closure_t){ .run = change_run, .self = w };
	w->change_job = (lane_job_t){ .arg = &w->change_closure, .done = change_done };
	assert_int_equal(lane_submit(w->write, &w->change_job), OK);
}

void world_change(world_t *w, uint64_t ms, unsigned times, uint64_t every_ms)
{
	w->pending++;
	w->changes = times;
	w->change_every_ms = every_ms;
	loop_timer_start(sim_loop(w->sim), &w->change_at, ms, change, w);
}

uint64_t world_view_version(world_t *w)
{
	const feed_view_t *view = feed_pin(w->feed);
	uint64_t version = view->version;

	feed_view_unref(view);
	return version;
}

/* --- life ---------------------------------------------------------------------------------------------------- */

static void appended(void *owner)
{
	(void)owner; /* the sequencer runs at the end: its place in time is its own test's */
}

static void services_open(world_t *w, const world_plan_t *plan)
{
	authority_t *t = w->g->t;
	loop_t *loop = sim_loop(w->sim);
	size_t max = plan->lane_max ? plan->lane_max : 1024;
	diag_t diag = { 0 };

	w->write = lane_new(loop, &(lane_spec_t){ "store-write", 1, max, store_lane_batch, t->store, 64 });
	w->read = lane_new(loop, &(lane_spec_t){ .name = "store-read", .threads = 2, .queue_max = max });
	w->cpu = lane_new(loop, &(lane_spec_t){ .name = "cpu", .threads = 1, .queue_max = max });
	t->feed_deps.loop = loop;
	t->feed_deps.lane = w->cpu;
	if (feed_new(&t->feed_deps, &w->feed, &diag) != OK) {
		fail_msg("feed: %s", diag.text);
	}
	admit_deps_t admit = { loop, w->write, t->store, t->vault, t->ledger, w->feed,
		plan->denials_per_minute ? plan->denials_per_minute : 60, appended, w };
	assert_int_equal(admit_new(&admit, &w->admit), OK);
	broker_deps_t broker = { .loop = loop, .write = w->write, .read = w->read, .store = t->store,
		.vault = t->vault, .signer = t->signing.client, .token_kid = str_of(t->keys.token_kid), .ledger = t->ledger,
		.feed = w->feed, .admit = w->admit, .issuer = STR(ISSUER),
		.trust_domain = STR(TD), .delegated_ttl_s = 600, .capability_ttl_s = 60, .appended = appended,
		.owner = w };
	assert_int_equal(broker_new(&broker, &w->broker), OK);
}

world_t *world_open(ground_t *g, const world_plan_t *plan)
{
	world_t *w = heap_new(world_t);

	w->g = g;
	w->a = arena_new_capped(64 << 20);
	w->sim = sim_new(&plan->sim);
	int64_t now_s = (int64_t)loop_unix_s(sim_loop(w->sim));
	ground_prepare(g, now_s);
	w->doomed = ground_grant(g, STR(AGENT_ID), 1000000, now_s);
	w->mark = ground_mark(g);
	services_open(w, plan);
	w->all_recorded = !plan->denials_per_minute;
	if (!plan->quiet) {
		w->pending = 1;
		loop_timer_start(sim_loop(w->sim), &w->revoke_at, sim_draw(w->sim, START_WITHIN_MS), revoke_now, w);
	}
	if (!plan->quiet && sim_draw(w->sim, 2)) {
		w->pending++;
		loop_timer_start(sim_loop(w->sim), &w->narrow_at, sim_draw(w->sim, START_WITHIN_MS), narrow, w);
	}
	if (!plan->empty) {
		asks_draw(w);
	}
	return w;
}

static bool all_done(const world_t *w)
{
	if (w->pending) {
		return false;
	}
	for (size_t i = 0; i < w->n_asks; i++) {
		if (!w->asks[i].answers) {
			return false;
		}
	}
	return true;
}

bool world_run(world_t *w)
{
	for (int i = 0; i < 600 && !all_done(w); i++) { /* a minute: each flow has ten seconds and a last word */
		if (!sim_run_ms(w->sim, 100)) {
			w->crashed = true;
			return false;
		}
	}
	for (size_t i = 0; i < w->n_asks; i++) {
		assert_int_equal(w->asks[i].answers, 1);
	}
	assert_int_equal(flow_count(sim_loop(w->sim)), 0);
	return true;
}

void world_count(world_t *w)
{
	assert_true(sim_run_ms(w->sim, 62000));
}

/* After a crash nobody finishes: what flows held is taken back by hand. */
static void crash_clean(world_t *w)
{
	const feed_view_t *view = feed_pin(w->feed);

	for (size_t i = 0; i < w->n_asks; i++) {
		if (w->asks[i].x) {
			net_reply_abort(TAKE(w->asks[i].x));
			feed_view_unref(view); /* the flow's pin */
		}
	}
	feed_view_unref(view);
}

void world_stop(world_t *w)
{
	while (!w->crashed && w->admit->sweeping) { /* jobs of the rooms' own come back before the rooms go */
		assert_true(sim_run_ms(w->sim, 1));
	}
	lane_free(w->write);
	lane_free(w->read);
	lane_free(w->cpu);
	if (w->crashed) {
		crash_clean(w);
	}
	loop_timer_stop(sim_loop(w->sim), &w->revoke_at);
	loop_timer_stop(sim_loop(w->sim), &w->narrow_at);
	loop_timer_stop(sim_loop(w->sim), &w->change_at);
	for (size_t i = 0; i < w->n_asks; i++) {
		loop_timer_stop(sim_loop(w->sim), &w->asks[i].start);
		loop_timer_stop(sim_loop(w->sim), &w->asks[i].lose);
	}
	broker_free(w->broker);
	admit_free(w->admit);
	feed_free(w->feed);
	sim_free(TAKE(w->sim));
}

void world_free(world_t *w)
{
	if (w->sim) {
		world_stop(w);
	}
	arena_free(w->a);
	heap_free(w);
}
