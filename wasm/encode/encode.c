// encode writes values in another form. It hides nothing.
//
// Arguments: {"as": "base64" | "base64url" | "hex" | "pem", "pointers": [...],
// "keys": [...], "label": "CERTIFICATE"} encode the selected values; pem takes
// values that are base64 or contain a block already. {"as": "env"} and
// {"as": "kubernetes", "name": "app"} turn the object at "data", or else the
// whole result, into the text of an environment file or a Secret.
#include "../include/select.h"

static span label;
static int urlsafe;

static u32 configure(span conf) {
	(void)conf;
	return OK;
}

// plain returns the bytes of a value: the text of a string, the JSON of others.
FAST span plain(span value) { return value.p[0] == '"' ? text_of(inside(value)) : value; }

// first returns the first n of 16 bytes, and zeros.
FAST v128_t first(v128_t v, u32 n) {
	v128_t index = wasm_i8x16_const(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	return wasm_v128_and(v, wasm_i8x16_lt(index, wasm_i8x16_splat(n)));
}

FAST v128_t masked(v128_t v, u32 mask) { return wasm_v128_and(v, wasm_i32x4_splat(mask)); }

// sextets spreads 12 bytes over 16, with six bits in each.
FAST v128_t sextets(v128_t v) {
	v = wasm_i8x16_shuffle(v, v, 2, 1, 0, 0, 5, 4, 3, 3, 8, 7, 6, 6, 11, 10, 9, 9);
	v128_t a = masked(wasm_u32x4_shr(v, 18), 0x3f), b = masked(wasm_u32x4_shr(v, 4), 0x3f00);
	v128_t c = masked(wasm_i32x4_shl(v, 10), 0x3f0000), d = masked(wasm_i32x4_shl(v, 24), 0x3f000000);
	return either(either(a, b), either(c, d));
}

// letters turns 16 numbers below 64 into base64. The distance from a number to its
// letter is found by its class: 0 to 25, 26 to 51, and each of the others.
FAST v128_t letters(v128_t v) {
	v128_t classes = wasm_u8x16_sub_sat(v, wasm_i8x16_splat(51));
	v128_t small = wasm_v128_and(wasm_i8x16_gt(wasm_i8x16_splat(26), v), wasm_i8x16_splat(13));
	v128_t distance = urlsafe
		? wasm_i8x16_const(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -17, 32, 65, 0, 0)
		: wasm_i8x16_const(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0);
	return wasm_i8x16_add(v, wasm_i8x16_swizzle(distance, either(classes, small)));
}

static void put_base64(span s) {
	u8 *d = room(s.n / 3 * 4 + 8);
	for (u32 i = 0; i < s.n; i += 12, d += 16)
		wasm_v128_store(d, letters(sextets(first(wasm_v128_load(s.p + i), s.n - i < 12 ? s.n - i : 12))));
	u32 left = s.n % 3;
	out_len += s.n / 3 * 4 + (left ? left + 1 : 0);
	for (; left && left < 3 && !urlsafe; left++)
		put_byte('=');
}

static void base64(span value) {
	put_byte('"');
	put_base64(plain(value));
	put_byte('"');
}

static void hex(span value) {
	span s = plain(value);
	u8 *d = room(2 * s.n + 2);
	*d++ = '"';
	v128_t digit = wasm_i8x16_const('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
	for (u32 i = 0; i < s.n; i += 16) {
		v128_t v = wasm_v128_load(s.p + i);
		v128_t high = wasm_i8x16_swizzle(digit, wasm_u8x16_shr(v, 4));
		v128_t low = wasm_i8x16_swizzle(digit, wasm_v128_and(v, wasm_i8x16_splat(15)));
		wasm_v128_store(d + 2 * i, wasm_i8x16_shuffle(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
		wasm_v128_store(d + 2 * i + 16, wasm_i8x16_shuffle(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
	}
	d[2 * s.n] = '"';
	out_len += 2 * s.n + 2;
}

// is_block tells whether the inside of a string begins like a block. Escapes have
// at most six characters, so that 72 of them say more than ten. The last one may be
// cut, and then takes a byte more.
static int is_block(span s) {
	u8 begin[80];
	u32 n = unescape(begin, from(s, 0, s.n < 72 ? s.n : 72));
	return n > 10 && begin[0] == '-' && begin[1] == '-';
}

// put_lines writes text in lines of 64, without the spaces that it has.
static void put_lines(span s) {
	u32 column = 0;
	for (u32 i = spaces(s, 0), n; i < s.n; i = spaces(s, i + n)) {
		u8 *d = room(2 + 16 + 8);
		if (column == 64) {
			*d++ = '\\';
			*d++ = 'n';
			out_len += 2;
			column = 0;
		}
		v128_t v = wasm_v128_load(s.p + i);
		u32 left = s.n - i < 64 - column ? s.n - i : 64 - column;
		left = left < 16 ? left : 16;
		n = __builtin_ctz(bits(either(needs_escape(v), is(v, ' '))) | 1u << left);
		wasm_v128_store(d, v);
		out_len += n;
		column += n;
		if (n < left && s.p[i + n] > ' ') {
			out_len += escape(d + n, s.p[i + n]);
			column++;
			n++;
		}
	}
}

// pem wraps base64 text into lines of 64 (RFC 7468); what is a block already
// stays as it is.
static void pem(span value) {
	if (is_block(inside(value))) {
		put(value);
		return;
	}
	put_text("\"-----BEGIN ");
	put_escaped(label);
	put_text("-----\\n");
	put_lines(plain(value));
	put_text("\\n-----END ");
	put_escaped(label);
	put_text("-----\\n\"");
}

// env_name writes a key as the name of a variable.
static void env_name(span key) {
	if (key.n == 0 || is_digit(key.p[0]))
		put_byte('_');
	u8 *d = room(key.n);
	for (u32 i = 0; i < key.n; i++) {
		u8 c = key.p[i];
		d[i] = is_alpha(c) ? c & ~32 : is_digit(c) ? c : '_';
	}
	out_len += key.n;
}

FAST v128_t needs_quote(v128_t v) { return either(needs_escape(v), either(is(v, '$'), is(v, '`'))); }

// shell_escape is escape, with a backslash of its own before what a shell would
// expand.
FAST u32 shell_escape(u8 *d, u8 c) {
	if (c < ' ')
		return escape(d, c);
	d[0] = d[1] = d[2] = '\\';
	u32 n = c == '"' || c == '\\' ? 3 : 2;
	d[n] = c;
	return n + 1;
}

// env writes NAME="value" lines, with what a shell would expand escaped. The
// whole text is the inside of a JSON string, hence the doubled backslashes.
static u32 env(span object) {
	put_text("{\"format\":\"env\",\"text\":\"");
	for (cursor c = enter(object); next(&c);) {
		env_name(c.key);
		put_text("=\\\"");
		put_marked(plain(c.value), needs_quote, shell_escape);
		put_text("\\\"\\n");
	}
	put_text("\"}");
	return OK;
}

static u32 kubernetes(span object) {
	span name = inside(arguments[NAME]);
	if (name.n == 0)
		name = SPAN("secret");
	put_text("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"");
	put(name);
	put_text("\"},\"type\":\"Opaque\",\"data\":{");
	for (cursor c = enter(object); next(&c);) {
		if (c.index > 0)
			put_byte(',');
		put_byte('"');
		put(c.key);
		put_text("\":");
		base64(c.value);
	}
	put_text("}}");
	return OK;
}

// whole returns the object that env and kubernetes are about.
static span whole(span payload) {
	span doc = from(payload, spaces(payload, 0), payload.n);
	span data = member(doc, SPAN("data"));
	return data.n > 0 && data.p[0] == '{' ? data : doc;
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook;
	read_arguments(meta);
	span as = inside(arguments[AS]);
	urlsafe = same(as, SPAN("base64url"));
	if (same(as, SPAN("env")) || same(as, SPAN("kubernetes"))) {
		span object = whole(payload);
		if (object.n == 0 || object.p[0] != '{')
			return BAD_INPUT;
		return as.p[0] == 'e' ? env(object) : kubernetes(object);
	}
	label = inside(arguments[LABEL]);
	if (label.n == 0)
		label = SPAN("CERTIFICATE");
	if (npointers + nkeys == 0)
		return BAD_CONFIG;
	if (same(as, SPAN("hex")))
		return edit_document(payload, hex);
	if (same(as, SPAN("pem")))
		return edit_document(payload, pem);
	if (!urlsafe && !same(as, SPAN("base64")))
		return BAD_CONFIG;
	return edit_document(payload, base64);
}
