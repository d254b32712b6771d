/* digest.c: hashing the pinned file, and knowing it again. */
#include "service/node/digest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pure/crypto/crypto.h"
#include "service/node/limits.h"

/* Whatever the kernel changes with the content; ctime cannot be set back by anybody. */
typedef struct {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
} file_key_t;

typedef struct {
	file_key_t key;
	uint8_t digest[32];
	uint64_t used; /* for throwing out the oldest */
} known_t;

typedef struct {
	uint32_t uid;
	uint64_t since_us, bytes;
} budget_t;

struct digest {
	pthread_mutex_t lock; /* lane threads hash at the same time; held only around the tables */
	known_t known[NODE_DIGEST_CACHE_MAX];
	budget_t budgets[NODE_DIGEST_UIDS_MAX];
	size_t n_known, n_budgets;
	uint64_t clock;
	digest_stat_t stat;
};

digest_t *digest_new(void)
{
	digest_t *d = heap_new(digest_t);

	CHECK(pthread_mutex_init(&d->lock, NULL) == 0);
	return d;
}

void digest_free(digest_t *d)
{
	if (d) {
		pthread_mutex_destroy(&d->lock);
		heap_free(d);
	}
}

digest_stat_t digest_stat(digest_t *d)
{
	pthread_mutex_lock(&d->lock);
	digest_stat_t s = d->stat;
	pthread_mutex_unlock(&d->lock);
	return s;
}

static bool time_eq(struct timespec x, struct timespec y)
{
	return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec;
}

static bool key_eq(const file_key_t *x, const file_key_t *y)
{
	return x->dev == y->dev && x->ino == y->ino && x->size == y->size && time_eq(x->mtime, y->mtime)
		&& time_eq(x->ctime, y->ctime);
}

static err_t key_of(int fd, file_key_t *out)
{
	struct stat s;

	ENSURE(fstat(fd, &s) == 0 && S_ISREG(s.st_mode), ERR_IO);
	*out = (file_key_t){ s.st_dev, s.st_ino, s.st_size, s.st_mtim, s.st_ctim };
	return OK;
}

static bool known_find(digest_t *d, const file_key_t *key, uint8_t out[32])
{
	bool found = false;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->n_known && !found; i++) {
		if (key_eq(&d->known[i].key, key)) {
			memcpy(out, d->known[i].digest, 32);
			d->known[i].used = ++d->clock;
			d->stat.remembered++;
			found = true;
		}
	}
	pthread_mutex_unlock(&d->lock);
	return found;
}

static void known_add(digest_t *d, const file_key_t *key, const uint8_t digest[32])
{
	size_t at = 0;

	pthread_mutex_lock(&d->lock);
	d->stat.hashed++;
	if (d->n_known < NODE_DIGEST_CACHE_MAX) {
		at = d->n_known++;
	} else {
		for (size_t i = 1; i < d->n_known; i++) {
			at = d->known[i].used < d->known[at].used ? i : at;
		}
	}
	d->known[at] = (known_t){ .key = *key, .used = ++d->clock };
	memcpy(d->known[at].digest, digest, 32);
	pthread_mutex_unlock(&d->lock);
}

/* A uid not seen before takes the place of the one whose window began first. */
static bool budget_take(digest_t *d, uint32_t uid, uint64_t bytes, uint64_t now_us)
{
	budget_t *b = NULL, *oldest = &d->budgets[0];
	bool ok;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->n_budgets && !b; i++) {
		oldest = d->budgets[i].since_us < oldest->since_us ? &d->budgets[i] : oldest;
		b = d->budgets[i].uid == uid ? &d->budgets[i] : NULL;
	}
	if (!b) {
		b = d->n_budgets < NODE_DIGEST_UIDS_MAX ? &d->budgets[d->n_budgets++] : oldest;
		*b = (budget_t){ .uid = uid, .since_us = now_us };
	}
	if (now_us - b->since_us > NODE_DIGEST_BUDGET_WINDOW_US) {
		*b = (budget_t){ .uid = uid, .since_us = now_us };
	}
	ok = b->bytes + bytes <= NODE_DIGEST_BUDGET_BYTES;
	b->bytes += ok ? bytes : 0;
	d->stat.throttled += ok ? 0 : 1;
	pthread_mutex_unlock(&d->lock);
	return ok;
}

static err_t hash_file(int fd, off_t size, uint8_t out[32])
{
	enum { PIECE = 64 << 10 };
	AUTO(heap_free) char *piece = heap_alloc(PIECE);
	crypto_sha256_t h;
	off_t at = 0;

	crypto_sha256_start(&h);
	while (at < size) {
		ssize_t n = pread(fd, piece, PIECE, at);
		ENSURE(n > 0, ERR_CONFLICT);
		crypto_sha256_add(&h, str_bytes(piece, (size_t)n));
		at += n;
	}
	ENSURE(at == size, ERR_CONFLICT);
	crypto_sha256_end(&h, out);
	return OK;
}

/* A file changed within the last seconds might change again within the same tick of its ctime: not remembered. */
static bool is_settled(const file_key_t *key)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - key->ctime.tv_sec > NODE_DIGEST_SETTLED_S;
}

static err_t hash_opened(digest_t *d, int fd, uint32_t uid, uint64_t now_us, uint8_t out[32])
{
	file_key_t before, after;
	uint8_t digest[32];

	TRY(key_of(fd, &before));
	ENSURE(before.size <= NODE_EXE_BYTES_MAX, ERR_LIMIT);
	if (known_find(d, &before, out)) {
		return OK;
	}
	ENSURE(budget_take(d, uid, (uint64_t)before.size, now_us), ERR_THROTTLED);
	bool settled = is_settled(&before);
	TRY(hash_file(fd, before.size, digest));
	TRY(key_of(fd, &after));
	ENSURE(key_eq(&before, &after), ERR_CONFLICT);
	if (settled) {
		known_add(d, &before, digest);
	}
	memcpy(out, digest, 32);
	return OK;
}

err_t digest_of(digest_t *d, int pinned, uint32_t uid, uint64_t now_us, uint8_t out[32])
{
	char link[64];

	ENSURE(pinned >= 0, ERR_IO);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", pinned);
	int fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY); /* the very file, whatever its name leads to by now */
	ENSURE(fd >= 0, ERR_IO);
	err_t e = hash_opened(d, fd, uid, now_us, out);
	close(fd);
	return e;
}
