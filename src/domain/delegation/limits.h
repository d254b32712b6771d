/* limits.h: what delegation accepts at most, each with its reason. */
#ifndef ATTORN_DELEGATION_LIMITS_H
#define ATTORN_DELEGATION_LIMITS_H

enum {
	/* documents (JCS-S, reference ledger 11.1) */
	DELEGATION_DOCUMENT_BYTES_MAX = 16 * 1024, /* JCS-S: a person can review no more */
	DELEGATION_DOCUMENT_DEPTH_MAX = 16, /* JCS-S */
	DELEGATION_RENDER_BYTES_MAX = 128 * 1024, /* every byte of a document may need four when escaped, and its words */
	DELEGATION_CLAIMS_BYTES_MAX = 16 * 1024, /* claims of one token; the token must fit a header line */

	/* bounds */
	DELEGATION_SCOPES_MAX = 256, /* scope tokens of one list; a user may hold many permissions */
	DELEGATION_SCOPE_BYTES_MAX = 8192, /* of the whole list */
	DELEGATION_ITEMS_MAX = 64, /* authorization_details of one document */
	DELEGATION_CONSTRAINTS_MAX = 32, /* of one item */
	DELEGATION_VALUES_MAX = 64, /* members of one_of, url_in, host_is */
	DELEGATION_NAMES_MAX = 32, /* data classes, environments */
	DELEGATION_NAME_BYTES_MAX = 64, /* of one of them */
	DELEGATION_USES_MAX = 1000000, /* beyond it a use limit limits nothing */
	DELEGATION_DEPTH_MAX = 4, /* actor-profile: chains of at least 4; ours: of at most 4 */

	/* strings inside */
	DELEGATION_URL_BYTES_MAX = 512, /* route URLs, URLs in constraints */
	DELEGATION_TOOL_BYTES_MAX = 128, /* MCP tool names */
	DELEGATION_METHOD_BYTES_MAX = 16,
	DELEGATION_TARGET_BYTES_MAX = 2048, /* path?query of an HTTP request */
	DELEGATION_POINTER_BYTES_MAX = 256, /* JSON pointer of a constraint */
	DELEGATION_SEGMENTS_MAX = 16, /* of one pointer */
	DELEGATION_ID_BYTES_MAX = 255, /* SPIFFE ID (2048 in the standard; our grammar needs less) */
	DELEGATION_SUBJECT_BYTES_MAX = 255,
	DELEGATION_TOKEN_ID_BYTES_MAX = 64, /* jti, txn, grant */
	DELEGATION_PATH_BYTES_MAX = 4096, /* an argument held against path_under: PATH_MAX */
	DELEGATION_STRING_BYTES_MAX = 16 * 1024, /* an argument held against `matches` */

	/* arguments of one call */
	DELEGATION_ARGS_DEPTH_MAX = 32,
	DELEGATION_ARGS_NODES_MAX = 16384, /* constraints x nodes stays below 10 ms */

	/* patterns */
	DELEGATION_PATTERN_BYTES_MAX = 256,
	DELEGATION_PATTERN_STATES_MAX = 1024, /* states x bytes is the cost of a match: 16 Mi steps at worst */
	DELEGATION_PATTERN_REPEAT_MAX = 255, /* {m,n} */
	DELEGATION_PATTERN_DEPTH_MAX = 16, /* groups in groups */

	/* evidence and times */
	DELEGATION_EVIDENCE_MAX = 8, /* of one direction */
	DELEGATION_GRANT_S_MAX = 366 * 24 * 3600, /* nobody remembers what was signed longer ago */
	DELEGATION_VERB_S_MAX = 120, /* a signed verb is sent at once */
	DELEGATION_TOKEN_S_MAX = 3600, /* delegated token (oauth 9) */
	DELEGATION_CAPABILITY_S_MAX = 120, /* capability (oauth 9) */
};

#endif
