"""End-to-end test of modelarts-sim: IAM's tokens, signed requests. Usage: test_sim_credentials.py PATH_TO_BINARY"""

import datetime
import hashlib
import hmac
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True

import simulator
from simulator import SERVICES, TIMEOUT_S, Sim, wait_until

TOKENS = "/v3/auth/tokens"
WRONG = {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}


def credentials(user="demo-user", password="demo-password", domain="demo-domain", project=None):
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": user, "password": password, "domain": {"name": domain}}}},
        "scope": {"project": project or {"name": "demo-project-name"}}}}


def sign(sim, path, method="GET", body=b"", dialect="Access", access_key="demo-access-key",
         secret_key="demo-secret-key", skew_s=0, signed=(), **headers):
    """The headers of a signed request for a path that needs no encoding; |signed| names more of |headers|."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=skew_s)
    date = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {"X-Sdk-Date": date, **{name.replace("_", "-"): value for name, value in headers.items()}}
    values = {name.lower(): value for name, value in sent.items()}
    values["host"] = "127.0.0.1:%d" % sim.port
    names = sorted({"host", "x-sdk-date", *signed})
    path, _, query = path.partition("?")
    canonical = "\n".join([method, path + "/", query, *("%s:%s" % (name, values[name]) for name in names), "",
                           ";".join(names), hashlib.sha256(body).hexdigest()])
    lines = ["SDK-HMAC-SHA256", date, hashlib.sha256(canonical.encode()).hexdigest()]
    key, identity = secret_key.encode(), access_key
    if dialect == "Credential":
        scope = date[:8] + "/region/service/sdk_request"
        lines.insert(2, scope)
        key = b"SDK" + key
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        identity += "/" + scope
    signature = hmac.digest(key, "\n".join(lines).encode(), "sha256").hex()
    return {**sent, "Authorization": "SDK-HMAC-SHA256 %s=%s, SignedHeaders=%s, Signature=%s"
                                     % (dialect, identity, ";".join(names), signature)}


class CredentialsCase(simulator.SimCase):
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(*cls.flags)

    def ask(self, query="?nocatalog=true", **kwargs):
        return self.sim.request("POST", TOKENS + query, body=credentials(**kwargs), token=None,
                                headers={"Content-Type": "application/json;charset=utf8"})

    def token(self, **kwargs):
        answer = self.ask(**kwargs)
        self.assertEqual(answer.status, 201)
        return answer.headers["X-Subject-Token"]

    def show(self, **kwargs):
        return self.sim.get("/demo-service", **kwargs)

    def show_signed(self, **kwargs):
        return self.show(token=None, headers=sign(self.sim, SERVICES + "/demo-service", **kwargs))

    def assert_identity_error(self, answer, reason):
        self.assert_error(answer, 401, "APIGW.0301", "Incorrect IAM authentication information: " + reason)

    def assert_kept_secret(self, *secrets):
        with open(self.sim.journal_path, encoding="utf-8") as file:
            journal = file.read()
        self.sim.errors.flush()
        with open(self.sim.errors.name, encoding="utf-8") as file:
            log = file.read()
        for secret in secrets:
            self.assertNotIn(secret, journal)
            self.assertNotIn(secret, log)


class IamTest(CredentialsCase):
    flags = ("--token", "sim-token", "--log-level", "debug")

    def test_token_is_handed_out_and_accepted(self):
        for project in ({"name": "demo-project-name"}, {"id": "demo-project"}):
            answer = self.ask(project=project)
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (201, "application/json"))
            token = answer.headers["X-Subject-Token"]
            self.assertRegex(token, "^[A-Za-z0-9_-]{200}$")
            body = answer.json()["token"]
            self.assertEqual((body["project"]["id"], body["project"]["name"]), ("demo-project", "demo-project-name"))
            read = lambda key: datetime.datetime.strptime(body[key], "%Y-%m-%dT%H:%M:%S.%fZ")
            self.assertEqual(read("expires_at") - read("issued_at"), datetime.timedelta(hours=24))
            now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
            self.assertLess(abs(now - read("issued_at")), datetime.timedelta(minutes=1))
            self.assertNotIn("catalog", body)
            self.assertEqual(self.show(token=token).status, 200)
        self.assertIn("catalog", self.ask(query="").json()["token"])
        self.assertEqual(self.show(token=token[:-1]).status, 401)
        self.assertEqual(self.show().status, 200)
        self.assert_kept_secret(token, token[:-1], "demo-password", "sim-token")

    def test_refusals_are_iam_s(self):
        for wrong in ({"user": "nobody"}, {"password": "wrong-one"}, {"domain": "other"}, {"user": "iam-fault-typo"}):
            answer = self.ask(**wrong)
            self.assertEqual((answer.status, answer.json()), (401, WRONG))
            self.assertIsNone(answer.headers["X-Subject-Token"])
            self.assertRegex(answer.headers["X-Request-Id"], "^[0-9a-f]{32}$")
        self.assertEqual(self.sim.journal()[-1]["detail"], "there is no such fault")
        answer = self.ask(project={"name": "other"})
        self.assertEqual((answer.status, answer.json()["error"]["title"]), (404, "Not Found"))
        post = lambda body, **headers: self.sim.request("POST", TOKENS, body=body, token=None, headers=headers)
        malformed = {"error": {"code": 400, "message": "The request body is invalid", "title": "Bad Request"}}
        for answer in (post(b"{\"auth\":"), post(b""), post(b"{}"), post(b"\xff"),
                       post(json.dumps(credentials()), **{"Content-Type": "text/plain"})):
            self.assertEqual((answer.status, answer.json()), (400, malformed))
        self.assert_kept_secret("wrong-one", "demo-password")

    def test_other_methods_and_paths_are_none(self):
        body = credentials(password="sent-to-nowhere")
        for method, path in (("GET", TOKENS), ("POST", TOKENS + "/"), ("POST", "/v3/auth"), ("PUT", TOKENS),
                             ("POST", "/iam" + TOKENS), ("POST", SERVICES)):
            self.assert_error(self.sim.request(method, path, body=body), 404, "APIG.0101")
        self.assert_kept_secret("sent-to-nowhere")

    def test_journal_shows_that_a_token_was_asked_for(self):
        self.token()
        line = self.sim.journal()[-1]
        self.assertEqual((line["method"], line["path"], line["query"]), ("POST", TOKENS, "nocatalog=true"))
        self.assertEqual(line["body"], credentials(password="present"))
        self.assertEqual((line["status"], line["auth"], line["issued"], line["service_id"], line["executed"]),
                         (201, "none", True, None, False))
        self.ask(password="wrong-two")
        line = self.sim.journal()[-1]
        self.assertEqual((line["status"], line["issued"], line["detail"]), (401, False, "the password is wrong"))
        self.show()
        line = self.sim.journal()[-1]
        self.assertEqual((line["auth"], line["issued"]), ("token", None))
        self.show(token=None)
        self.assertEqual(self.sim.journal()[-1]["auth"], "none")

    def test_faults_of_users(self):
        for name, status in (("500", 500), ("401", 401), ("code-429-IAM.0012", 429), ("html-502", 502),
                             ("empty-500", 500), ("text-503", 503), ("redirect", 302)):
            answer = self.ask(user="iam-fault-" + name)
            self.assertEqual((answer.status, answer.headers["X-Subject-Token"]), (status, None))
            line = self.sim.journal()[-1]
            self.assertEqual((line["fault"], line["issued"]), ("iam-fault-" + name, False))
        self.assertEqual(self.ask(user="iam-fault-401").json(), WRONG)
        self.assertEqual(self.ask(user="iam-fault-429-retry-after-3").headers["Retry-After"], "3")
        answer = self.ask(user="iam-fault-no-token-header--x")
        self.assertEqual((answer.status, answer.headers["X-Subject-Token"]), (201, None))
        self.assertIn("expires_at", answer.json()["token"])
        self.assertFalse(self.sim.journal()[-1]["issued"])
        for name in ("not-json", "truncated-json", "html-200", "empty-201"):
            answer = self.ask(user="iam-fault-" + name)
            self.assertEqual(answer.status, 200 if name == "html-200" else 201)
            self.assertEqual(len(answer.headers["X-Subject-Token"]), 200)
            self.assertRaises(ValueError, answer.json)
            self.assertTrue(self.sim.journal()[-1]["issued"])
        answer = self.ask(user="iam-fault-huge-2MiB")
        self.assertEqual((answer.status, len(answer.body)), (201, 2 * 1024 * 1024))
        self.assertEqual(len(self.ask(user="iam-fault-deep-1000").body), 2008)
        for name in ("reset", "close"):
            self.assertRaises((ConnectionError, http.client.HTTPException), self.ask, user="iam-fault-" + name)
            line = self.sim.journal()[-1]
            self.assertEqual((line["status"], line["issued"]), (None, False))
        start = time.monotonic()
        self.assertEqual(self.show(token=self.token(user="iam-fault-slow-300ms")).status, 200)
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        self.assertEqual(self.ask(user="iam-fault-503", password="wrong-one").status, 401)

    def test_flaky_users_recover_each_for_itself(self):
        for user in ("iam-fault-flaky-2-503--a", "iam-fault-flaky-2-503--b"):
            self.assertEqual([self.ask(user=user).status for _ in range(4)], [503, 503, 201, 201])

    def test_many_tokens_at_once_are_all_counted(self):
        tokens = []
        def work():
            for _ in range(10):
                tokens.append(self.token(user="iam-fault-slow-1ms--many"))
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual(len(set(tokens)), 60)
        self.assertTrue(all(self.show(token=token).status == 200 for token in tokens[::10]))
        lines = [line for line in self.sim.journal() if line["issued"] and line["fault"] == "iam-fault-slow-1ms"]
        self.assertEqual(len(lines), 60)

    def test_sigusr1_revokes_what_was_handed_out(self):
        token = self.token()
        self.sim.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.show(token=token).status == 401, "the revocation")
        self.assert_error(self.show(token=token), 401, "ModelArts.0203", "Invalid token.")
        self.assertEqual(self.sim.journal()[-1]["detail"], "the token was handed out and has expired")
        self.assertEqual(self.show().status, 200)
        self.assertEqual(self.show(token=self.token()).status, 200)


class TokenSettingsTest(unittest.TestCase):
    def run_with(self, *flags):
        sim = Sim(*flags)
        self.addCleanup(sim.discard)
        return sim

    def ask(self, sim, **kwargs):
        return sim.request("POST", TOKENS, body=credentials(**kwargs), token=None)

    def test_expired_forms(self):
        for form, code in (("modelarts-0202", "ModelArts.0202"), ("modelarts-0203", "ModelArts.0203"),
                           ("apig-0301", "APIG.0301"), ("apig-0307", "APIG.0307")):
            sim = self.run_with("--expired-form", form, "--token-lifetime", "1ms")
            token = self.ask(sim).headers["X-Subject-Token"]
            wait_until(lambda: sim.get("/demo-service", token=token).status == 401, "the end of the token")
            answer = sim.get("/demo-service", token=token).json()
            self.assertEqual(answer["error_code"], code)
            self.assertEqual(answer["error_msg"].startswith("Incorrect IAM authentication information: token expires, "
                                                            "expires_at:20"), form == "apig-0301")

    def test_settings_of_iam(self):
        sim = self.run_with("--iam-user", "u", "--iam-password", "p-1", "--iam-domain", "d", "--iam-project", "eu-de",
                            "--project-id", "0123", "--token-bytes", "32756B")
        answer = self.ask(sim, user="u", password="p-1", domain="d", project={"name": "eu-de"})
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.json()["token"]["project"]["id"], "0123")
        token = answer.headers["X-Subject-Token"]
        # With its name this header is exactly as long as the gateway lets through.
        self.assertEqual(len(token), 32756)
        self.assertEqual(sim.request("GET", "/v1/0123/services", token=token).status, 200)
        self.assertEqual(self.ask(sim).status, 401)

    def test_largest_tokens_are_too_large_for_the_gateway(self):
        for size, length in (("32757B", 32757), ("32KiB", 32768)):
            sim = self.run_with("--token-bytes", size)
            token = self.ask(sim).headers["X-Subject-Token"]
            self.assertEqual(len(token), length)
            self.assertEqual(sim.get("/demo-service", token=token).status, 494)

    def test_bad_settings_are_refused(self):
        for flags in (("--token-bytes", "31B"), ("--token-bytes", "32769B"), ("--token-lifetime", "0s"),
                      ("--expired-form", "apig-0308"), ("--aksk-lock", "for ever"), ("--access-key", "")):
            result = subprocess.run([simulator.BINARY, *flags], capture_output=True, timeout=TIMEOUT_S, text=True)
            self.assertEqual(result.returncode, 2, flags)
            self.assertRegex(result.stderr, r"^modelarts-sim: .+\n$")

    def test_security_token(self):
        sim = self.run_with("--access-key", "AK-1", "--secret-key", "SK-1", "--security-token", "st-1")
        path = SERVICES + "/demo-service"
        keys = {"access_key": "AK-1", "secret_key": "SK-1"}
        show = lambda **kwargs: sim.get("/demo-service", token=None, headers=sign(sim, path, **keys, **kwargs)).status
        self.assertEqual(show(), 401)
        self.assertEqual(show(X_Security_Token="st-2"), 401)
        self.assertEqual(show(X_Security_Token="st-1"), 200)
        self.assertEqual(show(X_Security_Token="st-1", signed=("x-security-token",)), 200)
        with open(sim.journal_path, encoding="utf-8") as file:
            journal = file.read()
        for secret in ("st-1", "st-2", "SK-1"):
            self.assertNotIn(secret, journal)


class SignedTest(CredentialsCase):
    flags = ("--aksk-lock", "700ms", "--log-level", "debug")

    def test_both_dialects_are_accepted(self):
        for dialect in ("Access", "Credential"):
            self.assertEqual(self.show_signed(dialect=dialect).status, 200)
            line = self.sim.journal()[-1]
            self.assertEqual((line["auth"], line["headers"]["x-auth-token"]), ("aksk", "absent"))
            body = b"{\"description\":\"x\"}"
            path = SERVICES + "/svc-signed"
            headers = sign(self.sim, path, "PUT", body, dialect, signed=("content-type",),
                           Content_Type="application/json;charset=UTF-8")
            self.assertEqual(self.sim.put("/svc-signed", body, token=None, headers=headers).status, 200)
            path = SERVICES + "/svc-signed/logs?update_time=1"
            self.assertEqual(self.sim.request("GET", path, token=None,
                                              headers=sign(self.sim, path, dialect=dialect)).status, 200)
        headers = sign(self.sim, path)
        self.sim.request("GET", path, token=None, headers=headers)
        self.assert_kept_secret("demo-secret-key", headers["Authorization"].rsplit("=", 1)[1])

    def test_wrong_signature_is_refused_and_the_sixth_locks(self):
        good = sign(self.sim, SERVICES + "/svc-lock")
        for _ in range(6):
            answer = self.sim.get("/demo-service", token=None, headers=good)
            self.assert_identity_error(answer, "verify aksk signature fail")
        self.assertIn("the SHA-256 of the canonical request is ", self.sim.journal()[-1]["detail"])
        self.assert_identity_error(self.show_signed(), "AK access failed to reach the limit,forbidden")
        self.assertEqual(self.sim.journal()[-1]["detail"], "the access key is locked")
        wait_until(lambda: self.show_signed().status == 200, "the end of the lock")
        self.assert_kept_secret("demo-secret-key", good["Authorization"].rsplit("=", 1)[1])

    def test_others_are_refused(self):
        self.assert_identity_error(self.show_signed(access_key="AK-2"), "ak AK-2 not exist")
        answer = self.show_signed(skew_s=-1000)
        self.assertIn("signature expired, signature time:", answer.json()["error_msg"])
        # A signed request is judged by its signature, whatever else it has.
        answer = self.show(token="sim-token", headers=sign(self.sim, SERVICES + "/other"))
        self.assert_identity_error(answer, "verify aksk signature fail")
        self.assertEqual(self.show(token="sim-token", headers={"Authorization": "Basic eA=="}).status, 200)
        self.assertEqual(self.show_signed().status, 200)

    def test_project_id_must_be_that_of_the_path(self):
        for signed in ((), ("x-project-id",)):
            self.assertEqual(self.show_signed(X_Project_Id="demo-project", signed=signed).status, 200)
            self.assertEqual(self.sim.journal()[-1]["headers"]["x-project-id"], "demo-project")
            self.assert_error(self.show_signed(X_Project_Id="other", signed=signed), 403, "ModelArts.0210")
        path = "/v1/other/services"
        answer = self.sim.request("GET", path, token=None, headers=sign(self.sim, path))
        self.assert_error(answer, 403, "ModelArts.0210")


if __name__ == "__main__":
    simulator.main(__doc__)
