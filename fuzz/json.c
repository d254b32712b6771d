/* json: whatever is accepted is a tree that agrees with itself and has one canonical form. */
#include "pure/base/base.h"
#include "pure/codec/codec.h"

enum { SPANS_MAX = 32 };

/* Children, counts and spans agree with each other. */
static void check_tree(const json_t *root, str_t text)
{
	for (uint32_t i = 0; i < root->skip; i++) {
		const json_t *n = root + i;
		str_t raw = json_raw(n);
		uint32_t count = 0, nodes = 1;
		CHECK(raw.p >= text.p && raw.n > 0 && raw.p + raw.n <= text.p + text.n);
		for (const json_t *c = json_first(n); c; c = json_next(c)) {
			count++;
			nodes += c->skip;
			CHECK(json_kind(n) == JSON_ARRAY || json_get(n, json_key(c)) == c);
			CHECK(json_raw(c).p > raw.p && json_raw(c).p + json_raw(c).n < raw.p + raw.n);
		}
		CHECK(count == json_count(n) && nodes == n->skip);
		CHECK(json_kind(n) != JSON_STRING || str_is_utf8((str_t){ n->text_p, n->text_n }));
	}
}

/* What a proxy cuts out is a document by itself. */
static void check_spans(arena_t *a, const json_t *root)
{
	const json_t *again;

	for (uint32_t i = 0; i < root->skip && i < SPANS_MAX; i++) {
		CHECK(json_parse(a, json_raw(root + i), NULL, &again, NULL) == OK);
		CHECK(again->skip == root[i].skip && again->kind == root[i].kind);
	}
}

static void check_canonical(arena_t *a, const json_t *root, str_t text)
{
	const json_t *again;
	str_t once, twice;
	err_t e = jcs_write(a, root, &once);

	CHECK(e == OK || e == ERR_NUMBER || e == ERR_LIMIT);
	if (jcs_s_canonical(a, text)) {
		CHECK(e == OK && str_eq(once, text));
	}
	if (e != OK || json_parse(a, once, NULL, &again, NULL) == ERR_LIMIT) {
		return;
	}
	/* the subset alone keeps its form: 1E20 becomes an integer that is refused the next time */
	if (jcs_s_check(root) == OK) {
		CHECK(jcs_write(a, again, &twice) == OK && str_eq(once, twice));
	}
}

static void check_writer(const json_t *root)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, 8 << 20);
	for (uint32_t i = 0; i < root->skip; i++) {
		if (root[i].kind == JSON_STRING) {
			CHECK(json_quote(&b, (str_t){ root[i].text_p, root[i].text_n }) == OK);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(16 << 20);
	str_t text = str_bytes(data, size);
	const json_t *root = NULL;
	int64_t date;
	diag_t diag;

	if (json_parse(a, text, NULL, &root, &diag) != OK) {
		CHECK(root == NULL && diag.line >= 1 && diag.column >= 1 && diag.column <= size + 1);
		return 0;
	}
	check_tree(root, text);
	check_spans(a, root);
	check_canonical(a, root, text);
	check_writer(root);
	for (uint32_t i = 0; i < root->skip; i++) {
		if (json_date_s(root + i, &date) == OK) {
			CHECK(date >= 0);
		}
	}
	return 0;
}
