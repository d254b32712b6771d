/* openings.c: what the commitments of a record hide, sealed beside the log under the KEK and bound to
 * its place. One row a record: u16 path length, path, key, u32 value length, value; repeated. */
#include "service/ledger/ledger_int.h"

/* 12.3: AAD = origin || rid; neither holds a newline. */
static str_t place(arena_t *a, const ledger_t *l, str_t rid)
{
	return arena_cat(a, l->vkey.name, STR("\n"), rid);
}

err_t openings_seal(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid,
		    const record_opening_t *openings, size_t n)
{
	AUTO(buf_wipe) buf_t b = { 0 };
	str_t sealed;

	if (n == 0) {
		return OK;
	}
	buf_init(&b, 2 * LEDGER_LEAF_BYTES_MAX);
	for (size_t i = 0; i < n; i++) {
		wr_u16be(&b, (uint16_t)openings[i].path.n);
		buf_add(&b, openings[i].path);
		buf_add(&b, openings[i].key);
		wr_u32be(&b, (uint32_t)openings[i].value.n);
		buf_add(&b, openings[i].value);
	}
	TRY(buf_err(&b));
	TRY(crypto_seal(a, secret_peek(&l->kek), place(a, l, rid), buf_str(&b), &sealed));
	return store_opening_put(t, rid, sealed);
}

static err_t opening_read(rd_t *r, record_opening_t *out)
{
	uint16_t path_n;
	uint32_t value_n;

	TRY(rd_u16be(r, &path_n));
	TRY(rd_bytes(r, path_n, &out->path));
	TRY(rd_bytes(r, LEDGER_COMMIT_KEY_BYTES, &out->key));
	TRY(rd_u32be(r, &value_n));
	return rd_bytes(r, value_n, &out->value);
}

err_t openings_value(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid, str_t path,
		     str_t commitment, str_t *out_value)
{
	str_t sealed, plain, again;
	record_opening_t o;
	rd_t r;

	TRY(store_opening_get(t, a, rid, &sealed));
	TRY(crypto_open_arena(a, secret_peek(&l->kek), place(a, l, rid), sealed, &plain));
	r = rd_of(plain);
	do {
		ENSURE(!rd_empty(&r), ERR_NOT_FOUND);
		TRY(opening_read(&r, &o));
	} while (!str_eq(o.path, path));
	again = ledger_commit(a, (const uint8_t *)o.key.p, path, o.value);
	ENSURE(str_eq(again, commitment), ERR_LEDGER_DAMAGED);
	*out_value = o.value;
	return OK;
}
