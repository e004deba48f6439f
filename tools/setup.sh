#!/usr/bin/env bash
# setup.sh: see that the servers and programs that the tests start are there:
# PostgreSQL, Redis, OpenSSH, rsyslog, psql, curl, npm, Rust for WebAssembly. As root on Debian or Ubuntu it installs
# what is missing; elsewhere it says what to install. It starts nothing.
set -euo pipefail

have() { command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null || test -x "/usr/sbin/$1"; }

missing=()
need() { # PROGRAM PACKAGE
	have "$1" || missing+=("$2")
}
need initdb postgresql
need psql postgresql-client
need redis-server redis-server
need sshd openssh-server
need rsyslogd rsyslog
need ssh openssh-client
need curl curl
need npm npm

# A compiler of Rust counts if it has the target, as in wasm/sdk/rust/build.sh.
rust_for_wasm() {
	local rustc root
	for rustc in rustc /usr/bin/rustc; do
		root=$("$rustc" --print sysroot 2>/dev/null) && test -d "$root/lib/rustlib/wasm32-unknown-unknown" && return
	done
	return 1
}
rust_for_wasm || missing+=(rustc libstd-rust-dev-wasm32 lld-14)

if test ${#missing[@]} -eq 0; then
	exit 0
fi
if test "$(id -u)" -ne 0 || ! command -v apt-get >/dev/null; then
	echo "The tests need what is not installed here: ${missing[*]} (names of Debian packages)." >&2
	echo "Install them, or run this as root on Debian." >&2
	exit 1
fi

# The packages must not start servers: the tests start their own.
policy=/usr/sbin/policy-rc.d
if ! test -e "$policy"; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
rm -f "$log"
