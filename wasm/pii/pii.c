// pii replaces personal data in the texts of a document: e-mail addresses,
// payment cards (checked with Luhn's formula), IBANs (checked modulo 97) and
// telephone numbers in international form. Keys are left as they are.
//
// Arguments, or configuration: {"kinds": ["email", "card", "iban", "phone"]}; the
// default is all of them.
#include "../include/json.h"

enum { EMAIL = 1, CARD = 2, IBAN = 4, PHONE = 8, ALL = 15, MAX_DEPTH = 100 };

static u32 configured = ALL;
static u32 kinds;
static const u8 *copied; // everything before it is written
static u32 done;         // what lies before it in the string is replaced
static u32 done; // what lies before it in the string is replaced or looked at

static u32 read_kinds(span args, u32 otherwise) {
	span list = member(args, SPAN("kinds"));
	if (list.n == 0)
		return otherwise;
	u32 k = 0;
	for (cursor c = enter(list); next(&c);) {
		span s = inside(c.value);
		k |= same(s, SPAN("email")) ? EMAIL : same(s, SPAN("card")) ? CARD : same(s, SPAN("iban")) ? IBAN : same(s, SPAN("phone")) ? PHONE : 0;
	}
	return k;
}

static u32 configure(span conf) {
	configured = read_kinds(conf, ALL);
	return configured ? OK : BAD_CONFIG;
}

static void replace(const u8 *a, const u8 *b, span with) {
	put((span){copied, (u32)(a - copied)});
	put(with);
	copied = b;
}

// cut replaces s[a..b) and returns where to go on.
APART u32 cut(span s, u32 a, u32 b, span with) {
	replace(s.p + a, s.p + b, with);
	return done = b;
}

FAST int is_upper(u8 c) { return c >= 'A' && c <= 'Z'; }

// fresh tells whether something may begin at i: not within a word, unless that is
// the letter of an escape.
FAST int fresh(span s, u32 i) { return i == done || !is_word(s.p[i - 1]) || (i >= 2 && s.p[i - 2] == '\\'); }

FAST v128_t words(v128_t v) {
	v128_t letter = within(either(v, wasm_i8x16_splat(32)), 'a', 'z');
	return either(either(letter, within(v, '0', '9')), either(is(v, '_'), is(v, '-')));
}

FAST v128_t locals(v128_t v) { return either(either(words(v), is(v, '.')), either(is(v, '+'), is(v, '%'))); }

// run returns how many bytes from the first one on are marked.
FAST u32 run(u32 marks) { return __builtin_ctz(~marks); }

// email looks around an @ for local@label.label.
APART u32 email(span s, u32 at) {
	u32 a = at, b = at + 1, n = 16;
	for (; n == 16 && b < s.n; b += n) {
		v128_t v = wasm_v128_load(s.p + b);
		n = run(bits(either(words(v), is(v, '.'))));
	}
	b = b < s.n ? b : s.n;
	while (s.p[b - 1] == '.')
		b--;
	if (b < at + 5)
		return at + 1;
	for (n = 16; n == 16 && a > done; a -= n) {
		n = __builtin_clz(~(bits(locals(wasm_v128_load(s.p + a - 16))) << 16));
		n = n < a - done ? n : a - done;
	}
	if (a > 0 && s.p[a - 1] == '\\') // the letter of an escape
		a++;
	u32 dot = b - 1;
	while (dot > at && s.p[dot] != '.')
		dot--;
	return a < at && dot > at + 1 && b > dot + 2 ? cut(s, a, b, SPAN("[email]")) : at + 1;
}

// digits counts digits with single spaces or dashes between them, and one in front,
// and returns the index behind the last.
FAST u32 digits(span s, u32 i, u32 *count) {
	u32 n = 0, end = i, before = 1;
	for (; i < s.n; i += 16) {
		v128_t v = wasm_v128_load(s.p + i);
		u32 inside = s.n - i < 16 ? (1u << (s.n - i)) - 1 : 0xffff;
		u32 digit = bits(within(v, '0', '9')) & inside, gap = bits(either(is(v, ' '), is(v, '-')));
		u32 length = run(digit | (gap & inside & (digit << 1 | before)));
		digit &= (1u << length) - 1;
		n += __builtin_popcount(digit);
		if (digit)
			end = i + 32 - __builtin_clz(digit);
		if (length < 16)
			break;
		before = digit >> 15;
	}
	*count = n;
	return end;
}

// may_start is fresh where it is rarely asked for.
APART int may_start(span s, u32 k) { return fresh(s, k); }

// card_start returns where the longest card number begins that stands in s[i..end)
// and ends there: one walk back tries each beginning. Without one it returns end.
FAST u32 card_start(span s, u32 i, u32 end) {
	u32 start = end, sum = 0, n = 0;
	for (u32 k = end; k > i && n < 19;) {
		u32 v = s.p[--k] - '0';
		if (v > 9)
			continue;
		sum += n++ & 1 ? 2 * v - (v > 4 ? 9 : 0) : v;
		sum -= sum > 9 ? 10 : 0;
		if (sum == 0 && n >= 13 && v > 0 && may_start(s, k))
			start = k;
	}
	return start;
}

// card looks at all digits from i on, because a number ends where they do. Without a
// gap it can begin at the first of them only, unless that belongs to an escape.
APART u32 card(span s, u32 i) {
	u32 count, end = digits(s, i, &count);
	int whole = count == end - i && (i == 0 || s.p[i - 1] != '\\');
	if (count < 13 || (whole && (count > 19 || !fresh(s, i))))
		return end;
	u32 start = card_start(s, i, end);
	return start < end ? cut(s, start, end, SPAN("[card]")) : end;
}

// number replaces a number that is the one of a card.
APART void number(span s) {
	u32 count;
	digits(s, 0, &count);
	done = 0;
	if (count == s.n && card_start(s, 0, s.n) == 0)
		replace(s.p, s.p + s.n, SPAN("\"[card]\""));
}

APART u32 phone(span s, u32 at) {
	u32 count, end = digits(s, at + 1, &count);
	u8 c = s.p[at + 1];
	u8 first = c == ' ' || c == '-' ? s.p[at + 2] : c;
	return count >= 8 && count <= 15 && first != '0' ? cut(s, at, end, SPAN("[phone]")) : at + 1;
}

// --- IBANs: 15 to 34 letters and digits, of which the first four count last ---

enum { SHORTEST = 15, LONGEST = 34, WINDOW = 480 };

// series is what is known of letters and digits with single spaces between them, in
// at most WINDOW bytes: the number that the first of them make modulo 97, where
// letters count as 10 to 35, and ten to the power of its digits.
static struct {
	u32 n, from, to;
	int more; // it goes on behind to
	u16 marks[WINDOW / 16], before[WINDOW / 16]; // where they are, and how many before
	u8 value[WINDOW + 64], power[WINDOW + 64];
} series;

FAST u32 mod97(u32 x) { return x - 97 * (x * 10811 >> 20); } // below 9740

FAST v128_t series_marks(v128_t v) { return either(within(v, '0', '9'), within(v, 'A', 'Z')); }

APART void read_series(span s, u32 from) {
	u32 n = 0, value = 0, power = 1, joined = 0, length = 16, i = from;
	series.value[0] = 0;
	series.power[0] = 1;
	for (; length == 16 && i < s.n && i < from + WINDOW; i += 16) {
		v128_t v = wasm_v128_load(s.p + i);
		u32 inside = s.n - i < 16 ? (1u << (s.n - i)) - 1 : 0xffff;
		u32 marks = bits(series_marks(v)) & inside;
		length = run(marks | (bits(is(v, ' ')) & inside & (marks << 1 | joined)));
		joined = marks >> 15;
		marks &= (1u << length) - 1;
		series.marks[(i - from) / 16] = marks;
		series.before[(i - from) / 16] = n;
		for (; marks; marks &= marks - 1) {
			u32 c = s.p[i + __builtin_ctz(marks)];
			u32 ten = c > '9' ? 100 : 10;
			n++;
			value = mod97(value * ten + c - (c > '9' ? 'A' - 10 : '0'));
			power = mod97(power * ten);
			series.value[n] = value;
			series.power[n] = power;
		}
	}
	series.n = n;
	series.from = from;
	series.to = i - 16 + length;
	series.more = length == 16 && i < s.n;
}

// seek returns how many of the series come before i, and makes sure that enough
// behind it is known.
FAST u32 seek(span s, u32 i) {
	u32 k = 0, at = i - series.from;
	if (i < series.to)
		k = series.before[at / 16] + __builtin_popcount(series.marks[at / 16] & ((1u << at % 16) - 1));
	if (i >= series.to || (series.more && series.n - k < LONGEST)) {
		read_series(s, i);
		k = 0;
	}
	return k;
}

// place returns the index of one of the series, the given number behind the one at i.
APART u32 place(span s, u32 i, u32 number) {
	for (; number > 0; i++)
		number -= s.p[i + 1] != ' ';
	return i;
}

// multiples marks the numbers of 16 bits that 97 divides.
FAST v128_t multiples(v128_t v) {
	return wasm_u16x8_le(wasm_i16x8_mul(v, wasm_i16x8_splat((short)41889)), wasm_i16x8_splat(65535 / 97));
}

// eight tells of eight lengths which give 1 modulo 97. With the value v and the power
// p of what lies before the rest of the number, and V and P of its end, the rest is
// (V p - v P) / p, and that has to be something: minus is -v and that times -p.
FAST v128_t eight(v128_t Vp, v128_t Pv, v128_t minus) { return multiples(wasm_i16x8_add(wasm_i16x8_add(Vp, Pv), minus)); }

// lengths has a bit for each length from the shortest one on that fits at k.
FAST u32 lengths(u32 k) {
	const u8 *V = series.value + k + SHORTEST, *P = series.power + k + SHORTEST;
	u32 value = series.value[k + 4], power = series.power[k + 4];
	u32 first = mod97(value + 97 * 27 - 27 * series.value[k]);   // the four that count last
	u32 want = mod97((98 - first) * 18);                         // 27 is 10^6, 18 its inverse
	v128_t p = wasm_i8x16_splat(power), v = wasm_i8x16_splat(97 - value), minus = wasm_i16x8_splat(97 - mod97(want * power));
	v128_t V1 = wasm_v128_load(V), P1 = wasm_v128_load(P), V2 = wasm_v128_load(V + 16), P2 = wasm_v128_load(P + 16);
	v128_t a = eight(wasm_u16x8_extmul_low_u8x16(V1, p), wasm_u16x8_extmul_low_u8x16(P1, v), minus);
	v128_t b = eight(wasm_u16x8_extmul_high_u8x16(V1, p), wasm_u16x8_extmul_high_u8x16(P1, v), minus);
	v128_t c = eight(wasm_u16x8_extmul_low_u8x16(V2, p), wasm_u16x8_extmul_low_u8x16(P2, v), minus);
	return bits(wasm_i8x16_narrow_i16x8(a, b)) | bits(wasm_i8x16_narrow_i16x8(c, c)) << 16;
}

// iban checks two letters, two digits and 11 to 30 more, in groups or not, whose
// value modulo 97 is 1 when the first four are moved to the end. A word may follow
// the number: the longest that fits is taken.
APART u32 iban(span s, u32 i) {
	v128_t v = wasm_v128_load(s.p + i);
	u32 upper = bits(within(v, 'A', 'Z')), digit = bits(within(v, '0', '9'));
	if ((upper & 3) != 3 || (digit & 12) != 12 || run(upper | digit | bits(is(v, ' '))) < SHORTEST)
		return i + 1;
	u32 k = seek(s, i), most = series.n - k < LONGEST ? series.n - k : LONGEST;
	if (most < SHORTEST)
		return i + 1;
	u32 fit = lengths(k) & ((2u << (most - SHORTEST)) - 1);
	if (fit == 0)
		return i + 1;
	if (most == LONGEST && fit >> (LONGEST - SHORTEST)) {
		u32 end = place(s, i, LONGEST - 1) + 1;
		if (end < s.n && is_alpha(s.p[end]))
			fit &= (1u << (LONGEST - SHORTEST)) - 1;
		if (fit == 0)
			return i + 1;
	}
	return cut(s, i, place(s, i, SHORTEST + 30 - __builtin_clz(fit)) + 1, SPAN("[iban]"));
}

// --- texts ---

// candidates marks the places in 16 bytes at which something may begin. Behind them
// everything may follow.
FAST u32 candidates(const u8 *p) {
	enum { BEHIND = 0x3fff0000 };
	v128_t v = wasm_v128_load(p), digit = within(v, '0', '9');
	u32 d = bits(digit) | BEHIND, u = bits(within(v, 'A', 'Z')) | BEHIND;
	u32 label = bits(either(words(v), is(v, '.'))) | BEHIND, label2 = label & label >> 1;
	u32 row = bits(either(digit, either(is(v, ' '), is(v, '-')))) | BEHIND;
	u32 row2 = row & row >> 1, row4 = row2 & row2 >> 2, row8 = row4 & row4 >> 4;
	u32 email = bits(is(v, '@')) & label2 >> 1 & label2 >> 3;
	u32 card = d & row8 & row4 >> 8 & row >> 12;
	u32 phone = bits(is(v, '+')) & row8 >> 1;
	u32 iban = u & u >> 1 & d >> 2 & d >> 3;
	return (email | card | phone | iban) & 0xffff;
}

// look replaces what begins at i, or around it, and returns where to go on.
FAST u32 look(span s, u32 i) {
	u8 c = s.p[i];
	if (c == '@')
		return kinds & EMAIL ? email(s, i) : i + 1;
	if (c == '+')
		return kinds & PHONE ? phone(s, i) : i + 1;
	if (is_digit(c))
		return kinds & CARD ? card(s, i) : i + 1;
	return kinds & IBAN && fresh(s, i) ? iban(s, i) : i + 1;
}

// hit looks at the places that are marked in 16 bytes and returns where to go on.
APART u32 hit(span s, u32 i, u32 hits) {
	for (; hits; hits &= hits - 1) {
		u32 at = i + __builtin_ctz(hits);
		if (at >= s.n)
			break;
		u32 to = look(s, at);
		if (to > at + 1)
			return to;
	}
	return i + 16;
}

// texts looks at the inside of one string.
APART void texts(span s) {
	done = series.to = 0;
	for (u32 i = 0; i < s.n;) {
		u32 hits = candidates(s.p + i);
		i = hits ? hit(s, i, hits) : i + 16;
	}
}

// walk looks at each string and number that is no key.
static u32 walk(span s) {
	u32 depth = 0;
	for (u32 i = spaces(s, 0); i < s.n;) {
		u8 c = s.p[i];
		u32 end = i + 1;
		if (c == ',') { // behind spaces
			i = spaces(s, i + 1);
			continue;
		}
		if (closes(c)) {
			depth--;
		} else if (depth > MAX_DEPTH) {
			return BAD_INPUT;
		} else if (opens(c)) {
			depth++;
			i = spaces(s, i + 1);
			continue;
		} else if (c == '"') {
			end = string_end(s, i);
			u32 after = spaces(s, end);
			if (after < s.n && s.p[after] == ':') {
				i = spaces(s, after + 1);
				continue;
			}
			if (end - i > 7) // shorter than a@b.cd
				texts(from(s, i + 1, end - 1));
		} else {
			end = scalar_end(s, i);
			if (end - i >= 13 && end - i <= 19 && kinds & CARD)
				number(from(s, i, end));
		}
		if (depth == 0)
			return OK;
		i = behind(s, end);
	}
	return BAD_INPUT;
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook;
	kinds = read_kinds(member(meta, SPAN("args")), configured);
	copied = payload.p;
	u32 code = walk(payload);
	if (code == OK && copied != payload.p)
		put((span){copied, (u32)(payload.p + payload.n - copied)});
	return code;
}
