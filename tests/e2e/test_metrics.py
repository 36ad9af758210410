"""The admin port: what the bridge counts, with labels that callers and upstream cannot make grow."""
import itertools
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import grpc

from harness import PASSWORD, PATIENCE, Bridge, Case, Sim, attempt, find_secret, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

numbers = itertools.count()
UPDATE = "modelarts.v1.ModelArtsService/UpdateService"
LOGS = "modelarts.v1.ModelArtsService/ShowServiceUpdateLogs"
ADMIN = ("--admin-listen", "127.0.0.1:0")


def get(bridge, path="/metrics"):
    address = bridge.events("admin_listening")[0]["address"]
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        return answer.read().decode()


def series(text):
    """(name, labels, value) of each line."""
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            yield name, dict(re.findall(r'(\w+)="([^"]*)"', labels or "")), float(value)


def value(bridge, name, **labels):
    """The sum over the series of this name that have these labels."""
    return sum(value for found, own, value in series(get(bridge))
               if found == name and all(own.get(key) == text for key, text in labels.items()))


def families(text):
    """The types by name, but for the counters of label sets that found no room."""
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    return {name: kind for name, kind in found.items() if not name.endswith("_label_overflow_total")}


def documented():
    """(type, labels) by name, as the program says."""
    table = subprocess.run([os.environ["BRIDGE"], "routes", "--metrics"], check=True, capture_output=True, text=True)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.stdout.splitlines()[2:]]
    return {row[0].strip("`"): (row[1], set(re.findall(r"`(\w+)`", row[2]))) for row in rows}


def check_with_promtool(text):
    """Fails where promtool is missing: the test is not to be skipped in silence."""
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    if result.returncode != 0 or result.stdout + result.stderr:
        raise AssertionError(result.stdout + result.stderr)


def service(fault="svc"):
    return pb.UpdateServiceRequest(service_id=f"{fault}--{next(numbers)}", description="d")


class Metrics(Case):
    bridge_arguments = (*ADMIN, "--log-level", "info")

    def get(self, path="/metrics"):
        return get(self.bridge, path)

    def value(self, name, **labels):
        return value(self.bridge, name, **labels)

    def update(self, fault="svc", **options):
        return attempt(self.stub.UpdateService, service(fault), **options)

    def test_calls_are_counted_by_method_and_status(self):
        names = ("grpc_server_call_duration_seconds", "grpc_server_call_rcvd_total_compressed_message_size_bytes",
                 "grpc_server_call_sent_total_compressed_message_size_bytes")
        labels = {"grpc_method": UPDATE, "grpc_status": "OK"}
        started = self.value("grpc_server_call_started_total", grpc_method=UPDATE)
        before = [self.value(name + "_count", **labels) for name in names]
        for _ in range(3):
            self.ok(self.update())
        self.assertEqual([self.value(name + "_count", **labels) for name in names], [count + 3 for count in before])
        self.assertEqual(self.value("grpc_server_call_started_total", grpc_method=UPDATE), started + 3)
        self.assertEqual(self.value("modelarts_bridge_calls_in_flight"), 0)

    def test_sizes_are_those_of_the_messages(self):
        received = "grpc_server_call_rcvd_total_compressed_message_size_bytes_sum"
        sent = "grpc_server_call_sent_total_compressed_message_size_bytes_sum"
        before = self.value(received), self.value(sent)
        request = pb.ShowServiceUpdateLogsRequest(service_id=f"svc-{next(numbers)}")
        response, _ = self.ok(attempt(self.stub.ShowServiceUpdateLogs, request))
        self.assertGreater(response.ByteSize(), 0)
        self.assertEqual((self.value(received), self.value(sent)),
                         (before[0] + request.ByteSize(), before[1] + response.ByteSize()))

    def test_attempts_are_counted(self):
        before = self.value("modelarts_bridge_retries_total", grpc_method=LOGS)
        self.ok(attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(
            service_id=f"fault-flaky-2-503--{next(numbers)}")))
        self.assertEqual(self.value("modelarts_bridge_retries_total", grpc_method=LOGS), before + 2)
        self.assertGreaterEqual(
            self.value("http_client_request_duration_seconds_count", http_response_status_code="503", error_type="503"), 2)

    def test_durations_tell_upstream_from_the_bridge(self):
        upstream = {"name": "http_client_request_duration_seconds_sum", "http_request_method": "PUT",
                    "http_response_status_code": "200", "error_type": ""}
        before = self.value(**upstream), self.value("grpc_server_call_duration_seconds_sum", grpc_method=UPDATE)
        counts = [self.value("modelarts_bridge_translate_duration_seconds_count", direction=way)
                  for way in ("request", "response")]
        self.ok(self.update("fault-slow-300ms"))
        after = self.value(**upstream), self.value("grpc_server_call_duration_seconds_sum", grpc_method=UPDATE)
        self.assertGreaterEqual(after[0] - before[0], 0.3)
        self.assertGreater(after[1] - before[1], after[0] - before[0])
        for way, count in zip(("request", "response"), counts):
            self.assertEqual(self.value("modelarts_bridge_translate_duration_seconds_count", direction=way), count + 1)
            self.assertGreater(self.value("modelarts_bridge_translate_duration_seconds_sum", direction=way), 0)

    def test_requests_in_flight_and_connections(self):
        opened = self.value("modelarts_bridge_upstream_connections_opened_total")
        calls = [self.stub.UpdateService.future(service("fault-slow-600000ms"), timeout=PATIENCE,
                                                metadata=(("x-auth-token", "sim-token"),)) for _ in range(3)]
        wait_until(lambda: self.value("modelarts_bridge_upstream_requests_in_flight") == 3, "the requests")
        self.assertEqual(self.value("modelarts_bridge_upstream_requests_queued"), 0)
        self.assertEqual(self.value("modelarts_bridge_calls_in_flight"), 3)
        self.assertGreaterEqual(self.value("modelarts_bridge_upstream_connections"), 3)
        self.assertGreaterEqual(self.value("modelarts_bridge_upstream_connections_opened_total"), max(opened, 3))
        for call in calls:
            call.cancel()
        wait_until(lambda: self.value("modelarts_bridge_upstream_requests_in_flight") == 0, "the end of the requests")
        wait_until(lambda: self.value("modelarts_bridge_calls_in_flight") == 0, "the end of the calls")
        self.assertGreaterEqual(self.value("http_client_request_duration_seconds_count", error_type="cancelled"), 3)

    def test_drift_is_counted_by_kind(self):
        before = self.value("modelarts_bridge_upstream_drift_total", kind="code")
        attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="fault-code-400-ModelArts.50015001"))
        self.assertEqual(self.value("modelarts_bridge_upstream_drift_total", kind="code"), before + 1)

    def test_process_and_build(self):
        version = subprocess.run([os.environ["BRIDGE"], "version"], check=True, capture_output=True, text=True).stdout
        self.assertIn(next(labels["version"] for name, labels, _ in series(self.get())
                           if name == "modelarts_bridge_build_info"), version)
        self.assertEqual(self.value("modelarts_bridge_build_info"), 1)
        self.assertAlmostEqual(self.value("process_start_time_seconds"), time.time(), delta=280)
        self.assertAlmostEqual(self.value("process_resident_memory_bytes") / 1024, self.bridge.rss_kib(), delta=64 << 10)
        fds = f"/proc/{self.bridge.process.pid}/fd"
        self.assertAlmostEqual(self.value("process_open_fds"), len(os.listdir(fds)), delta=5)
        self.assertGreater(self.value("process_max_fds"), self.value("process_open_fds"))
        before = self.value("process_cpu_seconds_total")
        self.assertGreater(before, 0)
        wait_until(lambda: self.value("process_cpu_seconds_total") > before, "some CPU time")
        self.assertEqual(self.value("modelarts_bridge_log_lines_dropped_total"), 0)
        self.assertEqual(self.value("modelarts_bridge_ready"), 1)
        self.assertEqual(self.value("modelarts_bridge_draining"), 0)

    def test_hostile_method_names_are_other(self):
        names = [f"x.Y/Method{i}" for i in range(200)]
        names += ["", "a", "/", "..", 'a"} 1', "a\\", "a%0Ab 1", "é", "x" * 4000, UPDATE + "x", UPDATE[1:]]
        attempt(self.connection.unary_unary("/x.Y/Method"), b"")
        before = self.get().splitlines()
        for name in names:
            attempt(self.connection.unary_unary(f"/{name}"), b"")
        text = self.get()
        self.assertGreaterEqual(self.value("grpc_server_call_started_total", grpc_method="other"), 201)
        self.assertEqual([line.rsplit(" ", 1)[0] for line in text.splitlines()],
                         [line.rsplit(" ", 1)[0] for line in before])
        check_with_promtool(text)

    def test_what_is_documented_is_there(self):
        """Nothing else is, and the labels are those of the table."""
        self.ok(self.update())
        attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id=f"fault-flaky-1-503--{next(numbers)}"))
        text = self.get()
        check_with_promtool(text)
        table = {name: row for name, row in documented().items() if "_token_" not in name and "certificate" not in name}
        self.assertEqual(families(text), {name: kind for name, (kind, _) in table.items()})
        for name, labels, _ in series(text):
            if not name.endswith("_label_overflow_total"):
                family = name if name in table else re.sub("_(bucket|sum|count)$", "", name)
                self.assertEqual(set(labels) - {"le"}, table[family][1], name)

    def test_livez_and_other_paths(self):
        self.assertEqual(self.get("/livez"), "ok\n")
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.get("/nothing")
        self.assertEqual(raised.exception.code, 404)
        raised.exception.close()

    def test_no_secret_in_the_metrics(self):
        self.ok(self.update())
        self.assertIsNone(find_secret(self.get()))


class Own(unittest.TestCase):
    """Bridges that are started as the test wants them."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bridge-metrics-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.sim = Sim("--iam-user", "demo-user", "--iam-password", PASSWORD)
        self.addCleanup(self.sim.end)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Replaces the file as a whole, as a careful operator does."""
        with open(self.path("new"), "w") as file:
            file.write(text)
        os.rename(self.path("new"), self.path(name))

    def start(self, *arguments):
        bridge = Bridge(self.sim.url, *ADMIN, *arguments)
        self.addCleanup(self.end, bridge)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        return bridge, modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def end(self, bridge):
        if not bridge.stderr.closed:
            self.assertEqual(bridge.end(), 0, bridge.last_errors[-4000:])

    def future(self, stub, fault):
        return stub.UpdateService.future(service(fault), timeout=PATIENCE, metadata=(("x-auth-token", "sim-token"),))

    def test_calls_beyond_the_limits(self):
        bridge, stub = self.start("--max-in-flight", "3", "--max-upstream-connections", "1", "--shards", "2")
        self.assertEqual(value(bridge, "modelarts_bridge_upstream_connections_max"), 2)
        calls = [self.future(stub, "fault-slow-600000ms") for _ in range(3)]

        def requests():
            return (value(bridge, "modelarts_bridge_upstream_requests_in_flight"),
                    value(bridge, "modelarts_bridge_upstream_requests_queued"))

        # Which shard a call comes to is core's choice: two of three are in one, or all.
        wait_until(lambda: requests() in ((1, 2), (2, 1)), "the requests")
        self.assertEqual(value(bridge, "modelarts_bridge_overload_refused_total"), 0)
        self.assertEqual(attempt(stub.UpdateService, service()).reason, "TOO_MANY_CALLS")
        self.assertEqual(value(bridge, "modelarts_bridge_overload_refused_total"), 1)
        self.assertEqual(value(bridge, "grpc_server_call_duration_seconds_count", grpc_status="RESOURCE_EXHAUSTED"), 1)
        for call in calls:
            call.cancel()
        wait_until(lambda: requests() == (0, 0), "the end of the requests")

    def test_draining_shows(self):
        bridge, stub = self.start()
        call = self.future(stub, "fault-slow-600000ms")
        wait_until(lambda: value(bridge, "modelarts_bridge_upstream_requests_in_flight") == 1, "the request")
        bridge.terminate()
        wait_until(lambda: value(bridge, "modelarts_bridge_draining") == 1, "the drain")
        self.assertEqual(value(bridge, "modelarts_bridge_ready"), 0)
        call.cancel()
        self.assertEqual(bridge.wait(), 0)

    def test_lines_that_are_dropped_are_counted(self):
        """Standard error is a pipe that nobody reads."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        bridge = subprocess.Popen([os.environ["BRIDGE"], "serve", "--listen", f"unix:{self.path('socket')}", *ADMIN,
                                   "--upstream-url", self.sim.url, "--log-level", "debug"], stderr=writer)
        os.close(writer)
        try:
            text = b""
            while b"\"listening\"" not in text:
                text += os.read(reader, 65536)
            address = re.search(rb'"admin_listening".*?"address":"([^"]*)"', text).group(1).decode()
            with grpc.insecure_channel(f"unix:{self.path('socket')}") as channel:
                stub = channel.unary_unary("/x.Y/Z")

                def dropped():
                    for _ in range(50):
                        attempt(stub, b"")
                    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
                        counts = [count for name, _, count in series(answer.read().decode())
                                  if name == "modelarts_bridge_log_lines_dropped_total"]
                    return counts[0]

                wait_until(dropped, "a line that is dropped")
        finally:
            bridge.terminate()
            drain = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reader, 65536), b"")])
            drain.start()
            code = bridge.wait(PATIENCE)
            drain.join()
        self.assertEqual(code, 0)

    def test_token(self):
        os.mkdir(self.path("credentials"))
        for name, text in {"username": "demo-user", "password": "wrong-horse-battery-staple", "domain": "demo-domain",
                           "project": "demo-project-name"}.items():
            self.write(f"credentials/{name}", text)
        bridge, stub = self.start("--auth", "token", "--iam-url", self.sim.url, "--credentials-dir",
                                  self.path("credentials"))

        def fetches():
            return {labels["result"]: count for name, labels, count in series(get(bridge))
                    if name == "modelarts_bridge_token_fetches_total"}

        wait_until(lambda: fetches() == {"ok": 0, "refused": 1, "failed": 0}, "the first fetch")
        self.assertEqual(value(bridge, "modelarts_bridge_token_age_seconds"), 0)
        self.assertEqual(value(bridge, "modelarts_bridge_token_expiry_timestamp_seconds"), 0)

        self.write("credentials/password", PASSWORD)
        wait_until(lambda: isinstance(attempt(stub.UpdateService, service(), metadata=()), tuple), "a call that is served")
        self.assertEqual(fetches(), {"ok": 1, "refused": 1, "failed": 0})
        self.assertAlmostEqual(value(bridge, "modelarts_bridge_token_expiry_timestamp_seconds"), time.time() + 86400,
                               delta=120)
        age = value(bridge, "modelarts_bridge_token_age_seconds")
        self.assertGreater(age, 0)
        self.assertGreater(value(bridge, "modelarts_bridge_token_age_seconds"), age)
        self.assertEqual({name for name in documented() if "_token_" in name} - set(families(get(bridge))), set())
        check_with_promtool(get(bridge))
        self.assertIsNone(find_secret(get(bridge)))

    def certificate(self, name, days):
        """Makes a certificate; returns its end."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=bridge", "-days", days, "-keyout", self.path(f"{name}.key"), "-out",
                        self.path(f"{name}.pem")], check=True, capture_output=True)
        end = subprocess.run(["openssl", "x509", "-in", self.path(f"{name}.pem"), "-noout", "-enddate"], check=True,
                             capture_output=True, text=True).stdout
        return ssl.cert_time_to_seconds(end.strip().removeprefix("notAfter="))

    def use(self, name):
        for kind in ("key", "pem"):
            shutil.copy(self.path(f"{name}.{kind}"), self.path("new"))
            os.rename(self.path("new"), self.path(f"used.{kind}"))

    def connect(self, bridge, listener=0):
        """Core looks at the files when somebody connects."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        host, port = bridge.events("listening")[listener]["address"].rsplit(":", 1)
        with socket.create_connection((host, int(port)), PATIENCE) as plain, context.wrap_socket(plain):
            pass

    def test_certificate(self):
        name = "modelarts_bridge_tls_certificate_expiry_timestamp_seconds"
        ends = {kind: self.certificate(kind, days) for kind, days in {"first": "5", "second": "70", "third": "9"}.items()}
        self.use("first")
        bridge, _ = self.start("--listen", "127.0.0.1:0", "--tls-cert", self.path("used.pem"), "--tls-key",
                               self.path("used.key"))
        self.assertEqual(value(bridge, name), ends["first"])
        self.use("second")
        self.connect(bridge)
        self.assertEqual(value(bridge, name), ends["first"], "the other listener has not seen the files yet")
        self.connect(bridge, 1)
        self.assertEqual(value(bridge, name), ends["second"])

        # Files that cannot be used leave callers with those before: a key that is not the certificate's, and no PEM.
        shutil.copy(self.path("third.pem"), self.path("new"))
        os.rename(self.path("new"), self.path("used.pem"))
        self.connect(bridge)
        self.assertEqual(len(bridge.events("tls_files_refused")), 1)
        self.assertEqual(value(bridge, name), ends["second"])
        self.write("used.pem", "nothing")
        self.connect(bridge)
        self.assertEqual(value(bridge, name), ends["second"])
        self.use("third")
        self.connect(bridge, 1)
        self.assertEqual(value(bridge, name), ends["third"])
        check_with_promtool(get(bridge))


if __name__ == "__main__":
    unittest.main()
