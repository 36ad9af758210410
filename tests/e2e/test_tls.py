"""TLS to upstream, and HTTP/2 by ALPN: nghttpx terminates TLS in front of the simulator."""
import os
import socket
import subprocess
import tempfile
import unittest

import grpc

from harness import Bridge, Process, Sim, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc


def make_certificate(folder, name, subject_alt_name):
    key, certificate = (os.path.join(folder, f"{name}.{kind}") for kind in ("key", "pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject_alt_name}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="bridge-tls-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.sim = Sim()
        cls.addClassCleanup(cls.sim.end)
        cls.key, cls.certificate = make_certificate(folder.name, "local", "IP:127.0.0.1,DNS:localhost")
        cls.other_key, cls.other = make_certificate(folder.name, "other", "DNS:elsewhere.example")
        cls.access_log = os.path.join(folder.name, "access")
        cls.port = cls.start_proxy(cls.key, cls.certificate, cls.access_log)
        cls.wrong_name_port = cls.start_proxy(cls.other_key, cls.other, cls.access_log)

    @classmethod
    def start_proxy(cls, key, certificate, access_log):
        port = free_port()
        proxy = Process(["nghttpx", f"--frontend=127.0.0.1,{port}", f"--backend=127.0.0.1,{cls.sim.port}", "--workers=1",
                         "--conf=/dev/null", f"--accesslog-file={access_log}", "--accesslog-format=$alpn $request",
                         key, certificate])
        cls.addClassCleanup(cls.end_proxy, proxy)
        wait_until(lambda: accepts(port) or not proxy.alive(), "the proxy")
        return port

    @staticmethod
    def end_proxy(proxy):
        proxy.process.kill()
        proxy.process.wait()
        proxy.stderr.close()

    def call(self, url, *arguments):
        bridge = Bridge(url, *arguments)
        try:
            with bridge.channel() as channel:
                stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
                return attempt(stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id="demo-service"))
        finally:
            self.assertEqual(bridge.end(), 0, bridge.last_errors)

    def protocols(self):
        with open(self.access_log) as file:
            return [line.split()[0] for line in file]

    def test_trusted_certificate_over_http2(self):
        result = self.call(f"https://127.0.0.1:{self.port}", "--ca-file", self.certificate)
        self.assertIsInstance(result, tuple, result)
        self.assertEqual(self.protocols()[-1], "h2")

    def test_http2_can_be_switched_off(self):
        result = self.call(f"https://localhost:{self.port}", "--ca-file", self.certificate, "--upstream-http2", "off")
        self.assertIsInstance(result, tuple, result)
        self.assertEqual(self.protocols()[-1], "http/1.1")

    def untrusted(self, url, *arguments):
        before = len(self.sim.journal())
        failure = self.call(url, *arguments)
        self.assertEqual((failure.code, failure.reason),
                         (grpc.StatusCode.FAILED_PRECONDITION, "UPSTREAM_CERTIFICATE"), failure)
        self.assertEqual(len(self.sim.journal()), before)

    def test_certificate_of_an_unknown_issuer(self):
        self.untrusted(f"https://127.0.0.1:{self.port}")

    def test_certificate_of_another_name(self):
        self.untrusted(f"https://127.0.0.1:{self.wrong_name_port}", "--ca-file", self.other)

    def test_certificate_that_has_expired(self):
        key, request, certificate, extensions = (os.path.join(self.folder, f"expired.{kind}")
                                                 for kind in ("key", "csr", "pem", "ext"))
        with open(extensions, "w") as file:
            file.write("subjectAltName=IP:127.0.0.1\n")
        for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
                         "-keyout", key, "-out", request],
                        ["x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                         "-days", "-1", "-extfile", extensions, "-out", certificate]):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        port = self.start_proxy(key, certificate, self.access_log)
        self.untrusted(f"https://127.0.0.1:{port}", "--ca-file", self.certificate)

    def test_ca_file_that_holds_no_certificate(self):
        self.untrusted(f"https://127.0.0.1:{self.port}", "--ca-file", self.key)

    def test_tls_spoken_to_a_plain_server(self):
        failure = self.call(f"https://127.0.0.1:{self.sim.port}", "--ca-file", self.certificate)
        self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNREACHABLE"), failure)


if __name__ == "__main__":
    unittest.main()
