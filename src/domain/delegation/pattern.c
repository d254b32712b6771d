/* pattern.c: the matcher of kind `matches`. A pattern becomes a short program (Thompson 1968, in the form
 * Cox describes); all its threads step through the text side by side, so time is states x characters
 * whatever the pattern. No back references, no look-around, no captures, no greed: the question is only
 * whether the whole string matches.
 *
 * Code of an atom is contiguous, its jumps are relative and it falls through at its end; so a quantifier
 * moves or copies it as a block, and nothing here recurses. */
#include "domain/delegation/int.h"

typedef enum { OP_CHAR, OP_ANY, OP_CLASS, OP_SPLIT, OP_JUMP, OP_MATCH } op_t;

typedef struct {
	uint8_t op;
	bool negated; /* OP_CLASS */
	int16_t x, y; /* OP_SPLIT, OP_JUMP: relative; OP_CLASS: first range, number of ranges */
	uint32_t c; /* OP_CHAR */
} instr_t;

typedef struct {
	uint32_t lo, hi;
} range_t;

enum {
	STATES = DELEGATION_PATTERN_STATES_MAX,
	RANGES = 2 * DELEGATION_PATTERN_BYTES_MAX, /* \w: four ranges for two bytes, all else is less */
};

/* An open group: where its present branch starts, and the chain of jumps that wait for its end. */
typedef struct {
	int start; /* of the group's code */
	int branch; /* of the present alternative */
	int jumps; /* last waiting OP_JUMP, -1: none; its x leads to the one before */
} group_t;

typedef struct {
	instr_t code[STATES];
	range_t ranges[RANGES];
	int n_code, n_ranges;
	group_t groups[DELEGATION_PATTERN_DEPTH_MAX + 1];
	int depth;
	int atom; /* start of what a quantifier would repeat, -1: nothing */
} program_t;

/* --- reading ---------------------------------------------------------------------------------- */

/* Next code point of checked UTF-8. */
static uint32_t take_char(rd_t *r)
{
	uint32_t c = (unsigned char)*r->p++;
	int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

	c = more == 0 ? c : c & (0x3fu >> more);
	for (; more > 0; more--) {
		c = c << 6 | ((uint32_t)(unsigned char)*r->p++ & 0x3f);
	}
	return c;
}

static err_t emit(program_t *p, instr_t i)
{
	ENSURE(p->n_code < STATES - 1, ERR_LIMIT); /* one is kept for OP_MATCH */
	p->code[p->n_code++] = i;
	return OK;
}

static void add_range(program_t *p, uint32_t lo, uint32_t hi)
{
	CHECK(p->n_ranges < RANGES); /* by the pattern's length */
	p->ranges[p->n_ranges++] = (range_t){ lo, hi };
}

/* \d \w \s as ranges (ASCII); false for another letter. */
static bool add_escape_class(program_t *p, int letter)
{
	switch (letter) {
	case 'd':
		add_range(p, '0', '9');
		return true;
	case 'w':
		add_range(p, '0', '9');
		add_range(p, 'A', 'Z');
		add_range(p, '_', '_');
		add_range(p, 'a', 'z');
		return true;
	case 's':
		add_range(p, '\t', '\r');
		add_range(p, ' ', ' ');
		return true;
	default:
		return false;
	}
}

static bool is_punctuation(int c)
{
	return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7f);
}

/* The character behind a backslash, if it stands for one. */
static err_t escaped_char(int c, uint32_t *out)
{
	static const str_t letters = STR_INIT("nrt"), controls = STR_INIT("\n\r\t");
	size_t i = c > 0 ? str_find(letters, (char)c) : letters.n;

	ENSURE(i < letters.n || is_punctuation(c), ERR_VALUE);
	*out = i < letters.n ? (uint32_t)controls.p[i] : (uint32_t)c;
	return OK;
}

/* The ranges from `first` on. */
static err_t emit_class(program_t *p, int first, bool negated)
{
	int16_t n = (int16_t)(p->n_ranges - first);

	return emit(p, (instr_t){ .op = OP_CLASS, .negated = negated, .x = (int16_t)first, .y = n });
}

static err_t read_escape(program_t *p, rd_t *r)
{
	uint32_t c;
	int first = p->n_ranges, letter = rd_peek(r);
	bool negated = letter == 'D' || letter == 'W' || letter == 'S';

	if (add_escape_class(p, negated ? letter + 32 : letter)) {
		r->p++;
		return emit_class(p, first, negated);
	}
	TRY(escaped_char(letter, &c));
	r->p++;
	return emit(p, (instr_t){ .op = OP_CHAR, .c = c });
}

/* One end of a range inside [...]; sets *is_class when it was \d, \w or \s. */
static err_t class_member(program_t *p, rd_t *r, uint32_t *out, bool *is_class)
{
	*is_class = false;
	ENSURE(!rd_empty(r), ERR_VALUE);
	if (rd_peek(r) != '\\') {
		ENSURE(rd_peek(r) != '[' && rd_peek(r) != ']', ERR_VALUE); /* escape them */
		*out = take_char(r);
		return OK;
	}
	r->p++;
	*is_class = add_escape_class(p, rd_peek(r));
	if (!*is_class) {
		TRY(escaped_char(rd_peek(r), out));
	}
	r->p++;
	return OK;
}

/* One member or range. A bare '-' is itself only first or last. */
static err_t class_item(program_t *p, rd_t *r, bool is_first)
{
	uint32_t lo, hi;
	bool is_class;
	bool is_dash = rd_peek(r) == '-';

	TRY(class_member(p, r, &lo, &is_class));
	ENSURE(!is_dash || is_first || rd_peek(r) == ']', ERR_VALUE);
	if (is_class) {
		ENSURE(rd_peek(r) != '-' || (rd_left(r) >= 2 && r->p[1] == ']'), ERR_VALUE);
		return OK;
	}
	hi = lo;
	if (!is_dash && rd_peek(r) == '-' && rd_left(r) >= 2 && r->p[1] != ']') {
		r->p++;
		ENSURE(rd_peek(r) != '-', ERR_VALUE);
		TRY(class_member(p, r, &hi, &is_class));
		ENSURE(!is_class && hi >= lo, ERR_VALUE);
	}
	add_range(p, lo, hi);
	return OK;
}

static err_t read_class(program_t *p, rd_t *r)
{
	int first = p->n_ranges;
	bool negated = rd_peek(r) == '^';

	r->p += negated ? 1 : 0;
	for (bool is_first = true; rd_peek(r) != ']'; is_first = false) {
		TRY(class_item(p, r, is_first));
	}
	r->p++;
	ENSURE(p->n_ranges > first, ERR_VALUE); /* [] and [^] */
	return emit_class(p, first, negated);
}

/* --- quantifiers ------------------------------------------------------------------------------ */

/* Makes room for one instruction at `at`; code behind it moves as a block. */
static err_t insert(program_t *p, int at, instr_t i)
{
	TRY(emit(p, i));
	memmove(&p->code[at + 1], &p->code[at], sizeof(instr_t) * (size_t)(p->n_code - 1 - at));
	p->code[at] = i;
	return OK;
}

static err_t copy_block(program_t *p, const instr_t *block, int n)
{
	ENSURE(n <= STATES - 1 - p->n_code, ERR_LIMIT);
	memcpy(&p->code[p->n_code], block, sizeof(instr_t) * (size_t)n);
	p->n_code += n;
	return OK;
}

static err_t make_star(program_t *p, int at)
{
	int n = p->n_code - at;

	TRY(insert(p, at, (instr_t){ .op = OP_SPLIT, .x = 1, .y = (int16_t)(n + 2) }));
	return emit(p, (instr_t){ .op = OP_JUMP, .x = (int16_t)(-n - 1) });
}

static err_t make_plus(program_t *p, int at)
{
	return emit(p, (instr_t){ .op = OP_SPLIT, .x = (int16_t)(at - p->n_code), .y = 1 });
}

static err_t make_optional(program_t *p, int at)
{
	return insert(p, at, (instr_t){ .op = OP_SPLIT, .x = 1, .y = (int16_t)(p->n_code - at + 1) });
}

/* x{min,max}: min copies, then max - min optional ones, each of which may leave to the end.
 * x{min,}: min copies, then a star. */
enum { ENDLESS = -1 };
static err_t make_counted(program_t *p, int at, int min, int max)
{
	instr_t block[STATES];
	int n = p->n_code - at;

	memcpy(block, &p->code[at], sizeof(instr_t) * (size_t)n);
	p->n_code = at;
	for (int i = 0; i < min; i++) {
		TRY(copy_block(p, block, n));
	}
	if (max == ENDLESS) {
		at = p->n_code;
		TRY(copy_block(p, block, n));
		return make_star(p, at);
	}
	for (int left = max - min; left > 0; left--) {
		ENSURE((n + 1) * left < STATES, ERR_LIMIT);
		TRY(emit(p, (instr_t){ .op = OP_SPLIT, .x = 1, .y = (int16_t)((n + 1) * left) }));
		TRY(copy_block(p, block, n));
	}
	return OK;
}

/* {m}, {m,} or {m,n}, behind the brace. */
static err_t read_counts(program_t *p, rd_t *r, int at)
{
	uint64_t min, max;

	ENSURE(rd_decimal(r, DELEGATION_PATTERN_REPEAT_MAX, &min) == OK, ERR_VALUE);
	if (rd_lit(r, STR("}")) == OK) {
		return make_counted(p, at, (int)min, (int)min);
	}
	ENSURE(rd_lit(r, STR(",")) == OK, ERR_VALUE);
	if (rd_lit(r, STR("}")) == OK) {
		return make_counted(p, at, (int)min, ENDLESS);
	}
	ENSURE(rd_decimal(r, DELEGATION_PATTERN_REPEAT_MAX, &max) == OK, ERR_VALUE);
	ENSURE(rd_lit(r, STR("}")) == OK && max >= min, ERR_VALUE);
	return make_counted(p, at, (int)min, (int)max);
}

static err_t read_quantifier(program_t *p, rd_t *r, uint32_t c)
{
	int at = p->atom;

	ENSURE(at >= 0, ERR_VALUE); /* nothing to repeat, or repeated already */
	p->atom = -1;
	switch (c) {
	case '*':
		return make_star(p, at);
	case '+':
		return make_plus(p, at);
	case '?':
		return make_optional(p, at);
	default:
		return read_counts(p, r, at);
	}
}

/* --- groups and alternatives ------------------------------------------------------------------ */

static err_t open_group(program_t *p)
{
	ENSURE(p->depth < DELEGATION_PATTERN_DEPTH_MAX, ERR_LIMIT);
	p->groups[++p->depth] = (group_t){ p->n_code, p->n_code, -1 };
	p->atom = -1;
	return OK;
}

/* a|b: split in front of a, a jump behind it that waits for the end of the group. */
static err_t next_branch(program_t *p)
{
	group_t *g = &p->groups[p->depth];
	int n = p->n_code - g->branch;

	TRY(insert(p, g->branch, (instr_t){ .op = OP_SPLIT, .x = 1, .y = (int16_t)(n + 2) }));
	TRY(emit(p, (instr_t){ .op = OP_JUMP, .x = (int16_t)g->jumps }));
	g->jumps = p->n_code - 1;
	g->branch = p->n_code;
	p->atom = -1;
	return OK;
}

static void close_branches(program_t *p)
{
	group_t *g = &p->groups[p->depth];

	for (int at = g->jumps; at >= 0;) {
		int before = p->code[at].x;
		p->code[at].x = (int16_t)(p->n_code - at);
		at = before;
	}
}

static err_t close_group(program_t *p)
{
	ENSURE(p->depth > 0, ERR_VALUE);
	close_branches(p);
	p->atom = p->groups[p->depth--].start;
	return OK;
}

/* One plain atom at the end of the code. */
static err_t read_atom(program_t *p, rd_t *r, uint32_t c)
{
	p->atom = p->n_code;
	switch (c) {
	case '.':
		return emit(p, (instr_t){ .op = OP_ANY });
	case '[':
		return read_class(p, r);
	case '\\':
		return read_escape(p, r);
	case ']':
	case '}':
	case '^':
	case '$': /* the whole string, always */
		return ERR_VALUE;
	default:
		ENSURE(c >= 0x20 && c != 0x7f, ERR_VALUE);
		return emit(p, (instr_t){ .op = OP_CHAR, .c = c });
	}
}

static err_t read_one(program_t *p, rd_t *r)
{
	uint32_t c = take_char(r);

	switch (c) {
	case '(':
		return open_group(p);
	case ')':
		return close_group(p);
	case '|':
		return next_branch(p);
	case '*':
	case '+':
	case '?':
	case '{':
		return read_quantifier(p, r, c);
	default:
		return read_atom(p, r, c);
	}
}

static err_t compile(str_t pattern, program_t *p)
{
	rd_t r = rd_of(pattern);

	ENSURE(pattern.n <= DELEGATION_PATTERN_BYTES_MAX, ERR_LIMIT);
	ENSURE(str_is_utf8(pattern), ERR_VALUE);
	p->n_code = p->n_ranges = p->depth = 0;
	p->atom = -1;
	p->groups[0] = (group_t){ 0, 0, -1 };
	while (!rd_empty(&r)) {
		TRY(read_one(p, &r));
	}
	ENSURE(p->depth == 0, ERR_VALUE);
	close_branches(p);
	p->code[p->n_code++] = (instr_t){ .op = OP_MATCH };
	return OK;
}

/* --- running ---------------------------------------------------------------------------------- */

/* Threads of one moment: each instruction at most once. seen[pc] == generation marks membership. */
typedef struct {
	uint16_t pc[STATES];
	int n;
} threads_t;

typedef struct {
	uint32_t seen[STATES];
	uint32_t generation;
	uint16_t stack[2 * STATES];
} marks_t;

/* Adds pc and what it reaches without a character. */
static void add_thread(const program_t *p, marks_t *m, threads_t *t, int pc)
{
	int top = 0;

	m->stack[top++] = (uint16_t)pc;
	while (top > 0) {
		int at = m->stack[--top];
		const instr_t *i = &p->code[at];
		if (m->seen[at] == m->generation) {
			continue;
		}
		m->seen[at] = m->generation;
		if (i->op == OP_JUMP || i->op == OP_SPLIT) {
			CHECK(top + 2 <= 2 * STATES); /* each instruction is expanded once */
			m->stack[top++] = (uint16_t)(at + i->x);
			if (i->op == OP_SPLIT) {
				m->stack[top++] = (uint16_t)(at + i->y);
			}
			continue;
		}
		t->pc[t->n++] = (uint16_t)at;
	}
}

static bool class_has(const program_t *p, const instr_t *i, uint32_t c)
{
	for (int k = 0; k < i->y; k++) {
		const range_t *range = &p->ranges[i->x + k];
		if (c >= range->lo && c <= range->hi) {
			return !i->negated;
		}
	}
	return i->negated;
}

static bool accepts(const program_t *p, const instr_t *i, uint32_t c)
{
	return i->op == OP_ANY || (i->op == OP_CHAR && i->c == c)
		|| (i->op == OP_CLASS && class_has(p, i, c));
}

static bool is_matched(const program_t *p, const threads_t *t)
{
	for (int k = 0; k < t->n; k++) {
		if (p->code[t->pc[k]].op == OP_MATCH) {
			return true;
		}
	}
	return false;
}

static bool run(const program_t *p, str_t text)
{
	threads_t lists[2] = { { .n = 0 }, { .n = 0 } }, *now = &lists[0], *next = &lists[1], *swap;
	marks_t m = { .generation = 1 };
	rd_t r = rd_of(text);

	add_thread(p, &m, now, 0);
	while (!rd_empty(&r) && now->n > 0) {
		uint32_t c = take_char(&r);
		m.generation++;
		next->n = 0;
		for (int k = 0; k < now->n; k++) {
			if (accepts(p, &p->code[now->pc[k]], c)) {
				add_thread(p, &m, next, now->pc[k] + 1);
			}
		}
		swap = now, now = next, next = swap;
	}
	return rd_empty(&r) && is_matched(p, now);
}

err_t delegation_pattern_check(str_t pattern)
{
	program_t p;

	return compile(pattern, &p);
}

bool delegation_pattern_matches(str_t pattern, str_t text)
{
	program_t p;

	if (text.n > DELEGATION_STRING_BYTES_MAX || !str_is_utf8(text)) {
		return false;
	}
	return compile(pattern, &p) == OK && run(&p, text);
}
