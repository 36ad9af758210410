"""The connections of callers: pinged, aged, and moved to another instance without a call lost."""
import contextlib
import itertools
import json
import socket
import threading
import unittest

import grpc

from harness import Bridge, PATIENCE, Sim, attempt, wait_until
from http2 import GOAWAY, PING, connect, frame, read_frame
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

numbers = itertools.count()


def frames_until_the_goodbye(address, answers):
    """The kinds of the frames that a caller gets which opens a connection and makes no call."""
    kinds = []
    with connect(address) as connection:
        with contextlib.suppress(EOFError, ConnectionResetError):
            while len(kinds) < 1000:
                kind, flags, _, payload = read_frame(connection)
                kinds.append(kind)
                if kind == GOAWAY:
                    break
                if kind == PING and flags == 0 and answers:
                    connection.sendall(frame(PING, 1, payload))
                    if kinds.count(PING) == 3:
                        break
    return kinds


class WithSimulator(unittest.TestCase):
    def setUp(self):
        self.sim = Sim()
        self.addCleanup(self.end, self.sim)

    def end(self, process):
        code = process.end()
        self.assertEqual(code, 0, process.last_errors[-4000:])


class Connections(WithSimulator):
    def start(self, *arguments):
        bridge = Bridge(self.sim.url, *arguments)
        self.addCleanup(self.end, bridge)
        return bridge

    def test_caller_that_answers_no_ping_is_closed(self):
        bridge = self.start("--keepalive-time", "1s", "--keepalive-timeout", "200ms")
        kinds = frames_until_the_goodbye(bridge.address, answers=False)
        self.assertEqual(kinds.count(PING), 1, kinds)

    def test_caller_that_answers_pings_is_kept(self):
        bridge = self.start("--keepalive-time", "1s", "--keepalive-timeout", "20s")
        kinds = frames_until_the_goodbye(bridge.address, answers=True)
        self.assertEqual(kinds.count(PING), 3, kinds)
        self.assertNotIn(GOAWAY, kinds)

    def test_connection_of_its_age_is_told_to_go(self):
        bridge = self.start("--max-connection-age", "200ms", "--keepalive-time", "0s")
        # Core sends a ping with it, to learn when the caller has read it.
        kinds = frames_until_the_goodbye(bridge.address, answers=False)
        self.assertIn(GOAWAY, kinds)

    def test_calls_go_on_across_aged_connections(self):
        bridge = self.start("--max-connection-age", "100ms")
        ended = []
        with bridge.channel() as channel:
            channel.subscribe(ended.append)
            stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

            def one_more():
                result = attempt(stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id="demo-service"))
                self.assertIsInstance(result, tuple, result)
                return ended.count(grpc.ChannelConnectivity.IDLE) >= 4

            # A channel whose connection is told to go is idle until its next call; it begins so, too.
            wait_until(one_more, "three connections")


class RollingRestart(WithSimulator):
    """Two instances behind one client, which knows nothing but gRPC's own balancing and health checks."""

    SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}],
                                 "healthCheckConfig": {"serviceName": "readiness"}})

    def setUp(self):
        super().setUp()
        self.addresses = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.addresses.append("127.0.0.1:%d" % probe.getsockname()[1])
        self.instances = [self.start_at(address) for address in self.addresses]
        self.failures = []
        self.stop = threading.Event()

    def start_at(self, address):
        bridge = Bridge(self.sim.url, "--listen", address, "--drain-min-delay", "1s")
        self.addCleanup(lambda: bridge.alive() and self.end(bridge))
        return bridge

    def make_calls(self, stub):
        while not self.stop.is_set() and not self.failures:
            # An update is repeated by nobody: each must succeed the first time.
            result = attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id=f"svc-roll-{next(numbers)}"))
            if not isinstance(result, tuple):
                self.failures.append(result)

    def all_serve(self):
        """Whether each instance has had calls, by its log; or a call has failed."""
        return self.failures or all(len(bridge.events("call")) > 20 for bridge in self.instances)

    def test_no_call_fails(self):
        channel = grpc.insecure_channel("ipv4:" + ",".join(self.addresses), options=[
            ("grpc.service_config", self.SERVICE_CONFIG), ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 100)])
        self.addCleanup(channel.close)
        stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
        threads = [threading.Thread(target=self.make_calls, args=(stub,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for i in (0, 1, 0, 1):
                wait_until(self.all_serve, "calls to both")
                self.assertEqual(self.failures, [])
                old = self.instances[i]
                old.terminate()
                self.assertEqual(old.wait(), 0, old.errors()[-4000:])
                self.assertEqual(old.events("cancelling"), [])
                self.end(old)
                self.instances[i] = self.start_at(self.addresses[i])
            wait_until(self.all_serve, "calls to both")
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(PATIENCE)
        self.assertEqual(self.failures, [])


if __name__ == "__main__":
    unittest.main()
