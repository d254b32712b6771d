/* signer.c: opening, and the table of requests. A request that is not in the table does not exist; each row
 * says how long its body may be and which kinds of key it may touch. */
#include "engine/signer/signer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"

#define KIND(k) (1u << (k))
#define KINDS_ALL (KIND(SIGNER_KIND_COUNT_) - 1)

static err_t do_keys(signer_t *s, rd_t *body, skey_t *k);
static err_t do_make(signer_t *s, rd_t *body, skey_t *k);
static err_t do_drop(signer_t *s, rd_t *body, skey_t *k);
static err_t do_heads(signer_t *s, rd_t *body, skey_t *k);
static err_t do_list(signer_t *s, rd_t *body, skey_t *k);
static err_t do_raise(signer_t *s, rd_t *body, skey_t *k);
static err_t do_status(signer_t *s, rd_t *body, skey_t *k);

enum { KID = SIGNER_KID_BYTES };

/* `sign` has no handler: it waits for the flush. The ledger's key is never dropped: its log ends with it. */
static const struct {
	uint8_t op;
	bool takes_kid, dropped_too;
	size_t min, max; /* of what follows the kid */
	unsigned kinds;
	err_t (*run)(signer_t *s, rd_t *body, skey_t *k);
} requests[] = {
	{ WIRE_KEYS, false, false, 0, 0, 0, do_keys },
	{ WIRE_MAKE, false, false, 9, 9, 0, do_make },
	{ WIRE_SIGN, true, false, 8 + 1, 8 + SIGNER_MESSAGE_BYTES_MAX, KINDS_ALL, NULL },
	{ WIRE_DROP, true, false, 0, 0, KINDS_ALL & ~KIND(SIGNER_LEDGER), do_drop },
	{ WIRE_HEADS, false, false, 0, 0, 0, do_heads },
	{ WIRE_LIST, true, true, 8, 8, KINDS_ALL, do_list },
	{ WIRE_RAISE, true, false, 8, 8, KINDS_ALL, do_raise },
	{ WIRE_STATUS, false, false, 0, 0, 0, do_status },
};

skey_t *signer_key_find(signer_t *s, str_t kid)
{
	for (size_t i = s->n_keys; i-- > 0;) { /* the newest are asked for most */
		if (str_eq(str_bytes(s->keys[i]->kid, KID), kid)) {
			return s->keys[i];
		}
	}
	return NULL;
}

size_t signer_usable(const signer_t *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_keys; i++) {
		n += s->keys[i]->key != NULL;
	}
	return n;
}

/* ---- handlers: the body was measured, the key found ---- */

static err_t key_write(signer_t *s, const skey_t *k)
{
	AUTO(arena_free) arena_t *a = arena_open();
	str_t spki;

	TRY(crypto_pub_to_spki(a, &k->pub, &spki));
	wr_u8(&s->body, (uint8_t)k->kind);
	wr_u64be(&s->body, (uint64_t)k->created_s);
	buf_add(&s->body, str_of(k->kid));
	wr_u16be(&s->body, (uint16_t)spki.n);
	buf_add(&s->body, spki);
	return OK;
}

static err_t do_keys(signer_t *s, rd_t *body, skey_t *none)
{
	(void)body, (void)none;
	for (size_t i = 0; i < s->n_keys; i++) {
		if (s->keys[i]->key) {
			TRY(key_write(s, s->keys[i]));
		}
	}
	return OK;
}

static err_t do_make(signer_t *s, rd_t *body, skey_t *none)
{
	AUTO(key_free) skey_t *k = NULL;
	uint64_t created_s;
	uint8_t kind;

	(void)none;
	TRY(rd_byte(body, &kind));
	TRY(rd_u64be(body, &created_s));
	ENSURE(kind >= SIGNER_X509 && kind < SIGNER_KIND_COUNT_ && created_s <= SIGNER_NUMBER_MAX, ERR_VALUE);
	ENSURE(s->n_keys < SIGNER_KEYS_MAX && signer_usable(s) < SIGNER_KEYS_USABLE_MAX, ERR_LIMIT);
	TRY(key_make(s->dir, secret_peek(&s->kek), (signer_kind_t)kind, (int64_t)created_s, &k));
	TRY(key_write(s, k));
	s->keys[s->n_keys++] = TAKE(k);
	return OK;
}

static err_t do_drop(signer_t *s, rd_t *body, skey_t *k)
{
	(void)body;
	return key_drop(s->dir, secret_peek(&s->kek), k);
}

static err_t do_heads(signer_t *s, rd_t *body, skey_t *none)
{
	(void)body, (void)none;
	for (size_t i = 0; i < s->n_keys; i++) {
		skey_t *k = s->keys[i];
		if (k->key) {
			TRY(list_sync(&k->list));
			buf_add(&s->body, str_of(k->kid));
			wr_u64be(&s->body, k->list.count);
			wr_u64be(&s->body, k->list.highest);
			buf_add(&s->body, str_bytes(k->list.digest, sizeof(k->list.digest)));
		}
	}
	return OK;
}

static err_t do_list(signer_t *s, rd_t *body, skey_t *k)
{
	static signer_entry_t page[SIGNER_LIST_PAGE];
	list_t l = k->list;
	uint64_t from;
	size_t n = 0;

	TRY(rd_u64be(body, &from));
	if (l.fd < 0) {
		TRY(list_open(s->dir, k->kid, &l));
	}
	err_t e = list_read(&l, from, SIGNER_LIST_PAGE, page, &n);
	if (k->list.fd < 0) {
		list_close(&l);
	}
	TRY(e);
	for (size_t i = 0; i < n; i++) {
		wire_entry_write(&s->body, &page[i]);
	}
	return OK;
}

/* Before the first signature of this process, and never after: what is in flight would be refused. */
static err_t do_raise(signer_t *s, rd_t *body, skey_t *k)
{
	uint64_t floor;

	(void)s;
	TRY(rd_u64be(body, &floor));
	ENSURE(floor <= SIGNER_NUMBER_MAX, ERR_VALUE);
	ENSURE(k->signed_n == 0, ERR_CLOSED);
	number_raise(k, floor);
	return OK;
}

static err_t do_status(signer_t *s, rd_t *body, skey_t *none)
{
	(void)body, (void)none;
	wr_u8(&s->body, (uint8_t)s->kek_source);
	wr_u8(&s->body, s->seccomp);
	wr_u8(&s->body, s->landlock);
	wr_u8(&s->body, s->memory_locked);
	wr_u32be(&s->body, (uint32_t)signer_usable(s));
	return OK;
}

/* ---- answers ---- */

static void out_send(signer_t *s, signer_answer_t *answer, void *to)
{
	if (s->out.n) {
		answer(to, buf_str(&s->out));
	}
	buf_clear(&s->out);
	s->n_out = 0;
}

static void out_add(signer_t *s, uint32_t id, err_t e, str_t body, signer_answer_t *answer, void *to)
{
	if (s->out.n + WIRE_HEAD_BYTES + body.n > SIGNER_DATAGRAM_BYTES_MAX || s->n_out == SIGNER_FRAMES_MAX) {
		out_send(s, answer, to);
	}
	wire_frame_write(&s->out, id, (uint8_t)e, body);
	CHECK(buf_err(&s->out) == OK); /* a body has a page at most */
	s->n_out++;
}

/* ---- signing ---- */

static err_t sign_stage(signer_t *s, uint32_t id, skey_t *k, rd_t *body)
{
	sign_job_t *job = &s->jobs[s->n_jobs];

	CHECK(s->n_jobs < JOBS_MAX); /* frames and datagrams are counted */
	*job = (sign_job_t){ .id = id, .key = k };
	TRY(rd_u64be(body, &job->entry.number));
	TRY(rd_rest(body, SIGNER_MESSAGE_BYTES_MAX, &job->message));
	TRY(form_check(k, job->message));
	TRY(number_take(k, job->entry.number));
	crypto_sha256(job->message, job->entry.digest);
	s->n_jobs++;
	return OK;
}

/* All that waits for one key, in one write; without it none of them is signed. */
static void list_write(signer_t *s, skey_t *k)
{
	static signer_entry_t entries[JOBS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < s->n_jobs; i++) {
		if (s->jobs[i].key == k) {
			entries[n++] = s->jobs[i].entry;
		}
	}
	if (n == 0) {
		return;
	}
	SIGNER_POINT("signer.sign.before_list");
	err_t e = list_append(&k->list, entries, n);
	SIGNER_POINT("signer.sign.after_list");
	for (size_t i = 0; i < s->n_jobs && e != OK; i++) {
		if (s->jobs[i].key == k) {
			s->jobs[i].err = e;
			number_give_back(k, s->jobs[i].entry.number);
		}
	}
}

static void job_answer(signer_t *s, const sign_job_t *job, signer_answer_t *answer, void *to)
{
	uint8_t signature[CRYPTO_SIGN_BYTES_MAX];
	err_t e = job->err;

	e = e == OK ? crypto_key_sign(job->key->key, job->message, signature) : e;
	job->key->signed_n += e == OK;
	out_add(s, job->id, e, e == OK ? str_bytes(signature, SIGNER_SIGNATURE_BYTES) : STR(""), answer, to);
}

void signer_flush(signer_t *s, signer_answer_t *answer, void *to)
{
	for (size_t i = 0; i < s->n_keys && s->n_jobs; i++) {
		if (s->keys[i]->key) {
			list_write(s, s->keys[i]);
		}
	}
	for (size_t i = 0; i < s->n_jobs; i++) {
		job_answer(s, &s->jobs[i], answer, to);
	}
	s->n_jobs = 0;
	SIGNER_POINT("signer.sign.before_answer");
	out_send(s, answer, to);
}

/* ---- requests ---- */

static err_t request_run(signer_t *s, const wire_frame_t *f, signer_answer_t *answer, void *to)
{
	rd_t body = rd_of(f->body);
	skey_t *k = NULL;
	char kid[KID + 1];
	size_t row = 0;

	while (row < ARRAY_LEN(requests) && requests[row].op != f->what) {
		row++;
	}
	ENSURE(row < ARRAY_LEN(requests), ERR_METHOD);
	if (requests[row].takes_kid) {
		TRY(wire_kid_read(&body, kid));
	}
	ENSURE(rd_left(&body) >= requests[row].min && rd_left(&body) <= requests[row].max, ERR_LIMIT);
	if (requests[row].takes_kid) {
		k = signer_key_find(s, str_bytes(kid, KID));
		ENSURE(k && (k->key || requests[row].dropped_too), ERR_NOT_FOUND);
		ENSURE(requests[row].kinds & KIND(k->kind), ERR_DENIED);
	}
	if (!requests[row].run) {
		return sign_stage(s, f->id, k, &body);
	}
	signer_flush(s, answer, to); /* in order: what was asked before is on the list before its head is told */
	return requests[row].run(s, &body, k);
}

static void request_take(signer_t *s, const wire_frame_t *f, signer_answer_t *answer, void *to)
{
	size_t waiting = s->n_jobs;

	buf_clear(&s->body);
	err_t e = request_run(s, f, answer, to);
	e = e == OK ? buf_err(&s->body) : e;
	if (e == OK && s->n_jobs == waiting + 1) {
		return; /* the flush answers */
	}
	out_add(s, f->id, e, e == OK ? buf_str(&s->body) : STR(""), answer, to);
}

err_t signer_take(signer_t *s, str_t datagram, signer_answer_t *answer, void *to)
{
	rd_t r = rd_of(datagram);
	wire_frame_t f;

	ENSURE(datagram.n <= SIGNER_DATAGRAM_BYTES_MAX, ERR_LIMIT);
	if (s->n_jobs + SIGNER_FRAMES_MAX > JOBS_MAX) {
		signer_flush(s, answer, to);
	}
	for (size_t n = 0; !rd_empty(&r); n++) {
		ENSURE(n < SIGNER_FRAMES_MAX, ERR_LIMIT);
		TRY(wire_frame_read(&r, &f));
		request_take(s, &f, answer, to);
	}
	return OK;
}

void signer_ask(void *self, str_t datagram, signer_answer_t *answer, void *to)
{
	if (signer_take(self, datagram, answer, to) == OK) {
		signer_flush(self, answer, to);
	}
}

/* ---- opening ---- */

static err_t lock_wait(int dir, diag_t *diag)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000L };

	for (int waited_ms = 0; flock(dir, LOCK_EX | LOCK_NB) != 0; waited_ms += 20) {
		if (errno != EWOULDBLOCK || waited_ms >= SIGNER_LOCK_WAIT_MS) {
			diag_set(diag, 0, 0, "another signer works in this directory");
			return ERR_EXISTS;
		}
		nanosleep(&pause, NULL);
	}
	return OK;
}

static err_t dir_open(const char *path, int *out, diag_t *diag)
{
	struct stat st;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir < 0) {
		diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	*out = dir; /* the signer's from now on */
	ENSURE(fstat(dir, &st) == 0, ERR_IO);
	if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0) {
		diag_set(diag, 0, 0, "%s: must be a folder that only its owner may enter (0700)", path);
		return ERR_CONFIG;
	}
	return lock_wait(dir, diag);
}

/* The names KID.key; anything else is not ours to touch, and what a crash left half made counts for nothing. */
static bool name_is_key(const char *name, char kid[KID + 1])
{
	rd_t r = rd_of(str_of(name));

	return wire_kid_read(&r, kid) == OK && rd_lit(&r, STR(".key")) == OK && rd_empty(&r);
}

static err_t names_read(int dir, char (*kids)[KID + 1], size_t *out_n)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t n = 0;

	ENSURE(d, ERR_IO);
	while (n < SIGNER_KEYS_MAX && (entry = readdir(d)) != NULL) {
		n += name_is_key(entry->d_name, kids[n]);
	}
	closedir(d);
	*out_n = n;
	return OK;
}

/* Oldest first, so that the newest is found first. */
static void key_insert(signer_t *s, skey_t *k)
{
	size_t at = s->n_keys++;

	while (at > 0 && s->keys[at - 1]->created_s > k->created_s) {
		s->keys[at] = s->keys[at - 1];
		at--;
	}
	s->keys[at] = k;
}

static err_t keys_open(signer_t *s, char (*kids)[KID + 1], size_t n, diag_t *diag)
{
	for (size_t i = 0; i < n; i++) {
		skey_t *k;
		err_t e = key_open(s->dir, secret_peek(&s->kek), kids[i], &k);
		if (e != OK) {
			diag_set(diag, 0, 0, "the signer's key %s or its list does not open", kids[i]);
			return e;
		}
		key_insert(s, k);
	}
	return OK;
}

static err_t state_open(signer_t *s, const signer_options_t *o, char (*kids)[KID + 1], diag_t *diag)
{
	uint8_t need[KEK_ID_BYTES];
	size_t n;

	TRY(dir_open(o->dir, &s->dir, diag));
	TRY(names_read(s->dir, kids, &n));
	if (n) {
		TRY(key_file_kek_id(s->dir, kids[0], need));
	}
	TRY(kek_find(s->dir, o, n ? need : NULL, &s->kek, &s->kek_source, diag));
	return keys_open(s, kids, n, diag);
}

err_t signer_open(const signer_options_t *o, signer_t **out, diag_t *diag)
{
	AUTO(signer_free) signer_t *s = heap_new(signer_t);
	char(*kids)[KID + 1] = heap_alloc(SIGNER_KEYS_MAX * sizeof(*kids));

	s->dir = -1;
	buf_init(&s->out, SIGNER_DATAGRAM_BYTES_MAX);
	buf_init(&s->body, SIGNER_DATAGRAM_BYTES_MAX - WIRE_HEAD_BYTES);
	err_t e = state_open(s, o, kids, diag);
	heap_free(kids);
	TRY(e);
	*out = TAKE(s);
	return OK;
}

void signer_free(signer_t *s)
{
	if (!s) {
		return;
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		key_free(s->keys[i]);
	}
	secret_done(&s->kek);
	buf_done(&s->out);
	buf_done(&s->body);
	if (s->dir >= 0) {
		close(s->dir);
	}
	heap_free(s);
}
