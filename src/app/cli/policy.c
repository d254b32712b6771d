/* policy.c: attorn policy: the operator's rules, a directory of .cedar files pushed as one. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/cli/json.h"
#include "app/cli/verbs.h"

enum { POLICY_FILES_MAX_HERE = 256 };

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static int names_of(cli_t *c, const char *dir, char **names, size_t *out_n)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	if (!d) {
		return cli_fail(EXIT_HERE, "%s: %s", dir, strerror(errno));
	}
	while ((e = readdir(d)) != NULL && n < POLICY_FILES_MAX_HERE) {
		if (str_ends(str_of(e->d_name), STR(".cedar"))) {
			names[n++] = (char *)(uintptr_t)cli_text(c, "%s", e->d_name);
		}
	}
	closedir(d);
	qsort(names, n, sizeof(names[0]), by_name);
	*out_n = n;
	return n ? EXIT_DONE : cli_fail(EXIT_HERE, "%s: no .cedar file there", dir);
}

static int files_body(cli_t *c, const char *dir, str_t *out)
{
	char *names[POLICY_FILES_MAX_HERE];
	cli_body_t b;
	str_t text;
	size_t n;
	int status = names_of(c, dir, names, &n);

	if (status) {
		return status;
	}
	cli_body_begin(&b, c);
	jw_karray(&b.w, "files");
	for (size_t i = 0; i < n; i++) {
		status = cli_file(c, cli_text(c, cli_text(c, "%s/%%s", dir), names[i]), CLI_FILE_BYTES_MAX, &text);
		if (status) {
			return status;
		}
		jw_object(&b.w);
		jw_kstr(&b.w, "name", str_of(names[i]));
		jw_kstr(&b.w, "text", text);
		jw_end(&b.w);
	}
	jw_end(&b.w);
	return cli_body_end(&b, out);
}

static int policy_push(cli_t *c)
{
	str_t body;
	net_response_t response;
	int status = files_body(c, c->args[0], &body);

	status = status ? status : cli_verb(c, "POST", "/policy", "policy.push", body, &response);
	return status ? status : cli_done(c, &response, "rules of %s are in force", c->args[0]);
}

static int policy_check(cli_t *c)
{
	str_t body;
	net_response_t response;
	int status = files_body(c, c->args[0], &body);

	status = status ? status : cli_narrow(c, "POST", "/policy/check", "policy.check", body, &response);
	return status ? status : cli_done(c, &response, "rules of %s load", c->args[0]);
}

static int policy_show(cli_t *c)
{
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = STR("/policy") };
	int status = cli_call_json(c, &r, &root);
	str_t name, text;

	if (status || c->json) {
		if (!status) {
			cli_print(json_raw(root));
		}
		return status;
	}
	for (const json_t *f = json_first(json_get(root, STR("files"))); f; f = json_next(f)) {
		name = cli_member(c->a, f, "name");
		printf("// %.*s\n", STR_ARG(name));
		if (json_str(json_get(f, STR("text")), &text) == OK) {
			cli_print(text);
		}
	}
	return EXIT_DONE;
}

static int policy_rules(cli_t *c)
{
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = STR("/policy") };
	int status = cli_call_json(c, &r, &root);

	if (status) {
		return status;
	}
	const json_t *rules = json_get(root, STR("in_force"));
	if (c->json) {
		cli_print(arena_cat(c->a, STR("{\"digest\":"), json_raw(json_get(root, STR("digest"))), STR(",\"in_force\":"),
			json_raw(rules), STR("}")));
		return EXIT_DONE;
	}
	for (const json_t *rule = json_first(rules); rule; rule = json_next(rule)) {
		str_t effect = cli_member(c->a, rule, "effect"), id = cli_member(c->a, rule, "id");
		printf("%-7.*s %.*s\n", STR_ARG(effect), STR_ARG(id));
	}
	return EXIT_DONE;
}

const cli_word_t cli_policy_words[] = {
	{ "push", "DIR", "put the .cedar files of a directory in force (signed)", CLI_API, 1, 1, policy_push },
	{ "check", "DIR", "would they load?", CLI_API, 1, 1, policy_check },
	{ "rules", "", "the ids of the rules in force, as records name them", CLI_API, 0, 0, policy_rules },
	{ "show", "", "the text of the rules in force", CLI_API, 0, 0, policy_show },
	{ 0 },
};
