/* merkle: signed notes, verifier keys, checkpoints; foreign vectors and the negative space. */
#include "vectors.h"

#define SPEC_VKEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define SPEC_NOTE                                                                                  \
	"This is an example message.\n\n\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1"  \
	"YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"

static void example_of_the_specification(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_vkey_t v;
	merkle_note_t note;

	(void)state;
	assert_int_equal(merkle_vkey_parse(a, STR(SPEC_VKEY), &v), OK);
	assert_int_equal(v.id, 0x530d903a);
	assert_true(str_eq(merkle_vkey_format(&v, a), STR(SPEC_VKEY)));
	assert_int_equal(merkle_note_parse(a, STR(SPEC_NOTE), &note), OK);
	assert_true(str_eq(note.text, STR("This is an example message.\n")));
	assert_int_equal(note.n, 1);
	assert_int_equal(merkle_note_verify(&note, &v, 1), OK);
	v.id++; /* an unknown key: nothing known signed */
	assert_int_equal(merkle_note_verify(&note, &v, 1), ERR_SIGNATURE);
	assert_int_equal(merkle_note_verify(&note, &v, 0), ERR_SIGNATURE);
}

static void malformed_vkeys(void **state)
{
	static const struct {
		str_t text;
		err_t err;
	} bad[] = {
		{ STR_INIT(""), ERR_SYNTAX },
		{ STR_INIT("example.com/foo"), ERR_SYNTAX },
		{ STR_INIT("example.com/foo+530d903a"), ERR_SYNTAX },
		{ STR_INIT("example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_SYNTAX },
		{ STR_INIT("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_SYNTAX },
		{ STR_INIT("example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_KEY },
		{ STR_INIT("example.com/foO+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_KEY },
		{ STR_INIT("example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_ALGORITHM },
		{ STR_INIT("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0="), ERR_SYNTAX },
		{ STR_INIT("a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_SYNTAX },
		{ STR_INIT("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"), ERR_SYNTAX },
	};
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_vkey_t v;
	uint8_t key[MERKLE_PUBLIC_BYTES] = { 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(merkle_vkey_parse(a, bad[i].text, &v), bad[i].err);
	}
	assert_int_equal(merkle_vkey_of(STR("a+b"), key, &v), ERR_VALUE);
	assert_int_equal(merkle_vkey_of(STR("a\xe3\x80\x80z"), key, &v), ERR_VALUE); /* U+3000 */
	assert_int_equal(merkle_vkey_of(STR("a\xe2\x80\x89z"), key, &v), ERR_VALUE); /* U+2009 */
	assert_int_equal(merkle_vkey_of(STR("a\xff"), key, &v), ERR_VALUE);
	assert_int_equal(merkle_vkey_of(STR(""), key, &v), ERR_VALUE);
	/* an ML-DSA key is well-formed, and not for us */
	assert_int_equal(merkle_vkey_parse(a, vector_file(a, "log-mldsa44.vkey"), &v), ERR_ALGORITHM);
	assert_int_equal(merkle_vkey_parse(a, vector_file(a, "witness.vkey"), &v), ERR_ALGORITHM);
}

static void malformed_notes(void **state)
{
#define LINE "\xe2\x80\x94 k AAAAAQID\n"
	static const str_t bad[] = {
		STR_INIT(""),
		STR_INIT("text\n"),
		STR_INIT("text\n\n"), /* no line */
		STR_INIT("text\n\n\xe2\x80\x94 k AAAAAQID"), /* no final newline */
		STR_INIT("\n" LINE), /* no text */
		STR_INIT("\n\n" LINE),
		STR_INIT("te\txt\n\n" LINE),
		STR_INIT("te\rxt\n\n" LINE),
		STR_INIT("te\xffxt\n\n" LINE),
		STR_INIT("text\n\n- k AAAAAQID\n"), /* hyphen */
		STR_INIT("text\n\n\xe2\x80\x94k AAAAAQID\n"),
		STR_INIT("text\n\n\xe2\x80\x94 k  AAAAAQID\n"),
		STR_INIT("text\n\n\xe2\x80\x94 k AAAAAQID \n"),
		STR_INIT("text\n\n\xe2\x80\x94 k AAAAAQJ=\n"), /* trailing bits */
		STR_INIT("text\n\n\xe2\x80\x94 k AAAAAQI\n"), /* no padding */
		STR_INIT("text\n\n\xe2\x80\x94 k AAAAAA==\n"), /* key id alone */
		STR_INIT("text\n\n\xe2\x80\x94 k AAA=\n"),
		STR_INIT("text\n\n\xe2\x80\x94 k+ AAAAAQID\n"),
	};
	AUTO(arena_free) arena_t *a = arena_open();
	buf_t many;
	merkle_note_t note;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (merkle_note_parse(a, bad[i], &note) != ERR_SYNTAX) {
			fail_msg("note %zu was accepted", i);
		}
	}
	assert_int_equal(merkle_note_parse(a, STR("a\n\nb\n\n" LINE), &note), OK);
	assert_true(str_eq(note.text, STR("a\n\nb\n"))); /* split at the last empty line */
	buf_init(&many, 1 << 20);
	buf_add(&many, STR("text\n\n"));
	for (int i = 0; i < MERKLE_NOTE_LINES_MAX; i++) {
		buf_add(&many, STR(LINE));
	}
	assert_int_equal(merkle_note_parse(a, buf_str(&many), &note), OK);
	assert_int_equal(note.n, MERKLE_NOTE_LINES_MAX);
	buf_add(&many, STR(LINE));
	assert_int_equal(merkle_note_parse(a, buf_str(&many), &note), ERR_LIMIT);
	buf_done(&many);
}

static void every_flip_of_a_note_is_found(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_vkey_t v;
	char bytes[sizeof(SPEC_NOTE)];

	(void)state;
	assert_int_equal(merkle_vkey_parse(a, STR(SPEC_VKEY), &v), OK);
	for (size_t i = 0; i < sizeof(SPEC_NOTE) - 1; i++) {
		for (int bit = 0; bit < 8; bit++) {
			merkle_note_t note;
			bool ok;

			memcpy(bytes, SPEC_NOTE, sizeof(bytes));
			bytes[i] = (char)(bytes[i] ^ (1 << bit));
			ok = merkle_note_parse(a, str_bytes(bytes, sizeof(bytes) - 1), &note) == OK &&
			     merkle_note_verify(&note, &v, 1) == OK;
			assert_false(ok);
		}
		arena_reset(a);
		assert_int_equal(merkle_vkey_parse(a, STR(SPEC_VKEY), &v), OK);
	}
}

static err_t key_sign(void *self, str_t message, uint8_t out[MERKLE_SIGNATURE_BYTES])
{
	return crypto_key_sign(self, message, out);
}

/* The Ed25519 line of the golden log is rebuilt byte for byte from its seed. */
static void golden_checkpoints(void **state)
{
	static const struct {
		const char *file;
		uint64_t size;
	} golden[] = { { "log257/checkpoint", 257 }, { "checkpoint-171", 171 } };
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	merkle_hash_t *hashes = vector_hashes(257);
	uint8_t seed[32];
	merkle_signer_t signer = { .sign = key_sign };

	(void)state;
	crypto_sha256(STR("log"), seed);
	assert_int_equal(crypto_key_from_secret(CRYPTO_KEY_ED25519, str_bytes(seed, 32), &key), OK);
	signer.self = key;
	assert_int_equal(merkle_vkey_of(STR("audit.example.com/tenant-1"), crypto_key_pub(key)->raw,
					&signer.vkey), OK);
	assert_true(str_eq(merkle_vkey_format(&signer.vkey, a), vector_file(a, "log.vkey")));
	for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
		str_t file = vector_file(a, golden[i].file), note;
		merkle_checkpoint_t c, want = { .origin = signer.vkey.name, .size = golden[i].size,
			.root = merkle_root(hashes, golden[i].size) };

		assert_int_equal(merkle_checkpoint_open(a, file, &signer.vkey, &c), OK);
		assert_int_equal(c.size, want.size);
		assert_true(merkle_hash_eq(&c.root, &want.root));
		assert_int_equal(merkle_note_sign(a, merkle_checkpoint_text(&want, a), &signer, &note), OK);
		assert_true(str_starts(file, note)); /* further lines follow ours */
	}
	heap_free(hashes);
}

static void malformed_checkpoints(void **state)
{
#define ROOT "rocKO0/tT74TxE4oEhXTGCQANwvv/WQs0UgvqYx+3QY="
	static const str_t bad[] = {
		STR_INIT(""),
		STR_INIT("a\n1\n" ROOT), /* no final newline */
		STR_INIT("\n1\n" ROOT "\n"),
		STR_INIT("a b\n1\n" ROOT "\n"),
		STR_INIT("a+b\n1\n" ROOT "\n"),
		STR_INIT("a\n01\n" ROOT "\n"),
		STR_INIT("a\n-1\n" ROOT "\n"),
		STR_INIT("a\n\n" ROOT "\n"),
		STR_INIT("a\n1 \n" ROOT "\n"),
		STR_INIT("a\n1\n" ROOT " \n"),
		STR_INIT("a\n1\nrocKO0/tT74TxE4oEhXTGCQANwvv/WQs0UgvqYx+3QZ=\n"), /* trailing bits */
		STR_INIT("a\n1\nAAAA\n"),
		STR_INIT("a\n1\n" ROOT "\nextension\n"),
		STR_INIT("a\n1\n" ROOT "\n\n"),
	};
	merkle_checkpoint_t c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (merkle_checkpoint_parse(bad[i], &c) != ERR_SYNTAX) {
			fail_msg("checkpoint %zu was accepted", i);
		}
	}
	assert_int_equal(merkle_checkpoint_parse(STR("a\n18446744073709551615\n" ROOT "\n"), &c), ERR_LIMIT);
	assert_int_equal(merkle_checkpoint_parse(STR("a\n0\n" ROOT "\n"), &c), OK);
}

/* A key of one log signs nothing for another. */
static void a_foreign_origin_is_refused(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	merkle_signer_t signer = { .sign = key_sign };
	merkle_checkpoint_t c = { .origin = STR("other.example/log"), .size = 0,
		.root = merkle_empty_root() };
	str_t note;

	(void)state;
	assert_int_equal(crypto_key_generate(CRYPTO_KEY_ED25519, &key), OK);
	signer.self = key;
	assert_int_equal(merkle_vkey_of(STR("log.example/a"), crypto_key_pub(key)->raw, &signer.vkey), OK);
	assert_int_equal(merkle_note_sign(a, merkle_checkpoint_text(&c, a), &signer, &note), OK);
	assert_int_equal(merkle_checkpoint_open(a, note, &signer.vkey, &c), ERR_SIGNATURE);
	assert_int_equal(merkle_note_sign(a, STR("no newline"), &signer, &note), ERR_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_of_the_specification), cmocka_unit_test(malformed_vkeys),
		cmocka_unit_test(malformed_notes), cmocka_unit_test(every_flip_of_a_note_is_found),
		cmocka_unit_test(golden_checkpoints), cmocka_unit_test(malformed_checkpoints),
		cmocka_unit_test(a_foreign_origin_is_refused),
	};

	return cmocka_run_group_tests_name("merkle_note", tests, vectors_setup, NULL);
}
