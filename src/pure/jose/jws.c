/* jws.c: the compact form of RFC 7515, read and written. */
#include "pure/jose/jose_int.h"

/* Members that change what the rest means, or where keys come from; we know none of them. */
static err_t header_refuse(const json_t *header, diag_t *diag)
{
	static const struct {
		str_t name;
		err_t error;
	} refused[] = {
		{ STR_INIT("crit"), ERR_CRIT }, /* RFC 7515 4.1.11: no extension is understood */
		{ STR_INIT("b64"), ERR_CRIT }, /* RFC 7797 */
		{ STR_INIT("zip"), ERR_CRIT }, /* RFC 8725 3.6 */
		{ STR_INIT("jku"), ERR_KEY }, /* oauth P15 */
		{ STR_INIT("x5u"), ERR_KEY },
	};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (json_get(header, refused[i].name)) {
			jose_say(diag, "header member %.*s is refused", STR_ARG(refused[i].name));
			return refused[i].error;
		}
	}
	return OK;
}

static err_t header_read(arena_t *a, str_t text, jose_jws_t *jws, diag_t *diag)
{
	const json_t *header = NULL, *jwk = NULL;
	str_t alg;

	TRY(jose_json(a, text, JOSE_HEADER_BYTES_MAX, &header, diag));
	TRY(header_refuse(header, diag));
	jws->header = header;
	TRY(json_need_str(header, STR("alg"), JOSE_TYP_BYTES_MAX, &alg));
	jose_say(diag, "alg is not one we verify");
	TRY(crypto_alg_from_name(alg, &jws->alg)); /* case-exact; no none, no HS* */
	jose_say(diag, "typ or kid is no string");
	TRY(json_want_str(header, STR("typ"), JOSE_TYP_BYTES_MAX, &jws->typ));
	TRY(json_want_str(header, STR("kid"), JOSE_KID_BYTES_MAX, &jws->kid));
	TRY(json_want_obj(header, STR("jwk"), &jwk));
	if (jwk) {
		crypto_pub_t *pub = arena_new(a, crypto_pub_t);
		TRY(jose_jwk_is_public(jwk, diag));
		TRY(jose_jwk_read_pub(jwk, pub, diag));
		jws->jwk = pub;
	}
	return OK;
}

MUST err_t jose_jws_split(arena_t *a, str_t text, jose_jws_t *out, diag_t *diag)
{
	jose_jws_t jws = { 0 };
	rd_t r = rd_of(text);
	str_t header, payload, signature, header_json;

	ENSURE(text.n <= JOSE_TEXT_BYTES_MAX, ERR_LIMIT);
	jose_say(diag, "not three base64url parts with two dots");
	TRY(rd_until(&r, '.', JOSE_TEXT_BYTES_MAX, &header));
	TRY(rd_until(&r, '.', JOSE_TEXT_BYTES_MAX, &payload));
	TRY(rd_rest(&r, JOSE_TEXT_BYTES_MAX, &signature)); /* a third dot dies in base64url */
	TRY(b64url_dec(a, header, JOSE_HEADER_BYTES_MAX, &header_json));
	TRY(b64url_dec(a, payload, JOSE_PAYLOAD_BYTES_MAX, &jws.payload));
	TRY(b64url_dec(a, signature, CRYPTO_SIG_BYTES_MAX, &jws.signature));
	jws.signing_input = str_sub(text, 0, header.n + 1 + payload.n);
	TRY(header_read(a, header_json, &jws, diag));
	*out = jws;
	return OK;
}

MUST err_t jose_jws_check(const jose_jws_t *jws, const crypto_pub_t *pub)
{
	return crypto_verify(pub, jws->alg, jws->signing_input, jws->signature);
}

/* jwk: the public key to stand in the header, or NULL */
static err_t header_write(crypto_alg_t alg, const jose_sign_t *header, const crypto_pub_t *jwk, buf_t *b)
{
	jw_t w;

	jw_init(&w, b);
	jw_object(&w);
	jw_kstr_if(&w, "typ", header->typ);
	jw_kstr(&w, "alg", crypto_alg_name(alg));
	jw_kstr_if(&w, "kid", header->kid);
	if (jwk) {
		jw_kobject(&w, "jwk");
		jose_jwk_members(&w, jwk);
		jw_end(&w);
	}
	jw_end(&w);
	return jw_finish(&w);
}

static err_t input_write(crypto_alg_t alg, const jose_sign_t *header, const crypto_pub_t *jwk, str_t payload,
	buf_t *text)
{
	AUTO(buf_done) buf_t head;

	buf_init(&head, JOSE_HEADER_BYTES_MAX);
	ENSURE(payload.n <= JOSE_PAYLOAD_BYTES_MAX, ERR_LIMIT);
	TRY(header_write(alg, header, jwk, &head));
	b64url_add(text, buf_str(&head));
	buf_byte(text, '.');
	b64url_add(text, payload);
	return buf_err(text);
}

MUST err_t jose_jws_sign(arena_t *a, const crypto_key_t *key, const jose_sign_t *header, str_t payload,
	str_t *out_text)
{
	AUTO(buf_done) buf_t text;
	uint8_t sig[CRYPTO_SIGN_BYTES_MAX];

	buf_init(&text, JOSE_TEXT_BYTES_MAX);
	TRY(input_write(crypto_key_alg(key), header, header->with_jwk ? crypto_key_pub(key) : NULL, payload,
		&text));
	TRY(crypto_key_sign(key, buf_str(&text), sig));
	buf_byte(&text, '.');
	b64url_add(&text, str_bytes(sig, sizeof sig));
	TRY(buf_err(&text));
	return arena_dup(a, buf_str(&text), out_text);
}

MUST err_t jose_jws_input(arena_t *a, crypto_alg_t alg, const jose_sign_t *header, str_t payload,
	str_t *out_input)
{
	AUTO(buf_done) buf_t text;

	CHECK(!header->with_jwk && alg != CRYPTO_ALG_NONE);
	buf_init(&text, JOSE_TEXT_BYTES_MAX);
	TRY(input_write(alg, header, NULL, payload, &text));
	return arena_dup(a, buf_str(&text), out_input);
}

MUST err_t jose_jws_seal(arena_t *a, str_t input, str_t signature, str_t *out_text)
{
	AUTO(buf_done) buf_t text;

	buf_init(&text, JOSE_TEXT_BYTES_MAX);
	ENSURE(signature.n > 0 && signature.n <= CRYPTO_SIG_BYTES_MAX, ERR_SIGNATURE);
	buf_add(&text, input);
	buf_byte(&text, '.');
	b64url_add(&text, signature);
	TRY(buf_err(&text));
	return arena_dup(a, buf_str(&text), out_text);
}
