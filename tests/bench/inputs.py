"""Writes what the benchmarks send and answer.

  inputs.py FOLDER PROTOC DESCRIPTOR_SETS GOLDEN

Requests are messages (.pb), encoded by protoc; answers are JSON. The documents' example comes from tests/golden.
"""
import json
import os
import subprocess
import sys

PACKAGE = "modelarts.v1."
FILE = "modelarts/v1/modelarts_service.proto"


def encode(protoc, sets, message, text):
    return subprocess.run([protoc, f"--descriptor_set_in={sets}", f"--encode={PACKAGE}{message}", FILE],
                          input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def big_request():
    """20 models with 32 environment variables each: 64 KiB of JSON."""
    text = 'project_id: "bench-project" service_id: "bench-service"\n'
    for model in range(20):
        envs = " ".join(f'envs {{ key: "VARIABLE_{i}" value: "{"x" * 80}" }}' for i in range(32))
        text += (f'config {{ model_id: "model-{model}" specification: "modelarts.vm.cpu.2u" instance_count: 1 '
                 f"weight: 5 {envs} }}\n")
    return text


def logs_answer():
    """100 records in the richest form that is published: wire_facts.md 4.5."""
    config = {"model_id": "f565ac47-6239-4e8c-b2dc-0665dc52e302", "model_name": "model-demo", "model_version": "0.0.1",
              "specification": "modelarts.vm.cpu.2u", "custom_spec": {}, "weight": 100, "instance_count": 1,
              "scaling": False, "envs": {}, "cluster_id": "2c9080f86d37da64016d381fe5940002"}
    logs = [{"config": [config], "extend_config": [], "update_time": 1586250930708 + i, "result": "SUCCESS",
             "cluster_id": "2c9080f86d37da64016d381fe5940002"} for i in range(100)]
    return {"service_id": "e2122bbd-f7c8-4bf8-bacc-59616276194b", "service_name": "service-demo", "logs": logs}


def main(folder, protoc, sets, golden):
    def write(name, content):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    with open(os.path.join(golden, "UpdateService/document-example/request.txtpb"), encoding="utf-8") as file:
        example = file.read()
    service = 'project_id: "bench-project" service_id: "bench-service"'
    os.makedirs(folder, exist_ok=True)
    write("small.pb", encode(protoc, sets, "UpdateServiceRequest", service + " status: SERVICE_STATUS_RUNNING"))
    write("example.pb", encode(protoc, sets, "UpdateServiceRequest", example))
    write("big.pb", encode(protoc, sets, "UpdateServiceRequest", big_request()))
    write("logs.pb", encode(protoc, sets, "ShowServiceUpdateLogsRequest", service))
    write("answer.pb", encode(protoc, sets, "UpdateServiceResponse", "update_time: 1700625410586"))
    write("example.json", {"description": "", "config": [{"specification": "modelarts.vm.cpu.2u", "weight": 100,
                                                          "model_id": "xxxx", "instance_count": 1}],
                           "status": "running"})
    write("update.json", {"update_time": 1700625410586})
    write("logs.json", logs_answer())
    write("error.json", {"error_code": "ModelArts.3502", "error_msg": "Service bench-service does not exist."})


main(*sys.argv[1:])
