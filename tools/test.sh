#!/usr/bin/env bash
# test.sh: what `make test` does: install what the tests need, build, run every test
# of both modules, and end with one line that counts. A skipped test is a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
gotestsum=$PWD/.cache/bin/gotestsum
mkdir -p .cache
rm -f .cache/test-*.json

tools/setup.sh && make --no-print-directory build || exit 1

status=0
suite() { # NAME DIRECTORY TIMEOUT
	echo "== $1" >&2
	(cd "$2" && "$gotestsum" --format pkgname-and-test-fails --jsonfile "$OLDPWD/.cache/test-$1.json" \
		-- -shuffle=on -timeout "$3" ./...) || status=1
}
suite gateway . 40m
suite devvault tools/devvault 15m

count() { cat .cache/test-*.json | grep '"Test":' | grep -c "\"Action\":\"$1\""; }
skipped=$(count skip)
failed=$(count fail)
if test "$skipped" -gt 0; then
	echo "skipped:" >&2
	cat .cache/test-*.json | grep '"Test":' | grep '"Action":"skip"' >&2
	failed=$((failed + skipped))
fi
if test "$status" -ne 0 && test "$failed" -eq 0; then
	failed=1 # something did not even build
fi
echo "$(count pass) passed, $failed failed"
test "$failed" -eq 0
