/* log.h: one line per event on stderr, key=value, that no outsider can forge: a value with anything
 * but plain characters is quoted and every control, quote and non-ASCII byte is escaped (oauth P73).
 *     log_kv(LVL_INFO, "admit", kv_s("agent", agent), kv_u("us", us), kv_err("result", err));
 * Owns: nothing; a line is built on the stack and leaves by one write(2). Threads: any.
 * Limits: LOG_LINE_BYTES_MAX, LOG_VALUE_BYTES_MAX, longer ones are cut and marked "...".
 * Forbidden: secrets, tokens and request bodies as values; keys that are not literals. */
#ifndef ATTORN_FLOW_LOG_H
#define ATTORN_FLOW_LOG_H

#include "pure/base/base.h"

typedef enum { LVL_DEBUG, LVL_INFO, LVL_WARN, LVL_ERROR } log_level_t;

typedef struct {
	const char *key; /* a literal */
	bool is_number, is_negative;
	uint64_t number;
	str_t text;
} log_pair_t;

static inline log_pair_t kv_s(const char *key, str_t v) { return (log_pair_t){ .key = key, .text = v }; }
static inline log_pair_t kv_c(const char *key, const char *v) { return kv_s(key, str_of(v)); }
static inline log_pair_t kv_u(const char *key, uint64_t v)
{
	return (log_pair_t){ .key = key, .is_number = true, .number = v };
}
static inline log_pair_t kv_i(const char *key, int64_t v)
{
	return (log_pair_t){ .key = key, .is_number = true, .is_negative = v < 0,
		.number = v < 0 ? 0 - (uint64_t)v : (uint64_t)v };
}
/* The stable name of an error, "ok" for OK. */
static inline log_pair_t kv_err(const char *key, err_t e)
{
	return kv_c(key, e == OK ? "ok" : err_info(e)->name);
}

/* Writes `ts=... level=... event=... key=value ...` and a newline; drops lines below the level set. */
#define log_kv(level, event, ...)                                                                  \
	log_line((level), (event), (const log_pair_t[]){ { 0 }, ##__VA_ARGS__ },                   \
		ARRAY_LEN(((const log_pair_t[]){ { 0 }, ##__VA_ARGS__ })))
/* What log_kv calls; pairs without a key are skipped. */
void log_line(log_level_t level, const char *event, const log_pair_t *pairs, size_t n);
/* Appends ` key=value`, escaped, to `b`; for tests and for answers that quote a log line. */
void log_pair_add(buf_t *b, const log_pair_t *pair);

/* Set once by main (tests: by the harness): lowest level written, file descriptor (2 at first). */
void log_setup(log_level_t lowest, int fd);

#endif
