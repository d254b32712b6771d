/* config: whatever stands in attorn.yaml, loading it ends, leaks nothing, and what it takes is within bounds. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/main/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena_free) arena_t *a = arena_new_capped(4 << 20);
	diag_t diag = { 0 };
	config_t c;
	char path[32];
	int fd = memfd_create("config", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(a, path, &c, &diag) == OK) {
		CHECK(c.trust_domain[0] && c.issuer[0] && c.gateway_url[0]);
		CHECK(c.delegated_ttl_s >= 60 && c.delegated_ttl_s <= 3600);
		CHECK(c.capability_ttl_s >= 10 && c.capability_ttl_s <= 120);
		CHECK(c.body_bytes_max >= 4096 && c.denials_per_minute >= 1);
		CHECK(strcmp(c.authority_host, "127.0.0.1") == 0 || strcmp(c.authority_host, "::1") == 0);
		CHECK(strcmp(c.gateway_host, "127.0.0.1") == 0 || strcmp(c.gateway_host, "::1") == 0);
	} else {
		CHECK(diag.text[0]); /* a refusal says why */
	}
	close(fd);
	return 0;
}
