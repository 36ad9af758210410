"""Starts the real binaries on free ports and calls them over gRPC; everything ends with its test, also a failed one.

The environment says where things are (CMakeLists.txt beside this file): BRIDGE, BRIDGE_EXTENDED, SIM, LOAD, STUBS,
ROOT, BUILD.
"""
import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.environ["STUBS"])

import grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from modelarts.v1 import modelarts_service_pb2_grpc  # noqa: E402

TOKEN = ("x-auth-token", "sim-token")
# What no output of a bridge may hold: every log and every error of the suite is searched for these.
PASSWORD = "correct-horse-battery-staple"
WRONG_PASSWORD = "wrong-horse-battery-staple"
SECRET_KEY = "SecretKeyOfTheTestsThatNobodyMaySee"
SECURITY_TOKEN = "SecurityTokenOfTheTestsThatNobodyMaySee"
SECRETS = (TOKEN[1], PASSWORD, WRONG_PASSWORD, SECRET_KEY, SECURITY_TOKEN)


def find_secret(text):
    """The secret that |text|, a string or bytes, holds; None: none."""
    for secret in SECRETS:
        if (secret.encode() if isinstance(text, bytes) else secret) in text:
            return secret
    return None
PROJECT = "demo-project"
# Many bridges run at a time: each takes a free admin port.
os.environ["MODELARTS_BRIDGE_ADMIN_LISTEN"] = "127.0.0.1:0"
# How many times slower than usual the programs are, under ThreadSanitizer or valgrind.
SLOWNESS = int(os.environ.get("SLOWNESS", "1"))
# A machine under load takes its time; what is waited for comes long before.
PATIENCE = 60 * SLOWNESS
# The sanitizer keeps freed memory in a quarantine; a small one makes a process's size mean something.
SMALL_QUARANTINE = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}


def wait_until(condition, what, seconds=PATIENCE):
    """Waits for a condition, not for a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for {what}")


class Process:
    """A program that is ended by the id it was started with. Its standard error is kept in a file."""

    def __init__(self, arguments, env=None):
        self.stderr = tempfile.NamedTemporaryFile("r", prefix="bridge-test-", suffix=".log")
        with open(self.stderr.name, "w") as errors:
            self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=errors,
                                            env={**os.environ, **(env or {})})

    def errors(self):
        with open(self.stderr.name) as file:
            return file.read()

    def events(self, name):
        lines = [json.loads(line) for line in self.errors().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def alive(self):
        return self.process.poll() is None

    def wait(self, seconds=PATIENCE):
        return self.process.wait(seconds)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def end(self):
        """Stops it and returns its exit code; a process that does not stop is killed and fails the test."""
        if self.alive():
            self.terminate()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the process did not stop:\n" + self.errors())
        finally:
            self.stderr.seek(0)
            self.last_errors = self.stderr.read()
            self.stderr.close()
        found = find_secret(self.last_errors)
        if found is not None:
            raise AssertionError(f"the log holds the secret {found}")
        return code


class Sim(Process):
    def __init__(self, *arguments, listen="127.0.0.1:0"):
        self.folder = tempfile.TemporaryDirectory(prefix="bridge-sim-")
        self.journal_path = os.path.join(self.folder.name, "journal")
        port_file = os.path.join(self.folder.name, "port")
        super().__init__([os.environ["SIM"], "--listen", listen, "--journal", self.journal_path,
                          "--port-file", port_file, "--settle", "1ms", *arguments])
        wait_until(lambda: os.path.exists(port_file) or not self.alive(), "the simulator")
        with open(port_file) as file:
            self.port = int(file.read())
        self.url = f"http://{listen.rpartition(':')[0]}:{self.port}"

    def journal(self, service_id=None):
        """The requests that arrived, as the simulator wrote them down before it answered."""
        if not os.path.exists(self.journal_path):
            return []
        with open(self.journal_path) as file:
            entries = [json.loads(line) for line in file]
        return [e for e in entries if service_id is None or e["service_id"] == service_id]

    def end(self):
        code = super().end()
        self.folder.cleanup()
        return code


class Bridge(Process):
    def __init__(self, url, *arguments, program="BRIDGE", env=None):
        super().__init__([os.environ[program], "serve", "--listen", "127.0.0.1:0", "--upstream-url", url,
                          "--project-id", PROJECT, *arguments], env)
        wait_until(lambda: self.events("listening") or not self.alive(), "the bridge")
        listening = self.events("listening")
        if not listening:
            raise AssertionError("the bridge did not start:\n" + self.errors())
        self.address = listening[0]["address"]

    def channel(self, **options):
        return grpc.insecure_channel(self.address, options=[("grpc.max_send_message_length", -1), *options.items()])


class Failure:
    """An error as a caller sees it: code, message, the details by type name."""

    def __init__(self, error):
        self.code = error.code()
        self.message = error.details()
        self.trailers = dict(error.trailing_metadata() or ())
        self.details = {}
        packed = self.trailers.get("grpc-status-details-bin")
        for text in (self.message, packed or b""):
            if find_secret(text) is not None:
                raise AssertionError(f"the error holds the secret {find_secret(text)}")
        if packed is not None:
            self.status = status_pb2.Status.FromString(packed)
            for detail in self.status.details:
                name = detail.type_url.rsplit(".", 1)[1]
                message = getattr(error_details_pb2, name)()
                assert detail.Unpack(message)
                self.details[name] = message
        self.reason = self.details["ErrorInfo"].reason if "ErrorInfo" in self.details else None

    def fields(self):
        bad = self.details.get("BadRequest")
        return sorted(v.field for v in bad.field_violations) if bad else []

    def __repr__(self):
        return f"{self.code} {self.reason} {self.message!r}"


def attempt(method, request, timeout=PATIENCE, metadata=(TOKEN,)):
    """Makes one call: (response, trailers) or raises; a gRPC error comes back as a Failure."""
    try:
        response, call = method.with_call(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        return Failure(error)
    return response, dict(call.trailing_metadata() or ())


def load(address, request, calls, in_flight=32):
    """Makes many updates, from C; returns how many ended with which gRPC code."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(request.SerializeToString())
        file.flush()
        output = subprocess.run([os.environ["LOAD"], address, "/modelarts.v1.ModelArtsService/UpdateService", file.name,
                                 str(calls), str(in_flight)], check=True, capture_output=True, text=True,
                                timeout=250).stdout
    return {code: int(count) for code, count in (line.split() for line in output.splitlines()) if code.isdigit()}


def scenario(fault, times, outcome):
    """
    Marks a test that belongs into the table of tests/README.md: it makes things go wrong |times| times, which it counts in
    |self.tried|, and |outcome| is what comes of it.
    """
    def mark(test):
        @functools.wraps(test)
        def run(self):
            self.tried = 0
            test(self)
            self.assertEqual(self.tried, times, "the test does not do what its row says")

        run.row = (fault, times, outcome)
        return run

    return mark


class Case(unittest.TestCase):
    """One simulator and one bridge for all tests of a class. The sanitizers' verdict is their exit code."""

    sim_arguments = ()
    bridge_arguments = ()
    bridge_environment = None

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(*cls.sim_arguments)
        cls.addClassCleanup(cls.end_cleanly, cls.sim)
        cls.bridge = Bridge(cls.sim.url, *cls.bridge_arguments, env=cls.bridge_environment)
        cls.addClassCleanup(cls.end_cleanly, cls.bridge)
        cls.connection = cls.bridge.channel()
        cls.addClassCleanup(cls.connection.close)
        cls.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(cls.connection)

    @staticmethod
    def end_cleanly(process):
        code = process.end()
        if code != 0:
            raise AssertionError(f"exit code {code}:\n{process.last_errors[-4000:]}")

    def raw(self, method="UpdateService"):
        """The method with bytes in and out, for requests that no stub would make."""
        return self.connection.unary_unary(f"/modelarts.v1.ModelArtsService/{method}")

    def ok(self, result):
        self.assertNotIsInstance(result, Failure, result)
        return result

    def fails(self, result, code, reason):
        self.assertIsInstance(result, Failure, "the call succeeded")
        self.assertEqual((result.code, result.reason), (code, reason), result)
        return result
