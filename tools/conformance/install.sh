#!/usr/bin/env bash
# Installs Node 24, the official conformance suite and the official clients from
# npm into .cache/conformance, at the versions of npm/package-lock.json. Does
# nothing when they are there. Prints the directory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$here/../../.cache/conformance
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.lock"
flock 9
cp "$here"/npm/*.mjs "$dir/"
if ! cmp -s "$here/npm/package-lock.json" "$dir/installed-lock.json"; then
	cp "$here/npm/package.json" "$here/npm/package-lock.json" "$dir/"
	echo "installing Node 24 and the MCP conformance suite" >&2
	npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error >&2
	"$dir/node_modules/node/bin/node" --version >&2
	cp "$here/npm/package-lock.json" "$dir/installed-lock.json"
fi
echo "$dir"
