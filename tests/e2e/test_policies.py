"""What an operator decides: repeats, drift, further metadata, rows of the error table."""
import itertools
import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

from harness import Bridge, Case, PATIENCE, TOKEN, attempt
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc, service_config_pb2

C = grpc.StatusCode
numbers = itertools.count()
CONFIG = [service_config_pb2.ServiceConfig(model_id="demo-model", weight=100, specification="modelarts.vm.cpu.2u",
                                           instance_count=1)]


class WithBridges(Case):
    """Each test may start further bridges with settings of its own."""

    def start(self, *arguments, url=None):
        bridge = Bridge(url or self.sim.url, *arguments)
        self.addCleanup(self.end_cleanly, bridge)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        return bridge, modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def logs(self, fault, stub=None, **options):
        self.service_id = f"{fault}--{next(numbers)}"
        return attempt((stub or self.stub).ShowServiceUpdateLogs,
                       pb.ShowServiceUpdateLogsRequest(service_id=self.service_id), **options)

    def update(self, fault, stub=None, **fields):
        self.service_id = f"{fault}--{next(numbers)}"
        return attempt((stub or self.stub).UpdateService,
                       pb.UpdateServiceRequest(service_id=self.service_id, **fields))

    def arrived(self):
        return len(self.sim.journal(self.service_id))


class Repeats(WithBridges):
    def test_a_read_is_repeated(self):
        for status in (429, 502, 503, 504):
            _, trailers = self.ok(self.logs(f"fault-flaky-2-{status}"))
            self.assertEqual((self.arrived(), trailers["modelarts-bridge-attempts"]), (3, "3"))

    def test_a_read_is_repeated_so_often_and_no_more(self):
        failure = self.fails(self.logs("fault-503"), C.UNAVAILABLE, "MODELARTS_4302")
        self.assertEqual((self.arrived(), failure.trailers["modelarts-bridge-attempts"]), (3, "3"))
        _, stub = self.start("--max-attempts", "1")
        failure = self.fails(self.logs("fault-503", stub), C.UNAVAILABLE, "MODELARTS_4302")
        self.assertEqual(self.arrived(), 1)
        self.assertNotIn("modelarts-bridge-attempts", failure.trailers)

    def test_what_a_repeat_does_not_cure_is_not_repeated(self):
        for fault in ("fault-500", "fault-404", "fault-code-400-ModelArts.3519", "fault-not-json"):
            self.logs(fault)
            self.assertEqual(self.arrived(), 1, fault)

    def test_an_update_never_runs_twice(self):
        """Also where it was executed and the answer said otherwise, or got lost."""
        for fault in ("fault-executed-503", "fault-503", "fault-429", "fault-reset", "fault-close", "fault-truncated",
                      "fault-flaky-1-503", "fault-html-502", "fault-504"):
            self.update(fault, description="d")
            self.assertEqual(self.arrived(), 1, fault)

    def test_retry_after_is_honoured_within_the_deadline(self):
        failure = self.logs("fault-429-retry-after-30", timeout=5)
        self.fails(failure, C.RESOURCE_EXHAUSTED, "MODELARTS_6101")
        self.assertEqual(self.arrived(), 1)
        self.assertEqual(failure.details["RetryInfo"].retry_delay.seconds, 30)

    def test_a_connection_that_was_refused_is_tried_again_for_any_method(self):
        """Nobody listens at first; the listener comes while the bridge waits for its next attempt."""
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            _, stub = self.start("--max-attempts", "10", url=f"http://127.0.0.1:{reserved.getsockname()[1]}")
            requests = []

            def serve():
                connection, _ = reserved.accept()
                with connection:
                    requests.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

            call = stub.UpdateService.future(pb.UpdateServiceRequest(service_id="svc"), timeout=PATIENCE,
                                             metadata=(TOKEN,))
            reserved.listen()
            server = threading.Thread(target=serve, daemon=True)
            server.start()
            self.assertEqual(call.result(), pb.UpdateServiceResponse())
            server.join(PATIENCE)
            self.assertEqual(len(requests), 1)


class KeptConnections(WithBridges):
    def test_an_update_is_not_repeated_when_the_connection_ends_with_it(self):
        """The server executes it, goes away without an answer, and is back soon: libcurl connects anew by itself."""
        requests = []
        with socket.socket() as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(("127.0.0.1", 0))
            first.listen()
            address = first.getsockname()

            def serve():
                connection, _ = first.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    requests.append(connection.recv(65536))
                    first.close()
                with socket.socket() as again:
                    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    time.sleep(0.03)  # as long as a restart takes: the new connection is refused meanwhile
                    again.bind(address)
                    again.listen()
                    again.settimeout(1)
                    try:
                        connection, _ = again.accept()
                    except TimeoutError:
                        return
                    with connection:
                        requests.append(connection.recv(65536))
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

            server = threading.Thread(target=serve, daemon=True)
            server.start()
            _, stub = self.start(url=f"http://127.0.0.1:{address[1]}")
            self.ok(self.update("svc", stub))
            failure = self.fails(self.update("svc", stub), C.UNKNOWN, "UPSTREAM_CONNECTION_BROKEN")
            self.assertIn("may have been executed", failure.message)
            server.join(PATIENCE)
        self.assertEqual(len(requests), 1, "an update ran twice")


class Leaving(WithBridges):
    def test_a_caller_that_leaves_ends_the_connection(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            server.settimeout(PATIENCE)
            _, stub = self.start(url=f"http://127.0.0.1:{server.getsockname()[1]}")
            call = stub.UpdateService.future(pb.UpdateServiceRequest(service_id="svc"), timeout=PATIENCE,
                                             metadata=(TOKEN,))
            connection, _ = server.accept()
            with connection:
                connection.settimeout(PATIENCE)
                self.assertIn(b"PUT /v1/", connection.recv(65536))
                call.cancel()
                self.assertEqual(connection.recv(65536), b"", "the connection is still open")


class Drift(WithBridges):
    def test_strict_fails_the_call_and_says_that_it_ran(self):
        _, stub = self.start("--upstream-drift", "strict")
        failure = self.fails(self.update("form-unknown-fields", stub, config=CONFIG), C.INTERNAL, "UPSTREAM_DRIFT")
        self.assertIn("was executed", failure.message)
        self.ok(self.update("svc", stub, config=CONFIG))

    def test_ignore_logs_nothing(self):
        bridge, stub = self.start("--upstream-drift", "ignore")
        self.ok(self.update("form-unknown-fields", stub, config=CONFIG))
        self.assertEqual(bridge.events("upstream_unknown_key"), [])

    def test_warn_logs_once_each(self):
        bridge, stub = self.start()
        for _ in range(3):
            self.ok(self.update("form-unknown-fields", stub, config=CONFIG))
        seen = [(e["where"], e["what"]) for e in bridge.events("upstream_unknown_key")]
        self.assertGreater(len(seen), 0)
        self.assertEqual(len(seen), len(set(seen)))


    def test_codes_without_a_row_are_logged_once_each(self):
        bridge, stub = self.start()
        for _ in range(3):
            self.fails(self.update("fault-code-400-ModelArts.50015001", stub), C.INVALID_ARGUMENT, "MODELARTS_50015001")
            self.fails(self.update("fault-code-404-ModelArts.3502", stub), C.NOT_FOUND, "MODELARTS_3502")
        self.assertEqual([e["what"] for e in bridge.events("upstream_unmapped_code")], ["MODELARTS_50015001"])


class Traces(WithBridges):
    TRACE = "0af7651916cd43dd8448eb211c80319c"
    SPAN = "b7ad6b7169203331"

    def sent(self, *metadata, fault="svc"):
        """The trace headers of each request of one call, as they arrived."""
        self.logs(fault, metadata=(TOKEN, *metadata))
        return [{name: value for name, value in entry["headers"].items() if name.startswith("trace")}
                for entry in self.sim.journal(self.service_id)]

    def parent(self, text, **options):
        headers, = self.sent(("traceparent", text), ("tracestate", "congo=t61rcWkgMzE"), **options)
        return headers

    def test_the_trace_stays_and_the_span_is_the_bridges(self):
        spans = set()
        for flags in ("01", "00", "01"):
            headers = self.parent(f"00-{self.TRACE}-{self.SPAN}-{flags}")
            self.assertRegex(headers["traceparent"], f"^00-{self.TRACE}-[0-9a-f]{{16}}-{flags}$")
            self.assertEqual(headers["tracestate"], "congo=t61rcWkgMzE")
            spans.add(headers["traceparent"].split("-")[2])
        self.assertEqual(len(spans | {self.SPAN, "0" * 16}), 5, spans)

    def test_all_attempts_of_a_call_have_one_span(self):
        requests = self.sent(("traceparent", f"00-{self.TRACE}-{self.SPAN}-01"), fault="fault-flaky-2-503")
        self.assertEqual(len(requests), 3)
        self.assertEqual(len({headers["traceparent"] for headers in requests}), 1, requests)

    def test_a_later_version_goes_on_as_version_00(self):
        headers = self.parent(f"cc-{self.TRACE}-{self.SPAN}-01-more")
        self.assertRegex(headers["traceparent"], f"^00-{self.TRACE}-[0-9a-f]{{16}}-01$")

    def test_what_is_malformed_goes_nowhere_and_harms_no_call(self):
        for text in ("", "x", f"00-{self.TRACE}-{self.SPAN}", f"00-{self.TRACE}-{self.SPAN}-01-more",
                     f"ff-{self.TRACE}-{self.SPAN}-01", f"00-{self.TRACE.upper()}-{self.SPAN}-01",
                     f"00-{'0' * 32}-{self.SPAN}-01", f"00-{self.TRACE}-{'0' * 16}-01"):
            self.assertEqual(self.parent(text), {}, text)

    def test_the_bridge_begins_no_trace(self):
        self.assertEqual(self.sent(), [{}])
        self.assertEqual(self.sent(("tracestate", "congo=t61rcWkgMzE")), [{}])

    def test_tracestate_in_pieces_arrives_whole(self):
        headers, = self.sent(("tracestate", "a=1"), ("traceparent", f"00-{self.TRACE}-{self.SPAN}-01"),
                             ("tracestate", "b=2"))
        self.assertEqual(headers["tracestate"].replace(" ", ""), "a=1,b=2")


class Metadata(WithBridges):
    def test_further_keys_go_up_and_come_back(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            server.settimeout(PATIENCE)
            _, stub = self.start("--forward-metadata", "x-tenant", "--return-header", "x-trace-id",
                                 url=f"http://127.0.0.1:{server.getsockname()[1]}")
            call = stub.UpdateService.future(pb.UpdateServiceRequest(service_id="svc"), timeout=PATIENCE,
                                             metadata=(TOKEN, ("x-tenant", "blue"), ("x-other", "red")))
            connection, _ = server.accept()
            with connection:
                request = connection.recv(65536)
                self.assertIn(b"\r\nx-tenant: blue\r\n", request)
                self.assertNotIn(b"red", request)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Trace-Id: t1\r\nX-Other: no\r\nSet-Cookie: a=b\r\n"
                                   b"Content-Length: 2\r\n\r\n{}")
                self.assertEqual(call.result(), pb.UpdateServiceResponse())
            self.assertEqual(dict(call.trailing_metadata()), {"x-trace-id": "t1"})


class Overrides(WithBridges):
    def rows(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".tsv")
        self.addCleanup(file.close)
        file.write(text)
        file.flush()
        return file.name

    def test_rows_replace_and_add(self):
        path = self.rows("http\tcode\tgrpc\treason\tsource\n"
                         "404\tModelArts.3502\tFAILED_PRECONDITION\tSERVICE_GONE\tours\n"
                         "499\tModelArts.9999\tABORTED\tODD_ONE\tours\n")
        _, stub = self.start("--error-overrides", path)
        self.fails(self.update("fault-code-404-ModelArts.3502", stub), C.FAILED_PRECONDITION, "SERVICE_GONE")
        self.fails(self.update("fault-code-499-ModelArts.9999", stub), C.ABORTED, "ODD_ONE")
        self.fails(self.update("fault-code-400-ModelArts.3519", stub), C.FAILED_PRECONDITION, "MODELARTS_3519")

    def test_bad_rows_are_told_with_file_and_line(self):
        header = "http\tcode\tgrpc\treason\tsource\n"
        for rows, said in ((header + "404\tModelArts.1\tNOPE\tA_REASON\tours\n", "line 2"),
                           (header + "404\tModelArts.1\tOK\tA_REASON\tours\n", "line 2"),
                           (header + "404\tModelArts.1\tABORTED\tlower\tours\n", "line 2"),
                           (header + "404\tModelArts.1\tABORTED\tA_B\tours\n" * 2, "line 3"),
                           ("nonsense\n", "line 1")):
            path = self.rows(rows)
            done = subprocess.run([os.environ["BRIDGE"], "--listen", "127.0.0.1:0", "--upstream-url", self.sim.url,
                                   "--error-overrides", path], capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            for part in ("--error-overrides", path, said):
                self.assertIn(part, done.stderr)


if __name__ == "__main__":
    unittest.main()
