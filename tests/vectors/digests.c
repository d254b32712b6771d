/* The vectors of docs/digests.md (tests/vectors/digests/vectors.json, computed by generate.py from that
 * page alone) against our code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "domain/delegation/delegation.h"
#include "pure/jose/jose.h"

static arena_t *arena;
static const json_t *all;

static int setup(void **state)
{
	static char text[1 << 16];
	const char *root = getenv("ATTORN_ROOT");
	char path[4096];

	(void)state;
	arena = arena_open();
	snprintf(path, sizeof(path), "%s/tests/vectors/digests/vectors.json", root ? root : ".");
	FILE *f = fopen(path, "rb");
	if (f == NULL || crypto_init() != OK) {
		return -1;
	}
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return json_parse_object(arena, str_bytes(text, n), &all, NULL) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static str_t text_at(const json_t *o, const char *pointer)
{
	str_t s;

	assert_int_equal(json_str(json_pointer(o, str_of(pointer)), &s), OK);
	return s;
}

static str_t bytes_at(const json_t *o, const char *pointer)
{
	str_t s;

	assert_int_equal(b64url_dec(arena, text_at(o, pointer), 4096, &s), OK);
	return s;
}

static void assert_str(str_t got, str_t want)
{
	if (!str_eq(got, want)) {
		fail_msg("got  %.*s\nwant %.*s", STR_ARG(got), STR_ARG(want));
	}
}

static void assert_call(const delegation_call_t *call, const json_t *v)
{
	uint8_t digest[32];

	assert_str(delegation_digest_text(arena, call->digest), text_at(v, "/action/digest"));
	assert_str(b64url_enc(arena, str_bytes(call->digest, 32)), text_at(v, "/action/digest_b64url"));
	assert_int_equal(delegation_digest_parse(text_at(v, "/action/args_digest"), digest), OK);
	assert_memory_equal(digest, call->args_digest, 32);
	crypto_sha256_label(STR("attorn-action/1"), text_at(v, "/action/jcs"), digest);
	assert_memory_equal(digest, call->digest, 32);
	assert_int_equal(delegation_action_digest(call->actor, call->aud, call->op, call->target,
				 call->args_digest, digest),
		OK);
	assert_memory_equal(digest, call->digest, 32);
}

static void mcp_calls(void **state)
{
	size_t n = 0;

	(void)state;
	for (const json_t *v = json_first(json_get(all, STR("mcp"))); v; v = json_next(v)) {
		const json_t *arguments = json_get(v, STR("arguments")), *args = NULL;
		delegation_call_t call;
		if (!json_is_null(arguments)) {
			assert_int_equal(json_parse(arena, text_at(v, "/arguments"), NULL, &args, NULL), OK);
		}
		assert_int_equal(delegation_call_mcp(arena, text_at(v, "/action/actor"),
					 text_at(v, "/action/aud"), text_at(v, "/action/target"), args, &call),
			OK);
		assert_str(delegation_digest_text(arena, call.args_digest), text_at(v, "/args_digest"));
		assert_call(&call, v);
		n++;
	}
	assert_int_equal(n, 8);
	n = 0;
	for (const json_t *v = json_first(json_get(all, STR("mcp_refused"))); v; v = json_next(v)) {
		const json_t *args;
		delegation_call_t call;
		assert_int_equal(json_parse(arena, text_at(v, ""), NULL, &args, NULL), OK);
		assert_int_equal(
			delegation_call_mcp(arena, STR("a"), STR("b"), STR("c"), args, &call), ERR_NUMBER);
		n++;
	}
	assert_int_equal(n, 5);
}

static void http_requests(void **state)
{
	size_t n = 0;

	(void)state;
	for (const json_t *v = json_first(json_get(all, STR("http"))); v; v = json_next(v)) {
		str_t body = bytes_at(v, "/body_b64url");
		delegation_call_t call;
		uint8_t digest[32];
		assert_int_equal(delegation_call_http(text_at(v, "/action/actor"), text_at(v, "/action/aud"),
					 text_at(v, "/action/op"), text_at(v, "/action/target"), body, NULL,
					 &call),
			OK);
		assert_int_equal(call.is_opaque, body.n > 0);
		delegation_body_digest(body, digest);
		assert_memory_equal(digest, call.args_digest, 32);
		assert_str(b64url_enc(arena, str_bytes(digest, 32)), text_at(v, "/body_digest_b64url"));
		assert_call(&call, v);
		n++;
	}
	assert_int_equal(n, 5);
}

static void grant_and_verb(void **state)
{
	str_t document = text_at(all, "/grant/document"), text, sig;
	delegation_grant_t g;
	delegation_verb_t v;
	crypto_pub_t pub;
	uint8_t digest[32];
	AUTO(crypto_key_free) crypto_key_t *key = NULL;

	(void)state;
	assert_int_equal(crypto_pub_ed25519(bytes_at(all, "/key/x"), &pub), OK);
	assert_int_equal(
		crypto_key_from_secret(CRYPTO_KEY_ED25519, bytes_at(all, "/key/seed_b64url"), &key), OK);
	assert_true(crypto_pub_eq(&pub, crypto_key_pub(key)));
	assert_str(jose_jkt(arena, &pub), text_at(all, "/key/jkt"));
	assert_int_equal(delegation_grant_parse(arena, document, &g, NULL), OK);
	assert_int_equal(delegation_grant_render(arena, &g, &text), OK);
	assert_str(text, text_at(all, "/grant/rendered"));
	delegation_grant_digest(document, digest);
	assert_str(delegation_digest_text(arena, digest), text_at(all, "/grant/digest"));
	assert_int_equal(
		delegation_grant_verify(arena, document, &g, &pub, bytes_at(all, "/grant/signature_b64url")), OK);
	assert_int_equal(delegation_grant_sign(arena, key, document, &sig), OK);
	assert_str(b64url_enc(arena, sig), text_at(all, "/grant/signature_b64url"));
	document = text_at(all, "/verb/document");
	assert_int_equal(delegation_verb_parse(arena, document, &v, NULL), OK);
	assert_int_equal(
		delegation_verb_verify(arena, document, &v, &pub, bytes_at(all, "/verb/signature_b64url")), OK);
	assert_int_equal(delegation_verb_check(&v, STR("https://auth.example"), STR("agent.register"),
				 text_at(all, "/verb/body"), 1795330150, 0),
		OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mcp_calls),
		cmocka_unit_test(http_requests),
		cmocka_unit_test(grant_and_verb),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
