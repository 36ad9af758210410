"""Who may call, and where: TLS and mTLS, the list of callers, files that change, unix sockets, listen errors."""
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile
import unittest
import warnings

import grpc

from harness import Bridge, PATIENCE, PROJECT, SLOWNESS, Sim, TOKEN, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

SPIFFE = "spiffe://cluster/ns/x/sa/y"
DNS = "billing.svc"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Files:
    """Certificates and keys, made once for all tests: .../NAME.pem and .../NAME.key"""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bridge-callers-")
        for name in ("ca", "other_ca"):
            self.request(name, "-x509", "-days", "2", "-out", self.path(f"{name}.pem"))
        server = "IP:127.0.0.1,DNS:localhost"
        self.issue("server", "ca", server)
        self.issue("server2", "ca", server)
        self.issue("named", "ca", "DNS:bridge.example")
        self.issue("client", "ca", f"URI:{SPIFFE},DNS:{DNS}")
        self.issue("stranger", "ca", "URI:spiffe://cluster/ns/x/sa/yy,DNS:illing.svc,DNS:BILLING.svc,email:billing.svc")
        self.issue("nameless", "ca", None)
        self.issue("expired", "ca", f"URI:{SPIFFE}", days="-1")
        self.issue("foreign", "other_ca", f"URI:{SPIFFE},DNS:{DNS}")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def request(self, name, *arguments):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", self.path(f"{name}.key"), *arguments)

    def issue(self, name, ca, subject_alt_name, days="2"):
        self.request(name, "-out", self.path("csr"))
        with open(self.path("extensions"), "w") as file:
            file.write(f"subjectAltName={subject_alt_name}\n" if subject_alt_name else "basicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", self.path("csr"), "-CA", self.path(f"{ca}.pem"), "-CAkey", self.path(f"{ca}.key"),
                "-CAcreateserial", "-days", days, "-extfile", self.path("extensions"), "-out", self.path(f"{name}.pem"))

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


def setUpModule():
    global files, sim
    files = Files()
    unittest.addModuleCleanup(files.folder.cleanup)
    sim = Sim()
    unittest.addModuleCleanup(sim.end)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bridge-callers-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def own(self, name):
        return os.path.join(self.folder, name)

    def start(self, *arguments, **options):
        bridge = Bridge(sim.url, *arguments, **options)
        self.addCleanup(self.end, bridge)
        return bridge

    def end(self, bridge):
        if not bridge.stderr.closed:
            self.assertEqual(bridge.end(), 0, bridge.last_errors[-4000:])

    def put(self, source, name):
        """Copies a file of Files beside the running bridge, in one step, as a careful operator does."""
        shutil.copy(files.path(source), self.own("new"))
        os.rename(self.own("new"), self.own(name))

    def start_tls(self, *arguments, certificate="server", client_ca=None):
        """A bridge whose files are copies in the test's own folder."""
        self.put(f"{certificate}.pem", "cert")
        self.put(f"{certificate}.key", "key")
        if client_ca:
            self.put(f"{client_ca}.pem", "client_ca")
            arguments = ("--client-ca", self.own("client_ca"), *arguments)
        return self.start("--tls-cert", self.own("cert"), "--tls-key", self.own("key"), *arguments)

    def channel(self, bridge, client=None, ca="ca", options=()):
        credentials = grpc.ssl_channel_credentials(
            files.read(f"{ca}.pem"), files.read(f"{client}.key") if client else None,
            files.read(f"{client}.pem") if client else None)
        # Channels of one process share connections; a test wants its own.
        channel = grpc.secure_channel(bridge.address, credentials,
                                      options=[("grpc.use_local_subchannel_pool", 1), *options])
        self.addCleanup(channel.close)
        return channel

    def call(self, channel, service_id="svc-callers"):
        stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
        return attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id=service_id, description="d"))

    def served(self, channel):
        result = self.call(channel)
        self.assertIsInstance(result, tuple, result)

    def refused(self, channel):
        """The connection does not come about, so nothing goes upstream."""
        before = len(sim.journal())
        failure = self.call(channel)
        self.assertNotIsInstance(failure, tuple)
        self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.UNAVAILABLE, None), failure)
        self.assertEqual(len(sim.journal()), before)

    def not_started(self, *arguments, listen="127.0.0.1:0", **options):
        """Exit code 2 and one line."""
        result = subprocess.run([os.environ["BRIDGE"], "--upstream-url", sim.url, "--listen", listen, *arguments],
                                capture_output=True, text=True, timeout=PATIENCE, **options)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertRegex(result.stderr, r"\Amodelarts-bridge: [^\n]+\n\Z")
        return result.stderr

    def shown(self, bridge, **versions):
        """The certificate that a new connection sees."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, value in versions.items():
            with warnings.catch_warnings():
                # That old versions should not be used is what is tested.
                warnings.simplefilter("ignore", DeprecationWarning)
                setattr(context, name, value)
        host, port = bridge.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), PATIENCE) as plain, context.wrap_socket(plain) as tls:
            der = tls.getpeercert(binary_form=True)
        for name in ("server", "server2"):
            if ssl.PEM_cert_to_DER_cert(files.read(f"{name}.pem").decode()) == der:
                return name
        return "unknown"


class Tls(Case):
    def test_a_caller_who_trusts_the_ca(self):
        bridge = self.start_tls()
        self.served(self.channel(bridge))
        self.assertNotIn("caller", bridge.events("call")[-1])

    def test_a_caller_who_trusts_another_ca(self):
        bridge = self.start_tls()
        self.refused(self.channel(bridge, ca="other_ca"))
        self.served(self.channel(bridge))

    def test_the_name_is_checked_by_the_caller(self):
        bridge = self.start_tls(certificate="named")
        self.refused(self.channel(bridge))
        self.served(self.channel(bridge, options=[("grpc.ssl_target_name_override", "bridge.example")]))

    def test_a_plaintext_caller(self):
        bridge = self.start_tls()
        with bridge.channel() as channel:
            self.refused(channel)

    def test_a_flood_of_bad_handshakes_does_not_flood_the_log(self):
        """Each would be a warning of gRPC's: the first few are written, the others counted."""
        bridge = self.start_tls()
        host, port = bridge.address.rsplit(":", 1)
        for _ in range(20):
            with socket.create_connection((host, int(port)), PATIENCE) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                while connection.recv(4096):
                    pass
        self.served(self.channel(bridge))
        self.assertEqual(bridge.end(), 0, bridge.last_errors)
        lines = [json.loads(line) for line in bridge.last_errors.splitlines()]
        written = [line for line in lines if line["event"] == "grpc"]
        told = [line for line in lines if line["event"] == "log_lines_suppressed" and line["of"] == "grpc"]
        self.assertLess(len(written), 20)
        self.assertEqual(len(written) + sum(line.get("suppressed", 0) for line in written)
                         + sum(line["count"] for line in told), 20, lines)
        self.assertEqual(lines[-1]["event"], "stopped")

    def test_minimum_version(self):
        bridge = self.start_tls()
        self.assertEqual(self.shown(bridge, maximum_version=ssl.TLSVersion.TLSv1_2), "server")
        self.assertEqual(self.shown(bridge, minimum_version=ssl.TLSVersion.TLSv1_3), "server")
        with self.assertRaises(ssl.SSLError):
            self.shown(bridge, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)

    def test_files_that_cannot_be_used_are_told_at_the_start(self):
        def pair(cert, key, *arguments):
            return self.not_started("--tls-cert", cert, "--tls-key", key, *arguments)

        cert, key, ca = files.path("server.pem"), files.path("server.key"), files.path("ca.pem")
        self.assertIn("--tls-cert", self.not_started("--tls-key", key))
        self.assertIn("--tls-key", self.not_started("--tls-cert", cert))
        self.assertIn("the key is not the certificate's", pair(cert, files.path("server2.key")))
        self.assertRegex(pair(key, key), "--tls-cert: .* holds no certificate")
        self.assertRegex(pair(cert, cert), "--tls-key: .* holds no private key")
        self.assertRegex(pair(cert, key, "--client-ca", key), "--client-ca: .* holds no certificate")

        for name, text in {"empty": b"", "half": files.read("server.pem")[:200], "binary": b"\x30\x82\x00\x00"}.items():
            with open(self.own(name), "wb") as file:
                file.write(text)
            self.assertIn("--tls-cert: cannot use", pair(self.own(name), key))
        with open(self.own("garbage"), "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.assertIn("--tls-cert", pair(self.own("garbage"), key))
        self.assertIn("--client-ca", pair(cert, key, "--client-ca", self.own("garbage")))
        openssl("pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", self.own("encrypted"))
        self.assertIn("encrypted", pair(cert, self.own("encrypted")))
        os.mkfifo(self.own("fifo"))
        self.assertIn("not a regular file", pair(cert, self.own("fifo")))
        self.assertIn("--client-ca", self.not_started("--client-ca", ca))

    def test_the_port_in_use_is_told_with_tls_too(self):
        bridge = self.start_tls()
        line = self.not_started("--tls-cert", self.own("cert"), "--tls-key", self.own("key"), listen=bridge.address)
        self.assertIn("in use", line)


class Reload(Case):
    def test_a_new_certificate_while_a_connection_is_in_use(self):
        bridge = self.start_tls()
        old = self.channel(bridge)
        self.served(old)
        stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(old)
        running = stub.UpdateService.future(
            pb.UpdateServiceRequest(service_id="fault-slow-1500ms--reload", description="d"), timeout=PATIENCE,
            metadata=(TOKEN,))
        wait_until(lambda: sim.journal("fault-slow-1500ms--reload"), "the call upstream")
        self.assertEqual(self.shown(bridge), "server")
        self.put("server2.pem", "cert")
        self.put("server2.key", "key")
        self.assertEqual(self.shown(bridge), "server2")
        self.assertFalse(running.result().HasField("update_time"))
        self.served(old)
        self.served(self.channel(bridge))
        self.assertEqual(len(bridge.events("tls_files_changed")), 1)
        self.assertEqual(bridge.events("tls_files_refused"), [])

    def test_each_listener_sees_the_new_certificate(self):
        bridge = self.start_tls("--listen", "127.0.0.1:0")
        first, second = (event["address"] for event in bridge.events("listening"))
        self.put("server2.pem", "cert")
        self.put("server2.key", "key")
        for bridge.address in (first, second, first, second):
            self.assertEqual(self.shown(bridge), "server2")
        self.assertEqual(len(bridge.events("tls_files_changed")), 2)

    def test_half_written_files_leave_the_old_ones(self):
        bridge = self.start_tls(client_ca="ca")
        whole = files.read("server2.pem")
        for faults, (name, text) in enumerate([("cert", whole[:len(whole) // 2]), ("cert", b""), ("key", b"x"),
                                               ("client_ca", whole[:100])], 1):
            with open(self.own(name), "wb") as file:
                file.write(text)
            for _ in range(3):
                self.assertEqual(self.shown(bridge), "server")
            # Once for each fault, not for each connection.
            self.assertEqual(len(bridge.events("tls_files_refused")), faults, text)
        for source, name in (("server.pem", "cert"), ("server.key", "key"), ("ca.pem", "client_ca")):
            self.put(source, name)
        self.assertEqual(self.shown(bridge), "server")
        os.remove(self.own("key"))
        self.assertEqual(self.shown(bridge), "server")
        self.assertIn("No such file", bridge.events("tls_files_refused")[-1]["cause"])
        for source, name in (("server2.pem", "cert"), ("server2.key", "key"), ("ca.pem", "client_ca")):
            self.put(source, name)
        self.assertEqual(self.shown(bridge), "server2")
        self.served(self.channel(bridge, "client"))

    def test_certificate_and_key_replaced_one_after_the_other(self):
        bridge = self.start_tls()
        self.put("server2.pem", "cert")
        for _ in range(3):
            self.assertEqual(self.shown(bridge), "server")
        refused = bridge.events("tls_files_refused")
        self.assertEqual(len(refused), 1)
        self.assertIn("private key", refused[0]["cause"])
        self.assertEqual(refused[0]["address"], bridge.address)
        self.put("server2.key", "key")
        self.assertEqual(self.shown(bridge), "server2")
        self.assertEqual(len(bridge.events("tls_files_refused")), 1)

    def test_a_new_client_ca(self):
        bridge = self.start_tls(client_ca="ca")
        old = self.channel(bridge, "client")
        self.served(old)
        self.refused(self.channel(bridge, "foreign"))
        self.put("other_ca.pem", "client_ca")
        self.served(self.channel(bridge, "foreign"))
        self.refused(self.channel(bridge, "client"))
        self.served(old)


class Mtls(Case):
    def test_certificates_of_callers(self):
        bridge = self.start_tls(client_ca="ca")
        self.served(self.channel(bridge, "client"))
        self.assertEqual(bridge.events("call")[-1]["caller"], SPIFFE)
        for client in (None, "foreign", "expired"):
            with self.subTest(client):
                self.refused(self.channel(bridge, client))
        for client in ("stranger", "nameless", "client"):
            self.served(self.channel(bridge, client))

    def test_without_a_client_ca_certificates_of_callers_mean_nothing(self):
        self.served(self.channel(self.start_tls(), "foreign"))

    def allowed(self, *names):
        return self.start_tls(*(f"--allow-caller={name}" for name in names), client_ca="ca")

    def denied(self, channel, method="UpdateService"):
        before = len(sim.journal())
        call = channel.unary_unary(f"/modelarts.v1.ModelArtsService/{method}")
        # What the message holds makes no difference: it is not read.
        failure = attempt(call, b"\xff" * 100)
        self.assertNotIsInstance(failure, tuple)
        self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"), failure)
        self.assertEqual(len(sim.journal()), before)
        return failure

    def test_allowed_by_uri(self):
        bridge = self.allowed("spiffe://cluster/ns/x/sa/other", SPIFFE)
        self.served(self.channel(bridge, "client"))
        self.denied(self.channel(bridge, "stranger"))

    def test_allowed_by_dns_name(self):
        bridge = self.allowed(DNS)
        self.served(self.channel(bridge, "client"))
        # A name in another case, a part of it, and the same text as an e-mail address.
        self.denied(self.channel(bridge, "stranger"))
        self.assertEqual(bridge.events("call")[-1]["caller"], "spiffe://cluster/ns/x/sa/yy")

    def test_not_allowed(self):
        bridge = self.allowed("spiffe://cluster/ns/x", SPIFFE + "y", DNS + ".cluster", "svc", "*.svc", "client")
        channel = self.channel(bridge, "client")
        failure = self.denied(channel)
        self.assertIn(SPIFFE, failure.message)
        self.assertEqual(bridge.events("call")[-1]["caller"], SPIFFE)
        # Nor does it learn which methods there are.
        self.denied(channel, "NoSuchMethod")
        self.denied(self.channel(bridge, "nameless"))
        self.assertIn("nameless", bridge.events("call")[-1]["caller"])
        self.refused(self.channel(bridge, None))

    def test_unix_sockets_have_no_certificates(self):
        path = f"unix:{self.own('s')}"
        bridge = self.start_tls("--listen", path, "--allow-caller", DNS, client_ca="ca")
        with grpc.insecure_channel(path) as channel:
            self.served(channel)
        self.assertNotIn("caller", bridge.events("call")[-1])
        self.denied(self.channel(bridge, "stranger"))

    def test_the_list_needs_a_client_ca(self):
        for arguments in ((), ("--tls-cert", files.path("server.pem"), "--tls-key", files.path("server.key"))):
            self.assertIn("--client-ca", self.not_started("--allow-caller", DNS, *arguments))


class Client(Case):
    """modelarts-bridge call, with TLS."""

    def run_call(self, bridge, *arguments):
        return subprocess.run([os.environ["BRIDGE"], "call", "--address", bridge.address, "--timeout=60s", "--metadata",
                               "=".join(TOKEN), *arguments, "ShowServiceUpdateLogs", "--data",
                               '{"service_id":"demo-service"}'], capture_output=True, text=True, timeout=PATIENCE)

    def test_tls(self):
        bridge = self.start_tls()
        result = self.run_call(bridge, "--tls", "--ca-file", files.path("ca.pem"))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        unavailable = 64 + grpc.StatusCode.UNAVAILABLE.value[0]
        for arguments in (("--tls", "--ca-file", files.path("other_ca.pem")), ()):
            self.assertEqual(self.run_call(bridge, *arguments).returncode, unavailable)

    def test_server_name(self):
        bridge = self.start_tls(certificate="named")
        result = self.run_call(bridge, "--tls", "--ca-file", files.path("ca.pem"), "--tls-server-name", "bridge.example")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_client_certificate(self):
        bridge = self.start_tls("--allow-caller", DNS, client_ca="ca")
        for name, code in (("client", 0), ("stranger", 64 + grpc.StatusCode.PERMISSION_DENIED.value[0])):
            result = self.run_call(bridge, "--tls", "--ca-file", files.path("ca.pem"), "--tls-cert",
                                   files.path(f"{name}.pem"), "--tls-key", files.path(f"{name}.key"))
            self.assertEqual(result.returncode, code, result.stderr)

    def test_health_commands(self):
        """They are callers like any other."""
        bridge = self.start_tls("--allow-caller", DNS, client_ca="ca")
        for command, arguments in (("health", ("--timeout=60s",)), ("wait", (f"--timeout={5 * SLOWNESS}s",))):
            for name, code, output in (("client", 0, "SERVING\n"), ("stranger", 1, "")):
                result = subprocess.run([os.environ["BRIDGE"], command, "--address", bridge.address, *arguments, "--tls",
                                         "--ca-file", files.path("ca.pem"), "--tls-cert", files.path(f"{name}.pem"),
                                         "--tls-key", files.path(f"{name}.key")],
                                        capture_output=True, text=True, timeout=PATIENCE)
                self.assertEqual((result.returncode, result.stdout), (code, output), result.stderr)
                self.assertRegex(result.stderr, r"\A\Z" if code == 0 else r"\Amodelarts-bridge: [^\n]*PERMISSION_DENIED: [^\n]+\n\Z")
        result = subprocess.run([os.environ["BRIDGE"], "health", "--address", bridge.address, "--timeout=60s", "--tls",
                                 "--ca-file", files.path("other_ca.pem")], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertIn("UNAVAILABLE: ", result.stderr)

    def test_wrong_arguments(self):
        bridge = self.start()
        for arguments, part in ((("--ca-file", files.path("ca.pem")), "--tls"), (("--tls-server-name", "x"), "--tls"),
                                (("--tls", "--tls-cert", files.path("client.pem")), "--tls-key"),
                                (("--tls", "--ca-file", files.path("ca.key")), "holds no certificate")):
            result = self.run_call(bridge, *arguments)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertRegex(result.stderr, r"\Amodelarts-bridge: [^\n]+\n\Z")
            self.assertIn(part, result.stderr)


class UnixSocket(Case):
    def setUp(self):
        super().setUp()
        self.path = self.own("bridge.sock")
        self.address = f"unix:{self.path}"

    def serves(self):
        with grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            self.served(channel)

    def start_here(self, *arguments):
        return self.start("--listen", self.address, *arguments)

    def leave_stale(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path)

    def test_mode(self):
        for arguments, mode in (((), 0o660), (("--unix-socket-mode", "0600"), 0o600), (("--unix-socket-mode=777",), 0o777)):
            bridge = self.start_here(*arguments)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)
            self.serves()
            self.end(bridge)
            self.assertEqual(os.listdir(self.folder), [])
        for mode in ("", "8", "0888", "07777", "1777", "66", "-660", "rw-rw----", "0o660"):
            self.assertIn("--unix-socket-mode", self.not_started("--unix-socket-mode", mode))

    def test_nothing_else_is_left_beside_it(self):
        self.start_here()
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])

    def test_a_stale_socket_is_replaced(self):
        killed = Bridge(sim.url, "--listen", self.address)
        killed.process.kill()
        killed.wait()
        killed.stderr.close()
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])
        bridge = self.start_here()
        self.assertEqual(len(bridge.events("stale_socket_removed")), 1)
        self.serves()
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])

    def test_a_second_bridge_is_refused_and_the_first_goes_on(self):
        first = self.start_here()
        self.assertIn("in use by another process", self.not_started(listen=self.address))
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])
        self.serves()
        self.end(first)
        self.start_here()
        self.serves()

    def test_the_same_path_twice(self):
        self.assertIn("in use", self.not_started("--listen", self.address, listen=self.address))
        self.assertEqual(os.listdir(self.folder), [])

    def test_of_many_that_start_at_once_one_serves(self):
        self.leave_stale()
        command = [os.environ["BRIDGE"], "--upstream-url", sim.url, "--project-id", PROJECT, "--listen",
                   self.address]
        started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
        for process in started:
            self.addCleanup(process.kill)
        wait_until(lambda: sum(p.poll() is not None for p in started) == 5, "five to give up")
        with grpc.insecure_channel(self.address) as channel:
            result = self.call(channel)
        for process in started:
            process.terminate()
        errors = [process.communicate(timeout=PATIENCE)[1] for process in started]
        self.assertEqual(sorted(process.returncode for process in started), [0, 2, 2, 2, 2, 2], errors)
        self.assertIsInstance(result, tuple, result)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_socket_of_another_program(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_UNIX, kind) as other:
                other.bind(self.path)
                if kind == socket.SOCK_STREAM:
                    other.listen()
                self.assertIn("in use by another process", self.not_started(listen=self.address))
                self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))
            os.remove(self.path)

    def test_what_is_no_socket_stays(self):
        with open(self.path, "w") as file:
            file.write("precious")
        self.assertIn("regular file", self.not_started(listen=self.address))
        with open(self.path) as file:
            self.assertEqual(file.read(), "precious")
        os.remove(self.path)
        os.mkdir(self.path)
        self.assertIn("folder", self.not_started(listen=self.address))
        os.rmdir(self.path)
        os.symlink(self.own("nothing"), self.path)
        self.assertIn("no socket", self.not_started(listen=self.address))
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])

    def test_at_the_end_only_the_own_file_is_removed(self):
        bridge = self.start_here()
        os.remove(self.path)
        self.leave_stale()
        self.end(bridge)
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])

    def test_a_failed_start_removes_it(self):
        first = self.start()
        self.not_started("--listen", first.address, listen=self.address)
        self.assertEqual(os.listdir(self.folder), [])

    def test_paths(self):
        # A percent sign is no escape, a space is no end.
        folder = self.own("f%41 %")
        os.mkdir(folder)
        self.path = os.path.join(folder, "a%41 b")
        self.address = f"unix:{self.path}"
        self.start_here()
        self.assertEqual(os.listdir(folder), ["a%41 b"])
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(self.path)
        self.assertIn("No such file or directory", self.not_started(listen=f"unix:{self.own('none')}/s"))
        self.assertIn("too long", self.not_started(listen="unix:" + "x" * 108))
        self.assertIn("too long", self.not_started(listen="unix:/" + "x" * 94 + "/s"))

    def test_the_longest_path(self):
        folder = self.own("x" * (94 - len(self.folder) - 1))
        os.mkdir(folder)
        self.path = os.path.join(folder, "y" * (107 - 95))
        self.assertEqual(len(self.path), 107)
        self.address = f"unix:{self.path}"
        self.start_here()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(self.path)

    def without_permission(self):
        # Root may do everything: then the bridge is started as nobody.
        user = {"user": 65534} if os.geteuid() == 0 else {}
        self.assertIn("Permission denied", self.not_started(listen=self.address, **user))

    def test_a_folder_without_permission(self):
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o700)
        self.without_permission()

    def test_a_socket_of_which_nothing_can_be_told_stays(self):
        os.chmod(self.folder, 0o777)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            os.chmod(self.path, 0)
            self.without_permission()
        self.assertEqual(os.listdir(self.folder), ["bridge.sock"])


class Listen(Case):
    def test_causes(self):
        for address, cause in (("192.0.2.1:0", "not an address of this host"), ("nobody.invalid:0", "does not resolve"),
                               ("x" * 300 + ":0", "--listen")):
            self.assertIn(cause, self.not_started(listen=address))

    def test_second_bridge_on_one_port(self):
        bridge = self.start()
        line = self.not_started(listen=bridge.address)
        self.assertIn("in use by another process", line)
        self.assertIn(bridge.address, line)
        with bridge.channel() as channel:
            self.served(channel)

    @unittest.skipUnless(socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"), "this host has no IPv6")
    def test_ipv6(self):
        bridge = self.start("--listen", "[::1]:0")
        address = bridge.events("listening")[1]["address"]
        self.assertRegex(address, r"\A\[::1\]:[1-9]\d*\Z")
        with grpc.insecure_channel(address) as channel:
            self.served(channel)
        self.assertIn("in use", self.not_started(listen=address))

    def test_plaintext_beyond_this_host_is_warned_of(self):
        warned = self.start("--listen", "0.0.0.0:0").events("listening_not_encrypted")
        self.assertEqual([event["level"] for event in warned], ["warn"])
        self.assertRegex(warned[0]["address"], r"\A0\.0\.0\.0:[1-9]")
        quiet = self.start_tls("--listen", "0.0.0.0:0", "--listen", f"unix:{self.own('s')}")
        self.assertEqual(quiet.events("listening_not_encrypted"), [])


if __name__ == "__main__":
    unittest.main()
