/* status.c: how things stand. */
#include "app/api/api_int.h"

err_t api_status_parse(api_call_t *c)
{
	return api_query(c, NULL, 0);
}

static void lane_write(jw_t *w, lane_t *lane)
{
	lane_stat_t s = lane_stat(lane);

	jw_object(w);
	jw_kstr(w, "name", str_of(s.name));
	jw_ku64(w, "taken", s.taken);
	jw_ku64(w, "refused", s.refused);
	jw_ku64(w, "batches", s.batches);
	jw_ku64(w, "queued", s.queued);
	jw_ku64(w, "waited_us_total", s.waited_us_total);
	jw_ku64(w, "waited_us_max", s.waited_us_max);
	jw_end(w);
}

static err_t disk_write(api_call_t *c)
{
	str_t name;
	bool durable;

	jw_kobject(&c->w, "disk");
	jw_kbool(&c->w, "full", store_is_full(c->p->deps.store));
	if (c->p->deps.data_dir.n && store_disk(c->a, c->p->deps.data_dir, &name, &durable) == OK) {
		jw_kstr(&c->w, "file_system", name);
		jw_kbool(&c->w, "durable", durable);
	}
	jw_end(&c->w);
	return OK;
}

static err_t counts_write(api_call_t *c, store_txn_t *txn)
{
	store_counts_t n;

	TRY(store_counts(txn, &n));
	jw_kobject(&c->w, "counts");
	jw_ki64(&c->w, "agents", n.agents);
	jw_ki64(&c->w, "users", n.users);
	jw_ki64(&c->w, "roles", n.roles);
	jw_ki64(&c->w, "routes", n.routes);
	jw_ki64(&c->w, "secrets", n.secrets);
	jw_ki64(&c->w, "grants", n.grants);
	jw_end(&c->w);
	return OK;
}

static err_t ledger_write(api_call_t *c, store_txn_t *txn)
{
	merkle_checkpoint_t head;
	int64_t entries, indexed;
	str_t note;

	TRY(ledger_head(txn, c->a, &note, &head));
	TRY(store_entry_count(txn, &entries, &indexed));
	jw_kobject(&c->w, "ledger");
	jw_kstr(&c->w, "origin", head.origin);
	jw_ku64(&c->w, "size", head.size);
	jw_ki64(&c->w, "waiting", entries - (int64_t)head.size);
	jw_kstr(&c->w, "root", b64_enc(c->a, merkle_hash_str(&head.root)));
	jw_end(&c->w);
	return OK;
}

/* How the process that holds the keys stands; a read lane may wait for it. */
static err_t signer_write(api_call_t *c)
{
	signer_status_t s;

	if (!c->p->deps.signer) {
		return OK;
	}
	TRY(signer_client_status(c->p->deps.signer, &s));
	jw_kobject(&c->w, "signer");
	jw_kstr(&c->w, "kek", str_of(signer_kek_name(s.kek)));
	jw_ku64(&c->w, "keys", s.keys);
	jw_kbool(&c->w, "seccomp", s.seccomp);
	jw_kbool(&c->w, "landlock", s.landlock);
	jw_kbool(&c->w, "memory_locked", s.memory_locked);
	jw_ku64(&c->w, "ahead", c->p->deps.signer_ahead);
	jw_end(&c->w);
	return OK;
}

static void rules_write(api_call_t *c)
{
	jw_kobject(&c->w, "policy");
	jw_ku64(&c->w, "version", c->view->snapshot->c.policy_version);
	jw_kstr(&c->w, "digest", delegation_digest_text(c->a, policy_bundle_digest(c->view->policy)));
	jw_ku64(&c->w, "rules", policy_bundle_count(c->view->policy));
	jw_end(&c->w);
}

err_t api_status_run(api_call_t *c, store_txn_t *txn)
{
	const api_deps_t *d = &c->p->deps;

	jw_kstr(&c->w, "version", STR(ATTORN_VERSION));
	jw_kstr(&c->w, "issuer", d->issuer);
	jw_kstr(&c->w, "trust_domain", d->trust_domain);
	jw_kstr(&c->w, "gateway_url", d->gateway_url);
	jw_ku64(&c->w, "uptime_s", (loop_mono_us(d->loop) - c->p->started_us) / 1000000);
	jw_kstr(&c->w, "assurance", d->shared_uid ? STR("shared-uid") : STR("key"));
	jw_ku64(&c->w, "snapshot", c->view->version);
	jw_ku64(&c->w, "gateways", c->gateways);
	rules_write(c);
	TRY(ledger_write(c, txn));
	TRY(signer_write(c));
	TRY(counts_write(c, txn));
	TRY(disk_write(c));
	jw_karray(&c->w, "lanes");
	lane_write(&c->w, d->write);
	lane_write(&c->w, d->read);
	lane_write(&c->w, d->cpu);
	jw_end(&c->w);
	return OK;
}

extern const unsigned char api_openapi_text[];
extern const size_t api_openapi_text_n;

/* The description itself: one JSON object, told member by member as all answers are. */
err_t api_openapi_run(api_call_t *c, store_txn_t *txn)
{
	const json_t *root;

	TRY(json_parse_object(c->a, str_bytes(api_openapi_text, api_openapi_text_n), &root, NULL));
	for (const json_t *m = json_first(root); m; m = json_next(m)) {
		jw_key_str(&c->w, json_key(m));
		jw_raw(&c->w, json_raw(m));
	}
	return OK;
}
