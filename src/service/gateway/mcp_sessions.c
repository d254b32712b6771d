/* mcp_sessions.c: what a sealed session id cannot say: that upstream's half was made anew, that the client
 * deleted it. Bounded; what is forgotten costs one more 404 upstream, or one more revival. */
#include "service/gateway/mcp_http.h"

enum { SESSION_ID_BYTES = 32 };

typedef struct {
	char id[SESSION_ID_BYTES];
	char upstream[GATEWAY_UPSTREAM_SID_BYTES_MAX];
	size_t upstream_n;
	bool used;
} moved_t;

struct mcp_sessions {
	moved_t moved[GATEWAY_MOVED_MAX];
	char ended[GATEWAY_ENDED_MAX][SESSION_ID_BYTES];
	size_t next_moved, next_ended, n_ended;
};

mcp_sessions_t *mcp_sessions_new(void)
{
	return heap_new(mcp_sessions_t);
}

void mcp_sessions_free(mcp_sessions_t *s)
{
	heap_free(s);
}

static moved_t *moved_of(const mcp_sessions_t *s, str_t id)
{
	for (size_t i = 0; i < GATEWAY_MOVED_MAX; i++) {
		const moved_t *m = &s->moved[i];
		if (m->used && str_eq(str_bytes(m->id, sizeof(m->id)), id)) {
			return (moved_t *)m;
		}
		if (!m->used) {
			return NULL; /* filled in order */
		}
	}
	return NULL;
}

str_t mcp_sessions_upstream(const mcp_sessions_t *s, const session_t *session)
{
	const moved_t *m = moved_of(s, session->id);

	return m ? str_bytes(m->upstream, m->upstream_n) : session->upstream_sid;
}

void mcp_sessions_moved(mcp_sessions_t *s, str_t session_id, str_t upstream_sid)
{
	moved_t *m = moved_of(s, session_id);

	CHECK(session_id.n == SESSION_ID_BYTES && upstream_sid.n <= GATEWAY_UPSTREAM_SID_BYTES_MAX);
	if (!m) {
		m = &s->moved[s->next_moved];
		s->next_moved = (s->next_moved + 1) % GATEWAY_MOVED_MAX;
	}
	m->used = true;
	memcpy(m->id, session_id.p, sizeof(m->id));
	m->upstream_n = upstream_sid.n;
	if (upstream_sid.n) {
		memcpy(m->upstream, upstream_sid.p, upstream_sid.n);
	}
}

void mcp_sessions_ended(mcp_sessions_t *s, str_t session_id)
{
	CHECK(session_id.n == SESSION_ID_BYTES);
	memcpy(s->ended[s->next_ended], session_id.p, SESSION_ID_BYTES);
	s->next_ended = (s->next_ended + 1) % GATEWAY_ENDED_MAX;
	s->n_ended += s->n_ended < GATEWAY_ENDED_MAX;
}

bool mcp_sessions_has_ended(const mcp_sessions_t *s, str_t session_id)
{
	for (size_t i = 0; i < s->n_ended; i++) {
		if (str_eq(str_bytes(s->ended[i], SESSION_ID_BYTES), session_id)) {
			return true;
		}
	}
	return false;
}
