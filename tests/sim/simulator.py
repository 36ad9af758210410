"""Starts the real modelarts-sim and talks to it, for the end-to-end tests beside this file."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BINARY = None  # set by main()
TIMEOUT_S = 10
SETTLE_MS = 300
README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
SERVICES = "/v1/demo-project/services"


def wait_until(condition, what, limit_s=TIMEOUT_S):
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited too long for " + what)
        time.sleep(0.01)


def without_log_lines(text):
    """What else than the log stands in |text|: a sanitizer's report."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("{"))[:8000]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Sim:
    """One running simulator."""

    def __init__(self, *flags, env=None):
        self.folder = tempfile.TemporaryDirectory()
        self.journal_path = os.path.join(self.folder.name, "journal")
        port_file = os.path.join(self.folder.name, "port")
        self.errors = open(os.path.join(self.folder.name, "stderr"), "w+b")
        self.process = subprocess.Popen(
            [BINARY, "--listen", "127.0.0.1:0", "--port-file", port_file, "--journal", self.journal_path,
             "--settle", "%dms" % SETTLE_MS, *flags],
            stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, **(env or {})})
        try:
            wait_until(lambda: os.path.exists(port_file) or self.process.poll() is not None, "the port file")
            with open(port_file) as file:
                self.port = int(file.read())
        except BaseException:
            self.process.kill()
            self.process.communicate()
            self.errors.close()
            self.folder.cleanup()
            raise

    def stop(self, signal_number=signal.SIGTERM):
        self.process.send_signal(signal_number)
        try:
            code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "killed"
        self.stdout = self.process.stdout.read().decode()
        self.process.stdout.close()
        self.errors.seek(0)
        self.stderr = self.errors.read().decode(errors="replace")
        self.errors.close()
        return code

    def discard(self):
        """Stops it, if it still runs, and removes its files."""
        if self.process.returncode is None:
            self.stop()
        self.folder.cleanup()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def request(self, method, path, body=None, token="sim-token", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            all_headers = dict(headers or {})
            if token is not None:
                all_headers["X-Auth-Token"] = token
            if body is not None:
                all_headers.setdefault("Content-Type", "application/json")
                if not isinstance(body, (bytes, str)):
                    body = json.dumps(body)
            connection.request(method, path, body=body, headers=all_headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, tail, **kwargs):
        return self.request("GET", SERVICES + tail, **kwargs)

    def put(self, tail, body, **kwargs):
        return self.request("PUT", SERVICES + tail, body=body, **kwargs)

    def raw(self, data):
        """Sends bytes, returns all that comes back."""
        with self.connect() as connection:
            connection.sendall(data)
            received = b""
            while True:
                try:
                    piece = connection.recv(65536)
                except ConnectionResetError:
                    return received
                if not piece:
                    return received
                received += piece

    def journal(self):
        with open(self.journal_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def last(self, service_id):
        return [line for line in self.journal() if line["service_id"] == service_id][-1]


def config(**changes):
    return {"model_id": "m-1", "weight": 100, "specification": "modelarts.vm.cpu.2u", "instance_count": 1, **changes}


def scale(value, model="demo-model"):
    return {"changed_property": "instance_count", "configs": [{"model_id": model, "changed_value": value}]}


class SimCase(unittest.TestCase):
    """A test case with one simulator for all its tests, which must end cleanly after them."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--token", "sim-token", "--token", "other-token")

    @classmethod
    def tearDownClass(cls):
        code = cls.sim.stop()
        output = cls.sim.stderr
        cls.sim.discard()
        if code != 0 or "Sanitizer" in output:
            raise AssertionError("the simulator ended with %s:\n%s" % (code, without_log_lines(output)))

    def assert_error(self, answer, status, code, message=None):
        self.assertEqual((answer.status, answer.json()["error_code"]), (status, code))
        if message is not None:
            self.assertEqual(answer.json()["error_msg"], message)
        self.assertRegex(answer.headers["X-Request-Id"], "^[0-9a-f]{32}$")
        if code.startswith("APIG"):
            self.assertEqual(answer.json()["request_id"], answer.headers["X-Request-Id"])
        else:
            self.assertEqual(list(answer.json()), ["error_code", "error_msg"])


def main(usage):
    """Runs the tests of the calling script; argv[1] is the binary."""
    global BINARY
    if len(sys.argv) < 2:
        sys.exit(usage)
    BINARY = os.path.abspath(sys.argv.pop(1))
    # No test may run for ever, whatever happens to a socket.
    watchdog = threading.Timer(110, lambda: os._exit(3))
    watchdog.daemon = True
    watchdog.start()
    unittest.main()
