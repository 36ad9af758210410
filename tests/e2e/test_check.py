"""modelarts-bridge check: each thing that can be wrong, and the one line that says so."""
import http.server
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import PATIENCE, PROJECT, Process, Sim, wait_until
from test_credentials import Folder
from test_tls import accepts, free_port, make_certificate

STEPS = ["configuration", "credential", "name", "connection", "TLS", "ModelArts", "credential accepted", "project",
         "permission"]
PASSWORD = "correct-horse-battery-staple"
SECRET_KEY = "SecretKeyOfTheTestsThatNobodyMaySee"
TOKEN = "TokenOfTheTestsThatNobodyMaySee"
WRONG = "WrongSecretOfTheTestsThatNobodyMaySee"
SECRETS = (PASSWORD, SECRET_KEY, TOKEN, WRONG)


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--token", TOKEN, "--token", "sim-token", "--iam-password", PASSWORD, "--access-key", "AK1",
                      "--secret-key", SECRET_KEY)
        cls.addClassCleanup(cls.sim.end)

    def run_check(self, *arguments, url=None, project=PROJECT, env=None):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MODELARTS_BRIDGE_")}
        given = ["--upstream-url", url or self.sim.url, *(["--project-id", project] if project else []), *arguments]
        done = subprocess.run([os.environ["BRIDGE"], "check", *given], env={**clean, **(env or {})}, text=True,
                              capture_output=True, timeout=PATIENCE)
        for secret in SECRETS:
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done

    def report(self, done):
        """Each step's state and text, with their order checked."""
        self.assertEqual(done.stderr, "")
        lines = [re.fullmatch(r"(\w[\w ]*?) {2,}(ok|FAILED|skipped|not reached)(?: +(\S.*))?", line)
                 for line in done.stdout.splitlines()]
        self.assertNotIn(None, lines, done.stdout)
        self.assertEqual([line.group(1) for line in lines], STEPS, done.stdout)
        return {line.group(1): (line.group(2), line.group(3) or "") for line in lines}

    def fine(self, done, *skipped):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        steps = self.report(done)
        self.assertEqual([name for name, (state, _) in steps.items() if state == "skipped"], list(skipped), done.stdout)
        self.assertEqual({state for state, _ in steps.values()}, {"ok", "skipped"} if skipped else {"ok"})
        return steps

    def failed(self, done, step, *parts):
        """Exactly one step failed, everything before it is known, and nothing after it is."""
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        steps = self.report(done)
        self.assertEqual([name for name, (state, _) in steps.items() if state == "FAILED"], [step], done.stdout)
        at = STEPS.index(step)
        self.assertTrue(all(steps[name][0] in ("ok", "skipped") for name in STEPS[:at]), done.stdout)
        self.assertEqual([steps[name][0] for name in STEPS[at + 1:]], ["not reached"] * len(STEPS[at + 1:]))
        for part in parts:
            self.assertIn(part, steps[step][1])
        return steps

    def file(self, text):
        file = tempfile.NamedTemporaryFile("w", prefix="bridge-check-")
        self.addCleanup(file.close)
        file.write(text)
        file.flush()
        return file.name

    def folder(self, **files):
        folder = Folder(**files)
        self.addCleanup(folder.holder.cleanup)
        return folder.path

    def token_arguments(self, iam=None, **changes):
        files = {"username": "demo-user", "password": PASSWORD, "domain": "demo-domain", "project": "demo-project-name"}
        return ("--auth", "token", "--iam-url", iam or self.sim.url, "--credentials-dir",
                self.folder(**{**files, **changes}))

    def key_arguments(self, **changes):
        return ("--auth", "aksk", "--credentials-dir",
                self.folder(**{"access_key": "AK1", "secret_key": SECRET_KEY, **changes}))


class Fine(Check):
    def test_callers_token(self):
        steps = self.fine(self.run_check("--token-file", self.file(TOKEN + "\n")), "TLS")
        self.assertEqual(steps["project"], ("ok", PROJECT))
        entry = self.sim.journal()[-1]
        self.assertEqual((entry["method"], entry["service_id"], entry["status"]), ("GET", "modelarts-bridge-check", 404))
        self.assertFalse(entry["executed"])

    def test_no_token_checks_what_needs_none(self):
        steps = self.fine(self.run_check(), "credential", "TLS", "credential accepted", "project", "permission")
        self.assertIn("each caller's own", steps["credential"][1])
        self.assertEqual(self.sim.journal()[-1]["auth"], "none")

    def test_token_of_iam(self):
        steps = self.fine(self.run_check(*self.token_arguments()), "TLS")
        self.assertRegex(steps["credential"][1], r"IAM gave a token for 23 h 59 min|24 h 0 min")

    def test_access_key(self):
        for dialect in ("access", "credential"):
            self.fine(self.run_check(*self.key_arguments(), "--aksk-dialect", dialect), "TLS")

    def test_project_that_is_not_set(self):
        steps = self.fine(self.run_check("--token-file", self.file(TOKEN), project=None), "TLS", "project", "permission")
        self.assertIn("--project-id", steps["project"][1])

    def test_settings_of_the_environment(self):
        done = subprocess.run([os.environ["BRIDGE"], "check"], capture_output=True, text=True, timeout=PATIENCE, env={
            **os.environ, "MODELARTS_BRIDGE_UPSTREAM_URL": self.sim.url, "MODELARTS_BRIDGE_PROJECT_ID": PROJECT,
            "MODELARTS_BRIDGE_TOKEN_FILE": self.file(TOKEN)})
        self.fine(done, "TLS")

    def test_listen_addresses_are_not_bound(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.fine(self.run_check("--token-file", self.file(TOKEN), "--listen", "127.0.0.1:%d" % taken.getsockname()[1]),
                      "TLS")


class Wrong(Check):
    def test_host_is_down(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            url = "http://127.0.0.1:%d" % reserved.getsockname()[1]
            self.failed(self.run_check("--token-file", self.file(TOKEN), url=url), "connection", "--upstream-url")
            self.failed(self.run_check(url=url), "connection", "--upstream-url")

    def test_name_does_not_exist(self):
        self.failed(self.run_check("--token-file", self.file(TOKEN), url="https://modelarts.invalid"), "name", "DNS")

    def test_tls_to_a_plain_port(self):
        self.failed(self.run_check(url=f"https://127.0.0.1:{self.sim.port}"), "TLS", "port")

    def test_server_that_never_answers(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = "127.0.0.1:%d" % silent.getsockname()[1]
            begin = time.monotonic()
            self.failed(self.run_check("--default-timeout", "300ms", url=f"http://{address}"), "ModelArts",
                        "--default-timeout")
            self.failed(self.run_check("--connect-timeout", "300ms", url=f"https://{address}"), "connection",
                        "--connect-timeout")
            self.assertLess(time.monotonic() - begin, 20, "the time limits do not count")

    def test_url_with_another_path(self):
        for arguments in ((), ("--token-file", self.file(TOKEN))):
            done = self.run_check(*arguments, url=self.sim.url + "/prefix")
            self.failed(done, "ModelArts", "APIG_0101", "the URL is not ModelArts'")

    def test_other_servers(self):
        """A JSON API of somebody else answers 404 too, but it knows nothing of ModelArts."""
        answers = {"/json": (404, "application/json", b'{"code":404,"message":"not found"}'),
                   "/html": (404, "text/html", b"<html>not here</html>"),
                   "/login": (401, "text/html", b"<html>who are you</html>"),
                   "/page": (200, "text/html", b"<html>welcome</html>"),
                   "/blocked": (403, "text/html", b"<html>blocked</html>"),
                   "/ill": (503, "text/html", b"<html>later</html>")}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                status, kind, body = answers["/" + self.path.split("/")[1]]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        requests = []
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for path in answers:
                url = "http://127.0.0.1:%d%s" % (server.server_address[1], path)
                with self.subTest(path):
                    self.failed(self.run_check(url=url), "ModelArts")
                    self.failed(self.run_check("--token-file", self.file(TOKEN), url=url),
                                "credential accepted" if path == "/login" else "ModelArts")
            server.shutdown()
        self.assertEqual(len(requests), 2 * len(answers), "a check is one request")

    def test_server_that_repeats_what_it_was_sent(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                sent = self.headers.get("X-Auth-Token") or self.headers.get("Authorization")
                seen.append(sent)
                body = b'{"error_code":"APIGW.0301","error_msg":"bad: %s; \\u001b[31m"}' % sent.encode()
                self.send_response(401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        seen = []
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = "http://127.0.0.1:%d" % server.server_address[1]
            for arguments in (("--token-file", self.file(TOKEN)), self.key_arguments(), self.token_arguments()):
                done = self.run_check(*arguments, url=url)
                self.failed(done, "credential accepted", "bad: ", "***")
                self.assertNotIn("\x1b", done.stdout)
                self.assertNotIn(re.search(r"Signature=(\w+)|(.*)", seen[-1]).group(0).removeprefix("Signature="),
                                 done.stdout)
            server.shutdown()

    def test_wrong_password(self):
        self.failed(self.run_check(*self.token_arguments(password=WRONG)), "credential", "IAM", "401", "password")

    def test_iam_is_down(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            iam = "http://127.0.0.1:%d" % reserved.getsockname()[1]
            self.failed(self.run_check(*self.token_arguments(iam=iam)), "credential", "IAM", "--iam-url",
                        "Couldn't connect")

    def test_iam_is_slow(self):
        done = self.run_check(*self.token_arguments(username="iam-fault-slow-30000ms"), "--default-timeout", "300ms")
        self.failed(done, "credential", "IAM did not answer")

    def test_wrong_token(self):
        self.failed(self.run_check("--token-file", self.file(WRONG)), "credential accepted", "MODELARTS_0203",
                    "--token-file")
        self.failed(self.run_check("--token-file", self.file("expired-token")), "credential accepted", "MODELARTS_0202")

    def test_token_of_iam_that_modelarts_does_not_take(self):
        other = Sim("--iam-password", PASSWORD)
        self.addCleanup(other.end)
        self.failed(self.run_check(*self.token_arguments(iam=other.url)), "credential accepted", "--iam-url")

    def test_wrong_secret_key(self):
        self.failed(self.run_check(*self.key_arguments(secret_key=WRONG)), "credential accepted", "APIG_0301", "signature",
                    "secret-key")

    def test_access_key_is_locked(self):
        sim = Sim("--access-key", "AK1", "--secret-key", SECRET_KEY)
        self.addCleanup(sim.end)
        wrong = self.key_arguments(secret_key=WRONG)
        for _ in range(6):
            self.failed(self.run_check(*wrong, url=sim.url), "credential accepted")
        self.assertEqual(len(sim.journal()), 6, "a check is one request")
        self.failed(self.run_check(*self.key_arguments(), url=sim.url), "credential accepted", "is locked")

    def test_wrong_project(self):
        for arguments in (("--token-file", self.file(TOKEN)), self.token_arguments(), self.key_arguments()):
            self.failed(self.run_check(*arguments, project="other-project"), "project", "MODELARTS_0210", "--project-id")

    def test_no_permission(self):
        self.failed(self.run_check("--token-file", self.file("forbidden-token")), "permission", "MODELARTS_0108", "permitted")


class WrongSettings(Check):
    """The same line as of serve, and nothing else."""

    def refused(self, *arguments, **options):
        before = len(self.sim.journal())
        done = self.run_check(*arguments, **options)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(len(self.sim.journal()), before)
        return done.stderr

    def test_same_line_as_serve(self):
        keys = self.key_arguments()
        for arguments in (("--auth", "aksk", "--credentials-dir", "/nonexistent"), ("--auth", "token"),
                          ("--listen", "nowhere"), ("--default-timeout", "11m"), ("--no-such-flag",),
                          ("--error-overrides", self.file("x")), self.key_arguments(secret_key=""),
                          (*keys, "--listen", "0.0.0.0:0"),
                          ("--tls-cert", self.file("x"), "--tls-key", self.file("x"))):
            with self.subTest(arguments):
                line = self.refused(*arguments)
                served = subprocess.run([os.environ["BRIDGE"], "serve", "--listen", "127.0.0.1:0", "--upstream-url",
                                         self.sim.url, "--project-id", PROJECT, *arguments],
                                        capture_output=True, text=True, timeout=PATIENCE)
                self.assertEqual((served.returncode, served.stderr), (2, line))

    def test_token_file(self):
        self.assertIn("has a use with --auth=passthrough only",
                      self.refused(*self.key_arguments(), "--token-file", self.file(TOKEN)))
        for text, said in (("", "is empty"), ("\n", "is empty"), (f"{TOKEN} {WRONG}", "is no token"),
                           (f"{TOKEN}\nX-Evil: 1", "is no token"), ("x" * 32771, "File too large")):
            self.assertIn(said, self.refused("--token-file", self.file(text)))
        self.assertIn("/nonexistent", self.refused("--token-file", "/nonexistent"))


class Tls(Check):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="bridge-tls-")
        cls.addClassCleanup(folder.cleanup)
        cls.key, cls.certificate = make_certificate(folder.name, "local", "IP:127.0.0.1")
        cls.port = free_port()
        proxy = Process(["nghttpx", f"--frontend=127.0.0.1,{cls.port}", f"--backend=127.0.0.1,{cls.sim.port}",
                         "--workers=1", "--conf=/dev/null", cls.key, cls.certificate])
        cls.addClassCleanup(cls.end_proxy, proxy)
        wait_until(lambda: accepts(cls.port) or not proxy.alive(), "the proxy")

    @staticmethod
    def end_proxy(proxy):
        proxy.process.kill()
        proxy.process.wait()
        proxy.stderr.close()

    def check_tls(self, *arguments, host="127.0.0.1"):
        return self.run_check("--token-file", self.file(TOKEN), *arguments, url=f"https://{host}:{self.port}")

    def test_trusted(self):
        self.fine(self.check_tls("--ca-file", self.certificate))

    def test_unknown_authority(self):
        self.failed(self.check_tls(), "TLS", "--ca-file")

    def test_another_name(self):
        self.failed(self.check_tls("--ca-file", self.certificate, host="localhost"), "TLS", "--upstream-url")

    def test_ca_file_without_a_certificate(self):
        self.failed(self.check_tls("--ca-file", self.key), "TLS", "PEM file")


if __name__ == "__main__":
    unittest.main()
