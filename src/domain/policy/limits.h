/* limits.h: the bounds of policy. Those of policy text (256 KiB a file, nesting 64, ...) are enforced
 * where it is parsed: rust/policy-ffi/src/{scan,compile,eval}.rs. */
#ifndef ATTORN_POLICY_LIMITS_H
#define ATTORN_POLICY_LIMITS_H

enum {
	POLICY_FILES_MAX = 256, /* a directory that somebody reviews */
	POLICY_REPORT_BYTES_MAX = 8 << 10, /* nobody reads more of a broken bundle at once */
	POLICY_RULES_MAX = 16, /* rule ids told and recorded for one decision */
	POLICY_ID_BYTES_MAX = 1024, /* SPIFFE id, "ROUTE/TOOL" */
	POLICY_WORD_BYTES_MAX = 256, /* role, data class, scope */
	POLICY_ROLES_MAX = 64, /* of one agent or user; as in the snapshot */
	POLICY_SCOPES_MAX = 256, /* of one list: permissions of several roles together */
	POLICY_DATA_CLASSES_MAX = 32,
	POLICY_ARGS_MAX = 1024, /* arguments of one call, list elements included: cost of a decision */
	POLICY_ARGS_DEPTH_MAX = 16, /* nested objects: a rule names each level */
	POLICY_ARG_KEY_BYTES_MAX = 512, /* flattened name */
	POLICY_ARG_BYTES_MAX = 64 << 10, /* one text: longer ones stall `like` */
};

#endif
