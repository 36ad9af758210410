"""Upstream at its worst: each failure is its documented code, reason and details, and nothing runs twice."""
import itertools
import socket
import unittest

import grpc

from harness import Bridge, Case, TOKEN, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc

C = grpc.StatusCode
numbers = itertools.count()


class Failures(Case):
    def update(self, fault, **options):
        self.service_id = f"{fault}--{next(numbers)}"
        return attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=self.service_id, description="d"),
                       **options)

    def logs(self, fault, **options):
        self.service_id = f"{fault}--{next(numbers)}"
        return attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(service_id=self.service_id),
                       **options)

    def test_answers_of_every_layer(self):
        """Source of the codes: the bridge's conventions, sections 1 and 2, and its table of vendor codes."""
        for fault, code, reason in (
                ("fault-code-404-ModelArts.3502", C.NOT_FOUND, "MODELARTS_3502"),
                ("fault-code-500-ModelArts.3506", C.NOT_FOUND, "MODELARTS_3506"),
                ("fault-code-400-ModelArts.3519", C.FAILED_PRECONDITION, "MODELARTS_3519"),
                ("fault-code-400-ModelArts.3520", C.RESOURCE_EXHAUSTED, "MODELARTS_3520"),
                ("fault-code-401-ModelArts.0203", C.UNAUTHENTICATED, "MODELARTS_0203"),
                ("fault-code-403-ModelArts.0203", C.PERMISSION_DENIED, "MODELARTS_0203"),
                ("fault-code-400-ModelArts.50015001", C.INVALID_ARGUMENT, "MODELARTS_50015001"),
                ("fault-code-404-APIG.0101", C.UNIMPLEMENTED, "APIG_0101"),
                ("fault-code-405-APIG.0501", C.RESOURCE_EXHAUSTED, "APIG_0501"),
                ("fault-code-401-APIGW.0301", C.UNAUTHENTICATED, "APIG_0301"),
                ("fault-iam-401", C.UNAUTHENTICATED, "IAM_401"),
                ("fault-503", C.UNAVAILABLE, "MODELARTS_4302"),
                ("fault-html-502", C.UNAVAILABLE, "UPSTREAM_HTTP_ERROR"),
                ("fault-text-503", C.UNAVAILABLE, "UPSTREAM_HTTP_ERROR"),
                ("fault-empty-500", C.INTERNAL, "UPSTREAM_HTTP_ERROR"),
                ("fault-redirect", C.UNKNOWN, "UPSTREAM_REDIRECT"),
                ("fault-html-200", C.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
                ("fault-not-json", C.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
                ("fault-truncated-json", C.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
                ("fault-deep-65", C.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
                ("fault-deep-100000", C.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
                ("fault-huge-64MiB", C.RESOURCE_EXHAUSTED, "UPSTREAM_RESPONSE_TOO_LARGE"),
                ("fault-reset", C.UNKNOWN, "UPSTREAM_CONNECTION_BROKEN"),
                ("fault-close", C.UNKNOWN, "UPSTREAM_CONNECTION_BROKEN"),
                ("fault-truncated", C.UNKNOWN, "UPSTREAM_CONNECTION_BROKEN")):
            with self.subTest(fault):
                self.fails(self.update(fault), code, reason)
                self.assertEqual(len(self.sim.journal(self.service_id)), 1, "an update ran twice")

    def test_what_is_safe_to_repeat_is_unavailable(self):
        for fault in ("fault-reset", "fault-close", "fault-truncated"):
            self.fails(self.logs(fault), C.UNAVAILABLE, "UPSTREAM_CONNECTION_BROKEN")

    def test_empty_answers_are_the_empty_message(self):
        for fault in ("fault-empty-200",):
            response, _ = self.ok(self.update(fault))
            self.assertEqual(response, pb.UpdateServiceResponse())

    def test_details_of_an_error(self):
        failure = self.fails(self.update("fault-429-retry-after-2"), C.RESOURCE_EXHAUSTED, "MODELARTS_6101")
        self.assertEqual(failure.details["RetryInfo"].retry_delay.seconds, 2)
        info = failure.details["ErrorInfo"]
        self.assertEqual(info.domain, "modelarts.myhuaweicloud.com")
        self.assertEqual(info.metadata["http_status"], "429")
        entry = self.sim.journal(self.service_id)[0]
        self.assertEqual(failure.details["RequestInfo"].request_id, entry["request_id"])
        self.assertEqual(failure.trailers["x-request-id"], entry["request_id"])

    def test_retry_after_as_a_date(self):
        failure = self.update("fault-503-retry-after-date")
        self.assertLessEqual(failure.details["RetryInfo"].retry_delay.seconds, 3)

    def test_huge_error_keeps_its_code(self):
        failure = self.update("fault-huge-error-10MiB")
        self.assertEqual(failure.code, C.INTERNAL, failure)
        self.assertIsNotNone(failure.reason)

    def test_connection_is_used_again_after_an_error(self):
        self.fails(self.update("fault-503"), C.UNAVAILABLE, "MODELARTS_4302")
        self.ok(self.update("svc"))

    def test_deadline_of_the_caller(self):
        for fault in ("fault-slow-30000ms", "fault-drip-5000ms"):
            failure = self.update(fault, timeout=0.3)
            self.assertEqual(failure.code, C.DEADLINE_EXCEEDED, failure)

    def test_caller_that_leaves_ends_the_transfer(self):
        service_id = f"fault-slow-30000ms--{next(numbers)}"
        call = self.stub.UpdateService.future(pb.UpdateServiceRequest(service_id=service_id), timeout=60,
                                              metadata=(TOKEN,))
        wait_until(lambda: self.sim.journal(service_id), "the request upstream")
        call.cancel()
        wait_until(lambda: any(e["code"] == "CANCELLED" for e in self.bridge.events("call")), "the end of the call")


class OwnDeadline(Case):
    """A caller without a deadline gets the bridge's own."""

    bridge_arguments = ("--default-timeout", "300ms", "--max-response-bytes", "1KiB")

    def test_default_timeout(self):
        failure = attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="fault-slow-30000ms"),
                          timeout=None)
        self.fails(failure, C.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        self.assertIn("may have been", failure.message)

    def test_ceiling_of_the_response(self):
        self.fails(attempt(self.stub.ShowServiceUpdateLogs,
                           pb.ShowServiceUpdateLogsRequest(service_id="fault-huge-1MiB")),
                   C.RESOURCE_EXHAUSTED, "UPSTREAM_RESPONSE_TOO_LARGE")


class Unreachable(unittest.TestCase):
    def failure(self, url, *arguments):
        bridge = Bridge(url, *arguments)
        try:
            with bridge.channel() as channel:
                stub = modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)
                return attempt(stub.UpdateService, pb.UpdateServiceRequest(service_id="svc"))
        finally:
            self.assertEqual(bridge.end(), 0, bridge.last_errors)

    def test_nobody_listens(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets it
            failure = self.failure(f"http://127.0.0.1:{reserved.getsockname()[1]}")
        self.assertEqual((failure.code, failure.reason), (C.UNAVAILABLE, "UPSTREAM_UNREACHABLE"), failure)
        self.assertEqual(failure.details["ErrorInfo"].metadata["transport_error"], "COULDNT_CONNECT")

    def test_name_that_does_not_resolve(self):
        failure = self.failure("http://modelarts.invalid")
        self.assertEqual((failure.code, failure.reason), (C.UNAVAILABLE, "UPSTREAM_UNREACHABLE"), failure)
        self.assertEqual(failure.details["ErrorInfo"].metadata["transport_error"], "COULDNT_RESOLVE_HOST")

    def test_peer_that_does_not_answer_the_connection(self):
        """A full backlog: the kernel drops further connections, so only the connect limit ends the wait."""
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            fillers = []
            for _ in range(16):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(server.getsockname())
                fillers.append(filler)
            failure = self.failure(f"http://127.0.0.1:{server.getsockname()[1]}", "--connect-timeout", "200ms",
                                   "--default-timeout", "60s")
            for filler in fillers:
                filler.close()
        self.assertEqual((failure.code, failure.reason), (C.UNAVAILABLE, "UPSTREAM_CONNECT_TIMEOUT"), failure)


if __name__ == "__main__":
    unittest.main()
