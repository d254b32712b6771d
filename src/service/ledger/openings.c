/* openings.c: what a commitment hides, sealed beside the log under the KEK and bound to its place. */
#include "service/ledger/ledger_int.h"

static str_t place(arena_t *a, const ledger_t *l, str_t rid, str_t path)
{
	/* 12.3: AAD = origin || rid || path; none of them holds a newline */
	return arena_cat(a, l->signer.vkey.name, STR("\n"), rid, STR("\n"), path);
}

err_t opening_seal(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid, const record_opening_t *o)
{
	str_t sealed;

	TRY(crypto_seal(a, secret_peek(&l->kek), place(a, l, rid, o->path),
			arena_cat(a, o->key, o->value), &sealed));
	return store_opening_put(t, rid, o->path, sealed);
}

err_t opening_value(const ledger_t *l, store_txn_t *t, arena_t *a, str_t rid, str_t path,
		    str_t commitment, str_t *out_value)
{
	str_t sealed, plain, key, value;
	rd_t r;

	TRY(store_opening_get(t, a, rid, path, &sealed));
	TRY(crypto_open_arena(a, secret_peek(&l->kek), place(a, l, rid, path), sealed, &plain));
	r = rd_of(plain);
	TRY(rd_bytes(&r, LEDGER_COMMIT_KEY_BYTES, &key));
	TRY(rd_rest(&r, LEDGER_LEAF_BYTES_MAX, &value));
	ENSURE(str_eq(ledger_commit(a, (const uint8_t *)key.p, path, value), commitment),
	       ERR_LEDGER_DAMAGED);
	*out_value = value;
	return OK;
}
