#!/usr/bin/env bash
# test.sh [quick]: what `make test` does: install what the tests need, build, run
# every test of both modules, and end with one line that counts. A skipped test is a
# failure. When few tests fail they run once more, alone, because the machines of a CI
# are shared; what passes then is named as flaky before the count. With quick, which is
# what `make check` does, a test whose package has not changed since it passed is not run
# again, but for those that drive the binaries.
set -uo pipefail
cd "$(dirname "$0")/.."
gotestsum=$PWD/.cache/bin/gotestsum
mkdir -p .cache
rm -f .cache/test-*.json .cache/rerun-*.txt

tools/setup.sh && make --no-print-directory build || exit 1

# Nobody debugs these binaries, and without symbols a third less is spent on linking them.
status=0
suite() { # NAME DIRECTORY PACKAGES ARGUMENTS OF GO TEST
	local name=$1 dir=$2 packages=$3
	shift 3
	echo "== $name" >&2
	(cd "$dir" && "$gotestsum" --format pkgname-and-test-fails --jsonfile "$OLDPWD/.cache/test-$name.json" \
		--rerun-fails=1 --rerun-fails-max-failures=6 --rerun-fails-report "$OLDPWD/.cache/rerun-$name.txt" \
		--packages "$packages" -- -ldflags="-s -w" "$@") || status=1
}
if test "${1:-}" = quick; then
	suite gateway . "$(go list ./... | grep -v /gateway/e2e | xargs)" -timeout 40m
	suite end-to-end . ./gateway/e2e/... -count=1 -timeout 40m
	suite devvault tools/devvault ./... -timeout 15m
else
	# Those that take longest begin first, so that none of them is alone at the end.
	suite gateway . "./tools/conformance ./gateway/vault ./gateway/e2e/... ./..." -count=1 -shuffle=on -timeout 60m
	suite devvault tools/devvault ./... -count=1 -shuffle=on -timeout 15m
fi

count() { cat .cache/test-*.json | grep '"Test":' | grep -c "\"Action\":\"$1\""; }
skipped=$(count skip)
# A test counts by how it ended last.
failed=$(cat .cache/test-*.json | awk 'match($0, /"Package":"[^"]*","Test":"[^"]*"/) {
	name = substr($0, RSTART, RLENGTH)
	if (/"Action":"fail"/) bad[name] = 1
	if (/"Action":"pass"/) delete bad[name]
} END { n = 0; for (name in bad) n++; print n }')
if test "$skipped" -gt 0; then
	echo "skipped:" >&2
	cat .cache/test-*.json | grep '"Test":' | grep '"Action":"skip"' >&2
	failed=$((failed + skipped))
fi
if test "$status" -ne 0 && test "$failed" -eq 0; then
	failed=1 # something did not even build
fi
if cat .cache/rerun-*.txt 2>/dev/null | grep . >&2; then
	echo "these failed and were run again; the log has both runs: report them" >&2
fi
echo "$(count pass) passed, $failed failed"
test "$failed" -eq 0
