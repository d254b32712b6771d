/* bench.h: the room for real: a loop in a thread of its own with lanes, a store on the disk the build lies
 * on, vault, ledger, feed, admit and two doors; the test is a client in another thread. */
#ifndef ATTORN_TEST_API_BENCH_H
#define ATTORN_TEST_API_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/api/api_int.h"

#define ISSUER "http://127.0.0.1:7480"
#define GATEWAY "http://127.0.0.1:7481"
#define TRUST_DOMAIN "example.test"

typedef struct bench bench_t;

/* A person or an agent with a key. */
typedef struct {
	crypto_key_t *key;
	str_t jkt, jwk, id;
} person_t;

/* One request of a test. */
typedef struct {
	const char *method, *path; /* below /api/v1, with query */
	const char *body; /* NULL: none */
	const char *verb; /* name to sign; NULL: unsigned */
	const person_t *by;
	bool tcp;
	/* what is wrong with the signature */
	const char *signed_path, *signed_body, *iss, *nonce, *content_type;
	int64_t age_s;
	arena_t *a; /* for threads of their own; NULL: the bench's */
} ask_t;

typedef struct {
	int status;
	str_t text;
	const json_t *json; /* NULL when it is none */
} told_t;

bench_t *bench_open(void);
void bench_close(bench_t *b);
arena_t *bench_arena(bench_t *b);
store_t *bench_store(bench_t *b);
const person_t *bench_operator(bench_t *b); /* role admin */
/* Makes a key pair; nobody knows it yet. */
person_t *person_new(bench_t *b);

/* contract.c: holds an answer against docs/openapi.json; finds what describes a door. */
void contract_check(str_t method, str_t path, int status, const json_t *answer);
const json_t *contract_operation(const api_door_t *door);
size_t contract_operations(void);

told_t tell(bench_t *b, const ask_t *ask);
/* The usual: signed by `by` over the admin socket. */
told_t sign(bench_t *b, const person_t *by, const char *verb, const char *method, const char *path,
	const char *body);
/* Unsigned over the admin socket. */
told_t get(bench_t *b, const char *path);
told_t post(bench_t *b, const char *path, const char *body);

/* Sends bytes to the admin socket and leaves the rest to the caller. */
int bench_dial(bench_t *b, const char *bytes);
/* Keeps the write lane busy for `ms`, `after` ms from now; what is queued meanwhile shares a transaction. */
void bench_stall(bench_t *b, unsigned after, unsigned ms);
/* A role with as many permissions as a role may have. */
const char *bench_wide_role(void);

const char *fmt(bench_t *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text member at a JSON pointer, "" when absent. */
str_t text_at(const told_t *t, const char *pointer);
int64_t number_at(const told_t *t, const char *pointer);
void assert_told(const told_t *t, int status, const char *error);
void assert_text(str_t got, const char *want);

/* Records so far, of one type (NULL: all), and the newest one of it as JSON text. */
int64_t records(bench_t *b, const char *type);
str_t newest(bench_t *b, const char *type);
int64_t snapshot_version(bench_t *b); /* of the store */
uint64_t view_version(bench_t *b); /* that decisions read */

/* A user `name` with a key and roles (JSON list), enrolled by the operator. */
person_t *user_add(bench_t *b, const char *name, const char *roles);
/* An agent with a key, owned by the operator, with these scopes (JSON list). */
person_t *agent_add(bench_t *b, const char *name, const char *scopes);
/* Route `invoices`: tools read_file (invoices:read) and drop (invoices:delete). */
void route_add(bench_t *b);

#endif
