/* note.c: verifier keys and signed notes (C2SP signed-note 1.0.0), Ed25519 lines. */
#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"
#include "pure/merkle/merkle.h"

enum { KEY_ID_BYTES = 4, KEY_ID_HEX = 8 };
#define NOTE_DASH "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */

/* Non-empty UTF-8 without '+', control bytes or a Unicode space. Spaces of general category Zs are
 * few enough to be listed; U+0085 and U+2028/9 are white space too. */
static bool name_is_ok(str_t name)
{
	static const str_t spaces[] = { STR_INIT("\xc2\xa0"), STR_INIT("\xc2\x85"),
		STR_INIT("\xe1\x9a\x80"), STR_INIT("\xe2\x80\xa8"), STR_INIT("\xe2\x80\xa9"),
		STR_INIT("\xe2\x80\xaf"), STR_INIT("\xe2\x81\x9f"), STR_INIT("\xe3\x80\x80") };

	if (name.n == 0 || name.n > MERKLE_NAME_BYTES_MAX || !str_is_utf8(name)) {
		return false;
	}
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = (uint8_t)name.p[i];

		if (c <= 0x20 || c == 0x7f || c == '+') {
			return false;
		}
		/* U+2000..U+200A */
		if (c == 0xe2 && name.n - i >= 3 && (uint8_t)name.p[i + 1] == 0x80 &&
		    (uint8_t)name.p[i + 2] <= 0x8a) {
			return false;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
		if (str_contains(name, spaces[i])) {
			return false;
		}
	}
	return true;
}

uint32_t merkle_key_id(str_t name, uint8_t type, str_t key)
{
	const str_t parts[] = { name, STR("\n"), str_bytes(&type, 1), key };
	uint8_t digest[CRYPTO_SHA256_BYTES];
	rd_t r;
	uint32_t id;

	crypto_sha256_parts(parts, ARRAY_LEN(parts), digest);
	r = rd_of(str_bytes(digest, sizeof(digest)));
	CHECK(rd_u32be(&r, &id) == OK);
	return id;
}

err_t merkle_vkey_of(str_t name, const uint8_t key[MERKLE_PUBLIC_BYTES], merkle_vkey_t *out)
{
	merkle_vkey_t v = { .name = name };

	ENSURE(name_is_ok(name), ERR_VALUE);
	memcpy(v.key, key, MERKLE_PUBLIC_BYTES);
	v.id = merkle_key_id(name, MERKLE_KEY_ED25519, str_bytes(key, MERKLE_PUBLIC_BYTES));
	*out = v;
	return OK;
}

str_t merkle_vkey_format(const merkle_vkey_t *v, arena_t *a)
{
	uint8_t typed[1 + MERKLE_PUBLIC_BYTES] = { MERKLE_KEY_ED25519 };

	memcpy(typed + 1, v->key, MERKLE_PUBLIC_BYTES);
	return arena_cat(a, v->name, STR("+"), arena_printf(a, "%08x", v->id), STR("+"),
			 b64_enc(a, str_bytes(typed, sizeof(typed))));
}

err_t merkle_vkey_parse(arena_t *a, str_t text, merkle_vkey_t *out)
{
	rd_t r = rd_of(text);
	str_t name, hex, b64, typed;
	uint8_t id[KEY_ID_BYTES];
	merkle_vkey_t v;

	ENSURE(text.n <= MERKLE_VKEY_BYTES_MAX, ERR_LIMIT);
	TRY(rd_until(&r, '+', MERKLE_NAME_BYTES_MAX, &name));
	TRY(rd_until(&r, '+', KEY_ID_HEX, &hex));
	TRY(rd_rest(&r, MERKLE_VKEY_BYTES_MAX, &b64));
	ENSURE(name_is_ok(name) && hex.n == KEY_ID_HEX, ERR_SYNTAX);
	TRY(hex_dec_exact(hex, id, sizeof(id)));
	TRY(b64_dec(a, b64, MERKLE_VKEY_BYTES_MAX, &typed));
	ENSURE(typed.n >= 1, ERR_SYNTAX);
	ENSURE((uint8_t)typed.p[0] == MERKLE_KEY_ED25519, ERR_ALGORITHM);
	ENSURE(typed.n == 1 + MERKLE_PUBLIC_BYTES, ERR_SYNTAX);
	TRY(merkle_vkey_of(name, (const uint8_t *)typed.p + 1, &v));
	r = rd_of(str_bytes(id, sizeof(id)));
	TRY(rd_u32be(&r, &v.id));
	ENSURE(v.id == merkle_key_id(name, MERKLE_KEY_ED25519,
				     str_bytes(v.key, MERKLE_PUBLIC_BYTES)), ERR_KEY);
	*out = v;
	return OK;
}

static bool text_is_ok(str_t text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((uint8_t)text.p[i] < 0x20 && text.p[i] != '\n') {
			return false;
		}
	}
	return str_is_utf8(text);
}

/* "— name base64", without its newline. */
static err_t line_parse(arena_t *a, str_t line, merkle_note_line_t *out)
{
	rd_t r = rd_of(line);
	str_t name, b64, bytes, signature;
	uint32_t id;

	TRY(rd_lit(&r, STR(NOTE_DASH)));
	TRY(rd_until(&r, ' ', MERKLE_NAME_BYTES_MAX, &name));
	TRY(rd_rest(&r, 2 * MERKLE_SIGNATURE_BYTES_MAX, &b64));
	ENSURE(name_is_ok(name), ERR_SYNTAX);
	TRY(b64_dec(a, b64, MERKLE_SIGNATURE_BYTES_MAX, &bytes));
	r = rd_of(bytes);
	TRY(rd_u32be(&r, &id));
	TRY(rd_rest(&r, MERKLE_SIGNATURE_BYTES_MAX, &signature));
	ENSURE(signature.n > 0, ERR_SYNTAX);
	*out = (merkle_note_line_t){ .name = name, .id = id, .signature = signature };
	return OK;
}

/* Length of the text: all before the LAST empty line, its own newline included. */
static err_t text_length(str_t bytes, size_t *out)
{
	for (size_t i = bytes.n; i >= 2; i--) {
		if (bytes.p[i - 1] == '\n' && bytes.p[i - 2] == '\n') {
			*out = i - 1;
			return OK;
		}
	}
	return ERR_SYNTAX;
}

err_t merkle_note_parse(arena_t *a, str_t bytes, merkle_note_t *out)
{
	merkle_note_t note = { 0 };
	size_t text_n;
	str_t rest, line;

	ENSURE(bytes.n <= MERKLE_NOTE_BYTES_MAX, ERR_LIMIT);
	ENSURE(text_is_ok(bytes), ERR_SYNTAX);
	TRY(text_length(bytes, &text_n));
	ENSURE(text_n > 1, ERR_SYNTAX); /* a note says something */
	note.text = str_sub(bytes, 0, text_n);
	rest = str_sub(bytes, text_n + 1, bytes.n);
	ENSURE(str_ends(rest, STR("\n")), ERR_SYNTAX); /* also refuses a note without lines */
	rest.n--;
	note.lines = arena_array(a, merkle_note_line_t, MERKLE_NOTE_LINES_MAX);
	while (str_split(&rest, '\n', &line)) {
		ENSURE(note.n < MERKLE_NOTE_LINES_MAX, ERR_LIMIT);
		TRY(line_parse(a, line, &note.lines[note.n]));
		note.n++;
	}
	*out = note;
	return OK;
}

static const merkle_vkey_t *known_key(const merkle_note_line_t *line, const merkle_vkey_t *keys,
				      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (keys[i].id == line->id && str_eq(keys[i].name, line->name)) {
			return &keys[i];
		}
	}
	return NULL;
}

err_t merkle_note_verify(const merkle_note_t *note, const merkle_vkey_t *keys, size_t n)
{
	bool good = false;

	for (size_t i = 0; i < note->n; i++) {
		const merkle_vkey_t *key = known_key(&note->lines[i], keys, n);
		crypto_pub_t pub;

		if (!key) {
			continue;
		}
		ENSURE(crypto_pub_ed25519(str_bytes(key->key, MERKLE_PUBLIC_BYTES), &pub) == OK,
		       ERR_SIGNATURE);
		ENSURE(crypto_verify(&pub, CRYPTO_ED25519, note->text,
				     note->lines[i].signature) == OK, ERR_SIGNATURE);
		good = true;
	}
	return good ? OK : ERR_SIGNATURE;
}

err_t merkle_note_sign(arena_t *a, str_t text, const merkle_signer_t *signer, str_t *out)
{
	uint8_t line[KEY_ID_BYTES + MERKLE_SIGNATURE_BYTES];
	uint32_t id = signer->vkey.id;

	ENSURE(str_ends(text, STR("\n")) && text_is_ok(text), ERR_VALUE);
	for (int i = 0; i < KEY_ID_BYTES; i++) {
		line[i] = (uint8_t)(id >> (24 - 8 * i));
	}
	TRY(signer->sign(signer->self, text, line + KEY_ID_BYTES));
	*out = arena_cat(a, text, STR("\n" NOTE_DASH), signer->vkey.name, STR(" "),
			 b64_enc(a, str_bytes(line, sizeof(line))), STR("\n"));
	return OK;
}
