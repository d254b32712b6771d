/* limits.h: named bounds of flow, with reasons. */
#ifndef ATTORN_FLOW_LIMITS_H
#define ATTORN_FLOW_LIMITS_H

enum {
	FLOW_ROWS_MAX = 16, /* STYLE 4.1: more than twelve are two flows; four to spare */
	FLOW_TURNS_MAX = 256, /* rows run in one flow: skips back are bounded */
	FLOW_NOTES_MAX = 8, /* pairs on the line that ends a flow */
	FLOW_TABLES_MAX = 32, /* kinds of flows in one process */
	FLOW_IDS_MAX = 1 << 16, /* live flows and signals: ten thousand held streams and room */
	FLOW_LAST_WORD_MS = 10000, /* what a row that sees failure may take to put an outcome on record */
	FLOW_STEP_SLOW_US = 1000, /* the watchdog names slower steps (F2) */

	OP_GATHER_MAX = 16, /* parallel waits of one flow: keys of a few issuers, parts of a page */

	LANE_BATCH_MAX = 256, /* jobs in one transaction: bounds what one failed commit takes along */
	LANE_THREADS_MAX = 16,
	LANE_QUEUE_MAX = 1 << 16,
	LANE_PATIENCE_MS = 5, /* a patient job waits no longer for one to share a disk sync with */
	LANE_STACK_BYTES = 8 << 20, /* policy evaluation needs 4 MiB */

	LOG_LINE_BYTES_MAX = 4096, /* PIPE_BUF: one write is one line */
	LOG_VALUE_BYTES_MAX = 512,
};

#endif
