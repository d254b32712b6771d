/* line.c: one line of an export, written and read (docs/ledger-export.md). A reader takes exactly
 * the bytes a writer makes: there is one way to say a record. */
#include "service/ledger/ledger_int.h"

static void b64_member(buf_t *b, const char *name, str_t bytes)
{
	buf_printf(b, ",\"%s\":\"", name);
	b64_add(b, bytes);
	buf_byte(b, '"');
}

static str_t finish(arena_t *a, buf_t *b)
{
	str_t line;

	buf_byte(b, '\n');
	CHECK(buf_err(b) == OK); /* a leaf is bounded, a proof too */
	CHECK(arena_dup(a, buf_str(b), &line) == OK);
	return line;
}

str_t line_record(arena_t *a, uint64_t index, str_t leaf, const merkle_hash_t *hash,
		  const merkle_proof_t *proof)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, LEDGER_LINE_BYTES_MAX);
	buf_printf(&b, "{\"index\":%llu", (unsigned long long)index);
	b64_member(&b, "leaf", leaf);
	b64_member(&b, "hash", merkle_hash_str(hash));
	if (proof) {
		buf_add(&b, STR(",\"proof\":["));
		for (size_t i = 0; i < proof->n; i++) {
			buf_add(&b, i > 0 ? STR(",\"") : STR("\""));
			b64_add(&b, merkle_hash_str(&proof->hash[i]));
			buf_byte(&b, '"');
		}
		buf_byte(&b, ']');
	}
	buf_byte(&b, '}');
	return finish(a, &b);
}

str_t line_list(arena_t *a, str_t kid, uint64_t from, str_t entries)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, LEDGER_LINE_BYTES_MAX);
	buf_add(&b, STR("{\"list\":\""));
	buf_add(&b, kid); /* base64url: nothing to escape */
	buf_printf(&b, "\",\"from\":%llu", (unsigned long long)from);
	b64_member(&b, "entries", entries);
	buf_byte(&b, '}');
	return finish(a, &b);
}

str_t line_head(arena_t *a, str_t note)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, 2 * MERKLE_NOTE_BYTES_MAX);
	buf_add(&b, STR("{\"head\":"));
	CHECK(json_quote(&b, note) == OK); /* a note is UTF-8 */
	buf_byte(&b, '}');
	return finish(a, &b);
}

static err_t hash_get(arena_t *a, const json_t *node, merkle_hash_t *out)
{
	str_t text, bytes;

	TRY(json_str(node, &text));
	TRY(b64_dec(a, text, MERKLE_HASH_BYTES, &bytes));
	return merkle_hash_from(bytes, out);
}

static err_t proof_get(arena_t *a, const json_t *array, merkle_proof_t *out)
{
	ENSURE(json_kind(array) == JSON_ARRAY, ERR_VALUE);
	ENSURE(json_count(array) <= MERKLE_PROOF_HASHES_MAX, ERR_LIMIT);
	out->n = 0;
	for (const json_t *h = json_first(array); h; h = json_next(h)) {
		TRY(hash_get(a, h, &out->hash[out->n]));
		out->n++;
	}
	return OK;
}

static err_t record_get(arena_t *a, const json_t *root, line_t *out)
{
	const json_t *proof = json_get(root, STR("proof"));
	str_t leaf;

	TRY(json_need_u64(root, STR("index"), JSON_SAFE_INT_MAX, &out->index));
	TRY(json_need_str(root, STR("leaf"), LEDGER_LINE_BYTES_MAX, &leaf));
	TRY(b64_dec(a, leaf, LEDGER_LEAF_BYTES_MAX, &out->leaf));
	TRY(hash_get(a, json_get(root, STR("hash")), &out->hash));
	out->has_proof = proof != NULL;
	return proof ? proof_get(a, proof, &out->proof) : OK;
}

static err_t list_get(arena_t *a, const json_t *root, line_t *out)
{
	str_t entries;

	TRY(json_need_str(root, STR("list"), SIGNER_KID_BYTES, &out->kid));
	ENSURE(out->kid.n == SIGNER_KID_BYTES && str_is_visible(out->kid) && !str_contains(out->kid, STR("\"")), ERR_VALUE);
	TRY(json_need_u64(root, STR("from"), JSON_SAFE_INT_MAX, &out->index));
	TRY(json_need_str(root, STR("entries"), LEDGER_LINE_BYTES_MAX, &entries));
	return b64_dec(a, entries, LEDGER_LIST_LINE_ENTRIES * LINE_ENTRY_BYTES, &out->entries);
}

err_t line_parse(arena_t *a, str_t line, line_t *out)
{
	const json_opts_t opts = { .object_only = true, .depth_max = 2,
		.bytes_max = 2 * MERKLE_NOTE_BYTES_MAX };
	line_t *l = arena_new(a, line_t);
	const json_t *root;
	str_t again;

	TRY(json_parse(a, line, &opts, &root, NULL));
	l->is_head = json_get(root, STR("head")) != NULL;
	l->is_list = json_get(root, STR("list")) != NULL;
	if (l->is_list) {
		TRY(list_get(a, root, l));
		again = line_list(a, l->kid, l->index, l->entries);
	} else if (l->is_head) {
		TRY(json_need_str(root, STR("head"), MERKLE_NOTE_BYTES_MAX, &l->note));
		again = line_head(a, l->note);
	} else {
		TRY(record_get(a, root, l));
		again = line_record(a, l->index, l->leaf, &l->hash, l->has_proof ? &l->proof : NULL);
	}
	again.n--; /* its newline */
	ENSURE(str_eq(line, again), ERR_SYNTAX);
	*out = *l;
	return OK;
}
