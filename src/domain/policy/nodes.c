/* nodes.c: one function per kind of value. */
#include "domain/policy/nodes.h"

err_t nodes_init(nodes_t *w, arena_t *a, size_t cap)
{
	pdp_node *v;

	TRY(arena_try_array(a, pdp_node, cap, &v));
	*w = (nodes_t){ .v = v, .cap = cap, .parent = NODES_TOP };
	return OK;
}

static size_t put(nodes_t *w, pdp_node node)
{
	CHECK(w->n < w->cap);
	if (w->parent != NODES_TOP) {
		w->v[w->parent].kids++;
	}
	w->v[w->n] = node;
	return w->n++;
}

static size_t open_node(nodes_t *w, pdp_node node)
{
	size_t before = w->parent;

	w->parent = put(w, node);
	return before;
}

void nodes_close(nodes_t *w, size_t before)
{
	CHECK(w->parent != NODES_TOP);
	w->parent = before;
}

size_t nodes_record(nodes_t *w, str_t key)
{
	return open_node(w, (pdp_node){ .kind = PDP_RECORD, .key = slice_of(key) });
}

size_t nodes_set(nodes_t *w, str_t key)
{
	return open_node(w, (pdp_node){ .kind = PDP_SET, .key = slice_of(key) });
}

size_t nodes_entity(nodes_t *w, str_t type, str_t id)
{
	return open_node(w, (pdp_node){
		.kind = PDP_DEFINITION, .t = slice_of(type), .s = slice_of(id) });
}

void nodes_str(nodes_t *w, str_t key, str_t v)
{
	put(w, (pdp_node){ .kind = PDP_STRING, .key = slice_of(key), .s = slice_of(v) });
}

void nodes_long(nodes_t *w, str_t key, int64_t v)
{
	put(w, (pdp_node){ .kind = PDP_LONG, .key = slice_of(key), .i = v });
}

void nodes_bool(nodes_t *w, str_t key, bool v)
{
	put(w, (pdp_node){ .kind = PDP_BOOL, .key = slice_of(key), .i = v });
}

void nodes_datetime(nodes_t *w, str_t key, int64_t unix_s)
{
	put(w, (pdp_node){ .kind = PDP_DATETIME, .key = slice_of(key), .i = unix_s * 1000 });
}

void nodes_ref(nodes_t *w, str_t key, str_t type, str_t id)
{
	put(w, (pdp_node){ .kind = PDP_ENTITY, .key = slice_of(key), .t = slice_of(type),
			   .s = slice_of(id) });
}

void nodes_words(nodes_t *w, str_t key, str_t blank_separated)
{
	size_t before = nodes_set(w, key);
	str_t word;

	while (str_split(&blank_separated, ' ', &word)) {
		if (word.n) {
			nodes_str(w, STR_NULL, word);
		}
	}
	nodes_close(w, before);
}

void nodes_strs(nodes_t *w, str_t key, const str_t *v, size_t n)
{
	size_t before = nodes_set(w, key);

	for (size_t i = 0; i < n; i++) {
		nodes_str(w, STR_NULL, v[i]);
	}
	nodes_close(w, before);
}
