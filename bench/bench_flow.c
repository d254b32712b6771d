/* What the engine itself costs: a flow of 8 steps with 2 waits on a lane, at 1 and at 32 at once.
 * Aim: <= 15 us of CPU (loop and lane thread together) a flow. Usage: bench_flow [flows] */
#include <stdio.h>
#include <sys/resource.h>

#include "engine/flow/flow.h"

typedef struct {
	loop_t *loop;
	lane_t *lane;
	uint64_t to_start, to_finish;
} bench_t;

static void flow_one(bench_t *b);

static err_t nothing(void *arg)
{
	return OK;
}

static err_t go_on(flow_t *f)
{
	return OK;
}

static err_t wait_lane(flow_t *f)
{
	bench_t *b = f->state;

	return flow_wait(f, lane_op(f->arena, b->lane, nothing, NULL));
}

static void finish(flow_t *f, err_t result)
{
	bench_t *b = f->state;

	CHECK(result == OK);
	if (b->to_start) {
		flow_one(b);
	}
	if (--b->to_finish == 0) {
		loop_stop(b->loop);
	}
}

static const flow_step_t steps[] = {
	{ "parse", go_on, false },
	{ "token", go_on, false },
	{ "decide", go_on, false },
	{ "admit", wait_lane, false },
	{ "forward", go_on, false },
	{ "outcome", wait_lane, false },
	{ "reply", go_on, false },
	{ "last", go_on, true },
};
static const flow_table_t table = FLOW_TABLE("bench", steps, finish);

static void flow_one(bench_t *b)
{
	flow_id_t id;

	b->to_start--;
	CHECK(flow_start(b->loop, &table, arena_open(), b, loop_in_ms(b->loop, 30000), &id) == OK);
}

static double cpu_us(void)
{
	struct rusage u;

	CHECK(getrusage(RUSAGE_SELF, &u) == 0);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void bench_run(bench_t *b, uint64_t flows, unsigned at_once)
{
	double cpu = cpu_us();
	uint64_t wall = loop_mono_us(b->loop);

	b->to_start = b->to_finish = flows;
	for (unsigned i = 0; i < at_once; i++) {
		flow_one(b);
	}
	loop_run(b->loop);
	printf("flow: 8 steps, 2 waits, %2u at once: %5.1f us CPU, %5.1f us wall\n", at_once,
		(cpu_us() - cpu) / (double)flows,
		(double)(loop_mono_us(b->loop) - wall) / (double)flows);
}

int main(int argc, char **argv)
{
	uint64_t flows = 200000;
	bench_t b = { .loop = loop_new() };

	if (argc > 1 && str_to_u64(str_of(argv[1]), 100000000, &flows) != OK) {
		return 2;
	}
	log_setup(LVL_WARN, 2);
	b.lane = lane_new(b.loop, &(lane_spec_t){ "store-read", .threads = 1, .queue_max = 1024 });
	bench_run(&b, flows, 1);
	bench_run(&b, flows, 32);
	lane_free(b.lane);
	loop_free(b.loop);
	return 0;
}
