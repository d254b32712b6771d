/* config.c: one table per mapping {key, type, bounds}; libcyaml refuses what no table names. */
#include "app/main/config.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pure/codec/codec.h"

enum {
	TEXT_BYTES_MAX = 512,
	ORIGINS_MAX = 32,
	CONFIG_FILE_BYTES_MAX = 64 << 10,
	BODY_BYTES_MAX = 16 << 20,
	SOCKET_PATH_BYTES_MAX = 107, /* sun_path without its NUL */
};

typedef struct {
	char *listen, *node_listen;
} yaml_authority_t;

typedef struct {
	char *listen, *url, *mtls_listen, *mtls_url;
	char **allow_origins;
	uint32_t allow_origins_count;
} yaml_gateway_t;

typedef struct {
	uint32_t delegated_s, capability_s;
} yaml_tokens_t;

typedef struct {
	uint32_t body_bytes, denials_per_minute;
} yaml_limits_t;

typedef enum { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG } yaml_level_t;

typedef struct {
	yaml_level_t level;
} yaml_log_t;

typedef struct {
	char *trust_domain, *issuer;
	yaml_authority_t *authority;
	yaml_gateway_t *gateway;
	yaml_tokens_t *tokens;
	yaml_limits_t *limits;
	yaml_log_t *log;
} yaml_root_t;

static const cyaml_schema_field_t authority_fields[] = {
	CYAML_FIELD_STRING_PTR("listen", CYAML_FLAG_POINTER, yaml_authority_t, listen, 1, TEXT_BYTES_MAX),
	CYAML_FIELD_STRING_PTR("node_listen", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_authority_t, node_listen, 1,
		TEXT_BYTES_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t origin_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, TEXT_BYTES_MAX),
};

static const cyaml_schema_field_t gateway_fields[] = {
	CYAML_FIELD_STRING_PTR("listen", CYAML_FLAG_POINTER, yaml_gateway_t, listen, 1, TEXT_BYTES_MAX),
	CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, yaml_gateway_t, url, 1, TEXT_BYTES_MAX),
	CYAML_FIELD_STRING_PTR("mtls_listen", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_gateway_t, mtls_listen, 1,
		TEXT_BYTES_MAX),
	CYAML_FIELD_STRING_PTR("mtls_url", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_gateway_t, mtls_url, 1,
		TEXT_BYTES_MAX),
	CYAML_FIELD_SEQUENCE("allow_origins", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_gateway_t,
		allow_origins, &origin_value, 0, ORIGINS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tokens_fields[] = {
	CYAML_FIELD_UINT("delegated_s", CYAML_FLAG_OPTIONAL, yaml_tokens_t, delegated_s),
	CYAML_FIELD_UINT("capability_s", CYAML_FLAG_OPTIONAL, yaml_tokens_t, capability_s),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
	CYAML_FIELD_UINT("body_bytes", CYAML_FLAG_OPTIONAL, yaml_limits_t, body_bytes),
	CYAML_FIELD_UINT("denials_per_minute", CYAML_FLAG_OPTIONAL, yaml_limits_t, denials_per_minute),
	CYAML_FIELD_END,
};

static const cyaml_strval_t level_names[] = {
	{ "error", LEVEL_ERROR },
	{ "warn", LEVEL_WARN },
	{ "info", LEVEL_INFO },
	{ "debug", LEVEL_DEBUG },
};

static const cyaml_schema_field_t log_fields[] = {
	CYAML_FIELD_ENUM("level", CYAML_FLAG_STRICT, yaml_log_t, level, level_names,
		CYAML_ARRAY_LEN(level_names)),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t root_fields[] = {
	CYAML_FIELD_STRING_PTR("trust_domain", CYAML_FLAG_POINTER, yaml_root_t, trust_domain, 1, 255),
	CYAML_FIELD_STRING_PTR("issuer", CYAML_FLAG_POINTER, yaml_root_t, issuer, 1, TEXT_BYTES_MAX),
	CYAML_FIELD_MAPPING_PTR("authority", CYAML_FLAG_POINTER, yaml_root_t, authority, authority_fields),
	CYAML_FIELD_MAPPING_PTR("gateway", CYAML_FLAG_POINTER, yaml_root_t, gateway, gateway_fields),
	CYAML_FIELD_MAPPING_PTR("tokens", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_root_t, tokens,
		tokens_fields),
	CYAML_FIELD_MAPPING_PTR("limits", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_root_t, limits,
		limits_fields),
	CYAML_FIELD_MAPPING_PTR("log", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, yaml_root_t, log, log_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t root_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, yaml_root_t, root_fields),
};

/* libcyaml explains itself only through its log: the first line says what, later ones say where. */
static void log_to_diag(cyaml_log_t level, void *owner, const char *fmt, va_list args)
{
	diag_t *d = owner;
	char line[DIAG_TEXT_BYTES];
	const char *at;
	unsigned row, column;

	if (level < CYAML_LOG_ERROR) {
		return;
	}
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	at = strstr(line, "(line: ");
	if (at && d->line == 0 && sscanf(at, "(line: %u, column: %u)", &row, &column) == 2) {
		d->line = row;
		d->column = column;
	}
	if (d->text[0] == '\0') {
		const char *said = str_starts(str_of(line), STR("Load: ")) ? line + strlen("Load: ") : line;
		snprintf(d->text, sizeof(d->text), "%s", said);
	}
}

/* libcyaml names the place of the field before a key that it refuses: look for the key itself from there
 * on. `said` is "Unexpected key: X" or "Mapping field already seen: X". */
static void key_place(const char *file, diag_t *said)
{
	const char *colon = strstr(said->text, ": ");
	bool seen = str_starts(str_of(said->text), STR("Mapping field already seen"));
	char line[1024];
	FILE *f;

	if (!colon || !(seen || str_starts(str_of(said->text), STR("Unexpected key"))) || !(f = fopen(file, "re"))) {
		return;
	}
	str_t key = str_of(colon + 2);
	for (uint32_t n = 1; fgets(line, sizeof(line), f); n++) {
		str_t text = str_trim(str_of(line));
		bool is_it = str_starts(text, key) && str_starts(str_sub(text, key.n, 1), STR(":"));
		if (is_it && (seen ? n > said->line : n >= said->line)) {
			said->line = n;
			said->column = (uint32_t)(strspn(line, " ") + 1);
			break;
		}
	}
	fclose(f);
}

/* True when a line of the file holds this key; out_column is where it begins. */
static bool line_has_key(const char *line, str_t key, size_t *out_column)
{
	size_t indent = strspn(line, " ");
	str_t text = str_of(line + indent);

	*out_column = indent + 1;
	return str_starts(text, key) && str_starts(str_sub(text, key.n, 1), STR(":"));
}

/* Our own checks begin with the key, "gateway.listen: ...": looks for its line, below its parent's. */
static void value_place(const char *file, diag_t *said)
{
	str_t path = str_sub(str_of(said->text), 0, str_find(str_of(said->text), ':'));
	size_t dot = str_find(path, '.'), column;
	str_t parent = str_sub(path, 0, dot), key = dot < path.n ? str_sub(path, dot + 1, path.n) : path;
	bool inside = dot == path.n;
	char line[1024];
	FILE *f = fopen(file, "re");

	for (uint32_t n = 1; f && fgets(line, sizeof(line), f); n++) {
		if (inside && line_has_key(line, key, &column)) {
			said->line = n;
			said->column = (uint32_t)column;
			break;
		}
		inside = inside || line_has_key(line, parent, &column);
	}
	if (f) {
		fclose(f);
	}
}

/* "192.0.2.1:7482", "[2001:db8::1]:7482" -> numeric address and port, for a door with TLS; net looks at the address. */
static err_t tls_listen_parse(arena_t *a, const char *text, const char *key, const char **out_host, uint16_t *out_port,
	diag_t *diag)
{
	str_t s = str_of(text);
	size_t colon = str_find_last(s, ':');
	str_t host = str_sub(s, 0, colon);
	bool is_v6 = str_starts(host, STR("[")) && str_ends(host, STR("]"));
	uint64_t port;

	if (colon == s.n || str_to_u64(str_sub(s, colon + 1, s.n), UINT16_MAX, &port) != OK || host.n == 0) {
		diag_set(diag, 0, 0, "%s: expected ADDRESS:PORT", key);
		return ERR_CONFIG;
	}
	TRY(arena_cstr(a, is_v6 ? str_sub(host, 1, host.n - 2) : host, out_host));
	*out_port = (uint16_t)port;
	return OK;
}

/* "127.0.0.1:7480" -> host and port. Only loopback: plain HTTP leaves no host. */
static err_t listen_parse(const char *text, const char *key, const char **out_host, uint16_t *out_port,
	diag_t *diag)
{
	str_t s = str_of(text);
	size_t colon = str_find_last(s, ':');
	str_t host = str_sub(s, 0, colon);
	uint64_t port;

	if (colon == s.n || str_to_u64(str_sub(s, colon + 1, s.n), UINT16_MAX, &port) != OK) {
		diag_set(diag, 0, 0, "%s: expected HOST:PORT", key);
		return ERR_CONFIG;
	}
	if (!str_eq(host, STR("127.0.0.1")) && !str_eq(host, STR("[::1]"))) {
		diag_set(diag, 0, 0, "%s: only loopback (127.0.0.1 or [::1]) is served without TLS", key);
		return ERR_CONFIG;
	}
	*out_host = str_eq(host, STR("[::1]")) ? "::1" : "127.0.0.1";
	*out_port = (uint16_t)port;
	return OK;
}

static err_t url_check(const char *text, const char *key, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	url_t url;
	str_t s = str_of(text);

	if (url_parse(a, s, 0, &url) != OK || str_ends(s, STR("/"))) {
		diag_set(diag, 0, 0, "%s: expected an http or https URL without trailing slash", key);
		return ERR_CONFIG;
	}
	return OK;
}

static err_t range_check(uint32_t v, uint32_t min, uint32_t max, const char *key, diag_t *diag)
{
	if (v < min || v > max) {
		diag_set(diag, 0, 0, "%s: %u is outside %u..%u", key, v, min, max);
		return ERR_CONFIG;
	}
	return OK;
}

static bool trust_domain_ok(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_')) {
			return false;
		}
	}
	return s.n > 0;
}

static err_t origins_take(arena_t *a, const yaml_gateway_t *y, config_t *c)
{
	c->allow_origins = arena_array(a, const char *, y->allow_origins_count);
	c->allow_origins_count = y->allow_origins_count;
	for (unsigned i = 0; i < y->allow_origins_count; i++) {
		TRY(arena_cstr(a, str_of(y->allow_origins[i]), &c->allow_origins[i]));
	}
	return OK;
}

/* The doors with TLS: there when the file says so. */
static err_t tls_doors_take(arena_t *a, const yaml_root_t *y, config_t *c, diag_t *diag)
{
	const yaml_gateway_t *g = y->gateway;

	if (y->authority->node_listen) {
		TRY(tls_listen_parse(a, y->authority->node_listen, "authority.node_listen", &c->node_host, &c->node_port,
			diag));
	}
	if (!g->mtls_listen) {
		diag_set(diag, 0, 0, "gateway.mtls_url: there is no gateway.mtls_listen");
		return g->mtls_url ? ERR_CONFIG : OK;
	}
	TRY(tls_listen_parse(a, g->mtls_listen, "gateway.mtls_listen", &c->mtls_host, &c->mtls_port, diag));
	str_t url = g->mtls_url ? str_of(g->mtls_url) : arena_cat(a, STR("https://"), str_of(g->mtls_listen));
	TRY(arena_cstr(a, url, &c->mtls_url));
	if (!str_starts(url, STR("https://"))) {
		diag_set(diag, 0, 0, "gateway.mtls_url: expected an https URL");
		return ERR_CONFIG;
	}
	return url_check(c->mtls_url, "gateway.mtls_url", diag);
}

static err_t config_take(arena_t *a, const yaml_root_t *y, config_t *c, diag_t *diag)
{
	const yaml_tokens_t *tokens = y->tokens;
	const yaml_limits_t *limits = y->limits;

	if (!trust_domain_ok(str_of(y->trust_domain))) {
		diag_set(diag, 0, 0, "trust_domain: only a-z 0-9 . - _ (SPIFFE ID 2.1)");
		return ERR_CONFIG;
	}
	TRY(arena_cstr(a, str_of(y->trust_domain), &c->trust_domain));
	TRY(arena_cstr(a, str_of(y->issuer), &c->issuer));
	TRY(arena_cstr(a, str_of(y->gateway->url), &c->gateway_url));
	TRY(url_check(c->issuer, "issuer", diag));
	TRY(url_check(c->gateway_url, "gateway.url", diag));
	TRY(listen_parse(y->authority->listen, "authority.listen", &c->authority_host, &c->authority_port, diag));
	TRY(listen_parse(y->gateway->listen, "gateway.listen", &c->gateway_host, &c->gateway_port, diag));
	TRY(tls_doors_take(a, y, c, diag));
	TRY(origins_take(a, y->gateway, c));
	c->delegated_ttl_s = tokens && tokens->delegated_s ? tokens->delegated_s : 600;
	c->capability_ttl_s = tokens && tokens->capability_s ? tokens->capability_s : 60;
	c->body_bytes_max = limits && limits->body_bytes ? limits->body_bytes : 4 << 20;
	c->denials_per_minute = limits && limits->denials_per_minute ? limits->denials_per_minute : 60;
	c->log_level = y->log ? (int)y->log->level : (int)LEVEL_INFO;
	TRY(range_check(c->delegated_ttl_s, 60, 3600, "tokens.delegated_s", diag));
	TRY(range_check(c->capability_ttl_s, 10, 120, "tokens.capability_s", diag));
	TRY(range_check(c->body_bytes_max, 4096, BODY_BYTES_MAX, "limits.body_bytes", diag));
	return range_check(c->denials_per_minute, 1, 100000, "limits.denials_per_minute", diag);
}

static err_t file_size_check(const char *file, diag_t *diag)
{
	struct stat st;

	if (stat(file, &st) != 0) {
		diag_set(diag, 0, 0, "%s: %s", file, strerror(errno));
		return ERR_CONFIG;
	}
	if (st.st_size > CONFIG_FILE_BYTES_MAX) {
		diag_set(diag, 0, 0, "%s: larger than %d bytes", file, CONFIG_FILE_BYTES_MAX);
		return ERR_CONFIG;
	}
	return OK;
}

err_t config_load(arena_t *a, const char *file, config_t *out, diag_t *diag)
{
	diag_t said = { 0 };
	config_t c = { 0 };
	yaml_root_t *y = NULL;
	cyaml_config_t how = {
		.log_fn = log_to_diag,
		.log_ctx = &said,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};

	TRY(file_size_check(file, diag));
	cyaml_err_t e = cyaml_load_file(file, &how, &root_schema, (cyaml_data_t **)&y, NULL);
	if (e != CYAML_OK) {
		key_place(file, &said);
		diag_set(diag, said.line, said.column, "%s", said.text[0] ? said.text : cyaml_strerror(e));
		return ERR_CONFIG;
	}
	if (!y) {
		diag_set(diag, 0, 0, "%s is empty", file);
		return ERR_CONFIG;
	}
	err_t taken = config_take(a, y, &c, diag);
	cyaml_free(&how, &root_schema, y, 0);
	if (taken != OK && diag) {
		value_place(file, diag);
	}
	TRY(taken);
	*out = c;
	return OK;
}

/* Four %u: the authority's port twice, the gateway's twice. */
static const char default_text[] =
	"# attorn.yaml: where this authority and its gateway listen, and how long tokens live.\n"
	"# Agents, users, routes, secrets, rules and grants are not here: they live in the store and\n"
	"# change by verbs that a person signs (attorn help).\n"
	"trust_domain: example.test          # first part of every agent's name: spiffe://example.test/agent/NAME\n"
	"issuer: http://127.0.0.1:%u       # agents put exactly this string into the audience of assertions\n"
	"authority:\n"
	"  listen: 127.0.0.1:%u            # loopback only\n"
	"gateway:\n"
	"  listen: 127.0.0.1:%u\n"
	"  url: http://127.0.0.1:%u        # a tool server's address is this + /r/NAME\n"
	"  allow_origins: []                 # browser origins that may call the gateway\n"
	"tokens:\n"
	"  delegated_s: 600                  # life of a delegated token, 60 to 3600 seconds\n"
	"  capability_s: 60                  # life of a capability (one call), 10 to 120 seconds\n"
	"limits:\n"
	"  body_bytes: 4194304               # largest request or message\n"
	"  denials_per_minute: 60            # denials of one agent recorded one by one; more are counted\n"
	"log:\n"
	"  level: info                       # error, warn, info, debug\n";

err_t config_write_default(const char *file, uint16_t port, diag_t *diag)
{
	char text[sizeof(default_text) + 32];
	unsigned next = port + 1u;
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EEXIST) {
		return OK;
	}
	if (fd < 0) {
		diag_set(diag, 0, 0, "%s: %s", file, strerror(errno));
		return ERR_IO;
	}
	int n = snprintf(text, sizeof(text), default_text, port, port, next, next);
	bool ok = write(fd, text, (size_t)n) == (ssize_t)n && fsync(fd) == 0;
	close(fd);
	return ok ? OK : ERR_IO;
}

static const char *below(const char *dir, const char *name)
{
	size_t n = strlen(dir) + 1 + strlen(name) + 1;
	char *p = heap_alloc(n);

	snprintf(p, n, "%s/%s", dir, name);
	return p;
}

err_t config_paths(const char *root, config_paths_t *out, diag_t *diag)
{
	char absolute[PATH_MAX];
	config_paths_t p = { 0 };

	if (!realpath(root, absolute)) {
		diag_set(diag, 0, 0, "%s: %s", root, strerror(errno));
		return ERR_CONFIG;
	}
	p.root = heap_cstr(str_of(absolute));
	p.config = below(p.root, "attorn.yaml");
	p.keys_dir = below(p.root, "keys");
	p.data = below(p.root, "data");
	p.database = below(p.data, "attorn.db");
	p.kek = below(p.data, "kek");
	p.started = below(p.data, "started"); /* there once the first start is whole */
	p.reserve = below(p.data, "reserve");
	p.signer_dir = below(p.data, "signer");
	p.run_dir = below(p.data, "run");
	p.admin_socket = below(p.run_dir, "admin.sock");
	p.internal_socket = below(p.run_dir, "internal.sock");
	p.lock = below(p.run_dir, "lock");
	p.node_dir = below(p.root, "run"); /* everybody may enter it */
	p.workload_socket = below(p.node_dir, "workload.sock");
	p.control_socket = below(p.node_dir, "control.sock");
	if (strlen(p.internal_socket) > SOCKET_PATH_BYTES_MAX) {
		diag_set(diag, 0, 0, "%s: path too long for a socket (107 bytes)", p.internal_socket);
		return ERR_CONFIG;
	}
	*out = p;
	return OK;
}
