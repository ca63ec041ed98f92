"""Calls of many endpoints together over time. Knows no HTML and no single endpoint."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.model import Point, Series, Usage, Window
from fastapi_lens.reporting.series.time_series import Steps, Times, steps_of
from fastapi_lens.reporting.totals.bucket_rows import (
    HISTOGRAM,
    fetched,
    fetched_in_parts,
    parted,
    within,
)
from fastapi_lens.reporting.windows import Span, finest
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import BUCKET

MOST_SUMMED, MOST_MERGED = 100_000, 15_000
"""Rows whose counters are added up by the database, and whose histograms are merged here. With more
endpoints the steps become longer."""

MOST_BEFORE = 7_500
"""Rows whose histograms are merged for the period before."""

AT_ONCE = 4_000
"""Histograms that are fetched from the database at once, about 1 MB."""


@dataclass(frozen=True, slots=True)
class AppSeries:
    """Calls of many endpoints over time, without gaps.

    Attributes:
        calls: Counters of each step; without histograms.
        durations: Histograms of each step, which may be longer than those of `calls`; the first and
            the last one are whole, even where the window begins or ends within them.
        before: Calls of the period before, of as many steps as `calls`; empty if it is not known.
        durations_before: Histogram of the period before, moved to whole rows; None if it is not
            known, or has more than `MOST_BEFORE` rows.
        before_seconds: Length of the period before, as comparisons name it; 0 if it is not known.
    """

    calls: Series
    durations: Series
    before: tuple[int, ...] = ()
    durations_before: Usage | None = None
    before_seconds: int = 0


def read_app_series(
    connection: Connection,
    ids: Sequence[int],
    timed: Sequence[int],
    times: Times,
    *,
    first_called_at: float | None,
    before: Window | None = None,
) -> AppSeries:
    """The calls of some endpoints in each step of a window.

    Args:
        connection: In a reading transaction.
        ids: The endpoints whose calls are counted.
        timed: Those among them whose durations count: no WebSockets.
        times: The window.
        first_called_at: Epoch seconds, the start of a window of everything; None without calls.
        before: The period before, as long as the window; None if it is not known.
    """
    summed = _steps(times, first_called_at, len(ids), MOST_SUMMED)
    merged = _whole(_steps(times, first_called_at, len(timed), MOST_MERGED))
    counted = _counted(connection, ids, summed, times.now)
    found = AppSeries(
        calls=_series(
            summed, times, {at: Usage.of((*row, 0), None) for at, row in counted.items()}
        ),
        durations=_series(merged, times, _merged(connection, timed, merged, times.now)),
    )
    if before is None:
        return found
    past = Times(before, times.now, times.kept)
    return replace(
        found,
        before=_calls_before(connection, ids, past, summed),
        durations_before=_durations_before(connection, timed, past, merged),
    )


def _calls_before(
    connection: Connection, ids: Sequence[int], past: Times, shown: Steps
) -> tuple[int, ...]:
    """The calls of the period before in steps as long as the shown ones, and as many."""
    steps = _steps(past, None, len(ids), MOST_SUMMED, shown.size)
    found = _counted(connection, ids, steps, past.now, ("calls",))
    calls = (found.get(number, (0,))[0] for number in steps.numbers(past.now))
    # A period that begins within a step touches one step more than it is long.
    return tuple(calls)[: len(shown.numbers(past.now))]


def _durations_before(
    connection: Connection, ids: Sequence[int], past: Times, shown: Steps
) -> Usage | None:
    """The durations of the period before, which begins and ends with whole rows."""
    whole_rows = _moved(_steps(past, None, len(ids), MOST_MERGED, shown.size))
    # Days are moved by so little that a week of them is still the week before.
    if _is_too_much(whole_rows, ids, past) and (past.window.seconds or 0) >= Tier.WEEK:
        whole_rows = _moved(steps_of(past, None, least_seconds=max(shown.size, Tier.DAY)))
    if _is_too_much(whole_rows, ids, past):
        return None
    return Usage.total([*_merged(connection, ids, whole_rows, past.now).values()])


def _moved(steps: Steps) -> Steps:
    """The steps, moved back to whole rows of their tier."""
    begin = steps.begin // steps.tier * steps.tier
    end = None if steps.end is None else max(steps.end // steps.tier * steps.tier, begin)
    return replace(steps, begin=begin, end=end)


def _is_too_much(steps: Steps, ids: Sequence[int], times: Times) -> bool:
    return _rows(steps, times.now) * len(ids) > MOST_BEFORE


def _steps(
    times: Times, first_called_at: float | None, endpoints: int, most: int, least: int = 0
) -> Steps:
    """The shortest steps that take at most so many rows, or the longest ones."""
    steps = steps_of(times, first_called_at, least_seconds=least)
    for tier in (Tier.HOUR, Tier.DAY, Tier.WEEK):
        if _rows(steps, times.now) * endpoints <= most:
            break
        steps = steps_of(times, first_called_at, least_seconds=max(least, tier))
    return steps


def _whole(steps: Steps) -> Steps:
    """The steps with whole rows of their tier at both ends.

    Where the window begins within a day, its hours would be more rows than all of its days.
    """
    begin = steps.begin // steps.tier * steps.tier
    end = None if steps.end is None else -(-steps.end // steps.tier) * steps.tier
    return replace(steps, begin=begin, end=end)


def _rows(steps: Steps, now: float) -> int:
    """Rows of one endpoint that the steps consist of, nearly."""
    end = int(now) if steps.end is None else steps.end
    return (end - steps.begin) // steps.tier + 1


def _series(steps: Steps, times: Times, usages: dict[int, Usage]) -> Series:
    points: list[Point] = []
    for number in steps.numbers(times.now):
        start, end = steps.cut(number)
        divides = end - start > finest(start, now=times.now, kept=times.kept)
        points.append(Point(start, end, usages.get(number, Usage()), divides))
    return Series(steps.size, tuple(points))


def _counted(
    connection: Connection,
    ids: Sequence[int],
    steps: Steps,
    now: float,
    names: Sequence[str] = COUNTERS,
) -> dict[int, tuple[int, ...]]:
    """The counters of each step by its number, in the order of their names."""
    found: dict[int, tuple[int, ...]] = {}
    # The sum of big integers is a decimal number on PostgreSQL.
    added = [sa.cast(sa.func.sum(BUCKET.c[name]), sa.BigInteger) for name in names]
    for span, where in _parts(steps, ids, now):
        # By bucket, which is the order of the rows, because the database would sort them by step.
        rows = sa.select(BUCKET.c.bucket, *added).where(*where).group_by(BUCKET.c.bucket)
        for bucket, *counters in fetched(connection, rows):
            at = int(bucket) * span.tier // steps.size
            before = found.get(at, (0,) * len(names))
            sums = (one + whole(more) for one, more in zip(before, counters, strict=True))
            found[at] = tuple(sums)
    return found


def _merged(
    connection: Connection, ids: Sequence[int], steps: Steps, now: float
) -> dict[int, Usage]:
    """Calls, longest call and histogram of each step by its number."""
    found: dict[int, Usage] = {}
    for span, where in _parts(steps, ids, now):
        number = BUCKET.c.bucket * span.tier.value // steps.size
        rows = sa.select(number, BUCKET.c.max_us, HISTOGRAM).where(*where)
        for part in fetched_in_parts(connection, rows, AT_ONCE):
            by_step: dict[int, list[tuple[int, bytes]]] = {}
            for at, longest, blob in yield_gil(part):
                by_step.setdefault(int(at), []).append((whole(longest), blob))
            for at, some in yield_gil(by_step.items()):
                added = _merged_usage(some)
                found[at] = Usage.total([found[at], added]) if at in found else added
    return found


def _merged_usage(rows: Sequence[tuple[int, bytes]]) -> Usage:
    histogram = Histogram.merged_bytes(blob for _, blob in rows)
    longest = max(longest for longest, _ in rows)
    return Usage(calls=histogram.calls, max_us=longest, histogram=histogram)


def _parts(
    steps: Steps, ids: Sequence[int], now: float
) -> Iterator[tuple[Span, list[sa.ColumnElement[bool]]]]:
    """The parts of the rows, and their conditions."""
    if not ids:
        return
    for span in steps.spans():
        for part in parted(span, now):
            yield part, [*within(part), BUCKET.c.endpoint_id.in_(sorted(ids))]
