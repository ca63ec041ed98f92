"""State of the pages of the request log in their addresses. No I/O, no HTML.

As in `endpoints`: ``parse(query.url()) == query``, and invalid values fall back to the default.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period
from fastapi_lens.admin.urls.query_string import (
    address,
    clean_caller,
    clean_key,
    clean_text,
    fields_of,
)
from fastapi_lens.reporting.log.request_log import LogFilter
from fastapi_lens.text.methods import is_method_name

REASONS = ("error", "slow", "sample")
MAX_MS = 999_999_999
_STATUS = re.compile(r"[1-9](?:xx|[0-9]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsQuery:
    """State of the list of requests. Equivalent values are normalized when it is created.

    Attributes:
        q: Text in the path or the exception.
        endpoint: Key of the only endpoint; empty for all.
        caller: Key of the only caller; empty for all.
        status: A class of status codes like ``5xx``, or a code; empty for all.
        method: Method in capitals; empty for all.
        min_ms: Shortest duration in milliseconds; 0 for all.
        reason: ``error``, ``slow`` or ``sample``; empty for all.
        before: Key of a request; only older ones are shown. Empty for the newest.
        window: The period in which the requests arrived.
    """

    q: str = ""
    endpoint: str = ""
    caller: str = ""
    status: str = ""
    method: str = ""
    min_ms: int = 0
    reason: str = ""
    before: str = ""
    window: Period = DEFAULT_PERIOD

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        method, status = self.method.upper(), self.status.lower()
        values = {
            "q": clean_text(" ".join(self.q.split())),
            "endpoint": clean_key(self.endpoint),
            "caller": clean_caller(self.caller),
            "status": status if _STATUS.fullmatch(status) else "",
            "method": method if is_method_name(method) else "",
            "min_ms": min(max(0, self.min_ms), MAX_MS),
            "reason": self.reason if self.reason in REASONS else "",
            "before": clean_key(self.before),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        found = fields_of(url)
        fields = {name: values[-1] for name, values in found.items()}
        ms = fields.get("min_ms", "")
        texts = ("q", "endpoint", "caller", "status", "method", "reason", "before")
        return cls(
            window=Period.of(found),
            min_ms=int(ms) if re.fullmatch("[0-9]{1,9}", ms) else 0,
            **{name: fields.get(name, "") for name in texts},
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [
            ("q", self.q),
            ("endpoint", self.endpoint),
            ("caller", self.caller),
            ("status", self.status),
            ("method", self.method),
            ("min_ms", str(self.min_ms or "")),
            ("reason", self.reason),
            ("before", self.before),
            *self.window.pairs,
        ]
        return address(path, [(name, value) for name, value in pairs if value])

    def wanted(self, now: float) -> LogFilter:
        """The filter of the log's reader.

        Args:
            now: Epoch seconds, at which the period ends unless it is a part of time.
        """
        window, statuses = self.window.window, None
        if self.status:
            lowest = int(self.status.replace("x", "0"))
            statuses = (lowest, lowest + 99 if "x" in self.status else lowest)
        return LogFilter(
            since=window.begin(now),
            until=window.end,
            endpoint=self.endpoint,
            caller=self.caller,
            statuses=statuses,
            method=self.method,
            min_ms=self.min_ms or None,
            text=self.q,
            reason=self.reason,
        )

    @property
    def is_filtered(self) -> bool:
        """True if anything but the period restricts the list."""
        return replace(self, window=DEFAULT_PERIOD, before="") != type(self)()

    def with_window(self, window: Period) -> Self:
        """The newest of another period."""
        return replace(self, window=window, before="")

    def older(self, key: str) -> Self:
        """The older requests of the same list."""
        return replace(self, before=key)

    def newest(self) -> Self:
        """The beginning of the same list."""
        return replace(self, before="")
