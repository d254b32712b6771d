/* bundle.c: policy text to a bundle: compile, count references, digest, say what is wrong. */
#include "domain/policy/bundle.h"

#include "pure/crypto/crypto.h"

extern const unsigned char policy_schema_text[], policy_starter_text[];
extern const size_t policy_schema_text_n, policy_starter_text_n;

static void buffer_free_auto_(pdp_buf *b)
{
	pdp_buf_free(b);
}

policy_file_t policy_starter(void)
{
	return (policy_file_t){ .name = STR("starter.cedar"),
				.text = str_bytes(policy_starter_text, policy_starter_text_n) };
}

void policy_digest(const policy_file_t *files, size_t n, uint8_t out[32])
{
	crypto_sha256_t h;

	crypto_sha256_start(&h);
	for (size_t i = 0; i < n; i++) {
		crypto_sha256_add(&h, files[i].text);
		/* Without it the last line of a file could continue in the next one: a comment that
		 * swallows a rule would have the digest of one that does not. */
		if (i + 1 < n && !str_ends(files[i].text, STR("\n"))) {
			crypto_sha256_add(&h, STR("\n"));
		}
	}
	crypto_sha256_end(&h, out);
}

/* Takes ":NUMBER:" off the front. */
static bool position_take(str_t *s, uint32_t *out)
{
	str_t rest = *s, number;
	uint64_t v;

	if (!str_split(&rest, ':', &number) || str_to_u64(number, UINT32_MAX, &v) != OK) {
		return false;
	}
	*out = (uint32_t)v;
	*s = rest;
	return true;
}

/* "name:3:7: what" to diag; a line of another form is told as it is. */
static void first_line_tell(str_t lines, diag_t *diag)
{
	str_t line = str_sub(lines, 0, str_find(lines, '\n'));
	str_t rest = line, name;
	uint32_t at_line = 0, at_column = 0;

	if (!str_split(&rest, ':', &name) || !position_take(&rest, &at_line) ||
	    !position_take(&rest, &at_column)) {
		diag_set(diag, 0, 0, "%.*s", STR_ARG(line));
		return;
	}
	diag_set(diag, at_line, at_column, "%.*s:%.*s", STR_ARG(name), STR_ARG(rest));
}

static str_t silent_failure(pdp_rc rc)
{
	return rc == PDP_E_PANIC ? STR("the policy engine failed on this text")
				 : STR("the policy engine could not compile this");
}

MUST static err_t cedar_compile(const policy_file_t *files, size_t n, buf_t *report, diag_t *diag,
				pdp_cedar **out)
{
	pdp_source sources[POLICY_FILES_MAX];
	AUTO(buffer_free) pdp_buf said = { 0 };
	pdp_slice schema = { policy_schema_text, policy_schema_text_n };

	for (size_t i = 0; i < n; i++) {
		sources[i] = (pdp_source){ slice_of(files[i].name), slice_of(files[i].text) };
	}
	pdp_rc rc = pdp_cedar_compile(sources, n, schema, 0, out, &said);
	str_t lines = said.n ? str_bytes(said.p, said.n) : STR_NULL;

	if (report) {
		buf_add(report, lines);
	}
	if (rc == PDP_OK) {
		return OK;
	}
	first_line_tell(lines.n ? lines : silent_failure(rc), diag);
	return ERR_POLICY;
}

err_t policy_bundle_compile(const policy_file_t *files, size_t n, policy_bundle_t **out,
			    buf_t *report, diag_t *diag)
{
	pdp_cedar *cedar;

	if (n > POLICY_FILES_MAX) {
		diag_set(diag, 0, 0, "more than %d policy files", POLICY_FILES_MAX);
		return ERR_POLICY;
	}
	TRY(cedar_compile(files, n, report, diag, &cedar));

	policy_bundle_t *b = heap_new(policy_bundle_t);

	atomic_init(&b->refs, 1);
	b->cedar = cedar;
	policy_digest(files, n, b->digest);
	*out = b;
	return OK;
}

policy_bundle_t *policy_bundle_ref(policy_bundle_t *b)
{
	unsigned before = atomic_fetch_add(&b->refs, 1);

	CHECK(before > 0);
	return b;
}

void policy_bundle_unref(policy_bundle_t *b)
{
	if (!b) {
		return;
	}
	unsigned before = atomic_fetch_sub(&b->refs, 1);

	CHECK(before > 0);
	if (before == 1) {
		pdp_cedar_release(b->cedar);
		heap_free(b);
	}
}

const uint8_t *policy_bundle_digest(const policy_bundle_t *b)
{
	return b->digest;
}

size_t policy_bundle_count(const policy_bundle_t *b)
{
	return pdp_cedar_count(b->cedar);
}

str_t policy_bundle_rule(const policy_bundle_t *b, size_t i, bool *out_forbids)
{
	CHECK(i < policy_bundle_count(b));
	pdp_slice id = pdp_cedar_id(b->cedar, (uint32_t)i);
	*out_forbids = pdp_cedar_forbids(b->cedar, (uint32_t)i);
	return str_bytes(id.p, id.n);
}
