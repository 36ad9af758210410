#!/bin/sh
# Builds the image, and prints its name and size.
#   build.sh [--with docker|podman|buildah] [--tag NAME] [--base IMAGE] [--version-from-git] [-- OPTIONS OF THE TOOL'S BUILD]
# Without --with: the first of these that is installed. --tag: modelarts-bridge:VERSION unless given. --base: a Debian 12,
# debian:12-slim unless given. --version-from-git: VERSION has the commit too.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)

fail() { # EXIT-CODE MESSAGE
    echo "build.sh: $2" >&2
    exit "$1"
}

tool=
tag=
base=debian:12-slim
from_git=no
while [ $# -gt 0 ]; do
    case "$1" in
    --with | --tag | --base)
        [ $# -ge 2 ] || fail 2 "$1 needs a value"
        case "$1" in
        --with) tool=$2 ;;
        --tag) tag=$2 ;;
        --base) base=$2 ;;
        esac
        shift
        ;;
    --version-from-git) from_git=yes ;;
    -h | --help)
        sed -n '2,5s/^# *//p' "$0"
        exit 0
        ;;
    --)
        shift
        break
        ;;
    *) fail 2 "unknown argument \"$1\"; accepted: --with, --tag, --base, --version-from-git" ;;
    esac
    shift
done

if [ -z "$tool" ]; then
    for candidate in docker podman buildah; do
        if [ -z "$tool" ] && command -v "$candidate" >/dev/null; then
            tool=$candidate
        fi
    done
    [ -n "$tool" ] || fail 1 "none of docker, podman and buildah is installed"
fi

cd "$root"
version=$(sed -n 's/^project(modelarts-bridge VERSION \([^ ]*\) .*/\1/p' CMakeLists.txt)
# A commit, never a tag; "-dirty" where the files are not quite it.
revision=$(git describe --always --exclude='*' --abbrev=40 --dirty)
epoch=$(git log -1 --format=%ct)
if [ "$from_git" = yes ]; then
    version="$version-g$(git describe --always --exclude='*' --dirty)"
fi
tag=${tag:-modelarts-bridge:$version}

# The same commit and the same packages give the same image: no time of the build is in it.
case "$tool" in
docker) set -- --build-arg SOURCE_DATE_EPOCH="$epoch" "$@" ;;
podman | buildah) set -- --build-arg SOURCE_DATE_EPOCH="$epoch" --timestamp "$epoch" "$@" ;;
*) fail 2 "--with $tool: accepted are docker, podman and buildah" ;;
esac
DOCKER_BUILDKIT=1 "$tool" build --file deploy/docker/Dockerfile --tag "$tag" --build-arg BASE="$base" --build-arg VERSION="$version" \
    --build-arg REVISION="$revision" --build-arg CREATED="$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" "$@" .
echo "$tag $("$tool" images --format '{{.Size}}' "$tag")"
