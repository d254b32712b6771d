/* direction.c: what started the run, who chose the action, how sure we are of the caller. */
#include "domain/delegation/int.h"

static const str_t init_names[] = { STR_INIT("unknown"), STR_INIT("agent"), STR_INIT("event"),
	STR_INIT("schedule"), STR_INIT("human") };
static const str_t sel_names[] = { STR_INIT("unknown"), STR_INIT("agent_within_grant"),
	STR_INIT("human_approved"), STR_INIT("human_specified") };
static const str_t ev_names[] = { STR_INIT("instruction"), STR_INIT("approval"), STR_INIT("grant"),
	STR_INIT("trigger") };
static const str_t assurance_names[] = { STR_INIT("shared-uid"), STR_INIT("bearer"), STR_INIT("key"),
	STR_INIT("attested") };

static err_t name_parse(const str_t *names, size_t n, str_t name, unsigned *out)
{
	for (unsigned i = 0; i < n; i++) {
		if (str_eq(names[i], name)) {
			*out = i;
			return OK;
		}
	}
	return ERR_VALUE;
}

str_t delegation_init_name(delegation_init_t init)
{
	CHECK((size_t)init < ARRAY_LEN(init_names));
	return init_names[init];
}

str_t delegation_sel_name(delegation_sel_t sel)
{
	CHECK((size_t)sel < ARRAY_LEN(sel_names));
	return sel_names[sel];
}

str_t delegation_assurance_name(delegation_assurance_t x)
{
	CHECK((size_t)x < ARRAY_LEN(assurance_names));
	return assurance_names[x];
}

err_t delegation_assurance_parse(str_t name, delegation_assurance_t *out)
{
	unsigned i;

	TRY(name_parse(assurance_names, ARRAY_LEN(assurance_names), name, &i));
	*out = (delegation_assurance_t)i;
	return OK;
}

delegation_assurance_t delegation_assurance_min(delegation_assurance_t x, delegation_assurance_t y)
{
	return x < y ? x : y;
}

void delegation_direction_of_grant(str_t grant_id, str_t iss, int64_t iat, bool is_admin_made,
	delegation_direction_t *out)
{
	*out = (delegation_direction_t){
		.init = DELEGATION_INIT_UNKNOWN,
		.sel = is_admin_made ? DELEGATION_SEL_UNKNOWN : DELEGATION_SEL_AGENT_WITHIN_GRANT,
		.n_ev = 1,
		.ev = { { .t = DELEGATION_EV_GRANT, .iss = iss, .id = grant_id, .iat = iat } },
		.by = iss,
	};
}

void delegation_direction_autonomous(str_t iss, delegation_init_t init, delegation_direction_t *out)
{
	CHECK(init != DELEGATION_INIT_HUMAN); /* an autonomous run was started by nobody (P82) */
	*out = (delegation_direction_t){ .init = init, .sel = DELEGATION_SEL_UNKNOWN, .by = iss };
}

void delegation_direction_next(const delegation_direction_t *parent, delegation_sel_t sel,
	delegation_direction_t *out)
{
	delegation_direction_t next = *parent;

	next.sel = sel < parent->sel ? sel : parent->sel;
	*out = next;
}

err_t delegation_direction_approve(const delegation_direction_t *parent, const delegation_ev_t *approval,
	const uint8_t approved_digest[32], const uint8_t action_digest[32],
	delegation_direction_t *out)
{
	delegation_direction_t next = *parent;

	ENSURE(ct_eq(approved_digest, action_digest, 32), ERR_ACTION);
	ENSURE(approval->t == DELEGATION_EV_APPROVAL, ERR_VALUE);
	ENSURE(next.n_ev < DELEGATION_EVIDENCE_MAX, ERR_LIMIT);
	next.ev[next.n_ev++] = *approval;
	if (next.sel < DELEGATION_SEL_HUMAN_APPROVED) {
		next.sel = DELEGATION_SEL_HUMAN_APPROVED;
	}
	*out = next;
	return OK;
}

static bool ev_eq(const delegation_ev_t *x, const delegation_ev_t *y)
{
	return x->t == y->t && x->iat == y->iat && str_eq(x->iss, y->iss) && str_eq(x->id, y->id)
		&& str_eq(x->h, y->h);
}

err_t delegation_direction_check(const delegation_direction_t *parent,
	const delegation_direction_t *child)
{
	ENSURE(child->init == parent->init && child->sel <= parent->sel, ERR_BOUNDS);
	ENSURE(str_eq(child->by, parent->by), ERR_BOUNDS);
	ENSURE(child->n_ev >= parent->n_ev, ERR_BOUNDS);
	for (size_t i = 0; i < parent->n_ev; i++) {
		ENSURE(ev_eq(&parent->ev[i], &child->ev[i]), ERR_BOUNDS);
	}
	return OK;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void ev_emit(jw_t *w, const delegation_ev_t *ev)
{
	jw_object(w);
	if (ev->h.n > 0) {
		jw_kstr(w, "h", ev->h);
	} else {
		jw_knull(w, "h");
	}
	jw_ki64(w, "iat", ev->iat);
	jw_kstr(w, "id", ev->id);
	jw_kstr(w, "iss", ev->iss);
	jw_kstr(w, "t", ev_names[ev->t]);
	jw_end(w);
}

void direction_emit(jw_t *w, const delegation_direction_t *d)
{
	jw_object(w);
	jw_kstr(w, "by", d->by);
	jw_karray(w, "ev");
	for (size_t i = 0; i < d->n_ev; i++) {
		ev_emit(w, &d->ev[i]);
	}
	jw_end(w);
	jw_kstr(w, "init", init_names[d->init]);
	jw_kstr(w, "sel", sel_names[d->sel]);
	jw_end(w);
}

static err_t ev_parse(const json_t *node, delegation_ev_t *out, diag_t *diag)
{
	delegation_ev_t ev = { 0 };
	uint8_t hash[32];
	str_t t;
	unsigned kind;

	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("h"), STR("iat"), STR("id"), STR("iss"), STR("t")));
	if (!json_is_null(json_get(node, STR("h")))) {
		TRY(json_need_str(node, STR("h"), 64, &ev.h));
		TRY(b64url_dec_exact(ev.h, hash, sizeof(hash)));
	}
	TRY(json_need_i64(node, STR("iat"), &ev.iat));
	TRY(json_need_str(node, STR("id"), DELEGATION_TOKEN_ID_BYTES_MAX, &ev.id));
	TRY(json_need_str(node, STR("iss"), DELEGATION_URL_BYTES_MAX, &ev.iss));
	TRY(json_need_str(node, STR("t"), DELEGATION_NAME_BYTES_MAX, &t));
	TRY(name_parse(ev_names, ARRAY_LEN(ev_names), t, &kind));
	ev.t = (delegation_ev_kind_t)kind;
	*out = ev;
	return OK;
}

static err_t evidence_parse(const json_t *node, delegation_direction_t *d, diag_t *diag)
{
	const json_t *list;

	TRY(json_need_arr(node, STR("ev"), DELEGATION_EVIDENCE_MAX, &list));
	for (const json_t *e = json_first(list); e; e = json_next(e)) {
		TRY(ev_parse(e, &d->ev[d->n_ev], diag));
		d->n_ev++;
	}
	return OK;
}

err_t direction_from_node(const json_t *node, delegation_direction_t *out, diag_t *diag)
{
	delegation_direction_t d = { 0 };
	str_t name;
	unsigned i;

	ENSURE(node != NULL, ERR_MISSING_MEMBER);
	ENSURE(json_kind(node) == JSON_OBJECT, ERR_VALUE);
	TRY(JSON_ONLY(node, diag, STR("by"), STR("ev"), STR("init"), STR("sel")));
	TRY(json_need_str(node, STR("by"), DELEGATION_URL_BYTES_MAX, &d.by));
	TRY(json_need_str(node, STR("init"), DELEGATION_NAME_BYTES_MAX, &name));
	TRY(name_parse(init_names, ARRAY_LEN(init_names), name, &i));
	d.init = (delegation_init_t)i;
	TRY(json_need_str(node, STR("sel"), DELEGATION_NAME_BYTES_MAX, &name));
	TRY(name_parse(sel_names, ARRAY_LEN(sel_names), name, &i));
	d.sel = (delegation_sel_t)i;
	TRY(evidence_parse(node, &d, diag));
	*out = d;
	return OK;
}
