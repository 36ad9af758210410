"""The command line of the bridge: what it prints, what it refuses, and with which exit code. Needs no upstream.

Usage: test_cli.py PATH_OF_MODELARTS_BRIDGE [unittest's arguments]
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BRIDGE = sys.argv.pop(1)
PREFIX = "MODELARTS_BRIDGE_"
URL = "--upstream-url=https://upstream.invalid"
# A machine under load takes its time; nothing here waits for this long.
PATIENCE = 60 * int(os.environ.get("SLOWNESS", "1"))


def run(*arguments, env=None, data=None):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    # Another bridge may have the usual admin port.
    clean[PREFIX + "ADMIN_LISTEN"] = "127.0.0.1:0"
    return subprocess.run([BRIDGE, *arguments], env={**clean, **(env or {})}, input=data, timeout=PATIENCE,
                          capture_output=True, text=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cli(unittest.TestCase):
    def refused(self, result, *parts):
        """Exit code 2, nothing on standard output, one line on standard error that says all of |parts|."""
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        self.assertRegex(result.stderr, r"\Amodelarts-bridge: [^\n]+\n\Z")
        for part in parts:
            self.assertIn(part, result.stderr)

    def printed(self, result):
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout


class TopLevel(Cli):
    def test_help_lists_the_commands(self):
        for flag in ("--help", "-h", "help"):
            text = self.printed(run(flag))
            for command in ("serve", "call", "health", "wait", "routes", "check", "version"):
                self.assertRegex(text, rf"(?m)^  {command} ")

    def test_unknown_command_lists_the_commands(self):
        self.refused(run("srve"), '"srve"', "serve, call, health, wait, routes, check, version")
        self.refused(run("a\nb\x1b[31m"), r"a\u000Ab\u001B[31m")
        self.refused(run(""), '""')

    def test_version_is_one_line(self):
        self.assertRegex(self.printed(run("version")), r"\Amodelarts-bridge \d+\.\d+\.\d+\n\Z")
        self.refused(run("version", "x"), '"x"')
        self.assertEqual(self.printed(run("--version")), self.printed(run("version")))
        self.refused(run("--version", "x"), '"x"')

    def test_help_of_a_command_is_its_own(self):
        self.assertEqual(self.printed(run("help", "call")), self.printed(run("call", "--help")))
        self.refused(run("help", "srve"), '"srve"', "serve, call, health, wait, routes")

    def test_every_command_has_help(self):
        for command in ("serve", "call", "health", "wait", "routes", "check", "version"):
            for flag in ("--help", "-h"):
                self.assertIn(f"modelarts-bridge {command}".replace(" serve", " [serve]"),
                              self.printed(run(command, flag)))

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([BRIDGE, "routes"], stdout=full, stderr=subprocess.PIPE, text=True,
                                    timeout=PATIENCE)
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output", result.stderr)


class ServeSettings(Cli):
    def rows(self):
        text = self.printed(run("routes", "--settings"))
        rows = re.findall(r"(?m)^\| `--([a-z0-9-]+) [^`]*` \| `([A-Z0-9_]+)` \|", text)
        self.assertGreater(len(rows), 10)
        return rows

    def test_help_mentions_every_setting(self):
        # With and without the command's name.
        for arguments in (["serve", "--help"], [URL, "--help"]):
            text = self.printed(run(*arguments))
            for flag, variable in self.rows():
                self.assertRegex(text, rf"(?m)^  --{flag} ")
                self.assertRegex(text, rf"\[env: {variable}[\],]")

    def test_variables_are_named_after_the_flags(self):
        for flag, variable in self.rows():
            self.assertEqual(variable, PREFIX + flag.upper().replace("-", "_"))

    def test_wrong_setting_is_refused_as_flag_and_as_variable(self):
        wrong = {
            "default-timeout": ["30", "0ms", "2h", "-1s", "30 s", ""],
            "max-timeout": ["x", "25h", "0s"],
            "connect-timeout": ["5", "11m", "0ms"],
            "max-attempts": ["0", "11", "1.5", "many"],
            "max-in-flight": ["0", "100001", "1.5", "many"],
            "max-request-bytes": ["1MB", "1023B", "65MiB"],
            "max-response-bytes": ["16", "1B", "1GiB"],
            "shards": ["0", "65", "two"],
            "max-upstream-connections": ["0", "4097"],
            "upstream-http2": ["on", "AUTO"],
            "ca-file": ["/nonexistent/ca.pem", "/"],
            "error-overrides": ["/nonexistent/rows.tsv", "/"],
            "forward-metadata": ["authorization", "X-Upper", "a b", "x-auth-token", "a-bin", "grpc-x", "host"],
            "return-header": ["set-cookie", "x-subject-token", "", "A"],
            "upstream-drift": ["Warn", "no", ""],
            "auth": ["none", "Token"],
            "credentials-dir": [""],
            "iam-url": [""],
            "iam-timeout": ["0ms", "10", "6m"],
            "aksk-dialect": ["b"],
            "aksk-region": [""],
            "aksk-service": [""],
            "drain-min-delay": ["1", "-1s", "61m"],
            "drain-max-delay": ["x", "25h"],
            "keepalive-time": ["30", "25h"],
            "keepalive-timeout": ["0s", "2h"],
            "max-connection-age": ["5", "25h"],
            "max-connection-age-grace": ["0s", "25h"],
            "admin-listen": [""],
            "log-format": ["xml", "JSON"],
            "log-level": ["verbose", "4"],
            "project-id": ["..", "a/b", "a b", "x" * 129],
            "listen": ["nope", ":1", "h:", "h:65536", "unix:"],
            "tls-cert": ["/nonexistent/tls.crt", "/"],
            "tls-key": ["/nonexistent/tls.key", "/"],
            "client-ca": ["/nonexistent/ca.crt", "/"],
            "allow-caller": [""],
            "unix-socket-mode": ["660 ", "1777", "0888", "rw"],
            "upstream-url": ["upstream", "ftp://h", "https://h:0", "https://h/..", "https://h?a=b", "https://"],
        }
        self.assertEqual(sorted(wrong), sorted(flag for flag, _ in self.rows()))
        port = free_port()
        for flag, variable in self.rows():
            for value in wrong[flag]:
                with self.subTest(flag=flag, value=value):
                    others = [] if flag == "upstream-url" else [URL]
                    if flag != "listen":
                        others.append(f"--listen=127.0.0.1:{port}")
                    self.refused(run(*others, f"--{flag}={value}"), f"--{flag}")
                    self.refused(run("serve", *others, env={variable: value}), flag.upper().replace("-", "_")
                                 if flag not in ("project-id", "listen", "upstream-url", "unix-socket-mode") else flag)
        with socket.socket() as client:
            self.assertNotEqual(client.connect_ex(("127.0.0.1", port)), 0)

    def test_timeouts_that_do_not_fit_are_refused(self):
        self.refused(run(URL, "--default-timeout=2s", "--max-timeout=1s"), "--default-timeout", "--max-timeout")
        self.refused(run(URL, "--drain-min-delay=2s", "--drain-max-delay=1s"), "--drain-min-delay", "--drain-max-delay")

    def test_missing_upstream_is_refused(self):
        for arguments in ([], ["serve"], ["--log-level=info"]):
            self.refused(run(*arguments), "--upstream-url", PREFIX + "UPSTREAM_URL")

    def test_unknown_flag_and_stray_argument_are_refused(self):
        self.refused(run(URL, "--listn=127.0.0.1:1"), "--listn", "--listen")
        self.refused(run(URL, "serve"), '"serve"')
        self.refused(run("serve", URL, "--listen"), "--listen", "missing")

    def test_secret_in_the_url_is_not_repeated(self):
        for url in ("https://user:s3cret@h", "https://h/?token=s3cret", "https://h/#s3cret"):
            result = run("--upstream-url", url)
            self.refused(result, "--upstream-url")
            self.assertNotIn("s3cret", result.stderr)

    def test_address_that_cannot_be_bound_is_refused(self):
        self.refused(run(URL, "--listen=unix:/nonexistent/socket"), "/nonexistent/socket")


class Routes(Cli):
    def test_table_has_every_method(self):
        lines = self.printed(run("routes")).splitlines()
        self.assertEqual(lines[0].split(), ["METHOD", "VERB", "PATH", "BODY", "REPEATABLE"])
        cells = {line.split()[0]: line.split()[1:] for line in lines[1:]}
        service = "modelarts.v1.ModelArtsService/"
        path = "/v1/{project_id}/services/{service_id}"
        self.assertEqual(cells[service + "UpdateService"], ["PUT", path, "*", "no"])
        self.assertEqual(cells[service + "UpdateServiceByProperty"], ["PUT", path + "/property", "*", "no"])
        self.assertEqual(cells[service + "ShowServiceUpdateLogs"], ["GET", path + "/logs", "-", "yes"])
        self.assertEqual(cells["grpc.health.v1.Health/Check"], ["-", "(answered", "by", "the", "bridge)", "-", "-"])
        self.assertEqual(len({line.index(line.split()[1]) for line in lines}), 1, "VERB is not aligned")

    def test_errors_are_sorted_and_whole(self):
        lines = self.printed(run("routes", "--errors")).splitlines()
        self.assertEqual(lines[0].split(), ["HTTP", "CODE", "GRPC", "REASON", "DETAIL"])
        rows = [line.split() for line in lines[1:]]
        self.assertIn(["404", "ModelArts.3502", "NOT_FOUND", "MODELARTS_3502", "resource:modelarts.Service"], rows)
        self.assertTrue(all(len(row) == 5 for row in rows))
        self.assertEqual({row[4].split(":")[0] for row in rows}, {"-", "quota", "precondition", "resource"})
        self.assertEqual(rows, sorted(rows, key=lambda row: (int(row[0]), row[1])))

    def test_wrong_arguments_are_refused(self):
        self.refused(run("routes", "--errors", "--settings"), "give one of --errors, --settings and --metrics")
        self.refused(run("routes", "--metrics", "--settings"), "give one of --errors, --settings and --metrics")
        self.refused(run("routes", "--error"), "--errors")
        self.refused(run("routes", "x"), '"x"')


class Call(Cli):
    def call(self, *arguments, **more):
        return run("call", "--address", f"127.0.0.1:{free_port()}", *arguments, **more)

    def test_method_must_be_one_that_exists(self):
        self.refused(self.call(), "METHOD")
        self.refused(self.call("UpdateService", "ShowServiceUpdateLogs"), "METHOD")
        self.refused(self.call("updateservice"), "modelarts.v1.ModelArtsService/UpdateService",
                     "modelarts.v1.ModelArtsService/ShowServiceUpdateLogs")

    def test_data_must_fit_the_schema(self):
        wrong = {
            "{": "not valid JSON",
            "[]": "JSON object",
            '{"service_id":1.5,"priority":"high"}': "priority",
            '{"stauts":"stopped"}': '"stauts", accepted in modelarts.v1.UpdateServiceRequest: project_id, service_id',
            '{"status":"stop"}': '"stop", accepted in modelarts.v1.ServiceStatus: running, stopped',
            '{"config":[{"wight":1}]}': '"wight", accepted in modelarts.v1.ServiceConfig:',
            '{"config":[]}': "config is empty",
        }
        for data, part in wrong.items():
            with self.subTest(data=data):
                self.refused(self.call("UpdateService", "--data", data), "--data", part)
                self.refused(self.call("UpdateService", "--data", "-", data=data), "--data", part)

    def test_data_file_must_be_readable(self):
        self.refused(self.call("UpdateService", "--data=@/nonexistent/x.json"), "/nonexistent/x.json")
        self.refused(self.call("UpdateService", "--data=@/"), "directory")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write('{"a":1}')
            file.flush()
            self.refused(self.call("UpdateService", f"--data=@{file.name}"), 'unknown key "a"')

    def test_data_has_a_ceiling(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.truncate((64 << 20) + 1)
            self.refused(self.call("UpdateService", f"--data=@{file.name}"), "more than 64 MiB")
            file.truncate(64 << 20)
            self.refused(self.call("UpdateService", f"--data=@{file.name}"), "not valid JSON")

    def test_metadata_must_be_sendable_and_is_not_repeated(self):
        for entry in ("s3cret", "=s3cret", "x-bin=s3cret", "grpc-x=s3cret", "a b=s3cret", "x=s3cret\n",
                      "x=s3cret\u00e4"):
            with self.subTest(entry=entry):
                result = self.call("UpdateService", "--metadata", entry)
                self.refused(result, "--metadata")
                self.assertNotIn("s3cret", result.stderr)

    def test_address_must_have_its_form(self):
        for address in ("50051", "h:0", "h:65536", "unix:", "::1:1", "http://h:1"):
            with self.subTest(address=address):
                self.refused(run("call", "--address", address, "UpdateService"), "--address", address)

    def test_settings_come_from_flags_alone(self):
        result = run("call", "--timeout=0ms", "UpdateService", env={PREFIX + "TIMEOUT": "1s"})
        self.refused(result, "--timeout")

    def test_bridge_that_does_not_run_is_unavailable(self):
        result = self.call("UpdateService", "--data", json.dumps({"service_id": "s"}))
        self.assertEqual((result.returncode, result.stdout), (64 + 14, ""))
        self.assertTrue(result.stderr.startswith("error: UNAVAILABLE (14)\nmessage: "), result.stderr)

    def test_proxy_of_the_environment_is_not_used(self):
        with socket.socket() as proxy:
            proxy.bind(("127.0.0.1", 0))
            proxy.listen()
            url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
            result = self.call("UpdateService", env={"http_proxy": url, "grpc_proxy": url, "no_proxy": ""})
            self.assertEqual(result.returncode, 64 + 14, result.stderr)
            proxy.setblocking(False)
            self.assertRaises(BlockingIOError, proxy.accept)

    def test_server_that_never_answers_ends_with_the_deadline(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            result = run("call", "--address", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout=100ms",
                         "UpdateService")
        self.assertEqual((result.returncode, result.stdout), (64 + 4, ""), result.stderr)
        self.assertIn("error: DEADLINE_EXCEEDED (4)\n", result.stderr)


class Health(Cli):
    """"health" and "wait" without a bridge; test_health.py has them with one."""

    def failed(self, result, *parts):
        """Exit code 1, nothing on standard output, one line on standard error that says all of |parts|."""
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertRegex(result.stderr, r"\Amodelarts-bridge: [^\n]+\n\Z")
        for part in parts:
            self.assertIn(part, result.stderr)

    def test_bridge_that_does_not_run_is_not_healthy(self):
        self.failed(run("health", "--address", f"127.0.0.1:{free_port()}"), "UNAVAILABLE: ")
        self.failed(run("health", "--address=unix:/nonexistent/bridge.sock"), "UNAVAILABLE: ")

    def test_wait_ends_at_its_timeout(self):
        begin = time.monotonic()
        result = run("wait", "--address", f"127.0.0.1:{free_port()}", "--timeout=300ms")
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)
        self.failed(result, "not ready in time; last: UNAVAILABLE: ")
        self.failed(run("wait", "--address", f"127.0.0.1:{free_port()}", "--timeout=1ms"), "not ready in time; last: ")

    def test_server_that_never_answers_ends_with_the_timeout(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            for command, *parts in (("health", "DEADLINE_EXCEEDED: "), ("wait", "not ready in time; last: ")):
                self.failed(run(command, "--address", address, "--timeout=200ms"), *parts)

    def test_wrong_arguments_are_refused(self):
        for command in ("health", "wait"):
            with self.subTest(command):
                for address in ("50051", "h:0", "unix:", "http://h:1"):
                    self.refused(run(command, "--address", address), "--address", address)
                self.refused(run(command, "--timeout=0ms"), "--timeout")
                self.refused(run(command, "--timeout=1"), "--timeout")
                self.refused(run(command, "--service="), "--service")
                self.refused(run(command, "readiness"), '"readiness"')
                self.refused(run(command, "--ca-file=/dev/null"), "need --tls")
                self.refused(run(command, "--tls", "--tls-cert=/dev/null"), "--tls-key")
                self.refused(run(command, "--tls", "--ca-file=/nonexistent/ca.pem"), "/nonexistent/ca.pem")
                self.refused(run(command, "--tls", "--ca-file=/dev/null"), "--ca-file")

    def test_settings_come_from_flags_alone(self):
        address = f"127.0.0.1:{free_port()}"
        result = run("health", "--address", address, env={PREFIX + "ADDRESS": "wrong", PREFIX + "TIMEOUT": "wrong"})
        self.failed(result, "UNAVAILABLE")


if __name__ == "__main__":
    unittest.main()
