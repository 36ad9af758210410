"""End-to-end test of modelarts-sim: calls, rules, forms, journal. Usage: test_sim.py PATH_TO_BINARY"""

import json
import re
import sys
import time

sys.dont_write_bytecode = True

import simulator
from simulator import README, SERVICES, config, scale, wait_until


class CallsTest(simulator.SimCase):
    def test_show_service(self):
        answer = self.sim.get("/demo-service")
        body = answer.json()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertRegex(answer.headers["X-Request-Id"], "^[0-9a-f]{32}$")
        self.assertEqual((body["status"], body["infer_type"], body["progress"]), ("running", "real-time", 100))
        self.assertEqual(body["config"][0]["model_id"], "demo-model")
        self.assertEqual(body["config"][0]["instance_count"], 1)
        self.assertEqual(body["config"][0]["custom_spec"], {})
        self.assertEqual(self.sim.get("/demo-stopped").json()["status"], "stopped")
        self.assertEqual(self.sim.get("/demo-batch").json()["infer_type"], "batch")
        self.assertEqual(self.sim.get("/demo-deploying").json()["status"], "deploying")

    def test_list_services(self):
        body = self.sim.get("").json()
        ids = [service["service_id"] for service in body["services"]]
        self.assertEqual(body["count"], len(ids))
        for seeded in ("demo-service", "demo-stopped", "demo-edge", "demo-batch", "demo-deploying"):
            self.assertIn(seeded, ids)

    def test_update_with_config_deploys_and_is_logged(self):
        sent = config(weight="100", envs={"A": ""}, key_of_tomorrow=[1, None])
        answer = self.sim.put("/svc-update", {"description": "new", "config": [sent]})
        self.assertEqual(answer.status, 200)
        body = answer.json()
        self.assertEqual(set(body), {"update_time", "resource_ids"})
        self.assertRegex(body["resource_ids"][0], "^INF-[0-9a-f]{16}-%d$" % body["update_time"])
        self.assertLess(abs(body["update_time"] / 1000 - time.time()), 60)
        log = self.sim.get("/svc-update/logs").json()
        self.assertEqual((log["service_id"], log["service_name"]), ("svc-update", "svc-update"))
        record = log["logs"][0]
        self.assertEqual((record["result"], record["update_time"]), ("RUNNING", body["update_time"]))
        self.assertEqual(record["extend_config"], [])
        self.assertEqual(record["config"][0]["weight"], 100)
        self.assertEqual(record["config"][0]["scaling"], False)
        self.assertEqual(record["config"][0]["key_of_tomorrow"], [1, None])
        self.assertNotIn("success_num", record)
        shown = self.sim.get("/svc-update").json()
        self.assertEqual((shown["status"], shown["description"]), ("deploying", "new"))
        self.assert_error(self.sim.put("/svc-update", {"config": [config()]}), 400, "ModelArts.3519")
        wait_until(lambda: self.sim.get("/svc-update/logs").json()["logs"][0]["result"] == "SUCCESS", "SUCCESS")
        self.assertEqual(self.sim.get("/svc-update").json()["status"], "running")

        second = self.sim.put("/svc-update", {"config": [config(cluster_id="c-1")]}).json()["update_time"]
        self.assertGreater(second, body["update_time"])
        logs = self.sim.get("/svc-update/logs").json()["logs"]
        self.assertEqual([entry["update_time"] for entry in logs], [second, body["update_time"]])
        self.assertEqual(logs[0]["cluster_id"], "c-1")
        filtered = self.sim.get("/svc-update/logs?update_time=%d" % second).json()["logs"]
        self.assertEqual([entry["update_time"] for entry in filtered], [second])
        self.assertEqual(self.sim.get("/svc-update/logs?update_time=1").json()["logs"], [])
        for bad in ("", "x", "1.5", "-1", "1e3", "%zz"):
            self.assert_error(self.sim.get("/svc-update/logs?update_time=" + bad), 400, "ModelArts.0107")

    def test_update_without_config_answers_an_empty_object(self):
        self.assertEqual(self.sim.put("/svc-plain", {"description": ""}).body, b"{}")
        self.assertEqual(self.sim.put("/svc-plain", {}).body, b"{}")
        self.assertEqual(self.sim.get("/svc-plain/logs").json()["logs"], [])

    def test_update_keeps_attributes(self):
        secrets = [{"secretId": "s", "mouthPath": "/m"}]
        schedule = [{"type": "stop", "time_unit": "HOURS", "duration": 1}]
        self.sim.put("/svc-keep", {"service_secrets": secrets, "schedule": schedule, "priority": 2,
                                   "load_balancer_policy": "SOURCE_IP",
                                   "additional_properties": {"websocket_upgrade": True}})
        self.sim.put("/svc-keep", {"additional_properties": {"log_report_channels": [{"type": "LTS"}]}})
        shown = self.sim.get("/svc-keep").json()
        self.assertEqual(shown["service_secrets"], secrets)
        self.assertEqual(shown["schedule"], schedule)
        self.assertEqual((shown["priority"], shown["load_balancer_policy"]), (2, "SOURCE_IP"))
        self.assertEqual(shown["additional_properties"],
                         {"websocket_upgrade": True, "log_report_channels": [{"type": "LTS"}]})
        for back in ({"websocket_upgrade": False}, {"log_report_channels": []}):
            self.assert_error(self.sim.put("/svc-keep", {"additional_properties": back}), 400, "ModelArts.0107")

    def test_status_beats_config(self):
        answer = self.sim.put("/svc-status", {"status": "stopped", "config": [config(model_id="ignored")]})
        self.assertEqual(answer.body, b"{}")
        self.assertEqual(self.sim.get("/svc-status").json()["status"], "stopping")
        self.assertEqual(self.sim.get("/svc-status").json()["config"][0]["model_id"], "demo-model")
        wait_until(lambda: self.sim.get("/svc-status").json()["status"] == "stopped", "stopped")
        self.assert_error(self.sim.put("/svc-status", {"status": "stopped"}), 400, "ModelArts.3519")
        self.assertEqual(self.sim.put("/svc-status", {"status": "running"}).body, b"{}")
        wait_until(lambda: self.sim.get("/svc-status").json()["status"] == "running", "running")
        self.assertEqual(self.sim.get("/svc-status/logs").json()["logs"], [])

    def test_property_changes_the_instance_count(self):
        for value, model, expected in ((3, "demo-model", 3), ("5", "demo-model", 5)):
            answer = self.sim.put("/svc-scale/property", scale(value, model))
            self.assertEqual(answer.status, 200)
            self.assertIn("update_time", answer.json())
            self.assertEqual(self.sim.get("/svc-scale").json()["config"][0]["instance_count"], expected)
            wait_until(lambda: self.sim.get("/svc-scale").json()["status"] == "running", "running")
        self.assertEqual(len(self.sim.get("/svc-scale/logs").json()["logs"]), 2)
        executed = [line["executed"] for line in self.sim.journal() if line["path"].endswith("/svc-scale/property")]
        self.assertEqual(executed, [True, True])
        self.assert_error(self.sim.put("/svc-scale/property", scale(5)), 400, "ModelArts.0107",
                          "The values of the request parameters (changed_value,5) are invalid.")
        self.assert_error(self.sim.put("/svc-scale/property", scale(1, "nobody")), 400, "ModelArts.3529",
                          "Model nobody under service svc-scale does not exist.")
        self.assert_error(self.sim.put("/demo-stopped/property", scale(2)), 400, "ModelArts.3519")
        self.assert_error(self.sim.put("/demo-edge/property", scale(2)), 400, "ModelArts.0101")

    def test_edge_records_have_results_of_nodes(self):
        record = self.sim.get("/demo-edge/logs").json()["logs"][0]
        self.assertEqual((record["result"], record["success_num"], record["failed_num"]), ("SUCCESS", 1, 0))
        detail = record["result_detail"][0]
        self.assertEqual((detail["result"], detail["operation"]), (True, "deploy"))
        self.assertTrue(detail["node_id"])

    def test_demo_deploying_refuses_updates(self):
        self.assertEqual(self.sim.get("/demo-deploying/logs").json()["logs"][0]["result"], "RUNNING")
        for body in ({"config": [config()]}, {"status": "stopped"}, {"description": "x"}):
            self.assert_error(self.sim.put("/demo-deploying", body), 400, "ModelArts.3519")

    # Who may call, and what exists

    def test_tokens(self):
        self.assertEqual(self.sim.get("/demo-service", token="other-token").status, 200)
        self.assert_error(self.sim.get("/demo-service", token="wrong"), 401, "ModelArts.0203", "Invalid token.")
        self.assert_error(self.sim.get("/demo-service", token="expired-token"), 401, "ModelArts.0202",
                          "Invalid token header because the token has expired.")
        self.assert_error(self.sim.get("/demo-service", token="forbidden-token"), 403, "ModelArts.0108",
                          "You are not authorized to perform the (modelarts:service:get) operation.")
        for token in (None, ""):
            self.assert_error(self.sim.get("/demo-service", token=token), 401, "APIGW.0301",
                              "Incorrect IAM authentication information: x-auth-token not found")

    def test_another_project_is_forbidden(self):
        self.assert_error(self.sim.request("GET", "/v1/other/services/demo-service"), 403, "ModelArts.0210",
                          "The project id in the request URL does not match the token.")

    def test_unknown_service(self):
        self.assert_error(self.sim.get("/nobody"), 404, "ModelArts.3502", "Service nobody does not exist.")
        self.assert_error(self.sim.get("/fault-typo"), 404, "ModelArts.3502")
        self.assertEqual(self.sim.last("fault-typo")["detail"], "there is no such fault")

    def test_unknown_paths_and_methods(self):
        message = "The API does not exist or has not been published in the environment."
        for method, path in (("GET", "/"), ("GET", "/v2/demo-project/services"), ("GET", SERVICES + "/"),
                             ("PUT", SERVICES + "/"), ("PUT", SERVICES), ("POST", SERVICES + "/demo-service"),
                             ("DELETE", SERVICES + "/demo-service"), ("GET", SERVICES + "/demo-service/property"),
                             ("PUT", SERVICES + "/demo-service/logs"), ("GET", SERVICES + "/demo-service/logs/"),
                             ("PATCH", SERVICES + "/demo-service"), ("GET", "//v1/demo-project/services"),
                             ("GET", "/v1//services"), ("GET", "/a/b/c/d/e/f/g/h/i/j"), ("OPTIONS", "*")):
            with self.subTest(method=method, path=path):
                self.assert_error(self.sim.request(method, path), 404, "APIG.0101", message)

    def test_path_is_recorded_as_sent(self):
        for tail, service_id in (("/..", ".."), ("/%2e%2e", ".."), ("/a%2Fb", "a/b"), ("/a%2C%20b", "a, b"),
                                 ("/%E6%B1%89", "\u6c49"), ("/%FF", "\ufffd")):
            self.assert_error(self.sim.get(tail + "?x=%31"), 404, "ModelArts.3502")
            line = self.sim.journal()[-1]
            self.assertEqual((line["path"], line["query"], line["service_id"]), (SERVICES + tail, "x=%31", service_id))
        for tail in ("/%", "/%zz", "/a%00b"):
            self.assert_error(self.sim.get(tail), 400, "APIG.0201")

    # Bodies that are refused

    def test_bad_bodies(self):
        for body in (b"", b"nonsense", b"[]", b"1", b"{\"a\":1", b"{} x", b"{'a':1}", b"\xff\xfe", b"{\"description\":\"\xff\"}",
                     b"[" * 100000, b"{\"a\":" * 5000 + b"1" + b"}" * 5000, b"{\"description\":\"\\ud800\"}",
                     b"\x00" * 10):
            with self.subTest(body=body[:20]):
                self.assert_error(self.sim.put("/svc-bad", body), 400, "ModelArts.0104", "Parameter error.")
        line = self.sim.journal()[-1]
        self.assertEqual((line["body"], line["executed"]), ("\ufffd" * 10, False))
        self.assert_error(self.sim.request("PUT", SERVICES + "/svc-bad"), 400, "ModelArts.0104")

    def test_refusal_is_explained_in_the_journal(self):
        self.assert_error(self.sim.put("/svc-detail", {"config": [config(weight=90)]}), 400, "ModelArts.0107",
                          "The values of the request parameters (weight,90) are invalid.")
        line = self.sim.last("svc-detail")
        self.assertEqual((line["detail"], line["executed"]), ("the weights' sum is 90, not 100", False))

    def test_sizes_of_the_gateway(self):
        filler = b"{\"description\":\"\",\"x\":\"%s\"}"
        fits = 12 * 1024 * 1024 - len(filler % b"")
        self.assertEqual(self.sim.put("/svc-size", filler % (b"x" * fits)).status, 200)
        self.assert_error(self.sim.put("/svc-size", filler % (b"x" * (fits + 1))), 413, "APIG.0201",
                          "Request entity too large.")
        self.assertIsNone(self.sim.journal()[-1]["body"])
        self.assert_error(self.sim.get("/" + "a" * 32768), 414, "APIG.0201", "Request URI too large.")
        self.assertEqual(self.sim.get("/demo-service", headers={"X-A": "a" * 32765}).status, 200)
        self.assert_error(self.sim.get("/demo-service", headers={"X-A": "a" * 32766}), 494, "APIG.0201")
        many = {"X-%d" % i: "a" * 30000 for i in range(5)}
        self.assert_error(self.sim.get("/demo-service", headers=many), 494, "APIG.0201")

    # Forms

    def test_forms(self):
        update = {"config": [config()]}
        put = lambda name, body=update: self.sim.put("/svc-form-" + name, body)
        self.assertIsInstance(put("strings").json()["update_time"], str)
        self.assertEqual(self.sim.get("/svc-form-strings").json()["config"][0]["weight"], "100")
        self.assertRegex(put("single-resource-id").json()["resource_ids"], "^INF-")
        self.assertEqual(put("empty-object").body, b"{}")
        answer = put("empty-body")
        self.assertEqual((answer.status, answer.body, answer.headers["Content-Length"]), (200, b"", "0"))
        answer = put("204")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(put("nulls", {"description": ""}).json(), {"update_time": None, "resource_ids": None})
        self.assertIn("field_of_tomorrow", put("unknown-fields").json())
        self.assertEqual(self.sim.get("/svc-form-unknown-fields/logs").json()["logs"][0]["result"], "PARTLY")
        self.assertEqual(self.sim.get("/svc-form-unknown-fields").json()["status"], "hibernating")
        self.assertEqual(put("duplicate-keys").body.count(b"\"update_time\":"), 2)
        self.assertEqual(self.sim.get("/svc-form-duplicate-keys/logs").body.count(b"\"update_time\":"), 2)
        self.assertIsNone(put("no-content-type").headers["Content-Type"])
        self.assertEqual(put("charset").headers["Content-Type"], "application/json;charset=UTF-8")
        answer = put("201")
        self.assertEqual(answer.status, 201)
        self.assertIn("update_time", answer.json())
        put("failed-update")
        wait_until(lambda: self.sim.get("/svc-form-failed-update").json()["status"] == "failed", "failed")
        self.assertEqual(self.sim.get("/svc-form-failed-update/logs").json()["logs"][0]["result"], "FAIL")
        logs = self.sim.get("/svc-form-nulls/logs").json()
        self.assertEqual(logs["logs"], [])
        for line in self.sim.journal():
            if (line["service_id"] or "").startswith("svc-form-") and line["method"] == "PUT":
                self.assertTrue(line["executed"])
        self.assertEqual(self.sim.put("/form-204--other", {}).status, 204)

    # The journal

    def test_journal_line(self):
        headers = {"Content-Type": "application/json;charset=UTF-8", "X-Request-Id": "r-1", "traceparent": "t-1",
                   "Tracestate": "s-1", "User-Agent": "u-1", "Accept": "application/json", "X-Other": "no"}
        text = "{ \"description\" : \"a b\",\n \"x\": 100.0, \"y\": 9007199254740993 }"
        answer = self.sim.put("/svc-journal?a=b%20c", text, headers=headers)
        with open(self.sim.journal_path, encoding="utf-8") as file:
            raw = file.read().splitlines()[-1]
        self.assertIn("\"body\":{\"description\":\"a b\",\"x\":100.0,\"y\":9007199254740993}", raw)
        line = json.loads(raw)
        self.assertEqual(line["headers"], {"content-type": "application/json;charset=UTF-8", "x-auth-token": "present",
                                           "x-request-id": "r-1", "traceparent": "t-1", "tracestate": "s-1",
                                           "user-agent": "u-1", "accept": "application/json"})
        self.assertEqual((line["method"], line["path"], line["query"]), ("PUT", SERVICES + "/svc-journal", "a=b%20c"))
        self.assertEqual((line["status"], line["service_id"], line["fault"], line["executed"], line["detail"]),
                         (200, "svc-journal", None, True, None))
        self.assertEqual(line["request_id"], answer.headers["X-Request-Id"])
        self.sim.get("/svc-journal", token=None)
        line = self.sim.journal()[-1]
        self.assertEqual((line["headers"]["x-auth-token"], line["executed"], line["body"]), ("absent", False, None))
        self.sim.raw(b"GET %s/svc-journal HTTP/1.1\r\nHost: h\r\nX-Auth-Token: a\r\nX-Auth-Token: b\r\n"
                     b"Connection: close\r\n\r\n" % SERVICES.encode())
        self.assertEqual(self.sim.journal()[-1]["headers"]["x-auth-token"], "repeated")
        with open(self.sim.journal_path, encoding="utf-8") as file:
            self.assertNotIn("sim-token", file.read())

    def test_readme_shows_a_line_like_ours(self):
        with open(README, encoding="utf-8") as file:
            text = file.read()
        shown = json.loads(re.search(r"```json\n(.*)\n```", text).group(1))
        self.sim.put("/svc-1", {"description": "x"}, headers={"Accept": "*/*", "User-Agent": "curl/7.88.1"})
        line = self.sim.last("svc-1")
        self.assertEqual(list(shown), list(line))
        same = [key for key in shown if key not in ("seq", "request_id")]
        self.assertEqual({key: shown[key] for key in same}, {key: line[key] for key in same})


if __name__ == "__main__":
    simulator.main(__doc__)
