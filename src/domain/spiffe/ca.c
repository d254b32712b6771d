/* ca.c: prepared, active, old, tainted, revoked: which step when (spiffe.md 16). No step is done here. */
#include "domain/spiffe/spiffe.h"

static const str_t names[] = {
	[SPIFFE_CA_NONE] = STR_INIT("none"),
	[SPIFFE_CA_PREPARED] = STR_INIT("prepared"),
	[SPIFFE_CA_ACTIVE] = STR_INIT("active"),
	[SPIFFE_CA_OLD] = STR_INIT("old"),
	[SPIFFE_CA_TAINTED] = STR_INIT("tainted"),
	[SPIFFE_CA_REVOKED] = STR_INIT("revoked"),
};

str_t spiffe_ca_state_name(spiffe_ca_state_t s)
{
	CHECK((size_t)s < ARRAY_LEN(names));
	return names[s];
}

MUST err_t spiffe_ca_state_read(str_t name, spiffe_ca_state_t *out)
{
	for (size_t i = SPIFFE_CA_PREPARED; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i], name)) {
			*out = (spiffe_ca_state_t)i;
			return OK;
		}
	}
	return ERR_VALUE;
}

bool spiffe_ca_in_bundle(spiffe_ca_state_t s)
{
	return s == SPIFFE_CA_PREPARED || s == SPIFFE_CA_ACTIVE || s == SPIFFE_CA_OLD || s == SPIFFE_CA_TAINTED;
}

/* --- looking --------------------------------------------------------------------------------------- */

static bool find(const spiffe_ca_key_t *keys, size_t n, spiffe_ca_state_t state, size_t *out_i)
{
	for (size_t i = 0; i < n; i++) {
		if (keys[i].state == state) {
			*out_i = i;
			return true;
		}
	}
	return false;
}

static bool alive(const spiffe_ca_key_t *k, int64_t now_unix_s)
{
	return now_unix_s < k->expires_unix_s;
}

/* The prepared key that lives longest. */
static bool find_prepared(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s, size_t *out_i)
{
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (keys[i].state != SPIFFE_CA_PREPARED || !alive(&keys[i], now_unix_s)) {
			continue;
		}
		if (!found || keys[i].expires_unix_s > keys[*out_i].expires_unix_s) {
			*out_i = i;
			found = true;
		}
	}
	return found;
}

const spiffe_ca_key_t *spiffe_ca_signing(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s)
{
	size_t i = 0;

	return find(keys, n, SPIFFE_CA_ACTIVE, &i) && alive(&keys[i], now_unix_s) ? &keys[i] : NULL;
}

/* --- steps ----------------------------------------------------------------------------------------- */

/* An expired key signs and verifies nothing; it leaves the bundle a day later. */
static bool stay_is_over(const spiffe_ca_key_t *k, int64_t now_unix_s)
{
	return now_unix_s - SPIFFE_CA_EXPIRED_STAYS_S >= k->expires_unix_s;
}

static bool may_revoke(const spiffe_ca_key_t *k, int64_t now_unix_s)
{
	bool idle = k->state == SPIFFE_CA_OLD || k->state == SPIFFE_CA_PREPARED;

	return k->state == SPIFFE_CA_TAINTED || (idle && stay_is_over(k, now_unix_s));
}

MUST err_t spiffe_ca_step_check(const spiffe_ca_key_t *keys, size_t n, size_t i, spiffe_ca_step_t step,
	int64_t now_unix_s)
{
	const spiffe_ca_key_t *k = i < n ? &keys[i] : NULL;

	if (step == SPIFFE_CA_DO_PREPARE) {
		size_t living = 0;
		for (size_t at = 0; at < n; at++) {
			living += spiffe_ca_in_bundle(keys[at].state);
		}
		return living < SPIFFE_CA_KEYS_MAX ? OK : ERR_LIMIT;
	}
	ENSURE(k, ERR_NOT_FOUND);
	switch (step) {
	case SPIFFE_CA_DO_ACTIVATE:
		return k->state == SPIFFE_CA_PREPARED && alive(k, now_unix_s) ? OK : ERR_CA_STATE;
	case SPIFFE_CA_DO_TAINT: /* the active one must be replaced first */
		return k->state == SPIFFE_CA_PREPARED || k->state == SPIFFE_CA_OLD ? OK : ERR_CA_STATE;
	case SPIFFE_CA_DO_REVOKE:
		return may_revoke(k, now_unix_s) ? OK : ERR_CA_STATE;
	case SPIFFE_CA_DO_NOTHING:
	case SPIFFE_CA_DO_PREPARE:
		break;
	}
	return ERR_CA_STATE;
}

MUST err_t spiffe_ca_step(spiffe_ca_key_t *keys, size_t n, size_t i, spiffe_ca_step_t step,
	int64_t now_unix_s)
{
	size_t active = 0;

	TRY(spiffe_ca_step_check(keys, n, i, step, now_unix_s));
	if (step == SPIFFE_CA_DO_ACTIVATE) {
		if (find(keys, n, SPIFFE_CA_ACTIVE, &active)) {
			keys[active].state = SPIFFE_CA_OLD;
		}
		keys[i].state = SPIFFE_CA_ACTIVE;
	} else if (step == SPIFFE_CA_DO_TAINT) {
		keys[i].state = SPIFFE_CA_TAINTED;
	} else if (step == SPIFFE_CA_DO_REVOKE) {
		keys[i].state = SPIFFE_CA_REVOKED;
	}
	return OK;
}

/* --- timers ---------------------------------------------------------------------------------------- */

static int64_t smaller(int64_t x, int64_t y)
{
	return x < y ? x : y;
}

/* When the successor of an active key is prepared: half the life left, at most 30 days ahead. */
static int64_t prepare_at(const spiffe_ca_key_t *k)
{
	int64_t life = k->expires_unix_s - k->made_unix_s;

	return k->expires_unix_s - smaller(life / 2, SPIFFE_CA_PREPARE_AHEAD_S_MAX);
}

/* When it takes over: one sixth left, at most 7 days. */
static int64_t activate_at(const spiffe_ca_key_t *k)
{
	int64_t life = k->expires_unix_s - k->made_unix_s;

	return k->expires_unix_s - smaller(life / 6, SPIFFE_CA_ACTIVATE_AHEAD_S_MAX);
}

static spiffe_ca_due_t due(spiffe_ca_step_t step, size_t i, int64_t at_unix_s)
{
	return (spiffe_ca_due_t){ step, i, at_unix_s };
}

/* Keys that leave the bundle because they expired a day ago; else when the next one does. */
static spiffe_ca_due_t due_cleanup(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		if (keys[i].state == SPIFFE_CA_REVOKED || keys[i].state == SPIFFE_CA_NONE ||
			keys[i].state == SPIFFE_CA_ACTIVE) {
			continue;
		}
		if (stay_is_over(&keys[i], now_unix_s)) {
			return due(SPIFFE_CA_DO_REVOKE, i, now_unix_s);
		}
		next = smaller(next, keys[i].expires_unix_s + SPIFFE_CA_EXPIRED_STAYS_S);
	}
	return due(SPIFFE_CA_DO_NOTHING, 0, next);
}

static spiffe_ca_due_t due_succession(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s)
{
	size_t active = 0, prepared = 0;
	bool have_next = find_prepared(keys, n, now_unix_s, &prepared);

	if (!find(keys, n, SPIFFE_CA_ACTIVE, &active) || !alive(&keys[active], now_unix_s)) {
		return have_next ? due(SPIFFE_CA_DO_ACTIVATE, prepared, now_unix_s)
				 : due(SPIFFE_CA_DO_PREPARE, 0, now_unix_s);
	}
	if (!have_next) {
		int64_t at = prepare_at(&keys[active]);
		return now_unix_s >= at ? due(SPIFFE_CA_DO_PREPARE, 0, now_unix_s)
					: due(SPIFFE_CA_DO_NOTHING, 0, at);
	}
	int64_t at = activate_at(&keys[active]);
	return now_unix_s >= at ? due(SPIFFE_CA_DO_ACTIVATE, prepared, now_unix_s)
				: due(SPIFFE_CA_DO_NOTHING, 0, at);
}

spiffe_ca_due_t spiffe_ca_due(const spiffe_ca_key_t *keys, size_t n, int64_t now_unix_s)
{
	spiffe_ca_due_t first = due_succession(keys, n, now_unix_s);

	if (first.step != SPIFFE_CA_DO_NOTHING) {
		return first;
	}
	spiffe_ca_due_t second = due_cleanup(keys, n, now_unix_s);
	if (second.step != SPIFFE_CA_DO_NOTHING) {
		return second;
	}
	return due(SPIFFE_CA_DO_NOTHING, 0, smaller(first.at_unix_s, second.at_unix_s));
}
