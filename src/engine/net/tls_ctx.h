/* tls_ctx.h: what tls.c and tls_end.c share. */
#ifndef ATTORN_NET_TLS_CTX_H
#define ATTORN_NET_TLS_CTX_H

#include <openssl/ssl.h>

#include "engine/net/tls_int.h"

struct net_tls {
	unsigned holds;
	net_tls_options_t o;
	SSL_CTX *ctx;
	bool has_certificate;
	uint64_t generation;
	/* scratch of all ends: used up before a call returns, or borrowed as tls_end_read says */
	buf_t cipher;
	char plain[SSL3_RT_MAX_PLAIN_LENGTH];
};

/* Of the peer of one end, written while its handshake runs; SSL_get_app_data. */
typedef struct {
	bool is_verified;
	buf_t name;
} tls_verdict_t;

uint64_t net_tls_generation_next(void);

#endif
