"""A bridge with a credential of its own: tokens of IAM and signatures, and each way in which they go wrong."""
import itertools
import os
import signal
import socket
import tempfile
import threading
import unittest

import grpc

from harness import (Bridge, PASSWORD, PATIENCE, SECRET_KEY, SECRETS, SECURITY_TOKEN, Sim, WRONG_PASSWORD, attempt,
                     wait_until)
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

C = grpc.StatusCode
numbers = itertools.count()


class Folder:
    """A folder of credential files."""

    def __init__(self, **files):
        self.holder = tempfile.TemporaryDirectory(prefix="bridge-credentials-")
        self.path = self.holder.name
        for name, text in files.items():
            self.write(name.replace("_", "-"), text)

    def write(self, name, text):
        """Replaces the file as a whole, as Kubernetes does."""
        path = os.path.join(self.path, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)


class Credentials(unittest.TestCase):
    sim_arguments = ()

    def setUp(self):
        self.sim = Sim("--iam-user", "demo-user", "--iam-password", PASSWORD, "--access-key", "AK1", "--secret-key",
                       SECRET_KEY, *self.sim_arguments)
        self.addCleanup(self.sim.end)

    def start(self, *arguments, url=None):
        bridge = Bridge(url or self.sim.url, *arguments)
        self.addCleanup(self.end, bridge)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        return bridge, modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def end(self, bridge):
        code = bridge.end()
        self.assertEqual(code, 0, bridge.last_errors[-4000:])

    def folder(self, **files):
        folder = Folder(**files)
        self.addCleanup(folder.holder.cleanup)
        return folder

    def update(self, stub, timeout=PATIENCE, service="svc", metadata=()):
        self.service_id = f"{service}--{next(numbers)}"
        return attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id=self.service_id, description="d"),
                       timeout=timeout, metadata=metadata)

    def fails(self, result, code, reason):
        self.assertNotIsInstance(result, tuple, "the call succeeded")
        self.assertEqual((result.code, result.reason), (code, reason), result)
        return result

    def ok(self, result):
        self.assertIsInstance(result, tuple, result)

    def token_requests(self):
        return [e for e in self.sim.journal() if e["path"] == "/v3/auth/tokens"]


class Tokens(Credentials):
    def token_folder(self, **changes):
        return self.folder(**{"username": "demo-user", "password": PASSWORD, "domain": "demo-domain",
                              "project": "demo-project-name", **changes})

    def start_token(self, folder, *arguments, iam=None, **options):
        return self.start("--auth", "token", "--iam-url", iam or self.sim.url, "--credentials-dir", folder.path,
                          *arguments, **options)

    def test_calls_need_no_token_of_their_own(self):
        bridge, stub = self.start_token(self.token_folder())
        for _ in range(3):
            self.ok(self.update(stub))
        self.assertEqual(len(self.token_requests()), 1)
        self.assertEqual(self.sim.journal(self.service_id)[0]["headers"]["x-auth-token"], "present")
        self.assertEqual(len(bridge.events("token_fetched")), 1)

    def test_a_callers_token_is_not_used(self):
        _, stub = self.start_token(self.token_folder())
        self.ok(self.update(stub, metadata=(("x-auth-token", "a-token-that-nobody-accepts"),)))

    def test_many_calls_wait_for_one_fetch(self):
        _, stub = self.start_token(self.token_folder(username="iam-fault-slow-500ms"))
        calls = [stub.UpdateService.future(pb.UpdateServiceRequest(service_id=f"svc-{i}"), timeout=PATIENCE)
                 for i in range(50)]
        for call in calls:
            self.assertEqual(call.result(), pb.UpdateServiceResponse())
        self.assertEqual(len(self.token_requests()), 1)

    def test_revoked_token_is_renewed_and_the_call_repeated_once(self):
        _, stub = self.start_token(self.token_folder())
        self.ok(self.update(stub))
        self.sim.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.ok(self.update(stub)) or len(self.token_requests()) == 2, "the renewal")
        executed = [e for e in self.sim.journal(self.service_id) if e["executed"]]
        self.assertEqual(len(executed), 1, "an update ran twice")

    def test_each_form_in_which_a_token_is_refused(self):
        for form in ("modelarts-0202", "modelarts-0203", "apig-0301", "apig-0307"):
            with self.subTest(form):
                self.sim = Sim("--iam-user", "demo-user", "--iam-password", PASSWORD, "--expired-form", form)
                self.addCleanup(self.sim.end)
                _, stub = self.start_token(self.token_folder())
                self.ok(self.update(stub))
                self.sim.process.send_signal(signal.SIGUSR1)
                wait_until(lambda: self.ok(self.update(stub)) or len(self.token_requests()) == 2, "the renewal")

    def test_wrong_password(self):
        bridge, stub = self.start_token(self.token_folder(password=WRONG_PASSWORD))
        self.fails(self.update(stub), C.UNAUTHENTICATED, "TOKEN_REFUSED")
        for _ in range(20):
            self.update(stub)
        self.assertEqual(len(self.token_requests()), 1, "a wrong password must not lock the account")
        self.assertEqual(len(bridge.events("token_fetch_failed")), 1)

    def test_corrected_password_works_at_once(self):
        folder = self.token_folder(password=WRONG_PASSWORD)
        _, stub = self.start_token(folder)
        self.fails(self.update(stub), C.UNAUTHENTICATED, "TOKEN_REFUSED")
        folder.write("password", PASSWORD + "\n")
        wait_until(lambda: isinstance(self.update(stub), tuple), "the new password")

    def test_unknown_project_of_the_token(self):
        _, stub = self.start_token(self.token_folder(project="elsewhere"))
        self.fails(self.update(stub), C.UNAUTHENTICATED, "TOKEN_REFUSED")

    def test_project_of_the_url_is_another(self):
        _, stub = self.start_token(self.token_folder())
        failure = attempt(stub.UpdateService, pb.UpdateServiceRequest(project_id="other", service_id="svc"))
        self.fails(failure, C.PERMISSION_DENIED, "MODELARTS_0210")

    def test_iam_is_down_at_start(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            bridge, stub = self.start_token(self.token_folder(), iam=f"http://127.0.0.1:{reserved.getsockname()[1]}")
            failure = self.fails(self.update(stub), C.UNAVAILABLE, "TOKEN_UNAVAILABLE")
            self.assertIn("RetryInfo", failure.details)
            self.assertEqual(self.sim.journal(), [])
            self.assertGreaterEqual(len(bridge.events("token_fetch_failed")), 1)

    def test_plain_http_to_other_hosts_is_warned_of(self):
        for iam, upstream, warned in (("http://iam.invalid", "http://modelarts.invalid", ["http://modelarts.invalid", "http://iam.invalid"]),
                                      ("http://iam.invalid", "https://modelarts.invalid", ["http://iam.invalid"]),
                                      ("https://iam.invalid", "http://127.0.0.1:9", [])):
            bridge, _ = self.start_token(self.token_folder(), iam=iam, url=upstream)
            self.assertEqual([e["upstream"] for e in bridge.events("upstream_not_encrypted")], warned)

    def test_iam_comes_back(self):
        _, stub = self.start_token(self.token_folder(username="iam-fault-flaky-1-503"))
        self.fails(self.update(stub), C.UNAVAILABLE, "TOKEN_UNAVAILABLE")
        wait_until(lambda: isinstance(self.update(stub), tuple), "the next fetch")

    def test_iam_is_slow_and_the_deadline_counts(self):
        _, stub = self.start_token(self.token_folder(username="iam-fault-slow-30000ms"), "--default-timeout", "300ms")
        failure = self.update(stub, timeout=None)
        self.fails(failure, C.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        self.assertEqual(self.sim.journal(self.service_id), [])

    def test_sigterm_while_calls_wait_for_a_token(self):
        bridge, stub = self.start_token(self.token_folder(username="iam-fault-slow-500ms"))
        calls = [stub.UpdateService.future(pb.UpdateServiceRequest(service_id=f"svc-{i}"), timeout=PATIENCE)
                 for i in range(5)]
        # Later on the same connection, and refused at once: so the ones before it have come.
        self.fails(attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="..")), C.INVALID_ARGUMENT,
                   "VALIDATION_FAILED")
        bridge.terminate()
        for call in calls:
            self.assertEqual(call.code(), C.OK, call.details())
        self.assertEqual(bridge.wait(), 0)

    def test_answers_of_iam_that_are_none(self):
        for fault in ("iam-fault-not-json", "iam-fault-no-token-header", "iam-fault-html-502", "iam-fault-reset",
                      "iam-fault-500"):
            with self.subTest(fault):
                _, stub = self.start_token(self.token_folder(username=fault))
                self.fails(self.update(stub), C.UNAVAILABLE, "TOKEN_UNAVAILABLE")

    def test_redirect_gets_no_credential(self):
        """Neither of upstream nor of IAM: nothing is sent to where they point."""
        with socket.socket() as elsewhere, socket.socket() as iam:
            for server in (elsewhere, iam):
                server.bind(("127.0.0.1", 0))
                server.listen()
            elsewhere.setblocking(False)
            target = "http://127.0.0.1:%d/" % elsewhere.getsockname()[1]

            def redirect():
                connection, _ = iam.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(f"HTTP/1.1 307 T\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

            server = threading.Thread(target=redirect, daemon=True)
            server.start()
            _, stub = self.start_token(self.token_folder(), iam=f"http://127.0.0.1:{iam.getsockname()[1]}")
            self.fails(self.update(stub), C.UNAVAILABLE, "TOKEN_UNAVAILABLE")
            server.join(PATIENCE)
            with self.assertRaises(BlockingIOError):
                elsewhere.accept()
        _, stub = self.start_token(self.token_folder())
        self.fails(self.update(stub, service="fault-redirect"), C.UNKNOWN, "UPSTREAM_REDIRECT")

    def test_token_of_32_kib(self):
        self.sim = Sim("--iam-user", "demo-user", "--iam-password", PASSWORD, "--token-bytes", "32000B")
        self.addCleanup(self.sim.end)
        _, stub = self.start_token(self.token_folder())
        self.ok(self.update(stub))

    def test_half_written_file_keeps_the_old_credential(self):
        folder = self.token_folder()
        bridge, stub = self.start_token(folder)
        self.ok(self.update(stub))
        folder.write("password", "")
        wait_until(lambda: self.update(stub) and bridge.events("credentials_fault"), "the line in the log")
        self.ok(self.update(stub))
        self.assertEqual(len(bridge.events("credentials_fault")), 1)


class ShortTokens(Tokens):
    sim_arguments = ("--token-lifetime", "2s")

    def test_expired_token_is_renewed_without_a_failed_call(self):
        _, stub = self.start_token(self.token_folder())
        self.ok(self.update(stub))
        wait_until(lambda: self.ok(self.update(stub)) or len(self.token_requests()) >= 3, "two renewals")


class Keys(Credentials):
    sim_arguments = ()

    def start_aksk(self, folder, *arguments, **options):
        return self.start("--auth", "aksk", "--credentials-dir", folder.path, *arguments, **options)

    def test_each_dialect(self):
        for arguments in ((), ("--aksk-dialect", "credential"),
                          ("--aksk-dialect", "credential", "--aksk-region", "eu-de", "--aksk-service", "modelarts")):
            with self.subTest(arguments):
                _, stub = self.start_aksk(self.folder(access_key="AK1", secret_key=SECRET_KEY), *arguments)
                self.ok(self.update(stub))
                entry = self.sim.journal(self.service_id)[0]
                self.assertEqual(entry["auth"], "aksk")
                logs = attempt(stub.ShowServiceUpdateLogs,
                               pb.ShowServiceUpdateLogsRequest(service_id=self.service_id, update_time=1), metadata=())
                self.ok(logs)

    def test_security_token(self):
        self.sim = Sim("--access-key", "AK1", "--secret-key", SECRET_KEY, "--security-token", SECURITY_TOKEN)
        self.addCleanup(self.sim.end)
        folder = self.folder(access_key="AK1", secret_key=SECRET_KEY, security_token=SECURITY_TOKEN)
        _, stub = self.start_aksk(folder)
        self.ok(self.update(stub))

    def test_wrong_secret_is_not_tried_again(self):
        _, stub = self.start_aksk(self.folder(access_key="AK1", secret_key="x" * 20))
        failure = self.fails(self.update(stub), C.UNAUTHENTICATED, "APIG_0301")
        self.assertIn("signature", failure.message)
        self.assertEqual(len(self.sim.journal(self.service_id)), 1)

    def test_clocks_that_differ(self):
        """The gateway takes 15 minutes either way."""
        for ahead, taken in (("14m", True), ("16m", False)):
            with self.subTest(ahead):
                self.sim = Sim("--access-key", "AK1", "--secret-key", SECRET_KEY, "--clock-ahead", ahead)
                self.addCleanup(self.sim.end)
                bridge, stub = self.start_aksk(self.folder(access_key="AK1", secret_key=SECRET_KEY))
                result = self.update(stub)
                if taken:
                    self.ok(result)
                else:
                    self.assertIn("signature expired", self.fails(result, C.UNAUTHENTICATED, "APIG_0301").message)
                    self.assertEqual([e["reason"] for e in bridge.events("call")], ["APIG_0301"])

    def test_revoked_key(self):
        _, stub = self.start_aksk(self.folder(access_key="AK-gone", secret_key=SECRET_KEY))
        self.fails(self.update(stub), C.UNAUTHENTICATED, "APIG_0301")
        self.assertEqual(len(self.sim.journal(self.service_id)), 1)

    def test_changed_key_is_used_without_a_lost_call(self):
        folder = self.folder(access_key="AK-gone", secret_key=SECRET_KEY)
        _, stub = self.start_aksk(folder)
        self.fails(self.update(stub), C.UNAUTHENTICATED, "APIG_0301")
        folder.write("access-key", "AK1")
        wait_until(lambda: isinstance(self.update(stub), tuple), "the new key")
        for _ in range(10):
            self.ok(self.update(stub))


class Refusals(Credentials):
    """A bridge that would hold a credential and cannot start says why, in one line."""

    def refused(self, *arguments):
        import subprocess
        done = subprocess.run([os.environ["BRIDGE"], "--listen", "127.0.0.1:0", "--upstream-url", self.sim.url,
                               *arguments], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for secret in SECRETS:
            self.assertNotIn(secret, done.stderr)
        return done.stderr

    def test_settings_that_do_not_fit(self):
        folder = self.folder(access_key="AK1", secret_key=SECRET_KEY)
        for arguments, said in (
                (("--auth", "token"), "--credentials-dir"),
                (("--auth", "token", "--credentials-dir", folder.path), "--iam-url"),
                (("--auth", "aksk"), "--credentials-dir"),
                (("--credentials-dir", folder.path), "has no use with --auth=passthrough"),
                (("--auth", "aksk", "--credentials-dir", folder.path, "--aksk-region", "eu-de"), "--aksk-region"),
                (("--auth", "token", "--credentials-dir", folder.path, "--iam-url", "iam"), "--iam-url")):
            with self.subTest(arguments):
                self.assertIn(said, self.refused(*arguments))

    def test_files_that_are_missing_or_bad(self):
        for files, name in (({"access_key": "AK1"}, "secret-key"), ({"access_key": "AK1", "secret_key": ""}, "secret-key"),
                            ({"access_key": "A\nB", "secret_key": SECRET_KEY}, "access-key"),
                            ({"access_key": "AK1", "secret_key": "x" * 5000}, "secret-key")):
            with self.subTest(name):
                folder = self.folder(**files)
                line = self.refused("--auth", "aksk", "--credentials-dir", folder.path)
                self.assertIn("--credentials-dir", line)
                self.assertIn(name, line)
        self.assertIn("/nonexistent", self.refused("--auth", "aksk", "--credentials-dir", "/nonexistent"))


if __name__ == "__main__":
    unittest.main()
