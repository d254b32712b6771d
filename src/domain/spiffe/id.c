/* id.c: the one parser of SPIFFE IDs (SPIFFE-ID 2; spiffe.md 2). */
#include "domain/spiffe/spiffe.h"

static const str_t scheme = STR_INIT("spiffe://");

static bool is_td_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_segment_byte(char c)
{
	return is_td_byte(c) || (c >= 'A' && c <= 'Z');
}

MUST err_t spiffe_td_check(str_t td)
{
	ENSURE(td.n >= 1 && td.n <= SPIFFE_TD_BYTES_MAX, ERR_SPIFFE_ID);
	for (size_t i = 0; i < td.n; i++) {
		ENSURE(is_td_byte(td.p[i]), ERR_SPIFFE_ID);
	}
	return OK;
}

bool spiffe_segment_is(str_t segment)
{
	if (segment.n == 0 || str_eq(segment, STR(".")) || str_eq(segment, STR(".."))) {
		return false;
	}
	for (size_t i = 0; i < segment.n; i++) {
		if (!is_segment_byte(segment.p[i])) {
			return false;
		}
	}
	return true;
}

MUST err_t spiffe_path_check(str_t path)
{
	str_t rest = path, segment;

	ENSURE(path.n >= 2 && path.n <= SPIFFE_ID_BYTES_MAX && path.p[0] == '/', ERR_SPIFFE_ID);
	rest = str_sub(path, 1, path.n);
	while (str_split(&rest, '/', &segment)) {
		ENSURE(spiffe_segment_is(segment), ERR_SPIFFE_ID);
	}
	return OK;
}

MUST err_t spiffe_id_parse(str_t text, spiffe_id_t *out)
{
	spiffe_id_t id = { .text = text };

	ENSURE(text.n <= SPIFFE_ID_BYTES_MAX && str_starts(text, scheme), ERR_SPIFFE_ID);
	str_t rest = str_sub(text, scheme.n, text.n);
	size_t slash = str_find(rest, '/');
	id.td = str_sub(rest, 0, slash);
	id.path = str_sub(rest, slash, rest.n);
	TRY(spiffe_td_check(id.td));
	if (id.path.n > 0) {
		TRY(spiffe_path_check(id.path));
	}
	*out = id;
	return OK;
}

MUST err_t spiffe_id_parse_workload(str_t text, spiffe_id_t *out)
{
	spiffe_id_t id;

	TRY(spiffe_id_parse(text, &id));
	ENSURE(id.path.n > 0, ERR_SPIFFE_ID);
	*out = id;
	return OK;
}

MUST err_t spiffe_id_parse_td(str_t text, spiffe_id_t *out)
{
	spiffe_id_t id;

	TRY(spiffe_id_parse(text, &id));
	ENSURE(id.path.n == 0, ERR_SPIFFE_ID);
	*out = id;
	return OK;
}

bool spiffe_path_reserved(str_t path)
{
	str_t rest = str_sub(path, 1, path.n), first;

	if (path.n == 0 || !str_split(&rest, '/', &first)) {
		return false;
	}
	return str_eq(first, STR("attorn")) || str_eq(first, STR("spire"));
}

str_t spiffe_td_id(arena_t *a, str_t td)
{
	return arena_cat(a, scheme, td);
}

MUST err_t spiffe_id_make(arena_t *a, str_t td, str_t path, spiffe_id_t *out)
{
	ENSURE(scheme.n + td.n + path.n <= SPIFFE_ID_BYTES_MAX, ERR_SPIFFE_ID);
	return spiffe_id_parse(arena_cat(a, scheme, td, path), out);
}

MUST err_t spiffe_instance_id(arena_t *a, const spiffe_id_t *base, str_t run, spiffe_id_t *out)
{
	ENSURE(base->path.n > 0 && spiffe_segment_is(run), ERR_SPIFFE_ID);
	ENSURE(base->path.n + run.n <= SPIFFE_ID_BYTES_MAX, ERR_SPIFFE_ID);
	return spiffe_id_make(a, base->td, arena_cat(a, base->path, STR("/i/"), run), out);
}

bool spiffe_instance_split(const spiffe_id_t *id, str_t *out_base_text, str_t *out_run)
{
	size_t last = str_find_last(id->path, '/');

	if (id->path.n == 0 || last >= id->path.n) {
		return false;
	}
	str_t before = str_sub(id->path, 0, last);
	if (!str_ends(before, STR("/i")) || before.n == 2) {
		return false;
	}
	*out_run = str_sub(id->path, last + 1, id->path.n);
	*out_base_text = str_sub(id->text, 0, id->text.n - out_run->n - 3);
	return true;
}
