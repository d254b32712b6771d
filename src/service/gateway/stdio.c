/* stdio.c: the life of a route's child: spawned, initialized, followed by another when it dies. */
#include "service/gateway/stdio_int.h"

enum { ROUTE_ARENA_BYTES_MAX = 1 << 20, BORN_ARENA_BYTES_MAX = 1 << 20 };

static void stdio_spawn(void *arg);

static str_t or_else(str_t s, str_t fallback)
{
	return s.n ? s : fallback;
}

/* --- argv and environment ------------------------------------------------------------------------------- */

static err_t cstr(arena_t *a, str_t s, char **out)
{
	const char *c;

	TRY(arena_cstr(a, s, &c));
	*out = (char *)c;
	return OK;
}

static err_t argv_make(stdio_t *s, const snapshot_route_t *r)
{
	s->argv = arena_array(s->a, char *, r->n_command + 1);
	for (size_t i = 0; i < r->n_command; i++) {
		TRY(cstr(s->a, r->command[i], &s->argv[i]));
	}
	return OK;
}

/* Nothing of ours is in it but where programs lie and who we are at home (mcp.md W6). */
static err_t envp_make(stdio_t *s, const snapshot_route_t *r)
{
	const gateway_deps_t *d = &s->g->deps;
	const str_t defaults[][2] = {
		{ STR("PATH"), or_else(d->child_path, STR("/usr/local/bin:/usr/bin:/bin")) },
		{ STR("HOME"), or_else(d->child_home, STR("/")) },
		{ STR("LANG"), or_else(d->child_lang, STR("C.UTF-8")) },
	};
	size_t n = 0;

	s->envp = arena_array(s->a, char *, r->n_env + ARRAY_LEN(defaults) + 1);
	for (size_t i = 0; i < r->n_env; i++) { /* first: getenv finds the route's own */
		TRY(cstr(s->a, arena_cat(s->a, r->env[i].key, STR("="), r->env[i].value), &s->envp[n++]));
	}
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		bool is_given = false;
		for (size_t j = 0; j < r->n_env; j++) {
			is_given = is_given || str_eq(r->env[j].key, defaults[i][0]);
		}
		if (!is_given) {
			TRY(cstr(s->a, arena_cat(s->a, defaults[i][0], STR("="), defaults[i][1]), &s->envp[n++]));
		}
	}
	return OK;
}

static err_t route_take(stdio_t *s, const snapshot_route_t *r)
{
	char *cwd = NULL;

	arena_reset(s->a);
	s->name = arena_str(s->a, r->name);
	s->rev = r->rev;
	ENSURE(r->n_command > 0, ERR_CONFIG);
	TRY(argv_make(s, r));
	TRY(envp_make(s, r));
	if (r->cwd.n) {
		TRY(cstr(s->a, r->cwd, &cwd));
	}
	s->cwd = cwd;
	return OK;
}

/* --- initialize --------------------------------------------------------------------------------------------- */

static void on_start_late(void *arg)
{
	stdio_t *s = arg;

	log_kv(LVL_ERROR, "gateway.child_silent", kv_s("route", s->name));
	child_kill(s->child);
}

static err_t initialize_send(stdio_t *s)
{
	return child_write(s->child,
		STR("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
		    "\"capabilities\":{},\"clientInfo\":{\"name\":\"attorn-gateway\",\"version\":\"" ATTORN_VERSION "\"}}}"));
}

void stdio_initialized(stdio_t *s, const message_t *m)
{
	CHECK(s->state == STDIO_STARTING);
	if (!m->result || json_kind(m->result) != JSON_OBJECT) {
		log_kv(LVL_ERROR, "gateway.child_refuses", kv_s("route", s->name));
		child_kill(s->child);
		return;
	}
	loop_timer_stop(s->g->deps.loop, &s->timer);
	if (arena_dup(s->born, json_raw(m->result), &s->init_result) != OK
		|| child_write(s->child, STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}")) != OK) {
		child_kill(s->child);
		return;
	}
	s->state = STDIO_READY;
	log_kv(LVL_INFO, "gateway.child_ready", kv_s("route", s->name), kv_i("pid", child_pid(s->child)));
	stdio_waiting_send(s);
}

err_t stdio_init_result(const stdio_t *s, arena_t *a, str_t *out)
{
	ENSURE(s->state == STDIO_READY, ERR_UPSTREAM);
	return arena_dup(a, s->init_result, out);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static void on_line(void *owner, str_t line)
{
	stdio_line(owner, line);
}

static void on_flooded(void *owner)
{
	stdio_t *s = owner;

	log_kv(LVL_ERROR, "gateway.line_too_long", kv_s("route", s->name));
}

static void stdio_free(stdio_t *s)
{
	gateway_t *g = s->g;

	for (stdio_t **p = &g->stdio; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	loop_timer_stop(g->deps.loop, &s->timer);
	arena_free(s->a);
	arena_free(s->born);
	heap_free(s);
	gateway_closed_check(g);
}

static void pause_then_spawn(stdio_t *s)
{
	bool calm = loop_mono_us(s->g->deps.loop) - s->started_us > GATEWAY_CHILD_CALM_MS * 1000ull;
	uint32_t doubled = s->pause_ms * 2 < GATEWAY_CHILD_PAUSE_MAX_MS ? s->pause_ms * 2 : GATEWAY_CHILD_PAUSE_MAX_MS;

	s->pause_ms = calm || !s->pause_ms ? GATEWAY_CHILD_PAUSE_MIN_MS : doubled;
	s->state = STDIO_PAUSED;
	stdio_fail_waiting(s, ERR_UPSTREAM);
	loop_timer_start(s->g->deps.loop, &s->timer, s->pause_ms, stdio_spawn, s);
}

/* What it was asked and did not answer may have happened or not: the outcome says unknown. */
static void on_gone(void *owner)
{
	stdio_t *s = owner;

	s->child = NULL;
	loop_timer_stop(s->g->deps.loop, &s->timer);
	stdio_fail_all(s, ERR_UPSTREAM);
	if (s->removed) {
		stdio_fail_waiting(s, ERR_UPSTREAM);
		stdio_free(s);
		return;
	}
	if (s->renewed) {
		s->renewed = false;
		const feed_view_t *view = feed_client_pin(s->g->deps.feed);
		const snapshot_route_t *r = view ? snapshot_route(view->snapshot, s->name) : NULL;
		err_t e = r && r->kind == SNAPSHOT_MCP_STDIO ? route_take(s, r) : ERR_NOT_FOUND;
		feed_view_unref(view);
		if (e == OK) {
			stdio_spawn(s);
			return;
		}
	}
	pause_then_spawn(s);
}

static void stdio_spawn(void *arg)
{
	stdio_t *s = arg;
	const child_spec_t spec = {
		.loop = s->g->deps.loop,
		.argv = s->argv,
		.envp = s->envp,
		.cwd = s->cwd,
		.name = s->name,
		.line = on_line,
		.flooded = on_flooded,
		.gone = on_gone,
		.owner = s,
	};

	arena_reset(s->born);
	s->init_result = STR_NULL;
	s->started_us = loop_mono_us(s->g->deps.loop);
	s->strays = 0;
	if (child_start(&spec, &s->child) != OK) {
		log_kv(LVL_ERROR, "gateway.spawn_failed", kv_s("route", s->name));
		pause_then_spawn(s);
		return;
	}
	s->state = STDIO_STARTING;
	loop_timer_start(s->g->deps.loop, &s->timer, GATEWAY_CHILD_START_TIMEOUT_MS, on_start_late, s);
	if (initialize_send(s) != OK) {
		child_kill(s->child);
	}
}

static void stdio_open(gateway_t *g, const snapshot_route_t *r)
{
	stdio_t *s = heap_new(stdio_t);

	s->g = g;
	s->a = arena_new_capped(ROUTE_ARENA_BYTES_MAX);
	s->born = arena_new_capped(BORN_ARENA_BYTES_MAX);
	s->waiting_tail = &s->waiting;
	s->next = g->stdio;
	g->stdio = s;
	if (route_take(s, r) != OK) {
		log_kv(LVL_ERROR, "gateway.route_unusable", kv_s("route", r->name));
		stdio_free(s);
		return;
	}
	stdio_spawn(s);
}

static void stdio_end(stdio_t *s)
{
	if (!s->child) {
		stdio_free(s);
		return;
	}
	s->state = STDIO_ENDING;
	child_end(s->child);
}

stdio_t *stdio_find(const gateway_t *g, str_t route)
{
	for (stdio_t *s = g->stdio; s; s = s->next) {
		if (!s->removed && str_eq(s->name, route)) {
			return s;
		}
	}
	return NULL;
}

/* A new revision: the old child goes in peace, then the new one comes. */
static void stdio_renew(stdio_t *s, const snapshot_route_t *r)
{
	if (s->rev == r->rev || s->renewed) {
		return;
	}
	if (s->child) {
		s->renewed = true;
		s->state = STDIO_ENDING;
		child_end(s->child);
		return;
	}
	loop_timer_stop(s->g->deps.loop, &s->timer);
	if (route_take(s, r) == OK) {
		s->pause_ms = 0;
		stdio_spawn(s);
	}
}

void stdio_follow(gateway_t *g, const feed_view_t *view)
{
	for (stdio_t *s = g->stdio, *next; s; s = next) {
		const snapshot_route_t *r = snapshot_route(view->snapshot, s->name);
		next = s->next;
		if (!s->removed && (!r || r->kind != SNAPSHOT_MCP_STDIO)) {
			s->removed = true;
			stdio_end(s);
		}
	}
	for (size_t i = 0; i < view->snapshot->c.n_routes; i++) {
		const snapshot_route_t *r = &view->snapshot->c.routes[i];
		stdio_t *s = stdio_find(g, r->name);
		if (r->kind != SNAPSHOT_MCP_STDIO) {
			continue;
		}
		if (s) {
			stdio_renew(s, r);
		} else {
			stdio_open(g, r);
		}
	}
}

void stdio_close(gateway_t *g)
{
	for (stdio_t *s = g->stdio, *next; s; s = next) {
		next = s->next;
		s->removed = true;
		stdio_end(s);
	}
}
