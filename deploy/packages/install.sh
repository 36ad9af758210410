#!/bin/sh
# Installs what the named package lists of this folder hold and the system has not.
#   install.sh LIST...   such as: install.sh build quickstart
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

wanted=
for list in "$@"; do
    wanted="$wanted $(grep -v '^#' "$here/$list.txt")"
done
missing=
for package in $wanted; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "install.sh: these packages are missing:$missing" >&2
    echo "install.sh: run this as root, or install them yourself and repeat" >&2
    exit 1
fi
# Some packages bring a daemon beside the tool that is wanted. It must start neither now nor with the system.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
# The list is words on purpose.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
for package in $missing; do
    for unit in $(dpkg-query -L "$package" | sed -n 's|^.*/systemd/system/\([^/]*[.]service\)$|\1|p'); do
        ! command -v systemctl >/dev/null || systemctl disable --quiet "$unit"
    done
done
