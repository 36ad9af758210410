"""Callers and surroundings that mean no good: floods, callers that do not read, no descriptors, no disk."""
import contextlib
import http.server
import itertools
import json
import os
import resource
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import grpc

import http2
from harness import Bridge, Failure, PATIENCE, SMALL_QUARANTINE, Sim, attempt, scenario, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc
from test_tls import free_port

numbers = itertools.count()
MIB_IN_KIB = 1024


class Hostile(unittest.TestCase):
    def end(self, process):
        code = process.end()
        self.assertEqual(code, 0, process.last_errors[-4000:])

    def start(self, *arguments, url=None):
        if url is None:
            self.sim = Sim()
            self.addCleanup(self.end, self.sim)
        self.bridge = Bridge(url or self.sim.url, *arguments, env=SMALL_QUARANTINE)
        self.addCleanup(self.end, self.bridge)
        # A channel of its own: channels to one address share a connection otherwise.
        channel = self.bridge.channel(**{"grpc.use_local_subchannel_pool": 1})
        self.addCleanup(channel.close)
        self.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def call(self, timeout=PATIENCE):
        return attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=f"svc-{next(numbers)}", description="d"),
                       timeout=timeout)

    def assert_served(self, count=10):
        for _ in range(count):
            result = self.call()
            self.assertNotIsInstance(result, Failure, result)

    @contextlib.contextmanager
    def others_are_served(self):
        """Calls go on meanwhile, and none fails."""
        stop = threading.Event()
        failures, served = [], []

        def go_on():
            while not stop.is_set() and not failures:
                result = self.call()
                (failures if isinstance(result, Failure) else served).append(result)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
            wait_until(lambda: served or failures, "a call of another caller")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])

    @contextlib.contextmanager
    def memory_grows_less_than(self, mib):
        before = self.bridge.rss_kib()
        yield
        grown = self.bridge.rss_kib() - before
        self.assertLess(grown, mib * MIB_IN_KIB, f"{grown} KiB more")


class LargeAnswers(http.server.BaseHTTPRequestHandler):
    """ModelArts with long logs."""

    protocol_version = "HTTP/1.1"
    BYTES = 1 << 20
    LOGS = json.dumps({"logs": [{"extend_config": ["x" * 65536] * (BYTES // 65536)}]}).encode()

    def answer(self, body):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.LOGS)
        self.server.answered.append(1)

    def do_PUT(self):
        self.answer(b"{}")

    def log_message(self, *_):
        pass


class SlowReaders(Hostile):
    """A caller that does not read its answers holds them, and a place of --max-in-flight each."""

    PLACES = 16
    MESSAGE = pb.ShowServiceUpdateLogsRequest(service_id="svc").SerializeToString()

    def setUp(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LargeAnswers)
        server.daemon_threads = True
        server.answered = []
        server.handle_error = lambda *_: None  # a bridge that ends while it is answered
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.server = server
        self.start("--max-in-flight", str(self.PLACES), "--default-timeout", "4s",
                   url=f"http://127.0.0.1:{server.server_address[1]}")

    def read_nothing(self, *headers):
        """Takes all places with calls whose answers are not read."""
        answered = len(self.server.answered)
        caller = http2.connect(self.bridge.address)
        self.addCleanup(caller.close)
        for i in range(self.PLACES):
            caller.sendall(http2.call_frames(2 * i + 1, "ShowServiceUpdateLogs", self.MESSAGE, *headers))
            self.tried += 1
        wait_until(lambda: len(self.server.answered) >= answered + self.PLACES, "the answers")
        return caller

    def wait_for_places(self, caller):
        """All calls of |caller| are ended, and others are served."""
        ended = 0
        while ended < self.PLACES:
            ended += http2.read_frame(caller)[0] == http2.RST_STREAM
        wait_until(lambda: not isinstance(self.call(), Failure), "a place")

    @scenario("a caller reads none of its answers of 1 MiB, without a deadline", 48,
              "ended after --default-timeout; memory stays; others are served again")
    def test_without_a_deadline(self):
        caller = self.read_nothing()
        self.assertEqual(self.call().reason, "TOO_MANY_CALLS")
        self.wait_for_places(caller)
        with self.memory_grows_less_than(100):
            for _ in range(2):
                self.wait_for_places(self.read_nothing())
        wait_until(lambda: self.bridge.events("reply_not_read"), "a line in the log")

    @scenario("a caller reads none of its answers of 1 MiB, with a deadline", 16, "ended at its deadline; others are served again")
    def test_with_a_deadline(self):
        self.wait_for_places(self.read_nothing((b"grpc-timeout", b"4S")))
        self.assertEqual(self.bridge.events("reply_not_read"), [])

    @scenario("answers of 1 MiB that are read slowly", 1, "no more is sent than the caller has room for; it arrives whole")
    def test_flow_control(self):
        caller = http2.connect(self.bridge.address)
        self.addCleanup(caller.close)
        self.tried += 1
        caller.sendall(http2.call_frames(1, "ShowServiceUpdateLogs", self.MESSAGE))
        room, received, trailers = 65535, 0, False
        while not trailers:
            kind, flags, stream, payload = http2.read_frame(caller)
            trailers = kind == http2.HEADERS and flags & http2.END_STREAM
            if kind == http2.DATA:
                received += len(payload)
                self.assertLessEqual(received, room)
                if received == room:
                    more = struct.pack(">I", 65535 * 16)
                    caller.sendall(http2.frame(http2.WINDOW_UPDATE, 0, more) +
                                   http2.frame(http2.WINDOW_UPDATE, 0, more, stream))
                    room += 65535 * 16
        self.assertGreater(received, LargeAnswers.BYTES)


class Floods(Hostile):
    MESSAGE = pb.UpdateServiceRequest(service_id="svc-flood", description="d").SerializeToString()

    def setUp(self):
        self.start()

    def pour(self, data, first=b"", count=1):
        """Sends |first| and |data| |count| times on a connection that is not read; it may be ended meanwhile."""
        connection = http2.connect(self.bridge.address)
        self.addCleanup(connection.close)
        with contextlib.suppress(ConnectionError):
            connection.sendall(first)
            for _ in range(count):
                connection.sendall(data)
        self.tried += count
        return connection

    @scenario("streams that are opened and reset at once, on 4 connections", 10000,
              "no more requests upstream than were sent; memory stays; others are served meanwhile")
    def test_rapid_reset(self):
        cancel = struct.pack(">I", http2.CANCEL)

        def burst():
            connection = http2.connect(self.bridge.address)
            self.addCleanup(connection.close)
            with contextlib.suppress(ConnectionError):
                for i in range(2500):
                    stream = 2 * i + 1
                    connection.sendall(http2.call_frames(stream, "UpdateService", self.MESSAGE) +
                                       http2.frame(http2.RST_STREAM, 0, cancel, stream))

        with self.memory_grows_less_than(200), self.others_are_served():
            threads = [threading.Thread(target=burst) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.tried += 10000
            self.assert_served()
        arrived = self.sim.journal("svc-flood")
        self.assertLessEqual(len(arrived), 10000)

    @scenario("a call with more metadata than 64 KiB", 1, "the call is refused; others are served")
    def test_headers_above_the_ceiling(self):
        block = http2.request_headers("UpdateService") + http2.header(b"x-large", b"y" * 1000) * 100
        pieces = [block[i:i + http2.FRAME_MAX] for i in range(0, len(block), http2.FRAME_MAX)]
        frames = [http2.frame(http2.CONTINUATION if i else http2.HEADERS, 0 if piece is not pieces[-1] else http2.END_HEADERS,
                              piece, 1) for i, piece in enumerate(pieces)]
        connection = self.pour(b"".join(frames))
        ends = (http2.RST_STREAM, http2.HEADERS, http2.GOAWAY)
        while http2.read_frame(connection)[0] not in ends:
            pass
        self.assert_served()
        self.assertEqual(self.sim.journal("svc-flood"), [])

    @scenario("CONTINUATION frames of small headers, without an end", 1000, "memory stays; others are served")
    def test_continuation_flood(self):
        first = http2.frame(http2.HEADERS, 0, http2.request_headers("UpdateService"), 1)
        more = http2.frame(http2.CONTINUATION, 0, http2.header(b"x-small", b"y" * 50) * 250, 1)
        with self.memory_grows_less_than(100), self.others_are_served():
            self.pour(more, first, 1000)
            self.assert_served()

    @scenario("one header without an end, in 64 frames of 16 kB", 64, "memory stays; others are served after a delay (CVE-2023-33953)")
    def test_header_without_an_end(self):
        first = http2.frame(http2.HEADERS, 0, http2.request_headers("UpdateService") + b"\0" + http2.text(b"x-endless") +
                            http2.integer(1 << 30, 7), 1)
        with self.memory_grows_less_than(100), self.others_are_served():
            self.pour(http2.frame(http2.CONTINUATION, 0, b"y" * 16000, 1), first, 64)
            self.assert_served()

    def flood(self, frame, first=b""):
        with self.memory_grows_less_than(200), self.others_are_served():
            for _ in range(2):
                self.pour(frame * 1000, first, 50)
            self.assert_served()
        self.tried *= 1000

    @scenario("PING frames whose answers are not read", 100000, "memory stays; others are served")
    def test_ping_flood(self):
        self.flood(http2.frame(http2.PING, 0, b"12345678"))

    @scenario("SETTINGS frames whose answers are not read", 100000, "memory stays; others are served")
    def test_settings_flood(self):
        self.flood(http2.frame(http2.SETTINGS, 0, struct.pack(">HI", 4, 65535)))

    @scenario("DATA frames without data", 100000, "memory stays; others are served")
    def test_empty_data_flood(self):
        self.flood(http2.frame(http2.DATA, 0, b"", 1),
                   http2.frame(http2.HEADERS, http2.END_HEADERS, http2.request_headers("UpdateService"), 1))


class Descriptors(Hostile):
    def limit(self, end):
        """The bridge may open descriptors below |end|."""
        _, hard = resource.prlimit(self.bridge.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.bridge.process.pid, resource.RLIMIT_NOFILE, (end, hard))

    def next_descriptor(self):
        """One that is above all that are open."""
        return max(int(name) for name in os.listdir(f"/proc/{self.bridge.process.pid}/fd")) + 1

    def is_welcome(self):
        """Whether a new connection is greeted with SETTINGS; else it was ended."""
        self.tried += 1
        connection = http2.connect(self.bridge.address)
        self.held.append(connection)
        try:
            return http2.read_frame(connection)[0] == http2.SETTINGS
        except (EOFError, ConnectionError):
            return False

    def leave(self):
        for connection in self.held:
            connection.close()

    @scenario("callers take all file descriptors", 60,
              "further connections are closed at once, calls on others go on; all is as before when they leave")
    def test_connections(self):
        self.start()
        self.assert_served()
        self.held = []
        self.limit(self.next_descriptor() + 20)
        welcome = [self.is_welcome() for _ in range(60)]
        # A few more than 20 find a gap below.
        self.assertIn(welcome.count(True), range(20, 30))
        self.assertEqual(welcome, sorted(welcome, reverse=True))
        self.assert_served()
        wait_until(lambda: self.bridge.events("connections_refused"), "a line in the log")
        self.leave()
        wait_until(self.is_welcome, "a welcome")
        self.leave()
        self.tried = 60
        with self.bridge.channel(**{"grpc.use_local_subchannel_pool": 1}) as channel:
            self.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
            self.assert_served()

    @scenario("no file descriptor for a connection to ModelArts", 1,
              "UNAVAILABLE UPSTREAM_UNREACHABLE, nothing executed; calls succeed when there is one")
    def test_upstream(self):
        self.start()
        # So that this caller has its connection.
        attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=""))
        limit = self.next_descriptor() + 20
        self.limit(0)
        self.tried += 1
        failure = self.call()
        self.limit(limit)
        self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNREACHABLE"))
        self.assertEqual(self.sim.journal(), [])
        self.assert_served()


class Logs(Hostile):
    """Standard error is on a disk that is full."""

    def start_with_log(self, log):
        self.sim = Sim()
        self.addCleanup(self.end, self.sim)
        folder = tempfile.TemporaryDirectory(prefix="bridge-hostile-")
        self.addCleanup(folder.cleanup)
        address, self.admin_port = f"unix:{folder.name}/bridge.sock", free_port()
        process = subprocess.Popen([os.environ["BRIDGE"], "serve", "--listen", address, "--upstream-url", self.sim.url, "--project-id",
                                    "demo-project", "--admin-listen", f"127.0.0.1:{self.admin_port}"], stderr=log)

        def end():
            process.terminate()
            try:
                self.assertEqual(process.wait(PATIENCE), 0)
            finally:
                process.kill()
                process.wait()

        self.addCleanup(end)
        channel = grpc.insecure_channel(address)
        self.addCleanup(channel.close)
        grpc.channel_ready_future(channel).result(PATIENCE)
        self.stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def dropped_count(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return int(text.split("\nmodelarts_bridge_log_lines_dropped_total ")[1].split("\n")[0])

    def make_calls(self, count):
        self.tried += count
        self.assert_served(count)

    @scenario("the log cannot be written at all", 100, "calls go on; modelarts_bridge_log_lines_dropped_total counts")
    def test_no_log_at_all(self):
        with open("/dev/full", "w") as log:
            self.start_with_log(log)
        self.make_calls(100)
        self.assertGreaterEqual(self.dropped_count(), 100)

    @scenario("the log's disk is full, and then is not", 110,
              "calls go on; the log tells how many lines are missing, and has no half line")
    def test_full_disk(self):
        folder = tempfile.mkdtemp(prefix="bridge-full-")
        self.addCleanup(os.rmdir, folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12k", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", folder], check=True)
        path = os.path.join(folder, "log")
        with open(path, "a") as log:
            self.start_with_log(log)
        self.make_calls(100)
        dropped = self.dropped_count()
        self.assertGreaterEqual(dropped, 50)
        os.truncate(path, 0)
        self.make_calls(10)
        with open(path) as log:
            lines = [json.loads(line) for line in log if line != "\n"]
        self.assertEqual([line["count"] for line in lines if line["event"] == "log_lines_dropped"], [dropped])
        self.assertEqual(len([line for line in lines if line["event"] == "call"]), 10)
        self.assertEqual(self.dropped_count(), dropped)


if __name__ == "__main__":
    unittest.main()
