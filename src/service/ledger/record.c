/* record.c: the form of a record (reference ledger 11). Members and types are a table; the leaf is
 * JCS-S; plain digests of low entropy become keyed commitments. Pure but for its random argument. */
#include "service/ledger/ledger_int.h"

#define BIT(type) (1u << (type))
#define CALL (BIT(LEDGER_ATTEMPT) | BIT(LEDGER_DECISION))
#define ISSUE (BIT(LEDGER_TOKEN) | BIT(LEDGER_SVID) | BIT(LEDGER_DECISION))
#define CHANGE                                                                                     \
	(BIT(LEDGER_GRANT) | BIT(LEDGER_REVOKE) | BIT(LEDGER_AGENT) | BIT(LEDGER_USER) |           \
	 BIT(LEDGER_ROLE) | BIT(LEDGER_ROUTE) | BIT(LEDGER_POLICY) | BIT(LEDGER_SECRET) |          \
	 BIT(LEDGER_KEY) | BIT(LEDGER_TRUST) | BIT(LEDGER_NODE) | BIT(LEDGER_RUN))
#define ALL (BIT(LEDGER_TYPE_COUNT_) - 1)

const char *ledger_type_name(ledger_type_t type)
{
	static const char *const names[] = {
		[LEDGER_ATTEMPT] = "attempt", [LEDGER_DECISION] = "decision",
		[LEDGER_OUTCOME] = "outcome", [LEDGER_TOKEN] = "token", [LEDGER_GRANT] = "grant",
		[LEDGER_REVOKE] = "revoke", [LEDGER_AGENT] = "agent", [LEDGER_USER] = "user",
		[LEDGER_ROLE] = "role", [LEDGER_ROUTE] = "route", [LEDGER_POLICY] = "policy",
		[LEDGER_SECRET] = "secret", [LEDGER_KEY] = "key", [LEDGER_REFUSALS] = "refusals",
		[LEDGER_START] = "start", [LEDGER_SVID] = "svid", [LEDGER_TRUST] = "trust",
		[LEDGER_NODE] = "node", [LEDGER_RUN] = "run",
		[LEDGER_SIGNER_HEAD] = "signer.head",
	};

	CHECK(type >= 0 && type < LEDGER_TYPE_COUNT_);
	return names[type];
}

/* Every member a caller may give: its kind, the types that may have it, the types that must. */
static const struct {
	str_t name;
	json_kind_t kind;
	uint32_t may, must;
} members[] = {
	{ STR_INIT("act"), JSON_OBJECT, CALL | ISSUE, BIT(LEDGER_ATTEMPT) },
	{ STR_INIT("agent"), JSON_STRING, ISSUE | CHANGE, 0 },
	{ STR_INIT("approval"), JSON_OBJECT, CALL, 0 },
	{ STR_INIT("assurance"), JSON_STRING, CALL | ISSUE, 0 },
	{ STR_INIT("aud"), JSON_STRING, ISSUE, 0 },
	{ STR_INIT("by"), JSON_STRING, CHANGE, BIT(LEDGER_GRANT) | BIT(LEDGER_REVOKE) },
	{ STR_INIT("chain"), JSON_ARRAY, CALL | ISSUE, BIT(LEDGER_ATTEMPT) },
	{ STR_INIT("code"), JSON_STRING, ISSUE | CALL | BIT(LEDGER_OUTCOME), 0 },
	{ STR_INIT("counts"), JSON_OBJECT, BIT(LEDGER_REFUSALS), BIT(LEDGER_REFUSALS) },
	{ STR_INIT("delegate"), JSON_STRING, BIT(LEDGER_GRANT), BIT(LEDGER_GRANT) },
	{ STR_INIT("delegator"), JSON_STRING, BIT(LEDGER_GRANT), BIT(LEDGER_GRANT) },
	{ STR_INIT("digest"), JSON_STRING, CHANGE | BIT(LEDGER_START), BIT(LEDGER_GRANT) },
	{ STR_INIT("direction"), JSON_OBJECT, CALL | ISSUE, 0 },
	{ STR_INIT("doc"), JSON_STRING, CHANGE, 0 }, /* the signed verb */
	{ STR_INIT("door"), JSON_STRING, BIT(LEDGER_REFUSALS), 0 },
	{ STR_INIT("ended"), JSON_NUMBER, BIT(LEDGER_REVOKE), 0 },
	{ STR_INIT("exp"), JSON_NUMBER, ISSUE | CHANGE, BIT(LEDGER_GRANT) },
	{ STR_INIT("from"), JSON_NUMBER, BIT(LEDGER_REFUSALS), 0 },
	{ STR_INIT("grant"), JSON_STRING, CALL | ISSUE | BIT(LEDGER_REVOKE) | BIT(LEDGER_RUN), 0 },
	{ STR_INIT("iat"), JSON_NUMBER, ISSUE | CHANGE, 0 },
	{ STR_INIT("instance"), JSON_STRING, ALL, 0 },
	{ STR_INIT("intent"), JSON_STRING, CALL, 0 },
	{ STR_INIT("jkt"), JSON_STRING, ISSUE | CHANGE, 0 },
	{ STR_INIT("jti"), JSON_STRING, ISSUE, 0 },
	{ STR_INIT("key"), JSON_STRING, CHANGE, 0 },
	{ STR_INIT("keys"), JSON_ARRAY, CHANGE, 0 },
	{ STR_INIT("kid"), JSON_STRING, ISSUE | BIT(LEDGER_KEY) | BIT(LEDGER_TRUST), 0 },
	{ STR_INIT("kind"), JSON_STRING, ISSUE | CHANGE, 0 },
	{ STR_INIT("late"), JSON_BOOL, BIT(LEDGER_OUTCOME), 0 },
	{ STR_INIT("lists"), JSON_ARRAY, BIT(LEDGER_SIGNER_HEAD), BIT(LEDGER_SIGNER_HEAD) },
	{ STR_INIT("ms"), JSON_NUMBER, BIT(LEDGER_OUTCOME), 0 },
	{ STR_INIT("n"), JSON_NUMBER, BIT(LEDGER_REFUSALS), 0 },
	{ STR_INIT("observed_by"), JSON_STRING, BIT(LEDGER_OUTCOME), 0 },
	{ STR_INIT("of"), JSON_STRING, BIT(LEDGER_OUTCOME), BIT(LEDGER_OUTCOME) },
	{ STR_INIT("owner"), JSON_STRING, CHANGE, 0 },
	{ STR_INIT("parent"), JSON_STRING, BIT(LEDGER_GRANT), 0 },
	{ STR_INIT("policy"), JSON_OBJECT, CALL | ISSUE, 0 },
	{ STR_INIT("principal"), JSON_STRING, BIT(LEDGER_REFUSALS), 0 },
	{ STR_INIT("reason"), JSON_STRING, BIT(LEDGER_REVOKE), 0 },
	{ STR_INIT("resp"), JSON_STRING, BIT(LEDGER_OUTCOME), 0 },
	{ STR_INIT("rev"), JSON_NUMBER, CHANGE, 0 },
	{ STR_INIT("roles"), JSON_ARRAY, CHANGE, 0 },
	{ STR_INIT("route"), JSON_OBJECT, CALL | ISSUE, 0 },
	{ STR_INIT("run"), JSON_OBJECT, CALL | BIT(LEDGER_SVID) | BIT(LEDGER_RUN), 0 },
	{ STR_INIT("scope"), JSON_STRING, ISSUE | CHANGE, 0 },
	{ STR_INIT("sig"), JSON_STRING, CHANGE, BIT(LEDGER_GRANT) },
	{ STR_INIT("serial"), JSON_STRING, BIT(LEDGER_SVID), 0 },
	{ STR_INIT("sign"), JSON_OBJECT, BIT(LEDGER_TOKEN) | BIT(LEDGER_SVID) | BIT(LEDGER_TRUST) | BIT(LEDGER_SIGNER_HEAD),
		BIT(LEDGER_SIGNER_HEAD) },
	{ STR_INIT("state"), JSON_STRING, CHANGE, 0 },
	{ STR_INIT("status"), JSON_STRING, BIT(LEDGER_OUTCOME), BIT(LEDGER_OUTCOME) },
	{ STR_INIT("sub"), JSON_STRING, ISSUE, 0 },
	{ STR_INIT("subject"), JSON_STRING, CHANGE, 0 }, /* what was changed: an id, never a name */
	{ STR_INIT("to"), JSON_NUMBER, BIT(LEDGER_REFUSALS), 0 },
	{ STR_INIT("token"), JSON_OBJECT, CALL | ISSUE | BIT(LEDGER_REVOKE), 0 },
	{ STR_INIT("trace"), JSON_STRING, ALL, 0 },
	{ STR_INIT("txn"), JSON_STRING, ISSUE, 0 },
	{ STR_INIT("use"), JSON_STRING, BIT(LEDGER_KEY) | BIT(LEDGER_TOKEN), 0 },
	{ STR_INIT("uses"), JSON_NUMBER, BIT(LEDGER_GRANT), 0 },
	{ STR_INIT("verb"), JSON_STRING, CHANGE, 0 },
	{ STR_INIT("version"), JSON_STRING, BIT(LEDGER_START), 0 },
	{ STR_INIT("via"), JSON_STRING, ALL, 0 },
};

/* Where a plain value stands that only a commitment may show (12.1, 12.2). */
static const struct {
	str_t object, member, path;
} committed[] = {
	{ STR_INIT("act"), STR_INIT("args"), STR_INIT("act.args") },
	{ STR_INIT("act"), STR_INIT("digest"), STR_INIT("act.digest") },
	{ STR_INIT(""), STR_INIT("doc"), STR_INIT("doc") }, /* a signed verb: paths hold names */
	{ STR_INIT(""), STR_INIT("reason"), STR_INIT("reason") },
	{ STR_INIT(""), STR_INIT("resp"), STR_INIT("resp") },
};
_Static_assert(ARRAY_LEN(committed) <= RECORD_OPENINGS_MAX, "a key for each commitment");

str_t ledger_commit(arena_t *a, const uint8_t key[LEDGER_COMMIT_KEY_BYTES], str_t path, str_t value)
{
	uint8_t length[2] = { (uint8_t)(path.n >> 8), (uint8_t)path.n };
	const str_t parts[] = { STR("attorn-commit/1\0"), str_bytes(length, 2), path, value };
	uint8_t mac[32];

	CHECK(path.n <= UINT16_MAX);
	crypto_hmac_sha256(str_bytes(key, LEDGER_COMMIT_KEY_BYTES), parts, ARRAY_LEN(parts), mac);
	return arena_cat(a, STR("hmac-256:"), hex_enc(a, str_bytes(mac, sizeof(mac))));
}

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar, in eras of 400 years that
 * begin in March, so that the leap day is the last of its year. */
static void date_of(int64_t days, int *year, int *month, int *day)
{
	int64_t shifted = days + 719468; /* days from 0000-03-01 */
	int64_t era = shifted / 146097, doe = shifted % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t march_month = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * march_month + 2) / 5 + 1);
	*month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2));
}

str_t record_time(arena_t *a, int64_t unix_us)
{
	int64_t seconds = unix_us / 1000000;
	int year, month, day, of_day = (int)(seconds % 86400);

	CHECK(unix_us >= 0);
	date_of(seconds / 86400, &year, &month, &day);
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day, of_day / 3600,
			    of_day / 60 % 60, of_day % 60, (int)(unix_us % 1000000));
}

static err_t member_check(ledger_type_t type, const json_t *node)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (str_eq(members[i].name, json_key(node))) {
			ENSURE(members[i].may & BIT(type), ERR_UNKNOWN_MEMBER);
			ENSURE(members[i].kind == json_kind(node), ERR_VALUE);
			return OK;
		}
	}
	return ERR_UNKNOWN_MEMBER;
}

static err_t body_check(ledger_type_t type, const json_t *body)
{
	TRY(jcs_s_check(body));
	for (const json_t *m = json_first(body); m; m = json_next(m)) {
		TRY(member_check(type, m));
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (members[i].must & BIT(type)) {
			ENSURE(json_get(body, members[i].name), ERR_MISSING_MEMBER);
		}
	}
	ENSURE(type != LEDGER_REVOKE || json_get(body, STR("grant")) || json_get(body, STR("token")),
	       ERR_MISSING_MEMBER);
	return OK;
}

/* One object being written: members from the body and ours, sorted by key at the end. */
typedef struct {
	str_t key, raw; /* raw: canonical JSON */
} member_t;
typedef struct {
	member_t m[LEDGER_MEMBERS_MAX];
	size_t n;
} object_t;

/* Keys are JCS-S: their order as bytes is their order in UTF-16. */
static err_t object_add(object_t *o, str_t key, str_t raw)
{
	size_t at;

	ENSURE(o->n < LEDGER_MEMBERS_MAX, ERR_LIMIT);
	for (at = o->n; at > 0 && str_cmp(o->m[at - 1].key, key) > 0; at--) {
		o->m[at] = o->m[at - 1];
	}
	o->m[at] = (member_t){ key, raw };
	o->n++;
	return OK;
}

static err_t object_write(arena_t *a, const object_t *o, str_t *out)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, LEDGER_LEAF_BYTES_MAX);
	buf_byte(&b, '{');
	for (size_t i = 0; i < o->n; i++) {
		if (i > 0) {
			buf_byte(&b, ',');
		}
		buf_byte(&b, '"');
		buf_add(&b, o->m[i].key); /* [a-z0-9_.:-]: nothing to escape */
		buf_add(&b, STR("\":"));
		buf_add(&b, o->m[i].raw);
	}
	buf_byte(&b, '}');
	TRY(buf_err(&b));
	return arena_dup(a, buf_str(&b), out);
}

static err_t quoted(arena_t *a, str_t s, str_t *out)
{
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, LEDGER_LEAF_BYTES_MAX);
	TRY(json_quote(&b, s));
	return arena_dup(a, buf_str(&b), out);
}

typedef struct {
	arena_t *a;
	const uint8_t (*keys)[LEDGER_COMMIT_KEY_BYTES];
	record_built_t *built;
} builder_t;

/* In JCS-S an integer, true, false and null have one spelling, the one that was read. */
static err_t node_write(arena_t *a, const json_t *node, str_t *out)
{
	str_t text;

	switch (json_kind(node)) {
	case JSON_STRING:
		TRY(json_str(node, &text));
		return quoted(a, text, out);
	case JSON_NUMBER:
	case JSON_BOOL:
	case JSON_NULL:
		*out = json_raw(node);
		return OK;
	case JSON_ARRAY:
	case JSON_OBJECT:
	case JSON_NONE:
		break;
	}
	return jcs_write(a, node, out);
}

/* Canonical form of one member of the body, or the commitment that stands in its place. */
static err_t value_write(const builder_t *b, str_t object, const json_t *node, str_t *out)
{
	for (size_t i = 0; i < ARRAY_LEN(committed); i++) {
		record_opening_t *o = &b->built->opening[b->built->n_openings];
		str_t value;

		if (!str_eq(committed[i].object, object) || !str_eq(committed[i].member, json_key(node))) {
			continue;
		}
		TRY(json_str(node, &value));
		*o = (record_opening_t){ committed[i].path,
			str_bytes(b->keys[b->built->n_openings], LEDGER_COMMIT_KEY_BYTES), value };
		b->built->n_openings++;
		*out = arena_cat(b->a, STR("\""),
			ledger_commit(b->a, (const uint8_t *)o->key.p, o->path, value), STR("\""));
		return OK;
	}
	return node_write(b->a, node, out);
}

static err_t act_write(const builder_t *b, const json_t *act, str_t *out)
{
	object_t o = { .n = 0 };

	for (const json_t *m = json_first(act); m; m = json_next(m)) {
		str_t raw;

		TRY(value_write(b, STR("act"), m, &raw));
		TRY(object_add(&o, json_key(m), raw));
	}
	return object_write(b->a, &o, out);
}

static err_t body_add(const builder_t *b, object_t *o, const json_t *body)
{
	for (const json_t *m = json_first(body); m; m = json_next(m)) {
		str_t raw;

		if (str_eq(json_key(m), STR("act"))) {
			TRY(act_write(b, m, &raw));
		} else {
			TRY(value_write(b, STR(""), m, &raw));
		}
		TRY(object_add(o, json_key(m), raw));
	}
	return OK;
}

/* What the caller cannot say: who recorded, in which order, when, after which head. */
static err_t ours_add(arena_t *a, object_t *o, const ledger_record_t *r, const record_origin_t *origin)
{
	str_t source;

	TRY(quoted(a, origin->source, &source));
	TRY(object_add(o, STR("after"),
		arena_printf(a, "{\"root\":\"%.*s\",\"size\":%llu}",
			STR_ARG(b64_enc(a, merkle_hash_str(&origin->after.root))),
			(unsigned long long)origin->after.size)));
	if (r->type == LEDGER_ATTEMPT || r->type == LEDGER_DECISION) {
		TRY(object_add(o, STR("enf"),
			r->type == LEDGER_ATTEMPT ? STR("\"allow\"") : STR("\"deny\"")));
	}
	TRY(object_add(o, STR("rid"), arena_cat(a, STR("\""), r->rid, STR("\""))));
	TRY(object_add(o, STR("src"), arena_cat(a, STR("{\"id\":"), source,
		arena_printf(a, ",\"n\":%lld}", (long long)origin->n))));
	TRY(object_add(o, STR("ts"), arena_cat(a, STR("\""), record_time(a, r->now_us), STR("\""))));
	TRY(object_add(o, STR("type"), arena_printf(a, "\"%s\"", ledger_type_name(r->type))));
	return object_add(o, STR("v"), STR("\"attorn-record/1\""));
}

err_t record_build(arena_t *a, const ledger_record_t *r, const record_origin_t *origin,
		   const uint8_t keys[RECORD_OPENINGS_MAX][LEDGER_COMMIT_KEY_BYTES],
		   record_built_t *out)
{
	const json_opts_t opts = { .object_only = true, .bytes_max = LEDGER_BODY_BYTES_MAX,
		.depth_max = JCS_S_DEPTH_MAX };
	record_built_t built = { .n_openings = 0 };
	builder_t b = { a, keys, &built };
	object_t o = { .n = 0 };
	const json_t *body;

	ENSURE(ulid_is(r->rid), ERR_VALUE);
	TRY(json_parse(a, r->body, &opts, &body, NULL));
	TRY(body_check(r->type, body));
	TRY(json_want_str(body, STR("of"), LEDGER_ID_BYTES_MAX, &built.of));
	TRY(body_add(&b, &o, body));
	TRY(ours_add(a, &o, r, origin));
	TRY(object_write(a, &o, &built.leaf));
	*out = built;
	return OK;
}

void ledger_sign_write(jw_t *w, arena_t *a, str_t kid, int64_t number, str_t message)
{
	uint8_t digest[CRYPTO_SHA256_BYTES];

	crypto_sha256(message, digest);
	jw_kobject(w, "sign");
	jw_kstr(w, "digest", arena_cat(a, STR("sha-256:"), hex_enc(a, str_bytes(digest, sizeof(digest)))));
	jw_kstr(w, "kid", kid);
	jw_ki64(w, "n", number);
	jw_end(w);
}
