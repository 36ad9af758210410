"""deploy/prometheus and deploy/grafana: they parse, they ask for what the bridge has, each alert fires when it should.

Every check is a function that returns what is wrong, and is seen to find something in a broken sample first.

The environment says where things are (CMakeLists.txt beside this file): BRIDGE, ROOT, PROMTOOL.
"""
import copy
import glob
import json
import os
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = os.environ["ROOT"]
RULES = os.path.join(ROOT, "deploy", "prometheus", "alerts.yaml")
RULE_TESTS = os.path.join(ROOT, "deploy", "prometheus", "alerts_test.yaml")
DASHBOARD = os.path.join(ROOT, "deploy", "grafana", "dashboard.json")
RUNBOOK = os.path.join(ROOT, "deploy", "README.md")

# What a scrape adds; namespace and pod only where its configuration says so.
TARGET_LABELS = {"job", "instance", "namespace", "pod"}
AGGREGATIONS = {"sum", "min", "max", "avg", "group", "count", "topk", "bottomk", "quantile", "stddev", "stdvar"}
GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OPERATORS = {"and", "or", "unless", "bool", "offset", "atan2"}
TOKEN = re.compile(r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<name>[a-zA-Z_:][\w:]*)|(?P<range>\[[^\]]*\])|\d[\w.]*|\S""")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRID_COLUMNS = 24
SEVERITIES = ("critical", "warning", "info")
# Reasons begin with them where the error code is of somebody else.
VENDORS = ("MODELARTS", "APIG", "IAM")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def program_metrics():
    """Each name that a scrape of the bridge has, with its labels."""
    names = {}
    table = output_of(os.environ["BRIDGE"], "routes", "--metrics")
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", table, re.M):
        labels = set(re.findall(r"\w+", labels))
        if kind == "histogram":
            names.update({f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}})
        else:
            names[name] = labels
    assert len(names) > 20, table
    return names


def program_strings():
    """The texts in the bridge's sources: each value of a label is one of them."""
    files = glob.glob(os.path.join(ROOT, "bridge", "**", "*.[ch]"), recursive=True)
    return {text for path in files for text in re.findall(r'"([A-Za-z_]+)"', read(path))}


class Expression:
    """What a PromQL expression asks for: its selectors as (metric, {label: matched text}), and the labels it groups by."""

    def __init__(self, text):
        self.selectors = []
        self.groups = set()
        tokens = [(match.lastgroup, match.group()) for match in TOKEN.finditer(text)]
        for i, (kind, token) in enumerate(tokens):
            following = tokens[i + 1][1] if i + 1 < len(tokens) else ""
            if kind != "name" or token in OPERATORS or token in AGGREGATIONS or self.depth(tokens[:i], "{", "}") > 0:
                continue
            if token in GROUPINGS:
                self.groups.update(self.names_until(tokens[i + 1:], ")"))
            elif following != "(" and not self.is_grouped(tokens[:i]):
                matched = {}
                if following == "{":
                    inside = tokens[i + 2:]
                    inside = inside[:[token for _, token in inside].index("}")]
                    names = [token for kind, token in inside if kind == "name"]
                    values = [token[1:-1] for kind, token in inside if kind == "string"]
                    matched = dict(zip(names, values, strict=True))
                self.selectors.append((token, matched))

    @staticmethod
    def depth(tokens, opening, closing):
        return [t for _, t in tokens].count(opening) - [t for _, t in tokens].count(closing)

    @staticmethod
    def names_until(tokens, end):
        names = []
        for kind, token in tokens:
            if token == end:
                return names
            if kind == "name":
                names.append(token)
        return names

    @staticmethod
    def is_grouped(tokens):
        """Whether what follows stands in the parentheses of by, on and their like."""
        texts = [token for _, token in tokens]
        opened = len(texts) - 1 - texts[::-1].index("(") if "(" in texts else -1
        return opened > 0 and texts[opened - 1] in GROUPINGS and ")" not in texts[opened:]


def expression_problems(text, metrics, strings):
    """What |text| asks for that the bridge does not have. |metrics|: {name: labels}."""
    expression = Expression(text)
    if not expression.selectors:
        yield "no metric"
    known = set(TARGET_LABELS)
    for name, matched in expression.selectors:
        if name not in metrics:
            yield f"no metric {name}"
            continue
        known |= metrics[name]
        for label, value in matched.items():
            if label not in metrics[name] | TARGET_LABELS:
                yield f"{name} has no label {label}"
            for part in value.split("|"):
                if label not in TARGET_LABELS and re.fullmatch(r"[A-Za-z_]+", part) and part not in strings:
                    yield f"{name} has no {label}={part}"
    for label in sorted(expression.groups - known):
        yield f"nothing has the label {label}"


def promtool(*arguments):
    result = subprocess.run([os.environ["PROMTOOL"], *arguments], capture_output=True, text=True, timeout=240)
    return [] if result.returncode == 0 else [result.stdout + result.stderr]


def rules_of(document):
    return [rule for group in document["groups"] for rule in group["rules"]]


def with_recorded(rules, metrics):
    """|metrics|, and the names that |rules| record: their labels are those of a target."""
    return {**metrics, "up": set(), **{rule["record"]: set() for rule in rules if "record" in rule}}


def alert_problems(text):
    """What is missing in an alert: a reason above it, what a reader needs, the place in the runbook."""
    for rule in rules_of(yaml.safe_load(text)):
        if "alert" not in rule:
            continue
        name = rule["alert"]
        if not name.startswith("ModelArtsBridge"):
            yield f"{name}: not told apart from the alerts of others"
        if rule["labels"].get("severity") not in SEVERITIES:
            yield f"{name}: severity"
        annotations = rule["annotations"]
        if not annotations.get("summary") or not annotations.get("description"):
            yield f"{name}: summary or description"
        if annotations.get("runbook_url") != f"deploy/README.md#{name.lower()}":
            yield f"{name}: runbook_url"
    for above, name in re.findall(r"^(.*)\n *- alert: (\w+)$", text, re.M):
        if not above.strip().startswith("# "):
            yield f"{name}: no comment says why its limits are what they are"


def runbook_problems(page, alerts):
    """|page|: the text of deploy/README.md."""
    runbook = re.search(r"^## Runbook\n(.*?)(?=^## |\Z)", page, re.S | re.M)
    if runbook is None:
        yield "no runbook"
        return
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", runbook.group(1), re.S | re.M))
    for name in sorted(set(alerts) - set(sections)):
        yield f"{name}: not in the runbook"
    for name in sorted(set(sections) - set(alerts)):
        yield f"{name}: no such alert"
    for name, text in sections.items():
        for part in ("Means", "Look at", "Do"):
            if not re.search(rf"^\*\*{part}:\*\*\s+\S", text, re.M):
                yield f"{name}: nothing under {part}"


def page_problems(page, metrics, flags, strings):
    """Metrics, flags and words of the program that |page| names and that are not there."""
    labels = {label for names in metrics.values() for label in names}
    words = strings | labels | TARGET_LABELS | set(SEVERITIES) | set(metrics) | {f"{prefix}_" for prefix in VENDORS}
    words |= {name.removesuffix("_count") for name in metrics}
    for code in re.findall(r"`([^`\n]+)`", page):
        if re.fullmatch(r"[a-z]+(_[a-z]+)*|[A-Z]+(_[A-Z]*)+", code) and code not in words:
            yield f"no {code}"
        for flag in re.findall(r"(--[a-z][a-z0-9-]+)", code):
            if flag not in flags and not code.startswith("kubectl "):
                yield f"no flag {flag}"


def substitute(text):
    """An expression of the dashboard as Grafana sends it."""
    return text.replace("$__rate_interval", "5m").replace("$job", "bridge").replace("$instance", "a:9090")


def targets_of(dashboard):
    return [(panel, target) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def dashboard_problems(dashboard):
    """What Grafana would stumble on, or a reader."""
    if dashboard.get("id") is not None or not dashboard.get("uid") or not dashboard.get("title"):
        yield "uid and title are needed, and no id of an instance"
    if dashboard.get("schemaVersion", 0) < 36:
        yield "schemaVersion"
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield "no variable for the data source"
    for name in ("job", "instance"):
        variable = variables.get(name, {})
        if variable.get("datasource") != DATASOURCE or variable.get("allValue") is not None:
            yield f"variable {name}: not a list of bridges alone"
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        yield "an id twice"
    taken = {}
    for panel in dashboard["panels"]:
        where = f"panel {panel['id']}"
        place = panel["gridPos"]
        if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > GRID_COLUMNS:
            yield f"{where}: beyond the grid"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if taken.setdefault((x, y), where) != where:
                    yield f"{where}: over {taken[x, y]} at {x}, {y}"
        if not panel.get("title"):
            yield f"{where}: no title"
        if panel["type"] == "row":
            continue
        if not panel.get("description"):
            yield f"{where}: no description"
        if panel.get("datasource") != DATASOURCE:
            yield f"{where}: data source"
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            yield f"{where}: no unit"
        if not panel.get("targets"):
            yield f"{where}: shows nothing"
        if len({target["refId"] for target in panel.get("targets", [])}) != len(panel.get("targets", [])):
            yield f"{where}: a refId twice"
    for panel, target in targets_of(dashboard):
        where = f"panel {panel['id']} {target['refId']}"
        expression = Expression(target["expr"])
        for name, matched in expression.selectors:
            if matched.get("job") != "$job" or matched.get("instance") != "$instance":
                yield f"{where}: {name} of all jobs and instances"
        if "$" in substitute(target["expr"]):
            yield f"{where}: an unknown variable"
        for label in re.findall(r"\{\{(.*?)\}\}", target["legendFormat"]):
            if re.search(r"\b(sum|max|min|avg|count)\b", target["expr"]) and label not in expression.groups:
                yield f"{where}: the legend's {label} is not there any more"


def generated_rules(expressions):
    """A rules file that has each expression once."""
    rules = [{"record": f"expression:{i}", "expr": text} for i, text in enumerate(expressions)]
    return yaml.safe_dump({"groups": [{"name": "generated", "rules": rules}]})


class Prometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="bridge-prometheus-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.text = read(RULES)
        cls.rules = rules_of(yaml.safe_load(cls.text))
        cls.alerts = [rule["alert"] for rule in cls.rules if "alert" in rule]
        cls.dashboard = json.loads(read(DASHBOARD))
        cls.metrics = program_metrics()
        cls.strings = program_strings()

    def fine(self, problems):
        self.assertEqual(list(problems), [])

    def broken(self, problems, expected):
        """The check can fail: it finds what was broken on purpose."""
        self.assertIn(expected, "\n".join(problems))

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def replace(self, text, old, new):
        self.assertIn(old, text)
        return text.replace(old, new, 1)


class Alerts(Prometheus):
    def test_promtool_accepts_the_rules(self):
        self.fine(promtool("check", "rules", "--lint-fatal", RULES))
        broken = self.write("broken.yaml", self.replace(self.text, "absent(", "absent(("))
        self.broken(promtool("check", "rules", "--lint-fatal", broken), "could not parse expression")

    def test_the_tests_of_the_rules_pass(self):
        self.fine(promtool("test", "rules", RULE_TESTS))

    def test_each_alert_is_complete(self):
        self.assertGreater(len(self.alerts), 15)
        self.fine(alert_problems(self.text))
        for old, new, expected in (
                ("severity: critical", "severity: bad", "severity"),
                ("summary: No modelarts-bridge is scraped.", "summary: ''", "summary or description"),
                ("#modelartsbridgeabsent", "#absent", "runbook_url"),
                ("- alert: ModelArtsBridgeDown", "- alert: Down", "not told apart"),
                ("\n      - alert: ModelArtsBridgeDown", "\n\n      - alert: ModelArtsBridgeDown", "says why")):
            self.broken(alert_problems(self.replace(self.text, old, new)), expected)

    def test_the_bridge_has_what_the_rules_ask_for(self):
        names = with_recorded(self.rules, self.metrics)
        for rule in self.rules:
            with self.subTest(rule.get("alert") or rule["record"]):
                self.fine(expression_problems(rule["expr"], names, self.strings))
        for text, expected in (
                ("sum(rate(modelarts_bridge_nothing_total[5m])) > 1", "no metric modelarts_bridge_nothing_total"),
                ("grpc_server_call_duration_seconds > 1", "no metric grpc_server_call_duration_seconds"),
                ('modelarts_bridge_ready{code="x"} == 0', "modelarts_bridge_ready has no label code"),
                ("sum by (job, grpc_method) (modelarts_bridge_ready)", "nothing has the label grpc_method"),
                ('up / on (le) modelarts_bridge_ready{job="a"}', "nothing has the label le"),
                ('grpc_server_call_duration_seconds_count{grpc_status=~"OK|UNAVAILABEL"}', "no grpc_status=UNAVAILABEL"),
                ('modelarts_bridge_token_fetches_total{result!="okay"}', "no result=okay"),
                ("vector(1)", "no metric")):
            with self.subTest(text):
                self.broken(expression_problems(text, names, self.strings), expected)


class AlertTests(Prometheus):
    """alerts_test.yaml notices each change of an alert: when it is dead, quicker, or has another limit."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rule_tests = yaml.safe_load(read(RULE_TESTS))
        cls.recorded = [rule for rule in cls.rules if "record" in rule]

    def run_with(self, name, rules):
        """The tests that are about |name|, with |rules| in the place of its own; None: there are none."""
        needed = [rule for rule in self.recorded if any(rule["record"] in text for text in self.closure(rules))]
        self.write("rules.yaml", yaml.safe_dump({"groups": [{"name": "g", "rules": needed + rules}]}))
        groups = []
        for group in self.rule_tests["tests"]:
            checks = [check for check in group.get("alert_rule_test", []) if check["alertname"] == name]
            if checks:
                groups.append({**group, "alert_rule_test": checks, "promql_expr_test": []})
        self.assertTrue(groups, name)
        document = {**self.rule_tests, "rule_files": ["rules.yaml"], "tests": groups}
        return promtool("test", "rules", self.write("test.yaml", yaml.safe_dump(document)))

    def closure(self, rules):
        texts = [rule["expr"] for rule in rules]
        for rule in reversed(self.recorded):
            if any(rule["record"] in text for text in texts):
                texts.append(rule["expr"])
        return texts

    def own(self, name):
        return [copy.deepcopy(rule) for rule in self.rules if rule.get("alert") == name]

    def test_a_dead_alert_is_noticed(self):
        for name in self.alerts:
            with self.subTest(name):
                self.fine(self.run_with(name, self.own(name)))
                for i in range(len(self.own(name))):
                    rules = self.own(name)
                    rules[i]["expr"] = "vector(0) > 1"
                    self.broken(self.run_with(name, rules), "FAILED")

    def test_an_alert_that_does_not_wait_is_noticed(self):
        count = 0
        for name in self.alerts:
            rules = self.own(name)
            if any(rule.pop("for", None) for rule in rules):
                count += 1
                with self.subTest(name):
                    self.broken(self.run_with(name, rules), "FAILED")
        self.assertGreater(count, 10)

    def test_another_limit_is_noticed(self):
        """Each number that something is compared with, a quarter (at least 1, if it is whole) lower and higher."""
        count = 0
        for name in self.alerts:
            for i, rule in enumerate(self.own(name)):
                for match in re.finditer(r"(?<=[<>] )\d[\d.]*", rule["expr"]):
                    limit = float(match.group())
                    step = limit / 4 if "." in match.group() else max(1, limit / 4)
                    for changed in (limit - step, limit + step) if limit > 0 else (limit + step * 1000,):
                        rules = self.own(name)
                        rules[i]["expr"] = rule["expr"][:match.start()] + str(changed) + rule["expr"][match.end():]
                        with self.subTest(name, limit=limit, changed=changed):
                            self.broken(self.run_with(name, rules), "FAILED")
                            count += 1
        self.assertGreater(count, 30)


class Runbook(Prometheus):
    def test_each_alert_has_its_section_and_each_section_its_alert(self):
        page = read(RUNBOOK)
        self.fine(runbook_problems(page, self.alerts))
        heading = "### ModelArtsBridgeAbsent\n"
        self.broken(runbook_problems(self.replace(page, heading, ""), self.alerts), "ModelArtsBridgeAbsent: not in")
        self.broken(runbook_problems(page, self.alerts[1:]), "ModelArtsBridgeAbsent: no such alert")
        self.broken(runbook_problems(self.replace(page, "**Do:**", "Do:"), self.alerts), "nothing under Do")
        self.broken(runbook_problems("## Sizing\n", self.alerts), "no runbook")

    def test_the_bridge_has_what_the_page_names(self):
        flags = set(re.findall(r"--[a-z][a-z-]+", output_of(os.environ["BRIDGE"], "routes", "--settings")))
        commands = re.findall(r"^  ([a-z]+) ", output_of(os.environ["BRIDGE"], "--help"), re.M)
        for command in commands:
            flags.update(re.findall(r"^  (--[a-z-]+)", output_of(os.environ["BRIDGE"], command, "--help"), re.M))
        page = read(RUNBOOK)
        self.fine(page_problems(page[page.index("## Alerts and dashboard"):], self.metrics, flags, self.strings))
        for sample, expected in (
                ("`modelarts_bridge_nothing`", "no modelarts_bridge_nothing"),
                ("the log line `nothing_happened`", "no nothing_happened"),
                ("`NO_REASON`", "no NO_REASON"),
                ("`modelarts-bridge health --nothing`", "no flag --nothing")):
            self.broken(page_problems(sample, self.metrics, flags, self.strings), expected)


    def test_prometheus_takes_the_configuration_that_the_page_shows(self):
        shown = re.search(r"<!-- check: scrape -->\n```yaml\n(.*?)^```", read(RUNBOOK), re.S | re.M).group(1)
        self.write("alerts.yaml", self.text)
        self.fine(promtool("check", "config", self.write("prometheus.yaml", shown)))
        other = self.replace(shown, "alerts.yaml", "other.yaml")
        self.broken(promtool("check", "config", self.write("prometheus.yaml", other)), "other.yaml")


class Dashboard(Prometheus):
    def expressions(self, dashboard):
        return [substitute(target["expr"]) for _, target in targets_of(dashboard)]

    def test_grafana_can_show_it(self):
        self.assertGreater(len(self.expressions(self.dashboard)), 20)
        self.fine(dashboard_problems(self.dashboard))

        def sample(change):
            dashboard = copy.deepcopy(self.dashboard)
            change(dashboard, dashboard["panels"][1])
            return dashboard_problems(dashboard)

        for change, expected in (
                (lambda d, p: d.update(id=7), "no id"),
                (lambda d, p: d.update(schemaVersion=16), "schemaVersion"),
                (lambda d, p: d["templating"]["list"].pop(0), "no variable for the data source"),
                (lambda d, p: d["templating"]["list"].pop(1), "variable job"),
                (lambda d, p: d["templating"]["list"][2].update(allValue=".*"), "variable instance"),
                (lambda d, p: p.update(id=1), "an id twice"),
                (lambda d, p: p.pop("title"), "no title"),
                (lambda d, p: p.pop("description"), "no description"),
                (lambda d, p: p.update(datasource={"type": "prometheus", "uid": "P1809F7CD0C75ACF3"}), "data source"),
                (lambda d, p: p["fieldConfig"]["defaults"].pop("unit"), "no unit"),
                (lambda d, p: p["gridPos"].update(x=20), "beyond the grid"),
                (lambda d, p: p["gridPos"].update(w=9), "panel 3: over panel 2"),
                (lambda d, p: p.update(targets=[]), "shows nothing"),
                (lambda d, p: p["targets"].append(p["targets"][0]), "a refId twice"),
                (lambda d, p: p["targets"][0].update(expr="sum(modelarts_bridge_ready)"), "of all jobs"),
                (lambda d, p: p["targets"][0].update(expr="modelarts_bridge_ready + $other"), "an unknown variable"),
                (lambda d, p: p["targets"][0].update(legendFormat="{{instance}}"), "legend")):
            self.broken(sample(change), expected)

    def test_promtool_accepts_its_expressions(self):
        good = self.write("panels.yaml", generated_rules(self.expressions(self.dashboard)))
        self.fine(promtool("check", "rules", good))
        bad = self.write("bad.yaml", generated_rules(["sum by job (up)"]))
        self.broken(promtool("check", "rules", bad), "could not parse expression")

    def test_the_bridge_has_what_it_asks_for(self):
        for text in self.expressions(self.dashboard):
            self.fine(expression_problems(text, self.metrics, self.strings))
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] == "query":
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
                self.fine(expression_problems(f"sum by ({label}) ({selector})", self.metrics, self.strings))
        self.broken(expression_problems("modelarts_bridge_conections", self.metrics, self.strings), "no metric")


if __name__ == "__main__":
    unittest.main()
