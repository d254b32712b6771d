/* delegation: documents of grants, verbs, bounds, claims, routes and snapshots, patterns and places. What is
 * read can be written and read again as the same thing, and narrows to itself. The first byte says which. */
#include "domain/delegation/delegation.h"
#include "domain/snapshot/snapshot.h"

static void try_grant(arena_t *a, str_t text)
{
	delegation_grant_t g, back;
	str_t again, rendered;
	diag_t diag = { 0 };

	bool is_shown = delegation_grant_parse(a, text, &g, &diag) == OK;
	if (delegation_grant_parse_stored(a, text, &g) != OK) {
		CHECK(!is_shown);
		return;
	}
	CHECK(delegation_grant_render(a, &g, &rendered) == OK);
	for (size_t i = 0; i < rendered.n; i++) {
		CHECK(rendered.p[i] == '\n' || (rendered.p[i] >= ' ' && rendered.p[i] <= '~'));
	}
	CHECK(delegation_grant_build(a, &g, &again) == OK);
	CHECK(delegation_grant_parse(a, again, &back, NULL) == OK);
	CHECK(!is_shown || str_eq(again, text));
	CHECK(delegation_narrow(&g.bounds, &back.bounds, NULL) == OK);
}

static void try_bounds(arena_t *a, str_t text)
{
	delegation_bounds_t b, back;
	str_t again;
	diag_t diag = { 0 };

	if (delegation_bounds_parse(a, text, &b, &diag) != OK) {
		return;
	}
	CHECK(delegation_narrow(&b, &b, NULL) == OK);
	if (delegation_bounds_write(a, &b, &again) != OK) { /* escapes may grow beyond the limit */
		return;
	}
	CHECK(delegation_bounds_parse(a, again, &back, NULL) == OK);
	CHECK(delegation_narrow(&b, &back, NULL) == OK && delegation_narrow(&back, &b, NULL) == OK);
}

static void try_claims(arena_t *a, str_t text)
{
	delegation_claims_t c, back;
	str_t again;
	diag_t diag = { 0 };

	if (delegation_claims_read(a, text, &c, &diag) != OK
		|| delegation_claims_write(a, &c, &again) != OK) {
		return;
	}
	CHECK(delegation_claims_read(a, again, &back, NULL) == OK);
	CHECK(c.is_capability || delegation_claims_narrow(&c, &back, NULL) == OK);
}

static void try_verb(arena_t *a, str_t text)
{
	delegation_verb_t v;
	str_t again;
	diag_t diag = { 0 };

	if (delegation_verb_parse(a, text, &v, &diag) == OK) {
		CHECK(delegation_verb_build(a, &v, &again) == OK && str_eq(again, text));
	}
}

static void try_snapshot(str_t text)
{
	AUTO(snapshot_unref) snapshot_t *s = NULL;
	AUTO(snapshot_unref) snapshot_t *back = NULL;
	AUTO(buf_wipe) buf_t b;
	diag_t diag = { 0 };

	buf_init(&b, SNAPSHOT_BYTES_MAX);
	if (snapshot_parse(text, &s, &diag) == OK) {
		CHECK(snapshot_write(&s->c, &b) == OK);
		CHECK(snapshot_parse(buf_str(&b), &back, NULL) == OK);
	}
}

static void try_route(arena_t *a, str_t text)
{
	snapshot_route_t r;
	diag_t diag = { 0 };

	if (snapshot_route_parse(a, text, &r, &diag) == OK && r.n_rules > 0) {
		(void)snapshot_rule(&r, STR("GET"), STR("/a/b"));
	}
}

/* pattern, line feed, text; the same pair as base and value of the places. */
static void try_strings(str_t input)
{
	str_t rest = input, first;

	if (!str_split(&rest, '\n', &first)) {
		return;
	}
	bool is_pattern = delegation_pattern_check(first) == OK;
	CHECK(!delegation_pattern_matches(first, rest) || is_pattern);
	if (delegation_path_is_under(first, rest)) {
		CHECK(!str_contains(rest, STR("..")) || !str_contains(rest, STR("/../")));
		CHECK(str_starts(rest, first) && !str_contains(rest, STR("//")));
	}
	(void)delegation_url_is_in(first, rest);
	(void)delegation_host_is(first, rest);
	if (delegation_target_check(rest) == OK) {
		CHECK(rest.p[0] == '/' && !str_contains(rest, STR("\\")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(8 << 20);
	str_t text = str_bytes(data, size);

	CHECK(crypto_init() == OK);
	if (size == 0) {
		return 0;
	}
	text = str_sub(text, 1, text.n);
	switch (data[0]) {
	case 'g':
		try_grant(a, text);
		break;
	case 'b':
		try_bounds(a, text);
		break;
	case 'c':
		try_claims(a, text);
		break;
	case 'v':
		try_verb(a, text);
		break;
	case 's':
		try_snapshot(text);
		break;
	case 'r':
		try_route(a, text);
		break;
	default:
		try_strings(text);
		break;
	}
	return 0;
}
