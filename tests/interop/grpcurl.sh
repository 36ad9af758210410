#!/bin/sh
# Calls the bridge with grpcurl, which knows the API by reflection alone: list, describe, calls, an error's details.
#   tests/interop/grpcurl.sh MODELARTS_BRIDGE MODELARTS_SIM [FOLDER]
# grpcurl is not in Debian. It is fetched by "go install" into FOLDER (build/interop), which needs Go 1.16 or newer:
# the one on PATH, such as that of Debian's golang-go (deploy/packages/interop.txt).
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
version=v1.8.7

if [ $# -lt 2 ]; then
    sed -n '2,5s/^# *//p' "$0" >&2
    exit 2
fi
bridge=$1
sim=$2
folder=${3:-$root/build/interop}
mkdir -p "$folder"
folder=$(CDPATH='' cd -- "$folder" && pwd)
run=$(mktemp -d "$folder/run.XXXXXX")

step='starting'
bridge_pid=
sim_pid=

finish() {
    code=$?
    trap - EXIT
    for pid in $bridge_pid $sim_pid; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "$code" -ne 0 ]; then
        echo "grpcurl.sh: failed while $step; its files are in $run" >&2
    else
        rm -rf "$run"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

step="fetching grpcurl $version"
grpcurl="$folder/$version/grpcurl"
if ! [ -x "$grpcurl" ]; then
    command -v go >/dev/null || {
        echo "grpcurl.sh: Go is missing: install Debian's golang-go, or put another one on PATH" >&2
        exit 1
    }
    GOBIN="$folder/$version" go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$version"
fi

step='starting the stand-in for ModelArts'
"$sim" --listen 127.0.0.1:0 --port-file "$run/port" --journal "$run/journal" >"$run/sim.log" 2>&1 &
sim_pid=$!
tries=0
until [ -s "$run/port" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 300 ]
    kill -0 "$sim_pid"
    sleep 0.1
done

step='starting the bridge'
socket="$run/bridge.sock"
"$bridge" serve --listen "unix:$socket" --listen 127.0.0.1:0 --admin-listen off --project-id demo-project \
    --upstream-url "http://127.0.0.1:$(cat "$run/port")" >"$run/bridge.log" 2>&1 &
bridge_pid=$!
"$bridge" wait --address "unix:$socket" --timeout 30s >"$run/wait"
address=$(sed -n 's/.*"event":"listening","address":"\(127[^"]*\)".*/\1/p' "$run/bridge.log")

# Runs grpcurl; its exit code must be EXPECTED. What it prints is in $run/output.
ask() { # EXPECTED ARGUMENTS...
    expected=$1
    shift
    step="asking: grpcurl $*"
    code=0
    "$grpcurl" -plaintext -max-time 30 "$@" >"$run/output" 2>&1 || code=$?
    [ "$code" -eq "$expected" ] || {
        echo "grpcurl.sh: exit code $code, not $expected:" >&2
        cat "$run/output" >&2
        exit 1
    }
}

# The output is standard input.
says() {
    cat >"$run/expected"
    diff -u "$run/expected" "$run/output"
}

# The output has all of these lines, each as a part of one of its own.
has() {
    for part in "$@"; do
        grep -qF -- "$part" "$run/output" || {
            echo "grpcurl.sh: no \"$part\" in:" >&2
            cat "$run/output" >&2
            exit 1
        }
    done
}

ask 0 "$address" list
says <<'END'
grpc.health.v1.Health
grpc.reflection.v1.ServerReflection
grpc.reflection.v1alpha.ServerReflection
modelarts.v1.ModelArtsService
END

ask 0 "$address" list modelarts.v1.ModelArtsService
says <<'END'
modelarts.v1.ModelArtsService.ShowServiceUpdateLogs
modelarts.v1.ModelArtsService.UpdateService
modelarts.v1.ModelArtsService.UpdateServiceByProperty
END

ask 0 "$address" describe modelarts.v1.ModelArtsService
has 'rpc UpdateService ( .modelarts.v1.UpdateServiceRequest ) returns ( .modelarts.v1.UpdateServiceResponse )' \
    'put: "/v1/{project_id}/services/{service_id}/property"' \
    'option idempotency_level = NO_SIDE_EFFECTS;'

# Presence and rules: the published schema, with its extensions.
ask 0 "$address" describe modelarts.v1.ServiceConfig
has 'optional int32 weight' '.buf.validate.field'
ask 0 "$address" describe modelarts.v1.ServiceStatus
has '(.modelarts.rest.v1.literal) = "stopped"'

ask 0 -d '{"service":"readiness"}' "$address" grpc.health.v1.Health/Check
says <<'END'
{
  "status": "SERVING"
}
END

ask 0 -H 'x-auth-token: sim-token' -d '{"service_id":"demo-stopped"}' "$address" \
    modelarts.v1.ModelArtsService/ShowServiceUpdateLogs
has '"serviceName": "demo-stopped"' '"result": "LOG_RESULT_SUCCESS"'

# 64 and the gRPC code: NOT_FOUND is 5. The details are read by reflection too.
ask 69 -H 'x-auth-token: sim-token' -d '{"service_id":"no-such-service","status":"SERVICE_STATUS_STOPPED"}' "$address" \
    modelarts.v1.ModelArtsService/UpdateService
has 'Code: NotFound' 'type.googleapis.com/google.rpc.ErrorInfo' '"reason":"MODELARTS_3502"'

step='stopping the bridge'
kill -TERM "$bridge_pid"
wait "$bridge_pid"
bridge_pid=
echo "grpcurl: fine"
