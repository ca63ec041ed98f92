"""Export and import of callers: whole, without the key that hashes keys, and checked."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.rows import MINUTE, called_by, caller, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.caller_key import caller_key, key_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import CallerKind
from tests.cli.helpers import moved, run, url_of

A = facts("/orders/{id}")


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A database with a named caller, and one that is known by its key."""
    url = url_of(tmp_path / "source.db")
    database = Database(url)
    migrate(database)
    writer = Writer(database, worker())
    writer.register([A], applied=0, now_us=1)
    writer.write(called_by(A.id, caller("billing"), MINUTE, MINUTE + 4_000))
    by_key = caller("0123456789abcdef", CallerKind.KEY)
    by_key = by_key._replace(key_id=key_id(caller_key(database, "orders")))
    writer.write(called_by(A.id, by_key, MINUTE + 1, seq=2, status=404))
    database.close()
    return url


def key_of(url: str) -> str:
    database = Database(url)
    try:
        return caller_key(database, "orders").hex()
    finally:
        database.close()


def test_callers_are_moved_without_the_key_that_hashes_keys(source: str, tmp_path: Path) -> None:
    file, target = tmp_path / "out.jsonl", url_of(tmp_path / "target.db")
    assert run("export", file, "--database", source).exit_code == 0
    assert key_of(source) not in file.read_text()
    for _ in range(2):
        result = run("import", file, "--database", target)
        assert result.exit_code == 0, result.stderr
    assert moved(target) == moved(source)
    assert key_of(target) != key_of(source)


@pytest.mark.parametrize(
    ("table", "column", "value", "why"),
    [
        ("lens_caller", "name", "somebody else", "lens_caller.id does not match"),
        ("lens_caller", "kind", "god", "lens_caller.kind is none of"),
        ("lens_use", "endpoint_id", 5, "lens_use.endpoint_id is of no endpoint"),
        ("lens_use", "max_gap", -1, "lens_use.max_gap is not a whole number"),
        ("lens_use_week", "endpoint_id", 5, "lens_use_week.endpoint_id is of no endpoint"),
    ],
)
def test_a_row_that_no_release_writes_is_refused(
    source: str, tmp_path: Path, table: str, column: str, value: Any, why: str
) -> None:
    file = tmp_path / "out.jsonl"
    run("export", file, "--database", source)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    at = next(
        number
        for number, line in enumerate(lines)
        if isinstance(line, dict) and line.get("table") == table
    )
    lines[at + 1][lines[at]["columns"].index(column)] = value
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    result = run("import", file, "--database", url_of(tmp_path / "target.db"))
    assert (result.exit_code, why in result.stderr) == (4, True), result.stderr
