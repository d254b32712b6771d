/* checkpoint.c: what a log signs (C2SP tlog-checkpoint 1.0.0): origin, size, root, nothing more. */
#include "pure/codec/codec.h"
#include "pure/merkle/merkle.h"

enum { ROOT_TEXT_BYTES = 64 }; /* 32 bytes in base64 are 44; the decoder is exact */

str_t merkle_checkpoint_text(const merkle_checkpoint_t *c, arena_t *a)
{
	return arena_cat(a, c->origin, arena_printf(a, "\n%llu\n", (unsigned long long)c->size),
			 b64_enc(a, merkle_hash_str(&c->root)), STR("\n"));
}

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

err_t merkle_checkpoint_parse(str_t text, merkle_checkpoint_t *out)
{
	AUTO(arena_free) arena_t *a = arena_open();
	merkle_checkpoint_t c;
	rd_t r = rd_of(text);
	str_t size, root, hash;

	TRY(rd_until(&r, '\n', MERKLE_NAME_BYTES_MAX, &c.origin));
	TRY(rd_while(&r, is_digit, 1, 20, &size));
	TRY(rd_lit(&r, STR("\n")));
	TRY(rd_until(&r, '\n', ROOT_TEXT_BYTES, &root));
	/* extension lines: nobody audits them, so our logs have none and refuse them */
	TRY(rd_end(&r));
	ENSURE(c.origin.n > 0 && str_find(c.origin, ' ') == c.origin.n &&
		       str_find(c.origin, '+') == c.origin.n, ERR_SYNTAX);
	TRY(str_to_u64(size, UINT64_MAX >> 1, &c.size));
	TRY(b64_dec(a, root, MERKLE_HASH_BYTES, &hash));
	TRY(merkle_hash_from(hash, &c.root));
	*out = c;
	return OK;
}

err_t merkle_checkpoint_open(arena_t *a, str_t note, const merkle_vkey_t *log,
			     merkle_checkpoint_t *out)
{
	merkle_note_t n;
	merkle_checkpoint_t c;

	TRY(merkle_note_parse(a, note, &n));
	TRY(merkle_note_verify(&n, log, 1));
	TRY(merkle_checkpoint_parse(n.text, &c));
	ENSURE(str_eq(c.origin, log->name), ERR_SIGNATURE); /* a key speaks for its own log */
	*out = c;
	return OK;
}
