/* view.c: what identity knows at one moment, read in one transaction: entries, keys, bundles. */
#include <stdatomic.h>

#include "service/identity/identity_int.h"

typedef struct {
	const identity_deps_t *deps;
	store_txn_t *txn;
	int64_t now_s;
	identity_view_t *v;
} making_t;

static err_t entry_make(making_t *m, const store_agent_entry_t *row, view_entry_t *out)
{
	const json_t *doc;

	out->agent = row->agent;
	out->doc = row->doc;
	out->created_s = row->created_s;
	out->key = arena_cat(m->v->a, row->agent, STR("#"), row->id);
	TRY(json_parse_object(m->v->a, row->doc, &doc, NULL));
	return spiffe_entry_read(m->v->a, doc, m->deps->trust_domain, &out->entry, NULL);
}

/* Rows come in the order of (agent, id); '#' sorts below every byte of an ID, so keys come sorted too. */
static err_t entries_make(making_t *m)
{
	view_entry_t *out = NULL;
	store_agent_entry_t *rows;
	str_t agent = STR_NULL, id = STR_NULL;
	size_t n, total = 0;

	TRY(arena_try_array(m->v->a, view_entry_t, IDENTITY_ENTRIES_MAX, &out));
	do {
		TRY(store_agent_entry_page(m->txn, m->v->a, agent, id, &rows, &n));
		ENSURE(total + n <= IDENTITY_ENTRIES_MAX, ERR_LIMIT);
		for (size_t i = 0; i < n; i++) {
			TRY(entry_make(m, &rows[i], &out[total + i]));
		}
		total += n;
		agent = n ? rows[n - 1].agent : agent;
		id = n ? rows[n - 1].id : id;
	} while (n == STORE_LIST_MAX);
	m->v->entries = out;
	m->v->n_entries = total;
	return OK;
}

static err_t signer_make(making_t *m, const store_svid_key_t *key, view_signer_t *out)
{
	x509_cert_t *cert = arena_new(m->v->a, x509_cert_t);

	out->kid = key->kid;
	out->not_after_s = key->not_after_s;
	TRY(crypto_alg_from_name(key->alg, &out->alg));
	if (key->cert.n) {
		out->cert = key->cert;
		TRY(x509_cert_parse(m->v->a, key->cert, cert));
		TRY(x509_issuer_of(cert, &out->issuer));
	}
	return OK;
}

static bool in_bundle(const store_svid_key_t *key)
{
	spiffe_ca_state_t state;

	return spiffe_ca_state_read(key->state, &state) == OK && spiffe_ca_in_bundle(state);
}

/* A certificate that is not signed yet is in no bundle: nothing stands under it either. */
static err_t own_bundle(making_t *m, spiffe_bundle_t *out)
{
	identity_view_t *v = m->v;
	str_t *ders = arena_array(v->a, str_t, v->n_keys);
	jose_jwk_t *jwks = arena_array(v->a, jose_jwk_t, v->n_keys);
	int64_t least_s = INT64_MAX;

	for (size_t i = 0; i < v->n_keys; i++) {
		const store_svid_key_t *key = &v->keys[i];
		bool is_jwt = str_eq(key->kind, STR("jwt"));
		if (!in_bundle(key) || (!is_jwt && key->cert.n == 0)) {
			continue;
		}
		least_s = key->not_after_s - key->created_s < least_s ? key->not_after_s - key->created_s : least_s;
		if (is_jwt) {
			jose_jwk_t *jwk = &jwks[out->jwt.n++];
			jwk->kid = key->kid;
			TRY(crypto_pub_from_spki(key->spki, &jwk->pub));
			TRY(crypto_alg_from_name(key->alg, &jwk->alg));
		} else {
			ders[out->n_x509++] = key->cert;
		}
	}
	out->x509 = ders;
	out->jwt.keys = jwks;
	out->td = m->deps->trust_domain;
	out->refresh_hint_s = spiffe_bundle_hint_s(least_s == INT64_MAX ? 0 : least_s);
	return OK;
}

static err_t keys_make(making_t *m)
{
	identity_view_t *v = m->v;
	store_svid_key_t *keys;

	TRY(store_svid_key_list(m->txn, v->a, STR_NULL, &keys, &v->n_keys));
	v->keys = keys;
	for (size_t i = 0; i < v->n_keys; i++) {
		bool is_jwt = str_eq(keys[i].kind, STR("jwt"));
		bool signs = str_eq(keys[i].state, STR("active")) && keys[i].not_after_s > m->now_s;
		if (signs && (is_jwt || keys[i].cert.n)) {
			TRY(signer_make(m, &keys[i], is_jwt ? &v->jwt : &v->x509));
		}
	}
	return OK;
}

static err_t bundles_make(making_t *m)
{
	identity_view_t *v = m->v;
	store_foreign_bundle_t *rows;
	size_t n;
	int64_t sequence;

	TRY(store_foreign_bundle_list(m->txn, v->a, &rows, &n));
	ENSURE(n < SPIFFE_BUNDLES_MAX, ERR_LIMIT);
	v->bundles = arena_array(v->a, spiffe_bundle_t, n + 1);
	v->n_bundles = n + 1;
	TRY(own_bundle(m, &v->bundles[0]));
	TRY(store_bundle_own(m->txn, m->deps->trust_domain, &sequence));
	v->bundles[0].has_sequence = true;
	v->bundles[0].sequence = (uint64_t)sequence;
	for (size_t i = 0; i < n; i++) {
		TRY(spiffe_bundle_parse(v->a, rows[i].td, rows[i].doc, &v->bundles[i + 1], NULL));
	}
	v->trusts = arena_array(v->a, spiffe_trust_t *, v->n_bundles);
	for (size_t i = 0; i < v->n_bundles; i++) {
		TRY(spiffe_trust_new(&v->bundles[i], &v->trusts[i]));
	}
	return OK;
}

static err_t making_run(store_txn_t *txn, void *self)
{
	making_t *m = self;

	m->txn = txn;
	TRY(store_change_last(txn, &m->v->seq));
	TRY(entries_make(m));
	TRY(keys_make(m));
	return bundles_make(m);
}

static void view_free(identity_view_t *v)
{
	for (size_t i = 0; v->trusts && i < v->n_bundles; i++) {
		spiffe_trust_free(v->trusts[i]);
	}
	arena_free(v->a);
	heap_free(v);
}

err_t view_make(const identity_deps_t *deps, int64_t now_s, identity_view_t **out)
{
	making_t m = { .deps = deps, .now_s = now_s, .v = heap_new(identity_view_t) };

	atomic_init(&m.v->refs, 1);
	m.v->a = arena_new_capped(IDENTITY_VIEW_BYTES_MAX);
	err_t e = store_read(deps->store, making_run, &m);
	if (e != OK) {
		view_free(m.v);
		return e;
	}
	*out = m.v;
	return OK;
}

err_t view_job_run(void *job)
{
	view_job_t *j = job;

	return view_make(j->deps, j->now_s, &j->made);
}

const identity_view_t *view_ref(const identity_view_t *v)
{
	atomic_fetch_add(&((identity_view_t *)(uintptr_t)v)->refs, 1);
	return v;
}

void identity_unpin(const identity_view_t *v)
{
	if (v && atomic_fetch_sub(&((identity_view_t *)(uintptr_t)v)->refs, 1) == 1) {
		view_free((identity_view_t *)(uintptr_t)v);
	}
}

const view_entry_t *view_entry_find(const identity_view_t *v, str_t key)
{
	size_t lo = 0, hi = v->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(v->entries[mid].key, key);
		if (c == 0) {
			return &v->entries[mid];
		}
		lo = c < 0 ? mid + 1 : lo;
		hi = c < 0 ? hi : mid;
	}
	return NULL;
}

spiffe_trusts_t identity_trusts(const identity_view_t *v)
{
	return (spiffe_trusts_t){ (const spiffe_trust_t *const *)v->trusts, v->n_bundles };
}

/* What an entry gives: its ID, its template's beginning, and for runs what stands before /i/. */
static bool entry_gives(const spiffe_entry_t *e, str_t agent, const spiffe_id_t *id)
{
	str_t base = id->text, run, gives = e->spiffe_id.p ? e->spiffe_id : agent;

	if (e->has_runner && !spiffe_instance_split(id, &base, &run)) {
		return false; /* only runs have this one */
	}
	return spiffe_template_is(gives) ? str_starts(base, spiffe_template_prefix(gives)) : str_eq(base, gives);
}

str_t identity_agent_of(const identity_view_t *v, const spiffe_id_t *id)
{
	for (size_t i = 0; i < v->n_entries; i++) {
		if (entry_gives(&v->entries[i].entry, v->entries[i].agent, id)) {
			return v->entries[i].agent;
		}
	}
	return STR_NULL;
}

bool identity_doc_gives(arena_t *a, str_t doc, str_t td, str_t agent, const spiffe_id_t *id)
{
	const json_t *obj;
	spiffe_entry_t e;

	return json_parse_object(a, doc, &obj, NULL) == OK && spiffe_entry_read(a, obj, td, &e, NULL) == OK &&
		entry_gives(&e, agent, id);
}
