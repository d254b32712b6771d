/* api.c: one call of the admin API, told in order. A flow and not a job (STYLE 4.3): a verb waits up to
 * four times (compile, commit, publish, record of a refusal), and a table says so best. */
#include <stdarg.h>
#include <stdio.h>

#include "app/api/api_int.h"

static err_t call_parse(flow_t *f); /* headers, path, query, body -> what is asked */
static err_t call_prepare(flow_t *f); /* waits: what takes the CPU, for callers whose signature verifies */
static err_t call_commit(flow_t *f); /* waits: signature, nonce, rules, change and record: one transaction */
static err_t call_again(flow_t *f); /* waits, if the rules changed meanwhile: the newest view */
static err_t call_repin(flow_t *f); /* then decided again on it */
static err_t call_read(flow_t *f); /* waits: reads on a read connection */
static err_t call_publish(flow_t *f); /* waits: what decisions read is rebuilt before the answer */
static err_t call_reply(flow_t *f);
static err_t call_refuse(flow_t *f); /* a known person's refusal goes on record first */

static const flow_step_t call_steps[] = {
	{ "parse", call_parse },
	{ "prepare", call_prepare },
	{ "commit", call_commit },
	{ "again", call_again },
	{ "repin", call_repin },
	{ "read", call_read },
	{ "publish", call_publish },
	{ "reply", call_reply },
	{ "refuse", call_refuse, .sees_failure = true },
};

static void call_finish(flow_t *f, err_t result);

static const flow_table_t call_table = FLOW_TABLE("api", call_steps, call_finish);

err_t api_say(api_call_t *c, err_t e, const char *fmt, ...)
{
	va_list args;

	c->diag = (diag_t){ 0 };
	va_start(args, fmt);
	(void)vsnprintf(c->diag.text, sizeof(c->diag.text), fmt, args);
	va_end(args);
	return e;
}

static bool is_read(const api_call_t *c)
{
	return (c->door->flags & API_READ) != 0;
}

/* What costs more than a step may (F2) is parsed on lane cpu, and for callers whose signature verifies. */
static bool is_heavy(const api_call_t *c)
{
	return c->door->body_max > API_BODY_BYTES_MAX || (c->door->flags & API_ENROLS);
}

static err_t body_take(api_call_t *c)
{
	TRY(api_body_parse(c));
	return c->door->parse ? c->door->parse(c) : OK;
}

/* On TCP every request is signed: there is no session. On the admin socket what widens is. */
static bool must_be_signed(const api_call_t *c)
{
	if (c->door->flags & (API_PUBLIC | API_SELF_SIGNED)) {
		return false;
	}
	return !c->trusted || c->widens;
}

static err_t call_parse(flow_t *f)
{
	api_call_t *c = f->state;

	c->widens = (c->door->flags & API_WIDENS) != 0;
	TRY(api_signature_read(c));
	ENSURE(c->verb.present || !must_be_signed(c), ERR_LOGIN);
	if (!is_heavy(c)) {
		TRY(body_take(c));
	}
	ENSURE(c->verb.present || !must_be_signed(c), ERR_LOGIN);
	return OK;
}

/* Looks at the signature before any work is done for it; the transaction looks again. */
static err_t preview_closure(store_txn_t *txn, void *self)
{
	api_call_t *c = self;

	return api_signer_check(c, txn);
}

static err_t prepare_run(void *self)
{
	api_call_t *c = self;

	TRY(store_read(c->p->deps.store, preview_closure, c));
	if (is_heavy(c)) {
		TRY(body_take(c));
	}
	return c->door->prepare ? c->door->prepare(c) : OK;
}

static err_t call_prepare(flow_t *f)
{
	api_call_t *c = f->state;

	if (!is_heavy(c) && !c->door->prepare) {
		return OK;
	}
	return flow_wait(f, lane_op(c->a, c->p->deps.cpu, prepare_run, c));
}

/* A closure may run twice: all that it makes starts anew. */
static void call_clear(api_call_t *c)
{
	c->who = (api_who_t){ 0 };
	c->decision = (policy_decision_t){ 0 };
	c->asked = c->allowed = c->full = c->fenced = c->changed = c->appended = false;
	c->ended = NULL;
	c->n_ended = 0;
	buf_clear(&c->record);
	buf_clear(&c->out);
	jw_init(&c->w, &c->out);
}

static err_t answer_run(api_call_t *c, store_txn_t *txn)
{
	jw_object(&c->w);
	TRY(c->door->run(c, txn));
	if (c->appended) {
		jw_kstr(&c->w, "rid", c->rid);
		jw_kstr(&c->w, "record", delegation_digest_text(c->a, c->receipt.leaf_hash.b));
	}
	jw_end(&c->w);
	TRY(jw_finish(&c->w));
	ENSURE(c->out.n <= API_ANSWER_BYTES_MAX - API_TIMED_BYTES, ERR_LIMIT); /* room for what follows the commit */
	return OK;
}

static err_t commit_closure(store_txn_t *txn, void *self)
{
	api_call_t *c = self;

	call_clear(c);
	err_t e = api_rules_current(c, txn);
	if (e == ERR_FENCE) {
		c->fenced = true; /* nothing was written: it is decided again */
		return OK;
	}
	TRY(e);
	TRY(api_signer_check(c, txn));
	TRY(api_nonce_spend(c, txn));
	if (is_read(c)) {
		return api_read_may(c, txn);
	}
	TRY(answer_run(c, txn));
	ENSURE(c->allowed, ERR_INTERNAL); /* a handler forgot to ask */
	return c->changed ? api_snapshot_check(c, txn) : OK;
}

static err_t call_commit(flow_t *f)
{
	api_call_t *c = f->state;
	bool essential = (c->door->flags & API_ESSENTIAL) != 0;

	if (is_read(c) && !c->verb.present) {
		c->full = c->trusted;
		return OK; /* the socket's file mode, or a public document */
	}
	return flow_wait(f, store_write_op(c->a, c->p->deps.write, commit_closure, c, essential));
}

static err_t call_again(flow_t *f)
{
	api_call_t *c = f->state;

	if (!c->fenced) {
		return OK;
	}
	ENSURE(c->fences++ < API_FENCES_MAX, ERR_FENCE);
	return flow_wait(f, feed_refresh(c->a, c->p->deps.feed));
}

static err_t call_repin(flow_t *f)
{
	api_call_t *c = f->state;

	if (!c->fenced) {
		c->committed = c->appended;
		return OK;
	}
	feed_view_unref(c->view);
	c->view = feed_pin(c->p->deps.feed);
	return flow_skip_to(f, "commit");
}

static err_t read_closure(store_txn_t *txn, void *self)
{
	api_call_t *c = self;

	buf_clear(&c->out);
	jw_init(&c->w, &c->out);
	return answer_run(c, txn);
}

static err_t call_read(flow_t *f)
{
	api_call_t *c = f->state;

	if (!is_read(c)) {
		return OK;
	}
	if (c->door->stream) {
		return flow_wait(f, c->door->stream(c));
	}
	return flow_wait(f, store_read_op(c->a, c->p->deps.read, c->p->deps.store, read_closure, c));
}

static err_t call_publish(flow_t *f)
{
	api_call_t *c = f->state;

	if (c->appended && c->p->deps.appended) {
		c->p->deps.appended(c->p->deps.owner);
	}
	if (c->n_ended) {
		feed_revoked(c->p->deps.feed, c->ended, c->n_ended);
	}
	return c->changed ? flow_wait(f, feed_refresh(c->a, c->p->deps.feed)) : OK;
}

/* The last member, which nobody knew while the answer was written: the commit came after. */
static void time_add(api_call_t *c)
{
	double ms = (double)(loop_mono_us(c->p->deps.loop) - c->began_us) / 1000.0;

	CHECK(c->out.n > 1 && c->out.p[c->out.n - 1] == '}');
	c->out.n--;
	buf_printf(&c->out, ",\"ms\":%.3f}", ms);
}

static err_t call_reply(flow_t *f)
{
	api_call_t *c = f->state;

	flow_note(f, kv_s("verb", c->door->verb));
	flow_note(f, kv_s("by", c->who.id));
	if (c->answered) {
		return flow_done(f); /* a stream has */
	}
	c->answered = true;
	if (c->door->flags & API_TIMED) {
		time_add(c);
	}
	buf_byte(&c->out, '\n');
	net_reply_text(c->x, c->status, STR("application/json"), buf_str(&c->out));
	return flow_done(f);
}

/* --- refusals --------------------------------------------------------------------------------------------- */

/* What a known person was refused is recorded one by one, within a budget; strangers are counted. */
static bool is_recorded(api_call_t *c, err_t why)
{
	admit_t *admit = c->p->deps.admit;
	err_class_t class = err_info(why)->cls;

	if (class == CLASS_UNAUTHENTICATED || (class == CLASS_DENIED && !c->who.known)) {
		admit_count(admit, STR("api"), why, 1);
		return false;
	}
	if (class != CLASS_DENIED || c->committed) {
		return false;
	}
	if (!admit_budget_take(admit, c->who.id, (uint64_t)c->now_s)) {
		admit_count(admit, STR("denials"), why, 1);
		return false;
	}
	return true;
}

static err_t call_refuse(flow_t *f)
{
	api_call_t *c = f->state;
	err_t why = flow_result(f);

	flow_note(f, kv_s("verb", c->door->verb));
	flow_note(f, kv_s("by", c->who.id));
	if (why == OK || c->answered || !is_recorded(c, why)) {
		return flow_done(f);
	}
	c->refused = why;
	c->appended = false; /* what a failed transaction appended was undone with it */
	return flow_wait(f, store_write_op(c->a, c->p->deps.write, api_refusal_closure, c, true));
}

static str_t detail_of(api_call_t *c, err_t e)
{
	if (c->committed) {
		return arena_cat(c->a, STR("it is done and on record as "), c->rid,
			STR(", but gateways may not know yet"));
	}
	if ((e == ERR_VERB || e == ERR_DENIED) && c->asked) {
		return c->decision.deny_code.n ? c->decision.deny_code
		       : c->decision.n_rules   ? c->decision.rules[0]
					       : STR("no rule permits it");
	}
	if (c->diag.line && err_info(e)->cls == CLASS_MALFORMED && e != ERR_POLICY_TEXT) {
		return arena_printf(c->a, "line %u, column %u: %s", c->diag.line, c->diag.column, c->diag.text);
	}
	return str_of(c->diag.text);
}

static void error_write(api_call_t *c, jw_t *w, err_t e)
{
	const err_info_t *info = err_info(e);
	bool ruled = (e == ERR_VERB || e == ERR_DENIED) && c->decision.fix.n;

	jw_object(w);
	jw_kstr(w, "error", str_of(info->name));
	jw_kstr(w, "message", str_of(info->text));
	jw_kstr(w, "fix", ruled ? c->decision.fix : str_of(info->fix));
	jw_kstr(w, "detail", detail_of(c, e));
	if (e == ERR_POLICY_TEXT) {
		jw_kstr(w, "report", c->report);
		jw_ku64(w, "line", c->diag.line);
		jw_ku64(w, "column", c->diag.column);
	}
	jw_end(w);
}

static void error_reply(api_call_t *c, err_t e)
{
	int status = err_info(e)->http;
	jw_t w;

	buf_clear(&c->out);
	jw_init(&w, &c->out);
	error_write(c, &w, e);
	if (jw_finish(&w) != OK) {
		net_reply_error(c->x, e); /* a detail that is not text */
		return;
	}
	buf_byte(&c->out, '\n');
	net_reply_text(c->x, status == 499 ? 503 : status, STR("application/json"), buf_str(&c->out));
}

static void call_free(api_call_t *c)
{
	buf_wipe(&c->record);
	buf_wipe(&c->out);
	feed_view_unref(c->view);
}

/* A refusal that could not be recorded is answered as that. */
static void call_finish(flow_t *f, err_t result)
{
	api_call_t *c = f->state;

	if (c->refused != OK && c->appended && c->p->deps.appended) {
		c->p->deps.appended(c->p->deps.owner);
	}
	if (!c->answered && c->refused != OK && !c->appended) {
		error_reply(c, ERR_LEDGER);
	} else if (!c->answered) {
		error_reply(c, result == OK ? ERR_INTERNAL : result);
	}
	call_free(c);
}

/* --- the door ------------------------------------------------------------------------------------------------ */

/* Matches a path against a pattern; {} takes one segment, which is never empty. */
static bool path_match(str_t pattern, str_t path, str_t args[API_PATH_ARGS_MAX])
{
	str_t want, have;
	size_t n = 0;

	while (str_split(&pattern, '/', &want)) {
		if (!str_split(&path, '/', &have)) {
			return false;
		}
		if (str_eq(want, STR("{}")) && have.n) {
			CHECK(n < API_PATH_ARGS_MAX);
			args[n++] = have;
		} else if (!str_eq(want, have)) {
			return false;
		}
	}
	return path.p == NULL;
}

static err_t door_find(str_t method, str_t path, const api_door_t **out, str_t args[API_PATH_ARGS_MAX])
{
	const api_door_t *doors;
	size_t n = api_doors(&doors);
	err_t e = ERR_NOT_FOUND;

	ENSURE(path.n <= API_PATH_BYTES_MAX, ERR_NOT_FOUND);
	for (size_t i = 0; i < n; i++) {
		if (!path_match(doors[i].path, path, args)) {
			continue;
		}
		if (str_eq(doors[i].method, method)) {
			*out = &doors[i];
			return OK;
		}
		e = ERR_METHOD;
	}
	return e;
}

static api_call_t *call_new(api_t *p, net_exchange_t *x, const api_door_t *door, bool trusted)
{
	arena_t *a = arena_new_capped(API_ARENA_BYTES_MAX);
	api_call_t *c = arena_new(a, api_call_t);

	c->p = p;
	c->x = x;
	c->a = a;
	c->door = door;
	c->trusted = trusted;
	c->status = 200;
	c->view = feed_pin(p->deps.feed);
	c->began_us = loop_mono_us(p->deps.loop);
	c->now_us = (int64_t)loop_unix_us(p->deps.loop);
	c->now_s = c->now_us / 1000000;
	c->rid = ledger_rid(a, c->now_us);
	c->gateways = feed_subscribers(p->deps.feed);
	buf_init(&c->record, API_RECORD_BYTES_MAX);
	buf_init(&c->out, API_ANSWER_BYTES_MAX);
	return c;
}

void api_handle(api_t *p, net_exchange_t *x, bool trusted_socket)
{
	static const str_t root = STR_INIT("/api/v1");
	str_t args[API_PATH_ARGS_MAX] = { STR_NULL };
	const api_door_t *door = NULL;
	flow_id_t id;
	err_t e = str_starts(net_path(x), root)
			  ? door_find(net_method(x), str_sub(net_path(x), root.n, SIZE_MAX), &door, args)
			  : ERR_NOT_FOUND;

	if (e != OK) {
		net_reply_error(x, e);
		return;
	}
	api_call_t *c = call_new(p, x, door, trusted_socket);
	memcpy(c->arg, args, sizeof(args));
	uint64_t ms = door->stream ? API_EXPORT_DEADLINE_MS : API_DEADLINE_MS;
	e = flow_start(p->deps.loop, &call_table, c->a, c, loop_in_ms(p->deps.loop, ms), &id);
	if (e != OK) {
		net_reply_error(x, e);
		call_free(c);
		arena_free(c->a);
	}
}

err_t api_new(const api_deps_t *deps, api_t **out)
{
	api_t *p = heap_new(api_t);

	p->deps = *deps;
	p->started_us = loop_mono_us(deps->loop);
	*out = p;
	return OK;
}

void api_free(api_t *p)
{
	heap_free(p);
}
