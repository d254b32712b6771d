/* err.c: the error table and the way a broken CHECK ends the process. */
#include "pure/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const err_info_t rows[] = {
	[OK] = { "ok", CLASS_OK, 200, "", "ok", "" },
#define ERR_ROW(name, cls, http, oauth, text, fix) [name] = { #name, cls, http, oauth, text, fix },
#include "pure/base/errors.def"
#undef ERR_ROW
};

/* Stable names are the lower-case rest of the enumerator; made once by the compiler is not possible
 * in C, so the table of names is a second expansion with the prefix cut at run time. */
static const char *const names[] = {
	[OK] = "ok",
#define ERR_ROW(name, cls, http, oauth, text, fix) [name] = #name,
#include "pure/base/errors.def"
#undef ERR_ROW
};

enum { NAME_BYTES_MAX = 40 };

static err_info_t public_rows[ERR_COUNT_];
static char public_names[ERR_COUNT_][NAME_BYTES_MAX];

__attribute__((constructor)) static void rows_build(void)
{
	for (int e = 0; e < ERR_COUNT_; e++) {
		const char *from = e == OK ? names[e] : names[e] + strlen("ERR_");
		size_t n = 0;

		for (; from[n] && n + 1 < NAME_BYTES_MAX; n++) {
			char c = from[n];
			public_names[e][n] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
		}
		public_rows[e] = rows[e];
		public_rows[e].name = public_names[e];
	}
}

const err_info_t *err_info(err_t e)
{
	bool known = (int)e >= 0 && e < ERR_COUNT_;

	return &public_rows[known ? e : ERR_INTERNAL];
}

err_t err_by_name(const char *name)
{
	for (int e = 0; e < ERR_COUNT_; e++) {
		if (strcmp(public_names[e], name) == 0) {
			return (err_t)e;
		}
	}
	return ERR_INTERNAL;
}

_Noreturn void check_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "attorn: internal check failed: %s (%s:%d)\n", what, file, line);
	abort();
}

void diag_set(diag_t *d, uint32_t line, uint32_t column, const char *fmt, ...)
{
	va_list ap;

	if (!d) {
		return;
	}
	d->line = line;
	d->column = column;
	va_start(ap, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
}
