/* narrow_model.c: generators of the narrowing property. */
#include <stdio.h>

#include "narrow_model.h"

static const char *const pointers[SLOTS] = { "/a", "/b", "/c", "/l/*", "/o/x", "/o/y", "/o", "/l/0" };
static const char *const scalars[] = { "0", "1", "2", "true", "null", "\"a\"", "\"/srv/a\"",
	"\"https://h.example/x\"" };
static const char *const objects[] = { "{\"x\":1}", "{\"x\":\"a\",\"y\":2}", "{}" };
static const char *const paths[] = { "/", "/srv", "/srv/a", "/srv/a/b", "/srv/ab", "docs", "docs/x" };
static const char *const urls[] = { "https://h.example", "https://h.example/x", "https://h.example/x/y",
	"http://h.example", "https://h.example:8443/x", "https://g.example" };
static const char *const hosts[] = { "h.example", "g.example" };
static const char *const patterns[] = { "[a-z]+", ".*", "/srv/.*", "a|b", "[^0-9]{0,4}" };
static const char *const matching[] = { "abc", "any thing", "/srv/a", "b", "a/-" };

unsigned below(rng_t *r, unsigned n)
{
	r->s += 0x9e3779b97f4a7c15ull; /* splitmix64 */
	uint64_t z = r->s;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (unsigned)((z ^ (z >> 31)) % n);
}

static bool chance(rng_t *r, unsigned percent)
{
	return below(r, 100) < percent;
}

/* A non-empty set of n. */
static unsigned some_of(rng_t *r, unsigned n)
{
	return 1 + below(r, (1u << n) - 1);
}

/* A member of the set. */
static unsigned one_of(rng_t *r, unsigned set)
{
	unsigned i;

	do {
		i = below(r, 8);
	} while ((set >> i & 1) == 0);
	return i;
}

static unsigned pool_of(const constraint_model_t *c)
{
	switch (c->kind) {
	case DELEGATION_EQUALS:
	case DELEGATION_ONE_OF:
		return c->slot == SLOT_O ? ARRAY_LEN(objects) : ARRAY_LEN(scalars);
	case DELEGATION_PATH_UNDER:
		return ARRAY_LEN(paths);
	case DELEGATION_URL_IN:
		return ARRAY_LEN(urls);
	case DELEGATION_HOST_IS:
		return ARRAY_LEN(hosts);
	case DELEGATION_MATCHES:
		return ARRAY_LEN(patterns);
	case DELEGATION_RANGE:
		break;
	}
	return 1;
}

static bool is_single(delegation_kind_t kind)
{
	return kind == DELEGATION_EQUALS || kind == DELEGATION_PATH_UNDER || kind == DELEGATION_MATCHES;
}

static void pick_value(rng_t *r, constraint_model_t *c)
{
	c->min = (int)below(r, 6) - 3;
	c->max = c->min + (int)below(r, 5);
	c->pick = is_single(c->kind) ? below(r, pool_of(c)) : some_of(r, pool_of(c));
}

static constraint_model_t gen_constraint(rng_t *r, slot_t slot)
{
	constraint_model_t c = { .slot = slot };

	c.kind = slot == SLOT_O ? (delegation_kind_t)(1 + below(r, 2)) : (delegation_kind_t)(1 + below(r, 7));
	pick_value(r, &c);
	return c;
}

static item_model_t gen_item(rng_t *r)
{
	item_model_t item = { .server = below(r, 2), .tool = below(r, 2) };
	size_t n = below(r, 4);

	for (size_t i = 0; i < n; i++) {
		slot_t slot = (slot_t)(chance(r, 85) ? below(r, SLOT_O) : below(r, SLOTS));
		bool is_taken = false;
		for (size_t k = 0; k < item.n; k++) {
			is_taken = is_taken || item.c[k].slot == slot;
		}
		if (!is_taken || chance(r, 10)) {
			item.c[item.n++] = gen_constraint(r, slot);
		}
	}
	return item;
}

static unsigned gen_set(rng_t *r, unsigned n)
{
	return chance(r, 25) ? ANY : some_of(r, n);
}

static void gen_window(rng_t *r, bounds_model_t *b)
{
	b->has_window = chance(r, 40);
	b->days = some_of(r, 7);
	b->from_h = below(r, 12);
	b->to_h = b->from_h + 1 + below(r, 24 - b->from_h);
}

bounds_model_t gen_bounds(rng_t *r)
{
	bounds_model_t b = { .n = 1 + below(r, 3) };

	for (size_t i = 0; i < b.n; i++) {
		b.items[i] = gen_item(r);
	}
	b.scopes = some_of(r, 3);
	b.classes = gen_set(r, 2);
	b.environments = gen_set(r, 2);
	b.uses = 1 + below(r, 5);
	b.depth = 1 + below(r, 4);
	gen_window(r, &b);
	return b;
}

/* --- children --------------------------------------------------------------------------------- */

/* A subset, mostly. */
static unsigned fewer(rng_t *r, unsigned set, unsigned n)
{
	unsigned kept = set & some_of(r, n);

	if (chance(r, 3)) {
		return gen_set(r, n); /* perhaps wider */
	}
	if (set == ANY) {
		return chance(r, 50) ? ANY : some_of(r, n);
	}
	return kept && chance(r, 40) ? kept : set;
}

/* Exactly one value that the constraint accepts, as `equals` or `one_of`. */
static void to_value(rng_t *r, constraint_model_t *c)
{
	if (c->kind == DELEGATION_RANGE && c->min <= 2 && c->max >= 0) {
		int v = c->min < 0 ? 0 : c->min;
		c->pick = (unsigned)(v > 2 ? 2 : v);
		c->kind = DELEGATION_EQUALS;
	} else if (c->kind == DELEGATION_ONE_OF) {
		c->pick = one_of(r, c->pick);
		c->kind = DELEGATION_EQUALS;
	} else if (c->kind == DELEGATION_PATH_UNDER) {
		c->pick = 6; /* "/srv/a": accepted by some bases */
		c->kind = DELEGATION_EQUALS;
	} else if (c->kind == DELEGATION_URL_IN || c->kind == DELEGATION_HOST_IS) {
		c->pick = 1u << 7;
		c->kind = DELEGATION_ONE_OF;
	}
}

static void narrow_constraint(rng_t *r, constraint_model_t *c)
{
	unsigned kept = c->pick & some_of(r, 8);

	if (chance(r, 30)) {
		to_value(r, c);
		return;
	}
	switch (c->kind) {
	case DELEGATION_RANGE:
		c->min += c->min < c->max ? 1 : 0;
		break;
	case DELEGATION_PATH_UNDER:
		c->pick = below(r, ARRAY_LEN(paths));
		break;
	case DELEGATION_HOST_IS:
		if (chance(r, 30)) {
			c->kind = DELEGATION_URL_IN;
			c->pick = some_of(r, ARRAY_LEN(urls));
			break;
		}
		c->pick = kept ? kept : c->pick;
		break;
	case DELEGATION_ONE_OF:
	case DELEGATION_URL_IN:
		c->pick = kept ? kept : c->pick;
		break;
	case DELEGATION_EQUALS:
	case DELEGATION_MATCHES:
		break;
	}
}

static void child_constraints(rng_t *r, item_model_t *item)
{
	for (size_t i = 0; i < item->n; i++) {
		unsigned dice = below(r, 100);
		if (dice < 30) {
			narrow_constraint(r, &item->c[i]);
		} else if (dice < 34) {
			pick_value(r, &item->c[i]);
		} else if (dice < 37) {
			item->c[i] = gen_constraint(r, item->c[i].slot);
		} else if (dice < 39) {
			model_drop_constraint(item, i);
			return;
		}
	}
	if (chance(r, 5) && item->n < MODEL_CONSTRAINTS) {
		item->c[item->n++] = gen_constraint(r, (slot_t)below(r, SLOTS));
	}
}

static void child_items(rng_t *r, bounds_model_t *b)
{
	if (b->n > 1 && chance(r, 25)) {
		model_drop_item(b, below(r, (unsigned)b->n));
	}
	for (size_t i = 0; i < b->n; i++) {
		child_constraints(r, &b->items[i]);
		if (chance(r, 2)) {
			b->items[i].tool ^= 1;
		}
		if (chance(r, 2)) {
			b->items[i].server ^= 1;
		}
	}
	if (b->n < MODEL_ITEMS && chance(r, 4)) {
		b->items[b->n++] = gen_item(r);
	}
}

bounds_model_t gen_child(rng_t *r, const bounds_model_t *parent)
{
	bounds_model_t b = *parent;

	child_items(r, &b);
	b.scopes = fewer(r, b.scopes, 3) & 7;
	b.scopes = b.scopes ? b.scopes : 1;
	b.classes = fewer(r, b.classes, 2);
	b.environments = fewer(r, b.environments, 2);
	b.uses = chance(r, 5) ? b.uses + 1 : 1 + below(r, b.uses);
	b.depth = chance(r, 5) ? 4 : 1 + below(r, b.depth);
	if (chance(r, 5)) {
		gen_window(r, &b);
	} else if (b.has_window && chance(r, 30) && b.to_h - b.from_h > 1) {
		b.from_h++;
	}
	return b;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void hit(rng_t *r, const constraint_model_t *c, char *out, size_t n)
{
	static const char *const below_it[] = { "", "/x", "/x/y", "/", "/x.csv", "/..", "//x", "x", "/%2e%2e" };
	static const char *const in_it[] = { "", "/z", "/z/w", "/", "?q=1", "/../z", "z", ":444/" };
	const char *base;

	switch (c->kind) {
	case DELEGATION_EQUALS:
	case DELEGATION_ONE_OF: {
		unsigned i = c->kind == DELEGATION_EQUALS ? c->pick : one_of(r, c->pick);
		snprintf(out, n, "%s", c->slot == SLOT_O ? objects[i] : scalars[i]);
		break;
	}
	case DELEGATION_RANGE:
		snprintf(out, n, "%d", c->min + (int)below(r, (unsigned)(c->max - c->min + 1)));
		break;
	case DELEGATION_PATH_UNDER:
		base = c->pick == 0 ? "" : paths[c->pick];
		snprintf(out, n, "\"%s%s\"", base, below_it[chance(r, 90) ? below(r, 5) : below(r, 9)]);
		break;
	case DELEGATION_URL_IN:
		snprintf(out, n, "\"%s%s\"", urls[one_of(r, c->pick)],
			in_it[chance(r, 90) ? below(r, 4) : below(r, 8)]);
		break;
	case DELEGATION_HOST_IS:
		base = hosts[one_of(r, c->pick)];
		snprintf(out, n, chance(r, 50) ? "\"%s\"" : "\"https://%s/q?r\"", base);
		break;
	case DELEGATION_MATCHES:
		snprintf(out, n, "\"%s\"", matching[c->pick]);
		break;
	}
}

static void set_arg(rng_t *r, call_model_t *call, const constraint_model_t *c)
{
	char one[MODEL_TEXT / 2], two[MODEL_TEXT / 2];
	slot_t slot = c->slot == SLOT_L0 ? SLOT_L : c->slot;

	call->has[slot] = true;
	hit(r, c, call->value[slot], MODEL_TEXT);
	if (slot == SLOT_L && chance(r, 50)) {
		hit(r, c, one, sizeof(one));
		hit(r, c, two, sizeof(two));
		snprintf(call->value[slot], MODEL_TEXT, "%.20s,%.20s", one, two);
	}
}

call_model_t gen_call(rng_t *r, const bounds_model_t *aim)
{
	const item_model_t *item = &aim->items[below(r, (unsigned)aim->n)];
	call_model_t call = { .server = item->server, .tool = item->tool };
	unsigned day, hour;

	for (size_t i = 0; i < item->n; i++) {
		set_arg(r, &call, &item->c[i]);
	}
	if (chance(r, 8)) {
		slot_t slot = (slot_t)below(r, SLOT_L0);
		call.has[slot] = true;
		snprintf(call.value[slot], MODEL_TEXT, "%s", slot == SLOT_O ? "{}" : scalars[below(r, 8)]);
	}
	call.scope = chance(r, 95) ? one_of(r, aim->scopes) : below(r, 3);
	call.environment = aim->environments == ANY ? below(r, 2) : one_of(r, aim->environments);
	call.classes = aim->classes == ANY ? below(r, 4) : aim->classes & below(r, 4);
	day = aim->has_window && chance(r, 95) ? one_of(r, aim->days) : below(r, 7);
	hour = aim->has_window && chance(r, 95) ? aim->from_h + below(r, aim->to_h - aim->from_h)
						 : below(r, 24);
	call.now = 1764547200 + day * 86400 + hour * 3600 + below(r, 3600); /* from Monday 2025-12-01 */
	return call;
}

/* --- JSON ------------------------------------------------------------------------------------- */

void model_drop_item(bounds_model_t *b, size_t i)
{
	memmove(&b->items[i], &b->items[i + 1], (b->n - i - 1) * sizeof(b->items[0]));
	b->n--;
}

void model_drop_constraint(item_model_t *item, size_t i)
{
	memmove(&item->c[i], &item->c[i + 1], (item->n - i - 1) * sizeof(item->c[0]));
	item->n--;
}

static void add_set(buf_t *b, const char *const *pool, unsigned n, unsigned set, const char *quote)
{
	const char *comma = "";

	buf_byte(b, '[');
	for (unsigned i = 0; i < n; i++) {
		if ((set >> i & 1) != 0) {
			buf_printf(b, "%s%s", comma, quote);
			buf_add(b, str_of(pool[i]));
			buf_add(b, str_of(quote));
			comma = ",";
		}
	}
	buf_byte(b, ']');
}

static void add_value(buf_t *b, const constraint_model_t *c)
{
	const char *const *values = c->slot == SLOT_O ? objects : scalars;

	switch (c->kind) {
	case DELEGATION_EQUALS:
		buf_printf(b, "\"equals\",\"value\":%s", values[c->pick]);
		break;
	case DELEGATION_ONE_OF:
		buf_printf(b, "\"one_of\",\"value\":");
		add_set(b, values, pool_of(c), c->pick, "");
		break;
	case DELEGATION_RANGE:
		buf_printf(b, "\"range\",\"value\":{\"max\":%d,\"min\":%d}", c->max, c->min);
		break;
	case DELEGATION_PATH_UNDER:
		buf_printf(b, "\"path_under\",\"value\":\"%s\"", paths[c->pick]);
		break;
	case DELEGATION_URL_IN:
		buf_printf(b, "\"url_in\",\"value\":");
		add_set(b, urls, pool_of(c), c->pick, "\"");
		break;
	case DELEGATION_HOST_IS:
		buf_printf(b, "\"host_is\",\"value\":");
		add_set(b, hosts, pool_of(c), c->pick, "\"");
		break;
	case DELEGATION_MATCHES:
		buf_printf(b, "\"matches\",\"value\":\"%s\"", patterns[c->pick]);
		break;
	}
}

static void add_item(buf_t *b, const item_model_t *item)
{
	buf_printf(b, "{\"type\":\"mcp_tool_call\",\"server\":\"https://gw.example/r/s%zu\",\"tool\":\"t%zu\","
		      "\"constraints\":[",
		item->server, item->tool);
	for (size_t i = 0; i < item->n; i++) {
		buf_printf(b, "%s{\"arg\":\"%s\",\"kind\":", i ? "," : "", pointers[item->c[i].slot]);
		add_value(b, &item->c[i]);
		buf_byte(b, '}');
	}
	buf_printf(b, "]}");
}

static void add_names(buf_t *b, const char *key, unsigned set)
{
	static const char *const names[] = { "n0", "n1", "n2" };

	buf_printf(b, ",\"%s\":", key);
	if (set == ANY) {
		buf_printf(b, "[\"*\"]");
	} else {
		add_set(b, names, ARRAY_LEN(names), set, "\"");
	}
}

static void add_window(buf_t *b, const bounds_model_t *m)
{
	static const char *const days[] = { "1", "2", "3", "4", "5", "6", "7" };

	if (!m->has_window) {
		buf_printf(b, ",\"window\":null");
		return;
	}
	buf_printf(b, ",\"window\":{\"days\":");
	add_set(b, days, ARRAY_LEN(days), m->days, "");
	buf_printf(b, ",\"from\":\"%02u:00\",\"to\":\"%02u:00\"}", m->from_h, m->to_h);
}

str_t model_bounds_text(arena_t *a, const bounds_model_t *m)
{
	AUTO(buf_done) buf_t b;
	const char *blank = "";

	buf_init(&b, 1 << 16);
	buf_printf(&b, "{\"budget\":null,\"device\":null,\"uses\":%u,\"depth\":%u,\"scope\":\"", m->uses, m->depth);
	for (unsigned i = 0; i < 3; i++) {
		if ((m->scopes >> i & 1) != 0) {
			buf_printf(&b, "%ss:%u", blank, i);
			blank = " ";
		}
	}
	buf_byte(&b, '"');
	add_names(&b, "data_classes", m->classes);
	add_names(&b, "environments", m->environments);
	add_window(&b, m);
	buf_printf(&b, ",\"authorization_details\":[");
	for (size_t i = 0; i < m->n; i++) {
		buf_add(&b, i ? STR(",") : STR(""));
		add_item(&b, &m->items[i]);
	}
	buf_printf(&b, "]}");
	return arena_str(a, buf_str(&b));
}

static void add_arg(buf_t *b, const char *name, const char *open, const char *value, const char *shut)
{
	buf_printf(b, "%s\"%s\":%s%s%s", b->p[b->n - 1] == '{' ? "" : ",", name, open, value, shut);
}

str_t model_args_text(arena_t *a, const call_model_t *m)
{
	static const char *const names[] = { "a", "b", "c" };
	AUTO(buf_done) buf_t b;

	buf_init(&b, 4096);
	buf_byte(&b, '{');
	for (size_t i = 0; i < 3; i++) {
		if (m->has[i]) {
			add_arg(&b, names[i], "", m->value[i], "");
		}
	}
	if (m->has[SLOT_L]) {
		add_arg(&b, "l", "[", m->value[SLOT_L], "]");
	}
	if (m->has[SLOT_O]) {
		add_arg(&b, "o", "", m->value[SLOT_O], "");
	} else if (m->has[SLOT_OX] || m->has[SLOT_OY]) {
		add_arg(&b, "o", "{", "", "");
		if (m->has[SLOT_OX]) {
			add_arg(&b, "x", "", m->value[SLOT_OX], "");
		}
		if (m->has[SLOT_OY]) {
			add_arg(&b, "y", "", m->value[SLOT_OY], "");
		}
		buf_byte(&b, '}');
	}
	buf_byte(&b, '}');
	return arena_str(a, buf_str(&b));
}

bool model_bounds(arena_t *a, const bounds_model_t *m, delegation_bounds_t *out)
{
	return delegation_bounds_parse(a, model_bounds_text(a, m), out, NULL) == OK;
}

bool model_call(arena_t *a, const call_model_t *m, delegation_call_t *out, delegation_place_t *place)
{
	static const str_t classes[4][2] = { { { 0 } }, { STR_INIT("n0") }, { STR_INIT("n1") },
		{ STR_INIT("n0"), STR_INIT("n1") } };
	static const size_t n_classes[] = { 0, 1, 1, 2 };
	const json_t *args;

	if (json_parse(a, model_args_text(a, m), NULL, &args, NULL) != OK) {
		return false;
	}
	*place = (delegation_place_t){ arena_printf(a, "s:%u", m->scope),
		arena_printf(a, "n%u", m->environment), classes[m->classes & 3], n_classes[m->classes & 3] };
	return delegation_call_mcp(a, STR("spiffe://td/agent/a"),
		       arena_printf(a, "https://gw.example/r/s%zu", m->server),
		       arena_printf(a, "t%zu", m->tool), args, out)
		== OK;
}
