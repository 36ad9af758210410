"""The admin port of the real program: probes, metrics, status, drain and log level, and clients that mean no good."""
import concurrent.futures
import html.parser
import http.client
import itertools
import json
import socket
import threading
import unittest

from harness import (Bridge, Case, PASSWORD, PATIENCE, PROJECT, SECRET_KEY, SECURITY_TOKEN, Sim, TOKEN, attempt, find_secret,
                     wait_until)
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc
from test_credentials import Folder

numbers = itertools.count()
SERVICE = "modelarts.v1.ModelArtsService"
LOGS = f"{SERVICE}/ShowServiceUpdateLogs"
READ_PATHS = ("/", "/livez", "/readyz", "/startupz", "/metrics", "/statusz", "/log-level")
MOST_CONNECTIONS = 16


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.bytes = response.read()
        self.text = self.bytes.decode()
        found = find_secret(self.text) or find_secret(str(response.headers))
        if found is not None:
            raise AssertionError(f"the answer holds the secret {found}")


def address_of(bridge):
    host, _, port = bridge.events("admin_listening")[0]["address"].rpartition(":")
    return host, int(port)


def ask(bridge, path, method="GET", body=None, headers=()):
    connection = http.client.HTTPConnection(*address_of(bridge), timeout=PATIENCE)
    try:
        connection.request(method, path, body, dict(headers))
        return Answer(connection.getresponse())
    finally:
        connection.close()


def status_of(bridge):
    answer = ask(bridge, "/statusz?format=json")
    assert answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.text)


class Outline(html.parser.HTMLParser):
    """Checks that tags are closed in order; collects headings, rows and what a page may not have."""

    VOID = ("meta", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.headings, self.rows, self.attributes = [], set(), [], [], set()
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"not closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("h1", "h2"):
            self.headings.append("")

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes something else")

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.open and self.open[-1] in ("h1", "h2"):
            self.headings[-1] += data


class Pages(Case):
    bridge_arguments = ("--admin-drain",)

    def logs(self, service_id, **options):
        return attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id=service_id), **options)

    def test_probes(self):
        for path, text in (("/livez", "ok\n"), ("/readyz", "ready\n"), ("/startupz", "started\n")):
            answer = ask(self.bridge, path)
            self.assertEqual((answer.status, answer.text), (200, text))
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            head = ask(self.bridge, path, "HEAD")
            self.assertEqual((head.status, head.text, head.headers["Content-Length"]), (200, "", str(len(text))))

    def test_root_and_other_paths_list_every_path(self):
        root = ask(self.bridge, "/")
        other = ask(self.bridge, "/nothing")
        self.assertEqual((root.status, other.status), (200, 404))
        self.assertEqual(other.text, "not found; there are:\n" + root.text)
        listed = {tuple(line.split()[:2]) for line in root.text.splitlines()}
        self.assertEqual(listed, {("GET", path) for path in READ_PATHS[1:]} | {("PUT", "/log-level"), ("POST", "/drain")})

    def test_wrong_methods_are_told_the_right_ones(self):
        for path in READ_PATHS:
            for method in ("POST", "DELETE", "OPTIONS"):
                answer = ask(self.bridge, path, method)
                self.assertEqual(answer.status, 405)
                self.assertEqual(answer.headers["Allow"], "GET, HEAD" + (", PUT" if path == "/log-level" else ""))
        answer = ask(self.bridge, "/drain")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))
        self.assertEqual(ask(self.bridge, "/readyz").status, 200)

    def test_browsers_change_nothing(self):
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            self.assertEqual(ask(self.bridge, "/drain", "POST", headers=headers).status, 403)
            self.assertEqual(ask(self.bridge, "/log-level", "PUT", "debug", headers).status, 403)
        self.assertEqual(ask(self.bridge, "/log-level").text, "info\n")
        self.assertEqual(ask(self.bridge, "/readyz").text, "ready\n")

    def test_log_level_is_changed(self):
        def debug_lines():
            return [line for line in self.bridge.errors().splitlines() if '"level":"debug"' in line]

        def call():
            attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=f"svc-{next(numbers)}"))

        self.assertEqual(debug_lines(), [])
        answer = ask(self.bridge, "/log-level", "PUT", "debug")
        self.assertEqual((answer.status, answer.text), (200, "debug\n"))
        self.assertEqual(status_of(self.bridge)["log_level"], "debug")
        self.bridge.channel().unary_unary(f"/{LOGS}").future(b"", timeout=PATIENCE).exception()
        wait_until(debug_lines, "a debug line")
        self.assertEqual(ask(self.bridge, "/log-level", "PUT", "warn\n").text, "warn\n")
        before = len(self.bridge.events("call"))
        call()
        self.assertEqual(len(self.bridge.events("call")), before)
        self.assertEqual(ask(self.bridge, "/log-level", "PUT", "info").text, "info\n")
        call()
        wait_until(lambda: len(self.bridge.events("call")) > before, "a line of the call")
        self.assertEqual([event["is"] for event in self.bridge.events("log_level")], ["debug", "warn", "info"])

    def test_wrong_log_levels_change_nothing(self):
        for body in ("", "DEBUG", "debug ", "debug\n\n", "trace", "info\0", "warning", "x" * 16):
            answer = ask(self.bridge, "/log-level", "PUT", body)
            self.assertEqual((answer.status, answer.text), (400, "send error, warn, info or debug as the body\n"), body)
        self.assertEqual(ask(self.bridge, "/log-level", "PUT", "x" * 17).status, 413)
        self.assertEqual(ask(self.bridge, "/log-level", "PUT", iter([b"debug", b"x" * 4096])).status, 413)
        self.assertEqual(ask(self.bridge, "/log-level").text, "info\n")
        self.assertEqual(ask(self.bridge, "/log-level", "PUT", iter([b"in", b"fo"])).text, "info\n")

    def test_status_as_json(self):
        before = status_of(self.bridge)["methods"][LOGS]
        self.ok(self.logs("demo-service"))
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        self.logs("no-such-service", metadata=(TOKEN, ("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01")))
        status = status_of(self.bridge)
        self.assertEqual(list(status), ["version", "ready", "problem", "draining", "started", "uptime_s", "listening", "log_level",
                                        "calls_in_flight", "methods", "last_errors", "upstream", "settings"])
        self.assertEqual((status["ready"], status["problem"], status["draining"]), (True, None, False))
        self.assertRegex(status["started"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
        self.assertEqual(status["listening"], [self.bridge.address])
        method = status["methods"][LOGS]
        self.assertEqual(method["route"], "GET /v1/{project_id}/services/{service_id}/logs")
        self.assertEqual(method["started"], before["started"] + 2)
        for code in ("OK", "NOT_FOUND"):
            self.assertEqual(method["ended"][code], before["ended"].get(code, 0) + 1)
        error = status["last_errors"][0]
        self.assertEqual(list(error), ["time", "method", "code", "reason", "duration_ms", "request_id", "trace_id"])
        self.assertEqual((error["method"], error["code"], error["reason"]), (LOGS, "NOT_FOUND", "MODELARTS_3502"))
        self.assertRegex(error["request_id"], r"\A[0-9a-f]{32}\Z")
        self.assertEqual(error["trace_id"], trace_id)
        upstream = status["upstream"]
        self.assertEqual((upstream["requests_queued"], upstream["requests_in_flight"]), (0, 0))
        self.assertGreaterEqual(upstream["connections_opened"], 1)
        settings = status["settings"]
        self.assertEqual(settings["--project-id"], {"value": PROJECT, "source": "flag"})
        self.assertEqual(settings["--admin-listen"], {"value": "127.0.0.1:0", "source": "environment"})
        self.assertEqual(settings["--max-timeout"], {"value": "10m", "source": "default"})
        self.assertEqual(settings["--admin-drain"], {"value": "true", "source": "flag"})
        self.assertEqual(json.loads(ask(self.bridge, "/statusz", headers={"Accept": "application/json"}).text).keys(),
                         status.keys())

    def test_last_errors_are_bounded_and_newest_first(self):
        for i in range(25):
            self.logs(f"fault-code-400-ModelArts.{i:04d}")
        errors = status_of(self.bridge)["last_errors"]
        self.assertEqual(len(errors), 20)
        self.assertEqual([error["reason"] for error in errors[:2]], ["MODELARTS_0024", "MODELARTS_0023"])

    def test_status_as_a_page(self):
        self.logs("no-such-service")
        answer = ask(self.bridge, "/statusz")
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        page = Outline(answer.text)
        self.assertEqual(page.headings, ["modelarts-bridge", "Methods", "Last errors", "Upstream", "Settings"])
        self.assertIn(["Ready", "yes"], page.rows)
        self.assertIn(["--project-id", PROJECT, "flag"], page.rows)
        self.assertIn(LOGS, [row[0] for row in page.rows])
        self.assertFalse(page.tags & {"script", "link", "img", "iframe", "form", "object"})
        self.assertFalse({name for name in page.attributes if name.startswith("on")} | page.attributes & {"src", "href"})
        for accept in ("text/html", "*/*", "text/html,application/json"):
            self.assertTrue(ask(self.bridge, "/statusz", headers={"Accept": accept}).text.startswith("<!DOCTYPE html>"))
        self.assertTrue(ask(self.bridge, "/statusz?format=html", headers={"Accept": "application/json"}).text
                        .startswith("<!DOCTYPE html>"))

    def test_what_callers_send_is_not_on_the_status(self):
        """Not the path of a method that does not exist, not an ID of a service, not a header."""
        attempt(self.connection.unary_unary("/x.Y/<script>MethodOfTheCaller"), b"")
        self.logs("service-of-the-caller")
        for path in ("/statusz", "/statusz?format=json"):
            text = ask(self.bridge, path).text
            self.assertNotIn("OfTheCaller", text)
            self.assertNotIn("of-the-caller", text)
        self.assertEqual([e["method"] for e in status_of(self.bridge)["last_errors"][:2]], [LOGS, "other"])


class Hostile(Case):
    """Whatever comes, the next probe is answered, and the program ends without a finding of the sanitizers."""

    def send(self, data):
        """Sends |data| and reads to the end."""
        with socket.create_connection(address_of(self.bridge), timeout=PATIENCE) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused before all of it was sent
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except ConnectionResetError:
                pass
            return answer

    def assert_alive(self):
        self.assertEqual(ask(self.bridge, "/livez").text, "ok\n")

    def test_garbage(self):
        for data in (b"", b"\0" * 5000, b"\r\n" * 2000, b"GET", b"GET /livez\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /livez HTTP/9.9\r\n\r\n", b"\xff\xfe /livez HTTP/1.1\r\n\r\n",
                     b"PUT /log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nde",
                     b"PUT /log-level HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\ndebug\r\n",
                     b"PUT /log-level HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\ndebug",
                     b"PUT /log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\ndebug"):
            self.send(data)
            self.assert_alive()
        self.assertEqual(ask(self.bridge, "/log-level").text, "info\n")

    def test_oversized_requests(self):
        self.assertRegex(self.send(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"), rb"\AHTTP/1.1 414 ")
        self.assertRegex(self.send(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n"), rb"\AHTTP/1.1 431 ")
        self.send(b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 100000)
        self.send(b"PUT /log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"a" * 1000000)
        self.assert_alive()

    def test_half_open_connections_hold_the_port_for_seconds_only(self):
        held = [socket.create_connection(address_of(self.bridge), timeout=PATIENCE) for _ in range(MOST_CONNECTIONS)]
        done = threading.Event()

        def drip():
            """Sends a byte of a header now and then, which a timeout that starts anew would never end."""
            while not done.wait(0.5):
                for connection in held:
                    try:
                        connection.send(b"a")
                    except OSError:
                        pass  # it was ended, as it should be

        for connection in held:
            connection.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            self.assert_alive()  # waits for its turn, below PATIENCE
        finally:
            done.set()
            thread.join()
            for connection in held:
                connection.close()

    def test_many_scrapes_at_a_time(self):
        def scrape(i):
            return ask(self.bridge, ("/metrics", "/statusz", "/statusz?format=json", "/readyz")[i % 4]).status

        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            self.assertEqual(set(pool.map(scrape, range(400))), {200})


class Life(unittest.TestCase):
    """Bridges that end in the test."""

    def setUp(self):
        self.sim = Sim("--iam-user", "demo-user", "--iam-password", PASSWORD, "--access-key", "AK1", "--secret-key",
                       SECRET_KEY, "--security-token", SECURITY_TOKEN)
        self.addCleanup(self.end, self.sim)

    def end(self, process):
        code = process.end()
        self.assertEqual(code, 0, process.last_errors[-4000:])

    def start(self, *arguments):
        bridge = Bridge(self.sim.url, *arguments)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        return bridge, modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def slow_call(self, stub, milliseconds):
        service_id = f"fault-slow-{milliseconds}ms--{next(numbers)}"
        call = stub.UpdateService.future(pb.UpdateServiceRequest(service_id=service_id, description="d"), timeout=PATIENCE,
                                         metadata=(TOKEN,))
        wait_until(lambda: self.sim.journal(service_id), "the call upstream")
        return call

    def test_drain_is_forbidden_by_default(self):
        bridge, _ = self.start()
        answer = ask(bridge, "/drain", "POST")
        self.assertEqual((answer.status, answer.text), (403, "not allowed; start the bridge with --admin-drain\n"))
        self.assertEqual(ask(bridge, "/readyz").status, 200)
        self.end(bridge)

    def test_drain_does_what_sigterm_does(self):
        bridge, stub = self.start("--admin-drain")
        call = self.slow_call(stub, 3000)
        self.assertEqual(status_of(bridge)["calls_in_flight"], 1)
        answer = ask(bridge, "/drain", "POST")
        self.assertEqual((answer.status, answer.text), (202, "draining\n"))
        wait_until(lambda: bridge.events("draining"), "the drain")
        # With a call in flight the port still answers, and says why no further one should come.
        answer = wait_until(lambda: (lambda a: a if a.status == 503 else None)(ask(bridge, "/readyz")), "not being ready")
        self.assertEqual(answer.text, "draining\n")
        self.assertEqual((ask(bridge, "/livez").status, ask(bridge, "/startupz").status), (200, 200))
        status = status_of(bridge)
        self.assertEqual((status["ready"], status["problem"], status["draining"]), (False, "draining", True))
        self.assertFalse(call.done())
        call.result()
        self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
        self.end(bridge)

    def test_drain_of_an_idle_bridge_is_answered(self):
        for _ in range(5):
            bridge, _ = self.start("--admin-drain")
            self.assertEqual(ask(bridge, "/drain", "POST").text, "draining\n")
            self.assertEqual(bridge.wait(), 0, bridge.errors()[-4000:])
            self.end(bridge)

    def test_port_can_be_switched_off(self):
        bridge, _ = self.start("--admin-listen", "off")
        self.assertEqual(bridge.events("admin_listening"), [])
        self.end(bridge)

    def test_no_page_shows_the_bridges_credential(self):
        token = Folder(username="demo-user", password=PASSWORD, domain="demo-domain", project="demo-project-name")
        key = Folder(access_key="AK1", secret_key=SECRET_KEY, security_token=SECURITY_TOKEN)
        for arguments in (("--auth", "token", "--iam-url", self.sim.url, "--credentials-dir", token.path),
                          ("--auth", "aksk", "--credentials-dir", key.path)):
            bridge, stub = self.start(*arguments)
            for service_id in (f"svc-{next(numbers)}", "fault-code-401-ModelArts.0001"):
                attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id=service_id), metadata=())
            for path in (*READ_PATHS, "/statusz?format=json", "/nothing"):
                ask(bridge, path)  # looks for secrets
            status = status_of(bridge)
            self.assertEqual(status["settings"]["--credentials-dir"]["value"], arguments[-1])
            self.assertEqual("token" in status, arguments[1] == "token")
            issued = [e for e in self.sim.journal() if e["path"] == "/v3/auth/tokens"]
            self.assertTrue(issued)
            if "token" in status:
                self.assertTrue(status["token"]["at_hand"])
                self.assertGreater(status["token"]["expires_in_s"], 0)
                self.assertIn("Token", Outline(ask(bridge, "/statusz").text).headings)
            self.end(bridge)

    def test_status_tells_why_there_is_no_token(self):
        folder = Folder(username="demo-user", password="wrong-horse-battery-staple", domain="demo-domain",
                        project="demo-project-name")
        bridge, _ = self.start("--auth", "token", "--iam-url", self.sim.url, "--credentials-dir", folder.path)
        wait_until(lambda: status_of(bridge)["token"]["last_failure"], "the failure")
        token = status_of(bridge)["token"]
        self.assertEqual((token["at_hand"], token["expires_in_s"], token["last_failure"]), (False, 0, "TOKEN_REFUSED"))
        self.end(bridge)


if __name__ == "__main__":
    unittest.main()
