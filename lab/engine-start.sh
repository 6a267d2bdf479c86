#!/bin/sh
# engine-start.sh RESOLV-CONF COMMAND...: the first thing that runs inside the private engine's own namespaces.
# The network is given to the namespace from outside; a line on standard input says that it is there.
set -eu
resolv_conf=$1
shift
read -r _network_is_there || exit 1
exec </dev/null
ip link set lo up
# A name server on the machine's own loopback (systemd-resolved) cannot be asked from another network namespace.
if [ "$resolv_conf" != - ]; then mount --bind "$resolv_conf" /etc/resolv.conf; fi
exec "$@"
