/* signer_int.h: what the files of the process half share. */
#ifndef ATTORN_SIGNER_INT_H
#define ATTORN_SIGNER_INT_H

#include "engine/signer/signer.h"
#include "engine/signer/wire.h"
#include "pure/codec/codec.h"
#include "pure/crypto/crypto.h"

/* ---- list.c: one append-only file per key ---- */
typedef struct {
	int fd; /* -1: not open */
	uint64_t count, highest;
	uint8_t digest[CRYPTO_SHA256_BYTES];
	uint64_t reserved_bytes;
	bool unsynced;
} list_t;
/* Makes the list of a new key, durable. */
MUST err_t list_make(int dir, const char *kid, list_t *out);
/* Opens, drops a torn tail, finds the end. ERR_IO; ERR_LEDGER_DAMAGED when it is not a list of ours. */
MUST err_t list_open(int dir, const char *kid, list_t *out);
void list_close(list_t *l);
/* Appends all or nothing; not yet synced to disk. ERR_DISK_FULL, ERR_IO. */
MUST err_t list_append(list_t *l, const signer_entry_t *entries, size_t n);
MUST err_t list_sync(list_t *l);
/* Up to `max` entries from position `from`. */
MUST err_t list_read(const list_t *l, uint64_t from, size_t max, signer_entry_t *out, size_t *out_n);

/* ---- key.c: one sealed file per key ---- */
typedef struct {
	signer_kind_t kind;
	int64_t created_s;
	char kid[SIGNER_KID_BYTES + 1];
	crypto_pub_t pub;
	crypto_key_t *key; /* NULL: dropped */
	list_t list;
	/* numbers: none up to `floor`; of the window below `top` those whose bit is clear */
	uint64_t floor, top;
	uint64_t seen[SIGNER_NUMBER_WINDOW / 64];
	uint64_t signed_n; /* in this process */
	char header[192]; /* last JWS header that passed, encoded: they do not change */
	size_t header_n;
} skey_t;
enum { KEK_ID_BYTES = 8 };
/* The id of a KEK, as it stands in each file sealed under it. */
void key_kek_id(str_t kek, uint8_t out[KEK_ID_BYTES]);
MUST err_t key_make(int dir, str_t kek, signer_kind_t kind, int64_t created_s, skey_t **out);
MUST err_t key_open(int dir, str_t kek, const char *kid, skey_t **out);
/* Reads the id of the KEK that a key file needs. */
MUST err_t key_file_kek_id(int dir, const char *kid, uint8_t out[KEK_ID_BYTES]);
MUST err_t key_drop(int dir, str_t kek, skey_t *k);
void key_free(skey_t *k);
DEFINE_AUTO(skey_t *, key_free);

/* ---- number.c ---- */
void number_begin(skey_t *k); /* from its list */
void number_raise(skey_t *k, uint64_t floor);
/* Marks it as used; ERR_REPLAY. */
MUST err_t number_take(skey_t *k, uint64_t n);
void number_give_back(skey_t *k, uint64_t n);

/* ---- form.c ---- */
/* ERR_VALUE unless the message is what a key of this kind signs. */
MUST err_t form_check(skey_t *k, str_t message);

/* ---- kek.c ---- */
/* `need`: id of the KEK that the keys ask for, NULL on an empty directory. */
MUST err_t kek_find(int dir, const signer_options_t *o, const uint8_t *need, secret_t *out,
	signer_kek_t *out_source, diag_t *diag);

/* ---- file.c: small files of the directory ---- */
MUST err_t file_read(int dir, const char *name, size_t max, secret_t *out);
/* Writes to a temporary name, syncs, renames, syncs the directory. */
MUST err_t file_replace(int dir, const char *name, str_t bytes);
err_t file_error(void); /* of errno */

typedef struct {
	uint32_t id;
	skey_t *key;
	str_t message; /* in the datagram */
	signer_entry_t entry;
	err_t err;
} sign_job_t;
enum { JOBS_MAX = SIGNER_FRAMES_MAX * SIGNER_DATAGRAMS_AT_ONCE };

struct signer {
	int dir;
	secret_t kek;
	signer_kek_t kek_source;
	bool seccomp, landlock, memory_locked;
	skey_t *keys[SIGNER_KEYS_MAX];
	size_t n_keys;
	sign_job_t jobs[JOBS_MAX];
	size_t n_jobs;
	buf_t out; /* answers that wait to go */
	size_t n_out;
	buf_t body; /* of the answer being made */
};
skey_t *signer_key_find(signer_t *s, str_t kid);
size_t signer_usable(const signer_t *s);

#ifdef ATTORN_TEST_HOOKS
void signer_point(const char *name); /* see engine/flow/point.h: the same, without flow */
#define SIGNER_POINT(name) signer_point(name)
#else
#define SIGNER_POINT(name) ((void)0)
#endif

#endif
