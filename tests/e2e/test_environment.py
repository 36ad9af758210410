"""What the environment of the bridge could give away: proxies, what libraries write down when told to, its memory."""
import os
import shutil
import socket
import tempfile
import threading
import unittest

import grpc

from harness import Bridge, Case, PROJECT, Process, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

NOBODY = 65534


class Proxy:
    """Keeps the first bytes of each connection, and closes it."""

    def __init__(self, case):
        self.requests = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        case.addCleanup(self.end)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            with connection:
                request = connection.recv(65536)
                if not request:
                    return
                self.requests.append(request)

    def end(self):
        socket.create_connection(self.socket.getsockname()).close()
        self.thread.join()
        self.socket.close()


class Environment(Case):
    def start(self, *arguments, env, url=None):
        bridge = Bridge(url or self.sim.url, *arguments, env=env)
        self.addCleanup(self.end_cleanly, bridge)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
        return bridge, attempt(stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id="demo-service"))

    def test_plain_http_goes_past_proxies(self):
        proxy = Proxy(self)
        for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
            with self.subTest(name):
                _, result = self.start(env={name: proxy.url, "no_proxy": ""})
                self.ok(result)
                self.assertEqual(proxy.requests, [])

    def test_https_goes_through_a_proxy_as_a_tunnel(self):
        proxy = Proxy(self)
        _, result = self.start(env={"https_proxy": proxy.url, "no_proxy": ""}, url="https://modelarts.example")
        self.fails(result, grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNREACHABLE")
        for request in proxy.requests:
            self.assertTrue(request.startswith(b"CONNECT modelarts.example:443 HTTP/1.1\r\n"), request)
            self.assertNotIn(b"sim-token", request)
        self.assertNotEqual(proxy.requests, [])

    def test_traces_of_grpc_hold_no_metadata(self):
        bridge, result = self.start("--log-level", "debug", env={"GRPC_TRACE": "all", "GRPC_VERBOSITY": "debug"})
        self.ok(result)
        self.assertNotEqual(bridge.events("grpc"), [])
        self.assertFalse("x-auth-token" in bridge.errors())

    def test_keys_of_tls_are_not_written_down(self):
        with tempfile.TemporaryDirectory(prefix="bridge-environment-") as folder:
            path = os.path.join(folder, "keys")
            self.start(env={"SSLKEYLOGFILE": path})
            self.assertFalse(os.path.exists(path))

    def test_other_processes_of_its_user_cannot_look_inside(self):
        """What belongs to root in /proc, memory and environment among it, neither its user's ptrace nor a core dump gets."""
        with tempfile.TemporaryDirectory(prefix="bridge-environment-") as folder:
            os.chmod(folder, 0o755)
            program = shutil.copy(os.environ["BRIDGE"], folder)
            # Root looks into everything: then the bridge runs as somebody else.
            user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
            bridge = Process([*user, program, "serve", "--listen", "127.0.0.1:0", "--upstream-url", self.sim.url,
                              "--project-id", PROJECT])
            self.addCleanup(self.end_cleanly, bridge)
            wait_until(lambda: bridge.events("listening") or not bridge.alive(), "the bridge")
            self.assertTrue(bridge.alive(), bridge.errors())
            self.assertEqual(os.stat(f"/proc/{bridge.process.pid}/mem").st_uid, 0)


if __name__ == "__main__":
    unittest.main()
