/* store on bad days: a full disk, a sync that fails, kill -9. The system calls that SQLite uses are
 * replaced in this program; everything else is real. */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"

/* ---- the disk we control ---- */

static bool disk_full, sync_fails;
static int64_t spare_bytes; /* what a full disk still takes once enough of the reserve is gone */
static int64_t reserve_bytes_left; /* how small it must have become for that */
static char reserve[128];
static int64_t syncs;

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);
int fdatasync(int fd);
int fsync(int fd);
int posix_fallocate64(int fd, off64_t at, off64_t n);

static int64_t reserve_size(void)
{
	struct stat st;

	return stat(reserve, &st) == 0 ? (int64_t)st.st_size : 0;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	if (disk_full) {
		if (reserve_size() > reserve_bytes_left || spare_bytes < (int64_t)n) {
			errno = ENOSPC;
			return -1;
		}
		spare_bytes -= (int64_t)n;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}

static int sync_either(long number, int fd)
{
	if (sync_fails) {
		errno = EIO;
		return -1;
	}
	syncs++;
	return (int)syscall(number, fd);
}

int fdatasync(int fd) { return sync_either(SYS_fdatasync, fd); }
int fsync(int fd) { return sync_either(SYS_fsync, fd); }

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
	return disk_full ? ENOSPC : syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
}

static int faults_open(void **state)
{
	world_t *w;
	int rc;

	disk_full = sync_fails = false;
	reserve_bytes_left = 0;
	rc = world_open(state);
	w = *state;
	(void)snprintf(reserve, sizeof(reserve), "%s/reserve", w->dir);
	return rc;
}

/* ---- closures ---- */

static err_t put_run(store_txn_t *t, void *self)
{
	return store_meta_put(t, str_of(self), STR("value"));
}

typedef struct {
	arena_t *a;
	const char *name;
} get_t;

static err_t get_run(store_txn_t *t, void *self)
{
	get_t *g = self;
	str_t v;

	return store_meta_get(t, g->a, str_of(g->name), &v);
}

static err_t has(world_t *w, const char *name)
{
	get_t g = { w->a, name };

	return store_read(w->store, get_run, &g);
}

static void batch(world_t *w, const char *plain, const char *essential, err_t want_plain,
		  err_t want_essential)
{
	store_closure_t c[2] = { { .run = put_run, .self = (void *)plain },
		{ .run = put_run, .self = (void *)essential, .essential = true } };
	store_closure_t *const all[] = { &c[0], &c[1] };

	store_batch_run(w->store, all, 2);
	assert_int_equal(c[0].err, want_plain);
	assert_int_equal(c[1].err, want_essential);
}

static void a_full_disk_keeps_what_must_be_recorded(void **state)
{
	world_t *w = *state;

	assert_int_equal(access(reserve, F_OK), 0);
	batch(w, "new1", "denial1", OK, OK);
	disk_full = true;
	spare_bytes = 200 << 10;
	batch(w, "new2", "denial2", ERR_DISK_FULL, OK);
	assert_true(store_is_full(w->store));
	assert_int_not_equal(access(reserve, F_OK), 0);
	batch(w, "new3", "denial3", ERR_DISK_FULL, OK);
	assert_int_equal(has(w, "denial2"), OK);
	assert_int_equal(has(w, "denial3"), OK);
	assert_int_equal(has(w, "new2"), ERR_NOT_FOUND);
	spare_bytes = 0; /* even the reserve is used up: nothing is half done */
	batch(w, "new4", "denial4", ERR_DISK_FULL, ERR_DISK_FULL);
	assert_int_equal(has(w, "denial4"), ERR_NOT_FOUND);
	disk_full = false; /* room again: the reserve comes back first, then new actions */
	batch(w, "new5", "denial5", OK, OK);
	assert_false(store_is_full(w->store));
	assert_int_equal(access(reserve, F_OK), 0);
	world_reopen(w);
	assert_int_equal(has(w, "denial3"), OK);
	assert_int_equal(has(w, "new5"), OK);
	assert_int_equal(has(w, "new4"), ERR_NOT_FOUND);
}

/* Whoever filled the disk writes on and takes what was given: the rest is still there for the next one. */
static void a_full_disk_costs_no_more_of_the_reserve_than_needed(void **state)
{
	world_t *w = *state;
	int64_t whole = reserve_size();

	disk_full = true;
	spare_bytes = 8 << 20;
	reserve_bytes_left = whole - STORE_RESERVE_SLICE_BYTES;
	batch(w, "new1", "denial1", ERR_DISK_FULL, OK);
	assert_int_equal(reserve_size(), whole - STORE_RESERVE_SLICE_BYTES);
	reserve_bytes_left = whole - 3 * STORE_RESERVE_SLICE_BYTES; /* another has eaten two slices */
	batch(w, "new2", "denial2", ERR_DISK_FULL, OK);
	assert_int_equal(reserve_size(), whole - 3 * STORE_RESERVE_SLICE_BYTES);
	disk_full = false;
	batch(w, "new3", "denial3", OK, OK);
	assert_int_equal(reserve_size(), whole);
}

/* The whole way: start on a disk without room for the reserve. */
static void a_start_without_room_takes_only_the_essential(void **state)
{
	world_t *w = *state;

	store_close(w->store);
	assert_int_equal(unlink(reserve), 0);
	disk_full = true;
	spare_bytes = 1 << 20;
	assert_int_equal(store_open(str_of(w->path), NULL, &w->store, NULL), OK);
	assert_true(store_is_full(w->store));
	batch(w, "new1", "denial1", ERR_DISK_FULL, OK);
	disk_full = false;
	batch(w, "new2", "denial2", OK, OK);
}

static int child_result(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A process that could not sync is a process that ends: its memory and the disk may differ. */
static void a_failed_sync_ends_the_process(void **state)
{
	world_t *w = *state;
	pid_t pid;
	int status;

	store_close(w->store);
	w->store = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		diag_t diag;
		store_t *s;

		(void)freopen("/dev/null", "w", stderr);
		if (store_open(str_of(w->path), NULL, &s, &diag) != OK ||
		    store_write(s, put_run, (void *)"before") != OK) {
			_exit(2);
		}
		sync_fails = true;
		(void)!store_write(s, put_run, (void *)"after");
		_exit(3); /* reached only if the error was swallowed */
	}
	status = child_result(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(store_open(str_of(w->path), NULL, &w->store, NULL), OK);
	assert_int_equal(has(w, "before"), OK);
}

static err_t count_run(store_txn_t *t, void *self)
{
	int64_t src;

	TRY(store_source_open(t, STR("count"), &src));
	return store_source_next(t, src, self);
}

/* One disk sync for all that queued, and never none. */
static void a_batch_is_one_sync(void **state)
{
	world_t *w = *state;
	store_closure_t c[64], *all[64];
	int64_t before, n[64];

	for (int i = 0; i < 64; i++) {
		c[i] = (store_closure_t){ .run = count_run, .self = &n[i] };
		all[i] = &c[i];
	}
	store_batch_run(w->store, all, 64); /* the first one also syncs the log's header */
	before = syncs;
	for (int round = 0; round < 50; round++) {
		store_batch_run(w->store, all, 64);
	}
	assert_int_equal(syncs - before, 50);
}

/* ---- kill -9 ---- */

enum { KILL_ROUNDS = 15, KILL_BATCH = 16 };

/* Commits batches for ever; after each says on the pipe how far it came. */
static _Noreturn void killed_child(const char *path, int ack)
{
	store_closure_t c[KILL_BATCH], *all[KILL_BATCH];
	int64_t n[KILL_BATCH];
	store_t *s;

	if (store_open(str_of(path), NULL, &s, NULL) != OK) {
		_exit(2);
	}
	for (;;) {
		for (int i = 0; i < KILL_BATCH; i++) {
			c[i] = (store_closure_t){ .run = count_run, .self = &n[i] };
			all[i] = &c[i];
		}
		store_batch_run(s, all, KILL_BATCH);
		if (c[KILL_BATCH - 1].err != OK ||
		    write(ack, &n[KILL_BATCH - 1], sizeof(n[0])) != sizeof(n[0])) {
			_exit(3);
		}
	}
}

static err_t last_run(store_txn_t *t, void *self)
{
	return store_source_last(t, 1, self);
}

static void kill_9_loses_nothing_acknowledged(void **state)
{
	world_t *w = *state;
	int64_t total = 0;

	store_close(w->store);
	w->store = NULL;
	for (int round = 0; round < KILL_ROUNDS; round++) {
		int64_t acked = total, heard, stored;
		int pipe_fd[2];
		pid_t pid;

		assert_int_equal(pipe(pipe_fd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			killed_child(w->path, pipe_fd[1]);
		}
		assert_int_equal(close(pipe_fd[1]), 0);
		for (int i = 0; i < 5 + 7 * round; i++) { /* at another moment each time */
			assert_int_equal(read(pipe_fd[0], &acked, sizeof(acked)), sizeof(acked));
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_true(WIFSIGNALED(child_result(pid)));
		while (read(pipe_fd[0], &heard, sizeof(heard)) == sizeof(heard)) {
			acked = heard;
		}
		assert_int_equal(close(pipe_fd[0]), 0);
		assert_int_equal(store_open(str_of(w->path), NULL, &w->store, NULL), OK);
		assert_int_equal(store_read(w->store, last_run, &stored), OK);
		assert_true(stored >= acked); /* nothing acknowledged is lost */
		assert_true(stored <= acked + KILL_BATCH); /* and no more than one batch was on its way */
		assert_int_equal(stored % KILL_BATCH, 0); /* a batch is whole or not at all */
		store_close(w->store);
		w->store = NULL;
		total = stored;
	}
	print_message("%d kills, %lld commits\n", KILL_ROUNDS, (long long)(total / KILL_BATCH));
	assert_int_equal(store_open(str_of(w->path), NULL, &w->store, NULL), OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, faults_open, world_close)
	const struct CMUnitTest tests[] = {
		T(a_full_disk_keeps_what_must_be_recorded), T(a_full_disk_costs_no_more_of_the_reserve_than_needed),
		T(a_start_without_room_takes_only_the_essential),
		T(a_failed_sync_ends_the_process), T(a_batch_is_one_sync), T(kill_9_loses_nothing_acknowledged),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
