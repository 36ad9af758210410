#!/bin/sh
# Checks the source itself: format, floors, banned functions, scripts.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
git ls-files -z '*.c' '*.h' ':!tests/lint/samples' | xargs -0 clang-format --dry-run -Werror
/usr/bin/python3 tests/lint/lint.py .
git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
echo "lint: fine"
