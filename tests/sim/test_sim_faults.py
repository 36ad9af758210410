"""End-to-end test of modelarts-sim: faults, hostile clients, start and end. Usage: test_sim_faults.py PATH_TO_BINARY"""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True

import simulator
from simulator import README, SERVICES, TIMEOUT_S, Sim, config, wait_until


class FaultsTest(simulator.SimCase):
    def test_fault_statuses(self):
        for name, status, code in (("400", 400, "ModelArts.0104"), ("401", 401, "ModelArts.0203"),
                                   ("404", 404, "ModelArts.3502"), ("409", 409, "ModelArts.5044"),
                                   ("429", 429, "ModelArts.6101"), ("500", 500, "ModelArts.0010"),
                                   ("502", 502, "ModelArts.0010"), ("503", 503, "ModelArts.4302"),
                                   ("504", 504, "ModelArts.4503"), ("418", 418, "ModelArts.0101"),
                                   ("599", 599, "ModelArts.0010"),
                                   ("code-403-APIGW.0302", 403, "APIGW.0302"),
                                   ("code-500-ModelArts.3506", 500, "ModelArts.3506"),
                                   ("code-404-APIG.0101", 404, "APIG.0101"),
                                   ("code-400-ModelArts.50015001", 400, "ModelArts.50015001")):
            for method, tail in (("GET", ""), ("PUT", ""), ("PUT", "/property"), ("GET", "/logs")):
                with self.subTest(name=name, method=method, tail=tail):
                    path = SERVICES + "/fault-" + name + "--x" + tail
                    answer = self.sim.request(method, path, body={} if method == "PUT" else None)
                    self.assert_error(answer, status, code)
        line = self.sim.last("fault-503--x")
        self.assertEqual((line["fault"], line["executed"], line["status"]), ("fault-503", False, 503))
        self.assertEqual(self.sim.get("/fault-503", token=None).status, 401)

    def test_fault_retry_after(self):
        answer = self.sim.get("/fault-429-retry-after-2")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "2"))
        self.assertRegex(self.sim.get("/fault-503-retry-after-date").headers["Retry-After"],
                         r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertIsNone(self.sim.get("/fault-503").headers["Retry-After"])

    def test_fault_bodies(self):
        self.assertEqual(self.sim.get("/fault-iam-401").json()["error"]["code"], 401)
        for status in (200, 502):
            answer = self.sim.get("/fault-html-%d" % status)
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (status, "text/html"))
        self.assertEqual(self.sim.get("/fault-text-503").headers["Content-Type"], "text/plain")
        for status in (200, 500):
            answer = self.sim.get("/fault-empty-%d" % status)
            self.assertEqual((answer.status, answer.body), (status, b""))
        for name in ("not-json", "truncated-json"):
            answer = self.sim.get("/fault-" + name)
            self.assertEqual(answer.status, 200)
            self.assertRaises(ValueError, answer.json)
        answer = self.sim.get("/fault-redirect")
        self.assertEqual((answer.status, answer.headers["Location"]), (302, "http://127.0.0.1:1/"))

    def test_fault_huge_and_deep(self):
        answer = self.sim.get("/fault-huge-3MiB")
        self.assertEqual((answer.status, len(answer.body)), (200, 3 * 1024 * 1024))
        self.assertEqual(set(answer.json()), {"update_time", "padding"})
        answer = self.sim.get("/fault-huge-error-2MiB")
        self.assertEqual((answer.status, len(answer.body)), (500, 2 * 1024 * 1024))
        self.assertEqual(answer.json()["error_code"], "ModelArts.0010")
        body = self.sim.get("/fault-deep-100000").body
        self.assertEqual((body.count(b"["), body.count(b"]")), (99999, 99999))

    def test_fault_reset_is_a_reset_every_time(self):
        for _ in range(10):
            with self.sim.connect() as connection:
                connection.sendall(b"GET %s/fault-reset HTTP/1.1\r\nHost: h\r\nX-Auth-Token: sim-token\r\n\r\n"
                                   % SERVICES.encode())
                self.assertRaises(ConnectionResetError, connection.recv, 1)
        self.assertIsNone(self.sim.last("fault-reset")["status"])

    def test_fault_close_is_a_close(self):
        with self.sim.connect() as connection:
            connection.sendall(b"GET %s/fault-close HTTP/1.1\r\nHost: h\r\nX-Auth-Token: sim-token\r\n\r\n"
                               % SERVICES.encode())
            self.assertEqual(connection.recv(1), b"")

    def test_fault_truncated_declares_more_than_it_sends(self):
        data = self.sim.raw(b"PUT %s/fault-truncated HTTP/1.1\r\nHost: h\r\nX-Auth-Token: sim-token\r\n"
                            b"Content-Length: 2\r\n\r\n{}" % SERVICES.encode())
        head, body = data.split(b"\r\n\r\n", 1)
        self.assertIn(b"content-length: 66", head.lower())
        self.assertEqual(body, b"{}")
        self.assertTrue(self.sim.last("fault-truncated")["executed"])

    def test_fault_drip_sends_a_byte_at_a_time(self):
        with self.sim.connect() as connection:
            connection.sendall(b"PUT %s/fault-drip-30ms HTTP/1.1\r\nHost: h\r\nX-Auth-Token: sim-token\r\n"
                               b"Connection: close\r\nContent-Length: 18\r\n\r\n"
                               b"{\"description\":\"\"}" % SERVICES.encode())
            start = time.monotonic()
            data, pieces = b"", 0
            while True:
                piece = connection.recv(65536)
                if not piece:
                    break
                data += piece
                pieces += 1
        self.assertEqual(data.split(b"\r\n\r\n", 1)[1], b"{}")
        self.assertGreaterEqual(time.monotonic() - start, 0.05)
        self.assertGreaterEqual(pieces, 2)

    def test_fault_executed_changes_and_then_fails(self):
        self.assert_error(self.sim.put("/fault-executed-503--a", {"config": [config()]}), 503, "ModelArts.4302")
        self.assertTrue(self.sim.last("fault-executed-503--a")["executed"])
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.sim.put("/fault-executed-reset--a", {"description": "x"})
        self.assertTrue(self.sim.last("fault-executed-reset--a")["executed"])
        self.assert_error(self.sim.put("/fault-executed-503--b", {"description": 1}), 400, "ModelArts.0104")
        self.assertIsNone(self.sim.last("fault-executed-503--b")["fault"])

    def test_fault_flaky_recovers(self):
        statuses = [self.sim.put("/fault-flaky-2-503--a", {"description": "x"}).status for _ in range(4)]
        self.assertEqual(statuses, [503, 503, 200, 200])
        lines = [line for line in self.sim.journal() if line["service_id"] == "fault-flaky-2-503--a"]
        self.assertEqual([line["executed"] for line in lines], [False, False, True, True])
        self.assertEqual(lines[2]["fault"], None)
        self.assertEqual(self.sim.get("/fault-flaky-2-503--b").status, 503)

    def test_slow_does_not_hold_up_others(self):
        done = []
        slow = threading.Thread(target=lambda: done.append(self.sim.put("/fault-slow-1500ms--a", {"description": "x"})))
        start = time.monotonic()
        slow.start()
        wait_until(lambda: any(line["service_id"] == "fault-slow-1500ms--a" for line in self.sim.journal()),
                   "the slow request's line")
        for _ in range(20):
            self.assertEqual(self.sim.get("/demo-service").status, 200)
        self.assertEqual(done, [])
        slow.join(TIMEOUT_S)
        self.assertGreaterEqual(time.monotonic() - start, 1.5)
        self.assertEqual(done[0].status, 200)

    def test_slow_holds_for_a_refusal_too(self):
        start = time.monotonic()
        self.assert_error(self.sim.put("/fault-slow-300ms--b", {"description": 1}), 400, "ModelArts.0104")
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        self.assertEqual(self.sim.last("fault-slow-300ms--b")["fault"], "fault-slow-300ms")

    def test_many_at_once_are_all_counted(self):
        def work(number):
            for _ in range(20):
                self.sim.put("/svc-many-%d" % number, {"description": str(number)})
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
        lines = self.sim.journal()
        self.assertEqual([line["seq"] for line in lines], list(range(1, len(lines) + 1)))
        self.assertEqual(sum((line["service_id"] or "").startswith("svc-many-") for line in lines), 160)
        ids = [line["request_id"] for line in lines]
        self.assertEqual(len(set(ids)), len(ids))

    def test_hostile_bytes_do_no_harm(self):
        for data in (b"\x00\xff\x16\x03\x01garbage\r\n\r\n", b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"PUT %s/svc-h HTTP/1.1\r\nHost: h\r\nContent-Length: nine\r\n\r\n" % SERVICES.encode(),
                     b"PUT %s/svc-h HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n" % SERVICES.encode(),
                     b"PUT %s/svc-h HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % SERVICES.encode(),
                     b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 700000),
                     b"GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n" % (b"a" * 700000)):
            with self.subTest(data=data[:30]):
                with self.sim.connect() as connection:
                    try:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except ConnectionError:
                        pass
        with self.sim.connect() as connection:
            connection.sendall(b"PUT %s/svc-h HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{" % SERVICES.encode())
        self.assertEqual(self.sim.get("/demo-service").status, 200)

    def test_chunked_body_and_keep_alive(self):
        with self.sim.connect() as connection:
            for _ in range(2):
                connection.sendall(b"PUT %s/svc-chunks HTTP/1.1\r\nHost: h\r\nX-Auth-Token: sim-token\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n9\r\n{\"descrip\r\n9\r\ntion\":\"a\"\r\n"
                                   b"1\r\n}\r\n0\r\n\r\n" % SERVICES.encode())
                data = b""
                while not data.endswith(b"{}"):
                    piece = connection.recv(65536)
                    self.assertTrue(piece)
                    data += piece
                self.assertTrue(data.startswith(b"HTTP/1.1 200 "))
        self.assertEqual(self.sim.last("svc-chunks")["body"], {"description": "a"})


class LifecycleTest(unittest.TestCase):
    def run_binary(self, *flags, env=None):
        return subprocess.run([simulator.BINARY, *flags], capture_output=True, timeout=TIMEOUT_S, text=True,
                              env={**os.environ, **(env or {})})

    def end_with_requests_under_way(self, sim, signal_number):
        names = (b"slow-60000ms", b"drip-60000ms", b"huge-64MiB")
        connections = [sim.connect() for _ in range(len(names) + 1)]
        try:
            for connection, name in zip(connections, names):
                connection.sendall(b"GET %s/fault-%s HTTP/1.1\r\nHost: h\r\nX-Auth-Token: sim-token\r\n\r\n"
                                   % (SERVICES.encode(), name))
            wait_until(lambda: len(sim.journal()) == len(names), "the requests")
            start = time.monotonic()
            code = sim.stop(signal_number)
            return code, time.monotonic() - start
        finally:
            for connection in connections:
                connection.close()

    def test_signals_end_it_at_once_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            sim = Sim()
            try:
                code, duration_s = self.end_with_requests_under_way(sim, number)
            finally:
                sim.discard()
            self.assertEqual((code, simulator.without_log_lines(sim.stderr)), (0, ""))
            self.assertLess(duration_s, 5)
            self.assertEqual(sim.stdout, "modelarts-sim listening on 127.0.0.1:%d\n" % sim.port)

    def test_journal_is_appended_to(self):
        sim = Sim()
        try:
            sim.get("/demo-service")
            sim.stop()
            before = sim.journal()
            again = self.run_binary("--listen", "127.0.0.1:0", "--journal", sim.journal_path,
                                    "--port-file", "/nowhere/port")
            self.assertEqual(again.returncode, 1)
            self.assertIn("/nowhere/port", again.stderr)
            self.assertEqual(sim.journal(), before)
        finally:
            sim.discard()

    def test_environment_sets_what_flags_do_not(self):
        sim = Sim(env={"MODELARTS_SIM_TOKEN": "from-env", "MODELARTS_SIM_PROJECT_ID": "p-env"})
        try:
            self.assertEqual(sim.request("GET", "/v1/p-env/services", token="from-env").status, 200)
            self.assertEqual(sim.request("GET", "/v1/p-env/services", token="sim-token").status, 401)
        finally:
            sim.discard()

    def test_bad_settings_are_refused(self):
        for flags, code in ((("--listen", "nowhere"), 2), (("--listen", "127.0.0.1:65536"), 2),
                            (("--listen", "host.invalid:1"), 2), (("--settle", "soon"), 2), (("--nothing",), 2),
                            (("extra",), 2), (("--log-level", "loud"), 2),
                            (("--listen", "127.0.0.1:0", "--journal", "/nowhere/journal"), 1)):
            with self.subTest(flags=flags):
                result = self.run_binary(*flags)
                self.assertEqual(result.returncode, code)
                self.assertRegex(result.stderr, r"^modelarts-sim: .+\n$")

    def test_a_port_in_use_is_refused(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            result = self.run_binary("--listen", "127.0.0.1:%d" % taken.getsockname()[1])
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot listen", result.stderr)

    def test_help_and_readme_name_the_same_flags(self):
        result = self.run_binary("--help")
        self.assertEqual(result.returncode, 0)
        with open(README, encoding="utf-8") as file:
            documented = set(re.findall(r"^\| `--([a-z-]+)`", file.read(), re.M))
        self.assertEqual(set(re.findall(r"^\s*--([a-z-]+)", result.stdout, re.M)), documented)
        self.assertRegex(self.run_binary("--version").stdout, r"^modelarts-sim \d+\.\d+\.\d+\n$")

    def test_ipv6_if_there_is_any(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        process = subprocess.Popen([simulator.BINARY, "--listen", "[::1]:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            line = process.stdout.readline().decode()
            self.assertRegex(line, r"^modelarts-sim listening on \[::1\]:\d+\n$")
            socket.create_connection(("::1", int(line.rsplit(":", 1)[1])), timeout=TIMEOUT_S).close()
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    simulator.main(__doc__)
