/* limits.h: what x509 accepts at most, each with its reason; all hold before any signature is checked. */
#ifndef ATTORN_X509_LIMITS_H
#define ATTORN_X509_LIMITS_H

enum {
	X509_DER_BYTES_MAX = 16 * 1024, /* one certificate or request (spiffe.md 3) */
	X509_CHAIN_MAX = 5, /* certificates of one chain, leaf included (spiffe.md 3) */
	X509_CHAIN_BYTES_MAX = X509_CHAIN_MAX * X509_DER_BYTES_MAX,
	X509_ROOTS_MAX = 32, /* of one trust domain: rotation needs three */
	X509_EXTENSIONS_MAX = 32, /* of one certificate; honest ones have ten */
	X509_SANS_MAX = 64, /* names in one certificate, of any type */
	X509_NAME_BYTES_MAX = 1024, /* a subject or issuer, DER */
	X509_CN_BYTES_MAX = 256,
	X509_SERIAL_BYTES_MAX = 20, /* RFC 5280 4.1.2.2 */
	X509_KEY_ID_BYTES_MAX = 64, /* foreign ones; ours have 20 */
	X509_DNS_NAMES_MAX = 16, /* that we write into one certificate */
	X509_DNS_NAME_BYTES_MAX = 253, /* RFC 1035 2.3.4 */
	X509_URI_BYTES_MAX = 2048, /* SPIFFE-ID 2.3 */
	X509_ATTRIBUTES_BYTES_MAX = 4096, /* of a request: parsed over, never used */
	X509_TBS_BYTES_MAX = 8 * 1024, /* that we write */
};

#endif
