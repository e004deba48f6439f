#!/bin/sh
# $1 is "remove" (deb) or 0 (rpm) when the package goes, and not when it is upgraded.
set -e
case "$1" in
remove | 0) ! test -d /run/systemd/system || systemctl disable --now portcullis.service ;;
esac
