#!/bin/sh
# Checks the bridge and its manifests with programs that are not in Debian: grpcurl, kustomize, Kubernetes' schemas.
#   tests/interop/run.sh BUILD-DIR   such as build/release
# They are fetched into build/interop with pip and with Go, 1.24 or newer: Debian's own is too old for kustomize.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=${1:?"usage: tests/interop/run.sh BUILD-DIR"}

command -v go >/dev/null || {
    echo "interop/run.sh: Go is missing: put one of 1.24 or newer on PATH" >&2
    exit 1
}
"$here/grpcurl.sh" "$build/bridge/modelarts-bridge" "$build/tests/sim/modelarts-sim"
"$here/kubernetes.sh"
