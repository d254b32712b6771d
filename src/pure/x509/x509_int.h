/* x509_int.h: what the files of this room share: DER read and written (X.690 10), OpenSSL's types. */
#ifndef ATTORN_X509_INT_H
#define ATTORN_X509_INT_H

#include "pure/x509/x509.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_UTF8 = 0x0c,
	DER_UTC_TIME = 0x17,
	DER_GENERAL_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0x80, /* [n] primitive: DER_CONTEXT + n */
	DER_CONTEXT_CONSTRUCTED = 0xa0, /* [n] constructed */
	DER_ANY = 0,
};

/* --- reading: one element at a time, definite and shortest lengths only, at most max bytes of content.
 * ERR_SYNTAX, ERR_LIMIT; nothing is consumed on failure. */
typedef struct {
	uint8_t tag;
	str_t content;
	str_t whole; /* tag and length included */
} der_t;
MUST err_t der_read(rd_t *r, uint8_t tag, size_t max, der_t *out);
/* Opens the content of an element that must be the only one in `bytes`. */
MUST err_t der_only(str_t bytes, uint8_t tag, size_t max, rd_t *out_inside);
/* A positive INTEGER in shortest form; no leading zero byte in out. */
MUST err_t der_read_unsigned(rd_t *r, size_t max, str_t *out);
/* The bytes of a BIT STRING without unused bits. */
MUST err_t der_read_bits(rd_t *r, size_t max, str_t *out);

/* --- writing into a buf_t, which remembers an overflow: open, content, close. */
size_t der_open(buf_t *b, uint8_t tag);
void der_close(buf_t *b, size_t mark);
void der_add(buf_t *b, uint8_t tag, str_t content);
void der_add_unsigned(buf_t *b, str_t big_endian); /* leading zeros are dropped, a sign byte added */
void der_add_bits(buf_t *b, str_t bytes);

/* --- algorithms that sign requests and certificates */
typedef struct {
	crypto_alg_t alg; /* what we sign with under this identifier; NONE: only read */
	bool rsa;
	int hash_bits;
	str_t der; /* AlgorithmIdentifier */
} x509_alg_t;
const x509_alg_t *x509_alg_by_der(str_t der); /* NULL: not accepted */
const x509_alg_t *x509_alg_for(crypto_alg_t alg); /* NULL: we do not sign with it */
/* ES256: r||s to DER; RSA: as it is. ERR_SIGNATURE for a wrong length. */
MUST err_t x509_signature_add(buf_t *b, crypto_alg_t alg, str_t signature);
/* What our keys sign certificates and requests with; CRYPTO_ALG_NONE for other kinds. */
crypto_alg_t x509_alg_of_key(crypto_kind_t kind);

bool x509_kind_ok(crypto_kind_t kind); /* RSA and the three curves */
void x509_name_cn(buf_t *b, str_t cn); /* a Name of one CN */

#endif
