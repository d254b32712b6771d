/* start.c: the first start of a working directory, and the word that everything is up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/api/api.h"
#include "app/cli/cli.h"
#include "app/main/main_int.h"

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
	int64_t now_s;
} keys_make_t;

static err_t keys_make_closure(store_txn_t *txn, void *self)
{
	keys_make_t *k = self;

	return vault_keys_make(k->vault, txn, k->now_s);
}

static err_t store_fill(const config_paths_t *p, const config_t *config, const char *name,
	const crypto_pub_t *key, diag_t *diag)
{
	AUTO(vault_free) vault_t *vault = NULL;
	AUTO(store_close) store_t *store = NULL;
	AUTO(ledger_close) ledger_t *ledger = NULL;
	AUTO(loop_free) loop_t *loop = loop_new(); /* for its clock */
	api_bootstrap_t boot = { .operator_name = str_of(name), .operator_key = *key };
	keys_make_t keys = { .now_s = (int64_t)loop_unix_s(loop) };

	TRY(vault_open(p->kek, true, &vault, diag));
	TRY(store_open(str_of(p->database), NULL, &store, diag));
	keys.vault = vault;
	TRY(store_write(store, keys_make_closure, &keys));
	TRY(store_read(store, keys_open_closure, vault));
	TRY(ledger_make(config, vault, store, &ledger, diag));
	boot.vault = vault;
	boot.ledger = ledger;
	boot.now_us = (int64_t)loop_unix_us(loop);
	return store_write(store, api_bootstrap, &boot);
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
}

/* Under the lock: of two first starts the second finds what the first made. */
static err_t first_start_locked(const config_paths_t *p, const char *operator_name, const char *passphrase_file,
	bool *out_new, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	config_t config;
	crypto_pub_t key;
	bool filled;

	TRY(config_load(a, p->config, &config, diag));
	TRY(store_is_filled(p, &filled, diag));
	if (filled) {
		return mark_started(p, diag); /* it died between the store's commit and the mark */
	}
	remains_remove(p, operator_name);
	TRY(operator_key(p, operator_name, passphrase_file, &key, diag));
	TRY(store_fill(p, &config, operator_name, &key, diag));
	TRY(mark_started(p, diag));
	*out_new = true;
	return OK;
}

err_t first_start(const config_paths_t *p, const char *operator_name, const char *passphrase_file, uint16_t port,
	bool *out_new, diag_t *diag)
{
	int lock;

	*out_new = false;
	if (is_started(p)) {
		return OK;
	}
	TRY(config_write_default(p->config, port, diag));
	TRY(folders_make(p, diag));
	TRY(lock_take(p->lock, &lock, diag));
	err_t e = is_started(p) ? OK : first_start_locked(p, operator_name, passphrase_file, out_new, diag);
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
