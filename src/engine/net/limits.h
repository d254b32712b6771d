/* limits.h: every bound of net, with its reason. What a caller may set has a default here. */
#ifndef ATTORN_NET_LIMITS_H
#define ATTORN_NET_LIMITS_H

enum {
	/* requests */
	NET_HEAD_BYTES_DEFAULT = 16 << 10, /* request line and headers; two JWTs and a proof need ~6 KiB */
	NET_HEAD_BYTES_MAX = 64 << 10,
	NET_HEADERS_MAX = 64, /* per message, either way; browsers send 25 */
	NET_BODY_BYTES_DEFAULT = 4 << 20, /* mcp.md G5 */
	NET_BODY_BYTES_MAX = 64 << 20,
	NET_CHUNK_OVERHEAD_BYTES_MAX = 1 << 20, /* framing of one chunked body: sizes, extensions, CRLF */
	NET_BODIES_BYTES_DEFAULT = 256 << 20, /* of all requests of a server together; more: 503 */
	NET_PIPELINE_BYTES_MAX = 16 << 10, /* read ahead while a request is served, then reading stops */

	/* connections */
	NET_CONNECTIONS_DEFAULT = 4096, /* per server; the next one is accepted and closed at once */
	NET_CONNECTIONS_MAX = 65536,
	NET_ACCEPT_BACKLOG = 511,
	NET_HEAD_TIMEOUT_MS = 10000, /* first byte of a head to its end: slow-loris */
	NET_BODY_TIMEOUT_MS = 30000, /* end of head to end of body */
	NET_IDLE_TIMEOUT_MS = 60000, /* between requests, and a new connection that says nothing */
	NET_WRITE_TIMEOUT_MS = 30000, /* bytes are pending and the peer takes none */
	NET_LINGER_MS = 1000, /* after a refusal: read and drop, so that the answer survives the close */
	NET_LINGER_BYTES_MAX = 1 << 20,
	NET_SWEEP_MS = 250, /* how exact the time-outs are */

	/* TLS */
	NET_TLS_HANDSHAKE_TIMEOUT_MS = 5000, /* accept to finished: three flights over a bad line */
	NET_TLS_CHAIN_MAX = 5, /* certificates a peer may show, and we (spiffe.md 3) */
	NET_TLS_CERTIFICATE_BYTES_MAX = 16 << 10, /* each, DER */
	NET_TLS_HANDSHAKE_BYTES_MAX = 96 << 10, /* all a peer may say before it is let in: the chain and a hello */
	NET_TLS_RSA_BITS_MIN = 2048, /* of the leaf's key: one signature is verified with it */
	NET_TLS_RSA_BITS_MAX = 4096,
	NET_TLS_EC_BITS_MIN = 256,
	NET_TLS_EC_BITS_MAX = 521,
	NET_TLS_NAME_BYTES_MAX = 2048, /* a SPIFFE ID (SPIFFE-ID 2.3) */
	NET_TLS_MESSAGES_MAX = 8, /* key updates of a peer, and one more for each: */
	NET_TLS_MESSAGE_EVERY_BYTES = 1 << 20, /* AES-GCM wants one in 2^24 records */
	NET_TLS_CIPHER_BYTES_MAX = 256 << 10, /* encrypted in one go before the socket gets it */

	/* replies */
	NET_REPLY_HEADERS_MAX = 64,
	NET_REPLY_BODY_BYTES_MAX = 64 << 20,
	NET_REPLY_PENDING_BYTES_MAX = 8 << 20, /* unsent bytes of a stream; above it: ERR_LIMIT, cut */
	NET_HELD_REPLY_BYTES_MAX = 4 << 10, /* of one turn, gathered into one write; more is not copied */
	NET_REPLY_HIGH_BYTES = 256 << 10, /* a writer should wait for drained above this */
	NET_SSE_IDLE_MS = 10000, /* silence before a keep-alive comment (mcp.md G2: <= 15 s) */

	/* client */
	NET_CALLS_MAX = 1024, /* outbound requests in flight per client; more: ERR_LANE_FULL */
	NET_CALL_HEADERS_MAX = 64,
	NET_URL_BYTES_MAX = 16 << 10,
	NET_CLIENT_POOL_DEFAULT = 64, /* kept connections */
	NET_CLIENT_POOL_AGE_S = 4, /* Node closes at 5 s: never be the one who writes into a closing socket */
	NET_RESPONSE_BYTES_DEFAULT = 4 << 20,
	NET_RESPONSE_BYTES_MAX = 256 << 20,
	NET_RESPONSE_HEAD_BYTES_MAX = 64 << 10,
	NET_CONNECT_TIMEOUT_MS = 5000,
	NET_TOTAL_TIMEOUT_MS = 30000,

	/* pump */
	NET_PUMP_FILTER_BYTES_MAX = 1 << 20, /* what one call of a filter may add */
};

#endif
