/* make_ledger DIR N: a store with N records, DIR/export.jsonl, and the verifier key on stdout; for
 * verifiers in other languages. */
#include "harness.h"

int main(int argc, char **argv)
{
	world_t w = { 0 };
	log_t g = { .w = &w };
	uint64_t n;
	buf_t text;
	str_t vkey;
	diag_t diag = { 0 };
	FILE *f;

	CHECK(argc == 3 && str_to_u64(str_of(argv[2]), 1000000, &n) == OK);
	CHECK(crypto_init() == OK);
	(void)snprintf(w.path, sizeof(w.path), "attorn.db");
	CHECK(chdir(argv[1]) == 0);
	w.a = arena_new_capped(1 << 30);
	CHECK(store_open(str_of(w.path), NULL, &w.store, &diag) == OK);
	signing_open(&g.signing);
	log_key_make(&g);
	CHECK(store_write(w.store, log_key_run, &g) == OK);
	CHECK(log_try_open(&g, &diag) == OK);
	log_fill(&g, (size_t)n);
	CHECK(log_text(&g, 0, UINT64_MAX, &text) == OK);
	f = fopen("export.jsonl", "wb");
	CHECK(f && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0);
	buf_done(&text);
	vkey = merkle_vkey_format(ledger_vkey(g.l), w.a);
	(void)printf("%.*s\n", STR_ARG(vkey));
	ledger_close(g.l);
	store_close(w.store);
	signing_close(&g.signing);
	arena_free(w.a);
	return 0;
}
