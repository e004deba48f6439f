#!/usr/bin/env bash
# benchmarks.sh [write]: run the benchmarks of what every call goes through and compare them
# with the committed baseline, bench/baseline.txt. A difference warns and never fails: times
# are those of another machine, or of a busy one. Allocations are not, and
# TestAllocationsPerCall holds those of whole calls. With write, this run is the baseline.
set -uo pipefail
cd "$(dirname "$0")/.."
now=.cache/benchmarks.txt
mkdir -p .cache
go test -run '^$' -bench '^Benchmark(Authenticate|Bind|Do|Intent|Take|Publish)$' -benchmem -benchtime 2000x -count 6 \
	./gateway/auth ./gateway/policy ./gateway/pipeline ./gateway/audit ./gateway/limit ./gateway/events >"$now" || exit 1
if test "${1:-}" = write; then
	cp "$now" bench/baseline.txt
	exit
fi
.cache/bin/benchstat bench/baseline.txt "$now" >.cache/benchstat.txt
# benchstat writes the change where it is not taken for noise, and a tilde elsewhere.
slower=$(awk '/^geomean/ {next} /│.*B\/op/ {skip = 1} /│.*(sec|allocs)\/op/ {skip = 0} !skip && /\+[0-9]+(\.[0-9]+)?%/ && match($0, /\+[0-9.]+%/) && substr($0, RSTART + 1, RLENGTH - 2) + 0 > 20' .cache/benchstat.txt)
if test -n "$slower"; then
	echo "warning: slower than bench/baseline.txt by more than a fifth (all of it: .cache/benchstat.txt; tools/benchmarks.sh write makes another baseline):" >&2
	echo "$slower" >&2
fi
