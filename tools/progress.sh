#!/usr/bin/env bash
# progress.sh WHAT COMMAND...: run a command, and say every ten seconds that it is
# still running.
set -euo pipefail
what=$1
shift
set -m # a process group for the ticker, so that its sleep ends with it
(
	waited=0
	while sleep 10; do
		waited=$((waited + 10))
		echo "still $what ($waited s)" >&2
	done
) &
ticker=$!
set +m
trap 'kill -- "-$ticker" 2>/dev/null || true' EXIT
"$@"
