/* limits.h: named bounds of signer, with reasons. */
#ifndef ATTORN_SIGNER_LIMITS_H
#define ATTORN_SIGNER_LIMITS_H

enum {
	SIGNER_DATAGRAM_BYTES_MAX = 64 << 10, /* one read, one write of the socket */
	SIGNER_FRAMES_MAX = 64, /* requests in one datagram: what one write of a list answers for */
	SIGNER_MESSAGE_BYTES_MAX = 16 << 10, /* a token's signing input is 2 KiB, a certificate less */
	SIGNER_DATAGRAMS_AT_ONCE = 8, /* read by one call: 512 KiB of buffers */

	SIGNER_KID_BYTES = 43, /* RFC 7638 thumbprint, base64url */
	SIGNER_SIGNATURE_BYTES = 64, /* Ed25519; ES256 as r||s */
	SIGNER_SPKI_BYTES_MAX = 160, /* P-256: 91 */
	SIGNER_KEYS_USABLE_MAX = 32, /* a few of each kind while they rotate */
	SIGNER_KEYS_MAX = 4096, /* with those that were dropped: a CA a day for eleven years */
	SIGNER_KEY_FILE_BYTES_MAX = 1024,

	SIGNER_NUMBER_WINDOW = 4096, /* numbers may arrive out of order by so many: more lanes than one sign */
	SIGNER_LIST_PAGE = 1024, /* entries in one answer: 40 KiB */
	SIGNER_LIST_RESERVE_BYTES = 256 << 10, /* set aside ahead of need: heads are signed on a full disk too */

	SIGNER_PENDING_MAX = 4096, /* requests a client has in flight */
	SIGNER_BACKLOG_BYTES_MAX = 4 << 20, /* requests a client holds while the socket is full */
	SIGNER_LOCK_WAIT_MS = 3000, /* one that was killed a moment ago may still be dying */
	SIGNER_KEK_BYTES = 32,
	SIGNER_PASSPHRASE_BYTES_MAX = 1024,
};

/* The largest number of a signature: records are JSON, whose integers end there (RFC 8785 3.2.2.3). */
#define SIGNER_NUMBER_MAX ((uint64_t)9007199254740991)

#endif
