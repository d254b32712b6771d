/* limits.h: what jose accepts at most, each with its reason. */
#ifndef ATTORN_JOSE_LIMITS_H
#define ATTORN_JOSE_LIMITS_H

enum {
	JOSE_TEXT_BYTES_MAX = 16 * 1024, /* one compact JWS: more does not fit an HTTP header of ours */
	JOSE_HEADER_BYTES_MAX = 2048, /* decoded; an RSA-4096 jwk with typ and kid is 900 */
	JOSE_PAYLOAD_BYTES_MAX = 12 * 1024, /* decoded */
	JOSE_DEPTH_MAX = 24, /* nested members; act chains end at 16 */
	JOSE_KID_BYTES_MAX = 256,
	JOSE_TYP_BYTES_MAX = 64,
	JOSE_JTI_BYTES_MAX = 128, /* kept in the store for the whole window (oauth P26) */
	JOSE_JTI_BYTES_MIN = 8, /* shorter ones collide by accident */
	JOSE_STRING_BYTES_MAX = 2048, /* iss, sub, aud, nonce */
	JOSE_JWK_BYTES_MAX = 4096, /* one key as text; RSA-4096 private members are refused anyway */
	JOSE_JWKS_BYTES_MAX = 64 * 1024,
	JOSE_JWKS_KEYS_MAX = 32, /* a token without kid tries them all */
	JOSE_KEY_FILE_BYTES_MAX = 8192,
	JOSE_LEEWAY_S_MAX = 60, /* clock skew, applied once (oauth P30) */
	JOSE_FUTURE_S = 30, /* iat may be this far ahead of our clock */
	JOSE_ASSERTION_LIFE_S_MAX = 300, /* client assertions are made for one request */
	JOSE_DPOP_WINDOW_S_MAX = 300, /* the replay memory covers it (oauth P23) */
};

#endif
