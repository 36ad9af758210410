"""A bridge whose own allocations fail, when it starts and when it is called. The sanitizers judge what is left behind."""
import os
import unittest

import grpc

from harness import Bridge, Failure, PATIENCE, PROJECT, Process, Sim, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc
from reflection import health

# How each of Called.ask() ends with enough memory.
WELL = ["OK", "INVALID_ARGUMENT", "NOT_FOUND", "OK", "OK"]
NO_MEMORY = "RESOURCE_EXHAUSTED"


class Started(unittest.TestCase):
    def test_start_without_memory_is_told(self):
        refused = 0
        for count in range(0, 10000, 9):
            bridge = Process([os.environ["BRIDGE_STARVED"], "--listen", "127.0.0.1:0", "--upstream-url",
                              "https://upstream.invalid", "--project-id", PROJECT], {"STARVED_START": str(count)})
            wait_until(lambda: bridge.events("listening") or not bridge.alive(), "the start, or its end")
            listening = bridge.events("listening")
            code = bridge.end()
            if listening:
                self.assertEqual(code, 0, bridge.last_errors[-4000:])
            else:
                self.assertIn(code, (1, 2), bridge.last_errors[-4000:])
                self.assertRegex(bridge.last_errors, r"(?m)^modelarts-bridge: .*memory.*$")
                refused = count
            if count > refused + 50:
                break
        self.assertGreater(refused, 100)


class Called(unittest.TestCase):
    def start(self, every, total):
        sim = Sim()
        self.addCleanup(sim.end)
        bridge = Bridge(sim.url, program="BRIDGE_STARVED", env={"STARVED_EVERY": str(every), "STARVED_TOTAL": str(total)})
        channel = bridge.channel()
        self.addCleanup(channel.close)
        self.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
        make = health.HealthCheckRequest.SerializeToString, health.HealthCheckResponse.FromString
        self.check_method = channel.unary_unary("/grpc.health.v1.Health/Check", *make)
        self.watch_method = channel.unary_stream("/grpc.health.v1.Health/Watch", *make)
        return bridge

    def call(self, method, request):
        result = attempt(method, request)
        return result.code.name if isinstance(result, Failure) else "OK"

    def update(self, **fields):
        return self.call(self.stub.UpdateService, pb.UpdateServiceRequest(description="d", **fields))

    def watch(self):
        stream = self.watch_method(health.HealthCheckRequest(), timeout=PATIENCE)
        try:
            next(stream)
            return "OK"
        except grpc.RpcError as error:
            return error.code().name
        finally:
            stream.cancel()

    def ask(self):
        """A call of each kind: how they ended."""
        return [self.update(service_id="demo-service"), self.update(service_id="demo-service", priority=9),
                self.update(service_id="nobody"), self.call(self.check_method, health.HealthCheckRequest()),
                self.watch()]

    def test_calls_end_and_the_bridge_is_well_once_there_is_memory(self):
        # With all failing, not even the requests for further calls can be made: the bridge asks again by itself.
        for every, total in ((1, 60), (2, 100), (3, 100), (5, 100), (7, 100), (11, 100)):
            with self.subTest(every=every, total=total):
                bridge = self.start(every, total)
                rounds = [self.ask()]
                while rounds[-1] != WELL and len(rounds) < 200:
                    rounds.append(self.ask())
                    for outcome, well in zip(rounds[-1], WELL):
                        self.assertIn(outcome, (well, NO_MEMORY))
                self.assertEqual(rounds[-1], WELL)
                self.assertIn(NO_MEMORY, rounds[0])
                self.assertEqual(bridge.end(), 0, bridge.last_errors[-4000:])


if __name__ == "__main__":
    unittest.main()
