/* list.c: filters over upstream's answers. */
#include "service/gateway/list.h"

static err_t kept_write(const json_t *tools, list_shows_fn *shows, const void *owner, buf_t *out)
{
	bool is_first = true;
	str_t name;

	buf_byte(out, '[');
	for (const json_t *t = json_first(tools); t; t = json_next(t)) {
		if (json_need_str(t, STR("name"), JSON_UNBOUNDED, &name) != OK || !shows(owner, name)) {
			continue; /* hidden, or no tool at all */
		}
		if (!is_first) {
			buf_byte(out, ',');
		}
		buf_add(out, json_raw(t));
		is_first = false;
	}
	buf_byte(out, ']');
	return buf_err(out);
}

err_t list_filter(const message_t *response, list_shows_fn *shows, const void *owner, buf_t *out)
{
	AUTO(buf_done) buf_t kept = { 0 };
	const json_t *tools = json_get(response->result, STR("tools"));

	if (response->error) {
		buf_add(out, response->text);
		return buf_err(out);
	}
	ENSURE(json_kind(tools) == JSON_ARRAY, ERR_UPSTREAM);
	buf_init(&kept, json_raw(tools).n + 2);
	TRY(kept_write(tools, shows, owner, &kept));
	message_edit_t edit = { json_raw(tools), buf_str(&kept) };
	return message_splice(out, response->text, &edit, 1);
}

err_t list_initialize_result(const json_t *result, str_t version, buf_t *out)
{
	const json_t *capabilities = json_get(result, STR("capabilities"));
	jw_t w;

	ENSURE(json_kind(result) == JSON_OBJECT && json_kind(capabilities) == JSON_OBJECT, ERR_UPSTREAM);
	jw_init(&w, out);
	jw_object(&w);
	for (const json_t *m = json_first(result); m; m = json_next(m)) {
		if (m != capabilities && !str_eq(json_key(m), STR("protocolVersion"))) {
			jw_key_str(&w, json_key(m));
			jw_raw(&w, json_raw(m));
		}
	}
	jw_kstr(&w, "protocolVersion", version);
	jw_kobject(&w, "capabilities");
	if (json_get(capabilities, STR("tools"))) {
		jw_kobject(&w, "tools"); /* without listChanged: no stream would carry it */
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
	return jw_finish(&w);
}

err_t list_initialize_params(const json_t *params, str_t version, size_t info_max, buf_t *out)
{
	str_t info = json_raw(json_get(params, STR("clientInfo")));
	jw_t w;

	jw_init(&w, out);
	jw_object(&w);
	jw_kstr(&w, "protocolVersion", version);
	jw_kobject(&w, "capabilities");
	jw_end(&w);
	jw_kraw(&w, "clientInfo",
		info.n && info.n <= info_max ? info : STR("{\"name\":\"client\",\"version\":\"0\"}"));
	jw_end(&w);
	return jw_finish(&w);
}
