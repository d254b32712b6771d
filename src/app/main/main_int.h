/* main_int.h: what the files of main share. */
#ifndef ATTORN_MAIN_INT_H
#define ATTORN_MAIN_INT_H

#include "app/main/config.h"
#include "engine/flow/flow.h"
#include "engine/signer/client.h"
#include "engine/store/store.h"
#include "service/ledger/ledger.h"
#include "service/vault/vault.h"

#include <sys/types.h>

/* Exit status of a process that cannot start until a person changes something: `up` does not try again. */
enum { EXIT_CANNOT_START = 4 };

/* Nobody of the same uid may trace this process or read its memory, and it leaves no core. */
void process_guard(void);
/* Closes what the caller left open, but for 0, 1, 2 and `keep`, if that is above. Before anything of ours is open. */
void descriptors_drop(int keep);
/* A folder that is there, is ours and keeps others out. ERR_IO, ERR_CONFIG. */
MUST err_t folder_private(const char *path, diag_t *diag);
/* One authority, or one first start, per directory (ledger.md 9.4). Waits a little for one that is ending.
 * The lock goes with the descriptor. ERR_EXISTS, ERR_IO. */
MUST err_t lock_take(const char *path, int *out_fd, diag_t *diag);
/* The gateway's port is for the gateways of one `up`: they share it (SO_REUSEPORT), and another one that did
 * would take half of their calls in silence. Waits a little for one that is ending; goes with the descriptor.
 * ERR_EXISTS. */
MUST err_t port_take(const char *host, uint16_t port, int *out_fd, diag_t *diag);
/* Runs until SIGTERM; the exit status. */
int up_supervise(const config_paths_t *paths, const config_t *config, const char *kek_passphrase_file);
/* True once both doors answered /health and the user was told so. */
bool up_announce(const config_paths_t *paths, const config_t *config);
/* First start: directories, configuration, KEK, store, operator key; `out_new` tells whether it was. */
typedef struct {
	const char *operator_name, *passphrase_file, *kek_passphrase_file;
	uint16_t port;
} first_start_t;
MUST err_t first_start(const config_paths_t *paths, const first_start_t *o, bool *out_new, diag_t *diag);
/* `signer_fd`: the authority's end of the socket. */
int authority_run(const config_paths_t *paths, const config_t *config, int signer_fd);
/* `oldest_kernel`: what attorn node --oldest-kernel says. */
int node_run(const config_paths_t *paths, const config_t *config, bool oldest_kernel);
int gateway_run(const config_paths_t *paths, const config_t *config);
/* Opens the ledger of this store; its head is signed by `signer`, which must outlive it. */
typedef struct {
	const config_t *config;
	const vault_t *vault;
	store_t *store;
	signer_client_t *signer;
	const vault_signing_t *signing;
	int64_t now_us;
} ledger_make_t;
MUST err_t ledger_make(const ledger_make_t *m, ledger_t **out, diag_t *diag);

/* --- signer.c --- */
/* Serves the socket until its other end is closed; the exit status. */
int signer_run(const config_paths_t *paths, const char *kek_passphrase_file, int fd);
/* The socket between signer and authority: two ends, closed on exec. ERR_IO. */
MUST err_t signer_pair(int out[2]);
/* In a child just forked: becomes `attorn ROLE`, with `fd` (or -1) as its end of the socket. */
_Noreturn void role_exec(const config_paths_t *paths, const char *role, const char *kek_passphrase_file, int fd, pid_t parent);
/* Starts a signer of our own; it ends when the descriptor is closed, or with us. ERR_IO. */
MUST err_t signer_spawn(const config_paths_t *paths, const char *kek_passphrase_file, int *out_fd, pid_t *out_pid);
void signer_reap(pid_t pid);

/* Blocks SIGTERM and SIGINT in this thread and all it starts; ignores SIGPIPE. */
void signals_block(void);
/* Calls stop(arg) on the loop at the first of the two. */
void stop_on_signal(loop_t *loop, void (*stop)(void *), void *arg);
/* A line on stderr for a person: "attorn: FILE:LINE: text". */
void complain(const char *file, const diag_t *diag, err_t e);

#endif
