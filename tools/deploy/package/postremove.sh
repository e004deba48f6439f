#!/bin/sh
# Logs, evidence and state stay: they are the operator's.
set -e
! test -d /run/systemd/system || systemctl daemon-reload
