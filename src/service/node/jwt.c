/* jwt.c: JWT-SVIDs, kept by identity and audience list until half their life is over. Two lists never meet in
 * one name: each audience stands with its length. */
#include <stdio.h>

#include "service/node/node_int.h"

enum { BODY_BYTES_MAX = 320 << 10, NAME_BYTES_MAX = 20 << 10 };

struct jwt_wait {
	struct jwt_wait *next;
	struct jwt_kept *k;
	jwt_done_fn done;
	void *owner;
};

typedef struct jwt_kept {
	struct jwt_kept *next;
	node_t *n;
	svid_t *svid; /* NULL: its identity has gone, only the answer is waited for */
	char *audiences;
	char *token, *id; /* token NULL: asked for */
	uint64_t fresh_until_us;
	int64_t exp_s;
	bool once; /* the entry wants a jti of its own in each */
	jwt_wait_t *waits;
} jwt_kept_t;

static void kept_free(jwt_kept_t *k)
{
	for (jwt_kept_t **p = &k->n->jwts; *p; p = &(*p)->next) {
		if (*p == k) {
			*p = k->next;
			k->n->n_jwts--;
			break;
		}
	}
	if (k->token) {
		wipe(k->token, strlen(k->token));
	}
	heap_free(k->token);
	heap_free(k->id);
	heap_free(k->audiences);
	heap_free(k);
}

static bool asked(const jwt_kept_t *k)
{
	return k->token == NULL;
}

/* --- the answer ----------------------------------------------------------------------------------------------- */

static err_t token_take(jwt_kept_t *k, const json_t *body)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const json_t *item = json_first(json_get(body, STR("items")));
	str_t name, token, id;
	const char *text;

	ENSURE(item, ERR_UPSTREAM);
	if (json_get(item, STR("error"))) {
		TRY(json_need_str(item, STR("error"), 64, &name));
		TRY(arena_cstr(a, name, &text));
		err_t e = err_by_name(text);
		return e == OK ? ERR_INTERNAL : e;
	}
	TRY(json_need_str(item, STR("token"), 64 << 10, &token));
	TRY(json_need_str(item, STR("id"), SPIFFE_ID_BYTES_MAX, &id));
	TRY(json_need_i64(item, STR("exp"), &k->exp_s));
	ENSURE(!str_has_nul(token) && !str_has_nul(id), ERR_UPSTREAM);
	k->token = heap_cstr(token);
	k->id = heap_cstr(id);
	int64_t left_s = k->exp_s - node_now_s(k->n);
	k->fresh_until_us = loop_mono_us(k->n->loop) + (uint64_t)(left_s > 0 ? left_s : 0) * 500000;
	return OK;
}

static void answered(void *owner, err_t e, const json_t *body)
{
	jwt_kept_t *k = owner;

	e = e == OK ? token_take(k, body) : e;
	e = e == OK && !k->svid ? ERR_ENTRY_MATCH : e;
	while (k->waits) {
		jwt_wait_t *w = k->waits;
		k->waits = w->next;
		w->done(w->owner, e, str_of(k->id), str_of(k->token));
		heap_free(w);
	}
	if (e != OK || k->once) {
		kept_free(k);
	}
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static err_t audiences_name(buf_t *b, const str_t *aud, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%zu:", aud[i].n);
		buf_add(b, aud[i]);
	}
	return buf_err(b);
}

static err_t body_write(buf_t *b, const svid_t *s, const str_t *aud, size_t n)
{
	jw_t w;

	jw_init(&w, b);
	jw_object(&w);
	jw_karray(&w, "items");
	jw_object(&w);
	jw_kstr(&w, "key", s->entry->key);
	jw_karray(&w, "aud");
	for (size_t i = 0; i < n; i++) {
		jw_str(&w, aud[i]);
	}
	jw_end(&w);
	jw_kraw(&w, "facts", str_of(s->facts));
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	return jw_finish(&w);
}

static err_t ask(node_t *n, svid_t *s, const str_t *aud, size_t n_aud, str_t name, jwt_kept_t **out)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, BODY_BYTES_MAX);
	TRY(body_write(&b, s, aud, n_aud));
	jwt_kept_t *k = heap_new(jwt_kept_t);
	k->n = n;
	k->svid = s;
	k->once = s->entry->e.jwt_jti;
	k->audiences = heap_cstr(name);
	k->next = n->jwts;
	n->jwts = k;
	n->n_jwts++;
	err_t e = upstream_post(n->upstream, "/internal/v1/jwt", buf_str(&b), answered, k);
	if (e != OK) {
		kept_free(k);
		return e;
	}
	*out = k;
	return OK;
}

static bool fresh(const jwt_kept_t *k, uint64_t now_us, int64_t now_s)
{
	return asked(k) || (now_us < k->fresh_until_us && k->exp_s > now_s);
}

static jwt_kept_t *find(node_t *n, const svid_t *s, str_t name)
{
	uint64_t now_us = loop_mono_us(n->loop);
	jwt_kept_t *next;

	for (jwt_kept_t *k = n->jwts; k; k = next) {
		next = k->next;
		if (k->svid != s || !str_eq(str_of(k->audiences), name) || (k->once && !s->entry->e.jwt_jti)) {
			continue;
		}
		if (fresh(k, now_us, node_now_s(n))) {
			return k->once ? NULL : k;
		}
		kept_free(k);
	}
	return NULL;
}

/* The oldest that is not on its way makes room. */
static void make_room(node_t *n)
{
	jwt_kept_t *last = NULL;

	for (jwt_kept_t *k = n->jwts; k && n->n_jwts >= NODE_JWTS_MAX; k = k->next) {
		last = asked(k) ? last : k;
	}
	if (last) {
		kept_free(last);
	}
}

static err_t get(node_t *n, svid_t *s, const str_t *aud, size_t n_aud, jwt_kept_t **out)
{
	AUTO(buf_done) buf_t name;

	buf_init(&name, NAME_BYTES_MAX);
	TRY(audiences_name(&name, aud, n_aud));
	*out = find(n, s, buf_str(&name));
	if (*out) {
		return OK;
	}
	make_room(n);
	ENSURE(n->n_jwts < NODE_JWTS_MAX, ERR_THROTTLED);
	return ask(n, s, aud, n_aud, buf_str(&name), out);
}

jwt_wait_t *jwt_get(node_t *n, svid_t *s, const str_t *aud, size_t n_aud, jwt_done_fn done, void *owner)
{
	jwt_kept_t *k;
	err_t e = get(n, s, aud, n_aud, &k);

	if (e != OK) {
		done(owner, e, STR_NULL, STR_NULL);
		return NULL;
	}
	if (!asked(k)) {
		done(owner, OK, str_of(k->id), str_of(k->token));
		return NULL;
	}
	jwt_wait_t *w = heap_new(jwt_wait_t);
	*w = (jwt_wait_t){ .next = k->waits, .k = k, .done = done, .owner = owner };
	k->waits = w;
	return w;
}

void jwt_wait_cancel(jwt_wait_t *w)
{
	if (!w) {
		return;
	}
	for (jwt_wait_t **p = &w->k->waits; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	heap_free(w);
}

/* --- ends ------------------------------------------------------------------------------------------------------------ */

void jwts_forget(node_t *n)
{
	jwt_kept_t *next;

	for (jwt_kept_t *k = n->jwts; k; k = next) {
		next = k->next;
		if (!asked(k)) {
			kept_free(k);
		}
	}
}

void jwts_of_svid_end(node_t *n, const svid_t *s)
{
	jwt_kept_t *next;

	for (jwt_kept_t *k = n->jwts; k; k = next) {
		next = k->next;
		if (k->svid != s) {
			continue;
		}
		k->svid = NULL;
		if (!asked(k)) {
			kept_free(k);
		}
	}
}

void jwts_done(node_t *n)
{
	while (n->jwts) {
		kept_free(n->jwts);
	}
}
