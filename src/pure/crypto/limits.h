/* limits.h: what crypto accepts at most, each with its reason. */
#ifndef ATTORN_CRYPTO_LIMITS_H
#define ATTORN_CRYPTO_LIMITS_H

enum {
	CRYPTO_RSA_BITS_MIN = 2048, /* oauth P77, NIST SP 800-131A */
	CRYPTO_RSA_BITS_MAX = 4096, /* a verify stays below 0.2 ms */
	CRYPTO_RSA_BYTES_MAX = CRYPTO_RSA_BITS_MAX / 8,
	CRYPTO_PUB_BYTES_MAX = CRYPTO_RSA_BYTES_MAX,
	CRYPTO_SIG_BYTES_MAX = CRYPTO_RSA_BYTES_MAX,
	CRYPTO_SIGN_BYTES_MAX = 64, /* Ed25519 and ES256, all that agents and tokens sign with */
	CRYPTO_DER_BYTES_MAX = 2048, /* an RSA-4096 SPKI is 550 bytes */
	CRYPTO_PKCS8_BYTES_MAX = 2560, /* RSA-4096: 2376 */
	CRYPTO_P256_PKCS8_BYTES = 138,
	CRYPTO_MESSAGE_BYTES_MAX = 16 << 20, /* nothing larger is signed or sealed in one piece */

	/* password sealing: what we write, and what we agree to spend on a file we are handed */
	CRYPTO_PW_OPS = 3,
	CRYPTO_PW_MEM_KIB = 64 * 1024, /* about 0.15 s on one core */
	CRYPTO_PW_OPS_MAX = 10,
	CRYPTO_PW_MEM_KIB_MAX = 1024 * 1024,
	CRYPTO_PW_PASSPHRASE_BYTES_MAX = 1024,
	CRYPTO_PW_PLAIN_BYTES_MAX = 64 * 1024,
};

#endif
