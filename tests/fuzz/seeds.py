#!/usr/bin/python3
"""Writes the first inputs of the fuzz targets: what tests/golden has, in the form of each target, and a few by hand.

  seeds.py OUT PROTOC DESCRIPTOR_SETS     as for test_golden; makes OUT/TARGET/NAME
"""
import pathlib
import re
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
RPCS = ["UpdateService", "UpdateServiceByProperty", "ShowServiceUpdateLogs"]


def save(out, target, name, content):
    folder = out / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def request_bytes(case, protoc, sets):
    hexadecimal = case / "request.hex"
    if hexadecimal.exists():
        return bytes.fromhex(re.sub(r"#.*", "", hexadecimal.read_text()))
    text = (case / "request.txtpb").read_text()
    message = re.search(r"# proto-message: (\S+)", text).group(1)
    files = re.findall(r"# proto-(?:file|import): (\S+)", text)
    command = [protoc, f"--descriptor_set_in={sets}", f"--encode={message}", *files]
    return subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def from_golden(out, protoc, sets):
    for index, rpc in enumerate(RPCS):
        choice = str(index).encode()
        for case in sorted((GOLDEN / rpc).iterdir()):
            name = f"{rpc}-{case.name}"
            for defaults in b"0", b"1":
                save(out, "request", f"{name}-{defaults.decode()}", choice + defaults + request_bytes(case, protoc, sets))
            answer = case / "http_response.txt"
            if answer.exists() and answer.read_bytes().startswith(b"HTTP/"):
                content = answer.read_bytes()
                save(out, "error", name, content)
                save(out, "answer", name, choice + content.partition(b"\n\n")[2])
                save(out, "iam", name, content)


# Every kind of field of testapi.v1.Thing, as its REST JSON.
THING = """{"text":"a\\u00e9\\ud83d\\ude00","small":-2147483648,"large":"9223372036854775807","count":4294967295,
"total":"18446744073709551615","ratio":1.5,"amount":1e-7,"flag":true,"colour":"deep-blue","zigzag":-1,"fixed":1,
"oddName":"x","part":{"name":"p","size":3},"parts":[{"name":"a"},{},null],"tags":["a",1,{"b":[1.5,null]}],
"numbers":["1",2],"colours":["red","new"],"labels":{"k":"v","n":1},"parts_by_name":{"p":{"size":1}},
"free":{"a":[1,{"b":null}],"c":"d"},"any_value":[true],"any_list":[1,"2",[]],"choice_text":"t","choice_number":4,
"choice_part":{"name":"q"},"child":{"child":{"text":""}},"counts":{"a":1},"implicit_text":"i","unknown":0}"""

UPDATE_THING = """{"project_id":"p","thing_id":"t","thing":%s,"description":"d","parts":[{"name":"n","size":100}],
"colour":"red","share":0.5,"rank":2,"labels":{"a":"b"},"tags":["t-1"],"level":7,"update_mask":"thing,parts"}"""

IAM = """HTTP/1.1 201 Created\nX-Subject-Token: MIIEabc\nX-Request-Id: 0123\n
{"token":{"expires_at":"%s","issued_at":"2023-11-14T22:13:20.000000Z"}}"""


def by_hand(out):
    save(out, "answer", "thing", b"3" + THING.encode())
    save(out, "answer", "things", b"4" + f'{{"things":[{THING}],"total_count":1}}'.encode())
    save(out, "answer", "input-update-thing", b"3" + (UPDATE_THING % THING).encode())
    save(out, "answer", "input-list-things", b'4{"update_time":1,"tags":["a"],"colour":"red","flag":false,"amount":0.1}')
    save(out, "answer", "input-patch-thing", b'5{"thing_id":"t","operations":[{"size":1}],"dry_run":true}')

    for size in 16, 64, 256, 1024:
        for choice in b"012345":
            save(out, "message", f"{choice:c}-{size}", bytes([choice]) + bytes((i * i * 37 + choice * i) % 251 for i in range(size)))

    for name, text in {
        "whole": "/v1/{project_id}/things/{thing_id}\nproject\nthing",
        "verb": "/v1/{project_id}/things/{thing_id}:patch\np%20\n..",
        "encoded": "/{thing_id}\na/b",
        "control": "/{description}/x\n\x01",
        "twice": "/{thing_id}/{thing_id}",
        "nested": "/{thing.text}",
        "not-a-text": "/{level}",
        "open": "/a/{thing_id",
        "inside": "/a{thing_id}b",
        "lost": "/a/../{thing_id}",
        "query": "/a?b/{thing_id}\nt",
        "unicode": "/x,y;z=1/{project_id}\n\u00e9\u20ac\U0001f600",
    }.items():
        save(out, "path", name, text.encode())

    for name, text in {
        "seconds": "120", "zero": "0", "huge": "99999999999999999999", "negative": "-1", "fraction": "1.5",
        "date": "Tue, 14 Nov 2023 22:13:50 GMT", "rfc850": "Tuesday, 14-Nov-23 22:13:50 GMT",
        "asctime": "Tue Nov 14 22:13:50 2023", "zone": "Tue, 14 Nov 2023 22:13:50 CET",
        "leap": "Sat, 31 Dec 2016 23:59:60 GMT", "february": "Thu, 30 Feb 2023 00:00:00 GMT",
        "last": "Fri, 31 Dec 9999 23:59:59 GMT", "first": "Thu, 01 Jan 1970 00:00:00 GMT",
    }.items():
        save(out, "retry_after", name, text.encode())

    save(out, "error", "controls", b'HTTP/1.1 400\n\n{"error_code":"A.1","error_msg":"a\\n\\u001b\\u009bb"}')
    for name, time in {
        "token": "2023-11-15T22:13:20.701000Z", "expired": "2020-01-04T09:05:22Z", "last": "9999-12-31T23:59:59Z",
        "february": "2024-02-30T00:00:00Z", "zone": "2023-11-15T22:13:20+01:00",
    }.items():
        save(out, "iam", name, (IAM % time).encode())

    token = b"user\n\x1epass\\\"word\x1edomain\x1eproject"
    save(out, "credentials", "same", token + b"\x1e" + token)
    save(out, "credentials", "changed", token + b"\x1eother\x1enew\x1edomain\x1eproject\n")
    save(out, "credentials", "missing", token + b"\x1e\x1f\x1enew\x1edomain\x1eproject\n")
    save(out, "credentials", "empty", b"\n\x1e\x1e\x1e")
    save(out, "credentials", "control", b"user\x00x\x1epass\r\n\x1ed\x1ep")
    save(out, "credentials", "long", b"a" * 4096 + b"\n\x1e" + b"b" * 4097)

    url = "--upstream-url=https://h"
    for name, items in {
        "url": ["--upstream-url=https://modelarts.eu-de.otc.t-systems.com:443/prefix/"],
        "quantities": ["--upstream-url", "http://localhost:80", "--default-timeout", "90s", "--max-response-bytes=8MiB",
                       "--max-attempts=10", "--max-timeout=1h", "--drain-min-delay=500ms"],
        "lists": [url, "--listen=127.0.0.1:0", "--listen=unix:/tmp/a,b",
                  "MODELARTS_BRIDGE_FORWARD_METADATA=x-a,x-b,", "--return-header=etag"],
        "environment": ["MODELARTS_BRIDGE_UPSTREAM_URL=https://[::1]:8443", "MODELARTS_BRIDGE_LOG_LEVEL=debug",
                        "MODELARTS_BRIDGE_ADMIN_DRAIN=true", "MODELARTS_BRIDGE_PROJECT_ID=p", "--admin-listen=off"],
        "token": [url, "--auth=token", "--credentials-dir=/tmp", "--iam-url=https://iam:443",
                  "--iam-timeout=1s", "--unix-socket-mode=0660"],
        "aksk": [url, "--auth=aksk", "--credentials-dir=/", "--aksk-dialect=credential",
                 "--aksk-region=eu-de", "--aksk-service=modelarts"],
        "tls": [url, "--tls-cert=/dev/null", "--tls-key=/dev/null", "--client-ca=/dev/null",
                "--allow-caller=spiffe://a/b"],
        "slip": ["--lisen=a"], "alone": ["positional"], "missing": ["--listen"], "dashes": ["--", "--listen"],
        "flag-value": ["--listen", "--shards"], "single": ["-l"], "none": [], "range": [url, "--shards=65"],
        "unit": [url, "--max-timeout=5"], "choice": [url, "--auth=none"], "quote": [url, "--auth=\u00e9\n\x7f"],
        "switch": [url, "--admin-drain=no"],
    }.items():
        save(out, "settings", name, "\0".join(items).encode())

    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    save(out, "small", "trace", b"t" + trace + b"\na=b")
    save(out, "small", "trace-later", b"t" + trace.replace(b"00-", b"cc-", 1) + b"-more\nx")
    save(out, "small", "trace-zeros", b"t00-" + b"0" * 32 + b"-b7ad6b7169203331-01")
    save(out, "small", "reflection-list", b"r\x3a\x00")
    save(out, "small", "reflection-file", b"r\x0a\x01h\x1a\x25modelarts/v1/modelarts_service.proto")
    save(out, "small", "reflection-symbol", b"r\x22\x20modelarts.v1.UpdateServiceRequest")
    save(out, "small", "reflection-extension", b"r\x2a\x21\x0a\x1cgoogle.protobuf.FieldOptions\x10\x87\x09")
    save(out, "small", "reflection-numbers", b"r\x32\x1cgoogle.protobuf.FieldOptions")
    save(out, "small", "health", b"h\x0a\x1emodelarts.v1.ModelArtsService")
    save(out, "small", "health-all", b"h")
    rows = (GOLDEN.parent.parent / "bridge/translate/error_codes.tsv").read_bytes().split(b"\n")
    header = next(i for i, row in enumerate(rows) if not row.startswith(b"#"))
    save(out, "small", "errors", b"e" + b"\n".join(rows[header:header + 12]))
    save(out, "small", "errors-short", b"ehttp\tcode\tgrpc\treason\tsource\n404\tA.1\tNOT_FOUND\tA_1\tx\n# c\n")
    for kind, texts in {"n": ["-9223372036854775808", "18446744073709551615", "1e-7", "-0", "1.5E+10"],
                        "q": ["500ms", "596h", "4MiB", "1024GiB", "07s"],
                        "a": ["127.0.0.1:0", "[::1]:65535", "unix:/run/x", "host:65536"],
                        "u": ["HTTPS://Host.example:443/a/%41/", "http://[::1]:80", "https://u:p@h", "https://h?q#f"],
                        "m": ["traceparent\na\nx-request-id\nb\ntracestate\nc\ntracestate\nd", "x-auth-token\n\u00e9"]}.items():
        for text in texts:
            save(out, "small", f"{kind}-{re.sub(r'[^A-Za-z0-9]', '_', text)[:24]}", kind.encode() + text.encode())


def main(out, protoc, sets):
    from_golden(pathlib.Path(out), protoc, sets)
    by_hand(pathlib.Path(out))


main(*sys.argv[1:])
