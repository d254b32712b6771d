/* limits.h: the bounds of codec, each with its reason. */
#ifndef ATTORN_CODEC_LIMITS_H
#define ATTORN_CODEC_LIMITS_H

enum {
	JSON_DEPTH_DEFAULT = 64, /* mcp.md G5: no honest message nests deeper */
	JSON_DEPTH_CAP = 256, /* what a caller may ask for; sizes the parser's stack */
	JSON_BYTES_DEFAULT = 4 << 20, /* mcp.md G5 */
	JSON_BYTES_CAP = 64 << 20, /* positions are 32 bits wide */
	JSON_NODES_DEFAULT = 1 << 16, /* 48 bytes each: 3 MiB for the busiest document */
	JSON_NODES_CAP = 1 << 22,
	JSON_NUMBER_BYTES_MAX = 128, /* a lexeme we are willing to convert; longer ones only pass as bytes */
	JSON_PAIRWISE_KEYS = 12, /* up to here comparing each with each beats sorting */
	JCS_S_BYTES_MAX = 16 << 10, /* ledger.md 11.1 */
	JCS_S_DEPTH_MAX = 16, /* ledger.md 11.1 */
	JCS_S_KEY_BYTES_MAX = 64, /* ledger.md 11.1 */
	TEXT_ENC_BYTES_MAX = 24 << 10, /* what the str_t-returning encoders take: their output is small */
	PEM_LABEL_BYTES_MAX = 64, /* the longest registered label has 31 */
	URL_BYTES_MAX = 8 << 10, /* a common request-line limit */
	URL_HOST_BYTES_MAX = 253, /* RFC 1035: a name in text form */
	PATH_BYTES_MAX = 4096, /* PATH_MAX of Linux */
	FORM_BYTES_MAX = 1 << 20, /* a form with a warrant in it is far below */
	FORM_PAIRS_CAP = 1024,
};

#endif
