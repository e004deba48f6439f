// encode writes values in another form. It hides nothing.
//
// Arguments: {"as": "base64" | "base64url" | "hex" | "pem", "pointers": [...],
// "keys": [...], "label": "CERTIFICATE"} encode the selected values; pem takes
// values that are base64 or contain a block already. {"as": "env"} and
// {"as": "kubernetes", "name": "app"} turn the object at "data", or else the
// whole result, into the text of an environment file or a Secret.
#include "../include/select.h"

static const u8 *alphabet;
static const u8 standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const u8 urlsafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static span label;
static u32 pad;

static u32 configure(span conf) {
	(void)conf;
	return OK;
}

// plain returns the bytes of a value: the text of a string, the JSON of others.
// The text is decoded into the output buffer, ahead of what will be written.
static span plain(span value) {
	if (value.p[0] != '"')
		return value;
	span s = inside(value);
	if (!has_escape(s))
		return s;
	room(8 * s.n + 64);
	u8 *d = out + out_len + 7 * s.n;
	return (span){d, unescape(d, s)};
}

static void put_base64(span s) {
	for (u32 i = 0; i < s.n; i += 3) {
		u32 left = s.n - i;
		u32 v = s.p[i] << 16 | (left > 1 ? s.p[i + 1] << 8 : 0) | (left > 2 ? s.p[i + 2] : 0);
		put_byte(alphabet[v >> 18]);
		put_byte(alphabet[v >> 12 & 63]);
		if (left > 1)
			put_byte(alphabet[v >> 6 & 63]);
		else if (pad)
			put_byte('=');
		if (left > 2)
			put_byte(alphabet[v & 63]);
		else if (pad)
			put_byte('=');
	}
}

static void base64(span value) {
	put_byte('"');
	put_base64(plain(value));
	put_byte('"');
}

static void hex(span value) {
	span s = plain(value);
	put_byte('"');
	for (u32 i = 0; i < s.n; i++) {
		put_byte("0123456789abcdef"[s.p[i] >> 4]);
		put_byte("0123456789abcdef"[s.p[i] & 15]);
	}
	put_byte('"');
}

// pem wraps base64 text into lines of 64 (RFC 7468); what is a block already
// stays as it is.
static void pem(span value) {
	span s = plain(value);
	if (s.n > 10 && s.p[0] == '-' && s.p[1] == '-') {
		put(value);
		return;
	}
	put_text("\"-----BEGIN ");
	put_escaped(label);
	put_text("-----\\n");
	u32 column = 0;
	for (u32 i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ')
			continue;
		if (column == 64) {
			put_text("\\n");
			column = 0;
		}
		put_escaped(from(s, i, i + 1));
		column++;
	}
	put_text("\\n-----END ");
	put_escaped(label);
	put_text("-----\\n\"");
}

// env_name writes a key as the name of a variable.
static void env_name(span key) {
	if (key.n == 0 || is_digit(key.p[0]))
		put_byte('_');
	for (u32 i = 0; i < key.n; i++) {
		u8 c = key.p[i];
		put_byte(is_alpha(c) ? c & ~32 : is_digit(c) ? c : '_');
	}
}

// env writes NAME="value" lines, with what a shell would expand escaped. The
// whole text is the inside of a JSON string, hence the doubled backslashes.
static u32 env(span object) {
	put_text("{\"format\":\"env\",\"text\":\"");
	for (cursor c = enter(object); next(&c);) {
		env_name(c.key);
		put_text("=\\\"");
		span s = plain(c.value);
		for (u32 i = 0; i < s.n; i++) {
			u8 b = s.p[i];
			if (b == '"' || b == '\\' || b == '$' || b == '`')
				put_text("\\\\");
			put_escaped((span){&b, 1});
		}
		put_text("\\\"\\n");
	}
	put_text("\"}");
	return OK;
}

static u32 kubernetes(span object, span args) {
	span name = inside(member(args, SPAN("name")));
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
	span doc = value_at(payload, spaces(payload, 0));
	span data = member(doc, SPAN("data"));
	return data.n > 0 && data.p[0] == '{' ? data : doc;
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook;
	span args = member(meta, SPAN("args"));
	span as = inside(member(args, SPAN("as")));
	span object = whole(payload);
	read_selection(args);
	label = inside(member(args, SPAN("label")));
	if (label.n == 0)
		label = SPAN("CERTIFICATE");
	alphabet = standard;
	pad = 1;
	if (same(as, SPAN("env")) || same(as, SPAN("kubernetes"))) {
		if (object.n == 0 || object.p[0] != '{')
			return BAD_INPUT;
		return as.p[0] == 'e' ? env(object) : kubernetes(object, args);
	}
	if (npointers + nkeys == 0)
		return BAD_CONFIG;
	if (same(as, SPAN("hex")))
		return edit_document(payload, hex);
	if (same(as, SPAN("pem")))
		return edit_document(payload, pem);
	if (same(as, SPAN("base64url"))) {
		alphabet = urlsafe;
		pad = 0;
	} else if (!same(as, SPAN("base64"))) {
		return BAD_CONFIG;
	}
	return edit_document(payload, base64);
}
