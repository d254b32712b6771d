/* csr.c: certification requests (RFC 2986 4): who asks has the key. */
#include "pure/x509/x509_int.h"

typedef struct {
	str_t info, spki, alg, signature;
} csr_t;

/* CertificationRequestInfo: version 0, subject, key, attributes; only the key is kept. */
static err_t info_read(str_t content, csr_t *csr)
{
	rd_t r = rd_of(content);
	str_t version;
	der_t d;

	TRY(der_read_unsigned(&r, 1, &version));
	ENSURE(version.p[0] == 0, ERR_SYNTAX);
	TRY(der_read(&r, DER_SEQUENCE, X509_NAME_BYTES_MAX, &d));
	TRY(der_read(&r, DER_SEQUENCE, CRYPTO_DER_BYTES_MAX, &d));
	csr->spki = d.whole;
	TRY(der_read(&r, DER_CONTEXT_CONSTRUCTED + 0, X509_ATTRIBUTES_BYTES_MAX, &d));
	return rd_end(&r);
}

static err_t csr_read(str_t der, csr_t *csr)
{
	rd_t r;
	der_t d;

	ENSURE(der.n <= X509_DER_BYTES_MAX, ERR_LIMIT);
	TRY(der_only(der, DER_SEQUENCE, X509_DER_BYTES_MAX, &r));
	TRY(der_read(&r, DER_SEQUENCE, X509_DER_BYTES_MAX, &d));
	csr->info = d.whole;
	TRY(info_read(d.content, csr));
	TRY(der_read(&r, DER_SEQUENCE, 64, &d));
	csr->alg = d.whole;
	TRY(der_read_bits(&r, CRYPTO_SIG_BYTES_MAX, &csr->signature));
	return rd_end(&r);
}

static err_t csr_verify(str_t der, crypto_pub_t *out_pub)
{
	crypto_pub_t pub;
	csr_t csr;

	TRY(csr_read(der, &csr));
	const x509_alg_t *alg = x509_alg_by_der(csr.alg);
	ENSURE(alg, ERR_ALGORITHM);
	TRY(crypto_pub_from_spki(csr.spki, &pub)); /* sizes are looked at here, before the signature */
	ENSURE(x509_kind_ok(pub.kind) && (pub.kind == CRYPTO_KEY_RSA) == alg->rsa, ERR_ALGORITHM);
	TRY(crypto_verify_x509(&pub, alg->hash_bits, csr.info, csr.signature));
	*out_pub = pub;
	return OK;
}

MUST err_t x509_csr_verify(str_t der, crypto_pub_t *out_pub)
{
	err_t e = csr_verify(der, out_pub);

	return e == OK || err_info(e)->cls == CLASS_INTERNAL ? e : ERR_CSR;
}

MUST err_t x509_csr_make(arena_t *a, const crypto_key_t *key, str_t *out_der)
{
	const x509_alg_t *alg = x509_alg_for(x509_alg_of_key(crypto_key_pub(key)->kind));
	AUTO(buf_done) buf_t b;
	uint8_t sig[CRYPTO_SIG_BYTES_MAX];
	size_t sig_n = 0;
	str_t spki;

	buf_init(&b, X509_DER_BYTES_MAX);
	ENSURE(alg, ERR_KEY);
	TRY(crypto_pub_to_spki(a, crypto_key_pub(key), &spki));
	size_t request = der_open(&b, DER_SEQUENCE);
	size_t info = der_open(&b, DER_SEQUENCE);
	der_add_unsigned(&b, str_bytes("", 1)); /* version 0 */
	der_add(&b, DER_SEQUENCE, STR_NULL); /* the authority gives names, not the one who asks */
	buf_add(&b, spki);
	der_add(&b, DER_CONTEXT_CONSTRUCTED + 0, STR_NULL);
	der_close(&b, info);
	TRY(buf_err(&b));
	str_t signed_part = str_sub(buf_str(&b), request, b.n);
	TRY(crypto_key_sign_as(key, alg->alg, signed_part, sig, &sig_n));
	buf_add(&b, alg->der);
	TRY(x509_signature_add(&b, alg->alg, str_bytes(sig, sig_n)));
	der_close(&b, request);
	TRY(buf_err(&b));
	*out_der = arena_str(a, buf_str(&b));
	return OK;
}
