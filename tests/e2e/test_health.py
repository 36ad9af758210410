"""grpc.health.v1 of the running bridge, and the commands health and wait: from the start to the drain, and under load."""
import os
import subprocess
import tempfile
import threading
import unittest
import urllib.request

import grpc

from harness import Bridge, Case, Failure, PASSWORD, PATIENCE, SLOWNESS, SMALL_QUARANTINE, Sim, TOKEN, WRONG_PASSWORD, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc
from reflection import health

SERVICE = "modelarts.v1.ModelArtsService"
READY_NAMES = ("", "readiness", SERVICE)
STATUS = health.HealthCheckResponse
# BR_LOCAL_MAX_CALLS in bridge/serve/local.h
MAX_CALLS = 1024


class Health:
    """grpc.health.v1.Health on a channel."""

    def __init__(self, channel):
        self.check_method = channel.unary_unary("/grpc.health.v1.Health/Check",
                                                health.HealthCheckRequest.SerializeToString, STATUS.FromString)
        self.watch_method = channel.unary_stream("/grpc.health.v1.Health/Watch",
                                                 health.HealthCheckRequest.SerializeToString, STATUS.FromString)

    def check(self, service="", **options):
        """The status, or a Failure."""
        result = attempt(self.check_method, health.HealthCheckRequest(service=service), metadata=(), **options)
        return result if isinstance(result, Failure) else result[0].status

    def watch(self, service="", **options):
        return self.watch_method(health.HealthCheckRequest(service=service), **options)


def command(name, address, *arguments):
    return subprocess.run([os.environ["BRIDGE"], name, "--address", address, *arguments], capture_output=True, text=True,
                          timeout=PATIENCE)


def metric(bridge, line):
    """The value of the line that begins so."""
    address = bridge.events("admin_listening")[0]["address"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE) as response:
        for text in response.read().decode().splitlines():
            if text.startswith(line + " "):
                return float(text.rsplit(" ", 1)[1])
    return None


class Own(unittest.TestCase):
    """Tests that start, and end, a bridge of their own."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--iam-user", "demo-user", "--iam-password", PASSWORD)
        cls.addClassCleanup(cls.sim.end)

    def start(self, *arguments, **options):
        bridge = Bridge(self.sim.url, *arguments, **options)
        self.addCleanup(Case.end_cleanly, bridge)
        connection = bridge.channel()
        self.addCleanup(connection.close)
        self.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(connection)
        self.health = Health(connection)
        wait_until(lambda: self.health.check("liveness") == STATUS.SERVING, "the start")
        return bridge

    def ends(self, stream, code, reason):
        with self.assertRaises(grpc.RpcError) as raised:
            next(stream)
        failure = Failure(raised.exception)
        self.assertEqual((failure.code, failure.reason), (code, reason), failure)

    def slow_call(self, service_id):
        call = self.stub.UpdateService.future(pb.UpdateServiceRequest(service_id=service_id, description="d"),
                                              timeout=PATIENCE, metadata=(TOKEN,))
        wait_until(lambda: self.sim.journal(service_id), "the call upstream")
        return call


class Answers(Case):
    def setUp(self):
        self.health = Health(self.connection)
        wait_until(lambda: self.health.check() == STATUS.SERVING, "the start")

    def test_known_names(self):
        for name in (*READY_NAMES, "liveness"):
            self.assertEqual(self.health.check(name), STATUS.SERVING, name)
            stream = self.health.watch(name)
            self.assertEqual(next(stream).status, STATUS.SERVING, name)
            stream.cancel()

    def test_unknown_names(self):
        for name in ("nobody", SERVICE + ".", SERVICE + "/UpdateService", "grpc.health.v1.Health", "Readiness", "x" * 5000):
            failure = self.health.check(name)
            self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.NOT_FOUND, "SERVICE_UNKNOWN"))
            stream = self.health.watch(name)
            self.assertEqual(next(stream).status, STATUS.SERVICE_UNKNOWN)
            self.assertTrue(stream.is_active())
            stream.cancel()

    def test_no_token_is_needed_and_nothing_goes_upstream(self):
        before = len(self.sim.journal())
        self.assertEqual(self.health.check(), STATUS.SERVING)
        self.assertEqual(len(self.sim.journal()), before)

    def test_malformed_and_large_requests(self):
        for method in ("Check", "Watch"):
            raw = self.connection.unary_stream(f"/grpc.health.v1.Health/{method}")
            for data, code, reason in ((b"\x0a\x05abc", grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE"),
                                       (b"\x0a\x02\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE"),
                                       (b"\x12\xfe\x7f" + b"x" * ((16 << 10) - 2), grpc.StatusCode.RESOURCE_EXHAUSTED,
                                        "MESSAGE_TOO_LARGE")):
                with self.assertRaises(grpc.RpcError) as raised:
                    next(raw(data, timeout=PATIENCE))
                failure = Failure(raised.exception)
                self.assertEqual((failure.code, failure.reason), (code, reason))
            # One byte less is taken.
            self.assertEqual(STATUS.FromString(next(raw(b"\x12\xfd\x7f" + b"x" * ((16 << 10) - 3), timeout=PATIENCE))).status,
                             STATUS.SERVING)

    def test_missing_request(self):
        for method in ("Check", "Watch"):
            raw = self.connection.stream_stream(f"/grpc.health.v1.Health/{method}")
            with self.assertRaises(grpc.RpcError) as raised:
                next(raw(iter(()), timeout=PATIENCE))
            self.assertEqual(Failure(raised.exception).reason, "MESSAGE_MISSING")

    def test_deadline_ends_a_watch(self):
        stream = self.health.watch(timeout=0.3)
        self.assertEqual(next(stream).status, STATUS.SERVING)
        with self.assertRaises(grpc.RpcError) as raised:
            next(stream)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_commands(self):
        for name in ("health", "wait"):
            result = command(name, self.bridge.address)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "SERVING\n", ""))
            result = command(name, self.bridge.address, "--service", SERVICE)
            self.assertEqual((result.returncode, result.stdout), (0, "SERVING\n"))
        result = command("health", self.bridge.address, "--service", "nobody")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual(result.stderr, "modelarts-bridge: NOT_FOUND: the bridge has no service of this name\n")
        result = command("wait", self.bridge.address, "--service", "nobody", "--timeout=200ms")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("not ready in time; last: NOT_FOUND: ", result.stderr)

    def test_commands_with_something_else_at_the_address(self):
        """The simulator speaks HTTP/1.1."""
        result = command("health", f"127.0.0.1:{self.sim.port}", "--timeout=20s")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Amodelarts-bridge: [A-Z_]+: [^\n]+\n\Z")

    def test_calls_are_counted_and_logged_at_debug(self):
        started = 'grpc_server_call_started_total{grpc_method="grpc.health.v1.Health/Check"}'
        before = metric(self.bridge, started)
        self.health.check()
        self.assertEqual(metric(self.bridge, started), before + 1)
        ended = 'grpc_server_call_duration_seconds_count{grpc_method="grpc.health.v1.Health/Check",grpc_status="OK"}'
        self.assertGreaterEqual(metric(self.bridge, ended), 1)
        self.assertNotIn("grpc.health.v1.Health/Check", [e["method"] for e in self.bridge.events("call")])


class Changes(Own):
    def test_from_serving_to_the_end(self):
        bridge = self.start("--drain-min-delay", f"{SLOWNESS}s", "--shards", "2")
        wait_until(lambda: self.health.check() == STATUS.SERVING, "the start")
        watches = [self.health.watch(name) for name in READY_NAMES]
        liveness, unknown = self.health.watch("liveness"), self.health.watch("nobody")
        self.assertEqual([next(stream).status for stream in watches], [STATUS.SERVING] * 3)
        self.assertEqual(next(liveness).status, STATUS.SERVING)
        self.assertEqual(next(unknown).status, STATUS.SERVICE_UNKNOWN)
        bridge.terminate()
        self.assertEqual([next(stream).status for stream in watches], [STATUS.NOT_SERVING] * 3)
        # New calls are still taken.
        self.assertEqual([self.health.check(name) for name in READY_NAMES], [STATUS.NOT_SERVING] * 3)
        self.assertEqual(self.health.check("liveness"), STATUS.SERVING)
        self.assertIsInstance(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-draining")), tuple)
        result = command("health", bridge.address)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (1, "NOT_SERVING\n", ""))
        self.assertEqual(command("health", bridge.address, "--service=liveness").returncode, 0)
        for stream in (*watches, liveness, unknown):
            self.ends(stream, grpc.StatusCode.UNAVAILABLE, "DRAINING")
        self.assertEqual(bridge.wait(), 0)

    def test_sigterm_with_many_watches(self):
        """Without a delay, the change and the end come at once: both are told, in order."""
        bridge = self.start("--shards", "3")
        wait_until(lambda: self.health.check() == STATUS.SERVING, "the start")
        watches = [self.health.watch() for _ in range(200)]
        for stream in watches:
            self.assertEqual(next(stream).status, STATUS.SERVING)
        bridge.terminate()
        for stream in watches:
            self.assertEqual(next(stream).status, STATUS.NOT_SERVING)
            self.ends(stream, grpc.StatusCode.UNAVAILABLE, "DRAINING")
        self.assertEqual(bridge.wait(), 0)

    def test_watches_do_not_hold_up_a_drain_with_a_call(self):
        bridge = self.start("--drain-max-delay", "10m")
        wait_until(lambda: self.health.check() == STATUS.SERVING, "the start")
        stream = self.health.watch()
        self.assertEqual(next(stream).status, STATUS.SERVING)
        call = self.slow_call("fault-slow-1500ms--health")
        bridge.terminate()
        self.assertEqual(next(stream).status, STATUS.NOT_SERVING)
        self.ends(stream, grpc.StatusCode.UNAVAILABLE, "DRAINING")
        self.assertFalse(call.done())
        call.result()
        self.assertEqual(bridge.wait(), 0)

    def test_credential_that_is_corrected(self):
        """Each change of readiness is told; a wait ends with the good one."""
        folder = tempfile.TemporaryDirectory(prefix="bridge-health-")
        self.addCleanup(folder.cleanup)

        def write(name, text):
            path = os.path.join(folder.name, name)
            with open(path + ".new", "w") as file:
                file.write(text)
            os.rename(path + ".new", path)

        for name, text in (("username", "demo-user"), ("password", WRONG_PASSWORD), ("domain", "demo-domain"),
                           ("project", "demo-project-name")):
            write(name, text)
        bridge = self.start("--auth=token", "--iam-url", self.sim.url, "--credentials-dir", folder.name)
        stream = self.health.watch()
        self.assertEqual(next(stream).status, STATUS.NOT_SERVING)
        waiting = subprocess.Popen([os.environ["BRIDGE"], "wait", "--address", bridge.address], stdout=subprocess.PIPE, text=True)
        self.addCleanup(waiting.kill)
        self.assertEqual(self.health.check("liveness"), STATUS.SERVING)
        write("password", PASSWORD)
        self.assertEqual(next(stream).status, STATUS.SERVING)
        self.assertEqual(waiting.communicate(timeout=PATIENCE)[0], "SERVING\n")
        self.assertEqual(waiting.returncode, 0)
        stream.cancel()


class Wait(Own):
    def test_bridge_that_starts_later(self):
        folder = tempfile.TemporaryDirectory(prefix="bridge-health-")
        self.addCleanup(folder.cleanup)
        address = f"unix:{folder.name}/bridge.sock"
        waiting = subprocess.Popen([os.environ["BRIDGE"], "wait", "--address", address], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(waiting.kill)
        self.assertEqual(command("health", address).returncode, 1)
        self.start("--listen", address)
        self.assertEqual(waiting.communicate(timeout=PATIENCE), ("SERVING\n", ""))
        self.assertEqual(waiting.returncode, 0)
        self.assertEqual(command("health", address).stdout, "SERVING\n")


class Limits(Own):
    def test_health_works_while_calls_are_refused(self):
        bridge = self.start("--max-in-flight", "1")
        call = self.slow_call("fault-slow-600000ms--overload")
        failure = attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-over"))
        self.assertEqual(failure.reason, "TOO_MANY_CALLS")
        self.assertEqual(self.health.check(), STATUS.SERVING)
        stream = self.health.watch()
        self.assertEqual(next(stream).status, STATUS.SERVING)
        self.assertEqual(command("health", bridge.address).returncode, 0)
        call.cancel()
        # Nor do they take a place: the watch is still open.
        wait_until(lambda: isinstance(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-in")), tuple),
                   "a place")
        stream.cancel()

    def test_calls_have_a_ceiling_of_their_own(self):
        bridge = self.start("--max-in-flight", "1", "--shards", "2")
        wait_until(lambda: metric(bridge, "modelarts_bridge_calls_in_flight") == 0, "the end of the first calls")
        watches = [self.health.watch() for _ in range(MAX_CALLS - 1)]
        for stream in watches:
            next(stream)
        self.assertEqual(self.health.check(), STATUS.SERVING)
        watches.append(self.health.watch())
        next(watches[-1])
        failure = self.health.check()
        self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_LOCAL_CALLS"))
        self.ends(self.health.watch(), grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_LOCAL_CALLS")
        # Other calls have their own.
        self.assertIsInstance(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-beside")), tuple)
        watches.pop().cancel()
        wait_until(lambda: self.health.check() == STATUS.SERVING, "a place")
        for stream in watches:
            stream.cancel()

    def test_watches_that_are_cancelled_leave_nothing(self):
        bridge = self.start("--shards", "2", env=SMALL_QUARANTINE)
        for turn in range(6):
            watches = [self.health.watch() for _ in range(200)]
            for stream in watches[:100]:
                next(stream)
            for stream in watches:
                stream.cancel()
            wait_until(lambda: metric(bridge, "modelarts_bridge_calls_in_flight") == 0, "the end of the watches")
            if turn == 2:
                before = bridge.rss_kib()
        self.assertLess(bridge.rss_kib() - before, 8 * 1024)
        self.assertEqual(self.health.check(), STATUS.SERVING)

    def test_watches_come_and_go_while_the_status_changes(self):
        """The drain and the callers end streams at the same time, on several threads."""
        bridge = self.start("--shards", "3")
        stop = threading.Event()

        def come_and_go():
            with bridge.channel() as channel:
                own = Health(channel)
                while not stop.is_set():
                    stream = own.watch()
                    try:
                        next(stream)
                    except grpc.RpcError:
                        return
                    stream.cancel()

        threads = [threading.Thread(target=come_and_go) for _ in range(4)]
        for thread in threads:
            thread.start()
        started = 'grpc_server_call_started_total{grpc_method="grpc.health.v1.Health/Watch"}'
        wait_until(lambda: (metric(bridge, started) or 0) > 200, "the watches")
        bridge.terminate()
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    unittest.main()
