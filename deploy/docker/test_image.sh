#!/bin/sh
# Checks the unpacked image: what is in it, and that it works as README.md beside this file says. test.sh calls it, in a
# network of its own, where no port is taken and nothing beyond this host can be reached.
#   test_image.sh FOLDER CONFIG SIMULATOR   the files, the configuration as JSON, the path of modelarts-sim
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
files=$1
config=$2
sim=$3
version=$(sed -n 's/^project(modelarts-bridge VERSION \([^ ]*\) .*/\1/p' "$root/CMakeLists.txt")
image=modelarts-bridge:$version
limit_bytes=45000000

run=$(mktemp -d)
# Mounted where the image's user reads.
chmod 755 "$run"
cd "$run"
pids=
finish() {
    code=$?
    trap - EXIT
    for pid in $pids; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$run"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0
failed=0
check() { # TITLE COMMAND [ARGUMENT]...: a function needs "|| return 1" where another command follows
    title=$1
    shift
    if "$@" >"$run/said" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $title"
    else
        failed=$((failed + 1))
        echo "FAILED  $title"
        tail -n 20 "$run/said" | sed 's/^/        /'
    fi
}

wait_for() { # PID COMMAND...: for at most 30 seconds, as long as the process lives
    waited_for=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        { [ "$tries" -le 300 ] && kill -0 "$waited_for"; } || return 1
        sleep 0.1
    done
}

wants() { # TEXT WORD...: the text has each of the words
    text=$1
    shift
    for word in "$@"; do
        case "$text" in
        *"$word"*) ;;
        *)
            echo "\"$word\" is missing in:"
            echo "$text"
            return 1
            ;;
        esac
    done
}

user=$(jq -r .User "$config")
program=$(jq -r '.Entrypoint[0]' "$config")

# What follows is run with the image's files. |volumes|: more of them, for a while.
volumes=
become_container() { # PROGRAM [ARGUMENT]...: instead of this shell
    # The volumes are words; no path of this script has a space.
    # shellcheck disable=SC2086
    exec env -i PATH="$PATH" unshare --mount --pid --ipc --uts --fork --kill-child \
        "$here/container.sh" "$files" "$user" $volumes -- "$@"
}
container() {
    (become_container "$@")
}
bridge() { # [ARGUMENT]...
    container "$program" "$@"
}

# Enough of Docker for the commands of README.md. Options that it does not know are a failure.
docker() {
    command=$1
    shift
    case "$command" in
    run) docker_run "$@" ;;
    exec)
        name=$1
        shift
        env -i nsenter --target "$(main_process "$name")" --mount --uts --ipc --pid --root --wd \
            --setuid "${user%:*}" --setgid "${user#*:}" "$@"
        ;;
    stop)
        kill -TERM "$(main_process "$1")" && wait "$(cat "$1.pid")" || return 1
        ;;
    *) echo "docker $command is not known" && return 1 ;;
    esac
}
main_process() { # NAME: of the container; the child of unshare
    pid=$(cat "$1.pid")
    tr -d ' ' <"/proc/$pid/task/$pid/children"
}
docker_run() {
    name=unnamed
    detach=no
    hardened=
    volumes=
    while [ "$1" != "$image" ]; do
        case "$1" in
        --rm) ;;
        --detach) detach=yes ;;
        --read-only) hardened="$hardened read-only" ;;
        --name) name=$2 && shift ;;
        --network) [ "$2" = host ] && shift || return 1 ;;
        --publish) [ "${2%:*}" = "${2#*:}" ] && shift || return 1 ;;
        --cap-drop | --security-opt) hardened="$hardened $2" && shift ;;
        --volume)
            case "$2" in
            /*) volumes="$volumes $2" ;;
            *) # A named volume: new ones get the owner of the folder that they are mounted on.
                volume=$run/${2%%:*}
                mkdir "$volume" && chown --reference "$files/${2#*:}" "$volume" || return 1
                volumes="$volumes $volume:${2#*:}"
                ;;
            esac
            shift
            ;;
        *) echo "docker run $1 is not known, or no $image in the command" && return 1 ;;
        esac
        shift
    done
    shift
    wants "$hardened" read-only ALL no-new-privileges || return 1
    if [ $# -eq 0 ]; then
        eval "set -- $(jq -r '.Cmd | @sh' "$config")"
    fi
    if [ "$detach" = no ]; then
        bridge "$@"
        return
    fi
    # A log of an earlier one of this name must not be taken for its.
    rm -f "$name.log"
    become_container "$program" "$@" >"$name.log" 2>&1 &
    pids="$pids $!"
    echo "$!" >"$name.pid"
    wait_for "$!" grep -q '"event":"listening"' "$name.log" || { cat "$name.log" && return 1; }
}

# -- What is in it

config_is() {
    revision=$(git -C "$root" describe --always --exclude='*' --abbrev=40 --dirty)
    created=$(TZ=UTC0 git -C "$root" log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)
    jq -e --arg version "$version" --arg revision "$revision" --arg created "$created" '
        .User == "65532:65532" and .Entrypoint == ["/usr/bin/modelarts-bridge"] and .Cmd == ["serve"] and
        (.ExposedPorts | keys) == ["50051/tcp", "9090/tcp"] and .StopSignal == "SIGTERM" and .Volumes == null and
        (.Labels | del(.["io.buildah.version"])) == {
            "org.opencontainers.image.title": "modelarts-bridge",
            "org.opencontainers.image.description":
                "Takes typed gRPC calls and makes the REST requests that Huawei Cloud ModelArts expects",
            "org.opencontainers.image.version": $version,
            "org.opencontainers.image.revision": $revision,
            "org.opencontainers.image.created": $created}' "$config" || { cat "$config" && return 1; }
}

# Kind, permissions, owner and name of all that may be there: no shell, no setuid file, nothing that the user can write
# but one folder.
files_are() {
    cat >expected <<'END'
d 0?755 0:0 (etc|etc/ssl|etc/ssl/certs|run|usr|usr/bin|usr/lib|usr/lib64|usr/lib/[a-z0-9_]+-linux-gnu|usr/share)
d 0?755 0:0 (usr/share/common-licenses|usr/share/doc|usr/share/doc/[a-z0-9.+-]+|var|var/lib|var/lib/dpkg|var/lib/dpkg/status\.d)
d 0?755 65532:65532 run/modelarts-bridge
l 777 0:0 (lib -> usr/lib|lib64 -> usr/lib64|etc/os-release -> \.\./usr/lib/os-release)
l 777 0:0 usr/share/common-licenses/[A-Za-z0-9.-]+ -> [A-Za-z0-9.-]+
f 644 0:0 etc/(debian_version|group|nsswitch\.conf|passwd|ssl/certs/ca-certificates\.crt)
f 644 0:0 usr/lib/os-release
f 644 0:0 usr/lib/[a-z0-9_]+-linux-gnu/lib[A-Za-z0-9_+-]+(-[0-9.]+)?\.so\.[0-9]+
f 755 0:0 usr/lib/[a-z0-9_]+-linux-gnu/libc\.so\.6
f 755 0:0 usr/lib(64)?/ld-linux-[a-z0-9_-]+\.so\.[0-9]
f 755 0:0 usr/bin/modelarts-bridge
f 644 0:0 usr/share/(doc/[a-z0-9.+-]+/copyright|common-licenses/[A-Za-z0-9.-]+)
f 644 0:0 var/lib/dpkg/status\.d/[a-z0-9.+-]+
END
    find "$files" -mindepth 1 \( -type l -printf '%y %m %U:%G %P -> %l\n' -o -printf '%y %m %U:%G %P\n' \) >found
    ! grep -vxE -f expected found
}

libraries_are() {
    loader=$(cd "$files" && echo usr/lib*/ld-linux-*)
    container "/$loader" --list "$program" >loaded || return 1
    cat loaded
    ! grep 'not found' loaded || return 1
    sed -n 's/^.*[[:space:]]\/[^ ]*\/\([^ /]*\) (.*/\1/p' loaded | sort >wanted
    find "$files/usr/lib" "$files/usr/lib64" -name '*.so*' -printf '%f\n' | sort -u >there
    diff wanted there
}

packages_are() {
    (cd "$files/var/lib/dpkg/status.d" && grep -l '^Package: ' -- *) | sort >recorded
    [ "$(wc -l <recorded)" -eq "$(find "$files/var/lib/dpkg/status.d" -type f | wc -l)" ] || return 1
    wants "$(cat recorded)" base-files ca-certificates libc6 libcurl4 libgrpc29 libssl3 || return 1
    # The sources of .proto files have a licence too, and are no package of the image.
    { cat recorded && printf '%s\n' golang-github-gogo-googleapis-dev grpc-proto libprotobuf-dev; } | sort >licensed
    (cd "$files/usr/share/doc" && find . -name copyright -size +0 | cut -d/ -f2) | sort | diff licensed -
}

size_is() {
    [ "$size" -lt "$limit_bytes" ]
}

# -- How it works

# One read-only call to ModelArts, told step by step; what it says is kept in |text|.
check_upstream() { # URL [ARGUMENT]...
    url=$1
    shift
    volumes="$volumes $run/token:/token:ro"
    code=0
    text=$(bridge check --upstream-url "$url" --project-id demo-project --token-file /token "$@" 2>&1) || code=$?
    echo "$text"
    return "$code"
}

found_by() { # FILE NAME: with /etc/hosts or DNS, whichever file is there; each knows a name that the other does not
    volumes="$run/$1:/etc/$1:ro"
    check_upstream "http://$2:8080"
}
found_by_nobody() {
    volumes="$run/resolv.conf:/etc/resolv.conf:ro"
    ! check_upstream http://nowhere.test:8080 || return 1
    wants "$text" 'name                 FAILED'
}

trusted_by_flag() {
    volumes="$run/ca.crt:/ca.crt:ro"
    check_upstream https://127.0.0.1:8443 --ca-file /ca.crt
}
trusted_by_bundle() {
    volumes="$run/bundle.crt:/etc/ssl/certs/ca-certificates.crt:ro"
    check_upstream https://127.0.0.1:8443
}
trusted_by_nobody() {
    volumes=
    ! check_upstream https://127.0.0.1:8443 || return 1
    # The image's authorities could be read: otherwise the advice is another one.
    wants "$text" 'TLS                  FAILED' 'give the authority that signed it with --ca-file'
}
bundle_is_unreadable() {
    volumes="/dev/null:/etc/ssl/certs/ca-certificates.crt:ro"
    ! check_upstream https://127.0.0.1:8443 || return 1
    wants "$text" 'TLS                  FAILED' 'give --ca-file a PEM file with certificates'
}
authorities_are() {
    openssl crl2pkcs7 -nocrl -certfile "$files/etc/ssl/certs/ca-certificates.crt" |
        openssl pkcs7 -print_certs -noout >authorities || return 1
    [ "$(grep -c ^subject authorities)" -ge 100 ]
}

serve() { # NAME [ARGUMENT]...: as Docker would, hardened
    name=$1
    shift
    docker run --detach --name "$name" --network host --read-only --cap-drop ALL --security-opt no-new-privileges \
        --volume "$run/tls:/tls:ro" --volume "$run/resolv.conf:/etc/resolv.conf:ro" "$image" \
        serve --upstream-url http://127.0.0.1:8080 --project-id demo-project "$@"
}
logs_of() { # ADDRESS [ARGUMENT]...: one call from another container
    address=$1
    shift
    volumes="$run/ca.crt:/ca.crt:ro $run/resolv.conf:/etc/resolv.conf:ro"
    answer=$(bridge call --address "$address" --metadata x-auth-token=sim-token "$@" \
        ShowServiceUpdateLogs --data '{"service_id":"demo-service"}') || return 1
    echo "$answer" | jq -e '.service_id == "demo-service"'
}

is_confined() {
    main=$(main_process plain)
    cat "/proc/$main/status"
    grep -qE '^Uid:(\s65532){4}$' "/proc/$main/status" && grep -qE '^Gid:(\s65532){4}$' "/proc/$main/status" &&
        grep -qE '^Groups:\s*$' "/proc/$main/status" && grep -qE '^CapEff:\s0+$' "/proc/$main/status" &&
        grep -qE '^CapPrm:\s0+$' "/proc/$main/status" && grep -qE '^NoNewPrivs:\s1$' "/proc/$main/status" &&
        grep -qE '^NSpid:.*\s1$' "/proc/$main/status" || return 1
    # The mount at / of the process.
    awk '$5 == "/" { last = $6 } END { print last; exit last !~ /^ro/ }' "/proc/$main/mountinfo"
}
stops() { # NAME
    docker stop "$1" || { cat "$1.log" && return 1; }
}

# Each block of README.md that is marked so, as it stands there.
readme_runs() { # NUMBER
    awk -v number="$1" '/^<!-- run -->$/ { blocks++; next } /^```sh$/ && blocks == number && !done { inside = 1; next }
        /^```$/ { if (inside) done = 1; inside = 0 } inside' "$here/README.md" >block.sh
    [ -s block.sh ] || return 1
    # Each command must succeed, also where "set -e" is off.
    eval "readme_block() { $(awk '{ print $0 (/\\$/ ? "" : " || return 1") }' block.sh)
    }"
    readme_block >block.out 2>&1 || { cat block.out && return 1; }
    ! grep -q ' call ' block.sh || wants "$(cat block.out)" '"service_id": "demo-service"'
}
readme_names_the_build() {
    grep -q "^$image [0-9.]* MB\$" "$here/README.md"
}
readme_size_is_near() {
    told=$(sed -n 's/^| all | \([0-9.]*\) |$/\1/p' "$here/README.md")
    awk -v told="$told" -v size="$size" 'BEGIN { off = size / 1e6 - told; exit !(told > 0 && off < 2 && off > -2) }'
}

# -- The run

check 'the configuration: user, entry point, ports, signal, labels' config_is
check 'no other files than expected: no shell, no setuid, nothing to write to' files_are
check 'the licences and the package of each library' packages_are
size=$(find "$files" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
check "the size: $size bytes, below $limit_bytes" size_is
check 'more than 100 certificate authorities' authorities_are
check 'all libraries are found, and each is needed' libraries_are

ip link set lo up
echo sim-token >token
mkdir tls
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=bridge -keyout tls/tls.key -out tls.csr 2>/dev/null
echo 'subjectAltName=IP:127.0.0.1' >tls.ext
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile tls.ext -out tls/tls.crt 2>/dev/null
chown 65532 tls/tls.key
cat "$files/etc/ssl/certs/ca-certificates.crt" ca.crt >bundle.crt || true
echo '127.0.0.1 hosts.test' >hosts
echo 'nameserver 127.0.0.1' >resolv.conf

"$sim" --listen 127.0.0.1:8080 --port-file sim.port >sim.log 2>&1 &
pids="$pids $!"
wait_for "$!" test -s sim.port
nghttpx --conf=/dev/null --workers=1 --frontend=127.0.0.1,8443 --backend=127.0.0.1,8080 tls/tls.key tls/tls.crt >nghttpx.log 2>&1 &
pids="$pids $!"
wait_for "$!" openssl s_client -connect 127.0.0.1:8443 </dev/null
dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts --bind-interfaces \
    --listen-address=127.0.0.1 --local=/test/ --address=/dns.test/127.0.0.1 --log-facility=- >dnsmasq.log 2>&1 &
pids="$pids $!"
wait_for "$!" grep -q started dnsmasq.log

check 'a name in /etc/hosts is found' found_by hosts hosts.test
check 'a name is found by DNS' found_by resolv.conf dns.test
check 'an unknown name is not found' found_by_nobody
check 'TLS: --ca-file is trusted' trusted_by_flag
check 'TLS: an authority that is added to the file in the image is trusted' trusted_by_bundle
check 'TLS: an authority that is not in it is not' trusted_by_nobody
check 'TLS: nothing is without that file' bundle_is_unreadable

check 'serve: starts' serve plain --admin-listen 127.0.0.1:9090
check 'serve: user 65532, no capabilities, process 1, read-only root' is_confined
check 'serve: health' docker exec plain "$program" health
check 'serve: answers a call' logs_of 127.0.0.1:50051
check 'serve: answers a call at a name' logs_of dns.test:50051
check 'serve: SIGTERM ends it with 0' stops plain
check 'serve with TLS: starts' serve secure --listen 127.0.0.1:50052 --tls-cert /tls/tls.crt --tls-key /tls/tls.key
check 'serve with TLS: answers a call' logs_of 127.0.0.1:50052 --tls --ca-file /ca.crt
check 'serve with TLS: SIGTERM ends it with 0' stops secure

check 'README.md: the name of the image' readme_names_the_build
check 'README.md: the size, to 2 MB' readme_size_is_near
blocks=$(grep -c '^<!-- run -->$' "$here/README.md")
for number in $(seq "$blocks"); do
    rm -f ./*.pid
    check "README.md: block $number of $blocks" readme_runs "$number"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
