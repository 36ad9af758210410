"""A client that knows nothing of the API but what reflection tells it, and the stubs of grpc.health and grpc.reflection.

Those are loaded by their files: the Python package grpc has no room for theirs.
"""
import importlib.util
import os

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

import harness  # noqa: F401  (its path has the stubs)


def load(name):
    """The generated module of grpc/NAME.proto."""
    path = os.path.join(os.environ["STUBS"], "grpc", f"{name}_pb2.py")
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


health = load("health/v1/health")
VERSIONS = {"v1": load("reflection/v1/reflection"), "v1alpha": load("reflection/v1alpha/reflection")}


class Reflection:
    """What a channel's server says of itself."""

    def __init__(self, channel, version="v1"):
        self.channel = channel
        self.pb = VERSIONS[version]
        self.method = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            self.pb.ServerReflectionRequest.SerializeToString, self.pb.ServerReflectionResponse.FromString)
        self.pool = descriptor_pool.DescriptorPool()
        self.files = {}

    def request(self, **fields):
        return self.pb.ServerReflectionRequest(**fields)

    def ask(self, *requests):
        return list(self.method(iter(requests), timeout=harness.PATIENCE))

    def services(self):
        answer, = self.ask(self.request(list_services="*"))
        return [service.name for service in answer.list_services_response.service]

    def learn(self, **fields):
        """Adds the files of the answer to the pool. Returns the name of the first."""
        answer, = self.ask(self.request(**fields))
        assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
        files = [descriptor_pb2.FileDescriptorProto.FromString(data)
                 for data in answer.file_descriptor_response.file_descriptor_proto]
        known = {file.name: file for file in files}
        assert len(known) == len(files), "a file came twice"

        def add(file):
            if file.name not in self.files:
                for name in file.dependency:
                    add(known.get(name) or self.files[name])
                self.files[file.name] = file
                self.pool.Add(file)

        for file in files:
            add(file)
        return files[0].name

    def message(self, name):
        return message_factory.MessageFactory(self.pool).GetPrototype(self.pool.FindMessageTypeByName(name))

    def call(self, method, json, **options):
        """Calls package.Service/Method with JSON; returns its response, made from the pool alone."""
        service, name = method.split("/")
        self.learn(file_containing_symbol=service)
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(name)
        request, response = (self.message(t.full_name) for t in (descriptor.input_type, descriptor.output_type))
        stub = self.channel.unary_unary(f"/{method}", request.SerializeToString, response.FromString)
        return stub(json_format.Parse(json, request()), timeout=harness.PATIENCE, **options)
