"""Values of columns that no release writes, and what takes their place."""

from typing import Any

import pytest

from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.row_checks import RULES

pytestmark = pytest.mark.unit

NOW_US = 20_520 * 86_400_000_000


@pytest.mark.parametrize(
    ("table", "column", "wrong", "instead"),
    [
        ("lens_observed", "minutes", -1, 0),
        ("lens_observed", "minutes", 1 << 60, 0),
        ("lens_endpoint", "overrides", 5, None),
        ("lens_endpoint", "overrides", "[", None),
        ("lens_endpoint", "overrides", '{"cadence": "now and then"}', None),
        ("lens_endpoint", "attributed_until", -1, 0),
        ("lens_endpoint", "unattributed_at", -1, NOW_US),
        ("lens_caller", "kind", "nobody", "none"),
        ("lens_caller", "name", "x" * 201, "x" * 200),
        ("lens_use", "last_at", -1, NOW_US),
        ("lens_use", "first_day", -1, 20_520),
        ("lens_use", "last_day", "text", 20_520),
        ("lens_use", "refused_day", 10**9, 20_520),
        ("lens_use", "days", "many", 1),
        ("lens_use", "max_gap", -1, 800),
        ("lens_use", "max_gap", 10**6, 800),
        ("lens_use", "caller_id", -1, 0),
        ("lens_use_week", "week", -1, 0),
    ],
)
def test_what_cannot_be_read_tells_nothing(
    table: str, column: str, wrong: Any, instead: Any
) -> None:
    rule = RULES[table][column]
    assert not rule.holds(wrong)
    assert rule.instead(wrong, NOW_US) == instead


@pytest.mark.parametrize("kind", CallerKind)
def test_every_kind_of_caller_is_taken(kind: CallerKind) -> None:
    assert RULES["lens_caller"]["kind"].holds(kind.value)


@pytest.mark.parametrize(
    "value", ['{"cadence": "yearly"}', '{"keep": "disaster recovery", "until": "2027-06-30"}']
)
def test_overrides_that_can_be_read_are_kept(value: str) -> None:
    assert RULES["lens_endpoint"]["overrides"].holds(value)
