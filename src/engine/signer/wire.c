/* wire.c: frames, and the chain that both halves compute. */
#include "engine/signer/wire.h"

const char *signer_kind_name(signer_kind_t kind)
{
	static const char *const names[SIGNER_KIND_COUNT_] = { [SIGNER_X509] = "x509", [SIGNER_JWT] = "jwt",
		[SIGNER_TOKEN] = "token", [SIGNER_LEDGER] = "ledger" };

	CHECK(kind > 0 && kind < SIGNER_KIND_COUNT_);
	return names[kind];
}

const char *signer_kek_name(signer_kek_t source)
{
	static const char *const names[] = { [SIGNER_KEK_CREDENTIAL] = "credential",
		[SIGNER_KEK_PASSPHRASE] = "passphrase", [SIGNER_KEK_FILE] = "file" };

	CHECK(source >= SIGNER_KEK_CREDENTIAL && source <= SIGNER_KEK_FILE);
	return names[source];
}

err_t wire_frame_read(rd_t *r, wire_frame_t *out)
{
	rd_t at = *r;
	wire_frame_t f;
	uint32_t n;

	TRY(rd_u32be(&at, &n));
	ENSURE(n >= WIRE_HEAD_BYTES - 4 && n <= rd_left(&at), ERR_SYNTAX);
	TRY(rd_u32be(&at, &f.id));
	TRY(rd_byte(&at, &f.what));
	TRY(rd_bytes(&at, n - (WIRE_HEAD_BYTES - 4), &f.body));
	*r = at;
	*out = f;
	return OK;
}

void wire_frame_write(buf_t *b, uint32_t id, uint8_t what, str_t body)
{
	wr_u32be(b, (uint32_t)(body.n + WIRE_HEAD_BYTES - 4));
	wr_u32be(b, id);
	wr_u8(b, what);
	buf_add(b, body);
}

err_t wire_kid_read(rd_t *r, char out[SIGNER_KID_BYTES + 1])
{
	str_t kid;

	TRY(rd_bytes(r, SIGNER_KID_BYTES, &kid));
	for (size_t i = 0; i < kid.n; i++) {
		char c = kid.p[i];
		bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
			c == '_';
		ENSURE(ok, ERR_VALUE); /* it becomes a file's name */
	}
	memcpy(out, kid.p, kid.n);
	out[kid.n] = '\0';
	return OK;
}

err_t wire_entry_read(rd_t *r, signer_entry_t *out)
{
	signer_entry_t e;
	str_t digest;

	TRY(rd_u64be(r, &e.number));
	TRY(rd_bytes(r, sizeof(e.digest), &digest));
	memcpy(e.digest, digest.p, sizeof(e.digest));
	*out = e;
	return OK;
}

void wire_entry_write(buf_t *b, const signer_entry_t *e)
{
	wr_u64be(b, e->number);
	buf_add(b, str_bytes(e->digest, sizeof(e->digest)));
}

void signer_chain_begin(str_t kid, uint8_t digest[CRYPTO_SHA256_BYTES])
{
	crypto_sha256_label(STR("attorn-list/1"), kid, digest);
}

void signer_chain_add(uint8_t digest[CRYPTO_SHA256_BYTES], const signer_entry_t *entry)
{
	uint8_t link[CRYPTO_SHA256_BYTES + WIRE_ENTRY_BYTES], *p = link + CRYPTO_SHA256_BYTES;

	memcpy(link, digest, CRYPTO_SHA256_BYTES);
	for (int i = 0; i < 8; i++) {
		p[i] = (uint8_t)(entry->number >> (56 - 8 * i));
	}
	memcpy(p + 8, entry->digest, CRYPTO_SHA256_BYTES);
	crypto_sha256(str_bytes(link, sizeof(link)), digest);
}
