/* keyfile.c: the files in which people and agents keep keys: JWK JSON or PEM. */
#include "pure/jose/jose_int.h"

static bool is_json(str_t text)
{
	return str_starts(str_trim(text), STR("{"));
}

/* `jwk` is an object with "d"; the public members, all required, must belong to it. */
static err_t key_from_jwk(const json_t *jwk, crypto_key_t **out, diag_t *diag)
{
	AUTO(secret_done) secret_t d = { 0 };
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	crypto_pub_t pub;
	str_t text;

	TRY(jose_jwk_read_pub(jwk, &pub, diag));
	ENSURE(crypto_alg_for(pub.kind) != CRYPTO_ALG_NONE, ERR_KEY);
	jose_say(diag, "not a private key: member d is missing or malformed");
	TRY(json_need_str(jwk, STR("d"), JOSE_JWK_BYTES_MAX, &text));
	ENSURE(b64url_dec_secret(text, &d) == OK, ERR_KEY);
	TRY(crypto_key_from_secret(pub.kind, secret_peek(&d), &key));
	jose_say(diag, "private and public half do not belong together");
	ENSURE(crypto_pub_eq(crypto_key_pub(key), &pub), ERR_KEY);
	*out = TAKE(key);
	return OK;
}

MUST err_t jose_key_read(str_t text, crypto_key_t **out, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open(); /* wiped when freed */
	AUTO(secret_done) secret_t der = { 0 };
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	const json_t *jwk = NULL;

	ENSURE(text.n <= JOSE_KEY_FILE_BYTES_MAX, ERR_LIMIT);
	if (is_json(text)) {
		TRY(jose_json(a, text, JOSE_KEY_FILE_BYTES_MAX, &jwk, diag));
		return key_from_jwk(jwk, out, diag);
	}
	jose_say(diag, "neither a JWK nor one PEM block PRIVATE KEY (Ed25519 or P-256)");
	TRY(pem_dec_secret(text, STR("PRIVATE KEY"), &der));
	TRY(crypto_key_from_pkcs8(secret_peek(&der), &key));
	ENSURE(crypto_key_alg(key) != CRYPTO_ALG_NONE, ERR_KEY); /* RSA is for CAs, which have no key file */
	*out = TAKE(key);
	return OK;
}

MUST err_t jose_key_write(const crypto_key_t *key, secret_t *out_json)
{
	AUTO(buf_wipe) buf_t d;
	AUTO(buf_wipe) buf_t b;
	char *room;
	jw_t w;

	/* room for all of it at once: a buffer that grew would leave pieces of the secret behind */
	buf_init(&d, 64);
	buf_init(&b, JOSE_JWK_BYTES_MAX);
	TRY(buf_room(&d, 64, &room));
	b64url_add(&d, crypto_key_peek_secret(key));
	TRY(buf_room(&b, JOSE_JWK_BYTES_MAX, &room));
	jw_init(&w, &b);
	jw_object(&w);
	jose_jwk_members(&w, crypto_key_pub(key));
	jw_kstr(&w, "d", buf_str(&d));
	jw_end(&w);
	TRY(jw_finish(&w));
	return secret_from(buf_str(&b), out_json);
}

MUST err_t jose_pub_read(arena_t *a, str_t text, crypto_pub_t *out, diag_t *diag)
{
	jose_jwk_t jwk;
	str_t der;

	ENSURE(text.n <= JOSE_KEY_FILE_BYTES_MAX, ERR_LIMIT);
	if (is_json(text)) {
		TRY(jose_jwk_parse(a, text, &jwk, diag));
		*out = jwk.pub;
		return OK;
	}
	jose_say(diag, "neither a JWK nor one PEM block PUBLIC KEY");
	TRY(pem_dec(a, text, STR("PUBLIC KEY"), CRYPTO_DER_BYTES_MAX, &der));
	return crypto_pub_from_spki(der, out);
}
