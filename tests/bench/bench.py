"""Runs the benchmarks and prints Markdown; README.md beside this file says what each row means.

  bench.py BRIDGE PROGRAMS            measures: each row in five rounds, of which the best counts
  bench.py BRIDGE PROGRAMS --smoke    runs everything for a moment and checks that it works; says nothing of speed

BRIDGE is the binary, PROGRAMS the folder with bench-client and the others and, in inputs/, what inputs.py wrote.
"""
import collections
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time

BRIDGE, PROGRAMS = sys.argv[1:3]
SMOKE = sys.argv[3:] == ["--smoke"]
ROUNDS = 1 if SMOKE else 5
RUN_MS = 20 if SMOKE else 600
MICRO_MS = 1 if SMOKE else 400
DEADLINE_MS = 300
DEADLINE_RUNS = ((1, 2), (20, 20)) if SMOKE else ((1, 10), (20, 200))  # in flight, calls
IN_FLIGHT = (1, 8, 64)
LONG_MS = 60000
PATIENCE_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
UPDATE, LOGS = "UpdateService", "ShowServiceUpdateLogs"
DEADLINE_EXCEEDED = "4"


def program(name):
    return os.path.join(PROGRAMS, name)


def input_file(name):
    return os.path.join(PROGRAMS, "inputs", name)


def run_json(*arguments):
    output = subprocess.run([str(a) for a in arguments], stdout=subprocess.PIPE, check=True, timeout=120).stdout
    return [json.loads(line) for line in output.splitlines()]


class Server:
    """A program that listens on |address|, ended by the id it was started with. Its standard error goes to a file."""

    def __init__(self, *arguments):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=self.errors)

    def wait_until(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self.process.args[0]} did not start:\n{self.read_errors()}")
            time.sleep(0.01)

    def read_errors(self):
        self.errors.seek(0)
        return self.errors.read()[-4000:]

    def cpu_us(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000000 // TICKS_PER_S  # utime, stime

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def end(self):
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0:
            print(f"{self.process.args[0]}: exit code {code}\n{self.read_errors()}", file=sys.stderr)
        self.errors.close()
        return code == 0


class Listener(Server):
    """One of the programs here: it writes the port that it got to a file."""

    def __init__(self, name, *arguments):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            port_file = os.path.join(folder, "port")
            super().__init__(program(name), port_file, *arguments)
            self.wait_until(lambda: os.path.exists(port_file))
            with open(port_file) as file:
                self.address = f"127.0.0.1:{int(file.read())}"


class Bridge(Server):
    """The bridge tells its port at log level info only, so it gets one that is free."""

    def __init__(self, upstream, *arguments):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        super().__init__(BRIDGE, "serve", "--listen", self.address, "--admin-listen", "off", "--upstream-url",
                         f"http://{upstream.address}", *arguments)
        self.wait_until(self.accepts)

    def accepts(self):
        host, port = self.address.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0


def call(server, rpc, request, in_flight, connections, *options):
    result, = run_json(program("bench-client"), "-a", server.address, "-m", f"/modelarts.v1.ModelArtsService/{rpc}",
                       "-r", input_file(request), "-f", in_flight, "-c", connections, *options)
    return result


# |server| is None for the HTTP floor.
Row = collections.namedtuple("Row", "what server rpc request in_flight connections")


def measure(row):
    """One run of one row: calls a second, CPU and memory of the server, latency."""
    before_us = row.server.cpu_us()
    result = call(row.server, row.rpc, row.request, row.in_flight, row.connections, "-t", RUN_MS, "-d", LONG_MS)
    if set(result["codes"]) != {"0"}:
        raise AssertionError(f"{row.what}: not every call ended with OK: {result['codes']}")
    # The calls before the measured ones cost, too.
    result["cpu_per_call_us"] = (row.server.cpu_us() - before_us) / (result["calls"] + row.in_flight)
    result["rate"] = result["calls"] * 1e6 / result["took_us"]
    result["rss_kib"] = row.server.rss_kib()
    return result


def measure_http(row, url):
    result, = run_json(program("bench-http"), url, input_file("example.json"), row.in_flight, RUN_MS)
    result["cpu_per_call_us"] = result["cpu_us"] / result["calls"]
    result["rate"] = result["calls"] * 1e6 / result["took_us"]
    result["rss_kib"] = None
    return result


def best(results):
    """The best of each number: whatever else the machine did only made it worse. Memory is that of the first round,
    before other rows have grown the process."""
    return {"rate": max(r["rate"] for r in results), "rss_kib": results[0]["rss_kib"],
            **{key: min(r[key] for r in results) for key in ("cpu_per_call_us", "p50_us", "p99_us")}}


def connections_for(in_flight):
    return min(in_flight, 4)


def make_rows(echoes, bridges, logs_bridge):
    def at_each(what, server, rpc, request):
        return [Row(what, server, rpc, request, n, connections_for(n)) for n in IN_FLIGHT]

    def count(number, word):
        return f"{number} {word}{'s' if number > 1 else ''}"

    rows = at_each("HTTP floor", None, None, None)
    for threads, echo in echoes.items():
        rows += at_each(f"gRPC floor, {count(threads, 'thread')}", echo, UPDATE, "example.pb")
    for (shards, level), bridge in bridges.items():
        what = f"example, {count(shards, 'shard')}, log {level}"
        rows += at_each(what, bridge, UPDATE, "example.pb")
        if level == "warn":
            rows.append(Row(what, bridge, UPDATE, "example.pb", IN_FLIGHT[-1], 1))
    rows += at_each("small, 1 shard, log warn", bridges[1, "warn"], UPDATE, "small.pb")
    rows += at_each("100 log records, 1 shard, log warn", logs_bridge, LOGS, "logs.pb")
    return rows + at_each("64 KiB of config, 1 shard, log warn", bridges[1, "warn"], UPDATE, "big.pb")


def print_table(head, lines):
    print("\n| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for line in lines:
        print("| " + " | ".join(str(cell) for cell in line) + " |", flush=True)


def print_rates(rows, url):
    results = collections.defaultdict(list)
    for _ in range(ROUNDS):
        for row in rows:
            results[row].append(measure(row) if row.server is not None else measure_http(row, url))
    bests = {row: best(results[row]) for row in rows}
    print_table(("what", "in flight", "connections", "calls/s", "CPU us/call", "p50 us", "p99 us", "RSS MiB"),
                [(row.what, row.in_flight, row.connections if row.server is not None else "", f"{result['rate']:,.0f}",
                  f"{result['cpu_per_call_us']:.0f}", f"{result['p50_us']:,}", f"{result['p99_us']:,}",
                  f"{result['rss_kib'] / 1024:.1f}" if result["rss_kib"] else "") for row, result in bests.items()])
    print_ratios({(row.what, row.in_flight): result for row, result in bests.items()
                  if row.connections == connections_for(row.in_flight)})


def print_ratios(bests):
    def ratio(a, b):
        return f"{a / b:.2f}" if b > 0 else ""  # a short run may take less than a tick of CPU

    lines = []
    for n in IN_FLIGHT:
        http, core = bests["HTTP floor", n], bests["gRPC floor, 1 thread", n]
        bridge, two = bests["example, 1 shard, log warn", n], bests["example, 2 shards, log warn", n]
        logging = bests["example, 1 shard, log info", n]
        lines.append((n, ratio(bridge["cpu_per_call_us"], core["cpu_per_call_us"] + http["cpu_per_call_us"]),
                      ratio(logging["cpu_per_call_us"], bridge["cpu_per_call_us"]), ratio(bridge["rate"], core["rate"]),
                      ratio(bridge["rate"], http["rate"]), ratio(two["rate"], bridge["rate"])))
    print_table(("in flight", "CPU: bridge / both floors", "CPU: log info / warn", "calls/s: bridge / gRPC floor",
                 "calls/s: bridge / HTTP floor", "calls/s: 2 shards / 1 shard"), lines)


def measure_deadlines(bridge, in_flight, calls):
    result = call(bridge, UPDATE, "example.pb", in_flight, 1, "-n", calls)
    if set(result["codes"]) != {DEADLINE_EXCEEDED}:
        raise AssertionError(f"not every call ended with DEADLINE_EXCEEDED: {result['codes']}")
    return result


def print_deadlines(bridge):
    lines = []
    for in_flight, calls in DEADLINE_RUNS:
        result = min((measure_deadlines(bridge, in_flight, calls) for _ in range(ROUNDS)), key=lambda r: r["p99_us"])
        lines.append((f"{calls} calls of {DEADLINE_MS} ms", in_flight,
                      *(f"{result[k] / 1000 - DEADLINE_MS:.2f}" for k in ("min_us", "p50_us", "p99_us", "max_us"))))
    print_table(("deadline", "in flight", "earliest ms", "p50 ms", "p99 ms", "max ms"), lines)


def print_micro():
    print_table(("translation", "ns", "allocations", "bytes allocated"),
                [(r["operation"], f"{r['ns']:,.0f}", r["allocations"], f"{r['allocated_bytes']:,}")
                 for r in run_json(program("bench-micro"), program("inputs"), MICRO_MS)])


def print_machine(echo):
    def first_line(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split("\n")[0]

    core = call(echo, UPDATE, "example.pb", 1, 1, "-n", 1)["grpc"]
    versions = [f"{name} {first_line('pkg-config', '--modversion', name)}"
                for name in ("libcurl", "libprotobuf-c", "libcjson")]
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, "
          f"{first_line('cc', '--version')}, gRPC core {core}, {', '.join(versions)}")


def main():
    servers = []

    def start(kind, *arguments):
        servers.append(kind(*arguments))
        return servers[-1]

    try:
        upstream = start(Listener, "bench-upstream", input_file("update.json"))
        logs_upstream = start(Listener, "bench-upstream", input_file("logs.json"))
        silent_upstream = start(Listener, "bench-upstream")
        echoes = {n: start(Listener, "bench-echo", input_file("answer.pb"), str(n)) for n in (1, 2)}
        bridges = {(shards, level): start(Bridge, upstream, "--shards", str(shards), "--log-level", level)
                   for shards in (1, 2) for level in ("warn", "info")}
        quiet = ("--shards", "1", "--log-level", "warn")
        logs_bridge = start(Bridge, logs_upstream, *quiet)
        waiting_bridge = start(Bridge, silent_upstream, *quiet, "--default-timeout", f"{DEADLINE_MS}ms")
        print_machine(echoes[1])
        print_rates(make_rows(echoes, bridges, logs_bridge),
                    f"http://{upstream.address}/v1/bench-project/services/bench-service")
        print_deadlines(waiting_bridge)
        print_micro()
    finally:
        all_fine = all([server.end() for server in servers])
    if not all_fine:
        sys.exit(1)


main()
