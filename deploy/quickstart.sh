#!/bin/sh
# Builds the bridge and a stand-in for ModelArts, makes three calls and one that fails, and shows what happened.
#   deploy/quickstart.sh          show it and stop
#   deploy/quickstart.sh --stay   leave both running, and say how to call them
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build="$root/build/quickstart"
stay=no
for argument in "$@"; do
    case "$argument" in
    --stay) stay=yes ;;
    -h | --help)
        sed -n '2,4s/^# *//p' "$0"
        exit 0
        ;;
    *)
        echo "quickstart.sh: unknown argument \"$argument\"; accepted: --stay" >&2
        exit 2
        ;;
    esac
done
# A folder of its own for each run: one that stays goes on writing into its.
mkdir -p "$build"
run=$(mktemp -d "$build/run.XXXXXX")

step='starting'
log="$run/setup.log"
sim_pid=
bridge_pid=

stop() {
    for pid in $bridge_pid $sim_pid; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    bridge_pid=
    sim_pid=
}

finish() {
    code=$?
    trap - EXIT
    if [ "$code" -ne 0 ]; then
        echo >&2
        echo "quickstart.sh: failed while $step; the log is $log" >&2
        tail -n 5 "$log" >&2 || true
        stop
    elif [ "$stay" = no ]; then
        stop
        rm -rf "$run"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Waits until a file has a line that matches, for at most 30 seconds, as long as the process lives.
wait_for() { # FILE PATTERN PID
    tries=0
    until grep -q "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 300 ] || return 1
        kill -0 "$3" 2>/dev/null || return 1
        sleep 0.1
    done
}

step='installing packages'
echo "Installing what is missing, and building (the first time takes about a minute) ..."
"$root/deploy/packages/install.sh" build quickstart >"$log" 2>&1

step='building'
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBRIDGE_TESTS=OFF >>"$log" 2>&1
cmake --build "$build" -j "$(nproc)" >>"$log" 2>&1
bridge="$build/bridge/modelarts-bridge"
sim="$build/tests/sim/modelarts-sim"

step='starting the stand-in for ModelArts'
log="$run/sim.log"
journal="$run/journal"
touch "$journal"
"$sim" --listen 127.0.0.1:0 --port-file "$run/sim.port" --journal "$journal" >"$log" 2>&1 &
sim_pid=$!
wait_for "$run/sim.port" '[0-9]' "$sim_pid"
upstream="http://127.0.0.1:$(cat "$run/sim.port")"

step='starting the bridge'
log="$run/bridge.log"
"$bridge" serve --listen 127.0.0.1:0 --admin-listen off --upstream-url "$upstream" --project-id demo-project \
    >"$log" 2>&1 &
bridge_pid=$!
wait_for "$log" '"event":"listening"' "$bridge_pid"
address=$(sed -n 's/.*"event":"listening","address":"\([^"]*\)".*/\1/p' "$log" | head -n 1)
echo "The bridge listens on $address, the stand-in for ModelArts on $upstream."

# Makes one call and tells it: what was asked, what went out, what came back. EXPECTED is the exit code.
tell() { # TITLE EXPECTED METHOD JSON
    step="calling $3"
    echo
    echo "== $1"
    echo "gRPC    $3 $4"
    code=0
    before=$(wc -l <"$journal")
    "$bridge" call --address "$address" --metadata x-auth-token=sim-token "$3" --data "$4" \
        >"$run/answer" 2>"$run/error" || code=$?
    tail -n "+$((before + 1))" "$journal" | jq -r '"REST    \(.method) \(.path)" + (if .body then " \(.body | tojson)" else "" end)'
    if [ "$code" -eq 0 ]; then
        jq -c . "$run/answer" | sed 's/^\(.\{240\}\).*/\1 .../; s/^/answer  /'
    else
        sed 's/^/        /' "$run/error"
    fi
    [ "$code" -eq "$2" ]
}

# An update is RUNNING for a moment, and a service that deploys takes no second one.
settle() {
    step='waiting for the update'
    tries=0
    until "$bridge" call --address "$address" --metadata x-auth-token=sim-token ShowServiceUpdateLogs \
        --data '{"service_id":"demo-service"}' 2>"$run/error" | jq -e '.logs[0].result == "SUCCESS"' >/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 100 ]
        sleep 0.1
    done
}

tell 'Update a service: a new configuration for its model' 0 UpdateService \
    '{"service_id":"demo-service","description":"","config":[{"model_id":"demo-model","weight":100,"specification":"modelarts.vm.cpu.2u","instance_count":1}]}'
settle
tell 'Change its number of instances' 0 UpdateServiceByProperty \
    '{"service_id":"demo-service","changed_property":"instance_count","configs":[{"model_id":"demo-model","changed_value":2}]}'
settle
tell 'Read its update logs' 0 ShowServiceUpdateLogs '{"service_id":"demo-service"}'
# 64 and the gRPC code: NOT_FOUND is 5.
tell 'Update a service that does not exist: a precise status instead of a guess' 69 UpdateService \
    '{"service_id":"no-such-service","status":"stopped"}'

echo
if [ "$stay" = yes ]; then
    echo "Both keep running. Call the bridge yourself:"
    echo "  $bridge call --address $address --metadata x-auth-token=sim-token ShowServiceUpdateLogs --data '{\"service_id\":\"demo-service\"}'"
    echo "Stop them with:"
    echo "  kill $bridge_pid $sim_pid"
else
    echo "Done: both are stopped. deploy/quickstart.sh --stay leaves them running."
fi
