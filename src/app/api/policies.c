/* policies.c: rules: check, push, show. A push compiles first; what is broken, or would shut its author out,
 * changes nothing. */
#include "app/api/api_int.h"

typedef struct {
	policy_file_t files[POLICY_FILES_MAX];
	size_t n, rules;
	uint8_t digest[CRYPTO_SHA256_BYTES];
} policy_in_t;

/* A name stands in front of "line:column" in reports. */
static bool is_file_name(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '.' ||
			ch == '_' || ch == '-';
		if (!ok) {
			return false;
		}
	}
	return s.n > 0 && s.n <= API_FILE_NAME_BYTES_MAX && s.p[0] != '.';
}

static err_t file_parse(api_call_t *c, const json_t *node, policy_in_t *in)
{
	policy_file_t f = { STR_NULL, STR("") };

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, &c->diag, STR("name"), STR("text")));
	TRY(json_need_str(node, STR("name"), API_PATH_BYTES_MAX, &f.name));
	ENSURE(is_file_name(f.name), api_say(c, ERR_VALUE, "files: a name is [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"));
	for (size_t i = 0; i < in->n; i++) {
		ENSURE(!str_eq(in->files[i].name, f.name), api_say(c, ERR_DUPLICATE, "files: a name is repeated"));
	}
	TRY(json_str(json_get(node, STR("text")), &f.text));
	in->files[in->n++] = f;
	return OK;
}

static err_t files_parse(api_call_t *c)
{
	policy_in_t *in = arena_new(c->a, policy_in_t);
	const json_t *files;
	size_t total = 0;

	TRY(API_ONLY(c, STR("files")));
	TRY(json_need_arr(c->body, STR("files"), POLICY_FILES_MAX, &files));
	ENSURE(json_count(files) > 0, api_say(c, ERR_VALUE, "files: none; rules that deny everything cannot be undone"));
	for (const json_t *f = json_first(files); f; f = json_next(f)) {
		TRY(file_parse(c, f, in));
		total += in->files[in->n - 1].text.n;
	}
	ENSURE(total <= SNAPSHOT_POLICY_BYTES_MAX, ERR_LIMIT);
	c->in = in;
	return OK;
}

err_t api_policy_push_parse(api_call_t *c)
{
	return files_parse(c);
}

err_t api_policy_check_parse(api_call_t *c)
{
	return files_parse(c);
}

/* On lane cpu. The bundle goes here too: the feed compiles its own. */
static err_t compile(api_call_t *c, bool is_push)
{
	AUTO(policy_bundle_unref) policy_bundle_t *bundle = NULL;
	AUTO(buf_done) buf_t report;
	policy_in_t *in = c->in;

	buf_init(&report, POLICY_REPORT_BYTES_MAX);
	c->diag = (diag_t){ 0 };
	err_t e = policy_bundle_compile(in->files, in->n, &bundle, &report, &c->diag);
	TRY(arena_dup(c->a, buf_str(&report), &c->report));
	ENSURE(e != ERR_POLICY, ERR_POLICY_TEXT);
	TRY(e);
	in->rules = policy_bundle_count(bundle);
	memcpy(in->digest, policy_bundle_digest(bundle), sizeof(in->digest));
	if (is_push && api_would(c, bundle, POLICY_ADMINISTER, STR("policy")) != OK) {
		return api_say(c, ERR_POLICY_TEXT, "under these rules you could not push other ones");
	}
	return OK;
}

/* Compiling takes the CPU: not for somebody whose push will be refused. The transaction asks again. */
static err_t push_may(store_txn_t *txn, void *self)
{
	return api_may(self, txn, POLICY_ADMINISTER, STR("policy"), NULL);
}

err_t api_policy_push_prepare(api_call_t *c)
{
	TRY(store_read(c->p->deps.store, push_may, c));
	return compile(c, true);
}

err_t api_policy_check_prepare(api_call_t *c)
{
	return compile(c, false);
}

/* {"files":[{"name","text"}]}: what the store keeps and the feed tells. */
err_t api_policy_text(arena_t *a, const policy_file_t *files, size_t n, str_t *out)
{
	AUTO(buf_done) buf_t b;
	jw_t w;

	buf_init(&b, API_POLICY_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w);
	jw_karray(&w, "files");
	for (size_t i = 0; i < n; i++) {
		jw_object(&w);
		jw_kstr(&w, "name", files[i].name);
		jw_kstr(&w, "text", files[i].text);
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
	TRY(jw_finish(&w));
	return arena_dup(a, buf_str(&b), out);
}

err_t api_policy_push_run(api_call_t *c, store_txn_t *txn)
{
	const policy_in_t *in = c->in;
	str_t text, digest = delegation_digest_text(c->a, in->digest);
	int64_t ver;

	TRY(api_may(c, txn, POLICY_ADMINISTER, STR("policy"), NULL));
	TRY(api_policy_text(c->a, in->files, in->n, &text));
	TRY(store_policy_push(txn, digest, text, c->now_s, &ver));
	api_record_begin(c, c->who.id);
	jw_kstr(&c->r, "digest", digest);
	jw_ki64(&c->r, "rev", ver);
	TRY(api_record_end(c, txn, LEDGER_POLICY));
	TRY(api_change(c, txn, "policy", digest, true));
	jw_ki64(&c->w, "version", ver);
	jw_kstr(&c->w, "digest", digest);
	jw_ku64(&c->w, "rules", in->rules);
	jw_kstr(&c->w, "report", c->report);
	return OK;
}

err_t api_policy_check_run(api_call_t *c, store_txn_t *txn)
{
	const policy_in_t *in = c->in;

	jw_kbool(&c->w, "ok", true);
	jw_kstr(&c->w, "digest", delegation_digest_text(c->a, in->digest));
	jw_ku64(&c->w, "rules", in->rules);
	jw_kstr(&c->w, "report", c->report);
	return OK;
}

err_t api_policy_get_parse(api_call_t *c)
{
	return api_query(c, NULL, 0);
}

/* The rules that decide now: by the names that stand in records. */
static void rules_write(api_call_t *c)
{
	size_t n = policy_bundle_count(c->view->policy);
	bool forbids;

	jw_ku64(&c->w, "rules", n);
	jw_karray(&c->w, "in_force");
	for (size_t i = 0; i < n; i++) {
		jw_object(&c->w);
		jw_kstr(&c->w, "id", policy_bundle_rule(c->view->policy, i, &forbids));
		jw_kstr(&c->w, "effect", forbids ? STR("forbid") : STR("permit"));
		jw_end(&c->w);
	}
	jw_end(&c->w);
}

err_t api_policy_get_run(api_call_t *c, store_txn_t *txn)
{
	store_policy_t row;
	const json_t *root;

	TRY(store_policy_active(txn, c->a, &row));
	ENSURE(api_rules_current(c, txn) == OK, ERR_CONFLICT); /* pushed this moment: their ids come with the next view */
	const json_opts_t opts = { .bytes_max = API_POLICY_BYTES_MAX, .object_only = true };
	TRY(json_parse(c->a, row.text, &opts, &root, NULL));
	jw_ki64(&c->w, "version", row.ver);
	jw_kstr(&c->w, "digest", row.digest);
	jw_ki64(&c->w, "created", row.created_s);
	rules_write(c);
	jw_kraw(&c->w, "files", json_raw(json_get(root, STR("files"))));
	return OK;
}
