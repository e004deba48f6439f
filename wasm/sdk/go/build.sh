#!/bin/sh
# Builds module.wasm. The same Go version gives the same bytes.
set -eu
cd "$(dirname "$0")"
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags="-s -w -buildid=" -o module.wasm .
