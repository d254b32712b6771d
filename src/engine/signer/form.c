/* form.c: a key signs what has the form of its kind and nothing else, so that one kind of key never speaks
 * for another. Signatures, not contents: who may have what is the authority's to decide. */
#include "engine/signer/signer_int.h"
#include "pure/jose/jose.h"
#include "pure/merkle/merkle.h"

/* RFC 5758 3.2: ecdsa-with-SHA256, as it must stand inside a TBSCertificate. */
static const uint8_t es256_algorithm[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };

/* One DER element (X.690 10.1): definite, shortest length. `out_all` is head and body. */
static err_t der_next(rd_t *r, uint8_t *out_tag, str_t *out_all, str_t *out_body)
{
	rd_t at = *r;
	uint8_t tag, first, more;
	size_t n;

	TRY(rd_byte(&at, &tag));
	TRY(rd_byte(&at, &first));
	n = first;
	if (first >= 0x80) {
		ENSURE(first == 0x81 || first == 0x82, ERR_VALUE); /* 64 KiB at most */
		n = 0;
		for (int i = 0; i < first - 0x80; i++) {
			TRY(rd_byte(&at, &more));
			n = n << 8 | more;
		}
		ENSURE(n >= (first == 0x81 ? 0x80u : 0x100u), ERR_VALUE);
	}
	TRY(rd_bytes(&at, n, out_body));
	*out_tag = tag;
	*out_all = str_bytes(r->p, (size_t)(at.p - r->p));
	*r = at;
	return OK;
}

static err_t der_want(rd_t *r, uint8_t want, str_t *out_all, str_t *out_body)
{
	uint8_t tag;

	TRY(der_next(r, &tag, out_all, out_body));
	ENSURE(tag == want, ERR_VALUE);
	return OK;
}

/* RFC 5280 4.1: version 3, serial, our algorithm, then the five parts every certificate has. */
static err_t tbs_check(str_t message)
{
	static const uint8_t parts[] = { 0x30, 0x30, 0x30, 0x30, 0xa3 }; /* issuer validity subject spki extensions */
	rd_t r = rd_of(message), inside;
	str_t all, body, serial;

	TRY(der_want(&r, 0x30, &all, &body));
	TRY(rd_end(&r));
	inside = rd_of(body);
	TRY(der_want(&inside, 0xa0, &all, &body));
	ENSURE(str_eq(body, STR("\x02\x01\x02")), ERR_VALUE);
	TRY(der_want(&inside, 0x02, &all, &serial));
	ENSURE(serial.n >= 1 && serial.n <= 20 && !(serial.p[0] & 0x80), ERR_VALUE); /* 4.1.2.2: positive, 20 octets */
	TRY(der_want(&inside, 0x30, &all, &body));
	ENSURE(str_eq(all, str_bytes(es256_algorithm, sizeof(es256_algorithm))), ERR_VALUE);
	for (size_t i = 0; i < sizeof(parts); i++) {
		TRY(der_want(&inside, parts[i], &all, &body));
	}
	return rd_end(&inside);
}

static err_t header_check(arena_t *a, const skey_t *k, str_t encoded, str_t typ)
{
	const json_t *root;
	str_t text, member;

	TRY(b64url_dec(a, encoded, JOSE_HEADER_BYTES_MAX, &text));
	TRY(json_parse_object(a, text, &root, NULL));
	TRY(json_need_str(root, STR("typ"), 32, &member));
	ENSURE(str_eq(member, typ), ERR_VALUE);
	TRY(json_need_str(root, STR("alg"), 32, &member));
	ENSURE(str_eq(member, crypto_alg_name(crypto_alg_for(k->pub.kind))), ERR_VALUE);
	TRY(json_need_str(root, STR("kid"), SIGNER_KID_BYTES, &member));
	ENSURE(str_eq(member, str_of(k->kid)), ERR_VALUE);
	ENSURE(json_count(root) == 3, ERR_VALUE);
	return OK;
}

/* JWT-SVID 3: a subject and an audience. */
static err_t svid_check(arena_t *a, str_t encoded)
{
	const json_t *root, *aud;
	str_t text, sub;

	TRY(b64url_dec(a, encoded, JOSE_PAYLOAD_BYTES_MAX, &text));
	TRY(json_parse_object(a, text, &root, NULL));
	TRY(json_need_str(root, STR("sub"), JOSE_PAYLOAD_BYTES_MAX, &sub));
	aud = json_get(root, STR("aud"));
	ENSURE(str_starts(sub, STR("spiffe://")) && aud, ERR_VALUE);
	bool is_list = json_kind(aud) == JSON_ARRAY && json_count(aud) > 0;
	ENSURE(json_kind(aud) == JSON_STRING || is_list, ERR_VALUE);
	return OK;
}

static bool is_b64url(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

static err_t jws_check(skey_t *k, str_t message, str_t typ)
{
	rd_t r = rd_of(message);
	str_t header, payload;

	TRY(rd_until(&r, '.', JOSE_HEADER_BYTES_MAX * 2, &header));
	TRY(rd_while(&r, is_b64url, 1, SIGNER_MESSAGE_BYTES_MAX, &payload));
	TRY(rd_end(&r));
	bool known = str_eq(header, str_bytes(k->header, k->header_n));
	if (known && k->kind == SIGNER_TOKEN) {
		return OK;
	}
	AUTO(arena_free) arena_t *a = arena_open();
	if (!known) {
		TRY(header_check(a, k, header, typ));
	}
	if (k->kind == SIGNER_JWT) {
		TRY(svid_check(a, payload));
	}
	if (header.n <= sizeof(k->header)) {
		memcpy(k->header, header.p, header.n);
		k->header_n = header.n;
	}
	return OK;
}

static err_t checkpoint_check(str_t message)
{
	merkle_checkpoint_t c;

	return merkle_checkpoint_parse(message, &c);
}

err_t form_check(skey_t *k, str_t message)
{
	err_t e = ERR_VALUE;

	switch (k->kind) {
	case SIGNER_X509:
		e = tbs_check(message);
		break;
	case SIGNER_JWT:
		e = jws_check(k, message, STR("JWT"));
		break;
	case SIGNER_TOKEN:
		e = jws_check(k, message, STR("at+jwt"));
		break;
	case SIGNER_LEDGER:
		e = checkpoint_check(message);
		break;
	case SIGNER_KIND_COUNT_:
		break;
	}
	return e == OK ? OK : ERR_VALUE;
}
