/* proof.c: attorn status, attorn explain, attorn ledger: what is, what happened, and the proof of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

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
	str_t text = cli_value(c->a, json_pointer(obj, str_of(pointer)));

	if (text.n) {
		printf("  %-16s %.*s\n", label, STR_ARG(text));
	}
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

static err_t file_take(str_t bytes, void *owner)
{
	return fwrite(bytes.p, 1, bytes.n, owner) == bytes.n ? OK : ERR_IO;
}

static int ledger_export(cli_t *c)
{
	net_response_t response;
	cli_request_t r = { .method = "GET", .take = file_take, .take_owner = stdout };

	r.path = arena_printf(c->a, "/ledger/export?from=%llu", (unsigned long long)c->from);
	if (c->has_to) {
		r.path = arena_printf(c->a, "%.*s&to=%llu", STR_ARG(r.path), (unsigned long long)c->to);
	}
	if (c->out) {
		r.take_owner = fopen(c->out, "wx");
		if (!r.take_owner) {
			return cli_fail(EXIT_HERE, "%s: %s", c->out, strerror(errno));
		}
	}
	int status = cli_call(c, &r, &response);
	bool written = (c->out ? fclose(r.take_owner) : fflush(stdout)) == 0;
	if (status == EXIT_DONE && !written) {
		status = cli_fail(EXIT_HERE, "%s: %s", c->out ? c->out : "stdout", strerror(errno));
	}
	if (status && c->out) {
		unlink(c->out); /* ours, and not whole */
	}
	return status;
}

static int report_json(cli_t *c, err_t e, const ledger_report_t *report)
{
	cli_body_t b;
	str_t text;

	cli_body_begin(&b, c);
	jw_kbool(&b.w, "ok", e == OK);
	jw_ku64(&b.w, "records", report->records);
	jw_ku64(&b.w, "size", report->head_ok ? report->head.size : 0);
	jw_kbool(&b.w, "lists", report->lists);
	jw_ku64(&b.w, "signatures", report->signatures);
	if (report->bad) {
		jw_ku64(&b.w, "bad_index", report->bad_index);
		jw_kstr(&b.w, "bad_rid", str_of(report->bad_rid));
	}
	jw_kstr_if(&b.w, "why", str_of(report->why));
	if (cli_body_end(&b, &text) != EXIT_DONE) {
		return EXIT_BAD_PROOF;
	}
	cli_print(text);
	return e == OK ? EXIT_DONE : EXIT_BAD_PROOF;
}

static int report_print(cli_t *c, err_t e, const ledger_report_t *report)
{
	if (c->json) {
		return report_json(c, e, report);
	}
	if (e == OK) {
		printf("PASS: %llu records, signed head of size %llu%s\n", (unsigned long long)report->records,
			(unsigned long long)report->head.size, report->whole ? ", root recomputed from every record" : "");
		if (report->lists) {
			printf("the signer's lists: %llu signatures, each with its record\n", (unsigned long long)report->signatures);
		}
		return EXIT_DONE;
	}
	str_t why = cli_safe(c->a, str_of(report->why)), rid = cli_safe(c->a, str_of(report->bad_rid));
	if (report->bad) {
		printf("FAIL: record %llu %.*s: %.*s\n", (unsigned long long)report->bad_index, STR_ARG(rid), STR_ARG(why));
	} else {
		printf("FAIL: %.*s\n", STR_ARG(why));
	}
	return EXIT_BAD_PROOF;
}

/* Lines of an export on their way into the verifier. */
typedef struct {
	ledger_verifier_t *verifier;
	buf_t line;
} check_t;

static err_t check_take(str_t bytes, void *owner)
{
	check_t *k = owner;

	for (size_t end; (end = str_find(bytes, '\n')) < bytes.n; bytes = str_sub(bytes, end + 1, bytes.n)) {
		buf_add(&k->line, str_sub(bytes, 0, end));
		TRY(buf_err(&k->line));
		ledger_verifier_line(k->verifier, buf_str(&k->line));
		buf_clear(&k->line);
	}
	buf_add(&k->line, bytes);
	return buf_err(&k->line);
}

static err_t check_fd(check_t *k, int fd)
{
	char bytes[65536];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		TRY(check_take(str_bytes(bytes, (size_t)n), k));
	}
	return n == 0 ? OK : ERR_IO;
}

static int check_file(cli_t *c, check_t *k)
{
	int fd = strcmp(c->file, "-") == 0 ? dup(0) : open(c->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return cli_fail(EXIT_HERE, "%s: %s", c->file, strerror(errno));
	}
	err_t e = check_fd(k, fd);
	close(fd);
	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_HERE, c->file, e, NULL);
}

static int check_authority(cli_t *c, check_t *k)
{
	net_response_t response;
	cli_request_t r = { .method = "GET", .path = STR("/ledger/export?from=0"), .take = check_take, .take_owner = k };

	return cli_call(c, &r, &response);
}

static int vkey_of(cli_t *c, merkle_vkey_t *out)
{
	const json_t *root;
	str_t text = c->vkey ? str_of(c->vkey) : STR_NULL;
	cli_request_t head = { .method = "GET", .path = STR("/ledger/head") };

	if (!text.n) {
		int status = cli_call_json(c, &head, &root);
		if (status) {
			return status;
		}
		if (json_need_str(root, STR("vkey"), 1024, &text) != OK) {
			return cli_fail(EXIT_AWAY, "the authority does not name its verifier key");
		}
	}
	if (merkle_vkey_parse(c->a, text, out) != OK) {
		return cli_fail(EXIT_USAGE, "--vkey: not a verifier key (attorn ledger head prints it)");
	}
	return EXIT_DONE;
}

/* Offline: a file and the key one trusts. Without a file: the whole export of the running authority, with
 * the key it names, which proves the ledger consistent, not who signed it. */
static int ledger_verify(cli_t *c)
{
	merkle_vkey_t vkey;
	check_t k = { 0 };
	ledger_report_t report = { 0 };
	int status = vkey_of(c, &vkey);

	if (status) {
		return status;
	}
	AUTO(ledger_verifier_free) ledger_verifier_t *v = ledger_verifier_new(&vkey);
	k.verifier = v;
	buf_init(&k.line, CLI_FILE_BYTES_MAX);
	status = c->file ? check_file(c, &k) : check_authority(c, &k);
	if (status == EXIT_DONE && k.line.n) { /* a last line without its end */
		ledger_verifier_line(v, buf_str(&k.line));
	}
	buf_done(&k.line);
	if (status) {
		return status;
	}
	err_t e = ledger_verifier_end(v, &report);
	return report_print(c, e, &report);
}

const cli_word_t cli_ledger_words[] = {
	{ "head", "", "the signed head and the key that verifies it", CLI_API, 0, 0, ledger_head },
	{ "export", "[--from N] [--to N] [--out FILE]", "records as JSON lines, with the signed head", CLI_API "bEO", 0, 0, ledger_export },
	{ "verify", "[--file EXPORT --vkey KEY]", "PASS, or the first bad record; offline with --file", CLI_API "fv", 0, 0, ledger_verify },
	{ 0 },
};
