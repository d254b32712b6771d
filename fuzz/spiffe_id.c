/* spiffe_id: an ID that is accepted is its own parts and nothing else; templates never make a reserved ID or one
 * of another domain. */
#include "domain/spiffe/spiffe.h"

static void check_id(arena_t *a, str_t text, const spiffe_id_t *id)
{
	spiffe_id_t again;

	CHECK(text.n <= SPIFFE_ID_BYTES_MAX && str_is_visible(text));
	CHECK(str_find(text, '%') == text.n && str_find(text, '?') == text.n && str_find(text, '#') == text.n);
	CHECK(!str_contains(id->path, STR("//")) && !str_contains(id->path, STR("/../")));
	CHECK(id->path.n != 1 && (id->path.n == 0 || id->path.p[id->path.n - 1] != '/'));
	CHECK(spiffe_id_make(a, id->td, id->path, &again) == OK && spiffe_id_eq(id, &again));
	CHECK((spiffe_id_parse_td(text, &again) == OK) != (spiffe_id_parse_workload(text, &again) == OK));
	str_t base, run;
	if (spiffe_instance_split(id, &base, &run)) {
		spiffe_id_t from, made;
		CHECK(spiffe_id_parse(base, &from) == OK);
		CHECK(spiffe_instance_id(a, &from, run, &made) == OK && spiffe_id_eq(id, &made));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* First line: an ID or template; the others: selectors to fill it with. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t rest = str_bytes(data, size), first, line, facts[16];
	spiffe_id_t id;
	size_t n = 0;

	if (!str_split(&rest, '\n', &first)) {
		return 0;
	}
	if (spiffe_id_parse(first, &id) == OK) {
		check_id(a, first, &id);
	}
	while (n < ARRAY_LEN(facts) && str_split(&rest, '\n', &line)) {
		facts[n++] = line;
	}
	spiffe_facts_t f = { .run_id = STR("r"), .node = STR("n") };
	if (spiffe_selectors_make(a, facts, n, ARRAY_LEN(facts), &f.selectors) != OK) {
		return 0;
	}
	CHECK(n == 0 || spiffe_selectors_match(&f.selectors, &f.selectors));
	if (spiffe_template_check(first) == OK && spiffe_template_expand(a, first, &f, &id) == OK) {
		check_id(a, id.text, &id);
		CHECK(!spiffe_path_reserved(id.path));
		CHECK(str_starts(id.text, spiffe_template_prefix(first)));
	}
	return 0;
}
