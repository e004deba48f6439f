// The guest side of the transform interface, for C without a library. It gives
// the four exports, the two buffers, and what every module needs of JSON.
//
// A module includes it once, defines configure() and transform_payload(), and
// writes its output with put() and friends. See wasm/ABI.md.
#ifndef PORTCULLIS_GUEST_H
#define PORTCULLIS_GUEST_H

#include <wasm_simd128.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(name)))
// A call costs by the number of locals of the function that makes it: what runs for
// each byte is inlined, larger parts stand apart.
#define FAST static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))

enum { HOOK_LOG = 1, HOOK_REQUEST = 2, HOOK_RESPONSE = 3 };
enum { OK = 0, BAD_INPUT = 1, BAD_CONFIG = 2, INTERNAL = 3, REFUSE = 16 };

// A piece of the input. Nothing is copied until it is written.
typedef struct {
	const u8 *p;
	u32 n;
} span;

// configure gets the configuration; transform_payload writes its
// output, or nothing to leave the payload unchanged. Both return a code.
static u32 configure(span conf);
static u32 transform_payload(u32 hook, span meta, span payload);

extern u8 __heap_base;

// slack is what may be read or written beyond the end of a buffer, so that
// loops can move 16 bytes at a time.
enum { SLACK = 64 };

static u8 *out;     // where output starts
static u32 out_len; // what has been written
static u32 out_cap;

// need makes sure that memory reaches up to end; without memory there is no
// way to go on, and a trap is a closed failure.
FAST void need(u64 end) {
	u32 have = __builtin_wasm_memory_size(0);
	u32 pages = (u32)((end + 0xffff) >> 16);
	if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (__SIZE_TYPE__)-1)
		__builtin_trap();
}

FAST u32 align16(u32 n) { return (n + 15) & ~15u; }

EXPORT("abi") u32 guest_abi(void) { return 1 << 16; }

EXPORT("alloc") u32 guest_alloc(u32 n) {
	if (n > 16u << 20)
		return 0;
	u32 in = align16((u32)&__heap_base) + SLACK;
	need((u64)in + n + SLACK);
	out = (u8 *)(in + align16(n) + SLACK);
	out_len = out_cap = 0;
	return in;
}

EXPORT("init") u64 guest_init(u32 p, u32 n) { return configure((span){(const u8 *)p, n}); }

EXPORT("transform") u64 guest_transform(u32 hook, u32 p, u32 n) {
	const u8 *in = (const u8 *)p;
	if (n < 4)
		return BAD_INPUT;
	u32 meta = in[0] | in[1] << 8 | in[2] << 16 | (u32)in[3] << 24;
	if (meta > n - 4)
		return BAD_INPUT;
	u32 code = transform_payload(hook, (span){in + 4, meta}, (span){in + 4 + meta, n - 4 - meta});
	if (code != OK || out_len == 0)
		return code;
	return (u64)(u32)out << 32 | out_len;
}

// --- output ---

APART void enlarge(u32 n) {
	out_cap = (out_len + n) * 2 + 1024;
	need((u64)(u32)out + out_cap + SLACK);
}

// room makes place for n more bytes and some slack, and returns where it starts.
FAST u8 *room(u32 n) {
	if (out_len + n > out_cap)
		enlarge(n);
	return out + out_len;
}

static void put_bytes(const u8 *p, u32 n) {
	u8 *d = room(n);
	out_len += n;
	for (u32 i = 0; i < n; i += 16)
		wasm_v128_store(d + i, wasm_v128_load(p + i));
}

FAST void put(span s) { put_bytes(s.p, s.n); }

FAST void put_byte(u8 c) {
	*room(1) = c;
	out_len++;
}

// put_text writes a literal. What follows it in memory may be read as well.
#define put_text(s) put_literal((const u8 *)(s), sizeof(s) - 1)

FAST void put_literal(const u8 *p, u32 n) {
	u8 *d = room(n);
	for (u32 i = 0; i < n; i += 16)
		wasm_v128_store(d + i, wasm_v128_load(p + i));
	out_len += n;
}

// --- sixteen bytes at a time ---

// is marks the bytes that are c, within those that lie from a to b.
FAST v128_t is(v128_t v, u8 c) { return wasm_i8x16_eq(v, wasm_i8x16_splat(c)); }
FAST v128_t within(v128_t v, u8 a, u8 b) {
	return wasm_u8x16_le(wasm_i8x16_sub(v, wasm_i8x16_splat(a)), wasm_i8x16_splat(b - a));
}
FAST v128_t either(v128_t a, v128_t b) { return wasm_v128_or(a, b); }

// bits has a bit for each marked byte.
FAST u32 bits(v128_t marks) { return wasm_i8x16_bitmask(marks); }

// --- spans ---

#define SPAN(s) ((span){(const u8 *)(s), sizeof(s) - 1})

FAST span from(span s, u32 a, u32 b) { return (span){s.p + a, b - a}; }

FAST int same(span a, span b) {
	if (a.n != b.n)
		return 0;
	for (u32 i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i])
			return 0;
	return 1;
}

FAST u8 lower(u8 c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
FAST int is_digit(u8 c) { return c >= '0' && c <= '9'; }
FAST int is_alpha(u8 c) { return (u8)((c | 32) - 'a') < 26; }
FAST int is_word(u8 c) { return is_alpha(c) || is_digit(c) || c == '_' || c == '-'; }

#endif
