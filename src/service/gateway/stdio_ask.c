/* stdio_ask.c: requests to a shared child: ids out, ids back. */
#include "service/gateway/stdio_int.h"

enum { SCRATCH_BYTES_MAX = 32 << 20 };

/* --- ids: serial and slot ------------------------------------------------------------------------------- */

static err_t slot_take(ask_op_t *k)
{
	stdio_t *s = k->s;

	for (size_t tried = 0; tried < GATEWAY_CHILD_CALLS_MAX; tried++) {
		size_t at = (s->next_slot + tried) % GATEWAY_CHILD_CALLS_MAX;
		if (s->slots[at]) {
			continue;
		}
		s->slots[at] = k;
		s->next_slot = at + 1;
		k->id = ++s->serial * GATEWAY_CHILD_CALLS_MAX + at; /* never STDIO_INIT_ID */
		return OK;
	}
	return ERR_THROTTLED;
}

static ask_op_t *slot_of(const stdio_t *s, uint64_t id)
{
	ask_op_t *k = s->slots[id % GATEWAY_CHILD_CALLS_MAX];

	return k && k->id == id ? k : NULL; /* a slot's earlier ids are nobody's */
}

static void slot_give_back(ask_op_t *k)
{
	if (k->id) {
		k->s->slots[k->id % GATEWAY_CHILD_CALLS_MAX] = NULL;
		k->id = 0;
	}
}

/* Our id out of a lexeme of theirs. */
static bool id_read(str_t lexeme, uint64_t *out)
{
	return str_to_u64(lexeme, JSON_SAFE_INT_MAX, out) == OK;
}

/* --- sending ---------------------------------------------------------------------------------------------- */

static err_t line_write(stdio_t *s, str_t text)
{
	AUTO(buf_wipe) buf_t b = { 0 };

	buf_init(&b, text.n * JSON_LINE_GROWTH + 1);
	TRY(json_line(&b, text));
	return child_write(s->child, buf_str(&b));
}

static err_t ask_send(ask_op_t *k)
{
	AUTO(buf_wipe) buf_t b = { 0 };
	const message_t *m = k->ask.request;
	char id_text[24];
	buf_t id;

	TRY(slot_take(k));
	buf_init(&id, sizeof(id_text));
	buf_printf(&id, "%llu", (unsigned long long)k->id);
	memcpy(id_text, id.p, id.n);
	str_t ours = str_bytes(id_text, id.n);
	buf_done(&id);
	message_edit_t edits[] = { { m->id, ours }, { m->progress_token, ours } };
	buf_init(&b, m->text.n + 2 * sizeof(id_text));
	err_t e = message_splice(&b, m->text, edits, m->progress_token.n ? 2 : 1);
	if (e == OK) {
		e = line_write(k->s, buf_str(&b));
	}
	if (e != OK) {
		slot_give_back(k);
	}
	return e;
}

static void ask_go(ask_op_t *k)
{
	if (!k->ask.request) {
		op_complete(&k->op, OK);
		return;
	}
	err_t e = ask_send(k);
	if (e != OK) {
		op_complete(&k->op, e);
	}
}

static void ask_start(op_t *op)
{
	ask_op_t *k = (ask_op_t *)op;
	stdio_t *s = k->s;

	if (s->state == STDIO_READY) {
		ask_go(k);
	} else if (s->removed || (s->state == STDIO_PAUSED && s->pause_ms > GATEWAY_CHILD_PATIENCE_MS)) {
		op_complete(op, ERR_UPSTREAM);
	} else {
		*s->waiting_tail = k;
		s->waiting_tail = &k->next;
	}
}

static bool waiting_remove(stdio_t *s, const ask_op_t *k)
{
	for (ask_op_t **p = &s->waiting; *p; p = &(*p)->next) {
		if (*p != k) {
			continue;
		}
		*p = k->next;
		if (!*p) {
			s->waiting_tail = p;
		}
		return true;
	}
	return false;
}

/* Cancelled, late, or the caller's grant ended: the child is told, and what it still says of this
 * request finds nobody. */
static void ask_hurry(op_t *op)
{
	ask_op_t *k = (ask_op_t *)op;
	AUTO(buf_done) buf_t b = { 0 };

	buf_init(&b, 256);
	if (!k->id) {
		if (waiting_remove(k->s, k)) {
			op_complete(op, ERR_CANCELLED);
		}
		return;
	}
	buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%llu}}",
		(unsigned long long)k->id);
	slot_give_back(k);
	if (k->s->child && child_write(k->s->child, buf_str(&b)) != OK) {
		log_kv(LVL_DEBUG, "gateway.cancel_unsent", kv_s("route", k->s->name));
	}
	op_complete(op, ERR_CANCELLED);
}

static const op_kind_t ask_kind = { .name = "stdio.ask", .start = ask_start, .hurry = ask_hurry };

op_t *stdio_ask(arena_t *a, stdio_t *s, const stdio_ask_t *ask, stdio_answer_t *out_answer)
{
	ask_op_t *k = arena_new(a, ask_op_t);

	op_init(&k->op, &ask_kind);
	k->s = s;
	k->a = a;
	k->ask = *ask;
	k->out = out_answer;
	return &k->op;
}

void stdio_waiting_send(stdio_t *s)
{
	ask_op_t *k = s->waiting;

	s->waiting = NULL;
	s->waiting_tail = &s->waiting;
	while (k) {
		ask_op_t *next = k->next;
		ask_go(k);
		k = next;
	}
}

void stdio_fail_waiting(stdio_t *s, err_t e)
{
	ask_op_t *k = s->waiting;

	s->waiting = NULL;
	s->waiting_tail = &s->waiting;
	while (k) {
		ask_op_t *next = k->next;
		op_complete(&k->op, e);
		k = next;
	}
}

void stdio_fail_all(stdio_t *s, err_t e)
{
	for (size_t i = 0; i < GATEWAY_CHILD_CALLS_MAX; i++) {
		ask_op_t *k = s->slots[i];
		if (k) {
			slot_give_back(k);
			op_complete(&k->op, e);
		}
	}
}

/* --- what the child says ------------------------------------------------------------------------------------ */

/* Nobody asked for this line. Many of them in a minute are a flood: such a child is ended. */
static void stray(stdio_t *s, const char *what)
{
	uint64_t now_us = loop_mono_us(s->g->deps.loop);

	if (now_us - s->strays_since_us > 60000000) {
		s->strays_since_us = now_us;
		s->strays = 0;
	}
	if (s->strays++ == 0) {
		log_kv(LVL_WARN, "gateway.stray_line", kv_s("route", s->name), kv_c("what", what));
	}
	if (s->strays > GATEWAY_STRAY_MAX && s->child) {
		log_kv(LVL_ERROR, "gateway.flood", kv_s("route", s->name));
		child_kill(s->child);
	}
}

static err_t response_text(ask_op_t *k, const message_t *m)
{
	AUTO(buf_wipe) buf_t b = { 0 };
	message_edit_t edit = { m->id, k->ask.request->id };

	buf_init(&b, m->text.n + GATEWAY_ID_BYTES_MAX);
	TRY(message_splice(&b, m->text, &edit, 1));
	k->out->verdict = message_verdict(m);
	return arena_dup(k->a, buf_str(&b), &k->out->text);
}

static void response_take(stdio_t *s, const message_t *m)
{
	uint64_t id = 0;

	if (!id_read(m->id, &id)) {
		stray(s, "response without an id of ours");
		return;
	}
	if (id == STDIO_INIT_ID && s->state == STDIO_STARTING) {
		stdio_initialized(s, m);
		return;
	}
	ask_op_t *k = slot_of(s, id);
	if (!k) {
		stray(s, "response to an unknown id");
		return;
	}
	slot_give_back(k);
	op_complete(&k->op, response_text(k, m) == OK ? OK : ERR_UPSTREAM);
}

static void progress_take(stdio_t *s, const message_t *m)
{
	AUTO(buf_wipe) buf_t b = { 0 };
	const json_t *token = json_get(m->params, STR("progressToken"));
	uint64_t id = 0;
	ask_op_t *k = id_read(json_raw(token), &id) ? slot_of(s, id) : NULL;

	if (!k || !k->ask.progress || !k->ask.request->progress_token.n) {
		stray(s, "progress that nobody asked for");
		return;
	}
	message_edit_t edit = { json_raw(token), k->ask.request->progress_token };
	buf_init(&b, m->text.n + GATEWAY_ID_BYTES_MAX);
	if (message_splice(&b, m->text, &edit, 1) == OK) {
		k->ask.progress(k->ask.owner, buf_str(&b));
	}
}

/* We declared no capability: the child may ping us and nothing else (mcp.md W11). */
static void request_take(stdio_t *s, const message_t *m)
{
	AUTO(buf_done) buf_t b = { 0 };

	stray(s, "request");
	buf_init(&b, 1024);
	err_t e = str_eq(m->method, STR("ping"))
		? message_result(&b, m->id, STR("{}"))
		: message_error(&b, m->id, -32601, STR("Method not found"), STR_NULL, STR_NULL);
	if (e == OK && s->child) {
		e = line_write(s, buf_str(&b));
	}
	if (e != OK) {
		log_kv(LVL_DEBUG, "gateway.answer_unsent", kv_s("route", s->name), kv_err("why", e));
	}
}

void stdio_line(stdio_t *s, str_t line)
{
	AUTO(arena_free) arena_t *scratch = arena_new_capped(SCRATCH_BYTES_MAX);
	message_t m;

	if (message_read(scratch, line, MESSAGE_FROM_UPSTREAM, &m, NULL) != OK) {
		stray(s, "no message"); /* W2: dropped */
		return;
	}
	if (m.kind == MESSAGE_RESPONSE) {
		response_take(s, &m);
	} else if (m.kind == MESSAGE_REQUEST) {
		request_take(s, &m);
	} else if (str_eq(m.method, STR("notifications/progress"))) {
		progress_take(s, &m);
	} else {
		stray(s, "notification");
	}
}
