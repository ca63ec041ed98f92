"""An export from anybody: what cannot be one is refused in a sentence, and changes nothing."""

import gzip
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.rows import APP, delta, table_rows, worker
from fastapi_lens.cli import archive
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id, release_id, shape_id
from fastapi_lens.storage.schema.migrations import known_version
from fastapi_lens.storage.schema.row_checks import LONGEST_TEXT, MOST, MOST_ADDED_US
from fastapi_lens.storage.schema.tables import ENDPOINT
from fastapi_lens.storage.transfer.import_ import ADDED_COLUMNS, OLDEST_SCHEMA
from fastapi_lens.storage.writing.log_writer import LogBatch, LogWriter, exception_id
from fastapi_lens.text.methods import MAX_METHOD_LENGTH
from tests.cli.helpers import fill, moved, run, url_of
from tests.cli.test_moving import deltas, observe
from tests.storage.writing.test_log_writer import exception, request

Lines = list[Any]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """The lines of a good export."""
    folder = tmp_path_factory.mktemp("good")
    url = url_of(folder / "lens.db")
    fill(url, deltas(1, 5))
    database = Database(url)
    log = LogWriter(database, worker(f"{APP}-1"))
    log.write(LogBatch(1, (request(),), (exception(),)))
    database.close()
    observe(url, range(1_000, 1_200), lost=[18])
    assert run("export", folder / "out.jsonl", "--database", url).exit_code == 0
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def written(path: Path, lines: Lines) -> Path:
    """The same lines as a file whose counts and checksum are right."""
    body = b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
        for line in lines[:-1]
    )
    counts: dict[str, int] = {}
    table = ""
    for line in lines[1:-1]:
        if isinstance(line, dict) and isinstance(line.get("table"), str):
            table = line["table"]
            counts[table] = 0
        elif isinstance(line, list):
            counts[table] = counts.get(table, 0) + 1
    end = {"end": True, "counts": counts, "sha256": hashlib.sha256(body).hexdigest()}
    path.write_bytes(body + json.dumps(end).encode() + b"\n")
    return path


def changed(lines: Lines, table: str, column: str, value: object) -> tuple[Lines, int]:
    """The lines with another value in the first row of a table, and that row's number."""
    copy: Lines = json.loads(json.dumps(lines))
    for number, line in enumerate(copy):
        if isinstance(line, dict) and line.get("table") == table:
            copy[number + 1][line["columns"].index(column)] = value
            return copy, number + 2
    raise AssertionError(table)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("lens_endpoint", "tags", "oops"),
        ("lens_endpoint", "tags", "[1,null]"),
        ("lens_endpoint", "tags", "[" * 100_000),
        ("lens_endpoint", "tags", '"' + "x" * LONGEST_TEXT),
        ("lens_endpoint", "tags", 5),
        ("lens_endpoint", "summary", None),
        ("lens_endpoint", "total_calls", "abc"),
        ("lens_endpoint", "total_calls", 2**63),
        ("lens_endpoint", "total_calls", True),
        ("lens_endpoint", "last_called_at", 10**18),
        ("lens_endpoint", "deprecated", "yes"),
        ("lens_endpoint", "present_since", -1),
        ("lens_endpoint", "evidence_since", 10**18),
        ("lens_endpoint", "evidence_since", None),
        ("lens_endpoint", "removed_at", 1.5),
        ("lens_endpoint", "last_used_at", "never"),
        ("lens_endpoint", "shape_id", 2**63),
        ("lens_endpoint", "first_release_id", -1),
        ("lens_endpoint", "last_release_id", None),
        ("lens_endpoint", "first_called_release_id", "1.0"),
        ("lens_endpoint", "last_called_release_id", 2**64),
        ("lens_endpoint", "overrides", 7),
        ("lens_endpoint", "overrides", "{"),
        ("lens_endpoint", "overrides", "[" * 100_000),
        ("lens_endpoint", "overrides", '["keep"]'),
        ("lens_endpoint", "overrides", '{"cadence":"hourly"}'),
        ("lens_endpoint", "overrides", '{"keep":"audit","until":"9999-99-99"}'),
        ("lens_endpoint", "path", "\ud800"),
        ("lens_endpoint", "path", "a\0b"),
        ("lens_worker", "app", "another"),
        ("lens_endpoint", "method", "X" * (MAX_METHOD_LENGTH + 1)),
        ("lens_bucket", "histogram", "AAAA"),
        ("lens_bucket", "histogram", "no base64"),
        ("lens_bucket", "histogram", 5),
        ("lens_bucket", "tier", 7),
        ("lens_bucket", "bucket", 10**17),
        ("lens_bucket", "endpoint_id", 99),
        ("lens_bucket", "duration_us", MOST_ADDED_US + 1),
        ("lens_status", "status", 99_999),
        ("lens_status", "calls", MOST + 1),
        ("lens_worker", "host", None),
        ("lens_worker", "clock_ahead_us", "x"),
        ("lens_request", "id", -1),
        ("lens_request", "reason", "because"),
        ("lens_failure", "first_at", 1.5),
        ("lens_failure_count", "tier", 7),
        ("lens_failure_count", "failure_id", 99),
        ("lens_release", "name", None),
        ("lens_release", "last_at", 10**18),
        ("lens_observed", "hour", 10**9),
        ("lens_observed", "minutes", 1 << 60),
        ("lens_observed", "release_id", 99),
        ("lens_gone", "is_noise", 2),
        ("lens_gone", "endpoint_id", 99),
    ],
)
def test_a_value_that_no_table_holds_is_named_and_changes_nothing(
    lines: Lines, tmp_path: Path, table: str, column: str, value: object
) -> None:
    copy, number = changed(lines, table, column, value)
    url = url_of(tmp_path / "lens.db")
    fill(url, deltas(2, 5))
    before = moved(url)

    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", url, "--again")

    assert result.exit_code == 4
    (sentence,) = result.stderr.splitlines()
    assert f", line {number}: {table}.{column} is " in sentence
    assert sentence.endswith("; nothing is imported")
    assert moved(url) == before


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("lens_endpoint", "id", endpoint_id("billing", "GET", "/invoices")),
        ("lens_endpoint", "path", "/another"),
        ("lens_endpoint", "method", "POST"),
        ("lens_failure", "id", exception_id(endpoint_id("billing", "GET", "/"), "KeyError", "a:1")),
        ("lens_failure", "type", "KeyError"),
        ("lens_failure", "place", "b.py:2 in g"),
        ("lens_release", "id", release_id("billing", "1")),
        ("lens_release", "name", "another"),
    ],
)
def test_a_row_is_added_to_none_that_stands_for_something_else(
    lines: Lines, tmp_path: Path, table: str, column: str, value: object
) -> None:
    copy, number = changed(lines, table, column, value)
    url = url_of(tmp_path / "lens.db")
    fill(url, [delta(1)], app="billing", paths=["/invoices"])
    before = moved(url)

    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", url, "--again")

    assert result.exit_code == 4
    assert (
        f", line {number}: {table}.id does not match what it stands for; nothing is"
        in result.stderr
    )
    assert moved(url) == before


def test_a_week_that_no_clock_tells_is_refused(lines: Lines, tmp_path: Path) -> None:
    copy, _ = changed(lines, "lens_bucket", "tier", 604_800)
    copy, _ = changed(copy, "lens_bucket", "bucket", 29_550_000)
    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", tmp_path / "l.db")
    assert "lens_bucket.bucket is later than any clock tells" in result.stderr


def test_counts_that_a_database_could_not_add_up_are_refused(lines: Lines, tmp_path: Path) -> None:
    copy, number = changed(lines, "lens_status", "calls", MOST)
    row = copy[number - 1]
    copy[number - 1 : number] = [[row[0] + day, *row[1:]] for day in range(700)]
    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", tmp_path / "l.db")
    assert result.exit_code == 4
    assert "lens_status.calls adds up to more than can be counted" in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apps", ["Orders"]),
        ("apps", None),
        ("apps", {"Orders": 5}),
        ("apps", {"Orders": ["x" * 33]}),
        ("apps", {"\ud800": []}),
        ("apps", {"x" * 201: []}),
        ("export_id", 5),
        ("export_id", "a" * 5_000),
        ("schema", "2"),
        ("schema", True),
        ("created_at", "now"),
        ("release", None),
        ("more", 1),
    ],
)
def test_a_header_that_no_export_has_is_refused(
    lines: Lines, tmp_path: Path, name: str, value: object
) -> None:
    copy = [{**lines[0], name: value}, *lines[1:]]
    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", tmp_path / "l.db")
    assert result.exit_code == 4
    assert "line 1: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "l.db").exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[" * 200_000 + b"\n", "line 2 is not JSON"),
        (b"1" * 5_000 + b"\n", "line 2 is not JSON"),
        (b"\xff\xfe\n", "line 2 is not JSON"),
        (b"[NaN]\n", "line 2 is not JSON"),
        (b"\n", "line 2 is not JSON"),
        (b"7\n", "it is neither a row nor the beginning of a table"),
        (b"{}\n", "it is neither a row nor the beginning of a table"),
        (b"[1]\n", "it is a row before its table"),
        (b'{"table":5,"columns":["a"]}\n', "an export has no table 5"),
        (b'{"table":"\\u001b[31mx","columns":["a"]}\n', "an export has no table \\x1b[31mx"),
        (b'{"table":["x"],"columns":["a"]}\n', "an export has no table ['x']"),
        (b'{"table":"lens_status","columns":5}\n', "lens_status has other columns here"),
        (b'{"table":"lens_meta","columns":["name"]}\n', "an export has no table lens_meta"),
    ],
)
def test_a_line_that_no_export_has_is_refused(
    lines: Lines, tmp_path: Path, line: bytes, why: str
) -> None:
    copy = [lines[0], line, *lines[1:]]
    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", tmp_path / "l.db")
    assert (result.exit_code, why in result.stderr) == (4, True), result.stderr
    assert not (tmp_path / "l.db").exists()


def older(lines: Lines) -> Lines:
    """The same export as the release before wrote it."""
    copy: Lines = json.loads(json.dumps(lines))
    copy[0]["schema"] = OLDEST_SCHEMA
    dropped: list[int] = []
    for line in copy:
        if isinstance(line, dict):
            columns = line.get("columns", [])
            added = ADDED_COLUMNS.get(line.get("table", ""), ())
            dropped = [number for number, name in enumerate(columns) if name in added]
            line["columns"] = [name for name in columns if name not in added]
        elif dropped:
            line[:] = [value for number, value in enumerate(line) if number not in dropped]
    for line in copy:
        if isinstance(line, dict) and "table" not in line:
            line.pop("columns")
    return copy


def test_an_export_of_the_release_before_is_taken_without_its_evidence(
    lines: Lines, tmp_path: Path
) -> None:
    url, begun = url_of(tmp_path / "lens.db"), time.time()
    result = run("import", written(tmp_path / "old.jsonl", older(lines)), "--database", url)
    assert result.exit_code == 0, result.stderr
    database = Database(url)
    rows = table_rows(database, ENDPOINT)
    database.close()
    assert len(rows) == 4
    assert all(begun <= row.evidence_since / 1e6 <= time.time() for row in rows)
    assert all(row.shape_id == shape_id(row.app, row.method, row.path) for row in rows)


@pytest.mark.parametrize("schema", [OLDEST_SCHEMA - 1, known_version() + 1])
def test_an_export_of_another_schema_is_refused(lines: Lines, tmp_path: Path, schema: int) -> None:
    copy = [{**lines[0], "schema": schema}, *lines[1:]]
    result = run("import", written(tmp_path / "bad.jsonl", copy), "--database", tmp_path / "l.db")
    assert result.exit_code == 4
    assert f"has rows of schema version {schema}, this release reads {OLDEST_SCHEMA} to" in (
        result.stderr
    )


def test_only_an_older_export_may_lack_columns(lines: Lines, tmp_path: Path) -> None:
    short = older(lines)
    short[0]["schema"] = known_version()
    long = [{**lines[0], "schema": OLDEST_SCHEMA}, *lines[1:]]
    for copy in (short, long):
        file = written(tmp_path / "bad.jsonl", copy)
        result = run("import", file, "--database", tmp_path / "l.db")
        assert "lens_endpoint has other columns here" in result.stderr


def test_tables_and_columns_come_once(lines: Lines, tmp_path: Path) -> None:
    table = next(line for line in lines if isinstance(line, dict) and "table" in line)
    doubled = {**table, "columns": [*table["columns"], "id"]}
    short = [lines[0], table, [1, 2]]
    for copy, why in (
        ([*lines[:-1], table, lines[-1]], "lens_endpoint is there twice"),
        ([lines[0], doubled, *lines[2:]], "lens_endpoint has a column twice"),
        ([*short, lines[-1]], "a row of lens_endpoint has 28 values"),
    ):
        file = written(tmp_path / "bad.jsonl", copy)
        assert why in run("import", file, "--database", tmp_path / "l.db").stderr


def test_a_line_without_an_end_is_not_unpacked_to_its_end(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LONGEST_LINE", 100_000)
    file = tmp_path / "bomb.jsonl.gz"
    with gzip.open(file, "wb", 9) as packed:
        packed.write(json.dumps(lines[0]).encode() + b"\n")
        for _ in range(1_000):
            packed.write(b" " * 10_000)
    result = run("import", file, "--database", tmp_path / "l.db")
    assert (result.exit_code, "line 2: is longer than 100,000 bytes" in result.stderr) == (4, True)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    result = run("import", tmp_path, "--database", tmp_path / "l.db")
    assert (result.exit_code, result.stderr) == (4, f"Error: {tmp_path} is not a file\n")


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(),
    st.lists(st.integers(), max_size=2), st.sampled_from(["[]", "", "AAAA", 10**15, 60]),
)  # fmt: skip


@settings(max_examples=40)
@given(data=st.data(), value=ANYTHING)
def test_whatever_a_file_holds_an_import_takes_it_or_says_why_not(
    lines: Lines, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, value: object
) -> None:
    copy: Lines = json.loads(json.dumps(lines))
    number = data.draw(st.integers(0, len(copy) - 2))
    line = copy[number]
    place = data.draw(st.sampled_from(range(len(line)) if isinstance(line, list) else list(line)))
    line[place] = value
    folder = tmp_path_factory.mktemp("any")

    result = run("import", written(folder / "any.jsonl", copy), "--database", folder / "lens.db")

    assert result.exit_code in (0, 4)
    assert len(result.stderr.splitlines()) == 1
    if result.exit_code:
        assert not (folder / "lens.db").exists()
    else:
        assert run("doctor", "--database", folder / "lens.db").exit_code in (0, 1)
        assert (
            "contain invalid values" not in run("doctor", "--database", folder / "lens.db").output
        )
