/* err.h: one result type, one error table, the two macros that hide control flow, and cleanup.
 * Owns: nothing. Threads: any. Forbidden: returning -1, errno or NULL where err_t is meant. */
#ifndef ATTORN_BASE_ERR_H
#define ATTORN_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

/* Class of an error: who has to act. CLASS_DENIED is an authorisation answer and is recorded. */
typedef enum {
	CLASS_OK = 0,
	CLASS_MALFORMED, /* the peer's bytes are wrong */
	CLASS_UNAUTHENTICATED, /* the peer did not prove who it is */
	CLASS_DENIED, /* known peer, answer is no */
	CLASS_NOT_FOUND,
	CLASS_CONFLICT,
	CLASS_LIMIT, /* a named bound was met */
	CLASS_UNAVAILABLE, /* later, or elsewhere: nothing was done */
	CLASS_INTERNAL, /* ours */
} err_class_t;

/* Codes are stable numbers only inside one build; names are stable for ever (they appear in logs,
 * records and API answers as lower case without the ERR_ prefix). */
typedef enum {
	OK = 0,
#define ERR_ROW(name, cls, http, oauth, text, fix) name,
#include "pure/base/errors.def"
#undef ERR_ROW
	ERR_COUNT_,
} err_t;

/* One row of errors.def: what an error means to everyone. All strings are static. */
typedef struct {
	const char *name; /* "audience": stable code for logs, records and JSON */
	err_class_t cls;
	int http; /* status at a door */
	const char *oauth; /* RFC 6749 5.2 error code, or "" */
	const char *text; /* public text */
	const char *fix; /* what the reader can do, or "" */
} err_info_t;

/* Returns the row of `e`; total: an out-of-range value yields the row of ERR_INTERNAL. */
const err_info_t *err_info(err_t e);

/* Finds an error by its stable name; ERR_INTERNAL when unknown. */
err_t err_by_name(const char *name);

#define MUST __attribute__((warn_unused_result))

#define TRY(e)                                                                                     \
	do {                                                                                       \
		err_t try_err_ = (e);                                                              \
		if (__builtin_expect(try_err_ != OK, 0)) {                                         \
			return try_err_;                                                           \
		}                                                                                  \
	} while (0)

#define ENSURE(cond, error)                                                                        \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0)) {                                                \
			return (error);                                                            \
		}                                                                                  \
	} while (0)

/* Our own mistake: say where and stop, in release too. No byte from a peer may trip one. */
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0)) {                                                \
			check_failed(#cond, __FILE__, __LINE__);                                   \
		}                                                                                  \
	} while (0)
_Noreturn void check_failed(const char *what, const char *file, int line);

/* AUTO(x_free) x_t *v: calls x_free(v) on every way out of the scope (x_free accepts NULL).
 * DEFINE_AUTO(x_t *, x_free) once per freeing function makes the wrapper. */
#define AUTO(fn) __attribute__((cleanup(fn##_auto_)))
#define DEFINE_AUTO(type, fn)                                                                      \
	static inline __attribute__((unused)) void fn##_auto_(type *p)                             \
	{                                                                                          \
		if (*p) {                                                                          \
			fn(*p);                                                                    \
		}                                                                                  \
	}                                                                                          \
	struct fn##_auto_needs_semicolon_
/* Moves ownership out of a variable and leaves NULL behind. */
#define TAKE(v)                                                                                    \
	({                                                                                         \
		__typeof__(v) take_ = (v);                                                         \
		(v) = NULL;                                                                        \
		take_;                                                                             \
	})

/* Checked arithmetic: the only place where numbers from outside meet. */
#define add_ok(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define sub_ok(a, b, out) (!__builtin_sub_overflow((a), (b), (out)))
#define mul_ok(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Text for a human about one failed input: bounded, with position. Never shown to a peer that did
 * not send the input. line and column start at 1; 0 means unknown. */
enum { DIAG_TEXT_BYTES = 240 };
typedef struct {
	uint32_t line, column;
	char text[DIAG_TEXT_BYTES];
} diag_t;
/* Fills `d` (may be NULL). Truncates. */
void diag_set(diag_t *d, uint32_t line, uint32_t column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
