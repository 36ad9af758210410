"""The API lives in the schema alone: the table of methods is read from it, and a new method needs no C."""
import os
import subprocess
import unittest

import grpc

from harness import Bridge, Sim, attempt
from extra.v1 import extra_pb2, extra_pb2_grpc
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc


def routes(program):
    output = subprocess.run([os.environ[program], "routes"], check=True, capture_output=True, text=True).stdout
    return [line.split() for line in output.splitlines()[1:]]


def own(routes):
    """The methods that the bridge answers itself."""
    return [route[0] for route in routes if route[1] == "-"]


class Schema(unittest.TestCase):
    def test_routes_are_the_schemas(self):
        service = pb.DESCRIPTOR.services_by_name["ModelArtsService"]
        rest = [r for r in routes("BRIDGE") if r[1] != "-"]
        self.assertEqual([r[0] for r in rest], [f"{service.full_name}/{m.name}" for m in service.methods])
        self.assertEqual([r[1:3] for r in rest], [
            ["PUT", "/v1/{project_id}/services/{service_id}"],
            ["PUT", "/v1/{project_id}/services/{service_id}/property"],
            ["GET", "/v1/{project_id}/services/{service_id}/logs"]])

    def test_what_the_bridge_answers_itself(self):
        reflection = "ServerReflection/ServerReflectionInfo"
        for program in ("BRIDGE", "BRIDGE_EXTENDED"):
            self.assertEqual(own(routes(program)), ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch",
                                                    f"grpc.reflection.v1.{reflection}", f"grpc.reflection.v1alpha.{reflection}"])

    def test_fourth_method_needs_no_c(self):
        self.assertIn(["extra.v1.ExtraService/ShowService", "GET", "/v1/{project_id}/services/{service_id}"],
                      [r[:3] for r in routes("BRIDGE_EXTENDED")])
        sim = Sim()
        self.addCleanup(sim.end)
        bridge = Bridge(sim.url, program="BRIDGE_EXTENDED")
        self.addCleanup(bridge.end)
        with bridge.channel() as channel:
            response, _ = attempt(extra_pb2_grpc.ExtraServiceStub(channel).ShowService,
                                  extra_pb2.ShowServiceRequest(service_id="demo-service"))
            self.assertEqual(response.service_id, "demo-service")
            self.assertEqual(response.infer_type, extra_pb2.INFER_TYPE_REAL_TIME)
            self.assertEqual(response.status, "running")
            self.assertEqual(response.config[0].instance_count, 1)
            failure = attempt(extra_pb2_grpc.ExtraServiceStub(channel).ShowService,
                              extra_pb2.ShowServiceRequest(service_id=".."))
            self.assertEqual(failure.code, grpc.StatusCode.INVALID_ARGUMENT)
            other = attempt(modelarts_service_pb2_grpc.ModelArtsServiceStub(channel).UpdateService,
                            pb.UpdateServiceRequest(service_id="svc-1"))
            self.assertIsInstance(other, tuple, other)

    def test_no_field_of_the_api_stands_in_c(self):
        """The names that only this API has; a C string with one would be a list of fields."""
        found = subprocess.run(["grep", "-rnE", '"(model_id|instance_count|service_id|changed_value|update_time|secretId|mouthPath)"',
                                os.path.join(os.environ["ROOT"], "bridge"), "--include=*.c", "--include=*.h"],
                               capture_output=True, text=True)
        self.assertEqual(found.stdout, "")


if __name__ == "__main__":
    unittest.main()
