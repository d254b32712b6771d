/* verb.c: widening verbs signed by a user's key (reference ledger 11.3, docs/wire.md 7). */
#include "domain/delegation/int.h"

static const str_t label = STR_INIT("attorn-verb/1");

enum { NONCE_BYTES = 16 };

static bool is_verb_byte(char c)
{
	return (c >= 'a' && c <= 'z') || c == '.' || c == '_';
}

static err_t verb_check(const delegation_verb_t *v)
{
	uint8_t nonce[NONCE_BYTES];

	ENSURE(v->verb.n > 0 && v->verb.n <= DELEGATION_NAME_BYTES_MAX, ERR_VALUE);
	for (size_t i = 0; i < v->verb.n; i++) {
		ENSURE(is_verb_byte(v->verb.p[i]), ERR_VALUE);
	}
	TRY(thumbprint_check(v->by));
	TRY(issuer_check(v->iss));
	ENSURE(b64url_dec_exact(v->nonce, nonce, sizeof(nonce)) == OK, ERR_VALUE);
	ENSURE(v->iat >= 0 && v->exp > v->iat && v->exp - v->iat <= DELEGATION_VERB_S_MAX, ERR_VALUE);
	return OK;
}

err_t delegation_verb_build(arena_t *a, const delegation_verb_t *v, str_t *out_document)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, DELEGATION_DOCUMENT_BYTES_MAX);
	TRY(verb_check(v));
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "body_digest", delegation_digest_text(a, v->body_digest));
	jw_kstr(&w, "by", v->by);
	jw_ki64(&w, "exp", v->exp);
	jw_ki64(&w, "iat", v->iat);
	jw_kstr(&w, "iss", v->iss);
	jw_kstr(&w, "nonce", v->nonce);
	jw_kstr(&w, "verb", v->verb);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out_document);
}

err_t delegation_verb_parse(arena_t *a, str_t document, delegation_verb_t *out, diag_t *diag)
{
	delegation_verb_t v = { 0 };
	str_t copy, digest;
	const json_t *root;

	ENSURE(document.n <= DELEGATION_DOCUMENT_BYTES_MAX, ERR_LIMIT);
	TRY(arena_dup(a, document, &copy));
	TRY(jcs_s_parse(a, copy, &root, diag));
	ENSURE(json_kind(root) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(root, diag, STR("body_digest"), STR("by"), STR("exp"), STR("iat"), STR("iss"),
		STR("nonce"), STR("verb")));
	TRY(json_need_str(root, STR("body_digest"), DELEGATION_DIGEST_TEXT_BYTES, &digest));
	TRY(delegation_digest_parse(digest, v.body_digest));
	TRY(json_need_str(root, STR("by"), DELEGATION_TOKEN_ID_BYTES_MAX, &v.by));
	TRY(json_need_i64(root, STR("exp"), &v.exp));
	TRY(json_need_i64(root, STR("iat"), &v.iat));
	TRY(json_need_str(root, STR("iss"), DELEGATION_URL_BYTES_MAX, &v.iss));
	TRY(json_need_str(root, STR("nonce"), DELEGATION_TOKEN_ID_BYTES_MAX, &v.nonce));
	TRY(json_need_str(root, STR("verb"), DELEGATION_NAME_BYTES_MAX, &v.verb));
	TRY(verb_check(&v));
	*out = v;
	return OK;
}

err_t delegation_verb_sign(arena_t *a, const crypto_key_t *key, str_t document, str_t *out_sig)
{
	return label_sign(a, label, key, document, out_sig);
}

err_t delegation_verb_verify(arena_t *a, str_t document, const delegation_verb_t *v,
	const crypto_pub_t *key, str_t sig)
{
	ENSURE(label_verify(a, label, document, v->by, key, sig) == OK, ERR_LOGIN);
	return OK;
}

err_t delegation_verb_check(const delegation_verb_t *v, str_t iss, str_t verb, str_t body,
	int64_t now_unix_s, int64_t skew_s)
{
	uint8_t digest[32];

	CHECK(skew_s >= 0 && skew_s <= DELEGATION_VERB_S_MAX);
	crypto_sha256(body, digest);
	ENSURE(str_eq(v->iss, iss) && str_eq(v->verb, verb), ERR_LOGIN);
	ENSURE(ct_eq(v->body_digest, digest, sizeof(digest)), ERR_LOGIN);
	ENSURE(v->iat <= now_unix_s + skew_s && v->exp > now_unix_s - skew_s, ERR_LOGIN);
	return OK;
}
