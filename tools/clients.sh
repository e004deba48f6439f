#!/usr/bin/env bash
# clients.sh: see that clients of Vault in other languages are there: Debian's python3-hvac,
# and node-vault from npm below .cache/clients.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! /usr/bin/python3 -c 'from hvac import Client' 2>/dev/null; then
	if test "$(id -u)" -ne 0 || ! command -v apt-get >/dev/null; then
		echo "install Debian's python3-hvac, or run this as root on Debian" >&2
		exit 1
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3-hvac >/dev/null
fi
mkdir -p .cache/clients
test -d .cache/clients/node_modules/node-vault || npm install --silent --no-audit --no-fund --prefix .cache/clients node-vault@0.12.0
