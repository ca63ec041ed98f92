import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from benchmarks.support.rows import facts
from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.reporting.totals.bucket_rows import one_by_one, within
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET
from tests.reporting.recount import NOW, PATHS, random_calls, reader_of, record
from tests.support.statements import engine_of

PART = Span(Tier.HOUR, 400_000, 400_003)
ONE = facts(PATHS[0]).id
QUESTIONS: dict[str, Callable[[Reader], object]] = {
    "the endpoint": lambda reader: reader.endpoint(
        f"{ONE:016x}", window=Window.of_days(7), now=NOW, with_ignored=True
    ),
    "trends": lambda reader: reader.trends([ONE], window=Window.of_days(7), now=NOW),
    "percentiles": lambda reader: reader.with_histograms(
        reader.endpoints(window=Window.of_days(7), now=NOW), window=Window.of_days(7), now=NOW
    ),
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("question", QUESTIONS)
def test_of_one_endpoint_sqlite_reads_no_other_endpoints_rows(
    memory: Database, question: str
) -> None:
    reader = reader_of(memory)
    record(memory, random_calls(1), app="orders", ttl_days=None)
    plans: list[str] = []
    named: list[str] = []

    @event.listens_for(engine_of(memory), "before_cursor_execute")
    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        # What goes up to the present has few buckets.
        if parts := re.findall(r"lens_bucket.bucket IN \(", statement):
            named.extend(parts)
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in cursor.fetchall() if "lens_bucket" in row[3])

    QUESTIONS[question](reader)
    one_row = "SEARCH lens_bucket USING PRIMARY KEY (tier=? AND bucket=? AND endpoint_id=?)"
    present = "SEARCH lens_bucket USING PRIMARY KEY (tier=? AND bucket>? AND bucket<?)"
    assert set(plans) <= {one_row, present}
    assert plans.count(one_row) == len(named) >= 1


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_a_database_that_may_not_follow_the_names_of_buckets_is_told_their_bounds(
    backend: str,
) -> None:
    dialect = sa.make_url(f"{backend}://").get_dialect()()
    statement = sa.select(BUCKET.c.calls).where(*one_by_one(PART))
    text = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    assert "lens_bucket.bucket >= 400000 AND lens_bucket.bucket < 400003" in text
    assert "lens_bucket.bucket IN (400000, 400001, 400002)" in text


def test_an_open_span_has_an_end_only_where_the_present_is_known() -> None:
    (tier, first) = within(Span(Tier.HOUR, 400_000, None))
    assert [str(one) for one in within(Span(Tier.HOUR, 400_000, None, 400_003))[:2]] == [
        str(tier),
        str(first),
    ]
    assert len(within(Span(Tier.HOUR, 400_000, None, 400_003))) == 3
