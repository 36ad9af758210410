"""kubernetes.py ROOT BUILD CRD...: see kubernetes.sh, which gets the tools.

Strict: an unknown field is an error, and so is a kind without a schema.
"""
import copy
import os
import re
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

ROOT, BUILD, *CRDS = sys.argv[1:]
sys.path.insert(0, os.path.join(ROOT, "tests", "deploy"))

import kustomize  # noqa: E402

DEPLOY = os.path.join(ROOT, "deploy", "kubernetes")
VARIANTS = os.path.join(ROOT, "tests", "deploy", "variants")
KUSTOMIZE = ("v5.0.1", "v5.7.1")
# Of each, the oldest Kubernetes that it is for; the newest that has schemas is tried too.
OLDEST = {
    f"{DEPLOY}/base": "1.25", f"{DEPLOY}/standalone": "1.25", f"{DEPLOY}/example-caller": "1.25",
    f"{DEPLOY}/example-job-classic": "1.25", f"{VARIANTS}/classic": "1.25", f"{VARIANTS}/shared": "1.25",
    f"{DEPLOY}/example": "1.29", f"{VARIANTS}/sidecar": "1.29", f"{VARIANTS}/port": "1.29",
}
# What validation has to refuse: kind, path, value, and a part of the reason.
BROKEN = (
    (f"{DEPLOY}/example", "Deployment", "spec.replicas", "two", "'two' is not of type"),
    (f"{DEPLOY}/example", "Deployment", "spec.template.spec.initContainers.0.volumeMount", [], "'volumeMount' was unexpected"),
    (f"{DEPLOY}/standalone", "Deployment", "apiVersion", "apps/v2", "Couldn't find schema"),
    (f"{DEPLOY}/standalone", "NetworkPolicy", "spec.ingress.0.form", [], "'form' was unexpected"),
    (f"{DEPLOY}/standalone", "Certificate", "spec.dnsName", [], "'dnsName' was unexpected"),
    (f"{DEPLOY}/standalone", "Certificate", "spec.secretName", 5, "5 is not of type 'string'"),
    (f"{VARIANTS}/sidecar", "PodMonitor", "spec.podMetricsEndpoint", [], "'podMetricsEndpoint' was unexpected"),
    (f"{VARIANTS}/sidecar", "PodMonitor", "kind", "PodMonitors", "Couldn't find schema"),
)


def key(document):
    return document["kind"], document["metadata"]["name"]


def render(version, folder):
    """What kustomize makes of a folder, with the hashes at the end of names checked and taken away."""
    program = os.path.join(BUILD, version, "kustomize")
    text = subprocess.run([program, "build", folder], check=True, capture_output=True, text=True, timeout=300).stdout
    hashed = re.compile(r"\bmodelarts-bridge-[a-z0-9]{10}$", re.M)
    if "kind: ConfigMap" in text and len(set(hashed.findall(text))) != 1:
        sys.exit(f"{folder}: the name of the ConfigMap is not the same everywhere:\n{text}")
    return list(yaml.safe_load_all(hashed.sub("modelarts-bridge", text)))


def close(schema):
    """A schema of a CRD without its extensions, in which a field that it does not name is an error, as for kubectl."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close(value) for name, value in schema.items() if not name.startswith("x-kubernetes")}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


def read_crds():
    """Schemas by apiVersion and kind."""
    schemas = {}
    for path in CRDS:
        with open(path, encoding="utf-8") as file:
            spec = yaml.safe_load(file)["spec"]
        for version in spec["versions"]:
            schema = close(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return schemas


def problem(document, version, crds):
    """Why a document is not valid; None if it is."""
    try:
        schema = crds.get((document["apiVersion"], document["kind"]))
        if schema is not None:
            jsonschema.Draft202012Validator(schema).validate(document)
        else:
            kubernetes_validate.validate(document, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return error.message
    return None


def main():
    crds = read_crds()
    newest = kubernetes_validate.latest_version()
    rendered = {}
    for folder, oldest in OLDEST.items():
        name = os.path.relpath(folder, ROOT)
        expected = sorted(kustomize.render(folder), key=key)
        for program in KUSTOMIZE:
            rendered[folder] = sorted(render(program, folder), key=key)
            if rendered[folder] != expected:
                sys.exit(f"{name}: kustomize {program} does not render what tests/deploy/kustomize.py does:\n"
                         f"{yaml.dump_all(rendered[folder])}\n=====\n{yaml.dump_all(expected)}")
        for version in (oldest, newest):
            for document in expected:
                wrong = problem(document, version, crds)
                if wrong:
                    sys.exit(f"{name}: {document['kind']} is not valid in Kubernetes {version}: {wrong}")
        kinds = ", ".join(sorted({d["kind"] for d in expected}))
        print(f"{name}: valid in Kubernetes {oldest} and {newest}: {kinds}")

    # A check that cannot fail proves nothing.
    for folder, kind, path, value, reason in BROKEN:
        document = copy.deepcopy(next(d for d in rendered[folder] if d["kind"] == kind))
        node, at = kustomize.find(document, path, create=True)
        node[at] = value
        wrong = problem(document, newest, crds)
        if reason not in (wrong or ""):
            sys.exit(f"{kind} with {path}={value} should be refused with {reason}; it was: {wrong}")
    old = [problem(d, "1.27", crds) for d in rendered[f"{DEPLOY}/example"] if d["kind"] == "Deployment"]
    if "'restartPolicy' was unexpected" not in (old[0] or ""):
        sys.exit(f"a native sidecar should be refused in Kubernetes 1.27; it was: {old}")
    print(f"{len(BROKEN) + 1} broken ones are refused")


main()
