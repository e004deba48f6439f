#!/usr/bin/env bash
# Runs the official MCP conformance suite against the conformance server: both
# requirement sets in full, and without fixtures the scenarios that the gateway
# passes by itself. Needs bin/devvault.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(tools/conformance/install.sh)
export PATH=$dir/node_modules/node/bin:$PATH
go build -buildvcs=false -trimpath -o bin/conformance-server ./tools/conformance/server
out=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$out"' EXIT

# start runs the server and sets url.
start() {
	rm -f "$out/ready"
	bin/conformance-server "$@" >"$out/ready" 2>"$out/errors" &
	server=$!
	for _ in $(seq 300); do
		[ -s "$out/ready" ] && break
		kill -0 "$server" 2>/dev/null || { cat "$out/errors" >&2; exit 1; }
		sleep 0.1
	done
	url=$(sed 's/.*"url":"\([^"]*\)".*/\1/' "$out/ready")
}

stop() {
	kill "$server"
	wait "$server" || true
	server=
}

suite() { node "$dir/node_modules/@modelcontextprotocol/conformance/dist/index.js" server --url "$url" "$@"; }

failed=0
start
for revision in 2026-07-28 2025-11-25; do
	echo "== conformance $revision"
	suite --requirements "$revision" --expected-failures tools/conformance/expected-failures.yml -o "$out/$revision" >"$out/log" || failed=1
	sed -n '/=== SUMMARY/,$p' "$out/log"
	[ "$failed" = 0 ] || cat "$out/log"
done
stop

start --bare
while read -r revision scenario; do
	if suite --scenario "$scenario" --spec-version "$revision" -o "$out/bare" >"$out/log" 2>&1; then
		echo "ok without fixtures: $revision $scenario"
	else
		echo "FAILED without fixtures: $revision $scenario"
		cat "$out/log"
		failed=1
	fi
done < <(grep -v '^#' tools/conformance/native.txt)
stop
exit $failed
