"""deploy/kubernetes: renders every kustomization, checks it, and starts the bridge as it says.

The environment says where things are (CMakeLists.txt of tests/e2e): BRIDGE, SIM, STUBS, ROOT.
"""
import copy
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import yaml

ROOT = os.environ["ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import checks  # noqa: E402
import kustomize  # noqa: E402
from harness import PATIENCE, PROJECT, SECRET_KEY, Process, Sim, wait_until  # noqa: E402
from test_tls import make_certificate  # noqa: E402

DEPLOY = os.path.join(ROOT, "deploy", "kubernetes")
VARIANTS = os.path.join(ROOT, "tests", "deploy", "variants")
FOLDERS = {name: os.path.join(DEPLOY, name) for name in ("example", "example-job-classic", "example-caller", "standalone")}
FOLDERS.update({f"variant {name}": os.path.join(VARIANTS, name) for name in ("sidecar", "classic", "port", "shared")})
BRIDGE = "spec.template.spec.initContainers.[name=modelarts-bridge]"
SHARED = "spec.template.spec.containers.[name=modelarts-bridge]"
APP = "spec.template.spec.containers.0"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def get(documents, kind, name=None):
    return next(d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"]))


def contains(whole, part):
    """Whether everything of |part| is in |whole|, in lists of maps under the same name."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list) and part and isinstance(part[0], dict) and "name" in part[0]:
        return [item["name"] for item in whole if item["name"] in [p["name"] for p in part]] == [
            p["name"] for p in part] and all(contains(w, p) for p in part for w in whole if w["name"] == p["name"])
    return whole == part


# Each would do harm, and the line that says so. A path ends at what is set; None takes it away.
MUTATIONS = (
    ("example", "Deployment", f"{BRIDGE}.image", "modelarts-bridge:latest", "has no version"),
    ("example", "Deployment", f"{BRIDGE}.image", "modelarts-bridge:9.9.9", "is not of version"),
    ("example", "Deployment", f"{APP}.image", "registry.example:5000/billing", "has no version"),
    ("example", "Deployment", f"{BRIDGE}.securityContext.runAsNonRoot", None, "securityContext.runAsNonRoot is not"),
    ("example", "Deployment", f"{BRIDGE}.securityContext.runAsUser", 0, "securityContext.runAsUser is root"),
    ("example", "Deployment", f"{BRIDGE}.securityContext.capabilities.add", ["NET_ADMIN"], "securityContext.capabilities is not"),
    ("example", "Deployment", f"{BRIDGE}.securityContext.readOnlyRootFilesystem", False, "root filesystem is not read-only"),
    ("example", "Deployment", f"{APP}.securityContext", None, "securityContext.seccompProfile is not"),
    ("example", "Deployment", f"{BRIDGE}.readinessProbe.httpGet.port", "admin", "uses the port admin"),
    ("example", "Deployment", f"{BRIDGE}.startupProbe", None, "without a startupProbe"),
    ("example", "Deployment", f"{BRIDGE}.restartPolicy", None, "without restartPolicy: Always"),
    ("example", "Deployment", f"{BRIDGE}.lifecycle", {"preStop": {"sleep": {"seconds": 5}}}, "a preStop hook"),
    ("example", "Deployment", f"{BRIDGE}.args.0", "call", "first argument is not serve"),
    ("example", "Deployment", f"{BRIDGE}.args.1", "--listn=unix:/run/modelarts-bridge/bridge.sock", "--listn is not a setting"),
    ("example", "Deployment", f"{BRIDGE}.args.1", "--listen", "too many or too few"),
    ("example", "Deployment", f"{BRIDGE}.args.1", "--listen=unix:/tmp/bridge.sock", "no volume that the bridge may write to"),
    ("example", "Deployment", f"{BRIDGE}.args.1", "--listen=unix:/run/modelarts-bridge/b.sock", "the bridge listens elsewhere"),
    ("example", "Deployment", f"{BRIDGE}.args.3", "--admin-listen=0.0.0.0:9091", "are not those it listens on"),
    ("example", "Deployment", f"{BRIDGE}.args.3", "--admin-listen=127.0.0.1:9090", "are not those it listens on"),
    ("example", "Deployment", f"{BRIDGE}.args.2", "--admin-drain", "anybody may end the bridge"),
    ("example", "Deployment", f"{BRIDGE}.volumeMounts.0.readOnly", True, "no volume that the bridge may write to"),
    ("example", "Deployment", f"{BRIDGE}.volumeMounts.1.readOnly", False, "is in no read-only volume"),
    ("example", "Deployment", f"{BRIDGE}.volumeMounts.1.mountPath", "/credentials", "is in no read-only volume"),
    ("example", "Deployment", f"{BRIDGE}.resources.requests.memory", "1Gi", "requests more memory"),
    ("example", "Deployment", f"{BRIDGE}.resources.requests.cpu", "1500m", "requests more cpu"),
    ("example", "Deployment", f"{BRIDGE}.envFrom.0.configMapRef.name", "modelarts", "there is no ConfigMap modelarts"),
    ("example", "Deployment", f"{APP}.volumeMounts.0.mountPath", "/var/run/bridge", "is not in a volume of both"),
    ("example", "Deployment", f"{APP}.volumeMounts.0.readOnly", False, "may remove the socket"),
    ("example", "Deployment", f"{APP}.volumeMounts.0.name", "data", "there is no volume data"),
    ("example", "Deployment", "spec.template.spec.volumes.[name=unused].emptyDir.medium", "Memory",
     "nothing mounts the volume unused"),
    ("example", "Deployment", "spec.template.spec.volumes.[name=modelarts-bridge-credentials].secret.optional", False,
     "nothing makes the Secret modelarts-bridge-credentials"),
    ("example", "Deployment", "spec.template.spec.initContainers", [], "has 0 bridges"),
    ("example", "Deployment", "spec.template.spec.terminationGracePeriodSeconds", 25, "do not rise"),
    ("example", "Deployment", "spec.template.spec.serviceAccountName", "billing", "its ServiceAccount is not there"),
    ("example", "Deployment", "spec.selector.matchLabels.tier", "web", "not that of its own Pods"),
    ("example", "Deployment", "spec.replicas", None, "neither replicas nor an autoscaler"),
    ("example", "ConfigMap", "data.MODELARTS_BRIDGE_PROJECT", "x", "MODELARTS_BRIDGE_PROJECT is not a setting"),
    ("example", "ConfigMap", "data.MODELARTS_BRIDGE_DRAIN_MAX_DELAY", "40s", "do not rise"),
    ("example", "ConfigMap", "data.MODELARTS_BRIDGE_DRAIN_MIN_DELAY", "25s", "do not rise"),
    ("example", "ConfigMap", "metadata.labels.modelarts-bridge/inject", "true", "is for workloads"),
    ("example", "ConfigMap", "kind", "Ingress", "Ingress is not checked here"),
    ("standalone", "Deployment", f"{SHARED}.ports.0.containerPort", 50052, "are not those it listens on"),
    ("standalone", "Deployment", "spec.template.spec.topologySpreadConstraints.0.labelSelector.matchLabels.a", "b",
     "spreads other Pods"),
    ("standalone", "Certificate", "spec.secretName", "other", "nothing makes the Secret modelarts-bridge-tls"),
    ("standalone", "Service", "spec.selector.modelarts-bridge/mode", "sidecar", "selects no Pod"),
    ("standalone", "Service", "spec.clusterIP", None, "is not headless"),
    ("standalone", "Service", "spec.publishNotReadyAddresses", True, "names Pods that are not ready"),
    ("standalone", "Service", "spec.ports.0.targetPort", "bridge", "its port 50051 is not"),
    ("standalone", "PodDisruptionBudget", "spec.selector.matchLabels.a", "b", "selects no Pod"),
    ("standalone", "NetworkPolicy", "spec.podSelector.matchLabels.a", "b", "selects no Pod"),
    ("standalone", "NetworkPolicy", "spec.ingress.0.ports.0.port", 50052, "opens the ports"),
    ("standalone", "NetworkPolicy", "spec.ingress.0.from", None, "lets everybody in"),
    ("standalone", "NetworkPolicy", "spec.egress.1.ports.0.port", 80, "lets out more or less"),
    ("standalone", "HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "other", "scales nothing"),
    ("standalone", "Deployment", "spec.replicas", 3, "a number of replicas of its own"),
    ("standalone", "HorizontalPodAutoscaler", "spec.minReplicas", 1, "a single replica"),
    ("standalone", "ServiceAccount", "automountServiceAccountToken", True, "a token of the cluster"),
    ("variant sidecar", "PodMonitor", "spec.podMetricsEndpoints.0.port", "metrics", "scrapes no Pod"),
)


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.settings = checks.read_settings(os.environ["BRIDGE"])
        cls.version = re.search(r"^project\(modelarts-bridge VERSION ([\d.]+)", read(os.path.join(ROOT, "CMakeLists.txt")),
                                re.M).group(1)
        cls.sets = {name: kustomize.render(folder) for name, folder in FOLDERS.items()}

    def test_every_kustomization_keeps_the_rules(self):
        for name, documents in self.sets.items():
            with self.subTest(name):
                self.assertTrue(documents)
                self.assertEqual(checks.problems(documents, self.settings, self.version), [])

    def test_what_is_wrong_is_found(self):
        for name, kind, path, value, message in MUTATIONS:
            with self.subTest(f"{name} {kind} {path}={value}"):
                documents = copy.deepcopy(self.sets[name])
                node, key = kustomize.find(get(documents, kind), path, create=True)
                if value is None:
                    del node[key]
                else:
                    self.assertNotEqual(node[key], value)
                    node[key] = value
                self.assertRegex("\n".join(checks.problems(documents, self.settings, self.version)), message)

    def test_every_file_is_rendered(self):
        files = {os.path.join(folder, name) for folder, _, names in os.walk(DEPLOY) for name in names if name.endswith(".yaml")}
        self.assertEqual(sorted(files - kustomize.loaded), [])

    def test_components_only_add(self):
        before = kustomize.render(os.path.join(VARIANTS, "apps"))
        for name in ("variant sidecar", "variant classic"):
            for document in before:
                with self.subTest(name, kind=document["kind"]):
                    after = get(self.sets[name], document["kind"], document["metadata"]["name"])
                    self.assertTrue(contains(after, document))
                    injected = checks.INJECT in document["metadata"].get("labels", {})
                    self.assertEqual("modelarts-bridge" in str(after["spec"]), injected)

    def test_caller_and_shared_bridge_fit(self):
        shared, caller = self.sets["standalone"], self.sets["example-caller"]
        service, certificate = get(shared, "Service"), get(shared, "Certificate")
        container = get(caller, "Deployment")["spec"]["template"]["spec"]["containers"][0]
        host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
        port = service["spec"]["ports"][0]["port"]
        self.assertEqual(checks.environment(caller, container)["MODELARTS_TARGET"], f"dns:///{host}:{port}")
        self.assertEqual(certificate["spec"]["dnsNames"], [host, host + ".cluster.local"])
        self.assertEqual(certificate["spec"]["issuerRef"], get(caller, "Certificate")["spec"]["issuerRef"])
        bridge = get(shared, "Deployment")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(get(caller, "Certificate")["spec"]["uris"],
                         checks.given(shared, bridge, self.settings)["allow-caller"].split(","))
        labels = get(shared, "NetworkPolicy")["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]
        self.assertLessEqual(labels.items(), get(caller, "Namespace")["metadata"]["labels"].items())

    def test_readme_shows_what_is_there(self):
        page = read(os.path.join(DEPLOY, "README.md"))
        parts = re.findall(r"^ *<!-- (part|pod) of: (\S+)(?: (\w+))? -->\n( *)```yaml\n(.*?)\n\4```$", page, re.M | re.S)
        self.assertEqual(len(parts), page.count(" of: "))
        for what, where, kind, spaces, text in parts:
            text = re.sub(f"^{spaces}", "", text, flags=re.M)
            with self.subTest(where):
                if what == "part":
                    self.assertIn(text, read(os.path.join(ROOT, where)))
                else:
                    self.assertEqual(yaml.safe_load(text), kustomize.pod_template(get(self.sets[where], kind)))
        for folder in re.findall(r"^\| `([\w/-]+)` \|", page, re.M):
            self.assertTrue(os.path.isdir(os.path.join(DEPLOY, folder)), folder)
        for link in re.findall(r"\]\(([^)#:]+)[)#]", page):
            self.assertTrue(os.path.exists(os.path.join(DEPLOY, link)), link)
        names = {f"--{flag}" for flag in self.settings} | {checks.PREFIX + f.upper().replace("-", "_") for f in self.settings}
        prose = re.sub(r"^ *```sh\n.*?```$", "", page, flags=re.M | re.S)
        used = set(re.findall(r"(?<![\w-])--[a-z][\w-]+|MODELARTS_BRIDGE_[A-Z]\w*", prose))
        self.assertTrue(used)
        self.assertEqual(used - names, set())


class Started(unittest.TestCase):
    """The real program with the arguments, variables and files of each container, on paths and ports of the test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bridge-deploy-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("run", "credentials", "tls"):
            os.mkdir(os.path.join(self.folder, name))
        for name, text in (("access-key", "AK1"), ("secret-key", SECRET_KEY)):
            with open(os.path.join(self.folder, "credentials", name), "w", encoding="utf-8") as file:
                file.write(text)
        key, certificate = make_certificate(self.folder, "bridge", "DNS:bridge.example")
        for name, source in (("tls.key", key), ("tls.crt", certificate), ("ca.crt", certificate)):
            os.symlink(source, os.path.join(self.folder, "tls", name))
        self.sim = Sim("--access-key", "AK1", "--secret-key", SECRET_KEY)
        self.addCleanup(self.sim.end)

    def here(self, text):
        text = text.replace("/run/modelarts-bridge", os.path.join(self.folder, "run"))
        text = text.replace("/etc/modelarts-bridge", self.folder)
        return re.sub(r"(?:0\.0\.0\.0|127\.0\.0\.1):\d+", "127.0.0.1:0", text)

    def start(self, documents, container):
        """The process, and where its admin port is."""
        env = {name: self.here(value) for name, value in checks.environment(documents, container).items()}
        env.update(MODELARTS_BRIDGE_UPSTREAM_URL=self.sim.url, MODELARTS_BRIDGE_PROJECT_ID=PROJECT)
        bridge = Process([os.environ["BRIDGE"], *map(self.here, container["args"])], env)
        wait_until(lambda: bridge.events("listening") or not bridge.alive(), "the bridge")
        self.assertTrue(bridge.events("listening"), bridge.errors())
        return bridge, f"http://{bridge.events('admin_listening')[0]['address']}"

    def answer(self, url, method="GET"):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def test_every_container_starts_answers_its_probes_and_ends(self):
        started = 0
        for name, folder in FOLDERS.items():
            documents = kustomize.render(folder)
            for template in filter(None, map(kustomize.pod_template, documents)):
                for container in filter(checks.is_bridge, checks.containers_of(template)):
                    with self.subTest(name):
                        self.check_container(documents, container)
                        started += 1
        self.assertGreaterEqual(started, 7)

    def check_container(self, documents, container):
        bridge, admin = self.start(documents, container)
        try:
            self.check_life(documents, container, bridge, admin)
        finally:
            bridge.process.kill()
            bridge.end()

    def check_life(self, documents, container, bridge, admin):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                path = container[probe]["httpGet"]["path"]
                self.assertEqual(self.answer(admin + path), 200, path)
        for event in bridge.events("listening"):
            if event["address"].startswith("unix:"):
                mode = os.stat(event["address"].removeprefix("unix:")).st_mode
                self.assertEqual(stat.S_IMODE(mode), 0o666)
        drains = "--admin-drain" in container["args"]
        self.assertEqual(self.answer(admin + "/drain", "POST"), 202 if drains else 403)
        if not drains:
            bridge.terminate()
        wait_until(lambda: bridge.events("draining"), "the drain")
        if "MODELARTS_BRIDGE_DRAIN_MIN_DELAY" in checks.environment(documents, container) and not drains:
            bridge.terminate()  # the second one ends what would go on for a while
        self.assertEqual(bridge.wait(), 0)

    def test_nightly_job_makes_its_call_with_the_credential_of_the_bridge(self):
        documents = kustomize.render(FOLDERS["example"])
        template = kustomize.pod_template(get(documents, "CronJob"))
        container = template["spec"]["containers"][0]
        bridge, _ = self.start(documents, template["spec"]["initContainers"][0])
        target = self.here(checks.environment(documents, container)["MODELARTS_TARGET"])
        arguments = [a.replace("$(MODELARTS_TARGET)", target).replace("YOUR_SERVICE_ID", "demo-service") for a in container["args"]]
        self.addCleanup(bridge.end)
        done = subprocess.run([os.environ["BRIDGE"], *arguments], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([entry["body"] for entry in self.sim.journal("demo-service")], [{"status": "stopped"}])


if __name__ == "__main__":
    unittest.main()
