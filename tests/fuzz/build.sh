#!/bin/sh
# Builds the fuzz targets with clang and libFuzzer into build/fuzz, and writes their first inputs there.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
build="$root/build/fuzz"
"$root/deploy/packages/install.sh" build test fuzz
# Optimised a little for speed, and not as a release: fortified calls would bypass the sanitizer's.
CC=clang cmake -S "$root" -B "$build" -G Ninja -DBRIDGE_FUZZ=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-g -O1"
cmake --build "$build" -j "$(nproc)" --target fuzzers fuzz_seeds
