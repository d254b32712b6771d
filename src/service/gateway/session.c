/* session.c: session ids that carry the session. */
#include "pure/crypto/crypto.h"
#include "service/gateway/limits.h"
#include "service/gateway/session.h"

static const str_t session_aad = STR_INIT("attorn-session/1");
const str_t session_version_newest = STR_INIT("2025-11-25");

bool session_version_is_known(str_t version)
{
	static const str_t known[] = { STR_INIT("2025-11-25"), STR_INIT("2025-06-18"),
		STR_INIT("2025-03-26"), STR_INIT("2024-11-05") };

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (str_eq(version, known[i])) {
			return true;
		}
	}
	return false;
}

static str_t session_name(arena_t *a, str_t text)
{
	uint8_t h[CRYPTO_SHA256_BYTES];

	crypto_sha256(text, h);
	return hex_enc(a, str_bytes(h, sizeof(h) / 2));
}

static void session_write(jw_t *w, const session_t *s)
{
	jw_object(w);
	jw_kstr(w, "client", s->client);
	jw_kstr(w, "grant", s->grant);
	jw_ki64(w, "iat", s->iat);
	jw_kraw(w, "init", s->init);
	jw_kstr(w, "route", s->route);
	jw_kstr(w, "sub", s->sub);
	jw_kstr(w, "upstream", s->upstream_sid);
	jw_kstr(w, "version", s->version);
	jw_end(w);
}

err_t session_seal(arena_t *a, str_t key32, const session_t *s, str_t *out_text)
{
	AUTO(buf_done) buf_t b = { 0 };
	str_t sealed;
	jw_t w;

	/* base64url of nonce, tag and text must fit the header */
	buf_init(&b, GATEWAY_SESSION_BYTES_MAX / 4 * 3 - CRYPTO_SEAL_OVERHEAD);
	jw_init(&w, &b);
	session_write(&w, s);
	TRY(jw_finish(&w));
	TRY(crypto_seal(a, key32, session_aad, buf_str(&b), &sealed));
	*out_text = b64url_enc(a, sealed);
	return OK;
}

static err_t session_read(arena_t *a, str_t plain, session_t *s)
{
	const json_t *root, *init;

	TRY(json_parse_object(a, plain, &root, NULL));
	TRY(json_need_str(root, STR("client"), JSON_UNBOUNDED, &s->client));
	TRY(json_want_str(root, STR("grant"), JSON_UNBOUNDED, &s->grant));
	TRY(json_need_i64(root, STR("iat"), &s->iat));
	TRY(json_need_obj(root, STR("init"), &init));
	s->init = json_raw(init);
	TRY(json_need_str(root, STR("route"), JSON_UNBOUNDED, &s->route));
	TRY(json_need_str(root, STR("sub"), JSON_UNBOUNDED, &s->sub));
	TRY(json_want_str(root, STR("upstream"), JSON_UNBOUNDED, &s->upstream_sid));
	return json_need_str(root, STR("version"), JSON_UNBOUNDED, &s->version);
}

static err_t session_unseal(arena_t *a, str_t key32, str_t text, session_t *s)
{
	str_t sealed, plain;

	ENSURE(text.n <= GATEWAY_SESSION_BYTES_MAX, ERR_LIMIT);
	TRY(b64url_dec(a, text, GATEWAY_SESSION_BYTES_MAX, &sealed));
	TRY(crypto_open_arena(a, key32, session_aad, sealed, &plain));
	return session_read(a, plain, s);
}

err_t session_open(arena_t *a, str_t key32, str_t text, int64_t now_unix_s, session_t *out)
{
	session_t s = { 0 };

	ENSURE(session_unseal(a, key32, text, &s) == OK, ERR_SESSION);
	ENSURE(s.iat <= now_unix_s + GATEWAY_LEEWAY_S && now_unix_s - s.iat < GATEWAY_SESSION_S_MAX, ERR_SESSION);
	s.id = session_name(a, text);
	*out = s;
	return OK;
}

err_t session_check(const session_t *s, const delegation_claims_t *c, str_t route)
{
	ENSURE(str_eq(s->route, route), ERR_SESSION);
	ENSURE(str_eq(s->sub, c->sub) && str_eq(s->client, c->client_id), ERR_SESSION);
	ENSURE(str_eq(s->grant, c->grant), ERR_SESSION);
	return OK;
}
