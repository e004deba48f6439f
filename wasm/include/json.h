// Walking JSON without building it. The host passes only valid JSON, but a module
// must not rely on that: every function stops at the end, and what is broken
// comes out as a value of length zero.
#ifndef PORTCULLIS_JSON_H
#define PORTCULLIS_JSON_H

#include "guest.h"

FAST u32 spaces(span s, u32 i) {
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
		i++;
	return i;
}

// string_end returns the index behind the string whose first quote is at i.
static u32 string_end(span s, u32 i) {
	for (i++; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
	}
	return s.n;
}

// value_end returns the index behind the value at i.
static u32 value_end(span s, u32 i) {
	u32 depth = 0;
	while (i < s.n) {
		u8 c = s.p[i];
		if (c == '"') {
			i = string_end(s, i);
		} else if (c == '{' || c == '[') {
			depth++;
			i++;
			continue;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return i;
			depth--;
			i++;
		} else if (c == ',' || c == ':' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			if (depth == 0)
				return i;
			i++;
			continue;
		} else {
			while (i < s.n && !(s.p[i] == ',' || s.p[i] == '}' || s.p[i] == ']' || s.p[i] <= ' '))
				i++;
		}
		if (depth == 0)
			return i;
	}
	return s.n;
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
	if (v.n < 2 || (v.p[0] != '{' && v.p[0] != '['))
		c.i = v.n;
	return c;
}

static int next(cursor *c) {
	u32 i = spaces(c->s, c->i);
	if (i < c->s.n && c->s.p[i] == ',')
		i = spaces(c->s, i + 1);
	if (i >= c->s.n || c->s.p[i] == c->close)
		return 0;
	if (c->close == '}') {
		span key = value_at(c->s, i);
		c->key = inside(key);
		i = spaces(c->s, i + key.n);
		i = spaces(c->s, i + 1); // the colon
		if (key.n == 0 || i >= c->s.n)
			return 0;
	}
	c->value = value_at(c->s, i);
	c->i = i + c->value.n;
	c->index++;
	return c->value.n > 0;
}

// member finds a key of an object; the result has length zero without one.
static span member(span object, span key) {
	cursor c = enter(object);
	span found = {0, 0};
	while (next(&c))
		if (same(c.key, key))
			found = c.value;
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

// unescape decodes the inside of a string into dst, which is never longer.
static u32 unescape(u8 *dst, span s) {
	u32 n = 0;
	for (u32 i = 0; i < s.n;) {
		u8 c = s.p[i];
		if (c != '\\' || i + 1 >= s.n) {
			dst[n++] = c;
			i++;
			continue;
		}
		u32 used = 2;
		switch (c = s.p[i + 1]) {
		case 'n': dst[n++] = '\n'; break;
		case 't': dst[n++] = '\t'; break;
		case 'r': dst[n++] = '\r'; break;
		case 'b': dst[n++] = '\b'; break;
		case 'f': dst[n++] = '\f'; break;
		case 'u': n += utf8(dst + n, code_point(s, i, &used)); break;
		default: dst[n++] = c;
		}
		i += used;
	}
	return n;
}

FAST int has_escape(span s) {
	for (u32 i = 0; i < s.n; i++)
		if (s.p[i] == '\\')
			return 1;
	return 0;
}

// put_escaped writes bytes as the inside of a JSON string.
static void put_escaped(span s) {
	for (u32 i = 0; i < s.n; i++) {
		u8 c = s.p[i];
		if (c == '"' || c == '\\') {
			put_byte('\\');
			put_byte(c);
		} else if (c == '\n') {
			put_text("\\n");
		} else if (c < 0x20) {
			put_text("\\u00");
			put_byte("0123456789abcdef"[c >> 4]);
			put_byte("0123456789abcdef"[c & 15]);
		} else {
			put_byte(c);
		}
	}
}

#endif
