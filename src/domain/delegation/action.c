/* action.c: calls made canonical, and their digests (reference ledger 11.3, docs/digests.md). */
#include "domain/delegation/int.h"

enum { ACTION_BYTES_MAX = JCS_S_BYTES_MAX };

static const str_t digest_prefix = STR_INIT("sha-256:");

static void digest_text_add(buf_t *b, const uint8_t digest[32])
{
	buf_add(b, digest_prefix);
	hex_add(b, str_bytes(digest, DELEGATION_DIGEST_BYTES));
}

str_t delegation_digest_text(arena_t *a, const uint8_t digest[32])
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, DELEGATION_DIGEST_TEXT_BYTES);
	digest_text_add(&b, digest);
	return arena_str(a, buf_str(&b));
}

err_t delegation_digest_parse(str_t text, uint8_t out[32])
{
	ENSURE(text.n == DELEGATION_DIGEST_TEXT_BYTES && str_starts(text, digest_prefix), ERR_VALUE);
	ENSURE(hex_dec_exact(str_sub(text, digest_prefix.n, text.n), out, DELEGATION_DIGEST_BYTES) == OK,
		ERR_VALUE);
	return OK;
}

void delegation_body_digest(str_t body, uint8_t out[32])
{
	crypto_sha256_label(STR("attorn-args/1"), body, out);
}

err_t delegation_action_digest(str_t actor, str_t aud, str_t op, str_t target,
	const uint8_t args_digest[32], uint8_t out[32])
{
	AUTO(buf_done) buf_t b, hex;
	jw_t w;

	buf_init(&b, ACTION_BYTES_MAX);
	buf_init(&hex, DELEGATION_DIGEST_TEXT_BYTES);
	digest_text_add(&hex, args_digest);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "actor", actor);
	jw_kstr(&w, "args_digest", buf_str(&hex));
	jw_kstr(&w, "aud", aud);
	jw_kstr(&w, "op", op);
	jw_kstr(&w, "target", target);
	jw_end(&w);
	TRY(jw_finish(&w));
	crypto_sha256_label(STR("attorn-action/1"), buf_str(&b), out);
	return OK;
}

static err_t tool_check(str_t tool)
{
	ENSURE(tool.n <= DELEGATION_TOOL_BYTES_MAX && str_is_visible(tool), ERR_TOOL);
	return OK;
}

static err_t finish(delegation_call_t *c, delegation_call_t *out)
{
	TRY(delegation_action_digest(c->actor, c->aud, c->op, c->target, c->args_digest, c->digest));
	*out = *c;
	return OK;
}

err_t delegation_call_mcp(arena_t *a, str_t actor, str_t aud, str_t tool, const json_t *args,
	delegation_call_t *out)
{
	delegation_call_t c = { .type = DELEGATION_MCP_TOOL_CALL,
		.actor = actor,
		.aud = aud,
		.op = STR("tools/call"),
		.target = tool,
		.args = args };
	str_t canonical = STR("{}");

	TRY(tool_check(tool));
	ENSURE(args == NULL || json_kind(args) == JSON_OBJECT, ERR_VALUE);
	if (args) {
		TRY(jcs_write(a, args, &canonical));
	}
	crypto_sha256_label(STR("attorn-args/1"), canonical, c.args_digest);
	return finish(&c, out);
}

err_t delegation_call_http(str_t actor, str_t aud, str_t method, str_t target, str_t body,
	const json_t *json, delegation_call_t *out)
{
	delegation_call_t c = { .type = DELEGATION_HTTP_REQUEST,
		.actor = actor,
		.aud = aud,
		.op = method,
		.target = target,
		.args = json,
		.is_opaque = json == NULL && body.n > 0 };

	TRY(delegation_method_check(method));
	TRY(delegation_target_check(target));
	CHECK(json == NULL || body.n > 0);
	delegation_body_digest(body, c.args_digest);
	return finish(&c, out);
}
