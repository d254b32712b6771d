/* metrics.c: /metrics in the Prometheus text format, version 0.0.4. Numbers only, no names from outside. */
#include "app/main/metrics.h"

enum { METRICS_BYTES_MAX = 256 << 10 };

static void head(buf_t *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP attorn_%s %s\n# TYPE attorn_%s %s\n", name, help, name, type);
}

static void lanes_write(buf_t *b, const metrics_t *m)
{
	head(b, "lane_jobs_total", "counter", "jobs taken by a lane");
	for (size_t i = 0; i < m->n_lanes; i++) {
		lane_stat_t s = lane_stat(m->lanes[i]);
		buf_printf(b, "attorn_lane_jobs_total{lane=\"%s\"} %llu\n", s.name, (unsigned long long)s.taken);
	}
	head(b, "lane_refused_total", "counter", "jobs refused by a full lane");
	for (size_t i = 0; i < m->n_lanes; i++) {
		lane_stat_t s = lane_stat(m->lanes[i]);
		buf_printf(b, "attorn_lane_refused_total{lane=\"%s\"} %llu\n", s.name, (unsigned long long)s.refused);
	}
	head(b, "lane_batches_total", "counter", "batches run: one disk sync each on store-write");
	for (size_t i = 0; i < m->n_lanes; i++) {
		lane_stat_t s = lane_stat(m->lanes[i]);
		buf_printf(b, "attorn_lane_batches_total{lane=\"%s\"} %llu\n", s.name, (unsigned long long)s.batches);
	}
	head(b, "lane_queued", "gauge", "jobs waiting");
	for (size_t i = 0; i < m->n_lanes; i++) {
		lane_stat_t s = lane_stat(m->lanes[i]);
		buf_printf(b, "attorn_lane_queued{lane=\"%s\"} %zu\n", s.name, s.queued);
	}
}

static void stat_write(buf_t *b, const char *flow, const char *step, const char *kind, const flow_stat_t *s)
{
	buf_printf(b, "attorn_flow_seconds_sum{flow=\"%s\",step=\"%s\",kind=\"%s\"} %.6f\n", flow, step, kind,
		(double)s->us_total / 1e6);
	buf_printf(b, "attorn_flow_seconds_count{flow=\"%s\",step=\"%s\",kind=\"%s\"} %llu\n", flow, step, kind,
		(unsigned long long)s->count);
}

static void flows_write(buf_t *b, const metrics_t *m)
{
	const flow_stats_t *s;

	head(b, "flow_seconds", "summary", "time of a flow and of its steps: whole, cpu, wait");
	for (size_t i = 0; (s = flow_stats(m->loop, i)) != NULL; i++) {
		stat_write(b, s->table->name, "", "whole", &s->whole);
		for (size_t k = 0; k < s->table->n_steps; k++) {
			stat_write(b, s->table->name, s->table->steps[k].name, "cpu", &s->cpu[k]);
			stat_write(b, s->table->name, s->table->steps[k].name, "wait", &s->wait[k]);
		}
	}
	head(b, "flow_failed_total", "counter", "flows that ended with an error");
	for (size_t i = 0; (s = flow_stats(m->loop, i)) != NULL; i++) {
		buf_printf(b, "attorn_flow_failed_total{flow=\"%s\"} %llu\n", s->table->name,
			(unsigned long long)s->whole.failed);
	}
}

static void door_write(buf_t *b, const metrics_t *m)
{
	net_server_counts_t c = net_server_counts(m->door);

	head(b, "http_requests_total", "counter", "requests that reached a handler");
	buf_printf(b, "attorn_http_requests_total %llu\n", (unsigned long long)c.requests);
	head(b, "http_refused_total", "counter", "requests refused as malformed, too large or too slow");
	buf_printf(b, "attorn_http_refused_total %llu\n", (unsigned long long)c.refusals);
	head(b, "http_connections", "gauge", "open connections");
	buf_printf(b, "attorn_http_connections %u\n", c.connections_now);
	head(b, "build_info", "gauge", "version and process");
	buf_printf(b, "attorn_build_info{version=\"%s\",process=\"%s\"} 1\n", ATTORN_VERSION, m->process);
}

static void refused_write(buf_t *b, const tally_t *t)
{
	head(b, "refused_total", "counter", "refusals of callers who did not prove who they are, counted and not recorded");
	for (size_t i = 0; i < t->n; i++) {
		buf_printf(b, "attorn_refused_total{door=\"%s\",code=\"%s\"} %llu\n", t->rows[i].door,
			err_info(t->rows[i].code)->name, (unsigned long long)t->rows[i].n);
	}
}

static void gauges_write(buf_t *b, const metrics_t *m)
{
	for (size_t i = 0; i < m->n_gauges; i++) {
		head(b, m->gauges[i].name, "gauge", m->gauges[i].help);
		buf_printf(b, "attorn_%s %.3f\n", m->gauges[i].name, m->gauges[i].value);
	}
}

bool metrics_is_get(const net_exchange_t *x)
{
	return str_eq(net_method(x), STR("GET")) || str_eq(net_method(x), STR("HEAD"));
}

void metrics_reply(net_exchange_t *x, const metrics_t *m)
{
	AUTO(buf_done) buf_t b;

	buf_init(&b, METRICS_BYTES_MAX);
	if (!metrics_is_get(x)) {
		net_reply_error(x, ERR_METHOD);
		return;
	}
	door_write(&b, m);
	gauges_write(&b, m);
	refused_write(&b, m->refused);
	lanes_write(&b, m);
	flows_write(&b, m);
	net_reply_text(x, 200, STR("text/plain; version=0.0.4"), buf_str(&b));
}
