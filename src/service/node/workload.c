/* workload.c: the five RPCs of SpiffeWorkloadAPI (spiffe.md 8). Every message is the whole state; absence is
 * withdrawal; when nothing is left the stream ends with PermissionDenied and never with an empty list. */
#include "google/protobuf/struct.pb-c.h"
#include "service/node/node_int.h"
#include "workload.pb-c.h"

enum { MESSAGE_ARENA_BYTES_MAX = 8 << 20 };

grpc_code_t workload_guard(grpc_stream_t *s, void *node, const char **out_text)
{
	str_t value, second;
	size_t at = 0;

	(void)node;
	bool one = grpc_metadata_next(s, STR("workload.spiffe.io"), &at, &value)
		&& !grpc_metadata_next(s, STR("workload.spiffe.io"), &at, &second);
	if (!one || !str_eq(value, STR("true"))) {
		*out_text = "security header missing from request";
		return GRPC_INVALID_ARGUMENT;
	}
	return GRPC_OK;
}

static void end(call_t *c, err_t e)
{
	grpc_stream_t *s = c->stream;

	call_free(c);
	grpc_end_err(s, e);
}

static void denied(call_t *c)
{
	grpc_stream_t *s = c->stream;

	call_free(c);
	grpc_end(s, GRPC_PERMISSION_DENIED, "no identity issued");
}

/* --- who asks, and what stands for it ------------------------------------------------------------------------- */

typedef enum { STAND_WAIT, STAND_ENDED, STAND_READY } stand_t;

/* Counts what may be handed out. Ends the call where there is nothing and will be nothing; waits for what is on
 * its way, for a first message only. */
static stand_t stand(call_t *c)
{
	caller_t *k = c->caller;
	size_t ready = 0, asked = 0, away = 0;
	int64_t now_s = node_now_s(k->node);

	if (k->match.maybe) {
		end(c, ERR_UNAVAILABLE); /* a smaller set than is true would be a lie */
		return STAND_ENDED;
	}
	for (size_t i = 0; i < k->match.n; i++) {
		const svid_t *s = k->svids[i];
		ready += s && svid_alive(s, now_s);
		asked += s && s->state == SVID_ASKED;
		away += !s || (s->state == SVID_FAILED && err_info(s->why)->cls != CLASS_DENIED);
	}
	if (asked && !c->sent && !c->late) {
		return STAND_WAIT;
	}
	if (ready) {
		return STAND_READY;
	}
	if (asked || away) {
		end(c, ERR_UNAVAILABLE);
	} else {
		denied(c);
	}
	return STAND_ENDED;
}

/* The last look at the process before something leaves. */
static bool still_itself(call_t *c)
{
	return caller_recheck(c->caller) == OK;
}

/* Sends what is new; what equals the last message stays here. False: the call has ended. */
static bool push(call_t *c, const ProtobufCMessage *m, arena_t *a)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t digest[32], *bytes;

	err_t e = arena_try(a, n + 1, (void **)&bytes);
	if (e == OK) {
		protobuf_c_message_pack(m, bytes);
		crypto_sha256(str_bytes(bytes, n), digest);
		if (c->sent && str_eq(str_bytes(digest, 32), str_bytes(c->last, 32))) {
			return true;
		}
		e = grpc_send(c->stream, str_bytes(bytes, n));
	}
	if (e != OK) {
		log_kv(LVL_ERROR, "node.push", kv_i("pid", c->caller->peer.pid), kv_u("uid", c->caller->peer.uid), kv_u("bytes", n),
			kv_err("result", e));
		end(c, e);
		return false;
	}
	loop_timer_stop(c->caller->node->loop, &c->timer);
	memcpy(c->last, digest, sizeof(digest));
	c->sent = true;
	return true;
}

static void stream_gone(grpc_stream_t *s, void *node)
{
	call_t *c = grpc_stream_owner(s);

	(void)node;
	if (c) {
		call_free(c);
	}
}

static call_t *stream_begin(grpc_stream_t *s, void (*serve)(call_t *c))
{
	call_t *c = call_new(grpc_conn_owner(grpc_stream_conn(s)), s, serve);

	call_serve(c);
	return c;
}

static ProtobufCBinaryData binary(str_t s)
{
	return (ProtobufCBinaryData){ .len = s.n, .data = (uint8_t *)s.p };
}

static char *text(arena_t *a, str_t s)
{
	return (char *)arena_cat(a, s, str_bytes("", 1)).p;
}

/* --- bundles that this caller may see --------------------------------------------------------------------------- */

typedef struct {
	const node_bundle_t *v[NODE_BUNDLES_MAX];
	size_t n;
} seen_t;

static void seen_add(seen_t *seen, const node_bundle_t *b)
{
	size_t at = seen->n;

	for (size_t i = 0; i < seen->n; i++) {
		if (seen->v[i] == b) {
			return;
		}
	}
	while (at > 0 && str_cmp(seen->v[at - 1]->bundle.td, b->bundle.td) > 0) { /* equal states are equal bytes */
		seen->v[at] = seen->v[at - 1];
		at--;
	}
	seen->v[at] = b;
	seen->n++;
}

static void federated(const caller_t *k, seen_t *seen)
{
	for (size_t i = 0; i < k->match.n; i++) {
		const spiffe_entry_t *e = &k->match.v[i]->e;
		for (size_t j = 0; j < e->n_federates_with; j++) {
			const node_bundle_t *b = trust_find(&k->node->trust, e->federates_with[j]);
			if (b && seen->n < NODE_BUNDLES_MAX) {
				seen_add(seen, b);
			}
		}
	}
}

/* --- FetchX509SVID -------------------------------------------------------------------------------------------------- */

static err_t key_pkcs8(arena_t *a, const svid_t *s, str_t *out)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	AUTO(secret_done) secret_t der = { 0 };

	TRY(crypto_key_from_secret(CRYPTO_KEY_P256, secret_peek(&s->key), &key));
	TRY(crypto_key_to_pkcs8(key, &der));
	return arena_dup(a, secret_peek(&der), out); /* arenas are wiped */
}

static bool hint_taken(X509SVID *const *v, size_t n, str_t hint)
{
	for (size_t i = 0; i < n; i++) {
		if (hint.n && str_eq(str_of(v[i]->hint), hint)) {
			return true;
		}
	}
	return false;
}

static err_t svid_message(arena_t *a, const svid_t *s, str_t bundle, X509SVIDResponse *r)
{
	X509SVID *m = arena_new(a, X509SVID);
	str_t key, hint = s->entry->e.hint;

	x509_svid__init(m);
	TRY(key_pkcs8(a, s, &key));
	m->spiffe_id = text(a, str_of(s->id));
	m->x509_svid = binary(buf_str(&s->chain));
	m->x509_svid_key = binary(key);
	m->bundle = binary(bundle);
	if (hint_taken(r->svids, r->n_svids, hint)) {
		log_kv(LVL_WARN, "node.hint_twice", kv_s("entry", s->entry->key));
		hint = STR_NULL;
	}
	m->hint = text(a, hint);
	r->svids[r->n_svids++] = m;
	return OK;
}

static err_t x509_federated(arena_t *a, const caller_t *k, X509SVIDResponse *r)
{
	seen_t seen = { 0 };

	federated(k, &seen);
	r->federated_bundles = arena_array(a, X509SVIDResponse__FederatedBundlesEntry *, seen.n + 1);
	for (size_t i = 0; i < seen.n; i++) {
		X509SVIDResponse__FederatedBundlesEntry *f = arena_new(a, X509SVIDResponse__FederatedBundlesEntry);
		str_t ders;
		x509_svidresponse__federated_bundles_entry__init(f);
		TRY(spiffe_bundle_x509_ders(a, &seen.v[i]->bundle, &ders));
		f->key = text(a, spiffe_td_id(a, seen.v[i]->bundle.td));
		f->value = binary(ders);
		r->federated_bundles[r->n_federated_bundles++] = f;
	}
	return OK;
}

static err_t x509_message(arena_t *a, const caller_t *k, X509SVIDResponse *r)
{
	const node_bundle_t *own = trust_own(&k->node->trust, k->node->o.trust_domain);
	int64_t now_s = node_now_s(k->node);
	str_t bundle;

	ENSURE(own, ERR_UNAVAILABLE);
	x509_svidresponse__init(r);
	TRY(spiffe_bundle_x509_ders(a, &own->bundle, &bundle));
	r->svids = arena_array(a, X509SVID *, k->match.n + 1);
	for (size_t i = 0; i < k->match.n; i++) {
		if (k->svids[i] && svid_alive(k->svids[i], now_s)) {
			TRY(svid_message(a, k->svids[i], bundle, r));
		}
	}
	return x509_federated(a, k, r);
}

static void x509_serve(call_t *c)
{
	X509SVIDResponse r;

	if (stand(c) != STAND_READY || !still_itself(c)) {
		return;
	}
	AUTO(arena_free) arena_t *a = arena_new_capped(MESSAGE_ARENA_BYTES_MAX);
	err_t e = x509_message(a, c->caller, &r);
	if (e != OK) {
		end(c, e);
		return;
	}
	(void)push(c, &r.base, a);
}

static void x509_fetch(grpc_stream_t *s, str_t message, void *node)
{
	(void)message; /* it has no fields; unknown ones are passed over */
	(void)node;
	(void)stream_begin(s, x509_serve);
}

/* --- FetchX509Bundles, FetchJWTBundles ---------------------------------------------------------------------------------- */

static bool bundles_seen(call_t *c, seen_t *seen)
{
	const caller_t *k = c->caller;
	const node_bundle_t *own = trust_own(&k->node->trust, k->node->o.trust_domain);

	*seen = (seen_t){ 0 };
	if (stand(c) != STAND_READY || !still_itself(c)) {
		return false;
	}
	if (own) {
		seen_add(seen, own);
	}
	federated(k, seen);
	return true;
}

static void x509_bundles_serve(call_t *c)
{
	X509BundlesResponse r = X509_BUNDLES_RESPONSE__INIT;
	seen_t seen;

	if (!bundles_seen(c, &seen)) {
		return;
	}
	AUTO(arena_free) arena_t *a = arena_new_capped(MESSAGE_ARENA_BYTES_MAX);
	err_t e = OK;
	r.bundles = arena_array(a, X509BundlesResponse__BundlesEntry *, seen.n + 1);
	for (size_t i = 0; i < seen.n && e == OK; i++) {
		X509BundlesResponse__BundlesEntry *b = arena_new(a, X509BundlesResponse__BundlesEntry);
		str_t ders = STR_NULL;
		x509_bundles_response__bundles_entry__init(b);
		e = spiffe_bundle_x509_ders(a, &seen.v[i]->bundle, &ders);
		b->key = text(a, spiffe_td_id(a, seen.v[i]->bundle.td));
		b->value = binary(ders);
		r.bundles[r.n_bundles++] = b;
	}
	if (e != OK) {
		end(c, e);
		return;
	}
	(void)push(c, &r.base, a);
}

static void jwt_bundles_serve(call_t *c)
{
	JWTBundlesResponse r = JWTBUNDLES_RESPONSE__INIT;
	seen_t seen;

	if (!bundles_seen(c, &seen)) {
		return;
	}
	AUTO(arena_free) arena_t *a = arena_new_capped(MESSAGE_ARENA_BYTES_MAX);
	err_t e = OK;
	r.bundles = arena_array(a, JWTBundlesResponse__BundlesEntry *, seen.n + 1);
	for (size_t i = 0; i < seen.n && e == OK; i++) {
		JWTBundlesResponse__BundlesEntry *b = arena_new(a, JWTBundlesResponse__BundlesEntry);
		str_t keys = STR_NULL;
		jwtbundles_response__bundles_entry__init(b);
		e = spiffe_bundle_jwt_write(a, &seen.v[i]->bundle, &keys);
		b->key = text(a, spiffe_td_id(a, seen.v[i]->bundle.td));
		b->value = binary(keys);
		r.bundles[r.n_bundles++] = b;
	}
	if (e != OK) {
		end(c, e);
		return;
	}
	(void)push(c, &r.base, a);
}

static void x509_bundles_fetch(grpc_stream_t *s, str_t message, void *node)
{
	(void)message;
	(void)node;
	(void)stream_begin(s, x509_bundles_serve);
}

static void jwt_bundles_fetch(grpc_stream_t *s, str_t message, void *node)
{
	(void)message;
	(void)node;
	(void)stream_begin(s, jwt_bundles_serve);
}

/* --- FetchJWTSVID ---------------------------------------------------------------------------------------------------------- */

typedef struct jwt_call jwt_call_t;
typedef struct {
	jwt_call_t *j;
	svid_t *svid;
	jwt_wait_t *wait;
	err_t err;
	str_t id, token, hint;
} wanted_t;
struct jwt_call {
	call_t *c;
	str_t *aud;
	size_t n_aud;
	str_t id; /* STR_NULL: all */
	wanted_t v[NODE_MATCHES_MAX];
	size_t n, left;
	bool begun;
};

static void jwt_answer(jwt_call_t *j)
{
	call_t *c = j->c;
	JWTSVIDResponse r = JWTSVIDRESPONSE__INIT;
	err_t e = OK;

	if (!still_itself(c)) {
		j->begun = false; /* it is attested anew and served again, or cut */
		return;
	}
	r.svids = arena_array(c->a, JWTSVID *, j->n + 1);
	for (size_t i = 0; i < j->n; i++) {
		e = e == OK ? j->v[i].err : e;
		JWTSVID *m = arena_new(c->a, JWTSVID);
		jwtsvid__init(m);
		m->spiffe_id = text(c->a, j->v[i].id);
		m->svid = text(c->a, j->v[i].token);
		m->hint = text(c->a, j->v[i].hint);
		r.svids[r.n_svids++] = m;
	}
	grpc_stream_t *s = c->stream;
	e = e == OK ? grpc_send_pb(s, &r.base) : e;
	call_free(c);
	if (e == OK) {
		grpc_end(s, GRPC_OK, NULL);
	} else {
		grpc_end_err(s, e);
	}
}

static void jwt_part(void *owner, err_t e, str_t id, str_t token)
{
	wanted_t *w = owner;

	w->wait = NULL;
	w->err = e;
	if (e == OK) {
		w->err = arena_dup(w->j->c->a, token, &w->token);
		w->id = arena_str(w->j->c->a, id);
	}
	if (--w->j->left == 0) {
		jwt_answer(w->j);
	}
}

static void jwt_choose(jwt_call_t *j)
{
	const caller_t *k = j->c->caller;
	int64_t now_s = node_now_s(k->node);

	j->n = 0;
	for (size_t i = 0; i < k->match.n; i++) {
		svid_t *s = k->svids[i];
		bool named = s && s->id && (!j->id.n || str_eq(str_of(s->id), j->id));
		if (named && svid_alive(s, now_s)) {
			j->v[j->n++] = (wanted_t){ .j = j, .svid = s, .hint = arena_str(j->c->a, s->entry->e.hint) };
		}
	}
}

static void jwt_serve(call_t *c)
{
	jwt_call_t *j = c->request;

	if (j->begun || stand(c) != STAND_READY) {
		return;
	}
	jwt_choose(j);
	if (j->n == 0) {
		denied(c); /* not one of its own */
		return;
	}
	loop_timer_stop(c->caller->node->loop, &c->timer);
	j->begun = true;
	j->left = j->n + 1; /* one for this loop: no answer before the last was asked for */
	for (size_t i = 0; i < j->n; i++) {
		wanted_t *w = &j->v[i];
		w->wait = jwt_get(c->caller->node, w->svid, j->aud, j->n_aud, jwt_part, w);
	}
	if (--j->left == 0) {
		jwt_answer(j);
	}
}

static void jwt_gone(grpc_stream_t *s, void *node)
{
	call_t *c = grpc_stream_owner(s);
	jwt_call_t *j = c ? c->request : NULL;

	(void)node;
	for (size_t i = 0; j && i < j->n; i++) {
		jwt_wait_cancel(j->v[i].wait);
	}
	stream_gone(s, node);
}

static err_t jwt_request(arena_t *a, str_t message, jwt_call_t *j)
{
	ProtobufCMessage *m;
	spiffe_id_t id;

	TRY(grpc_pb_read(&jwtsvidrequest__descriptor, a, message, &m));
	const JWTSVIDRequest *r = (const JWTSVIDRequest *)m;
	ENSURE(r->n_audience > 0 && r->n_audience <= SPIFFE_AUDIENCES_MAX, ERR_VALUE);
	j->n_aud = r->n_audience;
	j->aud = arena_array(a, str_t, j->n_aud);
	for (size_t i = 0; i < j->n_aud; i++) {
		j->aud[i] = str_of(r->audience[i]);
		ENSURE(j->aud[i].n > 0 && j->aud[i].n <= SPIFFE_AUDIENCE_BYTES_MAX && str_is_utf8(j->aud[i]), ERR_VALUE);
	}
	j->id = str_of(r->spiffe_id);
	return j->id.n ? spiffe_id_parse_workload(j->id, &id) : OK;
}

static void jwt_fetch(grpc_stream_t *s, str_t message, void *node)
{
	AUTO(arena_free) arena_t *a = arena_open();
	jwt_call_t *j = arena_new(a, jwt_call_t);

	(void)node;
	if (jwt_request(a, message, j) != OK) {
		grpc_end(s, GRPC_INVALID_ARGUMENT, "an audience must be given, and spiffe_id, if any, must be one");
		return;
	}
	call_t *c = call_new(grpc_conn_owner(grpc_stream_conn(s)), s, jwt_serve);
	j->c = c;
	c->request = j;
	c->a = TAKE(a);
	call_serve(c);
}

/* --- ValidateJWTSVID ---------------------------------------------------------------------------------------------------------- */

typedef struct {
	str_t audience, token;
} validate_call_t;

static err_t validate(call_t *c, ValidateJWTSVIDResponse *r)
{
	const validate_call_t *v = c->request;
	const caller_t *k = c->caller;
	const node_bundle_t *own = trust_own(&k->node->trust, k->node->o.trust_domain);
	const spiffe_trust_t *trusts[NODE_BUNDLES_MAX + 1];
	spiffe_trusts_t all = { trusts, 0 };
	spiffe_jwt_svid_t svid;
	seen_t seen = { 0 };

	ENSURE(own, ERR_UNAVAILABLE);
	trusts[all.n++] = own->trust;
	federated(k, &seen);
	for (size_t i = 0; i < seen.n; i++) {
		trusts[all.n++] = seen.v[i]->trust;
	}
	const spiffe_jwt_expect_t expect = { .trusts = &all, .audience = v->audience, .now_unix_s = node_now_s(k->node) };
	TRY(spiffe_jwt_validate(c->a, v->token, &expect, &svid, NULL));
	r->spiffe_id = text(c->a, svid.id.text);
	return claims_struct(c->a, svid.claims, !svid.own, &r->claims);
}

static void validate_serve(call_t *c)
{
	ValidateJWTSVIDResponse r = VALIDATE_JWTSVIDRESPONSE__INIT;

	if (stand(c) != STAND_READY || !still_itself(c)) {
		return;
	}
	grpc_stream_t *s = c->stream;
	err_t e = validate(c, &r);
	e = e == OK ? grpc_send_pb(s, &r.base) : e;
	call_free(c);
	if (e == OK) {
		grpc_end(s, GRPC_OK, NULL);
	} else if (err_info(e)->cls == CLASS_UNAVAILABLE || err_info(e)->cls == CLASS_INTERNAL) {
		grpc_end_err(s, e);
	} else {
		grpc_end(s, GRPC_INVALID_ARGUMENT, "the token is not valid here"); /* one text for all causes */
	}
}

static void validate_fetch(grpc_stream_t *s, str_t message, void *node)
{
	AUTO(arena_free) arena_t *a = arena_open();
	validate_call_t *v = arena_new(a, validate_call_t);
	ProtobufCMessage *m;

	(void)node;
	err_t e = grpc_pb_read(&validate_jwtsvidrequest__descriptor, a, message, &m);
	if (e == OK) {
		v->audience = str_of(((const ValidateJWTSVIDRequest *)m)->audience);
		v->token = str_of(((const ValidateJWTSVIDRequest *)m)->svid);
	}
	if (e != OK || v->audience.n == 0 || v->token.n == 0) {
		grpc_end(s, GRPC_INVALID_ARGUMENT, "audience and svid must be given");
		return;
	}
	call_t *c = call_new(grpc_conn_owner(grpc_stream_conn(s)), s, validate_serve);
	c->request = v;
	c->a = TAKE(a);
	call_serve(c);
}

const grpc_method_t workload_methods[] = {
	{ "FetchX509SVID", GRPC_SERVER_STREAM, x509_fetch, stream_gone },
	{ "FetchX509Bundles", GRPC_SERVER_STREAM, x509_bundles_fetch, stream_gone },
	{ "FetchJWTSVID", GRPC_UNARY, jwt_fetch, jwt_gone },
	{ "FetchJWTBundles", GRPC_SERVER_STREAM, jwt_bundles_fetch, stream_gone },
	{ "ValidateJWTSVID", GRPC_UNARY, validate_fetch, stream_gone },
};
const size_t workload_n_methods = ARRAY_LEN(workload_methods);
