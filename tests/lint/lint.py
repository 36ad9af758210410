"""Checks rules of the source that no compiler knows.

  lint.py ROOT     checks the tree, after checking itself: each file of tests/lint/samples must break the rule that its
                   name begins with.

Rules: floors (what a file may include), banned (functions), offsets (raw message offsets), text (what may not stand in
any tracked file).
"""
import os
import re
import subprocess
import sys

# DESIGN: a file may include from its own floor and those below.
FLOORS = ["base", "contract", "translate", "upstream", "serve", "cmd"]

# A library's headers, and the only files of the bridge that may include them.
LIBRARIES = {
    r"grpc/": r"bridge/(serve/server\w*\.[ch]|cmd/client\.c)$",
    r"curl/": r"bridge/upstream/http_curl\w*\.[ch]$",
    r"cjson/": r"bridge/(translate|cmd)/",
    r"openssl/": r"bridge/upstream/",
    r"microhttpd": r"bridge/serve/",
    r"protobuf-c/": r"bridge/(contract|translate|cmd)/",
    r"modelarts/v1/": r"bridge/translate/named_rules\.c$",
}

# Each has a safer way in bridge/base, or a bounded twin in libc.
BANNED = ("strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll atof scanf sscanf fscanf alloca "
          "rand random system popen fork vfork setlocale").split()
# Parsers of libc that take more than they should: only inside our strict ones, or where a line says why.
PARSERS = "strtod strtof strtol strtoll strtoul strtoull".split()


def strip(text):
    """Without comments and the contents of strings."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def check_floors(path, text):
    match = re.match(r"bridge/(\w+)/", path)
    own = FLOORS.index(match.group(1)) if match and match.group(1) in FLOORS else len(FLOORS) - 1
    for number, line in enumerate(text.split("\n"), 1):
        include = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if not include:
            continue
        name = include.group(1)
        floor = name.split("/")[0]
        if floor in FLOORS and FLOORS.index(floor) > own:
            yield number, f"{name} is of a floor above"
        for prefix, allowed in LIBRARIES.items():
            if re.match(prefix, name) and not re.match(allowed, path):
                yield number, f"<{name}> may not be included here"


def check_banned(path, text):
    code = strip(text).split("\n")
    raw = text.split("\n")
    for number, line in enumerate(code, 1):
        for name in BANNED:
            if re.search(rf"(?<![\w.>]){name}\s*\(", line):
                yield number, f"{name}() is banned"
        for name in PARSERS if SOURCE.match(path) and not path.startswith("bridge/base/parse") else ():
            if re.search(rf"(?<![\w.>]){name}\s*\(", line):
                above = raw[max(0, number - 4):number]
                if not any("/*" in l or "*/" in l or " * " in l for l in above):
                    yield number, f"{name}() belongs in base/parse.c, or needs a comment that says why"


def check_offsets(path, text):
    if path == "bridge/contract/field.c":
        return
    for number, line in enumerate(strip(text).split("\n"), 1):
        if re.search(r"\bquantifier_offset\b|->offset\b", line) and "descriptor" in line:
            yield number, "raw message offsets are for bridge/contract/field.c alone"


def check_text(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"(^|[^a-z.])/(work|farm|root|home)/[a-z.]", line):
            yield number, "an absolute path of one machine"
        if re.search(r"\b(TODO|FIXME)\b", line):
            yield number, "left undone"
        if line.rstrip() != line and not path.startswith("tests/golden/"):  # those are byte for byte
            yield number, "space at the end of the line"


SOURCE = re.compile(r"(bridge|gen)/.*\.[ch]$")
ANY_SOURCE = re.compile(r".*\.[ch]$")
RULES = {
    "floors": (re.compile(r"bridge/.*\.[ch]$"), check_floors),
    "banned": (ANY_SOURCE, check_banned),
    "offsets": (SOURCE, check_offsets),
    "text": (re.compile(r".*"), check_text),
}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def check_samples(folder):
    """Each sample says in its first line which path it stands for: /* path */"""
    missing = set(RULES)
    for name in sorted(os.listdir(folder)):
        text = read(os.path.join(folder, name))
        rule = name.split("_")[0]
        path = re.search(r"[\w/.]+\.[ch]", text).group()
        if not list(RULES[rule][1](path, text)):
            sys.exit(f"lint: the sample {name} does not break the rule {rule}: the check cannot fail")
        missing.discard(rule)
    if missing:
        sys.exit(f"lint: no sample for: {', '.join(sorted(missing))}")


def main(root):
    os.chdir(root)
    check_samples("tests/lint/samples")
    files = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split("\n")
    # The samples break the rules; the inputs of the fuzz targets are any bytes.
    files = [f for f in files if f and not f.startswith(("tests/lint/", "tests/fuzz/corpus/")) and os.path.isfile(f)]
    if not any(RULES["floors"][0].match(f) for f in files):
        sys.exit("lint: found no source of the bridge")
    found = 0
    for path in files:
        text = read(path)
        for _, (pattern, check) in RULES.items():
            if pattern.match(path):
                for number, problem in check(path, text):
                    print(f"{path}:{number}: {problem}")
                    found += 1
    if found:
        sys.exit(f"lint: {found} problems")


main(sys.argv[1])
