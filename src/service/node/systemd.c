/* systemd.c: which unit a process's cgroup belongs to. The manager is asked by cgroup, never by a number; the
 * cgroup is the one the facts hold, and facts are read again before anything is released. */
#include <systemd/sd-bus.h>

#include "pure/codec/codec.h"
#include "service/node/attest.h"

#define MANAGER "org.freedesktop.systemd1"

static void bus_free(sd_bus *b)
{
	sd_bus_flush_close_unref(b);
}
DEFINE_AUTO(sd_bus *, bus_free);
static void message_free(sd_bus_message *m)
{
	sd_bus_message_unref(m);
}
DEFINE_AUTO(sd_bus_message *, message_free);

static err_t text_property(attest_list_t *l, sd_bus *bus, const char *unit, const char *property, str_t name)
{
	AUTO(message_free) sd_bus_message *m = NULL;
	const char *text;

	ENSURE(sd_bus_get_property(bus, MANAGER, unit, MANAGER ".Unit", property, NULL, &m, "s") >= 0,
		ERR_UNAVAILABLE);
	ENSURE(sd_bus_message_read(m, "s", &text) >= 0, ERR_UNAVAILABLE);
	return text[0] ? attest_add(l, name, str_of(text)) : OK;
}

static err_t invocation(attest_list_t *l, sd_bus *bus, const char *unit)
{
	AUTO(message_free) sd_bus_message *m = NULL;
	const void *bytes;
	size_t n;

	ENSURE(sd_bus_get_property(bus, MANAGER, unit, MANAGER ".Unit", "InvocationID", NULL, &m, "ay") >= 0,
		ERR_UNAVAILABLE);
	ENSURE(sd_bus_message_read_array(m, 'y', &bytes, &n) >= 0, ERR_UNAVAILABLE);
	return n == 16 ? attest_add(l, STR("systemd:invocation_id:"), hex_enc(l->a, str_bytes(bytes, n))) : OK;
}

static err_t unit_tell(attest_list_t *l, sd_bus *bus, const char *cgroup)
{
	AUTO(message_free) sd_bus_message *reply = NULL;
	const char *unit;

	ENSURE(sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager",
		       "GetUnitByControlGroup", NULL, &reply, "s", cgroup) >= 0,
		ERR_UNAVAILABLE);
	ENSURE(sd_bus_message_read(reply, "o", &unit) >= 0, ERR_UNAVAILABLE);
	TRY(text_property(l, bus, unit, "Id", STR("systemd:id:")));
	TRY(text_property(l, bus, unit, "FragmentPath", STR("systemd:fragment_path:")));
	return invocation(l, bus, unit);
}

err_t attest_systemd(attest_list_t *l, const attest_subject_t *s)
{
	AUTO(bus_free) sd_bus *bus = NULL;
	bool unified = s->facts.cgroup && strcmp(s->facts.cgroup, "/") != 0;
	const char *cgroup = unified ? s->facts.cgroup : s->facts.cgroup1;

	ENSURE(s->facts.ns_known && cgroup, ERR_UNAVAILABLE);
	if (!s->facts.ns_ours) {
		return OK;
	}
	ENSURE(sd_bus_open_system(&bus) >= 0, ERR_UNAVAILABLE);
	ENSURE(sd_bus_set_method_call_timeout(bus, NODE_ATTEST_TIMEOUT_MS * 1000ull) >= 0, ERR_UNAVAILABLE);
	return unit_tell(l, bus, cgroup);
}
