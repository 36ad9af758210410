#!/bin/sh
# Collects the file system of the image: the program, what it needs to run, and nothing else. Runs in the build stage.
#   collect.sh BINARY FOLDER SOURCE_DATE_EPOCH
set -eu
binary=$1
image=$2
epoch=$3
umask 022

mkdir -p "$image/usr/bin"
install -s -m 0755 "$binary" "$image/usr/bin/modelarts-bridge"
# /lib and /lib64, where the loader and libraries are looked for, are links into /usr.
for link in /lib*; do
    [ ! -L "$link" ] || cp -P "$link" "$image$link"
done

list=$(ldd "$binary")
if echo "$list" | grep 'not found' >&2; then
    exit 1
fi
packages='base-files ca-certificates'
# Of "name => path (address)" and "path (address)" the path; linux-vdso has none.
for library in $(echo "$list" | sed -n 's/^.*[[:space:]]\(\/[^ ]*\) (.*/\1/p'); do
    place="$image$(realpath "$(dirname "$library")")"
    mkdir -p "$place"
    cp -L "$library" "$place/"
    # A package lists its files with or without /usr, whatever the loader says.
    package=$(dpkg-query -S "$library" "/usr$library" 2>/dev/null | sed -n '1s/:.*//p')
    [ -n "$package" ] || { echo "collect.sh: $library is of no package" >&2 && exit 1; }
    packages="$packages $package"
done

# Scanners read which packages the files are from, and of which release. Licences refer to the common ones.
mkdir -p "$image/var/lib/dpkg/status.d" "$image/usr/share/common-licenses" "$image/usr/lib" "$image/etc"
for package in $(echo "$packages" | tr ' ' '\n' | sort -u); do
    dpkg-query -s "$package" >"$image/var/lib/dpkg/status.d/$package"
    install -D -m 0644 "/usr/share/doc/$package/copyright" "$image/usr/share/doc/$package/copyright"
done
# Their .proto files are compiled into the program.
for package in golang-github-gogo-googleapis-dev grpc-proto libprotobuf-dev; do
    install -D -m 0644 "/usr/share/doc/$package/copyright" "$image/usr/share/doc/$package/copyright"
done
cp -P /usr/share/common-licenses/* "$image/usr/share/common-licenses/"
cp /usr/lib/os-release "$image/usr/lib/os-release"
cp -P /etc/os-release /etc/debian_version "$image/etc/"

install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/ca-certificates.crt"
# Said here rather than left to a default of glibc.
echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
cat >"$image/etc/passwd" <<END
root:x:0:0:root:/:/nonexistent
modelarts-bridge:x:65532:65532:modelarts-bridge:/:/nonexistent
END
cat >"$image/etc/group" <<END
root:x:0:
modelarts-bridge:x:65532:
END
# For unix sockets: a new volume that is mounted here gets this owner.
install -d -o 65532 -g 65532 "$image/run/modelarts-bridge"

find "$image" -exec touch -h -d "@$epoch" {} +
