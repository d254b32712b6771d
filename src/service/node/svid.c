/* svid.c: X509-SVIDs. One identity (entry, instance, facts its template needs) has one key and one certificate,
 * replaced by a new pair at half its life, give or take a tenth. Keys are slots of the guarded slab. */
#include <stdio.h>
#include <stdlib.h>

#include "service/node/node_int.h"

enum { SVID_ARENA_BYTES_MAX = 512 << 10, CHAIN_BYTES_MAX = 64 << 10, FACTS_BYTES_MAX = 256 << 10 };

static void renew_later(svid_t *s, uint64_t ms);

/* --- names ------------------------------------------------------------------------------------------------- */

/* What the authority must see to give this entry: its selectors, or all facts where a template may use them. */
static err_t facts_write(buf_t *b, const node_entry_t *e, const spiffe_selectors_t *all, const run_t *run)
{
	bool template = spiffe_template_is(e->e.spiffe_id);
	jw_t w;

	jw_init(&w, b);
	jw_object(&w);
	jw_key(&w, "selectors");
	spiffe_selectors_write(&w, template ? all : &e->e.selectors);
	if (run) {
		jw_kobject(&w, "run");
		jw_kstr(&w, "id", str_of(run->id));
		jw_key(&w, "runner");
		spiffe_selectors_write(&w, &run->runner);
		jw_end(&w);
	}
	jw_end(&w);
	return jw_finish(&w);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static void svid_free(svid_t *s)
{
	jwts_of_svid_end(s->node, s);
	for (svid_t **p = &s->node->svids; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			s->node->n_svids--;
			break;
		}
	}
	loop_timer_stop(s->node->loop, &s->timer);
	secret_done(&s->key);
	secret_done(&s->next_key);
	buf_done(&s->chain);
	entries_unref(s->entry);
	heap_free(s->name);
	heap_free(s->run);
	heap_free(s->facts);
	heap_free(s->id);
	heap_free(s);
}

/* Not found any more from now on; the memory goes when the authority's answer no longer needs it. */
static void svid_remove(svid_t *s)
{
	s->removed = true;
	s->state = SVID_FAILED;
	s->why = ERR_ENTRY_MATCH;
	secret_done(&s->key);
	loop_timer_stop(s->node->loop, &s->timer);
	if (s->refs == 0 && !s->asking) {
		svid_free(s);
	}
}

static void ask(svid_t *s)
{
	if (!s->asking && !s->removed) {
		s->asking = true;
		upstream_ask_svid(s->node->upstream, s);
	}
}

static svid_t *find(node_t *n, const node_entry_t *e, str_t name)
{
	for (svid_t *s = n->svids; s; s = s->next) {
		if (s->entry == e && !s->removed && str_eq(str_of(s->name), name)) {
			return s;
		}
	}
	return NULL;
}

static svid_t *svid_new(node_t *n, node_entry_t *e, str_t facts, const run_t *run)
{
	svid_t *s = heap_new(svid_t);

	s->node = n;
	s->name = heap_cstr(facts);
	s->facts = heap_cstr(facts);
	s->run = run ? heap_cstr(str_of(run->id)) : NULL;
	s->entry = entries_ref(e);
	s->again_ms = NODE_ISSUE_AGAIN_MS;
	buf_init(&s->chain, CHAIN_BYTES_MAX);
	s->next = n->svids;
	n->svids = s;
	n->n_svids++;
	return s;
}

err_t svid_get(node_t *n, node_entry_t *e, const spiffe_selectors_t *facts, const run_t *run, svid_t **out)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, FACTS_BYTES_MAX);
	TRY(facts_write(&b, e, facts, run));
	svid_t *s = find(n, e, buf_str(&b));
	if (!s) {
		ENSURE(n->n_svids < NODE_SVIDS_MAX, ERR_LIMIT);
		s = svid_new(n, e, buf_str(&b), run);
		ask(s);
	}
	s->refs++;
	*out = s;
	return OK;
}

void svid_drop(svid_t *s)
{
	if (!s) {
		return;
	}
	CHECK(s->refs > 0);
	s->refs--;
	if (s->refs == 0 && s->removed && !s->asking) {
		svid_free(s);
	} else if (s->refs == 0 && !s->removed && s->entry->gone) {
		svid_remove(s);
	}
}

bool svid_alive(const svid_t *s, int64_t now_s)
{
	return s->state == SVID_READY && s->exp_s > now_s;
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void on_time(void *arg)
{
	svid_t *s = arg;
	int64_t now_s = node_now_s(s->node);

	if (s->refs == 0) {
		svid_remove(s); /* nobody wants it any more */
		return;
	}
	if (s->state == SVID_READY && s->exp_s <= now_s) {
		s->state = SVID_FAILED; /* the authority was away for half its life */
		s->why = ERR_UNAVAILABLE;
		callers_changed(s->node);
	}
	ask(s);
}

static void renew_later(svid_t *s, uint64_t ms)
{
	loop_timer_start(s->node->loop, &s->timer, ms, on_time, s);
}

/* Half of what is left, give or take a tenth of it, so that what began together does not come back together. */
static uint64_t half_life_ms(node_t *n, int64_t exp_s)
{
	int64_t left_ms = exp_s * 1000 - (int64_t)(loop_unix_us(n->loop) / 1000);
	uint32_t draw;

	loop_random(n->loop, &draw, sizeof(draw));
	int64_t half = left_ms > 0 ? left_ms / 2 : 0;
	return (uint64_t)(half * 9 / 10) + (uint64_t)half * 2 / 10 * (draw % 1024) / 1024;
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static err_t chain_read(arena_t *a, const json_t *item, buf_t *out, x509_chain_t *chain)
{
	const json_t *list;
	str_t text, der;

	TRY(json_need_arr(item, STR("chain"), 8, &list));
	for (const json_t *c = json_first(list); c; c = json_next(c)) {
		TRY(json_str(c, &text));
		TRY(b64_dec(a, text, CHAIN_BYTES_MAX, &der));
		buf_add(out, der);
	}
	TRY(buf_err(out));
	return x509_chain_parse(a, buf_str(out), chain);
}

/* The certificate is under the bundle we hold, says what it is for, and is about the key we made. */
static err_t chain_check(arena_t *a, svid_t *s, const x509_chain_t *chain, spiffe_x509_svid_t *out)
{
	const node_bundle_t *own = trust_own(&s->node->trust, s->node->o.trust_domain);
	AUTO(crypto_key_free) crypto_key_t *key = NULL;

	ENSURE(own, ERR_UNAVAILABLE);
	const spiffe_trust_t *trust = own->trust;
	const spiffe_trusts_t trusts = { &trust, 1 };
	TRY(spiffe_x509_validate(chain, &trusts, node_now_s(s->node), out, NULL));
	TRY(crypto_key_from_secret(CRYPTO_KEY_P256, secret_peek(&s->next_key), &key));
	ENSURE(crypto_pub_eq(crypto_key_pub(key), &out->leaf->pub), ERR_KEY);
	return OK;
}

static err_t take(svid_t *s, const json_t *item)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(SVID_ARENA_BYTES_MAX);
	AUTO(buf_done) buf_t chain;
	spiffe_x509_svid_t svid;
	x509_chain_t parsed;
	str_t name;

	buf_init(&chain, CHAIN_BYTES_MAX);
	if (json_get(item, STR("error"))) {
		TRY(json_need_str(item, STR("error"), 64, &name));
		const char *text;
		TRY(arena_cstr(a, name, &text));
		return err_by_name(text);
	}
	TRY(chain_read(a, item, &chain, &parsed));
	TRY(chain_check(a, s, &parsed, &svid));
	secret_done(&s->key);
	s->key = s->next_key;
	s->next_key = (secret_t){ 0 };
	buf_clear(&s->chain);
	buf_add(&s->chain, buf_str(&chain));
	heap_free(s->id);
	s->id = heap_cstr(svid.id.text);
	s->exp_s = svid.exp_unix_s;
	return OK;
}

static bool is_no(err_t e)
{
	return err_info(e)->cls == CLASS_DENIED || e == ERR_EXPIRED;
}

void svid_issued(svid_t *s, err_t e, const json_t *item)
{
	s->asking = false;
	if (!s->removed && e == OK) {
		e = take(s, item);
	}
	if (s->removed) {
		secret_done(&s->next_key);
		if (s->refs == 0) {
			svid_free(s);
		}
		return;
	}
	if (e == OK) {
		s->state = SVID_READY;
		s->again_ms = NODE_ISSUE_AGAIN_MS;
		renew_later(s, half_life_ms(s->node, s->exp_s));
		callers_changed(s->node);
		return;
	}
	log_kv(LVL_WARN, "node.svid", kv_s("entry", s->entry->key), kv_err("result", e), kv_u("again_ms", s->again_ms));
	if (s->state != SVID_READY || is_no(e)) { /* what stands is kept while the authority is only away */
		s->state = SVID_FAILED;
		s->why = e;
		secret_done(&s->key);
		callers_changed(s->node);
	}
	renew_later(s, s->again_ms);
	s->again_ms = s->again_ms * 2 < NODE_ISSUE_AGAIN_MAX_MS ? s->again_ms * 2 : NODE_ISSUE_AGAIN_MAX_MS;
}

/* --- for all ------------------------------------------------------------------------------------------------------------ */

void svids_renew_all(node_t *n)
{
	svid_t *next;

	for (svid_t *s = n->svids; s; s = next) {
		next = s->next;
		if (s->refs == 0 && !s->removed) {
			svid_remove(s); /* kept for who might come back: not under a tainted key */
		} else {
			ask(s);
		}
	}
}

void svids_of_run_end(node_t *n, const char *run)
{
	svid_t *next;

	for (svid_t *s = n->svids; s; s = next) {
		next = s->next;
		if (s->run && !s->removed && strcmp(s->run, run) == 0) {
			svid_remove(s);
		}
	}
}

void svids_done(node_t *n)
{
	while (n->svids) {
		svid_free(n->svids);
	}
}
