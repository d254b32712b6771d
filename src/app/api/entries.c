/* entries.c: by which attested facts the processes of an agent are known (docs/identity.md 3). A set is
 * replaced as one: what it was and what it becomes are one record. */
#include "app/api/api_int.h"

/* One text for one entry, whatever order its members came in. */
static err_t entry_text(api_call_t *c, const spiffe_entry_t *entry, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, API_BODY_BYTES_MAX);
	jw_init(&w, &b);
	spiffe_entry_write(&w, entry);
	TRY(jw_finish(&w));
	return arena_dup(c->a, buf_str(&b), out);
}

err_t api_entries(api_call_t *c, const api_entry_t **out, size_t *out_n)
{
	const json_t *list;
	spiffe_entry_t *entries;

	err_t e = json_want_arr(c->body, STR("entries"), SPIFFE_ENTRIES_MAX, &list);
	ENSURE(e == OK, api_say(c, e, "entries: a list of at most %d entries", SPIFFE_ENTRIES_MAX));
	*out = NULL;
	*out_n = 0;
	if (!list) {
		return OK;
	}
	TRY(spiffe_entries_read(c->a, list, c->p->deps.trust_domain, &entries, out_n, &c->diag));
	api_entry_t *made = arena_array(c->a, api_entry_t, *out_n);
	for (size_t i = 0; i < *out_n; i++) {
		made[i].id = entries[i].id;
		TRY(entry_text(c, &entries[i], &made[i].doc));
	}
	*out = made;
	return OK;
}

void api_entries_digest(api_call_t *c, const api_entry_t *entries, size_t n)
{
	crypto_sha256_t h;
	uint8_t digest[CRYPTO_SHA256_BYTES];

	crypto_sha256_start(&h);
	for (size_t i = 0; i < n; i++) {
		crypto_sha256_add(&h, entries[i].doc);
		crypto_sha256_add(&h, STR("\n"));
	}
	crypto_sha256_end(&h, digest);
	jw_kstr(&c->r, "digest", delegation_digest_text(c->a, digest));
}

err_t api_entries_set(api_call_t *c, store_txn_t *txn, str_t agent, const api_entry_t *entries, size_t n)
{
	store_agent_entry_t *rows = arena_array(c->a, store_agent_entry_t, n);

	for (size_t i = 0; i < n; i++) {
		rows[i] = (store_agent_entry_t){ .agent = agent, .id = entries[i].id, .doc = entries[i].doc,
			.created_s = c->now_s };
	}
	return store_agent_entries_set(txn, c->a, agent, rows, n);
}

err_t api_entries_answer(api_call_t *c, store_txn_t *txn, str_t agent)
{
	store_agent_entry_t *rows;
	size_t n;

	TRY(store_agent_entry_list(txn, c->a, agent, &rows, &n));
	jw_karray(&c->w, "entries");
	for (size_t i = 0; i < n; i++) {
		jw_raw(&c->w, rows[i].doc);
	}
	jw_end(&c->w);
	return OK;
}

/* --- PUT /agents/NAME/entries -------------------------------------------------------------------------------- */

typedef struct {
	const api_entry_t *entries;
	size_t n;
} entries_in_t;

err_t api_agent_entries_parse(api_call_t *c)
{
	entries_in_t *in = arena_new(c->a, entries_in_t);

	c->in = in;
	TRY(api_arg_name(c, 0));
	TRY(API_ONLY(c, STR("entries")));
	ENSURE(json_get(c->body, STR("entries")), ERR_MISSING_MEMBER);
	return api_entries(c, &in->entries, &in->n);
}

err_t api_agent_entries_run(api_call_t *c, store_txn_t *txn)
{
	const entries_in_t *in = c->in;
	store_agent_t row;

	TRY(api_agent_find(c, txn, c->arg[0], &row));
	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("agent"), &row));
	TRY(api_entries_set(c, txn, row.id, in->entries, in->n));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "subject", row.id);
	api_entries_digest(c, in->entries, in->n);
	TRY(api_record_end(c, txn, LEDGER_AGENT));
	TRY(api_change(c, txn, "agent", row.id, true));
	return api_agent_told(c, txn, row.id);
}
