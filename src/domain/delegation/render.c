/* render.c: what a person reads before signing. A pure function of the document; what anybody else could
 * have chosen is quoted and escaped to printable ASCII, so that it forges no line (oauth P73). */
#include "domain/delegation/int.h"

/* One printable form for each character, so that two texts never look alike. In quotes: "\u{e9}". */
static void add_escaped(buf_t *b, str_t s, bool is_quoted)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (is_quoted && (c == '"' || c == '\\')) {
			buf_byte(b, '\\');
			buf_byte(b, (char)c);
		} else if (c >= 0x20 && c < 0x7f) {
			buf_byte(b, (char)c);
		} else {
			buf_printf(b, "\\x%02x", c);
		}
	}
}

static void add_quoted(buf_t *b, str_t s)
{
	buf_byte(b, '"');
	add_escaped(b, s, true);
	buf_byte(b, '"');
}

static void add_list(buf_t *b, const str_t *values, size_t n, bool is_quoted)
{
	for (size_t i = 0; i < n; i++) {
		buf_add(b, i == 0 ? STR("") : i + 1 == n ? STR(" or ") : STR(", "));
		if (is_quoted) {
			add_quoted(b, values[i]);
		} else {
			add_escaped(b, values[i], false); /* JSON: its strings bring their quotes */
		}
	}
}

static void add_constraint(buf_t *b, const delegation_constraint_t *c)
{
	buf_add(b, STR("       "));
	add_quoted(b, c->arg);
	switch (c->kind) {
	case DELEGATION_EQUALS:
	case DELEGATION_ONE_OF:
		buf_add(b, STR(" is "));
		add_list(b, c->values, c->n_values, false);
		break;
	case DELEGATION_RANGE:
		buf_printf(b, " is a whole number from %lld to %lld", (long long)c->min, (long long)c->max);
		break;
	case DELEGATION_PATH_UNDER:
		buf_add(b, STR(" is a path at or under "));
		add_quoted(b, c->text);
		break;
	case DELEGATION_URL_IN:
		buf_add(b, STR(" is a URL at or under "));
		add_list(b, c->values, c->n_values, true);
		break;
	case DELEGATION_HOST_IS:
		buf_add(b, STR(" is on the host "));
		add_list(b, c->values, c->n_values, true);
		break;
	case DELEGATION_MATCHES:
		buf_add(b, STR(" is text that matches "));
		add_quoted(b, c->text);
		break;
	}
	buf_byte(b, '\n');
}

static void add_item(buf_t *b, const delegation_item_t *item, size_t number)
{
	buf_printf(b, "  %2zu. ", number);
	if (item->type == DELEGATION_MCP_TOOL_CALL) {
		buf_add(b, STR("use the tool "));
	} else {
		buf_add(b, STR("send "));
		add_escaped(b, item->op, false);
		buf_byte(b, ' ');
	}
	add_quoted(b, item->target);
	buf_add(b, STR(" at "));
	add_quoted(b, item->server);
	if (item->has_digest) {
		buf_add(b, STR(", only with the content whose SHA-256 digest is "));
		hex_add(b, str_bytes(item->digest, DELEGATION_DIGEST_BYTES));
	}
	if (item->has_constraints && item->n_constraints == 0) {
		buf_add(b, STR(", without any argument"));
	}
	buf_add(b, item->n_constraints ? STR(", with exactly these arguments:\n") : STR("\n"));
	for (size_t i = 0; i < item->n_constraints; i++) {
		add_constraint(b, &item->constraints[i]);
	}
}

static void add_names(buf_t *b, const char *what, const str_t *names, size_t n)
{
	buf_printf(b, "%s: ", what);
	if (n == 0) {
		buf_add(b, STR("none"));
	} else if (n == 1 && str_eq(names[0], STR("*"))) {
		buf_add(b, STR("any"));
	}
	for (size_t i = 0; i < n && !str_eq(names[i], STR("*")); i++) {
		buf_add(b, i ? STR(", ") : STR(""));
		add_escaped(b, names[i], false);
	}
	buf_byte(b, '\n');
}

/* Days since 1970-01-01 to a date (civil calendar, years from March on). */
static void add_time(buf_t *b, int64_t unix_s)
{
	int64_t days = unix_s / 86400, second = unix_s % 86400;
	int64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
	int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * of_year + 2) / 153;
	int64_t day = of_year - (153 * march_month + 2) / 5 + 1;
	int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
	int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);

	buf_printf(b, "%04lld-%02lld-%02lld %02lld:%02lld:%02lld UTC", (long long)year, (long long)month,
		(long long)day, (long long)(second / 3600), (long long)(second / 60 % 60),
		(long long)(second % 60));
}

static void add_window(buf_t *b, const delegation_window_t *w)
{
	static const char *const names[] = { "", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
		"Saturday", "Sunday" };
	bool is_first = true;

	if (!w->is_set) {
		return;
	}
	buf_add(b, STR("Only on "));
	for (unsigned day = 1; day <= 7; day++) {
		if ((w->days >> day & 1) != 0) {
			buf_printf(b, "%s%s", is_first ? "" : ", ", names[day]);
			is_first = false;
		}
	}
	buf_printf(b, " from %02u:%02u to %02u:%02u UTC.\n", w->from_min / 60u, w->from_min % 60u,
		w->to_min / 60u, w->to_min % 60u);
}

static void add_limits(buf_t *b, const delegation_grant_t *g)
{
	const delegation_bounds_t *bounds = &g->bounds;

	buf_add(b, STR("Permissions: "));
	add_escaped(b, bounds->scope.n ? bounds->scope : STR("none"), false);
	buf_byte(b, '\n');
	add_names(b, "Data classes", bounds->data_classes, bounds->n_data_classes);
	add_names(b, "Environments", bounds->environments, bounds->n_environments);
	buf_printf(b, "At most %u call%s.\nFrom ", bounds->uses, bounds->uses == 1 ? "" : "s");
	add_time(b, g->iat);
	buf_add(b, STR(" until "));
	add_time(b, g->exp);
	buf_add(b, STR(".\n"));
	add_window(b, &bounds->window);
	if (bounds->depth == 1) {
		buf_add(b, STR("It may not pass this on.\n"));
	} else {
		buf_printf(b, "It may pass this on, through at most %u more agent%s.\n", bounds->depth - 1,
			bounds->depth == 2 ? "" : "s");
	}
}

static void add_heading(buf_t *b, const delegation_grant_t *g)
{
	buf_add(b, STR("Grant "));
	add_escaped(b, g->id, false);
	buf_add(b, STR(" at "));
	add_escaped(b, g->iss, false);
	buf_add(b, STR("\nThe agent "));
	add_escaped(b, g->agent, false);
	buf_add(b, STR(" may act for "));
	add_escaped(b, g->delegator_sub, false);
	buf_add(b, STR(" (key "));
	add_escaped(b, g->delegator_key, false);
	buf_add(b, STR(").\n"));
	if (g->has_parent) {
		buf_add(b, STR("It rests on grant "));
		add_escaped(b, g->parent_id, false);
		buf_add(b, STR(" and ends with it.\n"));
	}
}

err_t delegation_grant_render(arena_t *a, const delegation_grant_t *g, str_t *out_text)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, DELEGATION_RENDER_BYTES_MAX);
	add_heading(&b, g);
	buf_add(&b, g->bounds.n_items ? STR("It may:\n") : STR("It may do nothing.\n"));
	for (size_t i = 0; i < g->bounds.n_items; i++) {
		add_item(&b, &g->bounds.items[i], i + 1);
	}
	add_limits(&b, g);
	TRY(buf_err(&b));
	return arena_dup(a, buf_str(&b), out_text);
}
