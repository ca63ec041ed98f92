"""docs/deleting-endpoints.md agrees with the code, and its numbers with the latest benchmark."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from fastapi_lens.reporting.documents.callers_report import CallersReport, CallerStats
from fastapi_lens.reporting.documents.evidence_report import (
    CallersSince,
    CallsSinceRemoval,
    EndpointEvidence,
    EndpointReleases,
    Evidence,
    EvidenceCaller,
    Kept,
    NeedDays,
    Observed,
)
from fastapi_lens.verdict.cadence import Cadence
from fastapi_lens.verdict.history import REFUSED
from fastapi_lens.verdict.level import Level
from tests.support.documents import broken_links

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "deleting-endpoints.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")

USES = {
    "daily": "daily, stops",
    "on working days": "working days, stops",
    "on working days, closed at Christmas": "working days, closed at Christmas, stops",
    "by chance, on one of three days": "by chance, 1 in 3 days, stops",
    "weekly": "weekly, stops",
    "monthly": "last of the month, stops",
    "quarterly": "last of the quarter, stops",
    "in bursts": "bursts, stops",
    "never (from the day on which it was first seen)": "never called",
}
"""Rows of the document, and those of the results that they are taken from."""


def rows_of(text: str) -> dict[str, list[str]]:
    lines = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| "))
    return {first: others for first, *others in lines}


@pytest.mark.parametrize(
    "model",
    [
        *(Evidence, Observed, EndpointEvidence, EndpointReleases, NeedDays, Kept),
        *(CallsSinceRemoval, CallersSince, EvidenceCaller),
        *(CallersReport, CallerStats),
    ],
)
def test_every_key_of_the_evidence_is_explained(model: type[BaseModel]) -> None:
    explained = DOCUMENT.partition("## The evidence as JSON")[2]

    assert [name for name in model.model_fields if f"`{name}`" not in explained] == []


def test_every_verdict_and_every_cadence_is_named() -> None:
    assert [level for level in Level if f"`{level}`" not in DOCUMENT] == []
    assert [cadence for cadence in Cadence if f"`{cadence}`" not in DOCUMENT] == []


def test_the_refused_statuses_are_those_of_the_code() -> None:
    found = re.search(r"\*\*Refused calls\*\* \(([\d, ]+)\)", DOCUMENT)
    assert found is not None

    assert {int(status) for status in found[1].split(", ")} == REFUSED


@pytest.mark.parametrize(("use", "measured"), USES.items())
def test_the_waiting_times_are_those_of_the_results(use: str, measured: str) -> None:
    _endpoints, *columns = rows_of(RESULTS)[measured]
    times = [re.sub(r" d\b| \(\d+\)", "", column) for column in columns]

    assert rows_of(DOCUMENT)[use] == times


def test_the_numbers_of_wrong_verdicts_are_those_of_the_results() -> None:
    budgets = rows_of(RESULTS)
    wrong = "wrongly safe: steady, yearly, hidden, hidden yearly"
    irregular = "wrongly safe: irregular, observed throughout, plain"
    said = "wrongly probably, yearly and hidden yearly: says that yearly is open"
    for number in (
        budgets[wrong][1].removesuffix(" endpoints and runs"),
        budgets["the same of the behaviours that were held out"][1].removesuffix(" and runs"),
        f"{budgets[irregular][1]} of 144",
        budgets[said][1],
    ):
        assert number in DOCUMENT


def test_every_link_leads_to_a_heading() -> None:
    assert broken_links(ROOT / "docs" / "deleting-endpoints.md") == []
