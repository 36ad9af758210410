"""The tables of tests/README.md against what the tests do. Where they differ, it says what should stand there."""
import os
import unittest

import test_hostile
import test_network
from test_fault_matrix import MATRIX, RPCS, all_cases, read_matrix, row_of

MANY_CODES = 6
README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "README.md")


def groups_of_matrix():
    """The comments of the matrix, which head its groups, and the faults below each."""
    groups = {}
    with open(MATRIX) as file:
        lines = file.read().split("\n")
    title = None
    for line in lines[[line.startswith("fault\t") for line in lines].index(True) + 1:]:
        if line.startswith("# "):
            title = line[2:].split(". ")[0].rstrip(".")
        elif line:
            groups.setdefault(title, set()).add(line.split("\t")[0])
    return groups


def in_words(codes):
    return ", ".join(codes) if len(codes) < MANY_CODES else f"{len(codes)} codes"


def matrix_table():
    rows = read_matrix()
    cases = [(case, row_of(rows, case)) for case in all_cases(rows)]
    lines = ["| what goes wrong | faults | calls | updates end with | reads end with |", "|---|---|---|---|---|"]
    for title, faults in groups_of_matrix().items():
        codes = {"updates": {}, "read": {}}
        count = 0
        for case, row in cases:
            if case.fault in faults:
                count += 1
                codes[RPCS[case.rpc]][row.code] = True
        lines.append(f"| {title} | {len(faults)} | {count} | {in_words(codes['updates'])} | {in_words(codes['read'])} |")
    lines.append(f"| all | {len({row.fault for row in rows})} | {len(cases)} | | |")
    return lines


def scenario_table(module):
    lines = ["| what goes wrong | times | outcome |", "|---|---|---|"]
    for case in vars(module).values():
        if isinstance(case, type) and issubclass(case, unittest.TestCase) and case.__module__ == module.__name__:
            for test in vars(case).values():
                if hasattr(test, "row"):
                    fault, times, outcome = test.row
                    lines.append(f"| {fault} | {times:,} | {outcome} |")
    return lines


TABLES = {"faults of ModelArts and IAM": matrix_table, "faults of the network": lambda: scenario_table(test_network),
          "faults of callers and surroundings": lambda: scenario_table(test_hostile)}


class ReliabilityTable(unittest.TestCase):
    def test_tables_are_those_of_the_tests(self):
        with open(README) as file:
            text = file.read()
        for name, make in TABLES.items():
            with self.subTest(name):
                begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
                right = "\n".join(make())
                if text[text.index(begin) + len(begin):text.index(end)] != right:
                    self.fail(f"between its marks should stand\n{right}")

    def test_each_test_of_network_and_hostile_has_a_row(self):
        for module in (test_network, test_hostile):
            for suite in unittest.defaultTestLoader.loadTestsFromModule(module):
                for test in suite:
                    self.assertTrue(hasattr(getattr(test, test._testMethodName), "row"), test.id())


if __name__ == "__main__":
    unittest.main()
