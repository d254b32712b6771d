/* issue.c: SVIDs for what a node attested, many at once (docs/identity.md 4). The authority matches again,
 * expands templates itself and never takes an ID from the node; the record that numbers the signature is
 * durable before the signer is asked. */
#include "service/identity/identity_int.h"

/* One thing asked for. Each succeeds or fails alone, but for what the whole request rests on. */
typedef struct {
	str_t key; /* as sent */
	const view_entry_t *entry;
	const json_t *facts_json;
	facts_t facts;
	str_t csr; /* x509 */
	const str_t *aud; /* jwt */
	size_t n_aud;
	err_t err;
	/* made */
	spiffe_id_t id;
	crypto_pub_t pub;
	uint8_t serial[X509_NEW_SERIAL_BYTES];
	str_t jti;
	str_t input; /* what is signed */
	int64_t exp_s, sign_n;
	uint8_t signature[SIGNER_SIGNATURE_BYTES];
	op_t *signing;
	str_t result; /* certificate or token */
} item_t;

typedef struct {
	identity_t *p;
	net_exchange_t *x;
	arena_t *a;
	const identity_view_t *view;
	str_t node;
	bool jwt, answered;
	int64_t now_us, now_s;
	item_t *items;
	size_t n;
	const view_signer_t *signer;
} issue_t;

static err_t issue_parse(flow_t *f);
static err_t issue_check(flow_t *f); /* waits: requests verified, IDs decided, bytes to be signed */
static err_t issue_record(flow_t *f); /* waits: entries, node and runs as they stand; numbers drawn; durable */
static err_t issue_sign(flow_t *f); /* waits: the signer */
static err_t issue_reply(flow_t *f);

static const flow_step_t issue_steps[] = {
	{ "parse", issue_parse },
	{ "check", issue_check },
	{ "record", issue_record },
	{ "sign", issue_sign },
	{ "reply", issue_reply },
};

static void issue_finish(flow_t *f, err_t result);
static const flow_table_t issue_table = FLOW_TABLE("issue", issue_steps, issue_finish);

/* --- parse ------------------------------------------------------------------------------------------------- */

err_t facts_read(arena_t *a, const json_t *obj, str_t node, facts_t *out)
{
	const json_t *list, *run;

	TRY(JSON_ONLY(obj, NULL, STR("selectors"), STR("run")));
	TRY(json_need_arr(obj, STR("selectors"), SPIFFE_FACTS_MAX, &list));
	TRY(spiffe_selectors_read(a, list, SPIFFE_FACTS_MAX, &out->facts.selectors));
	size_t slash = str_find_last(node, '/');
	out->facts.node = str_sub(node, slash + 1, node.n);
	out->facts.run_id = STR_NULL;
	run = json_get(obj, STR("run"));
	if (!run || json_is_null(run)) {
		return OK;
	}
	TRY(JSON_ONLY(run, NULL, STR("id"), STR("runner")));
	TRY(json_need_str(run, STR("id"), IDENTITY_RUN_ID_BYTES, &out->facts.run_id));
	TRY(json_need_arr(run, STR("runner"), SPIFFE_FACTS_MAX, &list));
	return spiffe_selectors_read(a, list, SPIFFE_FACTS_MAX, &out->runner);
}

static err_t audiences_read(arena_t *a, const json_t *obj, item_t *it)
{
	const json_t *list;

	TRY(json_need_arr(obj, STR("aud"), SPIFFE_AUDIENCES_MAX, &list));
	ENSURE(json_count(list) > 0, ERR_VALUE);
	str_t *aud = arena_array(a, str_t, json_count(list));
	for (const json_t *c = json_first(list); c; c = json_next(c)) {
		TRY(json_str(c, &aud[it->n_aud]));
		ENSURE(aud[it->n_aud].n > 0 && aud[it->n_aud].n <= SPIFFE_AUDIENCE_BYTES_MAX, ERR_VALUE);
		it->n_aud++;
	}
	it->aud = aud;
	return OK;
}

static err_t item_read(arena_t *a, const issue_t *s, const json_t *obj, item_t *it)
{
	const json_t *facts;
	str_t csr;

	TRY(JSON_ONLY(obj, NULL, STR("key"), STR("facts"), s->jwt ? STR("aud") : STR("csr")));
	TRY(json_need_str(obj, STR("key"), SPIFFE_ID_BYTES_MAX + SPIFFE_ENTRY_ID_BYTES_MAX + 1, &it->key));
	TRY(json_need_obj(obj, STR("facts"), &facts));
	TRY(facts_read(a, facts, s->node, &it->facts));
	if (s->jwt) {
		return audiences_read(a, obj, it);
	}
	TRY(json_need_str(obj, STR("csr"), IDENTITY_CSR_BYTES_MAX * 2, &csr));
	return b64_dec(a, csr, IDENTITY_CSR_BYTES_MAX, &it->csr);
}

static err_t issue_parse(flow_t *f)
{
	issue_t *s = f->state;
	const json_opts_t opts = { .bytes_max = IDENTITY_BODY_BYTES_MAX, .object_only = true, .nodes_max = 64 * 1024 };
	const json_t *root, *items;

	ENSURE(str_eq(net_method(s->x), STR("POST")), ERR_METHOD);
	TRY(json_parse(f->arena, net_body(s->x), &opts, &root, NULL));
	TRY(JSON_ONLY(root, NULL, STR("items")));
	TRY(json_need_arr(root, STR("items"), IDENTITY_ITEMS_MAX, &items));
	ENSURE(json_count(items) > 0, ERR_VALUE);
	s->items = arena_array(f->arena, item_t, json_count(items));
	for (const json_t *c = json_first(items); c; c = json_next(c)) {
		item_t *it = &s->items[s->n++];
		it->entry = NULL;
		TRY(item_read(f->arena, s, c, it));
		it->entry = view_entry_find(s->view, it->key);
		it->err = it->entry ? OK : ERR_ENTRY_MATCH;
		loop_random(f->loop, it->serial, sizeof(it->serial));
	}
	s->signer = s->jwt ? &s->view->jwt : &s->view->x509;
	ENSURE(s->signer->kid.n && s->signer->not_after_s > s->now_s, ERR_UNAVAILABLE); /* the first key is being made */
	return OK;
}

/* --- check --------------------------------------------------------------------------------------------------- */

static err_t tbs_make(issue_t *s, item_t *it)
{
	const spiffe_entry_t *e = &it->entry->entry;
	spiffe_leaf_t leaf = { .id = &it->id, .pub = &it->pub, .dns_names = e->dns_names,
		.n_dns_names = e->n_dns_names, .ttl_s = e->x509_ttl_s, .now_unix_s = s->now_s };

	TRY(x509_csr_verify(it->csr, &it->pub));
	memcpy(leaf.serial, it->serial, sizeof(leaf.serial));
	return spiffe_leaf_tbs(s->a, &leaf, &s->signer->issuer, &it->input, &it->exp_s);
}

static err_t jwt_make(issue_t *s, item_t *it)
{
	const spiffe_entry_t *e = &it->entry->entry;
	spiffe_jwt_t jwt = { .id = &it->id, .aud = it->aud, .n_aud = it->n_aud, .now_unix_s = s->now_s,
		.ttl_s = e->jwt_ttl_s, .not_after_unix_s = s->signer->not_after_s, .iss = s->p->deps.jwt_issuer,
		.jti = STR_NULL, .kid = s->signer->kid, .alg = s->signer->alg };

	if (e->jwt_jti) {
		it->jti = b64url_enc(s->a, str_bytes(it->serial, sizeof(it->serial)));
		jwt.jti = it->jti;
	}
	return spiffe_jwt_input(s->a, &jwt, &it->input, &it->exp_s);
}

static err_t item_check(issue_t *s, item_t *it)
{
	TRY(spiffe_entry_apply(s->a, &it->entry->entry, it->entry->agent, s->node, &it->facts.facts, &it->facts.runner,
		s->now_s, &it->id));
	return s->jwt ? jwt_make(s, it) : tbs_make(s, it);
}

static err_t check_run(void *self)
{
	issue_t *s = self;

	for (size_t i = 0; i < s->n; i++) {
		item_t *it = &s->items[i];
		it->err = it->err == OK ? item_check(s, it) : it->err;
	}
	return OK;
}

static err_t issue_check(flow_t *f)
{
	issue_t *s = f->state;

	return flow_wait(f, lane_op(f->arena, s->p->deps.cpu, check_run, s));
}

/* --- record ---------------------------------------------------------------------------------------------------- */

/* The members of one SVID's record. */
static void svid_write(jw_t *w, issue_t *s, const item_t *it)
{
	jw_object(w);
	jw_kstr(w, "agent", it->entry->agent);
	jw_ki64(w, "exp", it->exp_s);
	jw_ki64(w, "iat", s->now_s);
	if (!s->jwt) {
		jw_kstr(w, "jkt", jose_jkt(s->a, &it->pub));
		jw_kstr(w, "serial", hex_enc(s->a, str_bytes(it->serial, sizeof(it->serial))));
	}
	jw_kstr_if(w, "jti", it->jti);
	jw_kstr(w, "kind", s->jwt ? STR("jwt") : STR("x509"));
	if (it->facts.facts.run_id.p) {
		jw_kobject(w, "run");
		jw_kstr(w, "id", it->facts.facts.run_id);
		jw_end(w);
	}
	ledger_sign_write(w, s->a, s->signer->kid, it->sign_n, it->input);
	jw_kstr(w, "sub", it->id.text);
	jw_kstr(w, "via", s->node);
}

/* A run's identity is its own, on the node that began it, while it lives. */
static err_t run_alive(store_txn_t *txn, issue_t *s, const item_t *it)
{
	store_run_t run;

	if (!it->facts.facts.run_id.p) {
		return OK;
	}
	err_t e = store_run_get(txn, s->a, it->facts.facts.run_id, &run);
	ENSURE(e != ERR_NOT_FOUND, ERR_ENTRY_MATCH);
	TRY(e);
	ENSURE(store_run_lives(&run, s->now_s), ERR_ENTRY_MATCH);
	ENSURE(str_eq(run.node, s->node) && str_eq(run.spiffe_id, it->id.text), ERR_ENTRY_MATCH);
	return OK;
}

/* The entry is the one that was matched, and its agent is active: in this transaction, not in a view. */
static err_t entry_stands(store_txn_t *txn, issue_t *s, const item_t *it)
{
	store_agent_t agent;
	store_agent_entry_t row;

	TRY(store_agent_get(txn, s->a, it->entry->agent, &agent));
	ENSURE(str_eq(agent.state, STR("active")), ERR_AGENT_STATE);
	err_t e = store_agent_entry_get(txn, s->a, it->entry->agent, it->entry->entry.id, &row);
	ENSURE(e != ERR_NOT_FOUND, ERR_ENTRY_MATCH);
	TRY(e);
	ENSURE(str_eq(row.doc, it->entry->doc), ERR_ENTRY_MATCH);
	return run_alive(txn, s, it);
}

static err_t item_record(store_txn_t *txn, issue_t *s, item_t *it)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_RECORD_BYTES_MAX);
	TRY(store_svid_key_next_n(txn, s->signer->kid, &it->sign_n));
	jw_init(&w, &b);
	svid_write(&w, s, it);
	return record_append(&s->p->deps, txn, s->a, LEDGER_SVID, s->now_us, &w);
}

static err_t record_closure(store_txn_t *txn, void *self)
{
	issue_t *s = self;
	store_node_t node;
	store_svid_key_t key;

	err_t e = store_node_get(txn, s->a, s->node, &node);
	ENSURE(e == OK && str_eq(node.state, STR("active")), ERR_AGENT_STATE);
	TRY(store_svid_key_get(txn, s->a, s->signer->kid, &key));
	ENSURE(str_eq(key.state, STR("active")), ERR_UNAVAILABLE); /* rotated meanwhile: ask again */
	for (size_t i = 0; i < s->n; i++) {
		item_t *it = &s->items[i];
		if (it->err != OK) {
			continue;
		}
		it->err = entry_stands(txn, s, it);
		if (it->err == OK) {
			TRY(item_record(txn, s, it)); /* numbers are gapless: all or none */
		}
	}
	return OK;
}

static err_t issue_record(flow_t *f)
{
	issue_t *s = f->state;
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		any = any || s->items[i].err == OK;
	}
	POINT("authority.svid.before_record");
	return any ? flow_wait(f, store_write_op(f->arena, s->p->deps.write, record_closure, s, false))
		   : flow_skip_to(f, "reply");
}

/* --- sign and answer -------------------------------------------------------------------------------------------- */

static err_t issue_sign(flow_t *f)
{
	issue_t *s = f->state;
	op_t *parts[IDENTITY_ITEMS_MAX];
	size_t n = 0;

	POINT("authority.svid.after_record");
	s->p->deps.appended(s->p->deps.owner);
	for (size_t i = 0; i < s->n; i++) {
		item_t *it = &s->items[i];
		if (it->err == OK) {
			it->signing = signer_sign_op(f->arena, s->p->deps.signer, s->signer->kid, (uint64_t)it->sign_n, it->input,
				it->signature);
			parts[n++] = it->signing;
		}
	}
	return n ? flow_wait(f, op_gather(f->arena, parts, n)) : OK;
}

static err_t item_seal(issue_t *s, item_t *it)
{
	str_t signature = str_bytes(it->signature, sizeof(it->signature));

	TRY(op_result(it->signing));
	return s->jwt ? jose_jws_seal(s->a, it->input, signature, &it->result)
		      : x509_seal(s->a, it->input, s->signer->alg, signature, &it->result);
}

static void item_write(jw_t *w, issue_t *s, const item_t *it)
{
	jw_object(w);
	if (it->err != OK) {
		jw_kstr(w, "error", str_of(err_info(it->err)->name));
		jw_end(w);
		return;
	}
	jw_ki64(w, "exp", it->exp_s);
	jw_kstr(w, "id", it->id.text);
	if (s->jwt) {
		jw_kstr(w, "token", it->result);
	} else {
		jw_karray(w, "chain");
		jw_str(w, b64_enc(s->a, it->result));
		jw_end(w);
	}
	jw_end(w);
}

static err_t issue_reply(flow_t *f)
{
	issue_t *s = f->state;
	AUTO(buf_wipe) buf_t b;
	jw_t w;

	buf_init(&b, IDENTITY_LINE_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_karray(&w, "items");
	for (size_t i = 0; i < s->n; i++) {
		item_t *it = &s->items[i];
		it->err = it->err == OK ? item_seal(s, it) : it->err;
		item_write(&w, s, it);
	}
	jw_end(&w);
	jw_end(&w);
	TRY(jw_finish(&w));
	s->answered = true;
	net_reply_text(s->x, 200, STR("application/json"), buf_str(&b));
	return flow_done(f);
}

static void issue_finish(flow_t *f, err_t result)
{
	issue_t *s = f->state;

	if (!s->answered) {
		net_reply_error(s->x, result == OK ? ERR_INTERNAL : result);
	}
	identity_unpin(s->view);
}

void issue_handle(identity_t *p, net_exchange_t *x, str_t node, bool jwt)
{
	arena_t *a = arena_open();
	issue_t *s = arena_new(a, issue_t);
	flow_id_t id;

	s->p = p;
	s->x = x;
	s->a = a;
	s->view = identity_pin(p);
	s->node = arena_str(a, node);
	s->jwt = jwt;
	s->now_us = (int64_t)loop_unix_us(p->deps.loop);
	s->now_s = s->now_us / 1000000;
	err_t e = flow_start(p->deps.loop, &issue_table, a, s, loop_in_ms(p->deps.loop, IDENTITY_DEADLINE_MS), &id);
	if (e != OK) {
		net_reply_error(x, e);
		identity_unpin(s->view);
		arena_free(a);
	}
}
