/* log.c: the log line. Values come from agents, so nothing in them may end a line, close a quote or
 * move a terminal's cursor. */
#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "engine/flow/flow.h"

enum { CUT_MARK_BYTES = 16 };

/* Where lines go: set once at the start, read by every thread. */
static _Atomic int log_lowest = LVL_INFO, log_fd = 2;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_setup(log_level_t lowest, int fd)
{
	atomic_store(&log_lowest, (int)lowest);
	atomic_store(&log_fd, fd);
}

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("-._:/@+,", c));
}

static bool all_plain(str_t s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_plain((unsigned char)s.p[i])) {
			return false;
		}
	}
	return s.n > 0;
}

static void add_quoted(buf_t *b, str_t s)
{
	buf_byte(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\') {
			buf_byte(b, '\\');
			buf_byte(b, (char)c);
		} else if (c < 0x20 || c > 0x7e) {
			buf_printf(b, "\\x%02x", c);
		} else {
			buf_byte(b, (char)c);
		}
	}
	buf_byte(b, '"');
}

static void add_value(buf_t *b, const log_pair_t *p)
{
	if (p->is_number) {
		buf_printf(b, "%s%llu", p->is_negative ? "-" : "", (unsigned long long)p->number);
		return;
	}
	str_t v = str_sub(p->text, 0, LOG_VALUE_BYTES_MAX);
	if (all_plain(v)) {
		buf_add(b, v);
	} else {
		add_quoted(b, v);
	}
	if (v.n < p->text.n) {
		buf_add(b, STR("..."));
	}
}

void log_pair_add(buf_t *b, const log_pair_t *pair)
{
	buf_byte(b, ' ');
	buf_add(b, str_of(pair->key));
	buf_byte(b, '=');
	add_value(b, pair);
}

static void add_time(buf_t *b)
{
	struct timespec t;
	struct tm utc;

	CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0 && gmtime_r(&t.tv_sec, &utc));
	buf_printf(b, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
		utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, t.tv_nsec / 1000);
}

/* Adds all pairs that fit whole; what does not is cut, and the line says so. */
static void add_pairs(buf_t *b, const log_pair_t *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t before = b->n;

		if (!pairs[i].key) {
			continue;
		}
		log_pair_add(b, &pairs[i]);
		if (b->overflow || b->n > LOG_LINE_BYTES_MAX - CUT_MARK_BYTES) {
			b->n = before;
			b->overflow = false;
			buf_add(b, STR(" cut=1"));
			return;
		}
	}
}

static void write_line(str_t line)
{
	ssize_t r;

	do {
		r = write(atomic_load(&log_fd), line.p, line.n);
	} while (r < 0 && errno == EINTR); /* a log that cannot be written stops nobody */
}

void log_line(log_level_t level, const char *event, const log_pair_t *pairs, size_t n)
{
	AUTO(buf_done) buf_t b = { 0 };

	if ((int)level < atomic_load(&log_lowest)) {
		return;
	}
	buf_init(&b, LOG_LINE_BYTES_MAX);
	add_time(&b);
	buf_printf(&b, " level=%s event=%s", level_names[level], event);
	add_pairs(&b, pairs, n);
	buf_byte(&b, '\n');
	write_line(buf_str(&b));
}
