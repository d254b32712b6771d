/* print.c: words for people; nothing from outside reaches a terminal unescaped. */
#include <stdarg.h>
#include <stdio.h>

#include "app/cli/cli_int.h"

int cli_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("attorn: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int cli_fail_err(int status, const char *what, err_t e, const diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const err_info_t *info = err_info(e);
	str_t said = str_of(diag && diag->text[0] ? diag->text : info->text);
	str_t safe = cli_safe(a, said);

	fprintf(stderr, "attorn: %s: %.*s\n", what, STR_ARG(safe));
	if (info->fix[0] && !str_contains(said, STR("; fix: "))) { /* else whoever refused has said it */
		fprintf(stderr, "  fix: %s\n", info->fix);
	}
	return status;
}

void cli_print(str_t text)
{
	fwrite(text.p, 1, text.n, stdout);
	if (!str_ends(text, STR("\n"))) {
		fputc('\n', stdout);
	}
}

str_t cli_safe(arena_t *a, str_t s)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, s.n * 4 + 1);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c < 0x7f) {
			buf_byte(&b, (char)c);
		} else {
			buf_printf(&b, "\\x%02x", c);
		}
	}
	str_t out;
	return arena_dup(a, buf_str(&b), &out) == OK ? out : STR("(too long)");
}

str_t cli_value(arena_t *a, const json_t *node)
{
	str_t text = STR_NULL;

	if (json_kind(node) == JSON_NONE || json_kind(node) == JSON_NULL) {
		return STR("");
	}
	return json_str(node, &text) == OK ? cli_safe(a, text) : cli_safe(a, json_raw(node));
}

str_t cli_member(arena_t *a, const json_t *obj, const char *key)
{
	return cli_value(a, json_get(obj, str_of(key)));
}
