/* sandbox.c: what the process gives up before it serves. The system calls are those that requests need, and
 * anything else kills it; Landlock, where the kernel has it, leaves it one directory. Both say what they say
 * about this program and not about a kernel with holes. */
#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"

/* ---- Landlock ---- */

/* Rights of the first version (Linux 5.13); what a kernel does not know it does not handle. */
#define READ_WRITE                                                                                            \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |         \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define ALL_RIGHTS                                                                                            \
	(READ_WRITE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |          \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static bool landlock_enter(int dir)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = ALL_RIGHTS };
	struct landlock_path_beneath_attr ours = { .allowed_access = READ_WRITE, .parent_fd = dir };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (rules < 0) {
		return false;
	}
	bool ok = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &ours, 0) == 0 &&
		syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	close(rules);
	return ok;
}

/* ---- seccomp ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HAVE_SECCOMP = 0 }; /* the sanitizers' own calls would kill it */
#else
enum { HAVE_SECCOMP = 1 };
#endif

/* Socket; files below the directory; memory; the C library's own. No socket(), connect(), execve(), fork. */
static const int allowed[] = {
	SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(ppoll), SCMP_SYS(poll),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(renameat), SCMP_SYS(close),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(tgkill),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
#ifdef ATTORN_TEST_HOOKS
	SCMP_SYS(unlink), SCMP_SYS(kill),
#endif
};

static bool rules_add(scmp_filter_ctx filter, int dir)
{
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
	}
	/* memory that is written is never run */
	ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
	ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
	return ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)dir)) == 0;
}

static bool seccomp_enter(int dir)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool ok = filter && rules_add(filter, dir) && seccomp_load(filter) == 0;

	if (filter) {
		seccomp_release(filter);
	}
	return ok;
}

/* ---- all of it ---- */

/* The secrets' slab is locked since it was made; this adds what the libraries copy. It needs a limit that
 * an ordinary user may not have, and its absence is told, not fatal. */
static bool memory_lock(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (limit.rlim_cur != RLIM_INFINITY && geteuid() != 0)) {
		return false;
	}
	return mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
}

err_t signer_lock_down(signer_t *s, diag_t *diag)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		diag_set(diag, 0, 0, "no_new_privs: %s", strerror(errno));
		return ERR_CONFIG;
	}
	s->memory_locked = memory_lock();
#ifndef ATTORN_TEST_HOOKS
	s->landlock = landlock_enter(s->dir);
#else
	(void)landlock_enter; /* the named points lie in another directory */
#endif
	if (HAVE_SECCOMP && !seccomp_enter(s->dir)) {
		diag_set(diag, 0, 0, "this kernel does not take the signer's seccomp filter");
		return ERR_CONFIG;
	}
	s->seccomp = HAVE_SECCOMP;
	return OK;
}
