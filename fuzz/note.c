/* note: whatever bytes come, a signed note that verifies holds the line that our key makes, and a
 * checkpoint or verifier key that parses is spelled in the only way there is. */
#include "pure/crypto/crypto.h"
#include "pure/merkle/merkle.h"

static err_t key_sign(void *self, str_t message, uint8_t out[MERKLE_SIGNATURE_BYTES])
{
	return crypto_key_sign(self, message, out);
}

static merkle_signer_t signer_make(void)
{
	static crypto_key_t *key;
	merkle_signer_t s = { .sign = key_sign };
	uint8_t seed[32];

	CHECK(crypto_init() == OK);
	crypto_sha256(STR("log"), seed); /* the key of tests/vectors/ledger */
	if (!key) {
		CHECK(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(seed, 32), &key) == OK);
	}
	s.self = key;
	CHECK(merkle_vkey_of(STR("audit.example.com/tenant-1"), crypto_key_pub(key)->raw, &s.vkey) == OK);
	return s;
}

static void note_check(arena_t *a, str_t input)
{
	merkle_signer_t s = signer_make();
	merkle_note_t note;
	merkle_checkpoint_t c;
	str_t again;

	if (merkle_note_parse(a, input, &note) != OK) {
		CHECK(merkle_checkpoint_open(a, input, &s.vkey, &c) != OK);
		return;
	}
	CHECK(note.n >= 1 && note.n <= MERKLE_NOTE_LINES_MAX && str_starts(input, note.text));
	if (merkle_note_verify(&note, &s.vkey, 1) == OK) {
		CHECK(merkle_note_sign(a, note.text, &s, &again) == OK);
		/* our line, Ed25519 being deterministic, wherever it stands */
		CHECK(str_contains(input, str_sub(again, note.text.n + 1, again.n)));
	}
	if (merkle_checkpoint_open(a, input, &s.vkey, &c) == OK) {
		CHECK(str_eq(merkle_checkpoint_text(&c, a), note.text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t input = str_bytes(data, size);
	merkle_checkpoint_t c;
	merkle_vkey_t v;

	if (merkle_vkey_parse(a, input, &v) == OK) {
		CHECK(str_eq(merkle_vkey_format(&v, a), input));
	}
	if (merkle_checkpoint_parse(input, &c) == OK) {
		CHECK(str_eq(merkle_checkpoint_text(&c, a), input));
	}
	note_check(a, input);
	return 0;
}
