/* csr: what proves possession is a key that a certificate may have; what a CA may sign reads as one. */
#include "pure/x509/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) arena_t *a = arena_open();
	crypto_pub_t pub;
	str_t spki;

	CHECK(crypto_init() == OK);
	if (x509_csr_verify(str_bytes(data, size), &pub) == OK) {
		CHECK(pub.kind == CRYPTO_KEY_RSA || crypto_coord_bytes(pub.kind) != 0);
		CHECK(crypto_pub_to_spki(a, &pub, &spki) == OK);
	}
	if (x509_tbs_is(str_bytes(data, size))) {
		CHECK(size <= X509_TBS_BYTES_MAX && data[0] == 0x30);
	}
	return 0;
}
