/* alg.c: the algorithms that sign requests and certificates, as AlgorithmIdentifiers (RFC 5758 3.2, RFC 4055
 * 5). SHA-1 and smaller do not exist here. */
#include "pure/x509/x509_int.h"

#define EC_ALG(last) STR_INIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" last)
#define RSA_ALG(last) STR_INIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" last "\x05\x00")

static const x509_alg_t algs[] = {
	{ CRYPTO_ES256, false, 256, EC_ALG("\x02") },
	{ CRYPTO_ALG_NONE, false, 384, EC_ALG("\x03") },
	{ CRYPTO_ALG_NONE, false, 512, EC_ALG("\x04") },
	{ CRYPTO_RS256, true, 256, RSA_ALG("\x0b") },
	{ CRYPTO_ALG_NONE, true, 384, RSA_ALG("\x0c") },
	{ CRYPTO_ALG_NONE, true, 512, RSA_ALG("\x0d") },
};

const x509_alg_t *x509_alg_by_der(str_t der)
{
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		if (str_eq(algs[i].der, der)) {
			return &algs[i];
		}
	}
	return NULL;
}

const x509_alg_t *x509_alg_for(crypto_alg_t alg)
{
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		if (alg != CRYPTO_ALG_NONE && algs[i].alg == alg) {
			return &algs[i];
		}
	}
	return NULL;
}

crypto_alg_t x509_alg_of_key(crypto_kind_t kind)
{
	if (kind == CRYPTO_KEY_RSA) {
		return CRYPTO_RS256;
	}
	return kind == CRYPTO_KEY_P256 ? CRYPTO_ES256 : CRYPTO_ALG_NONE;
}

bool x509_kind_ok(crypto_kind_t kind)
{
	return kind == CRYPTO_KEY_RSA || crypto_coord_bytes(kind) != 0;
}

MUST err_t x509_signature_add(buf_t *b, crypto_alg_t alg, str_t signature)
{
	if (alg == CRYPTO_RS256) {
		ENSURE(signature.n >= CRYPTO_RSA_BITS_MIN / 8 && signature.n <= CRYPTO_SIG_BYTES_MAX,
			ERR_SIGNATURE);
		der_add_bits(b, signature);
		return OK;
	}
	ENSURE(alg == CRYPTO_ES256, ERR_ALGORITHM);
	ENSURE(signature.n == CRYPTO_SIGN_BYTES_MAX, ERR_SIGNATURE);
	size_t bits = der_open(b, DER_BIT_STRING);
	wr_u8(b, 0);
	size_t pair = der_open(b, DER_SEQUENCE); /* RFC 3279 2.2.3 */
	der_add_unsigned(b, str_sub(signature, 0, signature.n / 2));
	der_add_unsigned(b, str_sub(signature, signature.n / 2, signature.n / 2));
	der_close(b, pair);
	der_close(b, bits);
	return OK;
}
