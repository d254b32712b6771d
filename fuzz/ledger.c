/* ledger: whatever file comes, an export verifies only as the very bytes that were exported: a whole
 * tree, records in order, one head signed by our key. The seeds verify; harm done to them must not. */
#include "pure/crypto/crypto.h"
#include "service/ledger/client.h"

static merkle_vkey_t log_key(void)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	merkle_vkey_t v;
	uint8_t seed[32];

	CHECK(crypto_init() == OK);
	crypto_sha256(STR("test ledger key"), seed);
	CHECK(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(seed, 32), &key) == OK);
	CHECK(merkle_vkey_of(STR("example.test/attorn"), crypto_key_pub(key)->raw, &v) == OK);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	merkle_vkey_t log = log_key();
	AUTO(ledger_verifier_free) ledger_verifier_t *v = ledger_verifier_new(&log);
	str_t rest = str_bytes(data, size), line;
	ledger_report_t r;
	uint64_t lines = 0;
	err_t err;

	if (str_ends(rest, STR("\n"))) {
		rest.n--;
	}
	while (str_split(&rest, '\n', &line)) {
		ledger_verifier_line(v, line);
		lines++;
	}
	err = ledger_verifier_end(v, &r);
	CHECK((err == OK) == (r.why[0] == '\0'));
	CHECK(r.records <= lines);
	if (err == OK) {
		CHECK(r.head_ok && !r.bad && r.records + 1 == lines);
		CHECK(!r.whole || r.records == r.head.size);
		CHECK(r.first_index + r.records <= r.head.size);
	}
	return 0;
}
