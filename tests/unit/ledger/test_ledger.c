/* ledger: appending, sequencing, exporting, explaining; and who is told no. */
#include "harness.h"

static err_t entry_get(store_txn_t *t, void *self)
{
	store_entry_t *e = self;
	arena_t *a = *(arena_t **)e->leaf.p;

	return store_entry_by_rid(t, a, e->rid, e);
}

static store_entry_t entry(log_t *g, str_t rid)
{
	store_entry_t e = { .rid = rid, .leaf = str_bytes(&g->w->a, sizeof(arena_t *)) };

	assert_int_equal(store_read(g->w->store, entry_get, &e), OK);
	return e;
}

static void a_record_is_canonical_and_says_who_and_when(void **state)
{
	log_t *g = *state;
	str_t rid = rid_of(g->w->a, 0), text;
	const json_t *leaf;
	merkle_hash_t h;
	store_entry_t e;
	uint64_t n;

	assert_int_equal(append(g, LEDGER_ATTEMPT, rid, ATTEMPT_BODY), OK);
	e = entry(g, rid);
	assert_true(jcs_s_canonical(g->w->a, e.leaf));
	h = merkle_leaf_hash(e.leaf);
	assert_true(str_eq(e.leaf_hash, merkle_hash_str(&h)));
	assert_int_equal(json_parse_object(g->w->a, e.leaf, &leaf, NULL), OK);
	assert_true(json_is_str(json_get(leaf, STR("v")), STR("attorn-record/1")));
	assert_true(json_is_str(json_get(leaf, STR("type")), STR("attempt")));
	assert_true(json_is_str(json_get(leaf, STR("enf")), STR("allow")));
	assert_true(json_is_str(json_get(leaf, STR("rid")), rid));
	assert_true(json_is_str(json_get(leaf, STR("ts")), STR("2026-11-22T06:21:52.123456Z")));
	assert_true(json_is_str(json_pointer(leaf, STR("/src/id")), STR(SOURCE)));
	assert_int_equal(json_u64(json_pointer(leaf, STR("/src/n")), 10, &n), OK);
	assert_int_equal(n, 2);
	assert_int_equal(json_u64(json_pointer(leaf, STR("/after/size")), 10, &n), OK);
	assert_int_equal(n, 1); /* every log begins with a signer.head */
	/* a digest of low entropy is committed to, never shown */
	assert_int_equal(json_str(json_pointer(leaf, STR("/act/args")), &text), OK);
	assert_true(str_starts(text, STR("hmac-256:")) && text.n == 9 + 64);
	assert_false(str_contains(e.leaf, STR("sha-256:aa")));
	assert_false(str_contains(e.leaf, STR("sha-256:bb")));
}

static void members_are_checked(void **state)
{
	static const struct {
		ledger_type_t type;
		const char *body;
		err_t err;
	} bad[] = {
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":\"success\",\"prompt\":\"hi\"}", ERR_UNKNOWN_MEMBER },
		{ LEDGER_OUTCOME, "{\"of\":\"x\"}", ERR_MISSING_MEMBER },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":1}", ERR_VALUE },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":\"success\",\"rid\":\"mine\"}", ERR_UNKNOWN_MEMBER },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":\"success\",\"src\":{}}", ERR_UNKNOWN_MEMBER },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":\"success\",\"enf\":\"allow\"}", ERR_UNKNOWN_MEMBER },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":\"success\",\"ms\":1.5}", ERR_NUMBER },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"of\":\"y\",\"status\":\"success\"}", ERR_DUPLICATE },
		{ LEDGER_OUTCOME, "[]", ERR_VALUE },
		{ LEDGER_OUTCOME, "{\"of\":", ERR_SYNTAX },
		{ LEDGER_ATTEMPT, "{\"act\":{\"op\":\"x\"}}", ERR_MISSING_MEMBER },
		{ LEDGER_ATTEMPT, "{\"act\":{\"Op\":\"x\"},\"chain\":[]}", ERR_VALUE }, /* not a JCS-S key */
		{ LEDGER_GRANT, "{\"late\":true}", ERR_UNKNOWN_MEMBER },
		{ LEDGER_REFUSALS, "{\"counts\":{},\"late\":true}", ERR_UNKNOWN_MEMBER },
	};
	log_t *g = *state;
	buf_t big;
	const char *cbig;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err_t err = append(g, bad[i].type, rid_of(g->w->a, i), bad[i].body);

		if (err != bad[i].err) {
			fail_msg("case %zu: %s", i, err_info(err)->name);
		}
	}
	assert_int_equal(append(g, LEDGER_START, STR("not-a-ulid"), "{}"), ERR_VALUE);
	buf_init(&big, 1 << 20);
	buf_add(&big, STR("{\"of\":\"x\",\"status\":\"success\",\"code\":\""));
	for (int i = 0; i < LEDGER_LEAF_BYTES_MAX; i++) {
		buf_byte(&big, 'x');
	}
	buf_add(&big, STR("\"}"));
	assert_int_equal(arena_cstr(g->w->a, buf_str(&big), &cbig), OK);
	assert_int_equal(append(g, LEDGER_OUTCOME, rid_of(g->w->a, 0), cbig), ERR_LIMIT);
	buf_done(&big);

	/* none of them left a number behind */
	assert_int_equal(append(g, LEDGER_START, rid_of(g->w->a, 99), "{\"version\":\"1\"}"), OK);
	assert_int_equal(entry(g, rid_of(g->w->a, 99)).n, 2);
	assert_int_equal(append(g, LEDGER_START, rid_of(g->w->a, 99), "{}"), ERR_EXISTS);
}

/* One body of each type, as the other rooms write them. */
static void every_type_has_its_members(void **state)
{
	static const struct {
		ledger_type_t type;
		const char *body;
	} good[] = {
		{ LEDGER_ATTEMPT, ATTEMPT_BODY },
		{ LEDGER_DECISION, "{\"chain\":[],\"code\":\"grant\",\"policy\":{\"decision\":\"deny\"}}" },
		{ LEDGER_OUTCOME, "{\"of\":\"x\",\"status\":\"error\",\"code\":\"upstream\",\"resp\":\"sha-256:aa\","
		  "\"ms\":3,\"observed_by\":\"gateway\",\"late\":true}" },
		{ LEDGER_TOKEN, "{\"act\":{\"digest\":\"sha-256:aa\",\"op\":\"tools/call\"},\"assurance\":\"key\","
		  "\"chain\":[],\"direction\":{},\"policy\":{},\"route\":{},\"sign\":{\"kid\":\"k\",\"n\":1},\"token\":{}}" },
		{ LEDGER_GRANT, "{\"delegator\":\"u:1\",\"delegate\":\"spiffe://t/a\",\"digest\":\"sha-256:aa\","
		  "\"sig\":\"AAAA\",\"key\":\"jkt\",\"by\":\"delegator\",\"exp\":9,\"iat\":1,\"uses\":20}" },
		{ LEDGER_REVOKE, "{\"grant\":\"g\",\"by\":\"unix:uid:0\",\"reason\":\"lost\",\"ended\":2}" },
		{ LEDGER_REVOKE, "{\"by\":\"client\",\"token\":{\"jti\":\"x\"}}" },
		{ LEDGER_AGENT, "{\"verb\":\"agent.register\",\"subject\":\"spiffe://t/a\",\"by\":\"jkt\","
		  "\"doc\":\"{}\",\"sig\":\"AAAA\",\"rev\":1,\"keys\":[\"jkt\"]}" },
		{ LEDGER_USER, "{\"verb\":\"user.add\",\"subject\":\"u:2\",\"by\":\"jkt\",\"roles\":[]}" },
		{ LEDGER_ROLE, "{\"verb\":\"role.put\",\"subject\":\"reader\",\"digest\":\"sha-256:aa\"}" },
		{ LEDGER_ROUTE, "{\"verb\":\"route.put\",\"subject\":\"tickets\",\"rev\":2}" },
		{ LEDGER_POLICY, "{\"verb\":\"policy.push\",\"digest\":\"sha-256:aa\",\"rev\":2}" },
		{ LEDGER_SECRET, "{\"verb\":\"secret.put\",\"subject\":\"tickets-key\",\"rev\":1}" },
		{ LEDGER_KEY, "{\"kid\":\"k\",\"use\":\"token\",\"state\":\"active\"}" },
		{ LEDGER_REFUSALS, "{\"door\":\"oauth\",\"from\":1,\"to\":2,\"n\":3,\"counts\":{\"client\":3}}" },
		{ LEDGER_START, "{\"version\":\"0.1.0\",\"instance\":\"00ff\"}" },
		{ LEDGER_SVID, "{\"agent\":\"spiffe://t/a\",\"sub\":\"spiffe://t/a/i/0\",\"kind\":\"x509\",\"serial\":\"00ff\","
		  "\"jkt\":\"k\",\"iat\":1,\"exp\":2,\"run\":{\"id\":\"0\"},\"sign\":{\"kid\":\"k\",\"n\":1},\"via\":\"spiffe://t/n\"}" },
		{ LEDGER_TRUST, "{\"kid\":\"k\",\"kind\":\"x509\",\"state\":\"certified\",\"sign\":{\"kid\":\"k\",\"n\":1}}" },
		{ LEDGER_NODE, "{\"kind\":\"local\",\"state\":\"joined\",\"subject\":\"spiffe://t/n\"}" },
		{ LEDGER_RUN, "{\"agent\":\"spiffe://t/a\",\"run\":{\"id\":\"0\"},\"state\":\"started\",\"exp\":2,"
		  "\"subject\":\"spiffe://t/a/i/0\",\"via\":\"spiffe://t/n\"}" },
		{ LEDGER_SIGNER_HEAD, "{\"lists\":[],\"sign\":{\"kid\":\"k\",\"n\":1}}" },
	};
	log_t *g = *state;
	uint32_t seen = 0;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		err_t err = append(g, good[i].type, rid_of(g->w->a, i), good[i].body);

		if (err != OK) {
			fail_msg("case %zu: %s", i, err_info(err)->name);
		}
		assert_true(jcs_s_canonical(g->w->a, entry(g, rid_of(g->w->a, i)).leaf));
		seen |= 1u << good[i].type;
	}
	assert_int_equal(seen, (1u << LEDGER_TYPE_COUNT_) - 1);
	assert_false(str_contains(entry(g, rid_of(g->w->a, 5)).leaf, STR("lost")));
	assert_int_equal(append(g, LEDGER_REVOKE, rid_of(g->w->a, 99), "{\"by\":\"x\"}"), ERR_MISSING_MEMBER);
}

static void commitments_as_the_vectors_say(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const char *root = getenv("ATTORN_ROOT");
	char path[512], *text = heap_alloc(1 << 16);
	const json_t *doc, *list;
	size_t n, count = 0;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/tests/vectors/ledger/digests.json", root ? root : "..");
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(text, 1, 1 << 16, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(json_parse_object(a, str_bytes(text, n), &doc, NULL), OK);
	assert_int_equal(json_need_arr(doc, STR("commitments"), 10, &list), OK);
	for (const json_t *c = json_first(list); c; c = json_next(c)) {
		str_t p, key, value, want;
		uint8_t bytes[32];

		assert_int_equal(json_need_str(c, STR("path"), 100, &p), OK);
		assert_int_equal(json_need_str(c, STR("key"), 64, &key), OK);
		assert_int_equal(json_need_str(c, STR("value_utf8"), 1000, &value), OK);
		assert_int_equal(json_need_str(c, STR("commitment"), 100, &want), OK);
		assert_int_equal(hex_dec_exact(key, bytes, 32), OK);
		assert_true(str_eq(ledger_commit(a, bytes, p, value), want));
		count++;
	}
	assert_int_equal(count, json_count(list));
	assert_true(count >= 2);
	heap_free(text);
}

static err_t head_run(store_txn_t *t, void *self)
{
	log_t *g = self;
	merkle_checkpoint_t c, opened;
	str_t note;

	TRY(ledger_head(t, g->w->a, &note, &c));
	TRY(merkle_checkpoint_open(g->w->a, note, ledger_vkey(g->l), &opened));
	assert_int_equal(opened.size, c.size);
	assert_int_equal(c.size, g->made + g->heads);
	return OK;
}

static void heads_grow_and_survive_a_restart(void **state)
{
	log_t *g = *state;
	diag_t diag = { 0 };
	verify_t v = { 0 };

	assert_int_equal(store_read(g->w->store, head_run, g), OK);
	log_fill(g, 300);
	assert_int_equal(store_read(g->w->store, head_run, g), OK);
	log_fill(g, 1);
	ledger_close(g->l);
	g->l = NULL;
	world_reopen(g->w);
	if (log_try_open(g, &diag) != OK) {
		fail_msg("%s", diag.text);
	}
	assert_int_equal(store_read(g->w->store, head_run, g), OK);
	log_fill(g, 5);
	assert_int_equal(entry(g, rid_of(g->w->a, 305)).n, 306 + 3); /* gapless over the restart */
	v.log = ledger_vkey(g->l);
	assert_int_equal(store_read(g->w->store, verify_run, &v), OK);
	assert_true(v.report.whole && v.report.head_ok);
	assert_int_equal(v.report.records, 306 + 4);
}

static void an_older_process_is_fenced_off(void **state)
{
	log_t *g = *state;
	ledger_sequence_t old = { .ledger = g->l };
	ledger_t *first = g->l;

	assert_int_equal(log_try_open(g, NULL), OK); /* a second process takes the log over */
	assert_int_equal(append(g, LEDGER_START, rid_of(g->w->a, 0), "{}"), OK);
	assert_int_equal(store_write(g->w->store, ledger_sequence_index, &old), ERR_CONFLICT);
	g->made = 1;
	log_fill(g, 2);
	ledger_close(first);
}

static void a_foreign_key_is_refused(void **state)
{
	log_t *g = *state;
	signer_key_t mine = g->key;
	ledger_t *l = g->l;
	diag_t diag = { 0 };

	log_fill(g, 3);
	log_key_make(g);
	assert_int_equal(log_try_open(g, &diag), ERR_LEDGER_DAMAGED);
	assert_non_null(strstr(diag.text, "not signed"));
	g->key = mine;
	g->l = l;
}

static void exports_verify_whole_and_in_part(void **state)
{
	static const struct {
		uint64_t from, to;
	} parts[] = { { 0, 5 }, { 5, 6 }, { 64, 300 }, { 299, 300 }, { 1, UINT64_MAX } };
	log_t *g = *state;
	ledger_report_t r;
	buf_t text;

	assert_int_equal(log_text(g, 0, UINT64_MAX, &text), OK); /* an empty log has a head too */
	assert_int_equal(text_verify(ledger_vkey(g->l), buf_str(&text), &r), OK);
	assert_int_equal(r.records, 1);
	buf_done(&text);
	log_fill(g, 300);
	assert_int_equal(log_text(g, 0, UINT64_MAX, &text), OK);
	assert_int_equal(text_verify(ledger_vkey(g->l), buf_str(&text), &r), OK);
	assert_true(r.whole && r.records == 302 && r.head.size == 302);
	assert_true(r.lists);
	assert_int_equal(r.signatures, 1); /* of the head before */
	buf_done(&text);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		assert_int_equal(log_text(g, parts[i].from, parts[i].to, &text), OK);
		assert_int_equal(text_verify(ledger_vkey(g->l), buf_str(&text), &r), OK);
		assert_false(r.whole);
		assert_int_equal(r.first_index, parts[i].from);
		buf_done(&text);
	}
	assert_int_equal(log_text(g, 302, UINT64_MAX, &text), ERR_VALUE);
	buf_done(&text);
	assert_int_equal(log_text(g, 7, 7, &text), ERR_VALUE);
	buf_done(&text);
}

/* Lines taken away, repeated, swapped; another head; no head. */
enum { LINES = 1 + 10 + 1 + 1 + 1 }; /* first record, ten more, the one of the head; a list; the head */

static void exports_that_lie_are_refused(void **state)
{
	log_t *g = *state;
	AUTO(arena_free) arena_t *a = arena_new_capped(16 << 20);
	buf_t text, lie;
	str_t rest, line[LINES + 1];
	ledger_report_t r;
	merkle_vkey_t other = *ledger_vkey(g->l);
	size_t n = 0;

	log_fill(g, 10);
	assert_int_equal(log_text(g, 0, UINT64_MAX, &text), OK);
	rest = buf_str(&text);
	while (n < LINES && str_split(&rest, '\n', &line[n])) {
		n++;
	}
	assert_int_equal(n, LINES);
	for (int lying = 0; lying < 7; lying++) {
		buf_init(&lie, 1 << 20);
		for (size_t i = 0; i < LINES; i++) {
			size_t at = i;

			if ((lying == 0 && i == 4) || (lying == 1 && i == 11) || (lying == 2 && i == LINES - 1) ||
				(lying == 6 && i == 12)) {
				continue; /* in the middle, at the end, the head, the signer's list */
			}
			if (lying == 3 && (i == 2 || i == 3)) {
				at = 5 - i; /* swapped */
			}
			buf_add(&lie, line[at]);
			buf_byte(&lie, '\n');
			if ((lying == 4 && i == 4) || (lying == 5 && i == LINES - 1)) {
				buf_add(&lie, line[i == LINES - 1 ? 0 : at]); /* repeated; more behind the head */
				buf_byte(&lie, '\n');
			}
		}
		assert_int_equal(text_verify(ledger_vkey(g->l), buf_str(&lie), &r), ERR_LEDGER_DAMAGED);
		assert_true(r.why[0] != '\0');
		assert_false(r.whole);
		buf_done(&lie);
	}
	other.key[3] ^= 1;
	assert_int_equal(text_verify(&other, buf_str(&text), &r), ERR_LEDGER_DAMAGED);
	assert_false(r.head_ok);
	buf_done(&text);
}

/* ---- the signer's lists beside the records ---- */

#define TOKEN_BODY "{\"chain\":[],\"sign\":{\"digest\":\"sha-256:%.*s\",\"kid\":\"%s\",\"n\":%d},\"token\":{}}"

typedef struct {
	log_t *g;
	signer_key_t key; /* of tokens */
	int signed_n;
} tokens_t;

static str_t token_input(tokens_t *t, int n)
{
	arena_t *a = t->g->w->a;
	str_t header = arena_printf(a, "{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"kid\":\"%s\"}", t->key.kid);

	return arena_cat(a, b64url_enc(a, header), STR("."), b64url_enc(a, arena_printf(a, "{\"jti\":\"%d\"}", n)));
}

static void token_record(tokens_t *t, int n, int of)
{
	arena_t *a = t->g->w->a;
	uint8_t digest[32];
	const char *body;

	crypto_sha256(token_input(t, of), digest);
	str_t hex = hex_enc(a, str_bytes(digest, 32));
	assert_int_equal(arena_cstr(a, arena_printf(a, TOKEN_BODY, STR_ARG(hex), t->key.kid, n), &body), OK);
	assert_int_equal(append(t->g, LEDGER_TOKEN, rid_of(a, t->g->made++), body), OK);
}

static void token_sign(tokens_t *t, int n)
{
	uint8_t sig[SIGNER_SIGNATURE_BYTES];

	assert_int_equal(signer_client_sign(t->g->signing.client, str_of(t->key.kid), (uint64_t)n, token_input(t, n), sig), OK);
	t->signed_n++;
}

static err_t lists_verdict(tokens_t *t, ledger_report_t *r)
{
	buf_t text;

	log_fill(t->g, 1);
	assert_int_equal(log_text(t->g, 0, UINT64_MAX, &text), OK);
	err_t e = text_verify(ledger_vkey(t->g->l), buf_str(&text), r);
	buf_done(&text);
	return e;
}

static tokens_t tokens_of(log_t *g)
{
	tokens_t t = { .g = g };

	assert_int_equal(signer_client_make(g->signing.client, SIGNER_TOKEN, 1, &t.key), OK);
	return t;
}

static void signatures_and_records_agree(void **state)
{
	log_t *g = *state;
	tokens_t t = tokens_of(g);
	ledger_report_t r;

	for (int n = 1; n <= 600; n++) {
		token_record(&t, n, n);
		if (n % 7) { /* a number without a signature is no fault: somebody died in between */
			token_sign(&t, n);
		}
	}
	assert_int_equal(lists_verdict(&t, &r), OK);
	assert_int_equal(r.signatures, (uint64_t)t.signed_n + g->heads - 1);
}

static void a_signature_without_a_record_shows(void **state)
{
	tokens_t t = tokens_of(*state);
	ledger_report_t r;

	token_record(&t, 1, 1);
	token_sign(&t, 1);
	token_sign(&t, 2);
	assert_int_equal(lists_verdict(&t, &r), ERR_LEDGER_DAMAGED);
	assert_non_null(strstr(r.why, "signature 2 of key"));
	assert_non_null(strstr(r.why, "has no record"));
	assert_false(r.lists);
}

static void a_signature_of_something_else_shows(void **state)
{
	tokens_t t = tokens_of(*state);
	ledger_report_t r;

	token_record(&t, 1, 5); /* the record is of another message than was signed */
	token_sign(&t, 1);
	assert_int_equal(lists_verdict(&t, &r), ERR_LEDGER_DAMAGED);
	assert_non_null(strstr(r.why, "something else"));
}

static void a_head_signed_behind_our_back_shows(void **state)
{
	log_t *g = *state;
	tokens_t t = tokens_of(g);
	uint8_t sig[SIGNER_SIGNATURE_BYTES];
	ledger_report_t r;

	assert_int_equal(lists_verdict(&t, &r), OK);
	str_t forged = STR(ORIGIN "\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
	assert_int_equal(signer_client_sign(g->signing.client, str_of(g->key.kid), 1000, forged, sig), OK);
	assert_int_equal(lists_verdict(&t, &r), ERR_LEDGER_DAMAGED);
	assert_non_null(strstr(r.why, "signature 1000 of key"));
}

/* A list that lost what a record names; one with other entries of the same length. */
static void a_list_that_was_changed_shows(void **state)
{
	log_t *g = *state;
	tokens_t t = tokens_of(g);
	ledger_report_t r;
	char path[200];
	uint8_t byte;

	for (int n = 1; n <= 3; n++) {
		token_record(&t, n, n);
		token_sign(&t, n);
	}
	assert_int_equal(lists_verdict(&t, &r), OK);
	snprintf(path, sizeof(path), "%s/%s.list", g->signing.dir, t.key.kid);
	FILE *f = fopen(path, "r+b");
	assert_non_null(f);
	assert_int_equal(fseek(f, 2 * 40 + 20, SEEK_SET), 0);
	assert_int_equal(fread(&byte, 1, 1, f), 1);
	byte ^= 1;
	assert_int_equal(fseek(f, 2 * 40 + 20, SEEK_SET), 0);
	assert_int_equal(fwrite(&byte, 1, 1, f), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(lists_verdict(&t, &r), ERR_LEDGER_DAMAGED);
	signing_stop(&g->signing);
	assert_int_equal(truncate(path, 3 * 40), 0);
	signing_start(&g->signing);
	ledger_close(TAKE(g->l));
	assert_int_equal(log_try_open(g, NULL), OK);
	assert_int_equal(lists_verdict(&t, &r), ERR_LEDGER_DAMAGED);
	assert_true(r.why[0]);
}

/* The steps of a head, and a process that ends between any two of them: the next carries on. */
static void a_head_is_resumed(void **state)
{
	log_t *g = *state;
	ledger_report_t r;
	verify_t v = { 0 };

	for (int died_after = 0; died_after < 3; died_after++) {
		ledger_sequence_t s = { .ledger = g->l, .now_us = 1795328512123456 };
		assert_int_equal(append(g, LEDGER_START, rid_of(g->w->a, g->made++), "{}"), OK);
		assert_int_equal(ledger_sequence_ask(&s), OK);
		assert_int_equal(store_write(g->w->store, ledger_sequence_index, &s), OK);
		assert_true(s.to_sign);
		g->heads++;
		if (died_after > 0) {
			assert_int_equal(ledger_sequence_sign(&s), OK);
			assert_int_equal(ledger_sequence_sign(&s), OK); /* again: it is signed */
		}
		if (died_after > 1) {
			assert_int_equal(store_write(g->w->store, ledger_sequence_publish, &s), OK);
		}
		ledger_close(TAKE(g->l));
		signing_stop(&g->signing);
		signing_start(&g->signing);
		world_reopen(g->w);
		assert_int_equal(log_try_open(g, NULL), OK);
		v.log = ledger_vkey(g->l);
		assert_int_equal(store_read(g->w->store, verify_run, &v), OK);
		assert_int_equal(v.report.records, g->made + g->heads);
		tokens_t t = { .g = g };
		assert_int_equal(lists_verdict(&t, &r), OK);
		assert_int_equal(r.records, g->made + g->heads);
	}
}

typedef struct {
	log_t *g;
	str_t rid, json;
} explain_t;

static err_t explain_run(store_txn_t *t, void *self)
{
	explain_t *x = self;

	return ledger_explain(x->g->l, t, x->g->w->a, x->rid, &x->json);
}

static err_t story_run(store_txn_t *t, void *self)
{
	log_t *g = self;
	store_grant_t root = grant_of("G0", NULL, 3);
	store_attempt_t at = { .rid = rid_of(g->w->a, 0), .req = STR("d"), .gateway = STR("gw"),
		.route = STR("invoices"), .grant = STR("G0"), .deadline_ms = 1 };

	TRY(seed_people(t));
	TRY(store_grant_insert(t, &root));
	TRY(store_attempt_insert(t, &at));
	return store_attempt_close(t, at.rid, rid_of(g->w->a, 1));
}

static void explain_tells_the_story(void **state)
{
	log_t *g = *state;
	str_t call = rid_of(g->w->a, 0), result = rid_of(g->w->a, 1);
	explain_t x = { .g = g, .rid = call };
	const json_t *s;
	const char *body;

	assert_int_equal(arena_cstr(g->w->a, arena_printf(g->w->a,
		"{\"of\":\"%.*s\",\"status\":\"success\",\"ms\":7,\"resp\":\"sha-256:dd\"}",
		STR_ARG(call)), &body), OK);
	assert_int_equal(append(g, LEDGER_ATTEMPT, call, ATTEMPT_BODY), OK);
	assert_int_equal(append(g, LEDGER_OUTCOME, result, body), OK);
	assert_int_equal(append(g, LEDGER_OUTCOME, rid_of(g->w->a, 2), body), OK); /* came too late */
	assert_int_equal(store_write(g->w->store, story_run, g), OK);
	for (int by_outcome = 0; by_outcome < 2; by_outcome++) {
		x.rid = by_outcome ? result : call;
		assert_int_equal(store_read(g->w->store, explain_run, &x), OK);
		assert_int_equal(json_parse_object(g->w->a, x.json, &s, NULL), OK);
		assert_true(json_is_str(json_get(s, STR("rid")), call));
		assert_true(json_is_str(json_pointer(s, STR("/opened/act.args")), STR("sha-256:aa")));
		assert_true(json_is_str(json_pointer(s, STR("/opened/act.digest")), STR("sha-256:bb")));
		assert_true(json_is_str(json_pointer(s, STR("/outcome/record/status")), STR("success")));
		assert_true(json_is_str(json_pointer(s, STR("/outcome/opened/resp")), STR("sha-256:dd")));
		assert_true(json_is_str(json_pointer(s, STR("/grants/0/user_name")), STR("alice")));
		assert_true(json_is_str(json_pointer(s, STR("/record/policy/rules/0")), STR("p1")));
		assert_true(json_is_null(json_get(s, STR("index"))));
		assert_true(json_is_str(json_pointer(s, STR("/late/0/rid")), rid_of(g->w->a, 2)));
		assert_int_equal(json_count(json_get(s, STR("late"))), 1);
	}
	x.rid = rid_of(g->w->a, 77);
	assert_int_equal(store_read(g->w->store, explain_run, &x), ERR_NOT_FOUND);
	x.rid = STR("' OR 1=1");
	assert_int_equal(store_read(g->w->store, explain_run, &x), ERR_NOT_FOUND);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, log_open, log_close)
	const struct CMUnitTest tests[] = {
		T(a_record_is_canonical_and_says_who_and_when), T(members_are_checked), T(every_type_has_its_members),
		T(commitments_as_the_vectors_say), T(heads_grow_and_survive_a_restart),
		T(an_older_process_is_fenced_off), T(a_foreign_key_is_refused),
		T(exports_verify_whole_and_in_part), T(exports_that_lie_are_refused),
		T(explain_tells_the_story), T(signatures_and_records_agree), T(a_signature_without_a_record_shows),
		T(a_signature_of_something_else_shows), T(a_head_signed_behind_our_back_shows), T(a_list_that_was_changed_shows),
		T(a_head_is_resumed),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
