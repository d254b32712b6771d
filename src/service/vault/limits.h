/* limits.h of vault. */
#ifndef ATTORN_VAULT_LIMITS_H
#define ATTORN_VAULT_LIMITS_H

enum {
	VAULT_KEK_BYTES = 32,
	VAULT_SECRET_BYTES_MAX = 3072, /* an upstream credential: longer than any API key or JWT we met */
	VAULT_PLACE_BYTES_MAX = 256, /* space 00 name, the associated data of a seal */
};

#endif
