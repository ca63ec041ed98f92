"""Comparison of a branch's endpoints with evidence of production's.

Pure, but for the releases that a merge base looks up.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from fastapi_lens.cli.removal.callers import KnownCallers, callers_of_all
from fastapi_lens.cli.removal.evidence import EndpointEvidence
from fastapi_lens.cli.removal.merge_base import FETCH, MergeBase
from fastapi_lens.cli.removal.policy import Policy, Waiver
from fastapi_lens.cli.removal.routes import Name, Routes
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.verdict.level import Level


class Outcome(StrEnum):
    """Results for one removed endpoint, the worst first."""

    FAILED = "failed"
    WAIVED = "waived"
    WARNED = "warned"
    PASSED = "passed"
    RENAMED = "renamed"
    NEWER = "newer"


_ORDER = {outcome: number for number, outcome in enumerate(Outcome)}
_LEVELS = {
    level: number
    for number, level in enumerate(
        (
            Level.IN_USE,
            Level.KEPT,
            Level.WAIT,
            Level.NOT_ENOUGH_OBSERVATION,
            Level.PROBABLY_UNUSED,
            Level.SAFE_TO_REMOVE,
        )
    )
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One endpoint of production that the branch does not have.

    Attributes:
        endpoint: As the evidence has it.
        source: The evidence.
        outcome: The result.
        renamed_to: Its path in the branch; None where it has none.
        waiver: Its waiver, also an expired one; None without one.
        callers: Its callers in all evidence; None where none has recorded callers.
    """

    endpoint: EndpointEvidence
    source: Source
    outcome: Outcome
    renamed_to: str | None = None
    waiver: Waiver | None = None
    callers: KnownCallers | None = None

    @property
    def is_removal(self) -> bool:
        """True if the branch removes the endpoint."""
        return self.outcome not in (Outcome.RENAMED, Outcome.NEWER)

    @property
    def severity(self) -> tuple[int, int, float]:
        """A key that sorts the worst first; of the same verdict, the latest use."""
        last_used_at = self.endpoint.last_used_at or 0.0
        return _ORDER[self.outcome], _LEVELS[self.endpoint.verdict], -last_used_at

    @property
    def order(self) -> tuple[int, int, str, str]:
        """A key that sorts as reports do: the worst first, and then by path and method."""
        outcome, level, _ = self.severity
        return outcome, level, self.endpoint.path, self.endpoint.method


@dataclass(frozen=True, slots=True)
class Comparison:
    """All findings.

    Attributes:
        findings: The worst first.
        notes: Sentences about the policy and the evidence.
        strangers: Names of evidence that has nothing in common with the branch, with its app.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """The number of findings of each outcome, all of them."""
        found = Counter(finding.outcome for finding in self.findings)
        return {outcome: found[outcome] for outcome in Outcome}

    @property
    def has_failed(self) -> bool:
        """True if an endpoint is removed that must not be."""
        return any(finding.outcome is Outcome.FAILED for finding in self.findings)

    @property
    def has_passed(self) -> bool:
        """True if nothing failed, by evidence of this application."""
        return not (self.has_failed or self.strangers)


def compare(
    routes: Routes,
    sources: Sequence[Source],
    policy: Policy,
    *,
    base: MergeBase | None,
    today: date,
) -> Comparison:
    """Every endpoint of production that a branch lacks; of several sources the worst result.

    Args:
        routes: The endpoints of the branch.
        sources: Evidence, such as that of several regions.
        policy: Of the project.
        base: Where the branch began; None if it is not known, so that nothing is newer.
        today: For waivers (UTC).
    """
    worst: dict[Name, Finding] = {}
    for source in sources:
        for finding in _findings(routes, source, policy, base, today):
            name = Name(finding.endpoint.method, finding.endpoint.path)
            if name not in worst or finding.severity < worst[name].severity:
                worst[name] = finding
    callers = callers_of_all(sources)
    findings = tuple(
        replace(finding, callers=callers.get(finding.endpoint.name))
        for finding in sorted(worst.values(), key=lambda finding: finding.order)
    )
    strangers = tuple(
        f"{source.name} ({source.evidence.app})"
        for source in sources
        if not _is_known(routes, source, policy)
    )
    asked = (
        f"No endpoint of {stranger} is in the branch: is it evidence of this application?"
        for stranger in strangers
    )
    notes = (*_notes(sources, policy, findings, today), *asked, *_notes_of_base(base, findings))
    return Comparison(findings, notes, strangers)


def _is_known(routes: Routes, source: Source, policy: Policy) -> bool:
    """True if the branch has an endpoint of the evidence, or a waiver of one."""
    return any(
        routes.has(name) or routes.renamed(name) is not None or endpoint.name in policy.waivers
        for endpoint in source.evidence.present
        for name in (Name(endpoint.method, endpoint.path),)
    )


def _findings(
    routes: Routes, source: Source, policy: Policy, base: MergeBase | None, today: date
) -> Iterator[Finding]:
    recorded_since = source.evidence.recorded_since
    for endpoint in source.evidence.present:
        name = Name(endpoint.method, endpoint.path)
        if routes.has(name):
            continue
        waiver = policy.waivers.get(endpoint.name)
        # First, because a renamed parameter removes nothing, whatever the verdict is.
        if (other := routes.renamed(name)) is not None:
            yield Finding(endpoint, source, Outcome.RENAMED, renamed_to=other)
        elif base is not None and _is_newer(endpoint, recorded_since, base):
            yield Finding(endpoint, source, Outcome.NEWER)
        elif endpoint.verdict in policy.fail_on:
            holds = waiver is not None and today <= waiver.until
            outcome = Outcome.WAIVED if holds else Outcome.FAILED
            yield Finding(endpoint, source, outcome, waiver=waiver)
        else:
            is_safe = endpoint.verdict is Level.SAFE_TO_REMOVE
            outcome = Outcome.PASSED if is_safe else Outcome.WARNED
            yield Finding(endpoint, source, outcome, waiver=waiver)


def _is_newer(endpoint: EndpointEvidence, recorded_since: float, base: MergeBase) -> bool:
    """True if production got an endpoint after the branch began.

    Not where recording itself began later, as then all endpoints were first seen later; and not
    where the branch has the release that brought it, which was only deployed later.
    """
    if endpoint.first_seen_at <= base.committed_at or recorded_since > base.committed_at:
        return False
    introduced = endpoint.releases.introduced
    return not introduced or not base.may_have_release(introduced)


def _notes(
    sources: Sequence[Source], policy: Policy, findings: Sequence[Finding], today: date
) -> Iterator[str]:
    removed = {finding.endpoint.name for finding in findings if finding.is_removal}
    for name, waiver in sorted(policy.waivers.items()):
        if name not in removed:
            yield f"The waiver of {name} is not needed: the branch does not remove it."
        elif waiver.until < today:
            yield f"The waiver of {name} ended on {waiver.until}: {waiver.reason}"
    are_known = any(source.evidence.callers for source in sources)
    for source in sources:
        if are_known and source.evidence.callers is None:
            yield f"{source.name} has no callers: others may call there."


def _notes_of_base(base: MergeBase | None, findings: Sequence[Finding]) -> Iterator[str]:
    if base is None or not base.is_shallow:
        return
    if any(one.is_removal and one.endpoint.first_seen_at > base.committed_at for one in findings):
        yield (
            "This clone has only a part of the history, so an endpoint of a later release may be "
            f"taken for a removed one: {FETCH}."
        )
