"""What the environment of the bridge could give away: what libraries write down when told to, its memory."""
import os
import shutil
import tempfile
import unittest

from harness import Bridge, Case, PROJECT, Process, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

NOBODY = 65534


class Environment(Case):
    def start(self, *arguments, env):
        bridge = Bridge(self.sim.url, *arguments, env=env)
        self.addCleanup(self.end_cleanly, bridge)
        channel = bridge.channel()
        self.addCleanup(channel.close)
        stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
        return bridge, attempt(stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id="demo-service"))

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
