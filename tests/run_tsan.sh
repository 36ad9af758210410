#!/bin/sh
# Builds everything with ThreadSanitizer and runs the tests: what tests/run.sh runs with the other sanitizers, but for
# those of deploy/ and the benchmark.
#   tests/run_tsan.sh [CTEST ARGUMENTS...]   such as: tests/run_tsan.sh -R e2e_lifecycle
# A report is exit code 66 of the program, and so a failed test. tests/tsan.supp names the libraries that are not
# looked into, with reasons; tests/support/tsan_grpc.c says what gRPC promises about its tags.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
"$root/deploy/packages/install.sh" build quickstart test

build="$root/build/tsan"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBRIDGE_SANITIZE=thread -DBRIDGE_TEST_SLOWNESS=5
cmake --build "$build" -j "$(nproc)"
cd "$build"
export TSAN_OPTIONS="suppressions=$root/tests/tsan.supp:exitcode=66:history_size=4"
LD_PRELOAD="$build/tests/support/libtsan_grpc.so" \
    exec ctest --output-on-failure --timeout 1500 -j "$(nproc)" -E '^(deploy|bench)_' "$@"
