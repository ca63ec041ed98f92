"""The tables of benchmark results that the documentation quotes: `make docs` writes them.

Nobody copies a number by hand: the quotes are cut out of benchmarks/RESULTS.md, which the
benchmarks write. A test compares both.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.sections import replace_section

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"

Rows = list[list[str]]
FLEET_COLUMNS = {
    "workers": "workers",
    "endpoints": "endpoints",
    "flushes a second": "flushes a second, of those due",
    "workers, %": "all workers, % of a core",
    "server, %": "database, % of a core",
    "age: median": "a page is behind: median",
    "age: at most": "at most",
    "lag: at most": "wait, at most",
}
"""Columns of the fleet's table in the results, and their heads in the quote."""


def tables_of(results: str, name: str) -> list[Rows]:
    """The tables of a section of the results, each with its head first.

    Args:
        results: The text of RESULTS.md.
        name: Of the section.
    """
    section = re.search(rf"<!-- bench:{name} -->(.*?)<!-- /bench:{name} -->", results, re.DOTALL)
    lines = section[1].splitlines() if section else []
    tables: list[Rows] = []
    before = ""
    for line in lines:
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            if not re.fullmatch(r"[|\-: ]+", line):
                tables[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        before = line
    return tables


def _budgets(results: str, name: str) -> Rows:
    """The table of a section with a column of budgets."""
    return next(rows for rows in tables_of(results, name) if "budget" in rows[0])


def recording(results: str) -> Rows:
    """The costs of recording, beside their budgets."""
    return [row[:3] for row in _budgets(results, "recording")]


def fleet(results: str) -> Rows:
    """Many workers on one database, without those of the first edition's writer."""
    head, *rows = tables_of(results, "fleet")[0]
    # The heads of two columns begin those of the column before.
    full = [
        f"{head[i - 1].partition(':')[0]}: {cell}" if cell == "at most" else cell
        for i, cell in enumerate(head)
    ]
    chosen = [full.index(name) for name in FLEET_COLUMNS]
    ours = [row for row in rows if row[0] == "today"]
    return [list(FLEET_COLUMNS.values()), *([row[i] for i in chosen] for row in ours)]


def fleet_budgets(results: str) -> Rows:
    """The fleet's budgets, and what was measured."""
    return _budgets(results, "fleet")


def false_alarms(results: str) -> Rows:
    """False alarms in quiet weeks, by noise."""
    head, *rows = tables_of(results, "changes")[0]
    chosen = [head.index(name) for name in ("noise", "slower", "failing", "a week, of 50")]
    return [
        ["noise", "slower", "failing more", "a week, of 50 endpoints"],
        *([row[i] for i in chosen] for row in rows),
    ]


def planted(results: str) -> Rows:
    """Planted changes and how soon they are found."""
    return tables_of(results, "changes")[1]


def admin_load(results: str) -> Rows:
    """The latency of the application's own requests while fifty ask for reports."""
    head, *rows = tables_of(results, "admin-load")[0]
    names = ["p50 idle", "p50 then", "p99 idle", "p99 then"]
    chosen = [head.index(name) for name in names]
    quoted = [[row[0], *(f"{row[i]} ms" for i in chosen)] for row in rows]
    return [[head[0], *names], *quoted]


QUOTES: Mapping[str, Mapping[str, Callable[[str], Rows]]] = {
    "docs/costs.md": {"recording": recording},
    "docs/what-changed.md": {"changes-alarms": false_alarms, "changes-found": planted},
    "docs/security.md": {"admin-load": admin_load},
    "docs/scaling.md": {"fleet": fleet, "fleet-budgets": fleet_budgets},
}
"""The quotes of each document, by the names of their marks."""


def documents(results: str) -> Iterator[tuple[Path, str]]:
    """Each document that quotes results, and its text with the quotes of these results."""
    for name, quotes in QUOTES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for mark, quote in quotes.items():
            text = replace_section(text, mark, _table(quote(results)))
        yield ROOT / name, text


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def main() -> int:
    """The command."""
    for path, text in documents(RESULTS.read_text(encoding="utf-8")):
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
