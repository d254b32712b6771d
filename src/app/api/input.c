/* input.c: bodies, paths and queries to checked values. Unknown members refuse; what is said about them is
 * about the caller's own words. */
#include "app/api/api_int.h"

err_t api_body_parse(api_call_t *c)
{
	const json_opts_t opts = { .object_only = true, .bytes_max = c->door->body_max ? c->door->body_max : 1 };
	str_t type, body = net_body(c->x);

	if (c->door->body_max == 0) {
		ENSURE(body.n == 0, api_say(c, ERR_VALUE, "this request takes no body"));
		return OK;
	}
	ENSURE(body.n <= c->door->body_max, ERR_LIMIT);
	ENSURE(net_header(c->x, STR("Content-Type"), &type) == OK, ERR_CONTENT_TYPE);
	ENSURE(net_content_type_is(type, STR("application/json")), ERR_CONTENT_TYPE);
	return json_parse(c->a, body, &opts, &c->body, &c->diag);
}

err_t api_need_name(api_call_t *c, str_t key, str_t *out)
{
	str_t name;
	err_t e = json_need_str(c->body, key, API_PATH_BYTES_MAX, &name);

	if (e == OK && delegation_name_check(name) != OK) {
		e = ERR_VALUE;
	}
	if (e != OK) {
		return api_say(c, e, "%.*s: a name is [a-z0-9][a-z0-9._-]{0,62}", STR_ARG(key));
	}
	*out = name;
	return OK;
}

err_t api_arg_name(api_call_t *c, size_t i)
{
	if (delegation_name_check(c->arg[i]) != OK) {
		return api_say(c, ERR_VALUE, "in the path: a name is [a-z0-9][a-z0-9._-]{0,62}");
	}
	return OK;
}

/* --- lists of words ------------------------------------------------------------------------------------- */

static err_t words_finish(arena_t *a, const str_t *v, size_t n, api_words_t *out)
{
	AUTO(buf_done) buf_t json, list;
	api_words_t words = { .v = v, .n = n };
	jw_t w;

	buf_init(&json, API_SNAPSHOT_BYTES_MAX);
	buf_init(&list, API_SNAPSHOT_BYTES_MAX);
	jw_init(&w, &json);
	jw_array(&w);
	for (size_t i = 0; i < n; i++) {
		jw_str(&w, v[i]);
		buf_add(&list, i ? STR(" ") : STR(""));
		buf_add(&list, v[i]);
	}
	jw_end(&w);
	TRY(jw_finish(&w));
	TRY(buf_err(&list));
	TRY(arena_dup(a, buf_str(&json), &words.json));
	TRY(arena_dup(a, buf_str(&list), &words.list));
	*out = words;
	return OK;
}

static bool has_word(const str_t *v, size_t n, str_t word)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(v[i], word)) {
			return true;
		}
	}
	return false;
}

err_t api_words(api_call_t *c, str_t key, size_t max, err_t (*check)(str_t word), api_words_t *out)
{
	const json_t *list;
	size_t n = 0;
	err_t e = json_want_arr(c->body, key, (uint32_t)max, &list);

	ENSURE(e == OK, api_say(c, e, "%.*s: a list of at most %zu texts", STR_ARG(key), max));
	str_t *v = arena_array(c->a, str_t, json_count(list) ? json_count(list) : 1);
	for (const json_t *j = json_first(list); j; j = json_next(j)) {
		e = json_str(j, &v[n]);
		if (e == OK) {
			e = check(v[n]);
		}
		if (e == OK && has_word(v, n, v[n])) {
			e = ERR_DUPLICATE;
		}
		ENSURE(e == OK, api_say(c, e, "%.*s: element %zu is malformed or repeated", STR_ARG(key), n + 1));
		n++;
	}
	TRY(words_finish(c->a, v, n, out));
	ENSURE(out->list.n <= DELEGATION_SCOPE_BYTES_MAX,
		api_say(c, ERR_LIMIT, "%.*s: more than %d bytes", STR_ARG(key), DELEGATION_SCOPE_BYTES_MAX));
	return OK;
}

err_t api_words_of(arena_t *a, str_t json, api_words_t *out)
{
	const json_t *list;
	size_t n = 0;

	TRY(json_parse(a, json, NULL, &list, NULL));
	ENSURE(json_kind(list) == JSON_ARRAY, ERR_STORE);
	str_t *v = arena_array(a, str_t, json_count(list) ? json_count(list) : 1);
	for (const json_t *j = json_first(list); j; j = json_next(j)) {
		TRY(json_str(j, &v[n]));
		n++;
	}
	return words_finish(a, v, n, out);
}

static bool is_scope_byte(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == '-';
}

static bool is_scope_part(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_scope_byte(s.p[i])) {
			return false;
		}
	}
	return s.n > 0;
}

/* RESOURCE:ACTION, [a-z0-9._-]+ each (wire.md 3). */
err_t api_scope_check(str_t word)
{
	size_t colon = str_find(word, ':');

	ENSURE(word.n <= API_SCOPE_BYTES_MAX && colon < word.n, ERR_VALUE);
	ENSURE(is_scope_part(str_sub(word, 0, colon)), ERR_VALUE);
	ENSURE(is_scope_part(str_sub(word, colon + 1, word.n)), ERR_VALUE);
	return OK;
}

/* --- keys ----------------------------------------------------------------------------------------------- */

/* One public key to enrol: Ed25519 or P-256, a point that is one (RFC 7517, 8037). */
static err_t key_read(api_call_t *c, const json_t *node, api_key_t *out)
{
	jose_jwk_t jwk;

	ENSURE(json_kind(node) == JSON_OBJECT && json_raw(node).n <= API_JWK_BYTES_MAX, ERR_KEY);
	TRY(jose_jwk_parse(c->a, json_raw(node), &jwk, NULL));
	ENSURE(crypto_alg_for(jwk.pub.kind) != CRYPTO_ALG_NONE, ERR_KEY);
	TRY(crypto_pub_check(&jwk.pub));
	out->jkt = jose_jkt(c->a, &jwk.pub);
	return jose_jwk_write(c->a, &jwk.pub, STR_NULL, STR_NULL, &out->jwk);
}

err_t api_keys(api_call_t *c, size_t min, const api_key_t **out, size_t *out_n)
{
	const json_t *list;
	size_t n = 0;
	err_t e = json_need_arr(c->body, STR("keys"), API_KEYS_MAX, &list);

	ENSURE(e == OK, api_say(c, e, "keys: a list of at most %d public keys (JWK)", API_KEYS_MAX));
	ENSURE(json_count(list) >= min, api_say(c, ERR_VALUE, "keys: at least %zu", min));
	api_key_t *keys = arena_array(c->a, api_key_t, API_KEYS_MAX);
	for (const json_t *j = json_first(list); j; j = json_next(j)) {
		e = key_read(c, j, &keys[n]);
		ENSURE(e == OK, api_say(c, ERR_KEY, "keys: element %zu is no public key of kind Ed25519 or P-256", n + 1));
		for (size_t i = 0; i < n; i++) {
			ENSURE(!str_eq(keys[i].jkt, keys[n].jkt), api_say(c, ERR_DUPLICATE, "keys: one is repeated"));
		}
		n++;
	}
	*out = keys;
	*out_n = n;
	return OK;
}

/* A key belongs to one person or one agent: never to both, or an agent could sign what widens. */
err_t api_keys_are_new(api_call_t *c, store_txn_t *txn, const api_key_t *keys, size_t n)
{
	store_user_key_t user;
	store_agent_key_t agent;

	for (size_t i = 0; i < n; i++) {
		err_t e = store_user_key_get(txn, c->a, keys[i].jkt, &user);
		ENSURE(e != OK, api_say(c, ERR_EXISTS, "this key belongs to a user already"));
		ENSURE(e == ERR_NOT_FOUND, e);
		e = store_agent_key_get(txn, c->a, keys[i].jkt, &agent);
		ENSURE(e != OK, api_say(c, ERR_EXISTS, "this key belongs to an agent already"));
		ENSURE(e == ERR_NOT_FOUND, e);
	}
	return OK;
}

/* --- queries ---------------------------------------------------------------------------------------------- */

err_t api_query(api_call_t *c, const str_t *names, size_t n)
{
	if (net_query(c->x).n == 0) {
		return OK;
	}
	TRY(form_parse(c->a, net_query(c->x), API_QUERY_PAIRS_MAX, &c->query));
	for (size_t i = 0; i < c->query.n; i++) {
		const form_pair_t *pair = &c->query.pairs[i];
		ENSURE(has_word(names, n, pair->name), api_say(c, ERR_UNKNOWN_MEMBER, "unknown parameter in the query"));
		ENSURE(form_count(&c->query, pair->name) == 1, ERR_DUPLICATE);
		ENSURE(pair->value.n <= API_QUERY_BYTES_MAX, ERR_LIMIT);
	}
	return OK;
}

str_t api_query_get(const api_call_t *c, str_t name)
{
	for (size_t i = 0; i < c->query.n; i++) {
		if (str_eq(c->query.pairs[i].name, name) && c->query.pairs[i].value.n) {
			return c->query.pairs[i].value;
		}
	}
	return STR_NULL;
}

err_t api_query_limit(api_call_t *c, size_t *out)
{
	str_t text = api_query_get(c, STR("limit"));
	uint64_t n = API_LIST_DEFAULT;

	if (text.p) {
		err_t e = str_to_u64(text, STORE_LIST_MAX, &n);
		ENSURE(e == OK && n > 0, api_say(c, ERR_VALUE, "limit: 1 to %d", STORE_LIST_MAX));
	}
	*out = (size_t)n;
	return OK;
}

err_t api_list_parse(api_call_t *c)
{
	return api_query(c, (const str_t[]){ STR("after"), STR("limit") }, 2);
}

bool api_list_more(size_t n, size_t limit)
{
	return n > limit || n == STORE_LIST_MAX;
}

void api_list_next(api_call_t *c, str_t key)
{
	if (key.p) {
		jw_kstr(&c->w, "next", key);
	} else {
		jw_knull(&c->w, "next");
	}
}

/* --- finding ------------------------------------------------------------------------------------------------ */

err_t api_user_find(api_call_t *c, store_txn_t *txn, str_t name, store_user_t *out)
{
	err_t e = delegation_user_id_check(name) == OK ? store_user_get(txn, c->a, name, out)
						       : store_user_by_name(txn, c->a, name, out);

	return e == ERR_NOT_FOUND ? api_say(c, e, "no such user") : e;
}

err_t api_agent_find(api_call_t *c, store_txn_t *txn, str_t name, store_agent_t *out)
{
	err_t e = str_starts(name, STR("spiffe://")) ? store_agent_get(txn, c->a, name, out)
						     : store_agent_by_name(txn, c->a, name, out);

	return e == ERR_NOT_FOUND ? api_say(c, e, "no such agent") : e;
}
