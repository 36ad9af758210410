"""The pages say what is so: their commands are run, their tables are compared with the programs and the sources."""
import glob
import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest

import grpc
from google.protobuf import json_format

from harness import Case, Failure, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb
from modelarts.v1.service_update_log_pb2 import LOG_RESULT_SUCCESS
from reflection import Reflection

ROOT = os.environ["ROOT"]
PAGES = ("README.md", "bridge/README.md", "bridge/SECURITY.md", "proto/README.md", "CHANGELOG.md", "tests/README.md",
         "deploy/README.md", "deploy/docker/README.md", "deploy/kubernetes/README.md", "deploy/systemd/README.md")
SHOWN_ADDRESS = "127.0.0.1:50051"
SHOWN_ADMIN = "127.0.0.1:9090"
SHOWN_UPSTREAM = "http://127.0.0.1:8080"
CODES = [code.name for code in grpc.StatusCode]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def between(text, begin, end):
    return re.search(re.escape(begin) + r"[^\n]*\n(.*?)" + re.escape(end), text, re.S).group(1)


def section(page, heading):
    """The text below a heading, up to the next one of its level or above."""
    level = heading.split(" ")[0]
    return re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", read(page), re.S | re.M).group(1)


def rows(text):
    """The cells of a Markdown table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for i, row in enumerate(cells) if not set("".join(row)) <= set("- ")
            and not (i + 1 < len(cells) and set("".join(cells[i + 1])) <= set("- "))]


def blocks(page):
    """The marked code blocks, each as [kind, argument, text]; kind is run, output or check."""
    found = re.findall(r"<!-- (run|output|check)(?:: ([^>]*?))? -->\n```\w*\n(.*?)^```", read(page), re.S | re.M)
    assert len(found) == len(re.findall(r"<!-- (?:run|output|check)", read(page))), f"{page}: a marker without a block"
    return found


def checked(page, name):
    return next(text for kind, argument, text in blocks(page) if (kind, argument) == ("check", name))


def stable(text):
    """Without what differs from run to run: times, request ids, ports."""
    text = re.sub(r"\b\d{13}\b", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    return re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)


def pattern(expected):
    """"..." stands for anything; at the end of the text for all that follows."""
    parts = [re.escape(part.strip()) for part in stable(expected).split("...")]
    return re.compile(r"\A\s*" + r".*?".join(parts) + r"\s*\Z", re.S)


class Example(Case):
    """Runs commands of a page where a reader would, against programs on other addresses."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bridge-readme-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.symlink(os.path.join(ROOT, "proto"), os.path.join(self.folder, "proto"))
        os.symlink(os.environ["BRIDGE"], os.path.join(self.folder, "modelarts-bridge"))

    def execute(self, command, code, stubs):
        environment = {**os.environ, "PATH": self.folder + ":" + os.environ["PATH"], "PYTHONPATH": stubs,
                       "PYTHONDONTWRITEBYTECODE": "1"}
        result = subprocess.run(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=60)
        self.assertEqual(result.returncode, code, f"{command[-1]}\n{result.stdout}")
        return result.stdout

    def shell(self, text, code=0):
        for command in ("call", "health", "wait"):
            text = text.replace(f"modelarts-bridge {command}", f"modelarts-bridge {command} --address {self.bridge.address}")
        text = text.replace(SHOWN_UPSTREAM, self.sim.url)
        text = text.replace(SHOWN_ADMIN, self.bridge.events("admin_listening")[0]["address"])
        return self.execute(["sh", "-e", "-c", text], code, "")

    def run_examples(self, page, stubs):
        """All marked blocks of a page, in order. Returns how many were compared with the page."""
        compared = 0
        actual = None
        for kind, argument, text in blocks(page):
            with self.subTest(page=page, text=text):
                if kind == "run":
                    language, _, exit_code = argument.partition(" exit=")
                    actual = getattr(self, "run_" + language)(text, int(exit_code or 0), stubs)
                elif kind == "output":
                    self.assertRegex(stable(actual), pattern(text))
                    compared += 1
        return compared

    def run_sh(self, text, code, _):
        return self.shell(text, code)

    def run_python(self, text, code, stubs):
        self.assertIn(SHOWN_ADDRESS, text)
        text = text.replace(SHOWN_ADDRESS, self.bridge.address)
        return self.execute(["/usr/bin/python3", "-c", text], code, os.path.join(self.folder, stubs))

    def run_grpcurl(self, text, code, _):
        """grpcurl is not in Debian: each of its arguments is checked, and the call made from reflection alone, as it does."""
        arguments = shlex.split(text.replace("\\\n", " "))
        self.assertEqual(arguments.pop(0), "grpcurl")
        method = arguments.pop()
        self.assertEqual(arguments.pop(), SHOWN_ADDRESS)
        flags = {}
        while arguments:
            flag = arguments.pop(0)
            if flag in ("-H", "-d"):
                flags[flag] = arguments.pop(0)
            else:
                self.assertEqual(flag, "-plaintext")
        key, _, value = flags["-H"].partition(": ")
        response = Reflection(self.connection).call(method, flags["-d"], metadata=((key, value),))
        self.assertEqual(code, 0)
        return json_format.MessageToJson(response)


class Readme(Example):
    def test_examples(self):
        self.assertEqual(self.run_examples("README.md", "build/python"), 12)

    def test_log_lines(self):
        for service_id in ("demo-service", "no-such-service"):
            attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id=service_id))
        shown = [json.loads(line) for line in checked("README.md", "log").splitlines()]
        self.assertEqual(len(shown), 3)
        for line in shown:
            events = wait_until(lambda: [e for e in self.bridge.events(line["event"])
                                         if e.get("reason") == line.get("reason")], line)
            self.assertEqual(list(line), list(events[0]))


class Drain(Example):
    bridge_arguments = ("--drain-min-delay", "2s")

    def test_log_lines_and_probes(self):
        shown = [json.loads(line) for line in checked("README.md", "drain").splitlines()]
        body, status, health = checked("README.md", "drain-probes").split()
        self.bridge.terminate()
        wait_until(lambda: self.bridge.events("draining"), "the drain")
        probe = subprocess.run(["curl", "-s", "-w", "%{http_code}\n", f"http://{self.bridge.events('admin_listening')[0]['address']}/readyz"],
                               stdout=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(probe.stdout.split(), [body, status])
        self.assertEqual(self.execute(["modelarts-bridge", "health", "--address", self.bridge.address], 1, "").strip(), health)
        self.ok(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-drain", description="d")))
        self.assertEqual(self.bridge.wait(), 0)
        for line in shown:
            event, = self.bridge.events(line["event"])
            self.assertEqual(list(line), list(event))
        first, = self.bridge.events("draining")
        self.assertEqual({**first, "time": ""}, {**shown[0], "time": ""})


class QuickStart(Example):
    def test_output(self):
        """What the page shows of deploy/quickstart.sh, made again call by call."""
        script = read("deploy/quickstart.sh")
        _, *steps, _ = re.split(r"^== |\n\nDone: ", checked("README.md", "quickstart"), flags=re.M)
        self.assertEqual(len(steps), 4)
        for step in steps:
            title, sent, rest, answer = step.rstrip().split("\n", 3)
            self.assertIn(f"'{title}'", script)
            _, method, data = sent.split(maxsplit=2)
            self.assertIn(f"'{data}'", script)
            call = f"modelarts-bridge call --metadata x-auth-token=sim-token {method} --data '{data}'"
            fails = not answer.startswith("answer")
            output = self.shell(call, 64 + grpc.StatusCode.NOT_FOUND.value[0] if fails else 0)
            entry = self.sim.journal()[-1]
            body = " " + json.dumps(entry["body"], separators=(",", ":")) if entry["body"] is not None else ""
            self.assertEqual(rest.split(maxsplit=1)[1], f"{entry['method']} {entry['path']}{body}")
            if fails:
                self.assertEqual(stable(re.sub(r"^ +", "", answer, flags=re.M)), stable(output.rstrip()))
            else:
                output = json.dumps(json.loads(output), separators=(",", ":"))
                self.assertRegex(stable(output), pattern(answer.split(maxsplit=1)[1]))
            # A service that deploys takes no second update.
            wait_until(lambda: self.latest_update().result == LOG_RESULT_SUCCESS, "the update")

    def latest_update(self):
        response, _ = self.ok(attempt(self.stub.ShowServiceUpdateLogs,
                                      pb.ShowServiceUpdateLogsRequest(service_id="demo-service")))
        return response.logs[0]


class Errors(Example):
    def test_examples(self):
        self.assertEqual(self.run_examples("proto/README.md", os.environ["STUBS"]), 1)

    def code_of(self, method, fault):
        requests = {"UpdateService": pb.UpdateServiceRequest(service_id=fault, description="d"),
                    "ShowServiceUpdateLogs": pb.ShowServiceUpdateLogsRequest(service_id=fault)}
        result = attempt(getattr(self.stub, method), requests[method])
        return result.code.name if isinstance(result, Failure) else "OK"

    def test_http_statuses(self):
        table = rows(section("proto/README.md", "### Codes"))
        listed = {int(http) for row in table for http in re.findall(r"\b\d{3}\b", row[0])}
        self.assertGreater(len(listed), 15)
        for http, cell in table:
            codes = [word for word in re.findall(r"[A-Z_]+", cell) if word in CODES]
            if http == "2xx":
                faults = {"svc-codes": codes[0], "fault-not-json": codes[1]}
            elif http == "3xx":
                faults = {"fault-redirect": codes[0]}
            elif http.startswith("other"):
                hundred = int(http[-3]) * 100
                faults = {f"fault-empty-{n}": codes[0] for n in range(hundred, hundred + 100) if n not in listed}
            else:
                faults = {f"fault-empty-{n}": codes[0] for n in re.findall(r"\d+", http)}
            for fault, code in faults.items():
                # Where a cell has two codes, the first is of a call that may be repeated.
                update_code = codes[1] if len(codes) == 2 and http != "2xx" else code
                self.assertEqual((fault, self.code_of("ShowServiceUpdateLogs", fault)), (fault, code))
                self.assertEqual((fault, self.code_of("UpdateService", fault)), (fault, update_code))


def sources():
    """The C files of the bridge that this build compiles, without comments."""
    with open(os.path.join(os.environ["BUILD"], "compile_commands.json"), encoding="utf-8") as file:
        files = {entry["file"] for entry in json.load(file)}
    files = sorted(path for path in files if path.startswith(os.path.join(ROOT, "bridge", "")))
    assert len(files) > 30, "the sources were not found"
    for path in files:
        text = re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)
        # Names that stand for one reason.
        for name, value in re.findall(r'(?:#define|static const char) (\w+)(?:\[\] =)? ("[A-Z_]+")', text):
            text = re.sub(rf"\b{name}\b", value, text)
        yield os.path.relpath(path, ROOT), text


def reasons_in_sources():
    """Each reason of the bridge's own, with the codes that stand beside it where a caller can see it."""
    found = {}
    code = r"\bBR_(" + "|".join(CODES) + r")"
    for path, text in sources():
        for name, reason in re.findall(code + r',\s*(?:\.reason = )?"([A-Z][A-Z0-9_]*)"', text):
            found.setdefault(reason, set()).update([] if path.startswith("bridge/cmd/") else [name])
        for value in re.findall(r"\breason = ([^;,}]*)", text):
            for reason in re.findall(r'"([A-Z][A-Z0-9_]*)"', value):
                found.setdefault(reason, set())
        for value in re.findall(r"\bbr_status_set\(\s*[^,]+,\s*[^,]+,\s*([^,]+),", text):
            if not re.fullmatch(r'"[A-Z0-9_]+"|const char \*reason|reason|\w+->reason|error->st\.reason', value):
                raise AssertionError(f"{path}: a reason that cannot be read: {value}")
    # A vendor's reasons are made from its codes; where one stands in a source, it is compared with.
    return {reason: codes for reason, codes in found.items() if not re.match(r"(MODELARTS|APIG|IAM)_", reason)}


class Tables(unittest.TestCase):
    """What needs no running program."""

    def test_settings_table(self):
        table = between(read("README.md"), "<!-- settings: begin", "<!-- settings: end")
        self.assertEqual(table, output_of(os.environ["BRIDGE"], "routes", "--settings"))

    def test_metrics_table(self):
        table = between(read("README.md"), "<!-- metrics: begin", "<!-- metrics: end")
        self.assertEqual(table, output_of(os.environ["BRIDGE"], "routes", "--metrics"))

    def test_no_setting_is_named_as_a_variable_of_kubernetes(self):
        for flag, *_ in rows(section("README.md", "## Settings")):
            self.assertNotRegex(flag, r"`--(port|service)(-|\b)")

    def test_calls_table(self):
        table = rows(section("README.md", "## When to use it"))
        shown = [[name.strip("`"), *rest.strip("`").split()] for name, rest in table]
        routes = [line.split() for line in output_of(os.environ["BRIDGE"], "routes").splitlines()[1:]]
        routes = [route for route in routes if route[1] != "-"]
        self.assertEqual(shown, [[method.rsplit("/")[-1], verb, path] for method, verb, path, *_ in routes])

    def test_every_flag_exists(self):
        known = {"--help"}
        for script in ("deploy/quickstart.sh", "deploy/docker/build.sh", "tests/e2e/test_reliability_table.py"):
            known.update(re.findall(r"--[a-z][a-z0-9-]*", read(script)))
        for command in ("serve", "call", "health", "wait", "routes", "check"):
            known.update(re.findall(r"^  (--[a-z0-9-]+)", output_of(os.environ["BRIDGE"], command, "--help"), re.M))
        known.update(re.findall(r"(--[a-z0-9-]+)", output_of(os.environ["SIM"], "--help")))
        foreign = r"\b(protoc|cmake|go mod|buf|apt-get|docker|podman|kubectl|systemctl|systemd-[a-z]+) "
        count = 0
        for page in PAGES:
            for line in re.sub(r"\\\n", " ", read(page)).splitlines():
                if re.search(foreign, line):
                    continue
                for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", line):
                    self.assertIn(flag, known, f"{page}: {line}")
                    count += 1
        self.assertGreater(count, 30)

    def test_defaults_of_the_simulator(self):
        text = output_of(os.environ["SIM"], "--help")
        for shown in ("127.0.0.1:8080", "demo-project", "sim-token"):
            self.assertIn(shown, text)
            self.assertIn(shown, section("README.md", "## Run it"))

    def test_scripts_can_be_run(self):
        for script in ("deploy/quickstart.sh", "tests/run.sh"):
            self.assertIn(f"\n{script}\n", read("README.md"))
            self.assertTrue(os.access(os.path.join(ROOT, script), os.X_OK), script)

    def test_packages(self):
        listed = {name for path in glob.glob(os.path.join(ROOT, "deploy/packages/*.txt")) for name in read(path).split()}
        for package in re.findall(r"[a-z0-9-]{5,}", checked("README.md", "packages").replace("apt-get install", "")):
            self.assertIn(package, listed)

    def test_limits(self):
        units = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1000}
        settings = {row[0].split()[0].strip("`"): row[2].strip("`") for row in rows(section("README.md", "## Settings"))}
        table = rows(section("README.md", "## Limits"))
        self.assertGreater(len(table), 15)
        for what, limit, origin in table:
            with self.subTest(what):
                flag = re.fullmatch(r"`(--[a-z-]+)`", origin)
                if flag:
                    self.assertEqual(limit.replace(" ", ""), settings[flag.group(1)])
                    continue
                name, file, path = re.fullmatch(r"`(\w+)` in \[(.+)\]\((.+)\)", origin).groups()
                self.assertEqual(file, os.path.basename(path))
                value = re.search(rf"^#define {name} (.*?)(?: /\*.*)?$", read(path), re.M).group(1)
                value = re.sub(r"\((size_t|int64_t)\)", "", value)
                self.assertRegex(value, r"\A[0-9 ()*<]+\Z")
                number, unit = re.fullmatch(r"([\d,]+) ?(\w*)", limit).groups()
                self.assertEqual(int(number.replace(",", "")) * units[unit], eval(value))

    def test_reasons(self):
        table = {}
        for text in re.findall(r"<!-- reasons: begin -->\n(.*?)<!-- reasons: end -->", read("proto/README.md"), re.S):
            for reason, codes, *_ in rows(text):
                self.assertNotIn(reason, table)
                table[reason.strip("`")] = codes
        found = reasons_in_sources()
        self.assertEqual(sorted(table), sorted(found))
        for reason, codes in found.items():
            for code in codes:
                self.assertIn(code, table[reason], reason)

    def test_metadata_keys_of_error_info(self):
        text = re.search(r"- `metadata` has (.*?)\n3\.", section("proto/README.md", "## Errors"), re.S).group(1)
        keys = {key for _, code in sources() for key in re.findall(r'br_error_add_metadata\(\w+, "(\w+)"', code)}
        self.assertEqual(set(re.findall(r"`(\w+)`", text)), keys)

    def test_forwarded_metadata(self):
        line = re.search(r"- The metadata (.*?) go upstream", read("README.md"), re.S).group(1)
        lists = [found for _, code in sources() for found in re.findall(r"(?:forwarded|allowed)_keys\[\] = \{(.*?)\}", code)]
        self.assertEqual(len(lists), 1)
        keys = set(re.findall(r'"([a-z-]+)"', lists[0]))
        keys.add(re.search(r'#define BR_AUTH_TOKEN_KEY "(.*)"', read("bridge/upstream/auth.h")).group(1))
        self.assertEqual(set(re.findall(r"`([a-z-]+)`", line)), keys)

    def test_floors(self):
        floors = re.search(r"^FLOORS = (\[.*\])$", read("tests/lint/lint.py"), re.M).group(1)
        shown = re.findall(r"^\| (\d) \| \[(\w+)/\]", read("bridge/README.md"), re.M)
        self.assertEqual(sorted(shown), [(str(i), folder) for i, folder in enumerate(json.loads(floors))])

    def test_presets_are_what_the_scripts_build(self):
        presets = {p["name"]: p for p in json.loads(read("CMakePresets.json"))["configurePresets"]}
        self.assertEqual(presets["base"]["binaryDir"], "${sourceDir}/build/${presetName}")
        for name, script in (("sanitize", "tests/run.sh"), ("release", ".ci/run")):
            self.assertIn(f"build/{name}\"", read(script))
            for key, value in presets[name]["cacheVariables"].items():
                self.assertIn(f"-D{key}={value}", read(script).split())

    def test_links(self):
        count = 0
        for page in PAGES:
            for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
                if re.match(r"https?:", target):
                    continue
                path, _, anchor = target.partition("#")
                path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), f"{page}: {target}")
                count += 1
                if anchor:
                    headings = re.findall(r"^#+ (.*)$", read(path), re.M)
                    self.assertIn(anchor, [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings], page)
        self.assertGreater(count, 40)

    def test_names_that_are_linked_stand_in_their_file(self):
        count = 0
        for page in PAGES:
            for name, target in re.findall(r"\[([\w-]*[_-][\w-]*|\w+_\w+)\]\(([^)\s#]+)\)", read(page)):
                if name in target:
                    continue  # the file's own name
                text = read(os.path.join(os.path.dirname(page), target))
                definition = rf"\b{name}\b" if not name.startswith("test_") else rf"\b{name}\((?:self|void \*\*state)"
                self.assertTrue(re.search(definition, text), f"{page}: {name} is not in {target}")
                count += 1
        self.assertGreater(count, 90)

    def test_what_is_said_not_to_be_used_is_not(self):
        names = checked("bridge/SECURITY.md", "unused").split()
        self.assertGreater(len(names), 20)
        for path, text in sources():
            for name in names:
                self.assertNotIn(name, text, path)


if __name__ == "__main__":
    unittest.main()
