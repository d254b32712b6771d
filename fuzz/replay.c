/* replay.c: runs a fuzz target as a plain test over a folder of seeds, in name order.
 * Each seed is run as it is, then cut at every length, then with each byte harmed in turn, so that a
 * corpus of valid inputs also walks the invalid ones beside them. A crash or a sanitizer report is the
 * failure; what the target returns is not looked at. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum {
	SEED_BYTES_MAX = 1 << 20,
	HARMED_BYTES_MAX = 4096, /* longer seeds are walked in strides: the work stays linear in their count */
};

/* Runs the target on an exact-size copy, so that a sanitizer sees a read one byte past the end. */
static void run_copy(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (copy == NULL) {
		abort();
	}
	if (n > 0) {
		memcpy(copy, bytes, n);
	}
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void run_seed(uint8_t *bytes, size_t n)
{
	static const uint8_t harms[] = { 0x01, 0x20, 0x80, 0xff };
	size_t stride = n / HARMED_BYTES_MAX + 1;

	run_copy(bytes, n);
	for (size_t i = 0; i < n; i += stride) {
		uint8_t before = bytes[i];

		run_copy(bytes, i);
		bytes[i] = (uint8_t)(before ^ harms[i % sizeof(harms)]);
		run_copy(bytes, n);
		bytes[i] = before;
	}
}

static size_t read_seed(const char *dir, const char *name, uint8_t *out)
{
	char path[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		exit(1);
	}
	n = fread(out, 1, SEED_BYTES_MAX, file);
	fclose(file);
	return n;
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	static uint8_t seed[SEED_BYTES_MAX];
	struct dirent **names;
	int n = argc == 2 ? scandir(argv[1], &names, is_seed, alphasort) : -1;

	if (n <= 0) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER (with at least one seed)\n", argv[0]);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		run_seed(seed, read_seed(argv[1], names[i]->d_name, seed));
		printf("ok %d - %s\n", i + 1, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}
