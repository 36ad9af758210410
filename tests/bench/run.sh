#!/bin/sh
# Builds a release and measures it: README.md. Takes three minutes; leave the machine alone meanwhile.
#   tests/bench/run.sh [BUILD-DIR]   BUILD-DIR: build/release of this tree if none is named
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
build=${1:-"$root/build/release"}
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >&2
cmake --build "$build" -j "$(nproc)" --target bench >&2
exec /usr/bin/python3 -B "$root/tests/bench/bench.py" "$build/bridge/modelarts-bridge" "$build/tests/bench"
