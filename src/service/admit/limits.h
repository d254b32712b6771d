/* limits.h of admit. */
#ifndef ATTORN_ADMIT_LIMITS_H
#define ATTORN_ADMIT_LIMITS_H

enum {
	ADMIT_OUTCOMES_MAX = 4096, /* a second of full load while the authority restarts */
	ADMIT_BODY_BYTES_MAX = 24 << 10, /* a record and its frame */
	ADMIT_DOCS_MAX = 256, /* grants in use at one time, kept parsed */
	ADMIT_RETRY_MIN_MS = 20,
	ADMIT_RETRY_MAX_MS = 1000,
	ADMIT_RID_BYTES = 26, /* a ULID */
	ADMIT_ID_BYTES_MAX = 256,
	ADMIT_SPACE_BYTES_MAX = 512, /* an issuer URL or a thumbprint */
	ADMIT_DOOR_BYTES_MAX = 23,
	ADMIT_DOORS_MAX = 8, /* doors of one process; more wait for the next report */
	ADMIT_BUDGETS_MAX = 1024, /* principals whose denials are counted apart */
	ADMIT_POST_TIMEOUT_MS = 10000, /* one try */
	ADMIT_ASK_MS = 5000, /* a call or a denial waits for the authority's word: it restarts within one second */
	ADMIT_REFUSALS_REPORT_MS = 5000, /* gateway to authority; the record is by the minute */
	ADMIT_SWEEP_MS = 1000, /* how often overdue attempts are looked for */
	ADMIT_SWEEP_MAX = 256,
	ADMIT_PURGE_MAX = 10000, /* spent ids forgotten per sweep: more than a second of full load spends */
	ADMIT_PURGE_MARGIN_S = 60, /* clocks of agents and gateways against ours */
	ADMIT_JUMP_BELIEVED_S = 2 * 3600, /* a wall clock that jumped ahead: no token lives longer */
	ADMIT_REFUSALS_MS = 60000,
	ADMIT_CODES_MAX = 96, /* different error names counted per door */
};

#endif
