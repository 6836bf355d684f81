/* SPDX-License-Identifier: GPL-2.0-only */
/* SHA-256 (FIPS 180-4), so that the demo needs no library. */
#ifndef DEMO_SHA256_H
#define DEMO_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_HEX_SIZE 65	/* 64 digits and the terminating zero */

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;			/* hashed so far */
	uint8_t block[SHA256_BLOCK];	/* the tail that is no full block yet */
};

void sha256_init(struct sha256 *ctx);
void sha256_update(struct sha256 *ctx, const void *data, size_t len);
/* Writes the digest as lower-case hexadecimal; @ctx must not be used again. */
void sha256_final_hex(struct sha256 *ctx, char hex[SHA256_HEX_SIZE]);

#endif
