"""What every rendered kustomization of deploy/kubernetes has to keep, beyond its schema."""
import re
import subprocess

from kustomize import pod_template

PREFIX = "MODELARTS_BRIDGE_"
INJECT = "modelarts-bridge/inject"
# Kubernetes' default for a Pod.
GRACE_SECONDS = 30
# Paths that a setting names have to be in a volume.
PATHS = ("tls-cert", "tls-key", "client-ca", "credentials-dir", "ca-file", "error-overrides")
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
SIZES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# The ServiceAccount that every namespace has.
DEFAULT_ACCOUNT = "default"


def read_settings(bridge):
    """Of each flag of the program, the default, and whether it takes a value."""
    table = subprocess.run([bridge, "routes", "--settings"], check=True, capture_output=True, text=True, timeout=60).stdout
    rows = re.findall(r"^\| `--([\w-]+)( [^`]+)?` \| `(\w+)` \| (.*?) \|", table, re.M)
    settings = {flag: {"default": default.strip("`"), "takes_value": bool(value)} for flag, value, _, default in rows}
    assert all(variable == PREFIX + flag.upper().replace("-", "_") for flag, _, variable, _ in rows)
    assert settings
    return settings


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * UNITS[unit]


def cpu(text):
    text = str(text)
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def memory(text):
    return int(text[:-2]) * SIZES[text[-2:]]


def containers_of(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def is_bridge(container):
    """Serving, that is: the same image is also a client."""
    return container["name"] == "modelarts-bridge"


def data_of(documents, reference):
    return next((d["data"] for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == reference), None)


def environment(documents, container):
    """The variables that the container gets from ConfigMaps and from itself."""
    found = {}
    for source in container.get("envFrom", []):
        found.update(data_of(documents, source["configMapRef"]["name"]) or {})
    found.update({entry["name"]: entry["value"] for entry in container.get("env", [])})
    return found


def given(documents, container, settings):
    """The values of the settings as the bridge sees them, by flag. What is not a setting is left out."""
    values = {flag: row["default"] for flag, row in settings.items()}
    for name, value in environment(documents, container).items():
        flag = name.removeprefix(PREFIX).lower().replace("_", "-")
        if name.startswith(PREFIX) and flag in settings:
            values[flag] = value
    for argument in container.get("args", [])[1:]:
        flag, _, value = argument.removeprefix("--").partition("=")
        if flag in settings:
            values[flag] = value if settings[flag]["takes_value"] else "true"
    return values


def selects(labels, template):
    return labels.items() <= template["metadata"].get("labels", {}).items()


def mounted(container, path):
    """The mount that a path is in; None: none."""
    return next((m for m in container.get("volumeMounts", []) if (path + "/").startswith(m["mountPath"] + "/")), None)


def check_container(container):
    """Pod Security Standards, restricted: every container says it itself, since a Pod may have others beside it."""
    security = container.get("securityContext", {})
    wanted = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
              "seccompProfile": {"type": "RuntimeDefault"}}
    for field, value in wanted.items():
        if security.get(field) != value:
            yield f"securityContext.{field} is not {value}"
    if not security.get("runAsUser"):
        yield "securityContext.runAsUser is root or not given"
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        yield f"the image {container['image']} has no version"
    ports = [port["name"] for port in container.get("ports", [])]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        port = container.get(probe, {}).get("httpGet", {}).get("port")
        if port is not None and port not in ports:
            yield f"the {probe} uses the port {port}, which the container has not"


def check_bridge_settings(documents, container, settings):
    names = [name for name in environment(documents, container) if name.startswith(PREFIX)]
    known = {PREFIX + flag.upper().replace("-", "_") for flag in settings}
    yield from (f"{name} is not a setting" for name in names if name not in known)
    if container.get("args", [None])[0] != "serve":
        yield "the first argument is not serve"
    for argument in container.get("args", [])[1:]:
        flag, equals, _ = argument.removeprefix("--").partition("=")
        if flag not in settings:
            yield f"--{flag} is not a setting"
        elif bool(equals) != settings[flag]["takes_value"]:
            yield f"{argument} has a value too many or too few"


def check_bridge_places(container, values):
    """Ports and paths of the settings, against those of the container."""
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    listening = {}
    for address in values["listen"].split(","):
        if address.startswith("unix:"):
            mount = mounted(container, address.removeprefix("unix:").rpartition("/")[0])
            if mount is None or mount.get("readOnly"):
                yield f"{address} is in no volume that the bridge may write to"
        else:
            listening["grpc"] = int(address.rpartition(":")[2])
    host, _, port = values["admin-listen"].rpartition(":")
    if host != "127.0.0.1":
        listening["bridge-admin"] = int(port)
        if values.get("admin-drain") == "true":
            yield "--admin-drain beyond the Pod: anybody may end the bridge"
    if ports != listening:
        yield f"the ports {ports} are not those it listens on, {listening}"
    for flag in PATHS:
        if values.get(flag, "-") != "-" and not (mounted(container, values[flag]) or {}).get("readOnly"):
            yield f"--{flag}={values[flag]} is in no read-only volume"


def check_bridge(documents, template, container, settings, version):
    wrong = list(check_bridge_settings(documents, container, settings))
    if wrong:
        yield from wrong
        return
    values = given(documents, container, settings)
    yield from check_bridge_places(container, values)
    if container["image"].rpartition(":")[2] != version:
        yield f"the image {container['image']} is not of version {version}"
    if not container["securityContext"].get("readOnlyRootFilesystem"):
        yield "the root filesystem is not read-only"
    if "lifecycle" in container:
        yield "a preStop hook runs before the application has ended"
    if container in template["spec"].get("initContainers", []):
        if container.get("restartPolicy") != "Always":
            yield "an init container without restartPolicy: Always has to end before the application starts"
        if "startupProbe" not in container:
            yield "without a startupProbe the application starts before the bridge takes calls"
    resources = container["resources"]
    for name, read in (("cpu", cpu), ("memory", memory)):
        if read(resources["requests"][name]) > read(resources["limits"][name]):
            yield f"requests more {name} than its limit"
    grace = template["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS)
    if not seconds(values["drain-min-delay"]) < seconds(values["drain-max-delay"]) < grace:
        yield (f"--drain-min-delay={values['drain-min-delay']}, --drain-max-delay={values['drain-max-delay']} and "
               f"terminationGracePeriodSeconds {grace} do not rise")


def check_application(documents, template, container, settings):
    """A container with MODELARTS_TARGET, against the bridge in its Pod."""
    target = environment(documents, container).get("MODELARTS_TARGET", "")
    if not target.startswith("unix:"):
        return
    for bridge in filter(is_bridge, containers_of(template)):
        if given(documents, bridge, settings)["listen"] != target:
            yield f"MODELARTS_TARGET is {target}, and the bridge listens elsewhere"
        path = target.removeprefix("unix:")
        own, its = mounted(container, path), mounted(bridge, path)
        if own is None or its is None or (own["name"], own["mountPath"]) != (its["name"], its["mountPath"]):
            yield f"{target} is not in a volume of both"
        elif not own.get("readOnly"):
            yield "the application may remove the socket"


def check_references(documents, template):
    made = {d["spec"]["secretName"] for d in documents if d["kind"] == "Certificate"}
    accounts = {d["metadata"]["name"] for d in documents if d["kind"] == "ServiceAccount"} | {DEFAULT_ACCOUNT}
    if template["spec"].get("serviceAccountName", DEFAULT_ACCOUNT) not in accounts:
        yield "its ServiceAccount is not there"
    volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
    mounts = {mount["name"] for container in containers_of(template) for mount in container.get("volumeMounts", [])}
    yield from (f"nothing mounts the volume {name}" for name in sorted(volumes - mounts))
    yield from (f"there is no volume {name}" for name in sorted(mounts - volumes))
    for volume in template["spec"].get("volumes", []):
        secret = volume.get("secret", {"optional": True})
        if not secret.get("optional") and secret["secretName"] not in made:
            yield f"nothing makes the Secret {secret['secretName']}"
    for container in containers_of(template):
        for source in container.get("envFrom", []):
            if data_of(documents, source["configMapRef"]["name"]) is None:
                yield f"there is no ConfigMap {source['configMapRef']['name']}"


def check_selector(document, labels, templates):
    """The templates that these labels select, of which there must be some."""
    found = [template for template in templates if selects(labels, template)]
    return found, [] if found else [f"its selector {labels} selects no Pod of these"]


def check_service(document, templates):
    spec = document["spec"]
    found, problems = check_selector(document, spec["selector"], templates)
    yield from problems
    if spec.get("clusterIP") != "None":
        yield "is not headless: all calls of a caller would go to one Pod"
    if spec.get("publishNotReadyAddresses") is not False:
        yield "names Pods that are not ready"
    for template in found:
        ports = {p["name"]: p["containerPort"] for c in containers_of(template) for p in c.get("ports", [])}
        for port in spec["ports"]:
            if ports.get(port["targetPort"]) != port["port"]:
                yield f"its port {port['port']} is not the Pods' {port['targetPort']}"


def check_network_policy(document, templates):
    found, problems = check_selector(document, document["spec"]["podSelector"]["matchLabels"], templates)
    yield from problems
    wanted = {p["containerPort"] for t in found for c in containers_of(t) for p in c.get("ports", [])}
    opened = {port["port"] for rule in document["spec"]["ingress"] for port in rule["ports"]}
    if wanted != opened:
        yield f"opens the ports {sorted(opened)}, and the Pods have {sorted(wanted)}"
    if not all(rule.get("from") for rule in document["spec"]["ingress"]):
        yield "lets everybody in"
    if sorted({port["port"] for rule in document["spec"]["egress"] for port in rule["ports"]}) != [53, 443]:
        yield "lets out more or less than DNS and HTTPS"


def check_deployment(document, documents):
    spec = document["spec"]
    if not selects(spec["selector"]["matchLabels"], spec["template"]):
        yield "its selector is not that of its own Pods"
    for constraint in spec["template"]["spec"].get("topologySpreadConstraints", []):
        if not selects(constraint["labelSelector"]["matchLabels"], spec["template"]):
            yield "spreads other Pods than its own"
    if "replicas" not in spec and not any(d["spec"]["scaleTargetRef"]["name"] == document["metadata"]["name"]
                                          for d in documents if d["kind"] == "HorizontalPodAutoscaler"):
        yield "has neither replicas nor an autoscaler"


def check_shared(document, documents, templates):
    """Kinds that are not workloads."""
    kind = document["kind"]
    if kind == "Service":
        yield from check_service(document, templates)
    elif kind == "NetworkPolicy":
        yield from check_network_policy(document, templates)
    elif kind == "PodDisruptionBudget":
        yield from check_selector(document, document["spec"]["selector"]["matchLabels"], templates)[1]
    elif kind == "HorizontalPodAutoscaler":
        target = document["spec"]["scaleTargetRef"]
        found = [d for d in documents if (d["kind"], d["metadata"]["name"]) == (target["kind"], target["name"])]
        if not found or "replicas" in found[0]["spec"]:
            yield "scales nothing, or something with a number of replicas of its own"
        if document["spec"]["minReplicas"] < 2:
            yield "may leave a single replica"
    elif kind == "ServiceAccount":
        if document.get("automountServiceAccountToken") is not False:
            yield "gives its Pods a token of the cluster"
    elif kind == "PodMonitor":
        endpoints = [e["port"] for e in document["spec"]["podMetricsEndpoints"]]
        key = document["spec"]["selector"]["matchExpressions"][0]["key"]
        if not any(key in t["metadata"]["labels"] for t in templates) or not any(
                p["name"] in endpoints for t in templates for c in containers_of(t) for p in c.get("ports", [])):
            yield "scrapes no Pod of these"
    elif kind not in ("ConfigMap", "Namespace", "Certificate"):
        yield f"{kind} is not checked here"


def problems(documents, settings, version):
    """One line for each thing that is wrong."""
    found = []
    templates = [pod_template(d) for d in documents if pod_template(d) is not None]
    for document in documents:
        where = f"{document['kind']} {document['metadata']['name']}"
        template = pod_template(document)
        own = []
        injected = document["metadata"].get("labels", {}).get(INJECT) == "true"
        if template is None:
            own += check_shared(document, documents, templates)
            if injected:
                own.append(f"{INJECT} is for workloads")
        else:
            bridges = list(filter(is_bridge, containers_of(template)))
            if injected and len(bridges) != 1:
                own.append(f"has {len(bridges)} bridges")
            if document["kind"] == "Deployment":
                own += check_deployment(document, documents)
            own += check_references(documents, template)
            for container in containers_of(template):
                lines = list(check_container(container))
                if is_bridge(container):
                    lines += check_bridge(documents, template, container, settings, version)
                else:
                    lines += check_application(documents, template, container, settings)
                own += [f"{container['name']}: {line}" for line in lines]
        found += [f"{where}: {line}" for line in own]
    return found
