/* load: requests made beforehand, sent as fast as the answers come, one JSON line of figures.
 *
 *   load exchange KEY=VALUE...   POST /oauth/token: kind=delegated (from a grant), kind=capability
 *   load call KEY=VALUE...       through the gateway: route kind=http or kind=mcp; token=capability or delegated
 *   load plain KEY=VALUE...      the same request straight to an upstream or a proxy, without attorn
 *   load admit KEY=VALUE...      POST /internal/v1/admit on the authority's own socket, as a gateway does
 *
 * What signs (assertions, proofs) is signed before the clock starts; every answer is looked at. bench/run.py
 * sets the scene and gives the keys; main() lists them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "domain/delegation/delegation.h"
#include "load.h"
#include "pure/jose/jose.h"

enum { REQUESTS_MAX = 1 << 16, MEMORY_BYTES_MAX = 1 << 30, SCRATCH_BYTES_MAX = 1 << 20 };

#define TOOL "echo"
#define ARGUMENTS "{\"message\":\"hello\"}"
#define TARGET "/tickets"
#define TICKET "{\"title\":\"two invoices do not add up\",\"priority\":\"high\"}"

typedef struct {
	arena_t *keep, *scratch; /* scratch goes after each request */
	str_t kind, token, issuer, agent, grant, resource, route, socket;
	crypto_key_t *key;
	unsigned authority, gateway, port; /* on 127.0.0.1 */
	size_t count;
	load_t drive;
	str_t nonce, delegated, session, *requests, *tokens;
	size_t n_tokens;
} job_t;

static void must(err_t e, const char *what)
{
	if (e != OK) {
		load_die(what, str_of(err_info(e)->name));
	}
}

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static str_t kept(job_t *j, str_t s)
{
	str_t out;

	must(arena_dup(j->keep, s, &out), "memory");
	return out;
}

static load_peer_t at_port(unsigned port)
{
	return (load_peer_t){ .port = port };
}

/* Value of a header of a response we trust. */
static str_t header_of(str_t response, const char *name)
{
	const char *at = strcasestr(response.p, name);

	if (!at) {
		load_die("no such header", str_of(name));
	}
	at += strlen(name) + 2;
	return str_bytes(at, strcspn(at, "\r"));
}

/* Value of a string member without escapes. */
static str_t member_of(str_t response, const char *name)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":\"", name);
	at = strstr(response.p, quoted);
	if (!at) {
		load_die("no such member", response);
	}
	at += strlen(quoted);
	return str_bytes(at, strcspn(at, "\""));
}

static bool is_mcp(const job_t *j)
{
	return str_eq(j->kind, STR("mcp"));
}

/* --- the action -------------------------------------------------------------------------------------------- */

static str_t action_body(job_t *j)
{
	return is_mcp(j) ? STR("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" TOOL
			       "\",\"arguments\":" ARGUMENTS "}}")
			 : STR(TICKET);
}

static void action_make(job_t *j, delegation_call_t *out)
{
	const json_t *json;

	if (is_mcp(j)) {
		must(json_parse_object(j->keep, STR(ARGUMENTS), &json, NULL), "arguments");
		must(delegation_call_mcp(j->keep, j->agent, j->resource, STR(TOOL), json, out), "action");
		return;
	}
	must(json_parse_object(j->keep, STR(TICKET), &json, NULL), "ticket");
	must(delegation_call_http(j->agent, j->resource, STR("POST"), STR(TARGET), STR(TICKET), json, out), "action");
}

static str_t action_item(job_t *j)
{
	delegation_call_t call;

	action_make(j, &call);
	str_t digest = b64url_enc(j->keep, str_bytes(call.args_digest, sizeof(call.args_digest)));
	if (is_mcp(j)) {
		return arena_cat(j->keep, STR("[{\"type\":\"mcp_tool_call\",\"server\":\""), j->resource,
			STR("\",\"tool\":\"" TOOL "\",\"args_digest\":\""), digest, STR("\"}]"));
	}
	return arena_cat(j->keep, STR("[{\"type\":\"http_request\",\"server\":\""), j->resource,
		STR("\",\"method\":\"POST\",\"target\":\"" TARGET "\",\"body_digest\":\""), digest, STR("\"}]"));
}

/* --- exchanges --------------------------------------------------------------------------------------------- */

static str_t proof_make(job_t *j, str_t url, str_t token, str_t action_digest)
{
	jose_dpop_make_t m = { .method = STR("POST"), .htu = url, .now_unix_s = now_s(),
		.nonce = token.p ? STR_NULL : j->nonce, .access_token = token, .action_digest = action_digest };
	str_t proof;

	crypto_random(m.random, sizeof(m.random));
	must(jose_dpop_make(j->scratch, j->key, &m, &proof), "proof");
	return proof;
}

static str_t assertion_make(job_t *j)
{
	jose_assertion_make_t m = { .client_id = j->agent, .issuer = j->issuer, .now_unix_s = now_s(), .life_s = 240 };
	str_t assertion;

	crypto_random(m.random, sizeof(m.random));
	must(jose_assertion_make(j->scratch, j->key, &m, &assertion), "assertion");
	return assertion;
}

static void form_common(job_t *j, buf_t *form)
{
	form_add(form, STR("grant_type"), STR("urn:ietf:params:oauth:grant-type:token-exchange"));
	form_add(form, STR("resource"), j->resource);
	form_add(form, STR("client_assertion_type"), STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	form_add(form, STR("client_assertion"), assertion_make(j));
}

/* `item`: STR_NULL asks for a delegated token under the grant, else for a capability. */
static str_t exchange_make(job_t *j, str_t item)
{
	AUTO(buf_done) buf_t form;
	AUTO(buf_done) buf_t out;
	str_t token_url = arena_cat(j->scratch, j->issuer, STR("/oauth/token"));

	buf_init(&form, 64 << 10);
	buf_init(&out, 128 << 10);
	form_common(j, &form);
	form_add(&form, STR("subject_token"), item.p ? j->delegated : j->grant);
	form_add(&form, STR("subject_token_type"), item.p ? STR("urn:ietf:params:oauth:token-type:access_token")
							 : STR("urn:attorn:params:oauth:token-type:grant"));
	if (item.p) {
		form_add(&form, STR("authorization_details"), item);
	}
	buf_printf(&out, "POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
		"Content-Type: application/x-www-form-urlencoded\r\nDPoP: %.*s\r\nContent-Length: %zu\r\n\r\n",
		j->authority, STR_ARG(proof_make(j, token_url, STR_NULL, STR_NULL)), form.n);
	buf_add(&out, buf_str(&form));
	must(buf_err(&out), "request");
	str_t request = kept(j, buf_str(&out));
	arena_reset(j->scratch);
	return request;
}

static void nonce_fetch(job_t *j)
{
	str_t response = load_fetch(j->keep, at_port(j->authority), exchange_make(j, STR_NULL));

	j->nonce = header_of(response, "DPoP-Nonce");
}

static void delegated_fetch(job_t *j)
{
	str_t response;

	nonce_fetch(j);
	response = load_fetch(j->keep, at_port(j->authority), exchange_make(j, STR_NULL));
	j->delegated = member_of(response, "access_token");
}

static void token_keep(void *owner, size_t index, str_t response)
{
	job_t *j = owner;

	(void)index;
	j->tokens[j->n_tokens++] = kept(j, member_of(response, "access_token"));
}

static void exchanges_make(job_t *j, str_t item)
{
	for (size_t i = 0; i < j->count; i++) {
		j->requests[i] = exchange_make(j, item);
	}
	j->drive.requests = j->requests;
	j->drive.n_requests = j->count;
	j->drive.peer = at_port(j->authority);
	j->drive.must = STR("\"access_token\"");
}

static void run_exchange(job_t *j)
{
	bool capability = str_eq(j->token, STR("capability"));

	delegated_fetch(j);
	exchanges_make(j, capability ? action_item(j) : STR_NULL);
	load_drive(&j->drive, capability ? "exchange capability" : "exchange delegated");
}

/* --- calls ------------------------------------------------------------------------------------------------- */

static str_t call_path(job_t *j)
{
	return is_mcp(j) ? arena_cat(j->scratch, STR("/r/"), j->route)
			 : arena_cat(j->scratch, STR("/r/"), j->route, STR(TARGET));
}

static str_t call_make(job_t *j, str_t token, str_t action_digest, str_t body)
{
	str_t path = call_path(j), url = arena_cat(j->scratch, j->resource, is_mcp(j) ? STR("") : STR(TARGET));
	AUTO(buf_done) buf_t out;

	buf_init(&out, 64 << 10);
	buf_printf(&out, "POST %.*s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\n"
		"Accept: application/json, text/event-stream\r\n", STR_ARG(path), j->gateway);
	if (j->session.n) {
		buf_printf(&out, "MCP-Protocol-Version: 2025-06-18\r\nMcp-Session-Id: %.*s\r\n", STR_ARG(j->session));
	}
	buf_printf(&out, "Authorization: DPoP %.*s\r\nDPoP: %.*s\r\nContent-Length: %zu\r\n\r\n", STR_ARG(token),
		STR_ARG(proof_make(j, url, token, action_digest)), body.n);
	buf_add(&out, body);
	must(buf_err(&out), "request");
	str_t request = kept(j, buf_str(&out));
	arena_reset(j->scratch);
	return request;
}

static void session_open(job_t *j)
{
	str_t body = STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
			 "\"2025-06-18\",\"capabilities\":{},\"clientInfo\":{\"name\":\"load\",\"version\":\"1\"}}}");
	str_t response = load_fetch(j->keep, at_port(j->gateway), call_make(j, j->delegated, STR_NULL, body));

	j->session = header_of(response, "Mcp-Session-Id");
}

/* One capability for each call, made by the authority before the clock starts. */
static void capabilities_fetch(job_t *j)
{
	load_t kept_drive = j->drive;

	exchanges_make(j, action_item(j));
	j->drive.connections = 32;
	j->drive.seconds = 60;
	j->drive.keep = token_keep;
	j->drive.owner = j;
	load_drive(&j->drive, NULL);
	j->drive = kept_drive;
}

static void calls_make(job_t *j)
{
	delegation_call_t call;

	action_make(j, &call);
	str_t digest = b64url_enc(j->keep, str_bytes(call.digest, sizeof(call.digest)));
	for (size_t i = 0; i < j->count; i++) {
		j->requests[i] = j->n_tokens ? call_make(j, j->tokens[i], STR_NULL, action_body(j))
					     : call_make(j, j->delegated, digest, action_body(j));
	}
}

static void run_call(job_t *j)
{
	bool capability = str_eq(j->token, STR("capability"));
	str_t what = arena_cat(j->keep, STR("call "), j->kind, STR(" "), j->token, STR("\0"));

	delegated_fetch(j);
	if (is_mcp(j)) {
		session_open(j);
	}
	if (capability) {
		capabilities_fetch(j);
	}
	calls_make(j);
	j->drive.requests = j->requests;
	j->drive.n_requests = j->count;
	j->drive.peer = at_port(j->gateway);
	j->drive.must = is_mcp(j) ? STR("\"isError\":false") : STR("\"ok\":true");
	load_drive(&j->drive, what.p);
}

static void run_plain(job_t *j)
{
	str_t body = action_body(j), path = is_mcp(j) ? STR("/mcp") : STR(TARGET);
	str_t what = arena_cat(j->keep, STR("plain "), j->kind, STR("\0"));
	str_t request = arena_printf(j->keep, "POST %.*s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
		"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		"Content-Length: %zu\r\n\r\n%.*s", STR_ARG(path), j->port, body.n, STR_ARG(body));

	for (size_t i = 0; i < j->count; i++) {
		j->requests[i] = request;
	}
	j->drive.requests = j->requests;
	j->drive.n_requests = j->count;
	j->drive.peer = at_port(j->port);
	j->drive.must = is_mcp(j) ? STR("\"isError\":false") : STR("\"ok\":true");
	load_drive(&j->drive, what.p);
}

/* --- admits ------------------------------------------------------------------------------------------------ */

#define DIGEST "sha-256:a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e"

static str_t admit_make(job_t *j, str_t version, str_t instance)
{
	uint8_t random[ULID_RANDOM_BYTES];
	str_t rid, body;

	crypto_random(random, sizeof(random));
	rid = ulid_make(j->scratch, now_s() * 1000, random);
	body = arena_printf(j->scratch, "{\"rid\":\"%.*s\",\"once\":{\"space\":\"%.*s\",\"id\":\"%.*s\",\"until\":%lld},"
		"\"grant\":\"%.*s\",\"fence\":%.*s,\"instance\":\"%.*s\",\"deadline\":%lld,"
		"\"answer_by\":%lld,\"route\":\"%.*s\",\"record\":"
		"{\"act\":{\"args\":\"" DIGEST "\",\"digest\":\"" DIGEST "\",\"op\":\"POST\",\"tool\":\"" TARGET "\"},"
		"\"assurance\":\"key\",\"chain\":[{\"role\":\"user\",\"sub\":\"u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11\"},"
		"{\"role\":\"agent\",\"sub\":\"%.*s\"}],\"direction\":{\"by\":\"%.*s\",\"init\":\"unknown\",\"sel\":"
		"\"agent_within_grant\"},\"policy\":{\"decision\":\"permit\",\"digest\":\"" DIGEST "\",\"rules\":"
		"[\"base.delegated\"],\"why\":\"permit\"},\"route\":{\"id\":\"%.*s\",\"rev\":1},\"token\":{\"exp\":%lld,"
		"\"hash\":\"" DIGEST "\",\"jkt\":\"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\",\"txn\":\"%.*s\"},"
		"\"via\":\"spiffe://example.test/attorn/gateway/1\"}}",
		STR_ARG(rid), STR_ARG(j->issuer), STR_ARG(rid), (long long)now_s() + 60, STR_ARG(j->grant), STR_ARG(version),
		STR_ARG(instance), ((long long)now_s() + 60) * 1000, ((long long)now_s() + 60) * 1000,
		STR_ARG(j->route), STR_ARG(j->agent), STR_ARG(j->issuer), STR_ARG(j->route), (long long)now_s() + 60, STR_ARG(rid));
	str_t request = arena_printf(j->scratch, "POST /internal/v1/admit HTTP/1.1\r\nHost: authority\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s", body.n, STR_ARG(body));
	request = kept(j, request);
	arena_reset(j->scratch);
	return request;
}

/* A gateway is known by its feed; the connection stays open until we end. Returns the version of the rules. */
static str_t feed_open(job_t *j, load_peer_t peer, str_t instance)
{
	str_t request = arena_cat(j->keep, STR("GET /internal/v1/feed?since=0&instance="), instance,
		STR(" HTTP/1.1\r\nHost: authority\r\n\r\n"));
	char *in = arena_alloc(j->keep, LOAD_RESPONSE_BYTES_MAX), *at = NULL;
	size_t n = 0;
	int fd = load_connect(peer);

	if (write(fd, request.p, request.n) != (ssize_t)request.n) {
		load_die("feed", str_of(strerror(errno)));
	}
	while (!at || !strchr(at, ',')) {
		ssize_t got = read(fd, in + n, LOAD_RESPONSE_BYTES_MAX - 1 - n);
		if (got <= 0) {
			load_die("feed", str_bytes(in, n));
		}
		n += (size_t)got;
		in[n] = '\0';
		at = strstr(in, "\"version\":");
	}
	at += strlen("\"version\":");
	return str_bytes(at, strcspn(at, ","));
}

static void run_admit(job_t *j)
{
	uint8_t id[16];
	load_peer_t peer;

	must(arena_cstr(j->keep, j->socket, &peer.unix_path), "socket");
	crypto_random(id, sizeof(id));
	str_t instance = hex_enc(j->keep, str_bytes(id, sizeof(id)));
	str_t version = feed_open(j, peer, instance);
	for (size_t i = 0; i < j->count; i++) {
		j->requests[i] = admit_make(j, version, instance);
	}
	j->drive.requests = j->requests;
	j->drive.n_requests = j->count;
	j->drive.peer = peer;
	j->drive.must = STR("\"admit\":true");
	load_drive(&j->drive, "admit");
}

/* --- arguments --------------------------------------------------------------------------------------------- */

static str_t file_read(arena_t *a, const char *path)
{
	char *text = arena_alloc(a, 8192);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, 8192, f) : 0;

	if (n == 0) {
		load_die("cannot read", str_of(path));
	}
	fclose(f);
	return str_bytes(text, n);
}

static unsigned number(const char *text)
{
	uint64_t v;

	must(str_to_u64(str_of(text), 1 << 30, &v), text);
	return (unsigned)v;
}

static void pid_add(load_t *d, char *text)
{
	char *colon = strchr(text, ':');

	if (!colon || d->n_pids == LOAD_PIDS_MAX) {
		load_die("pid=NAME:PID", str_of(text));
	}
	*colon = '\0';
	d->pids[d->n_pids].name = text;
	d->pids[d->n_pids++].pid = (int)number(colon + 1);
}

static bool text_set(job_t *j, str_t name, const char *value)
{
	const struct {
		str_t name;
		str_t *to;
	} texts[] = {
		{ STR("kind"), &j->kind }, { STR("token"), &j->token }, { STR("issuer"), &j->issuer },
		{ STR("agent"), &j->agent }, { STR("grant"), &j->grant }, { STR("resource"), &j->resource },
		{ STR("route"), &j->route }, { STR("socket"), &j->socket },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (str_eq(texts[i].name, name)) {
			*texts[i].to = str_of(value);
			return true;
		}
	}
	return false;
}

static bool number_set(job_t *j, str_t name, const char *value)
{
	const struct {
		str_t name;
		unsigned *to;
	} numbers[] = {
		{ STR("authority"), &j->authority }, { STR("gateway"), &j->gateway }, { STR("port"), &j->port },
		{ STR("connections"), &j->drive.connections },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (str_eq(numbers[i].name, name)) {
			*numbers[i].to = number(value);
			return true;
		}
	}
	return false;
}

static void argument(job_t *j, char *text)
{
	char *value = strchr(text, '=');
	str_t name = str_bytes(text, value ? (size_t)(value - text) : 0);

	if (!value++) {
		load_die("KEY=VALUE", str_of(text));
	}
	if (text_set(j, name, value) || number_set(j, name, value)) {
		return;
	}
	if (str_eq(name, STR("key"))) {
		must(jose_key_read(file_read(j->keep, value), &j->key, NULL), "key");
	} else if (str_eq(name, STR("count"))) {
		j->count = number(value);
	} else if (str_eq(name, STR("seconds"))) {
		j->drive.seconds = strtod(value, NULL);
	} else if (str_eq(name, STR("pid"))) {
		pid_add(&j->drive, value);
	} else {
		load_die("unknown key", str_of(text));
	}
}

static const struct {
	str_t name;
	void (*run)(job_t *j);
} verbs[] = {
	{ STR_INIT("exchange"), run_exchange },
	{ STR_INIT("call"), run_call },
	{ STR_INIT("plain"), run_plain },
	{ STR_INIT("admit"), run_admit },
};

int main(int argc, char **argv)
{
	job_t j = { .count = 1000, .kind = STR("http"), .token = STR("delegated"),
		.drive = { .connections = 1, .seconds = 2 } };

	must(crypto_init(), "crypto");
	j.keep = arena_new_capped(MEMORY_BYTES_MAX);
	j.scratch = arena_new_capped(SCRATCH_BYTES_MAX);
	for (int i = 2; i < argc; i++) {
		argument(&j, argv[i]);
	}
	if (j.count < 1 || j.count > REQUESTS_MAX) {
		load_die("count", STR("1 to 65536"));
	}
	j.requests = heap_alloc(j.count * sizeof(str_t));
	j.tokens = heap_alloc(j.count * sizeof(str_t));
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++) {
		if (str_eq(str_of(argv[1]), verbs[i].name)) {
			verbs[i].run(&j);
			return 0;
		}
	}
	fprintf(stderr, "usage: load exchange|call|plain|admit KEY=VALUE...\n");
	return 2;
}
