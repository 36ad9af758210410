#!/bin/sh
# Builds the image and checks what comes out; needs root and Debian 12, but no Docker and no registry: buildah builds it, on
# a base that debootstrap makes from the mirror of this system's own package sources.
#   [BRIDGE_IMAGE_CACHE=FOLDER] test.sh
# The base and the packages stay in the folder (build/image-cache unless given) and make the next run faster.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
release=bookworm
if [ "$(id -u)" -ne 0 ]; then
    echo "test.sh: run this as root: it mounts, and installs packages" >&2
    exit 1
fi

mkdir -p "$root/build"
cache=${BRIDGE_IMAGE_CACHE:-$root/build/image-cache}
mkdir -p "$cache/archives/partial"
work=$(mktemp -d "$root/build/image-test.XXXXXX")
log=$root/build/image-test.log
step='starting'
finish() {
    code=$?
    trap - EXIT
    [ "$code" -eq 0 ] || [ -z "$step" ] || { echo "test.sh: failed while $step; $log ends with:" && tail -n 20 "$log"; } >&2
    # What a build that was stopped may have left mounted stays out of it.
    rm -rf --one-file-system "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

step='installing packages'
"$root/deploy/packages/install.sh" build quickstart image >"$log" 2>&1

step='building the simulator'
sim_build=$root/build/quickstart
cmake -S "$root" -B "$sim_build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBRIDGE_TESTS=OFF >>"$log" 2>&1
cmake --build "$sim_build" -j "$(nproc)" --target modelarts-sim >>"$log" 2>&1

step='reading the package sources'
# The names in the format are apt's.
# shellcheck disable=SC2016
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        awk -v release="$release" '$3 == release || $3 == release "-updates" || $3 == release "-security"' | sort -u
}
[ -n "$(sources)" ] || apt-get update -qq >>"$log" 2>&1
sources >"$work/sources.list"
mirror=$(awk -v release="$release" '$3 == release && $4 == "main" { print $2; exit }' "$work/sources.list")
[ -n "$mirror" ] || { echo "no sources of Debian $release" >>"$log" && exit 1; }
# Proxies, and what is said of the mirrors' dates, are the same as here.
apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' >"$work/90host" || true

step='making the base'
if [ ! -e "$cache/base.tar" ]; then
    include=
    case "$mirror" in
    https:*) include=--include=ca-certificates ;;
    esac
    # shellcheck disable=SC2086
    debootstrap --variant=minbase $include "$release" "$work/base" "$mirror" >>"$log" 2>&1
    rm -f "$work/base/var/cache/apt/archives/"*.deb
    tar -C "$work/base" -cf "$cache/base.tar.new" .
    mv "$cache/base.tar.new" "$cache/base.tar"
    rm -rf --one-file-system "$work/base"
fi
mkdir "$work/tmp"
export TMPDIR="$work/tmp" BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF="$work/storage.conf"
cat >"$work/storage.conf" <<END
[storage]
driver = "vfs"
runroot = "$work/run"
graphroot = "$work/graph"
END
base=$(buildah from scratch)
{
    buildah add "$base" "$cache/base.tar" /
    buildah add "$base" "$work/sources.list" /etc/apt/sources.list
    buildah add "$base" "$work/90host" /etc/apt/apt.conf.d/90host
    buildah commit "$base" localhost/bridge-base
    buildah rm "$base"
} >>"$log" 2>&1

step='building the image'
"$here/build.sh" --with buildah --base localhost/bridge-base -- \
    --volume "$cache/archives:/var/cache/apt/archives" >"$work/build.out" 2>>"$log" || { cat "$work/build.out" >>"$log" && exit 1; }
cat "$work/build.out" >>"$log"
built=$(tail -n 1 "$work/build.out")
echo "built   $built"

step='unpacking the image'
image=${built%% *}
buildah inspect --type image "$image" | jq .OCIv1.config >"$work/config.json"
files=$(buildah mount "$(buildah from --pull-never "$image")")

step=
timeout 300 unshare --net "$here/test_image.sh" "$files" "$work/config.json" "$sim_build/tests/sim/modelarts-sim"
