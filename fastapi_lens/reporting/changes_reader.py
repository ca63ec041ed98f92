"""ChangesReader: queries of what has changed in the use of endpoints. Knows no HTML."""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence

from fastapi_lens.changes.changes import Period
from fastapi_lens.changes.changes import Release as Begun
from fastapi_lens.reporting.cache import TTLCache
from fastapi_lens.reporting.changes import (
    EndpointChange,
    KnownDays,
    Watched,
    period_of,
    read_changes,
)
from fastapi_lens.reporting.evidence.observation import Release, read_observation, release_names
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.models import Tier

KNOWN_DAYS_SECONDS = 3_600.0
"""Time for which the days that changes are found in stay in memory."""

CHANGES_SECONDS = 300.0
"""Longest age of what has changed: it is a matter of days, and takes a while to find."""


class ChangesReader:
    """Answers queries about the changes of one app's endpoints.

    Args:
        database: The database with the rows.
        app: Returns the app's name.
        settings: Returns the active settings.
        retention: Retention of each tier; may change while the reader exists.
    """

    def __init__(
        self,
        database: Database,
        *,
        app: Callable[[], str],
        settings: Callable[[], Settings],
        retention: Retention,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._settings = settings
        self._retention = retention
        self._found = TTLCache(max_age_seconds=CHANGES_SECONDS)
        self._known_days = TTLCache(max_age_seconds=KNOWN_DAYS_SECONDS, max_values=1)
        self._finding = threading.Lock()

    def found(
        self, endpoints: Sequence[Endpoint], *, window: Window, now: float
    ) -> tuple[EndpointChange, ...]:
        """The changes of endpoints in a window, at most `CHANGES_SECONDS` old; see `read_changes`.

        Of a window of more than `MOST_DAYS` days, its last ones count.

        Args:
            endpoints: All that a page shows, as `endpoints` returned them for this window.
            window: In which to look.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        app, settings = self._app(), self._settings()
        known = self._known_days.get((app, settings), KnownDays)

        def find() -> tuple[EndpointChange, ...]:
            # One at a time, because all windows share the days that are known.
            with self._finding, self._database.read() as connection:
                watched = Watched(
                    read_observation(connection, app, now=now),
                    now,
                    self._retention.kept_seconds(Tier.HOUR),
                )
                period = Period(
                    *period_of(window.begin(now), window.end, now=now),
                    _begun(release_names(connection, app)),
                    settings.thresholds.cold_days,
                    settings.thresholds.dead_days,
                )
                return read_changes(connection, endpoints, period, watched, known)

        return self._found.get(self._key(endpoints, window), find)

    def known(
        self, endpoints: Sequence[Endpoint], *, window: Window
    ) -> tuple[EndpointChange, ...] | None:
        """The same if they were found lately; None otherwise. Reads nothing."""
        found: tuple[EndpointChange, ...] | None = self._found.known(self._key(endpoints, window))
        return found

    def _key(self, endpoints: Iterable[Endpoint], window: Window) -> Hashable:
        # A change of the status is one of these changes.
        shown = frozenset((one.id, one.status) for one in endpoints)
        return (self._app(), self._settings(), window, shown)


def _begun(releases: Iterable[Release]) -> tuple[Begun, ...]:
    """Releases with a name, as changes name them."""
    return tuple(Begun(one.name, int(one.first_at)) for one in releases if one.name)
