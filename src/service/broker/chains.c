/* chains.c: grant chains read before. A grant's document, agent, user and times are final once it is
 * signed, so they are read and parsed once; its end and its uses are not here: the transaction that
 * records a token asks them anew (record.c). The loop's alone. */
#include "service/broker/broker_int.h"

static broker_chain_t **place_of(broker_t *b, str_t id)
{
	uint8_t h[CRYPTO_SHA256_BYTES];

	crypto_sha256(id, h);
	return &b->chains[(h[0] | h[1] << 8) % BROKER_CHAINS_MAX];
}

broker_chain_t *broker_chain_new(str_t id)
{
	broker_chain_t *c = heap_new(broker_chain_t);

	c->a = arena_new_capped(BROKER_CHAIN_BYTES_MAX);
	c->id = arena_str(c->a, id);
	c->refs = 1;
	return c;
}

void broker_chain_unref(broker_chain_t *c)
{
	if (c && --c->refs == 0) {
		arena_free(c->a);
		heap_free(c);
	}
}

broker_chain_t *broker_chain_find(broker_t *b, str_t id)
{
	broker_chain_t *c = *place_of(b, id);

	if (!c || !str_eq(c->id, id)) {
		return NULL;
	}
	c->refs++;
	return c;
}

void broker_chain_keep(broker_t *b, broker_chain_t *c)
{
	broker_chain_t **place = place_of(b, c->id);

	if (*place == c) {
		return;
	}
	broker_chain_unref(*place);
	c->refs++;
	*place = c;
}

void broker_chain_forget(broker_t *b, str_t id)
{
	broker_chain_t **place = place_of(b, id);

	if (*place && str_eq((*place)->id, id)) {
		broker_chain_unref(*place);
		*place = NULL;
	}
}

void broker_chains_done(broker_t *b)
{
	for (size_t i = 0; i < BROKER_CHAINS_MAX; i++) {
		broker_chain_unref(b->chains[i]);
	}
}
