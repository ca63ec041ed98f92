"""A site with exceptions of the past."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.support.rows import worker
from benchmarks.support.writing import Writer
from fastapi_lens.recording.flush.processes import new_id
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.writing.log_writer import (
    CountedException,
    LogBatch,
    LogWriter,
    exception_id,
)
from tests.admin.conftest import Site, an_app

MakeSite = Callable[..., Site]
DAY = 86_400


class Raising:
    """A site, and the exceptions that it is told of.

    Attributes:
        now: Its time, in epoch seconds.
    """

    def __init__(self, make_site: MakeSite, **settings: Any) -> None:
        self.site = make_site(an_app(), **settings)
        self.now = float(int(self.site.lens.clock()) // 60 * 60 + 30)
        self.site.lens.clock = lambda: self.now
        past = worker(new_id(), app="site", started_at=self.now - 60 * DAY)
        Writer(self.site.lens.database, past).register([], applied=0, now_us=microseconds(1))
        self._writer, self._seq = LogWriter(self.site.lens.database, past), 0

    def raise_at(
        self,
        *ages: float,
        type: str = "ValueError",  # noqa: A002  What pages call it.
        path: str = "/health",
        place: str = "app.py:1 in f",
        counted: bool = True,
        **facts: Any,
    ) -> str:
        """Exceptions of one kind, by their ages in seconds; returns the kind's key."""
        endpoint = endpoint_id("site", "GET", path)
        moments = sorted(self.now - age for age in ages)
        minutes: dict[int, int] = {}
        for moment in moments:
            minutes[int(moment // 60)] = minutes.get(int(moment // 60), 0) + 1
        self._seq += 1
        kind = exception_id(endpoint, type, place)
        values = {"message": f"{type} is here", "traceback": "", **facts}
        exception = CountedException(
            id=kind,
            endpoint_id=endpoint,
            type=type,
            place=place,
            calls=len(ages),
            first_at=microseconds(moments[0]),
            last_at=microseconds(moments[-1]),
            minutes=tuple(minutes.items()) if counted else (),
            **values,
        )
        self._writer.write(LogBatch(self._seq, (), (exception,)))
        return f"{kind:016x}"

    def page(self, query: str = "") -> str:
        """The list of exceptions."""
        answer = self.site.get(f"/lens/exceptions{query}")
        assert answer.status_code == 200
        text: str = answer.text
        return text


@pytest.fixture
def raising(make_site: MakeSite) -> Raising:
    """A site without exceptions, whose time stands still."""
    return Raising(make_site)
