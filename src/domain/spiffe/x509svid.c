/* x509svid.c: X509-SVIDs (X509-SVID 2-5; spiffe.md 3), made and validated. */
#include "domain/spiffe/spiffe.h"

MUST err_t spiffe_leaf_check(const x509_cert_t *leaf, spiffe_id_t *out_id, diag_t *diag)
{
	spiffe_id_t id;

	diag_set(diag, 0, 0, "a CA certificate authenticates nobody");
	ENSURE(!leaf->ca, ERR_SVID);
	ENSURE((leaf->key_usage & (X509_USE_CERT_SIGN | X509_USE_CRL_SIGN)) == 0, ERR_SVID);
	diag_set(diag, 0, 0, "keyUsage must be there, critical, with digitalSignature");
	ENSURE(leaf->has_key_usage && leaf->key_usage_critical, ERR_SVID);
	ENSURE(leaf->key_usage & X509_USE_DIGITAL_SIGNATURE, ERR_SVID);
	diag_set(diag, 0, 0, "exactly one URI SAN, a SPIFFE ID with a path");
	ENSURE(leaf->n_uris == 1, ERR_SVID);
	ENSURE(spiffe_id_parse_workload(leaf->uris[0], &id) == OK, ERR_SVID);
	*out_id = id;
	return OK;
}

MUST err_t spiffe_x509_validate(const x509_chain_t *chain, const spiffe_trusts_t *trusts, int64_t now_unix_s,
	spiffe_x509_svid_t *out, diag_t *diag)
{
	spiffe_x509_svid_t svid = { .leaf = &chain->certs[0] };

	CHECK(chain->n > 0);
	TRY(spiffe_leaf_check(svid.leaf, &svid.id, diag));
	diag_set(diag, 0, 0, "no bundle of trust domain %.*s", STR_ARG(svid.id.td));
	const spiffe_trust_t *trust = spiffe_trusts_find(trusts, svid.id.td);
	ENSURE(trust, ERR_TRUST_DOMAIN);
	err_t e = x509_verify(chain, spiffe_trust_roots(trust), now_unix_s, &svid.root, diag);
	ENSURE(e != ERR_CERTIFICATE, ERR_SVID);
	TRY(e);
	x509_sha256(svid.leaf, svid.x5t_s256);
	svid.exp_unix_s = svid.leaf->not_after_unix_s;
	*out = svid;
	return OK;
}

/* --- making ----------------------------------------------------------------------------------------- */

MUST err_t spiffe_leaf_tbs(arena_t *a, const spiffe_leaf_t *leaf, const x509_issuer_t *issuer,
	str_t *out_tbs, int64_t *out_exp_unix_s)
{
	uint32_t ttl = leaf->ttl_s ? leaf->ttl_s : SPIFFE_X509_TTL_S_DEFAULT;
	int64_t exp = leaf->now_unix_s + ttl;
	x509_tbs_t t = { .pub = leaf->pub, .uri = leaf->id->text, .dns_names = leaf->dns_names,
		.n_dns_names = leaf->n_dns_names, .not_before_unix_s = leaf->now_unix_s - SPIFFE_BACKDATE_S };

	CHECK(leaf->id->path.n > 0);
	ENSURE(ttl >= SPIFFE_TTL_S_MIN && ttl <= SPIFFE_TTL_S_MAX, ERR_VALUE);
	ENSURE(issuer->not_after_unix_s > leaf->now_unix_s, ERR_CA_STATE);
	t.not_after_unix_s = exp < issuer->not_after_unix_s ? exp : issuer->not_after_unix_s;
	memcpy(t.serial, leaf->serial, sizeof t.serial);
	TRY(x509_tbs(a, &t, issuer, out_tbs));
	*out_exp_unix_s = t.not_after_unix_s;
	return OK;
}

MUST err_t spiffe_ca_tbs(arena_t *a, str_t td, const crypto_pub_t *pub, int64_t now_unix_s, int64_t life_s,
	const uint8_t serial[X509_NEW_SERIAL_BYTES], str_t *out_tbs)
{
	x509_tbs_t t = { .ca = true, .pub = pub, .not_before_unix_s = now_unix_s - SPIFFE_BACKDATE_S,
		.not_after_unix_s = now_unix_s + life_s };
	x509_issuer_t self;

	TRY(spiffe_td_check(td));
	ENSURE(life_s >= SPIFFE_TTL_S_MIN, ERR_VALUE);
	t.uri = spiffe_td_id(a, td);
	memcpy(t.serial, serial, sizeof t.serial);
	TRY(x509_issuer_self(a, pub, t.not_after_unix_s, &self));
	return x509_tbs(a, &t, &self, out_tbs);
}
