"""The network between the bridge and ModelArts at its worst: nothing hangs, nothing runs twice, and all recovers by itself."""
import collections
import itertools
import signal
import socket
import tempfile
import unittest

import grpc

import network
from harness import Bridge, Failure, PATIENCE, Process, Sim, TOKEN, scenario, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc, service_config_pb2
from test_tls import make_certificate

UPSTREAM = "10.77.0.2"
PORT = 8080
numbers = itertools.count()

Call = collections.namedtuple("Call", "is_update service_id future")


def config_of_bytes(count):
    config = service_config_pb2.ServiceConfig(model_id="demo-model", weight=100, specification="modelarts.vm.cpu.2u",
                                              instance_count=1)
    config.envs.update({f"E{i}": "x" * 990 for i in range(count // 1000)})
    return config


class Network(unittest.TestCase):
    """A bridge on one host and a simulator on another. The test calls over a unix socket, which no network can break."""

    def setUp(self):
        self.bridge_host = network.Host("10.77.0.1")
        self.addCleanup(self.bridge_host.close)
        self.upstream_host = network.Host(UPSTREAM)
        self.addCleanup(self.upstream_host.close)
        self.cable = network.Cable(self.bridge_host, self.upstream_host)
        self.addCleanup(self.cable.close)
        self.entries = []
        self.sim = None
        self.addCleanup(self.end_sim)
        self.start_sim()

    def start_sim(self):
        self.sim = self.upstream_host.run(lambda: Sim(listen=f"{UPSTREAM}:{PORT}"))

    def end_sim(self):
        """Its journal stays."""
        if self.sim is not None:
            sim, self.sim = self.sim, None
            self.entries += sim.journal()
            self.assertEqual(sim.end(), 0, sim.last_errors[-4000:])

    def journal(self):
        return self.entries + (self.sim.journal() if self.sim is not None else [])

    def start_bridge(self, *arguments, url=f"http://{UPSTREAM}:{PORT}"):
        folder = tempfile.TemporaryDirectory(prefix="bridge-network-")
        self.addCleanup(folder.cleanup)
        address = f"unix:{folder.name}/bridge.sock"
        self.bridge = self.bridge_host.run(lambda: Bridge(url, "--listen", address, *arguments))
        self.addCleanup(self.end_bridge)
        channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self.addCleanup(channel.close)
        self.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def end_bridge(self):
        self.assertEqual(self.bridge.end(), 0, self.bridge.last_errors[-4000:])

    def start_calls(self, count, timeout_s, fault="svc", **fields):
        """Half of them updates, half of them reads."""
        self.tried += count
        calls = []
        for i in range(count):
            service_id = f"{fault}--{next(numbers)}"
            if i % 2 == 0:
                request = pb.UpdateServiceRequest(service_id=service_id, **(fields or {"description": "d"}))
                method = self.stub.UpdateService
            else:
                request = pb.ShowServiceUpdateLogsRequest(service_id=service_id)
                method = self.stub.ShowServiceUpdateLogs
            calls.append(Call(i % 2 == 0, service_id, method.future(request, timeout=timeout_s, metadata=(TOKEN,))))
        return calls

    def end_calls(self, calls):
        """How many ended with which code and reason, updates and reads apart."""
        codes = collections.Counter(), collections.Counter()
        for call in calls:
            error = call.future.exception(timeout=PATIENCE)
            failure = Failure(error) if error is not None else None
            reason = failure and failure.code != grpc.StatusCode.DEADLINE_EXCEEDED and failure.reason
            codes[call.is_update][(f"{failure.code.name} {reason}" if reason else failure.code.name) if failure else "OK"] += 1
        return {"updates": dict(codes[True]), "reads": dict(codes[False])}

    def assert_all(self, calls, code, reads=None):
        half = len(calls) // 2
        self.assertEqual(self.end_calls(calls), {"updates": {code: half}, "reads": {reads or code: half}})

    def assert_executed(self, calls, times):
        """Each update of |calls| arrived and was carried out as often as one of |times|; a read that had to be is repeated."""
        arrived, executed = collections.Counter(), collections.Counter()
        for entry in self.journal():
            arrived[entry["service_id"]] += 1
            executed[entry["service_id"]] += entry["executed"]
        for call in calls:
            if call.is_update:
                self.assertIn(executed[call.service_id], times, call.service_id)
                self.assertEqual(arrived[call.service_id], executed[call.service_id], call.service_id)

    def assert_recovers(self):
        """Without a restart, and at once: the next calls succeed."""
        calls = self.start_calls(4, PATIENCE)
        self.assert_all(calls, "OK")
        self.assert_executed(calls, (1,))

    def wait_for_arrival(self, calls):
        ids = {call.service_id for call in calls}
        wait_until(lambda: ids <= {entry["service_id"] for entry in self.journal()}, "the requests upstream")

    def fill_pool(self, count):
        """Leaves |count| connections open that have no request."""
        calls = self.start_calls(count, PATIENCE, "fault-slow-300ms")
        self.wait_for_arrival(calls)
        self.assert_all(calls, "OK")


class Disturbed(Network):
    """What TCP mends is not seen by callers."""

    def exchange(self, fate, count):
        self.start_bridge()
        self.cable.fate = fate
        config = config_of_bytes(10000)  # several packets
        calls = self.start_calls(count, PATIENCE, config=[config])
        self.assert_all(calls, "OK")
        self.assert_executed(calls, (1,))
        bodies = [e["body"]["config"][0]["envs"] for e in self.journal() if e["method"] == "PUT"]
        self.assertEqual(bodies, [dict(config.envs)] * (count // 2))

    @scenario("packets take 200 ms each way", 40, "all calls succeed")
    def test_delay(self):
        self.exchange(network.late(0.2), 40)

    @scenario("5 % of the packets are lost", 100, "all calls succeed")
    def test_loss(self):
        self.exchange(network.lossy(0.05), 100)
        self.assertGreater(self.cable.lost_count, 10)

    @scenario("packets overtake others, come twice, are damaged", 100, "all calls succeed")
    def test_disorder(self):
        self.exchange(network.disordered(), 100)

    @scenario("packets take longer than the deadline", 20, "DEADLINE_EXCEEDED; later calls succeed")
    def test_delay_beyond_the_deadline(self):
        self.start_bridge()
        self.cable.fate = network.late(2)
        calls = self.start_calls(16, 1)
        self.assert_all(calls, "DEADLINE_EXCEEDED")
        self.cable.fate = network.whole
        self.assert_recovers()
        self.assert_executed(calls, (0, 1))


class Cut(Network):
    """The link is cut with calls in flight."""

    @scenario("the link is cut with calls in flight, and healed in time", 44, "all calls succeed")
    def test_healed_before_the_deadline(self):
        self.start_bridge()
        calls = self.start_calls(40, PATIENCE, "fault-slow-500ms")
        self.wait_for_arrival(calls)
        self.cable.fate = network.cut
        # Each answer is lost at least once.
        wait_until(lambda: self.cable.lost_count >= 40, "lost answers")
        self.cable.fate = network.whole
        self.assert_all(calls, "OK")
        self.assert_executed(calls, (1,))
        self.assert_recovers()

    @scenario("the link is cut with calls in flight, beyond their deadline", 48,
              "DEADLINE_EXCEEDED for them and for calls meanwhile; then calls succeed")
    def test_healed_after_the_deadline(self):
        self.start_bridge()
        calls = self.start_calls(40, 3, "fault-slow-500ms")
        self.wait_for_arrival(calls)
        self.cable.fate = network.cut
        meanwhile = self.start_calls(4, 1)
        self.assert_all(calls, "DEADLINE_EXCEEDED")
        self.assert_all(meanwhile, "DEADLINE_EXCEEDED")
        self.cable.fate = network.whole
        self.assert_recovers()
        self.assert_executed(calls, (1,))
        self.assert_executed(meanwhile, (0, 1))

    @scenario("answers are lost, requests are not", 24, "DEADLINE_EXCEEDED, each update executed once; then calls succeed")
    def test_answers_are_lost(self):
        self.start_bridge()
        self.fill_pool(10)
        self.cable.fate = network.cut_towards(self.bridge_host.address)
        calls = self.start_calls(10, 1)
        self.assert_all(calls, "DEADLINE_EXCEEDED")
        self.assert_executed(calls, (1,))
        self.cable.fate = network.whole
        self.assert_recovers()

    @scenario("SIGTERM while the link is cut", 10, "the bridge ends at --drain-max-delay; CANCELLED or UNAVAILABLE")
    def test_drain_while_cut(self):
        self.start_bridge("--drain-max-delay", "500ms")
        calls = self.start_calls(10, PATIENCE, "fault-slow-60000ms")
        self.wait_for_arrival(calls)
        self.cable.fate = network.cut
        self.bridge.terminate()
        self.assertEqual(self.bridge.wait(), 0)
        self.assertEqual([e["cause"] for e in self.bridge.events("cancelling")], ["--drain-max-delay"])
        for call in calls:
            self.assertIn(call.future.exception().code(), (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))


class NotConnected(Network):
    """No connection comes about: nothing was sent, so updates are tried again as well, and callers may do so too."""

    @scenario("connections are refused", 12, "UNAVAILABLE UPSTREAM_UNREACHABLE; calls succeed once ModelArts is back")
    def test_refused(self):
        self.start_bridge()
        self.end_sim()
        calls = self.start_calls(8, PATIENCE)
        self.assert_all(calls, "UNAVAILABLE UPSTREAM_UNREACHABLE")
        self.start_sim()
        self.assert_recovers()
        self.assert_executed(calls, (0,))

    @scenario("connections are not answered (a black hole)", 12,
              "UNAVAILABLE UPSTREAM_CONNECT_TIMEOUT; calls succeed once it is gone")
    def test_black_hole(self):
        self.start_bridge("--connect-timeout", "300ms")
        self.cable.fate = network.cut
        calls = self.start_calls(8, PATIENCE)
        self.assert_all(calls, "UNAVAILABLE UPSTREAM_CONNECT_TIMEOUT")
        self.cable.fate = network.whole
        self.assert_recovers()
        self.assert_executed(calls, (0,))

    @scenario("a black hole, and a deadline before --connect-timeout", 12, "DEADLINE_EXCEEDED; calls succeed once it is gone")
    def test_black_hole_beyond_the_deadline(self):
        self.start_bridge("--connect-timeout", "1m")
        self.cable.fate = network.cut
        calls = self.start_calls(8, 1)
        self.assert_all(calls, "DEADLINE_EXCEEDED")
        self.cable.fate = network.whole
        self.assert_recovers()
        self.assert_executed(calls, (0,))

    @scenario("the bridge's own link goes down and comes back", 22,
              "UNAVAILABLE UPSTREAM_UNREACHABLE or DEADLINE_EXCEEDED; then calls succeed")
    def test_own_link_down(self):
        self.start_bridge()
        self.fill_pool(10)
        self.bridge_host.ip(f"link set {network.DEVICE} down")
        calls = self.start_calls(8, 1)
        ended = self.end_calls(calls)
        self.assertLessEqual(set(ended["updates"]) | set(ended["reads"]),
                             {"UNAVAILABLE UPSTREAM_UNREACHABLE", "DEADLINE_EXCEEDED"}, ended)
        self.bridge_host.ip(f"link set {network.DEVICE} up")
        self.assert_recovers()
        self.assert_executed(calls, (0, 1))


class KeptConnections(Network):
    """Connections in the pool that are dead, and nobody has said so."""

    @scenario("ModelArts' host restarts without a FIN", 62, "reads succeed, updates are UNKNOWN; then calls succeed")
    def test_host_restarted(self):
        self.start_bridge()
        # More than all attempts of the reads could use up.
        self.fill_pool(50)
        self.cable.fate = network.cut
        self.end_sim()
        self.start_sim()
        self.cable.fate = network.whole
        calls = self.start_calls(8, PATIENCE)
        self.assert_all(calls, "UNKNOWN UPSTREAM_CONNECTION_BROKEN", reads="OK")
        self.assert_executed(calls, (0,))
        self.assert_dead_are_found_out()

    def assert_dead_are_found_out(self):
        """One by one, and only by calls: until then an update may hit one."""
        before = self.tried
        wait_until(lambda: self.end_calls(self.start_calls(20, PATIENCE))["updates"] == {"OK": 10}, "the last dead connection")
        self.tried = before
        self.assert_recovers()

    @scenario("a gateway forgets the kept connections, without a word", 62,
              "given up after twice --connect-timeout: reads succeed, updates are UNKNOWN; then calls succeed")
    def test_gateway_forgets(self):
        self.start_bridge("--connect-timeout", "500ms")
        self.fill_pool(50)
        self.cable.fate = network.forgetful(set(self.cable.flows))
        calls = self.start_calls(8, PATIENCE)
        self.assert_all(calls, "UNKNOWN UPSTREAM_CONNECTION_BROKEN", reads="OK")
        self.assert_executed(calls, (0,))
        self.assert_dead_are_found_out()

    def start_proxy(self, folder):
        """TLS and HTTP/2 in front of the simulator."""
        key, certificate = make_certificate(folder, "upstream", f"IP:{UPSTREAM}")
        arguments = ["nghttpx", f"--frontend={UPSTREAM},8443", f"--backend={UPSTREAM},{PORT}", "--workers=1", "--conf=/dev/null",
                     key, certificate]
        proxy = self.upstream_host.run(lambda: Process(arguments))

        def end():
            proxy.process.kill()
            proxy.process.wait()
            proxy.stderr.close()

        self.addCleanup(end)
        wait_until(lambda: self.bridge_host.run(self.proxy_accepts) or not proxy.alive(), "the proxy")
        return certificate

    @staticmethod
    def proxy_accepts():
        with socket.socket() as probe:
            return probe.connect_ex((UPSTREAM, 8443)) == 0

    @scenario("a gateway forgets the one connection of HTTP/2", 16,
              "given up after twice --connect-timeout: reads succeed, updates are UNKNOWN; then calls succeed")
    def test_gateway_forgets_http2(self):
        folder = tempfile.TemporaryDirectory(prefix="bridge-network-")
        self.addCleanup(folder.cleanup)
        certificate = self.start_proxy(folder.name)
        self.start_bridge("--connect-timeout", "500ms", "--ca-file", certificate, url=f"https://{UPSTREAM}:8443")
        self.fill_pool(4)
        self.cable.fate = network.forgetful(set(self.cable.flows))
        calls = self.start_calls(8, PATIENCE)
        self.assert_all(calls, "UNKNOWN UPSTREAM_CONNECTION_BROKEN", reads="OK")
        self.assert_executed(calls, (0,))
        self.assert_recovers()


class NotReading(Network):
    @scenario("ModelArts accepts connections and reads nothing", 24, "DEADLINE_EXCEEDED; then calls succeed")
    def test_stopped(self):
        self.start_bridge()
        self.fill_pool(4)
        self.sim.process.send_signal(signal.SIGSTOP)
        try:
            # The second kind is larger than all buffers on the way.
            calls = self.start_calls(8, 2) + self.start_calls(8, 2, config=[config_of_bytes(3500000)])
            self.assert_all(calls, "DEADLINE_EXCEEDED")
        finally:
            self.sim.process.send_signal(signal.SIGCONT)
        self.assert_recovers()
        self.assert_executed(calls, (0, 1))


if __name__ == "__main__":
    unittest.main()
