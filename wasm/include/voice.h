// What a module may say: a few lines a call, and counts under the names that its manifest
// lists. A module that calls one of them is loaded only if its manifest allows it, see
// wasm/ABI.md.
#ifndef PORTCULLIS_VOICE_H
#define PORTCULLIS_VOICE_H

enum { LEVEL_DEBUG = 0, LEVEL_INFO = 1, LEVEL_WARNING = 2, LEVEL_ERROR = 3 };

#define HOST(name) __attribute__((import_module("portcullis"), import_name(name)))

// host_log logs n bytes at p.
HOST("log") void host_log(u32 level, const u8 *p, u32 n);

// host_count adds by to the counter with the name of n bytes at p.
HOST("count") void host_count(const u8 *p, u32 n, u32 by);

#endif
