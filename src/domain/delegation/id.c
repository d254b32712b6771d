/* id.c: the grammar of our names. The SPIFFE rules at large are domain/spiffe's; these are the IDs that
 * an authority hands out itself. */
#include "domain/delegation/int.h"

enum { NAME_BYTES_MAX = 63, TD_BYTES_MAX = 255, UUID_BYTES = 36 };

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name_byte(char c)
{
	return is_lower_alnum(c) || c == '.' || c == '_' || c == '-';
}

err_t delegation_name_check(str_t name)
{
	ENSURE(name.n >= 1 && name.n <= NAME_BYTES_MAX && is_lower_alnum(name.p[0]), ERR_VALUE);
	for (size_t i = 0; i < name.n; i++) {
		ENSURE(is_name_byte(name.p[i]), ERR_VALUE);
	}
	return OK;
}

static err_t trust_domain_check(str_t td)
{
	ENSURE(td.n >= 1 && td.n <= TD_BYTES_MAX, ERR_VALUE);
	for (size_t i = 0; i < td.n; i++) {
		ENSURE(is_name_byte(td.p[i]), ERR_VALUE);
	}
	return OK;
}

static err_t path_parse(str_t path, delegation_id_kind_t *out_kind, str_t *out_name)
{
	str_t rest = path, word;

	ENSURE(str_split(&rest, '/', &word), ERR_VALUE);
	if (str_eq(word, STR("attorn"))) {
		TRY(path_check(path));
		*out_kind = DELEGATION_INFRASTRUCTURE;
		*out_name = rest;
		return rest.n > 0 ? OK : ERR_VALUE;
	}
	ENSURE(str_eq(word, STR("agent")) || str_eq(word, STR("auto")), ERR_VALUE);
	TRY(delegation_name_check(rest)); /* no further '/' */
	*out_kind = str_eq(word, STR("agent")) ? DELEGATION_AGENT_DELEGATED : DELEGATION_AGENT_AUTONOMOUS;
	*out_name = rest;
	return OK;
}

err_t delegation_id_parse(str_t id, delegation_id_kind_t *out_kind, str_t *out_td, str_t *out_name)
{
	delegation_id_kind_t kind;
	str_t rest, td, name;

	ENSURE(id.n <= DELEGATION_ID_BYTES_MAX && str_is_visible(id), ERR_VALUE);
	ENSURE(str_starts(id, STR("spiffe://")), ERR_VALUE);
	rest = str_sub(id, sizeof("spiffe://") - 1, id.n);
	ENSURE(str_split(&rest, '/', &td) && rest.p != NULL, ERR_VALUE);
	TRY(trust_domain_check(td));
	TRY(path_parse(rest, &kind, &name));
	*out_kind = kind;
	*out_td = td;
	*out_name = name;
	return OK;
}

err_t delegation_agent_id_check(str_t id, str_t td)
{
	delegation_id_kind_t kind;
	str_t found, name;

	TRY(delegation_id_parse(id, &kind, &found, &name));
	ENSURE(kind != DELEGATION_INFRASTRUCTURE && str_eq(found, td), ERR_VALUE);
	return OK;
}

str_t delegation_agent_id(arena_t *a, str_t td, delegation_id_kind_t kind, str_t name)
{
	CHECK(kind != DELEGATION_INFRASTRUCTURE);
	return arena_cat(a, STR("spiffe://"), td,
		kind == DELEGATION_AGENT_DELEGATED ? STR("/agent/") : STR("/auto/"), name);
}

err_t delegation_user_id_check(str_t id)
{
	ENSURE(id.n == 2 + UUID_BYTES && str_starts(id, STR("u:")), ERR_VALUE);
	for (size_t i = 0; i < UUID_BYTES; i++) {
		char c = id.p[2 + i];
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		ENSURE(is_dash ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'), ERR_VALUE);
	}
	return OK;
}

err_t thumbprint_check(str_t jkt)
{
	uint8_t raw[32];

	ENSURE(b64url_dec_exact(jkt, raw, sizeof(raw)) == OK, ERR_VALUE);
	return OK;
}
