/* grant.c: the document a person signs (reference ledger 11.3). */
#include "domain/delegation/int.h"

static const str_t label = STR_INIT("attorn-grant/1");
static const int64_t time_max_s = 253402300799; /* end of year 9999 */

err_t label_message(arena_t *a, str_t of_label, str_t document, str_t *out)
{
	void *p;
	size_t n;

	ENSURE(document.n <= DELEGATION_DOCUMENT_BYTES_MAX, ERR_LIMIT);
	n = of_label.n + 1 + document.n;
	TRY(arena_try(a, n, &p));
	memcpy(p, of_label.p, of_label.n);
	((char *)p)[of_label.n] = '\0';
	memcpy((char *)p + of_label.n + 1, document.p, document.n);
	*out = str_bytes(p, n);
	return OK;
}

err_t label_sign(arena_t *a, str_t of_label, const crypto_key_t *key, str_t document, str_t *out_sig)
{
	uint8_t sig[CRYPTO_SIGN_BYTES_MAX];
	str_t msg;

	TRY(label_message(a, of_label, document, &msg));
	TRY(crypto_key_sign(key, msg, sig));
	*out_sig = arena_str(a, str_bytes(sig, sizeof(sig)));
	return OK;
}

err_t label_verify(arena_t *a, str_t of_label, str_t document, str_t jkt, const crypto_pub_t *key,
	str_t sig)
{
	str_t msg;

	ENSURE(str_eq(jose_jkt(a, key), jkt), ERR_SIGNATURE);
	TRY(label_message(a, of_label, document, &msg));
	return crypto_verify(key, crypto_alg_for(key->kind), msg, sig);
}

void delegation_grant_digest(str_t document, uint8_t out[32])
{
	crypto_sha256_label(label, document, out);
}

void delegation_render_digest(str_t text, uint8_t out[32])
{
	crypto_sha256_label(STR("attorn-render/1"), text, out);
}

/* --- grammar ---------------------------------------------------------------------------------- */

err_t issuer_check(str_t iss)
{
	ENSURE(iss.n > 0 && iss.n <= DELEGATION_URL_BYTES_MAX && str_is_visible(iss), ERR_VALUE);
	return url_base_check(iss);
}

static err_t agent_check(str_t id)
{
	delegation_id_kind_t kind;
	str_t td, name;

	TRY(delegation_id_parse(id, &kind, &td, &name));
	ENSURE(kind != DELEGATION_INFRASTRUCTURE, ERR_VALUE);
	return OK;
}

static err_t grant_check(const delegation_grant_t *g)
{
	ENSURE(ulid_is(g->id), ERR_VALUE);
	TRY(issuer_check(g->iss));
	TRY(agent_check(g->agent));
	TRY(thumbprint_check(g->delegator_key));
	if (g->has_parent) {
		ENSURE(ulid_is(g->parent_id), ERR_VALUE);
		TRY(agent_check(g->delegator_sub)); /* signed by the parent's agent */
	} else {
		TRY(delegation_user_id_check(g->delegator_sub));
	}
	ENSURE(g->iat >= 0 && g->exp > g->iat && g->exp <= time_max_s, ERR_VALUE);
	ENSURE(g->exp - g->iat <= DELEGATION_GRANT_S_MAX, ERR_VALUE);
	return OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void digest_emit(arena_t *a, jw_t *w, const char *key, const uint8_t digest[32])
{
	jw_kstr(w, key, delegation_digest_text(a, digest));
}

static void parent_emit(arena_t *a, jw_t *w, const delegation_grant_t *g)
{
	if (!g->has_parent) {
		jw_knull(w, "parent");
		return;
	}
	jw_kobject(w, "parent");
	digest_emit(a, w, "digest", g->parent_digest);
	jw_kstr(w, "id", g->parent_id);
	jw_end(w);
}

static err_t grant_write(arena_t *a, const delegation_grant_t *g, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, DELEGATION_DOCUMENT_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_kstr(&w, "agent", g->agent);
	jw_key(&w, "bounds");
	bounds_emit(&w, &g->bounds);
	jw_kobject(&w, "delegator");
	jw_kstr(&w, "key", g->delegator_key);
	jw_kstr(&w, "sub", g->delegator_sub);
	jw_end(&w);
	jw_ki64(&w, "exp", g->exp);
	jw_ki64(&w, "iat", g->iat);
	jw_kstr(&w, "id", g->id);
	jw_kstr(&w, "iss", g->iss);
	parent_emit(a, &w, g);
	digest_emit(a, &w, "render_digest", g->render_digest);
	jw_kstr(&w, "v", label);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

err_t delegation_grant_build(arena_t *a, delegation_grant_t *g, str_t *out_document)
{
	delegation_grant_t back;
	str_t text, document;

	TRY(grant_check(g));
	TRY(delegation_grant_render(a, g, &text));
	delegation_render_digest(text, g->render_digest);
	TRY(grant_write(a, g, &document));
	TRY(delegation_grant_parse(a, document, &back, NULL)); /* nothing unreadable is ever signed */
	*out_document = document;
	return OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

static err_t delegator_parse(const json_t *root, delegation_grant_t *g, diag_t *diag)
{
	const json_t *node;

	TRY(json_need_obj(root, STR("delegator"), &node));
	TRY(JSON_ONLY(node, diag, STR("key"), STR("sub")));
	TRY(json_need_str(node, STR("key"), DELEGATION_TOKEN_ID_BYTES_MAX, &g->delegator_key));
	return json_need_str(node, STR("sub"), DELEGATION_SUBJECT_BYTES_MAX, &g->delegator_sub);
}

static err_t parent_parse(const json_t *root, delegation_grant_t *g, diag_t *diag)
{
	const json_t *node = json_get(root, STR("parent"));
	str_t digest;

	ENSURE(node != NULL, ERR_MISSING_MEMBER);
	if (json_is_null(node)) {
		return OK;
	}
	g->has_parent = true;
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("digest"), STR("id")));
	TRY(json_need_str(node, STR("id"), DELEGATION_TOKEN_ID_BYTES_MAX, &g->parent_id));
	TRY(json_need_str(node, STR("digest"), DELEGATION_DIGEST_TEXT_BYTES, &digest));
	return delegation_digest_parse(digest, g->parent_digest);
}

static err_t members_parse(arena_t *a, const json_t *root, delegation_grant_t *g, diag_t *diag)
{
	const json_t *bounds;
	str_t digest;

	TRY(JSON_ONLY(root, diag, STR("agent"), STR("bounds"), STR("delegator"), STR("exp"), STR("iat"),
		STR("id"), STR("iss"), STR("parent"), STR("render_digest"), STR("v")));
	ENSURE(json_is_str(json_get(root, STR("v")), label), ERR_TYPE);
	TRY(json_need_str(root, STR("agent"), DELEGATION_ID_BYTES_MAX, &g->agent));
	TRY(json_need_str(root, STR("id"), DELEGATION_TOKEN_ID_BYTES_MAX, &g->id));
	TRY(json_need_str(root, STR("iss"), DELEGATION_URL_BYTES_MAX, &g->iss));
	TRY(json_need_i64(root, STR("iat"), &g->iat));
	TRY(json_need_i64(root, STR("exp"), &g->exp));
	TRY(json_need_str(root, STR("render_digest"), DELEGATION_DIGEST_TEXT_BYTES, &digest));
	TRY(delegation_digest_parse(digest, g->render_digest));
	TRY(delegator_parse(root, g, diag));
	TRY(parent_parse(root, g, diag));
	TRY(json_need_obj(root, STR("bounds"), &bounds));
	return bounds_from_node(a, bounds, &g->bounds, diag);
}

static err_t document_parse(arena_t *a, str_t document, delegation_grant_t *out, diag_t *diag)
{
	delegation_grant_t g = { 0 };
	str_t copy, again;
	const json_t *root;

	ENSURE(document.n <= DELEGATION_DOCUMENT_BYTES_MAX, ERR_LIMIT);
	TRY(arena_dup(a, document, &copy));
	TRY(jcs_s_parse(a, copy, &root, diag));
	ENSURE(json_kind(root) == JSON_OBJECT, ERR_VALUE);
	TRY(members_parse(a, root, &g, diag));
	TRY(grant_check(&g));
	TRY(grant_write(a, &g, &again));
	ENSURE(str_eq(again, copy), ERR_SYNTAX);
	*out = g;
	return OK;
}

err_t delegation_grant_parse(arena_t *a, str_t document, delegation_grant_t *out, diag_t *diag)
{
	delegation_grant_t g;
	uint8_t digest[32];
	str_t text;

	TRY(document_parse(a, document, &g, diag));
	TRY(delegation_grant_render(a, &g, &text));
	delegation_render_digest(text, digest);
	if (!ct_eq(digest, g.render_digest, sizeof(digest))) {
		diag_set(diag, 0, 0, "render_digest is not that of this document's text");
		return ERR_VALUE;
	}
	*out = g;
	return OK;
}

err_t delegation_grant_parse_stored(arena_t *a, str_t document, delegation_grant_t *out)
{
	return document_parse(a, document, out, NULL);
}

/* --- signatures, children ----------------------------------------------------------------------- */

err_t delegation_grant_sign(arena_t *a, const crypto_key_t *key, str_t document, str_t *out_sig)
{
	return label_sign(a, label, key, document, out_sig);
}

err_t delegation_grant_verify(arena_t *a, str_t document, const delegation_grant_t *g,
	const crypto_pub_t *key, str_t sig)
{
	ENSURE(label_verify(a, label, document, g->delegator_key, key, sig) == OK, ERR_GRANT_SIGNATURE);
	return OK;
}

err_t delegation_grant_child_check(const delegation_grant_t *parent, str_t parent_document,
	const delegation_grant_t *child, diag_t *diag)
{
	uint8_t digest[32];

	delegation_grant_digest(parent_document, digest);
	ENSURE(child->has_parent && str_eq(child->parent_id, parent->id), ERR_BOUNDS);
	ENSURE(ct_eq(digest, child->parent_digest, sizeof(digest)), ERR_BOUNDS);
	ENSURE(str_eq(child->delegator_sub, parent->agent), ERR_BOUNDS);
	ENSURE(str_eq(child->iss, parent->iss), ERR_BOUNDS);
	ENSURE(child->iat >= parent->iat && child->exp <= parent->exp, ERR_BOUNDS);
	ENSURE(child->bounds.depth < parent->bounds.depth, ERR_DEPTH);
	return delegation_narrow(&parent->bounds, &child->bounds, diag);
}
