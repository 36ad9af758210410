"""The admin port: what the bridge counts, with labels that callers and upstream cannot make grow."""
import itertools
import re
import unittest
import urllib.error
import urllib.request

from harness import Case, attempt, find_secret
from modelarts.v1 import modelarts_service_pb2 as pb

numbers = itertools.count()
UPDATE = "modelarts.v1.ModelArtsService/UpdateService"
LOGS = "modelarts.v1.ModelArtsService/ShowServiceUpdateLogs"


class Metrics(Case):
    bridge_arguments = ("--log-level", "info")

    def get(self, path):
        address = self.bridge.events("admin_listening")[0]["address"]
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.read().decode()

    def value(self, name, **labels):
        """The sum over the series of this name that have these labels."""
        total = 0.0
        for line in self.get("/metrics").splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match.group(1) == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
                if all(found.get(key) == value for key, value in labels.items()):
                    total += float(match.group(3))
        return total

    def test_calls_are_counted_by_method_and_status(self):
        before = self.value("grpc_server_call_duration_seconds_count", grpc_method=UPDATE, grpc_status="OK")
        for _ in range(3):
            self.ok(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=f"svc-{next(numbers)}")))
        self.assertEqual(
            self.value("grpc_server_call_duration_seconds_count", grpc_method=UPDATE, grpc_status="OK"), before + 3)
        self.assertEqual(self.value("modelarts_bridge_calls_in_flight"), 0)

    def test_attempts_are_counted(self):
        before = self.value("modelarts_bridge_retries_total", grpc_method=LOGS)
        self.ok(attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(
            service_id=f"fault-flaky-2-503--{next(numbers)}")))
        self.assertEqual(self.value("modelarts_bridge_retries_total", grpc_method=LOGS), before + 2)
        self.assertGreaterEqual(self.value("http_client_request_duration_seconds_count", http_response_status_code="503"), 2)

    def test_drift_is_counted_by_kind(self):
        before = self.value("modelarts_bridge_upstream_drift_total", kind="code")
        attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="fault-code-400-ModelArts.50015001"))
        self.assertEqual(self.value("modelarts_bridge_upstream_drift_total", kind="code"), before + 1)

    def test_hostile_method_names_are_other(self):
        attempt(self.connection.unary_unary("/x.Y/Method"), b"")
        before = self.get("/metrics").splitlines()
        for i in range(200):
            attempt(self.connection.unary_unary(f"/x.Y/Method{i}"), b"")
        self.assertGreaterEqual(self.value("grpc_server_call_started_total", grpc_method="other"), 201)
        self.assertEqual([line.rsplit(" ", 1)[0] for line in self.get("/metrics").splitlines()],
                         [line.rsplit(" ", 1)[0] for line in before])

    def test_livez_and_other_paths(self):
        self.assertEqual(self.get("/livez"), "ok\n")
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.get("/nothing")
        self.assertEqual(raised.exception.code, 404)
        raised.exception.close()

    def test_no_secret_in_the_metrics(self):
        self.ok(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=f"svc-{next(numbers)}")))
        self.assertIsNone(find_secret(self.get("/metrics")))


if __name__ == "__main__":
    unittest.main()
