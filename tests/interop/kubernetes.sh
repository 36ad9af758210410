#!/bin/sh
# Renders every kustomization of deploy/kubernetes with kustomize itself, an old and a new one, and validates all of it
# against the schemas of Kubernetes, cert-manager and the Prometheus operator. Needs go, python3 with venv, and their
# registries; what it fetches stays in build/interop.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
build="$root/build/interop/kubernetes"
mkdir -p "$build"

# v5.0.1 is in kubectl 1.27 and 1.28: an older one has not all that is used here.
for version in v5.0.1 v5.7.1; do
    [ -x "$build/$version/kustomize" ] ||
        GOBIN="$build/$version" go install "sigs.k8s.io/kustomize/kustomize/v5@$version"
done
[ -x "$build/venv/bin/kubernetes-validate" ] || {
    python3 -m venv "$build/venv"
    "$build/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
}

# MODULE VERSION: the folder of a Go module's files.
module() {
    (cd "$build" && go mod download -json "$1@$2") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}
cert_manager=$(module github.com/cert-manager/cert-manager v1.18.2)
operator=$(module github.com/prometheus-operator/prometheus-operator v0.85.0)

exec "$build/venv/bin/python" -B "$root/tests/interop/kubernetes.py" "$root" "$build" \
    "$cert_manager/deploy/crds/crd-certificates.yaml" \
    "$operator/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"
