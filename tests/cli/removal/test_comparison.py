"""The comparison, for any verdicts of any number of sources: the worst wins."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.cli.removal.comparison import Comparison, Outcome, compare
from fastapi_lens.cli.removal.evidence import EndpointEvidence, Evidence, ObservedEvidence
from fastapi_lens.cli.removal.policy import Policy, Waiver
from fastapi_lens.cli.removal.routes import Name, Routes
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.verdict.level import Level

pytestmark = pytest.mark.unit

TODAY = date(2026, 11, 30)
KEPT = Name("GET", "/kept")
NAMES = st.sampled_from([Name("GET", "/a"), Name("POST", "/a"), Name("GET", "/b"), KEPT])
LEVELS = st.sampled_from(list(Level))
STATES = st.tuples(LEVELS, st.booleans())
"""The verdict on an endpoint, and true if production has removed it."""

SOURCES = st.lists(st.dictionaries(NAMES, STATES, min_size=1), min_size=1, max_size=4)
DATES = st.sampled_from([date(2026, 11, 29), TODAY, date(2026, 12, 1)])
ORDER = [
    *(Level.IN_USE, Level.KEPT, Level.WAIT, Level.NOT_ENOUGH_OBSERVATION),
    *(Level.PROBABLY_UNUSED, Level.SAFE_TO_REMOVE),
]


def source_of(states: dict[Name, tuple[Level, bool]]) -> Source:
    endpoints = tuple(
        EndpointEvidence(
            key="0" * 16,
            method=name.method,
            path=name.path,
            verdict=level,
            probably_from=None,
            safe_from=None,
            last_used_at=None,
            first_seen_at=0.0,
            removed_at=1.0 if is_removed else None,
        )
        for name, (level, is_removed) in states.items()
    )
    observed = ObservedEvidence(since=None, days=0, hole_days=0)
    evidence = Evidence(
        fastapi_lens_evidence=1, generated_at=0.0, app="a", observed=observed, endpoints=endpoints
    )
    return Source("file", evidence)


def policy_of(fail_on: frozenset[Level], until: dict[Name, date]) -> Policy:
    waivers = {" ".join(name): Waiver(" ".join(name), "x", day) for name, day in until.items()}
    return Policy(fail_on, waivers)


def compared(
    documents: Sequence[Any], fail_on: frozenset[Level], until: dict[Name, date]
) -> Comparison:
    sources = [source_of(states) for states in documents]
    return compare(Routes([KEPT]), sources, policy_of(fail_on, until), base=None, today=TODAY)


@given(SOURCES, st.frozensets(LEVELS), st.dictionaries(NAMES, DATES))
def test_nothing_that_fails_passes_unless_it_is_waived(
    documents: Sequence[Any], fail_on: frozenset[Level], until: dict[Name, date]
) -> None:
    failing = {
        name
        for states in documents
        for name, (level, is_removed) in states.items()
        if level in fail_on and not is_removed and name != KEPT
    }
    waived = {name for name, day in until.items() if day >= TODAY}

    comparison = compared(documents, fail_on, until)

    assert comparison.has_failed == bool(failing - waived)
    by_outcome = {
        outcome: {
            Name(found.endpoint.method, found.endpoint.path)
            for found in comparison.findings
            if found.outcome is outcome
        }
        for outcome in Outcome
    }
    assert by_outcome[Outcome.FAILED] == failing - waived
    assert by_outcome[Outcome.WAIVED] == failing & waived


@given(SOURCES)
def test_the_worst_verdict_of_several_sources_wins(documents: Sequence[Any]) -> None:
    removed = {
        name: min(
            (
                ORDER.index(states[name][0])
                for states in documents
                if name in states and not states[name][1]
            ),
            default=None,
        )
        for name in {name for states in documents for name in states} - {KEPT}
    }

    findings = compared(documents, frozenset(ORDER[:4]), {}).findings

    assert {
        Name(found.endpoint.method, found.endpoint.path): ORDER.index(found.endpoint.verdict)
        for found in findings
    } == {name: worst for name, worst in removed.items() if worst is not None}


@given(SOURCES, st.frozensets(LEVELS), st.randoms())
def test_the_order_of_sources_does_not_matter(
    documents: list[Any], fail_on: frozenset[Level], random: Any
) -> None:
    def results() -> list[tuple[Outcome, EndpointEvidence]]:
        findings = compared(documents, fail_on, {}).findings
        return [(finding.outcome, finding.endpoint) for finding in findings]

    before = results()
    random.shuffle(documents)

    assert results() == before
