/* Key files: a user's key under its passphrase, an agent's key that is its owner's alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "app/cli/cli_int.h"
#include "pure/crypto/crypto.h"

static char dir[64];

static const char *path_of(const char *name)
{
	static char paths[8][256];
	static size_t next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static const char *file(const char *name, str_t text, mode_t mode)
{
	const char *path = path_of(name);

	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static secret_t passphrase(const char *text)
{
	secret_t s;

	assert_int_equal(secret_from(str_of(text), &s), OK);
	return s;
}

static int open_key(const char *path, const char *passphrase_path)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	cli_t c = { .dir = dir, .as = "nobody", .user_key = path, .passphrase_file = passphrase_path,
		.a = arena_new_capped(1 << 20) };
	int status = cli_user_key(&c, &key);

	arena_free(c.a);
	assert_true((status == EXIT_DONE) == (key != NULL));
	return status;
}

static str_t contents(arena_t *a, const char *path)
{
	cli_t c = { .a = a };
	str_t text;

	assert_int_equal(cli_file(&c, path, 1 << 16, &text), EXIT_DONE);
	return text;
}

static void test_user_key(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(secret_done) secret_t s = passphrase("correct horse");
	const char *path = path_of("alice.key");
	const char *good = file("good", STR("correct horse\n"), 0600), *crlf = file("crlf", STR("correct horse\r\n"), 0600);
	const char *bad = file("bad", STR("correct horsf\n"), 0600), *empty = file("empty", STR(""), 0600);
	diag_t diag = { 0 };
	char jwk[512];
	struct stat st;

	assert_int_equal(cli_user_key_make(path, &s, jwk, &diag), OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_non_null(strstr(jwk, "\"crv\":\"Ed25519\""));
	assert_null(strstr(jwk, "\"d\"")); /* the public half */
	assert_false(str_contains(contents(a, path), STR("\"d\"")));

	assert_int_equal(open_key(path, good), EXIT_DONE);
	assert_int_equal(open_key(path, crlf), EXIT_DONE);
	assert_int_equal(open_key(path, bad), EXIT_HERE);
	assert_int_equal(open_key(path, empty), EXIT_HERE);
	assert_int_equal(open_key(path, path_of("none")), EXIT_HERE);
	assert_int_equal(open_key(path_of("none"), good), EXIT_HERE);

	assert_int_equal(cli_user_key_make(path, &s, jwk, &diag), ERR_EXISTS); /* never overwritten */
	assert_int_equal(open_key(path, good), EXIT_DONE);
}

/* Every byte of the sealed part counts; a changed one is a wrong passphrase, not another key. */
static void test_user_key_changed(void **state)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(secret_done) secret_t s = passphrase("correct horse");
	const char *good = file("good", STR("correct horse"), 0600);
	const char *path = path_of("bob.key");
	diag_t diag = { 0 };
	char jwk[512], changed[2048];

	assert_int_equal(cli_user_key_make(path, &s, jwk, &diag), OK);
	str_t text = contents(a, path);
	const char *mark = strstr(text.p, "\"sealed\":\"");
	size_t from = (size_t)(mark - text.p) + 10, step = (text.n - from - 4) / 6;
	assert_true(mark && text.n < sizeof(changed) && step > 0);
	for (size_t at = from; at < text.n - 4; at += step) { /* argon2id: a tenth of a second each */
		memcpy(changed, text.p, text.n);
		changed[at] = changed[at] == 'A' ? 'B' : 'A';
		assert_int_equal(open_key(file("changed.key", str_bytes(changed, text.n), 0600), good), EXIT_HERE);
	}
	for (size_t n = 0; n < text.n - 3; n += text.n / 5) {
		assert_int_equal(open_key(file("short.key", str_sub(text, 0, n), 0600), good), EXIT_HERE);
	}
	static const char *const others[] = { "{}", "[]", "{\"v\":\"attorn-user-key/2\",\"sealed\":\"AAAA\"}",
		"{\"v\":\"attorn-user-key/1\"}", "{\"v\":\"attorn-user-key/1\",\"sealed\":7}",
		"{\"v\":\"attorn-user-key/1\",\"sealed\":\"\"}", "{\"v\":\"attorn-user-key/1\",\"sealed\":\"!\"}" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_int_equal(open_key(file("other.key", str_of(others[i]), 0600), good), EXIT_HERE);
	}
}

static err_t passphrase_of(const char *text, size_t n, bool twice)
{
	AUTO(secret_done) secret_t s = { 0 };
	diag_t diag = { 0 };

	return cli_passphrase(file("p", str_bytes(text, n), 0600), "?", twice, &s, &diag);
}

static void test_passphrases(void **state)
{
	AUTO(secret_done) secret_t s = { 0 };
	diag_t diag = { 0 };
	char longest[CLI_PASSPHRASE_BYTES_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	assert_int_equal(passphrase_of("1234567", 7, true), ERR_VALUE); /* a new one has a least length ... */
	assert_int_equal(passphrase_of("1234567\n", 8, true), ERR_VALUE);
	assert_int_equal(passphrase_of("12345678", 8, true), OK);
	assert_int_equal(passphrase_of("1234567", 7, false), OK); /* ... an old one is what it is */
	assert_int_equal(passphrase_of("", 0, true), ERR_VALUE);
	assert_int_equal(passphrase_of(longest, CLI_PASSPHRASE_BYTES_MAX - 1, true), OK);
	assert_int_equal(passphrase_of(longest, CLI_PASSPHRASE_BYTES_MAX, true), ERR_LIMIT);
	assert_int_equal(passphrase_of(longest, sizeof(longest), true), ERR_LIMIT);
	assert_int_equal(cli_passphrase(file("p", STR("first line\nsecond line\n"), 0600), "?", true, &s, &diag), OK);
	assert_true(str_eq(secret_peek(&s), STR("first line")));
	secret_done(&s);
	assert_int_equal(setenv("ATTORN_PASSPHRASE_FILE", file("env", STR("from the environment"), 0600), 1), 0);
	assert_int_equal(cli_passphrase(NULL, "?", true, &s, &diag), OK);
	assert_true(str_eq(secret_peek(&s), STR("from the environment")));
	unsetenv("ATTORN_PASSPHRASE_FILE");
	assert_int_equal(cli_passphrase(path_of("none"), "?", true, &s, &diag), ERR_IO);
	assert_non_null(strstr(diag.text, "none"));
}

static int open_agent_key(const char *path)
{
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	cli_t c = { .a = arena_open() };
	int status = cli_agent_key(&c, path, &key);

	arena_free(c.a);
	assert_true((status == EXIT_DONE) == (key != NULL));
	return status;
}

static void test_agent_key(void **state)
{
	/* RFC 8037 A.1 */
	str_t jwk = STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
		"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
	str_t public = STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");

	assert_int_equal(open_agent_key(file("a.key", jwk, 0600)), EXIT_DONE);
	assert_int_equal(open_agent_key(file("a.key", jwk, 0400)), EXIT_DONE);
	static const mode_t shared[] = { 0640, 0604, 0660, 0666, 0644, 0610, 0601, 0620, 0602 };
	for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
		assert_int_equal(open_agent_key(file("a.key", jwk, shared[i])), EXIT_HERE);
	}
	assert_int_equal(open_agent_key(file("a.key", public, 0600)), EXIT_HERE);
	assert_int_equal(open_agent_key(file("a.key", STR(""), 0600)), EXIT_HERE);
	assert_int_equal(open_agent_key(file("a.key", STR("-----BEGIN PRIVATE KEY-----\n"), 0600)), EXIT_HERE);
	assert_int_equal(open_agent_key(path_of("none")), EXIT_HERE);
	assert_int_equal(open_agent_key(dir), EXIT_HERE);
	char big[CLI_KEY_FILE_BYTES_MAX + 1];
	memset(big, ' ', sizeof(big));
	assert_int_equal(open_agent_key(file("a.key", str_bytes(big, sizeof(big)), 0600)), EXIT_HERE);
}

static int set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/attorn-cli-XXXXXX");
	return mkdtemp(dir) && crypto_init() == OK ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "alice.key", "bob.key", "good", "crlf", "bad", "empty", "changed.key", "short.key",
		"other.key", "p", "env", "a.key" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		unlink(path_of(names[i]));
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_key),
		cmocka_unit_test(test_user_key_changed),
		cmocka_unit_test(test_passphrases),
		cmocka_unit_test(test_agent_key),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
