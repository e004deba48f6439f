#!/bin/sh
set -e
getent group portcullis >/dev/null || groupadd --system portcullis
getent passwd portcullis >/dev/null || useradd --system --gid portcullis --no-create-home --home-dir /var/lib/portcullis --shell /usr/sbin/nologin portcullis
