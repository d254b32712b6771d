/* header.c: lists of headers: finding, hop-by-hop, syntax. */
#include "engine/net/net.h"

err_t net_headers_get(net_headers_t h, str_t name, str_t *out_value)
{
	const net_header_t *found = NULL;

	for (size_t i = 0; i < h.n; i++) {
		if (!str_eq_nocase(h.v[i].name, name)) {
			continue;
		}
		ENSURE(!found, ERR_DUPLICATE);
		found = &h.v[i];
	}
	ENSURE(found, ERR_NOT_FOUND);
	*out_value = found->value;
	return OK;
}

bool net_headers_next(net_headers_t h, str_t name, size_t *i, str_t *out_value)
{
	for (; *i < h.n; (*i)++) {
		if (str_eq_nocase(h.v[*i].name, name)) {
			*out_value = h.v[(*i)++].value;
			return true;
		}
	}
	return false;
}

static bool connection_names(net_headers_t all, str_t name)
{
	size_t i = 0;
	str_t value, piece;

	while (net_headers_next(all, STR("Connection"), &i, &value)) {
		while (str_split(&value, ',', &piece)) {
			if (str_eq_nocase(str_trim(piece), name)) {
				return true;
			}
		}
	}
	return false;
}

/* RFC 9110 7.6.1, and what frames or addresses this one message. */
bool net_header_is_hop(net_headers_t all, str_t name)
{
	static const str_t hops[] = { STR_INIT("Connection"), STR_INIT("Keep-Alive"), STR_INIT("TE"),
		STR_INIT("Trailer"), STR_INIT("Transfer-Encoding"), STR_INIT("Upgrade"),
		STR_INIT("Content-Length"), STR_INIT("Expect"), STR_INIT("Host"),
		STR_INIT("HTTP2-Settings") };

	for (size_t i = 0; i < ARRAY_LEN(hops); i++) {
		if (str_eq_nocase(hops[i], name)) {
			return true;
		}
	}
	return str_eq_nocase(str_sub(name, 0, 6), STR("Proxy-")) || connection_names(all, name);
}

/* RFC 9110 5.6.2 */
static bool is_token_byte(unsigned char c)
{
	bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

	return alnum || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool net_header_is_valid(net_header_t h)
{
	if (h.name.n == 0) {
		return false;
	}
	for (size_t i = 0; i < h.name.n; i++) {
		if (!is_token_byte((unsigned char)h.name.p[i])) {
			return false;
		}
	}
	for (size_t i = 0; i < h.value.n; i++) {
		unsigned char c = (unsigned char)h.value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			return false;
		}
	}
	return true;
}

bool net_content_type_is(str_t value, str_t type)
{
	return str_eq_nocase(str_trim(str_sub(value, 0, str_find(value, ';'))), type);
}
