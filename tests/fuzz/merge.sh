#!/bin/sh
# Makes the corpora that are kept with the source anew: the fewest inputs of the seeds, of what run.sh has found and of
# what is there that reach as much. An input that was a finding, found-WHAT, stays as it is.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
build="$root/build/fuzz"
"$here/build.sh" >&2
sed -n 's/^\([a-z_]*\) .*/\1/p' "$here/targets.txt" | while read -r target; do
    corpus="$here/corpus/$target"
    merged="$build/merged/$target"
    mkdir -p "$corpus" "$build/corpus/$target"
    rm -rf "$merged"
    mkdir -p "$merged"
    nice -n 19 "$build/tests/fuzz/fuzz_$target" -set_cover_merge=1 -max_len=4096 "$merged" "$corpus" "$build/seeds/$target" \
        "$build/corpus/$target" 2>"$build/$target.log" </dev/null
    find "$corpus" -type f ! -name 'found-*' -exec rm '{}' +
    cp "$merged"/* "$corpus"
    echo "$target: $(find "$corpus" -type f | wc -l) inputs, $(cat "$corpus"/* | wc -c) bytes"
done
