"""deploy/systemd: what systemd itself says of the unit, and the bridge started as it says.

The environment says where things are (CMakeLists.txt of tests/e2e): BRIDGE, SIM, STUBS, ROOT.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ["ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import checks  # noqa: E402
from harness import PASSWORD, PATIENCE, PROJECT, SECRET_KEY, TOKEN, Process, Sim, wait_until  # noqa: E402

FOLDER = os.path.join(ROOT, "deploy", "systemd")
UNIT = "modelarts-bridge.service"
DROP_INS = ("credentials-aksk.conf", "credentials-token.conf")
PROGRAM = "/usr/local/bin/modelarts-bridge"
# systemd's own scale, in tenths: 0 is the least exposed, 100 the most.
EXPOSURE = 14
# The files that systemd hands to the bridge, as the stand-in for IAM and ModelArts knows them.
CREDENTIALS = {"access-key": "AK1", "secret-key": SECRET_KEY, "username": "demo-user", "password": PASSWORD,
               "domain": "demo-domain", "project": "demo-project-name"}


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


class Section(dict):
    """Lists of values by key: systemd adds up what is given more than once."""

    def __init__(self, text, name="Service"):
        super().__init__()
        current = None
        for line in text.splitlines():
            if line.startswith("["):
                current = line.strip("[]")
            elif current == name and "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                self.setdefault(key, []).append(value)


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


class Unit(unittest.TestCase):
    def analyze(self, command, unit, drop_in="", name=UNIT):
        """Runs systemd-analyze on a unit that starts the program of this build."""
        with tempfile.TemporaryDirectory(prefix="bridge-systemd-") as folder:
            path = os.path.join(folder, name)
            os.mkdir(path + ".d")
            for file, text in ((path, unit.replace(PROGRAM, os.environ["BRIDGE"])), (f"{path}.d/one.conf", drop_in)):
                with open(file, "w", encoding="utf-8") as out:
                    out.write(text)
            return subprocess.run(["systemd-analyze", *command, path], capture_output=True, text=True, timeout=PATIENCE,
                                  env={**os.environ, "SYSTEMD_PAGER": "cat", "SYSTEMD_COLORS": "0"})

    def verify(self, unit, drop_in=""):
        done = self.analyze(["verify", "--man=no", "--recursive-errors=no"], unit, drop_in)
        return done.stdout + done.stderr

    def exposure(self, unit):
        return self.analyze(["security", "--offline=true", f"--threshold={EXPOSURE}"], unit)

    def test_systemd_knows_every_line(self):
        for drop_in in ("", *map(read, DROP_INS)):
            self.assertEqual(self.verify(read(UNIT), drop_in), "")
        self.assertIn("Unknown key", self.verify(read(UNIT).replace("PrivateTmp=", "PrivateTemp=")))
        self.assertIn("Unknown key", self.verify(read(UNIT), read(DROP_INS[0]).replace("LoadCredential=", "LoadCredentials=")))
        self.assertIn("not executable", self.verify(read(UNIT).replace(f"ExecStart={PROGRAM}", "ExecStart=/no/such/file")))

    def test_the_process_may_do_little(self):
        done = self.exposure(read(UNIT))
        self.assertEqual(done.returncode, 0, done.stdout[-400:] + done.stderr)
        for line in ("SystemCallFilter=@system-service", "CapabilityBoundingSet=", "ProtectSystem=strict"):
            self.assertIn(line + "\n", read(UNIT))
            self.assertNotEqual(self.exposure(read(UNIT).replace(line + "\n", "")).returncode, 0, line)

    def test_the_user_is_made(self):
        service = Section(read(UNIT))
        done = subprocess.run(["systemd-sysusers", "--dry-run", os.path.join(FOLDER, "modelarts-bridge.sysusers.conf")],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        line = read("modelarts-bridge.sysusers.conf").split()
        self.assertEqual([line[1]] * 2, [service["User"][0], service["Group"][0]])

    def test_readme_names_what_is_there(self):
        page = read("README.md")
        unit, files = Section(read(UNIT)), os.listdir(FOLDER)
        for path in re.findall(r"deploy/systemd/([\w.-]+)", page):
            self.assertIn(path, files)
        for path in (unit["EnvironmentFile"][0], PROGRAM.removesuffix("modelarts-bridge"), "usermod -aG " + unit["Group"][0],
                     "unix:/run/modelarts-bridge/bridge.sock"):
            self.assertIn(path, page)
        done = self.exposure(read(UNIT))
        rating = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout).group(1)
        self.assertIn(f"its exposure with {rating} of 10", page)

    def test_settings_exist_and_times_fit(self):
        settings = checks.read_settings(os.environ["BRIDGE"])
        names = list(variables(read("modelarts-bridge.env")))
        for drop_in in DROP_INS:
            names += [word.partition("=")[0] for line in Section(read(drop_in))["Environment"] for word in line.split()]
        flags = [name.removeprefix(checks.PREFIX).lower().replace("_", "-") for name in names]
        service = Section(read(UNIT))
        flags += re.findall(r" --([\w-]+)", service["ExecStart"][0])
        self.assertEqual([flag for flag in flags if flag not in settings], [])
        self.assertGreater(checks.seconds(service["TimeoutStopSec"][0]),
                           checks.seconds(settings["drain-max-delay"]["default"]))
        socket = re.search(r"--listen=unix:(\S+)", service["ExecStart"][0]).group(1)
        self.assertEqual(os.path.dirname(socket), "/run/" + service["RuntimeDirectory"][0])


class Started(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="bridge-systemd-")
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.sim = Sim("--iam-user", CREDENTIALS["username"], "--iam-password", PASSWORD, "--access-key", "AK1", "--secret-key",
                       SECRET_KEY)
        self.addCleanup(self.sim.end)

    def command(self, key):
        """A command of the unit, as it is here."""
        text = Section(read(UNIT))[key][0].replace("/run/modelarts-bridge", self.folder)
        self.assertTrue(text.startswith(PROGRAM + " "))
        return [os.environ["BRIDGE"], *shlex.split(text)[1:]]

    def start_and_call(self, drop_in, metadata):
        env = variables(read("modelarts-bridge.env"))
        for line in drop_in.get("Environment", []):
            env.update(word.split("=", 1) for word in line.replace("%d", self.folder).split())
        env.update(MODELARTS_BRIDGE_UPSTREAM_URL=self.sim.url, MODELARTS_BRIDGE_PROJECT_ID=PROJECT,
                   MODELARTS_BRIDGE_ADMIN_LISTEN="127.0.0.1:0")
        if "MODELARTS_BRIDGE_IAM_URL" in env:
            env["MODELARTS_BRIDGE_IAM_URL"] = self.sim.url
        for line in drop_in.get("LoadCredential", []):
            name, _, path = line.partition(":")
            self.assertEqual(path, f"/etc/modelarts-bridge/credentials/{name}")
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(CREDENTIALS[name])
        bridge = Process(self.command("ExecStart"), env)
        self.addCleanup(bridge.end)
        wait_until(lambda: bridge.events("listening") or not bridge.alive(), "the bridge")
        self.assertTrue(bridge.alive(), bridge.errors())
        waited = subprocess.run(self.command("ExecStartPost"), capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(waited.returncode, 0, waited.stdout + waited.stderr)
        called = subprocess.run([os.environ["BRIDGE"], "call", "--address", f"unix:{self.folder}/bridge.sock", *metadata,
                                 "ShowServiceUpdateLogs", "--data", '{"service_id":"demo-service"}'],
                                capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(called.returncode, 0, called.stderr)

    def test_starts_and_takes_calls_with_the_callers_token(self):
        self.start_and_call({}, ["--metadata", "=".join(TOKEN)])

    def test_starts_and_signs_with_the_drop_in_for_aksk(self):
        self.start_and_call(Section(read("credentials-aksk.conf")), [])

    def test_starts_and_fetches_a_token_with_the_drop_in_for_token(self):
        self.start_and_call(Section(read("credentials-token.conf")), [])


if __name__ == "__main__":
    unittest.main()
