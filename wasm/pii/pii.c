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
static const u8 *copied;

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

static void replace(const u8 *from_, const u8 *to, span with) {
	put((span){copied, (u32)(from_ - copied)});
	put(with);
	copied = to;
}

FAST int is_local(u8 c) { return is_word(c) || c == '.' || c == '+' || c == '%'; }

// email looks around an @ for local@label.label. It returns the end, or 0.
static u32 email(span s, u32 at, u32 low, u32 *start) {
	u32 a = at;
	while (a > low && is_local(s.p[a - 1]))
		a--;
	if (a > 0 && s.p[a - 1] == '\\') // the letter of an escape
		a++;
	u32 b = at + 1, dot = 0;
	while (b < s.n && (is_word(s.p[b]) || s.p[b] == '.'))
		b++;
	while (s.p[b - 1] == '.')
		b--;
	for (u32 k = at + 1; k < b; k++)
		if (s.p[k] == '.')
			dot = k;
	*start = a;
	return a < at && dot > at + 1 && b > dot + 2 ? b : 0;
}

// number reads digits with single spaces or dashes between them, at most max.
static u32 number(span s, u32 i, u32 max, u8 *into, u32 *count) {
	u32 n = 0, end = i;
	while (i < s.n && n <= max) {
		u8 c = s.p[i];
		if (is_digit(c)) {
			if (n < max)
				into[n] = c - '0';
			n++;
			end = i + 1;
		} else if ((c != ' ' && c != '-') || i != end) {
			break;
		}
		i++;
	}
	*count = n;
	return end;
}

static int luhn(const u8 *d, u32 n) {
	u32 sum = 0;
	for (u32 i = 0; i < n; i++) {
		u32 v = d[n - 1 - i] << (i & 1);
		sum += v > 9 ? v - 9 : v;
	}
	return sum % 10 == 0;
}

static u32 card(span s, u32 i) {
	u8 d[20];
	u32 n;
	u32 end = number(s, i, 19, d, &n);
	return n >= 13 && n <= 19 && d[0] > 0 && luhn(d, n) ? end : 0;
}

static u32 phone(span s, u32 i) {
	u8 d[16];
	u32 n;
	u32 end = number(s, i + 1, 15, d, &n);
	return n >= 8 && n <= 15 && d[0] > 0 ? end : 0;
}

FAST int is_upper(u8 c) { return c >= 'A' && c <= 'Z'; }

// iban checks two letters, two digits and 11 to 30 more, in groups or not, whose
// value modulo 97 is 1 when the first four are moved to the end.
static u32 iban(span s, u32 i) {
	u8 c[34];
	u32 n = 0, k = i, end = i;
	for (; k < s.n && n < 34; k++) {
		u8 b = s.p[k];
		if (is_upper(b) || is_digit(b)) {
			c[n++] = b;
			end = k + 1;
		} else if (b != ' ' || k != end) {
			break;
		}
	}
	// A word may follow the number; try what is left when it is taken off.
	for (; n >= 15; n--) {
		u32 rest = 0;
		for (u32 j = 0; j < n; j++) {
			u8 b = c[(j + 4) % n];
			rest = is_digit(b) ? (rest * 10 + b - '0') % 97 : (rest * 100 + b - 'A' + 10) % 97;
		}
		if (rest == 1 && is_digit(c[2]) && is_digit(c[3]) && (end >= s.n || !is_alpha(s.p[end]) || n < 34))
			return end;
		do
			end--;
		while (end > i && s.p[end - 1] == ' ');
	}
	return 0;
}

// texts looks at the inside of one string.
static void texts(span s) {
	u32 low = 0;
	for (u32 i = 0; i < s.n;) {
		u8 c = s.p[i];
		u32 start = i, end = 0;
		span with = SPAN("");
		int fresh = i == low || !is_word(s.p[i - 1]) || (i >= 2 && s.p[i - 2] == '\\');
		if (c == '@' && kinds & EMAIL) {
			end = email(s, i, low, &start);
			with = SPAN("[email]");
		} else if (c == '+' && kinds & PHONE) {
			end = phone(s, i);
			with = SPAN("[phone]");
		} else if (fresh && is_digit(c) && kinds & CARD) {
			end = card(s, i);
			with = SPAN("[card]");
		} else if (fresh && is_upper(c) && kinds & IBAN && i + 4 < s.n && is_upper(s.p[i + 1]) && is_digit(s.p[i + 2]) && is_digit(s.p[i + 3])) {
			end = iban(s, i);
			with = SPAN("[iban]");
		}
		if (end > 0) {
			replace(s.p + start, s.p + end, with);
			low = i = end;
		} else {
			i++;
		}
	}
}

// walk looks at the value at i and returns the index behind it, or 0 if the
// document cannot be walked.
static u32 walk(span s, u32 i, u32 depth) {
	u8 open = s.p[i];
	if (open != '{' && open != '[') {
		u32 end = value_end(s, i);
		if (open == '"')
			texts(inside(from(s, i, end)));
		else if (is_digit(open) && kinds & CARD && card(s, i) == end)
			replace(s.p + i, s.p + end, SPAN("\"[card]\""));
		return end;
	}
	u8 close = open == '{' ? '}' : ']';
	for (i = spaces(s, i + 1); i < s.n && s.p[i] != close; i = spaces(s, i)) {
		u32 start = i;
		if (s.p[i] == ',') {
			i++;
			continue;
		}
		if (close == '}') // over the key and the colon
			i = spaces(s, spaces(s, string_end(s, i)) + 1);
		if (i >= s.n || depth == MAX_DEPTH)
			return 0;
		i = walk(s, i, depth + 1);
		if (i <= start)
			return 0;
	}
	return i + 1;
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook;
	kinds = read_kinds(member(meta, SPAN("args")), configured);
	copied = payload.p;
	u32 i = spaces(payload, 0);
	if (i >= payload.n || !walk(payload, i, 0))
		return BAD_INPUT;
	if (copied != payload.p)
		put((span){copied, (u32)(payload.p + payload.n - copied)});
	return OK;
}
