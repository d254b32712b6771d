/* start.c: the first start of a working directory, and the word that everything is up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/api/api.h"
#include "app/cli/cli.h"
#include "app/main/main_int.h"

enum { ASIDE_MAX = 1000 }; /* first starts that died, one after another */

static err_t folder_make(const char *path, diag_t *diag)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	return OK;
}

static err_t folders_make(const config_paths_t *p, diag_t *diag)
{
	TRY(folder_make(p->keys_dir, diag));
	TRY(folder_make(p->data, diag));
	TRY(folder_private(p->data, diag));
	TRY(folder_make(p->signer_dir, diag));
	return folder_make(p->run_dir, diag);
}

/* The operator's key belongs to a person: sealed by a passphrase that attorn does not keep. */
static err_t operator_key(const config_paths_t *p, const char *name, const char *passphrase_file,
	crypto_pub_t *out, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(secret_done) secret_t passphrase = { 0 };
	char path[4096], jwk[512];

	snprintf(path, sizeof(path), "%s/%s.key", p->keys_dir, name);
	TRY(cli_passphrase(passphrase_file, "Passphrase for the operator's user key", true, &passphrase, diag));
	TRY(cli_user_key_make(path, &passphrase, jwk, diag));
	return jose_pub_read(a, str_of(jwk), out, diag);
}

static err_t keys_open_closure(store_txn_t *txn, void *self)
{
	return vault_keys_open(self, txn);
}

typedef struct {
	vault_t *vault;
	signer_client_t *signer;
	int64_t now_s;
} keys_make_t;

static err_t keys_make_closure(store_txn_t *txn, void *self)
{
	keys_make_t *k = self;

	TRY(vault_keys_make(k->vault, txn, k->now_s));
	return vault_signing_make(k->signer, txn, k->now_s);
}

typedef struct {
	const config_t *config;
	const char *operator_name;
	crypto_pub_t operator_key;
	signer_client_t *signer;
} fill_t;

static err_t store_fill(const config_paths_t *p, const fill_t *f, diag_t *diag)
{
	AUTO(vault_free) vault_t *vault = NULL;
	AUTO(store_close) store_t *store = NULL;
	AUTO(ledger_close) ledger_t *ledger = NULL;
	AUTO(loop_free) loop_t *loop = loop_new(); /* for its clock */
	api_bootstrap_t boot = { .operator_name = str_of(f->operator_name), .operator_key = f->operator_key };
	keys_make_t keys = { .signer = f->signer, .now_s = (int64_t)loop_unix_s(loop) };
	vault_signing_open_t signing = { .signer = f->signer };

	TRY(vault_open(p->kek, true, &vault, diag));
	TRY(store_open(str_of(p->database), NULL, &store, diag));
	keys.vault = vault;
	TRY(store_write(store, keys_make_closure, &keys));
	TRY(store_read(store, keys_open_closure, vault));
	TRY(store_write(store, vault_signing_open, &signing));
	ledger_make_t make = { f->config, vault, store, f->signer, &signing.out, (int64_t)loop_unix_us(loop) };
	TRY(ledger_make(&make, &ledger, diag));
	boot.vault = vault;
	boot.ledger = ledger;
	boot.now_us = (int64_t)loop_unix_us(loop);
	return store_write(store, api_bootstrap, &boot);
}

/* The signer makes its keys as it will hold them: in its own process, which ends with this. */
static err_t store_fill_signed(const config_paths_t *p, fill_t *f, const char *kek_passphrase_file, diag_t *diag)
{
	int fd;
	pid_t pid;

	TRY(signer_spawn(p, kek_passphrase_file, &fd, &pid));
	f->signer = signer_client_new(fd);
	err_t e = store_fill(p, f, diag);
	signer_client_free(f->signer);
	signer_reap(pid);
	if (e == ERR_UNAVAILABLE) {
		diag_set(diag, 0, 0, "the signer ended, for the reason it gave above");
	}
	return e;
}

static bool is_started(const config_paths_t *p)
{
	return access(p->started, F_OK) == 0;
}

static err_t folder_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ENSURE(fd >= 0, ERR_IO);
	int rc = fsync(fd);
	close(fd);
	return rc == 0 ? OK : ERR_IO;
}

static err_t mark_started(const config_paths_t *p, diag_t *diag)
{
	int fd = open(p->started, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && fsync(fd) == 0 && folder_sync(p->data) == OK;

	if (!ok) {
		diag_set(diag, 0, 0, "%s: %s", p->started, strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return ok ? OK : ERR_IO;
}

static err_t filled_closure(store_txn_t *txn, void *self)
{
	AUTO(arena_free) arena_t *a = arena_open();
	store_user_t *users;
	size_t n;

	TRY(store_user_list(txn, a, STR_NULL, &users, &n));
	*(bool *)self = n > 0;
	return OK;
}

/* A store with a user in it is whole: they come with the one transaction of the first start. One that does
 * not open is an error and never a reason to make another. */
static err_t store_is_filled(const config_paths_t *p, bool *out, diag_t *diag)
{
	const store_options_t options = { .no_reserve = true };
	AUTO(store_close) store_t *store = NULL;

	*out = false;
	if (access(p->database, F_OK) != 0) {
		return OK;
	}
	TRY(store_open(str_of(p->database), &options, &store, diag));
	return store_read(store, filled_closure, out);
}

/* Lists of signatures are not ours to delete; without their KEK the keys beside them are gone. */
static void signer_put_aside(const config_paths_t *p)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/kek", p->signer_dir);
	unlink(path);
	for (int i = 1; i < ASIDE_MAX && rmdir(p->signer_dir) != 0 && errno != ENOENT; i++) {
		snprintf(path, sizeof(path), "%s.old.%d", p->signer_dir, i);
		if (access(path, F_OK) != 0 && rename(p->signer_dir, path) == 0) {
			break;
		}
	}
	(void)mkdir(p->signer_dir, 0700);
}

/* What a first start that died left behind: nothing of it was ever acknowledged. The key file is put
 * aside: it is a person's, and may be older than this start. */
static void remains_remove(const config_paths_t *p, const char *name)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char path[4200], aside[4300];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", p->database, ends[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%s.key", p->keys_dir, name);
	snprintf(aside, sizeof(aside), "%s.old", path);
	(void)rename(path, aside);
	unlink(p->kek);
	signer_put_aside(p);
}

/* Under the lock: of two first starts the second finds what the first made. */
static err_t first_start_locked(const config_paths_t *p, const first_start_t *o, bool *out_new, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	config_t config;
	fill_t fill = { .config = &config, .operator_name = o->operator_name };
	bool filled;

	TRY(config_load(a, p->config, &config, diag));
	TRY(store_is_filled(p, &filled, diag));
	if (filled) {
		return mark_started(p, diag); /* it died between the store's commit and the mark */
	}
	remains_remove(p, o->operator_name);
	TRY(operator_key(p, o->operator_name, o->passphrase_file, &fill.operator_key, diag));
	TRY(store_fill_signed(p, &fill, o->kek_passphrase_file, diag));
	TRY(mark_started(p, diag));
	*out_new = true;
	return OK;
}

err_t first_start(const config_paths_t *p, const first_start_t *o, bool *out_new, diag_t *diag)
{
	int lock;

	*out_new = false;
	if (is_started(p)) {
		return OK;
	}
	TRY(config_write_default(p->config, o->port, diag));
	TRY(folders_make(p, diag));
	TRY(lock_take(p->lock, &lock, diag));
	err_t e = is_started(p) ? OK : first_start_locked(p, o, out_new, diag);
	close(lock);
	return e;
}

static bool is_healthy(str_t base, const char *socket)
{
	AUTO(arena_free) arena_t *a = arena_open();
	net_response_t response;
	net_request_t r = {
		.method = STR("GET"),
		.url = arena_cat(a, base, STR("/health")),
		.unix_path = socket,
		.connect_timeout_ms = 200,
		.total_timeout_ms = 500,
	};

	return net_sync_fetch(a, &r, &response, NULL) == OK && response.status == 200;
}

static str_t door_url(arena_t *a, const char *host, uint16_t port)
{
	return arena_printf(a, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, port);
}

/* The authority is asked on its socket too: on the port somebody else might answer. */
bool up_announce(const config_paths_t *paths, const config_t *config)
{
	AUTO(arena_free) arena_t *a = arena_open();

	if (!is_healthy(STR("http://authority"), paths->admin_socket) ||
		!is_healthy(door_url(a, config->authority_host, config->authority_port), NULL) ||
		!is_healthy(door_url(a, config->gateway_host, config->gateway_port), NULL)) {
		return false;
	}
	printf("attorn is up in %s\n"
	       "  authority  %s   (who may do what: agents, grants, rules, proof)\n"
	       "  gateway    %s/r/TOOL-SERVER   (where agents call tools)\n"
	       "next: attorn help\n",
		paths->root, config->issuer, config->gateway_url);
	fflush(stdout);
	return true;
}
