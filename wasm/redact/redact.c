// redact removes secrets from log records: values whose key ends like the name
// of a secret, at any depth of JSON in JSON, and texts with the shape of a token.
//
// Configuration: {"keys": ["ssn", "iban"], "with": "[redacted]"} adds endings of
// keys, in lower case without - and _. It does not take any away.
#include "../include/json.h"

enum { MAX_KEYS = 64, CONFIG = 4096 };

static const char *const builtin[] = {
	"password", "passwd", "pwd", "passphrase", "secret", "secretid", "token", "apikey", "privatekey",
	"secretkey", "accesskey", "signingkey", "encryptionkey", "authorization", "cookie", "credential",
	"credentials", "unsealkey", "dsn",
};

static span names[MAX_KEYS + 1]; // from 1; 0 ends a chain
static u32 nnames;
static u8 first[32], following[MAX_KEYS + 1]; // chains of names with the same last letter
static u64 tails[MAX_KEYS + 1], masks[MAX_KEYS + 1]; // their last eight letters, or fewer
static u32 pairs[32]; // by the last letter but one: a bit for each last letter
static u8 config[CONFIG];
static span with = {(const u8 *)"[redacted]", 10};

// letter gives each letter a number, whatever its case, and all else another.
FAST u32 letter(u8 c) { return is_alpha(c) ? (c | 32) - 'a' : 31; }

static void add_name(span s) {
	u32 last = letter(s.p[s.n - 1]);
	names[++nnames] = s;
	for (u32 n = 0; n < s.n && n < 8; n++) {
		tails[nnames] |= (u64)s.p[s.n - 1 - n] << (8 * n);
		masks[nnames] |= 0xffull << (8 * n);
	}
	following[nnames] = first[last];
	first[last] = nnames;
	pairs[letter(s.p[s.n - 2])] |= 1u << last;
}

// configure copies what it keeps: the buffer belongs to the next call.
static u32 configure(span conf) {
	for (u32 i = 0; i < sizeof builtin / sizeof *builtin; i++) {
		span s = {(const u8 *)builtin[i], 0};
		while (s.p[s.n])
			s.n++;
		add_name(s);
	}
	if (conf.n == 0)
		return OK;
	if (conf.n > CONFIG)
		return BAD_CONFIG;
	for (u32 i = 0; i < conf.n; i++)
		config[i] = conf.p[i];
	span copy = {config, conf.n};
	for (cursor c = enter(member(copy, SPAN("keys"))); next(&c);) {
		span s = inside(c.value);
		if (nnames == MAX_KEYS || s.n < 2 || s.n == c.value.n)
			return BAD_CONFIG;
		add_name(s);
	}
	span w = member(copy, SPAN("with"));
	if (w.n >= 2)
		with = inside(w);
	return OK;
}

// --- the scanner: text up to done is written or left out ---

static span text;
static u32 done;

// cut leaves out text[a..b) and returns where to go on.
APART u32 cut(u32 a, u32 b) {
	if (a < done)
		a = done;
	put(from(text, done, a));
	put(with);
	done = b;
	return b;
}

static u32 backslashes(u32 i) {
	u32 n = 0;
	while (n < i && text.p[i - 1 - n] == '\\')
		n++;
	return n;
}

// ends tells whether a quote behind n backslashes closes a string that opened
// behind level ones. Each level of JSON in JSON halves the run.
static int ends(u32 n, u32 level) {
	for (; level > 0; level = (level - 1) / 2) {
		if (n % 2 == 0)
			return 1;
		n = (n - 1) / 2;
	}
	return n % 2 == 0;
}

APART u32 closing(u32 i, u32 level) {
	v128_t quote = wasm_i8x16_splat('"');
	while (i < text.n) {
		u32 hit = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(text.p + i), quote));
		if (!hit) {
			i += 16;
			continue;
		}
		i += __builtin_ctz(hit);
		if (i >= text.n)
			break;
		u32 n = backslashes(i);
		if (ends(n, level))
			return i - (n < level ? n : level);
		i++;
	}
	return text.n;
}

// may_be_secret looks at the last two letters of a name, which rules out most.
FAST int may_be_secret(u8 before, u8 last) { return pairs[letter(before)] >> letter(last) & 1; }

// ends_with compares from the end and skips - and _ in the key.
APART int ends_with(u32 start, u32 stop, span name) {
	u32 k = name.n;
	while (k > 0) {
		if (stop == start)
			return 0;
		u8 c = text.p[--stop];
		if (c == '-' || c == '_')
			continue;
		if (lower(c) != name.p[--k])
			return 0;
	}
	return 1;
}

// tail returns the last eight letters of a key, without - and _.
static u64 tail(u32 start, u32 stop) {
	u64 t = 0;
	for (u32 n = 0; stop > start && n < 64;) {
		u8 c = text.p[--stop];
		if (c == '-' || c == '_')
			continue;
		t |= (u64)lower(c) << n;
		n += 8;
	}
	return t;
}

static int is_secret(u32 start, u32 stop) {
	u64 t = tail(start, stop);
	for (u32 k = first[letter(text.p[stop - 1])]; k; k = following[k])
		if ((t & masks[k]) == tails[k] && (names[k].n <= 8 || ends_with(start, stop, names[k])))
			return 1;
	return 0;
}

APART u32 balanced(u32 i, u32 level) {
	u32 deep = 0;
	for (; i < text.n; i++) {
		u8 c = text.p[i];
		if (c == '{' || c == '[')
			deep++;
		else if ((c == '}' || c == ']') && --deep == 0)
			return i + 1;
		else if (c == '"')
			i = closing(i + 1, level) + level;
	}
	return text.n;
}

// replace writes a quoted text in the place of a value without quotes.
static u32 replace(u32 a, u32 b, u32 level) {
	put(from(text, done, a));
	for (u32 i = 0; i < level; i++)
		put_byte('\\');
	put_byte('"');
	put(with);
	for (u32 i = 0; i < level; i++)
		put_byte('\\');
	put_byte('"');
	done = b;
	return b;
}

static u32 quoted(u32 i) {
	u32 level = 0;
	while (i < text.n && text.p[i] == '\\') {
		i++;
		level++;
	}
	if (i >= text.n || text.p[i] != '"')
		return i;
	u32 end = closing(i + 1, level);
	return end == i + 1 || same(from(text, i + 1, end), with) ? end : cut(i + 1, end);
}

static u32 value(u32 i, u32 level) {
	i = spaces(text, i);
	if (i >= text.n)
		return i;
	u8 c = text.p[i];
	if (c == '"' || c == '\\')
		return quoted(i);
	if (c == '{' || c == '[')
		return replace(i, balanced(i, level), level);
	if (c == '-' || is_digit(c)) {
		u32 end = i;
		while (end < text.n && (is_word(text.p[end]) || text.p[end] == '.' || text.p[end] == '+'))
			end++;
		return replace(i, end, level);
	}
	return i; // true, false and null say nothing
}

// named looks at the name in front of a colon, which ends at stop. A name stops
// at its quote by itself: no ending has one.
APART u32 named(u32 i, u32 stop, u32 level) {
	return is_secret(done, stop) ? value(i + 1, level) : i + 1;
}

// colon is behind a quote: the name in front of it says what the value is.
FAST u32 colon(u32 i) {
	if (i < 3)
		return i + 1;
	u32 level = text.p[i - 2] == '\\' ? backslashes(i - 1) : 0;
	u32 stop = i - 1 - level;
	if (stop < done + 2 || !may_be_secret(text.p[stop - 2], text.p[stop - 1]))
		return i + 1;
	return named(i, stop, level);
}

// --- shapes of tokens ---

static u32 run(u32 i) {
	while (i < text.n && is_word(text.p[i]))
		i++;
	return i;
}

// boundary tells whether a word begins at i; the letter of an escape such as \n
// does not belong to one.
static int boundary(u32 i) {
	if (i == 0 || !is_word(text.p[i - 1]))
		return 1;
	u8 c = text.p[i - 1];
	return i >= 2 && text.p[i - 2] == '\\' && (c == 'n' || c == 't' || c == 'r' || c == 'b' || c == 'f');
}

FAST int begins(u32 i, span s) { return i + s.n <= text.n && same(from(text, i, i + s.n), s); }

// shape takes a prefix that begins a word and at least min characters behind it.
APART u32 shape(u32 i, u32 prefix, u32 min) {
	u32 end = run(i + prefix);
	return end - i - prefix < min ? i + 1 : cut(i, end);
}

APART u32 jwt(u32 i) {
	u32 end = run(i);
	if (end - i < 9 || end >= text.n || text.p[end] != '.')
		return i + 1;
	while (end < text.n && text.p[end] == '.')
		end = run(end + 1);
	return cut(i, end);
}

APART u32 aws(u32 i) {
	u32 end = run(i);
	if (end - i != 20)
		return i + 1;
	for (u32 k = i; k < end; k++)
		if (!is_digit(text.p[k]) && !(text.p[k] >= 'A' && text.p[k] <= 'Z'))
			return i + 1;
	return cut(i, end);
}

// find returns the first place of s from i on, or the limit.
APART u32 find(u32 i, u32 limit, span s) {
	for (limit = limit < text.n ? limit : text.n; i < limit; i += 16)
		for (u32 hits = bits(is(wasm_v128_load(text.p + i), s.p[0])); hits; hits &= hits - 1) {
			u32 at = i + __builtin_ctz(hits);
			if (at < limit && begins(at, s))
				return at;
		}
	return limit;
}

APART u32 private_key(u32 i) {
	u32 label = find(i, i + 60, SPAN("PRIVATE KEY"));
	if (label >= i + 60 || label >= text.n)
		return i + 1;
	u32 end = find(find(i + 10, text.n, SPAN("-----END ")) + 9, text.n, SPAN("-----")) + 5;
	return cut(i, end < text.n ? end : text.n);
}

APART u32 word(u32 i) {
	u8 c = text.p[i];
	if (c == '-')
		return begins(i, SPAN("-----BEGIN ")) ? private_key(i) : i + 1;
	if (!boundary(i))
		return i + 1;
	if (c == 'h')
		return begins(i, SPAN("hvs.")) || begins(i, SPAN("hvb.")) || begins(i, SPAN("hvr.")) ? shape(i, 4, 12) : i + 1;
	if (c == 's' || c == 'b')
		return begins(i + 1, SPAN(".")) ? shape(i, 2, 20) : i + 1;
	if (c == 'e')
		return begins(i, SPAN("eyJ")) ? jwt(i) : i + 1;
	if (c == 'A')
		return begins(i, SPAN("AKIA")) || begins(i, SPAN("ASIA")) ? aws(i) : i + 1;
	if (begins(i, SPAN("github_pat_")))
		return shape(i, 11, 10);
	return begins(i + 3, SPAN("_")) ? shape(i, 4, 20) : i + 1;
}

// candidates marks the places in 16 bytes at which something may begin, by the
// byte there and its neighbours.
FAST u32 candidates(const u8 *p) {
	v128_t here = wasm_v128_load(p), before = wasm_v128_load(p - 1), after = wasm_v128_load(p + 1);
	v128_t name = wasm_v128_and(is(here, ':'), is(before, '"'));
	v128_t dot = wasm_v128_and(is(after, '.'), wasm_v128_or(is(here, 's'), is(here, 'b')));
	v128_t hv = wasm_v128_and(is(here, 'h'), is(after, 'v'));
	v128_t ey = wasm_v128_and(is(here, 'e'), is(after, 'y'));
	v128_t ak = wasm_v128_and(is(here, 'A'), wasm_v128_or(is(after, 'K'), is(after, 'S')));
	v128_t gh = wasm_v128_and(is(here, 'g'), wasm_v128_or(is(after, 'h'), is(after, 'i')));
	v128_t dash = wasm_v128_and(is(here, '-'), is(after, '-'));
	v128_t any = wasm_v128_or(wasm_v128_or(wasm_v128_or(name, dot), wasm_v128_or(hv, ey)), wasm_v128_or(wasm_v128_or(ak, gh), dash));
	return wasm_i8x16_bitmask(any);
}

// chunk looks at 16 bytes and returns where to go on.
FAST u32 chunk(u32 i) {
	u32 end = i + 16;
	for (u32 hits = candidates(text.p + i); hits; hits &= hits - 1) {
		u32 at = i + __builtin_ctz(hits);
		if (at >= text.n)
			return at;
		u32 to = text.p[at] == ':' ? colon(at) : word(at);
		if (to > at + 1)
			return to;
	}
	return end;
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook;
	(void)meta;
	text = payload;
	done = 0;
	for (u32 i = 0; i < text.n;)
		i = chunk(i);
	if (done > 0)
		put(from(text, done, text.n));
	return OK;
}
