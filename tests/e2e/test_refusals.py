"""Requests that must not go out: each a clear status, nothing upstream, the process as healthy as before."""
import socket
import struct
import unittest

import grpc

from harness import Case, Failure, PATIENCE, SMALL_QUARANTINE, TOKEN, attempt, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, service_config_pb2, service_settings_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, payload):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def literal(opening, name, value):
    """A header field with a name of its own; RFC 7541 sections 5.1 and 6.2."""
    size = bytes([len(value)]) if len(value) < 127 else b"\x7f" + varint(len(value) - 127)
    return opening + bytes([len(name)]) + name + size + value


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number_of(message, name):
    return message.DESCRIPTOR.fields_by_name[name].number


SERVICE_ID = number_of(pb.UpdateServiceRequest, "service_id")
CONFIG = number_of(pb.UpdateServiceRequest, "config")
DESCRIPTION = number_of(pb.UpdateServiceRequest, "description")
MAPPING_RULE = number_of(service_config_pb2.ServiceConfig, "mapping_rule")


class Refusals(Case):
    bridge_environment = SMALL_QUARANTINE

    def setUp(self):
        self.before = len(self.sim.journal())

    def tearDown(self):
        self.assertEqual(len(self.sim.journal()), self.before, "something was sent")
        self.assertTrue(self.bridge.alive())

    def test_service_id_that_would_change_the_url(self):
        for service_id in ("..", ".", "", "a/b", "a\\b", "a,b", "specifications", "x" * 10000, "a\nb", "a\x7f", "x" * 129):
            with self.subTest(service_id[:20]):
                failure = self.fails(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id=service_id)),
                                     INVALID, "VALIDATION_FAILED")
                self.assertIn("service_id", failure.fields())

    def test_service_id_unset(self):
        for method, request in ((self.stub.UpdateService, pb.UpdateServiceRequest()),
                                (self.stub.UpdateServiceByProperty, pb.UpdateServiceByPropertyRequest()),
                                (self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest())):
            self.assertIn("service_id", self.fails(attempt(method, request), INVALID, "VALIDATION_FAILED").fields())

    def test_service_id_not_utf8_or_with_nul(self):
        for value in (b"\xff\xfe", b"a\xc0\xafb", b"a\x00b", b"\xed\xa0\x80"):
            failure = self.fails(attempt(self.raw(), field(SERVICE_ID, value)), INVALID, "VALIDATION_FAILED")
            self.assertEqual(failure.fields(), ["service_id"])

    def test_project_id_that_would_change_the_url(self):
        for project_id in ("..", "", "a/b"):
            failure = self.fails(attempt(self.stub.ShowServiceUpdateLogs, pb.ShowServiceUpdateLogsRequest(
                project_id=project_id, service_id="demo-service")), INVALID, "VALIDATION_FAILED")
            self.assertEqual(failure.fields(), ["project_id"])

    def test_all_violations_at_once(self):
        request = pb.UpdateServiceRequest(
            service_id="a,b", description="<" * 101, priority=9,
            status=service_settings_pb2.SERVICE_STATUS_UNSPECIFIED,
            schedule=[service_settings_pb2.Schedule()],
            config=[service_config_pb2.ServiceConfig(model_id="m", weight=30, specification="custom", instance_count=1),
                    service_config_pb2.ServiceConfig(weight=30)])
        failure = self.fails(attempt(self.stub.UpdateService, request), INVALID, "VALIDATION_FAILED")
        fields = failure.fields()
        for expected in ("service_id", "description", "priority", "status", "schedule[0].duration",
                         "schedule[0].time_unit", "schedule[0].type", "config", "config[0]", "config[1].model_id",
                         "config[1].specification", "config[1].instance_count"):
            self.assertIn(expected, fields)

    def test_violations_beyond_the_trailer_budget_still_arrive_as_such(self):
        request = pb.UpdateServiceRequest(
            service_id="a,b",
            config=[service_config_pb2.ServiceConfig(custom_spec={"gpu_p4": -1}) for _ in range(500)])
        failure = self.fails(attempt(self.stub.UpdateService, request), INVALID, "VALIDATION_FAILED")
        self.assertGreater(len(failure.fields()), 10)

    def test_mapping_rule_nested_100000_deep(self):
        """Struct > entry > Value > Struct ...: each level is three messages."""
        prefix = []
        length = 0
        for _ in range(100000):
            for number in (5, 2, 1):  # Value.struct_value, the entry's value, Struct.fields
                head = varint(number << 3 | 2) + varint(length)
                prefix.append(head)
                length += len(head)
        rule = b"".join(reversed(prefix))
        config = field(MAPPING_RULE, rule)
        self.fails(attempt(self.raw(), field(SERVICE_ID, b"svc") + field(CONFIG, config)), INVALID, "MALFORMED_MESSAGE")

    def test_truncated_and_garbage_messages(self):
        whole = pb.UpdateServiceRequest(
            service_id="svc", config=[service_config_pb2.ServiceConfig(model_id="m" * 200)]).SerializeToString()
        for request in (whole[:-1], whole[:6], b"\xff" * 32, b"\x0a", b"\x00\x00", b"\x0b"):
            self.fails(attempt(self.raw(), request), INVALID, "MALFORMED_MESSAGE")

    def test_many_small_elements(self):
        """A message of 2 MiB that would unfold into a million strings."""
        events = field(number_of(pb.UpdateServiceRequest, "schedule"), b"") * 1000000
        self.fails(attempt(self.raw(), events), grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")

    def test_50_mb_of_text_and_memory_does_not_grow(self):
        request = field(SERVICE_ID, b"svc") + field(DESCRIPTION, b"x" * 50_000_000)
        def refuse(times):
            for _ in range(times):
                failure = attempt(self.raw(), request)
                self.assertIsInstance(failure, Failure)
                self.assertEqual(failure.code, grpc.StatusCode.RESOURCE_EXHAUSTED, failure)
            return self.bridge.rss_kib()

        # The allocator keeps a bounded reserve after the first ones; ten more of 50 MB each add nothing.
        before = refuse(6)
        self.assertLess(refuse(10), before + 100 * 1024)

    def test_text_just_below_and_above_the_message_ceiling(self):
        ceiling = 4 << 20
        below = field(SERVICE_ID, b"svc") + field(DESCRIPTION, b"x" * (ceiling - 100))
        self.assertEqual(self.fails(attempt(self.raw(), below), INVALID, "VALIDATION_FAILED").fields(), ["description"])
        above = field(SERVICE_ID, b"svc") + field(DESCRIPTION, b"x" * ceiling)
        self.assertEqual(attempt(self.raw(), above).code, grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_numbers_that_json_cannot_say(self):
        for value in (float("nan"), float("inf")):
            failure = self.fails(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(
                service_id="svc", config=[service_config_pb2.ServiceConfig(
                    model_id="m", specification="s", instance_count=1,
                    additional_properties={"max_surge": value})])), INVALID, "VALIDATION_FAILED")
            self.assertEqual(failure.fields(), ["config[0].additional_properties.max_surge"])

    def test_mask_that_names_what_is_not_there(self):
        for path, place in (("nonsense", "update_mask.paths[0]"), ("service_id", "update_mask.paths[0]"),
                            ("update_mask", "update_mask.paths[0]"), ("*", "update_mask.paths[0]"),
                            ("config.envs.A", "update_mask.paths[0]"), ("priority", "priority")):
            with self.subTest(path):
                request = pb.UpdateServiceRequest(service_id="svc")
                request.update_mask.paths.append(path)
                request.config.add(model_id="m", specification="s", instance_count=1)
                failure = self.fails(attempt(self.stub.UpdateService, request), INVALID, "VALIDATION_FAILED")
                self.assertEqual(failure.fields(), [place])

    def test_token_missing(self):
        self.fails(attempt(self.stub.UpdateService, pb.UpdateServiceRequest(service_id="svc"), metadata=()),
                   grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")

    def test_unknown_method(self):
        for path in ("/modelarts.v1.ModelArtsService/Nothing", "/x.Y/Z", "/"):
            failure = attempt(self.connection.unary_unary(path), b"")
            self.fails(failure, grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")

    def test_no_message_at_all(self):
        call = self.connection.stream_unary("/modelarts.v1.ModelArtsService/UpdateService")
        with self.assertRaises(grpc.RpcError) as raised:
            call(iter(()), timeout=30, metadata=(TOKEN,))
        self.assertEqual(raised.exception.code(), INVALID)

    def send_call(self, entries, repeated, count):
        """
        A connection on which a call is under way: its |entries| of metadata, and one of 3,900 bytes |count| times, which goes out
        once and then as a reference of one byte. This caller never acknowledges the bridge's SETTINGS, so gRPC does not hold it
        to them.
        """
        fields = {b":method": b"POST", b":scheme": b"http", b":path": b"/modelarts.v1.ModelArtsService/UpdateService",
                  b":authority": b"bridge", b"content-type": b"application/grpc", b"te": b"trailers", **entries}
        block = b"".join(literal(b"\x10", name, value) for name, value in fields.items())
        block += literal(b"\x40", repeated, b"a" * 3900) + b"\xbe" * (count - 1)
        host, port = self.bridge.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.addCleanup(connection.close)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, block) +
                           frame(0, 1, 1, bytes(5)))
        return connection

    def call_with_metadata_of(self, size):
        """The reason of a call whose metadata takes |size| bytes, by RFC 9113 section 6.5.2."""
        before = len(self.bridge.events("call"))
        fill = size - 16 * (10 + 3900 + 32) - (4 + 32)
        self.send_call({b"fill": b"a" * fill}, b"tracestate", 16)
        return wait_until(lambda: self.bridge.events("call")[before:], "the call")[0]["reason"]

    def test_metadata_ceiling_holds_for_callers_that_ignore_it(self):
        self.assertEqual(self.call_with_metadata_of(65536), "VALIDATION_FAILED")
        self.assertEqual(self.call_with_metadata_of(65537), "METADATA_TOO_LARGE")

    def test_metadata_beyond_every_ceiling_of_grpc(self):
        """CVE-2023-1428: with one of these headers before it, some versions of gRPC abort."""
        for entries in ({}, {b"te": b"x"}, {b":scheme": b"x"}, {b"grpclb_client_stats": b"x"}):
            connection = self.send_call(entries, b"more", 10000)
            answer = b""
            while b"exceeds limit" not in answer:
                piece = connection.recv(65536)
                self.assertNotEqual(piece, b"", f"{entries}: {answer}")
                answer += piece
            self.assertTrue(self.bridge.alive())

    def test_compressed_message_is_refused(self):
        """It could unfold far beyond the ceiling on a message."""
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub.UpdateService(pb.UpdateServiceRequest(service_id="svc", description="x" * 5000), timeout=30,
                                    metadata=(TOKEN,), compression=grpc.Compression.Gzip)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNIMPLEMENTED, raised.exception.details())


if __name__ == "__main__":
    unittest.main()
