#!/usr/bin/env bash
# fuzz.sh TIME: run every fuzz target of the module for TIME, one after the other.
set -euo pipefail
time=${1:-30s}
grep -rlE '^func Fuzz' --include='*_test.go' gateway wasm tools 2>/dev/null | xargs -rn1 dirname | sort -u | while read -r dir; do
	test ! -e "$dir/go.mod" || continue
	for target in $(grep -hoE '^func Fuzz\w+' "$dir"/*_test.go | sed 's/func //'); do
		echo "$dir $target ($time)" >&2
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$dir"
	done
done
