"""Overrides in code: the ``x-lens`` mapping of a route's ``openapi_extra``. Pure.

``{"keep": "disaster recovery", "until": "2027-06-30"}`` keeps an endpoint on purpose up to a day;
``{"cadence": "yearly"}`` says how often it is used, so that nobody takes a shorter silence for the
end.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from fastapi_lens.errors import OverrideError
from fastapi_lens.verdict.cadence import Cadence
from fastapi_lens.verdict.days import FOREVER, date_of, day_of
from fastapi_lens.verdict.history import Keep, KeepSource

EXTENSION = "x-lens"
"""The key in `openapi_extra`."""

LONGEST_REASON = 200
"""Characters."""

FIELDS = ("keep", "until", "cadence")
"""Fields of the mapping."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Overrides of one endpoint.

    Attributes:
        keep: Why and until when it is kept; None where it is not.
        cadence: Declared frequency of use; None if nothing is declared.
    """

    keep: Keep | None = None
    cadence: Cadence | None = None


NO_OVERRIDES = Overrides()


def overrides_of(value: object) -> Overrides:
    """The overrides that an ``x-lens`` mapping holds.

    Args:
        value: The mapping as the route has it; None where it has none.

    Raises:
        OverrideError: A field is not known, is missing, or has a value that cannot work.
    """
    if value is None:
        return NO_OVERRIDES
    if not isinstance(value, Mapping):
        raise OverrideError(EXTENSION, 'must be a mapping, as {"cadence": "yearly"}')
    fields = cast("Mapping[object, object]", value)
    for name in fields:
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise OverrideError(f"{EXTENSION}.{name}", f"is not known; known are {known}")
    return Overrides(_keep_of(fields), _cadence_of(fields.get("cadence")))


def kept_for(error: OverrideError) -> Overrides:
    """The overrides in place of invalid ones, which may have been there to keep an endpoint."""
    reason = f"the {EXTENSION} of its route is invalid: {error}"
    return Overrides(Keep(reason[:LONGEST_REASON], FOREVER, KeepSource.CODE))


def as_text(overrides: Overrides) -> str | None:
    """The JSON text of an ``x-lens`` mapping with these overrides; None without any.

    The same overrides have the same text. `overrides_of` reads what `json.loads` returns for it.
    """
    fields: dict[str, str] = {}
    if overrides.cadence is not None:
        fields["cadence"] = overrides.cadence.value
    if overrides.keep is not None:
        # Without lone surrogates, which no page can show.
        fields["keep"] = overrides.keep.reason.encode("utf-8", "replace").decode()
        fields["until"] = date_of(overrides.keep.until).isoformat()
    return json.dumps(fields, separators=(",", ":")) if fields else None


def _keep_of(fields: Mapping[object, object]) -> Keep | None:
    reason, until = fields.get("keep"), fields.get("until")
    if reason is None and until is None:
        return None
    if not isinstance(reason, str) or not 0 < len(reason.strip()) <= LONGEST_REASON:
        problem = f"must give a reason of at most {LONGEST_REASON} characters"
        raise OverrideError(f"{EXTENSION}.keep", problem)
    return Keep(" ".join(reason.split()), day_of(_date_of(until)), KeepSource.CODE)


def _date_of(until: object) -> date:
    # A datetime is a date in Python, and names no whole day.
    if isinstance(until, date) and not isinstance(until, datetime):
        return until
    try:
        return date.fromisoformat(cast("str", until))
    except (TypeError, ValueError):
        problem = "must be the last day on which the endpoint is kept, as 2027-06-30"
        raise OverrideError(f"{EXTENSION}.until", problem) from None


def _cadence_of(value: object) -> Cadence | None:
    if value is None:
        return None
    try:
        return Cadence(cast("str", value))
    except ValueError:
        known = ", ".join(Cadence)
        raise OverrideError(f"{EXTENSION}.cadence", f"must be one of {known}") from None
