/* mcp_session.c: the session of one client with its route. A gateway that knows it no more (restarted
 * elsewhere, or a day has passed) answers 404, and stock clients never begin again (mcp.md 2, 13.1): the
 * shim does, with the client's own words. */
#include "app/cli/mcp_int.h"

enum { SESSION_ID_BYTES_MAX = 8 << 10, VERSION_BYTES_MAX = 64 };

void mcp_session_init(mcp_session_t *s)
{
	pthread_mutex_init(&s->lock, NULL);
	buf_init(&s->id, SESSION_ID_BYTES_MAX);
	buf_init(&s->version, VERSION_BYTES_MAX);
	buf_init(&s->initialize, CLI_LINE_BYTES_MAX);
}

void mcp_session_done(mcp_session_t *s)
{
	pthread_mutex_destroy(&s->lock);
	buf_done(&s->id);
	buf_done(&s->version);
	buf_done(&s->initialize);
}

size_t mcp_session_headers(mcp_session_t *s, arena_t *a, net_header_t out[2], uint64_t *out_turn)
{
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	*out_turn = s->turn;
	if (s->id.n) {
		out[n++] = (net_header_t){ STR("Mcp-Session-Id"), arena_str(a, buf_str(&s->id)) };
	}
	if (s->version.n) {
		out[n++] = (net_header_t){ STR("MCP-Protocol-Version"), arena_str(a, buf_str(&s->version)) };
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void replace(buf_t *b, str_t s)
{
	buf_clear(b);
	buf_add(b, s); /* too long: stays empty, and the gateway says what it misses */
}

static void begin_locked(mcp_session_t *s, str_t id, str_t version)
{
	replace(&s->id, id);
	replace(&s->version, version);
	s->turn++;
}

void mcp_session_begin(mcp_session_t *s, str_t line, str_t id, str_t version)
{
	pthread_mutex_lock(&s->lock);
	begin_locked(s, id, version);
	replace(&s->initialize, line);
	s->initialized = false;
	pthread_mutex_unlock(&s->lock);
}

void mcp_session_initialized(mcp_session_t *s)
{
	pthread_mutex_lock(&s->lock);
	s->initialized = true;
	pthread_mutex_unlock(&s->lock);
}

/* A copy of the client's first line, if session `turn` is still the one; else there is nothing to do. */
static err_t line_copy(mcp_session_t *s, arena_t *a, uint64_t turn, str_t *out_line, bool *out_initialized)
{
	*out_line = STR_NULL;
	ENSURE(s->id.n, ERR_SESSION);
	if (s->turn != turn) {
		return OK; /* somebody else was faster */
	}
	*out_initialized = s->initialized;
	return arena_dup(a, buf_str(&s->initialize), out_line);
}

/* With the lock held throughout: whoever needs the session waits for it. *out_tell: it is new, and the
 * gateway has to hear that the client is ready. */
static err_t revive_locked(mcp_t *m, arena_t *a, uint64_t turn, bool *out_tell)
{
	mcp_session_t *s = &m->session;
	mcp_reply_t reply;
	bool initialized = false;
	str_t line;

	TRY(line_copy(s, a, turn, &line, &initialized));
	if (line.n) {
		TRY(mcp_send_quietly(m, a, line, &reply));
		ENSURE(reply.answered && reply.session.n, ERR_SESSION);
		begin_locked(s, reply.session, reply.version);
	}
	*out_tell = line.n && initialized;
	return OK;
}

err_t mcp_session_revive(mcp_t *m, uint64_t turn)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(CLI_MCP_ARENA_BYTES_MAX);
	mcp_reply_t reply;
	bool tell = false;

	pthread_mutex_lock(&m->session.lock);
	err_t e = revive_locked(m, a, turn, &tell);
	pthread_mutex_unlock(&m->session.lock);
	TRY(e);
	return tell ? mcp_send_quietly(m, a, STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), &reply) : OK;
}

void mcp_session_end(mcp_t *m)
{
	AUTO(arena_free) arena_t *a = arena_open();
	net_header_t headers[4];
	net_response_t response;
	str_t token, proof;
	uint64_t turn;
	size_t n = mcp_session_headers(&m->session, a, headers, &turn);

	if (n == 0 || !str_eq(headers[0].name, STR("Mcp-Session-Id")) || agent_token_held(&m->agent, a, &token) != OK ||
		agent_proof(&m->agent, a, STR("DELETE"), m->agent.resource, token, &proof) != OK) {
		return;
	}
	headers[n++] = (net_header_t){ STR("Authorization"), arena_cat(a, STR("DPoP "), token) };
	headers[n++] = (net_header_t){ STR("DPoP"), proof };
	net_request_t r = { .method = STR("DELETE"), .url = m->agent.resource, .headers = { headers, n },
		.total_timeout_ms = CLI_MCP_DELETE_MS };
	if (net_sync_fetch(a, &r, &response, NULL) != OK) {
		return; /* sessions end by themselves too */
	}
}
