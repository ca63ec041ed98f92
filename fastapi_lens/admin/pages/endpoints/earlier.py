"""The period before, as far as a view of the list compares with it. No HTML."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.tables.endpoints import CHANGES
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.reporting.model import FEWEST_CALLS, AppBefore, Endpoint


@dataclass(frozen=True, slots=True)
class Earlier:
    """The calls of the period before.

    Attributes:
        before: None if that period is not known, or if no column compares with it.
        has_durations: True if a column compares durations.
    """

    before: AppBefore | None = None
    has_durations: bool = False

    @classmethod
    def read(cls, context: Context, query: EndpointsQuery, columns: Collection[str]) -> Self:
        """Read the calls, without durations; nothing if no column needs them.

        Args:
            context: The request.
            query: The state of the page.
            columns: The columns that are shown or sorted by.

        Raises:
            StorageError: The database cannot be read.
        """
        if CHANGES.isdisjoint(columns):
            return cls()
        before = context.lens.reader.before(window=query.window.window, now=context.now)
        return cls(before, "p95_change" in columns)

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
            if one.kind != "websocket"
            and one.usage.calls >= fewest
            and (found := before.usages.get(one.id)) is not None
            and found.histogram is None
            and found.calls >= fewest
        ]
        read = context.lens.reader.timed_before(before, wanted, now=context.now)
        return replace(self, before=read)

    def joined(self, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        """Endpoints with their calls in that period; the same ones if it is not known."""
        before = self.before
        if before is None:
            return endpoints
        return [replace(one, before=before.of_one(one)) for one in endpoints]

    def sortable(
        self, context: Context, endpoints: Sequence[Endpoint], query: EndpointsQuery
    ) -> tuple["Earlier", Sequence[Endpoint]]:
        """The period before and the endpoints with all that the order of a view compares.

        Raises:
            StorageError: The database cannot be read.
        """
        order = query.sort.order
        if not order.needs_before:
            return self, endpoints
        read = self
        if order.needs_histograms:
            read = self.timed(context, endpoints, fewest=FEWEST_CALLS)
        return read, read.joined(endpoints)
