"""Each fault of the simulator x rpc x credential x deadline: fault_matrix.tsv says what a call ends with, and this asks.

Without arguments: each fault with every rpc and a long deadline, and the rows where another credential or deadline makes a
difference. With --all, or FAULT_MATRIX=all in the environment: every combination.
"""
import collections
import concurrent.futures
import itertools
import os
import re
import sys
import threading
import unittest

from harness import Bridge, Failure, PASSWORD, SECRET_KEY, Sim, TOKEN, attempt, load, wait_until
from modelarts.v1 import modelarts_service_pb2 as pb, modelarts_service_pb2_grpc
from test_credentials import Folder

HERE = os.path.dirname(os.path.abspath(__file__))
MATRIX = os.path.join(HERE, "fault_matrix.tsv")
SIM_README = os.path.join(HERE, "..", "sim", "README.md")
COLUMNS = ["fault", "rpc", "auth", "deadline", "code", "reason", "attempts", "executed"]
RPCS = {"UpdateService": "updates", "UpdateServiceByProperty": "updates", "ShowServiceUpdateLogs": "read"}
AUTHS = ("passthrough", "token", "aksk")
DEADLINES_S = {"short": 3, "long": 15}
IAM_FAULT = "iam-fault-"
# Calls at a time: few enough that even under the sanitizers no fast call comes near the short deadline.
CALLS_AT_A_TIME = 24
# Retries are a fifth of the calls: these earn all that the matrix needs.
CALLS_BEFORE = 600

Row = collections.namedtuple("Row", COLUMNS)
Case = collections.namedtuple("Case", ["fault", "rpc", "auth", "deadline"])
numbers = itertools.count()


def read_matrix():
    with open(MATRIX) as file:
        lines = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    assert lines[0] == COLUMNS, lines[0]
    return [Row(*line) for line in lines[1:]]


def fits(row, case):
    return (row.fault == case.fault and row.rpc in ("*", RPCS[case.rpc], case.rpc) and row.auth in ("*", case.auth) and
            row.deadline in ("*", case.deadline))


def all_cases(rows):
    faults = list(dict.fromkeys(row.fault for row in rows))
    return [Case(fault, rpc, auth, deadline) for fault in faults for rpc in RPCS
            for auth in (("token",) if fault.startswith(IAM_FAULT) else AUTHS) for deadline in DEADLINES_S]


def row_of(rows, case):
    """The row for |case|: there is one, no more and no less."""
    found = [row for row in rows if fits(row, case)]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} rows of {os.path.basename(MATRIX)} fit {tuple(case)}")
    return found[0]


def is_in_short_form(row, case):
    usual = "token" if case.fault.startswith(IAM_FAULT) else "passthrough"
    return (case.deadline == "long" or row.deadline == "short") and (
        case.auth == usual or row.auth not in ("*", "passthrough"))


def renews(row):
    """One that the bridge answers with a new token: soon after a fetch it does so once only, so it gets a bridge of its own."""
    return row.auth == "token" and not row.fault.startswith(IAM_FAULT)


def patterns_of_simulator():
    """The faults that tests/sim/README.md lists, which test_sim_faults.c keeps true: (id, regular expression)."""
    with open(SIM_README) as file:
        text = file.read()
    tables = re.split(r"^### Faults of IAM$", text[text.index("\n## Faults\n"):text.index("\n## Journal\n")], flags=re.M)
    ids = [re.findall(r"^\| `([^`]+)` \|", table, re.M) for table in tables]
    kinds = {"<status>": r"\d{3}", "<n>": r"\d+", "<k>": r"\d+", "<code>": r"[A-Za-z]+\.\d+", "<fault>": ".+"}
    found = {}
    # A user may ask for each fault of a service too.
    for name in [*ids[0], *ids[1], *(IAM_FAULT + name[len("fault-"):] for name in ids[0])]:
        expression = re.escape(name)
        for hole, pattern in kinds.items():
            expression = expression.replace(re.escape(hole), pattern)
        found[name] = re.compile(expression)
    return found


class Table(unittest.TestCase):
    """The table against the simulator's list and against itself."""

    def setUp(self):
        self.rows = read_matrix()

    def test_each_combination_has_one_row(self):
        for case in all_cases(self.rows):
            row_of(self.rows, case)

    def test_each_row_is_used(self):
        used = {row_of(self.rows, case) for case in all_cases(self.rows)}
        self.assertEqual([row for row in self.rows if row not in used], [])

    def test_simulator_knows_no_other_fault(self):
        patterns = patterns_of_simulator()
        faults = {row.fault for row in self.rows}
        self.assertGreater(len(patterns), 30)
        for name, pattern in patterns.items():
            with self.subTest(name):
                self.assertTrue(any(pattern.fullmatch(fault) for fault in faults), "a fault without a row")

    def test_updates_are_never_tried_twice_but_with_a_new_token(self):
        for row in self.rows:
            if row.rpc != "read" and not renews(row):
                self.assertIn(row.attempts, ("0", "1"), row)
            self.assertIn(row.executed, ("0", "1"), row)

    def test_callers_are_not_invited_to_repeat_what_may_be_done(self):
        """UNAVAILABLE of an update: nothing was sent, or a 502 or 503, which is read as not executed."""
        for row in self.rows:
            if row.rpc != "read" and row.code == "UNAVAILABLE":
                self.assertTrue(row.attempts == "0" or re.search("50[23]", row.fault), row)


class Upstream:
    """A simulator, and a bridge for each credential; further ones as they are needed."""

    def __init__(self, case):
        self.case = case
        self.lock = threading.Lock()
        self.sim = Sim("--iam-password", PASSWORD, "--secret-key", SECRET_KEY)
        case.addCleanup(self.end, self.sim)
        self.key = Folder(access_key="demo-access-key", secret_key=SECRET_KEY)
        case.addCleanup(self.key.holder.cleanup)
        self.shared = {}

    def end(self, process):
        code = process.end()
        self.case.assertEqual(code, 0, process.last_errors[-4000:])

    def start(self, auth, user="demo-user"):
        arguments = []
        if auth == "token":
            folder = Folder(username=user, password=PASSWORD, domain="demo-domain", project="demo-project-name")
            arguments = ["--iam-url", self.sim.url, "--iam-timeout", "5m", "--credentials-dir", folder.path]
        elif auth == "aksk":
            arguments = ["--credentials-dir", self.key.path]
        bridge = Bridge(self.sim.url, "--auth", auth, "--max-response-bytes", "1MiB", *arguments)
        channel = bridge.channel()
        with self.lock:
            self.case.addCleanup(self.end, bridge)
            self.case.addCleanup(channel.close)
            if auth == "token":
                self.case.addCleanup(folder.holder.cleanup)
        return bridge, modelarts_service_pb2_grpc.ModelArtsServiceStub(channel)

    def start_shared(self, auth):
        bridge, stub = self.start(auth)
        codes = load(bridge.address, pb.UpdateServiceRequest(service_id="svc-before", description="d"), CALLS_BEFORE)
        self.case.assertEqual(codes, {"0": CALLS_BEFORE})
        self.shared[auth] = stub

    def start_with_fault_of_iam(self, fault):
        bridge, stub = self.start("token", f"{fault}--{next(numbers)}")
        if "flaky" in fault:
            wait_until(lambda: bridge.events("token_fetched") or not request("ShowServiceUpdateLogs", stub, "svc", 15),
                       "a caller that tries again")
        return stub


def request(rpc, stub, service_id, timeout_s, metadata=()):
    fields = {}
    if rpc == "UpdateService":
        fields = {"description": "d"}
    elif rpc == "UpdateServiceByProperty":
        fields = {"changed_property": "CHANGED_PROPERTY_INSTANCE_COUNT", "configs": [{"model_id": "demo-model", "changed_value": 2}]}
    message = getattr(pb, rpc + "Request")(service_id=service_id, **fields)
    return attempt(getattr(stub, rpc), message, timeout=timeout_s, metadata=metadata)


class Matrix(unittest.TestCase):
    def start_bridges(self, upstream, pool, chosen):
        """Who answers each case: a bridge for each credential, one for each user of IAM, one for each renewal."""
        users = sorted({case.fault for case, _ in chosen if case.fault.startswith(IAM_FAULT)})
        renewals = [case for case, row in chosen if renews(row)]
        shared = [pool.submit(upstream.start_shared, auth) for auth in sorted({case.auth for case, _ in chosen})]
        of_user = dict(zip(users, pool.map(upstream.start_with_fault_of_iam, users)))
        of_renewal = dict(zip(renewals, pool.map(lambda _: upstream.start("token")[1], renewals)))
        for future in shared:
            future.result()
        return lambda case: of_user.get(case.fault) or of_renewal.get(case) or upstream.shared[case.auth]

    def make_call(self, stub, case):
        fault = "svc" if case.fault.startswith(IAM_FAULT) else case.fault
        service_id = f"{fault}--{next(numbers)}"
        metadata = (TOKEN,) if case.auth == "passthrough" else ()
        return service_id, request(case.rpc, stub, service_id, DEADLINES_S[case.deadline], metadata)

    def judge(self, case, row, result, entries):
        """What differs from |row|; "": nothing."""
        failed = isinstance(result, Failure)
        code, reason = (result.code.name, result.reason) if failed else ("OK", "-")
        trailers = result.trailers if failed else result[1]
        # Where the caller's own clock was first, there is no reason.
        if code == "DEADLINE_EXCEEDED" and not trailers:
            reason = row.reason
        attempts = len(entries)
        executed = sum(entry["executed"] for entry in entries)
        fewest, _, most = row.attempts.partition("-")
        wrong = []
        if (code, reason) != (row.code, row.reason):
            wrong.append(f"{code} {reason}, not {row.code} {row.reason}")
        if not int(fewest) <= attempts <= int(most or fewest):
            wrong.append(f"{attempts} attempts, not {row.attempts}")
        if executed != int(row.executed):
            wrong.append(f"executed {executed} times, not {row.executed}")
        told = int(trailers.get("modelarts-bridge-attempts", "1"))
        if trailers and told != max(attempts, 1):
            wrong.append(f"the trailer tells of {told} attempts, not {attempts}")
        return ", ".join(wrong)

    def test_each_case_ends_as_the_table_says(self):
        rows = read_matrix()
        chosen = [(case, row_of(rows, case)) for case in all_cases(rows)]
        if os.environ.get("FAULT_MATRIX") != "all":
            chosen = [(case, row) for case, row in chosen if is_in_short_form(row, case)]
        # Those that take long begin first.
        chosen.sort(key=lambda pair: not re.search("slow|drip|retry-after", pair[0].fault))
        upstream = Upstream(self)
        with concurrent.futures.ThreadPoolExecutor(CALLS_AT_A_TIME) as pool:
            stub_of = self.start_bridges(upstream, pool, chosen)
            results = list(pool.map(lambda pair: self.make_call(stub_of(pair[0]), pair[0]), chosen))
        journal = collections.defaultdict(list)
        for entry in upstream.sim.journal():
            journal[entry["service_id"]].append(entry)
        wrong = []
        for (case, row), (service_id, result) in zip(chosen, results):
            difference = self.judge(case, row, result, journal[service_id])
            if difference:
                wrong.append(f"{' '.join(case)}: {difference}")
        if wrong:
            self.fail("\n" + "\n".join(wrong))
        print(f"{len(chosen)} calls, {len({case.fault for case, _ in chosen})} faults", file=sys.stderr)


if __name__ == "__main__":
    if "--all" in sys.argv:
        sys.argv.remove("--all")
        os.environ["FAULT_MATRIX"] = "all"
    unittest.main()
