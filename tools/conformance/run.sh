#!/usr/bin/env bash
# Runs the official MCP conformance suite: both requirement sets in full against the
# conformance server, and against bin/portcullis itself the scenarios that need no
# fixtures. With REPLICAS=3 each of them is three replicas behind a balancer that spreads
# requests over them. Needs bin/devvault and bin/portcullis.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(tools/conformance/install.sh)
export PATH=$dir/node_modules/node/bin:$PATH
go build -buildvcs=false -trimpath -o bin/ ./tools/conformance/fleet
go build -buildvcs=false -trimpath -o bin/conformance-server ./tools/conformance/server
fleet=
[ "${REPLICAS:-1}" = 1 ] || fleet=bin/fleet
out=$(mktemp -d)
started=()
trap 'stop; rm -rf "$out"' EXIT

# start NAME COMMAND... runs a program until its ready line, which is then in
# $out/NAME.
start() {
	local name=$1 pid
	shift
	"$@" >"$out/$name" 2>"$out/errors" &
	pid=$!
	started+=("$pid")
	for _ in $(seq 300); do
		[ -s "$out/$name" ] && return
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	cat "$out/errors" >&2
	exit 1
}

# field NAME KEY is a value of a ready line.
field() { sed "s/.*\"$2\":\"\([^\"]*\)\".*/\1/" "$out/$1"; }

stop() {
	local pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" || true
	done
	started=()
}

suite() { node "$dir/node_modules/@modelcontextprotocol/conformance/dist/index.js" server --url "$url" "$@"; }

failed=0
start server env HOST=127.0.0.1 PORT=0 API_KEYS_JSON='{"dev-api-key":"conformance"}' RATE_LIMIT_REQUESTS=100000 $fleet bin/conformance-server
export TARGET CREDENTIAL=dev-api-key NODE_OPTIONS="--import $dir/credential.mjs"
TARGET=$(field server addr)
url=$TARGET/mcp
for revision in 2026-07-28 2025-11-25; do
	echo "== conformance $revision"
	suite --requirements "$revision" --expected-failures tools/conformance/expected-failures.yml -o "$out/$revision" >"$out/log" || failed=1
	sed -n '/=== SUMMARY/,$p' "$out/log"
	[ "$failed" = 0 ] || cat "$out/log"
done
stop

echo "== bin/portcullis"
start vault bin/devvault --listen 127.0.0.1:0 --log-level error --audit-file "$out/vault-audit.log"
start gateway env VAULT_ADDR="$(field vault addr)" VAULT_TOKEN="$(field vault token)" HOST=127.0.0.1 PORT=0 LOG_DIR="$out/logs" \
	API_KEYS_JSON='{"dev-api-key":"agent_api"}' POLICY_DIR=fixtures/policy-dev RATE_LIMIT_REQUESTS=100000 $fleet bin/portcullis serve
TARGET=$(field gateway addr)
url=$TARGET/mcp
while read -r revision scenario; do
	if suite --scenario "$scenario" --spec-version "$revision" -o "$out/native" >"$out/log" 2>&1; then
		echo "ok: $revision $scenario"
	else
		echo "FAILED: $revision $scenario"
		cat "$out/log"
		failed=1
	fi
done < <(grep -v '^#' tools/conformance/native.txt)
exit $failed
