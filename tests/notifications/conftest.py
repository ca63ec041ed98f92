"""A receiver of webhooks, and applications that notify it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.conftest import Site, an_app
from tests.notifications.receiver import Receiver, a_receiver


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
        notifies = {"webhook_url": receiver.url, "webhook_allow_private": True}
        database = {"db_path": str(tmp_path / "lens.db")}
        site = Site(an_app(), **{**database, **notifies, **settings})
        made.append(site)
        assert site.lens.flusher.flush()
        return site

    yield make
    for site in made:
        site.lens.stop()
