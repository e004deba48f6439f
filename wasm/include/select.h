// Which values of a document are meant: JSON pointers, in which a segment * is
// any, and patterns of keys, in which * is any text and case does not count.
#ifndef PORTCULLIS_SELECT_H
#define PORTCULLIS_SELECT_H

#include "json.h"

enum { MAX_ITEMS = 64, MAX_DEPTH = 64, HASHES = 64 };

// A set has a bit for each pointer, or for each pattern.
typedef u64 set;

static span pointers[MAX_ITEMS], keys[MAX_ITEMS];
static u32 npointers, nkeys;

// starts says where the segments of the pointers begin, by depth.
static u16 starts[MAX_DEPTH + 1][MAX_ITEMS];

// What is known of pointers and patterns. It serves to compare a key only with
// those that it may be equal to.
static struct {
	set live;                  // pointers that can match something
	set any[MAX_DEPTH];        // by depth: the segment is *
	set last[MAX_DEPTH];       // the pointer ends here
	set numeric[MAX_DEPTH];    // the segment is an index
	u32 highest[MAX_DEPTH];    // the largest index
	set segments[HASHES];      // pointers by the hash of a segment
	set plain[HASHES];         // patterns without a star by their hash
	set stars;                 // patterns with one
	u32 shortest;              // what the key must have for one of them
	u32 letters[MAX_ITEMS];    // what they need, as bits
	int root;                  // the whole document is meant
} known;

// hash is the same for texts that differ in case alone.
FAST u32 hash(span s) { return s.n ? (s.n + 7 * (s.p[0] & 31) + 13 * (s.p[s.n - 1] & 31)) % HASHES : 0; }

FAST span segment(u32 k, u32 d) {
	u32 start = starts[d][k];
	return (span){pointers[k].p + start, starts[d + 1][k] - start};
}

// number returns the value of an index, or -1 for other texts.
static u32 number(span s) {
	if (s.n == 0 || s.n > 9 || (s.p[0] == '0' && s.n > 1))
		return (u32)-1;
	u32 v = 0;
	for (u32 i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return (u32)-1;
		v = v * 10 + s.p[i] - '0';
	}
	return v;
}

APART void add_segment(u32 k, u32 d) {
	span s = segment(k, d);
	set bit = 1ull << k;
	known.segments[hash(s)] |= bit;
	if (s.n == 1 && s.p[0] == '*')
		known.any[d] |= bit;
	u32 v = number(s);
	if (v == (u32)-1)
		return;
	known.numeric[d] |= bit;
	if (v > known.highest[d])
		known.highest[d] = v;
}

// add_pointer takes a pointer apart, in its place: ~1 stands for / and ~0 for ~.
// One that is deeper than a document may be matches nothing.
static void add_pointer(u32 k) {
	span p = pointers[k];
	u8 *text = (u8 *)p.p;
	u32 n = 0, d = 0;
	if (p.n == 0)
		known.root = 1;
	if (p.n == 0 || p.p[0] != '/')
		return;
	starts[0][k] = 0;
	for (u32 i = 1; i <= p.n; i++) {
		u8 c = i < p.n ? p.p[i] : '/';
		if (c == '/') {
			if (d == MAX_DEPTH || n > 0xffff)
				return;
			starts[++d][k] = n;
			add_segment(k, d - 1);
			continue;
		}
		if (c == '~' && i + 1 < p.n && (p.p[i + 1] == '0' || p.p[i + 1] == '1'))
			c = p.p[++i] == '1' ? '/' : '~';
		text[n++] = c;
	}
	known.live |= 1ull << k;
	known.last[d - 1] |= 1ull << k;
}

static void add_key(u32 k) {
	span p = keys[k];
	u32 literal = 0;
	for (u32 i = 0; i < p.n; i++) {
		if (p.p[i] == '*')
			continue;
		literal++;
		known.letters[k] |= 1u << (p.p[i] & 31);
	}
	if (literal == p.n) {
		known.plain[hash(p)] |= 1ull << k;
		return;
	}
	if (known.stars == 0 || literal < known.shortest)
		known.shortest = literal;
	known.stars |= 1ull << k;
}

APART u32 read_list(span list, span *into, void (*add)(u32)) {
	u32 n = 0;
	for (cursor c = enter(list); next(&c); n++) {
		if (n == MAX_ITEMS)
			__builtin_trap();
		into[n] = text_of(inside(c.value));
		add(n);
	}
	return n;
}

// The arguments that a module may get, as they are written.
enum { POINTERS, KEYS, WITH, AS, LABEL, NAME, ARGUMENTS };
static const span names[ARGUMENTS] = {
	SPAN("pointers"), SPAN("keys"), SPAN("with"), SPAN("as"), SPAN("label"), SPAN("name"),
};
static span arguments[ARGUMENTS];

// read_arguments reads them all. Pointers and keys are decoded where they lie.
static void read_arguments(span meta) {
	__builtin_memset(arguments, 0, sizeof arguments);
	__builtin_memset(&known, 0, sizeof known);
	pick(member(meta, SPAN("args")), ARGUMENTS, names, arguments);
	npointers = read_list(arguments[POINTERS], pointers, add_pointer);
	nkeys = read_list(arguments[KEYS], keys, add_key);
}

// elements returns which of the pointers in s lead to an element at depth d.
FAST set elements(set s, u32 d, u32 index) {
	set found = s & known.any[d];
	if (index <= known.highest[d])
		for (set rest = s & known.numeric[d]; rest; rest &= rest - 1) {
			u32 k = __builtin_ctzll(rest);
			if (number(segment(k, d)) == index)
				found |= 1ull << k;
		}
	return found;
}

// members returns which of the pointers in s lead to a member at depth d.
FAST set members(set s, u32 d, span key) {
	set found = s & known.any[d];
	for (set rest = s & ~found & known.segments[hash(key)]; rest; rest &= rest - 1) {
		u32 k = __builtin_ctzll(rest);
		if (same(segment(k, d), key))
			found |= 1ull << k;
	}
	return found;
}

// place returns the first place from i on of a letter, whatever its case.
FAST u32 place(span s, u32 i, u8 c) {
	u8 other = is_alpha(c) ? c ^ 32 : c;
	for (; i < s.n; i += 16) {
		v128_t v = wasm_v128_load(s.p + i);
		u32 hits = bits(either(is(v, c), is(v, other)));
		if (hits)
			return i + __builtin_ctz(hits);
	}
	return s.n;
}

// matches_key takes each literal part of a pattern at its first place and goes
// back only to the last star, so that the time is bounded.
APART int matches_key(span p, span k) {
	u32 i = 0, j = 0;        // where to compare
	u32 part = 0, tried = 0; // the part behind the last star, and where it was tried
	for (;;) {
		while (i < p.n && j < k.n && lower(p.p[i]) == lower(k.p[j]) && p.p[i] != '*') {
			i++;
			j++;
		}
		if (i == p.n && j == k.n)
			return 1;
		if (i < p.n && p.p[i] == '*') {
			for (tried = j; i < p.n && p.p[i] == '*'; i++)
				;
			if (i == p.n)
				return 1;
			part = i;
		} else if (part == 0) {
			return 0;
		} else {
			i = part;
			tried++;
		}
		j = tried = place(k, tried, p.p[i]);
		if (j >= k.n)
			return 0;
	}
}

// named tells whether one of the patterns in a set matches the key.
APART int named(span key, set rest) {
	for (; rest; rest &= rest - 1)
		if (matches_key(keys[__builtin_ctzll(rest)], key))
			return 1;
	return 0;
}

// candidates returns the patterns that may match the key: by their hash, or with
// letters that it has.
FAST set candidates(span key) {
	set found = known.plain[hash(key)];
	if (known.stars == 0 || key.n < known.shortest)
		return found;
	u32 letters = 0;
	for (u32 i = 0; i < key.n; i++)
		letters |= 1u << (key.p[i] & 31);
	for (set rest = known.stars; rest; rest &= rest - 1) {
		u32 k = __builtin_ctzll(rest);
		found |= (set)((known.letters[k] & ~letters) == 0) << k;
	}
	return found;
}

// decoded returns what a key with escapes says. Its text lies behind the output.
APART span decoded(span s) {
	u8 *d = room(s.n);
	return (span){d, unescape(d, s)};
}

// A level is a container around the value that is looked at.
typedef struct {
	set live;  // pointers that lead into it
	u32 index; // of the next element
	u8 close, pass;
} level;

static level levels[MAX_DEPTH];

// passes tells whether no number or literal from here on in an array can be meant,
// so that all of them can be passed over. Then no index matters either.
FAST int passes(set live, u32 d, u32 index) {
	int indexed = index <= known.highest[d] && live & known.numeric[d];
	return !indexed && !(live & known.any[d] & known.last[d]);
}

static const u8 *copied; // everything before it is written

// finish writes the rest, if anything was written.
static u32 finish(span doc) {
	if (copied != doc.p)
		put((span){copied, (u32)(doc.p + doc.n - copied)});
	return OK;
}

// replace has edit() write what stands at a, up to b.
FAST void replace(span doc, u32 a, u32 b, void (*edit)(span)) {
	put((span){copied, (u32)(doc.p + a - copied)});
	edit(from(doc, a, b));
	copied = doc.p + b;
}

// key_end returns the index of what follows the string at i: a colon, if it is a
// key, which it returns as well.
FAST u32 key_end(span doc, u32 i, span *key) {
	u32 stop = quote(doc, i + 1), end = stop + 1;
	if (doc.p[stop] != '"')
		end = escaped_end(doc, stop);
	if (end >= doc.n)
		return doc.n;
	*key = from(doc, i + 1, end - 1);
	end = spaces(doc, end);
	if (doc.p[end] == ':' && stop + 1 < i + 2 + key->n)
		*key = decoded(*key);
	return end;
}

// named_member looks at the string at i in an object to which no pointer leads. It
// returns where to go on.
FAST u32 named_member(span doc, u32 i, void (*edit)(span)) {
	span key = {0, 0};
	u32 end = key_end(doc, i, &key);
	if (end >= doc.n || doc.p[end] != ':')
		return end;
	set rest = candidates(key);
	if (!rest || !named(key, rest))
		return end + 1;
	u32 start = spaces(doc, end + 1);
	end = value_end(doc, start);
	if (end > start)
		replace(doc, start, end, edit);
	return end;
}

// edit_named edits the inside at i of a container to which no pointer leads: only
// keys matter there. It returns the index behind it, or 0.
static u32 edit_named(span doc, u32 i, u32 depth, void (*edit)(span)) {
	for (u32 open = depth, to; i < doc.n; i = to) {
		u32 hits = bits(brackets(wasm_v128_load(doc.p + i)));
		for (to = i + 16; hits; hits &= hits - 1) {
			u32 at = i + __builtin_ctz(hits);
			if (at >= doc.n)
				return 0;
			if (doc.p[at] == '"') {
				to = named_member(doc, at, edit);
				break;
			}
			if (opens(doc.p[at]) && open++ == MAX_DEPTH)
				return 0;
			if (closes(doc.p[at]) && open-- == depth)
				return at + 1;
		}
	}
	return 0;
}

// edit_document copies doc and has edit() write each selected value. Without
// one, nothing is written.
APART u32 edit_document(span doc, void (*edit)(span)) {
	int everything = npointers + nkeys == 0, meant = known.root;
	u32 depth = 0;
	level in = {known.live, 0, 0, 0};
	set live = known.live;
	copied = doc.p;
	for (u32 i = spaces(doc, 0); i < doc.n;) {
		u8 c = doc.p[i];
		if (c == ',') { // behind spaces
			i = spaces(doc, i + 1);
			continue;
		}
		if (c == in.close) {
			in = levels[--depth];
			if (depth == 0)
				return finish(doc);
			i = behind(doc, i + 1);
			continue;
		}
		if (in.close == ']') {
			if (in.pass && !opens(c)) {
				i = behind(doc, c == '"' ? string_end(doc, i) : bracket(doc, i + 1));
				continue;
			}
			live = elements(in.live, depth - 1, in.index++);
			meant = (live & known.last[depth - 1]) != 0;
			in.pass = !everything && passes(in.live, depth - 1, in.index);
		} else if (in.close) {
			span key = {0, 0};
			i = key_end(doc, i, &key);
			if (i >= doc.n)
				return BAD_INPUT;
			live = meant = 0;
			if (!everything) {
				set rest = candidates(key);
				live = members(in.live, depth - 1, key);
				meant = (live & known.last[depth - 1]) != 0 || (rest && named(key, rest));
			}
			i = spaces(doc, i + 1); // over the colon
			c = doc.p[i];
		}
		u32 start = i;
		if (c == '[' && depth < MAX_DEPTH) // the others lead to keys
			live &= known.any[depth] | known.numeric[depth];
		if (!opens(c)) {
			i = c == '"' ? string_end(doc, i) : scalar_end(doc, i);
			meant |= everything;
		} else if (meant) {
			i = container_end(doc, i + 1);
		} else if (depth == MAX_DEPTH) {
			return BAD_INPUT;
		} else if (doc.p[i + 1] == c + 2) { // empty
			i += 2;
		} else if (live == 0 && !everything) {
			i = edit_named(doc, i + 1, depth + 1, edit);
		} else {
			levels[depth] = in;
			in = (level){live, 0, c + 2, !everything && passes(live, depth, 0)};
			depth++;
			i = spaces(doc, i + 1);
			continue;
		}
		if (i <= start) // not JSON
			return BAD_INPUT;
		if (meant)
			replace(doc, start, i, edit);
		if (depth == 0)
			return finish(doc);
		i = behind(doc, i);
	}
	return BAD_INPUT;
}

#endif
