/* form.c: the request of the token endpoint, read strictly. */
#include "service/broker/broker_int.h"

static const str_t grant_exchange = STR_INIT("urn:ietf:params:oauth:grant-type:token-exchange");
static const str_t grant_client = STR_INIT("client_credentials");
static const str_t type_grant = STR_INIT("urn:attorn:params:oauth:token-type:grant");
static const str_t type_access = STR_INIT("urn:ietf:params:oauth:token-type:access_token");
static const str_t assertion_jwt = STR_INIT("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
static const str_t assertion_svid = STR_INIT("urn:ietf:params:oauth:client-assertion-type:jwt-spiffe");

/* Parameters that would change the meaning and that we do not serve: refused, never ignored. */
static const str_t refused[] = { STR_INIT("client_secret"), STR_INIT("may_act"), STR_INIT("code"),
	STR_INIT("refresh_token"), STR_INIT("assertion"), STR_INIT("username"), STR_INIT("password") };

static err_t need(const form_t *f, str_t name, size_t max, str_t *out)
{
	TRY(form_want(f, name, max, out));
	ENSURE(out->p && out->n, ERR_MISSING_MEMBER);
	return OK;
}

static err_t client_read(const form_t *f, broker_form_t *q)
{
	str_t type;

	ENSURE(form_want(f, STR("client_assertion_type"), BROKER_VALUE_BYTES_MAX, &type) == OK, ERR_DUPLICATE);
	ENSURE(type.p, ERR_CLIENT);
	q->svid = str_eq(type, assertion_svid);
	ENSURE(q->svid || str_eq(type, assertion_jwt), ERR_CLIENT);
	TRY(form_want(f, STR("client_assertion"), BROKER_ASSERTION_BYTES_MAX, &q->assertion));
	ENSURE(q->assertion.n, ERR_CLIENT);
	return form_want(f, STR("client_id"), BROKER_VALUE_BYTES_MAX, &q->client_id);
}

/* The target: exactly one, by `resource` (RFC 8707) or `audience` (RFC 8693), never both (oauth P34). */
static err_t target_read(const form_t *f, broker_form_t *q)
{
	str_t audience;

	ENSURE(form_want(f, STR("resource"), BROKER_VALUE_BYTES_MAX, &q->resource) == OK, ERR_TARGET);
	ENSURE(form_want(f, STR("audience"), BROKER_VALUE_BYTES_MAX, &audience) == OK, ERR_TARGET);
	ENSURE(!(q->resource.p && audience.p), ERR_TARGET);
	q->resource = q->resource.p ? q->resource : audience;
	ENSURE(q->resource.n, ERR_TARGET);
	return OK;
}

static err_t subject_read(const form_t *f, broker_form_t *q)
{
	str_t type, actor, requested;

	TRY(need(f, STR("subject_token_type"), BROKER_VALUE_BYTES_MAX, &type));
	TRY(need(f, STR("subject_token"), BROKER_TOKEN_BYTES_MAX, &q->subject_token));
	TRY(form_want(f, STR("actor_token"), BROKER_TOKEN_BYTES_MAX, &actor));
	ENSURE(!actor.p, ERR_VALUE); /* the authenticated client is the actor (oauth.md 6 step 5) */
	TRY(form_want(f, STR("requested_token_type"), BROKER_VALUE_BYTES_MAX, &requested));
	ENSURE(!requested.p || str_eq(requested, type_access), ERR_VALUE);
	if (str_eq(type, type_grant)) {
		q->ask = ASK_DELEGATED;
		return OK;
	}
	ENSURE(str_eq(type, type_access), ERR_VALUE);
	q->ask = ASK_CAPABILITY;
	return OK;
}

static err_t ask_read(const form_t *f, broker_form_t *q)
{
	str_t type;

	TRY(need(f, STR("grant_type"), BROKER_VALUE_BYTES_MAX, &type));
	if (str_eq(type, grant_client)) {
		q->ask = ASK_AUTONOMOUS;
		return OK;
	}
	ENSURE(str_eq(type, grant_exchange), ERR_GRANT_TYPE);
	return subject_read(f, q);
}

err_t broker_form_read(arena_t *a, const net_exchange_t *x, broker_form_t *out)
{
	broker_form_t q = { 0 };
	form_t f;
	str_t type, value;

	ENSURE(str_eq(net_method(x), STR("POST")), ERR_METHOD);
	ENSURE(net_header(x, STR("Content-Type"), &type) == OK, ERR_CONTENT_TYPE);
	ENSURE(net_content_type_is(type, STR("application/x-www-form-urlencoded")), ERR_CONTENT_TYPE);
	ENSURE(net_query(x).n == 0, ERR_VALUE); /* nothing of a token request travels in a URL */
	TRY(form_parse(a, net_body(x), BROKER_FORM_PAIRS_MAX, &f));
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		TRY(form_want(&f, refused[i], BROKER_VALUE_BYTES_MAX, &value));
		ENSURE(!value.p, ERR_VALUE);
	}
	TRY(client_read(&f, &q));
	TRY(ask_read(&f, &q));
	TRY(target_read(&f, &q));
	TRY(form_want(&f, STR("scope"), BROKER_VALUE_BYTES_MAX, &q.scope));
	TRY(form_want(&f, STR("authorization_details"), BROKER_DETAILS_BYTES_MAX, &q.details));
	ENSURE((q.ask == ASK_CAPABILITY) == (q.details.p != NULL), ERR_DETAILS);
	*out = q;
	return OK;
}
