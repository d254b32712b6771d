/* vault.c: the KEK, sealing bound to a place, and upstream secrets. */
#include "service/vault/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/vault/vault_int.h"

static err_t io_error(const char *path, diag_t *diag)
{
	diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
	return ERR_IO;
}

static err_t folder_sync(const char *path)
{
	char copy[4096];

	ENSURE(strlen(path) < sizeof(copy), ERR_IO);
	memcpy(copy, path, strlen(path) + 1);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ENSURE(fd >= 0, ERR_IO);
	int rc = fsync(fd);
	close(fd);
	return rc == 0 ? OK : ERR_IO;
}

static err_t kek_make(const char *path, diag_t *diag)
{
	uint8_t kek[VAULT_KEK_BYTES];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		return errno == EEXIST ? OK : io_error(path, diag);
	}
	crypto_random(kek, sizeof(kek));
	ssize_t n = write(fd, kek, sizeof(kek));
	wipe(kek, sizeof(kek));
	bool ok = n == (ssize_t)sizeof(kek) && fsync(fd) == 0;
	close(fd);
	return ok ? folder_sync(path) : io_error(path, diag);
}

static err_t kek_file_check(int fd, const char *path, diag_t *diag)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		return io_error(path, diag);
	}
	if (!S_ISREG(st.st_mode) || st.st_size != VAULT_KEK_BYTES || (st.st_mode & 0077) != 0 ||
		st.st_uid != geteuid()) {
		diag_set(diag, 0, 0, "%s: must be a file of 32 bytes that only its owner may read (0600)", path);
		return ERR_CONFIG;
	}
	return OK;
}

static err_t kek_read(const char *path, secret_t *out, diag_t *diag)
{
	AUTO(secret_done) secret_t kek = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		return io_error(path, diag);
	}
	err_t e = kek_file_check(fd, path, diag);
	if (e == OK) {
		e = secret_new(VAULT_KEK_BYTES, &kek);
	}
	if (e == OK && read(fd, kek.p, kek.n) != VAULT_KEK_BYTES) {
		e = io_error(path, diag);
	}
	close(fd);
	TRY(e);
	*out = kek;
	kek = (secret_t){ 0 };
	return OK;
}

err_t vault_open(const char *kek_path, bool make, vault_t **out, diag_t *diag)
{
	AUTO(vault_free) vault_t *v = heap_new(vault_t);

	if (make) {
		TRY(kek_make(kek_path, diag));
	}
	TRY(kek_read(kek_path, &v->kek, diag));
	TRY(secret_new(VAULT_KEK_BYTES, &v->ledger_kek));
	crypto_hmac_sha256(secret_peek(&v->kek), &STR("attorn-kek/1 ledger"), 1, v->ledger_kek.p);
	*out = TAKE(v);
	return OK;
}

void vault_free(vault_t *v)
{
	if (!v) {
		return;
	}
	vault_keys_close(v);
	secret_done(&v->ledger_kek);
	secret_done(&v->kek);
	heap_free(v);
}

str_t vault_ledger_kek(const vault_t *v)
{
	return secret_peek(&v->ledger_kek);
}

/* Associated data of a seal: a row moved to another place does not open there. */
static err_t place_of(arena_t *a, str_t space, str_t name, str_t *out)
{
	ENSURE(space.n + 1 + name.n <= VAULT_PLACE_BYTES_MAX, ERR_LIMIT);
	*out = arena_cat(a, STR("attorn-vault/1\0"), space, STR("\0"), name);
	return OK;
}

err_t vault_seal(const vault_t *v, arena_t *a, str_t space, str_t name, str_t plain, str_t *out)
{
	str_t place;

	TRY(place_of(a, space, name, &place));
	return crypto_seal(a, secret_peek(&v->kek), place, plain, out);
}

err_t vault_unseal(const vault_t *v, arena_t *a, str_t space, str_t name, str_t sealed, str_t *out)
{
	str_t place;

	TRY(place_of(a, space, name, &place));
	return crypto_open_arena(a, secret_peek(&v->kek), place, sealed, out);
}

/* A header value as it will go out: anything else could smuggle a second header (RFC 9110 5.5). */
static bool is_header_text(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c == 0x7f) {
			return false;
		}
	}
	return s.n > 0;
}

err_t vault_secret_put(const vault_t *v, store_txn_t *txn, arena_t *a, str_t name, str_t value,
	int64_t now_s, int64_t *out_rev)
{
	str_t sealed;

	ENSURE(value.n <= VAULT_SECRET_BYTES_MAX, ERR_LIMIT);
	ENSURE(is_header_text(value), ERR_VALUE);
	TRY(vault_seal(v, a, STR("secret"), name, value, &sealed));
	return store_secret_put(txn, name, sealed, now_s, out_rev);
}

err_t vault_credential(const vault_t *v, store_txn_t *txn, arena_t *a, const snapshot_route_t *route,
	vault_credential_t *out)
{
	store_secret_t row;
	str_t value;

	if (!route->has_credential) {
		*out = (vault_credential_t){ 0 };
		return OK;
	}
	err_t e = store_secret_get(txn, a, route->credential_secret, &row);
	ENSURE(e != ERR_NOT_FOUND, ERR_CREDENTIAL);
	TRY(e);
	TRY(vault_unseal(v, a, STR("secret"), row.name, row.sealed, &value));
	*out = (vault_credential_t){
		.header = arena_str(a, route->credential_header),
		.value = arena_cat(a, route->credential_prefix, value),
	};
	return OK;
}
