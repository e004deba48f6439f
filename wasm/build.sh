#!/bin/sh
# Builds the shipped modules and the Rust example, and writes their digests to
# SHA256SUMS. After a change, portcullis wasm pin wasm/manifest.yaml.
#
#   sh wasm/build.sh          build into place
#   sh wasm/build.sh check    build elsewhere, and compare with what is committed
#
# It needs what Debian 12 has, and nothing else; the same packages give the same
# bytes on every machine:
#   apt-get install --no-install-recommends clang-14 lld-14 rustc libstd-rust-dev-wasm32
# The linker is called by itself: the clang driver would run whatever wasm-opt it
# finds. Another rustc in PATH is not used.
set -eu
cd "$(dirname "$0")"
modules="redact mask encode pii tally example"
out=.
if [ "${1:-}" = check ]; then
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
	mkdir -p "$out/sdk"
	cp -R sdk/rust "$out/sdk/rust"
fi

for tool in clang-14 wasm-ld-14 /usr/bin/rustc; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing: apt-get install --no-install-recommends clang-14 lld-14 rustc libstd-rust-dev-wasm32" >&2
		exit 1
	}
done

# Loops over sixteen bytes are written by hand; what the compiler makes of the others
# is larger and no faster.
for m in $modules; do
	mkdir -p "$out/$m"
	clang-14 --target=wasm32-unknown-unknown -std=c11 -O3 -Wall -Wextra -Werror -Wno-unused-function \
		-fno-unroll-loops -fno-vectorize -fno-slp-vectorize \
		-ffreestanding -fno-builtin -msimd128 -mbulk-memory -msign-ext -mnontrapping-fptoint \
		-c "$m/$m.c" -o "$out/$m/$m.o"
	wasm-ld-14 --no-entry --strip-all --compress-relocations --stack-first -z stack-size=8192 \
		--initial-memory=65536 --max-memory=8388608 "$out/$m/$m.o" -o "$out/$m/$m.wasm"
	rm "$out/$m/$m.o"
	chmod 644 "$out/$m/$m.wasm"
done
RUSTC=/usr/bin/rustc sh "$out/sdk/rust/build.sh"
chmod 644 "$out/sdk/rust/module.wasm"

files="sdk/rust/module.wasm"
for m in $modules; do
	files="$files $m/$m.wasm"
done
if [ "$out" != . ]; then
	here=$(pwd)
	(cd "$out" && sha256sum $files | cmp - "$here/SHA256SUMS") || {
		echo "a committed module is not what its source builds to" >&2
		exit 1
	}
	echo "the committed modules are what their sources build to"
	exit 0
fi
sha256sum $files | tee SHA256SUMS
