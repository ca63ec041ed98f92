"""The period before, as far as a view of the list compares with it. No HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fastapi_lens.admin.context import Context
from fastapi_lens.reporting.model import FEWEST_CALLS, AppBefore, Endpoint, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The calls of endpoints in the period before.

    Attributes:
        before: The calls; None until `read`, and if that period is not known.
        has_calls: True if a column compares calls or durations.
        has_durations: True if a column compares durations.
    """

    before: AppBefore | None = None
    has_calls: bool = True
    has_durations: bool = True

    def read(
        self, context: Context, window: Window, endpoints: Sequence[Endpoint] | None = None
    ) -> "Earlier":
        """The same with the calls, if a column compares them, and without durations.

        Args:
            context: The request.
            window: The window that is compared with the period before it.
            endpoints: Those of a page; None for all, which takes longer.

        Raises:
            StorageError: The database cannot be read.
        """
        if not self.has_calls or self.before is not None:
            return self
        ids = None if endpoints is None else [one.id for one in endpoints]
        return replace(
            self, before=context.lens.reader.before(window=window, now=context.now, ids=ids)
        )

    def timed(
        self, context: Context, endpoints: Iterable[Endpoint], *, fewest: int = 1
    ) -> "Earlier":
        """The same with the durations of some endpoints, if a column compares them.

        Args:
            context: The request.
            endpoints: The endpoints; WebSockets among them have no durations to compare.
            fewest: Calls that an endpoint must have in both periods.

        Raises:
            StorageError: The database cannot be read.
        """
        before = self.before
        if before is None or not self.has_durations:
            return self
        wanted = [
            one.id
            for one in endpoints
            if one.is_timed
            and one.usage.calls >= fewest
            and (found := before.usages.get(one.id)) is not None
            and found.histogram is None
            and found.calls >= fewest
        ]
        read = context.lens.reader.timed_before(before, wanted, now=context.now)
        return replace(self, before=read)

    def comparable(self, context: Context, endpoints: Sequence[Endpoint]) -> "Earlier":
        """The same with the durations of those that have enough calls, to sort by their change."""
        return self.timed(context, endpoints, fewest=FEWEST_CALLS)

    def joined(self, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        """Endpoints with their calls in that period; the same ones if it is not known."""
        before = self.before
        if before is None:
            return endpoints
        return [replace(one, before=before.of_one(one)) for one in endpoints]
