"""Callers as people read them: words, links, shares and weeks; and lists of one caller. No HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.links import Link
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.ledger.callers import AppCallers, Caller, CallerUse, EndpointCallers
from fastapi_lens.reporting.model import id_from_key
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.text.user_agents import is_program

KIND_WORDS = {
    CallerKind.HOOK: "application",
    CallerKind.KEY: "API key",
    CallerKind.AGENT: "User-Agent",
    CallerKind.NONE: "no name",
    CallerKind.OTHERS: "beyond the limit, or forgotten",
}

NO_WEEKS = Markup("")

MOST_NAMED = 2
"""Callers that a cell of a table names."""

MOST_LISTED = 10
"""Callers that the title of a cell names."""


@dataclass(frozen=True, slots=True)
class Who:
    """A caller as pages show it.

    Attributes:
        href: Its page; empty for others, which share no page.
        kind: The source of its name, in words.
        hint: Its own name where a label replaces it; may be empty.
    """

    caller: Caller
    href: str
    kind: str
    hint: str


@dataclass(frozen=True, slots=True)
class UseFigures:
    """The calls of one endpoint by one caller, as a row of a table.

    Attributes:
        key: Of the caller; of the endpoint where the table is that of a caller.
        href: The page of what `key` names; may be empty.
        refused: Share of the calls that were refused, in words; empty without any call.
        failed: The same of those that were answered with 5xx.
        weeks: Calls per week as bars; empty where weeks are not kept.
    """

    use: CallerUse
    who: Who
    key: str
    href: str
    refused: str
    failed: str
    weeks: Markup = NO_WEEKS


def who_of(context: Context, caller: Caller) -> Who:
    """A caller with the link to its page."""
    return Who(
        caller=caller,
        href="" if caller.id == OTHERS_ID else context.url(f"/callers/{caller.key}"),
        kind=KIND_WORDS[caller.kind],
        hint=caller.own_name if caller.label else "",
    )


def share_words(part: int, calls: int) -> str:
    """A part of some calls as a share; empty without calls."""
    return formats.percent(part / calls) if calls else ""


def is_weekly(uses: Sequence[CallerUse]) -> bool:
    """True if the calls per week are kept of any of these."""
    return any(use.weeks for use in uses)


def weeks_of(use: CallerUse) -> Markup:
    """The calls per week of one caller since its first ones as bars; empty where none are kept."""
    if not use.weeks:
        return NO_WEEKS
    first = next(at for at, calls in enumerate((*use.weeks, 1)) if calls)
    used = sum(calls > 0 for calls in use.weeks)
    weeks = formats.plural(len(use.weeks) - first, "week")
    return svg.week_strip(use.weeks, first=first, title=f"Calls in {used} of {weeks}")


def called_ids(context: Context, key: str) -> frozenset[int] | None:
    """The ids of the endpoints that a chosen caller has called; None without a selection.

    Args:
        context: The request.
        key: The key of the caller; empty without a selection.

    Raises:
        StorageError: The database cannot be read.
    """
    return context.lens.reader.callers.called_by(id_from_key(key)) if key else None


def called_by(context: Context, key: str, href: str) -> Link | None:
    """The chosen caller, and the link to the same list of all callers; None without a selection.

    Args:
        context: The request.
        key: The key of the caller; empty without a selection.
        href: The list of all callers.

    Raises:
        StorageError: The database cannot be read.
    """
    if not key:
        return None
    identity = id_from_key(key)
    name = context.lens.reader.callers.names([identity]).get(identity, f"unknown caller {key}")
    return Link(name, href, current=True)


@dataclass(frozen=True, slots=True)
class Latest:
    """The callers of an endpoint in a cell of a table.

    Attributes:
        names: The latest of those that use it, at most `MOST_NAMED`.
        more: Number of further ones.
        words: Stands in place of names: ``bots only``; empty where there are any.
        title: All of it, as a sentence.
    """

    names: Sequence[str]
    more: int
    words: str
    title: str


def latest_of(uses: Sequence[CallerUse], *, is_called: bool) -> Latest:
    """The callers of an endpoint, the latest first.

    Args:
        uses: Its callers, as far as they were recorded.
        is_called: True if it was ever called.
    """
    users = user_names(uses)
    if users:
        more = len(users) - MOST_NAMED
        title = f"{formats.plural(len(users), 'caller')}: {', '.join(users[:MOST_LISTED])}"
        title += f" and {len(users) - MOST_LISTED:,} more" if len(users) > MOST_LISTED else ""
        return Latest(users[:MOST_NAMED], max(0, more), "", title)
    refused = _names(use for use in uses if not use.caller.is_noise)
    if refused:
        names = ", ".join(refused[:MOST_LISTED])
        return Latest((), 0, "refused only", f"Only refused calls, by {names}")
    if uses:
        names = ", ".join(_names(uses)[:MOST_LISTED])
        return Latest((), 0, "bots only", f"Only health checks and bots: {names}")
    if is_called:
        return Latest((), 0, "not recorded", "Its calls were counted without their callers.")
    return Latest((), 0, "nobody", "It was never called.")


def user_names(uses: Iterable[CallerUse]) -> list[str]:
    """The names of those callers whose calls count as use, each once, the latest first."""
    return _names(use for use in uses if use.last_at is not None and not use.caller.is_noise)


def callers_by_shape(context: Context, judged: Iterable[Judged]) -> dict[int, Sequence[CallerUse]]:
    """The callers of judged endpoints by their ids, as verdicts go by them: those of their shape.

    Raises:
        StorageError: The database cannot be read.
    """
    shapes = {one.endpoint.id: {one.endpoint.id, *one.ids} for one in judged}
    found = context.lens.reader.callers.by_endpoint(set[int]().union(*shapes.values()))
    return {
        identity: [use for one in sorted(ids) for use in found.get(one, ())]
        for identity, ids in shapes.items()
    }


def _names(uses: Iterable[CallerUse]) -> list[str]:
    """The names of callers, each once, the latest first."""
    ordered = sorted(uses, key=lambda use: use.last_at or 0, reverse=True)
    # One caller may have used several endpoints of the same shape.
    return list(dict.fromkeys(use.caller.name for use in ordered))


def known_since(found: AppCallers, *, records: bool, now: float) -> str:
    """The time since which callers of the app are known, as a sentence, and what follows from it.

    Args:
        found: Of the app.
        records: True if callers are recorded at present.
        now: Epoch seconds.
    """
    if found.since is None:
        if records:
            return "No callers are known yet, so a rare caller may hide behind a frequent one."
        return (
            "Callers are not recorded: a rare caller may hide behind a frequent one, so most "
            "endpoints are safe to remove only after a year of silence."
        )
    days = formats.plural(int((now - found.since) // SECONDS_PER_DAY), "day")
    text = f"Callers are known since {formats.day(found.since)} ({days}): a rare caller behind a "
    if found.is_complete:
        return f"{text}frequent one would show."
    return f"{text}frequent one would show, except among calls without a name."


def _is_shared(use: CallerUse) -> bool:
    """True for the name of a program that many callers may use."""
    caller = use.caller
    is_agent = caller.kind is CallerKind.AGENT and not caller.is_noise
    return is_agent and is_program(caller.own_name)


def is_off(mode: str) -> bool:
    """True if callers are not recorded."""
    return mode == "off"


def ledger_sentence(found: EndpointCallers, *, records: bool, limit: int) -> str:
    """The completeness of the ledger of one endpoint, as a sentence.

    Args:
        found: Its callers.
        records: True if callers are recorded at present.
        limit: Most callers of one endpoint that are told apart.
    """
    if not records:
        return f"Callers are not recorded{'; these are of earlier calls' if found.uses else ''}."
    if found.since is None:
        return "No call has been attributed to a caller yet."
    since = formats.day(found.since)
    if any(use.caller.id == OTHERS_ID for use in found.uses):
        return f"{limit:,} or more callers since {since}: further ones are counted together."
    if not found.is_complete or any(map(_is_shared, found.uses)):
        return (
            f"Every call since {since} is attributed, but some carry no name or that of a program "
            "that many use, behind which there may be several callers."
        )
    return f"Every call since {since} has a caller."
