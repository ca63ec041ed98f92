"""An application with an admin that is called in this process."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.rows import caller_calls, delta, worker
from benchmarks.support.writing import Writer
from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.admin.remembered_period import COOKIE, PART_COOKIE
from fastapi_lens.recording.flush.processes import new_id
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.writing.batches import Batch, CallerFacts
from fastapi_lens.verdict.history import REFUSED
from tests.recording.probe import lens_of


def minute_before(moment: float) -> int:
    """The latest minute whose first second was over at a moment; a whole minute is that minute."""
    return int((moment - (moment % 60 > 0)) // 60)


class Site:
    """An application, its lens, and a client on this machine.

    Attributes:
        now: The clock of the lens, in epoch seconds.
    """

    def __init__(
        self, app: FastAPI, *, root_path: str = "", include: bool = True, **settings: Any
    ) -> None:
        """Start the application's lens.

        Args:
            app: The application.
            root_path: Path prefix that a proxy in front strips.
            include: Includes the admin router when true.
            settings: Of the lens.
        """
        config = LensConfig(**{"flush_interval": 3600.0, "app_name": "site", **settings})
        app.add_middleware(LensMiddleware, config=config)
        if include:
            app.include_router(lens_admin)
        self.client = TestClient(app, follow_redirects=False, root_path=root_path)
        self.client.get("/nothing-here")  # Builds the middleware and starts the lens.
        self.lens = lens_of(app)

    def count(self, method: str, path: str, calls: int = 1, **facts: Any) -> None:
        """Calls that took 10 ms each, or what the facts say."""
        for _ in range(calls):
            self.lens.recorder.count(
                method=method, path=path, **{"status": 200, "duration_ns": 10_000_000, **facts}
            )
        assert self.lens.flusher.flush()

    def count_at(
        self,
        moment: float,
        method: str,
        path: str,
        calls: int = 1,
        *,
        status: int = 200,
        duration_ns: int = 10_000_000,
        by: CallerFacts | None = None,
    ) -> None:
        """Calls at a past time, in epoch seconds; another worker, since ended, counted them.

        Args:
            moment: Epoch seconds.
            method: Of the endpoint.
            path: Its path template.
            calls: Number of them.
            status: Of their responses.
            duration_ns: Of each.
            by: Their caller; None if callers were not recorded.
        """
        durations = [duration_ns // 1_000] * calls
        minute = minute_before(moment)
        identity = endpoint_id("site", method, path)
        counted = delta(identity, durations, minute=minute, status=status)
        if by is None:
            self._write(moment, Batch(1, (counted,)))
            return
        attributed = caller_calls(
            counted.endpoint_id,
            by,
            minute=minute,
            calls=calls,
            refused=calls if status in REFUSED else 0,
            errors_5xx=calls if status >= 500 else 0,
        )
        batch = Batch(1, (counted,), is_attributed=True, callers=(attributed,), names=(by,))
        self._write(moment, batch)

    def count_by(
        self, moment: float, method: str, path: str, callers: Sequence[CallerFacts]
    ) -> None:
        """One call by each of some callers at a past time, in epoch seconds; see `count_at`."""
        minute, identity = minute_before(moment), endpoint_id("site", method, path)
        calls = tuple(caller_calls(identity, one, minute=minute) for one in callers)
        counted = delta(identity, [1_000] * len(callers), minute=minute)
        batch = Batch(1, (counted,), is_attributed=True, callers=calls, names=tuple(callers))
        self._write(moment, batch)

    def _write(self, moment: float, batch: Batch) -> None:
        past = worker(new_id(), app="site", started_at=moment)
        writer = Writer(self.lens.database, past)
        writer.register([], applied=0, now_us=microseconds(moment))
        writer.write(batch)

    def get(self, path: str = "/lens/endpoints", **headers: str) -> Any:
        """A page, requested by a browser that remembers no period."""
        self.forget_period()
        return self.client.get(path, headers=headers)

    def fragment(
        self, path: str = "/lens/endpoints", *, source: str = "a#x", **headers: str
    ) -> Any:
        """A page's fragment, requested as htmx does."""
        question = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Source": source}
        self.forget_period()
        return self.client.get(path, headers={**question, **headers})

    def forget_period(self) -> None:
        """Delete the cookies of the period that a page was looked at in."""
        jar = self.client.cookies.jar
        for cookie in [one for one in jar if one.name in (COOKIE, PART_COOKIE)]:
            jar.clear(cookie.domain, cookie.path, cookie.name)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites, and stops their lenses after the test."""
    made: list[Site] = []

    def make(app: FastAPI | None = None, **settings: Any) -> Site:
        site = Site(app or an_app(), **{"db_path": str(tmp_path / "lens.db"), **settings})
        made.append(site)
        assert site.lens.flusher.flush()
        return site

    yield make
    for site in made:
        site.lens.stop()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with three endpoints that nobody has called."""
    return make_site()


def an_app() -> FastAPI:
    """Three endpoints."""
    app = FastAPI()

    @app.get("/users/{user_id}", tags=["users"])
    def read_user(user_id: int) -> None:
        """One user."""

    @app.post("/users", tags=["users"], deprecated=True)
    def create_user() -> None:
        """One more user."""

    @app.get("/health")
    def health() -> None:
        """Health check."""

    return app


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops."""
    backend: str = request.param
    return backend
