"""Calls that were resolved to their series once. Knows no routes and no requests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_lens.recording.recorder import Series

MAX_CACHED = 8_192
"""Resolved calls kept; past that the cache starts anew."""

MAX_ALIKE = 64
"""Routes and handlers that are kept of calls which mean the same."""


class CallCache(dict[tuple[object, ...], "tuple[Series | None, tuple[object, ...]]"]):
    """Series by `call_key`; None where a call of that kind is not counted.

    What the ids in a key belong to is kept with the series, so that they stay valid. A host may
    make routes or handlers anew for each request: few of those are kept, the others are not
    worth it.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self._alike: dict[Any, set[tuple[int, ...]]] = {}

    def keep(
        self,
        key: tuple[object, ...],
        series: "Series | None",
        reached: tuple[object, ...],
        *,
        meaning: object,
    ) -> None:
        """Remember the series of a kind of call.

        Args:
            key: Holds the ids of what was reached.
            series: None where such calls are not counted.
            reached: The objects.
            meaning: What calls have in common that differ in these objects alone.
        """
        if len(self) >= MAX_CACHED:
            self.clear()
            self._alike.clear()
        ids = tuple(map(id, reached))
        alike = self._alike.setdefault(meaning, set())
        if ids in alike or len(alike) < MAX_ALIKE:
            alike.add(ids)
            self[key] = (series, reached)
