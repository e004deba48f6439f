// Walking JSON without building it. The host passes only valid JSON, but a module
// must not rely on that: every function stops at the end, and what is broken
// comes out as a value of length zero.
#ifndef PORTCULLIS_JSON_H
#define PORTCULLIS_JSON_H

#include "guest.h"

// spaces returns the index of the first byte from i on that is no space. Like all
// that looks at one byte more, it may read behind the end, where there is slack.
FAST u32 spaces(span s, u32 i) {
	if (s.p[i] <= ' ')
		while (i < s.n && s.p[i] <= ' ')
			i++;
	return i;
}

// behind returns where the next value begins, or the container ends, behind one
// that ends at i.
FAST u32 behind(span s, u32 i) { return spaces(s, i + (s.p[i] == ',')); }

FAST int opens(u8 c) { return (c | 32) == '{'; }  // { or [
FAST int closes(u8 c) { return (c | 32) == '}'; } // } or ]

// quote returns the index of the first quote or backslash from i on.
FAST u32 quote(span s, u32 i) {
	for (; i < s.n; i += 16) {
		v128_t v = wasm_v128_load(s.p + i);
		u32 hits = bits(either(is(v, '"'), is(v, '\\')));
		if (hits) {
			i += __builtin_ctz(hits);
			break;
		}
	}
	return i < s.n ? i : s.n;
}

// escaped_end returns the index behind the string that has its first backslash at i.
APART u32 escaped_end(span s, u32 i) {
	while (i < s.n && s.p[i] != '"')
		i = quote(s, i + 2);
	return i < s.n ? i + 1 : s.n;
}

// string_end returns the index behind the string whose first quote is at i.
FAST u32 string_end(span s, u32 i) {
	i = quote(s, i + 1);
	return i < s.n && s.p[i] == '"' ? i + 1 : escaped_end(s, i);
}

// scalar_end returns the index behind the number or literal at i.
FAST u32 scalar_end(span s, u32 i) {
	for (; i < s.n; i += 16) {
		v128_t v = wasm_v128_load(s.p + i);
		v128_t close = is(either(v, wasm_i8x16_splat(32)), '}');
		u32 hits = bits(either(either(close, is(v, ',')), within(v, 0, ' ')));
		if (hits) {
			i += __builtin_ctz(hits);
			break;
		}
	}
	return i < s.n ? i : s.n;
}

// brackets marks quotes and the brackets of objects and arrays.
FAST v128_t brackets(v128_t v) {
	v128_t folded = either(v, wasm_i8x16_splat(32));
	return either(is(v, '"'), either(is(folded, '{'), is(folded, '}')));
}

// bracket returns the index of the first of them from i on.
FAST u32 bracket(span s, u32 i) {
	for (; i < s.n; i += 16) {
		u32 hits = bits(brackets(wasm_v128_load(s.p + i)));
		if (hits)
			return i + __builtin_ctz(hits);
	}
	return s.n;
}

// container_end returns the index behind the object or array whose inside is at i.
APART u32 container_end(span s, u32 i) {
	for (u32 depth = 1, to; i < s.n; i = to) {
		u32 hits = bits(brackets(wasm_v128_load(s.p + i)));
		for (to = i + 16; hits; hits &= hits - 1) {
			u32 at = i + __builtin_ctz(hits);
			if (at >= s.n)
				break;
			if (s.p[at] == '"') {
				to = string_end(s, at);
				break;
			}
			depth += opens(s.p[at]) ? 1 : -1;
			if (depth == 0)
				return at + 1;
		}
	}
	return s.n;
}

// value_end returns the index behind the value at i.
FAST u32 value_end(span s, u32 i) {
	if (i >= s.n)
		return s.n;
	if (opens(s.p[i]))
		return container_end(s, i + 1);
	return s.p[i] == '"' ? string_end(s, i) : scalar_end(s, i);
}

FAST span value_at(span s, u32 i) { return from(s, i, value_end(s, i)); }

// inside returns a string without its quotes; anything else as it is.
FAST span inside(span v) { return v.n >= 2 && v.p[0] == '"' ? from(v, 1, v.n - 1) : v; }

// A member or element while walking: next() moves from one to the next.
typedef struct {
	span s;
	u32 i;
	u32 index;
	span key; // without quotes; empty in an array
	span value;
	u8 close;
} cursor;

// enter opens the object or array v. It has no member before next().
FAST cursor enter(span v) {
	cursor c = {.s = v, .i = 1, .index = (u32)-1, .close = v.n > 0 && v.p[0] == '{' ? '}' : ']'};
	if (v.n < 2 || !opens(v.p[0]))
		c.i = v.n;
	return c;
}

FAST int next(cursor *c) {
	u32 i = spaces(c->s, c->i);
	if (i < c->s.n && c->s.p[i] == ',')
		i = spaces(c->s, i + 1);
	if (i >= c->s.n || c->s.p[i] == c->close)
		return 0;
	if (c->close == '}') {
		u32 end = string_end(c->s, i);
		if (c->s.p[i] != '"' || end >= c->s.n)
			return 0;
		c->key = from(c->s, i + 1, end - 1);
		i = spaces(c->s, spaces(c->s, end) + 1); // over the colon
		if (i >= c->s.n)
			return 0;
	}
	c->value = value_at(c->s, i);
	c->i = i + c->value.n;
	c->index++;
	return c->value.n > 0;
}

// pick finds n keys of an object in one walk. It leaves the values alone for which
// there is no key.
APART void pick(span object, u32 n, const span *names, span *values) {
	if (object.n == 0 || object.p[0] != '{')
		return;
	for (cursor c = enter(object); next(&c);)
		for (u32 k = 0; k < n; k++)
			if (same(c.key, names[k]))
				values[k] = c.value;
}

// member finds one key of an object; the result has length zero without it.
FAST span member(span object, span key) {
	span found = {0, 0};
	pick(object, 1, &key, &found);
	return found;
}

FAST u32 hex_digit(u8 c) {
	if (is_digit(c))
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

FAST u32 hex4(const u8 *p) {
	return hex_digit(p[0]) << 12 | hex_digit(p[1]) << 8 | hex_digit(p[2]) << 4 | hex_digit(p[3]);
}

static u32 utf8(u8 *d, u32 c) {
	if (c < 0x80) {
		d[0] = c;
		return 1;
	}
	if (c < 0x800) {
		d[0] = 0xc0 | c >> 6;
		d[1] = 0x80 | (c & 63);
		return 2;
	}
	if (c < 0x10000) {
		d[0] = 0xe0 | c >> 12;
		d[1] = 0x80 | (c >> 6 & 63);
		d[2] = 0x80 | (c & 63);
		return 3;
	}
	d[0] = 0xf0 | c >> 18;
	d[1] = 0x80 | (c >> 12 & 63);
	d[2] = 0x80 | (c >> 6 & 63);
	d[3] = 0x80 | (c & 63);
	return 4;
}

// code_point reads the \u escape at i, with its second half; *used is its length.
static u32 code_point(span s, u32 i, u32 *used) {
	*used = 6;
	if (i + 6 > s.n)
		return 0xfffd;
	u32 c = hex4(s.p + i + 2);
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || i + 12 > s.n || s.p[i + 6] != '\\' || s.p[i + 7] != 'u')
		return 0xfffd;
	u32 low = hex4(s.p + i + 8);
	if (low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*used = 12;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

// unicode decodes the \u escape at i.
APART u32 unicode(u8 *dst, span s, u32 i, u32 *used) { return utf8(dst, code_point(s, i, used)); }

// copy_down copies to dst, which may lie before p in the same text.
FAST void copy_down(u8 *dst, const u8 *p, u32 n) {
	u32 i = 0;
	for (; i + 16 <= n; i += 16)
		wasm_v128_store(dst + i, wasm_v128_load(p + i));
	for (; i < n; i++)
		dst[i] = p[i];
}

// unescaped returns what the letter of an escape stands for.
FAST u8 unescaped(u8 c) {
	return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
}

// unescape decodes the inside of a string into dst, which may be the string itself.
// The result is never longer, but for one byte behind an escape that is cut off.
static u32 unescape(u8 *dst, span s) {
	u32 n = 0;
	for (u32 i = 0, used; i < s.n; i += used) {
		used = 2;
		if (s.p[i] != '\\') {
			used = quote(s, i + 1) - i;
			copy_down(dst + n, s.p + i, used);
			n += used;
		} else if (i + 1 >= s.n) {
			dst[n++] = '\\';
		} else if (s.p[i + 1] == 'u') {
			n += unicode(dst + n, s, i, &used);
		} else {
			dst[n++] = unescaped(s.p[i + 1]);
		}
	}
	return n;
}

// text_of returns what the inside of a string says. One with escapes is decoded where
// it lies.
FAST span text_of(span s) {
	if (quote(s, 0) < s.n)
		s.n = unescape((u8 *)s.p, s);
	return s;
}

// put_marked writes s, but what is marked in 16 bytes as one() writes them, with
// at most eight bytes for each.
FAST void put_marked(span s, v128_t (*marked)(v128_t), u32 (*one)(u8 *, u8)) {
	for (u32 i = 0, n; i < s.n; i += n) {
		u8 *d = room(16 + 8);
		v128_t v = wasm_v128_load(s.p + i);
		u32 left = s.n - i < 16 ? s.n - i : 16;
		n = __builtin_ctz(bits(marked(v)) | 1u << left);
		wasm_v128_store(d, v);
		out_len += n;
		if (n < left) {
			out_len += one(d + n, s.p[i + n]);
			n++;
		}
	}
}

FAST v128_t needs_escape(v128_t v) {
	return either(either(is(v, '"'), is(v, '\\')), within(v, 0, 31));
}

// escape writes a byte that needs it as the inside of a JSON string, and returns
// the length.
FAST u32 escape(u8 *d, u8 c) {
	d[0] = '\\';
	if (c >= ' ' || c == '\n') {
		d[1] = c == '\n' ? 'n' : c;
		return 2;
	}
	d[1] = 'u';
	d[2] = d[3] = '0';
	d[4] = '0' + (c >> 4);
	d[5] = "0123456789abcdef"[c & 15];
	return 6;
}

// put_escaped writes bytes as the inside of a JSON string.
static void put_escaped(span s) { put_marked(s, needs_escape, escape); }

#endif
