"""Values of columns that no release writes, and what takes their place."""

from typing import Any

import pytest

from fastapi_lens.storage.schema.row_checks import RULES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("table", "column", "wrong", "instead"),
    [
        ("lens_observed", "minutes", -1, 0),
        ("lens_observed", "minutes", 1 << 60, 0),
        ("lens_endpoint", "overrides", 5, None),
        ("lens_endpoint", "overrides", "[", None),
        ("lens_endpoint", "overrides", '{"cadence": "now and then"}', None),
    ],
)
def test_what_cannot_be_read_tells_nothing(
    table: str, column: str, wrong: Any, instead: Any
) -> None:
    rule = RULES[table][column]
    assert not rule.holds(wrong)
    assert rule.instead(wrong, 1) == instead


@pytest.mark.parametrize(
    "value", ['{"cadence": "yearly"}', '{"keep": "disaster recovery", "until": "2027-06-30"}']
)
def test_overrides_that_can_be_read_are_kept(value: str) -> None:
    assert RULES["lens_endpoint"]["overrides"].holds(value)
