/* config: unknown keys are errors with a line; every value has its bounds; the default loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "app/main/config.h"

#define GOOD                                                                                       \
	"trust_domain: example.test\nissuer: http://127.0.0.1:1\nauthority:\n  listen: 127.0.0.1:1\n"   \
	"gateway:\n  listen: 127.0.0.1:2\n  url: http://127.0.0.1:2\n"

static char file[64];
static arena_t *arena;

static int make(void **state)
{
	(void)state;
	snprintf(file, sizeof(file), "config-test-XXXXXX");
	int fd = mkstemp(file);
	assert_true(fd >= 0);
	close(fd);
	arena = arena_open();
	return 0;
}

static int drop(void **state)
{
	(void)state;
	unlink(file);
	arena_free(arena);
	return 0;
}

static err_t load(const char *text, config_t *out, diag_t *diag)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	*diag = (diag_t){ 0 };
	return config_load(arena, file, out, diag);
}

static void the_default_loads_and_tells_its_ports(void **state)
{
	config_t c;
	diag_t diag = { 0 };

	(void)state;
	unlink(file);
	assert_int_equal(config_write_default(file, 7000, &diag), OK);
	assert_int_equal(config_load(arena, file, &c, &diag), OK);
	assert_int_equal(c.authority_port, 7000);
	assert_int_equal(c.gateway_port, 7001);
	assert_string_equal(c.issuer, "http://127.0.0.1:7000");
	assert_string_equal(c.gateway_url, "http://127.0.0.1:7001");
	assert_int_equal(c.delegated_ttl_s, 600);
	assert_int_equal(c.capability_ttl_s, 60);
	assert_int_equal(config_write_default(file, 9000, &diag), OK); /* never over an existing one */
	assert_int_equal(config_load(arena, file, &c, &diag), OK);
	assert_int_equal(c.authority_port, 7000);
}

static void what_may_be_left_out_has_a_default(void **state)
{
	config_t c;
	diag_t diag;

	(void)state;
	assert_int_equal(load(GOOD, &c, &diag), OK);
	assert_int_equal(c.denials_per_minute, 60);
	assert_int_equal(c.body_bytes_max, 4 << 20);
	assert_int_equal(c.allow_origins_count, 0);
	assert_int_equal(load(GOOD "  allow_origins: [\"http://localhost:3000\"]\n", &c, &diag), OK);
	assert_string_equal(c.allow_origins[0], "http://localhost:3000");
}

/* What has TLS may be reached from elsewhere; absent, it is not there. */
static void doors_with_tls(void **state)
{
	config_t c;
	diag_t diag;

	(void)state;
	assert_int_equal(load(GOOD, &c, &diag), OK);
	assert_true(!c.node_host && !c.mtls_host && !c.mtls_url);
	assert_int_equal(load("trust_domain: a\nissuer: http://127.0.0.1:1\nauthority:\n  listen: 127.0.0.1:1\n"
			      "  node_listen: '[2001:db8::1]:7482'\ngateway:\n  listen: 127.0.0.1:2\n"
			      "  url: http://127.0.0.1:2\n  mtls_listen: 0.0.0.0:7483\n  mtls_url: https://gw.example:7483\n",
				 &c, &diag), OK);
	assert_string_equal(c.node_host, "2001:db8::1");
	assert_int_equal(c.node_port, 7482);
	assert_string_equal(c.mtls_host, "0.0.0.0");
	assert_string_equal(c.mtls_url, "https://gw.example:7483");
	assert_int_equal(load(GOOD "  mtls_listen: 127.0.0.1:3\n", &c, &diag), OK);
	assert_string_equal(c.mtls_url, "https://127.0.0.1:3");
}

static void a_mistake_is_named_with_its_line(void **state)
{
	const struct {
		const char *text, *words;
		unsigned line;
	} rows[] = {
		{ GOOD "colour: red\n", "colour", 8 },
		{ GOOD "tokens:\n  delegated: 5\n", "delegated", 9 },
		{ GOOD "tokens:\n  delegated_s: 5\n", "tokens.delegated_s", 0 },
		{ GOOD "tokens:\n  delegated_s: 100000\n", "tokens.delegated_s", 0 },
		{ GOOD "tokens:\n  capability_s: 121\n", "tokens.capability_s", 0 },
		{ GOOD "tokens:\n  delegated_s: many\n", "", 9 },
		{ GOOD "limits:\n  body_bytes: 1\n", "limits.body_bytes", 0 },
		{ GOOD "log:\n  level: loud\n", "", 9 },
		{ GOOD "  mtls_listen: somewhere\n", "gateway.mtls_listen", 8 },
		{ GOOD "  mtls_listen: 127.0.0.1:65536\n", "gateway.mtls_listen", 8 },
		{ GOOD "  mtls_url: https://a.example:7483\n", "gateway.mtls_url", 8 },
		{ GOOD "  mtls_listen: 127.0.0.1:3\n  mtls_url: http://127.0.0.1:3\n", "gateway.mtls_url", 9 },
		{ GOOD "  node_listen: 127.0.0.1:3\n", "node_listen", 8 },
		{ "trust_domain: Example.Test\n", "", 1 },
		{ "", "", 0 },
		{ "[1, 2]\n", "", 0 },
		{ "trust_domain: a\n\tissuer: b\n", "", 0 },
		{ GOOD "trust_domain: again.test\n", "", 8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		config_t c;
		diag_t diag;
		if (load(rows[i].text, &c, &diag) != ERR_CONFIG) {
			fail_msg("row %zu was taken", i);
		}
		if (!strstr(diag.text, rows[i].words) || (rows[i].line && diag.line != rows[i].line)) {
			fail_msg("row %zu: line %u: %s", i, diag.line, diag.text);
		}
		assert_true(diag.text[0] != '\0');
	}
}

static void only_loopback_is_served(void **state)
{
	static const char *const listens[] = { "0.0.0.0:1", "192.168.0.1:1", "localhost:1", "127.0.0.1", "127.0.0.1:65536",
		"127.0.0.1:x", ":1", "[::]:1" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		config_t c;
		diag_t diag;
		snprintf(text, sizeof(text),
			"trust_domain: a\nissuer: http://127.0.0.1:1\nauthority:\n  listen: '%s'\n"
			"gateway:\n  listen: 127.0.0.1:2\n  url: http://127.0.0.1:2\n", listens[i]);
		assert_int_equal(load(text, &c, &diag), ERR_CONFIG);
		assert_non_null(strstr(diag.text, "authority.listen"));
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make, drop)
	const struct CMUnitTest tests[] = {
		CASE(the_default_loads_and_tells_its_ports),
		CASE(what_may_be_left_out_has_a_default),
		CASE(doors_with_tls),
		CASE(a_mistake_is_named_with_its_line),
		CASE(only_loopback_is_served),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
