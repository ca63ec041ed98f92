"""Cache of calls resolved to their series. Knows no routes and no requests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_lens.recording.series import Series

MAX_CACHED = 8_192
"""Maximum of resolved calls; beyond it the cache is cleared."""

MAX_ALIKE = 64
"""Maximum of sets of routes and handlers kept for calls of the same meaning."""


class CallCache(dict[tuple[object, ...], "tuple[Series | None, tuple[object, ...]]"]):
    """Series by `call_key`; None if calls of that kind are not counted.

    The objects whose ids are in a key are kept with the series, so that the ids stay valid. A host
    may create routes or handlers for each request: only a few of those are kept, because they are
    not seen again.
    """

    def __init__(self) -> None:
        """Start empty."""
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
            key: Contains the ids of the reached objects.
            series: None if such calls are not counted.
            reached: The objects.
            meaning: Equal for calls that differ only in these objects.
        """
        # As a whole: keeping the order of use would cost every call something.
        if len(self) >= MAX_CACHED:
            self.clear()
            self._alike.clear()
        ids = tuple(map(id, reached))
        alike = self._alike.setdefault(meaning, set())
        if ids in alike or len(alike) < MAX_ALIKE:
            alike.add(ids)
            self[key] = (series, reached)
