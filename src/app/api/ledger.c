/* ledger.c: the story of one call, the head, verification of the store. The export is in export.c. */
#include "app/api/api_int.h"

err_t api_explain_parse(api_call_t *c)
{
	return ulid_is(c->arg[0]) ? OK : api_say(c, ERR_NOT_FOUND, "a record's id has 26 characters");
}

/* Who may not see all sees the calls made on their own authority. */
static bool is_own(api_call_t *c, const json_t *story)
{
	for (const json_t *g = json_first(json_get(story, STR("grants"))); g; g = json_next(g)) {
		if (json_is_str(json_get(g, STR("user")), c->who.id)) {
			return true;
		}
	}
	return false;
}

err_t api_explain_run(api_call_t *c, store_txn_t *txn)
{
	const json_opts_t opts = { .bytes_max = LEDGER_EXPLAIN_BYTES_MAX, .object_only = true };
	const json_t *story;
	str_t json;

	TRY(ledger_explain(c->p->deps.ledger, txn, c->a, c->arg[0], &json));
	TRY(json_parse(c->a, json, &opts, &story, NULL));
	ENSURE(c->full || is_own(c, story), ERR_NOT_FOUND);
	for (const json_t *m = json_first(story); m; m = json_next(m)) {
		jw_key_str(&c->w, json_key(m));
		jw_raw(&c->w, json_raw(m));
	}
	return OK;
}

err_t api_ledger_head_parse(api_call_t *c)
{
	return api_query(c, NULL, 0);
}

err_t api_ledger_head_run(api_call_t *c, store_txn_t *txn)
{
	merkle_checkpoint_t head;
	str_t note;

	TRY(ledger_head(txn, c->a, &note, &head));
	jw_kstr(&c->w, "origin", head.origin);
	jw_ku64(&c->w, "size", head.size);
	jw_kstr(&c->w, "root", b64_enc(c->a, merkle_hash_str(&head.root)));
	jw_kstr(&c->w, "note", note);
	jw_kstr(&c->w, "vkey", merkle_vkey_format(ledger_vkey(c->p->deps.ledger), c->a));
	return OK;
}

err_t api_ledger_verify_parse(api_call_t *c)
{
	return api_query(c, NULL, 0);
}

err_t api_ledger_verify_run(api_call_t *c, store_txn_t *txn)
{
	ledger_report_t report = { 0 };
	err_t e = ledger_verify_store(txn, ledger_vkey(c->p->deps.ledger), &report);

	ENSURE(e == OK || e == ERR_LEDGER_DAMAGED, e);
	jw_kbool(&c->w, "ok", e == OK);
	jw_ku64(&c->w, "records", report.records);
	jw_kbool(&c->w, "head_ok", report.head_ok);
	if (report.head_ok) {
		jw_ku64(&c->w, "size", report.head.size);
		jw_kstr(&c->w, "root", b64_enc(c->a, merkle_hash_str(&report.head.root)));
	}
	if (report.bad) {
		jw_ku64(&c->w, "bad_index", report.bad_index);
		jw_kstr(&c->w, "bad_rid", str_of(report.bad_rid));
	}
	jw_kstr_if(&c->w, "why", str_of(report.why));
	return OK;
}
