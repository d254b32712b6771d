/* docs.c: documents of grants, parsed once. A place is chosen by the grant's id and used only if its text is,
 * byte for byte, the one that the transaction has just read: nothing here can be out of date. */
#include "service/admit/admit_int.h"

typedef struct {
	arena_t *a;
	str_t text;
	delegation_grant_t parsed;
} doc_t;

struct admit_docs {
	doc_t *places[ADMIT_DOCS_MAX];
};

static void doc_free(doc_t *d)
{
	if (d) {
		arena_free(d->a);
		heap_free(d);
	}
}

admit_docs_t *admit_docs_new(void)
{
	return heap_new(admit_docs_t);
}

void admit_docs_free(admit_docs_t *docs)
{
	for (size_t i = 0; docs && i < ADMIT_DOCS_MAX; i++) {
		doc_free(docs->places[i]);
	}
	heap_free(docs);
}

static err_t doc_parse(str_t text, doc_t *d)
{
	TRY(arena_dup(d->a, text, &d->text));
	return delegation_grant_parse_stored(d->a, d->text, &d->parsed);
}

err_t admit_docs_get(admit_docs_t *docs, str_t id, str_t text, const delegation_grant_t **out)
{
	uint32_t h = 2166136261u; /* FNV-1a: a collision costs a parse */

	for (size_t i = 0; i < id.n; i++) {
		h = (h ^ (uint8_t)id.p[i]) * 16777619u;
	}
	doc_t **place = &docs->places[h % ADMIT_DOCS_MAX];
	if (!*place || !str_eq((*place)->text, text)) {
		doc_t *d = heap_new(doc_t);

		d->a = arena_open();
		err_t e = doc_parse(text, d);
		if (e != OK) {
			doc_free(d);
			return e;
		}
		doc_free(*place);
		*place = d;
	}
	*out = &(*place)->parsed;
	return OK;
}
