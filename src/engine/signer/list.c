/* list.c: what a key has signed, append-only. The file is blocks of 256 slots of 40 bytes. Slot 0 of a block
 * is a header {highest number so far, chain so far}, the others are entries {number, digest}; so a start reads
 * the last block and nothing else. An entry is written before its signature exists: a torn one at the end was
 * never answered and goes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/signer/signer_int.h"

enum { BLOCK_SLOTS = 256, BLOCK_ENTRIES = BLOCK_SLOTS - 1 };

/* Where entry `pos` stands. */
static uint64_t offset_of(uint64_t pos)
{
	return (pos + pos / BLOCK_ENTRIES + 1) * WIRE_ENTRY_BYTES;
}

/* Length of a file with `count` entries; a header comes with its first entry, but for the first. */
static uint64_t bytes_of(uint64_t count)
{
	uint64_t headers = count == 0 ? 1 : (count - 1) / BLOCK_ENTRIES + 1;

	return (count + headers) * WIRE_ENTRY_BYTES;
}

static uint64_t count_of(uint64_t bytes)
{
	uint64_t slots = bytes / WIRE_ENTRY_BYTES, rest = slots % BLOCK_SLOTS;

	return slots / BLOCK_SLOTS * BLOCK_ENTRIES + (rest ? rest - 1 : 0);
}

static signer_entry_t header_of(const list_t *l)
{
	signer_entry_t h = { .number = l->highest };

	memcpy(h.digest, l->digest, sizeof(h.digest));
	return h;
}

static void fold(list_t *l, const signer_entry_t *e)
{
	signer_chain_add(l->digest, e);
	l->highest = e->number > l->highest ? e->number : l->highest;
	l->count++;
}

static int file_open(int dir, const char *kid, int flags)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.list", kid);
	return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Room ahead of need, without changing the length; where the file system cannot, there is none. */
static void reserve(list_t *l)
{
	uint64_t end = bytes_of(l->count);

	if (l->reserved_bytes > end + SIGNER_LIST_RESERVE_BYTES / 2) {
		return;
	}
	if (fallocate(l->fd, FALLOC_FL_KEEP_SIZE, (off_t)end, SIGNER_LIST_RESERVE_BYTES) == 0) {
		l->reserved_bytes = end + SIGNER_LIST_RESERVE_BYTES;
	}
}

static err_t write_at(int fd, str_t bytes, uint64_t offset)
{
	ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)offset);

	ENSURE(n >= 0, file_error());
	return (size_t)n == bytes.n ? OK : ERR_DISK_FULL;
}

err_t list_make(int dir, const char *kid, list_t *out)
{
	list_t l = { .fd = file_open(dir, kid, O_RDWR | O_CREAT | O_TRUNC) };
	AUTO(buf_done) buf_t b = { 0 };

	ENSURE(l.fd >= 0, file_error());
	signer_chain_begin(str_of(kid), l.digest);
	signer_entry_t h = header_of(&l);
	buf_init(&b, WIRE_ENTRY_BYTES);
	wire_entry_write(&b, &h);
	err_t e = write_at(l.fd, buf_str(&b), 0);
	if (e != OK || fsync(l.fd) != 0 || fsync(dir) != 0) {
		list_close(&l);
		return e == OK ? ERR_IO : e;
	}
	reserve(&l);
	*out = l;
	return OK;
}

void list_close(list_t *l)
{
	if (l->fd >= 0) {
		close(l->fd);
	}
	l->fd = -1;
}

/* The last block: its header, then what follows. */
static err_t end_find(list_t *l, uint64_t count)
{
	uint64_t first = count ? (count - 1) / BLOCK_ENTRIES * BLOCK_ENTRIES : 0;
	uint8_t bytes[BLOCK_SLOTS * WIRE_ENTRY_BYTES];
	size_t n = (size_t)(bytes_of(count) - (offset_of(first) - WIRE_ENTRY_BYTES));
	rd_t r = rd_of(str_bytes(bytes, n));
	signer_entry_t e;

	CHECK(n <= sizeof(bytes));
	ENSURE(pread(l->fd, bytes, n, (off_t)(offset_of(first) - WIRE_ENTRY_BYTES)) == (ssize_t)n, ERR_IO);
	TRY(wire_entry_read(&r, &e));
	l->count = first;
	l->highest = e.number;
	memcpy(l->digest, e.digest, sizeof(l->digest));
	while (!rd_empty(&r)) {
		TRY(wire_entry_read(&r, &e));
		ENSURE(e.number > 0 && e.number <= SIGNER_NUMBER_MAX, ERR_LEDGER_DAMAGED);
		fold(l, &e);
	}
	return OK;
}

/* The first header names the key: a list put in the place of another is seen. */
static err_t start_check(const list_t *l, const char *kid)
{
	uint8_t bytes[WIRE_ENTRY_BYTES], want[CRYPTO_SHA256_BYTES];
	rd_t r = rd_of(str_bytes(bytes, sizeof(bytes)));
	signer_entry_t h;

	signer_chain_begin(str_of(kid), want);
	ENSURE(pread(l->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes), ERR_LEDGER_DAMAGED);
	TRY(wire_entry_read(&r, &h));
	ENSURE(h.number == 0 && ct_eq(h.digest, want, sizeof(want)), ERR_LEDGER_DAMAGED);
	return OK;
}

static err_t list_read_end(list_t *l, const char *kid)
{
	struct stat st;

	ENSURE(fstat(l->fd, &st) == 0, ERR_IO);
	ENSURE(S_ISREG(st.st_mode) && (st.st_mode & 0077) == 0, ERR_CONFIG);
	TRY(start_check(l, kid));
	uint64_t count = count_of((uint64_t)st.st_size);
	if (bytes_of(count) != (uint64_t)st.st_size) {
		ENSURE(ftruncate(l->fd, (off_t)bytes_of(count)) == 0, ERR_IO);
	}
	TRY(end_find(l, count));
	reserve(l);
	l->unsynced = true; /* the process before may have been killed before it synced */
	return OK;
}

err_t list_open(int dir, const char *kid, list_t *out)
{
	list_t l = { .fd = file_open(dir, kid, O_RDWR) };

	ENSURE(l.fd >= 0, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO);
	err_t e = list_read_end(&l, kid);
	if (e != OK) {
		list_close(&l);
		return e;
	}
	*out = l;
	return OK;
}

err_t list_append(list_t *l, const signer_entry_t *entries, size_t n)
{
	AUTO(buf_done) buf_t b = { 0 };
	list_t next = *l;
	bool block_is_full = l->count > 0 && l->count % BLOCK_ENTRIES == 0;
	uint64_t at = bytes_of(l->count);

	buf_init(&b, (n + n / BLOCK_ENTRIES + 2) * WIRE_ENTRY_BYTES);
	for (size_t i = 0; i < n; i++) {
		if (block_is_full) {
			signer_entry_t h = header_of(&next);
			wire_entry_write(&b, &h);
		}
		wire_entry_write(&b, &entries[i]);
		fold(&next, &entries[i]);
		block_is_full = next.count % BLOCK_ENTRIES == 0;
	}
	TRY(buf_err(&b));
	err_t e = write_at(l->fd, buf_str(&b), at);
	if (e != OK) {
		/* what is half written must not be taken for entries; if it cannot go, a start drops or keeps it, and
		 * a kept one is a number used without a signature */
		(void)!ftruncate(l->fd, (off_t)at);
		return e;
	}
	next.unsynced = true;
	*l = next;
	reserve(l);
	return OK;
}

err_t list_sync(list_t *l)
{
	if (l->unsynced) {
		ENSURE(fdatasync(l->fd) == 0, ERR_IO);
		l->unsynced = false;
	}
	return OK;
}

err_t list_read(const list_t *l, uint64_t from, size_t max, signer_entry_t *out, size_t *out_n)
{
	size_t n = 0;

	while (n < max && from + n < l->count) {
		uint64_t pos = from + n, left_in_block = BLOCK_ENTRIES - pos % BLOCK_ENTRIES;
		uint64_t want = l->count - pos < left_in_block ? l->count - pos : left_in_block;
		uint8_t bytes[BLOCK_ENTRIES * WIRE_ENTRY_BYTES];

		want = want < max - n ? want : max - n;
		size_t length = (size_t)want * WIRE_ENTRY_BYTES;
		ENSURE(pread(l->fd, bytes, length, (off_t)offset_of(pos)) == (ssize_t)length, ERR_IO);
		rd_t r = rd_of(str_bytes(bytes, length));
		for (uint64_t i = 0; i < want; i++) {
			TRY(wire_entry_read(&r, &out[n++]));
		}
	}
	*out_n = n;
	return OK;
}
