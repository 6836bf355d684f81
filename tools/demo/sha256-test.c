// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks sha256.c: `sha256-test` runs the vectors of FIPS 180-4 and compares
 * odd-sized pieces with one big update; `sha256-test FILE` prints a digest in
 * the manner of sha256sum.
 */
#include "say.h"
#include "sha256.h"

#include <stdio.h>
#include <string.h>

static int failed;

static void expect(const char *what, struct sha256 *ctx, const char *want)
{
	char got[SHA256_HEX_SIZE];

	sha256_final_hex(ctx, got);
	if (strcmp(got, want)) {
		printf("not ok - %s: got %s, want %s\n", what, got, want);
		failed = 1;
	} else {
		printf("ok - %s\n", what);
	}
}

static void vectors(void)
{
	static const struct {
		const char *text, *digest;
	} known[] = {
		{ "",
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	struct sha256 ctx;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		sha256_init(&ctx);
		sha256_update(&ctx, known[i].text, strlen(known[i].text));
		expect(known[i].text, &ctx, known[i].digest);
	}

	sha256_init(&ctx);
	for (i = 0; i < 1000000; i++)
		sha256_update(&ctx, "a", 1);
	expect("a million times 'a'", &ctx,
	       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Every length around the block edges, whole and cut into pieces of 7. */
static void pieces(void)
{
	char whole[SHA256_HEX_SIZE], what[32];
	uint8_t data[200];
	struct sha256 ctx;
	size_t len, at;

	for (at = 0; at < sizeof(data); at++)
		data[at] = at * 37 + 11;
	for (len = 50; len < sizeof(data); len++) {
		sha256_init(&ctx);
		sha256_update(&ctx, data, len);
		sha256_final_hex(&ctx, whole);

		sha256_init(&ctx);
		for (at = 0; at < len; at += 7)
			sha256_update(&ctx, data + at,
				      len - at < 7 ? len - at : 7);
		snprintf(what, sizeof(what), "%zu bytes, seven at a time", len);
		expect(what, &ctx, whole);
	}
}

static int digest_file(const char *path)
{
	char hex[SHA256_HEX_SIZE];
	static uint8_t buf[65536];
	struct sha256 ctx;
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	sha256_init(&ctx);
	while ((n = fread(buf, 1, sizeof(buf), f)))
		sha256_update(&ctx, buf, n);
	fclose(f);
	sha256_final_hex(&ctx, hex);
	printf("%s  %s\n", hex, path);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return digest_file(argv[1]);
	vectors();
	pieces();
	return failed;
}
