"""The three calls: what goes out over REST, and what comes back."""
import itertools
import unittest

from harness import Case, PROJECT, TOKEN, attempt, wait_until
from google.protobuf import field_mask_pb2, json_format, struct_pb2
from modelarts.v1 import deployment_pb2, modelarts_service_pb2 as pb, service_config_pb2, service_property_pb2
from modelarts.v1 import service_settings_pb2, service_update_log_pb2

numbers = itertools.count()


def fresh(name="svc"):
    """An id that no other test has used: the simulator makes a service of its own for it."""
    return f"{name}-{next(numbers)}"


def config(**fields):
    return service_config_pb2.ServiceConfig(
        **{"model_id": "demo-model", "weight": 100, "specification": "modelarts.vm.cpu.2u", "instance_count": 1,
           **fields})


class Calls(Case):
    def sent(self, service_id):
        entries = self.sim.journal(service_id)
        self.assertEqual(len(entries), 1, entries)
        return entries[0]

    def update(self, **fields):
        service_id = fresh()
        response, trailers = self.ok(
            attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=service_id, **fields)))
        return self.sent(service_id), response, trailers

    def test_update_documents_example(self):
        """Updating Service Configurations, Example Requests; the simulator refuses a start of what runs."""
        service_id = "demo-stopped"
        response, trailers = self.ok(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(
            service_id=service_id, description="", status=service_settings_pb2.SERVICE_STATUS_RUNNING,
            config=[config(model_id="xxxx")])))
        entry = self.sent(service_id)
        self.assertEqual((entry["method"], entry["path"]), ("PUT", f"/v1/{PROJECT}/services/{service_id}"))
        self.assertEqual(entry["headers"]["content-type"], "application/json;charset=UTF-8")
        self.assertEqual(entry["body"], {
            "description": "", "status": "running",
            "config": [{"model_id": "xxxx", "weight": 100, "specification": "modelarts.vm.cpu.2u",
                        "instance_count": 1}]})
        self.assertEqual(list(entry["body"]), ["description", "config", "status"])
        self.assertIn("status", trailers["modelarts-bridge-warning"])
        self.assertFalse(response.HasField("update_time"))
        self.assertEqual(len(trailers["x-request-id"]), 32)

    def test_update_config_answers_update_time_and_resources(self):
        entry, response, _ = self.update(config=[config()])
        self.assertNotIn("description", entry["body"])
        self.assertGreater(response.update_time, 1 << 40)
        self.assertEqual(len(response.resource_ids), 1)

    def test_update_exact_names_and_zero_values(self):
        entry, _, _ = self.update(
            config=[config(weight=0, additional_properties=deployment_pb2.ModelAdditionalProperties(max_unavailable=0)),
                    config(weight=100, model_id="other-model", envs={"A": ""})],
            service_secrets=[service_settings_pb2.ServiceSecret(secret_id="s", mouth_path="/p")],
            additional_properties=service_settings_pb2.ServiceAdditionalProperties(
                websocket_upgrade=False,
                smn_notification=service_settings_pb2.SmnNotification(topic_urn="urn", events=[3, 7, 99])))
        body = entry["body"]
        self.assertEqual(body["service_secrets"], [{"secretId": "s", "mouthPath": "/p"}])
        self.assertEqual(body["config"][0]["weight"], 0)
        self.assertEqual(body["config"][0]["additional_properties"], {"max_unavailable": 0})
        self.assertEqual(body["config"][1]["envs"], {"A": ""})
        self.assertEqual(body["additional_properties"],
                         {"smn_notification": {"topic_urn": "urn", "events": [3, 7, 99]}, "websocket_upgrade": False})

    def test_update_free_json_and_fractions(self):
        rule = {"type": "object", "properties": {"x": {"type": "number", "index": 0}, "y": [1.5, None, "t", {}]}}
        struct = struct_pb2.Struct()
        struct.update(rule)
        entry, _, _ = self.update(config=[config(
            specification="custom", custom_spec=deployment_pb2.CustomSpec(cpu=0.1, memory=512, gpu_p4=1e-7),
            mapping_rule=struct)])
        sent = entry["body"]["config"][0]
        self.assertEqual(sent["mapping_rule"], rule)
        self.assertEqual(sent["custom_spec"], {"gpu_p4": 1e-07, "memory": 512, "cpu": 0.1})

    def test_update_mask_sends_empty_values(self):
        entry, _, _ = self.update(
            config=[config(envs={})], description="left out",
            update_mask=field_mask_pb2.FieldMask(
                paths=["config", "config.envs", "additional_properties.log_report_channels"]))
        self.assertEqual(entry["body"], {
            "config": [{"envs": {}, "specification": "modelarts.vm.cpu.2u", "weight": 100, "model_id": "demo-model",
                        "instance_count": 1}],
            "additional_properties": {"log_report_channels": []}})

    def test_update_mask_empty_body(self):
        entry, _, _ = self.update()
        self.assertEqual(entry["body"], {})

    def test_property_documents_example(self):
        service_id = fresh()
        response, _ = self.ok(attempt(self.stub.UpdateServiceByProperty, pb.UpdateServiceByPropertyRequest(
            service_id=service_id, changed_property=service_property_pb2.CHANGED_PROPERTY_INSTANCE_COUNT,
            configs=[service_property_pb2.UpdateServiceConfig(model_id="demo-model", changed_value=2)])))
        entry = self.sent(service_id)
        self.assertEqual(entry["path"], f"/v1/{PROJECT}/services/{service_id}/property")
        self.assertEqual(entry["body"], {"changed_property": "instance_count",
                                         "configs": [{"model_id": "demo-model", "changed_value": 2}]})
        self.assertIsInstance(entry["body"]["configs"][0]["changed_value"], int)
        self.assertGreater(response.update_time, 1 << 40)

    def newest_log(self, service_id):
        logs, _ = self.ok(attempt(self.stub.ShowServiceUpdateLogs,
                                  pb.ShowServiceUpdateLogsRequest(service_id=service_id)))
        return logs.logs[0]

    def test_logs_filter_by_update_time(self):
        service_id = fresh()
        times = []
        for count in (2, 3):
            response, _ = self.ok(attempt(self.stub.UpdateServiceByProperty, pb.UpdateServiceByPropertyRequest(
                service_id=service_id, changed_property=service_property_pb2.CHANGED_PROPERTY_INSTANCE_COUNT,
                configs=[service_property_pb2.UpdateServiceConfig(model_id="demo-model", changed_value=count)])))
            times.append(response.update_time)
            # A service that deploys takes no further update.
            wait_until(lambda: self.newest_log(service_id).result == service_update_log_pb2.LOG_RESULT_SUCCESS,
                       "the update")
        logs, _ = self.ok(attempt(self.stub.ShowServiceUpdateLogs,
                                  pb.ShowServiceUpdateLogsRequest(service_id=service_id, update_time=times[0])))
        self.assertEqual([log.update_time for log in logs.logs], [times[0]])
        self.assertEqual(logs.logs[0].config[0].instance_count, 2)
        entry = self.sim.journal(service_id)[-1]
        self.assertEqual(entry["query"], f"update_time={times[0]}")
        self.assertNotIn("content-type", entry["headers"])

    def test_logs_of_an_edge_service(self):
        logs, _ = self.ok(attempt(self.stub.ShowServiceUpdateLogs,
                                  pb.ShowServiceUpdateLogsRequest(service_id="demo-edge")))
        log = logs.logs[0]
        self.assertEqual(log.result, service_update_log_pb2.LOG_RESULT_SUCCESS)
        self.assertTrue(log.HasField("failed_num"))
        self.assertEqual(log.success_num + log.failed_num, len(log.result_detail))
        self.assertEqual(log.result_detail[0].operation, service_update_log_pb2.UPDATE_OPERATION_DEPLOY)
        self.assertTrue(log.result_detail[0].HasField("result"))

    def test_project_of_the_request_wins(self):
        failure = attempt(self.stub.ShowServiceUpdateLogs,
                          pb.ShowServiceUpdateLogsRequest(project_id="other project", service_id="demo-service"))
        self.assertEqual(failure.reason, "MODELARTS_0210")
        self.assertEqual(self.sim.journal()[-1]["path"], "/v1/other%20project/services/demo-service/logs")

    def test_metadata_by_allow_list(self):
        service_id = fresh()
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.ok(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=service_id), metadata=(
            TOKEN, ("traceparent", trace), ("x-request-id", "mine"), ("authorization", "Bearer x"), ("cookie", "a=b"))))
        headers = self.sent(service_id)["headers"]
        self.assertEqual((headers["traceparent"][:36], headers["x-request-id"]), (trace[:36], "mine"))
        self.assertNotIn("authorization", headers)
        self.assertNotIn("cookie", headers)

    def test_token_of_32_kib_passes(self):
        """The gateway takes a header of 32 KiB, its name included."""
        failure = attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=fresh()),
                          metadata=(("x-auth-token", "t" * (32 * 1024 - 64)),))
        self.assertEqual(failure.reason, "MODELARTS_0203", failure)

    def test_caller_unknown_fields_are_ignored(self):
        service_id = fresh()
        request = pb.UpdateServiceRequest(service_id=service_id, description="d").SerializeToString()
        unknown = b"\xf8\xff\x7f\x01" + b"\xc2\x3e\x03abc"
        self.ok(attempt(self.raw(), request + unknown))
        self.assertEqual(self.sent(service_id)["body"], {"description": "d"})

    def test_other_forms_of_the_answer(self):
        forms = {"form-strings": True, "form-single-resource-id": True, "form-empty-object": False,
                 "form-empty-body": False, "form-204": False, "form-unknown-fields": True,
                 "form-duplicate-keys": True, "form-no-content-type": True, "form-charset": True, "form-201": True}
        for form, has_time in forms.items():
            with self.subTest(form):
                response, _ = self.ok(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(
                    service_id=f"{form}--{next(numbers)}", config=[config()])))
                self.assertEqual(response.HasField("update_time"), has_time,
                                 json_format.MessageToJson(response))
                if has_time:
                    self.assertGreater(response.update_time, 1 << 40)

    def test_other_forms_of_the_logs(self):
        for form in ("form-strings", "form-nulls", "form-unknown-fields", "form-charset", "form-no-content-type"):
            with self.subTest(form):
                service_id = f"{form}--{next(numbers)}"
                self.ok(attempt(self.stub.UpdateService,
                                pb.UpdateServiceRequest(service_id=service_id, config=[config(weight=100)])))
                logs, _ = self.ok(attempt(self.stub.ShowServiceUpdateLogs,
                                          pb.ShowServiceUpdateLogsRequest(service_id=service_id)))
                self.assertEqual(len(logs.logs), 1)
                self.assertGreater(logs.logs[0].update_time, 1 << 40)
                self.assertEqual(logs.logs[0].config[0].weight, 100)

    def test_z_unknown_keys_are_logged_once_each(self):
        for _ in range(3):
            self.ok(attempt(self.stub.ShowServiceUpdateLogs,
                            pb.ShowServiceUpdateLogsRequest(service_id=f"form-unknown-fields--{next(numbers)}")))
        seen = [(e["event"], e["where"], e["what"]) for e in
                self.bridge.events("upstream_unknown_key") + self.bridge.events("upstream_unknown_literal")]
        self.assertGreater(len(seen), 0)
        self.assertEqual(len(seen), len(set(seen)))


if __name__ == "__main__":
    unittest.main()
