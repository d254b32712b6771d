/* wire_tls.c: TLS on a connection of ours: handshake, then the request, then plaintext for wire.c. */
#include "engine/net/wire_int.h"

/* A connection is kept for calls with the same certificate in place: a new one is used from the next call on. */
void wire_tls_request(net_call_t *call, wire_request_t *q, const net_request_t *r)
{
	unsigned long long as = net_tls_generation(r->tls);

	call->tls = net_tls_hold(r->tls);
	q->key = arena_printf(call->arena, "%llu#%.*s", as, STR_ARG(q->key));
	q->binding = arena_str(call->arena, r->on_binding);
}

static void to_wire(void *owner, str_t cipher)
{
	wire_t *w = owner;

	if (!w->closing) {
		wire_write(w, cipher, STR_NULL);
	}
}

void wire_tls_begin(wire_t *w)
{
	w->shaking = true;
	w->tls = tls_end_new(w->call->tls, to_wire, w);
	tls_end_begin(w->tls);
	wire_reading_set(w, true);
}

static void shaken(wire_t *w)
{
	w->shaking = false;
	if (tls_end_state(w->tls) == TLS_OPEN) {
		wire_request_send(w);
	}
}

void wire_tls_read(wire_t *w, str_t cipher)
{
	str_t plain;

	tls_end_give(w->tls, cipher);
	do {
		plain = tls_end_read(w->tls);
		if (w->shaking && tls_end_state(w->tls) != TLS_HANDSHAKE) {
			shaken(w);
		}
		if (plain.n) {
			wire_plain(w, plain);
		}
	} while (plain.n && !w->closing); /* then nothing is read any more */
	tls_state_t state = tls_end_state(w->tls);
	if (!w->closing && (state == TLS_FAILED || state == TLS_PEER_CLOSED)) {
		wire_ended(w, state == TLS_PEER_CLOSED);
	}
}

bool wire_tls_has_binding(const wire_t *w, str_t binding)
{
	const net_tls_peer_t *peer = w->tls ? tls_end_peer(w->tls) : NULL;

	return peer && peer->has_binding && binding.n == sizeof(peer->binding) &&
	       ct_eq(peer->binding, binding.p, binding.n);
}
