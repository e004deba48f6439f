// Which values of a document are meant: JSON pointers, in which a segment * is
// any, and patterns of keys, in which * is any text and case does not count.
#ifndef PORTCULLIS_SELECT_H
#define PORTCULLIS_SELECT_H

#include "json.h"

enum { MAX_ITEMS = 64, MAX_DEPTH = 64, SCRATCH = 8192 };

static span pointers[MAX_ITEMS], keys[MAX_ITEMS];
static u32 npointers, nkeys;

// scratch holds decoded text of the call: arguments and the keys of the path.
static u8 scratch[SCRATCH];
static u32 scratch_len;

// path is the way to the value that is looked at.
static struct {
	span key;
	u32 index;
	u8 element;
} path[MAX_DEPTH];
static u32 depth;

// decoded returns the text of a string; with escapes, a copy in scratch. A text
// that does not fit ends the call.
static span decoded(span s) {
	if (!has_escape(s))
		return s;
	if (s.n > SCRATCH - scratch_len)
		__builtin_trap();
	span d = {scratch + scratch_len, 0};
	d.n = unescape(scratch + scratch_len, s);
	scratch_len += d.n;
	return d;
}

static u32 read_list(span list, span *into) {
	u32 n = 0;
	for (cursor c = enter(list); next(&c);) {
		if (n == MAX_ITEMS)
			__builtin_trap();
		into[n++] = decoded(inside(c.value));
	}
	return n;
}

// read_selection reads pointers and keys of the arguments.
static void read_selection(span args) {
	scratch_len = depth = 0;
	npointers = read_list(member(args, SPAN("pointers")), pointers);
	nkeys = read_list(member(args, SPAN("keys")), keys);
}

// segment compares one segment of a pointer, from i, with a text, and moves i
// behind it. ~1 stands for / and ~0 for ~.
static int segment(span p, u32 *i, span text) {
	u32 at = *i, k = 0;
	int equal = 1;
	for (; at < p.n && p.p[at] != '/'; at++, k++) {
		u8 c = p.p[at];
		if (c == '~' && at + 1 < p.n)
			c = p.p[++at] == '1' ? '/' : '~';
		if (k >= text.n || text.p[k] != c)
			equal = 0;
	}
	int any = at - *i == 1 && p.p[*i] == '*';
	*i = at;
	return any || (equal && k == text.n);
}

static span digits(u8 *buf, u32 v) {
	u32 i = 10;
	do {
		buf[--i] = '0' + v % 10;
		v /= 10;
	} while (v);
	return (span){buf + i, 10 - i};
}

static int matches_pointer(span p) {
	u32 i = 0;
	u8 buf[10];
	for (u32 d = 0; d < depth; d++) {
		if (i >= p.n || p.p[i] != '/')
			return 0;
		i++;
		if (!segment(p, &i, path[d].element ? digits(buf, path[d].index) : path[d].key))
			return 0;
	}
	return i == p.n;
}

// matches_key takes each literal part of a pattern at its first place and goes
// back only to the last star, so that the time is bounded.
static int matches_key(span p, span k) {
	u32 i = 0, j = 0, star = (u32)-1, mark = 0;
	while (j < k.n) {
		if (i < p.n && p.p[i] == '*') {
			star = i++;
			mark = j;
		} else if (i < p.n && lower(p.p[i]) == lower(k.p[j])) {
			i++;
			j++;
		} else if (star != (u32)-1) {
			i = star + 1;
			j = ++mark;
		} else {
			return 0;
		}
	}
	while (i < p.n && p.p[i] == '*')
		i++;
	return i == p.n;
}

// selected tells whether the value at the path is meant. If nothing was named,
// every scalar value is.
static int selected(int scalar) {
	if (npointers + nkeys == 0)
		return scalar;
	for (u32 i = 0; i < npointers; i++)
		if (matches_pointer(pointers[i]))
			return 1;
	if (depth == 0 || path[depth - 1].element)
		return 0;
	for (u32 i = 0; i < nkeys; i++)
		if (matches_key(keys[i], path[depth - 1].key))
			return 1;
	return 0;
}

static const u8 *copied; // everything before it is written
static u32 failed;       // the code that ended the walk

static u32 edit_members(span s, u32 i, void (*edit)(span));

// edit_value walks the value at i once and returns the index behind it.
static u32 edit_value(span s, u32 i, void (*edit)(span)) {
	int scalar = s.p[i] != '{' && s.p[i] != '[';
	if (selected(scalar)) {
		u32 end = value_end(s, i);
		put((span){copied, (u32)(s.p + i - copied)});
		edit(from(s, i, end));
		copied = s.p + end;
		return end;
	}
	return scalar ? value_end(s, i) : edit_members(s, i, edit);
}

static u32 edit_members(span s, u32 i, void (*edit)(span)) {
	u8 close = s.p[i] == '{' ? '}' : ']';
	u32 keep = scratch_len, d = depth, index = 0;
	if (depth++ == MAX_DEPTH)
		failed = BAD_INPUT;
	for (i = spaces(s, i + 1); !failed && i < s.n && s.p[i] != close; i = spaces(s, i)) {
		if (s.p[i] == ',') {
			i++;
			continue;
		}
		path[d].element = close == ']';
		path[d].index = index++;
		u32 start = i;
		if (close == '}') {
			u32 end = string_end(s, i);
			if (end >= i + 2)
				path[d].key = decoded(from(s, i + 1, end - 1));
			i = spaces(s, spaces(s, end) + 1);
		}
		if (i < s.n)
			i = edit_value(s, i, edit);
		scratch_len = keep;
		if (i <= start) // not JSON
			failed = BAD_INPUT;
	}
	depth = d;
	return i + 1;
}

// edit_document copies doc and has edit() write each selected value. Without
// one, nothing is written.
static u32 edit_document(span doc, void (*edit)(span)) {
	u32 i = spaces(doc, 0);
	failed = i < doc.n ? OK : BAD_INPUT;
	copied = doc.p;
	if (!failed)
		edit_value(doc, i, edit);
	if (!failed && copied != doc.p)
		put((span){copied, (u32)(doc.p + doc.n - copied)});
	return failed;
}

#endif
