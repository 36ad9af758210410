"""The log: one line for each call, with what went in, what came out, and where the time went."""
import itertools
import unittest

from harness import Case, TOKEN, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb

numbers = itertools.count()
PARTS = ("translate_ms", "credential_ms", "queue_ms", "upstream_ms")
ALWAYS = ["time", "level", "event", "method", "code", "reason", "duration_ms", *PARTS, "attempts", "request_bytes",
          "response_bytes"]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"


class CallLines(Case):
    def line_of(self, stub, request, metadata=(TOKEN,)):
        """The line of one call, and its result."""
        before = len(self.bridge.events("call"))
        result = attempt(stub, request, metadata=metadata)
        lines = wait_until(lambda: self.bridge.events("call")[before:], "the call's line")
        self.assertEqual(len(lines), 1)
        return lines[0], result

    def test_call_that_succeeds(self):
        request = pb.UpdateServiceRequest(service_id=f"svc-{next(numbers)}", description="d")
        line, (response, trailers) = self.line_of(self.stub.UpdateService, request)
        self.assertEqual(list(line), ALWAYS + ["request_id"])
        self.assertEqual((line["level"], line["code"], line["reason"], line["attempts"]), ("info", "OK", "", 1))
        self.assertEqual(line["request_bytes"], request.ByteSize())
        self.assertEqual(line["response_bytes"], response.ByteSize())
        self.assertEqual(line["request_id"], trailers["x-request-id"])
        self.assertGreater(line["upstream_ms"], 0)
        self.assertGreater(line["translate_ms"], 0)
        self.assertLessEqual(round(sum(line[part] for part in PARTS), 3), line["duration_ms"])

    def test_time_of_a_slow_answer_is_upstreams(self):
        line, _ = self.line_of(self.stub.UpdateService,
                               pb.UpdateServiceRequest(service_id=f"fault-slow-300ms--{next(numbers)}", description="d"))
        self.assertGreaterEqual(line["upstream_ms"], 300)
        self.assertLess(line["translate_ms"], 300)

    def test_attempts_are_told(self):
        line, _ = self.line_of(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(
            service_id=f"fault-flaky-2-503--{next(numbers)}"))
        self.assertEqual((line["code"], line["attempts"]), ("OK", 3))
        # The pauses between belong to no part.
        self.assertLessEqual(round(sum(line[part] for part in PARTS), 3), line["duration_ms"])

    def test_call_that_is_refused_went_nowhere(self):
        line, _ = self.line_of(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc", priority=9))
        self.assertEqual(list(line), ALWAYS)
        self.assertEqual((line["code"], line["reason"], line["attempts"]), ("INVALID_ARGUMENT", "VALIDATION_FAILED", 0))
        self.assertEqual((line["queue_ms"], line["upstream_ms"], line["response_bytes"]), (0, 0, 0))

    def test_method_that_nobody_has_is_other(self):
        line, _ = self.line_of(self.connection.unary_unary("/x.Y/Z"), b"")
        self.assertEqual((line["method"], line["code"]), ("other", "UNIMPLEMENTED"))

    def test_trace_of_the_caller_and_span_of_the_bridge(self):
        service_id = f"svc-{next(numbers)}"
        line, _ = self.line_of(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=service_id, description="d"),
                               (TOKEN, ("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01")))
        self.assertEqual(line["trace_id"], TRACE_ID)
        sent = self.sim.journal(service_id)[0]["headers"]["traceparent"]
        self.assertEqual(sent, f"00-{TRACE_ID}-{line['span_id']}-01")
        self.assertNotEqual(line["span_id"], PARENT_ID)


if __name__ == "__main__":
    unittest.main()
