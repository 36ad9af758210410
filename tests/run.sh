#!/bin/sh
# Builds everything with AddressSanitizer and UndefinedBehaviorSanitizer and runs every test.
#   tests/run.sh [CTEST ARGUMENTS...]   such as: tests/run.sh -R test_call
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
"$root/deploy/packages/install.sh" build quickstart test

build="$root/build/sanitize"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBRIDGE_SANITIZE=address,undefined
cmake --build "$build" -j "$(nproc)"
cd "$build"
exec ctest --output-on-failure --timeout 300 -j "$(nproc)" "$@"
