"""Compares dashboards, alert rules and run-book pages with what Assent really exports.

- Every metric that a panel, a variable, a rule, a rule's test or a run-book page names is on a page of metrics, or, for
  one that appears only with an event, in a `counter!`, `gauge!` or `histogram!` of the source; and it is used as what
  it is.
- Labels that queries match or group by, and the values they match, are there in the same sense.
- Every alert has a severity, a summary, a run-book page, a test in which it fires and one in which it is quiet.
- Run-book pages name panels, log lines and, given the binary, commands and options that exist.

Only Python's own library: the rules are read as the plain YAML they are written in, and promtool reads them properly.
"""

import argparse
import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from pathlib import Path

SCRAPED = {"up"}  # made by Prometheus itself
SCRAPE_LABELS = {"job", "instance", "service", "le", "alertname", "alertstate", "__name__"}
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}
CLAUSES = "by|without|on|ignoring|group_left|group_right"
SUFFIXES = ("_bucket", "_sum", "_count")
BOARDS = {"Overview": "overview.json", "Log and relay": "log-and-relay.json"}


class Query:
    """The metrics, matchers and grouping labels of a PromQL expression. promtool judges its grammar."""

    def __init__(self, text):
        text = re.sub(r"#[^\n]*", "", text)
        strings = []

        def keep(match):
            strings.append(match.group(1))
            return f'"{len(strings) - 1}"'

        text = re.sub(r'"((?:[^"\\]|\\.)*)"', keep, text)
        self.metrics, self.matchers, self.grouping, self.made = set(), [], set(), set()
        replace = r'label_replace\s*\(.*?,\s*"(\d+)"\s*,\s*"\d+"\s*,\s*"\d+"\s*,\s*"\d+"\s*\)'
        for target in re.findall(replace, text, re.S):
            self.made.add(strings[int(target)])
        for clause in re.findall(rf"\b(?:{CLAUSES})\s*\(([^)]*)\)", text):
            self.grouping.update(label.strip() for label in clause.split(",") if label.strip())
        text = re.sub(rf"\b(?:{CLAUSES})\s*\([^)]*\)", " ", text)
        text = re.sub(r"\[[^\]]*\]", " ", text)
        text = re.sub(r"\boffset\s+\w+", " ", text)
        for name, _, body in re.findall(r"([a-zA-Z_:][\w:]*)\s*(\{([^}]*)\})", text):
            for label, operator, index in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"(\d+)"', body):
                self.matchers.append((name, label, operator, strings[int(index)]))
        text = re.sub(r"\{[^}]*\}", " ", text)
        for match in re.finditer(r"(?<![\w:.\"$])([a-zA-Z_:][\w:]*)(\s*\()?", re.sub(r'"\d+"', " ", text)):
            if not match.group(2) and match.group(1).lower() not in WORDS:
                self.metrics.add(match.group(1))


class Exported:
    """What is exported: series of the pages, and metrics of the source."""

    def __init__(self):
        self.page_kinds, self.page_labels, self.page_values = {}, defaultdict(set), defaultdict(set)
        self.kinds, self.labels, self.where = {}, defaultdict(set), {}
        self.literals = set()
        self.source = ""

    def read_page(self, text):
        for line in text.splitlines():
            if declared := re.match(r"# TYPE (\S+) (\S+)", line):
                self.page_kinds[declared.group(1)] = declared.group(2)
            elif series := re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", line):
                base = self.base_of(series.group(1), self.page_kinds)
                for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', series.group(2) or ""):
                    self.page_labels[base].add(label)
                    self.page_values[base, label].add(value)

    def read_source(self, root):
        for path in sorted([*root.glob("crates/**/*.rs"), *root.glob("services/**/*.rs")]):
            parts = path.relative_to(root).parts
            if "tests" in parts or "target" in parts or path.stem.endswith("tests"):
                continue
            code = re.sub(r"^[ \t]*//.*$", "", path.read_text(), flags=re.M)
            self.source += code
            self.literals.update(re.findall(r'"([^"\n]*)"', code))
            for call in re.finditer(r'\b(counter|gauge|histogram)!\(\s*"([^"]+)"(.*?)\)\s*\.', code, re.S):
                kind, name, rest = call.groups()
                self.kinds[name] = kind
                self.where[name] = f"{path.relative_to(root)}:{code[: call.start()].count(chr(10)) + 1}"
                self.labels[name].update(re.findall(r'"(\w+)"\s*=>', rest))
                if "&labels" in rest:  # a list made just before
                    before = code[max(0, call.start() - 300) : call.start()]
                    self.labels[name].update(re.findall(r'\("(\w+)",', before))

    @staticmethod
    def base_of(name, kinds):
        for suffix in SUFFIXES:
            if name.endswith(suffix) and kinds.get(name.removesuffix(suffix)) == "histogram":
                return name.removesuffix(suffix)
        return name

    def find(self, name):
        """`page`, `source` or the problem."""
        for place, kinds in (("page", self.page_kinds), ("source", self.kinds)):
            base = self.base_of(name, kinds)
            if base in kinds:
                if kinds[base] == "histogram" and base == name:
                    return None, f"{name} is a histogram: it has {name}_bucket, _sum and _count only"
                return place, base
        return None, f"{name} is neither on a page nor in the source"

    def labels_of(self, name):
        base = self.base_of(name, {**self.kinds, **self.page_kinds})
        return self.page_labels[base] | self.labels[base]

    def knows_value(self, name, label, value):
        base = self.base_of(name, {**self.kinds, **self.page_kinds})
        return value in self.page_values[base, label] or value in self.literals


class Check:
    def __init__(self, exported):
        self.exported = exported
        self.problems, self.uses, self.queries = [], defaultdict(set), []

    def problem(self, where, text):
        self.problems.append(f"{where}: {text}")

    def metric(self, name, where):
        if name in SCRAPED or name == "ALERTS":
            return
        place, found = self.exported.find(name)
        if place is None:
            self.problem(where, found)
        self.uses[name].add(where)

    def query(self, text, where, legend=""):
        self.queries.append((where, text))
        query = Query(text)
        if not query.metrics:
            self.problem(where, f"no metric was found in: {text}")
        for name in query.metrics:
            self.metric(name, where)
        known = set().union(SCRAPE_LABELS, query.made, *(self.exported.labels_of(name) for name in query.metrics))
        for name, label, operator, value in query.matchers:
            if label not in SCRAPE_LABELS and label not in self.exported.labels_of(name):
                self.problem(where, f"{name} has no label {label}")
            elif label not in SCRAPE_LABELS and re.fullmatch(r"[\w|-]+", value):
                for one in value.split("|") if "~" in operator else [value]:
                    if not self.exported.knows_value(name, label, one):
                        self.problem(where, f"{name} is never {label}={one!r}, on a page or in the source")
        for label in query.grouping | set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend)):
            if label not in known:
                self.problem(where, f"none of its metrics has a label {label}")


def check_dashboard(check, path):
    board = json.loads(path.read_text())
    name, titles, ids, cells = path.name, set(), set(), {}
    for variable in board["templating"]["list"]:
        for metric in re.findall(r"label_values\(([\w:]+)", str(variable.get("query"))):
            check.metric(metric, f"{name}, variable {variable['name']}")
    for panel in board["panels"]:
        where = f"{name}, {panel['title']!r}"
        if panel["id"] in ids:
            check.problem(where, f"the id {panel['id']} occurs twice")
        ids.add(panel["id"])
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        for cell in ((x, y) for x in columns for y in rows):
            if cell in cells or cell[0] >= 24:
                check.problem(where, f"lies over {cells.get(cell, 'the edge')}")
                break
            cells[cell] = panel["title"]
        if panel["type"] == "row":
            continue
        if panel["title"] in titles:
            check.problem(where, "the title occurs twice")
        titles.add(panel["title"])
        if not panel.get("targets"):
            check.problem(where, "asks for nothing")
        for target in panel.get("targets", []):
            if target["datasource"].get("uid") != "${datasource}":
                check.problem(where, "its data source is not the variable")
            check.query(target["expr"], where, target.get("legendFormat", ""))
    print(f"{name}: {len(titles)} panels")
    return titles


def read_rules(path):
    """Alerts with their expression, labels and annotations, by name."""
    alerts, alert, block, indent = {}, None, None, 0
    for line in path.read_text().splitlines():
        depth = len(line) - len(line.lstrip())
        if block is not None and (not line.strip() or depth > indent):
            alert[block] += line.strip() + "\n"
            continue
        block = None
        text = line.strip()
        if text.startswith("#"):
            continue
        if begun := re.match(r"- alert: (\S+)$", text):
            alert = alerts[begun.group(1)] = {}
        elif alert is not None and (pair := re.match(r"(\w+): *(.*)$", text)):
            key, value = pair.groups()
            alert[key] = value.strip("\"'") if value != "|" else ""
            if value == "|":
                block, indent = key, depth
    return alerts


def check_rules(check, path):
    alerts = read_rules(path)
    if len(alerts) != path.read_text().count("- alert:"):
        check.problem(path.name, "not every alert could be read")
    for name, alert in alerts.items():
        where = f"{path.name}, {name}"
        check.query(alert.get("expr", ""), where)
        if alert.get("severity") not in ("critical", "warning"):
            check.problem(where, "severity must be critical or warning")
        if not alert.get("summary"):
            check.problem(where, "has no summary")
        if not alert.get("runbook_url", "").endswith(f"/docs/runbook/{name}.md"):
            check.problem(where, f"runbook_url does not end in /docs/runbook/{name}.md")
    print(f"{path.name}: {len(alerts)} alerts")
    return alerts


def check_rule_tests(check, path, alerts):
    text = path.read_text()
    for name in re.findall(r"- series: ['\"]?([\w:]+)", text):
        check.metric(name, path.name)
    fires, quiet = set(), set()
    for name, none in re.findall(r"alertname: (\S+)\n\s+eval_time: \S+\n\s+exp_alerts:( \[\])?", text):
        (quiet if none else fires).add(name)
    for name in alerts:
        if name not in fires:
            check.problem(path.name, f"no test shows that {name} fires")
        if name not in quiet:
            check.problem(path.name, f"no test shows that {name} is quiet")
    for name in (fires | quiet) - set(alerts):
        check.problem(path.name, f"there is no alert {name}")


def check_runbook(check, directory, alerts, titles, binary):
    index = (directory / "README.md").read_text()
    for name in alerts:
        if not (directory / f"{name}.md").is_file():
            check.problem("runbook", f"{name}.md is missing")
        if f"({name}.md)" not in index:
            check.problem("runbook/README.md", f"does not lead to {name}.md")
    pages = sorted(directory.glob("*.md"))
    flat = re.sub(r"\\\n\s*", "", check.exported.source)
    helps = {}
    for page in pages:
        where, text = f"runbook/{page.name}", " ".join(page.read_text().split())
        if page.stem not in alerts and page.stem != "README":
            check.problem(where, "there is no such alert")
        for board, title in re.findall(r"\*(Overview|Log and relay) › ([^*]+)\*", text):
            if title not in titles.get(board, ()):
                check.problem(where, f"there is no panel {title!r} in {board}")
        for line in re.findall(r'`"([^`]+)"`', text):
            if line not in flat:
                check.problem(where, f"nothing logs {line!r}")
        for name in re.findall(r"\bassent_[a-z_]+\b", text):
            # Schemas of the database have names of the same form; a page may name a histogram as a whole.
            if name not in {"assent_log", "assent_feed", "assent_views", *check.exported.kinds}:
                check.metric(name, where)
        if binary:
            for command in re.findall(r"`(assent [a-z][^`]*)`", text):
                check_command(check, where, command, binary, helps)
    print(f"runbook: {len(pages) - 1} pages and an index" + ("" if binary else "; commands NOT checked, no --binary"))


def check_command(check, where, command, binary, helps):
    words = command.split()[1:]
    path = []
    for word in words:
        if not re.fullmatch(r"[a-z][a-z-]*", word) or len(path) == 2:
            break
        path.append(word)
    for length in (len(path), 1):
        tried = tuple(path[:length])
        if tried not in helps:
            ran = subprocess.run([binary, *tried, "--help"], capture_output=True, text=True, timeout=20)
            helps[tried] = ran.stdout if ran.returncode == 0 else None
        if helps[tried]:
            break
    else:
        check.problem(where, f"there is no command {command!r}")
        return
    for option in re.findall(r"--[a-z-]+", command):
        if not re.search(re.escape(option) + r"\b(?!-)", helps[tried]):
            check.problem(where, f"{' '.join(('assent', *tried))} has no option {option}")


def concrete(query):
    """A panel's query with Grafana's variables filled in."""
    return (
        query.replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$__interval", "1m").replace("$service", ".*")
    )


def write_queries(check, path):
    lines = ["groups:", "  - name: queries", "    rules:"]
    for number, (_, text) in enumerate(check.queries):
        lines += [f"      - record: query:{number}", "        expr: " + json.dumps(concrete(text))]
    path.write_text("\n".join(lines) + "\n")


def ask_prometheus(check, url):
    empty = []
    for where, text in check.queries:
        body = urllib.parse.urlencode({"query": concrete(text)}).encode()
        try:
            with urllib.request.urlopen(url.rstrip("/") + "/api/v1/query", body, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            check.problem(where, f"Prometheus refuses {concrete(text)}: {json.load(error).get('error')}")
            continue
        if not result:
            empty.append(where)
    print(f"Prometheus at {url}: {len(check.queries)} queries asked, {len(empty)} with nothing to show at this moment")
    for where in empty:
        print(f"  nothing: {where}")


def fetch(page):
    if page.startswith(("http://", "https://")):
        with urllib.request.urlopen(page, timeout=10) as answer:
            return answer.read().decode()
    return Path(page).read_text()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--prometheus")
    parser.add_argument("--binary")
    parser.add_argument("pages", nargs="+")
    given = parser.parse_args()

    exported = Exported()
    for page in given.pages:
        exported.read_page(fetch(page))
    exported.read_source(given.root)
    if not exported.page_kinds or not exported.kinds:
        sys.exit("no metrics were found: wrong page, or wrong root?")
    check = Check(exported)
    for name, kind in exported.page_kinds.items():
        if name.startswith("assent_") and exported.kinds.get(name) != kind:
            known = exported.kinds.get(name, "not")
            check.problem("page", f"{name} is a {kind} there and {known} in the source: is the page old?")

    deploy = given.root / "deploy"
    titles = {}
    for path in sorted((deploy / "dashboards").glob("*.json")):
        found = check_dashboard(check, path)
        titles.update({board: found for board, file in BOARDS.items() if file == path.name})
    alerts = check_rules(check, deploy / "prometheus/alerts.yml")
    check_rule_tests(check, deploy / "prometheus/tests/alerts.test.yml", alerts)
    check_runbook(check, given.root / "docs/runbook", alerts, titles, given.binary)
    if given.queries:
        write_queries(check, given.queries)
    if given.prometheus:
        ask_prometheus(check, given.prometheus)
    report(check)


def report(check):
    exported = check.exported
    found = defaultdict(dict)
    for name in check.uses:
        place, base = exported.find(name)
        if place:
            found[place][base] = found[place].get(base, set()) | check.uses[name]
    print(f"\n{len(found['page'])} metrics are on a page:")
    for base, users in sorted(found["page"].items()):
        print(f"  {exported.page_kinds[base]:<9} {base}  ({len(users)} uses)")
    print(f"{len(found['source'])} appear only with an event, and are in the source:")
    for base, users in sorted(found["source"].items()):
        print(f"  {exported.kinds[base]:<9} {base}  ({len(users)} uses, {exported.where[base]})")
    unused = sorted(set(exported.kinds) - set(found["page"]) - set(found["source"]))
    print(f"{len(unused)} of the source are shown nowhere: {', '.join(unused) or '–'}")
    if check.problems:
        print(f"\n{len(check.problems)} problems:")
        for problem in check.problems:
            print(f"  {problem}")
        sys.exit(1)
    print("\nall that is asked for is exported")


if __name__ == "__main__":
    main()
