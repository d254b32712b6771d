/* routes.c: routes (wire.md 8) and the secrets they carry upstream. */
#include "app/api/api_int.h"

/* --- routes ---------------------------------------------------------------------------------------------- */

err_t api_route_put_parse(api_call_t *c)
{
	snapshot_route_t *route = arena_new(c->a, snapshot_route_t);

	TRY(api_arg_name(c, 0));
	TRY(snapshot_route_parse(c->a, json_raw(c->body), route, &c->diag));
	c->in = route;
	return OK;
}

static str_t route_url(api_call_t *c, str_t name)
{
	return arena_cat(c->a, c->p->deps.gateway_url, STR("/r/"), name);
}

static err_t warnings_answer(api_call_t *c, store_txn_t *txn, const snapshot_route_t *route)
{
	store_secret_t secret;

	jw_karray(&c->w, "warnings");
	if (route->has_credential) {
		err_t e = store_secret_get(txn, c->a, route->credential_secret, &secret);
		ENSURE(e == OK || e == ERR_NOT_FOUND, e);
		if (e == ERR_NOT_FOUND) {
			jw_str(&c->w, arena_cat(c->a, STR("the secret "), route->credential_secret,
				STR(" is not there yet: attorn secret put")));
		}
	}
	jw_end(&c->w);
	return OK;
}

err_t api_route_put_run(api_call_t *c, store_txn_t *txn)
{
	str_t name = c->arg[0], doc = json_raw(c->body);
	uint8_t digest[CRYPTO_SHA256_BYTES];
	int64_t rev;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("route"), NULL));
	TRY(store_route_put(txn, name, doc, &rev));
	crypto_sha256(doc, digest);
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", name);
	jw_kstr(&c->r, "digest", delegation_digest_text(c->a, digest));
	jw_ki64(&c->r, "rev", rev);
	TRY(api_record_end(c, txn, LEDGER_ROUTE));
	TRY(api_change(c, txn, "route", name, true));
	jw_kobject(&c->w, "route");
	jw_kstr(&c->w, "name", name);
	jw_ki64(&c->w, "rev", rev);
	jw_kstr(&c->w, "url", route_url(c, name));
	jw_end(&c->w);
	return warnings_answer(c, txn, c->in);
}

err_t api_route_remove_parse(api_call_t *c)
{
	return api_arg_name(c, 0);
}

err_t api_route_remove_run(api_call_t *c, store_txn_t *txn)
{
	str_t name = c->arg[0];

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("route"), NULL));
	TRY(store_route_remove(txn, name));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", name);
	jw_kstr(&c->r, "state", STR("removed"));
	TRY(api_record_end(c, txn, LEDGER_ROUTE));
	TRY(api_change(c, txn, "route", name, true));
	jw_kstr(&c->w, "removed", name);
	return OK;
}

/* How a route reaches its upstream is the operators' business: its environment may hold what must not leak. */
static bool is_private(str_t member)
{
	static const str_t names[] = { STR_INIT("command"), STR_INIT("cwd"), STR_INIT("env"), STR_INIT("upstream"),
		STR_INIT("credential") };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i], member)) {
			return true;
		}
	}
	return false;
}

static err_t route_answer(api_call_t *c, const store_route_t *row)
{
	const json_t *doc;

	TRY(json_parse_object(c->a, row->doc, &doc, NULL));
	jw_kstr(&c->w, "name", row->name);
	jw_ki64(&c->w, "rev", row->rev);
	jw_kstr(&c->w, "url", route_url(c, row->name));
	jw_kobject(&c->w, "document");
	for (const json_t *m = json_first(doc); m; m = json_next(m)) {
		if (c->full || !is_private(json_key(m))) {
			jw_key_str(&c->w, json_key(m));
			jw_raw(&c->w, json_raw(m));
		}
	}
	jw_end(&c->w);
	return OK;
}

err_t api_route_list_run(api_call_t *c, store_txn_t *txn)
{
	store_route_t *rows;
	size_t n, limit;

	TRY(api_query_limit(c, &limit));
	TRY(store_route_list(txn, c->a, api_query_get(c, STR("after")), &rows, &n));
	jw_karray(&c->w, "routes");
	for (size_t i = 0; i < n && i < limit; i++) {
		jw_object(&c->w);
		TRY(route_answer(c, &rows[i]));
		jw_end(&c->w);
	}
	jw_end(&c->w);
	api_list_next(c, api_list_more(n, limit) ? rows[api_list_last(n, limit)].name : STR_NULL);
	return OK;
}

err_t api_route_get_parse(api_call_t *c)
{
	return api_arg_name(c, 0);
}

err_t api_route_get_run(api_call_t *c, store_txn_t *txn)
{
	store_route_t row;

	TRY(store_route_get(txn, c->a, c->arg[0], &row));
	return route_answer(c, &row);
}

/* --- secrets: they go in, and no door gives them back --------------------------------------------------- */

err_t api_secret_put_parse(api_call_t *c)
{
	str_t *value = arena_new(c->a, str_t);

	TRY(api_arg_name(c, 0));
	TRY(API_ONLY(c, STR("value")));
	err_t e = json_need_str(c->body, STR("value"), API_SECRET_BYTES_MAX, value);
	ENSURE(e == OK, api_say(c, e, "value: a text of 1 to %d bytes", API_SECRET_BYTES_MAX));
	c->in = value;
	return OK;
}

static err_t secret_recorded(api_call_t *c, store_txn_t *txn, int64_t rev)
{
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", c->arg[0]);
	if (rev > 0) {
		jw_ki64(&c->r, "rev", rev);
	} else {
		jw_kstr(&c->r, "state", STR("removed"));
	}
	TRY(api_record_end(c, txn, LEDGER_SECRET));
	return api_change(c, txn, "secret", c->arg[0], false);
}

err_t api_secret_put_run(api_call_t *c, store_txn_t *txn)
{
	const str_t *value = c->in;
	int64_t rev;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("secret"), NULL));
	err_t e = vault_secret_put(c->p->deps.vault, txn, c->a, c->arg[0], *value, c->now_s, &rev);
	ENSURE(e != ERR_VALUE, api_say(c, e, "value: no control characters, it becomes a header"));
	TRY(e);
	TRY(secret_recorded(c, txn, rev));
	jw_kobject(&c->w, "secret");
	jw_kstr(&c->w, "name", c->arg[0]);
	jw_ki64(&c->w, "rev", rev);
	jw_end(&c->w);
	return OK;
}

err_t api_secret_remove_parse(api_call_t *c)
{
	return api_arg_name(c, 0);
}

err_t api_secret_remove_run(api_call_t *c, store_txn_t *txn)
{
	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("secret"), NULL));
	TRY(store_secret_remove(txn, c->arg[0]));
	TRY(secret_recorded(c, txn, 0));
	jw_kstr(&c->w, "removed", c->arg[0]);
	return OK;
}

err_t api_secret_list_run(api_call_t *c, store_txn_t *txn)
{
	store_secret_t *rows;
	size_t n, limit;

	TRY(api_query_limit(c, &limit));
	TRY(store_secret_list(txn, c->a, api_query_get(c, STR("after")), &rows, &n));
	jw_karray(&c->w, "secrets");
	for (size_t i = 0; i < n && i < limit; i++) {
		jw_object(&c->w);
		jw_kstr(&c->w, "name", rows[i].name);
		jw_ki64(&c->w, "rev", rows[i].rev);
		jw_ki64(&c->w, "updated", rows[i].updated_s);
		jw_end(&c->w);
	}
	jw_end(&c->w);
	api_list_next(c, api_list_more(n, limit) ? rows[api_list_last(n, limit)].name : STR_NULL);
	return OK;
}
