"""Start, stop, load: no call is lost by a SIGTERM, no memory grows, too much is refused."""
import itertools
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

from harness import Bridge, PATIENCE, SLOWNESS, SMALL_QUARANTINE, Sim, TOKEN, attempt, load, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

numbers = itertools.count()


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.sim = Sim()
        self.addCleanup(self.end, self.sim)

    def end(self, process):
        code = process.end()
        self.assertEqual(code, 0, process.last_errors[-4000:])

    def start(self, *arguments, **options):
        bridge = Bridge(self.sim.url, *arguments, **options)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        return bridge, modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def slow_calls(self, stub, count, milliseconds):
        """Calls that wait upstream; returns once the simulator has all of them."""
        ids = [f"fault-slow-{milliseconds}ms--{next(numbers)}" for _ in range(count)]
        calls = [stub.UpdateService.future(pb.UpdateServiceRequest(service_id=i, description="d"), timeout=PATIENCE,
                                           metadata=(TOKEN,)) for i in ids]
        wait_until(lambda: {e["service_id"] for e in self.sim.journal()} >= set(ids), "the calls upstream")
        return calls

    def test_sigterm_under_load_finishes_calls_in_flight(self):
        """Core reports its stop while calls are still held; a queue that is shut down then would abort the process."""
        for shards in ("1", "3"):
            bridge, stub = self.start("--shards", shards)
            calls = self.slow_calls(stub, 40, 1500)
            bridge.terminate()
            wait_until(lambda: bridge.events("draining"), "the drain")
            for call in calls:
                self.assertFalse(call.result().HasField("update_time"))
            self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
            self.end(bridge)

    def test_second_sigterm_cancels(self):
        bridge, stub = self.start()
        calls = self.slow_calls(stub, 20, 600000)
        bridge.terminate()
        wait_until(lambda: bridge.events("draining"), "the drain")
        self.assertTrue(bridge.alive())
        bridge.terminate()
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        for call in calls:
            self.assertIn(call.code(), (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))
        self.end(bridge)

    def test_no_new_calls_while_draining(self):
        bridge, stub = self.start()
        calls = self.slow_calls(stub, 1, 1500)
        bridge.terminate()
        wait_until(lambda: bridge.events("draining"), "the drain")
        with grpc.insecure_channel(bridge.address) as late:
            failure = attempt(modelarts_service_pb2_grpc.ModelArtsServiceStub(late).UpdateService,
                              pb.UpdateServiceRequest(service_id="svc-late"))
        self.assertEqual(failure.code, grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.sim.journal("svc-late"), [])
        calls[0].result()
        self.end(bridge)

    def test_new_calls_are_taken_during_the_minimum_delay(self):
        """A classic sidecar gets its SIGTERM with its app, which still makes calls."""
        bridge, stub = self.start("--drain-min-delay", "2s")
        started = time.monotonic()
        bridge.terminate()
        wait_until(lambda: bridge.events("draining"), "the drain")
        with grpc.insecure_channel(bridge.address) as late:
            self.assertIsInstance(attempt(modelarts_service_pb2_grpc.ModelArtsServiceStub(late).UpdateService,
                                          pb.UpdateServiceRequest(service_id="svc-late")), tuple)
        self.assertIsInstance(attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-late-too")), tuple)
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        self.assertGreaterEqual(time.monotonic() - started, 2)
        self.end(bridge)

    def test_second_sigterm_ends_the_minimum_delay(self):
        bridge, stub = self.start("--drain-min-delay", "1h", "--drain-max-delay", "2h")
        calls = self.slow_calls(stub, 3, 600000)
        bridge.terminate()
        wait_until(lambda: bridge.events("draining"), "the drain")
        bridge.terminate()
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        self.assertEqual([e["cause"] for e in bridge.events("cancelling")], ["SIGTERM"])
        for call in calls:
            self.assertIn(call.code(), (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))
        self.end(bridge)

    def test_calls_beyond_the_maximum_delay_are_cancelled(self):
        bridge, stub = self.start("--drain-max-delay", "500ms")
        calls = self.slow_calls(stub, 3, 600000)
        started = time.monotonic()
        bridge.terminate()
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        self.assertGreaterEqual(time.monotonic() - started, 0.5)
        self.assertEqual([e["cause"] for e in bridge.events("cancelling")], ["--drain-max-delay"])
        for call in calls:
            self.assertIn(call.code(), (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))
        self.end(bridge)

    def test_calls_that_end_before_the_maximum_delay_are_not_cancelled(self):
        bridge, stub = self.start("--drain-max-delay", "60s")
        calls = self.slow_calls(stub, 3, 1000)
        bridge.terminate()
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        self.assertEqual(bridge.events("cancelling"), [])
        for call in calls:
            call.result()
        self.end(bridge)

    def test_sigterm_at_any_moment_of_the_start(self):
        for delay_ms in range(0, 200, 20):
            process = subprocess.Popen([os.environ["BRIDGE"], "--listen", "127.0.0.1:0", "--upstream-url", self.sim.url],
                                       stderr=subprocess.PIPE)
            # The moment is meant to vary; each outcome below is right at any of them.
            time.sleep(delay_ms / 1000)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE)
            # Before main() has blocked the signal, its default ends the process.
            self.assertIn(process.returncode, (0, -signal.SIGTERM), errors)

    def test_sigusr1_switches_to_debug_and_back(self):
        bridge, _ = self.start()
        levels = []
        for level in ("debug", "info", "debug"):
            bridge.process.send_signal(signal.SIGUSR1)
            levels.append(level)
            wait_until(lambda: [e["is"] for e in bridge.events("log_level")] == levels, levels)
        self.end(bridge)

    def test_log_as_text_is_for_people(self):
        process = subprocess.Popen([os.environ["BRIDGE"], "--listen", "127.0.0.1:0", "--upstream-url", self.sim.url,
                                    "--log-format", "text"], stderr=subprocess.PIPE, text=True)
        try:
            line = next(line for line in process.stderr if "listening address=127.0.0.1:" in line)
            self.assertRegex(line, r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO +(admin_)?listening address=[0-9.:]+\n\Z")
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)
        finally:
            process.kill()
            process.stderr.close()
            process.wait()

    def test_sigint_stops_too(self):
        bridge, _ = self.start()
        bridge.process.send_signal(signal.SIGINT)
        self.assertEqual(bridge.wait(), 0)
        self.end(bridge)

    def test_admission_limit(self):
        bridge, stub = self.start("--max-in-flight", "3")
        calls = self.slow_calls(stub, 3, 600000)
        failure = attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-over"))
        self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS"))
        self.assertEqual(self.sim.journal("svc-over"), [])
        for call in calls:
            call.cancel()
        wait_until(lambda: isinstance(attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-after")), tuple),
                   "a place")
        self.end(bridge)

    def test_call_that_never_sends_its_message_ends(self):
        """Else such calls would fill --max-in-flight for everyone, and hold up the drain."""
        bridge, _ = self.start("--default-timeout", "300ms")
        leave = threading.Event()
        self.addCleanup(leave.set)

        def nothing():
            leave.wait()
            yield b""

        with bridge.channel() as channel:
            call = channel.stream_unary("/modelarts.v1.ModelArtsService/UpdateService")
            with self.assertRaises(grpc.RpcError) as raised:
                call(nothing(), metadata=(TOKEN,))
            self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            leave.set()
        self.end(bridge)

    def test_log_that_nobody_reads_does_not_stop_calls(self):
        with tempfile.TemporaryDirectory() as folder:
            address = f"unix:{folder}/bridge.sock"
            process = subprocess.Popen([os.environ["BRIDGE"], "--listen", address, "--upstream-url", self.sim.url,
                                        "--project-id", "demo-project"], stderr=subprocess.PIPE)
            try:
                wait_until(lambda: os.path.exists(f"{folder}/bridge.sock"), "the socket")
                with grpc.insecure_channel(address) as channel:
                    stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
                    # A pipe holds 64 KiB, and a call's line has more than 150 bytes.
                    for _ in range(600):
                        self.assertIsInstance(attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-log")),
                                              tuple)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(PATIENCE), 0)
            finally:
                process.kill()
                process.stderr.close()
                process.wait()

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"unix:{folder}/bridge.sock"
            bridge = Bridge(self.sim.url, "--listen", path)
            self.assertEqual([e["address"] for e in bridge.events("listening")][1:], [path])
            with grpc.insecure_channel(path) as channel:
                stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
                self.assertIsInstance(attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="svc-unix")), tuple)
            self.end(bridge)

    def test_port_in_use_is_told(self):
        bridge, _ = self.start()
        other = subprocess.run([os.environ["BRIDGE"], "--listen", bridge.address, "--upstream-url", self.sim.url],
                               capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(other.returncode, 2, other.stderr)
        self.assertIn(bridge.address, other.stderr)
        self.assertIn("--listen", other.stderr)
        self.end(bridge)

    def test_100000_calls_and_memory_stays(self):
        bridge, _ = self.start(env=SMALL_QUARANTINE)
        request = pb.UpdateServiceRequest(service_id="svc-load", description="d")
        first, more = 20000 // SLOWNESS, 80000 // SLOWNESS
        self.assertEqual(load(bridge.address, request, first), {"0": first})
        before = bridge.rss_kib()
        self.assertEqual(load(bridge.address, request, more), {"0": more})
        grown = bridge.rss_kib() - before
        self.assertLess(grown, 8 * 1024, f"{grown} KiB more after 80,000 calls")
        self.end(bridge)


if __name__ == "__main__":
    unittest.main()
