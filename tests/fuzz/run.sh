#!/bin/sh
# Fuzzes: builds the targets, runs each for a time on what is in its corpus and what was found before, and sums up.
#   tests/fuzz/run.sh [SECONDS [TARGET...]]   60 seconds and all targets if nothing is named
# Ends with 1 when a target found something: the input lies in build/fuzz/found.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
build="$root/build/fuzz"

# One target: run.sh --one TARGET SECONDS
if [ "${1:-}" = --one ]; then
    target=$2
    max_len=$(sed -n "s/^$target //p" "$here/targets.txt")
    mkdir -p "$build/corpus/$target"
    set -- -max_total_time="$3" -max_len="$max_len" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/found/$target-"
    [ ! -e "$here/$target.dict" ] || set -- "$@" -dict="$here/$target.dict"
    code=0
    nice -n 19 "$build/tests/fuzz/fuzz_$target" "$@" "$build/corpus/$target" "$here/corpus/$target" \
        "$build/seeds/$target" >"$build/$target.log" 2>&1 || code=$?
    echo "$code" >"$build/$target.code"
    exit 0
fi

seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=${*:-$(sed -n 's/^\([a-z_]*\) .*/\1/p' "$here/targets.txt")}
"$here/build.sh" >&2
mkdir -p "$build/found"
for target in $targets; do
    echo "$target"
done | xargs -P "$(nproc)" -I '{}' "$0" --one '{}' "$seconds"

found=0
echo "target       executions  edges    new  finding  peak MiB"
for target in $targets; do
    log="$build/$target.log"
    edges=$(sed -n 's/.*[A-Z] *cov: \([0-9]*\).*/\1/p' "$log")
    first=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log")
    last=$(echo "$edges" | tail -n 1)
    finding=no
    if [ "$(cat "$build/$target.code")" != 0 ]; then
        finding=YES
        found=1
        grep -E 'Assertion|SUMMARY|Test unit written' "$log" >&2 || tail -n 3 "$log" >&2
    fi
    printf '%-12s %10s %6s %6s %8s %9s\n' "$target" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "${last:--}" "$((${last:-0} - ${first:-0}))" "$finding" \
        "$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")"
done
exit "$found"
