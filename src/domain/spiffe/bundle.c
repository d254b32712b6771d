/* bundle.c: bundle documents and maps of them (Trust Domain and Bundle 4; Federation 5). */
#include "domain/spiffe/spiffe.h"

static const str_t use_x509 = STR_INIT("x509-svid"), use_jwt = STR_INIT("jwt-svid");

/* --- reading ---------------------------------------------------------------------------------------- */

static bool holds(const str_t *v, size_t n, str_t der)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(v[i], der)) {
			return true;
		}
	}
	return false;
}

/* The certificate of an x509-svid key: the first of x5c, and its key is the one the JWK shows. */
static err_t x5c_read(arena_t *a, const json_t *jwk, str_t *out_der)
{
	const json_t *x5c = NULL;
	x509_cert_t cert;
	jose_jwk_t key;
	str_t text, der;

	TRY(json_need_arr(jwk, STR("x5c"), SPIFFE_BUNDLE_KEYS_MAX, &x5c));
	TRY(json_str(json_first(x5c), &text));
	TRY(b64_dec(a, text, X509_DER_BYTES_MAX, &der));
	TRY(x509_cert_parse(a, der, &cert));
	TRY(jose_jwk_read(jwk, &key, NULL));
	ENSURE(crypto_pub_eq(&key.pub, &cert.pub), ERR_KEY);
	*out_der = der;
	return OK;
}

static err_t jwt_key_read(const json_t *jwk, jose_jwk_t *out)
{
	jose_jwk_t key;

	TRY(jose_jwk_read(jwk, &key, NULL));
	ENSURE(key.kid.n > 0, ERR_KEY);
	ENSURE(key.pub.kind != CRYPTO_KEY_ED25519, ERR_KEY); /* JWT-SVID 3: never EdDSA */
	key.use = STR_NULL; /* told by the field it stands in */
	*out = key;
	return OK;
}

typedef struct {
	str_t *x509;
	size_t n_x509;
	jose_jwk_t *jwt;
	size_t n_jwt;
} found_t;

/* A key that cannot be used is skipped alone: what is not there is not trusted. */
static err_t key_read(arena_t *a, const json_t *jwk, found_t *f)
{
	const json_t *use = json_get(jwk, STR("use"));
	str_t der;

	ENSURE(json_kind(jwk) == JSON_OBJECT, ERR_BUNDLE);
	if (json_is_str(use, use_x509) && x5c_read(a, jwk, &der) == OK && !holds(f->x509, f->n_x509, der)) {
		ENSURE(f->n_x509 < X509_ROOTS_MAX, ERR_LIMIT);
		f->x509[f->n_x509++] = der;
	}
	if (json_is_str(use, use_jwt) && jwt_key_read(jwk, &f->jwt[f->n_jwt]) == OK) {
		ENSURE(f->n_jwt < JOSE_JWKS_KEYS_MAX, ERR_LIMIT);
		f->n_jwt++;
	}
	return OK;
}

static err_t numbers_read(const json_t *obj, spiffe_bundle_t *b)
{
	const json_t *sequence = json_get(obj, STR("spiffe_sequence"));
	uint64_t hint = 0;

	if (sequence) {
		TRY(json_u64(sequence, UINT64_MAX, &b->sequence));
		b->has_sequence = true;
	}
	TRY(json_want_u64(obj, STR("spiffe_refresh_hint"), UINT32_MAX, 0, &hint));
	b->refresh_hint_s = (uint32_t)hint;
	return OK;
}

MUST err_t spiffe_bundle_read(arena_t *a, str_t td, const json_t *obj, spiffe_bundle_t *out, diag_t *diag)
{
	spiffe_bundle_t b = { .td = td };
	const json_t *keys = json_get(obj, STR("keys"));

	TRY(spiffe_td_check(td));
	diag_set(diag, 0, 0, "keys: an array of JWKs");
	ENSURE(json_kind(keys) == JSON_ARRAY, ERR_BUNDLE);
	ENSURE(json_count(keys) <= SPIFFE_BUNDLE_KEYS_MAX, ERR_LIMIT);
	found_t f = { .x509 = arena_array(a, str_t, json_count(keys) + 1),
		.jwt = arena_array(a, jose_jwk_t, json_count(keys) + 1) };
	for (const json_t *jwk = json_first(keys); jwk; jwk = json_next(jwk)) {
		TRY(key_read(a, jwk, &f));
	}
	diag_set(diag, 0, 0, "spiffe_sequence, spiffe_refresh_hint: whole numbers");
	ENSURE(numbers_read(obj, &b) == OK, ERR_BUNDLE);
	b.x509 = f.x509;
	b.n_x509 = f.n_x509;
	b.jwt = (jose_jwks_t){ f.jwt, f.n_jwt };
	*out = b;
	return OK;
}

MUST err_t spiffe_bundle_parse(arena_t *a, str_t td, str_t text, spiffe_bundle_t *out, diag_t *diag)
{
	const json_opts_t opts = { .bytes_max = SPIFFE_BUNDLE_BYTES_MAX, .depth_max = JOSE_DEPTH_MAX,
		.object_only = true };
	const json_t *root = NULL;

	TRY(json_parse(a, text, &opts, &root, diag));
	return spiffe_bundle_read(a, td, root, out, diag);
}

MUST err_t spiffe_bundle_map_parse(arena_t *a, str_t text, spiffe_bundle_t **out, size_t *out_n, diag_t *diag)
{
	const json_opts_t opts = { .bytes_max = SPIFFE_BUNDLE_MAP_BYTES_MAX, .depth_max = JOSE_DEPTH_MAX,
		.object_only = true };
	const json_t *root = NULL;
	size_t n = 0;

	TRY(json_parse(a, text, &opts, &root, diag)); /* a trust domain twice is ERR_DUPLICATE */
	const json_t *map = json_get(root, STR("trust_domains"));
	diag_set(diag, 0, 0, "trust_domains: an object of bundles by trust domain name");
	ENSURE(json_kind(map) == JSON_OBJECT, ERR_BUNDLE);
	ENSURE(json_count(map) <= SPIFFE_BUNDLES_MAX, ERR_LIMIT);
	spiffe_bundle_t *v = arena_array(a, spiffe_bundle_t, json_count(map) + 1);
	for (const json_t *m = json_first(map); m; m = json_next(m)) {
		ENSURE(json_kind(m) == JSON_OBJECT, ERR_BUNDLE);
		TRY(spiffe_bundle_read(a, json_key(m), m, &v[n++], diag));
	}
	*out = v;
	*out_n = n;
	return OK;
}

/* --- writing ---------------------------------------------------------------------------------------- */

static void x509_key_write(jw_t *w, const x509_cert_t *cert)
{
	AUTO(buf_done) buf_t text;

	buf_init(&text, X509_DER_BYTES_MAX * 2);
	b64_add(&text, cert->der);
	jw_object(w);
	jw_kstr(w, "use", use_x509);
	jose_jwk_members(w, &cert->pub);
	jw_karray(w, "x5c");
	jw_str(w, buf_str(&text));
	jw_end(w);
	jw_end(w);
}

static void jwt_key_write(jw_t *w, const jose_jwk_t *key)
{
	jw_object(w);
	jw_kstr(w, "use", use_jwt);
	jw_kstr(w, "kid", key->kid);
	jose_jwk_members(w, &key->pub);
	if (key->alg != CRYPTO_ALG_NONE) {
		jw_kstr(w, "alg", crypto_alg_name(key->alg));
	}
	jw_end(w);
}

/* Positions in order of `names`: equal sets of keys become equal bytes. At most 64, so the plain way. */
static void order_by(const str_t *names, size_t n, size_t *order)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = i;
		for (; at > 0 && str_cmp(names[order[at - 1]], names[i]) > 0; at--) {
			order[at] = order[at - 1];
		}
		order[at] = i;
	}
}

static err_t x509_keys_write(arena_t *a, jw_t *w, const spiffe_bundle_t *b)
{
	size_t order[X509_ROOTS_MAX];

	ENSURE(b->n_x509 <= X509_ROOTS_MAX, ERR_LIMIT);
	order_by(b->x509, b->n_x509, order);
	for (size_t i = 0; i < b->n_x509; i++) {
		x509_cert_t cert;
		TRY(x509_cert_parse(a, b->x509[order[i]], &cert));
		x509_key_write(w, &cert);
	}
	return OK;
}

/* The jwt keys by kid, in the arena. */
static err_t jwt_sorted(arena_t *a, const spiffe_bundle_t *b, jose_jwks_t *out)
{
	size_t order[JOSE_JWKS_KEYS_MAX];
	str_t kids[JOSE_JWKS_KEYS_MAX];

	ENSURE(b->jwt.n <= JOSE_JWKS_KEYS_MAX, ERR_LIMIT);
	for (size_t i = 0; i < b->jwt.n; i++) {
		kids[i] = b->jwt.keys[i].kid;
		ENSURE(kids[i].n > 0, ERR_KEY);
	}
	order_by(kids, b->jwt.n, order);
	jose_jwk_t *v = arena_array(a, jose_jwk_t, b->jwt.n + 1);
	for (size_t i = 0; i < b->jwt.n; i++) {
		v[i] = b->jwt.keys[order[i]];
	}
	*out = (jose_jwks_t){ v, b->jwt.n };
	return OK;
}

static err_t bundle_write(arena_t *a, jw_t *w, const spiffe_bundle_t *b)
{
	jose_jwks_t jwt;

	TRY(jwt_sorted(a, b, &jwt));
	jw_object(w);
	jw_karray(w, "keys");
	TRY(x509_keys_write(a, w, b));
	for (size_t i = 0; i < jwt.n; i++) {
		jwt_key_write(w, &jwt.keys[i]);
	}
	jw_end(w);
	if (b->has_sequence) {
		jw_ku64(w, "spiffe_sequence", b->sequence);
	}
	if (b->refresh_hint_s) {
		jw_ku64(w, "spiffe_refresh_hint", b->refresh_hint_s);
	}
	jw_end(w);
	return OK;
}

MUST err_t spiffe_bundle_write(arena_t *a, const spiffe_bundle_t *b, str_t *out_json)
{
	AUTO(buf_done) buf_t text;
	jw_t w;

	buf_init(&text, SPIFFE_BUNDLE_BYTES_MAX);
	jw_init(&w, &text);
	TRY(bundle_write(a, &w, b));
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&text), out_json);
}

MUST err_t spiffe_bundle_map_write(arena_t *a, const spiffe_bundle_t *v, size_t n, str_t *out_json)
{
	AUTO(buf_done) buf_t text;
	jw_t w;

	buf_init(&text, SPIFFE_BUNDLE_MAP_BYTES_MAX);
	ENSURE(n <= SPIFFE_BUNDLES_MAX, ERR_LIMIT);
	jw_init(&w, &text);
	jw_object(&w);
	jw_kobject(&w, "trust_domains");
	for (size_t i = 0; i < n; i++) {
		jw_key_str(&w, v[i].td);
		TRY(bundle_write(a, &w, &v[i]));
	}
	jw_end(&w);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&text), out_json);
}

MUST err_t spiffe_bundle_jwt_write(arena_t *a, const spiffe_bundle_t *b, str_t *out_json)
{
	jose_jwks_t jwt;

	TRY(jwt_sorted(a, b, &jwt));
	for (size_t i = 0; i < jwt.n; i++) {
		jwt.keys[i].use = STR_NULL; /* stock libraries refuse values they do not know (spiffe.md 8) */
	}
	return jose_jwks_write(a, &jwt, out_json);
}

MUST err_t spiffe_bundle_x509_ders(arena_t *a, const spiffe_bundle_t *b, str_t *out_ders)
{
	size_t order[X509_ROOTS_MAX];
	AUTO(buf_done) buf_t ders;

	buf_init(&ders, X509_ROOTS_MAX * X509_DER_BYTES_MAX);
	ENSURE(b->n_x509 <= X509_ROOTS_MAX, ERR_LIMIT);
	order_by(b->x509, b->n_x509, order);
	for (size_t i = 0; i < b->n_x509; i++) {
		buf_add(&ders, b->x509[order[i]]);
	}
	TRY(buf_err(&ders));
	return arena_dup(a, buf_str(&ders), out_ders);
}

/* --- one after the other ------------------------------------------------------------------------------ */

static bool has_jwt_key(const jose_jwks_t *set, const jose_jwk_t *key)
{
	for (size_t i = 0; i < set->n; i++) {
		if (str_eq(set->keys[i].kid, key->kid) && crypto_pub_eq(&set->keys[i].pub, &key->pub)) {
			return true;
		}
	}
	return false;
}

bool spiffe_bundle_same_keys(const spiffe_bundle_t *x, const spiffe_bundle_t *y)
{
	if (x->n_x509 != y->n_x509 || x->jwt.n != y->jwt.n) {
		return false;
	}
	for (size_t i = 0; i < x->n_x509; i++) {
		if (!holds(y->x509, y->n_x509, x->x509[i])) {
			return false;
		}
	}
	for (size_t i = 0; i < x->jwt.n; i++) {
		if (!has_jwt_key(&y->jwt, &x->jwt.keys[i])) {
			return false;
		}
	}
	return true;
}

MUST err_t spiffe_bundle_may_replace(const spiffe_bundle_t *now, const spiffe_bundle_t *next)
{
	CHECK(str_eq(now->td, next->td));
	if (!now->has_sequence) {
		return OK;
	}
	ENSURE(next->has_sequence && next->sequence >= now->sequence, ERR_CONFLICT);
	/* the sequence grows on every change: equal ones with other keys are not from one source */
	ENSURE(next->sequence > now->sequence || spiffe_bundle_same_keys(now, next), ERR_CONFLICT);
	return OK;
}

uint32_t spiffe_bundle_interval_s(const spiffe_bundle_t *b)
{
	uint32_t hint = b->refresh_hint_s ? b->refresh_hint_s : SPIFFE_HINT_S_DEFAULT;

	if (hint < SPIFFE_HINT_S_MIN) {
		return SPIFFE_HINT_S_MIN;
	}
	return hint > SPIFFE_HINT_S_MAX ? SPIFFE_HINT_S_MAX : hint;
}

uint32_t spiffe_bundle_hint_s(int64_t smallest_ca_life_s)
{
	int64_t tenth = smallest_ca_life_s / 10;

	if (tenth < SPIFFE_HINT_S_MIN) {
		return SPIFFE_HINT_S_MIN;
	}
	return tenth > SPIFFE_HINT_S_MAX ? SPIFFE_HINT_S_MAX : (uint32_t)tenth;
}
