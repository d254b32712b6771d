/* keys.c: passphrases and key files. A user's key is sealed by a passphrase; an agent's key is a file
 * that only its owner may read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "app/cli/cli_int.h"

static err_t io_error(const char *path, diag_t *diag)
{
	diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
	return ERR_IO;
}

/* First line of an open file, without its end. */
static err_t line_read(int fd, secret_t *out)
{
	AUTO(secret_done) secret_t s = { 0 };
	size_t n = 0;

	TRY(secret_new(CLI_PASSPHRASE_BYTES_MAX, &s));
	while (n < s.n && read(fd, s.p + n, 1) == 1 && s.p[n] != '\n') {
		n++;
	}
	ENSURE(n < s.n, ERR_LIMIT);
	return secret_from((str_t){ (const char *)s.p, n && s.p[n - 1] == '\r' ? n - 1 : n }, out);
}

static err_t file_line(const char *file, secret_t *out, diag_t *diag)
{
	int fd = strcmp(file, "-") == 0 ? dup(0) : open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return io_error(file, diag);
	}
	err_t e = line_read(fd, out);
	close(fd);
	return e;
}

static err_t terminal_line(int tty, const char *prompt, secret_t *out)
{
	struct termios old, quiet;

	dprintf(tty, "%s: ", prompt);
	ENSURE(tcgetattr(tty, &old) == 0, ERR_IO);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	ENSURE(tcsetattr(tty, TCSAFLUSH, &quiet) == 0, ERR_IO);
	err_t e = line_read(tty, out);
	tcsetattr(tty, TCSAFLUSH, &old);
	dprintf(tty, "\n");
	return e;
}

static err_t passphrase_check(const secret_t *s, diag_t *diag)
{
	if (s->n < CLI_PASSPHRASE_BYTES_MIN) {
		diag_set(diag, 0, 0, "a passphrase needs at least %d characters", CLI_PASSPHRASE_BYTES_MIN);
		return ERR_VALUE;
	}
	return OK;
}

static err_t terminal_ask(const char *prompt, bool twice, secret_t *out, diag_t *diag)
{
	AUTO(secret_done) secret_t again = { 0 };
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (tty < 0) {
		diag_set(diag, 0, 0, "no terminal to ask for a passphrase: give --passphrase-file FILE");
		return ERR_IO;
	}
	err_t e = terminal_line(tty, prompt, out);
	if (e == OK && twice) {
		e = terminal_line(tty, "Again", &again);
	}
	close(tty);
	TRY(e);
	if (twice && !str_eq(secret_peek(out), secret_peek(&again))) {
		secret_done(out);
		diag_set(diag, 0, 0, "the two differ");
		return ERR_VALUE;
	}
	return OK;
}

err_t cli_passphrase(const char *file, const char *prompt, bool twice, secret_t *out, diag_t *diag)
{
	file = file ? file : getenv("ATTORN_PASSPHRASE_FILE");
	TRY(file ? file_line(file, out, diag) : terminal_ask(prompt, twice, out, diag));
	err_t e = twice ? passphrase_check(out, diag) : OK;
	if (e != OK) {
		secret_done(out);
	}
	return e;
}

static err_t file_create(const char *path, str_t text, mode_t mode, diag_t *diag)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0) {
		diag_set(diag, 0, 0, "%s: %s", path, strerror(errno));
		return errno == EEXIST ? ERR_EXISTS : ERR_IO;
	}
	ssize_t n = write(fd, text.p, text.n);
	bool ok = n == (ssize_t)text.n && fsync(fd) == 0;
	close(fd);
	return ok ? OK : io_error(path, diag);
}

/* attorn-user-key/1: one JSON object, the private JWK sealed under the passphrase, the public one plain. */
static err_t key_file_text(arena_t *a, const crypto_key_t *key, const secret_t *passphrase, str_t *out_jwk,
	str_t *out_text)
{
	AUTO(secret_done) secret_t private_jwk = { 0 };
	str_t sealed;

	TRY(jose_jwk_write(a, crypto_key_pub(key), jose_jkt(a, crypto_key_pub(key)), STR_NULL, out_jwk));
	TRY(jose_key_write(key, &private_jwk));
	TRY(crypto_pw_seal(a, secret_peek(passphrase), secret_peek(&private_jwk), &sealed));
	*out_text = arena_cat(a, STR("{\"v\":\"attorn-user-key/1\",\"public\":"), *out_jwk, STR(",\"sealed\":\""),
		b64url_enc(a, sealed), STR("\"}\n"));
	return OK;
}

err_t cli_user_key_make(const char *path, const secret_t *passphrase, char out_jwk[512], diag_t *diag)
{
	AUTO(arena_free) arena_t *a = arena_open();
	AUTO(crypto_key_free) crypto_key_t *key = NULL;
	str_t jwk, text;

	TRY(crypto_key_generate(CRYPTO_KEY_ED25519, &key));
	TRY(key_file_text(a, key, passphrase, &jwk, &text));
	ENSURE(jwk.n < 512, ERR_LIMIT);
	TRY(file_create(path, text, 0600, diag));
	memcpy(out_jwk, jwk.p, jwk.n);
	out_jwk[jwk.n] = '\0';
	return OK;
}

static err_t user_key_open(arena_t *a, str_t text, const secret_t *passphrase, crypto_key_t **out)
{
	AUTO(secret_done) secret_t private_jwk = { 0 };
	const json_t *root;
	str_t sealed_text, sealed;

	TRY(json_parse_object(a, text, &root, NULL));
	ENSURE(json_is_str(json_get(root, STR("v")), STR("attorn-user-key/1")), ERR_TYPE);
	TRY(json_need_str(root, STR("sealed"), CLI_KEY_FILE_BYTES_MAX, &sealed_text));
	TRY(b64url_dec(a, sealed_text, CLI_KEY_FILE_BYTES_MAX, &sealed));
	TRY(crypto_pw_open(secret_peek(passphrase), sealed, &private_jwk));
	return jose_key_read(secret_peek(&private_jwk), out, NULL);
}

int cli_user_key(cli_t *c, crypto_key_t **out)
{
	AUTO(secret_done) secret_t passphrase = { 0 };
	diag_t diag = { 0 };
	const char *path = c->user_key;
	str_t text;

	if (!path) {
		path = arena_printf(c->a, "%s/keys/%s.key%c", c->dir, c->as, '\0').p;
	}
	int status = cli_file(c, path, CLI_KEY_FILE_BYTES_MAX, &text);
	if (status) {
		return status;
	}
	err_t e = cli_passphrase(c->passphrase_file, arena_printf(c->a, "Passphrase of %s%c", path, '\0').p, false,
		&passphrase, &diag);
	if (e != OK) {
		return cli_fail_err(EXIT_HERE, path, e, &diag);
	}
	if (user_key_open(c->a, text, &passphrase, out) != OK) {
		return cli_fail(EXIT_HERE, "%s: wrong passphrase, or not a user key", path);
	}
	return EXIT_DONE;
}

/* --- files --------------------------------------------------------------------------------------------- */

static err_t file_all(arena_t *a, int fd, size_t max, str_t *out)
{
	buf_t b;
	char *room;

	buf_init(&b, max);
	for (;;) {
		size_t want = max - b.n < 65536 ? max - b.n : 65536;
		if (want == 0 || buf_room(&b, want, &room) != OK) {
			buf_done(&b);
			return ERR_LIMIT;
		}
		ssize_t n = read(fd, room, want);
		if (n <= 0) {
			err_t e = n == 0 ? arena_dup(a, buf_str(&b), out) : ERR_IO;
			buf_wipe(&b);
			return e;
		}
		buf_grew(&b, (size_t)n);
	}
}

int cli_file(cli_t *c, const char *path, size_t max, str_t *out)
{
	int fd = strcmp(path, "-") == 0 ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return cli_fail(EXIT_HERE, "%s: %s", path, strerror(errno));
	}
	err_t e = file_all(c->a, fd, max + 1, out);
	close(fd);
	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_HERE, path, e, NULL);
}

int cli_write_file(const char *path, str_t text, unsigned mode)
{
	diag_t diag = { 0 };
	err_t e = file_create(path, text, (mode_t)mode, &diag);

	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_HERE, path, e, &diag);
}

int cli_agent_key(cli_t *c, const char *path, crypto_key_t **out)
{
	struct stat st;
	str_t text;
	diag_t diag = { 0 };

	if (stat(path, &st) != 0) {
		return cli_fail(EXIT_HERE, "%s: %s", path, strerror(errno));
	}
	if ((st.st_mode & 0077) != 0) {
		return cli_fail(EXIT_HERE, "%s: others may read this key: chmod 600 %s", path, path);
	}
	int status = cli_file(c, path, CLI_KEY_FILE_BYTES_MAX, &text);
	if (status) {
		return status;
	}
	err_t e = jose_key_read(text, out, &diag);
	return e == OK ? EXIT_DONE : cli_fail_err(EXIT_HERE, path, e, &diag);
}
