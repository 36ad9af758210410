"""Server reflection: a client that has nothing but the bridge's answers can make every call and read every rule."""
import os
import subprocess
import threading
import unittest

import grpc
from google.protobuf import json_format

from harness import Bridge, Case, Failure, PATIENCE, SMALL_QUARANTINE, TOKEN, wait_until
from modelarts.v1 import modelarts_service_pb2
from reflection import Reflection, VERSIONS

SERVICE = "modelarts.v1.ModelArtsService"
NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
# A window of 1 KiB that does not grow: what is sent and not read fills it, and the rest waits in the bridge.
SMALL_WINDOW = {"grpc.http2.bdp_probe": 0, "grpc.http2.lookahead_bytes": 1024}
# Its answer holds some 25 KB of files.
LARGE = {"file_containing_symbol": SERVICE}


def routes(program):
    output = subprocess.run([os.environ[program], "routes"], check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in output.splitlines()[1:]]


class Answers(Case):
    def test_call_made_from_reflection_alone(self):
        for version in VERSIONS:
            with self.subTest(version):
                reflection = Reflection(self.connection, version)
                self.assertEqual(reflection.learn(file_containing_symbol=SERVICE), "modelarts/v1/modelarts_service.proto")
                service_id = f"svc-reflection-{version}"
                response = reflection.call(f"{SERVICE}/UpdateService",
                                           f'{{"service_id": "{service_id}", "description": "", "status": "SERVICE_STATUS_STOPPED"}}',
                                           metadata=(TOKEN,))
                self.assertEqual(response.DESCRIPTOR.full_name, "modelarts.v1.UpdateServiceResponse")
                body = self.sim.journal(service_id)[0]["body"]
                self.assertEqual(body, {"description": "", "status": "stopped"})

    def test_every_service_and_method_is_listed(self):
        reflection = Reflection(self.connection)
        methods = []
        for service in reflection.services():
            reflection.learn(file_containing_symbol=service)
            descriptor = reflection.pool.FindServiceByName(service)
            methods += [f"{service}/{method.name}" for method in descriptor.methods]
        self.assertEqual(methods, routes("BRIDGE"))

    def test_files_are_the_published_ones(self):
        reflection = Reflection(self.connection)
        reflection.learn(file_containing_symbol=SERVICE)
        published = modelarts_service_pb2.DESCRIPTOR
        for name in [published.name, *(d.name for d in published.dependencies), "google/protobuf/descriptor.proto"]:
            self.assertIn(name, reflection.files)
        request = reflection.pool.FindMessageTypeByName("modelarts.v1.UpdateServiceRequest")
        theirs = published.message_types_by_name["UpdateServiceRequest"]
        self.assertEqual(reflection.pool.FindFileByName(published.name).syntax, "proto3")
        self.assertEqual([(f.name, f.number, f.type, f.label, f.has_presence) for f in request.fields],
                         [(f.name, f.number, f.type, f.label, f.has_presence) for f in theirs.fields])

    def test_rules_can_be_read(self):
        """Extensions of options are found by number, and what they say is on the fields."""
        reflection = Reflection(self.connection)
        reflection.learn(file_containing_symbol=SERVICE)
        answer, = reflection.ask(reflection.request(all_extension_numbers_of_type="google.protobuf.FieldOptions"))
        numbers = list(answer.all_extension_numbers_response.extension_number)
        self.assertEqual(numbers, [1159, 50702])
        files = {1159: "buf/validate/validate.proto", 50702: "modelarts/rest/v1/rest.proto"}
        for number in numbers:
            extension = {"containing_type": "google.protobuf.FieldOptions", "extension_number": number}
            self.assertEqual(reflection.learn(file_containing_extension=extension), files[number])

        field = reflection.pool.FindMessageTypeByName("modelarts.v1.UpdateServiceRequest").fields_by_name["service_id"]
        options = reflection.message("google.protobuf.FieldOptions").FromString(field.GetOptions().SerializeToString())
        rules = options.Extensions[reflection.pool.FindExtensionByName("buf.validate.field")]
        self.assertTrue(rules.required)
        self.assertEqual(rules.string.max_len, 128)

    def test_details_of_errors_can_be_read(self):
        """What an error holds is not imported by the service's files."""
        reflection = Reflection(self.connection)
        self.assertEqual(reflection.learn(file_containing_symbol="google.rpc.ErrorInfo"), "google/rpc/error_details.proto")
        self.assertEqual(reflection.learn(file_containing_symbol="google.rpc.Status"), "google/rpc/status.proto")
        with self.assertRaises(grpc.RpcError) as raised:
            reflection.call(f"{SERVICE}/UpdateService", '{"service_id": ".."}', metadata=(TOKEN,))
        packed = dict(raised.exception.trailing_metadata())["grpc-status-details-bin"]
        details = reflection.message("google.rpc.Status").FromString(packed).details
        names = [detail.type_url.rsplit("/", 1)[1] for detail in details]
        self.assertIn("google.rpc.ErrorInfo", names)
        info = reflection.message("google.rpc.ErrorInfo")()
        details[names.index("google.rpc.ErrorInfo")].Unpack(info)
        self.assertEqual(info.reason, "VALIDATION_FAILED")

    def test_what_is_not_there_is_told_and_the_stream_goes_on(self):
        reflection = Reflection(self.connection)
        extension = {"containing_type": "google.protobuf.FieldOptions", "extension_number": 1}
        answers = reflection.ask(*(reflection.request(**fields) for fields in (
            {"file_by_filename": "nothing.proto"}, {"file_containing_symbol": "no.Thing"},
            {"file_containing_extension": extension}, {"all_extension_numbers_of_type": "no.Thing"},
            {"host": "somebody"}, {"list_services": ""})))
        errors = [answer.error_response.error_code for answer in answers[:-1]]
        self.assertEqual(errors, [NOT_FOUND] * 4 + [grpc.StatusCode.INVALID_ARGUMENT.value[0]])
        self.assertIn("no.Thing", answers[1].error_response.error_message)
        self.assertEqual(answers[4].valid_host, "somebody")
        self.assertIn(SERVICE, [service.name for service in answers[5].list_services_response.service])

    def test_answers_come_in_order(self):
        reflection = Reflection(self.connection)
        requests = [reflection.request(file_by_filename=f"{i}.proto") for i in range(300)]
        answers = reflection.ask(*requests)
        self.assertEqual([answer.original_request for answer in answers], requests)

    def test_no_request_is_no_error(self):
        self.assertEqual(Reflection(self.connection).ask(), [])

    def test_extended_schema_lists_its_own(self):
        bridge = Bridge(self.sim.url, program="BRIDGE_EXTENDED")
        self.addCleanup(self.end_cleanly, bridge)
        with bridge.channel() as channel:
            reflection = Reflection(channel)
            self.assertIn("extra.v1.ExtraService", reflection.services())
            response = reflection.call("extra.v1.ExtraService/ShowService", '{"service_id": "demo-service"}',
                                       metadata=(TOKEN,))
            self.assertEqual(json_format.MessageToDict(response)["serviceId"], "demo-service")


class Hostile(Case):
    bridge_environment = SMALL_QUARANTINE

    def raw(self):
        return self.connection.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")

    def ends_with(self, requests, code, reason):
        call = self.raw()(iter(requests), timeout=PATIENCE)
        answers = []
        with self.assertRaises(grpc.RpcError) as raised:
            for answer in call:
                answers.append(answer)
        failure = Failure(raised.exception)
        self.assertEqual((failure.code, failure.reason), (code, reason), failure)
        return answers

    def test_malformed_request_ends_the_stream(self):
        good = VERSIONS["v1"].ServerReflectionRequest(list_services="").SerializeToString()
        for bad in (b"\xff", b"\x1a\x05abc", b"\x1a\x02\xff\xff", b"\x1b\x1c"):
            answers = self.ends_with([good, bad, good], grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
            self.assertEqual(len(answers), 1)

    def test_size_of_a_request_has_a_ceiling(self):
        limit = 16 << 10
        request = VERSIONS["v1"].ServerReflectionRequest(file_by_filename="x" * (limit - 3))
        self.assertEqual(request.ByteSize(), limit)
        answer, = Reflection(self.connection).ask(request)
        self.assertEqual(answer.error_response.error_code, NOT_FOUND)
        request.file_by_filename += "x"
        self.ends_with([request.SerializeToString()], grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
        # Above the ceiling on every message of the bridge, gRPC itself refuses it.
        call = self.raw()(iter([b"\x1a" + b"\x00" * (5 << 20)]), timeout=PATIENCE)
        with self.assertRaises(grpc.RpcError) as raised:
            next(call)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_deadline_ends_an_idle_stream(self):
        leave = threading.Event()
        self.addCleanup(leave.set)

        def idle():
            leave.wait()
            yield b""

        with self.assertRaises(grpc.RpcError) as raised:
            next(self.raw()(idle(), timeout=0.2))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_caller_that_does_not_read_holds_one_answer(self):
        request = VERSIONS["v1"].ServerReflectionRequest(**LARGE).SerializeToString()
        size = len(next(iter(self.raw()(iter([request])))))
        before = self.bridge.rss_kib()
        # 400 answers a stream: hundreds of megabytes, if they were made before they can be sent.
        channel = self.bridge.channel(**SMALL_WINDOW)
        self.addCleanup(channel.close)
        method = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        calls = [method(iter([request] * 400), timeout=PATIENCE) for _ in range(20)]
        for call in calls:
            next(call)
        self.assertLess(self.bridge.rss_kib() - before, 40 * 1024)
        self.assertGreater(400 * 20 * size, 100 << 20)
        for call in calls[:10]:
            self.assertEqual(sum(1 for _ in call), 399)
        for call in calls[10:]:
            call.cancel()


class Drain(Case):
    """Each test ends the bridge, so each has its own."""

    def setUp(self):
        self.own = Bridge(self.sim.url, "--drain-max-delay", "10m", "--shards", "2")
        self.addCleanup(self.end_cleanly, self.own)
        self.channel = self.own.channel(**SMALL_WINDOW)
        self.addCleanup(self.channel.close)
        self.leave = threading.Event()
        self.addCleanup(self.leave.set)

    def open_stream(self, count):
        """A stream with |count| requests that then stays open."""
        def requests():
            for _ in range(count):
                yield VERSIONS["v1"].ServerReflectionRequest(**LARGE).SerializeToString()
            self.leave.wait()

        return self.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")(requests())

    def test_open_streams_are_ended(self):
        calls = [self.open_stream(1) for _ in range(20)]
        for call in calls:
            next(call)
        self.own.terminate()
        for call in calls:
            with self.assertRaises(grpc.RpcError) as raised:
                next(call)
            failure = Failure(raised.exception)
            self.assertEqual((failure.code, failure.reason), (grpc.StatusCode.UNAVAILABLE, "DRAINING"))
        self.assertEqual(self.own.wait(), 0)

    def test_caller_that_does_not_read_does_not_hold_it_up(self):
        calls = [self.open_stream(1) for _ in range(5)]
        for call in calls:
            call.initial_metadata()  # which comes with the answer's first bytes
        self.own.terminate()
        self.assertEqual(self.own.wait(), 0)
        for call in calls:
            with self.assertRaises(grpc.RpcError) as raised:
                for _ in call:
                    pass
            self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)


if __name__ == "__main__":
    unittest.main()
