/* conn_tls.c: a server connection's TLS: handshake, then plaintext for conn.c and its bytes for the wire. */
#include "engine/net/server_int.h"

static void to_wire(void *owner, str_t cipher)
{
	conn_wire(owner, &cipher, 1);
}

bool conn_tls_begin(conn_t *c)
{
	c->tls = tls_end_new(c->server->o.tls, to_wire, c);
	return c->tls != NULL;
}

/* The handshake is over, well or not. */
static void opened(conn_t *c)
{
	net_server_t *s = c->server;

	if (tls_end_state(c->tls) == TLS_FAILED) {
		s->counts.handshakes_failed++;
		conn_linger(c); /* so that the alert arrives */
		return;
	}
	s->counts.handshakes++;
	c->peer.tls = tls_end_peer(c->tls);
	c->phase = CONN_IDLE;
	c->deadline_ms = server_now_ms(s) + s->o.idle_timeout_ms;
}

/* Why no more plaintext came. */
static void settle(conn_t *c)
{
	switch (tls_end_state(c->tls)) {
	case TLS_FAILED:
		conn_peer_gone(c, true);
		break;
	case TLS_PEER_CLOSED:
		conn_peer_gone(c, false);
		break;
	default:
		break;
	}
}

void conn_tls_read(conn_t *c, str_t cipher)
{
	str_t plain;

	tls_end_give(c->tls, cipher);
	do {
		plain = tls_end_read(c->tls);
		if (c->phase == CONN_HANDSHAKE && tls_end_state(c->tls) != TLS_HANDSHAKE) {
			opened(c);
		}
		if (plain.n) {
			conn_plain(c, plain);
		}
	} while (plain.n && !c->closing && c->phase != CONN_LINGER); /* after either nothing is read */
	if (!c->closing && c->phase != CONN_LINGER) {
		settle(c);
	}
}

bool conn_tls_is_over(const conn_t *c)
{
	const net_tls_peer_t *peer = c->peer.tls;

	return peer && peer->is_verified && (int64_t)loop_unix_s(c->server->loop) > peer->until_unix_s;
}
