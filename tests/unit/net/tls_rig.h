/* tls_rig.h: a TLS server and a TLS client of ours on one loop, with a small world of certificates; and a foreign
 * end: OpenSSL over a blocking socket, for a thread of its own. */
#ifndef ATTORN_TEST_NET_TLS_RIG_H
#define ATTORN_TEST_NET_TLS_RIG_H

#include <openssl/ssl.h>

#include "certs.h"
#include "support.h"

typedef struct {
	cert_t ca, other_ca, server, client, stranger, expired, early;
} world_t;

typedef struct {
	bench_t b;
	net_tls_t *tls; /* of the server */
	net_client_t *client;
	net_tls_t *client_tls;
	arena_t *arena;
	unsigned handled, verified, refused;
	net_tls_peer_t peer; /* of the last request; strings in the arena */
	bool peer_was_set;
	char name[200];
	const char *watch_path; /* whose peer is kept apart */
	net_tls_peer_t watched;
	net_exchange_t *held;
	str_t reply; /* of /big */
} tls_rig_t;

extern world_t world;
void world_make(void);
void world_end(void);

/* `o` and `s` may be NULL: certificates required, defaults. */
void tls_rig_open(tls_rig_t *r, const net_tls_options_t *o, const net_server_options_t *s);
void tls_rig_close(tls_rig_t *r);
err_t tls_verify_by_world(net_tls_chain_t chain, buf_t *name, void *owner); /* owner: tls_rig_t or NULL */
err_t tls_fetch(tls_rig_t *r, const net_request_t *q, net_response_t *out);
err_t tls_get(tls_rig_t *r, const char *path, net_response_t *out);
str_t tls_url(tls_rig_t *r, const char *path);

/* --- the foreign end ------------------------------------------------------------------------------ */

typedef struct {
	const cert_t *cert; /* NULL: shows none */
	const cert_t *more[8]; /* behind it */
	size_t n_more, repeat_last; /* the last of `more` so many times over */
	int max_version; /* 0: TLS 1.3 */
	const char *alpn, *suites, *sigalgs; /* alpn: wire format */
	SSL_SESSION *resume;
	bool tls12_only;
} foreign_t;

typedef struct {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	int alert; /* that came, 0: none */
	unsigned tickets;
} foreign_end_t;

/* Dials and shakes hands; false when that failed, here or there (a TLS 1.3 server refuses after we are done: then
 * the first read tells). */
bool foreign_dial(foreign_end_t *e, uint16_t port, const foreign_t *f);
bool foreign_say(foreign_end_t *e, str_t bytes);
/* Reads until the end or `max` bytes. */
size_t foreign_hear(foreign_end_t *e, char *out, size_t max);
/* GET over it; status or 0. */
int foreign_get(foreign_end_t *e, const char *path);
void foreign_end(foreign_end_t *e);
int foreign_status(uint16_t port, const foreign_t *f, int *out_alert); /* dial, GET, end */

#endif
