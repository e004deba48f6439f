#!/usr/bin/env bash
# test.sh [quick]: what `make test` does: install what the tests need, build, run
# every test of both modules, and end with one line that counts. A skipped test is a
# failure. With quick, which is what `make check` does, a test whose package has not
# changed since it passed is not run again, but for those that drive the binaries.
set -uo pipefail
cd "$(dirname "$0")/.."
gotestsum=$PWD/.cache/bin/gotestsum
mkdir -p .cache
rm -f .cache/test-*.json

tools/setup.sh && make --no-print-directory build || exit 1

status=0
suite() { # NAME DIRECTORY ARGUMENTS OF GO TEST
	local name=$1 dir=$2
	shift 2
	echo "== $name" >&2
	(cd "$dir" && "$gotestsum" --format pkgname-and-test-fails --jsonfile "$OLDPWD/.cache/test-$name.json" -- "$@") || status=1
}
if test "${1:-}" = quick; then
	mapfile -t packages < <(go list ./... | grep -v /gateway/e2e)
	suite gateway . -timeout 40m "${packages[@]}"
	suite end-to-end . -count=1 -timeout 40m ./gateway/e2e/...
	suite devvault tools/devvault -timeout 15m ./...
else
	suite gateway . -count=1 -shuffle=on -timeout 60m ./...
	suite devvault tools/devvault -count=1 -shuffle=on -timeout 15m ./...
fi

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
