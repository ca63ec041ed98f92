"""Batches that flushers write, and the calls by callers in them."""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from fastapi_lens.recording.flush import flusher as flusher_module
from fastapi_lens.storage.schema.models import OTHERS_ID
from fastapi_lens.storage.writing.batches import Batch, CallerCalls
from fastapi_lens.storage.writing.inbox import Inbox

OTHERS = "others"
Calls = dict[str, int]
"""Calls by the name of a caller."""


class Written:
    """The batches that all flushers have put into an inbox since this was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        batches = self.batches = list[Batch]()

        class Noted(Inbox):
            def put(self, batch: Batch, *arguments: Any, **named: Any) -> int:
                waiting = super().put(batch, *arguments, **named)
                batches.append(batch)
                return waiting

        monkeypatch.setattr(flusher_module, "Inbox", Noted)

    @property
    def rows(self) -> list[CallerCalls]:
        """All calls by callers."""
        return [one for batch in self.batches for one in batch.callers]

    @property
    def calls(self) -> Calls:
        """Calls of each caller: its name with its kind before it, such as ``hook billing``."""
        return calls_of(self.batches)

    @property
    def attributed(self) -> list[bool]:
        """The `is_attributed` of all batches with calls or uses, without repetitions.

        A thread may write in between, so their number says nothing.
        """
        found = [one.is_attributed for one in self.batches if one.deltas or one.uses]
        return [value for value, _ in groupby(found)]


def calls_of(batches: Iterable[Batch]) -> Calls:
    """Calls of each caller in batches."""
    found = Counter[str]()
    names = {OTHERS_ID: OTHERS}
    for batch in batches:
        names |= {one.id: f"{one.kind} {one.name}".strip() for one in batch.names}
        for one in batch.callers:
            found[names[one.caller_id]] += one.calls
    return dict(found)


def lacks_a_caller(batches: Iterable[Batch]) -> bool:
    """True if a batch has a call of an endpoint whose caller is only in a later batch."""
    counted, named = Counter[int](), Counter[int]()
    for batch in batches:
        for one in batch.callers:
            named[one.endpoint_id] += one.calls
        for delta in batch.deltas:
            counted[delta.endpoint_id] += delta.calls
        if counted - named:
            return True
    return False
