#!/bin/sh
# Builds module.wasm with a rustc that has the target wasm32-unknown-unknown:
#   apt-get install rustc libstd-rust-dev-wasm32 lld-14, or rustup target add.
set -eu
cd "$(dirname "$0")"
rustc=${RUSTC:-}
for candidate in rustc /usr/bin/rustc; do
	[ -n "$rustc" ] && break
	sysroot=$($candidate --print sysroot 2>/dev/null) || continue
	[ -d "$sysroot/lib/rustlib/wasm32-unknown-unknown" ] && rustc=$candidate
done
if [ -z "$rustc" ]; then
	echo "no rustc with the target wasm32-unknown-unknown" >&2
	exit 1
fi
linker=
if command -v wasm-ld-14 >/dev/null; then
	linker="-C linker=wasm-ld-14 -C linker-flavor=wasm-ld"
fi
# The gateway reads integers in their shortest form only, hence compress-relocations.
$rustc --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -O -C panic=abort \
	$linker -C link-arg=--compress-relocations -C link-arg=--strip-all \
	-C link-arg=-zstack-size=16384 -C link-arg=--stack-first -o module.wasm lib.rs
