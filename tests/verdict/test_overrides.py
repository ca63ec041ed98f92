import json
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.errors import LensError, OverrideError
from fastapi_lens.verdict.cadence import Cadence
from fastapi_lens.verdict.days import day_of
from fastapi_lens.verdict.history import Keep
from fastapi_lens.verdict.overrides import NO_OVERRIDES, Overrides, as_text, overrides_of

pytestmark = pytest.mark.unit

JUNE = day_of(date(2027, 6, 30))
REASONS = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=200)
KEEPS = st.builds(Keep, REASONS, st.dates().map(day_of))
OVERRIDES = st.builds(Overrides, st.none() | KEEPS, st.none() | st.sampled_from(Cadence))


def test_a_route_without_the_mapping_overrides_nothing() -> None:
    assert overrides_of(None) == overrides_of({}) == NO_OVERRIDES


@pytest.mark.parametrize("until", ["2027-06-30", date(2027, 6, 30)])
def test_an_endpoint_is_kept_with_a_reason_and_an_end(until: object) -> None:
    found = overrides_of({"keep": " disaster\n recovery ", "until": until})

    assert found == Overrides(keep=Keep("disaster recovery", JUNE))


def test_a_cadence_is_declared_by_its_name() -> None:
    assert overrides_of({"cadence": "half-yearly"}) == Overrides(cadence=Cadence.HALF_YEARLY)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("yearly", 'x-lens must be a mapping, as {"cadence": "yearly"}'),
        ({"untill": "2027-06-30"}, "x-lens.untill is not known; known are keep, until, cadence"),
        (
            {"until": "2027-06-30"},
            "x-lens.keep must give a reason of at most 200 characters",
        ),
        (
            {"keep": "  ", "until": "2027-06-30"},
            "x-lens.keep must give a reason of at most 200 characters",
        ),
        (
            {"keep": "x" * 201, "until": "2027-06-30"},
            "x-lens.keep must give a reason of at most 200 characters",
        ),
        (
            {"keep": True, "until": "2027-06-30"},
            "x-lens.keep must give a reason of at most 200 characters",
        ),
        (
            {"keep": "audit"},
            "x-lens.until must be the last day on which the endpoint is kept, as 2027-06-30",
        ),
        (
            {"keep": "audit", "until": "soon"},
            "x-lens.until must be the last day on which the endpoint is kept, as 2027-06-30",
        ),
        (
            {"keep": "audit", "until": datetime(2027, 6, 30, 12, 0)},  # noqa: DTZ001 - a mistake
            "x-lens.until must be the last day on which the endpoint is kept, as 2027-06-30",
        ),
        (
            {"cadence": "sometimes"},
            "x-lens.cadence must be one of daily, weekly, monthly, quarterly, half-yearly, yearly",
        ),
        (
            {"cadence": 7},
            "x-lens.cadence must be one of daily, weekly, monthly, quarterly, half-yearly, yearly",
        ),
    ],
)
def test_a_field_that_cannot_work_is_named_with_the_fix(value: object, text: str) -> None:
    with pytest.raises(OverrideError) as caught:
        overrides_of(value)

    assert str(caught.value) == text
    assert isinstance(caught.value, LensError)


@given(OVERRIDES)
def test_overrides_are_read_back_from_their_text(overrides: Overrides) -> None:
    text = as_text(overrides)

    assert overrides_of(None if text is None else json.loads(text)) == overrides


def test_the_text_of_overrides_is_the_shortest_json_of_their_mapping() -> None:
    keep = Keep("disaster \ud800 recovery", JUNE)

    assert as_text(NO_OVERRIDES) is None
    assert as_text(Overrides(keep, Cadence.YEARLY)) == (
        '{"cadence":"yearly","keep":"disaster ? recovery","until":"2027-06-30"}'
    )
