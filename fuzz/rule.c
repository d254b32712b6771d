/* rule: a line of --allow becomes well-formed JSON that holds exactly the route, tool and path it named, or nothing. */
#include "app/cli/rule.h"
#include "domain/delegation/delegation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(64 << 20);
	AUTO(buf_done) buf_t b;
	cli_rule_t rule;
	const json_t *root, *item;
	const delegation_item_t *items;
	size_t n_items;
	int64_t seconds = 0;
	str_t text;
	jw_t w;

	if (cli_duration_s(str_bytes(data, n), &seconds) == OK) {
		CHECK(seconds > 0 && seconds <= (int64_t)CLI_DURATION_MAX * 86400);
	}
	buf_init(&b, 1 << 20);
	jw_init(&w, &b);
	jw_array(&w);
	if (cli_rule_write(&w, a, STR("http://127.0.0.1:1"), str_bytes(data, n), &rule) != OK) {
		return 0;
	}
	jw_end(&w);
	if (jw_finish(&w) != OK) {
		return 0; /* not UTF-8 */
	}
	CHECK(arena_dup(a, buf_str(&b), &text) == OK);
	if (json_parse(a, text, NULL, &root, NULL) != OK) {
		return 0; /* a value given as JSON may hold \u0000 */
	}
	item = json_first(root);
	CHECK(json_count(root) == 1 && json_count(item) == (rule.is_http ? 5 : 4));
	CHECK(json_is_str(json_get(item, STR("server")), arena_cat(a, STR("http://127.0.0.1:1/r/"), rule.route)));
	CHECK(json_is_str(json_get(item, rule.is_http ? STR("method") : STR("tool")), rule.tool));
	CHECK(!rule.is_http || json_is_str(json_get(item, STR("path")), rule.path));
	if (delegation_items_parse(a, text, &items, &n_items, NULL) == OK) {
		CHECK(n_items == 1 && str_eq(items[0].target, rule.is_http ? rule.path : rule.tool));
	}
	return 0;
}
