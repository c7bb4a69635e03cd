#!/bin/sh
# /usr/local/bin/filmgate: the command line with the settings and the user of filmgate.service. Run it as root.
set -a
. /etc/filmgate.env
FILMGATE_DATA_DIR=/var/lib/filmgate
exec runuser -u filmgate -- /opt/filmgate/bin/filmgate "$@"
