"""Compares br_sign() with a second implementation, on random requests.

  test_sign_peer.py SIGN_PEER    SIGN_PEER is the program built from sign_peer.c.

The implementation here is written from the rules of the two dialects, with Python's own URL and hash functions, and
checks itself against published signatures first. The requests come from a fixed seed.
"""
import datetime
import hashlib
import hmac
import random
import re
import subprocess
import sys
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

SEED = 20240101
COUNT = 300
FIELDS = ("dialect access_key secret_key security_token verb url content_type body unix_s region service "
          "project_id").split()
CHARS = "abcXYZ019-._~ +/&=?#%!$'()*,;:@é一\U0001f600\t\x01"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def enc(data):
    return quote(data, safe="-_.~", encoding="latin-1")


def split_url(url):
    scheme, authority, path, query = re.fullmatch(r"(\w+)://([^/?]*)([^?]*)\??(.*)", url).groups()
    host, port = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d*))?", authority).groups()
    if port and int(port) != {"http": 80, "https": 443}[scheme]:
        host += f":{int(port)}"
    # latin-1 keeps bytes as they are, whatever they spell.
    return host, path, parse_qsl(query, keep_blank_values=True, encoding="latin-1")


def canonical_uri(path):
    segments = unquote_to_bytes(path).decode("latin-1").split("/")
    uri = "/".join(enc(s) for s in segments)
    return uri if uri.endswith("/") else uri + "/"


def access_query(params):
    return "&".join(f"{enc(k)}={enc(v)}" for k, v in sorted(params))


def credential_query(params):
    first = {}
    for key, value in params:
        first.setdefault(enc(key), enc(value))
    return "&".join(f"{k}={first[k]}" for k in sorted(first, key=lambda k: (k.lower(), k)))


def sign(r):
    """The headers for the request |r|, a dict by FIELDS; texts, but bytes for the body."""
    access = r["dialect"] == "access"
    time = datetime.datetime.fromtimestamp(r["unix_s"], datetime.timezone.utc)
    date = time.strftime("%Y%m%dT%H%M%SZ")
    host, path, params = split_url(r["url"])
    body = r["body"] or b""
    query = access_query(params) if access else credential_query(params)
    if not access and r["verb"] == "POST" and r["body"] is None:
        # Go's url.Values.Encode(): by key, values in their order.
        body = urlencode(sorted(params, key=lambda p: p[0]), encoding="latin-1").encode()
        query = ""

    out = {"X-Sdk-Date": date}
    if r["project_id"]:
        out["X-Project-Id"] = r["project_id"]
    if r["security_token"]:
        out["X-Security-Token"] = r["security_token"]
    signed = {"host": host, "x-sdk-date": date}
    if r["content_type"] is not None:
        signed["content-type"] = r["content_type"]
    if access:
        signed.update((k.lower(), v) for k, v in out.items())
    clean = (lambda v: v.strip()) if access else (lambda v: re.sub(r"\s+", " ", v))
    lines = "".join(f"{k}:{clean(signed[k])}\n" for k in sorted(signed))
    names = ";".join(sorted(signed))
    canonical = "\n".join([r["verb"], canonical_uri(path), query, lines, names, sha256(body)])

    digest = sha256(canonical.encode())
    if access:
        key, who = r["secret_key"].encode(), f"Access={r['access_key']}"
        text = f"SDK-HMAC-SHA256\n{date}\n{digest}"
    else:
        parts = [date[:8], r["region"], r["service"], "sdk_request"]
        key = ("SDK" + r["secret_key"]).encode()
        for part in parts:
            key = mac(key, part)
        scope = "/".join(parts)
        who = f"Credential={r['access_key']}/{scope}"
        text = f"SDK-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    out["Authorization"] = f"SDK-HMAC-SHA256 {who}, SignedHeaders={names}, Signature={mac(key, text).hex()}"
    return out


def check_self():
    base = dict.fromkeys(FIELDS) | {"access_key": "AccessKey", "secret_key": "SecretKey", "region": "", "service": ""}
    logs = ("https://modelarts.eu-de.otc.t-systems.com/v1/0123456789abcdef0123456789abcdef/services/"
            "195c1f2d-136d-40af-a0f3-db5717d2634a/logs")
    cases = [
        ("access", "POST", "https://service.endpoint.myhuaweicloud.com/resources?size=1", b'{"name":"test","id":1}',
         1591583940, "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f"),
        ("access", "GET", logs, None, 1704067200, "04121eaed51049975cc4ba6e54ad517ecf954e737fe7c3aa2840f05c0763e4cd"),
        ("credential", "GET", logs, None, 1704067200,
         "511124a5d025581fe70c3533900e655369f941da60bc4feb560ad4840925a654"),
    ]
    for dialect, verb, url, body, unix_s, signature in cases:
        out = sign(base | {"dialect": dialect, "verb": verb, "url": url, "body": body, "unix_s": unix_s})
        assert out["Authorization"].endswith("Signature=" + signature), (dialect, url)


def text(rng, most):
    return "".join(rng.choice(CHARS) for _ in range(rng.randrange(most + 1)))


def wire(rng, value, plain):
    """|value| as it may stand in a URL: some of |plain| unencoded, hexadecimal digits of either case."""
    out = ""
    for c in value:
        if c in plain and rng.random() < 0.5:
            out += c
        else:
            code = quote(c, safe="")
            out += code.lower() if code[0] == "%" and rng.random() < 0.3 else code
    return out


def random_url(rng):
    host = rng.choice(["modelarts.eu-de.otc.t-systems.com", "Host.Example.COM", "127.0.0.1", "[::1]", "[2001:db8::a]"])
    port = rng.choice(["", "", ":80", ":443", ":8443", ":0443", ":"])
    path = "".join("/" + wire(rng, text(rng, 8), "!$'()*,;:@&=+%") for _ in range(rng.randrange(5)))
    path += rng.choice(["", "/"])
    # Few keys, so that some repeat and some differ in case only.
    keys = rng.sample(["a", "A", "b", "B", "é", "_k", "update_time", "a b", "%"], 3) + [text(rng, 3)]
    pieces = []
    for _ in range(rng.randrange(7)):
        piece = wire(rng, rng.choice(keys), "!$'()*,;:@/?+%")
        if rng.random() < 0.8:
            piece += "=" + wire(rng, text(rng, 6), "!$'()*,;:@/?+=%")
        pieces.append(piece)
    query = "?" + "&".join(pieces) if pieces or rng.random() < 0.2 else ""
    return f"{rng.choice(['http', 'https'])}://{host}{port}{path}{query}"


def random_request(rng):
    token = "".join(rng.choice("abcDEF+/=0123456789") for _ in range(rng.choice([1, 40, 3000])))
    return {
        "dialect": rng.choice(["access", "credential"]),
        "access_key": rng.choice(["AccessKey", "QTWAOYTTINDUT2QVKYUC"]),
        "secret_key": "".join(rng.choice("abcXYZ0189") for _ in range(rng.choice([1, 40, 61, 62, 63, 64, 65, 200]))),
        "security_token": rng.choice([None, "", token]),
        "verb": rng.choice(["GET", "PUT", "POST", "POST", "DELETE", "PATCH"]),
        "url": random_url(rng),
        "content_type": rng.choice([None, "application/json;charset=UTF-8", " a/b;  c=\"d \t e\"\t "]),
        "body": rng.choice([None, b"", b"{}", rng.randbytes(rng.randrange(5000))]),
        "unix_s": rng.choice([0, 951782399, 951782400, 4107542400, 253402300799, rng.randrange(253402300800)]),
        "region": rng.choice(["", "eu-de"]),
        "service": rng.choice(["", "modelarts"]),
        "project_id": rng.choice([None, "", "0123456789abcdef0123456789abcdef"]),
    }


def to_line(request):
    def field(value):
        if value is None:
            return "-"
        return (value if isinstance(value, bytes) else str(value).encode()).hex()
    return " ".join(field(request[name]) for name in FIELDS)


def main(program):
    check_self()
    rng = random.Random(SEED)
    requests = [random_request(rng) for _ in range(COUNT)]
    lines = "".join(to_line(request) + "\n" for request in requests)
    run = subprocess.run([program], input=lines, capture_output=True, text=True, timeout=60)
    if run.returncode != 0:
        sys.exit(f"{program} ended with {run.returncode}: {run.stderr}")
    answers = run.stdout.split("\n\n")[:-1]
    if len(answers) != COUNT:
        sys.exit(f"{len(answers)} answers to {COUNT} requests")
    wrong = 0
    for request, answer in zip(requests, answers):
        expected = "\n".join(f"{name}: {value}" for name, value in sign(request).items())
        if answer != expected:
            wrong += 1
            print(f"{request}\n  expected\n{expected}\n  got\n{answer}\n")
    if wrong:
        sys.exit(f"{wrong} of {COUNT} requests are signed in another way")
    print(f"{COUNT} requests signed alike")


main(sys.argv[1])
