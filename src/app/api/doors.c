/* doors.c: everything the admin API answers to: docs/openapi.json describes each row, and a test says that
 * neither has one the other lacks. */
#include "app/api/api_int.h"

#define GET(path_, name, flags_)                                                                   \
	{ .method = STR_INIT("GET"), .path = STR_INIT(path_), .verb = STR_INIT("read"),            \
		.flags = API_READ | (flags_), .parse = api_##name##_parse, .run = api_##name##_run }
#define LIST(path_, name, flags_)                                                                  \
	{ .method = STR_INIT("GET"), .path = STR_INIT(path_), .verb = STR_INIT("read"),            \
		.flags = API_READ | (flags_), .parse = api_list_parse, .run = api_##name##_run }
#define VERB(method_, path_, verb_, name, flags_)                                                  \
	{ .method = STR_INIT(method_), .path = STR_INIT(path_), .verb = STR_INIT(verb_),           \
		.flags = (flags_), .body_max = API_BODY_BYTES_MAX, .parse = api_##name##_parse,    \
		.run = api_##name##_run }

static const api_door_t doors[] = {
	LIST("/agents", agent_list, API_ANYONE),
	VERB("POST", "/agents", "agent.register", agent_register, API_WIDENS | API_ENROLS),
	GET("/agents/{}", agent_get, API_ANYONE),
	VERB("PUT", "/agents/{}", "agent.update", agent_update, API_WIDENS),
	VERB("POST", "/agents/{}/state", "agent.state", agent_state, API_ESSENTIAL),
	VERB("POST", "/agents/{}/keys", "agent.key.add", agent_key_add, API_WIDENS | API_ENROLS),
	VERB("POST", "/agents/{}/keys/{}/state", "agent.key.state", agent_key_state, API_ESSENTIAL),
	VERB("PUT", "/agents/{}/entries", "agent.entries", agent_entries, API_WIDENS),

	LIST("/users", user_list, API_ANYONE),
	VERB("POST", "/users", "user.add", user_add, API_WIDENS | API_ENROLS),
	GET("/users/{}", user_get, API_ANYONE),
	VERB("POST", "/users/{}/keys", "user.key.add", user_key_add, API_WIDENS | API_ENROLS),
	VERB("POST", "/users/{}/keys/{}/state", "user.key.state", user_key_state, API_ESSENTIAL),
	VERB("POST", "/users/{}/roles", "user.roles", user_roles, API_WIDENS),
	VERB("POST", "/users/{}/state", "user.state", user_state, API_ESSENTIAL),

	LIST("/roles", role_list, 0),
	VERB("PUT", "/roles/{}", "role.put", role_put, API_WIDENS),

	LIST("/routes", route_list, API_ANYONE),
	GET("/routes/{}", route_get, API_ANYONE),
	{ STR_INIT("PUT"), STR_INIT("/routes/{}"), STR_INIT("route.put"), API_WIDENS, API_ROUTE_BYTES_MAX,
		api_route_put_parse, NULL, api_route_put_run, NULL },
	{ STR_INIT("DELETE"), STR_INIT("/routes/{}"), STR_INIT("route.remove"), 0, 0, api_route_remove_parse, NULL,
		api_route_remove_run, NULL },

	LIST("/secrets", secret_list, 0),
	VERB("PUT", "/secrets/{}", "secret.put", secret_put, API_WIDENS),
	{ STR_INIT("DELETE"), STR_INIT("/secrets/{}"), STR_INIT("secret.remove"), 0, 0, api_secret_remove_parse, NULL,
		api_secret_remove_run, NULL },

	GET("/policy", policy_get, API_ANYONE),
	{ STR_INIT("POST"), STR_INIT("/policy"), STR_INIT("policy.push"), API_WIDENS, API_POLICY_BYTES_MAX,
		api_policy_push_parse, api_policy_push_prepare, api_policy_push_run, NULL },
	{ STR_INIT("POST"), STR_INIT("/policy/check"), STR_INIT("policy.check"), API_READ | API_ANYONE,
		API_POLICY_BYTES_MAX, api_policy_check_parse, api_policy_check_prepare, api_policy_check_run, NULL },

	GET("/grants", grant_list, API_ANYONE),
	{ STR_INIT("POST"), STR_INIT("/grants"), STR_INIT("grant.create"), API_SELF_SIGNED, API_BODY_BYTES_MAX,
		api_grant_create_parse, api_grant_create_prepare, api_grant_create_run, NULL },
	GET("/grants/{}", grant_get, API_ANYONE),
	VERB("POST", "/grants/{}/revoke", "grant.revoke", grant_revoke, API_ESSENTIAL | API_TIMED),

	GET("/explain/{}", explain, API_ANYONE),
	GET("/status", status, API_ANYONE),
	GET("/ledger/head", ledger_head, API_ANYONE),
	{ STR_INIT("GET"), STR_INIT("/ledger/export"), STR_INIT("read"), API_READ, 0, api_ledger_export_parse, NULL, NULL,
		api_ledger_export_stream },
	{ STR_INIT("POST"), STR_INIT("/ledger/verify"), STR_INIT("read"), API_READ, 0, api_ledger_verify_parse, NULL,
		api_ledger_verify_run, NULL },
	{ STR_INIT("GET"), STR_INIT("/openapi.json"), STR_INIT("read"), API_READ | API_PUBLIC, 0, NULL, NULL,
		api_openapi_run, NULL },
};

size_t api_doors(const api_door_t **out)
{
	*out = doors;
	return ARRAY_LEN(doors);
}
