"""SQLAlchemy listeners of the host application do not affect the database sessions of the lens."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from tests.admin.conftest import Site

ORIGIN = {"Origin": "http://testserver"}


@pytest.fixture(params=["after_begin", "do_orm_execute", "before_flush"])
def listening(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """A listener on all sessions of the process, as one that sets a tenant for each transaction."""
    heard: list[str] = []

    def listener(*_: Any) -> None:
        heard.append(request.param)

    event.listen(Session, request.param, listener)
    yield heard
    event.remove(Session, request.param, listener)


def test_a_listener_of_the_host_on_all_sessions_hears_nothing_of_the_lens(
    make_site: Callable[..., Site], listening: list[str]
) -> None:
    site = make_site(report_key="k")
    wrong = site.client.post("/lens/login", data={"key": "guess"}, headers=ORIGIN)
    signed_in = site.client.post("/lens/login", data={"key": "k"}, headers=ORIGIN)
    shown = site.get("/lens/settings/audit")
    statuses = (wrong.status_code, signed_in.status_code, shown.status_code)
    assert statuses == (422, 303, 200)
    assert "entered a wrong key" in shown.text
    assert listening == []
