/* proof.c: attorn status, attorn explain, attorn ledger: what is, what happened, and the proof of it. */
#include <stdio.h>

#include "app/cli/json.h"
#include "app/cli/verbs.h"
#include "service/ledger/client.h"

static int status_show(cli_t *c)
{
	return cli_show(c, STR("/status"));
}

const cli_word_t cli_status_words[] = {
	{ "", "", "is it up, and what does it hold", CLI_API, 0, 0, status_show },
	{ 0 },
};

/* --- explain ---------------------------------------------------------------------------------------------- */

static void line(cli_t *c, const char *label, const json_t *obj, const char *pointer)
{
	const json_t *m = json_pointer(obj, str_of(pointer));
	str_t text = STR_NULL;

	if (json_kind(m) == JSON_NONE || json_kind(m) == JSON_NULL) {
		return;
	}
	text = json_str(m, &text) == OK ? cli_safe(c->a, text) : cli_safe(c->a, json_raw(m));
	printf("  %-16s %.*s\n", label, STR_ARG(text));
}

/* Names for people; a record holds pseudonyms (ledger.md 12). */
static str_t name_of(cli_t *c, const json_t *root, str_t sub)
{
	const json_t *grants = json_get(root, STR("grants"));

	for (const json_t *g = json_first(grants); g; g = json_next(g)) {
		if (json_is_str(json_get(g, STR("user")), sub)) {
			return cli_member(c->a, g, "user_name");
		}
	}
	return STR("");
}

static void chain_print(cli_t *c, const json_t *root, const json_t *record)
{
	for (const json_t *hop = json_first(json_get(record, STR("chain"))); hop; hop = json_next(hop)) {
		str_t role = cli_member(c->a, hop, "role"), sub = cli_member(c->a, hop, "sub");
		str_t name = name_of(c, root, sub);
		printf("  %-16.*s %.*s%s%.*s%s\n", STR_ARG(role), STR_ARG(name), name.n ? " (" : "", STR_ARG(sub),
			name.n ? ")" : "");
	}
}

/* Outcomes that came after the authority had closed the call as unknown. */
static void late_print(cli_t *c, const json_t *root)
{
	for (const json_t *o = json_first(json_get(root, STR("late"))); o; o = json_next(o)) {
		line(c, "reported late", o, "/record/status");
		line(c, "  at index", o, "/index");
	}
}

/* Five questions: who asked, which agent, on whose authority, what was allowed by which rule, what
 * happened. */
static int explain(cli_t *c)
{
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = str_of(cli_text(c, "/explain/%s", c->args[0])) };
	int status = cli_call_json(c, &r, &root);

	if (status || c->json) {
		if (!status) {
			cli_print(json_raw(root));
		}
		return status;
	}
	const json_t *record = json_get(root, STR("record"));
	printf("call %s\n", c->args[0]);
	line(c, "when", record, "/ts");
	puts("who asked, and for whom");
	chain_print(c, root, record);
	line(c, "assurance", record, "/assurance");
	line(c, "started by", record, "/direction/init");
	line(c, "chosen by", record, "/direction/sel");
	puts("on whose authority");
	for (const json_t *g = json_first(json_get(root, STR("grants"))); g; g = json_next(g)) {
		line(c, "grant", g, "/id");
		line(c, "of user", g, "/user_name");
		line(c, "uses left", g, "/uses_left");
	}
	puts("what");
	line(c, "tool server", record, "/route/id");
	line(c, "operation", record, "/act/op");
	line(c, "tool", record, "/act/tool");
	line(c, "arguments", root, "/opened/act.args");
	puts("allowed or not, and by which rule");
	line(c, "answer", record, "/enf");
	line(c, "reason", record, "/code");
	line(c, "rules", record, "/policy/rules");
	line(c, "policy", record, "/policy/digest");
	puts("what happened");
	line(c, "outcome", root, "/outcome/record/status");
	line(c, "code", root, "/outcome/record/code");
	line(c, "milliseconds", root, "/outcome/record/ms");
	late_print(c, root);
	line(c, "still open", root, "/open");
	puts("proof");
	line(c, "ledger index", root, "/index");
	line(c, "outcome index", root, "/outcome/index");
	return EXIT_DONE;
}

const cli_word_t cli_explain_words[] = {
	{ "", "CALL", "who asked, which agent, on whose authority, by which rule, what happened", CLI_API, 1, 1, explain },
	{ 0 },
};

/* --- ledger ---------------------------------------------------------------------------------------------- */

static int ledger_head(cli_t *c)
{
	const json_t *root;
	str_t note = STR_NULL;
	cli_request_t r = { .method = "GET", .path = STR("/ledger/head") };
	int status = cli_call_json(c, &r, &root);

	if (status) {
		return status;
	}
	if (!c->json && json_str(json_get(root, STR("note")), &note) == OK) {
		cli_print(note);
		str_t vkey = cli_member(c->a, root, "vkey");
		printf("verifier key: %.*s\n", STR_ARG(vkey));
		return EXIT_DONE;
	}
	cli_print(json_raw(root));
	return EXIT_DONE;
}

static int ledger_export(cli_t *c)
{
	net_response_t response;
	cli_request_t r = { .method = "GET" };

	r.path = c->has_to ? arena_printf(c->a, "/ledger/export?from=%llu&to=%llu", (unsigned long long)c->from, (unsigned long long)c->to)
			   : arena_printf(c->a, "/ledger/export?from=%llu", (unsigned long long)c->from);
	int status = cli_call(c, &r, &response);
	if (status) {
		return status;
	}
	if (c->out) {
		return cli_write_file(c->out, response.body, 0644);
	}
	fwrite(response.body.p, 1, response.body.n, stdout);
	return EXIT_DONE;
}

static int report_print(cli_t *c, err_t e, const ledger_report_t *report)
{
	if (c->json) {
		printf("{\"ok\":%s,\"records\":%llu,\"size\":%llu,\"bad_index\":%lld,\"bad_rid\":\"%s\",\"why\":\"%s\"}\n",
			e == OK ? "true" : "false", (unsigned long long)report->records,
			(unsigned long long)report->head.size, report->bad ? (long long)report->bad_index : -1LL,
			report->bad_rid, report->why);
		return e == OK ? EXIT_DONE : EXIT_BAD_PROOF;
	}
	if (e == OK) {
		printf("PASS: %llu records, signed head of size %llu%s\n", (unsigned long long)report->records,
			(unsigned long long)report->head.size, report->whole ? ", root recomputed from every record" : "");
		return EXIT_DONE;
	}
	if (report->bad) {
		printf("FAIL: record %llu %s: %s\n", (unsigned long long)report->bad_index, report->bad_rid, report->why);
	} else {
		printf("FAIL: %s\n", report->why);
	}
	return EXIT_BAD_PROOF;
}

static int verify_file(cli_t *c, str_t text, str_t vkey_text)
{
	merkle_vkey_t vkey;
	ledger_report_t report = { 0 };
	str_t piece;

	if (merkle_vkey_parse(c->a, vkey_text, &vkey) != OK) {
		return cli_fail(EXIT_USAGE, "--vkey: not a verifier key (attorn ledger head prints it)");
	}
	AUTO(ledger_verifier_free) ledger_verifier_t *v = ledger_verifier_new(&vkey);
	while (str_split(&text, '\n', &piece)) {
		if (piece.n || text.p) {
			ledger_verifier_line(v, piece);
		}
	}
	err_t e = ledger_verifier_end(v, &report);
	return report_print(c, e, &report);
}

/* Offline: a file and the key one trusts. Without a file: the whole export of the running authority, with
 * the key it names, which proves the ledger consistent, not who signed it. */
static int ledger_verify(cli_t *c)
{
	const json_t *root;
	net_response_t response;
	str_t text, vkey = c->vkey ? str_of(c->vkey) : STR_NULL;
	cli_request_t head = { .method = "GET", .path = STR("/ledger/head") };
	cli_request_t export = { .method = "GET", .path = STR("/ledger/export?from=0") };
	int status = EXIT_DONE;

	if (!vkey.n) {
		status = cli_call_json(c, &head, &root);
		if (status == EXIT_DONE && json_need_str(root, STR("vkey"), 1024, &vkey) != OK) {
			return cli_fail(EXIT_AWAY, "the authority does not name its verifier key");
		}
	}
	if (status == EXIT_DONE && c->file) {
		status = cli_file(c, c->file, CLI_RESPONSE_BYTES_MAX, &text);
	} else if (status == EXIT_DONE) {
		status = cli_call(c, &export, &response);
		text = response.body;
	}
	return status ? status : verify_file(c, text, vkey);
}

const cli_word_t cli_ledger_words[] = {
	{ "head", "", "the signed head and the key that verifies it", CLI_API, 0, 0, ledger_head },
	{ "export", "[--from N] [--to N] [--out FILE]", "records as JSON lines, with the signed head", CLI_API "bEO", 0, 0, ledger_export },
	{ "verify", "[--file EXPORT --vkey KEY]", "PASS, or the first bad record; offline with --file", CLI_API "fv", 0, 0, ledger_verify },
	{ 0 },
};
