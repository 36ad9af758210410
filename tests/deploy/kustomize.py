"""Renders a kustomization: the part of kustomize that deploy/kubernetes uses, and an error for everything else.

Debian has no kustomize. tests/interop/kubernetes.sh compares what this renders with what the real one does. One difference:
names of generated ConfigMaps have no hash.
"""
import copy
import os
import re

import yaml

KEYS = {"apiVersion", "kind", "namespace", "labels", "resources", "components", "configMapGenerator", "images", "patches",
        "replacements"}
# The files that were read.
loaded = set()
LOCAL = "config.kubernetes.io/local-config"


class Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, where PyYAML takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{node.start_mark}: {key} is given twice")
        return super().construct_mapping(node, deep)


def load_all(path):
    loaded.add(path)
    with open(path, encoding="utf-8") as file:
        return [copy.deepcopy(document) for document in yaml.load_all(file, Loader) if document is not None]


def load(path):
    documents = load_all(path)
    if len(documents) != 1:
        raise ValueError(f"{path}: {len(documents)} documents")
    return documents[0]


def only(mapping, *keys):
    unknown = set(mapping) - set(keys)
    if unknown:
        raise ValueError(f"not supported here: {', '.join(sorted(unknown))}")
    return mapping


def pod_template(document):
    """Of a workload, the template of its Pods; None for other kinds."""
    if document["kind"] == "CronJob":
        return document["spec"]["jobTemplate"]["spec"]["template"]
    if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        return document["spec"]["template"]
    return None


def is_selected(document, selector):
    only(selector, "kind", "name", "labelSelector")
    labels = document["metadata"].get("labels", {})
    for pair in filter(None, [selector.get("labelSelector")]):
        key, _, value = pair.partition("=")
        if labels.get(key) != value:
            return False
    return (re.fullmatch(selector.get("kind", ".*"), document["kind"]) is not None
            and selector.get("name", document["metadata"]["name"]) == document["metadata"]["name"])


def merge(old, new):
    """A strategic merge. Lists of maps are matched by name; what the patch names comes first, as in kustomize."""
    if isinstance(new, dict):
        result = dict(old) if isinstance(old, dict) else {}
        for key, value in new.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merge(result.get(key), value)
        return result
    if isinstance(new, list) and new[0] == {"$patch": "replace"}:
        return copy.deepcopy(new[1:])
    if isinstance(new, list) and isinstance(new[0], dict):
        named = {item["name"]: item for item in old or []}
        merged = [merge(named.pop(item["name"], None), item) for item in new]
        return merged + list(named.values())
    return copy.deepcopy(new)


def find(node, path, create):
    """The container and the key in it that a path such as a.b.0.c.[name=x] ends at."""
    steps = [re.fullmatch(r"\[name=([\w-]+)\]", step) or step for step in path.split(".")]
    for i, step in enumerate(steps):
        if isinstance(step, re.Match):
            names = [item["name"] for item in node]
            if step.group(1) not in names:
                if not create:
                    raise ValueError(f"nothing at {path}")
                names.append(step.group(1))
                node.append({"name": step.group(1)})
            key = names.index(step.group(1))
        elif isinstance(node, list):
            key = int(step)
        else:
            key = step
            if key not in node:
                if not create:
                    raise ValueError(f"nothing at {path}")
                node[key] = [] if i + 1 < len(steps) and isinstance(steps[i + 1], re.Match) else {}
        if i + 1 < len(steps):
            node = node[key]
    return node, key


def replace(documents, replacement):
    only(replacement, "source", "targets")
    source = only(replacement["source"], "kind", "name", "fieldPath")
    found = [d for d in documents if is_selected(d, {"kind": source["kind"], "name": source["name"]})]
    if len(found) != 1:
        raise ValueError(f"{len(found)} sources named {source['name']}")
    node, key = find(found[0], source["fieldPath"], create=False)
    for target in replacement["targets"]:
        only(target, "select", "reject", "options", "fieldPaths")
        for document in documents:
            if is_selected(document, target["select"]) and not any(is_selected(document, r) for r in target.get("reject", [])):
                for path in target["fieldPaths"]:
                    into, at = find(document, path, create=target["options"]["create"])
                    into[at] = copy.deepcopy(node[key])


def generate(documents, folder, generator):
    only(generator, "name", "behavior", "envs", "literals")
    lines = list(generator.get("literals", []))
    for path in generator.get("envs", []):
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            lines += [line.strip() for line in file if line.strip() and not line.startswith("#")]
    data = dict(line.split("=", 1) for line in lines)
    if len(data) != len(lines):
        raise ValueError(f"{folder}: a setting is given twice")
    if generator.get("behavior") == "merge":
        old = next(d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == generator["name"])
        old["data"].update(data)
    else:
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})


def build(folder, documents):
    """Adds what the folder has to |documents|, and changes them as it says."""
    text = only(load(os.path.join(folder, "kustomization.yaml")), *KEYS)
    for name in text.get("resources", []):
        path = os.path.normpath(os.path.join(folder, name))
        documents += build(path, []) if os.path.isdir(path) else load_all(path)
    for generator in text.get("configMapGenerator", []):
        generate(documents, folder, generator)
    for name in text.get("components", []):
        build(os.path.normpath(os.path.join(folder, name)), documents)
    for entry in text.get("patches", []):
        only(entry, "target", "patch")
        patch = yaml.load(entry["patch"], Loader)
        for document in [d for d in documents if is_selected(d, entry["target"])]:
            document["spec" if "spec" in patch else "template"] = merge(
                document.get("spec", document.get("template")), patch.get("spec", patch.get("template")))
    for document in documents:
        if "namespace" in text and document["kind"] != "Namespace":
            document["metadata"]["namespace"] = text["namespace"]
        for entry in text.get("labels", []):
            document["metadata"].setdefault("labels", {}).update(only(entry, "pairs")["pairs"])
        pod = (pod_template(document) or {}).get("spec", {})
        for container in pod.get("initContainers", []) + pod.get("containers", []):
            for image in text.get("images", []):
                only(image, "name", "newName", "newTag")
                if container["image"].split(":")[0] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    for entry in text.get("replacements", []):
        entries = load(os.path.join(folder, only(entry, "path")["path"])) if "path" in entry else [entry]
        for replacement in entries:
            replace(documents, replacement)
    return documents


def render(folder):
    return [d for d in build(folder, []) if d["metadata"].get("annotations", {}).get(LOCAL) != "true"]
