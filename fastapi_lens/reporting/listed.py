"""Listed: all endpoints with what they did in a window, made once for all who ask the same.

While somebody looks, it is made ahead: after this process has written, and before they ask again.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sqlalchemy as sa

from fastapi_lens.errors import StorageError
from fastapi_lens.reporting.answers import Answers
from fastapi_lens.reporting.bucket_rows import Row
from fastapi_lens.reporting.catalogue import Catalogue
from fastapi_lens.reporting.facts import TOTAL_CALLS, endpoint_of, first_week
from fastapi_lens.reporting.model import Bounds, Endpoint, Usage, Window
from fastapi_lens.reporting.shared import Shared
from fastapi_lens.reporting.status import Thresholds
from fastapi_lens.reporting.sums import MAX_MADE, MAX_WINDOWS, State, Sums
from fastapi_lens.reporting.unhurried import QUICK, unhurried
from fastapi_lens.reporting.windows import Kept, bounds_of, cover
from fastapi_lens.reporting.workers import oldest_start
from fastapi_lens.storage.data_version import data_version
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier

logger = logging.getLogger("fastapi_lens")

KEPT_SECONDS = 60.0
"""A list is kept for so long, unless counts are written or deleted meanwhile."""

LOOKING_SECONDS = 15.0
"""So long after a question it is taken for likely that it is asked again; open pages ask each 5 s
by default."""

_UNUSED = Usage()
Made = Mapping[int, tuple[Row, Endpoint]]


@dataclass(slots=True)
class _Asked:
    """A window that somebody has asked for.

    Attributes:
        at: Epoch seconds of the latest question.
        made: What was made last, of which most is the same next time.
    """

    at: float = float("-inf")
    made: Made = field(default_factory=lambda: MappingProxyType[int, tuple[Row, Endpoint]]({}))


class Listed:
    """The endpoints of one app; safe to use from several threads.

    Args:
        database: Where the rows are.
        app: The app's name; may change meanwhile, as all that follows.
        thresholds: When an endpoint is cold, and dead.
        kept: How long each tier is kept.
        shared: Tells whether anything was written.
    """

    def __init__(
        self,
        database: Database,
        *,
        app: Callable[[], str],
        thresholds: Callable[[], Thresholds],
        kept: Kept,
        shared: Shared,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._thresholds = thresholds
        self._kept = kept
        self._shared = shared
        self._catalogue = Catalogue()
        self._sums = Sums()
        # They are large, and serve those who want another answer from the same rows.
        self._lists = Answers(max_age_seconds=KEPT_SECONDS, max_answers=MAX_WINDOWS)
        self._asked: OrderedDict[Window, _Asked] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, window: Window, *, now: float) -> list[Endpoint]:
        """All endpoints, ordered by path and method; their statuses are up to a minute old.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._guard:
            asked = self._asked.setdefault(window, _Asked())
            asked.at = now
            self._asked.move_to_end(window)
        found = self._get(window, asked, now)
        # An endpoint takes 2 kB in each window, so of very many fewer windows are remembered.
        windows = max(1, min(MAX_WINDOWS, MAX_MADE // max(1, len(found))))
        self._lists.limit(windows)
        with self._guard:
            while len(self._asked) > windows:
                self._asked.popitem(last=False)
        return found

    def look_ahead(self, now: float) -> None:
        """Make the lists that were asked for lately, where nobody else writes meanwhile."""
        with self._guard:
            likely = [
                (window, asked)
                for window, asked in self._asked.items()
                if 0 <= now - asked.at < LOOKING_SECONDS
            ]
        try:
            for window, asked in likely:
                if self._shared.alone:
                    self._get(window, asked, now)
        except StorageError as error:
            # Whoever asks next is told.
            logger.debug("fastapi_lens could not look ahead: %s", error)
        except Exception:
            # Nothing that is wrong here may hold up a flush.
            logger.exception("fastapi_lens failed to look ahead")

    def forget(self) -> None:
        """Read everything again from now on."""
        with self._guard:
            self._asked.clear()
        self._lists.clear()
        self._catalogue.forget()
        self._sums.forget()

    def _get(self, window: Window, asked: _Asked, now: float) -> list[Endpoint]:
        bounds = bounds_of(window, now=now, kept=self._kept)
        # While nothing is written, what is there is the same until the next minute begins.
        question: Hashable = (self._shared.state(), bounds, int(now) // Tier.MINUTE)
        return self._lists.get(question, lambda: self._made(bounds, asked, now))

    def _made(self, bounds: Bounds, asked: _Asked, now: float) -> list[Endpoint]:
        app, thresholds = self._app(), self._thresholds()
        with self._database.read() as connection:
            oldest = oldest_start(connection, app=app, now=now)
            sign = connection.execute(sa.select(data_version())).scalar_one()
            rows = self._catalogue.read(connection, app=app, oldest=oldest, sign=sign, now=now)
            start = first_week(rows.values()) if bounds.start is None else bounds.start
            state = State({identity: row[TOTAL_CALLS] for identity, row in rows.items()}, sign)
            spans = cover(start, end=bounds.end)
            usages = self._sums.all(connection, spans, now=now, state=state)
        made: dict[int, tuple[Row, Endpoint]] = {}
        before = asked.made
        for identity, row in unhurried(rows.items(), every=QUICK):
            usage = usages.get(identity, _UNUSED)
            known = before.get(identity)
            # Of thousands few were called since.
            if known is None or known[0] is not row or known[1].usage is not usage:
                known = (row, endpoint_of(row, usage, thresholds, now=now))
            made[identity] = known
        asked.made = made
        return [endpoint for _, endpoint in made.values()]
