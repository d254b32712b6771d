/* workload.c: one JWT-SVID from the node; the node keeps them, so asking again is cheap. */
#include "app/cli/workload.h"

#include <stdlib.h>

#include "engine/grpc/client.h"
#include "workload.pb-c.h"

enum { WORKLOAD_TIMEOUT_MS = 5000 };

const char *workload_address(void)
{
	const char *address = getenv("SPIFFE_ENDPOINT_SOCKET");

	return address && address[0] ? address : NULL;
}

static err_t answer_read(arena_t *a, str_t bytes, str_t *out_token, str_t *out_id)
{
	struct ProtobufCMessage *m;

	TRY(grpc_pb_read(&jwtsvidresponse__descriptor, a, bytes, &m));
	const JWTSVIDResponse *r = (const JWTSVIDResponse *)m;
	ENSURE(r->n_svids > 0, ERR_CLIENT);
	*out_token = arena_str(a, str_of(r->svids[0]->svid)); /* the first is the default identity */
	*out_id = arena_str(a, str_of(r->svids[0]->spiffe_id));
	return OK;
}

err_t workload_jwt(arena_t *a, const char *address, str_t audience, str_t *out_token, str_t *out_id, diag_t *diag)
{
	AUTO(grpc_client_close) grpc_client_t *client = NULL;
	JWTSVIDRequest ask = JWTSVIDREQUEST__INIT;
	const grpc_pair_t header = { STR("workload.spiffe.io"), STR("true") };
	grpc_request_t request = { .path = "/SpiffeWorkloadAPI/FetchJWTSVID", .metadata = &header, .n_metadata = 1,
		.timeout_ms = WORKLOAD_TIMEOUT_MS };
	grpc_status_t status;
	const char *name;
	char *audiences[1];
	str_t answer;

	TRY(arena_cstr(a, audience, &name));
	audiences[0] = (char *)(uintptr_t)name;
	ask.n_audience = 1;
	ask.audience = audiences;
	TRY(grpc_client_open(address, &client, diag));
	TRY(grpc_pb_pack(a, &ask.base, &request.message));
	TRY(grpc_client_call(client, a, &request, &answer, &status));
	if (status.code != GRPC_OK) {
		diag_set(diag, 0, 0, "the node gives this process no identity: %.*s", STR_ARG(status.text));
		return ERR_CLIENT;
	}
	return answer_read(a, answer, out_token, out_id);
}
