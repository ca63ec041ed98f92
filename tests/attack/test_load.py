"""Fifty reports at once: refused without a thread or the database, or made once for all."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

import anyio.to_thread
import pytest

from fastapi_lens.reporting.documents.report import Report
from fastapi_lens.storage.engine.database import Database
from tests.attack.asgi import Answer, Raw, answer_of
from tests.attack.target import Target, build

AT_ONCE = 50
REFUSED = Raw(path="/lens/report")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("load"))
    yield found
    found.close()


def at_once(target: Target, raw: Raw) -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        app = target.call.app
        return list(await asyncio.gather(*(answer_of(app, raw) for _ in range(AT_ONCE))))

    return asyncio.run(all_of_them())


def test_without_a_key_no_thread_and_no_database_is_asked(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert target.call(REFUSED).status == 403  # The first one makes the gate.

    def asked(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a refusal took more than the event loop")

    monkeypatch.setattr(anyio.to_thread, "run_sync", asked)
    monkeypatch.setattr(Database, "read", asked)
    assert {answer.status for answer in at_once(target, REFUSED)} == {403}


def test_refusals_leave_no_memory_behind(target: Target) -> None:
    at_once(target, REFUSED)
    tracemalloc.start()
    at_once(target, REFUSED)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(6):
        at_once(target, REFUSED)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 6 * AT_ONCE * 100  # Less than a hundred bytes for each: nothing is kept.


def test_with_a_key_a_report_is_made_once_for_all_who_ask_at_once(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, made = target.lens.clock(), []
    make = Report.of

    def counted(*arguments: Any, **options: Any) -> Report:
        made.append(1)
        return make(*arguments, **options)

    monkeypatch.setattr(target.lens, "clock", lambda: now)
    monkeypatch.setattr(Report, "of", counted)
    raw = Raw(path="/lens/report", headers=(*REFUSED.headers, target.good["key"]))
    answers = at_once(target, raw)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(made) == 1
