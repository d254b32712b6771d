/* exchange.c: POST /oauth/token, told in order (oauth.md 6). A grant or a token goes in, a narrower
 * token of ours comes out; the record is durable before the token exists. */
#include "service/broker/exchange_int.h"

static err_t exchange_parse(flow_t *f); /* form -> request */
static err_t exchange_proof(flow_t *f); /* DPoP: the key of this request, over our nonce; the agent it claims */
static err_t exchange_keys(flow_t *f); /* waits: the agent's registered keys */
static err_t exchange_client(flow_t *f); /* the assertion: who asks */
static err_t exchange_subject(flow_t *f); /* the token that is exchanged, and its key */
static err_t exchange_grant(flow_t *f); /* waits: the grant chain, as it stands */
static err_t exchange_bounds(flow_t *f); /* requested, grant, agent, user: the narrowest */
static err_t exchange_decide(flow_t *f); /* pure: the operator's rules */
static err_t exchange_record(flow_t *f); /* waits: jtis spent, signature numbered, record durable */
static err_t exchange_again(flow_t *f); /* waits, if the rules changed meanwhile: then all of it on newer ones */
static err_t exchange_renew(flow_t *f);
static err_t exchange_mint(flow_t *f); /* waits: only now a signature */
static err_t exchange_reply(flow_t *f);
static err_t exchange_refuse(flow_t *f); /* a known client's refusal goes on record first */

static const flow_step_t exchange_steps[] = {
	{ "parse", exchange_parse },
	{ "proof", exchange_proof },
	{ "keys", exchange_keys },
	{ "client", exchange_client },
	{ "subject", exchange_subject },
	{ "grant", exchange_grant },
	{ "bounds", exchange_bounds },
	{ "decide", exchange_decide },
	{ "record", exchange_record },
	{ "again", exchange_again },
	{ "renew", exchange_renew },
	{ "mint", exchange_mint },
	{ "reply", exchange_reply },
	{ "refuse", exchange_refuse, .sees_failure = true },
};

static void exchange_finish(flow_t *f, err_t result);

static const flow_table_t exchange_table = FLOW_TABLE("exchange", exchange_steps, exchange_finish);

static err_t exchange_parse(flow_t *f)
{
	exchange_t *e = f->state;

	return broker_form_read(f->arena, e->x, &e->form);
}

static err_t exchange_proof(flow_t *f)
{
	exchange_t *e = f->state;

	TRY(broker_proof(e->b, f->arena, e->x, e->b->token_url, e->now_s, &e->proof));
	if (e->form.svid) {
		TRY(broker_svid_check(e->b, f->arena, e->view, &e->form, e->now_s, &e->client));
		return flow_skip_to(f, "client");
	}
	/* not before: whoever has no nonce yet is told the same whether the agent exists or not */
	return broker_client_find(f->arena, e->view, e->form.assertion, e->form.client_id, &e->keys_of);
}

static err_t exchange_keys(flow_t *f)
{
	exchange_t *e = f->state;

	if (!e->keys_read && snapshot_agent_has_key(e->keys_of, e->proof.jkt)) {
		/* the proof brought one itself: its thumbprint is registered, and the fence in the
		 * record's transaction holds that the snapshot is today's */
		e->keys = (broker_keys_t){ .keys = &e->proof.pub, .n_keys = 1 };
		return OK;
	}
	e->keys_read = true;
	e->keys = (broker_keys_t){ .a = f->arena, .agent = e->keys_of->id };
	return flow_wait(f, store_read_op(f->arena, e->b->deps.read, e->b->deps.store, broker_keys_closure, &e->keys));
}

static err_t exchange_client(flow_t *f)
{
	exchange_t *e = f->state;

	err_t err = e->form.svid ? OK : broker_client_check(e->b, f->arena, e->form.assertion, e->keys_of, &e->keys,
		e->now_s, &e->client);
	if (err == ERR_CLIENT && !e->keys_read) {
		e->keys_read = true; /* signed by another of its keys, then */
		return flow_skip_to(f, "keys");
	}
	TRY(err);
	e->known = true;
	flow_note(f, kv_s("agent", e->client.agent->name));
	ENSURE(e->client.agent->state == SNAPSHOT_ACTIVE, ERR_AGENT_STATE);
	/* client and holder of the proof's key are one (oauth P2): a key retired ends what is bound to it */
	ENSURE(e->form.svid || snapshot_agent_has_key(e->client.agent, e->proof.jkt), ERR_PROOF);
	bool autonomous = e->client.agent->kind == DELEGATION_AGENT_AUTONOMOUS;
	ENSURE(e->form.ask != ASK_AUTONOMOUS || autonomous, ERR_GRANT_TYPE_CLIENT);
	ENSURE(e->form.ask != ASK_DELEGATED || !autonomous, ERR_GRANT_TYPE_CLIENT);
	return OK;
}

static err_t subject_verify(arena_t *a, exchange_t *e)
{
	const snapshot_token_expect_t expect = { .issuer = e->b->deps.issuer, .now_unix_s = e->now_s,
		.leeway_s = BROKER_LEEWAY_S };
	uint8_t hash[CRYPTO_SHA256_BYTES];

	err_t err = snapshot_token_verify(e->b->tokens, a, e->view->snapshot, e->form.subject_token, &expect, hash,
		&e->parent, NULL);
	return err == OK ? OK : ERR_TOKEN;
}

static err_t exchange_subject(flow_t *f)
{
	exchange_t *e = f->state;

	e->route = snapshot_route_by_url(e->view->snapshot, e->form.resource);
	ENSURE(e->route, ERR_TARGET);
	if (e->form.ask == ASK_AUTONOMOUS) {
		return flow_skip_to(f, "bounds");
	}
	if (e->form.ask == ASK_DELEGATED) {
		ENSURE(ulid_is(e->form.subject_token), ERR_GRANT);
		e->grant = e->form.subject_token;
		return OK;
	}
	TRY(subject_verify(f->arena, e));
	TRY(exchange_continuation_check(e));
	e->grant = e->parent.grant;
	return e->parent.grant.n ? OK : flow_skip_to(f, "bounds");
}

static err_t exchange_grant(flow_t *f)
{
	exchange_t *e = f->state;

	e->chain = broker_chain_find(e->b, e->grant);
	if (e->chain) {
		return OK;
	}
	e->chain = broker_chain_new(e->grant);
	return flow_wait(f, store_read_op(f->arena, e->b->deps.read, e->b->deps.store, exchange_chain_closure, e->chain));
}

static err_t exchange_bounds(flow_t *f)
{
	exchange_t *e = f->state;

	TRY(exchange_tie_check(e));
	if (e->chain) {
		broker_chain_keep(e->b, e->chain);
	}
	TRY(e->form.ask == ASK_DELEGATED    ? exchange_claims_delegated(f->arena, e)
	    : e->form.ask == ASK_CAPABILITY ? exchange_claims_capability(f->arena, e)
					    : exchange_claims_autonomous(f->arena, e));
	return exchange_claims_finish(f->arena, e);
}

static err_t exchange_decide(flow_t *f)
{
	exchange_t *e = f->state;

	exchange_policy_ask(f->arena, e);
	ENSURE(e->decision.verdict == POLICY_PERMIT, ERR_DENIED);
	return OK;
}

static err_t exchange_record(flow_t *f)
{
	exchange_t *e = f->state;

	POINT("authority.exchange.before_record");
	e->write.a = f->arena;
	return flow_wait(f, store_write_op(f->arena, e->b->deps.write, exchange_record_closure, e, false));
}

static err_t exchange_again(flow_t *f)
{
	exchange_t *e = f->state;

	if (!e->write.stale) {
		return flow_skip_to(f, "mint");
	}
	ENSURE(e->tries++ < BROKER_TRIES_MAX, ERR_FENCE);
	return flow_wait(f, feed_refresh(f->arena, e->b->deps.feed));
}

/* Nothing was spent or written. What points into the old view goes with it; the agent may have ended. */
static err_t exchange_renew(flow_t *f)
{
	exchange_t *e = f->state;
	exchange_t fresh = { .b = e->b, .x = e->x, .now_us = e->now_us, .now_s = e->now_s, .form = e->form, .tries = e->tries };

	broker_chain_unref(e->chain);
	feed_view_unref(e->view);
	fresh.view = feed_pin(e->b->deps.feed);
	*e = fresh;
	return flow_skip_to(f, "proof");
}

static err_t exchange_mint(flow_t *f)
{
	exchange_t *e = f->state;
	const broker_deps_t *d = &e->b->deps;

	ENSURE(e->decision.verdict == POLICY_PERMIT && e->write.done, ERR_INTERNAL); /* on record by now */
	POINT("authority.exchange.after_record");
	d->appended(d->owner);
	return flow_wait(f, signer_sign_op(f->arena, d->signer, d->token_kid, (uint64_t)e->write.sign_n, e->input,
		e->signature));
}

static err_t exchange_reply(flow_t *f)
{
	exchange_t *e = f->state;

	POINT("authority.exchange.after_mint");
	TRY(jose_jws_seal(f->arena, e->input, str_bytes(e->signature, sizeof(e->signature)), &e->token));
	TRY(exchange_answer_write(f->arena, e));
	e->answered = true;
	broker_reply_json(e->b, e->x, 200, e->answer);
	return flow_done(f);
}

static err_t exchange_refuse(flow_t *f)
{
	exchange_t *e = f->state;
	err_t why = flow_result(f);

	if (why == OK || e->write.done || !exchange_is_recorded(e, why)) {
		return flow_done(f);
	}
	e->refused = why;
	e->write.a = f->arena;
	e->refusal = store_write_op(f->arena, e->b->deps.write, exchange_refusal_closure, e, true);
	return flow_wait(f, e->refusal);
}

/* Answers what was not answered; a refusal that could not be recorded is answered as that. Which word tells
 * of a tool that is there but out of reach must not differ from that for no tool at all (mcp.md 7). */
static err_t exchange_answer(const exchange_t *e, err_t result)
{
	ENSURE(!e->refusal || op_result(e->refusal) == OK, ERR_LEDGER);
	if (e->form.ask == ASK_CAPABILITY && result == ERR_SCOPE) {
		return ERR_DETAILS;
	}
	return result == OK ? ERR_INTERNAL : result;
}

static void exchange_finish(flow_t *f, err_t result)
{
	exchange_t *e = f->state;

	if (!e->answered) {
		broker_reply_error(e->b, e->x, exchange_answer(e, result));
	}
	if (e->write.done) {
		e->b->deps.appended(e->b->deps.owner);
	}
	if (result != OK && e->chain) {
		broker_chain_forget(e->b, e->grant); /* ended, perhaps: the next one reads it again */
	}
	broker_chain_unref(e->chain);
	feed_view_unref(e->view);
}

void broker_exchange_handle(broker_t *b, net_exchange_t *x)
{
	arena_t *a = arena_open();
	exchange_t *e = arena_new(a, exchange_t);
	flow_id_t id;

	e->b = b;
	e->x = x;
	e->view = feed_pin(b->deps.feed);
	e->now_us = (int64_t)loop_unix_us(b->deps.loop);
	e->now_s = e->now_us / 1000000;
	err_t err = flow_start(b->deps.loop, &exchange_table, a, e, loop_in_ms(b->deps.loop, BROKER_DEADLINE_MS), &id);
	if (err != OK) {
		broker_reply_error(b, x, err);
		feed_view_unref(e->view);
		arena_free(a);
	}
}
