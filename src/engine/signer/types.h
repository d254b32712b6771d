/* types.h: the words both halves share; comes with client.h and signer_int.h. */
#ifndef ATTORN_SIGNER_TYPES_H
#define ATTORN_SIGNER_TYPES_H

#include "engine/signer/limits.h"
#include "pure/base/base.h"
#include "pure/crypto/crypto.h"

/* What a key is for. Each kind signs only what has the form of its kind. */
typedef enum {
	SIGNER_X509 = 1, /* a TBSCertificate; P-256. The signature is r||s: X.509 wants it as DER */
	SIGNER_JWT, /* the signing input of a JWT-SVID; P-256 */
	SIGNER_TOKEN, /* the signing input of an access token; Ed25519 */
	SIGNER_LEDGER, /* the text of a checkpoint; Ed25519 */
	SIGNER_KIND_COUNT_,
} signer_kind_t;
const char *signer_kind_name(signer_kind_t kind); /* "x509" */

typedef struct {
	uint64_t number;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* SHA-256 of what was signed */
} signer_entry_t;

typedef enum { SIGNER_KEK_CREDENTIAL = 1, SIGNER_KEK_PASSPHRASE, SIGNER_KEK_FILE } signer_kek_t;
const char *signer_kek_name(signer_kek_t source); /* "credential" */

/* The chain of a list, pure: it begins with SHA-256("attorn-list/1" 00 kid); each entry makes
 * h' = SHA-256(h || number, big-endian || digest). */
void signer_chain_begin(str_t kid, uint8_t digest[CRYPTO_SHA256_BYTES]);
void signer_chain_add(uint8_t digest[CRYPTO_SHA256_BYTES], const signer_entry_t *entry);

#endif
