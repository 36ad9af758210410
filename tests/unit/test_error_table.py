#!/usr/bin/python3
"""Feeds the build tool error-table good and bad vendor tables.

usage: test_error_table.py ERROR_TABLE_PROGRAM REAL_TABLE_TSV
"""
import os
import subprocess
import sys
import tempfile
import unittest

HEADER = "http\tcode\tgrpc\treason\tsource\tdetail\n"
GOOD = "400\tAPIG.0201\tINVALID_ARGUMENT\tAPIG_0201\tAPI gateway error codes\t-\n"
LATER = "404\tModelArts.3502\tNOT_FOUND\tMODELARTS_3502\tModelArts error codes\tresource:modelarts.Service\n"


class ErrorTable(unittest.TestCase):
    program = ""
    real_table = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = os.path.join(folder.name, "in.tsv")
        self.target = os.path.join(folder.name, "out.c")

    def run_tool(self, *arguments):
        return subprocess.run(
            [self.program, *arguments], capture_output=True, encoding="utf-8", timeout=30, check=False
        )

    def run_table(self, text):
        with open(self.source, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.run_tool(self.source, self.target)

    def expect_refused(self, text, *messages):
        """|messages|: one for each line of standard error, as "LINE: text"; the text may be its beginning."""
        result = self.run_table(text)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertFalse(os.path.exists(self.target))
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), len(messages), result.stderr)
        for line, message in zip(lines, messages):
            self.assertTrue(line.startswith(f"{self.source}:{message}"), f"{line!r}, not {message!r}")

    def expect_row_refused(self, row, message):
        self.expect_refused(HEADER + GOOD + row + "\n", "3: " + message)

    def test_good_table_is_written(self):
        result = self.run_table(HEADER + GOOD + LATER)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        with open(self.target, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('{400, "APIG.0201", BR_INVALID_ARGUMENT, "APIG_0201", BR_DETAIL_NONE, NULL},', text)
        self.assertIn(
            '{404, "ModelArts.3502", BR_NOT_FOUND, "MODELARTS_3502", BR_DETAIL_RESOURCE, "modelarts.Service"},',
            text,
        )
        self.assertLess(text.index("APIG_0201"), text.index("MODELARTS_3502"))

    def test_real_table_is_written(self):
        result = self.run_tool(self.real_table, self.target)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_last_line_without_newline_is_read(self):
        self.assertEqual(self.run_table(HEADER + GOOD + LATER.rstrip("\n")).returncode, 0)
        with open(self.target, encoding="utf-8") as file:
            self.assertIn("MODELARTS_3502", file.read())

    def test_header_other_is_refused(self):
        self.expect_refused(GOOD + LATER, "1: the header is not")
        self.expect_refused(HEADER.replace("\t", " ") + GOOD, "1: the header is not")

    def test_column_detail_is_needed(self):
        short = "\n".join(line.rpartition("\t")[0] for line in (HEADER + GOOD).splitlines())
        self.expect_refused(short + "\n", "2: no header with the column detail")

    def test_comments_are_skipped(self):
        text = "# one\n" + HEADER + GOOD + "# two\n" + LATER
        self.assertEqual(self.run_table(text).returncode, 0)
        os.remove(self.target)
        self.expect_refused(text + "x\n", "6: not 6 columns")

    def test_detail_of_another_code_is_refused(self):
        self.expect_row_refused("404\tZ.1\tNOT_FOUND\tZ_1\ts\tquota", "detail is 'quota', which does not go with")
        self.expect_row_refused("404\tZ.1\tNOT_FOUND\tZ_1\ts\tservice", "detail is 'service', not")

    def test_no_rows_is_refused(self):
        self.expect_refused("", "0: no header")
        self.expect_refused("# a comment\n", "1: no header")
        self.expect_refused(HEADER, "1: no rows")

    def test_columns_too_few_or_many_are_refused(self):
        self.expect_row_refused("404\tA.1\tNOT_FOUND\tA_1", "not 6 columns")
        self.expect_row_refused("404\tA.1\tNOT_FOUND\tA_1\tsource\t-\tmore", "not 6 columns")
        self.expect_row_refused("", "not 6 columns")

    def test_http_out_of_range_is_refused(self):
        for http in ("", "abc", "200", "399", "600", "-404", "+404", "40 4", "404.0", "99999999999999999999"):
            self.expect_row_refused(f"{http}\tZ.1\tNOT_FOUND\tZ_1\ts\t-", f"http is '{http}'")
        for http in ("400", "599"):
            self.assertEqual(self.run_table(HEADER + f"{http}\tZ.1\tNOT_FOUND\tZ_1\ts\t-\n").returncode, 0)

    def test_grpc_unknown_or_wrong_is_refused(self):
        for grpc in ("", "NOTFOUND", "not_found", "BR_NOT_FOUND", "5"):
            self.expect_row_refused(
                f"404\tZ.1\t{grpc}\tZ_1\ts\t-", f"grpc is '{grpc}', not the name of a gRPC code"
            )
        self.expect_row_refused("404\tZ.1\tOK\tZ_1\ts\t-", "grpc is OK")
        self.expect_row_refused("504\tZ.1\tDEADLINE_EXCEEDED\tZ_1\ts\t-", "grpc is DEADLINE_EXCEEDED")

    def test_code_malformed_is_refused(self):
        for code in ("", "Model Arts.1", 'A"B', "A\\B", "A/1", "\u6a21.1", "a" * 65):
            self.expect_row_refused(f"404\t{code}\tNOT_FOUND\tX_1\ts\t-", f"code is '{code}', not 1 to 64")
        self.expect_row_refused("404\t4xx\tNOT_FOUND\tX_4XX\ts\t-", "code is 4xx, from which no reason")
        self.expect_row_refused(
            "404\tAPIGW.0101\tNOT_FOUND\tAPIG_0101\ts\t-", "code is APIGW.0101, but it is looked up as APIG.0101"
        )

    def test_reason_not_derived_is_refused(self):
        for reason in ("", "ModelArts_3502", "MODELARTS.3502", "A" * 64):
            self.expect_row_refused(
                f"404\tModelArts.3502\tNOT_FOUND\t{reason}\ts\t-", f"reason is '{reason}', not [A-Z]"
            )
        for reason in ("MODELARTS_3503", "SERVICE_GONE"):
            self.expect_row_refused(
                f"404\tModelArts.3502\tNOT_FOUND\t{reason}\ts\t-",
                f"reason is '{reason}', but the reason derived from ModelArts.3502 is MODELARTS_3502",
            )

    def test_reason_of_two_codes_is_refused(self):
        self.expect_refused(
            HEADER
            + "400\tX.1103\tINVALID_ARGUMENT\tX_1103\ts\t-\n"
            + "401\tX-1103\tUNAUTHENTICATED\tX_1103\ts\t-\n",
            "3: reason X_1103 is also that of the code X.1103",
        )

    def test_source_empty_is_refused(self):
        self.expect_row_refused("404\tZ.1\tNOT_FOUND\tZ_1\t\t-", "source is empty")
        self.expect_row_refused("404\tZ.1\tNOT_FOUND\tZ_1\t  \t-", "source is empty")

    def test_order_wrong_is_refused(self):
        self.expect_refused(HEADER + LATER + GOOD, "3: not sorted")
        upper = "400\tZ.1\tNOT_FOUND\tZ_1\ts\t-\n"
        lower = "400\ta.1\tNOT_FOUND\tA_1\ts\t-\n"
        self.assertEqual(self.run_table(HEADER + upper + lower).returncode, 0)
        os.remove(self.target)
        self.expect_refused(HEADER + lower + upper, "3: not sorted")

    def test_duplicate_is_refused(self):
        self.expect_refused(HEADER + GOOD + GOOD, "3: duplicate of the row before")

    def test_same_code_under_another_status_is_written(self):
        again = GOOD.replace("400", "413")
        self.assertEqual(self.run_table(HEADER + GOOD + again).returncode, 0)

    def test_control_character_is_refused(self):
        self.expect_refused((HEADER + GOOD).replace("\n", "\r\n"), "1: a control", "2: a control")
        self.expect_row_refused("404\tZ.1\tNOT_FOUND\tZ_1\ts\0\t-", "a control character")

    def test_every_bad_line_is_reported(self):
        self.expect_refused(
            HEADER + "4\t?\tX\tY\t\t\n" + GOOD + "404\tZ.1\tOK\tZ_1\ts\t-\n" + GOOD,
            "2: http is",
            "4: grpc is OK",
            "5: duplicate",
        )

    def test_rows_above_the_limit_are_refused(self):
        rows = [f"400\tA.{i:04}\tNOT_FOUND\tA_{i:04}\ts\t-\n" for i in range(4097)]
        self.assertEqual(self.run_table(HEADER + "".join(rows[:4096])).returncode, 0)
        os.remove(self.target)
        self.expect_refused(HEADER + "".join(rows), "4098: more than 4096 rows")

    def test_missing_input_and_unwritable_output_fail(self):
        self.assertEqual(self.run_tool(self.source, self.target).returncode, 1)
        self.assertEqual(self.run_tool(os.path.dirname(self.source), self.target).returncode, 1)
        with open(self.source, "w", encoding="utf-8") as file:
            file.write(HEADER + GOOD)
        self.assertEqual(self.run_tool(self.source, os.path.join(self.target, "out.c")).returncode, 1)
        self.assertEqual(self.run_tool(self.source, "/dev/full").returncode, 1)

    def test_wrong_arguments_show_the_usage(self):
        for arguments in ([], [self.source], [self.source, self.target, "more"]):
            result = self.run_tool(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn("usage: error-table", result.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ErrorTable.program, ErrorTable.real_table = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
