"""A receiver of webhooks, and applications that notify it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_lens.notifications.notifier import App, Notifier
from tests.admin.conftest import Site, an_app
from tests.notifications.receiver import Receiver, a_receiver


class Clock:
    """The present, and so many seconds more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with a_receiver() as found:
        yield found


@pytest.fixture
def notifying(tmp_path: Path, receiver: Receiver) -> Iterator[Callable[..., Site]]:
    """Makes workers of one application that notify the receiver, and stops them."""
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        # A digest would come in the middle of some tests on some days of the week.
        notifies = {
            "webhook_url": receiver.url,
            "webhook_allow_private": True,
            "digest_day": "off",
        }
        database = {"db_path": str(tmp_path / "lens.db")}
        site = Site(an_app(), **{**database, **notifies, **settings})
        made.append(site)
        assert site.lens.flusher.flush()
        return site

    yield make
    for site in made:
        site.lens.stop()


def notifier_of(site: Site, clock: Clock, *, worker: str = "worker-1") -> Notifier:
    """A notifier of an application with another clock, as a worker of its own."""
    lens = site.lens
    app = App(
        name=lambda: lens.app_name,
        worker=lambda: worker,
        settings=lambda: lens.settings,
        reader=lens.reader,
    )
    return Notifier(lens.config, lens.database, app, clock=clock)
