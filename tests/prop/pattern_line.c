/* pattern_line.c: "hex(pattern) hex(text)" lines in, one verdict each out: E refused, 1 match, 0 none. The
 * other half of pattern.py. */
#include <stdio.h>
#include <string.h>

#include "domain/delegation/delegation.h"

int main(void)
{
	static char line[1 << 16];

	while (fgets(line, sizeof(line), stdin)) {
		AUTO(arena_free) arena_t *a = arena_open();
		str_t rest = str_trim(str_of(line)), p_hex, p, t;
		if (!str_split(&rest, ' ', &p_hex) || hex_dec(a, p_hex, 4096, &p) != OK
			|| hex_dec(a, rest, 1 << 15, &t) != OK) {
			return 2;
		}
		bool is_good = delegation_pattern_check(p) == OK;
		bool is_match = delegation_pattern_matches(p, t);
		if (!is_good && is_match) {
			return 3;
		}
		putchar(!is_good ? 'E' : is_match ? '1' : '0');
		putchar('\n');
	}
	return 0;
}
