#!/bin/sh
# Builds the shipped modules and writes their digests to SHA256SUMS.
#
#   sh wasm/build.sh          build into place
#   sh wasm/build.sh check    build elsewhere, and compare with what is committed
#
# It needs clang-14 and lld-14 of Debian 12 and nothing else; the same packages
# give the same bytes on every machine. The linker is called by itself: the clang
# driver would run whatever wasm-opt it finds.
set -eu
cd "$(dirname "$0")"
modules="redact mask encode pii"
out=.
if [ "${1:-}" = check ]; then
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
fi

for tool in clang-14 wasm-ld-14; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing: apt-get install --no-install-recommends clang-14 lld-14" >&2
		exit 1
	}
done

for m in $modules; do
	mkdir -p "$out/$m"
	clang-14 --target=wasm32-unknown-unknown -std=c11 -O3 -Wall -Wextra -Werror -Wno-unused-function \
		-ffreestanding -fno-builtin -msimd128 -mbulk-memory -msign-ext -mnontrapping-fptoint \
		-c "$m/$m.c" -o "$out/$m/$m.o"
	wasm-ld-14 --no-entry --strip-all --compress-relocations --stack-first -z stack-size=8192 \
		--initial-memory=65536 --max-memory=8388608 "$out/$m/$m.o" -o "$out/$m/$m.wasm"
	rm "$out/$m/$m.o"
done

if [ "$out" != . ]; then
	(cd "$out" && sha256sum $(printf '%s/%s.wasm ' $(for m in $modules; do echo "$m" "$m"; done))) | cmp - SHA256SUMS
	echo "the committed modules are what their sources build to"
	exit 0
fi
sha256sum $(printf '%s/%s.wasm ' $(for m in $modules; do echo "$m" "$m"; done)) >SHA256SUMS
cat SHA256SUMS
