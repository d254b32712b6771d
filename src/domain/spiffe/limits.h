/* limits.h: what domain/spiffe accepts at most, each with its reason. */
#ifndef ATTORN_SPIFFE_LIMITS_H
#define ATTORN_SPIFFE_LIMITS_H

enum {
	SPIFFE_ID_BYTES_MAX = 2048, /* SPIFFE-ID 2.3: must be accepted, longer must not be made */
	SPIFFE_TD_BYTES_MAX = 255, /* SPIFFE-ID 2.1 */
	SPIFFE_SELECTOR_BYTES_MAX = 1024, /* a path of 512 bytes with its prefix, and room */
	SPIFFE_SELECTORS_MAX = 64, /* of one entry; people read them */
	SPIFFE_FACTS_MAX = 512, /* selectors of one caller: 300 supplementary groups exist */
	SPIFFE_TEMPLATE_PARTS_MAX = 16, /* placeholders in one template */
	SPIFFE_ENTRY_ID_BYTES_MAX = 63,
	SPIFFE_HINT_BYTES_MAX = 1024, /* Workload API */
	SPIFFE_ENTRIES_MAX = 16, /* of one agent (docs/identity.md 3) */
	SPIFFE_FEDERATES_MAX = 16,
	SPIFFE_DNS_NAMES_MAX = 16,
	SPIFFE_TTL_S_MIN = 5, /* so that rotation can be watched */
	SPIFFE_X509_TTL_S_DEFAULT = 900,
	SPIFFE_JWT_TTL_S_DEFAULT = 300,
	SPIFFE_TTL_S_MAX = 24 * 3600, /* a CA lives no longer */
	SPIFFE_BACKDATE_S = 10, /* notBefore = now - 10 s (spiffe.md 3) */
	SPIFFE_AUDIENCES_MAX = 16,
	SPIFFE_AUDIENCE_BYTES_MAX = 1024,
	SPIFFE_LEEWAY_S_MAX = 10, /* JWT-SVID clock skew, applied once */
	SPIFFE_BUNDLE_BYTES_MAX = 256 * 1024, /* 64 keys with RSA-4096 certificates */
	SPIFFE_BUNDLE_KEYS_MAX = 64, /* of which JOSE_JWKS_KEYS_MAX for JWTs and X509_ROOTS_MAX certificates */
	SPIFFE_BUNDLE_MAP_BYTES_MAX = 4 << 20,
	SPIFFE_BUNDLES_MAX = 64, /* trust domains of one authority */
	SPIFFE_HINT_S_MIN = 60, /* refresh hints are clamped to 1 min..24 h (spiffe.md 6) */
	SPIFFE_HINT_S_MAX = 24 * 3600,
	SPIFFE_HINT_S_DEFAULT = 300,
	SPIFFE_CA_KEYS_MAX = 16, /* of one kind, all states */
	SPIFFE_CA_LIFE_S = 24 * 3600,
	SPIFFE_CA_EXPIRED_STAYS_S = 24 * 3600,
	SPIFFE_CA_PREPARE_AHEAD_S_MAX = 30 * 24 * 3600, /* spiffe.md 16 */
	SPIFFE_CA_ACTIVATE_AHEAD_S_MAX = 7 * 24 * 3600,
};

#endif
