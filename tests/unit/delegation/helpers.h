/* helpers.h: what the tests of delegation share. */
#ifndef TEST_DELEGATION_HELPERS_H
#define TEST_DELEGATION_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "domain/delegation/delegation.h"

#define ROUTE "https://gw.example/r/invoices"
#define AGENT "spiffe://td.example/agent/scout"

/* Bounds around one authorization_details array. */
#define BOUNDS_OF(details)                                                                         \
	"{\"authorization_details\":" details                                                      \
	",\"budget\":null,\"data_classes\":[\"finance\",\"pii\"],\"depth\":2,\"device\":null,"     \
	"\"environments\":[\"prod\"],\"scope\":\"invoices:read tickets:create\",\"uses\":20,"      \
	"\"window\":{\"days\":[1,2,3,4,5],\"from\":\"08:00\",\"to\":\"18:30\"}}"
#define TOOL_OF(constraints)                                                                       \
	"[{\"constraints\":" constraints ",\"server\":\"" ROUTE                                    \
	"\",\"tool\":\"read_text_file\",\"type\":\"mcp_tool_call\"}]"
#define C1(arg, kind, value) "{\"arg\":\"" arg "\",\"kind\":\"" kind "\",\"value\":" value "}"

static inline const json_t *parsed(arena_t *a, const char *text)
{
	const json_t *n;

	assert_int_equal(json_parse(a, str_of(text), NULL, &n, NULL), OK);
	return n;
}

/* The error of one tools/call of read_text_file under one constraints list. */
static inline err_t try_args(const char *items, const char *args, diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	const delegation_item_t *list;
	size_t n;
	delegation_call_t call;

	assert_int_equal(delegation_items_parse(a, str_of(items), &list, &n, NULL), OK);
	assert_int_equal(delegation_call_mcp(a, STR(AGENT), STR(ROUTE), STR("read_text_file"),
				 args ? parsed(a, args) : NULL, &call),
		OK);
	return delegation_items_permit(list, n, &call, diag);
}

#endif
