/* bundle: a document that is read is written and read again as the same keys, and can be prepared for verifying. */
#include "domain/spiffe/spiffe.h"

static void check_bundle(arena_t *a, const spiffe_bundle_t *b)
{
	AUTO(spiffe_trust_free) spiffe_trust_t *trust = NULL;
	spiffe_bundle_t again;
	str_t text, twice;

	CHECK(spiffe_bundle_write(a, b, &text) == OK);
	CHECK(spiffe_bundle_parse(a, b->td, text, &again, NULL) == OK);
	CHECK(spiffe_bundle_same_keys(b, &again) && b->sequence == again.sequence);
	CHECK(spiffe_bundle_write(a, &again, &twice) == OK && str_eq(text, twice));
	CHECK(spiffe_bundle_jwt_write(a, b, &text) == OK && !str_contains(text, STR("\"x5c\"")));
	CHECK(spiffe_bundle_interval_s(b) >= SPIFFE_HINT_S_MIN);
	CHECK(spiffe_trust_new(b, &trust) == OK);
	CHECK(spiffe_trust_jwks(trust)->n == b->jwt.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(16 << 20);
	str_t text = str_bytes(data, size);
	spiffe_bundle_t b, *v = NULL;
	diag_t diag = { 0 };
	size_t n = 0;

	CHECK(crypto_init() == OK);
	if (spiffe_bundle_parse(a, STR("td"), text, &b, &diag) == OK) {
		check_bundle(a, &b);
	}
	if (spiffe_bundle_map_parse(a, text, &v, &n, &diag) == OK) {
		for (size_t i = 0; i < n; i++) {
			CHECK(spiffe_td_check(v[i].td) == OK);
			check_bundle(a, &v[i]);
		}
	}
	return 0;
}
