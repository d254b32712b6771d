/* json.c: request bodies, and lists printed as columns. */
#include <stdio.h>

#include "app/cli/cli_int.h"
#include "app/cli/json.h"

void cli_body_begin(cli_body_t *b, cli_t *c)
{
	b->c = c;
	buf_init(&b->buf, CLI_FILE_BYTES_MAX);
	jw_init(&b->w, &b->buf);
	jw_object(&b->w);
}

int cli_body_end(cli_body_t *b, str_t *out)
{
	jw_end(&b->w);
	err_t e = jw_finish(&b->w);
	if (e == OK) {
		e = arena_dup(b->c->a, buf_str(&b->buf), out);
	}
	buf_wipe(&b->buf); /* it may hold a secret's value */
	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_USAGE, "arguments", e, NULL);
}

void cli_body_list(cli_body_t *b, const char *key, const str_t *list, size_t n)
{
	jw_karray(&b->w, key);
	for (size_t i = 0; i < n; i++) {
		jw_str(&b->w, list[i]);
	}
	jw_end(&b->w);
}

/* A list as its elements, set apart by blanks. */
static void cell(cli_t *c, const json_t *row, const cli_column_t *column)
{
	AUTO(buf_done) buf_t b;
	const json_t *m = column->at ? json_pointer(row, str_of(column->at)) : json_get(row, str_of(column->key));

	buf_init(&b, CLI_FILE_BYTES_MAX);
	if (json_kind(m) == JSON_ARRAY) {
		for (const json_t *e = json_first(m); e; e = json_next(e)) {
			buf_add(&b, b.n ? STR(" ") : STR(""));
			buf_add(&b, cli_value(c->a, e));
		}
	} else {
		buf_add(&b, cli_value(c->a, m));
	}
	printf("%-*.*s ", column->width, STR_ARG(buf_str(&b)));
}

static void heads_print(const cli_column_t *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		printf("%-*s ", columns[i].width, columns[i].key);
	}
	putchar('\n');
}

static void row_print(cli_t *c, const json_t *row, const cli_column_t *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cell(c, row, &columns[i]);
	}
	putchar('\n');
}

/* Page after page: `path` ends in the parameter that takes the cursor. With --json the pages are one list. */
int cli_list(cli_t *c, str_t path, const char *list, const cli_column_t *columns, size_t n)
{
	const json_t *root;
	str_t next = STR("");
	bool first = true;
	int status;

	for (int pages = 0; next.p && pages < CLI_PAGES_MAX; pages++) {
		cli_request_t r = { .method = "GET", .path = arena_cat(c->a, path, pct_enc(c->a, next)) };
		status = cli_call_json(c, &r, &root);
		if (status) {
			return status;
		}
		if (pages == 0) {
			c->json ? (void)printf("{\"%s\":[", list) : heads_print(columns, n);
		}
		for (const json_t *row = json_first(json_get(root, str_of(list))); row; row = json_next(row)) {
			c->json ? (void)printf("%s%.*s", first ? "" : ",", STR_ARG(json_raw(row))) : row_print(c, row, columns, n);
			first = false;
		}
		next = json_str(json_get(root, STR("next")), &next) == OK && next.n ? next : STR_NULL;
	}
	if (c->json) {
		puts("]}");
	}
	return EXIT_DONE;
}

int cli_show(cli_t *c, str_t path)
{
	const json_t *root;
	cli_request_t r = { .method = "GET", .path = path };
	int status = cli_call_json(c, &r, &root);

	if (status) {
		return status;
	}
	if (c->json) {
		cli_print(json_raw(root));
		return EXIT_DONE;
	}
	for (const json_t *m = json_first(root); m; m = json_next(m)) {
		str_t key = cli_safe(c->a, json_key(m)), text = cli_value(c->a, m);
		printf("%-14.*s %.*s\n", STR_ARG(key), STR_ARG(text));
	}
	return EXIT_DONE;
}

int cli_done(cli_t *c, const net_response_t *response, const char *fmt, ...)
{
	va_list ap;

	if (c->json) {
		cli_print(response->body);
		return EXIT_DONE;
	}
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return EXIT_DONE;
}

int cli_verb(cli_t *c, const char *method, const char *path, const char *verb, str_t body, net_response_t *out)
{
	cli_request_t r = { .method = method, .path = str_of(path), .body = body, .verb = verb };

	return cli_call(c, &r, out);
}

int cli_narrow(cli_t *c, const char *method, const char *path, const char *verb, str_t body, net_response_t *out)
{
	cli_request_t r = { .method = method, .path = str_of(path), .body = body, .verb = verb, .narrows = true };

	return cli_call(c, &r, out);
}

const char *cli_text(cli_t *c, const char *fmt, const char *arg)
{
	size_t n = strlen(fmt) + strlen(arg) + 1;
	void *p;

	CHECK(arena_try(c->a, n, &p) == OK); /* arguments of a command line are bounded by the kernel */
	snprintf(p, n, fmt, arg);
	return p;
}
