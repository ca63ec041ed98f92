from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.admin.conftest import Site
from tests.support.pages import addresses, field, fields, page_text, table

HOUR = 3_600
OPEN = {"Cookie": "lens_chart=on"}
NUMBERS = "As a table"


@pytest.fixture
def called(site: Site) -> Site:
    """A site whose users are read for two days, and whose health is checked."""
    now = site.lens.clock()
    site.count_at(now - 30 * HOUR, "GET", "/users/{user_id}", 4)
    site.count_at(now - 30 * HOUR, "GET", "/users/{user_id}", 2, status=503)
    site.count_at(now - 2 * HOUR, "GET", "/users/{user_id}", 3, status=404)
    site.count_at(now - 2 * HOUR, "GET", "/health", 50)
    return site


def queries(work: Callable[[], Any]) -> int:
    """The number of statements that some work sends to the database."""
    sent: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", listen)
    try:
        work()
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", listen)
    return len([one for one in sent if one.lstrip().startswith(("SELECT", "WITH"))])


def test_the_chart_adds_up_what_the_table_shows(called: Site) -> None:
    text = called.get("/lens/endpoints?q=users", **OPEN).text
    assert "Calls per 3 hours by status class, 9 in all" in text
    rows = table(text, NUMBERS).rows
    assert sum(int(row["Calls"]) for row in rows) == 9
    assert [sum(int(row[name]) for row in rows) for name in ("2xx", "4xx", "5xx")] == [4, 3, 2]
    text = called.get("/lens/endpoints?group=tag", **OPEN).text
    assert "Calls per 3 hours by status class, 59 in all" in text


def test_a_closed_chart_is_not_read(called: Site) -> None:
    closed = called.get().text
    assert "Calls over time" in page_text(closed)
    assert 'class="plot"' not in closed
    # What a reader without a script has instead.
    assert "/lens/endpoints?days=7&chart=1" in addresses(closed)
    called.get("/lens/endpoints?days=30")
    without = queries(lambda: called.get("/lens/endpoints?days=1"))
    assert 0 < queries(lambda: called.get("/lens/endpoints?days=1", **OPEN)) - without <= 6


def test_an_address_with_the_chart_keeps_it(called: Site) -> None:
    text = called.get("/lens/endpoints?chart=1&q=users").text
    assert 'class="plot"' in text
    assert field(text, "chart").value == "1"
    assert "/lens/endpoints?q=users&days=30&chart=1" in addresses(text)
    assert not fields(called.get().text, "chart")


def test_a_chart_without_calls_and_one_of_all_time_are_drawn(site: Site, called: Site) -> None:
    assert "0 in all" in called.get("/lens/endpoints?status=never_called&days=30", **OPEN).text
    assert "59 in all" in called.get("/lens/endpoints?days=all", **OPEN).text
    assert "No endpoint matches" in site.get("/lens/endpoints?q=nothing", **OPEN).text
