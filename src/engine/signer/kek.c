/* kek.c: where the key-encryption key comes from, best first: a credential of the service manager, a
 * passphrase, a file beside the keys. (A TPM stands between the first two in docs/identity.md: not built.)
 * A start takes the first source that holds the KEK the keys were sealed under; an empty directory gets one. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"

static const char by_passphrase[] = "kek.pw", by_file[] = "kek";

static bool is_wanted(const secret_t *kek, const uint8_t *need)
{
	uint8_t id[KEK_ID_BYTES];

	if (!need) {
		return true;
	}
	key_kek_id(secret_peek(kek), id);
	return ct_eq(id, need, sizeof(id));
}

static err_t fresh(secret_t *out)
{
	TRY(secret_new(SIGNER_KEK_BYTES, out));
	crypto_random(out->p, out->n);
	return OK;
}

static err_t bytes_check(const secret_t *kek, const char *what, diag_t *diag)
{
	if (kek->n != SIGNER_KEK_BYTES) {
		diag_set(diag, 0, 0, "%s must be exactly 32 bytes", what);
		return ERR_CONFIG;
	}
	return OK;
}

/* The service manager keeps the file to us (systemd.exec CREDENTIALS); its mode is 0400. */
static err_t from_credential(const signer_options_t *o, secret_t *out, diag_t *diag)
{
	ENSURE(o->credential, ERR_NOT_FOUND);
	err_t e = file_read(AT_FDCWD, o->credential, SIGNER_KEK_BYTES + 1, out);
	if (e != OK && e != ERR_NOT_FOUND) {
		diag_set(diag, 0, 0, "%s: must be a file of 32 bytes that only its owner may read", o->credential);
	}
	TRY(e);
	return bytes_check(out, o->credential, diag);
}

static err_t passphrase_make(int dir, str_t passphrase, secret_t *out)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t sealed;

	TRY(fresh(out));
	TRY(crypto_pw_seal(a, passphrase, secret_peek(out), &sealed));
	return file_replace(dir, by_passphrase, sealed);
}

static err_t from_passphrase(int dir, const signer_options_t *o, bool make, secret_t *out, diag_t *diag)
{
	AUTO(secret_done) secret_t sealed = { 0 };

	err_t e = file_read(dir, by_passphrase, SIGNER_KEY_FILE_BYTES_MAX, &sealed);
	if (e == ERR_NOT_FOUND && make && o->passphrase.n) {
		return passphrase_make(dir, o->passphrase, out);
	}
	TRY(e);
	if (!o->passphrase.n) {
		diag_set(diag, 0, 0, "the signer's keys ask for a passphrase: give --kek-passphrase-file");
		return ERR_CONFIG;
	}
	e = crypto_pw_open(o->passphrase, secret_peek(&sealed), out);
	if (e != OK) {
		diag_set(diag, 0, 0, "the passphrase does not open the signer's keys");
		return ERR_CONFIG;
	}
	return bytes_check(out, by_passphrase, diag);
}

static err_t from_file(int dir, bool make, secret_t *out, diag_t *diag)
{
	err_t e = file_read(dir, by_file, SIGNER_KEK_BYTES + 1, out);

	if (e == ERR_NOT_FOUND && make) {
		TRY(fresh(out));
		return file_replace(dir, by_file, secret_peek(out));
	}
	TRY(e);
	return bytes_check(out, "the signer's kek", diag);
}

err_t kek_find(int dir, const signer_options_t *o, const uint8_t *need, secret_t *out, signer_kek_t *out_source,
	diag_t *diag)
{
	for (int source = SIGNER_KEK_CREDENTIAL; source <= SIGNER_KEK_FILE; source++) {
		AUTO(secret_done) secret_t kek = { 0 };
		err_t e = source == SIGNER_KEK_CREDENTIAL ? from_credential(o, &kek, diag)
			: source == SIGNER_KEK_PASSPHRASE ? from_passphrase(dir, o, !need, &kek, diag)
							  : from_file(dir, !need, &kek, diag);
		if (e == ERR_NOT_FOUND) {
			continue;
		}
		TRY(e);
		if (is_wanted(&kek, need)) {
			*out = kek;
			*out_source = (signer_kek_t)source;
			kek = (secret_t){ 0 };
			return OK;
		}
	}
	diag_set(diag, 0, 0, "no key-encryption key here opens the signer's keys: are keys and kek of one backup?");
	return ERR_CRYPTO;
}
