"""Evidence for the removal of endpoints as Markdown, for a pull request. Pure; no I/O, no HTTP."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.markdown import code, escaped
from fastapi_lens.text.sources import file_and_line
from fastapi_lens.verdict.days import date_of
from fastapi_lens.verdict.reasons import Code, Reason
from fastapi_lens.verdict.sentences import headline, sentence

UNKNOWN_SOURCE = "Without a known file"

MOST_CALLERS = 10
"""Callers of an endpoint that are named."""

NO_CALLERS: Mapping[int, Sequence[str]] = MappingProxyType({})


def markdown(
    evidence: AppEvidence,
    endpoints: Iterable[Judged],
    *,
    app: str,
    environment: str | None = None,
    callers: Mapping[int, Sequence[str]] = NO_CALLERS,
) -> Iterator[str]:
    """Endpoints by the file of their handler, each with its verdict and evidence.

    Args:
        evidence: Of the app.
        endpoints: Those to list, in any order.
        app: Name of the app.
        environment: Name of its environment; None without one.
        callers: Names of the callers of endpoints by id, the latest first.

    Yields:
        Lines, each with its end.
    """
    listed = sorted(endpoints, key=_place)
    place = f" ({escaped(visible(environment))})" if environment else ""
    yield f"## Endpoints of {escaped(visible(app))}{place}\n\n"
    yield f"{_observed(evidence.observation)}\n"
    for file, group in groupby(listed, key=lambda one: _place(one)[0]):
        yield f"\n### {code(file) if file else UNKNOWN_SOURCE}\n\n"
        for one in group:
            yield from _endpoint(one, callers.get(one.endpoint.id, ()))
    if not listed:
        yield "\nNone.\n"
    if any(_limit_of(one) for one in listed):
        yield f"\n> {sentence(Reason(Code.CANNOT_TELL, {}))}\n"


def _place(judged: Judged) -> tuple[str, int, str, str]:
    """File, line, path and method."""
    file, line = file_and_line(judged.endpoint.source)
    return (file, line or 0, judged.endpoint.path, judged.endpoint.method)


def _observed(observation: Observation) -> str:
    if observation.since_day is None:
        return f"No time was observed up to {date_of(observation.today)}."
    total = observation.today - observation.since_day + 1
    text = (
        f"Observed for {total - observation.hole_days:,} of {total:,} days, from "
        f"{date_of(observation.since_day)} to {date_of(observation.today)} (UTC)."
    )
    if observation.holes:
        runs = ", ".join(_run(*hole) for hole in observation.holes)
        text += f" Not observed, and not taken as silence: {runs}."
    return text


def _run(first: int, last: int) -> str:
    return str(date_of(first)) if first == last else f"{date_of(first)} to {date_of(last)}"


def _endpoint(judged: Judged, callers: Sequence[str]) -> Iterator[str]:
    """One endpoint as a list item, with its evidence below."""
    endpoint = judged.endpoint
    where = f", line {_place(judged)[1]}" if _place(judged)[1] else ""
    yield (
        f"- [ ] {code(f'{endpoint.method} {endpoint.path}')}{where}: "
        f"**{headline(judged.verdict)}**; {_last_use(judged)}\n"
    )
    for text in (*_sentences(judged), *_called_by(callers), *_releases(judged)):
        yield f"  - {escaped(visible(text))}\n"


def _called_by(callers: Sequence[str]) -> list[str]:
    if not callers:
        return []
    more = len(callers) - MOST_CALLERS
    names = ", ".join(callers[:MOST_CALLERS]) + (f" and {more:,} more" if more > 0 else "")
    return [f"Called by {names}."]


def _last_use(judged: Judged) -> str:
    if judged.last_used_at is None:
        return "never used"
    return f"last used on {date_of(int(judged.last_used_at // SECONDS_PER_DAY))}"


def _sentences(judged: Judged) -> list[str]:
    """All but the one that is said once, below the list."""
    reasons = judged.verdict.reasons
    return [sentence(one) for one in reasons if one.code is not Code.CANNOT_TELL]


def _limit_of(judged: Judged) -> bool:
    return any(one.code is Code.CANNOT_TELL for one in judged.verdict.reasons)


def _releases(judged: Judged) -> Sequence[str]:
    said = [f"In the code since release {judged.introduced}"] if judged.introduced else []
    said += [f"last called in {judged.last_called}"] if judged.last_called else []
    return [f"{'; '.join(said)}."] if said else []
