#!/bin/sh
# Runs a program in the unpacked files of an image, as Docker does with --read-only --cap-drop ALL --security-opt
# no-new-privileges: as process 1, without capabilities, and with nothing to write to but volumes. For test_image.sh.
#   unshare --mount --pid --ipc --uts --fork --kill-child container.sh FOLDER UID:GID [SOURCE:TARGET[:ro]]... -- PROGRAM [ARGUMENT]...
set -eu
root=$1
user=$2
shift 2

mount --bind "$root" "$root"
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
while [ "$1" != -- ]; do
    source=${1%%:*}
    rest=${1#*:}
    target=$root${rest%%:*}
    mkdir -p "$(dirname "$target")"
    if [ -d "$source" ]; then
        mkdir -p "$target"
    elif [ ! -e "$target" ]; then
        : >"$target"
    fi
    mount --bind "$source" "$target"
    case "$1" in
    *:ro) mount -o remount,bind,ro "$target" ;;
    esac
    shift
done
shift
mount -o remount,ro "$root/dev"
mount -o remount,bind,ro "$root"

# chroot needs three capabilities itself; they end when it turns into the user.
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid \
    chroot --userspec="$user" --groups= "$root" "$@"
