// A complete module without a library: every digit of the payload becomes 1, so
// that numbers keep their length and lose their value.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

extern u8 __heap_base; // set by the linker: the first free byte

__attribute__((export_name("abi"))) u32 abi(void) { return 1 << 16; }

__attribute__((export_name("alloc"))) u32 alloc(u32 n) {
	u64 end = (u64)(u32)&__heap_base + n;
	u64 have = (u64)__builtin_wasm_memory_size(0) << 16;
	if (end > have && __builtin_wasm_memory_grow(0, (u32)((end - have + 65535) >> 16)) == -1ul)
		return 0;
	return (u32)&__heap_base;
}

__attribute__((export_name("transform"))) u64 transform(u32 hook, u32 ptr, u32 len) {
	u8 *in = (u8 *)ptr;
	if (hook < 1 || hook > 3 || len < 4)
		return 1; // bad input
	u32 meta = in[0] | in[1] << 8 | in[2] << 16 | (u32)in[3] << 24;
	if (meta > len - 4)
		return 1;
	u8 *payload = in + 4 + meta;
	u32 n = len - 4 - meta, changed = 0;
	for (u32 i = 0; i < n; i++)
		if (payload[i] >= '0' && payload[i] <= '9') {
			payload[i] = '1';
			changed = 1;
		}
	return changed ? (u64)(u32)payload << 32 | n : 0;
}
