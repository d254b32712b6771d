/* verify.c: path building against the roots of one trust domain (RFC 5280 6), by OpenSSL. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pure/x509/x509_int.h"

DEFINE_AUTO(X509_STORE_CTX *, X509_STORE_CTX_free);
typedef STACK_OF(X509) x509_stack_t;
static void stack_free(x509_stack_t *s)
{
	sk_X509_free(s); /* the certificates are the arena's */
}
DEFINE_AUTO(x509_stack_t *, stack_free);

struct x509_roots {
	arena_t *arena; /* of the parsed roots */
	X509_STORE *store;
	x509_cert_t *certs;
	size_t n;
};

void x509_roots_free(x509_roots_t *r)
{
	if (!r) {
		return;
	}
	X509_STORE_free(r->store);
	arena_free(r->arena);
	heap_free(r);
}

size_t x509_roots_count(const x509_roots_t *r)
{
	return r->n;
}

static err_t store_setup(X509_STORE *store)
{
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);

	ENSURE(param, ERR_CRYPTO);
	/* a root of a bundle need not be self-signed (X509-SVID 5.1) */
	ENSURE(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) == 1, ERR_CRYPTO);
	ENSURE(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) == 1, ERR_CRYPTO);
	X509_VERIFY_PARAM_set_depth(param, X509_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits: RSA 2048, no SHA-1 */
	return OK;
}

static err_t roots_add(x509_roots_t *r, str_t der)
{
	x509_cert_t *c = &r->certs[r->n];
	str_t own;

	ENSURE(der.n <= X509_DER_BYTES_MAX, ERR_LIMIT);
	TRY(arena_dup(r->arena, der, &own));
	TRY(x509_cert_parse(r->arena, own, c));
	ENSURE(X509_STORE_add_cert(r->store, c->handle) == 1, ERR_CERTIFICATE);
	r->n++;
	return OK;
}

MUST err_t x509_roots_new(const str_t *ders, size_t n, x509_roots_t **out)
{
	AUTO(x509_roots_free) x509_roots_t *r = heap_new(x509_roots_t);

	ENSURE(n <= X509_ROOTS_MAX, ERR_LIMIT);
	r->arena = arena_open();
	r->store = X509_STORE_new();
	r->certs = arena_array(r->arena, x509_cert_t, X509_ROOTS_MAX);
	ENSURE(r->store, ERR_CRYPTO);
	TRY(store_setup(r->store));
	for (size_t i = 0; i < n; i++) {
		TRY(roots_add(r, ders[i]));
	}
	*out = TAKE(r);
	return OK;
}

/* Every certificate above the leaf may sign certificates; looked at before any signature. */
static err_t places_check(const x509_chain_t *chain, diag_t *diag)
{
	for (size_t i = 1; i < chain->n; i++) {
		const x509_cert_t *c = &chain->certs[i];
		diag_set(diag, 0, 0, "certificate %zu of the chain is no CA with keyCertSign", i);
		ENSURE(c->ca && (c->key_usage & X509_USE_CERT_SIGN), ERR_CERTIFICATE);
	}
	return OK;
}

static err_t stack_make(const x509_chain_t *chain, x509_stack_t **out)
{
	x509_stack_t *s = sk_X509_new_null();

	CHECK(s != NULL);
	for (size_t i = 1; i < chain->n; i++) {
		CHECK(sk_X509_push(s, chain->certs[i].handle) > 0);
	}
	*out = s;
	return OK;
}

/* The path that was checked is the chain as it was sent, from its leaf on: nobody swapped two members, nothing
 * was sent along unchecked (spiffe.md 20 L5). */
static err_t path_is_chain(const x509_stack_t *path, const x509_chain_t *chain)
{
	ENSURE(chain->n <= (size_t)sk_X509_num(path), ERR_CERTIFICATE);
	for (size_t i = 0; i < chain->n; i++) {
		ENSURE(X509_cmp(sk_X509_value(path, (int)i), chain->certs[i].handle) == 0, ERR_CERTIFICATE);
	}
	return OK;
}

static err_t root_find(const x509_roots_t *roots, const x509_stack_t *path, str_t *out_root)
{
	const X509 *last = sk_X509_value(path, sk_X509_num(path) - 1);

	for (size_t i = 0; i < roots->n; i++) {
		if (X509_cmp(roots->certs[i].handle, last) == 0) {
			*out_root = roots->certs[i].der;
			return OK;
		}
	}
	return ERR_CERTIFICATE;
}

static err_t failure(int why)
{
	if (why == X509_V_ERR_CERT_HAS_EXPIRED) {
		return ERR_EXPIRED;
	}
	return why == X509_V_ERR_CERT_NOT_YET_VALID ? ERR_NOT_YET : ERR_CERTIFICATE;
}

static err_t verify(const x509_chain_t *chain, const x509_roots_t *roots, int64_t now_unix_s,
	str_t *out_root, diag_t *diag)
{
	AUTO(stack_free) x509_stack_t *rest = NULL;
	AUTO(X509_STORE_CTX_free) X509_STORE_CTX *path = X509_STORE_CTX_new();

	TRY(stack_make(chain, &rest));
	ENSURE(path && X509_STORE_CTX_init(path, roots->store, chain->certs[0].handle, rest) == 1, ERR_CRYPTO);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(path), (time_t)now_unix_s);
	if (X509_verify_cert(path) != 1) {
		int why = X509_STORE_CTX_get_error(path);
		diag_set(diag, 0, 0, "certificate %d of the path: %s", X509_STORE_CTX_get_error_depth(path),
			X509_verify_cert_error_string(why));
		return failure(why);
	}
	diag_set(diag, 0, 0, "the chain is not in order, or holds certificates of no use");
	TRY(path_is_chain(X509_STORE_CTX_get0_chain(path), chain));
	return root_find(roots, X509_STORE_CTX_get0_chain(path), out_root);
}

MUST err_t x509_verify(const x509_chain_t *chain, const x509_roots_t *roots, int64_t now_unix_s,
	str_t *out_root, diag_t *diag)
{
	str_t root = STR_NULL;

	CHECK(chain->n > 0 && chain->n <= X509_CHAIN_MAX && now_unix_s > 0);
	TRY(places_check(chain, diag));
	err_t e = verify(chain, roots, now_unix_s, &root, diag);
	ERR_clear_error();
	TRY(e);
	if (out_root) {
		*out_root = root;
	}
	return OK;
}
