/* limits.h: every bound of grpc, with its reason. */
#ifndef ATTORN_GRPC_LIMITS_H
#define ATTORN_GRPC_LIMITS_H

enum {
	/* connections */
	GRPC_CONNECTIONS_DEFAULT = 4096, /* per server; the next one is closed at once */
	GRPC_CONNECTIONS_PER_UID_DEFAULT = 512, /* one uid must not take them all (spiffe.md 22, A10) */
	GRPC_ACCEPT_BACKLOG = 4096, /* the kernel's own bound; one user's flood must not fill it between two turns */
	GRPC_ACCEPTS_PER_TURN = 64, /* then others get their turn of the loop */
	GRPC_READS_PER_TURN = 4, /* of one connection */
	GRPC_READ_BYTES = 16 << 10, /* one chunk: fewer PINGs than nghttp2's 1000 queued ACKs */
	GRPC_HELLO_MS = 10000, /* from accept to the client's preface and SETTINGS */
	GRPC_PROOF_MS = 2000, /* spiffe.md 13.4 step 6 */
	GRPC_PROOFS_MAX = 4, /* PINGs of ours in flight per connection */
	GRPC_LINGER_MS = 1000, /* for the GOAWAY to a peer that broke the rules */
	GRPC_DRAIN_MS = 1000, /* from the GOAWAY notice to the final one */

	/* floods, per connection: a burst, then so many a second; more is GOAWAY ENHANCE_YOUR_CALM.
	 * gRPC's own bandwidth probes are a PING per message read, keepalive is one per 10 s */
	GRPC_PINGS_BURST = 300,
	GRPC_PINGS_PER_S = 10,
	GRPC_RESETS_BURST = 500, /* RST_STREAM by the peer: each cost us a request */
	GRPC_RESETS_PER_S = 50,
	GRPC_SETTINGS_BURST = 32,
	GRPC_SETTINGS_PER_S = 1,
	GRPC_EMPTY_BURST = 1000, /* DATA without bytes, PRIORITY, unknown frames: nobody needs them */
	GRPC_EMPTY_PER_S = 10,
	GRPC_CONTINUATIONS_MAX = 8, /* per header block; 8 KiB fit into one frame */

	/* requests */
	GRPC_STREAMS_MAX = 100, /* concurrent, per connection */
	GRPC_HEAD_BYTES_MAX = 8 << 10, /* names, values and 32 for each, as RFC 9113 6.5.2 counts */
	GRPC_HEAD_BYTES_ABUSE = 64 << 10, /* of one block: the connection ends */
	GRPC_HEADERS_MAX = 64,
	GRPC_MESSAGE_IN_BYTES_MAX = 64 << 10,
	GRPC_CONN_IN_BYTES_MAX = 256 << 10, /* unfinished requests of one connection */
	GRPC_SERVER_IN_BYTES_MAX = 32 << 20, /* of all connections */
	GRPC_REQUEST_MS = 10000, /* from head to whole message */
	GRPC_TIMEOUT_S_MAX = 366 * 24 * 3600, /* a longer grpc-timeout counts as this */
	GRPC_SERVICES_MAX = 16,
	GRPC_PATH_BYTES_MAX = 256, /* /service/method */

	/* answers */
	GRPC_MESSAGE_OUT_BYTES_MAX = (4 << 20) - 5, /* stock clients refuse more than 4 MiB */
	GRPC_QUEUE_BYTES_MAX = 256 << 10, /* answers of a bidi stream that nobody reads; more ends it */
	GRPC_OUT_HIGH_BYTES = 64 << 10, /* unsent: then neither fill more nor read more */
	GRPC_TEXT_BYTES_MAX = 256, /* of grpc-message, before encoding */
	GRPC_PB_ARENA_BYTES = 1 << 20, /* default for what a 64 KiB message may unfold to */

	/* client */
	GRPC_CLIENT_CONNECT_MS = 5000,
	GRPC_CLIENT_MESSAGE_BYTES_MAX = 4 << 20,
};

#endif
