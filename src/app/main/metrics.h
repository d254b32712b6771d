/* metrics.h: Prometheus text of what loop, lanes, flows and server count. */
#ifndef ATTORN_MAIN_METRICS_H
#define ATTORN_MAIN_METRICS_H

#include "engine/net/net.h"
#include "service/admit/client.h"

/* A figure of one kind of process. */
typedef struct {
	const char *name, *help;
	double value;
} metrics_gauge_t;

typedef struct {
	loop_t *loop;
	lane_t *lanes[4];
	size_t n_lanes;
	const net_server_t *door;
	const tally_t *refused; /* strangers */
	const char *process; /* label */
	metrics_gauge_t gauges[2];
	size_t n_gauges;
} metrics_t;

void metrics_reply(net_exchange_t *x, const metrics_t *m);
/* GET or HEAD: all that /metrics and /health answer. */
bool metrics_is_get(const net_exchange_t *x);

#endif
