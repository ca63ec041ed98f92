"""docs/privacy.md names every table, and every column with text that a client or a person gave."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from fastapi_lens.storage.retention.caller_deletion import USE_SECONDS, USE_WEEK_SECONDS
from fastapi_lens.storage.schema.models import Tier, lens_metadata
from fastapi_lens.storage.schema.tables import MOVED
from tests.support.documents import broken_links

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(lens_\w+)` \| (.+?) \| (.*?) ?\| (.+) \|$", re.MULTILINE)

OF_THE_APPLICATION = {
    "lens_endpoint": {
        *("app", "method", "path", "kind", "name", "source", "summary", "tags", "overrides"),
    },
    "lens_bucket": {"histogram"},
    "lens_caller": {"app", "kind"},
    "lens_release": {"app", "name"},
    "lens_worker": {"id", "app", "release", "open_calls"},
    "lens_inbox": {"worker_id", "app"},
    "lens_lease": {"name", "owner"},
    "lens_meta": {"name"},
    "lens_request": {"app", "method", "reason"},
    "lens_failure": {"app", "type", "place"},
    "lens_setting": {"app", "name"},
    "lens_audit": {"app", "action"},
    "lens_ended_session": {"app", "session", "generation"},
}
"""Columns with text in which neither a client nor a person is named. `type` and `place` of an
exception are a class and a line of the application; `session` is a random number."""

REFERENCES = {"lens_use": {"caller_id"}, "lens_use_week": {"caller_id"}}
"""Numbers that stand for a caller."""


def rows() -> dict[str, str]:
    """What the page says of the personal data of each table."""
    section = TEXT.partition("\n## Every table\n")[2].partition("\n## ")[0]
    return {name: data for name, data, _, _ in ROW.findall(section)}


def columns_named(data: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", data)) - {"log_query_values", "log_clients", "consumer"}


def test_every_table_of_the_schema_has_a_row_and_no_other() -> None:
    section = TEXT.partition("\n## Every table\n")[2].partition("\n## ")[0]
    assert section.count("\n| `lens_") == len(rows())
    assert set(rows()) == set(lens_metadata.tables)


@pytest.mark.parametrize("table", lens_metadata.tables.values(), ids=str)
def test_every_column_with_text_is_named_or_known_to_be_of_the_application(table: sa.Table) -> None:
    texts = {
        column.name
        for column in table.columns
        if isinstance(column.type, sa.String | sa.LargeBinary)
    }
    wanted = texts - OF_THE_APPLICATION.get(table.name, set()) | REFERENCES.get(table.name, set())
    named = columns_named(rows()[table.name])
    assert wanted <= named
    assert named <= set(table.columns.keys())


def test_a_row_that_names_no_column_says_that_there_is_nothing() -> None:
    for name, data in rows().items():
        assert columns_named(data) or data.startswith("none"), name


def test_the_tables_that_an_export_leaves_out_are_those_of_the_code() -> None:
    found = re.search(r"\| all tables but (.+?): so", TEXT)
    assert found is not None
    left_out = set(lens_metadata.tables) - {table.name for table in MOVED}
    assert set(re.findall(r"`(\w+)`", found[1])) == left_out


def test_the_times_that_callers_are_kept_are_those_of_the_code() -> None:
    kept = {name: time for name, _, _, time in ROW.findall(TEXT)}
    days = USE_SECONDS // Tier.DAY
    assert kept["lens_caller"] == kept["lens_use"] == f"{days} days after the last call"
    assert kept["lens_use_week"] == f"{USE_WEEK_SECONDS // Tier.WEEK} weeks"
    assert TEXT.count(f"{days} days") == 3


def test_every_link_leads_to_a_heading() -> None:
    assert broken_links(PAGE) == []
