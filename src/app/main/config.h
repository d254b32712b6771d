/* config.h: attorn.yaml, read once into one immutable struct; and the paths of a working directory.
 * Owns: nothing; the strings lie in the caller's arena. Threads: any, after config_load.
 * Forbidden: reading a file or the environment for settings anywhere else. */
#ifndef ATTORN_MAIN_CONFIG_H
#define ATTORN_MAIN_CONFIG_H

#include "pure/base/base.h"

typedef struct {
	const char *trust_domain; /* SPIFFE trust domain name */
	const char *issuer; /* URL without trailing slash; audience of assertions, byte for byte */
	const char *authority_host;
	uint16_t authority_port;
	const char *gateway_host;
	uint16_t gateway_port;
	const char *gateway_url; /* route URL = gateway_url "/r/" name */
	const char *node_host; /* the authority's door for nodes, TLS; NULL: none */
	uint16_t node_port;
	const char *mtls_host; /* the gateway's session mTLS; NULL: none */
	uint16_t mtls_port;
	const char *mtls_url; /* https://HOST:PORT: what clients of it call */
	const char **allow_origins;
	unsigned allow_origins_count;
	uint32_t delegated_ttl_s, capability_ttl_s;
	uint32_t body_bytes_max;
	uint32_t denials_per_minute;
	int log_level; /* 0 error .. 3 debug */
} config_t;

/* Paths below the working directory W (wire.md 1). */
typedef struct {
	const char *root, *config, *keys_dir, *data, *database, *kek, *reserve, *run_dir, *admin_socket,
		*internal_socket, *lock, *started, *signer_dir, *node_dir, *workload_socket,
		*control_socket;
} config_paths_t;

/* Fills the paths of working directory `root` (made absolute); ERR_CONFIG when a socket path would not
 * fit sockaddr_un (107 bytes). */
MUST err_t config_paths(const char *root, config_paths_t *out, diag_t *diag);

/* Reads and checks the file, strings into `a`; ERR_CONFIG with line and text in diag. Unknown keys are
 * errors. */
MUST err_t config_load(arena_t *a, const char *file, config_t *out, diag_t *diag);

/* Writes a commented default configuration unless the file exists: authority on `port`, gateway on the
 * next one. */
enum { CONFIG_PORT_DEFAULT = 7480 };
MUST err_t config_write_default(const char *file, uint16_t port, diag_t *diag);

#endif
