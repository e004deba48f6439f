#!/usr/bin/env bash
# fuzz.sh TIME: run every fuzz target of the module for TIME, one after the other. Inputs
# are made smaller a few times only: a target that uses files takes the same input another
# way each time, and would spend all of TIME on the first one.
set -euo pipefail
time=${1:-30s}
grep -rlE '^func Fuzz' --include='*_test.go' gateway wasm tools 2>/dev/null | xargs -rn1 dirname | sort -u | while read -r dir; do
	test ! -e "$dir/go.mod" || continue
	for target in $(grep -hoE '^func Fuzz\w+' "$dir"/*_test.go | sed 's/func //'); do
		echo "$dir $target ($time)" >&2
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "./$dir"
	done
done
